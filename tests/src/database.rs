// SPDX-License-Identifier: GPL-3.0-or-later
//! PostgreSQL: private clusters, and in them a database for each test.
//!
//! A cluster is reached through a UNIX socket in a folder that only its owner may enter; it trusts whoever gets there.
//! It keeps what it has committed (`fsync` is on). One cluster serves all tests of a process, or, where
//! `FAIRTRACK_TEST_CLUSTER` names one (see `with-cluster`), of many. A test that pauses or kills the server starts a
//! cluster of its own.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

use nix::sys::signal::Signal;
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::{Client, NoTls, types::ToSql};

use crate::{
    certificates::certify,
    log::{Log, PATIENCE},
    programs::postgresql,
    scratch::{Scratch, give_to},
    server::{Server, command_as, run},
};

/// The size of a small disk, in MiB: a fresh cluster takes a third.
const DISK: u32 = 256;

/// The variable that names a running cluster: its URL without a database.
pub const CLUSTER_VARIABLE: &str = "FAIRTRACK_TEST_CLUSTER";

/// A database with our schema, dropped with its value.
pub struct Database {
    url: String,
    name: String,
    server: String,
    cluster: Option<Cluster>,
}

impl Database {
    /// Makes a database in the cluster that all tests share.
    pub async fn start() -> Self {
        Self::create(shared_cluster().await, None).await
    }

    /// Makes a database in a cluster of its own, which may be paused, killed and started again.
    pub async fn start_alone() -> Self {
        let cluster = Cluster::start().await;
        Self::create(&cluster.url(), Some(cluster)).await
    }

    /// Makes a database in a cluster of its own, and returns its address on the network as well, where it takes encrypted
    /// connections only, as `name`; [`Cluster::authority`] vouches for it.
    ///
    /// # Panics
    ///
    /// Panics if `openssl` is not installed.
    pub async fn start_with_tls(name: &str) -> (Self, String) {
        let (cluster, address) = Cluster::start_with_tls(name).await;
        let database = Self::create(&cluster.url(), Some(cluster)).await;
        let url = format!(
            "postgres://postgres@{name}/{}?hostaddr={address}",
            database.name
        );
        (database, url)
    }

    /// Makes a database in a cluster of its own on a disk of its own, which can be filled; `None` where we may not make
    /// one.
    pub async fn start_on_small_disk() -> Option<Self> {
        let cluster = Cluster::start_on_small_disk().await?;
        Some(Self::create(&cluster.url(), Some(cluster)).await)
    }

    /// Makes a database without tables in the cluster that all tests share.
    pub async fn start_empty() -> Self {
        let server = shared_cluster().await;
        let name = unique_name();
        execute(server, &format!("CREATE DATABASE {name}")).await;
        Self::named(server, name, None)
    }

    async fn create(server: &str, cluster: Option<Cluster>) -> Self {
        let template = template(server).await;
        let name = unique_name();
        execute(
            server,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        Self::named(server, name, cluster)
    }

    /// Makes another database in the same cluster, which must outlive it.
    pub async fn beside(&self) -> Self {
        Self::create(&self.server, None).await
    }

    fn named(server: &str, name: String, cluster: Option<Cluster>) -> Self {
        Self {
            url: database_url(server, &name),
            name,
            server: server.to_owned(),
            cluster,
        }
    }

    /// Returns the cluster of a database that was started alone, to look at.
    pub fn alone(&self) -> &Cluster {
        self.cluster
            .as_ref()
            .expect("only a database that was started alone has a cluster of its own")
    }

    /// Returns the database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the database's URL for another role than its owner.
    pub fn url_as(&self, role: &str) -> String {
        self.url
            .replacen("user=postgres", &format!("user={role}"), 1)
    }

    /// Returns the cluster of a database that was started alone.
    pub fn cluster(&mut self) -> &mut Cluster {
        self.cluster
            .as_mut()
            .expect("only a database that was started alone has a cluster of its own")
    }

    /// Connects to the database, to look at what the programs wrote.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// Returns the one number that a query gives.
    pub async fn count(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> i64 {
        let client = self.connect().await;
        client.query_one(query, parameters).await.unwrap().get(0)
    }

    /// Returns everything that the database holds, as `pg_dump` writes it.
    pub fn dump(&self) -> String {
        let output = Command::new(postgresql("pg_dump").unwrap())
            .args(["--data-only", "--exclude-table=__diesel_schema_migrations"])
            .arg(&self.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        // The dump begins with a word that differs each time.
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('\\') || *line == "\\.")
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Saves the whole database to a file, as an operator does.
    pub fn back_up(&self, file: &Path) {
        let status = Command::new(postgresql("pg_dump").unwrap())
            .args(["--format=custom", "--file"])
            .arg(file)
            .arg(&self.url)
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Drops the database, whoever is connected, and brings back what was saved.
    pub async fn restore(&self, file: &Path) {
        let name = &self.name;
        for statement in [
            format!("DROP DATABASE {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE template0"),
        ] {
            execute(&self.server, &statement).await;
        }
        let status = Command::new(postgresql("pg_restore").unwrap())
            .args(["--exit-on-error", "--dbname"])
            .arg(&self.url)
            .arg(file)
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        execute(&self.url, statements).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A cluster of its own takes the database along.
        if self.cluster.is_some() {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(execute(
                    &server,
                    &format!("DROP DATABASE {name} WITH (FORCE)"),
                ));
        });
        let _ = dropped.join();
    }
}

/// A PostgreSQL server with its own data.
pub struct Cluster {
    server: Server,
    scratch: Scratch,
    data: PathBuf,
    socket: PathBuf,
    /// Beside those that every cluster has.
    settings: &'static [&'static str],
}

impl Cluster {
    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    ///
    /// Panics if PostgreSQL is not installed, or does not start.
    pub async fn start() -> Self {
        let scratch = Scratch::new("pg");
        let data = scratch.folder("data", Some("postgres"));
        Self::start_in(scratch, data, &[]).await
    }

    /// Makes a cluster on a disk of its own, which can be filled; `None` where we may not make one.
    pub async fn start_on_small_disk() -> Option<Self> {
        let scratch = Scratch::new("pg");
        scratch.small_disk("disk", DISK)?;
        let data = scratch.folder("disk/data", Some("postgres"));
        // It has room for no more.
        Some(Self::start_in(scratch, data, &["max_wal_size=64MB"]).await)
    }

    /// Makes a cluster that also listens on an address of this host that nobody else uses, at PostgreSQL's own port, and
    /// takes encrypted connections only there, as `name`. Returns the address too.
    async fn start_with_tls(name: &str) -> (Self, Ipv4Addr) {
        let scratch = Scratch::new("pg");
        let data = scratch.folder("data", Some("postgres"));
        certify(&scratch, &[name], 30);
        let key = scratch.path().join("key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        give_to(&key, "postgres");
        let rules = scratch.write(
            "pg_hba.conf",
            "local all all trust\nhostssl all all 127.0.0.0/8 trust\n",
        );
        let [.., high, low] = std::process::id().to_be_bytes();
        static COUNTER: AtomicU8 = AtomicU8::new(77);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(127, number, high, low.max(2));
        let file = |name: &str| scratch.path().join(name).display().to_string();
        let settings = [
            format!("listen_addresses={address}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("certificate")),
            format!("ssl_key_file={}", file("key")),
            format!("hba_file={}", rules.display()),
        ];
        let settings: Vec<&'static str> = settings.map(|setting| &*setting.leak()).to_vec();
        (
            Self::start_in(scratch, data, settings.leak()).await,
            address,
        )
    }

    /// Returns the file with the authority that vouches for a cluster with TLS.
    pub fn authority(&self) -> PathBuf {
        self.scratch.path().join("authority")
    }

    async fn start_in(scratch: Scratch, data: PathBuf, settings: &'static [&'static str]) -> Self {
        let socket = scratch.folder("socket", Some("postgres"));
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
        let mut initdb = as_owner("initdb");
        initdb
            .args(["--auth=trust", "--username=postgres", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"])
            .arg("--pgdata")
            .arg(&data);
        run(&scratch, initdb.current_dir(scratch.path()));
        Self {
            server: serve(&scratch, &data, &socket, settings).await,
            scratch,
            data,
            socket,
            settings,
        }
    }

    /// Makes a replica that follows this server and may take over from it. Commits wait for it from now on, so that
    /// none is lost when this server goes.
    pub async fn start_replica(&self) -> Self {
        let scratch = Scratch::new("pg");
        // Made by pg_basebackup, which wants it empty.
        let data = scratch.folder("data", Some("postgres"));
        let socket = scratch.folder("socket", Some("postgres"));
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
        let mut copy = as_owner("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--username=postgres", "--host"])
            .arg(&self.socket)
            .arg("--pgdata")
            .arg(&data);
        run(&scratch, copy.current_dir(scratch.path()));
        let replica = Self {
            server: serve(&scratch, &data, &socket, self.settings).await,
            scratch,
            data,
            socket,
            settings: self.settings,
        };
        execute(
            &self.url(),
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
        )
        .await;
        execute(&self.url(), "SELECT pg_reload_conf()").await;
        replica
    }

    /// Lets a replica take over: it takes writes when this returns.
    pub async fn promote(&self) {
        execute(&self.url(), "SELECT pg_promote()").await;
    }

    /// Returns the URL of a database on this server or on another, whichever takes writes.
    pub fn url_with(&self, other: &Self, database: &Database) -> String {
        let hosts = format!("{},{}", self.socket.display(), other.socket.display());
        format!("postgres:///{}?host={hosts}&user=postgres", database.name)
    }

    /// Connects to a database on this server.
    pub async fn connect(&self, database: &Database) -> Client {
        connect(&database_url(&self.url(), &database.name)).await
    }

    /// Returns the URL of the server, without a database.
    pub fn url(&self) -> String {
        format!("postgres:///?host={}&user=postgres", self.socket.display())
    }

    /// Tells whether the server still runs.
    pub fn is_running(&mut self) -> bool {
        self.server.is_running()
    }

    /// Returns what the server said.
    pub fn log(&self) -> &Log {
        self.server.log()
    }

    /// Stops the server where it is: connections hang.
    pub fn pause(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Kills the server and all its processes: connections break, and later ones are refused.
    pub fn kill9(&mut self) {
        self.signal_all(Signal::SIGKILL);
        self.server.kill9();
    }

    /// Stops the server in good order, breaking connections.
    pub fn stop(&mut self) {
        self.server.signal(Signal::SIGINT);
        self.server.terminate();
    }

    /// Starts the server again.
    pub async fn restart(&mut self) {
        if self.server.is_running() {
            self.stop();
        }
        self.server = serve(&self.scratch, &self.data, &self.socket, self.settings).await;
    }

    /// Fills the disk of a cluster that was started on a small one, to the last octet.
    ///
    /// # Panics
    ///
    /// Panics if the disk is a large one.
    pub fn fill_disk(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        let chunk = vec![0; 1 << 20];
        for size in [chunk.len(), 4_096, 1] {
            for _ in 0..=DISK {
                let Ok(()) = filler.write_all(chunk.get(..size).unwrap()) else {
                    break;
                };
            }
        }
        let more = filler.write_all(&[0]);
        assert!(more.is_err(), "the disk does not fill");
    }

    /// Makes room again on a disk that was filled.
    pub fn free_disk(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        let disk = self.scratch.path().join("disk");
        assert!(disk.is_dir(), "only a small disk can be filled");
        disk.join("filler")
    }

    /// Each process of PostgreSQL has a group of its own.
    fn signal_all(&self, signal: Signal) {
        let parent = self.server.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        self.server.signal(signal);
        for child in children.unwrap_or_default().split_whitespace() {
            if let Some(child) = child.parse().ok().map(nix::unistd::Pid::from_raw) {
                let _ = nix::sys::signal::kill(child, signal);
            }
        }
    }
}

async fn serve(scratch: &Scratch, data: &Path, socket: &Path, settings: &[&str]) -> Server {
    // A killed server leaves this behind.
    let _ = fs::remove_file(data.join("postmaster.pid"));
    let mut command = as_owner("postgres");
    command.arg("-D").arg(data).current_dir(scratch.path());
    for setting in [
        "listen_addresses=",
        "max_connections=300",
        "dynamic_shared_memory_type=mmap",
        "log_min_messages=warning",
        &format!("unix_socket_directories={}", socket.display()),
    ]
    .iter()
    .chain(settings)
    {
        command.arg("-c").arg(setting);
    }
    // QUIT ends the server at once, yet removes what it keeps outside of its folder.
    let server = Server::start(scratch, "postgresql", &mut command, Signal::SIGQUIT);
    server
        .log()
        // A replica goes on: "read-only connections".
        .wait_for("database system is ready to accept")
        .await;
    server
}

fn as_owner(program: &str) -> Command {
    let path = postgresql(program)
        .unwrap_or_else(|| panic!("PostgreSQL's \"{program}\" is not here (package postgresql)"));
    command_as("postgres", path)
}

async fn shared_cluster() -> &'static str {
    static URL: OnceCell<String> = OnceCell::const_new();
    static CLUSTER: Mutex<Option<Cluster>> = Mutex::const_new(None);
    URL.get_or_init(async || {
        if let Ok(url) = std::env::var(CLUSTER_VARIABLE) {
            return url;
        }
        // Never dropped, as statics are: its keeper ends it with the process.
        let cluster = Cluster::start().await;
        let url = cluster.url();
        *CLUSTER.lock().await = Some(cluster);
        url
    })
    .await
}

/// Returns the name of the database from which others are copied; makes it first if need be.
async fn template(server: &str) -> String {
    let name = format!("template_{:016x}", digest_of_migrations());
    let client = connect(server).await;
    client
        .execute("SELECT pg_advisory_lock(20261)", &[])
        .await
        .unwrap();
    let known = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .unwrap();
    if known.is_none() {
        // Under another name until it is whole.
        let scratch = format!("{name}_new");
        for statement in [
            format!("DROP DATABASE IF EXISTS {scratch}"),
            format!("CREATE DATABASE {scratch}"),
        ] {
            client.batch_execute(&statement).await.unwrap();
        }
        migrate(database_url(server, &scratch)).await;
        client
            .batch_execute(&format!("ALTER DATABASE {scratch} RENAME TO {name}"))
            .await
            .unwrap();
    }
    name
}

/// Diesel's migrations need a runtime of several threads, which the one of a test is not.
async fn migrate(url: String) {
    let migrated = tokio::task::spawn_blocking(move || {
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(prepare(&url))
    });
    if let Err(error) = migrated.await.unwrap() {
        panic!("failed to migrate the test database: {error}");
    }
}

/// What `fairtrackctl migrate --roles` does.
async fn prepare(url: &str) -> Result<(), common::db::DbError> {
    common::db::migrate(url).await?;
    let mut connection = common::db::connect(url).await?;
    let config = common::config::Database::default();
    common::db::roles::create(&config, &mut connection).await?;
    common::db::roles::grant(&config, &mut connection).await?;
    Ok(())
}

/// A cluster may outlive a change of the migrations.
fn digest_of_migrations() -> u64 {
    let mut files = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path(), fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}

fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", std::process::id())
}

fn database_url(server: &str, name: &str) -> String {
    server.replacen(":///?", &format!(":///{name}?"), 1)
}

/// Waits until somebody in the database waits for a lock.
///
/// # Panics
///
/// Panics if nobody does in good time.
pub async fn wait_for_a_waiter(client: &Client) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock'";
    let is_seen = async {
        while client
            .query_one(waiting, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_seen).await.unwrap();
}

async fn connect(url: &str) -> Client {
    let url = if url.contains(":///?") {
        database_url(url, "postgres")
    } else {
        url.to_owned()
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("failed to connect to the test cluster: {error}"));
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, statements: &str) {
    let client = connect(url).await;
    client
        .batch_execute(statements)
        .await
        .unwrap_or_else(|error| panic!("\"{statements}\" failed: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_its_own() {
        crate::needs!(PostgreSql);
        let (one, other) = tokio::join!(Database::start(), Database::start());

        let insert = "INSERT INTO controllers VALUES ('one', '', '', '', '')";
        one.execute(insert).await;

        let count = "SELECT count(*) FROM controllers";
        assert_eq!(one.count(count, &[]).await, 1);
        assert_eq!(other.count(count, &[]).await, 0);
    }

    #[tokio::test]
    async fn full_disk_refuses_rows_until_there_is_room_again() {
        crate::needs!(PostgreSql);
        let Some(mut database) = Database::start_on_small_disk().await else {
            println!("skipped: no right to mount a disk");
            return;
        };
        database.execute("CREATE TABLE kept (t text)").await;
        let grow = "INSERT INTO kept SELECT repeat('x', 2000) FROM generate_series(1, 50000)";

        database.cluster().fill_disk();
        let refused = database.connect().await.batch_execute(grow).await;
        database.cluster().free_disk();
        database.cluster().restart().await;

        assert!(refused.is_err());
        database.execute("INSERT INTO kept VALUES ('y')").await;
        let count = "SELECT count(*) FROM kept";
        assert_eq!(database.count(count, &[]).await, 1);
    }

    #[tokio::test]
    async fn killed_server_comes_back_with_what_it_committed() {
        crate::needs!(PostgreSql);
        let mut database = Database::start_alone().await;
        database
            .execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
            .await;

        database.cluster().kill9();
        database.cluster().restart().await;

        let sum = database.count("SELECT sum(n) FROM kept", &[]).await;
        assert_eq!(sum, 7);
    }
}
