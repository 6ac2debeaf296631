// SPDX-License-Identifier: GPL-3.0-or-later
//! A message as the MTA hands it over: header fields and body, bytes as they came.

/// One header field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderField {
    /// The name as written.
    pub name: Vec<u8>,
    /// What stands after the colon, as written: a leading blank and line folds (CRLF or LF) are kept, the final line
    /// end is not.
    pub value: Vec<u8>,
}

/// A message: its header section, taken apart, and its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    /// In the order in which they stand.
    pub fields: Vec<HeaderField>,
    /// What follows the empty line after the header section, bytes as they came. Through Postfix lines end in CRLF.
    pub body: Vec<u8>,
}
