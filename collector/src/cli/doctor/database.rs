// SPDX-License-Identifier: GPL-3.0-or-later
//! The database: reachable, migrated, in time, looked after, and not with more rights than needed.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use common::{
    config::{Config, Part},
    db::{
        self, Connection, partitions,
        retention::{self, Ends, RULES},
        roles, survey,
    },
};

use super::finding::Finding;

/// Asks the database as one of the programs does. What the collector looks after, the milter has no right to see.
pub(super) async fn examine(config: &Config, part: Part) -> Vec<Finding> {
    let attempt = tokio::time::timeout(PATIENCE, db::connect(config.database.url_of(part)));
    let advice = "start PostgreSQL and check \"database.url\"; with peer authentication run this as the programs' user: runuser -u fairtrack -- fairtrackctl doctor";
    let mut connection = match attempt.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let found = cause.unwrap_or_else(|| error.to_string());
            return vec![Finding::wrong("database", found, advice)];
        }
        Err(_elapsed) => {
            let found = "no answer within five seconds";
            return vec![Finding::wrong("database", found, advice)];
        }
    };
    let mut findings = vec![Finding::ok("database", "is reachable")];
    if db::is_exposed(config.database.url_of(part)) {
        findings.push(Finding::note(
            "encryption",
            "the connection to the database crosses the network in clear",
            "add \"sslmode=verify-full\" to \"database.url\", and \"sslrootcert=FILE\" for an authority of your own",
        ));
    }
    if !db::is_current(&mut connection).await.unwrap_or(false) {
        findings.push(Finding::wrong(
            "schema",
            "is older than this program, or missing",
            "run \"fairtrackctl migrate\"",
        ));
        return findings;
    }
    findings.push(Finding::ok("schema", "is up to date"));
    findings.push(role(&mut connection).await);
    findings.push(clock(&mut connection).await);
    if part == Part::Collector {
        findings.push(next_month(&mut connection).await);
        findings.push(retention(config, &mut connection).await);
    }
    findings
}

const PATIENCE: Duration = Duration::from_secs(5);

async fn role(connection: &mut Connection) -> Finding {
    match survey::is_superuser(connection).await {
        // Owning the tables is no fault, but worth knowing.
        Ok(false) => match roles::owns_log(connection).await {
            Ok(false) => Finding::ok("role", "can only add to the consent log"),
            _ => Finding::note(
                "role",
                "has no rights beyond its database, but owns the tables: it could switch the consent log's triggers off",
                "\"fairtrackctl migrate --roles\" makes roles that own none: see the README, \"Roles\"",
            ),
        },
        Ok(true) => Finding::wrong(
            "role",
            "is a superuser of PostgreSQL, whom nothing is forbidden",
            "connect as a role that only owns the database: createuser fairtrack, and \"database.url\"",
        ),
        Err(error) => Finding::wrong("role", error.to_string(), "look at PostgreSQL's log"),
    }
}

/// The programs' clock and the database's are compared wherever consent is: they must agree.
async fn clock(connection: &mut Connection) -> Finding {
    let before = Utc::now();
    let answer = survey::time(connection).await;
    let waited = Utc::now() - before;
    match answer {
        Ok(theirs) => {
            let difference = (theirs - (before + waited / 2)).abs();
            if difference <= AGREE + waited {
                Finding::ok("clock", "agrees with the database's")
            } else {
                Finding::wrong(
                    "clock",
                    format!(
                        "differs from the database's by {} s",
                        difference.num_seconds()
                    ),
                    "let all hosts keep time by NTP: what a withdrawal covers depends on it",
                )
            }
        }
        Err(error) => Finding::wrong("clock", error.to_string(), "look at PostgreSQL's log"),
    }
}

const AGREE: TimeDelta = TimeDelta::seconds(2);

async fn next_month(connection: &mut Connection) -> Finding {
    if partitions::are_ahead(Utc::now(), connection)
        .await
        .unwrap_or(false)
    {
        Finding::ok("partitions", "are made for next month")
    } else {
        Finding::wrong(
            "partitions",
            "are not made for next month",
            "run \"fairtrackctl retention run\"; the collector does so every day",
        )
    }
}

/// What should have gone two days ago is still there only if nothing deletes.
async fn retention(config: &Config, connection: &mut Connection) -> Finding {
    let late = Utc::now() - TimeDelta::days(2);
    let ends = Ends {
        hits: late - config.retention.hits.delta(),
        messages: late - config.retention.messages.delta(),
        expired: late,
    };
    let mut overdue = 0;
    for rule in RULES {
        match retention::count(rule, ends, connection).await {
            Ok(rows) => overdue += rows,
            Err(error) => {
                return Finding::wrong("retention", error.to_string(), "look at PostgreSQL's log");
            }
        }
    }
    if overdue == 0 {
        Finding::ok("retention", "has left nothing behind")
    } else {
        Finding::wrong(
            "retention",
            format!("{overdue} rows are kept two days longer than configured"),
            "run \"fairtrackctl retention run\"; the collector does so every day: look at its log",
        )
    }
}
