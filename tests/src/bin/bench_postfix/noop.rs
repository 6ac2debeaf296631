// SPDX-License-Identifier: GPL-3.0-or-later
//! A milter that reads everything and does nothing.

use std::{path::Path, process::Command};

use harness::{scratch::Scratch, server::Server};
use indymilter::{Callbacks, Config, ProtoOpts, Status};
use nix::sys::signal::Signal;
use tokio::net::UnixListener;

/// Starts that milter as a process of its own, and returns it with its socket, spelled as in Postfix.
pub(crate) async fn start(scratch: &Scratch) -> (Server, String) {
    let socket = scratch.path().join("noop");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("noop").arg(&socket);
    let server = Server::start(scratch, "noop", &mut command, Signal::SIGKILL);
    server.log().wait_for("listening").await;
    (server, format!("unix:{}", socket.display()))
}

/// Serves as that milter, with the same savings of answers that ours has.
pub(crate) async fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(socket, mode).unwrap();
    println!("listening");
    let config = Config {
        max_connections: 1_000,
        ..Config::default()
    };
    let callbacks = Callbacks::<()>::new()
        .on_negotiate(|context, _, options| {
            Box::pin(async move {
                context.requested_actions = indymilter::Actions::empty();
                let unanswered = ProtoOpts::NOREPLY_RCPT | ProtoOpts::NOREPLY_HEADER;
                context.requested_opts |= (unanswered | ProtoOpts::LEADING_SPACE) & options;
                Status::Continue
            })
        })
        .on_mail(|_, _| Box::pin(async { Status::Continue }))
        .on_rcpt(|_, _| Box::pin(async { Status::Noreply }))
        .on_header(|_, _, _| Box::pin(async { Status::Noreply }))
        .on_body(|_, _| Box::pin(async { Status::Continue }))
        .on_eom(|_| Box::pin(async { Status::Continue }));
    indymilter::run(listener, callbacks, config, std::future::pending::<()>())
        .await
        .unwrap();
}
