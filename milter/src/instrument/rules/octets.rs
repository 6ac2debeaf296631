// SPDX-License-Identifier: GPL-3.0-or-later
//! The classes of octets in the authority of a URL.

/// What an octet of an authority may be, as bits of [`CLASSES`]: a sign of user information.
pub(super) const AT: u8 = 1;
/// Not what most hosts are made of: it takes a closer look.
pub(super) const RARE: u8 = 2;
/// It ends the authority.
pub(super) const END: u8 = 4;
/// It does not occur in a host that all programs read alike.
pub(super) const ODD: u8 = 8;
pub(super) fn class_of(octet: u8) -> u8 {
    CLASSES.get(usize::from(octet)).copied().unwrap_or(0)
}

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut octet = 0_u32;
    while let Some((class, after)) = rest.split_first_mut() {
        *class = match octet {
            0..32 | 127.. => RARE,
            _ => match octet as u8 {
                b'@' => AT,
                b'/' | b'?' | b'#' | b'\\' => END,
                b' ' | b'<' | b'>' | b'"' | b'\'' | b'`' | b'{' | b'}' | b'|' | b'^' | b'%' => {
                    RARE | ODD
                }
                b'A'..=b'Z' | b':' | b'[' | b']' => RARE,
                _ => 0,
            },
        };
        octet += 1;
        rest = after;
    }
    classes
};
