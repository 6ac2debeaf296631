// SPDX-License-Identifier: GPL-3.0-or-later
//! Whatever comes of a message, what its author says to us in it is removed.

use common::{
    config::{Config, MultiRecipient, Period, Size},
    reason::SkipReason,
};
use harness::{
    database::Database,
    needs,
    site::{Said, says, user},
};
use tokio::net::TcpListener;

use crate::mta::{Folder, Mta, Running, config};

const ANNA: &str = "anna@example.com";
const EWA: &str = "ewa@customer.example";

/// One message and what must come of it.
struct Row {
    /// `None`: it is instrumented.
    reason: Option<SkipReason>,
    login: &'static str,
    configure: fn(&mut Config),
    fields: Vec<(&'static str, String)>,
    body: String,
    recipients: &'static [&'static str],
}

const HTML: &str = "<p>Look at <a href=\"https://shop.example.org/\">this</a>.</p>\r\n";

/// What an author may say, all at once.
fn said(yes: bool) -> Vec<(&'static str, String)> {
    let (word, tag, address) = if yes {
        ("yes; once", "[track]", "track@track.example.com")
    } else {
        ("no; once", "[notrack]", "notrack@track.example.com")
    };
    vec![
        ("X-Track", format!(" {word}")),
        ("To", format!(" ewa@customer.example, {address}")),
        ("x-track-opens", format!(" {word}")),
        ("Subject", format!(" {tag} Offer")),
        ("X-TRACK-LINKS", format!(" {word}")),
        ("X-PM-TrackLinks", " HtmlAndText; once".into()),
        ("X-Mailgun-Track", format!(" {word}")),
        ("X-Track", "\r\n perhaps".into()),
        ("X-Fairtrack-Split", " yes".into()),
    ]
}

impl Row {
    /// A message that would be instrumented.
    fn new(reason: impl Into<Option<SkipReason>>) -> Self {
        Self {
            reason: reason.into(),
            login: ANNA,
            configure: |_| {},
            fields: said(true)
                .into_iter()
                .filter(|(_, value)| !value.ends_with("perhaps"))
                .chain([("Content-Type", " text/html; charset=utf-8".to_owned())])
                .collect(),
            body: HTML.into(),
            recipients: &[EWA, "track@track.example.com"],
        }
    }

    fn configured(mut self, configure: fn(&mut Config)) -> Self {
        self.configure = configure;
        self
    }

    fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, format!(" {value}")));
        self
    }

    fn without_control_recipient(self) -> Self {
        let mut row = self.field("To", EWA);
        row.recipients = &[EWA];
        row
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }
}

/// Every reason but three: without authentication a message is none of ours; a failed self-check is a defect, which no
/// message is known to cause; and no message that is small enough to be taken has a reply that is too large here.
fn rows() -> Vec<Row> {
    let part = |media: &str| {
        format!(
            "--b\r\nContent-Type: text/html\r\n\r\n{HTML}--b\r\nContent-Type: {media}\r\n\r\nx\r\n--b--\r\n"
        )
    };
    let mixed = |reason, media: &str| {
        Row::new(reason)
            .field("Content-Type", "multipart/mixed; boundary=b")
            .body(&part(media))
    };
    // Where the domain of the login is nobody's, no host is a tracking host.
    let mut stranger = Row::new(SkipReason::NoUser).without_control_recipient();
    stranger.login = "anna@elsewhere.example";
    let mut no = Row::new(SkipReason::Control);
    no.fields = said(false);
    let mut insider = Row::new(SkipReason::Internal);
    insider.recipients = &[EWA, "jan@example.com"];
    let mut unasked = Row::new(SkipReason::Untracked);
    unasked.recipients = &[EWA, "jan@customer.example"];
    let mut several = Row::new(SkipReason::SeveralRecipients)
        .configured(|config| config.controllers[0].multi_recipient = MultiRecipient::Never);
    several.recipients = &[EWA, "jan@customer.example"];
    let mut off = Row::new(SkipReason::Off);
    off.login = "ola@example.com";
    off.fields.retain(|(name, _)| {
        !name.to_lowercase().contains("-track") && *name != "To" && *name != "Subject"
    });
    off.fields.push(("x-fairtrack-split", " yes".into()));
    off.recipients = &[EWA];
    vec![
        Row::new(None),
        stranger,
        no,
        insider,
        unasked,
        several,
        off,
        Row::new(SkipReason::Ceiling).configured(|config| {
            (config.controllers[0].opens, config.controllers[0].links) = (false, false);
        }),
        Row::new(SkipReason::Excluded).configured(|config| {
            config.controllers[0].exclude_recipients = vec!["customer.example".into()];
        }),
        mixed(SkipReason::Signed, "application/pgp-signature"),
        mixed(SkipReason::Encrypted, "application/pkcs7-mime"),
        mixed(SkipReason::Report, "message/delivery-status"),
        mixed(SkipReason::Calendar, "text/calendar"),
        Row::new(SkipReason::AlreadySigned).field("DKIM-Signature", "v=1"),
        Row::new(SkipReason::List).field("List-Id", "<l.example.com>"),
        Row::new(SkipReason::AutoSubmitted).field("Auto-Submitted", "auto-replied"),
        Row::new(SkipReason::NoHtml)
            .field("Content-Type", "text/plain; charset=utf-8")
            .field("X-TRACK-LINKS", "no")
            .field("X-PM-TrackLinks", "None")
            .field("Subject", "Offer")
            .without_control_recipient()
            .field("X-Track", "no")
            .body("hello\r\n"),
        Row::new(SkipReason::Empty).body(""),
        Row::new(SkipReason::Charset).field("Content-Type", "text/html; charset=utf-16"),
        Row::new(SkipReason::Malformed)
            .field("Content-Type", "multipart/mixed; boundary=b")
            .body("--b\r\n\r\nx\r\n"),
        Row::new(SkipReason::TooLarge)
            .configured(|config| config.milter.max_message_size = Size(1_000))
            .body(&HTML.repeat(100)),
        // The control fields are what follows a header section that is far too large.
        {
            let mut row = Row::new(SkipReason::TooLarge);
            let filler = (0..40).map(|_| ("X-Filler", format!(" {}", "x".repeat(10_000))));
            row.fields = filler.chain(row.fields).collect();
            row
        },
        Row::new(SkipReason::NoLinks)
            .field("x-track-opens", "no")
            .field("Subject", "Offer")
            .without_control_recipient()
            .body("<p>hello</p>\r\n"),
        Row::new(SkipReason::CollectorDown).configured(|config| {
            config.milter.health_gate = true;
        }),
        Row::new(SkipReason::Database).configured(|config| {
            config.database.url = "postgres://nobody@127.0.0.1:1/nothing".to_owned().into();
        }),
        Row::new(SkipReason::Deadline),
        Row::new(SkipReason::Busy).configured(|config| config.milter.max_in_flight = Size(10)),
    ]
}

#[tokio::test]
async fn what_an_author_says_to_us_is_removed_whatever_comes_of_the_message() {
    needs!(PostgreSql);
    let database = Database::start().await;
    for login in [ANNA, "ola@example.com"] {
        user(&database, login).await;
    }
    database
        .execute("UPDATE users SET opens = false, links = false WHERE login LIKE 'ola%'")
        .await;
    says(&database, EWA, Said::Yes).await;
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();

    let mut seen = Vec::new();
    for row in rows() {
        let folder = Folder::new();
        let mut config = config(&folder);
        config.database.url = database.url().to_owned().into();
        config.milter.deadline = Period::millis(20_000);
        if row.reason == Some(SkipReason::Deadline) {
            config.database.url = format!("postgres://nobody@127.0.0.1:{port}/x").into();
            config.milter.deadline = Period::millis(200);
        }
        (row.configure)(&mut config);
        let milter = Running::start(config).await;
        if row.reason == Some(SkipReason::CollectorDown) {
            milter.silence_collector();
        }
        let mut mta = Mta::open(&milter).await;

        mta.mail(Some(row.login)).await;
        for recipient in row.recipients {
            mta.recipient(&format!("<{recipient}>")).await;
        }
        mta.content(&row.fields, row.body.as_bytes()).await;
        let frames = mta.verdict().await;

        let name = row.reason.map_or("instrumented", SkipReason::code);
        assert_eq!(frames.last().unwrap().0, b'a', "{name}");
        let is_instrumented = frames.iter().any(|(kind, _)| *kind == b'h');
        assert_eq!(is_instrumented, row.reason.is_none(), "{name}");
        let left = carried_out(&row.fields, &frames);
        for (field, value) in &left {
            let field = field.to_lowercase();
            assert!(
                !field.starts_with("x-track")
                    && !field.starts_with("x-pm-")
                    && !field.starts_with("x-mailgun")
                    && field != "x-fairtrack-split",
                "{name}: {field} is left"
            );
            assert!(
                !value.contains("track]") && !value.contains("track@track"),
                "{name}: {value}"
            );
        }
        let has_control_recipient = row.recipients.iter().any(|to| to.contains("track@"));
        let is_removed = frames.iter().any(|(kind, _)| *kind == b'-');
        assert_eq!(is_removed, has_control_recipient, "{name}");
        seen.push(row.reason);
        let stopped = milter.stop();
        drop(mta);
        stopped.await.unwrap();
    }

    let client = database.connect().await;
    let rows = client
        .query("SELECT DISTINCT reason FROM messages", &[])
        .await
        .unwrap();
    let written: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    for reason in &seen {
        // What of them is written down is written down with the very reason that the row is about.
        let code = reason.map(|reason| reason.code().to_owned());
        let is_unwritten = matches!(
            reason,
            Some(
                SkipReason::NoUser | SkipReason::Off | SkipReason::Database | SkipReason::Deadline
            )
        );
        assert_eq!(
            written.contains(&code),
            !is_unwritten,
            "{code:?}: {written:?}"
        );
    }
    for reason in SkipReason::ALL {
        let is_left_out = matches!(
            reason,
            SkipReason::NotAuthenticated | SkipReason::CheckFailed | SkipReason::ReplyTooLarge
        );
        assert_eq!(seen.contains(&Some(reason)), !is_left_out, "{reason:?}");
    }
}

/// Returns the header section as the MTA has it after the edits.
fn carried_out(
    fields: &[(&'static str, String)],
    frames: &[(u8, Vec<u8>)],
) -> Vec<(String, String)> {
    let mut left: Vec<(String, String)> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    for (_, payload) in frames.iter().filter(|(kind, _)| *kind == b'm') {
        let (index, rest) = payload.split_at(4);
        let index = u32::from_be_bytes(index.try_into().unwrap()) as usize;
        let mut texts = rest.split(|octet| *octet == 0);
        let mut text = || String::from_utf8(texts.next().unwrap().to_vec()).unwrap();
        let (name, value) = (text(), text());
        let place = left
            .iter()
            .enumerate()
            .filter(|(_, (known, _))| known.eq_ignore_ascii_case(&name))
            .nth(index - 1)
            .unwrap()
            .0;
        if value.is_empty() {
            left.remove(place);
        } else {
            left[place].1 = value;
        }
    }
    left
}
