// SPDX-License-Identifier: GPL-3.0-or-later
//! A second opinion on the part tree, from mail-parser: if the two readings differ, so may those of mail programs.
//!
//! mail-parser decodes every part as it goes, which would cost more than the whole edit; so it is shown the skeleton
//! of the message: every header section and boundary as they stand, every content replaced by a stand-in. That a
//! boundary occurs nowhere else, where lenient readers would see it, has been made sure by the scan.

use std::{ops::Range, sync::LazyLock};

use mail_parser::{Encoding, MessageParser, MimeHeaders, PartType};

use super::structure::{Disposition, Part, Structure, Transfer};
use crate::message::Message;

/// Tells whether mail-parser sees the same parts with the same types, charsets and encodings.
pub(crate) fn agrees(message: &Message, structure: &Structure) -> bool {
    let skeleton = skeleton(message, structure);
    let Some(parsed) = PARSER.parse(&skeleton) else {
        return false;
    };
    parsed.parts.len() == structure.parts.len()
        && structure
            .parts
            .iter()
            .zip(&parsed.parts)
            .all(|(own, theirs)| is_same(own, theirs))
}

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
    MessageParser::new()
        .with_mime_headers()
        .default_header_ignore()
});

fn is_same(own: &Part, theirs: &mail_parser::MessagePart<'_>) -> bool {
    let content_type = theirs.content_type();
    let media = content_type.map(|field| {
        format!(
            "{}/{}",
            field.ctype().to_ascii_lowercase(),
            field.subtype().unwrap_or_default().to_ascii_lowercase()
        )
    });
    let parameter = |name: &str| {
        content_type
            .and_then(|field| field.attribute(name))
            .map(|value| value.trim().to_ascii_lowercase())
    };
    let encoding = match own.transfer {
        Transfer::Base64 => theirs.encoding == Encoding::Base64,
        Transfer::QuotedPrintable => theirs.encoding == Encoding::QuotedPrintable,
        Transfer::Identity { .. } | Transfer::Other => theirs.encoding == Encoding::None,
    };
    let is_attachment = theirs
        .content_disposition()
        .is_some_and(|field| !field.ctype().eq_ignore_ascii_case("inline"));
    let is_typed = match media {
        Some(media) => media == own.media || own.media == "unknown",
        None => matches!(
            own.media.as_str(),
            "text/plain" | "message/rfc822" | "unknown"
        ),
    };
    is_typed
        && parameter("charset") == own.charset
        && (own.is_multipart() == matches!(theirs.body, PartType::Multipart(_)))
        && parameter("boundary").as_deref()
            == own
                .boundary()
                .map(str::to_ascii_lowercase)
                .or_else(|| parameter("boundary").filter(|_| !own.is_multipart()))
                .as_deref()
        && (own.is_multipart() || encoding)
        && (is_attachment == (own.disposition == Disposition::Attachment))
}

/// Builds the skeleton.
fn skeleton(message: &Message, structure: &Structure) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    for field in &message.fields {
        let is_mime = [
            "content-type",
            "content-transfer-encoding",
            "content-disposition",
        ]
        .iter()
        .any(|name| field.is(name));
        if is_mime {
            out.extend_from_slice(&field.name);
            out.push(b':');
            out.extend_from_slice(&field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    if let Some(root) = structure.root() {
        put(root, message, structure, &mut out);
    }
    out
}

fn put(part: &Part, message: &Message, structure: &Structure, out: &mut Vec<u8>) {
    if let Some(boundary) = part.boundary() {
        for child in structure.children(part) {
            out.extend_from_slice(b"\r\n--");
            out.extend_from_slice(boundary.as_bytes());
            out.extend_from_slice(b"\r\n");
            let header: Range<usize> = child.header.clone();
            out.extend_from_slice(message.body.get(header).unwrap_or_default());
            // The depth is bounded by the scan.
            put(child, message, structure, out);
        }
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
    } else if part.media == "message/rfc822" || part.media == "message/global" {
        match part.transfer {
            Transfer::Base64 => out.extend_from_slice(b"WDogeQoKeg=="),
            _ => out.extend_from_slice(b"X: y\r\n\r\nz"),
        }
    } else {
        match part.transfer {
            Transfer::Base64 => out.extend_from_slice(b"eA=="),
            _ => out.extend_from_slice(b"x"),
        }
    }
}
