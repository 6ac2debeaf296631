// SPDX-License-Identifier: GPL-3.0-or-later
//! One entity of a message, and what its header section says about it. Doubled or unreadable fields that readers could
//! take differently make the message `malformed`.

use std::ops::Range;

use common::reason::SkipReason;

use super::content::{Structured, is_signed_data, leading_media, plain};
use crate::message::Message;

/// RFC 2046, section 5.1.1.
const MAX_BOUNDARY: usize = 70;

/// The type of a part whose field cannot be read.
const UNKNOWN: &str = "unknown";

/// How a part is encoded for transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transfer {
    Base64,
    /// `7bit`, `8bit`, or no field at all; `ascii` for the first and the last.
    Identity {
        ascii: bool,
    },
    /// `binary`, unknown or oddly written: never edited.
    Other,
    QuotedPrintable,
}

/// How a part asks to be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disposition {
    Attachment,
    Inline,
}

/// One entity of the message. The first one is the message itself.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its place in the tree, as in IMAP with the message as `1`: `1.2.1`.
    pub path: String,
    /// The header section within the body, the empty line included; empty for the message itself.
    pub header: Range<usize>,
    /// The content, without the line end that belongs to the boundary after it.
    pub body: Range<usize>,
    /// Type and subtype in lower case; `unknown` if the field cannot be read.
    pub media: String,
    /// The type that even lenient programs may see in the field: for what forbids an edit, never for what is edited.
    pub(crate) apparent: String,
    /// The charset in lower case.
    pub charset: Option<String>,
    pub transfer: Transfer,
    pub disposition: Disposition,
    /// Whether the part bears a file name.
    pub is_named: bool,
    /// `format=flowed` (RFC 3676), and whether `delsp=yes` goes with it.
    pub flowed: Option<DelSp>,
    /// Whether an `application/pkcs7-mime` says that it is signed only.
    pub is_signed_data: bool,
    /// Where the value of `Content-Transfer-Encoding` stands within the body.
    pub transfer_value: Option<Range<usize>>,
    pub children: Vec<usize>,
    /// The identifier that a related part refers to it by.
    pub(crate) content_id: Option<String>,
    /// The `start` of a related part.
    pub(crate) start: Option<String>,
    boundary: Option<String>,
    md5: bool,
}

/// What becomes of the blank before a soft line break in flowed text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DelSp {
    No,
    Yes,
}

impl Part {
    /// Reads what the fields say.
    pub(crate) fn new(
        fields: MimeFields<'_>,
        path: String,
        header: Range<usize>,
        body: Range<usize>,
        is_digest: bool,
    ) -> Result<Self, SkipReason> {
        let default = if is_digest {
            "message/rfc822"
        } else {
            "text/plain"
        };
        let (content_type, apparent) = match fields.content_type {
            None => (Structured::bare(default), default.to_owned()),
            Some(raw) => read_type(raw)?,
        };
        let mut media = content_type.value.clone();
        if media.matches('/').count() != 1 {
            media = UNKNOWN.to_owned();
        }
        let boundary = if media.starts_with("multipart/") {
            let boundary = content_type
                .parameter("boundary")
                .ok_or(SkipReason::Malformed)?;
            let is_legal = !boundary.is_empty()
                && boundary.len() <= MAX_BOUNDARY
                && !boundary.ends_with(' ')
                && boundary.bytes().all(|octet| matches!(octet, 32..=126));
            Some(
                is_legal
                    .then(|| boundary.to_owned())
                    .ok_or(SkipReason::Malformed)?,
            )
        } else {
            None
        };
        let (disposition, has_file_name) = fields
            .disposition
            .map_or((Disposition::Inline, false), read_disposition);
        let is_named = content_type.parameter("name").is_some() || has_file_name;
        let flowed = content_type
            .parameter("format")
            .filter(|format| format.eq_ignore_ascii_case("flowed"))
            .map(|_| match content_type.parameter("delsp") {
                Some(delsp) if delsp.eq_ignore_ascii_case("yes") => DelSp::Yes,
                _ => DelSp::No,
            });
        let transfer = transfer_of(fields.transfer);
        if boundary.is_some() && !matches!(transfer, Transfer::Identity { .. }) {
            // RFC 2045, section 6.4: a multipart is not itself encoded. Readers differ in what they make of it.
            return Err(SkipReason::Malformed);
        }
        Ok(Self {
            path,
            header,
            body,
            charset: content_type
                .parameter("charset")
                .map(|charset| charset.trim().to_ascii_lowercase()),
            transfer,
            disposition,
            is_named,
            flowed,
            is_signed_data: fields.content_type.is_some_and(is_signed_data),
            transfer_value: fields.transfer_value,
            children: Vec::new(),
            content_id: fields.content_id.map(identifier),
            start: content_type
                .parameter("start")
                .map(|start| identifier(start.as_bytes())),
            boundary,
            md5: fields.md5,
            media,
            apparent,
        })
    }
}

/// Reads a `Content-Type`: as it is meant to be read, and the type that lenient programs see in it.
///
/// Design note: programs differ in how they read a field with errors. Most take what stands first for the type and drop
/// the rest, so that an invitation, a signature or an attachment of Outlook is one however badly its file name is
/// written; such a type counts for what must be left alone, and for nothing else. A field in which no type can be read
/// though it seems to name one may be anything to anybody, and a multipart that cannot be read has parts where nobody
/// knows: both make the message `malformed`, which harms no mail. A field that names no type at all (`pdf`, or nothing
/// but a file name) is plain text by RFC 2045, section 5.2, an attachment to most programs, and neither forbids to
/// change what stands beside it; the part itself keeps its bytes.
fn read_type(raw: &[u8]) -> Result<(Structured, String), SkipReason> {
    let strict = Structured::parse(raw)
        .filter(|parsed| parsed.value.split('/').all(|half| !half.is_empty()));
    let apparent = leading_media(raw);
    let is_doubtful = match &apparent {
        Some(media) if media.starts_with("multipart/") => {
            strict.as_ref().is_none_or(|strict| strict.value != *media)
        }
        Some(_) => false,
        None => {
            let head = raw.split(|octet| *octet == b';').next();
            let head = head.unwrap_or_default().to_ascii_lowercase();
            head.contains(&b'/') || memchr::memmem::find(&head, b"multipart").is_some()
        }
    };
    if is_doubtful {
        return Err(SkipReason::Malformed);
    }
    let apparent = apparent.unwrap_or_else(|| UNKNOWN.to_owned());
    Ok((strict.unwrap_or_default(), apparent))
}

/// Reads a `Content-Disposition`: how the part is to be shown, and whether it has a file name. In a field with errors what
/// stands first counts, as for most programs; it names a file, for all that is known, so that the part is not edited.
fn read_disposition(raw: &[u8]) -> (Disposition, bool) {
    let (is_inline, has_file_name) = match Structured::parse(raw) {
        Some(field) => (
            field.value == "inline",
            field.parameter("filename").is_some(),
        ),
        None => {
            let field = plain(raw);
            let first = field.split([';', ' ', '\t']).next();
            (first == Some("inline"), true)
        }
    };
    let disposition = if is_inline {
        Disposition::Inline
    } else {
        // RFC 2183, section 2.8: so is a kind that is not known.
        Disposition::Attachment
    };
    (disposition, has_file_name)
}

fn transfer_of(field: Option<&[u8]>) -> Transfer {
    let Some(field) = field else {
        return Transfer::Identity { ascii: true };
    };
    match field.trim_ascii().to_ascii_lowercase().as_slice() {
        b"7bit" => Transfer::Identity { ascii: true },
        b"8bit" => Transfer::Identity { ascii: false },
        b"base64" => Transfer::Base64,
        b"quoted-printable" => Transfer::QuotedPrintable,
        _ => Transfer::Other,
    }
}

fn identifier(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    // Comments may stand around it.
    let bracketed = text
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let inside = bracketed.map_or(&*text, |(inside, _)| inside);
    inside.trim().to_owned()
}

impl Part {
    /// Tells whether this is a multipart.
    pub fn is_multipart(&self) -> bool {
        self.boundary.is_some()
    }

    /// Returns the boundary of a multipart.
    pub fn boundary(&self) -> Option<&str> {
        self.boundary.as_deref()
    }

    /// Tells whether the part carries a digest of its content, which an edit would make wrong.
    pub fn has_digest(&self) -> bool {
        self.md5
    }
}

/// The fields of one header section that matter here, raw.
#[derive(Default)]
pub(crate) struct MimeFields<'a> {
    content_type: Option<&'a [u8]>,
    transfer: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    content_id: Option<&'a [u8]>,
    version: bool,
    md5: bool,
    transfer_value: Option<Range<usize>>,
}

impl<'a> MimeFields<'a> {
    /// Gathers the fields of the message itself.
    pub(crate) fn of_message(message: &'a Message) -> Result<Self, SkipReason> {
        let mut fields = Self::default();
        for field in &message.fields {
            fields.take(&field.name, &field.value, None)?;
        }
        Ok(fields)
    }

    /// Takes a field, and its place in the body if it stands there; doubled ones leave a doubt about which one counts.
    pub(crate) fn take(
        &mut self,
        name: &[u8],
        value: &'a [u8],
        place: Option<Range<usize>>,
    ) -> Result<(), SkipReason> {
        let name = name.trim_ascii_end();
        let slot = if name.eq_ignore_ascii_case(b"content-type") {
            &mut self.content_type
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            self.transfer_value = place;
            &mut self.transfer
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            &mut self.disposition
        } else if name.eq_ignore_ascii_case(b"content-id") {
            &mut self.content_id
        } else if name.eq_ignore_ascii_case(b"content-md5") {
            self.md5 = true;
            return Ok(());
        } else if name.eq_ignore_ascii_case(b"mime-version") {
            let doubled = std::mem::replace(&mut self.version, true);
            return if doubled {
                Err(SkipReason::Malformed)
            } else {
                Ok(())
            };
        } else {
            return Ok(());
        };
        match slot.replace(value) {
            Some(_) => Err(SkipReason::Malformed),
            None => Ok(()),
        }
    }
}
