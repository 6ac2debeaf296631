// SPDX-License-Identifier: GPL-3.0-or-later
//! The classes of octets in a URL.

/// What an octet of a URL may be, as bits of [`CLASSES`]. In the authority:
pub(super) const AT: u8 = 1;
/// Not what most hosts are made of: it takes a closer look.
pub(super) const RARE: u8 = 2;
/// It ends the authority.
pub(super) const END: u8 = 4;
/// It does not occur in a host that all programs read alike.
pub(super) const ODD: u8 = 8;
/// It ends a piece of the path, of the query, of the fragment.
pub(super) const CUTS_PATH: u8 = 16;
pub(super) const CUTS_QUERY: u8 = 32;
pub(super) const CUTS_FRAGMENT: u8 = 64;

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
                b'/' | b'?' => END | CUTS_PATH,
                b'#' => END | CUTS_PATH | CUTS_QUERY,
                b'\\' => END,
                b'&' => CUTS_QUERY | CUTS_FRAGMENT,
                b';' => CUTS_QUERY,
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
