// SPDX-License-Identifier: GPL-3.0-or-later
//! What an administrator does with us: the lines for Postfix, the doctor.

mod doctor;
mod postfix;
