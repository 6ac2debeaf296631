// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-collector`: reads the configuration and serves until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use collector::{
    application::{self, Order},
    listeners::Listeners,
    options::{Options, PROGRAM},
};
use common::{config::Config, telemetry};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

fn main() -> ExitCode {
    let options = Options::parse();
    telemetry::start(options.log_format);
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::print_error(PROGRAM, &error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let config = Config::read(&options.config)?;
    if options.check {
        telemetry::answer(&config.effective())?;
        return Ok(());
    }
    // Jobs need little; what serves has threads of its own.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(serve(options, config))
}

async fn serve(options: &Options, config: Config) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config.collector)?;
    let (orders, inbox) = mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let path = options.config.clone();
    let application = tokio::spawn(application::run(config, listeners, inbox));
    notify(NotifyState::Ready);
    tokio::spawn(keep_watch());
    let relay = async {
        loop {
            let order = tokio::select! {
                _ = terminate.recv() => Order::Stop,
                _ = interrupt.recv() => Order::Stop,
                _ = reload.recv() => match Config::read(&path) {
                    Ok(config) => Order::Reload(Box::new(config)),
                    Err(error) => {
                        tracing::error!("not reloaded: {error}");
                        continue;
                    }
                },
            };
            let is_last = matches!(order, Order::Stop);
            if is_last {
                notify(NotifyState::Stopping);
            }
            if orders.send(order).await.is_err() || is_last {
                return;
            }
        }
    };
    tokio::pin!(application);
    tokio::select! {
        () = relay => application.await?,
        ended = &mut application => ended?,
    }
}

/// Tells the service manager twice within its time limit that we are alive; it restarts a program that hangs.
async fn keep_watch() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        notify(NotifyState::Watchdog);
        tokio::time::sleep(limit / 2).await;
    }
}

/// Tells the service manager, if there is one.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("the service manager was not told: {error}");
    }
}
