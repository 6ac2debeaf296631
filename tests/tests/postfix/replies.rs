// SPDX-License-Identifier: GPL-3.0-or-later
//! Replies to an instrumented message, quoted as twelve mail programs quote: nothing of ours is left in the quotation,
//! whoever replies.
//!
//! Outlook on the web may find links already wrapped by its own filter (Safe Links). Where what it wrapped is ours, the
//! whole is replaced by the destination: the wrapping would carry our token on, and the next filter wraps anew.

use harness::{
    installation::Program,
    messages::{Encoding, Message},
    needs,
    sink::Delivery,
    site::{ALICE, ANNA, BOB, Said, Site},
};
use mail_parser::MessageParser;

const DESTINATION: &str = "https://shop.example.org/offer?id=7&lang=pl";

/// What a mail program has of the message that is answered.
struct Quoted {
    /// Between the tags of `body`.
    html: String,
    text: String,
    pixel: String,
    link: String,
    page: String,
    disclosure: String,
    base: String,
}

/// Lets Alice send Bob a message that is instrumented throughout.
async fn sent() -> (Site, Program, Quoted) {
    let site = Site::start().await;
    site.user(ALICE).await;
    site.database
        .execute("UPDATE users SET text_links = true")
        .await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let sent = site
        .deliver(ALICE, &[BOB], &Message::new(ALICE, BOB).build())
        .await;
    let quoted = Quoted::of(&sent, &site);
    (site, milter, quoted)
}

#[tokio::test]
async fn twelve_mail_programs_replies_carry_nothing_of_the_message_they_answer() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let (site, _milter, quoted) = sent().await;

    // Anna has no account: she replies as somebody who never heard of tracking.
    for (program, reply) in quoted.replies() {
        let delivery = site.deliver(ANNA, &[BOB], &reply.build()).await;

        quoted.assert_gone(program, &delivery);
        assert!(site.artefacts(&delivery).is_empty(), "{program}");
    }
    // Then with everything switched on: what is in her replies is of her own messages.
    site.user(ANNA).await;
    for (program, reply) in quoted.replies() {
        let delivery = site.deliver(ANNA, &[BOB], &reply.build()).await;
        let hers = site.artefacts(&delivery);

        quoted.assert_gone(program, &delivery);
        assert!(hers.pixels.len() <= 1, "{program}");
        let pages: std::collections::HashSet<_> =
            hers.choices.iter().chain(&hers.text_choices).collect();
        // None in a reply of text: what it quotes is not tracked anew.
        assert!(pages.len() <= 1, "{program}: one message, one page");
        assert!(pages.len() == hers.pixels.len(), "{program}");
    }
}

#[tokio::test]
async fn links_written_otherwise_are_recognised_in_a_quotation() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let (site, _milter, quoted) = sent().await;
    let link = &quoted.link;
    let host = quoted.base.trim_start_matches("http://");

    let in_html = [
        (
            "entities",
            link.replace('?', "&#63;").replace('=', "&#x3D;"),
        ),
        (
            "upper case",
            link.replace(&quoted.base, &format!("HTTP://{host}")),
        ),
        ("blanks around", format!("\r\n {link} ")),
        ("a fragment", format!("{link}#top")),
        ("safe links", safe_links(link)),
    ];
    for (case, address) in in_html {
        for encoding in [
            Encoding::QuotedPrintable,
            Encoding::Base64,
            Encoding::EightBit,
        ] {
            let html = format!(
                "<p>See.</p><blockquote type=\"cite\"><a href=\"{address}\">offer</a></blockquote>\r\n"
            );
            let reply = Message::new(ANNA, BOB)
                .html(&html)
                .without_text()
                .encoding(encoding);
            let delivery = site.deliver(ANNA, &[BOB], &reply.build()).await;

            quoted.assert_gone(case, &delivery);
            let html = MessageParser::new().parse(&delivery.message).unwrap();
            let html = html.body_html(0).unwrap().into_owned();
            assert!(
                html.contains(&DESTINATION.replace('&', "&amp;")),
                "{case}: {html}"
            );
        }
    }
    let (front, back) = link.split_at(70);
    let in_text = [
        ("angle brackets", format!("> offer <{link}>\r\n")),
        ("a sentence", format!("> see {link}.\r\n")),
        ("quoted twice", format!("> > {link}\r\n")),
        ("broken lines", format!("> offer <{front}\r\n> {back}>\r\n")),
        (
            "broken lines without quotation",
            format!("offer <{front}\r\n{back}>\r\n"),
        ),
    ];
    for (case, line) in in_text {
        let text = format!("See.\r\n\r\nOn Tuesday Alice wrote:\r\n{line}");
        let reply = Message::new(ANNA, BOB).text(&text).without_html();
        let delivery = site.deliver(ANNA, &[BOB], &reply.build()).await;

        quoted.assert_gone(case, &delivery);
        let text = MessageParser::new().parse(&delivery.message).unwrap();
        let text = text.body_text(0).unwrap().into_owned();
        assert!(text.contains(DESTINATION), "{case}: {text}");
    }
}

impl Quoted {
    fn of(sent: &Delivery, site: &Site) -> Self {
        let ours = site.artefacts(sent);
        assert_eq!(ours.text_links, ours.links);
        let parsed = MessageParser::new().parse(&sent.message).unwrap();
        let html = parsed.body_html(0).unwrap().into_owned();
        let body = html.split_once("<body>").unwrap().1;
        let block = html.split_once("data-tracking").unwrap().1;
        let disclosure = block.split_once('>').unwrap().1;
        Self {
            html: body.split_once("</body>").unwrap().0.to_owned(),
            text: parsed.body_text(0).unwrap().replace("\r\n", "\n"),
            disclosure: disclosure.split(['.', '<']).next().unwrap().to_owned(),
            base: site.installation.url(),
            pixel: one(ours.pixels),
            link: one(ours.links),
            page: one(ours.choices),
        }
    }

    fn assert_gone(&self, case: &str, delivery: &Delivery) {
        let parsed = MessageParser::new().parse(&delivery.message).unwrap();
        let html = parsed.body_html(0).unwrap_or_default().into_owned();
        let text = parsed.body_text(0).unwrap_or_default().into_owned();
        for url in [&self.pixel, &self.link, &self.page] {
            let path = url.strip_prefix(&self.base).unwrap();
            let token = path.get(3..3 + common::token::LENGTH).unwrap();
            for shown in [&html, &text] {
                assert!(
                    !shown.contains(token),
                    "{case}: a token is left in\n{shown}"
                );
            }
        }
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let own = usize::from(html.contains(&format!("{}/c/", self.base)));
        let count = flat(&html).matches(&self.disclosure).count();
        assert!(
            count <= own,
            "{case}: the disclosure is repeated in\n{html}"
        );
        let text = text.replace('>', " ");
        let own = usize::from(text.contains(&format!("{}/c/", self.base)));
        let count = flat(&text).matches(&self.disclosure).count();
        assert!(
            count <= own,
            "{case}: the disclosure is repeated in\n{text}"
        );
        assert!(
            flat(&html).replace("&amp;", "&").contains(DESTINATION) || text.contains(DESTINATION),
            "{case}: the destination is lost in\n{html}\n{text}"
        );
    }

    /// Writes a reply as each program does. Details that matter to us are kept: where the quotation begins, what becomes
    /// of attributes, how links and images are carried.
    #[expect(clippy::too_many_lines, reason = "one program after another")]
    fn replies(&self) -> Vec<(&'static str, Message)> {
        let html = &self.html;
        let text = |reply: &str| Message::new(ANNA, BOB).text(reply).without_html();
        let both = |plain: &str, html: &str| Message::new(ANNA, BOB).text(plain).html(html);
        let attribution = "On Tue, Nov 24, 2026 at 1:00 PM &lt;<a href=\"mailto:alice@example.com\">alice@example.com</a>&gt; wrote:";
        let quoted_text = self.quoted_text();
        let plain = format!(
            "Thanks!\r\n\r\nOn Tue, Nov 24, 2026, alice@example.com wrote:\r\n\r\n{quoted_text}"
        );
        let dumped = format!(
            "Thanks!\r\n\r\nOn Tue, Nov 24, 2026, alice@example.com wrote:\r\n\r\n{}",
            self.dumped()
        );
        let bare = self.without_data_attributes();
        vec![
            (
                "Gmail on the web",
                both(&dumped, &format!(
                    "<div dir=\"ltr\">Thanks!</div><br><div class=\"gmail_quote gmail_quote_container\">\
                     <div dir=\"ltr\" class=\"gmail_attr\">{attribution}<br></div>\
                     <blockquote class=\"gmail_quote\" style=\"margin:0px 0px 0px 0.8ex;border-left:1px solid \
                     rgb(204,204,204);padding-left:1ex\">{bare}</blockquote></div>\r\n"
                )),
            ),
            (
                "Gmail's app",
                both(&dumped, &format!(
                    "<div dir=\"auto\">Thanks!</div><br><div class=\"gmail_quote\"><div dir=\"ltr\" class=\"gmail_attr\">\
                     {attribution}<br></div><blockquote class=\"gmail_quote\" style=\"margin:0 0 0 .8ex;border-left:1px \
                     #ccc solid;padding-left:1ex\">{bare}</blockquote></div>\r\n"
                ))
                .encoding(Encoding::Base64),
            ),
            ("Outlook on the desktop", both(&dumped, &self.word())),
            ("Outlook on the web", both(&dumped, &self.outlook_web())),
            (
                "Apple Mail",
                both(&plain, &format!(
                    "<html><head><meta http-equiv=\"content-type\" content=\"text/html; charset=utf-8\"></head>\
                     <body style=\"overflow-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;\">\
                     <div>Thanks!</div><div><br><blockquote type=\"cite\"><div>On 24 Nov 2026, at 13:00, \
                     alice@example.com wrote:</div><br class=\"Apple-interchange-newline\"><div>{html}</div>\
                     </blockquote></div><br></body></html>\r\n"
                )),
            ),
            (
                "iOS Mail",
                both(&plain, &format!(
                    "<html><head><meta http-equiv=\"content-type\" content=\"text/html; charset=utf-8\"></head>\
                     <body dir=\"auto\">Thanks!<br id=\"lineBreakAtBeginningOfSignature\"><div dir=\"ltr\">Sent from my \
                     iPhone</div><div dir=\"ltr\"><br><blockquote type=\"cite\">On 24 Nov 2026, at 13:00, \
                     alice@example.com wrote:<br><br></blockquote></div><blockquote type=\"cite\"><div dir=\"ltr\">\u{feff}\
                     {html}</div></blockquote></body></html>\r\n"
                ))
                .encoding(Encoding::Base64),
            ),
            (
                "Thunderbird with HTML",
                both(&plain, &format!(
                    "<!DOCTYPE html>\r\n<html>\r\n  <head>\r\n    <meta http-equiv=\"Content-Type\" \
                     content=\"text/html; charset=UTF-8\">\r\n  </head>\r\n  <body>\r\n    <p>Thanks!</p>\r\n    \
                     <div class=\"moz-cite-prefix\">On 24/11/2026 13:00, <a class=\"moz-txt-link-abbreviated\" \
                     href=\"mailto:alice@example.com\">alice@example.com</a> wrote:<br>\r\n    </div>\r\n    \
                     <blockquote type=\"cite\" cite=\"mid:20261124120000.1@example.com\">{html}</blockquote>\r\n  \
                     </body>\r\n</html>\r\n"
                ))
                .encoding(Encoding::EightBit),
            ),
            ("Thunderbird with text", text(&self.flowed()).encoding(Encoding::EightBit)),
            (
                "Yahoo",
                both(&dumped, &format!(
                    "<html><head></head><body><div class=\"ydp5c1yahoo-style-wrap\" style=\"font-size:16px\"><div \
                     dir=\"ltr\">Thanks!</div></div><div id=\"ydp7ayahoo_quoted_123\" class=\"ydp7ayahoo_quoted\"><div \
                     style=\"color:#26282a\"><div>On Tuesday, 24 November 2026, alice@example.com wrote:</div>\
                     <div><br></div><div><div id=\"ydp7ayiv1\"><div>{}</div></div></div></div></div></body></html>\r\n",
                    bare.replace("<p>", "<p class=\"ydp7ayiv1\">").replace("<a ", "<a rel=\"nofollow noopener noreferrer\" target=\"_blank\" ")
                )),
            ),
            (
                "K-9",
                both(&plain, &format!(
                    "<!DOCTYPE html><html><head></head><body>Thanks!<br><br><div class=\"gmail_quote\">Am 24. November \
                     2026 13:00:00 MEZ schrieb alice@example.com:<blockquote class=\"gmail_quote\" style=\"margin: 0pt \
                     0pt 0pt 0.8ex; border-left: 1px solid rgb(204, 204, 204); padding-left: 1ex;\">{html}</blockquote>\
                     </div></body></html>\r\n"
                )),
            ),
            (
                "Roundcube",
                both(&dumped, &format!(
                    "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" /></head><body \
                     style='font-size: 10pt; font-family: Verdana,Geneva,sans-serif'>\r\n<p>Thanks!</p>\r\n<p \
                     id=\"reply-intro\">On 2026-11-24 13:00, alice@example.com wrote:</p>\r\n<blockquote type=\"cite\" \
                     style=\"padding: 0 0.4em; border-left: #1010ff 2px solid; margin: 0\">\r\n<div id=\"replybody1\">\r\n\
                     {}\r\n</div>\r\n</blockquote>\r\n</body></html>\r\n",
                    bare.replace("alt=\"\"", "alt=\"\" /").replace("/>", "/ >")
                )),
            ),
            ("mutt", text(&plain).encoding(Encoding::EightBit)),
        ]
    }

    /// The text part, every line behind a `>`.
    fn quoted_text(&self) -> String {
        self.text
            .trim_end()
            .lines()
            .map(|line| format!("> {line}").trim_end().to_owned() + "\r\n")
            .collect()
    }

    /// The HTML as a program turns it into text: links in angle brackets after their words.
    fn dumped(&self) -> String {
        format!(
            "> Dzień dobry, here is our offer for you\r\n> <{}>.\r\n>\r\n> Zażółć gęślą jaźń.\r\n> {}. Stop or change\r\n\
             > <{}>\r\n",
            self.link, self.disclosure, self.page
        )
    }

    /// A quotation whose lines flow (RFC 3676); a word is never broken, however long.
    fn flowed(&self) -> String {
        let mut reply =
            "Thanks!\r\n\r\nOn 24/11/2026 13:00, alice@example.com wrote:\r\n".to_owned();
        for line in self.text.trim_end().lines() {
            let mut column = 0;
            reply.push('>');
            for word in line.split(' ') {
                if column > 0 && column + word.len() > 66 {
                    reply.push_str(" \r\n>");
                    column = 0;
                }
                reply.push(' ');
                reply.push_str(word);
                column += word.len() + 1;
            }
            reply.push_str("\r\n");
        }
        reply
    }

    /// What washes HTML drops attributes that it does not know.
    fn without_data_attributes(&self) -> String {
        self.html.replace("data-tracking=\"disclosure\" ", "")
    }

    /// Word's HTML: a new document in which little of the old mark-up is left.
    fn word(&self) -> String {
        format!(
            "<html xmlns:v=\"urn:schemas-microsoft-com:vml\" xmlns:o=\"urn:schemas-microsoft-com:office:office\">\r\n<head>\
             \r\n<meta http-equiv=Content-Type content=\"text/html; charset=utf-8\">\r\n<style><!--\r\np.MsoNormal \
             {{margin:0in;}}\r\n--></style></head>\r\n<body lang=EN-US link=\"#0563C1\" vlink=\"#954F72\">\r\n<div \
             class=WordSection1>\r\n<p class=MsoNormal>Thanks!<o:p></o:p></p>\r\n<p class=MsoNormal><o:p>&nbsp;</o:p></p>\
             \r\n<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'>\r\n<p \
             class=MsoNormal><b>From:</b> alice@example.com<br><b>Sent:</b> Tuesday, November 24, 2026 1:00 PM<br>\
             <b>Subject:</b> Our offer<o:p></o:p></p></div></div>\r\n<p class=MsoNormal>Dzień dobry, here is our <a \
             href=\"{}\">offer for\r\nyou</a>.<o:p></o:p></p>\r\n<div style='border:none;border-top:solid #CCCCCC \
             1.0pt;padding:5.0pt 0in 5.0pt 0in'>\r\n<p class=MsoNormal style='line-height:12.0pt'><span \
             style='font-size:9.0pt;color:#595959'>{}. <a href=\"{}\"><span style='color:#595959'>Stop or change</span></a>\
             \r\n</span><span style='font-size:9.0pt'><img border=0 width=1 height=1 style='width:.0104in;height:.0104in' \
             id=\"_x0000_i1025\" src=\"{}\"></span><o:p></o:p></p></div>\r\n</div>\r\n</body>\r\n</html>\r\n",
            self.link, self.disclosure, self.page, self.pixel
        )
    }

    fn outlook_web(&self) -> String {
        let wrapped = safe_links(&self.link).replace('&', "&amp;");
        let inner = self
            .without_data_attributes()
            .replace("<p>", "<p class=\"x_\">")
            .replace("<img ", "<img data-imagetype=\"External\" ")
            .replace(
                &format!("href=\"{}\"", self.link),
                &format!(
                    "href=\"{wrapped}\" target=\"_blank\" rel=\"noopener noreferrer\" originalsrc=\"{}\" \
                     data-auth=\"NotApplicable\" data-linkindex=\"0\"",
                    self.link
                ),
            );
        format!(
            "<html>\r\n<head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\r\n</head>\r\n\
             <body dir=\"ltr\">\r\n<div class=\"elementToProof\">Thanks!</div>\r\n<div id=\"appendonsend\"></div>\r\n<hr \
             style=\"display:inline-block;width:98%\" tabindex=\"-1\">\r\n<div id=\"divRplyFwdMsg\" dir=\"ltr\"><font \
             face=\"Calibri, sans-serif\" color=\"#000000\"><b>From:</b> alice@example.com<br><b>Subject:</b> Our offer\
             </font><div>&nbsp;</div></div>\r\n<div>{inner}</div>\r\n</body>\r\n</html>\r\n"
        )
    }
}

fn one(urls: Vec<String>) -> String {
    let [url] = <[String; 1]>::try_from(urls).unwrap();
    url
}

/// Wraps a link as Outlook's filter does.
fn safe_links(link: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("url", link);
    format!(
        "https://eur01.safelinks.protection.outlook.com/?{}&data=05%7C02%7Canna%40example.com%7C0&reserved=0",
        query.finish()
    )
}
