// SPDX-License-Identifier: GPL-3.0-or-later
//! What monitors are told: every number, and how each thing is that the collector depends on.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::process::Command;

use harness::{
    clicks::until_replayed,
    database::Database,
    installation::Installation,
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};

/// Returns the value of a metric, its labels included in the name.
fn value(metrics: &str, name: &str) -> f64 {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("fairtrack_{name} ")))
        .unwrap_or_else(|| panic!("no \"{name}\" in\n{metrics}"))
        .parse()
        .unwrap()
}

async fn metrics(installation: &Installation) -> String {
    let url = format!("{}/metrics", installation.admin_url());
    Visitor::new().get(&url).await.text()
}

async fn readiness(installation: &Installation) -> (u16, String) {
    let url = format!("{}/readyz", installation.admin_url());
    let answer = Visitor::new().get(&url).await;
    (answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn everything_that_happens_to_hits_is_counted() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("classify.settle", "100ms")
        // However slow the machine is: through the database, not through the log.
        .set("collector.answer_within", "30s")
        .write();
    let sample = Sample::with_consent(&installation, &database).await;
    let silent = Sample::without_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    let mut objector = Visitor::with_agent(MAIL_PROGRAM).header("Sec-GPC", "1");
    let link = sample.link(1, "https://a.example/");

    visitor.get(&sample.pixel()).await;
    visitor.get(&silent.pixel()).await;
    visitor.head(&sample.pixel()).await;
    objector.get(&link).await;
    visitor.get(&link.replace("a.example", "b.example")).await;
    let settled = async {
        while value(&metrics(&installation).await, "notifications_total") < 1.0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(harness::log::PATIENCE, settled)
        .await
        .expect("the verdict was never settled");

    let metrics = metrics(&installation).await;
    for (name, expected) in [
        ("answers_total{kind=\"open\"}", 3.0),
        ("answers_total{kind=\"click\"}", 1.0),
        ("answers_total{kind=\"forged\"}", 1.0),
        ("hits_recorded_total", 1.0),
        ("hits_dropped_total{reason=\"head\"}", 1.0),
        ("hits_dropped_total{reason=\"opt-out\"}", 1.0),
        ("hits_dropped_total{reason=\"untracked\"}", 1.0),
        ("hits_dropped_total{reason=\"flood\"}", 0.0),
        ("hits_gathering", 0.0),
        ("batches_total", 2.0),
        ("batch_hits_total", 2.0),
        ("batch_failures_total", 0.0),
        ("hit_log_octets", 0.0),
        ("hit_log_failing", 0.0),
        ("hits_logged_total", 0.0),
        ("hits_replayed_total", 0.0),
        ("hits_lost_total", 0.0),
        ("answers_overdue_total", 0.0),
        ("verdicts_total{class=\"human\"}", 1.0),
        ("verdicts_total{class=\"security-scanner\"}", 0.0),
        ("notifications_total", 1.0),
    ] {
        assert!(
            (value(&metrics, name) - expected).abs() < 0.1,
            "{name} is not {expected}:\n{metrics}"
        );
    }
    assert!(value(&metrics, "batch_seconds_total") > 0.0);
    assert_eq!(readiness(&installation).await.0, 200);
}

#[tokio::test]
async fn database_that_is_away_is_said_to_be_and_then_to_be_back() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    database.cluster().kill9();
    let away = readiness(&installation).await;
    let healthy = visitor
        .get(&format!("{}/healthz", installation.admin_url()))
        .await;
    visitor.get(&sample.pixel()).await;
    let waiting = value(&metrics(&installation).await, "hit_log_octets");
    let logged = readiness(&installation).await.1;
    database.cluster().restart().await;
    until_replayed(&installation).await;
    let back = readiness(&installation).await;

    assert_eq!((away.0, healthy.status.as_u16()), (503, 200));
    assert!(away.1.contains("database: away"), "{}", away.1);
    assert!(waiting > 0.0);
    assert!(
        logged.contains(&format!("hit log: ok, {waiting} octets")),
        "{logged}"
    );
    assert_eq!(back.0, 200);
    assert!(
        back.1.contains("database: ok\nhit log: ok, 0 octets"),
        "{}",
        back.1
    );
}

/// A file system that is a few pages large, taken away with its value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` where nothing may be mounted.
    fn mount(path: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs"])
            .arg(&path)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[tokio::test]
async fn full_disk_breaks_no_answer_and_shows_everywhere() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let Some(_disk) = SmallDisk::mount(installation.hit_log()) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let sample = Sample::with_consent(&installation, &database).await;
    let collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    database.cluster().kill9();

    let mut asked = 0;
    let lost = loop {
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
        asked += 1;
        let lost = value(&metrics(&installation).await, "hits_lost_total");
        if lost > 4.0 {
            break lost;
        }
        assert!(asked < 1000, "the disk never fills");
    };
    let metrics = metrics(&installation).await;
    let readiness = readiness(&installation).await;
    let doctor = installation.run("fairtrackctl", &["doctor"], b"");
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let said = collector.log().to_string().matches("hits are lost").count();
    let files = std::fs::read_dir(installation.hit_log()).unwrap().count();
    database.cluster().restart().await;
    until_replayed(&installation).await;

    assert!(value(&metrics, "hit_log_failing") > 0.0);
    assert!(
        readiness.1.contains("hit log: takes no hits"),
        "{}",
        readiness.1
    );
    assert!(doctor.contains("hits were lost"), "{doctor}");
    assert_eq!(said, 1, "{}", collector.log());
    assert!(files < 5, "{files} files are left behind");
    let kept = database.count("SELECT count(*) FROM hits", &[]).await;
    assert_eq!(kept, asked - lost as i64);
}
