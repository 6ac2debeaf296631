// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages that quote instrumented ones: our artefacts go, and nothing of what people wrote goes with them.

#![expect(
    clippy::unwrap_used,
    reason = "tests outside of the library are not recognised as such"
)]

use common::{ids::MessageId, keys::KeyRing, tracking_url};
use milter::{instrument::unwrap, message::Message};
use uuid::Uuid;

const BASE: &str = "https://track.example.com";
const MESSAGE: MessageId = MessageId(Uuid::from_u128(7));

const SENTENCE: &str = "This message reports to the sender when its images load and links are followed, because you agreed.";

fn page() -> String {
    tracking_url::choices(BASE, &KeyRing::for_testing(), MESSAGE)
}

fn pixel() -> String {
    tracking_url::pixel(BASE, &KeyRing::for_testing(), MESSAGE)
}

fn link() -> String {
    tracking_url::link(
        BASE,
        &KeyRing::for_testing(),
        MESSAGE,
        1,
        "https://a.example/x",
    )
}

/// Fills what is ours into a text: `{S}` the sentence, `{C}` `{P}` `{L}` addresses of page, pixel and link, `{A}` the
/// link to the page, `{D}` a disclosure as mail programs keep it; percent-encoded `{C%}` `{P%}`.
fn filled(text: &str) -> String {
    let encoded = |url: String| url.replace(':', "%3A").replace('/', "%2F");
    text.replace(
        "{D}",
        "<div style=\"clear:both\">{S}\r\n{A}\r\n<img src=\"{P}\" width=\"1\" height=\"1\"></div>",
    )
    .replace(
        "{A}",
        "<a href=\"{C}\" style=\"color:#595959\">Stop or change</a>",
    )
    .replace("{S}", SENTENCE)
    .replace("{C}", &page())
    .replace("{P}", &pixel())
    .replace("{L}", &link())
    .replace("{C%}", &encoded(page()))
    .replace("{P%}", &encoded(pixel()))
}

/// Returns the body without what is ours, or as it is where that is nothing.
fn unwrapped(kind: &str, content: &str) -> String {
    let content = filled(content);
    let raw = format!(
        "Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{content}"
    );
    let body = unwrap(
        &Message::parse(raw.as_bytes()),
        &KeyRing::for_testing(),
        &[BASE],
    );
    let body = body.unwrap_or_else(|flaw| panic!("{flaw}: {content}"));
    body.map_or(content, |body| String::from_utf8(body).unwrap())
}

fn expect(kind: &str, cases: &[(&str, &str)]) {
    for (before, after) in cases {
        assert_eq!(unwrapped(kind, before), filled(after), "{before}");
    }
}

#[test]
fn pictures_beside_a_disclosure_stay() {
    expect(
        "html",
        &[
            (
                "<div><img src=\"cid:screenshot\"><br><div><img src=\"cid:orig\">{D}</div></div><p>Regards</p>",
                "<div><img src=\"cid:screenshot\"><br><div><img src=\"cid:orig\"></div></div><p>Regards</p>",
            ),
            (
                "<blockquote><div><a href=\"https://x.example/1\"><img src=\"https://x.example/p.png\"></a>{D}</div></blockquote>",
                "<blockquote><div><a href=\"https://x.example/1\"><img src=\"https://x.example/p.png\"></a></div></blockquote>",
            ),
            (
                "<div><img src=\"cid:screenshot\"><blockquote>{D}</blockquote></div>",
                "<div><img src=\"cid:screenshot\"><blockquote></blockquote></div>",
            ),
            (
                "<div style=\"background:URL(x.png)\">{D}</div>",
                "<div style=\"background:URL(x.png)\"></div>",
            ),
            ("<div><hr>{D}</div>", "<div><hr></div>"),
            (
                "<div><video src=\"x\"></video>{D}</div>",
                "<div><video src=\"x\"></video></div>",
            ),
            (
                "<div><!--[if mso]><p>x</p><![endif]-->{D}</div>",
                "<div><!--[if mso]><p>x</p><![endif]--></div>",
            ),
        ],
    );
}

#[test]
fn wrappers_that_hold_nothing_else_go_with_a_disclosure() {
    expect(
        "html",
        &[
            (
                "<p>x</p><div class=\"WordSection1\"><p><span>{D}<o:p></o:p></span></p></div>\r\n<p>y</p>",
                "<p>x</p><p>y</p>",
            ),
            (
                "<table><tr><td>{D}</td><td>Author</td></tr></table>",
                "<table><tr><td></td><td>Author</td></tr></table>",
            ),
        ],
    );
}

#[test]
fn what_somebody_wrote_into_a_disclosure_stays() {
    expect(
        "html",
        &[
            (
                "<blockquote><p>Hi</p><div data-tracking=\"disclosure\">{S} {A} <img src=\"{P}\"><br>MY ANSWER: yes</div></blockquote>",
                "<blockquote><p>Hi</p><div data-tracking=\"disclosure\"> <br>MY ANSWER: yes</div></blockquote>",
            ),
            (
                "<div data-tracking=\"disclosure\"><div>AUTHOR</div>{S} {A}</div>",
                "<div data-tracking=\"disclosure\"><div>AUTHOR</div></div>",
            ),
            (
                "<div>{S} yes, 500 EUR {A}</div>",
                "<div>{S} yes, 500 EUR </div>",
            ),
            (
                "<font>{S} <a href=\"{C}\" originalsrc=\"{C}\">Stop or change<br>MY ANSWER</a></font>",
                "<font>{S} <a>Stop or change<br>MY ANSWER</a></font>",
            ),
            (
                "<p>Your page: <a href=\"{C}\">here it is, Ewa</a></p>",
                "<p>Your page: <a>here it is, Ewa</a></p>",
            ),
            (
                "<p><a href=\"{C}\"><img src=\"cid:x\">Stop or change</a></p>",
                "<p><a><img src=\"cid:x\">Stop or change</a></p>",
            ),
        ],
    );
}

#[test]
fn sentence_goes_where_no_element_holds_it_alone() {
    expect(
        "html",
        &[
            ("<font>{S} {A}</font> tail", "<font></font> tail"),
            ("<p>Hello. {S}\r\n{A}, Bob</p>", "<p>Hello. , Bob</p>"),
            (
                "<blockquote><div data-tracking=\"disclosure\">{S} {A}</blockquote>x",
                "<blockquote><div data-tracking=\"disclosure\"></blockquote>x",
            ),
        ],
    );
}

#[test]
fn what_mail_programs_wrap_is_ours_too() {
    let safe = "https://eur01.safelinks.protection.outlook.com/?url={C%}&amp;data=05%7C01";
    expect(
        "html",
        &[
            (
                &format!(
                    "<p>x</p><div>{{S}} <a href=\"{safe}\" originalsrc=\"{{C}}\">Stop or change</a> <img src=\"{{P}}\"></div>"
                ),
                "<p>x</p>",
            ),
            (
                "<p>x<img src=\"https://ecp.yusercontent.com/mail?url={P%}&amp;t=1\"></p>",
                "<p>x</p>",
            ),
            (
                "<!--[if gte vml 1]><v:imagedata src=\"{P}\"/><![endif]--><v:rect href=\"{L}\">x</v:rect>",
                "<!--[if gte vml 1]><v:imagedata src=\"\"/><![endif]--><v:rect href=\"https://a.example/x\">x</v:rect>",
            ),
            (
                "<a href=\"https://archive.example/{L}\">x</a>",
                "<a href=\"https://archive.example/{L}\">x</a>",
            ),
        ],
    );
    let safe = "https://eur01.safelinks.protection.outlook.com/?url={C%}&data=05%7C01";
    expect(
        "plain",
        &[(
            &format!("x\r\n\r\n{{S}} Stop or change<{safe}>\r\n"),
            "x\r\n",
        )],
    );
}

#[test]
fn disclosure_goes_out_of_the_text_of_many_programs() {
    for (before, after) in [
        ("x\r\n\r\n{S} Stop or change<{C}>\r\n", "x\r\n"),
        (
            "> x\r\n>\r\n> {S}\r\n> Stop or change <{C}>\r\ny\r\n",
            "> x\r\ny\r\n",
        ),
        ("x\r\n\r\n{S} [Stop or change]({C})\r\n", "x\r\n"),
        ("x\r\n\r\n{S} Stop or change: {C}\r\n", "x\r\n"),
        ("x\r\n\r\n{S}\r\nStop or change:\r\n{C}\r\n", "x\r\n"),
        ("x\r\n\r\n{S}\r\nStop or change:\r\n{C}", "x"),
        ("x\r\n> > {S}\r\n> > Stop or change: {C} \r\ny", "x\r\ny"),
        ("Hello. {S} Stop or change: {C}\r\ny", "Hello.\r\ny"),
    ] {
        assert_eq!(unwrapped("plain", before), after, "{before}");
    }
}

#[test]
fn words_on_the_lines_of_a_disclosure_stay() {
    expect(
        "plain",
        &[
            (
                "> {S}\r\n> Stop or change:\r\n> {C} MY ANSWER 500 EUR\r\nrest",
                "> MY ANSWER 500 EUR\r\nrest",
            ),
            (
                "> {S}\r\n> Stop or change:\r\n> MY ANSWER {C}\r\nrest",
                "> {S}\r\n> Stop or change:\r\n> MY ANSWER\r\nrest",
            ),
            ("see <{C}> there\r\n", "see  there\r\n"),
        ],
    );
}
