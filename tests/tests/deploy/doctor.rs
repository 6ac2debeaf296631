// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl doctor`: nothing is wrong with a sound installation, and each thing made wrong on purpose is found.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Command, Output},
    thread,
};

use common::{
    config::Socket,
    db::{
        self,
        locks::{self, Task},
    },
};
use harness::{
    database::Database,
    installation::{Builder, Installation, program_path},
    needs,
    port::Port,
    scratch::Scratch,
    sink::Sink,
    site::{ALICE, Site},
};
use serde_json::Value;

use crate::postfix::{apply, plan, site_before_us_on};

/// What the doctor found.
struct Diagnosis {
    findings: Vec<Value>,
    status: Option<i32>,
}

impl Diagnosis {
    fn of(output: &Output) -> Self {
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self {
            findings: findings.as_array().unwrap().clone(),
            status: output.status.code(),
        }
    }

    /// The pieces at which something is wrong, once each.
    fn wrong(&self) -> Vec<&str> {
        let mut pieces: Vec<&str> = self
            .findings
            .iter()
            .filter(|finding| finding["level"] == "wrong")
            .map(|finding| {
                assert!(finding["advice"].is_string(), "{finding}");
                finding["piece"].as_str().unwrap()
            })
            .collect();
        pieces.dedup();
        pieces
    }

    fn says(&self, level: &str, text: &str) -> bool {
        self.findings.iter().any(|finding| {
            finding["level"] == level && finding["found"].as_str().unwrap().contains(text)
        })
    }
}

fn ask(installation: &Installation, more: &[&str]) -> Diagnosis {
    let mut arguments = vec!["doctor", "--json"];
    arguments.extend(more);
    Diagnosis::of(&installation.run("fairtrackctl", &arguments, b""))
}

fn ask_about(site: &Site) -> Diagnosis {
    let folder = site.postfix.configuration().display().to_string();
    ask(&site.installation, &["--postfix", &folder])
}

/// Makes a role like an administrator's: it owns the database and is nothing beyond. Returns the URL.
async fn ordinary_role(database: &Database) -> String {
    let url = database.url();
    let name = url
        .trim_start_matches("postgres:///")
        .split('?')
        .next()
        .unwrap();
    let role = format!("owner_of_{name}");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE {name} TO {role};
             GRANT ALL ON SCHEMA public TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .await;
    url.replace("user=postgres", &format!("user={role}"))
}

/// A site with everything in its place, nothing started yet but Postfix.
async fn sound_site(database: Database, more: impl FnOnce(Builder) -> Builder) -> Site {
    let url = ordinary_role(&database).await;
    let site = site_before_us_on(database, |builder, _| {
        more(builder.set("database.url", url))
    })
    .await;
    apply(&site, &plan(&site, &[])).await;
    site
}

#[tokio::test]
async fn sound_installation_has_nothing_wrong() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| builder).await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;

    let diagnosis = ask_about(&site);

    assert_eq!(
        diagnosis.wrong(),
        [] as [&str; 0],
        "{:#?}",
        diagnosis.findings
    );
    assert_eq!(diagnosis.status, Some(0));
    let pieces: Vec<&str> = diagnosis
        .findings
        .iter()
        .map(|finding| finding["piece"].as_str().unwrap())
        .collect();
    for piece in [
        "configuration",
        "keys",
        "database",
        "schema",
        "role",
        "clock",
        "partitions",
        "retention",
        "hit log",
        "disk",
        "collector",
        "milter",
        "Postfix",
        "milter socket",
        "sign-in mail",
        "pixel",
        "link",
        "cache",
        "access log",
    ] {
        assert!(pieces.contains(&piece), "\"{piece}\" was not looked at");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_database_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let mut site = sound_site(Database::start_alone().await, |builder| builder).await;
    // Or the collector would mend, when it starts, what is made wrong below.
    let mut connection = db::connect(site.database.url()).await.unwrap();
    assert!(
        locks::try_take(Task::Retention, &mut connection)
            .await
            .unwrap()
    );
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;

    site.user(ALICE).await;
    site.database
        .execute(
            "INSERT INTO messages (controller_id, id, user_id, queue_id, message_id_header, subject, sent_at, opens, links)
                SELECT controller_id, gen_random_uuid(), id, 'Q', '<1@example.com>', 'x', now() - interval '93 days', true, true
                FROM users;
             DO $$ BEGIN
                EXECUTE (SELECT string_agg(format('DROP TABLE %I', relid::text), ';')
                    FROM pg_partition_tree('hits') WHERE isleaf AND relid::text > to_char(now(), '\"hits_\"YYYY_MM'));
             END $$;
             CREATE SCHEMA wrong;
             CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql
                AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 minute''';
             GRANT USAGE ON SCHEMA wrong TO PUBLIC;
             DO $$ BEGIN
                EXECUTE format('ALTER DATABASE %I SET search_path = wrong, pg_catalog, public', current_database());
             END $$;
             ALTER ROLE fairtrack_collector SUPERUSER",
        )
        .await;
    let neglected = ask_about(&site);
    site.database
        .execute("DELETE FROM __diesel_schema_migrations WHERE version > '2026112400000'")
        .await;
    let old = ask_about(&site);
    site.database.cluster().kill9();
    let dead = ask_about(&site);

    assert_eq!(
        neglected.wrong(),
        ["role", "clock", "partitions", "retention"]
    );
    assert_eq!(neglected.status, Some(1));
    assert_eq!(old.wrong(), ["schema", "collector"]);
    assert_eq!(dead.wrong(), ["database", "collector"]);
}

#[tokio::test]
async fn what_is_wrong_with_files_and_programs_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| {
        builder.set("collector.hit_log_size", "900000000MB")
    })
    .await;
    fs::create_dir_all(site.installation.hit_log()).unwrap();
    fs::write(site.installation.hit_log().join("1.unreadable"), b"x").unwrap();
    fs::set_permissions(site.installation.keys(), fs::Permissions::from_mode(0o644)).unwrap();

    let diagnosis = ask_about(&site);

    assert_eq!(
        diagnosis.wrong(),
        [
            "keys",
            "hit log",
            "disk",
            "collector",
            "milter",
            "milter socket",
            "public URL"
        ],
        "{:#?}",
        diagnosis.findings
    );

    fs::write(site.installation.configuration(), "[milter]\nsocket = 7\n").unwrap();
    assert_eq!(ask_about(&site).wrong(), ["configuration"]);
}

#[tokio::test]
async fn what_listens_and_is_no_milter_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| builder).await;
    let _collector = site.installation.start_collector().await;
    let path = site.installation.milter_socket();
    let path = path.trim_start_matches("unix:");
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            greet(stream);
        }
    });

    let diagnosis = ask_about(&site);

    assert_eq!(diagnosis.wrong(), ["milter", "milter socket"]);
    assert!(diagnosis.says("wrong", "is no milter"));
    assert!(diagnosis.says("wrong", "mode 600"));
}

/// Answers as an SSH server does.
fn greet(mut stream: UnixStream) {
    // What it was sent is read first, or the end of the connection would be an error there.
    let _ = stream.read(&mut [0; 64]);
    let _ = stream.write_all(b"SSH-2.0-something-else\r\n");
}

#[tokio::test]
async fn postfix_that_asks_wrongly_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| builder).await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let set = |line: &str| {
        let done = Command::new("postconf")
            .arg("-c")
            .arg(site.postfix.configuration())
            .args(["-e", line])
            .status()
            .unwrap();
        assert!(done.success(), "{line}");
    };
    let socket = site.installation.milter_socket();
    let list = plan(&site, &[])["master_cf"][0]["options"][0]
        .as_str()
        .unwrap()
        .trim_start_matches("smtpd_milters=$")
        .to_owned();

    set(&format!("{list} = {}, {socket}", site.signer.socket()));
    set("milter_default_action = tempfail");
    set(&format!("non_smtpd_milters = {socket}"));
    set(&format!("harness_milters = {socket}"));
    let misled = ask_about(&site);
    set(&format!("{list} = {}", site.signer.socket()));
    let unasked = ask_about(&site);

    assert_eq!(misled.wrong(), ["Postfix"]);
    for found in [
        "before us: signed mail is left untouched",
        "does \"tempfail\" while we are away",
        "is not for submission and asks us",
        "\"non_smtpd_milters\" names us",
    ] {
        assert!(misled.says("wrong", found), "{found}");
    }
    assert!(unasked.says("wrong", "no submission service asks"));
}

#[tokio::test]
async fn proxy_that_caches_logs_or_hides_us_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let (url, logs) = careless_proxy();
    let site = sound_site(Database::start_alone().await, |builder| {
        builder.set("controller.public_url", url)
    })
    .await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let folder = site.postfix.configuration().display().to_string();

    let diagnosis = ask(
        &site.installation,
        &[
            "--postfix",
            &folder,
            "--proxy-logs",
            &logs.path().display().to_string(),
        ],
    );

    assert_eq!(
        diagnosis.wrong(),
        ["pixel", "link", "cache", "access log"],
        "{:#?}",
        diagnosis.findings
    );
}

/// Answers everything with a page of its own, out of a cache, and writes it all down. Ends with the test.
fn careless_proxy() -> (String, Scratch) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let logs = Scratch::new("logs");
    let mut log = fs::File::create(logs.path().join("access.log")).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let _ = log.write_all(request.get(..read).unwrap_or_default());
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAge: 7\r\nConnection: close\r\n\r\nWelcome",
            );
        }
    });
    (url, logs)
}

#[tokio::test]
async fn mail_server_that_refuses_sign_in_links_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let sink = Sink::start();
    sink.refuse("postmaster@example.com");
    let port = sink.port();
    let site = sound_site(Database::start_alone().await, |builder| {
        builder.mail_through(port)
    })
    .await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;

    assert_eq!(ask_about(&site).wrong(), ["sign-in mail"]);
}

#[tokio::test]
async fn way_back_that_takes_no_split_mail_is_found() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let sink = Sink::start();
    sink.refuse("postmaster@example.net");
    let port = sink.port();
    let site = sound_site(Database::start_alone().await, |builder| {
        builder
            .set("controller.multi_recipient", "split")
            .set("milter.reinject", format!("smtp://127.0.0.1:{port}"))
    })
    .await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;

    assert_eq!(ask_about(&site).wrong(), ["split mail"]);
}

#[tokio::test]
async fn settings_weaker_than_their_defaults_are_noted_and_fail_nothing() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| {
        builder
            .set("milter.health_gate", false)
            .set("milter.deadline", "10s")
            .set("retention.hits", "2y")
            .set("retention.consent_proof", "9y")
            .set("collector.trusted_proxies", vec!["0.0.0.0/0"])
            .set("controller.internal", true)
            .set("controller.consent", "not-required")
            .set("controller.basis", "stated")
    })
    .await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;

    let diagnosis = ask_about(&site);

    assert_eq!(
        diagnosis.wrong(),
        [] as [&str; 0],
        "{:#?}",
        diagnosis.findings
    );
    for found in [
        "milter.health_gate",
        "milter.deadline",
        "milter.socket_mode",
        "retention.hits",
        "retention.consent_proof",
        "believes everybody",
        "its own domains",
        "does not ask for consent",
    ] {
        assert!(diagnosis.says("note", found), "{found}");
    }
}

/// Another host with the same configuration: it has `fairtrackctl` and these programs of ours.
struct Host {
    programs: Scratch,
}

impl Host {
    fn with(programs: &[&str]) -> Self {
        let folder = Scratch::new("host");
        for program in programs.iter().chain(&["fairtrackctl"]) {
            let built = program_path(program);
            let here = folder.path().join(program);
            // A symbolic link would be followed to where the other programs are.
            if fs::hard_link(&built, &here).is_err() {
                fs::copy(&built, &here).unwrap();
            }
        }
        Self { programs: folder }
    }

    fn ask(&self, site: &Site, configuration: &Path) -> Diagnosis {
        let output = Command::new(self.programs.path().join("fairtrackctl"))
            .env_remove("DATABASE_URL")
            .env("PATH", "/nonexistent")
            .env("FAIRTRACK_CONFIG", configuration)
            .args(["doctor", "--json", "--postfix"])
            .arg(site.postfix.configuration())
            .output()
            .unwrap();
        Diagnosis::of(&output)
    }
}

#[tokio::test]
async fn what_runs_on_another_host_is_not_wrong_here() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = sound_site(Database::start_alone().await, |builder| builder).await;
    let milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let shared = fs::read_to_string(site.installation.configuration()).unwrap();
    let configuration = |name: &str, changes: &[(&str, &str)]| {
        let text = changes.iter().fold(shared.clone(), |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        });
        let file = site.postfix.configuration().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    // Where the collector is not, its folder, its port of health and the mail server that it uses are not either.
    let free = Port::reserve();
    let on_the_mail_host = configuration(
        "mail.toml",
        &[
            (
                site.installation.admin_url().trim_start_matches("http://"),
                &format!("127.0.0.1:{free}"),
            ),
            (
                &site.installation.hit_log().display().to_string(),
                "/nonexistent",
            ),
            (
                &format!("smtp://127.0.0.1:{}", site.postfix.local_port()),
                &format!("smtp://127.0.0.1:{free}"),
            ),
        ],
    );
    let on_the_web_host = configuration(
        "web.toml",
        &[(
            &site.installation.milter_socket(),
            "unix:/nonexistent/milter",
        )],
    );

    let mail = Host::with(&["fairtrack-milter"]).ask(&site, &on_the_mail_host);
    let web = Host::with(&["fairtrack-collector"]).ask(&site, &on_the_web_host);
    let both = Host::with(&["fairtrack-collector", "fairtrack-milter"]);
    let whole = both.ask(&site, &on_the_web_host);
    drop(milter);
    let dead = Host::with(&["fairtrack-milter"]).ask(&site, &on_the_mail_host);

    for (diagnosis, absent, present) in [
        (&mail, "collector", "milter"),
        (&web, "milter", "collector"),
    ] {
        let level = |piece: &str| {
            let findings = diagnosis.findings.iter();
            let mut of = findings.filter(|finding| finding["piece"] == piece);
            let level = of.next().map(|finding| finding["level"].clone());
            assert!(of.next().is_none(), "{:#?}", diagnosis.findings);
            level.unwrap()
        };
        assert_eq!(
            diagnosis.wrong(),
            [] as [&str; 0],
            "{:#?}",
            diagnosis.findings
        );
        assert_eq!(diagnosis.status, Some(0));
        assert!(diagnosis.says("note", "is not on this host"));
        assert_eq!(level(absent), "note");
        assert_eq!(level(present), "ok");
    }
    assert!(web.says("note", "no submission service of this host asks"));
    assert_eq!(whole.wrong(), ["milter", "Postfix"]);
    assert_eq!(dead.wrong(), ["milter", "milter socket"]);
    assert_eq!(dead.status, Some(1));
}

#[tokio::test]
async fn milter_of_another_host_is_asked_where_postfix_asks_it() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let port = Port::reserve();
    let site = site_before_us_on(Database::start_alone().await, |builder, _| {
        builder.milter_on(Socket::Inet(format!("0.0.0.0:{port}")))
    })
    .await;
    let ours = format!("inet:localhost:{port}");
    apply(&site, &plan(&site, &["--socket", &ours])).await;
    let milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let postfix = Host::with(&[]);

    let well = postfix.ask(&site, &site.installation.configuration());
    drop(milter);
    let dead = postfix.ask(&site, &site.installation.configuration());

    assert_eq!(well.wrong(), [] as [&str; 0], "{:#?}", well.findings);
    assert!(well.says("ok", &format!("answers at \"{ours}\"")));
    assert!(well.says("ok", "asks us before the signer"));
    assert_eq!(dead.wrong(), ["milter"]);
    assert_eq!(dead.status, Some(1));
}
