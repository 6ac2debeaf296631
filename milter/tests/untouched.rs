// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages of every kind that is never touched, each with the reason that its sender sees, and parts of others that
//! keep their bytes. The whole edit, everything switched on.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use common::{
    config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
};
use milter::{
    control::Links,
    eligibility::{self, EnvelopeSender},
    instrument::{PartReason, Plan, Record, instrument_with_record},
    message::Message,
};
use uuid::Uuid;

const PAGE: &str =
    "<html><body><p>See <a href=\"https://shop.example/boots\">our boots</a></p></body></html>";

fn run(raw: &str) -> (Result<String, SkipReason>, Record) {
    let config = Config::for_testing();
    let plan = Plan {
        controller: config.controllers.first().unwrap(),
        controllers: &config.controllers,
        keys: &KeyRing::for_testing(),
        language: Language::En,
        message: MessageId(Uuid::from_u128(5)),
        opens: true,
        links: Links::Both,
    };
    let (result, record) = instrument_with_record(&Message::parse(raw.as_bytes()), &plan);
    let body = result.map(|made| String::from_utf8_lossy(&made.body).into_owned());
    (body, record)
}

fn reason(raw: &str) -> Option<SkipReason> {
    run(raw).0.err()
}

fn page(field: &str) -> String {
    format!("{field}MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{PAGE}\r\n")
}

fn part(fields: &str, content: &str) -> String {
    format!("{fields}\r\n\r\n{content}")
}

fn html() -> String {
    part("Content-Type: text/html; charset=utf-8", PAGE)
}

fn multipart(kind: &str, parts: &[String]) -> String {
    let mut raw =
        format!("MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary=\"=_0\"\r\n\r\n");
    for part in parts {
        raw.push_str(&format!("--=_0\r\n{part}\r\n"));
    }
    raw + "--=_0--\r\n"
}

#[test]
fn the_page_itself_would_be_instrumented() {
    assert!(run(&page("")).0.unwrap().contains("/o/"));
    assert!(
        run(&multipart("mixed", &[html()]))
            .0
            .unwrap()
            .contains("/o/")
    );
}

#[test]
fn signed_mail_is_left_alone_wherever_the_signature_is() {
    let signature = part(
        "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7s\"",
        "MIIFfwYJKoZIhvcNAQcCoIIFcDCCBWwCAQExDzANBgl=",
    );
    let openpgp = part(
        "Content-Type: application/pgp-signature; name=\"signature.asc\"",
        "-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----",
    );
    let smime = "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
    let pgp_mime = "signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512";
    let detached = multipart(smime, &[html(), signature.clone()]);
    // A list or a virus scanner wraps what was signed.
    let nested = {
        let inner = detached
            .strip_prefix("MIME-Version: 1.0\r\n")
            .unwrap()
            .replace("=_0", "=_inner");
        multipart(
            "mixed",
            &[inner, part("Content-Type: text/plain", "footer")],
        )
    };
    let opaque = part(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"\r\n\
         Content-Transfer-Encoding: base64",
        "MIIF",
    );
    let inline = part(
        "Content-Type: text/plain; charset=utf-8",
        "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\nSee https://shop.example/\r\n\
         -----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----",
    );
    for raw in [
        detached,
        nested,
        multipart(pgp_mime, &[html(), openpgp]),
        opaque,
        multipart("mixed", &[html(), signature]),
        multipart("alternative", &[inline, html()]),
    ] {
        assert_eq!(reason(&raw), Some(SkipReason::Signed), "{raw}");
    }
}

#[test]
fn encrypted_mail_is_left_alone() {
    let armour = "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----";
    let enveloped = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\n\
        Content-Transfer-Encoding: base64";
    let in_base64 = "LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0tDQoNCmhRRU1BDQo=";
    for raw in [
        multipart(
            "encrypted; protocol=\"application/pgp-encrypted\"",
            &[
                part("Content-Type: application/pgp-encrypted", "Version: 1"),
                part("Content-Type: application/octet-stream", armour),
            ],
        ),
        part(enveloped, "MIIF"),
        part(&enveloped.replace("pkcs7", "x-pkcs7"), "MIIF"),
        multipart("mixed", &[html(), part("Content-Type: text/plain", armour)]),
        // The armour shows in decoded text only.
        multipart(
            "mixed",
            &[
                html(),
                part(
                    "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64",
                    in_base64,
                ),
            ],
        ),
        multipart(
            "mixed",
            &[
                html(),
                part(
                    "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable",
                    "=2D----BEGIN PGP =\r\nMESSAGE-----",
                ),
            ],
        ),
        multipart(
            "mixed",
            &[
                html(),
                part(
                    "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit (as it is)",
                    armour,
                ),
            ],
        ),
        multipart(
            "mixed",
            &[
                html(),
                part(
                    "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary",
                    armour,
                ),
            ],
        ),
    ] {
        assert_eq!(reason(&raw), Some(SkipReason::Encrypted), "{raw}");
    }
}

#[test]
fn fields_that_forbid_have_their_reasons() {
    for (field, expected) in [
        (
            "DKIM-Signature: v=1; a=rsa-sha256; d=example.com",
            SkipReason::AlreadySigned,
        ),
        ("DomainKey-Signature: a=rsa-sha1", SkipReason::AlreadySigned),
        (
            "ARC-Seal: i=1; a=rsa-sha256; cv=none",
            SkipReason::AlreadySigned,
        ),
        ("ARC-Message-Signature: i=1", SkipReason::AlreadySigned),
        (
            "ARC-Authentication-Results: i=1; mx.example",
            SkipReason::AlreadySigned,
        ),
        // Our own mark: the message comes round again.
        (
            "Tracking-Consent: <https://track.example.com/c/x>",
            SkipReason::AlreadySigned,
        ),
        ("List-Id: Cyclists <cyclists.example.com>", SkipReason::List),
        ("List-Post: <mailto:cyclists@example.com>", SkipReason::List),
        ("Precedence: bulk", SkipReason::List),
        ("Precedence: junk", SkipReason::List),
        ("Precedence: list", SkipReason::List),
        ("Precedence: auto_reply", SkipReason::AutoSubmitted),
        ("Auto-Submitted: auto-generated", SkipReason::AutoSubmitted),
        (
            "Auto-Submitted: auto-replied (vacation)",
            SkipReason::AutoSubmitted,
        ),
        ("X-Auto-Response-Suppress: All", SkipReason::AutoSubmitted),
        ("X-Autoreply: yes", SkipReason::AutoSubmitted),
        ("X-Autorespond: out of office", SkipReason::AutoSubmitted),
        ("Return-Path: <>", SkipReason::Report),
        // Comments, quotes, folds and case as RFC 5322 allows them, and more than one word.
        ("Precedence: bulk (x)", SkipReason::List),
        ("Precedence: \"Bulk\"", SkipReason::List),
        ("PRECEDENCE :\r\n\t(a (b\\) bulk)) LIST", SkipReason::List),
        ("Precedence: bulk; x", SkipReason::List),
        ("Precedence: first-class, junk", SkipReason::List),
        ("Precedence: (x)\"auto\\_reply\"", SkipReason::AutoSubmitted),
        (
            "Auto-Submitted: (no) auto-replied",
            SkipReason::AutoSubmitted,
        ),
        (
            "Auto-Submitted: \"auto-generated\"",
            SkipReason::AutoSubmitted,
        ),
        ("Auto-Submitted:\r\n (no)", SkipReason::AutoSubmitted),
        (
            "X-Auto-Response-Suppress: (none) OOF",
            SkipReason::AutoSubmitted,
        ),
        ("Return-Path: (nobody) < > (x)", SkipReason::Report),
        ("Return-Path:\r\n <>", SkipReason::Report),
    ] {
        assert_eq!(
            reason(&page(&format!("{field}\r\n"))),
            Some(expected),
            "{field}"
        );
    }
    let message = Message::parse(page("").as_bytes());
    assert_eq!(
        eligibility::check(&message, EnvelopeSender::Null),
        Err(SkipReason::Report)
    );
}

#[test]
fn reports_invitations_and_pieces_of_messages_are_left_alone() {
    let part_of = |media: &str| part(&format!("Content-Type: {media}"), "x: y");
    for (raw, expected) in [
        (
            multipart(
                "report; report-type=delivery-status",
                &[html(), part_of("message/delivery-status")],
            ),
            SkipReason::Report,
        ),
        (
            multipart(
                "report; report-type=disposition-notification",
                &[html(), part_of("message/disposition-notification")],
            ),
            SkipReason::Report,
        ),
        (
            multipart("mixed", &[html(), part_of("message/feedback-report")]),
            SkipReason::Report,
        ),
        (
            multipart(
                "alternative",
                &[
                    html(),
                    part_of("text/calendar; method=REQUEST; charset=utf-8"),
                ],
            ),
            SkipReason::Calendar,
        ),
        (
            multipart(
                "mixed",
                &[html(), part_of("text/calendar; name=invite.ics")],
            ),
            SkipReason::Calendar,
        ),
        (
            multipart(
                "mixed",
                &[html(), part_of("application/ms-tnef; name=winmail.dat")],
            ),
            SkipReason::NoHtml,
        ),
        (
            part_of("message/partial; id=a; number=1; total=2"),
            SkipReason::Malformed,
        ),
        (
            multipart(
                "mixed",
                &[html(), part_of("message/external-body; access-type=URL")],
            ),
            SkipReason::Malformed,
        ),
    ] {
        assert_eq!(reason(&raw), Some(expected), "{raw}");
    }
}

#[test]
fn fields_that_say_no_more_than_usual_forbid_nothing() {
    for field in [
        "Auto-Submitted: no (typed by hand)",
        "Auto-Submitted: (x) No; a=b",
        "X-Auto-Response-Suppress: None (at all)",
        "Precedence: first-class (not bulk)",
        "Return-Path: <a@example.com> (<>)",
    ] {
        assert_eq!(reason(&page(&format!("{field}\r\n"))), None, "{field}");
    }
}

#[test]
fn types_count_however_badly_their_fields_are_written() {
    for (field, expected) in [
        (
            "text/calendar; method=REQUEST; name=my invite.ics",
            SkipReason::Calendar,
        ),
        ("text/calendar charset=utf-8", SkipReason::Calendar),
        (
            "text/calendar; method=REQUEST; name=é.ics",
            SkipReason::Calendar,
        ),
        (
            "text/calendar; name=\"a\"; name*=utf-8''a",
            SkipReason::Calendar,
        ),
        ("text/calendar; name=\"a", SkipReason::Calendar),
        ("text/calendar, method=REQUEST", SkipReason::Calendar),
        ("(x) Text / (y)\r\n Calendar; z", SkipReason::Calendar),
        ("\"text/calendar\"; method=REQUEST", SkipReason::Calendar),
        ("application/ms-tnef; name=win mail.dat", SkipReason::NoHtml),
        (
            "application/pkcs7-mime; name=smime p7m",
            SkipReason::Encrypted,
        ),
        (
            "application/pkcs7-mime; name=smime p7m; smime-type=\"Signed-Data\" (x)",
            SkipReason::Signed,
        ),
        (
            "application/pkcs7-signature; name=smime p7s",
            SkipReason::Signed,
        ),
        ("application/pgp-encrypted; x", SkipReason::Encrypted),
        ("message/partial; x", SkipReason::Malformed),
        ("message/delivery-status; x y", SkipReason::Report),
        ("multipart/signed; x y", SkipReason::Malformed),
        ("\"multipart/mixed\"; boundary=x", SkipReason::Malformed),
        ("multipart / mixed; boundary=x", SkipReason::Malformed),
        ("multipart; boundary=x", SkipReason::Malformed),
        // There is a type, and programs may differ in what they make of it.
        ("(text/calendar; method=REQUEST", SkipReason::Malformed),
        ("=text/calendar", SkipReason::Malformed),
        ("text//calendar", SkipReason::Malformed),
    ] {
        for kind in ["mixed", "alternative"] {
            let other = part(&format!("Content-Type: {field}"), "x: y");

            let found = reason(&multipart(kind, &[html(), other]));

            assert_eq!(found, Some(expected), "{field}");
        }
        if !field.contains("multipart") {
            let whole = page("").replace("text/html; charset=utf-8", field);
            assert_eq!(reason(&whole), Some(expected), "{field}");
        }
    }
}

#[test]
fn parts_of_no_type_and_those_doubtfully_described_keep_their_bytes() {
    let link = "<a href=\"https://x.example/\">x</a>";
    for field in [
        "text/html charset=utf-8",
        "image/png; name=my picture.png",
        "pdf",
        "; name=\"a/b.pdf\"",
        "",
    ] {
        let other = part(&format!("Content-Type: {field}"), link);

        let (edited, record) = run(&multipart("mixed", &[html(), other.clone()]));

        assert!(edited.unwrap().contains(&other), "{field}");
        assert_eq!(
            record.parts.last().unwrap().reason,
            Some(PartReason::Type),
            "{field}"
        );
    }
}

#[test]
fn pictures_with_badly_written_file_names_keep_no_mail_from_being_instrumented() {
    for field in [
        "inline; filename=my picture.png",
        "inline; filename=é.png",
        "INLINE (x); filename=\"a.png\"; filename*=utf-8''a.png",
        "attachment; filename=my picture.png",
    ] {
        let other = part(
            &format!(
                "Content-Type: image/png; name=my picture.png\r\nContent-Disposition: {field}"
            ),
            "x",
        );

        let (edited, _) = run(&multipart("mixed", &[html(), other.clone()]));

        assert!(edited.unwrap().contains(&other), "{field}");
    }
}

#[test]
fn doubtful_structures_are_malformed() {
    let good = multipart("mixed", &[html(), part("Content-Type: image/png", "x")]);
    let twice = |field: &str| page(&format!("{field}\r\n{field}\r\n"));
    for (raw, what) in [
        (good.replace("--=_0--\r\n", ""), "no final boundary"),
        (good.replace("\"=_0\"", "\"=_00\""), "another boundary"),
        (good.replace("; boundary=\"=_0\"", ""), "no boundary"),
        (good.replace("=_0", &"b".repeat(71)), "too long a boundary"),
        (good.replace("See", "See --=_0"), "boundary in mid-line"),
        (
            good.replace("<p>See", "<p>\r\n--=_0x\r\nSee"),
            "boundary as the beginning of a line",
        ),
        (
            good.replace(
                "Content-Type: image/png\r\n\r\n",
                "Content-Type: image/png\r\n",
            ),
            "no empty line",
        ),
        (
            good.replace(
                "charset=utf-8\r\n",
                "charset=utf-8\r\nContent-Type: text/plain\r\n",
            ),
            "two types",
        ),
        (twice("MIME-Version: 1.0"), "two versions"),
        (twice("Content-Transfer-Encoding: 8bit"), "two encodings"),
        (page("").replace("See", "S\ree"), "bare CR"),
        (page("").replace("See", "S\nee"), "bare LF"),
        (page("").replace("See", "S\0ee"), "NUL"),
        (
            multipart("mixed", &[html()]).replace(
                "Content-Type: multipart",
                "Content-Transfer-Encoding: base64\r\nContent-Type: multipart",
            ),
            "encoded multipart",
        ),
    ] {
        assert_eq!(reason(&raw), Some(SkipReason::Malformed), "{what}: {raw}");
    }
    let many = vec![part("Content-Type: text/plain", "x"); 1100];
    assert_eq!(
        reason(&multipart("mixed", &many)),
        Some(SkipReason::Malformed)
    );
    let mut deep = html();
    for level in 0..100 {
        deep = format!(
            "Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n{deep}\r\n--b{level}--\r\n"
        );
    }
    assert_eq!(reason(&deep), Some(SkipReason::Malformed));
}

#[test]
fn charsets_that_cannot_take_ascii_are_left_alone_and_others_edited() {
    for charset in [
        "utf-16",
        "utf-16le",
        "utf-7",
        "iso-2022-jp",
        "hz-gb-2312",
        "unknown-8bit",
        "x-none",
    ] {
        assert_eq!(
            reason(&page("").replace("utf-8", charset)),
            Some(SkipReason::Charset),
            "{charset}"
        );
    }
    for charset in [
        "iso-8859-2",
        "windows-1250",
        "shift_jis",
        "gb18030",
        "euc-kr",
        "koi8-r",
        "us-ascii",
    ] {
        assert_eq!(
            reason(&page("").replace("utf-8", charset)),
            None,
            "{charset}"
        );
    }
}

#[test]
fn encodings_that_leave_a_doubt_are_left_alone() {
    let with = |encoding: &str, content: &str| {
        part(
            &format!(
                "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
            ),
            content,
        )
    };
    for raw in [
        with("binary", PAGE),
        with("x-uuencode", PAGE),
        with("base64 (comment)", "PHA+eDwvcD4="),
        with("base64", "PHA+eDwvcD4"),
        with("base64", "PHA+eDwvcD4=\r\n-- \r\nfooter of a list"),
        with("quoted-printable", &format!("<p>{}</p>", "x".repeat(1000))),
    ] {
        assert_eq!(reason(&raw), Some(SkipReason::Malformed), "{raw}");
    }
}

#[test]
fn parts_that_are_not_the_displayed_text_keep_their_bytes() {
    let link = "<a href=\"https://shop.example/\">shop</a>";
    for (fields, expected) in [
        (
            "Content-Type: text/html\r\nContent-Disposition: attachment; filename=a.html",
            PartReason::Attachment,
        ),
        (
            "Content-Type: text/html\r\nContent-Disposition: ATTACHMENT",
            PartReason::Attachment,
        ),
        (
            "Content-Type: text/html\r\nContent-Disposition: inline; filename=a.html",
            PartReason::Named,
        ),
        (
            "Content-Type: text/html\r\nContent-Disposition: inline; filename=my page.html",
            PartReason::Named,
        ),
        (
            "Content-Type: text/html\r\nContent-Disposition: attachment; filename=my page.html",
            PartReason::Attachment,
        ),
        (
            "Content-Type: text/html; name*=utf-8''a%C4%85.html",
            PartReason::Named,
        ),
        (
            "Content-Type: text/html\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
            PartReason::Digest,
        ),
        (
            "Content-Type: text/x-amp-html; charset=utf-8",
            PartReason::Type,
        ),
        ("Content-Type: text/css", PartReason::Type),
        ("Content-Type: text/rtf", PartReason::Type),
        ("Content-Type: application/xhtml+xml", PartReason::Type),
    ] {
        let other = part(fields, link);

        let (edited, record) = run(&multipart("mixed", &[html(), other.clone()]));

        assert!(edited.unwrap().contains(&other), "{fields}");
        assert_eq!(
            record.parts.last().unwrap().reason,
            Some(expected),
            "{fields}"
        );
    }
    let attached = part(
        "Content-Type: message/rfc822",
        &page("Subject: forwarded\r\n"),
    );
    let (edited, _) = run(&multipart("mixed", &[html(), attached.clone()]));
    assert!(edited.unwrap().contains(&attached));
}

#[test]
fn attached_mail_may_be_signed_without_harm_to_its_envelope() {
    let signed = multipart(
        "signed; protocol=\"application/pgp-signature\"",
        &[html(), part("Content-Type: application/pgp-signature", "x")],
    )
    .replace("=_0", "=_signed");
    let forwarded = part(
        "Content-Type: message/rfc822",
        &format!("DKIM-Signature: v=1\r\n{signed}"),
    );

    let (edited, _) = run(&multipart("mixed", &[html(), forwarded.clone()]));

    assert!(edited.unwrap().contains(&forwarded));
}

#[test]
fn digests_and_unknown_multiparts_are_left_alone() {
    for kind in ["digest", "parallel", "form-data", "x-unknown"] {
        let inner = multipart(kind, &[html(), html()])
            .strip_prefix("MIME-Version: 1.0\r\n")
            .unwrap()
            .replace("=_0", "=_inner");

        let (edited, _) = run(&multipart("mixed", &[html(), inner.clone()]));

        assert!(edited.unwrap().contains(&inner), "{kind}");
    }
}
