// SPDX-License-Identifier: GPL-3.0-or-later
//! What programs say: log lines to standard error, as text or JSON, filtered by `RUST_LOG`; answers to standard output.

use std::io::{self, ErrorKind, Write};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    Json,
    #[default]
    Text,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("invalid log format \"{text}\" (text or json)")),
        }
    }
}

/// Starts logging for the whole process. A second call changes nothing.
pub fn start(format: LogFormat) {
    // Libraries below us log what we must not: statements with their values, request lines, peers.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_unset| EnvFilter::new("warn,common=info,milter=info,collector=info"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(io::stderr))
            .try_init(),
        LogFormat::Text => {
            // systemd's journal stamps lines itself.
            let layer = fmt::layer()
                .with_target(false)
                .with_writer(io::stderr)
                .with_ansi(false);
            if std::env::var_os("JOURNAL_STREAM").is_some() {
                registry.with(layer.without_time()).try_init()
            } else {
                registry.with(layer).try_init()
            }
        }
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}

/// Prints an answer as a line of its own, or as many as it has. Nobody reading on, as in `… | head`, is no failure.
///
/// # Errors
///
/// Fails if standard output takes nothing more, as when a disk is full.
pub fn answer(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{}", text.trim_end()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a program's final error: its name, the message, then each cause on a line of its own.
pub fn print_error(program: &str, error: &anyhow::Error) {
    eprintln!("{program}: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  {cause}");
    }
}
