// SPDX-License-Identifier: GPL-3.0-or-later
//! The collector at work: servers and jobs, started, replaced at a reload, and stopped in good order.
//!
//! It starts, and answers pixels and links, while the database is away. A reload starts servers with the new
//! configuration on the same sockets and then lets the old ones finish; nobody waits and no connection is refused.

use std::{io, sync::Arc};

use actix_service::IntoServiceFactory;
use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    web::Data,
};
use anyhow::Context;
use common::{
    config::{Config, Part},
    db::Db,
    keys::KeyRing,
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use crate::{
    classify::Networks,
    exchangers::Exchangers,
    health::{self, Health},
    ingest::{Alarm, HitLog, Ingest, Recorder},
    jobs,
    key_file::Stamp,
    listeners::{Listeners, Public},
    live::Live,
    mail::Mailer,
    metrics::Metrics,
    network_lists,
    oidc::Provider,
    recipient::desk::Desk,
    routes,
    state::State,
    tracking::{Front, Tracking},
};

/// What a running collector is told.
pub enum Order {
    /// Go on with this configuration.
    Reload(Box<Config>),
    /// Finish what is in flight and end.
    Stop,
}

/// Seconds that connections have to finish.
const PARTING: u64 = 5;
/// Octets of a request's head are bounded by the server; idle connections by this, in seconds.
const KEEP_ALIVE: u64 = 30;

/// Serves until it is told to stop, or until nobody is left who could tell.
///
/// # Errors
///
/// Fails if the key file or the hit log cannot be used.
pub async fn run(
    config: Config,
    listeners: Listeners,
    mut orders: mpsc::Receiver<Order>,
) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    let log = HitLog::open(
        &config.collector.hit_log,
        config.collector.hit_log_size.0,
        Arc::clone(&metrics),
    )?;
    let site = Site {
        listeners,
        log,
        metrics,
    };
    let mut config = Arc::new(config);
    // Before the file is read, so that no change is missed.
    let mut keys = Stamp::of(&config.keys.file).await;
    let mut generation = site.open(&config)?;
    tracing::info!("listening on {}", site.listeners.public_address());
    tracing::info!("metrics and health on {}", site.listeners.admin_address());

    loop {
        let wanted = tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Reload(wanted)) => {
                    Arc::new(keep_what_needs_a_restart(*wanted, &config))
                }
                Some(Order::Stop) | None => break,
            },
            next = keys.next(&config.keys.file) => {
                keys = next;
                tracing::info!("the key file has changed");
                Arc::clone(&config)
            }
        };
        match site.open(&wanted) {
            Ok(next) => {
                let old = std::mem::replace(&mut generation, next);
                config = wanted;
                old.pause().await;
                tokio::spawn(old.close());
                tracing::info!("reloaded");
            }
            Err(error) => tracing::error!("not reloaded: {error:#}"),
        }
    }
    generation.close().await;
    if let Public::Unix(_, path) = &site.listeners.public {
        // Whoever starts next replaces it anyway.
        let _gone = std::fs::remove_file(path);
    }
    Ok(())
}

/// What outlives a reload.
struct Site {
    listeners: Listeners,
    log: HitLog,
    metrics: Arc<Metrics>,
}

/// Servers and jobs under one configuration.
struct Generation {
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<io::Result<()>>>,
    jobs: JoinSet<()>,
}

impl Site {
    fn open(&self, config: &Arc<Config>) -> anyhow::Result<Generation> {
        let state = State {
            config: Arc::clone(config),
            db: Db::new(&config.database, Part::Collector),
            keys: Arc::new(KeyRing::read(&config.keys.file)?),
            mailer: Mailer::new(&config.mail)?,
            desk: Desk::default(),
            live: Live::default(),
            oidc: provider(config)?,
            exchangers: Exchangers::new(config.classify.name_server),
        };
        let alarm = Arc::new(Alarm::default());
        let recorder = Recorder::new(
            Arc::clone(&state.config),
            Arc::clone(&state.keys),
            Arc::clone(&alarm),
            Arc::clone(&self.metrics),
        );
        let servers = [
            self.public_server(&state, &recorder)
                .context("failed to start the server")?,
            self.admin_server(&state)
                .context("failed to start the administrators' server")?,
        ];
        Ok(Generation {
            handles: servers.iter().map(Server::handle).collect(),
            servers: servers
                .into_iter()
                .map(|server| tokio::spawn(server))
                .collect(),
            jobs: jobs::start(&state, recorder, alarm, &self.log, &self.metrics),
        })
    }

    fn public_server(&self, state: &State, recorder: &Recorder) -> io::Result<Server> {
        let tracking = {
            let (config, keys) = (Arc::clone(&state.config), Arc::clone(&state.keys));
            let (recorder, log) = (recorder.clone(), self.log.clone());
            // A list that cannot be read must not keep the collector from answering: the coarse ranges serve.
            let networks = network_lists::load(&state.config.collector.networks);
            let networks = Arc::new(networks.unwrap_or_else(|error| {
                tracing::warn!("{error:#}; the networks that are compiled in serve alone");
                Networks::compiled_in()
            }));
            let metrics = Arc::clone(&self.metrics);
            move || {
                let ingest =
                    Ingest::start(&config, recorder.clone(), log.clone(), Arc::clone(&metrics));
                Tracking::new(
                    Arc::clone(&config),
                    Arc::clone(&keys),
                    Arc::clone(&networks),
                    ingest,
                    Arc::clone(&metrics),
                )
            }
        };
        let app_state = state.clone();
        let mut server = HttpServer::new(move || {
            let app = App::new()
                .app_data(Data::new(app_state.clone()))
                .configure(routes::configure);
            Front::new(app.into_factory(), tracking.clone())
        });
        if let Some(workers) = state.config.collector.workers {
            server = server.workers(workers.max(1));
        }
        let server = server
            .disable_signals()
            .shutdown_timeout(PARTING)
            .keep_alive(std::time::Duration::from_secs(KEEP_ALIVE));
        let server = match &self.listeners.public {
            Public::Tcp(listener) => server.listen(listener.try_clone()?)?,
            Public::Unix(listener, _) => server.listen_uds(listener.try_clone()?)?,
        };
        Ok(server.run())
    }

    fn admin_server(&self, state: &State) -> io::Result<Server> {
        let health = Health {
            db: state.db.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(health.clone()))
                .configure(health::configure)
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(self.listeners.admin.try_clone()?)?;
        Ok(server.run())
    }
}

fn provider(config: &Config) -> anyhow::Result<Option<Arc<Provider>>> {
    let Some(oidc) = &config.oidc else {
        return Ok(None);
    };
    let provider = Provider::new(oidc.clone(), oidc.secret()?);
    Ok(Some(Arc::new(provider)))
}

impl Generation {
    /// Accepts no more connections.
    async fn pause(&self) {
        let pauses = self.handles.iter().map(ServerHandle::pause);
        futures_util::future::join_all(pauses).await;
    }

    /// Lets requests finish, then ends the jobs.
    async fn close(mut self) {
        let stops = self.handles.iter().map(|handle| handle.stop(true));
        futures_util::future::join_all(stops).await;
        for server in self.servers {
            match server.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("a server ended badly: {error}"),
                Err(error) => tracing::error!("a server ended badly: {error}"),
            }
        }
        self.jobs.shutdown().await;
    }
}

fn keep_what_needs_a_restart(mut wanted: Config, config: &Config) -> Config {
    let (new, old) = (&mut wanted.collector, &config.collector);
    if new.listen != old.listen {
        tracing::warn!(
            "\"collector.listen\" needs a restart; going on with \"{}\"",
            old.listen
        );
        new.listen.clone_from(&old.listen);
    }
    if new.admin_listen != old.admin_listen {
        tracing::warn!(
            "\"collector.admin_listen\" needs a restart; going on with \"{}\"",
            old.admin_listen
        );
        new.admin_listen = old.admin_listen;
    }
    if new.hit_log != old.hit_log || new.hit_log_size != old.hit_log_size {
        tracing::warn!(
            "\"collector.hit_log\" and \"collector.hit_log_size\" need a restart; going on with \"{}\"",
            old.hit_log.display()
        );
        new.hit_log.clone_from(&old.hit_log);
        new.hit_log_size = old.hit_log_size;
    }
    wanted
}
