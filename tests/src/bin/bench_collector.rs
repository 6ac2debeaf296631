// SPDX-License-Identifier: GPL-3.0-or-later
//! What an answered and recorded hit costs, beside a static file and beside an insert for each hit, in one run.
//!
//! CPU is that of server and database together, for each answer; requests for each second depend on the machine, ratios
//! hardly do. Servers are kept on one CPU, the load on another. What is done after the answer counts too: verdicts are
//! settled when the load is over, and the time that takes is shared out among the hits.
//!
//! The mix: each message is hit three times within a few hundred requests, then no more until all others had their turn.
//! So for every third hit a message and the consent of its recipient are read that were never seen before.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where a step fails")]

use std::{
    io::Write,
    process::{Command, ExitCode},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use common::{ids::MessageId, keys::KeyRing, tracking_url};
use harness::{
    bars::Bars,
    cpu::{self, Family},
    database::Database,
    installation::Installation,
    load::{self, Connections, Outcome, Paths},
    port::Port,
    programs,
    scratch::Scratch,
    server::Server,
};
use nix::sys::signal::Signal;
use uuid::Uuid;

const MESSAGES: usize = 100_000;
/// Hits on each message, and messages between two hits on the same.
const REPEATS: usize = 3;
const BLOCK: usize = 100;
const SERVERS: usize = 0;
const LOAD: usize = 1;
/// Longer than a load lasts, so that settling is measured by itself.
const SETTLE: &str = "5s";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, url, port] = arguments.as_slice()
        && verb == "naive"
    {
        serve_naively(url, port.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(bench())
}

/// A server that is measured.
struct Contender {
    name: &'static str,
    address: String,
    paths: Paths,
    family: Family,
    work: Work,
}

/// What a contender does beside answering.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Nothing,
    Records,
    RecordsAndSettles,
}

async fn bench() -> ExitCode {
    let mut bars = Bars::default();
    if !programs::are_here(&[programs::Program::PostgreSql]) {
        bars.unmeasured("everything: PostgreSQL is not installed");
        return bars.end();
    }
    cpu::pin(std::process::id(), SERVERS);
    let database = Database::start_alone().await;
    let installation = Installation::on(&database)
        .set("classify.settle", SETTLE)
        .write();
    let tokens = fill(&installation, &database).await;
    let collector = installation.start_collector().await;
    let postgresql = postmaster(&database).await;

    let scratch = Scratch::new("bench");
    let (nginx_port, naive_port) = (Port::reserve(), Port::reserve());
    let nginx = start_nginx(&scratch, &nginx_port);
    let naive = start_naive(&scratch, &database, &naive_port);
    let address = installation.url().replace("http://", "");
    // Of different messages, so that links find none that pixels have hit.
    let (opened, followed) = tokens.split_at(MESSAGES / 2);
    let pixels = in_turn(opened.iter().map(|urls| urls.0.clone()).collect());
    let links = in_turn(followed.iter().map(|urls| urls.1.clone()).collect());
    let ours = |name, paths: &Rc<Vec<String>>| Contender {
        name,
        address: address.clone(),
        paths: Paths::new(paths),
        family: Family::of(collector.id()),
        work: Work::RecordsAndSettles,
    };
    let mut contenders = Vec::new();
    if let Some(nginx) = &nginx {
        contenders.push(Contender {
            name: "nginx",
            address: format!("127.0.0.1:{nginx_port}"),
            paths: Paths::new(&pixels),
            family: Family::of(nginx.id()),
            work: Work::Nothing,
        });
    } else {
        bars.unmeasured("the pixel beside nginx: it is not installed");
    }
    contenders.push(Contender {
        name: "naive",
        address: format!("127.0.0.1:{naive_port}"),
        paths: Paths::new(&pixels),
        family: Family::of(naive.id()),
        work: Work::Records,
    });
    contenders.extend([ours("pixel", &pixels), ours("link", &links)]);
    cpu::pin(std::process::id(), LOAD);

    print_head(&scratch);
    let mut answered = 0;
    for connections in [Connections::Kept, Connections::Fresh] {
        for count in [1, 64, 256] {
            let mut costs: Vec<(&str, Cost)> = Vec::new();
            for contender in &contenders {
                let cost = measure(contender, &postgresql, &database, connections, count).await;
                if contender.work == Work::RecordsAndSettles {
                    answered += cost.answered;
                }
                costs.push((contender.name, cost));
                print_row(connections, count, &costs);
            }
            judge(&mut bars, connections, count, &costs);
        }
    }
    let memory = Family::of(collector.id()).resident() / 1024;
    let what = "memory of the collector, MiB";
    bar(&mut bars, what, memory as f64, 150.0);
    let stored = database.count("SELECT count(*) FROM hits", &[]).await;
    println!("{answered} hits answered, {stored} stored");
    let share = stored as f64 / answered.max(1) as f64;
    bars.at_least("share of the answered hits that is stored", share, 1.0);
    bars.end()
}

fn print_head(scratch: &Scratch) {
    println!(
        "CPU for each answer, µs; one write that is on the disk costs {:.1}",
        durable_write(scratch)
    );
    println!(
        "contender connections   total = server + database + settling   p50 ms  p99 ms   req/s  × nginx  naive ÷"
    );
}

/// Returns the paths in the order in which they are requested.
fn in_turn(paths: Vec<String>) -> Rc<Vec<String>> {
    let blocks = paths.chunks(BLOCK);
    Rc::new(
        blocks
            .flat_map(|block| block.iter().cycle().take(block.len() * REPEATS))
            .cloned()
            .collect(),
    )
}

/// What each answer cost, in microseconds of CPU.
struct Cost {
    server: f64,
    database: f64,
    settling: f64,
    outcome: Outcome,
    /// Those before the measurement included.
    answered: u64,
}

impl Cost {
    fn total(&self) -> f64 {
        self.server + self.database + self.settling
    }
}

async fn measure(
    contender: &Contender,
    postgresql: &Family,
    database: &Database,
    connections: Connections,
    count: usize,
) -> Cost {
    let seconds = std::env::var("FAIRTRACK_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let paths = &contender.paths;
    let short = Duration::from_millis(300);
    let warm = load::run(&contender.address, paths, connections, count, short).await;
    settle(contender, database).await;

    let before = (contender.family.time(), postgresql.time());
    let length = Duration::from_secs(seconds);
    let outcome = load::run(&contender.address, paths, connections, count, length).await;
    let after = (contender.family.time(), postgresql.time());
    settle(contender, database).await;
    let settled = (contender.family.time(), postgresql.time());

    let each = |took: Duration| took.as_secs_f64() * 1e6 / outcome.answers.max(1) as f64;
    let records = |took: f64| match contender.work {
        Work::Nothing => 0.0,
        Work::Records | Work::RecordsAndSettles => took,
    };
    Cost {
        server: each(after.0 - before.0),
        database: records(each(after.1 - before.1)),
        settling: match contender.work {
            Work::RecordsAndSettles => each(settled.0 - after.0) + each(settled.1 - after.1),
            Work::Nothing | Work::Records => 0.0,
        },
        answered: warm.answers + outcome.answers,
        outcome,
    }
}

/// Waits until all verdicts are settled.
async fn settle(contender: &Contender, database: &Database) {
    if contender.work != Work::RecordsAndSettles {
        return;
    }
    let client = database.connect().await;
    let open = "SELECT count(*) FROM arrivals";
    while client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn print_row(connections: Connections, count: usize, costs: &[(&str, Cost)]) {
    let Some((name, cost)) = costs.last() else {
        return;
    };
    let ratio = |other: &str, ratio: fn(f64, f64) -> f64| {
        total(costs, other).map_or_else(String::new, |other| {
            format!("{:.1}", ratio(cost.total(), other))
        })
    };
    let millis = |percent| cost.outcome.percentile(percent).as_secs_f64() * 1e3;
    println!(
        "{name:9} {count:>4} {:6} {:9.1} = {:6.1} + {:6.1} + {:6.1} {:15.2} {:7.2} {:8.0} {:>8} {:>8}{}",
        named(connections),
        cost.total(),
        cost.server,
        cost.database,
        cost.settling,
        millis(50),
        millis(99),
        cost.outcome.answers as f64 / cost.outcome.took.as_secs_f64(),
        ratio("nginx", |ours, nginx| ours / nginx),
        ratio("naive", |ours, naive| naive / ours),
        if cost.outcome.failures > 0 {
            format!("  {} failed", cost.outcome.failures)
        } else {
            String::new()
        }
    );
}

fn named(connections: Connections) -> &'static str {
    match connections {
        Connections::Fresh => "fresh",
        Connections::Kept => "kept",
    }
}

fn total(costs: &[(&str, Cost)], wanted: &str) -> Option<f64> {
    costs
        .iter()
        .find(|(name, _)| *name == wanted)
        .map(|(_, cost)| cost.total())
}

fn judge(bars: &mut Bars, connections: Connections, count: usize, costs: &[(&str, Cost)]) {
    let name = format!("{count} {}", named(connections));
    let Some(pixel) = total(costs, "pixel") else {
        return;
    };
    if let Some(nginx) = total(costs, "nginx") {
        bar(
            bars,
            &format!("pixel at {name}, × nginx"),
            pixel / nginx,
            4.0,
        );
    }
    if let Some(naive) = total(costs, "naive") {
        let what = format!("pixel at {name}, share of naive");
        bar(bars, &what, pixel / naive, 0.2);
    }
    if let Some(link) = total(costs, "link") {
        bar(bars, &format!("link at {name}, × pixel"), link / pixel, 1.3);
    }
    let ours = costs
        .iter()
        .filter(|(name, _)| ["pixel", "link"].contains(name));
    for (contender, cost) in ours.filter(|_| count == 64) {
        let slow = cost.outcome.percentile(99).as_secs_f64() * 1e3;
        bar(
            bars,
            &format!("{contender} at {name}, p99 in ms"),
            slow,
            50.0,
        );
    }
}

fn bar(bars: &mut Bars, what: &str, value: f64, most: f64) {
    let word = bars.at_most(what, value, most);
    println!("{word:6} {what}: {value:.2} (at most {most})");
}

/// Returns what it costs to append a short record to a file and to wait until it is on the disk: the least that a hit
/// costs which shares its commit with no other, in microseconds of CPU.
fn durable_write(scratch: &Scratch) -> f64 {
    let mut file = std::fs::File::create(scratch.path().join("durable")).unwrap();
    let ourselves = Family::of(std::process::id());
    let before = ourselves.time();
    for _ in 0..1000 {
        file.write_all(&[b'x'; 200]).unwrap();
        file.sync_data().unwrap();
    }
    (ourselves.time() - before).as_secs_f64() * 1e3
}

/// Writes messages down, with consent for all of them, and returns the paths of a pixel and a link of each.
async fn fill(installation: &Installation, database: &Database) -> Vec<(String, String)> {
    database
        .execute(
            "INSERT INTO controllers (id, name, address, contact, authority) VALUES ('example', '', '', '', '');
             INSERT INTO users (controller_id, id, login)
             SELECT 'example', gen_random_uuid(), 'user' || n || '@example.com' FROM generate_series(1, 20) n;
             INSERT INTO subjects (controller_id, subject_ref, address, base_address)
             SELECT 'example', gen_random_uuid(), n || '@elsewhere.example', n || '@elsewhere.example'
             FROM generate_series(1, 2000) n;
             INSERT INTO consent_events (controller_id, seq, event_id, subject_ref, purpose, state, author, assurance, at,
                 effective_at, profile, method, evidence_sha256, prev_hash, entry_hash)
             SELECT 'example', row_number() OVER (), gen_random_uuid(), subject_ref, purpose, 'granted', 'recipient', 2,
                 now(), now() - interval '1 day', 'p1', 'page', '', '', ''
             FROM subjects, unnest(ARRAY['open', 'click']) AS purpose;",
        )
        .await;
    let count = MESSAGES;
    database
        .execute(&format!(
            "INSERT INTO messages (controller_id, id, user_id, queue_id, sent_at, opens, links, record)
             SELECT 'example', gen_random_uuid(), users.id, 'Q', now() - interval '1 hour', true, true, '{{\"parts\": [
                 {{\"links\": [{{\"ordinal\": 1, \"host\": \"www.shop.example\", \"text\": \"Boots\"}}]}}]}}'
             FROM users, generate_series(1, {count} / 20);
             WITH numbered AS (SELECT id, row_number() OVER () AS n FROM messages),
                 people AS (SELECT subject_ref, row_number() OVER () AS n FROM subjects)
             INSERT INTO message_recipients SELECT 'example', numbered.id, subject_ref
             FROM numbered JOIN people ON people.n = numbered.n % 2000 + 1;
             ANALYZE;
             CREATE TABLE naive_hits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token text NOT NULL,
                 user_agent text, at timestamptz NOT NULL DEFAULT now());"
        ))
        .await;
    let keys = KeyRing::read(&installation.keys()).unwrap();
    let client = database.connect().await;
    let rows = client.query("SELECT id FROM messages", &[]).await.unwrap();
    let destination = "https://www.shop.example/catalogue/autumn/boots?size=42&colour=brown";
    rows.iter()
        .map(|row| MessageId(row.get::<_, Uuid>(0)))
        .map(|message| {
            (
                tracking_url::pixel("", &keys, message),
                tracking_url::link("", &keys, message, 1, destination),
            )
        })
        .collect()
}

async fn postmaster(database: &Database) -> Family {
    let client = database.connect().await;
    let row = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap();
    Family::of(cpu::parent(row.get::<_, i32>(0).unsigned_abs()))
}

/// The limit: a constant picture and a line in a file, which is neither durable nor asked for consent.
fn start_nginx(scratch: &Scratch, port: &Port) -> Option<Server> {
    let program = programs::find("nginx")?;
    let folder = scratch.path().display();
    let configuration = scratch.write(
        "nginx.conf",
        format!(
            "daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
             events {{ worker_connections 2048; }}
             http {{
                 access_log {folder}/access.log; keepalive_requests 1000000000;
                 client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
                 uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
                 server {{ listen 127.0.0.1:{port}; location / {{ empty_gif; }} }}
             }}"
        ),
    );
    let mut command = Command::new(program);
    command.arg("-c").arg(configuration);
    Some(Server::start(
        scratch,
        "nginx",
        &mut command,
        Signal::SIGTERM,
    ))
}

fn start_naive(scratch: &Scratch, database: &Database, port: &Port) -> Server {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["naive", database.url(), &port.to_string()]);
    Server::start(scratch, "naive", &mut command, Signal::SIGTERM)
}

/// What one writes in an afternoon: a handler that inserts a row and then answers.
fn serve_naively(url: &str, port: u16) {
    let url = url.to_owned();
    actix_web::rt::System::new().block_on(async move {
        let mut pool = Vec::new();
        for _ in 0..32 {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            let insert = "INSERT INTO naive_hits (token, user_agent) VALUES ($1, $2)";
            let insert = client.prepare(insert).await.unwrap();
            pool.push((client, insert));
        }
        let pool = web::Data::new(Pool {
            connections: pool,
            next: AtomicUsize::new(0),
        });
        HttpServer::new(move || {
            App::new()
                .app_data(pool.clone())
                .route("/o/{token}", web::get().to(insert_and_answer))
        })
        .workers(2)
        .bind(("127.0.0.1", port))
        .unwrap()
        .run()
        .await
        .unwrap();
    });
}

struct Pool {
    connections: Vec<(tokio_postgres::Client, tokio_postgres::Statement)>,
    next: AtomicUsize,
}

async fn insert_and_answer(
    pool: web::Data<Pool>,
    token: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    let agent = request
        .headers()
        .get("user-agent")
        .and_then(|value| value.to_str().ok());
    let number = pool.next.fetch_add(1, Ordering::Relaxed) % pool.connections.len();
    let (client, insert) = pool.connections.get(number).unwrap();
    client.execute(insert, &[&*token, &agent]).await.unwrap();
    HttpResponse::Ok()
        .content_type("image/gif")
        .body(&[0_u8; 43][..])
}
