// SPDX-License-Identifier: GPL-3.0-or-later
//! An installation of Fairtrack: a configuration, keys, a database, and its programs.
//!
//! Tests give what they are about; everything else is filled in so that the programs start.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Once,
    time::Duration,
};

use common::config::Socket;
use nix::sys::signal::Signal;
use tokio::net::{TcpStream, UnixStream};
use toml::{Table, Value};

use crate::{
    database::Database,
    port::Port,
    scratch::Scratch,
    server::{Server, run},
};

/// A configured installation; its programs are started one by one, and as often as one likes.
pub struct Installation {
    scratch: Scratch,
    milter: Socket,
    collector: Port,
    admin: Port,
}

/// What an installation should be like.
pub struct Builder {
    scratch: Scratch,
    milter: Socket,
    collector: Port,
    admin: Port,
    configuration: Table,
}

/// A running program of ours.
pub struct Program {
    server: Server,
}

impl Installation {
    /// Describes an installation with one controller, `example.com`, that keeps its data in a database.
    ///
    /// Each program connects in the role that is made for it, so that a right that is missing shows in every test.
    pub fn on(database: &Database) -> Builder {
        let scratch = Scratch::new("ft");
        let (collector, admin) = (Port::reserve(), Port::reserve());
        let configuration = toml::toml! {
            [milter]
            socket_mode = "666"
            [mail]
            from = "Fairtrack <noreply@example.com>"
            [[controller]]
            id = "example"
            name = "Example Sp. z o.o."
            address = "ul. Prosta 1, 00-001 Warszawa"
            contact = "privacy@example.com"
            authority = "UODO"
            domains = ["example.com"]
        };
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let values = [
            ("database.url", database.url().to_owned()),
            ("database.milter_url", database.url_as("fairtrack_milter")),
            (
                "database.collector_url",
                database.url_as("fairtrack_collector"),
            ),
            ("database.admin_url", database.url_as("fairtrack_admin")),
            ("keys.file", path("keys")),
            ("milter.socket", format!("unix:{}", path("milter"))),
            ("milter.journal", path("milter.journal")),
            ("collector.listen", format!("127.0.0.1:{collector}")),
            ("collector.admin_listen", format!("127.0.0.1:{admin}")),
            ("classify.name_server", "none".to_owned()),
            ("collector.hit_log", path("hits")),
            ("collector.journal", path("journal")),
            (
                "controller.public_url",
                format!("http://127.0.0.1:{collector}"),
            ),
        ];
        let builder = Builder {
            milter: Socket::Unix(scratch.path().join("milter")),
            scratch,
            collector,
            admin,
            configuration,
        };
        values
            .into_iter()
            .fold(builder, |builder, (key, value)| builder.set(key, value))
    }

    /// Returns the configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.scratch.path().join("fairtrack.toml")
    }

    /// Returns the key file.
    pub fn keys(&self) -> PathBuf {
        self.scratch.path().join("keys")
    }

    /// Returns the folder of the collector's hit log.
    pub fn hit_log(&self) -> PathBuf {
        self.scratch.path().join("hits")
    }

    /// Returns the milter's socket, spelled as in Postfix.
    pub fn milter_socket(&self) -> String {
        self.milter.to_string()
    }

    /// Returns the collector's URL, without a slash at its end; the controller's public one.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.collector)
    }

    /// Returns the URL of metrics and health, without a slash at its end.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    /// Starts the milter and waits until it listens.
    pub async fn start_milter(&self) -> Program {
        let mut program = self.start("fairtrack-milter");
        program
            .wait_until_ready(|| async {
                match &self.milter {
                    Socket::Inet(place) => TcpStream::connect(place).await.is_ok(),
                    Socket::Unix(path) => UnixStream::connect(path).await.is_ok(),
                }
            })
            .await;
        program
    }

    /// Starts the collector and waits until it listens.
    pub async fn start_collector(&self) -> Program {
        let mut program = self.start("fairtrack-collector");
        let ports = [self.collector.number(), self.admin.number()];
        program
            .wait_until_ready(|| async move {
                for port in ports {
                    if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                        return false;
                    }
                }
                true
            })
            .await;
        program
    }

    /// Runs `fairtrackctl` and returns what it printed.
    ///
    /// # Panics
    ///
    /// Panics if its status is not 0.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = run(&self.scratch, self.command("fairtrackctl").args(arguments));
        String::from_utf8(output).unwrap()
    }

    /// Runs one of our programs on an input, whatever its status will be.
    pub fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Output {
        let input = self.scratch.write("input", input);
        self.command(program)
            .args(arguments)
            .stdin(Stdio::from(std::fs::File::open(input).unwrap()))
            .output()
            .unwrap()
    }

    fn start(&self, name: &str) -> Program {
        let server = Server::start(
            &self.scratch,
            name,
            &mut self.command(name),
            Signal::SIGTERM,
        );
        Program { server }
    }

    /// Makes a command that knows this installation and no other.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program_path(program));
        command
            .env_remove("DATABASE_URL")
            .env("FAIRTRACK_CONFIG", self.configuration())
            .current_dir(self.scratch.path());
        self.scratch.mark(&mut command);
        command
    }
}

impl Builder {
    /// Sets a value of the configuration: `section.key`; `controller.key` is the first controller's.
    ///
    /// # Panics
    ///
    /// Panics if the key has no section.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (section, key) = key
            .split_once('.')
            .expect("a key is given with its section");
        let section = self
            .configuration
            .entry(section)
            .or_insert_with(|| Table::new().into());
        let table = match section {
            Value::Array(controllers) => controllers.first_mut().and_then(Value::as_table_mut),
            section => section.as_table_mut(),
        };
        table.unwrap().insert(key.to_owned(), value.into());
        self
    }

    /// Has every program reach the database at one URL, in one role.
    #[must_use]
    pub fn database_at(self, url: &str) -> Self {
        self.set("database.url", url)
            .set("database.milter_url", url)
            .set("database.collector_url", url)
            .set("database.admin_url", url)
    }

    /// Returns the collector's URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.collector)
    }

    /// Returns the milter's socket, spelled as in Postfix.
    pub fn milter_socket(&self) -> String {
        self.milter.to_string()
    }

    /// Lets the milter listen at another path than one of our own folder.
    #[must_use]
    pub fn milter_at(self, path: &Path) -> Self {
        self.milter_on(Socket::Unix(path.to_owned()))
    }

    /// Lets the milter listen somewhere else.
    #[must_use]
    pub fn milter_on(mut self, socket: Socket) -> Self {
        self.milter = socket;
        let socket = self.milter_socket();
        self.set("milter.socket", socket)
    }

    /// Sends mail of our own through this port.
    #[must_use]
    pub fn mail_through(self, port: u16) -> Self {
        self.set("mail.smtp", format!("smtp://127.0.0.1:{port}"))
    }

    /// Adds another controller with a tracking host, a language and settings of its own.
    #[must_use]
    pub fn controller(mut self, controller: Table) -> Self {
        if let Some(Value::Array(controllers)) = self.configuration.get_mut("controller") {
            controllers.push(controller.into());
        }
        self
    }

    /// Writes the configuration and makes the keys.
    pub fn write(self) -> Installation {
        let text = toml::to_string(&self.configuration).unwrap();
        self.scratch.write("fairtrack.toml", text);
        let installation = Installation {
            scratch: self.scratch,
            milter: self.milter,
            collector: self.collector,
            admin: self.admin,
        };
        common::keys::KeyRing::generate(&installation.keys(), chrono::Utc::now()).unwrap();
        installation
    }
}

impl Program {
    /// Makes the program read its configuration again.
    pub fn reload(&self) {
        self.server.signal(Signal::SIGHUP);
    }

    async fn wait_until_ready<T>(&mut self, connect: impl Fn() -> T)
    where
        T: Future<Output = bool>,
    {
        while !connect().await {
            assert!(self.is_running(), "it ended:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Deref for Program {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// Returns the path of a program that was built with us.
///
/// # Panics
///
/// Panics if it is not there.
pub fn program_path(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let ourselves = std::env::current_exe().unwrap();
    // target/PROFILE/deps/TEST, or target/PROFILE/PROGRAM.
    let folder = ourselves
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .unwrap();
    BUILT.call_once(|| build(folder));
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "\"{}\" is not built (cargo build --workspace --bins)",
        path.display()
    );
    path
}

/// `cargo test` for one package does not build the programs of others: without this, a test would see an old one.
fn build(folder: &Path) {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return;
    };
    if std::env::var_os(BUILT_VARIABLE).is_some() {
        return;
    }
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().unwrap();
    assert!(status.success(), "failed to build the programs");
}

/// The variable that says that all programs are built, as `make test` does.
const BUILT_VARIABLE: &str = "FAIRTRACK_PROGRAMS_BUILT";
