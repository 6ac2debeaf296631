// SPDX-License-Identifier: GPL-3.0-or-later
//! The memory of many large messages at once.

use std::sync::Arc;

use harness::{
    bars::Bars,
    cpu::Family,
    database::Database,
    installation::{Installation, Program},
    site::{ALICE, BOB},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Barrier,
    task::JoinSet,
};

use crate::{judge_all, message};

/// Conversations at once, each with a message of a megabyte.
const CONVERSATIONS: usize = 200;

/// At most so many MiB.
const MEMORY: u64 = 1_024;

/// Holds many conversations at once, the body of each sent before the end of any.
pub(crate) async fn report(
    (installation, database): &(Installation, Database),
    first: &Program,
    bars: &mut Bars,
) {
    let count = "SELECT count(*) FROM messages WHERE reason IS NULL";
    let before = database.count(count, &[]).await;
    let socket = installation.milter_socket();
    let path = socket.trim_start_matches("unix:").to_owned();
    let body: Arc<[u8]> = message(1_000_000).into();
    let barrier = Arc::new(Barrier::new(CONVERSATIONS));
    let mut conversations = JoinSet::new();
    for _ in 0..CONVERSATIONS {
        let (path, body, barrier) = (path.clone(), Arc::clone(&body), Arc::clone(&barrier));
        conversations.spawn(async move { converse(&path, &body, &barrier).await });
    }
    while let Some(ended) = conversations.join_next().await {
        ended.unwrap();
    }
    let instrumented = database.count(count, &[]).await - before;
    let peak = Family::of(first.id()).peak() / 1_024;
    println!("\n{CONVERSATIONS} conversations of 1 MB at once");
    let what = "messages of 1 MB instrumented at once";
    judge_all(bars, what, instrumented, CONVERSATIONS);
    let word = bars.at_most("peak memory, MiB", peak as f64, MEMORY as f64);
    println!("peak memory: {peak} MiB (at most {MEMORY}) {word}");
}

/// Speaks as Postfix does: one message to its verdict.
async fn converse(path: &str, message: &[u8], barrier: &Barrier) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
    send(&mut stream, b'O', &offer).await;
    let answer = receive(&mut stream).await;
    let options = answer.get(9..13).unwrap().try_into().unwrap();
    let unanswered = u32::from_be_bytes(options) & 0x80 != 0;
    let macros = format!("M{{auth_type}}\0PLAIN\0{{auth_authen}}\0{ALICE}\0");
    send(&mut stream, b'D', macros.as_bytes()).await;
    send(&mut stream, b'M', format!("<{ALICE}>\0").as_bytes()).await;
    receive(&mut stream).await;
    send(&mut stream, b'R', format!("<{BOB}>\0").as_bytes()).await;
    if !unanswered {
        receive(&mut stream).await;
    }
    let text = String::from_utf8_lossy(message);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').unwrap();
        send(&mut stream, b'L', format!("{name}\0{value}\0").as_bytes()).await;
        if !unanswered {
            receive(&mut stream).await;
        }
    }
    for piece in body.as_bytes().chunks(65_535) {
        send(&mut stream, b'B', piece).await;
        receive(&mut stream).await;
    }
    barrier.wait().await;
    send(&mut stream, b'D', b"Ei\x004TEST\0").await;
    send(&mut stream, b'E', b"").await;
    while !matches!(receive(&mut stream).await.first(), Some(b'a' | b'c')) {}
}

async fn send(stream: &mut UnixStream, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len() + 1).unwrap();
    let frame = [&length.to_be_bytes()[..], &[kind], payload].concat();
    stream.write_all(&frame).await.unwrap();
}

async fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut frame = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut frame).await.unwrap();
    frame
}
