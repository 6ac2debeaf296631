// SPDX-License-Identifier: GPL-3.0-or-later
//! Load for benchmarks: plain HTTP/1.1 over a number of connections for a length of time, and what it took.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::web::MAIL_PROGRAM;

/// How connections are used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connections {
    /// A new one for each request.
    Fresh,
    /// Kept open.
    Kept,
}

/// What came of a load.
#[derive(Debug)]
pub struct Outcome {
    pub answers: u64,
    pub failures: u64,
    pub took: Duration,
    /// In order.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Returns the latency that so many of a hundred answers did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = self.latencies.len().saturating_sub(1) * percent / 100;
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

/// Paths that are requested in turn, from the first again after the last. Each load goes on where the one before ended.
#[derive(Clone)]
pub struct Paths {
    all: Rc<Vec<String>>,
    next: Rc<Cell<usize>>,
}

impl Paths {
    /// Makes the beginning of a round.
    pub fn new(all: &Rc<Vec<String>>) -> Self {
        Self {
            all: Rc::clone(all),
            next: Rc::default(),
        }
    }

    fn next(&self) -> Option<&String> {
        let number = self.next.get();
        self.next.set((number + 1) % self.all.len().max(1));
        self.all.get(number)
    }
}

struct Shared {
    address: String,
    paths: Paths,
    connections: Connections,
    end: Instant,
    failures: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
}

/// Requests the paths in turn from `HOST:PORT`, over so many connections at once, for a length of time.
pub async fn run(
    address: &str,
    paths: &Paths,
    connections: Connections,
    count: usize,
    length: Duration,
) -> Outcome {
    let started = Instant::now();
    let shared = Rc::new(Shared {
        address: address.to_owned(),
        paths: paths.clone(),
        connections,
        end: started + length,
        failures: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(1_000_000)),
    });
    let clients = LocalSet::new();
    for _ in 0..count {
        let shared = Rc::clone(&shared);
        clients.spawn_local(async move { client(&shared).await });
    }
    clients.await;
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    Outcome {
        answers: u64::try_from(latencies.len()).unwrap(),
        failures: shared.failures.get(),
        took: started.elapsed(),
        latencies,
    }
}

async fn client(shared: &Shared) {
    let mut kept: Option<TcpStream> = None;
    let mut buffer = Vec::with_capacity(4096);
    while Instant::now() < shared.end {
        let Some(path) = shared.paths.next() else {
            return;
        };
        let started = Instant::now();
        match request(shared, path, &mut kept, &mut buffer).await {
            Ok(()) => shared.latencies.borrow_mut().push(started.elapsed()),
            Err(_broken) => {
                shared.failures.set(shared.failures.get() + 1);
                kept = None;
            }
        }
        if shared.connections == Connections::Fresh {
            kept = None;
        }
    }
}

async fn request(
    shared: &Shared,
    path: &str,
    kept: &mut Option<TcpStream>,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        none => {
            let stream = TcpStream::connect(&shared.address).await?;
            stream.set_nodelay(true)?;
            none.insert(stream)
        }
    };
    let close = match shared.connections {
        Connections::Fresh => "Connection: close\r\n",
        Connections::Kept => "",
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: track.example.com\r\nUser-Agent: {MAIL_PROGRAM}\r\nAccept: image/*\r\nAccept-Language: en\r\n{close}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    buffer.clear();
    while !is_whole(buffer) {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Tells whether an answer has come with as much body as it announces.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).to_lowercase();
    let body = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok())
        .unwrap_or(0_usize);
    buffer.len() >= end + 4 + body
}
