// SPDX-License-Identifier: GPL-3.0-or-later
//! A private Postfix: its own configuration, queue, data and users; loopback ports; everything relayed to one place.
//!
//! Four services: submission, which demands authentication and asks the milters; an inbound one as on port 25, which
//! knows no authentication and asks the milters too; a local one without milters, for mail of our own programs; and one
//! that takes the copies of split messages in again, set up as `deploy/postfix-split.cf` says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    log::{Log, PATIENCE},
    port::Port,
    programs::find,
    scratch::{Scratch, give_to},
    server::{Server, run},
    smtp::{Reply, Session},
};

/// A running Postfix.
pub struct Postfix {
    server: Server,
    etc: PathBuf,
    spool: PathBuf,
    submission: Port,
    inbound: Port,
    local: Port,
    copies: Port,
    scratch: Scratch,
}

/// What a Postfix should be like.
pub struct Builder {
    relay: u16,
    users: Vec<(String, String)>,
    milters: Vec<String>,
    inbound_milter: Option<String>,
    settings: Vec<String>,
    way_back_options: Vec<String>,
}

impl Postfix {
    /// Describes a Postfix that relays everything to a port of the loopback interface.
    pub fn relaying_to(port: u16) -> Builder {
        Builder {
            relay: port,
            users: Vec::new(),
            milters: Vec::new(),
            inbound_milter: None,
            settings: Vec::new(),
            way_back_options: Vec::new(),
        }
    }

    /// Returns the port for users, who must authenticate.
    pub fn submission_port(&self) -> u16 {
        self.submission.number()
    }

    /// Returns the port for the world, without authentication but with milters.
    pub fn inbound_port(&self) -> u16 {
        self.inbound.number()
    }

    /// Returns the port for programs of this host, without milters.
    pub fn local_port(&self) -> u16 {
        self.local.number()
    }

    /// Returns the port where split messages come in again.
    pub fn copies_port(&self) -> u16 {
        self.copies.number()
    }

    /// Returns the folder of its configuration.
    pub fn configuration(&self) -> &Path {
        &self.etc
    }

    /// Returns the queue directory, which a chrooted service takes for the root.
    pub fn queue_directory(&self) -> &Path {
        &self.spool
    }

    /// Lets the submission service see nothing but the queue directory from its next session on.
    ///
    /// # Panics
    ///
    /// Panics if `postconf` does not do as it is told.
    pub fn put_submission_into_a_chroot(&self) {
        let service = format!("127.0.0.1:{}/inet/chroot=y", self.submission);
        let mut command = Command::new(find("postconf").unwrap());
        command.arg("-c").arg(&self.etc).args(["-F", &service]);
        run(&self.scratch, &mut command);
        // The passwords are read from within.
        let passwords = self.scratch.path().join("sasldb2");
        let seen = self.spool.join(passwords.strip_prefix("/").unwrap());
        fs::create_dir_all(seen.parent().unwrap()).unwrap();
        fs::copy(passwords, &seen).unwrap();
        give_to(&seen, "postfix");
    }

    /// Returns the mail log.
    pub fn log(&self) -> &Log {
        self.server.log()
    }

    /// Submits a message as a user and returns the server's last answer.
    pub async fn submit(
        &self,
        (login, password): (&str, &str),
        recipients: &[&str],
        message: &[u8],
    ) -> Reply {
        let mut session = Session::open_as(self.submission_port(), login, password).await;
        let reply = session.send(login, recipients, message).await;
        session.quit().await;
        reply
    }

    /// Waits until no message is on its way any more.
    ///
    /// # Panics
    ///
    /// Panics, showing the mail log, if that takes longer than [`PATIENCE`].
    pub async fn wait_until_idle(&self) {
        self.wait_until(|| self.waiting() == 0).await;
    }

    /// Waits until so many messages wait for another try, and none is being delivered.
    ///
    /// # Panics
    ///
    /// Panics, showing the mail log, if that takes longer than [`PATIENCE`].
    pub async fn wait_until_deferred(&self, count: usize) {
        self.wait_until(|| self.waiting() == count && self.queued(&["deferred"]) == count)
            .await;
    }

    /// Tries at once what waits for another try.
    ///
    /// # Panics
    ///
    /// Panics if Postfix does not do as it is told.
    pub fn flush(&self) {
        let mut flush = Command::new(find("postqueue").unwrap());
        run(&self.scratch, flush.arg("-c").arg(&self.etc).arg("-f"));
    }

    async fn wait_until(&self, is_so: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "mail stays in the queue:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Counts the messages that are on their way.
    pub fn waiting(&self) -> usize {
        self.queued(&["maildrop", "incoming", "active", "deferred"])
    }

    /// Counts the messages that Postfix gave up as damaged.
    pub fn corrupt(&self) -> usize {
        self.queued(&["corrupt"])
    }

    fn queued(&self, queues: &[&str]) -> usize {
        queues
            .iter()
            .map(|queue| count_files(&self.spool.join(queue)))
            .sum()
    }
}

impl Builder {
    /// Adds a user, with a domain in the login.
    #[must_use]
    pub fn user(mut self, login: &str, password: &str) -> Self {
        self.users.push((login.to_owned(), password.to_owned()));
        self
    }

    /// Adds a milter after those added before, as `unix:PATH` or `inet:HOST:PORT`. Mail flows without it if it fails.
    #[must_use]
    pub fn milter(self, socket: &str) -> Self {
        self.milter_waited_for(socket, 10, 30)
    }

    /// Adds a milter for which Postfix waits so many seconds at a command, and at the content of a message.
    #[must_use]
    pub fn milter_waited_for(mut self, socket: &str, command: u32, content: u32) -> Self {
        self.milters.push(format!(
            "{{ {socket}, connect_timeout=5s, command_timeout={command}s, content_timeout={content}s, default_action=accept }}"
        ));
        self
    }

    /// Gives the service for the world a milter of its own instead of the others: to compare them.
    #[must_use]
    pub fn inbound_milter(mut self, socket: &str) -> Self {
        self.inbound_milter = Some(format!("{{ {socket}, default_action=accept }}"));
        self
    }

    /// Adds a line to `main.cf`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// Gives the service that takes copies in again another option than `deploy/postfix-split.cf` gives it.
    #[must_use]
    pub fn way_back_option(mut self, option: &str) -> Self {
        self.way_back_options.push(option.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// Panics if Postfix is not installed, or does not start.
    pub async fn start(self) -> Postfix {
        let scratch = Scratch::new("mta");
        let etc = scratch.folder("etc", None);
        let spool = scratch.folder("spool", None);
        let data = scratch.folder("data", Some("postfix"));
        let (submission, inbound, local) = (Port::reserve(), Port::reserve(), Port::reserve());
        let copies = Port::reserve();

        self.write_users(&scratch);
        let mut main = main_cf(&spool, &data, self.relay);
        main.push_str(&format!("harness_milters = {}\n", self.milters.join(", ")));
        let for_the_world = self.inbound_milter.as_deref();
        main.push_str(&format!(
            "harness_inbound_milters = {}\n",
            for_the_world.unwrap_or("$harness_milters")
        ));
        main.push_str(&self.settings.join("\n"));
        main.push('\n');
        let way_back = WayBack::read(&etc, &copies, &self.way_back_options);
        scratch.write("etc/fairtrack_split", way_back.table);
        main.push_str(&way_back.main);
        scratch.write("etc/main.cf", main);
        scratch.write(
            "etc/master.cf",
            MASTER_CF
                .replace("SUBMISSION", &submission.to_string())
                .replace("INBOUND", &inbound.to_string())
                .replace("LOCAL", &local.to_string())
                .replace("WAY_BACK\n", &way_back.master),
        );

        let program = find("postfix").expect("Postfix is not here (package postfix)");
        run(
            &scratch,
            Command::new(program).arg("-c").arg(&etc).arg("check"),
        );
        // In the foreground (-d), speaking to standard output (-s), and so within our process group.
        let mut master = Command::new(daemons().join("master"));
        master.arg("-c").arg(&etc).args(["-d", "-s"]);
        let server = Server::start(&scratch, "postfix", &mut master, Signal::SIGTERM);
        server.log().wait_for("daemon started").await;
        Postfix {
            server,
            etc,
            spool,
            submission,
            inbound,
            local,
            copies,
            scratch,
        }
    }

    fn write_users(&self, scratch: &Scratch) {
        let file = scratch.path().join("sasldb2");
        // Debian's Postfix looks for this beside its own configuration.
        scratch.write(
            "etc/sasl/smtpd.conf",
            format!(
                "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: PLAIN LOGIN\n",
                file.display()
            ),
        );
        for (login, password) in &self.users {
            let (name, realm) = login.split_once('@').expect("a login has a domain");
            let input = scratch.write("password", password);
            let status = Command::new(find("saslpasswd2").expect("package sasl2-bin is not here"))
                .args(["-p", "-c", "-f"])
                .arg(&file)
                .args(["-u", realm, name])
                .stdin(Stdio::from(fs::File::open(&input).unwrap()))
                .status()
                .unwrap();
            assert!(status.success(), "saslpasswd2 failed");
            fs::remove_file(input).unwrap();
        }
        if file.exists() {
            give_to(&file, "postfix");
        }
    }
}

/// What `deploy/postfix-split.cf` has an administrator put where.
struct WayBack {
    main: String,
    master: String,
    table: String,
}

impl WayBack {
    fn read(etc: &Path, copies: &Port, options: &[String]) -> Self {
        let shipped = include_str!("../../deploy/postfix-split.cf")
            .replace("127.0.0.1]:10026", &format!("127.0.0.1]:{copies}"))
            .replace("127.0.0.1:10026", &format!("127.0.0.1:{copies}"))
            .replace("/etc/postfix", &etc.display().to_string())
            .replace("fairtrack_submission_milters", "harness_milters");
        let lines = |wanted: &dyn Fn(&str) -> bool| -> String {
            let lines = shipped
                .lines()
                .map(|line| line.strip_prefix("# ").unwrap_or(line))
                .filter(|line| wanted(line));
            lines.map(|line| format!("{line}\n")).collect()
        };
        let service = format!("127.0.0.1:{copies} inet");
        let mut master = lines(&|line| {
            line.starts_with("  -o ")
                || line.starts_with("fairtrack-copies unix")
                || line.starts_with(&service)
        });
        for option in options {
            master.push_str(&format!("  -o {option}\n"));
        }
        Self {
            main: lines(&|line| {
                line.starts_with("milter_header_checks =") || line.starts_with("fairtrack-copies_")
            }),
            master,
            table: lines(&|line| line.trim_start().starts_with("/^"))
                .trim_start()
                .to_owned(),
        }
    }
}

fn main_cf(spool: &Path, data: &Path, relay: u16) -> String {
    format!(
        "queue_directory = {}\ndata_directory = {}\ndaemon_directory = {}\nrelayhost = [127.0.0.1]:{relay}\n{MAIN_CF}",
        spool.display(),
        data.display(),
        daemons().display()
    )
}

fn daemons() -> PathBuf {
    ["/usr/lib/postfix/sbin", "/usr/libexec/postfix"]
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.join("master").is_file())
        .expect("Postfix is not here (package postfix)")
}

fn count_files(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        count += match entry.file_type() {
            Ok(kind) if kind.is_dir() => count_files(&entry.path()),
            Ok(_) => 1,
            // Gone since the folder was read.
            Err(_) => 0,
        };
    }
    count
}

const MAIN_CF: &str = "compatibility_level = 3.5
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = /dev/stdout
myhostname = mail.example.com
mydomain = example.com
myorigin = example.com
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtputf8_autodetect_classes = all
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = example.com
message_size_limit = 60000000
mailbox_size_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
default_process_limit = 50
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
milter_protocol = 6
milter_default_action = accept
smtpd_milters =
non_smtpd_milters =
milter_macro_defaults = message_size_limit=$message_size_limit
";

const MASTER_CF: &str = "127.0.0.1:SUBMISSION inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=
  -o milter_macro_daemon_name=ORIGINATING
  -o smtpd_milters=$harness_milters
127.0.0.1:INBOUND inet n - n - - smtpd
  -o syslog_name=postfix/inbound
  -o smtpd_milters=$harness_inbound_milters
127.0.0.1:LOCAL inet n - n - - smtpd
  -o syslog_name=postfix/local
WAY_BACK
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;

    const MESSAGE: &[u8] = b"From: Alice <alice@example.com>\r\nTo: bob@recipient.test\r\n\
        Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nSubject: =?utf-8?q?x?=\r\n\
        \r\nz\xc3\xb3\xc5\x82w\r\n.\r\n\r\n";

    #[tokio::test]
    async fn authenticated_message_arrives_octet_for_octet() {
        crate::needs!(Postfix);
        let sink = Sink::start();
        let postfix = Postfix::relaying_to(sink.port())
            .user("alice@example.com", "secret")
            .start()
            .await;

        let reply = postfix
            .submit(
                ("alice@example.com", "secret"),
                &["bob@recipient.test"],
                MESSAGE,
            )
            .await;
        let delivery = sink.next().await;
        postfix.wait_until_idle().await;

        assert_eq!(reply.code, 250);
        assert_eq!(delivery.without_trace(), MESSAGE);
        assert_eq!(sink.take().map(|more| more.recipients), None);
    }

    #[tokio::test]
    async fn stranger_may_not_submit() {
        crate::needs!(Postfix);
        let sink = Sink::start();
        let postfix = Postfix::relaying_to(sink.port()).start().await;

        let mut session = Session::open(postfix.submission_port()).await;
        let reply = session
            .send("alice@example.com", &["bob@recipient.test"], MESSAGE)
            .await;

        assert!(reply.code >= 500, "{}", reply.text);
    }
}
