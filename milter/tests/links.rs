// SPDX-License-Identifier: GPL-3.0-or-later
//! Links, through the whole edit: what a browser would follow survives to the byte, and what must not be rewritten is
//! not.

#![expect(
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use common::{
    config::Config,
    ids::MessageId,
    keys::KeyRing,
    language::Language,
    tracking_url::{self, Artefact},
};
use milter::{
    control::Links,
    instrument::{LinkReason, Plan, instrument_with_record},
    message::Message,
};
use uuid::Uuid;

const BASE: &str = "https://track.example.com";

/// The new body and, for each link in it, the reason for which it was left alone.
fn edit(raw: &str) -> (String, Vec<Option<LinkReason>>) {
    edit_with(raw, Links::Both)
}

fn edit_with(raw: &str, links: Links) -> (String, Vec<Option<LinkReason>>) {
    let mut config = Config::for_testing();
    let controller = config.controllers.first_mut().unwrap();
    controller.exclude_links = vec!["bank.example".to_owned()];
    let plan = Plan {
        controller: config.controllers.first().unwrap(),
        controllers: &config.controllers,
        keys: &KeyRing::for_testing(),
        language: Language::En,
        message: MessageId(Uuid::from_u128(3)),
        opens: true,
        links,
    };
    let (result, record) = instrument_with_record(&Message::parse(raw.as_bytes()), &plan);
    let body = result
        .unwrap_or_else(|reason| panic!("{reason:?} {record:?}"))
        .body;
    let links = record.parts.iter().flat_map(|part| &part.links);
    (
        String::from_utf8(body).unwrap(),
        links.map(|link| link.skipped).collect(),
    )
}

/// The destinations of all tracked links, in their order.
fn destinations(body: &str) -> Vec<String> {
    let urls = body
        .match_indices("https://track.example.com/l/")
        .map(|(start, _)| {
            let rest = &body[start..];
            let end = rest
                .find(['"', '\'', '>', '<', ' ', '\r', ')', ']'])
                .unwrap_or(rest.len());
            rest[..end].replace("&#61;", "=")
        });
    urls.map(|url| {
        let url = url.trim_end_matches(['.', ',']);
        match tracking_url::recognise(BASE, url) {
            Some(Artefact::Link { destination, .. }) => destination,
            other => panic!("{url}: {other:?}"),
        }
    })
    .collect()
}

fn html(content: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         <html><body><p>Hello</p>\r\n{content}\r\n</body></html>\r\n"
    )
}

/// The same text twice, plain and in HTML.
fn twins(text: &str, content: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhttps://sure.example/\r\n{text}\r\n\
         --x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello</p>\r\n{content}\r\n--x--\r\n"
    )
}

fn plain(content: &str) -> String {
    // A link that is certain comes first, so that there always is something to edit.
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\nhttps://sure.example/\r\n{content}\r\n")
}

#[test]
fn whatever_a_browser_would_follow_survives_to_the_byte() {
    for destination in [
        "https://example.com/",
        "https://x.example",
        "https://x.example/v?t=YWJj==",
        "https://x.example/Jack's",
        "https://x.example/a,b;c!d@e",
        "https://x.example/%e2%82%ac%20%ZZ%",
        "https://x.example/?a[]=1&b[x]=2",
        "https://x.example/#/route?x=1#y",
        "https://x.example/#grün",
        "https://grün.example/käse?q=ä#ö",
        "https://x.example/😀?🎉",
        "https://[2001:db8::1]:8443/a",
        "http://192.0.2.1/a",
        "HTTPS://X.EXAMPLE:443/A",
        "https://x.example/a b",
        "https://x.example/a+b?c=d+e",
        "https://x.example/(a)_{b}|c^d~e*f",
        "https://x.example/redirect?href=https://y.example/?z=1",
        "https://x.example/sites/:w:/r/_layouts/15/Doc.aspx?sourcedoc=%7Bab%7D&action=default",
    ] {
        let escaped = destination.replace('&', "&amp;");

        let (body, reasons) = edit(&html(&format!("<a href=\"{escaped}\">offer</a>")));

        assert_eq!(reasons, [None], "{destination}");
        assert_eq!(destinations(&body), [destination]);
    }
}

#[test]
fn entities_are_decoded_once() {
    for (raw, destination) in [
        (
            "https://x.example/?a=1&amp;b=2",
            "https://x.example/?a=1&b=2",
        ),
        ("https://x.example/?a=1&b=2", "https://x.example/?a=1&b=2"),
        (
            "https://x.example/?a=1&amp;amp;b=2",
            "https://x.example/?a=1&amp;b=2",
        ),
        (
            "https://x.example/?a&#61;1&#x26;b",
            "https://x.example/?a=1&b",
        ),
        (
            "https://x.example/?a=1&copy=2&notit=3",
            "https://x.example/?a=1&copy=2&notit=3",
        ),
        (
            "https://x.example/&lt;a&gt;&quot;",
            "https://x.example/<a>\"",
        ),
        ("  https://x.example/a\u{20}\u{20}", "https://x.example/a"),
    ] {
        let (body, _) = edit(&html(&format!("<a href=\"{raw}\">offer</a>")));

        assert_eq!(destinations(&body), [destination], "{raw}");
    }
}

#[test]
fn every_way_to_write_an_attribute_is_understood() {
    for tag in [
        "<a href=\"https://x.example/?a=1\">",
        "<a href='https://x.example/?a=1'>",
        "<a href=https://x.example/?a=1>",
        "<A HREF = \"https://x.example/?a=1\" >",
        "<a\r\n  href\r\n=\r\n'https://x.example/?a=1'\r\n>",
        "<a class=x data-href=\"https://y.example/\" href=\"https://x.example/?a=1\">",
        "<a title='href=\"https://y.example/\"' href=\"https://x.example/?a=1\" href=\"https://z.example/\">",
        "<area shape=rect href=\"https://x.example/?a=1\">",
    ] {
        let (body, _) = edit(&html(&format!("<map>{tag}offer</a></map>")));

        assert_eq!(destinations(&body), ["https://x.example/?a=1"], "{tag}");
    }
}

#[test]
fn nothing_but_links_is_rewritten() {
    for markup in [
        "<link rel=\"stylesheet\" href=\"https://x.example/a.css\">",
        "<base target=\"_blank\">",
        "<form action=\"https://x.example/\"><input formaction=\"https://x.example/\"></form>",
        "<img src=\"https://x.example/a.png\" data-href=\"https://x.example/\">",
        "<td background=\"https://x.example/a.png\" style=\"background:url(https://x.example/b.png)\">x</td>",
        "<blockquote cite=\"https://x.example/\">x</blockquote>",
        "<style>a{background:url(https://x.example/)}</style>",
        "<script>var a = '<a href=\"https://x.example/\">';</script>",
        "<title><a href=\"https://x.example/\">x</a></title>",
        "<textarea><a href=\"https://x.example/\">x</a></textarea>",
        "<!-- <a href=\"https://x.example/\">x</a> -->",
        "<!--[if mso]><v:roundrect href=\"https://x.example/\"><a href=\"https://x.example/\">x</a></v:roundrect><![endif]-->",
        "<v:roundrect xmlns:v=\"urn:schemas-microsoft-com:vml\" href=\"https://x.example/\">x</v:roundrect>",
        "<p>https://x.example/</p>",
    ] {
        let (body, reasons) = edit(&html(&format!(
            "{markup}<a href=\"https://sure.example/\">offer</a>"
        )));

        assert!(body.contains(markup), "{markup}: {body}");
        assert_eq!(reasons, [None], "{markup}");
    }
    // Seen by programs other than Outlook: ordinary content.
    let (body, _) = edit(&html(
        "<!--[if !mso]><!--><a href=\"https://x.example/\">offer</a><!--<![endif]-->",
    ));
    assert_eq!(destinations(&body), ["https://x.example/"]);
}

#[test]
fn links_that_are_left_alone_keep_their_bytes_and_have_a_reason() {
    use LinkReason as R;

    let long = format!("https://x.example/{}", "a".repeat(2000));
    for (href, text, reason) in [
        ("mailto:a@b.example", "write", R::NotHttp),
        ("tel:+48123", "call", R::NotHttp),
        ("sms:+48123", "text", R::NotHttp),
        ("cid:a@b", "picture", R::NotHttp),
        ("ftp://x.example/", "files", R::NotHttp),
        ("#top", "up", R::NotHttp),
        ("", "nothing", R::NotHttp),
        ("/relative", "here", R::NotHttp),
        ("//x.example/", "here", R::NotHttp),
        ("javascript:void(0)", "run", R::NotHttp),
        ("https://track.example.com/c/x", "choices", R::Own),
        ("https://user:pw@x.example/", "in", R::UserInfo),
        ("https://www.bank.example/", "bank", R::Excluded),
        ("https://BANK.example/", "bank", R::Excluded),
        ("https://x.example/unsubscribe?u=1", "here", R::Unsubscribe),
        ("https://x.list-manage.com/profile", "here", R::Unsubscribe),
        ("https://x.example/1", "Unsubscribe", R::Unsubscribe),
        (
            "https://x.example/1",
            "Se d&eacute;sabonner",
            R::Unsubscribe,
        ),
        ("https://x.example/reset-password/1", "here", R::Sensitive),
        ("https://x.example/?token=abc", "here", R::Sensitive),
        ("https://x.example/magic-link?x=1", "here", R::Sensitive),
        (
            "https://x.s3.example/f?X-Amz-Signature=1",
            "here",
            R::Sensitive,
        ),
        ("https://x.example/verify?otp=1", "here", R::Sensitive),
        ("https://x.example/", "https://x.example/", R::VisibleUrl),
        ("https://x.example/", "www.x.example", R::VisibleUrl),
        ("https://x.example/", "<b>x.example</b>/a", R::VisibleUrl),
        (long.as_str(), "here", R::TooLong),
    ] {
        let link = format!("<a href=\"{href}\">{text}</a>");

        let (body, reasons) = edit(&html(&link));

        assert!(body.contains(&link), "{href}: {body}");
        assert_eq!(reasons, [Some(reason)], "{href} {text}");
    }
}

#[test]
fn links_made_of_pictures_are_recorded_by_their_texts() {
    for (markup, text) in [
        (
            "<a href=\"https://x.example/\"><img src=\"cid:1\" ALT='Boots &amp; shoes > 40'></a> after",
            "Boots & shoes > 40",
        ),
        (
            "<a href=\"https://x.example/\">Our <img alt=\"new\" src=\"cid:1\">boots</a>",
            "Our new boots",
        ),
        (
            "<a href=\"https://x.example/\"><!-- <b>no</b> --><img src=\"cid:1\" alt=\"\">Boots</a>",
            "Boots",
        ),
        ("<a href=\"https://x.example/\"><img src=\"cid:1\"></a>", ""),
        (
            "<map><area alt=\"Zimowe buty&#33;\" href=\"https://x.example/\"><area href=\"mailto:a@b.example\"></map>\
             After <a href=\"mailto:b@b.example\">it</a>",
            "Zimowe buty!",
        ),
        (
            "<map><area href=\"https://x.example/\"></map>After <a href=\"mailto:b@b.example\">it</a>",
            "",
        ),
        (
            "<a href=\"https://x.example/\">never closed<a name=\"next\"></a>",
            "never closed",
        ),
    ] {
        let config = Config::for_testing();
        let plan = Plan {
            controller: config.controllers.first().unwrap(),
            controllers: &config.controllers,
            keys: &KeyRing::for_testing(),
            language: Language::En,
            message: MessageId(Uuid::from_u128(3)),
            opens: true,
            links: Links::Both,
        };
        let message = Message::parse(
            html(markup)
                .replace("\r\n</body></html>\r\n", "")
                .as_bytes(),
        );

        let (_, record) = instrument_with_record(&message, &plan);

        let mut links = record.parts.iter().flat_map(|part| &part.links);
        assert_eq!(
            links.next().map(|link| link.text.as_str()),
            Some(text),
            "{markup}"
        );
    }
    // What is shown where pictures are blocked counts as seen.
    for (text, reason) in [
        ("www.x.example", LinkReason::VisibleUrl),
        ("Unsubscribe", LinkReason::Unsubscribe),
    ] {
        let markup =
            format!("<a href=\"https://x.example/\"><img src=\"cid:1\" alt=\"{text}\"></a>");
        assert_eq!(edit(&html(&markup)).1, [Some(reason)]);
    }
}

#[test]
fn links_beyond_the_most_are_left_alone() {
    let many: String = (0..520)
        .map(|number| format!("<a href=\"https://x.example/{number}\">offer</a>\r\n"))
        .collect();

    let (body, reasons) = edit(&html(&many));

    assert_eq!(destinations(&body).len(), 500);
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == Some(LinkReason::TooMany))
            .count(),
        20
    );
}

#[test]
fn urls_in_plain_text_survive_to_the_byte_or_stay() {
    for (text, found) in [
        (
            "See https://example.com/foo. Bye",
            Some("https://example.com/foo"),
        ),
        ("https://example.com/", Some("https://example.com/")),
        ("https://x.io/v?t=YWJj==", Some("https://x.io/v?t=YWJj==")),
        ("(https://x.io/a)", Some("https://x.io/a")),
        ("<https://x.io/a>", Some("https://x.io/a")),
        ("https://x.io?a=1", Some("https://x.io?a=1")),
        ("https://x.io/a,b", Some("https://x.io/a,b")),
        ("https://x.io/Jack's", Some("https://x.io/Jack's")),
        ("HTTPS://X.IO/a!b@c", Some("HTTPS://X.IO/a!b@c")),
        ("https://x.io/a-b-c and", Some("https://x.io/a-b-c")),
        ("https://x.io/%7Ea?b[]=1", Some("https://x.io/%7Ea?b[]=1")),
        ("http://[2001:db8::1]:8080/a", None),
        ("https://grün.example/käse", None),
        ("https://x.io/łąka", None),
        ("https://例え.テスト/あ", None),
        ("https://x.io/a…", None),
        ("*https://x.io/a*", None),
        ("user https://u:p@x.io/ in", None),
        ("example.com and www.x.io", None),
        ("ftp://x.io/a", None),
        ("> https://x.io/quoted", None),
        ("-- \r\nhttps://x.io/signature", None),
    ] {
        let (body, _) = edit(&plain(text));

        let seen = destinations(&body);
        let seen = seen.iter().find(|url| *url != "https://sure.example/");
        match seen {
            // Either the whole URL, or what was there stays.
            Some(url) => assert!(text.contains(url.as_str()), "{text}: {url}"),
            None => assert!(body.contains(text), "{text}: {body}"),
        }
        if let Some(found) = found {
            assert_eq!(seen.map(String::as_str), Some(found), "{text}");
            let url = tracking_url::link(
                BASE,
                &KeyRing::for_testing(),
                MessageId(Uuid::from_u128(3)),
                2,
                found,
            );
            // What stands around it is not touched.
            assert!(body.contains(&text.replace(found, &url)), "{text}: {body}");
        } else if !text.contains("2001") {
            assert_eq!(seen, None, "{text}");
        }
    }
}

#[test]
fn marks_of_opt_outs_in_plain_text_go_and_the_url_stays() {
    let (body, reasons) = edit(&plain(
        "Reset: https://x.io/a?b=1[[data-msys-clicktrack=\"0\"]] or\r\nhttps+notrack://y.io/a",
    ));

    assert!(
        body.contains("\r\nReset: https://x.io/a?b=1 or\r\nhttps://y.io/a\r\n"),
        "{body}"
    );
    assert_eq!(destinations(&body), ["https://sure.example/"]);
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == Some(LinkReason::OptedOut))
            .count(),
        2
    );
}

#[test]
fn words_beside_a_link_tell_that_it_leads_out() {
    for content in [
        "<p>To unsubscribe click <a href=\"https://x.io/1\">here</a>.</p>",
        "<p><a href=\"https://x.io/1\">Click here</a> to <b>unsubscribe</b></p>",
        "<p>To opt&nbsp;out <span>use <a href=\"https://x.io/1\">this</a></span></p>",
        "<p>Pour vous d&eacute;sabonner : <a href=\"https://x.io/1\">lien</a></p>",
        "<a href=\"https://x.io/1\" title=\"Unsubscribe\"><img src=\"cid:1\"></a>",
        "<a aria-label='Wypisz si\u{119}' href=\"https://x.io/1\">X</a>",
        "<a href=\"https://x.io/1\"><img src=\"cid:1\" title=\"Unsubscribe\"></a>",
    ] {
        let (body, reasons) = edit(&html(content));

        assert!(body.contains(content), "{content}: {body}");
        assert_eq!(reasons, [Some(LinkReason::Unsubscribe)], "{content}");
    }
}

#[test]
fn words_of_other_lines_and_links_say_nothing() {
    for content in [
        "<a href=\"https://x.io/1\">Shop</a> | <a href=\"https://x.io/unsubscribe\">Unsubscribe</a>",
        "<p>You may unsubscribe.</p><p>See <a href=\"https://x.io/1\">boots</a></p>",
        "<p>You may unsubscribe. See <a href=\"https://x.io/1\">boots</a></p>",
        "<p>See <a href=\"https://x.io/1\">boots</a>. You may unsubscribe.</p>",
        "<p>Unsubscribe <br>See <a href=\"https://x.io/1\">boots</a></p>",
        "<p class=\"unsubscribe\">See <a class=unsubscribe href=\"https://x.io/1\">boots</a></p>",
    ] {
        let (body, _) = edit(&html(content));

        assert_eq!(destinations(&body), ["https://x.io/1"], "{content}");
    }
}

#[test]
fn words_before_a_url_in_plain_text_tell_that_it_leads_out() {
    for text in [
        "Unsubscribe: https://x.io/u/9",
        "Unsubscribe <https://x.io/u/9>",
        "Wypisz: https://x.io/u/9",
        "Pour vous DÉSABONNER https://x.io/u/9",
        "Unsubscribe here:\r\nhttps://x.io/u/9",
    ] {
        let (body, reasons) = edit(&plain(text));

        assert!(body.contains(text), "{text}: {body}");
        assert_eq!(reasons, [None, Some(LinkReason::Unsubscribe)], "{text}");
    }
    let (body, _) = edit(&plain("You may unsubscribe. See https://x.io/1 now"));
    assert_eq!(destinations(&body).last().unwrap(), "https://x.io/1");
}

#[test]
fn what_is_left_alone_in_html_is_left_alone_in_its_twin() {
    use LinkReason as R;

    for (destination, content, reason) in [
        (
            "https://x.io/1",
            "<a href=\"https://x.io/1\">Unsubscribe</a>",
            R::Unsubscribe,
        ),
        (
            "https://x.io/1",
            "<p>To unsubscribe click <a href=\"https://x.io/1\">here</a></p>",
            R::Unsubscribe,
        ),
        (
            "https://x.io/1",
            "<a href=\"https+notrack://x.io/1\">here</a>",
            R::OptedOut,
        ),
        (
            "https://x.io/1",
            "<a href=\"https://x.io/1\" data-no-track>here</a>",
            R::OptedOut,
        ),
    ] {
        for links in [Links::Both, Links::Text] {
            let text = format!("Look: {destination}");

            let (body, reasons) = edit_with(&twins(&text, content), links);

            assert!(body.contains(&text), "{content}: {body}");
            assert!(reasons.contains(&Some(reason)), "{content} {reasons:?}");
        }
    }
}

#[test]
fn marks_of_opt_outs_go_whether_or_not_links_are_tracked() {
    for (written, expected) in [
        (
            "<a href=\"https+notrack://x.io/1\" data-no-track>",
            "<a href=\"https://x.io/1\">",
        ),
        (
            "<a clicktracking=off href=\" https&#43;notrack://x.io/1\" rel='a notrack'>",
            "<a href=\" https://x.io/1\" rel='a'>",
        ),
        (
            "<a href=\"&#32;https+notrack://x.io/1\">",
            "<a href=\"&#32;https://x.io/1\">",
        ),
        (
            "<a rel=noopener&#32;notrack href=\"https://x.io/1\">",
            "<a rel=noopener href=\"https://x.io/1\">",
        ),
    ] {
        for links in [Links::Both, Links::Html, Links::Text, Links::No] {
            let text = "https+notrack://y.io/ or https://z.io/[[data-msys-clicktrack=\"0\"]]";

            let (body, _) = edit_with(&twins(text, &format!("{written}here</a>")), links);

            assert!(body.contains(expected), "{written}: {body}");
            assert!(
                body.contains("https://y.io/ or https://z.io/\r\n"),
                "{body}"
            );
        }
    }
}

#[test]
fn links_in_patches_are_left_alone() {
    let patch = "diff --git a/x b/x\r\n--- a/x\r\n+++ b/x\r\n@@ -1 +1 @@\r\n-See https://x.io/1\r\n+See https://x.io/2";

    let (body, reasons) = edit_with(
        &twins(patch, "<a href=\"https://x.io/3\">x</a>"),
        Links::Both,
    );

    assert!(body.contains(patch), "{body}");
    assert_eq!(
        reasons,
        [
            Some(LinkReason::NotContent),
            Some(LinkReason::NotContent),
            Some(LinkReason::NotContent),
            None
        ]
    );
}
