// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl postfix`: what it prints, put into a real Postfix, makes mail flow through the milter and no other way.

use std::process::Command;

use harness::{
    database::Database,
    dkim::{OpenDkim, Signature},
    installation::{Builder, Installation},
    messages::Message,
    needs,
    postfix::Postfix,
    sink::{Delivery, Sink},
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};
use serde_json::Value;

/// A site whose Postfix knows the signer, and nothing of us yet.
pub(crate) async fn site_before_us_on(
    database: Database,
    settings: impl FnOnce(Builder, &Postfix) -> Builder,
) -> Site {
    let sink = Sink::start();
    let signer = OpenDkim::start("example.com").await;
    let postfix = Postfix::relaying_to(sink.port())
        .user(ALICE, PASSWORD)
        .milter(&signer.socket())
        .start()
        .await;
    let builder = Installation::on(&database).mail_through(postfix.local_port());
    Site {
        installation: settings(builder, &postfix).write(),
        postfix,
        signer,
        sink,
        database,
    }
}

async fn site_before_us() -> Site {
    site_before_us_on(Database::start().await, |builder, _| builder).await
}

pub(crate) fn plan(site: &Site, more: &[&str]) -> Value {
    let folder = site.postfix.configuration().display().to_string();
    let mut arguments = vec!["postfix", "--json", "--config-dir", &folder];
    arguments.extend(more);
    serde_json::from_str(&site.installation.ctl(&arguments)).unwrap()
}

/// Does what the plan says, and waits until Postfix has read it.
pub(crate) async fn apply(site: &Site, plan: &Value) {
    let mark = site.postfix.log().mark();
    for command in plan["commands"].as_array().unwrap() {
        let command = command.as_str().unwrap();
        let done = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(
            done.status.success(),
            "{command}\n{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    site.postfix.log().wait_for_after(mark, "reload --").await;
}

async fn flows(site: &Site) -> Delivery {
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).build();

    let delivery = site.deliver(ALICE, &[BOB], &message).await;
    let mut session = Session::open(site.postfix.inbound_port()).await;
    session.send(ALICE, &[BOB], &message).await;
    let inbound = site.sink.next().await;

    assert_eq!(site.artefacts(&delivery).pixels.len(), 1);
    assert_eq!(inbound.without_trace_and_signature(), message);
    delivery
}

#[tokio::test]
async fn printed_lines_put_us_before_the_signer_and_into_submission_only() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = site_before_us().await;

    let first = plan(&site, &[]);
    apply(&site, &first).await;

    assert_eq!(first["master_cf"].as_array().unwrap().len(), 1);
    assert_eq!(plan(&site, &[]), first, "a second run says the same");
    let delivery = flows(&site).await;
    assert_eq!(site.signer.verify(&delivery.message), Signature::Valid);
}

#[tokio::test]
async fn chrooted_service_reaches_the_milter_below_the_queue_directory() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site_before_us_on(Database::start().await, |builder, postfix| {
        builder.milter_at(&postfix.queue_directory().join("public/ft.sock"))
    })
    .await;
    site.postfix.put_submission_into_a_chroot();

    let plan = plan(&site, &[]);
    apply(&site, &plan).await;

    assert_eq!(plan["fairtrack_toml"], Value::Array(Vec::new()));
    let main = plan["main_cf"][0].as_str().unwrap();
    assert!(main.contains("{ unix:public/ft.sock,"), "{main}");
    flows(&site).await;
}

#[tokio::test]
async fn chrooted_service_that_cannot_see_the_socket_gets_a_place_for_it() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site_before_us().await;

    let plan = plan(&site, &["--chroot", "yes"]);

    let line = plan["fairtrack_toml"][1].as_str().unwrap();
    let queue = site.postfix.queue_directory().display().to_string();
    assert!(line.contains(&format!("unix:{queue}/fairtrack/")), "{line}");
    assert!(plan["notes"][0].as_str().unwrap().contains("chroot"));
}

#[tokio::test]
async fn service_that_does_not_exist_is_an_error() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site_before_us().await;
    let folder = site.postfix.configuration().display().to_string();

    let done = site.installation.run(
        "fairtrackctl",
        &["postfix", "--config-dir", &folder, "--service", "nothing"],
        b"",
    );

    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("\"nothing\""), "{said}");
}
