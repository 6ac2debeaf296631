// SPDX-License-Identifier: GPL-3.0-or-later
//! An SMTP client with control over every octet: mail programs tidy messages up, and tests must not.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::log::PATIENCE;

/// A session after its greeting.
pub struct Session<S = TcpStream> {
    stream: BufStream<S>,
}

/// What the server answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    pub code: u16,
    /// Every line, the code included.
    pub text: String,
}

impl Session {
    /// Connects and says `EHLO`.
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // Else the final dot, a segment of its own, waits for the server's delayed acknowledgement of what went before: some
        // 40 ms that are neither the server's nor the milter's.
        stream.set_nodelay(true).unwrap();
        let mut session = Self {
            stream: BufStream::new(stream),
        };
        session.reply().await;
        session.command("EHLO client.test").await;
        session
    }

    /// Connects and authenticates.
    ///
    /// # Panics
    ///
    /// Panics if the server does not take login and password.
    pub async fn open_as(port: u16, login: &str, password: &str) -> Self {
        let mut session = Self::open(port).await;
        session.authenticate(login, password).await;
        session
    }

    /// Goes on encrypted (`STARTTLS`), with a server that must prove to be `name`.
    ///
    /// # Panics
    ///
    /// Panics if the server does not offer that, or is another.
    pub async fn encrypt(
        mut self,
        name: &str,
        connector: &TlsConnector,
    ) -> Session<TlsStream<TcpStream>> {
        let reply = self.command("STARTTLS").await;
        assert_eq!(reply.code, 220, "{}", reply.text);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = connector
            .connect(name, self.stream.into_inner())
            .await
            .unwrap();
        let mut session = Session {
            stream: BufStream::new(stream),
        };
        session.command("EHLO client.test").await;
        session
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Authenticates.
    ///
    /// # Panics
    ///
    /// Panics if the server does not take login and password.
    pub async fn authenticate(&mut self, login: &str, password: &str) {
        let response = STANDARD.encode(format!("\0{login}\0{password}"));
        let reply = self.command(&format!("AUTH PLAIN {response}")).await;
        assert_eq!(reply.code, 235, "{}", reply.text);
    }

    /// Sends a command line and returns the answer.
    pub async fn command(&mut self, line: &str) -> Reply {
        self.write(line.as_bytes()).await;
        self.write(b"\r\n").await;
        self.reply().await
    }

    /// Sends a message and returns the answer to it, or the first answer that refuses a part of the envelope.
    pub async fn send(&mut self, sender: &str, recipients: &[&str], message: &[u8]) -> Reply {
        let refusal = self.envelope(sender, recipients).await;
        if let Some(reply) = refusal {
            return reply;
        }
        self.write_message(message).await;
        self.reply().await
    }

    /// Sends a message, and tells how long its acceptance took: from the final dot to the answer.
    ///
    /// # Panics
    ///
    /// Panics if the envelope is refused.
    pub async fn send_and_time(
        &mut self,
        sender: &str,
        recipients: &[&str],
        message: &[u8],
    ) -> (Reply, Duration) {
        let refusal = self.envelope(sender, recipients).await;
        assert_eq!(refusal, None);
        self.write_lines(message).await;
        self.stream.flush().await.unwrap();
        // Until the server has read what is under way, which is not what is timed.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let begun = Instant::now();
        self.write(b".\r\n").await;
        let reply = self.reply().await;
        (reply, begun.elapsed())
    }

    /// Sends an envelope and a message, but does not wait for the answer to it.
    ///
    /// # Panics
    ///
    /// Panics if the envelope is refused.
    pub async fn send_without_waiting(
        &mut self,
        sender: &str,
        recipients: &[&str],
        message: &[u8],
    ) {
        let refusal = self.envelope(sender, recipients).await;
        assert_eq!(refusal, None);
        self.write_message(message).await;
        self.stream.flush().await.unwrap();
    }

    /// Reads one answer.
    pub async fn reply(&mut self) -> Reply {
        self.stream.flush().await.unwrap();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            tokio::time::timeout(PATIENCE, self.stream.read_line(&mut line))
                .await
                .expect("the server does not answer")
                .unwrap();
            assert!(!line.is_empty(), "the server closed the connection");
            text.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                return Reply {
                    code: code.unwrap_or_default(),
                    text,
                };
            }
        }
    }

    /// Ends the session.
    pub async fn quit(mut self) {
        self.command("QUIT").await;
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
    }

    async fn envelope(&mut self, sender: &str, recipients: &[&str]) -> Option<Reply> {
        let mut lines = vec![format!("MAIL FROM:<{sender}> BODY=8BITMIME")];
        lines.extend(
            recipients
                .iter()
                .map(|recipient| format!("RCPT TO:<{recipient}>")),
        );
        lines.push("DATA".into());
        for line in lines {
            let reply = self.command(&line).await;
            if reply.code >= 400 {
                return Some(reply);
            }
        }
        None
    }

    /// Writes a message with stuffed dots and the final dot. The message should end with CR LF.
    async fn write_message(&mut self, message: &[u8]) {
        self.write_lines(message).await;
        self.write(b".\r\n").await;
    }

    async fn write_lines(&mut self, message: &[u8]) {
        let mut starts_line = true;
        for line in message.split_inclusive(|octet| *octet == b'\n') {
            if starts_line && line.starts_with(b".") {
                self.write(b".").await;
            }
            self.write(line).await;
            starts_line = line.ends_with(b"\r\n");
        }
        if !starts_line {
            self.write(b"\r\n").await;
        }
    }

    async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn nothing_waits_for_what_was_sent_before() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"220 hello\r\n250 hello\r\n")
                .await
                .unwrap();
            stream
        };

        let (session, _server) = tokio::join!(Session::open(port), server);

        assert!(session.stream.get_ref().nodelay().unwrap());
    }
}
