// SPDX-License-Identifier: GPL-3.0-or-later
//! Where mail is handed over: whether the server would take a sign-in link, and Postfix the copies of a split message.
//! Nothing is sent: the conversation ends before DATA.

use std::{io, time::Duration};

use common::config::{Config, Controller, MultiRecipient};
use lettre::message::Mailbox;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use super::finding::Finding;

pub(super) async fn examine(config: &Config) -> Finding {
    let server = &config.mail.smtp;
    let Ok(from) = config.mail.from.parse::<Mailbox>() else {
        return Finding::wrong(
            "sign-in mail",
            "\"mail.from\" is no mailbox address",
            "write it as \"Fairtrack <noreply@example.com>\"",
        );
    };
    let Some(domain) = config
        .controllers
        .first()
        .and_then(|controller| controller.domains.first())
    else {
        return Finding::ok("sign-in mail", "has nobody to go to");
    };
    let recipient = format!("postmaster@{domain}");
    match timeout(PATIENCE, offer(server, from.email.as_ref(), &recipient)).await {
        Ok(Ok(Offered::Taken)) => Finding::ok("sign-in mail", format!("\"{server}\" takes it")),
        Ok(Ok(Offered::Refused(answer))) => Finding::wrong(
            "sign-in mail",
            format!("\"{server}\" refuses it: {answer}"),
            "let the server take mail from this host for the controllers' domains (mynetworks), and check \"mail.from\"",
        ),
        Ok(Err(error)) => Finding::wrong(
            "sign-in mail",
            format!("\"{server}\": {error}"),
            "start the mail server, or correct \"mail.smtp\": without it nobody can sign in or be asked for consent",
        ),
        Err(_elapsed) => Finding::wrong(
            "sign-in mail",
            format!("\"{server}\" does not answer"),
            "start the mail server, or correct \"mail.smtp\": without it nobody can sign in or be asked for consent",
        ),
    }
}

/// Looks whether mail that was split would be taken in again: the milter, which splits nothing before, says so in its log.
pub(super) async fn way_back(config: &Config) -> Option<Finding> {
    const PIECE: &str = "split mail";
    let splits = |controller: &Controller| controller.multi_recipient == MultiRecipient::Split;
    let server = config.milter.reinject.as_ref()?.to_string();
    if !config.controllers.iter().any(splits) {
        return None;
    }
    // For a domain of nobody here: the copies go everywhere.
    let offered = timeout(PATIENCE, offer(&server, "", "postmaster@example.net")).await;
    let found = match offered {
        Ok(Ok(Offered::Taken)) => {
            return Some(Finding::ok(PIECE, format!("\"{server}\" takes it back")));
        }
        Ok(Ok(Offered::Refused(answer))) => format!("\"{server}\" refuses it: {answer}"),
        Ok(Err(error)) => format!("\"{server}\": {error}"),
        Err(_elapsed) => format!("\"{server}\" does not answer"),
    };
    Some(Finding::wrong(
        PIECE,
        found,
        "set the services up as deploy/postfix-split.cf says, or correct \"milter.reinject\": until then nothing is split",
    ))
}

const PATIENCE: Duration = Duration::from_secs(10);

enum Offered {
    Refused(String),
    Taken,
}

async fn offer(server: &str, from: &str, recipient: &str) -> io::Result<Offered> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidInput, "is not smtp://HOST:PORT");
    let url = Url::parse(server).map_err(|_malformed| malformed())?;
    let host = url
        .host_str()
        .filter(|_| url.scheme() == "smtp")
        // A URL has an IPv6 address in brackets, a socket has none.
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'))
        .ok_or_else(malformed)?;
    let stream = TcpStream::connect((host, url.port().unwrap_or(25))).await?;
    let mut stream = BufStream::new(stream);
    let mut answer = read(&mut stream).await?;
    for command in [
        "EHLO localhost".to_owned(),
        format!("MAIL FROM:<{from}>"),
        format!("RCPT TO:<{recipient}>"),
    ] {
        if !answer.starts_with('2') {
            break;
        }
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await?;
        stream.flush().await?;
        answer = read(&mut stream).await?;
    }
    let taken = answer.starts_with('2');
    stream.write_all(b"QUIT\r\n").await?;
    stream.flush().await?;
    Ok(if taken {
        Offered::Taken
    } else {
        // An answer may repeat the address; its code says enough.
        Offered::Refused(answer.chars().take(3).collect())
    })
}

/// Reads one answer, however many lines it has, and returns the last.
async fn read(stream: &mut BufStream<TcpStream>) -> io::Result<String> {
    for _ in 0..100 {
        let mut line = Vec::new();
        (&mut *stream)
            .take(1000)
            .read_until(b'\n', &mut line)
            .await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.chars().nth(3) != Some('-') {
            return Ok(line);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "answers without end",
    ))
}
