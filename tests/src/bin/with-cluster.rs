// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs a command with a PostgreSQL cluster for tests: `with-cluster cargo test --workspace`.
//!
//! The tests of many test programs then share one server; each still has a database of its own. Ends with the status
//! of the command, and the cluster with it.

use std::{
    env,
    process::{Command, ExitCode},
};

use harness::database::{CLUSTER_VARIABLE, Cluster};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-cluster COMMAND [ARGUMENT]...");
        return ExitCode::from(2);
    };
    let cluster = Cluster::start().await;
    let status = Command::new(&program)
        .args(arguments)
        .env(CLUSTER_VARIABLE, cluster.url())
        .status();
    match status {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!(
                "with-cluster: failed to run \"{}\": {error}",
                program.display()
            );
            ExitCode::FAILURE
        }
    }
}
