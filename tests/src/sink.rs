// SPDX-License-Identifier: GPL-3.0-or-later
//! The recipients' side: an SMTP server that keeps each message exactly as it came over the wire.
//!
//! It runs on threads of its own, so that it serves whatever the test's own runtime is doing.

use std::{
    collections::{HashSet, VecDeque},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::log::PATIENCE;

/// A server that takes mail for everyone.
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

/// A message that was delivered, with its envelope.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The envelope sender, without brackets; empty for a report.
    pub sender: String,
    /// What the client said after the envelope sender: `BODY=8BITMIME SMTPUTF8`.
    pub options: String,
    /// The envelope recipients, without brackets.
    pub recipients: Vec<String>,
    /// The message, octet for octet, dots unstuffed, lines ended by CR LF.
    pub message: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    deliveries: Mutex<VecDeque<Delivery>>,
    refused: Mutex<HashSet<String>>,
    /// Recipients whose mail is taken and not answered.
    unanswered: Mutex<HashSet<String>>,
    arrived: Notify,
    is_over: AtomicBool,
}

impl Sink {
    /// Starts a server on a port of the kernel's choice.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if state.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    // A client that breaks off has nothing delivered.
                    let _ = converse(&stream, &state);
                });
            }
        });
        Self { port, shared }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Refuses a recipient for good from now on.
    pub fn refuse(&self, recipient: &str) {
        let mut refused = self.shared.refused.lock().unwrap();
        refused.insert(recipient.to_lowercase());
    }

    /// Takes a recipient's mail from now on and breaks the connection instead of saying so.
    pub fn leave_unanswered(&self, recipient: &str) {
        let mut unanswered = self.shared.unanswered.lock().unwrap();
        unanswered.insert(recipient.to_lowercase());
    }

    /// Returns the next message, in the order of arrival.
    ///
    /// # Panics
    ///
    /// Panics if none comes within [`PATIENCE`].
    pub async fn next(&self) -> Delivery {
        self.next_within(PATIENCE)
            .await
            .expect("no message was delivered")
    }

    /// Returns the next message if one comes in time.
    pub async fn next_within(&self, limit: Duration) -> Option<Delivery> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let arrived = self.shared.arrived.notified();
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return self.take();
            }
        }
    }

    /// Returns a message that has already come.
    pub fn take(&self) -> Option<Delivery> {
        self.shared.deliveries.lock().unwrap().pop_front()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Delivery {
    /// Returns the header, with the line end of its last field.
    pub fn header(&self) -> &[u8] {
        self.message.split_at(self.body_start().0).0
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        self.message.split_at(self.body_start().1).1
    }

    /// Returns the value of the first header field of that name, unfolded.
    pub fn field(&self, name: &str) -> Option<String> {
        let header = String::from_utf8_lossy(self.header()).replace("\r\n ", " ");
        let header = header.replace("\r\n\t", " ");
        header.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    /// Returns the message without the trace fields (`Received`, `Return-Path`) that servers put on top.
    pub fn without_trace(&self) -> Vec<u8> {
        strip_trace(&self.message).to_vec()
    }

    /// Returns the message without trace fields and without the signature that our signer put among them.
    pub fn without_trace_and_signature(&self) -> Vec<u8> {
        let message = strip_trace(&self.message);
        // What the signer says of signatures that it met.
        let verdict = "authentication-results:mail.example.com;";
        let message = strip_trace(strip_field(message, verdict).unwrap_or(message));
        let message = strip_field(message, "dkim-signature:").unwrap_or(message);
        strip_trace(message).to_vec()
    }

    fn body_start(&self) -> (usize, usize) {
        let end = self.message.windows(4).position(|four| four == b"\r\n\r\n");
        end.map_or((self.message.len(), self.message.len()), |end| {
            (end + 2, end + 4)
        })
    }
}

fn strip_trace(mut message: &[u8]) -> &[u8] {
    while let Some(rest) = ["received:", "return-path:"]
        .iter()
        .find_map(|name| strip_field(message, name))
    {
        message = rest;
    }
    message
}

/// Returns what follows the first header field, if it has that name.
fn strip_field<'a>(message: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let start = message.get(..name.len())?;
    if !start.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    // The field ends at a line end that no blank follows.
    let end = message.windows(3).position(|three| {
        three.starts_with(b"\r\n") && !three.ends_with(b" ") && !three.ends_with(b"\t")
    })?;
    Some(message.split_at(end + 2).1)
}

/// One session, from the greeting to the end of the connection.
fn converse(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    let mut delivery = empty();
    let mut line = Vec::new();
    output.write_all(b"220 sink.test ESMTP\r\n")?;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = text.split([' ', ':']).next().unwrap_or_default();
        let refusal;
        let reply: &[u8] = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
            }
            "HELO" | "NOOP" => b"250 ok\r\n",
            "RSET" => {
                delivery = empty();
                b"250 ok\r\n"
            }
            "MAIL" => {
                delivery = empty();
                (delivery.sender, delivery.options) = path(&text);
                b"250 ok\r\n"
            }
            "RCPT" => {
                let (recipient, _) = path(&text);
                if shared
                    .refused
                    .lock()
                    .unwrap()
                    .contains(&recipient.to_lowercase())
                {
                    // As Postfix does, with the address.
                    refusal = format!("550 5.1.1 <{recipient}>: Recipient address rejected\r\n");
                    refusal.as_bytes()
                } else {
                    delivery.recipients.push(recipient);
                    b"250 ok\r\n"
                }
            }
            "DATA" if delivery.recipients.is_empty() => b"554 5.5.1 no recipients\r\n",
            "DATA" => {
                output.write_all(b"354 go on\r\n")?;
                delivery.message = read_message(&mut input)?;
                let delivery = std::mem::replace(&mut delivery, empty());
                let is_unanswered = {
                    let unanswered = shared.unanswered.lock().unwrap();
                    let mut recipients = delivery.recipients.iter();
                    recipients.any(|recipient| unanswered.contains(&recipient.to_lowercase()))
                };
                shared.deliveries.lock().unwrap().push_back(delivery);
                shared.arrived.notify_waiters();
                if is_unanswered {
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            "QUIT" => return output.write_all(b"221 bye\r\n"),
            _ => b"500 5.5.1 unknown command\r\n",
        };
        output.write_all(reply)?;
    }
}

fn empty() -> Delivery {
    Delivery {
        sender: String::new(),
        options: String::new(),
        recipients: Vec::new(),
        message: Vec::new(),
    }
}

/// Reads to the line that holds a single dot.
fn read_message(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut line = Vec::new();
    let mut starts_line = true;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if starts_line && line == b".\r\n" {
            return Ok(message);
        }
        let stuffed = starts_line && line.starts_with(b".");
        message.extend_from_slice(line.get(usize::from(stuffed)..).unwrap_or_default());
        // A bare LF ends no line.
        starts_line = line.ends_with(b"\r\n");
    }
}

/// Returns the address between the brackets, and what follows them.
fn path(command: &str) -> (String, String) {
    let path = command.split_once('<').map_or("", |(_, path)| path);
    let (address, options) = path.rsplit_once('>').unwrap_or((path, ""));
    (address.to_owned(), options.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Session;

    #[tokio::test]
    async fn message_is_kept_octet_for_octet() {
        let sink = Sink::start();
        let message = b"Subject: x\r\n\r\n.dot\r\n..\r\n\xff\r\n.\nbare\r\n";

        let mut session = Session::open(sink.port()).await;
        let reply = session.send("a@b.test", &["c@d.test"], message).await;
        let delivery = sink.next().await;

        assert_eq!(reply.code, 250);
        assert_eq!(delivery.message, message);
        assert_eq!(delivery.sender, "a@b.test");
        assert_eq!(delivery.recipients, ["c@d.test"]);
        assert_eq!(delivery.body(), b".dot\r\n..\r\n\xff\r\n.\nbare\r\n");
    }

    #[test]
    fn trace_fields_are_told_from_the_message() {
        let mut delivery = empty();
        delivery.message =
            b"Received: a\r\n\tb\r\nreceived: c\r\nSubject: x\r\n\r\nReceived: y\r\n".to_vec();

        assert_eq!(
            delivery.without_trace(),
            b"Subject: x\r\n\r\nReceived: y\r\n"
        );
    }
}
