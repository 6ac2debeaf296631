// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole messages through the edit and back.

#![expect(
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use common::{
    config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
    tracking_url,
};
use milter::{
    control::Links,
    instrument::{
        Instrumented, LinkReason, Outcome, Plan, Record, instrument, instrument_with_record, unwrap,
    },
    message::Message,
};
use proptest::prelude::*;
use uuid::Uuid;

const BASE: &str = "https://track.example.com";
const MESSAGE: MessageId = MessageId(Uuid::from_u128(7));

fn run(raw: &str, opens: bool, links: Links) -> (Result<Instrumented, SkipReason>, Record) {
    let config = Config::for_testing();
    let plan = Plan {
        controller: config.controllers.first().unwrap(),
        controllers: &config.controllers,
        keys: &KeyRing::for_testing(),
        language: Language::En,
        message: MESSAGE,
        opens,
        links,
    };
    instrument_with_record(&Message::parse(raw.as_bytes()), &plan)
}

fn body(raw: &str, opens: bool, links: Links) -> String {
    let (result, record) = run(raw, opens, links);
    let body = result
        .unwrap_or_else(|reason| panic!("{reason:?} {record:?}"))
        .body;
    String::from_utf8(body).unwrap()
}

fn everything(raw: &str) -> String {
    body(raw, true, Links::Both)
}

fn reason(raw: &str) -> SkipReason {
    run(raw, true, Links::Both).0.map(|_| ()).unwrap_err()
}

fn html(content: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{content}"
    )
}

fn plain(content: &str) -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{content}")
}

fn multipart(subtype: &str, parts: &[&str]) -> String {
    let mut raw = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary=\"=_x\"\r\n\r\npreamble\r\n"
    );
    for part in parts {
        raw.push_str(&format!("\r\n--=_x\r\n{part}"));
    }
    raw.push_str("\r\n--=_x--\r\nepilogue\r\n");
    raw
}

fn link(ordinal: u16, destination: &str) -> String {
    tracking_url::link(BASE, &KeyRing::for_testing(), MESSAGE, ordinal, destination)
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// Cuts the disclosure block out.
fn without_disclosure(text: &str) -> String {
    let start = text.find("<div\r\ndata-tracking").unwrap();
    let end = start + text[start..].find("</div>").unwrap() + "</div>".len();
    let rest = text[end..]
        .strip_prefix("\r\n")
        .unwrap_or_else(|| &text[end..]);
    format!("{}{rest}", &text[..start])
}

#[test]
fn only_the_href_and_the_disclosure_differ() {
    let content = "<html><BODY  x=1>\r\n<p>Hi <A\tHREF = 'https://a.example/?x=1&amp;y=2'  title=\"t\" >there</A >\r\n\
        <link href=\"https://b.example/\"><!-- <a href=\"https://c.example\"> --></BODY></html>\r\n\r\n";

    let edited = everything(&html(content));

    let expected = content.replace(
        "https://a.example/?x=1&amp;y=2",
        &link(1, "https://a.example/?x=1&y=2"),
    );
    assert_eq!(without_disclosure(&edited), expected);
    assert_eq!(count(&edited, "/o/"), 1);
    assert!(edited.contains("</div>\r\n</BODY>"));
}

#[test]
fn unquoted_values_stay_unquoted() {
    let edited = everything(&html("<a href=https://a.example/x?y=1>z</a>"));

    let expected = link(1, "https://a.example/x?y=1").replace('=', "&#61;");
    assert!(
        edited.starts_with(&format!("<a href={expected}>z</a><div")),
        "{edited}"
    );
}

#[test]
fn pixel_stands_before_quoted_text_and_quoted_links_stay() {
    for quote in [
        "<div class=\"gmail_quote gmail_quote_container\"><div dir=\"ltr\" class=\"gmail_attr\">On x wrote:</div>Q</div>",
        "<div id=\"appendonsend\"></div><hr><div id=\"divRplyFwdMsg\" dir=\"ltr\"><b>From:</b></div>Q",
        "<div><div style=\"border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm\"><p>From:</p></div></div>Q",
        "<blockquote type=\"cite\"><div>On x, y wrote:</div>Q</blockquote>",
        "<div class=\"moz-cite-prefix\">On x, y wrote:<br></div><blockquote type=\"cite\" cite=\"mid:x\">Q</blockquote>",
        "<div id=\"ydp1yahoo_quoted_1\" class=\"yahoo_quoted\">Q</div>",
        "<div class=\"protonmail_quote\">Q</div>",
        "<p id=\"reply-intro\">On x, y wrote:</p><blockquote>Q</blockquote>",
        "<blockquote>Q</blockquote>",
        "<div><b>De&nbsp;:</b> Jan<br><b>Envoyé&nbsp;:</b> lundi<br><b>À&nbsp;:</b> Anna<br><b>Objet&nbsp;:</b> x<br>Q</div>",
        "<p>VON: Jan</p><p>GESENDET: Montag</p><p>AN: Anna</p><p>BETREFF: x</p>Q",
        "<div><p>Od: Jan<br>Wys&#322;ano: dzi&#347;<br>Do: Anna<br>Temat: x</p>Q</div>",
    ] {
        let quote = quote.replace('Q', "<a href=\"https://q.example/\">q</a>");
        let content =
            format!("<html><body><p><a href=\"https://a.example/\">a</a></p>{quote}</body></html>");

        let edited = everything(&html(&content));

        let disclosure = edited.find("data-tracking").unwrap();
        let inner = quote.find("<div style=").unwrap_or(0);
        let marker = edited
            .find(&quote[inner..])
            .unwrap_or_else(|| panic!("{edited}"));
        assert!(disclosure < marker, "{edited}");
        assert!(edited.find("/l/").unwrap() < disclosure);
        assert_eq!(count(&edited, "/l/"), 1, "{edited}");
        assert_eq!(
            without_disclosure(&edited)
                .replace(&link(1, "https://a.example/"), "https://a.example/"),
            content
        );
    }
}

#[test]
fn indented_paragraph_is_no_quotation() {
    let edited = everything(&html(
        "<blockquote style=\"margin: 0 0 0 40px; border: none; padding: 0px;\"><a href=\"https://a.example/\">a</a></blockquote>",
    ));

    assert_eq!(count(&edited, "/l/"), 1);
}

#[test]
fn last_body_end_counts_and_comments_do_not() {
    let edited = everything(&html(
        "<body>one<blockquote></blockquote></body></html><body>two<!-- </body> --></body><!-- </body> -->\r\n",
    ));

    assert!(
        edited.contains("<blockquote>")
            && edited.find("data-tracking").unwrap() < edited.find("<blockquote>").unwrap()
    );
    let edited = everything(&html(
        "<body>two<!-- </body> --></body><!-- </body> -->\r\n",
    ));
    assert!(
        edited.starts_with("<body>two<!-- </body> --><div"),
        "{edited}"
    );
}

#[test]
fn text_that_ends_in_the_midst_of_something_is_left_alone() {
    for content in [
        "<p>x</p><!-- open",
        "<p>x</p><style>p{}",
        "<p>x</p><script>",
        "<p>x</p><title>y",
        "<p>x</p><a href=\"https://a.example/",
        "<p>x</p><textarea>",
        "<p>x</p><select><option>y",
        "<p>x</p><svg>",
        "<p>x</p><template>",
        "<p>x</p><frameset><frame></frameset>",
    ] {
        assert_eq!(reason(&html(content)), SkipReason::Malformed, "{content}");
    }
}

#[test]
fn links_in_templates_and_drawings_are_left_alone() {
    let edited = everything(&html(
        "<p>x</p><template><a href=\"https://a.example/\">a</a></template><svg><a href=\"https://b.example/\">b</a></svg>",
    ));

    assert_eq!(count(&edited, "/l/"), 0);
}

#[test]
fn quotation_in_a_template_quotes_nothing_outside_of_it() {
    let link = "<a href=\"https://a.example/\">a</a>";
    for mark in ["<blockquote>", "<div id=\"appendonsend\">"] {
        let content = format!(
            "<template>{mark}{link}</template><p>{link}</p><blockquote>{link}</blockquote>"
        );

        let edited = everything(&html(&content));

        assert_eq!(count(&edited, "/l/"), 1, "{edited}");
        assert!(edited.contains("</p><div\r\ndata-tracking"), "{edited}");
    }
}

#[test]
fn opt_outs_are_taken_out_and_hold_in_the_text_twin_too() {
    for attribute in [
        "data-no-track",
        "ses:no-track",
        "data-msys-clicktrack=\"0\"",
        "clicktracking=off",
        "disable-tracking='true'",
        "data-pm-no-track",
        "rel=\"notrack\"",
    ] {
        let content = format!(
            "<p><a {attribute} href=\"https://a.example/1\">a</a> <a href=\"https://a.example/2\" {attribute}>b</a> \
             <a class=x {attribute} href=\"https://a.example/3\">c</a> <a href=\"https://a.example/4\">d</a></p>"
        );
        let text = "https://a.example/1 https://a.example/4\r\n";
        let raw = multipart("alternative", &[&plain(text), &html(&content)]);

        let edited = everything(&raw);

        assert!(
            edited.contains(
                "<a href=\"https://a.example/1\">a</a> <a href=\"https://a.example/2\">b</a>"
            ),
            "{edited}"
        );
        assert!(
            edited.contains("<a class=x href=\"https://a.example/3\">c</a>"),
            "{edited}"
        );
        let fourth = link(1, "https://a.example/4");
        assert!(
            edited.contains(&format!("https://a.example/1 {fourth}\r\n")),
            "{edited}"
        );
        assert!(edited.contains(&format!("<a href=\"{fourth}\">d</a>")));
    }
    let edited = everything(&html(
        "<a rel=\"noopener notrack\" href=\"https://a.example/\">a</a><a href=\"https+notrack://b.example/\">b</a>",
    ));
    assert!(edited.contains(
        "<a rel=\"noopener\" href=\"https://a.example/\">a</a><a href=\"https://b.example/\">"
    ));
}

#[test]
fn untouched_lines_of_quoted_printable_keep_their_bytes() {
    let lines = [
        "<html><body>=20 =\r\n",
        "<p>Za=C5=BC=c3=b3=C5=82=C4=87 \t\r\n",
        "<a href=3D\"https://a.example/ver=\r\n",
        "y/long=3Fq=3D1\" class=3D\"x\">t</a>=09=\r\n",
        "</body></html>\r\n",
    ];
    let raw = format!(
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
        lines.concat()
    );

    let edited = everything(&raw);

    assert!(edited.starts_with(&lines[..2].concat()), "{edited}");
    assert!(edited.contains("\" class=3D\"x\">t</a>=09"), "{edited}");
    assert!(edited.ends_with("</body></html>\r\n"));
    assert!(edited.lines().all(|line| line.len() <= 76), "{edited}");
}

#[test]
fn base64_is_kept_in_lines_of_76_without_a_line_end_of_its_own() {
    let raw = multipart(
        "mixed",
        &[
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+aGVsbG88L3A+",
        ],
    );

    let edited = everything(&raw);

    assert!(edited.lines().all(|line| line.len() <= 76));
    assert!(!edited.contains("\r\n\r\n--=_x--"), "{edited}");
}

#[test]
fn apple_sandwich_gets_one_pixel_and_a_disclosure_in_each_edited_part() {
    let one = html("<p>one <a href=\"https://a.example/\">a</a></p>");
    let two = html("<p>two <a href=\"https://b.example/\">b</a></p>");
    let three = html("<p>three</p>");
    let image = "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA";
    let raw = multipart("mixed", &[&one, image, &two, image, &three]);

    let edited = everything(&raw);

    assert_eq!(count(&edited, "/o/"), 1);
    assert_eq!(count(&edited, "data-tracking"), 2);
    assert!(edited.find("/o/").unwrap() < edited.find("image/png").unwrap());
    assert!(edited.contains("<p>three</p>\r\n--=_x--"));
}

#[test]
fn attachments_and_attached_messages_are_not_touched() {
    let attached = "Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<a href=\"https://a.example/\">a</a>";
    let named = "Content-Type: text/html; name=x.html\r\n\r\n<a href=\"https://a.example/\">a</a>";
    let forwarded = "Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<a href=\"https://a.example/\">a</a>";
    let amp = "Content-Type: text/x-amp-html\r\n\r\n<a href=\"https://a.example/\">a</a>";
    let raw = multipart(
        "mixed",
        &[&html("<p>x</p>"), attached, named, forwarded, amp],
    );

    let edited = everything(&raw);

    for part in [attached, named, forwarded, amp] {
        assert!(edited.contains(part));
    }
}

#[test]
fn related_parts_other_than_the_root_are_not_touched() {
    let root = html("<p>x <img src=\"cid:i\"></p>");
    let other = html("<p>y <a href=\"https://a.example/\">a</a></p>");
    let raw = multipart("related", &[&root, &other]);

    let edited = everything(&raw);

    assert!(edited.contains(&other));
    assert_eq!(count(&edited, "data-tracking"), 1);
}

#[test]
fn root_of_related_parts_is_found_beside_comments() {
    let picture = "Content-Type: image/png\r\n\r\nx";
    for (start, id) in [
        ("<r@x>", "<r@x>"),
        ("r@x", "\r\n\t<r@x>"),
        ("<r@x>", "(c) <r@x> (d)"),
        ("<r@x> (c)", "<r@x>"),
    ] {
        let page =
            html("<p>x</p>").replace("MIME-Version: 1.0\r\n", &format!("Content-ID: {id}\r\n"));
        let kind = format!("related; start=\"{start}\"");

        let body = everything(&multipart(&kind, &[picture, &page]));

        assert_eq!(count(&body, "/o/"), 1, "{start} {id}");
    }
}

#[test]
fn inline_pgp_is_left_alone() {
    let signed = "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nhi\r\n";
    let encrypted = "-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n";

    assert_eq!(reason(&plain(signed)), SkipReason::Signed);
    assert_eq!(
        reason(&html(&format!("<pre>{encrypted}</pre>"))),
        SkipReason::Encrypted
    );
    let raw = multipart("alternative", &[&plain(signed), &html("<p>hi</p>")]);
    assert_eq!(reason(&raw), SkipReason::Signed);
}

#[test]
fn reasons_for_messages_without_anything_to_do() {
    assert_eq!(
        run(&plain("hi"), true, Links::Html).0.unwrap_err(),
        SkipReason::NoHtml
    );
    assert_eq!(
        run(&plain("hi"), true, Links::Both).0.unwrap_err(),
        SkipReason::NoLinks
    );
    assert_eq!(
        run(&html("<p>hi</p>"), false, Links::Html).0.unwrap_err(),
        SkipReason::NoLinks
    );
    assert_eq!(
        reason(&html(
            "<html><style>p{color:red}</style><body> &nbsp;<p></p></body></html>"
        )),
        SkipReason::Empty
    );
    assert_eq!(reason(&plain(" \r\n\r\n")), SkipReason::Empty);
    assert_eq!(
        reason(&html("<p>hi</p>").replace("utf-8", "utf-7")),
        SkipReason::Charset
    );
}

#[test]
fn disclosure_stands_in_no_link() {
    for open in [
        "<p><a href=\"https://a.example/\">open<p>more",
        "<p><a href=\"https://a.example/\">open<p></body></html>",
        "<a href=\"https://a.example/\">around<blockquote type=\"cite\">old</blockquote></a>",
        "<a href=\"https://a.example/\">open</abbr></p>",
    ] {
        assert_eq!(reason(&html(open)), SkipReason::Malformed, "{open}");
    }
    for closed in [
        "<a href=\"https://a.example/\">closed</A\r\n><p>more",
        "<a href=\"https://a.example/\">one <a href=\"https://b.example/\">two</a>",
        "<map><area href=\"https://a.example/\"></map><p>more",
        "<a href=\"https://a.example/\">a</a><blockquote type=\"cite\"><a href=\"https://b.example/\">b</blockquote>",
    ] {
        assert_eq!(count(&everything(&html(closed)), "/o/"), 1, "{closed}");
    }
}

#[test]
fn disclosure_is_seen_by_programs_that_run_no_scripts() {
    for swallowed in [
        "<p>hi</p><noscript><!-- </noscript><p>more",
        "<p>hi</p><NOSCRIPT><style></NOSCRIPT><p>more</p></body>",
        "<body><p>hi</p><noscript></body></noscript>",
    ] {
        assert_eq!(
            reason(&html(swallowed)),
            SkipReason::Malformed,
            "{swallowed}"
        );
    }
    for sound in [
        "<p>hi</p><noscript><p>no <!-- scripts --> <a href=\"https://a.example/\">here</a></p></noscript></body>",
        "<p>hi</p><!-- <noscript> --><nobr>more</nobr>",
    ] {
        assert_eq!(count(&everything(&html(sound)), "/o/"), 1, "{sound}");
    }
}

#[test]
fn what_is_folded_up_hides_no_disclosure() {
    let edited = everything(&html(
        "<p>new</p><details><summary>old</summary><blockquote type=\"cite\">x</blockquote></details>\r\n",
    ));

    assert!(edited.find("</details>").unwrap() < edited.find("data-tracking").unwrap());
}

#[test]
fn text_that_is_not_in_its_charset_is_left_alone() {
    // "<p>x</p>" and "<p>日</p>" in UTF-16, with and without a mark at the beginning.
    for text in [
        "//48AHAAPgB4ADwALwBwAD4A",
        "/v8APABwAD5l5QA8AC8AcAA+",
        "PABwAD4AeAA8AC8AcAA+AA==",
    ] {
        let raw = html(&format!("{text}\r\n")).replace("8bit", "base64");

        assert_eq!(reason(&raw), SkipReason::Charset, "{text}");
    }
}

#[test]
fn plan_for_neither_purpose_puts_in_one_line_that_invites() {
    let part = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>See <a href=\"https://a.example/x\">x</a></p>";
    let both = multipart(
        "alternative",
        &[&plain("See https://a.example/x\r\n"), part],
    );

    for (raw, lines) in [(both, 2), (plain("hi\r\n"), 1), (html("<p>hi</p>"), 1)] {
        let made = run(&raw, false, Links::No).0.unwrap();
        let text = String::from_utf8(made.body).unwrap();

        assert!(!made.opens && made.links == 0 && made.header_edits.is_empty());
        let found = text
            .matches("Nothing is recorded about this message.")
            .count();
        assert_eq!(found, lines, "{text}");
        assert_eq!(text.matches(&format!("{BASE}/c/")).count(), lines);
        assert!(!text.contains("<img") && !text.contains("/l/") && !text.contains("/o/"));
    }
}

#[test]
fn plain_text_alone_is_instrumented_if_its_links_may_be() {
    let (result, record) = run(
        &plain("See https://a.example/x.\r\n-- \r\nAnna\r\n"),
        true,
        Links::Both,
    );

    let instrumented = result.unwrap();
    let text = String::from_utf8(instrumented.body).unwrap();
    assert!(!instrumented.opens);
    assert_eq!(instrumented.links, 1);
    assert!(
        text.starts_with(&format!(
            "See {}.\r\n-- \r\nAnna\r\n\r\n",
            link(1, "https://a.example/x")
        )),
        "{text}"
    );
    let last = text.trim_end().lines().last().unwrap();
    assert!(last.starts_with("https://track.example.com/c/"));
    assert!(text.contains("links are followed") && !text.contains("images"));
    assert_eq!(record.parts.first().unwrap().outcome, Outcome::Edited);
}

#[test]
fn twins_share_a_number_and_links_in_text_stay_unless_asked() {
    let raw = multipart(
        "alternative",
        &[
            &plain("https://a.example/1 https://b.example/2\r\n"),
            &html("<a href=\"https://b.example/2\">b</a><a href=\"https://c.example/3\">c</a>"),
        ],
    );

    let (both, record) = run(&raw, true, Links::Both);
    let html_only = body(&raw, true, Links::Html);
    let text_only = body(&raw, true, Links::Text);

    let both = both.unwrap();
    let links = record.parts.iter().flat_map(|part| &part.links);
    let hosts: Vec<_> = links
        .map(|link| (link.ordinal.unwrap(), link.host.as_str()))
        .collect();
    assert_eq!(
        hosts,
        [
            (3, "a.example"),
            (1, "b.example"),
            (1, "b.example"),
            (2, "c.example")
        ]
    );
    assert_eq!(both.links, 3);
    assert_eq!(
        count(
            &String::from_utf8(both.body).unwrap(),
            &link(1, "https://b.example/2")
        ),
        2
    );
    // The text keeps its links, and tells what the HTML beside it reports.
    let (text, _) = html_only.split_once("text/html").unwrap();
    assert!(text.contains("https://a.example/1 https://b.example/2\r\n\r\nThis message reports"));
    assert_eq!(count(text, "/c/"), 1);
    assert_eq!(count(text, "/l/"), 0);
    assert!(text_only.contains("<a href=\"https://b.example/2\">"));
    assert_eq!(count(&text_only, "/l/"), 2);
}

#[test]
fn long_lines_are_not_made_longer_than_mail_can_carry() {
    let filler = "x".repeat(930);
    let content = format!("<p>{filler}<a href=\"https://a.example/\">a</a></p>\r\n");

    let part = everything(&multipart("mixed", &[&html(&content)]));
    let (root, record) = run(&html(&content), true, Links::Both);
    let (old, old_record) = run(
        &html(&content).replace("MIME-Version: 1.0\r\n", ""),
        true,
        Links::Both,
    );

    assert!(part.contains("Content-Transfer-Encoding: quoted-printable\r\n"));
    assert!(
        part.lines()
            .all(|line| line.len() <= 76 || line.len() < 100),
        "{part}"
    );
    let root = root.unwrap();
    assert_eq!(
        root.header_edits.first().unwrap().name,
        b"Content-Transfer-Encoding"
    );
    assert_eq!(root.header_edits.first().unwrap().index, 1);
    assert!(record.parts.first().unwrap().recoded);
    assert_eq!(old.unwrap().links, 0);
    let skipped = old_record
        .parts
        .first()
        .unwrap()
        .links
        .first()
        .unwrap()
        .skipped;
    assert_eq!(skipped, Some(LinkReason::LineLength));
}

#[test]
fn list_unsubscribe_links_are_left_alone() {
    let raw = format!(
        "List-Unsubscribe: <https://a.example/u?x=1>\r\n{}",
        html("<a href=\"https://a.example/u?x=1\">here</a><a href=\"https://a.example/\">a</a>")
    );

    let edited = everything(&raw);

    assert!(edited.contains("<a href=\"https://a.example/u?x=1\">here</a>"));
    assert_eq!(count(&edited, "/l/"), 1);
}

#[test]
fn the_record_names_no_destination() {
    let (_, record) = run(
        &html("<a href=\"https://a.example/secret/path\">text</a><a href=\"mailto:x@y\">m</a>"),
        true,
        Links::Both,
    );

    let json = serde_json::to_string(&record).unwrap();
    assert!(json.contains("a.example") && json.contains("not-http") && !json.contains("secret"));
}

#[test]
fn every_language_says_it_in_text_and_html() {
    let config = Config::for_testing();
    let raw = multipart(
        "alternative",
        &[&plain("https://a.example/\r\n"), &html("<p>x</p>")],
    );
    for language in Language::ALL {
        let plan = Plan {
            controller: config.controllers.first().unwrap(),
            controllers: &config.controllers,
            keys: &KeyRing::for_testing(),
            language,
            message: MESSAGE,
            opens: true,
            links: Links::Both,
        };

        let instrumented = instrument(&Message::parse(raw.as_bytes()), &plan).unwrap();

        let text = String::from_utf8(instrumented.body).unwrap();
        assert_eq!(
            count(&text, &tracking_url::choices(BASE, plan.keys, MESSAGE)),
            2
        );
        assert!(text.contains(&format!("lang=\"{}\"", language.code())));
    }
}

/// Bodies in the manner of twelve mail programs that quote an instrumented message.
#[expect(clippy::too_many_lines, reason = "a list")]
fn replies(original_html: &str, original_text: &str) -> Vec<(&'static str, String)> {
    let quoted: String = original_text
        .lines()
        .map(|line| format!("> {line}\r\n"))
        .collect();
    // Programs that keep no unknown attributes.
    let stripped = original_html.replace("data-tracking=\"disclosure\" ", "");
    let outlook = stripped
        .replace("<div\r\n", "<p class=MsoNormal\r\n")
        .replace("</div>", "<o:p></o:p></p>");
    let entities = stripped.replace("?u=", "?u&#61;");
    vec![
        (
            "gmail",
            html(&format!(
                "<div dir=\"ltr\">Ok</div><div class=\"gmail_quote\">On x wrote:<blockquote class=\"gmail_quote\">{stripped}</blockquote></div>"
            )),
        ),
        (
            "gmail proxy",
            html(&format!(
                "<div class=\"gmail_quote\">{}</div>",
                stripped.replace(
                    "src=\"https",
                    "src=\"https://ci3.googleusercontent.com/meips/AB=s0-d-e1-ft#https"
                )
            )),
        ),
        (
            "outlook",
            html(&format!(
                "<p>Ok</p><div style=\"border:none;border-top:solid #E1E1E1 1.0pt\">From</div>{outlook}"
            )),
        ),
        (
            "outlook web",
            html(&format!(
                "<div>Ok</div><div id=\"appendonsend\"></div><div id=\"divRplyFwdMsg\"></div>{stripped}"
            )),
        ),
        (
            "apple",
            html(&format!(
                "<body>Ok<blockquote type=\"cite\">{original_html}</blockquote></body>"
            )),
        ),
        (
            "thunderbird",
            html(&format!(
                "<p>Ok</p><div class=\"moz-cite-prefix\">x</div><blockquote type=\"cite\">{original_html}</blockquote>"
            )),
        ),
        (
            "yahoo",
            html(&format!(
                "<div>Ok</div><div class=\"yahoo_quoted\">{entities}</div>"
            )),
        ),
        (
            "roundcube",
            html(&format!(
                "<p id=\"reply-intro\">x</p><blockquote>{}</blockquote>",
                original_html.replace('"', "'")
            )),
        ),
        (
            "proton",
            html(&format!(
                "<div class=\"protonmail_quote\">{original_html}</div>"
            )),
        ),
        ("text", plain(&format!("Ok\r\n\r\nOn x wrote:\r\n{quoted}"))),
        (
            "text top posting",
            plain(&format!(
                "Ok\r\n\r\n-----Original Message-----\r\n{original_text}"
            )),
        ),
        (
            "both",
            multipart(
                "alternative",
                &[
                    &plain(&format!("Ok\r\n{quoted}")),
                    &html(&format!(
                        "<p>Ok</p><blockquote>{original_html}</blockquote>"
                    )),
                ],
            ),
        ),
    ]
}

#[test]
fn replies_of_twelve_mail_programs_carry_no_token_of_ours() {
    let original = multipart(
        "alternative",
        &[
            &plain("See https://a.example/x?y=1&z=2 now\r\n"),
            &html("<p>See <a href=\"https://a.example/x?y=1&amp;z=2\">it</a></p>\r\n"),
        ],
    );
    let edited = everything(&original);
    let original_html =
        edited[edited.find("<p>See").unwrap()..edited.rfind("\r\n--=_x--").unwrap()].to_owned();
    let original_text =
        edited[edited.find("See ").unwrap()..edited.rfind("\r\n--=_x\r\n").unwrap()].to_owned();
    assert!(original_html.contains("/l/") && original_text.contains("/c/"));
    for (program, reply) in replies(&original_html, &original_text) {
        let message = Message::parse(reply.as_bytes());

        let body = unwrap(&message, &KeyRing::for_testing(), &[BASE])
            .unwrap()
            .unwrap_or_else(|| panic!("{program}: nothing found"));

        let body = String::from_utf8(body).unwrap();
        assert!(!body.contains("track.example.com"), "{program}: {body}");
        assert!(!body.contains("reports to the sender"), "{program}: {body}");
        assert!(body.contains("a.example/x?y"), "{program}: {body}");
    }
}

#[test]
fn what_is_cut_out_leaves_no_blank_at_the_end_of_its_line() {
    let keys = KeyRing::for_testing();
    let choices = tracking_url::choices(BASE, &keys, MESSAGE);
    let pixel = tracking_url::pixel(BASE, &keys, MESSAGE);
    let flowed = |transfer: &str| {
        format!(
            "Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n\
             > Other words: {choices}\r\nnext\r\n"
        )
    };
    let quoted_printable = format!("<p>x <img src=3D\"{pixel}\">\r\n</p>");
    for (raw, expected) in [
        (flowed("8bit"), "> Other words:\r\nnext\r\n"),
        (flowed("quoted-printable"), "> Other words:\r\nnext\r\n"),
        (
            html(&quoted_printable).replace("8bit", "quoted-printable"),
            "<p>x=20\r\n</p>",
        ),
    ] {
        let body = unwrap(&Message::parse(raw.as_bytes()), &keys, &[BASE]);

        let body = String::from_utf8(body.unwrap().unwrap()).unwrap();
        assert_eq!(body, expected);
    }
}

#[test]
fn links_of_quoted_html_do_not_bring_octets_beyond_ascii_into_text_without_any() {
    let keys = KeyRing::for_testing();
    let url = tracking_url::link(BASE, &keys, MESSAGE, 1, "https://a.example/łąka");
    let raw = |transfer: &str| {
        format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n> it <{url}>\r\n"
        )
        .replace("?u=", if transfer == "7bit" { "?u=" } else { "?u=3D" })
    };

    let plain = unwrap(&Message::parse(raw("7bit").as_bytes()), &keys, &[BASE]);
    let encoded = unwrap(
        &Message::parse(raw("quoted-printable").as_bytes()),
        &keys,
        &[BASE],
    );

    assert_eq!(plain, Ok(None));
    let encoded = String::from_utf8(encoded.unwrap().unwrap()).unwrap();
    assert_eq!(encoded, "> it <https://a.example/=C5=82=C4=85ka>\r\n");
}

#[test]
fn reply_is_unwrapped_and_instrumented_in_one() {
    let first = everything(&html(
        "<p>See <a href=\"https://a.example/\">it</a></p>\r\n",
    ));
    let reply = html(&format!(
        "<p>Ok, <a href=\"https://b.example/\">this</a></p><blockquote type=\"cite\">{first}</blockquote>\r\n"
    ));

    let (result, record) = run(&reply, true, Links::Both);

    let instrumented = result.unwrap();
    let text = String::from_utf8(instrumented.body).unwrap();
    assert_eq!(count(&text, "data-tracking"), 1, "{text}");
    assert_eq!(count(&text, "/o/"), 1);
    assert_eq!(count(&text, "/l/"), 1);
    assert!(text.contains("<a href=\"https://a.example/\">it</a>"));
    assert_eq!(record.parts.len(), 1);
}

#[test]
fn what_another_controller_put_in_is_ours_too() {
    const OTHER: &str = "https://track.other.example";
    let mut config = Config::for_testing();
    let mut other = config.controllers.first().unwrap().clone();
    other.public_url = format!("{OTHER}/");
    config.controllers.push(other);
    let keys = KeyRing::for_testing();
    let plan = |number: usize, message| Plan {
        controller: config.controllers.get(number).unwrap(),
        controllers: &config.controllers,
        keys: &keys,
        language: Language::En,
        message,
        opens: true,
        links: Links::Both,
    };
    let edited = |raw: &str, plan: &Plan<'_>| {
        let instrumented = instrument(&Message::parse(raw.as_bytes()), plan).unwrap();
        String::from_utf8(instrumented.body).unwrap()
    };
    let theirs = plan(1, MessageId(Uuid::from_u128(8)));
    let page = "<p>See <a href=\"https://a.example/\">it</a></p>\r\n";
    let first = edited(&html(page), &theirs);
    let text = edited(&plain("See https://a.example/ there\r\n"), &theirs);
    assert_eq!(count(&first, OTHER), 3, "{first}");
    let (start, end) = (
        first.find("href=\"").unwrap() + 6,
        first.find("\">it").unwrap(),
    );
    let copied = &first[start..end];
    let reply = multipart(
        "alternative",
        &[
            &plain(&format!(
                "Hello\r\n\r\n> {}",
                text.replace("\r\n", "\r\n> ")
            )),
            &html(&format!(
                "<p>Look at <a href=\"{copied}\">this</a>, and <a href=\"{OTHER}/about\">who</a></p>\
                 <blockquote type=\"cite\">{first}</blockquote>\r\n"
            )),
        ],
    );

    let body = edited(&reply, &plan(0, MESSAGE));

    assert!(
        body.contains("<blockquote type=\"cite\"><p>See <a href=\"https://a.example/\">it</a>")
    );
    assert!(body.contains(&format!(
        "<a href=\"{}\">this",
        link(1, "https://a.example/")
    )));
    assert!(body.contains(&format!("<a href=\"{OTHER}/about\">who")));
    assert!(body.contains("> See https://a.example/ there"));
    assert_eq!(count(&body, OTHER), 1, "{body}");
    assert_eq!(count(&body, "data-tracking"), 1, "{body}");
}

#[test]
fn forged_links_and_signed_mail_are_not_unwrapped() {
    let keys = KeyRing::for_testing();
    let forged = html(&format!(
        "<a href=\"{BASE}/l/{}?u=https%3A//a.example/\">a</a>",
        "A".repeat(48)
    ));
    let edited = everything(&html("<p>See <a href=\"https://a.example/\">it</a></p>"));
    let signed = format!("DKIM-Signature: x\r\n{}", html(&edited));

    assert_eq!(
        unwrap(&Message::parse(forged.as_bytes()), &keys, &[BASE]),
        Ok(None)
    );
    assert_eq!(
        unwrap(&Message::parse(signed.as_bytes()), &keys, &[BASE]),
        Ok(None)
    );
    let plain = unwrap(&Message::parse(html(&edited).as_bytes()), &keys, &[BASE]);
    assert!(plain.unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn instrumenting_and_unwrapping_gives_the_original(
        words in proptest::collection::vec("[a-zA-Zäż ]{0,12}", 1..12),
        paths in proptest::collection::vec("[a-z0-9/_.-]{0,20}", 0..5),
        ending in "(</body></html>)?(\r\n){0,2}",
    ) {
        let mut content = String::from("<html><body>\r\n<p>x");
        let mut text = String::from("x");
        for (number, word) in words.iter().enumerate() {
            content.push_str(&format!("</p>\r\n<p>{word}"));
            text.push_str(&format!("\r\n{word}"));
            if let Some(path) = paths.get(number) {
                content.push_str(&format!(" <a href=\"https://a.example/{path}\">{word}!</a>"));
                text.push_str(&format!("\r\n<https://a.example/{path}>"));
            }
        }
        content.push_str(&ending);
        let raw = multipart("alternative", &[&plain(&text), &html(&content)]);
        let message = Message::parse(raw.as_bytes());

        let (result, _) = run(&raw, true, Links::Both);

        let instrumented = Message { fields: message.fields.clone(), body: result.unwrap().body };
        let restored = unwrap(&instrumented, &KeyRing::for_testing(), &[BASE]).unwrap().unwrap();
        let restored = String::from_utf8(restored).unwrap();
        let body = String::from_utf8(message.body).unwrap();
        // A part that was said to be 7bit and holds more keeps its bytes; lines do too.
        prop_assert_eq!(restored, body);
    }

    #[test]
    fn no_bytes_make_it_panic_or_change_what_it_must_not(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("<a href=\"https://a.example/\">"), Just("</a>"), Just("<blockquote>"), Just("</body>"),
                Just("<!--"), Just("-->"), Just("\r\n"), Just("="), Just("=3D"), Just("<select>"), Just("<table>"),
                Just("<svg>"), Just("--=_x"), Just("&amp;"), Just("https://b.example/ "), Just("<"), Just(">"),
                Just("\""), Just("<div class=gmail_quote>"), Just("</div>"), Just("é"), Just("<plaintext>"), Just("x"),
            ],
            0..40,
        ),
        transfer in prop_oneof![Just("8bit"), Just("quoted-printable"), Just("base64")],
    ) {
        let content = pieces.concat();
        let raw = html(&content).replace("8bit", transfer);

        let (result, _) = run(&raw, true, Links::Both);

        if let Err(reason) = &result {
            prop_assert_ne!(*reason, SkipReason::CheckFailed);
        }
    }
}

/// Returns what stands before the disclosure.
fn before_disclosure(edited: &str) -> &str {
    edited.split("<div\r\ndata-tracking").next().unwrap()
}

#[test]
fn disclosure_stands_before_what_is_hidden_and_not_ended() {
    for hidden in [
        "<div style=\"display:none\">",
        "<DIV STYLE=\"DISPLAY: none\">",
        "<div style='display&#58;none'>",
        "<div title=\"<\" style=\"visibility:hidden\">",
        "<div hidden>",
        "<div popover>",
        "<div style=\"max-height:0;overflow:hidden\">",
        "<div style=\"mso-hide:all\">",
        "<section style=opacity:0>",
        // Browsers end none of these.
        "<div style=\"display:none\"><table><tr><td></div>",
        "<span><div hidden></span>",
        "<p><div hidden></p>",
        "<form hidden><div></form>",
        "<div><div><b hidden></div></div>",
        "<ul><li><div hidden><ul></li></ul>",
        "<div style=\"display:none\"><span><div></span></div>",
    ] {
        let hidden_start = hidden
            .to_ascii_lowercase()
            .find("<div style")
            .or_else(|| hidden.find("<div hidden"))
            .or_else(|| hidden.find("<b hidden"))
            .unwrap_or(0);
        for end in [
            "",
            "<p>y</p></body></html>\r\n",
            "<blockquote>q</blockquote>",
        ] {
            let content = format!("<body><p>x</p>{hidden}{end}");

            let edited = everything(&html(&content));

            let expected = format!("<body><p>x</p>{}", &hidden[..hidden_start]);
            assert_eq!(before_disclosure(&edited), expected, "{content}");
            assert_eq!(without_disclosure(&edited), content);
        }
    }
}

#[test]
fn what_is_hidden_and_has_ended_moves_nothing() {
    for hidden in [
        "<div style=\"display:none\">preview<br>&nbsp;<img src=x><b>y</b></div>",
        "<div hidden><p>a<p>b<ul><li>c<li>d</ul><table><tr><td>e<td>f</table></div>",
        "<!--[if !mso]><!--><table style=\"display:none\"><tr><td>x</td></tr></table><!--<![endif]-->",
        "<div hidden><div hidden><span hidden>x</div></div>",
        "<td style=\"max-height:0;overflow:hidden\">x</td>",
        "<style>.x{display:none}</style><!-- <div hidden> --><div title=\"display:none\">",
        "<b style=\"display:none\">x</b><i hidden></i><img hidden><div style=\"display:block\">",
        "<details><p>x</details><video src=x>y</video><dialog>z</dialog>",
    ] {
        let content = format!("<body><p>x</p>{hidden}<p>y</p></body>");

        let edited = everything(&html(&content));

        assert!(edited.contains("</div>\r\n</body>"), "{edited}");
    }
}

#[test]
fn message_whose_every_place_is_hidden_is_left_alone() {
    for content in [
        "<body style=\"display:none\"><p>x</p></body>",
        "<html hidden><p>x</p>",
        "<p>x</p><dialog>y",
        "<p>x</p><video>",
    ] {
        assert_eq!(reason(&html(content)), SkipReason::Malformed, "{content}");
    }
}

#[test]
fn style_sheets_are_read_to_their_end_however_their_tags_are_written() {
    for name in [
        "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes",
    ] {
        for attributes in [" x=", " x= ", " =", "/=", " x='>'", " x=\">", ""] {
            let content = format!(
                "<body><p>x</p><{name}{attributes}></body><a href=\"https://a.example/\">a</a></{name}>"
            );

            match run(&html(&content), true, Links::Both).0 {
                Ok(edited) => {
                    let edited = String::from_utf8(edited.body).unwrap();
                    assert_eq!(count(&edited, "/l/"), 0, "{edited}");
                    assert!(before_disclosure(&edited) == content, "{edited}");
                }
                Err(reason) => assert!(
                    matches!(reason, SkipReason::CheckFailed | SkipReason::Malformed),
                    "{reason:?} {content}"
                ),
            }
        }
    }
}

#[test]
fn drawing_that_readers_may_end_elsewhere_is_left_alone() {
    let link = "<a href=\"https://a.example/\">a</a>";
    for drawing in [
        "<svg><foreignObject></title><style><a href=\"https://b.example/\">b</a></style></foreignObject></svg>",
        "<svg><desc></title></svg>",
        "<svg><svg><p></svg></svg>",
        "<svg/><style><a href=\"https://b.example/\">b</a></style>",
        "<svg><g></svg></g>",
        "<svg><title><a href=\"https://b.example/\">b</a></title></svg>",
        "<math><mi></mo><style></style></mi></math>",
        "<math><annotation-xml encoding=\"text/html\"><style></annotation-xml></style></math>",
        "<svg><font color=red></svg>",
        "<svg><![CDATA[<p>]]></svg>",
    ] {
        let content = format!("<body><p>{link}</p>{drawing}<p>y</p></body>");

        let outcome = run(&html(&content), true, Links::Both).0;

        assert!(
            matches!(
                outcome,
                Err(SkipReason::CheckFailed | SkipReason::Malformed)
            ),
            "{content}"
        );
    }
}

#[test]
fn drawing_in_good_order_keeps_nothing_from_being_tracked() {
    for drawing in [
        "<svg viewBox=\"0 0 1 1\"><title>Logo</title><g fill='none'><path d=\"M0 0\"/><circle r=1></circle></g></svg>",
        "<SVG><style>.a{fill:red}</style><a href=\"https://b.example/\"><text>t</text></a></SVG>",
        "<math><mrow><mi>x</mi><mo>&lt;</mo><mn>1</mn></mrow></math>",
        "<svg><!-- > <p> --><use href=\"#a\" style=\"display:none\" /></svg>",
    ] {
        let content = format!("<body>{drawing}<p><a href=\"https://a.example/\">a</a></p></body>");

        let edited = everything(&html(&content));

        assert_eq!(count(&edited, "/l/"), 1, "{edited}");
        assert!(edited.contains("</div>\r\n</body>"), "{edited}");
    }
}

#[test]
fn disclosure_stands_in_no_link_that_a_table_keeps_open() {
    let start = "<a href=\"https://a.example/\"><table><tr><td>";
    for content in [
        format!("<p>{start}x</a>y</td></tr></table>z"),
        format!("<p>{start}<a href=\"https://b.example/\">x</a></td></tr></table>z"),
    ] {
        assert_eq!(reason(&html(&content)), SkipReason::Malformed, "{content}");
    }
    let content = format!("<p>{start}x</td></tr></table></a>z").repeat(3);

    let edited = everything(&html(&content));

    assert_eq!(count(&edited, "/l/"), 3);
}
