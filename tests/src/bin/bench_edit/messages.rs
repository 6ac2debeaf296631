// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages that are measured: HTML like that of a newsletter, a link for each 420 octets, in any transfer encoding.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

/// How the HTML travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    Base64,
    EightBit,
    QuotedPrintable,
}

impl Encoding {
    pub(crate) const ALL: [Self; 3] = [Self::EightBit, Self::QuotedPrintable, Self::Base64];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::EightBit => "8bit",
            Self::QuotedPrintable => "quoted-printable",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.name() == name)
    }
}

/// A message, and the HTML in it as it travels.
pub(crate) struct Sample {
    pub(crate) encoding: Encoding,
    pub(crate) raw: Vec<u8>,
    /// The content of the HTML part.
    pub(crate) part: Vec<u8>,
}

impl Sample {
    /// Makes a message with so many octets of HTML: the whole body where it travels as it is, else beside a plain text.
    pub(crate) fn new(size: usize, encoding: Encoding) -> Self {
        let html = html(size);
        let part = match encoding {
            Encoding::Base64 => in_base64(&html),
            Encoding::EightBit => html.into_bytes(),
            Encoding::QuotedPrintable => in_quoted_printable(html.as_bytes()),
        };
        let top = "From: Alice <alice@example.com>\r\nTo: Bob <bob@elsewhere.example>\r\nSubject: benchmark\r\n\
            Date: Mon, 23 Nov 2026 15:00:00 +0000\r\nMessage-ID: <bench@example.com>\r\nMIME-Version: 1.0\r\n";
        let head = format!(
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n",
            encoding.name()
        );
        let raw = if encoding == Encoding::EightBit {
            [top.as_bytes(), head.as_bytes(), &part].concat()
        } else {
            let text = format!(
                "Content-Type: multipart/alternative; boundary=\"=_1\"\r\n\r\n--=_1\r\n\
                 Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                 {}\r\nhttps://www.shop.example.com/\r\n\r\n--=_1\r\n",
                Words(11).take(150).replace(" the ", "\r\nthe ")
            );
            let pieces = [top, &text, &head].concat();
            [pieces.as_bytes(), &part, b"\r\n--=_1--\r\n"].concat()
        };
        Self {
            encoding,
            raw,
            part,
        }
    }
}

fn html(size: usize) -> String {
    let mut words = Words(20_261_123);
    let mut html = format!(
        "<!DOCTYPE html>\r\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\r\n\
         <style type=\"text/css\">body{{margin:0}}td{{padding:0}}a:hover{{color:red}}</style></head>\r\n\
         <body bgcolor=\"#ffffff\"><table width=\"600\" cellpadding=\"0\" cellspacing=\"0\">\r\n",
        words.take(4)
    );
    let mut number = 0;
    while html.len() + 120 < size {
        number += 1;
        write!(
            html,
            "<tr><td style=\"padding:12px 8px;font-family:Arial,Helvetica,sans-serif;font-size:14px;line-height:20px;\
             color:#333333;\" valign=\"top\" class=\"cell\">\r\n<p style=\"margin:0 0 10px 0;\">{}</p>\r\n\
             <a href=\"https://www.shop.example.com/catalog/item?id={number}&amp;ref=mail{}\" target=\"_blank\" \
             style=\"color:#1a73e8;text-decoration:none;\">{}</a>\r\n</td></tr>\r\n",
            words.take(14),
            number % 7,
            words.take(3)
        )
        .unwrap();
    }
    html.push_str("</table>\r\n</body></html>\r\n");
    html
}

/// Words in an order that only looks random.
struct Words(u64);

impl Words {
    fn take(&mut self, count: usize) -> String {
        const WORDS: [&str; 28] = [
            "our", "new", "spring", "offer", "invoice", "attached", "please", "review", "the",
            "contract", "meeting", "tomorrow", "customer", "order", "number", "delivery", "price",
            "quality", "service", "team", "regards", "best", "łódź", "straße", "café", "größe",
            "and", "with",
        ];
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let place = usize::try_from(self.0 % WORDS.len() as u64).unwrap();
            words.extend(WORDS.get(place).copied());
        }
        words.join(" ")
    }
}

fn in_base64(html: &str) -> Vec<u8> {
    let mut lines = Vec::with_capacity(html.len() * 3 / 2);
    for octets in html.as_bytes().chunks(57) {
        lines.extend_from_slice(STANDARD.encode(octets).as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// Encodes in lines of at most 76 characters.
fn in_quoted_printable(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() * 5 / 4);
    let mut column = 0;
    for (place, octet) in text.iter().copied().enumerate() {
        if matches!(octet, b'\r' | b'\n') {
            out.push(octet);
            column = 0;
            continue;
        }
        let ends_line = matches!(text.get(place + 1), None | Some(b'\r'));
        let is_literal = matches!(octet, 33..=60 | 62..=126) || (octet == b' ' && !ends_line);
        if column + if is_literal { 1 } else { 3 } > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if is_literal {
            out.push(octet);
            column += 1;
        } else {
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap();
            out.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet & 15)]);
            column += 3;
        }
    }
    out
}
