// SPDX-License-Identifier: GPL-3.0-or-later
//! Two database servers, two mail servers with a milter each, two collectors: the first database server goes under load
//! and the second takes over. Mail flows all the time, each message arrives once and none is instrumented without its
//! row, and no answered hit is lost.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use harness::{
    clicks::{Load, assert_kept, stored, until_replayed},
    database::Database,
    installation::Installation,
    log::PATIENCE,
    messages::Message,
    needs,
    postfix::Postfix,
    samples::Sample,
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use uuid::Uuid;

/// Authors who send one message after another, each through a mail server of their own.
struct Authors {
    taken: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    /// Each ends with the numbers of its messages.
    sessions: JoinSet<Vec<usize>>,
}

impl Authors {
    fn start(ports: [u16; 2]) -> Self {
        let mut authors = Self {
            taken: Arc::default(),
            is_over: Arc::default(),
            sessions: JoinSet::new(),
        };
        for (first, port) in ports.into_iter().enumerate() {
            let (taken, is_over) = (Arc::clone(&authors.taken), Arc::clone(&authors.is_over));
            authors.sessions.spawn(async move {
                let mut sent = Vec::new();
                let mut session = Session::open_as(port, ALICE, PASSWORD).await;
                for number in (first..).step_by(2) {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    let reply = session.send(ALICE, &[BOB], &message(number)).await;
                    assert_eq!(reply.code, 250, "{number}: {}", reply.text);
                    sent.push(number);
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                session.quit().await;
                sent
            });
        }
        authors
    }

    /// Waits until so many more messages were taken.
    async fn messages(&self, more: usize) {
        let wanted = self.taken.load(Ordering::SeqCst) + more;
        until("mail does not flow", async || {
            self.taken.load(Ordering::SeqCst) >= wanted
        })
        .await;
    }

    async fn stop(mut self) -> BTreeSet<usize> {
        self.is_over.store(true, Ordering::SeqCst);
        let mut sent = BTreeSet::new();
        while let Some(numbers) = self.sessions.join_next().await {
            sent.extend(numbers.unwrap());
        }
        sent
    }
}

fn message(number: usize) -> Vec<u8> {
    Message::new(ALICE, BOB)
        .field("X-Number", &number.to_string())
        .build()
}

async fn until(otherwise: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_late| panic!("{otherwise}"));
}

async fn instrumented(client: &Client) -> HashSet<Uuid> {
    let rows = "SELECT id FROM messages WHERE reason IS NULL AND queue_id <> 'Q'";
    let rows = client.query(rows, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What came of the authors' messages.
#[derive(Default)]
struct Delivered {
    /// Their numbers.
    arrived: BTreeSet<usize>,
    /// The rows of those that were instrumented.
    ours: HashSet<Uuid>,
    /// How many were not.
    untouched: usize,
}

impl Delivered {
    /// Takes everything out of the sink: each once, and either instrumented or as it was submitted.
    fn to(site: &Site) -> Self {
        let mut all = Self::default();
        while let Some(delivery) = site.sink.take() {
            let number = delivery.field("X-Number").unwrap().trim().parse().unwrap();
            assert!(all.arrived.insert(number), "{number} came twice");
            let artefacts = site.artefacts(&delivery);
            if artefacts.is_empty() {
                let plain = delivery.without_trace_and_signature();
                assert!(plain == message(number), "{number}");
                all.untouched += 1;
            } else {
                let token = artefacts.pixels[0].rsplit('/').next().unwrap();
                let token = common::token::read(token.trim_end_matches(".gif")).unwrap();
                assert!(all.ours.insert(token.message.0), "two messages of one id");
            }
        }
        all
    }
}

/// Waits for a hundred more answers to each load.
async fn more_answers(loads: &[Load]) {
    for load in loads {
        load.answers(100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_fails_over_stops_no_mail_and_loses_no_hit() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let database = Database::start_alone().await;
    let replica = database.alone().start_replica().await;
    let url = replica.url_with(database.alone(), &database);
    let mut site = Site::with(database, |builder| builder.database_at(&url)).await;
    // Another host of the same organisation: its own programs, the same keys, the same public address.
    let other = Installation::on(&site.database)
        .database_at(&url)
        .set("keys.file", site.installation.keys().display().to_string())
        .set("controller.public_url", site.installation.url())
        .mail_through(site.postfix.local_port());
    let other_postfix = Postfix::relaying_to(site.sink.port())
        .user(ALICE, PASSWORD)
        .milter(&other.milter_socket())
        .milter(&site.signer.socket())
        .start()
        .await;
    let other = other.write();
    let other_address = other.url().replace("http://", "");
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let address = site.installation.url().replace("http://", "");
    let samples = [
        Sample::with_consent(&site.installation, &site.database).await,
        Sample::with_consent(&site.installation, &site.database).await,
    ];
    let mut milters = [
        site.installation.start_milter().await,
        other.start_milter().await,
    ];
    let _collectors = [
        site.installation.start_collector().await,
        other.start_collector().await,
    ];

    let [one, two] = samples;
    let loads = [
        Load::start(one, &address, 2),
        Load::start(two, &other_address, 2),
    ];
    let authors = Authors::start([
        site.postfix.submission_port(),
        other_postfix.submission_port(),
    ]);
    authors.messages(20).await;
    more_answers(&loads).await;
    let before = instrumented(&site.database.connect().await).await;
    site.database.cluster().kill9();
    authors.messages(20).await;
    more_answers(&loads).await;
    replica.promote().await;
    let client = replica.connect(&site.database).await;
    until("nothing is instrumented after the failover", async || {
        instrumented(&client).await.len() >= before.len() + 20
    })
    .await;
    more_answers(&loads).await;
    let sent = authors.stop().await;
    site.postfix.wait_until_idle().await;
    other_postfix.wait_until_idle().await;

    // To stop, a milter waits for its corrections.
    for milter in &mut milters {
        assert!(milter.terminate().success(), "{}", milter.log());
    }
    let rows = instrumented(&client).await;
    let Delivered {
        arrived,
        ours,
        untouched,
    } = Delivered::to(&site);
    assert_eq!(arrived, sent, "each message arrives once");
    assert_eq!(ours, rows, "the rows tell which were instrumented");
    assert!(!before.is_empty() && before.is_subset(&ours));
    assert!(untouched > 0, "no mail flowed while there was no database");
    println!("{} instrumented, {untouched} untouched", ours.len());

    for (load, installation) in loads.into_iter().zip([&site.installation, &other]) {
        let (sample, answered) = load.stop().await;
        until_replayed(installation).await;
        assert_kept(&answered, &stored(&client, &sample).await);
    }
}
