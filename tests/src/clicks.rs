// SPDX-License-Identifier: GPL-3.0-or-later
//! Clicks on tracked links under load, each on another link, so that each answer can be looked for in the database.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_postgres::Client;

use crate::{
    installation::Installation,
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};

/// Requests each link once, by its number, over a few connections that are made again when they break.
pub struct Load {
    sample: Arc<Sample>,
    next: Arc<AtomicI32>,
    answers: Arc<AtomicI32>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Vec<i16>>,
}

/// The most links that a load requests: a bound for the test, and for what a number of a link may be.
const MOST: i32 = 30_000;

impl Load {
    /// Starts requesting.
    pub fn start(sample: Sample, address: &str, connections: usize) -> Self {
        let mut load = Self {
            sample: Arc::new(sample),
            next: Arc::new(AtomicI32::new(1)),
            answers: Arc::default(),
            is_over: Arc::default(),
            clients: JoinSet::new(),
        };
        for _ in 0..connections {
            let (sample, next) = (Arc::clone(&load.sample), Arc::clone(&load.next));
            let (answers, is_over) = (Arc::clone(&load.answers), Arc::clone(&load.is_over));
            let address = address.to_owned();
            load.clients
                .spawn(async move { request(&sample, &address, &next, &answers, &is_over).await });
        }
        load
    }

    /// Waits until so many more requests were answered.
    pub async fn answers(&self, more: i32) {
        let wanted = self.answers.load(Ordering::SeqCst) + more;
        let wait = async {
            while self.answers.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(crate::log::PATIENCE, wait)
            .await
            .expect("requests are not answered");
    }

    /// Returns the numbers of the links whose requests were answered.
    pub async fn stop(mut self) -> (Arc<Sample>, HashSet<i16>) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut answered = HashSet::new();
        while let Some(numbers) = self.clients.join_next().await {
            answered.extend(numbers.unwrap());
        }
        (self.sample, answered)
    }
}

/// Requests links over one connection for as long as it holds, then over the next; adds the numbers of those answered.
async fn request(
    sample: &Sample,
    address: &str,
    next: &AtomicI32,
    answers: &AtomicI32,
    is_over: &AtomicBool,
) -> Vec<i16> {
    let mut answered = Vec::new();
    let mut connection: Option<TcpStream> = None;
    while !is_over.load(Ordering::SeqCst) {
        let Some(stream) = &mut connection else {
            connection = TcpStream::connect(address).await.ok();
            if connection.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            continue;
        };
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number > MOST {
            break;
        }
        let number = i16::try_from(number).unwrap();
        match ask(sample, number, stream).await {
            Ok(()) => {
                answered.push(number);
                answers.fetch_add(1, Ordering::SeqCst);
            }
            Err(_broken) => connection = None,
        }
    }
    answered
}

async fn ask(sample: &Sample, number: i16, stream: &mut TcpStream) -> std::io::Result<()> {
    let url = sample.link(number.unsigned_abs(), "https://a.example/");
    let (_, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: t\r\nUser-Agent: {MAIL_PROGRAM}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend(piece.into_iter().take(length));
    }
    assert!(
        head.starts_with(b"HTTP/1.1 302 "),
        "an error answer: {}",
        String::from_utf8_lossy(&head)
    );
    Ok(())
}

/// Returns the numbers of the stored clicks of a message, each of which must be there once.
pub async fn stored(client: &Client, sample: &Sample) -> HashSet<i16> {
    let rows = client
        .query(
            "SELECT ordinal FROM hits WHERE message_id = $1",
            &[&sample.message.0],
        )
        .await
        .unwrap();
    let numbers: HashSet<i16> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(numbers.len(), rows.len(), "a hit is there twice");
    numbers
}

/// Waits until nothing waits in the local log.
pub async fn until_replayed(installation: &Installation) {
    let mut visitor = Visitor::new();
    let url = format!("{}/metrics", installation.admin_url());
    let wait = async {
        loop {
            let metrics = visitor.get(&url).await.text();
            if metrics.contains("\nfairtrack_hit_log_octets 0\n") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("the log was not replayed within a minute");
}

/// Checks that every answered hit is stored.
pub fn assert_kept(answered: &HashSet<i16>, stored: &HashSet<i16>) {
    let lost: Vec<_> = answered.difference(stored).collect();
    assert!(
        lost.is_empty(),
        "{} of {} answered hits are lost",
        lost.len(),
        answered.len()
    );
}
