// SPDX-License-Identifier: GPL-3.0-or-later
//! Mail of our own: sign-in links, requests, digests. Never instrumented: it is marked as generated.

pub mod digest;

use std::{error::Error as _, io};

use common::config;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::response::{Code, Severity},
};
use url::Url;

/// A message of ours, ready to be sent.
#[derive(Clone)]
pub struct Outgoing {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The same in HTML, where there is such a form.
    pub html: Option<String>,
}

/// Sends mail of our own through the configured server.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a message was not sent. Addresses are left out, and so is what the server said, because it repeats them.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("an address is no mailbox address")]
    Address,
    #[error("failed to build the message")]
    Build(#[from] lettre::error::Error),
    #[error("invalid server \"{0}\" (smtp://HOST:PORT)")]
    Server(String),
    /// With the code of the server's answer.
    #[error("the server did not take the message and answered {0}")]
    Refused(Code),
    /// Nothing was said before the connection failed.
    #[error("the server cannot be reached: {0}")]
    Unreachable(io::ErrorKind),
    /// The connection broke or took too long: the server may have taken the message.
    #[error("the server did not say whether it took the message")]
    Unanswered,
}

impl MailError {
    /// Tells whether the same message would fail again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Address | Self::Build(_) => true,
            Self::Refused(code) => code.severity == Severity::PermanentNegativeCompletion,
            Self::Server(_) | Self::Unanswered | Self::Unreachable(_) => false,
        }
    }

    /// Tells whether the message may have been taken all the same.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Unanswered)
    }
}

impl From<lettre::transport::smtp::Error> for MailError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        if let Some(code) = error.status() {
            return Self::Refused(code);
        }
        let mut cause = error.source();
        while let Some(this) = cause {
            if let Some(failure) = this.downcast_ref::<io::Error>()
                && is_before_all(failure.kind())
            {
                return Self::Unreachable(failure.kind());
            }
            cause = this.source();
        }
        Self::Unanswered
    }
}

/// Tells whether a connection that fails so was never made.
fn is_before_all(failure: io::ErrorKind) -> bool {
    matches!(
        failure,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// RFC 3834, section 5: tells other programs not to answer, and our own milter not to touch.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_value: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mailer {
    /// Makes a mailer; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Fails if the server or the author's address cannot be meant.
    pub fn new(config: &config::Mail) -> Result<Self, MailError> {
        let invalid = || MailError::Server(config.smtp.clone());
        let server = Url::parse(&config.smtp).map_err(|_malformed| invalid())?;
        let host = server
            .host_str()
            .filter(|_| server.scheme() == "smtp")
            .ok_or_else(invalid)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(server.port().unwrap_or(25))
            .build();
        let from = config
            .from
            .parse()
            .map_err(|_malformed| MailError::Address)?;
        Ok(Self { transport, from })
    }

    /// Makes sure that the server is there.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be reached, or does not greet us.
    pub async fn reach(&self) -> Result<(), MailError> {
        if self.transport.test_connection().await? {
            Ok(())
        } else {
            Err(MailError::Unanswered)
        }
    }

    /// Sends one message and waits until the server has taken it.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be meant or the server does not take the message.
    pub async fn send(&self, outgoing: Outgoing) -> Result<(), MailError> {
        let to: Mailbox = outgoing
            .to
            .parse()
            .map_err(|_malformed| MailError::Address)?;
        let builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(outgoing.subject)
            .message_id(None)
            .header(AutoSubmitted);
        let message = match outgoing.html {
            Some(html) => {
                builder.multipart(MultiPart::alternative_plain_html(outgoing.text, html))?
            }
            None => builder.singlepart(SinglePart::plain(outgoing.text))?,
        };
        self.transport.send(message).await?;
        Ok(())
    }
}
