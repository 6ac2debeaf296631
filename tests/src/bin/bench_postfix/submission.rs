// SPDX-License-Identifier: GPL-3.0-or-later
//! What instrumented mail costs a Postfix as users meet it, beside a milter that reads everything and does nothing and
//! beside none, in one run.
//!
//! Mail programs submit each message over a connection of its own, encrypted and with a login, and a signer signs it
//! before it leaves. All of that costs the same with and without us.

use std::{sync::Arc, time::Instant};

use harness::{
    bars::Bars,
    certificates::certify,
    database::Database,
    dkim::OpenDkim,
    installation::Installation,
    postfix::{Builder, Postfix},
    programs::{self, Program::OpenDkim as Signer},
    scratch::Scratch,
    sink::Sink,
    site::{self, ALICE, BOB, PASSWORD, Said},
    smtp::Session,
};
use tokio::task::JoinSet;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

use crate::{judge_all, median, message, noop, settle};

const ROUNDS: usize = 7;

/// Users who submit at the same time.
const USERS: usize = 10;

/// Messages of one user in one round.
const MESSAGES: usize = 20;

/// At least so much of the throughput of others.
const THROUGHPUT: f64 = 0.8;

/// Who takes the mail before the signer.
const ALONE: &str = "no milter";
const NOOP: &str = "no-op milter";
const OURS: &str = "fairtrack";

/// The name of all servers.
const HOST: &str = "mail.example.com";

struct Contender {
    name: &'static str,
    postfix: Postfix,
    throughputs: Vec<f64>,
}

pub(crate) async fn report(bars: &mut Bars) {
    if !programs::are_here(&[Signer]) {
        bars.unmeasured("throughput of submission: OpenDKIM is not installed");
        return;
    }
    let scratch = Scratch::new("submission");
    certify(&scratch, &[HOST], 30);
    let connector = connector(&scratch);
    let sink = Sink::start();
    let signer = OpenDkim::start("example.com").await;
    let database = Database::start_alone().await;
    // Nobody answers for the collector here.
    let installation = Installation::on(&database).set("milter.health_gate", false);
    let milter_socket = installation.milter_socket();
    let installation = installation.write();
    site::user(&database, ALICE).await;
    site::says(&database, BOB, Said::Yes).await;
    let _milter = installation.start_milter().await;
    let (_noop, noop_socket) = noop::start(&scratch).await;
    let mut contenders = Vec::new();
    for (name, milter) in [
        (ALONE, None),
        (NOOP, Some(noop_socket)),
        (OURS, Some(milter_socket)),
    ] {
        let postfix = encrypted(Postfix::relaying_to(sink.port()), &scratch).user(ALICE, PASSWORD);
        let postfix = milter
            .iter()
            .fold(postfix, |postfix, socket| postfix.milter(socket));
        contenders.push(Contender {
            name,
            postfix: postfix.milter(&signer.socket()).start().await,
            throughputs: Vec::new(),
        });
    }

    for round in 0..=ROUNDS {
        // The first warms everything up.
        contenders.rotate_left(1);
        for contender in &mut contenders {
            let throughput = throughput(&contender.postfix, &connector).await;
            settle(&contender.postfix, &sink).await;
            if round > 0 {
                contender.throughputs.push(throughput);
            }
        }
    }
    println!(
        "\nas users submit: {USERS} at a time, a connection with STARTTLS and a login for each message of 10 KB, signed by OpenDKIM"
    );
    let rows = "SELECT count(*) FROM messages WHERE reason IS NULL";
    let instrumented = database.count(rows, &[]).await;
    let sent = (ROUNDS + 1) * USERS * MESSAGES;
    judge_all(bars, "submitted messages instrumented", instrumented, sent);
    let throughputs = |wanted: &str| -> &[f64] {
        let found = contenders.iter().find(|contender| contender.name == wanted);
        found.map_or(&[], |contender| &contender.throughputs)
    };
    for name in [ALONE, NOOP, OURS] {
        println!(
            "{name:13} {:8.0} msg/s",
            median(&mut throughputs(name).to_vec())
        );
    }
    for other in [ALONE, NOOP] {
        let pairs = throughputs(OURS).iter().zip(throughputs(other));
        let ratio = median(&mut pairs.map(|(ours, other)| ours / other).collect::<Vec<_>>());
        let what = format!("throughput of submission, of that with {other}");
        let word = bars.at_least(&what, ratio, THROUGHPUT);
        println!("{what}: {ratio:.2} (at least {THROUGHPUT}) {word}");
    }
}

fn encrypted(postfix: Builder, scratch: &Scratch) -> Builder {
    let place = |name: &str| scratch.path().join(name).display().to_string();
    postfix
        .setting("smtpd_tls_security_level = may")
        .setting(&format!("smtpd_tls_cert_file = {}", place("certificate")))
        .setting(&format!("smtpd_tls_key_file = {}", place("key")))
}

/// Each connection shakes hands in full, as those of different users do.
fn connector(scratch: &Scratch) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(scratch.path().join("authority")).unwrap();
    roots.add(authority).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// Returns how many messages a second are taken.
async fn throughput(postfix: &Postfix, connector: &TlsConnector) -> f64 {
    let message: Arc<[u8]> = message(10_000).into();
    let mut users = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..USERS {
        let (message, connector, port) = (
            Arc::clone(&message),
            connector.clone(),
            postfix.submission_port(),
        );
        users.spawn(async move {
            for _ in 0..MESSAGES {
                let mut session = Session::open(port).await.encrypt(HOST, &connector).await;
                session.authenticate(ALICE, PASSWORD).await;
                let reply = session.send(ALICE, &[BOB], &message).await;
                assert_eq!(reply.code, 250, "{}", reply.text);
                session.quit().await;
            }
        });
    }
    while let Some(ended) = users.join_next().await {
        ended.unwrap();
    }
    (USERS * MESSAGES) as f64 / begun.elapsed().as_secs_f64()
}
