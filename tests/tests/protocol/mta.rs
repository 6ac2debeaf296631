// SPDX-License-Identifier: GPL-3.0-or-later
//! Plays the MTA, frame by frame, against a milter that listens in this process.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    config::{Config, Period, Socket},
    keys::KeyRing,
};
use harness::{
    database::Database,
    site::{Said, says, user},
};
use milter::{
    listener::Listener,
    milter::{Milter, Settings},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Everything that Postfix offers.
const ACTIONS: u32 = 0x1ff;
const OPTIONS: u32 = 0x1f_ffff;

/// A folder that ends with its value.
pub(crate) struct Folder(PathBuf);

/// A milter that listens.
pub(crate) struct Running {
    pub(crate) place: Socket,
    milter: Arc<Milter>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// One connection of the MTA.
pub(crate) struct Mta {
    stream: Box<dyn Stream>,
    /// What the milter asked for: actions and options.
    pub(crate) actions: u32,
    pub(crate) options: u32,
    pub(crate) macros: Vec<u8>,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ft-mp-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A user who tracks opens and links.
pub(crate) const ANNA: &str = "anna@example.com";
/// A recipient who allows it.
pub(crate) const EWA: &str = "ewa@customer.example";

/// A configuration where [`ANNA`]'s mail to [`EWA`] is instrumented, and more time for it than any machine takes.
pub(crate) async fn consenting(folder: &Folder, database: &Database) -> Config {
    user(database, ANNA).await;
    says(database, EWA, Said::Yes).await;
    let mut config = config(folder);
    config.database.url = database.url().to_owned().into();
    config.milter.deadline = Period::millis(20_000);
    config
}

/// Returns a configuration whose database cannot be reached.
pub(crate) fn config(folder: &Folder) -> Config {
    let mut config = Config::for_testing();
    config.milter.socket = Socket::Unix(folder.path().join("milter"));
    config.milter.health_gate = false;
    config.database.url = "postgres://nobody@127.0.0.1:1/nothing".to_owned().into();
    config
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        let listener = Listener::bind(&config.milter).await.unwrap();
        let place = listener.place();
        let milter = Milter::new(Settings::new(config, KeyRing::for_testing()));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(milter::run(listener, Arc::clone(&milter), stopped));
        Self {
            place,
            milter,
            stop,
            task,
        }
    }

    /// As if no collector had answered for a minute.
    pub(crate) fn silence_collector(&self) {
        let base = self.milter.settings().config.controllers[0]
            .base_url()
            .to_owned();
        let begun = Instant::now();
        let long_ago = begun.checked_sub(Duration::from_secs(61)).unwrap();
        self.milter.note_silence(&base, long_ago);
    }

    /// Asks the milter to stop; what is returned ends when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.task
    }

    pub(crate) async fn connect(&self) -> Box<dyn Stream> {
        match &self.place {
            Socket::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
            Socket::Inet(place) => Box::new(TcpStream::connect(place).await.unwrap()),
        }
    }
}

impl Mta {
    /// Connects and negotiates.
    pub(crate) async fn open(milter: &Running) -> Self {
        Self::over(milter.connect().await).await
    }

    pub(crate) async fn over(stream: Box<dyn Stream>) -> Self {
        let mut mta = Self {
            stream,
            actions: 0,
            options: 0,
            macros: Vec::new(),
        };
        let offer = [6_u32, ACTIONS, OPTIONS].map(u32::to_be_bytes).concat();
        mta.send(b'O', &offer).await;
        let (kind, answer) = mta.receive().await.unwrap();
        assert_eq!(kind, b'O');
        mta.actions = u32::from_be_bytes(answer[4..8].try_into().unwrap());
        mta.options = u32::from_be_bytes(answer[8..12].try_into().unwrap());
        mta.macros = answer[12..].to_vec();
        mta
    }

    pub(crate) async fn send(&mut self, kind: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len() + 1).unwrap();
        let frame = [&length.to_be_bytes()[..], &[kind], payload].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Receives a frame; `None` at the end of the connection.
    pub(crate) async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let length = self.stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.unwrap();
        Some((frame[0], frame[1..].to_vec()))
    }

    /// Sends a command and returns the kind of the answer.
    pub(crate) async fn ask(&mut self, kind: u8, payload: &[u8]) -> u8 {
        self.send(kind, payload).await;
        self.receive().await.unwrap().0
    }

    /// Begins a message; `login` is that of the client, if it authenticated.
    pub(crate) async fn mail(&mut self, login: Option<&str>) -> u8 {
        match login {
            Some(login) => {
                self.mail_told(&[("{auth_type}", "PLAIN"), ("{auth_authen}", login)])
                    .await
            }
            None => self.mail_told(&[("{mail_addr}", "x@example.com")]).await,
        }
    }

    /// Begins a message, telling these macros.
    pub(crate) async fn mail_told(&mut self, macros: &[(&str, &str)]) -> u8 {
        let told: String = macros
            .iter()
            .map(|(name, value)| format!("{name}\0{value}\0"))
            .collect();
        self.send(b'D', format!("M{told}").as_bytes()).await;
        self.ask(b'M', b"<x@example.com>\0").await
    }

    pub(crate) async fn recipient(&mut self, address: &str) {
        self.command_without_answer(0x8000, b'R', format!("{address}\0").as_bytes())
            .await;
    }

    /// Sends envelope, header section and body up to the end of the message.
    pub(crate) async fn message(&mut self, fields: &[(&str, &str)], body: &[u8]) {
        self.recipient("<ewa@customer.example>").await;
        self.content(fields, body).await;
    }

    /// Sends header section and body up to the end of the message.
    pub(crate) async fn content(&mut self, fields: &[(&str, impl std::fmt::Display)], body: &[u8]) {
        for (name, value) in fields {
            let payload = format!("{name}\0{value}\0");
            self.command_without_answer(0x80, b'L', payload.as_bytes())
                .await;
        }
        for piece in body.chunks(65_535) {
            if self.ask(b'B', piece).await == b's' {
                break;
            }
        }
        self.send(b'D', b"Ei\x004TEST\0").await;
        self.send(b'E', b"").await;
    }

    /// Receives what follows the end of a message: the edits and the verdict.
    pub(crate) async fn verdict(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(frame) = self.receive().await {
            let is_last = matches!(frame.0, b'a' | b'c');
            frames.push(frame);
            if is_last {
                break;
            }
        }
        frames
    }

    /// Tells whether the milter said that it would not answer a command.
    async fn command_without_answer(&mut self, unanswered: u32, kind: u8, payload: &[u8]) {
        self.send(kind, payload).await;
        if self.options & unanswered == 0 {
            assert_eq!(self.receive().await.unwrap().0, b'c');
        }
    }
}
