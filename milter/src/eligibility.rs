// SPDX-License-Identifier: GPL-3.0-or-later
//! Which messages are never touched, whatever anyone asks for: signed and encrypted ones, reports, lists, invitations,
//! automatic answers.
//!
//! Design note: `List-Unsubscribe` alone does not make list mail. It goes with newsletters and notices that a person
//! or a small shop sends to one recipient; such a message can be instrumented, and the links that the field names are
//! left alone. `List-Id`, `List-Post` and `Precedence` say that a message goes to many unknown people: then nobody can
//! know whether all of them consented.
//!
//! Fields are read as the most lenient of programs may read them: comments, quotation marks, folds and errors hide
//! nothing.
//!
//! Inline PGP shows only in decoded text; [`crate::instrument::instrument`] looks for it.

use common::reason::SkipReason;

use crate::{
    instrument::{
        content::{is_signed_data, leading_media, plain},
        structure::{Part, Structure},
    },
    message::{HeaderField, Message},
};

/// Whom the envelope names as sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EnvelopeSender {
    Address,
    /// `MAIL FROM:<>`: a report about mail.
    Null,
}

/// Judges a message by its header fields and its structure.
///
/// # Errors
///
/// Returns the reason for which it must be left as it is.
pub fn check(message: &Message, sender: EnvelopeSender) -> Result<(), SkipReason> {
    check_fields(&message.fields, sender)?;
    check_structure(&Structure::of(message)?)
}

/// Judges a message by what is known at the end of its header section.
///
/// # Errors
///
/// Returns the reason for which it must be left as it is.
pub fn check_fields(fields: &[HeaderField], sender: EnvelopeSender) -> Result<(), SkipReason> {
    if sender == EnvelopeSender::Null {
        return Err(SkipReason::Report);
    }
    for field in fields {
        check_field(field)?;
    }
    Ok(())
}

/// Tells whether a server has signed the message already, so that a change would break the signature.
pub(crate) fn is_server_signed(fields: &[HeaderField]) -> bool {
    fields.iter().any(|field| {
        [
            "dkim-signature",
            "domainkey-signature",
            "arc-seal",
            "arc-message-signature",
        ]
        .iter()
        .any(|name| field.is(name))
    })
}

fn check_field(field: &HeaderField) -> Result<(), SkipReason> {
    let name = field.name.trim_ascii_end().to_ascii_lowercase();
    let value = || plain(&field.value);
    let reason = match name.as_slice() {
        // Whatever signed before us would no longer verify; and our own mark says that we have been here.
        b"dkim-signature"
        | b"domainkey-signature"
        | b"arc-seal"
        | b"arc-message-signature"
        | b"arc-authentication-results"
        | b"tracking-consent" => SkipReason::AlreadySigned,
        b"list-id" | b"list-post" => SkipReason::List,
        b"precedence" => return check_precedence(&value()),
        // RFC 3834, section 5: anything but "no", parameters aside.
        b"auto-submitted" if value().split(';').next().map(str::trim) != Some("no") => {
            SkipReason::AutoSubmitted
        }
        b"x-auto-response-suppress" if value() != "none" => SkipReason::AutoSubmitted,
        b"x-autoreply" | b"x-autorespond" | b"x-autoresponder" => SkipReason::AutoSubmitted,
        b"return-path" if value().split_ascii_whitespace().collect::<String>() == "<>" => {
            SkipReason::Report
        }
        b"content-type" if is_signed_data(&field.value) => SkipReason::Signed,
        b"content-type" => return check_media(&leading_media(&field.value).unwrap_or_default()),
        _ => return Ok(()),
    };
    Err(reason)
}

/// Judges a field that no standard describes (RFC 2076, section 3.9): each of its words counts.
fn check_precedence(value: &str) -> Result<(), SkipReason> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let reasons = value.split(|c| !is_part(c)).filter_map(|word| match word {
        "bulk" | "list" | "junk" => Some(SkipReason::List),
        "auto_reply" | "auto-reply" => Some(SkipReason::AutoSubmitted),
        _ => None,
    });
    reasons.map(Err).next().unwrap_or(Ok(()))
}

/// Judges a message by its parts.
///
/// # Errors
///
/// Returns the reason for which it must be left as it is.
pub fn check_structure(structure: &Structure) -> Result<(), SkipReason> {
    structure.parts.iter().try_for_each(check_part)
}

fn check_part(part: &Part) -> Result<(), SkipReason> {
    if part.is_signed_data {
        return Err(SkipReason::Signed);
    }
    check_media(&part.apparent)
}

fn check_media(media: &str) -> Result<(), SkipReason> {
    let reason = match media {
        "multipart/signed"
        | "application/pkcs7-signature"
        | "application/x-pkcs7-signature"
        | "application/pgp-signature" => SkipReason::Signed,
        "multipart/encrypted"
        | "application/pkcs7-mime"
        | "application/x-pkcs7-mime"
        | "application/pgp-encrypted"
        | "application/pgp" => SkipReason::Encrypted,
        "multipart/report"
        | "message/delivery-status"
        | "message/global-delivery-status"
        | "message/disposition-notification"
        | "message/global-disposition-notification"
        | "message/feedback-report" => SkipReason::Report,
        "text/calendar" => SkipReason::Calendar,
        // A piece of a message, or one whose content lies elsewhere: what is shown is not known.
        "message/partial" | "message/external-body" => SkipReason::Malformed,
        // What Outlook shows is inside the attachment.
        "application/ms-tnef" | "application/vnd.ms-tnef" => SkipReason::NoHtml,
        _ => return Ok(()),
    };
    Err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(raw: &str) -> Result<(), SkipReason> {
        check(&Message::parse(raw.as_bytes()), EnvelopeSender::Address)
    }

    #[test]
    fn ordinary_mail_may_be_instrumented() {
        for raw in [
            "Subject: x\r\n\r\nhello\r\n",
            "Auto-Submitted: no\r\n\r\nhello\r\n",
            "List-Unsubscribe: <https://x.example/u>\r\n\r\nhello\r\n",
            "Precedence: first-class\r\n\r\nhello\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
                Content-Type: message/rfc822\r\n\r\nDKIM-Signature: x\r\n\r\ny\r\n--b--\r\n",
        ] {
            assert_eq!(judge(raw), Ok(()), "{raw}");
        }
    }

    #[test]
    fn header_fields_that_forbid_have_their_reasons() {
        for (field, reason) in [
            ("DKIM-Signature: v=1", SkipReason::AlreadySigned),
            ("ARC-Seal: i=1", SkipReason::AlreadySigned),
            ("Tracking-Consent: <x>", SkipReason::AlreadySigned),
            ("List-ID: <l.example>", SkipReason::List),
            ("List-Post: NO", SkipReason::List),
            ("Precedence: Bulk", SkipReason::List),
            (
                "Auto-Submitted: auto-replied; owner-email=x",
                SkipReason::AutoSubmitted,
            ),
            ("X-Auto-Response-Suppress: OOF", SkipReason::AutoSubmitted),
            ("Return-Path: <>", SkipReason::Report),
            (
                "Content-Type: application/pkcs7-mime; smime-type=\"signed-data\"",
                SkipReason::Signed,
            ),
            (
                "Content-Type: application/pkcs7-mime; smime-type=enveloped-data",
                SkipReason::Encrypted,
            ),
        ] {
            assert_eq!(
                judge(&format!("{field}\r\n\r\nx\r\n")),
                Err(reason),
                "{field}"
            );
        }
        let message = Message::parse(b"Subject: x\r\n\r\nhello\r\n");
        assert_eq!(
            check(&message, EnvelopeSender::Null),
            Err(SkipReason::Report)
        );
    }

    #[test]
    fn parts_that_forbid_have_their_reasons_at_any_depth() {
        for (media, reason) in [
            ("multipart/signed; boundary=c", SkipReason::Signed),
            (
                "application/pkcs7-signature; name=smime.p7s",
                SkipReason::Signed,
            ),
            (
                "application/pkcs7-mime; smime-type=signed-data",
                SkipReason::Signed,
            ),
            (
                "application/x-pkcs7-mime; smime-type=enveloped-data",
                SkipReason::Encrypted,
            ),
            ("application/pgp-encrypted", SkipReason::Encrypted),
            ("message/delivery-status", SkipReason::Report),
            ("text/calendar; method=REQUEST", SkipReason::Calendar),
            ("message/partial; id=x; number=1", SkipReason::Malformed),
            ("application/ms-tnef; name=winmail.dat", SkipReason::NoHtml),
        ] {
            let raw = format!(
                "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
                 Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: {media}\r\n\r\n\
                 --c\r\n\r\nx\r\n--c--\r\n--b--\r\n--a--\r\n"
            );

            assert_eq!(judge(&raw), Err(reason), "{media}");
        }
    }
}
