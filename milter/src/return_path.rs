// SPDX-License-Identifier: GPL-3.0-or-later
//! The way back: whether Postfix would bring a split message back to us, one recipient at a time.
//!
//! Nothing is split before the way has been walked, and nothing while it has been blocked for a minute. To try it, we
//! begin a message at the listener that takes copies, as Postfix does, up to a recipient, which is when it says whether it
//! takes mail from here, and look whether the listener asks us about it under the name that it must bear. Mail that comes
//! back proves the same, so a busy way is not tried.

use std::{
    fmt::{self, Display, Formatter},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::config::{Config, Controller, MultiRecipient, SmtpServer};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use crate::milter::Milter;

/// What the service that takes copies is called (`milter_macro_daemon_name`), and no other service.
pub(crate) const DAEMON_NAME: &str = "FAIRTRACK-COPIES";

/// How long the way counts as open after it was walked, and how long before it is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
const FRESH: Duration = Duration::from_secs(30);

/// The pause between looks, and the longest that one trial may take.
const PAUSE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);

/// How long after a recipient was taken we wait to be told.
const MOMENT: Duration = Duration::from_secs(1);

/// The longest answer that is read.
const ANSWER: u64 = 64 * 1_024;

/// When the way was walked last.
#[derive(Debug, Default)]
pub(crate) struct ReturnPath {
    /// When it was, and each time anew.
    walked: watch::Sender<Option<Instant>>,
    told: Mutex<Option<Told>>,
}

/// What the log says already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Blocked,
    Open,
}

/// Why the way is blocked.
#[derive(Debug)]
enum Blockage {
    Connection(io::Error),
    Late,
    /// It answers, but does not ask us.
    Passing,
    /// It does not take mail from here.
    Refusal,
}

impl ReturnPath {
    /// Notes that Postfix has taken a recipient of a copy and tells us so.
    pub(crate) fn walked(&self) {
        self.walked.send_replace(Some(Instant::now()));
    }

    /// Tells whether what is split now would come back.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.walked_within(PATIENCE, now)
    }

    fn walked_within(&self, limit: Duration, now: Instant) -> bool {
        let walked = *self.walked.borrow();
        walked.is_some_and(|walked| now.duration_since(walked) < limit)
    }

    /// Says in the log what has changed.
    fn tell(&self, server: &SmtpServer, trial: Result<(), Blockage>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match trial {
            Ok(()) if *told != Some(Told::Open) => {
                *told = Some(Told::Open);
                tracing::info!(
                    "messages to several recipients are split: copies come back by \"{server}\""
                );
            }
            Err(blockage) if *told != Some(Told::Blocked) => {
                *told = Some(Told::Blocked);
                tracing::error!(
                    "\"milter.reinject\": nothing is split while \"{server}\" {blockage}"
                );
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Tries the way again and again, where a controller wants messages split.
pub(crate) async fn watch(milter: Arc<Milter>) {
    loop {
        let settings = milter.settings();
        if let Some(server) = wanted(&settings.config)
            && !milter.return_path.walked_within(FRESH, Instant::now())
        {
            let trial = walk(server, &milter.return_path).await;
            milter.return_path.tell(server, trial);
        }
        sleep(PAUSE).await;
    }
}

fn wanted(config: &Config) -> Option<&SmtpServer> {
    let splits = |controller: &Controller| controller.multi_recipient == MultiRecipient::Split;
    let is_wanted = config.controllers.iter().any(splits);
    config.milter.reinject.as_ref().filter(|_| is_wanted)
}

async fn walk(server: &SmtpServer, path: &ReturnPath) -> Result<(), Blockage> {
    let mut walked = path.walked.subscribe();
    match timeout(LIMIT, begin_a_message(server)).await {
        // Postfix does not wait for us there, so we may hear of it a moment later.
        Ok(Ok(true)) => match timeout(MOMENT, walked.changed()).await {
            Ok(_walked) => Ok(()),
            Err(_elapsed) => Err(Blockage::Passing),
        },
        Ok(Ok(false)) => Err(Blockage::Refusal),
        Ok(Err(error)) => Err(Blockage::Connection(error)),
        Err(_elapsed) => Err(Blockage::Late),
    }
}

/// Goes as far as RCPT, so that the listener has asked its milters and has judged who comes: Postfix says no to nobody
/// before that (`smtpd_delay_reject`). False if it says no on the way. Without content nothing is sent.
async fn begin_a_message(server: &SmtpServer) -> io::Result<bool> {
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
    let mut stream = BufReader::new(stream);
    let mut is_taken = answer(&mut stream).await?;
    for command in [
        "EHLO fairtrack-milter\r\n",
        "MAIL FROM:<>\r\n",
        RECIPIENT_ELSEWHERE,
    ] {
        if is_taken {
            stream.write_all(command.as_bytes()).await?;
            is_taken = answer(&mut stream).await?;
        }
    }
    stream.write_all(b"QUIT\r\n").await?;
    Ok(is_taken)
}

/// A listener that takes mail for its own domains only is no way back. (RFC 2606 keeps the name for examples.)
const RECIPIENT_ELSEWHERE: &str = "RCPT TO:<postmaster@example.net>\r\n";

/// Reads an answer of one or more lines; true if it is a yes.
async fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let mut bounded = stream.take(ANSWER);
    loop {
        let mut line = Vec::new();
        bounded.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.get(3) != Some(&b'-') {
            return Ok(line.first() == Some(&b'2'));
        }
    }
}

impl Display for Blockage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "cannot be spoken with: {error}"),
            Self::Late => f.write_str("does not answer in time"),
            Self::Passing => write!(
                f,
                "does not ask this milter (smtpd_milters) under the name \"{DAEMON_NAME}\" \
                 (milter_macro_daemon_name)"
            ),
            Self::Refusal => f.write_str("does not take mail from this host"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn way_is_open_for_a_minute_after_it_was_walked() {
        let path = ReturnPath::default();
        assert!(!path.is_open(Instant::now()), "never walked");

        path.walked();

        let now = Instant::now();
        assert!(path.is_open(now));
        assert!(!path.is_open(now + PATIENCE));
    }

    /// Answers one client with one line after another, and does something when it takes a recipient.
    async fn listening(
        answers: &'static [&'static str],
        at_recipient: impl Fn() + Send + 'static,
    ) -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for answer in answers {
                stream.write_all(answer.as_bytes()).await.unwrap();
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.starts_with("RCPT") {
                    at_recipient();
                }
            }
        });
        SmtpServer {
            host: "127.0.0.1".into(),
            port,
        }
    }

    const YES: &[&str] = &[
        "220 x\r\n",
        "250-x\r\n250 SIZE\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "221 bye\r\n",
    ];

    const NO_TO_RECIPIENTS: &[&str] = &[
        "220 x\r\n",
        "250 x\r\n",
        "250 ok\r\n",
        "554 5.7.1 no\r\n",
        "221 bye\r\n",
    ];

    #[tokio::test]
    async fn listener_that_asks_us_is_a_way_back() {
        let path = Arc::new(ReturnPath::default());
        let asked = Arc::clone(&path);
        let server = listening(YES, move || asked.walked()).await;

        assert!(walk(&server, &path).await.is_ok());
        assert!(path.is_open(Instant::now()));
    }

    #[tokio::test]
    async fn listener_that_does_not_ask_us_or_says_no_is_none() {
        let path = ReturnPath::default();

        let passing = listening(YES, || {}).await;
        assert!(matches!(
            walk(&passing, &path).await,
            Err(Blockage::Passing)
        ));
        for answers in [&["554 no\r\n", ""][..], NO_TO_RECIPIENTS] {
            let refusing = listening(answers, || {}).await;
            assert!(matches!(
                walk(&refusing, &path).await,
                Err(Blockage::Refusal)
            ));
        }
        let silent = SmtpServer {
            host: "127.0.0.1".into(),
            port: 1,
        };
        assert!(matches!(
            walk(&silent, &path).await,
            Err(Blockage::Connection(_))
        ));
    }
}
