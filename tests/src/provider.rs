// SPDX-License-Identifier: GPL-3.0-or-later
//! An OpenID Connect provider: somebody else's (oidc-provider, MIT), fetched once by npm into `target/`, run by Node.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{port::Port, scratch::Scratch, server::Server};

/// A provider on loopback.
pub struct Provider {
    port: Port,
    server: Server,
}

/// The version that is fetched. A new one is tried by hand first.
const VERSION: &str = "8.8.1";
/// What the provider knows us by.
pub const CLIENT: (&str, &str) = ("fairtrack", "a secret: + of its own");

impl Provider {
    /// Starts a provider that sends people back to `base`; `None`, said in a line, where it cannot be had.
    ///
    /// Of `wishes`, `inToken` has it put claims into the ID token, and `lifetime` says how many seconds that is good for.
    pub async fn start(base: &str, wishes: &Value) -> Option<Self> {
        let Some(library) = library() else {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let line = format!(
                "skipped {test}: it needs oidc-provider {VERSION}, which npm did not bring\n"
            );
            // Not `eprintln!`: that is shown for failed tests only.
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        };
        let scratch = Scratch::new("oidc");
        let port = Port::reserve();
        let script = scratch.write("provider.mjs", include_str!("provider.mjs"));
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg(library)
            .args([&port.to_string(), base, &wishes.to_string()]);
        let server = Server::start(&scratch, "oidc-provider", &mut command, Signal::SIGTERM);
        server.log().wait_for("listening").await;
        Some(Self { port, server })
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the provider.
    pub fn stop(&mut self) {
        self.server.terminate();
    }
}

/// Returns the library's first file, fetched now if it is not there.
fn library() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    fs::create_dir_all(&target).ok()?;
    let folder = fs::canonicalize(target)
        .ok()?
        .join(format!("oidc-provider-{VERSION}"));
    // Tests of several processes want it at once; one fetches it.
    let lock = File::create(folder.with_extension("lock")).ok()?;
    lock.lock().ok()?;
    let first = folder.join("node_modules/oidc-provider/lib/index.js");
    let stamp = folder.join("fetched");
    if stamp.is_file() {
        return Some(first);
    }
    fs::create_dir_all(&folder).ok()?;
    let output = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ])
        .args(["--fetch-retries=1", "--fetch-timeout=20000", "--prefix"])
        .arg(&folder)
        .arg(format!("oidc-provider@{VERSION}"))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() || !first.is_file() {
        return None;
    }
    fs::write(stamp, VERSION).ok()?;
    Some(first)
}
