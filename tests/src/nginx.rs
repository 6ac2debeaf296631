// SPDX-License-Identifier: GPL-3.0-or-later
//! nginx with the configuration that we ship, changed in its variables only: port, certificate, where the collector is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use crate::{certificates::certify, port::Port, programs::find, scratch::Scratch, server::Server};

/// The name that the shipped configuration serves.
pub const HOST: &str = "track.example.com";

/// A running nginx.
pub struct Nginx {
    _server: Server,
    port: Port,
    scratch: Scratch,
}

/// What came back through TLS.
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Nginx {
    /// Starts nginx before a collector that listens at `HOST:PORT`, with a certificate for [`HOST`] that ends after so
    /// many days.
    ///
    /// # Panics
    ///
    /// Panics if nginx or `openssl` is not installed, or if nginx does not take the configuration.
    pub async fn before(collector: &str, days: u32) -> Self {
        let scratch = Scratch::new("ngx");
        let port = Port::reserve();
        certify(&scratch, &[HOST, "localhost"], days);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/proxy/nginx.conf");
        let place = |name: &str| scratch.path().join(name).display().to_string();
        let mut site = fs::read_to_string(shipped).unwrap();
        for (variable, value) in [
            ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
            ("    listen [::]:443 ssl;\n", String::new()),
            (
                "/etc/letsencrypt/live/track.example.com/fullchain.pem",
                place("certificate"),
            ),
            (
                "/etc/letsencrypt/live/track.example.com/privkey.pem",
                place("key"),
            ),
            (
                "/var/log/nginx/fairtrack-error.log",
                place("logs/error.log"),
            ),
            ("http://127.0.0.1:8080", format!("http://{collector}")),
        ] {
            assert!(site.contains(variable), "\"{variable}\" is not in the file");
            site = site.replace(variable, &value);
        }
        scratch.folder("logs", None);
        // As Debian's own: an access log for everything that does not switch it off.
        let main = format!(
            "daemon off; pid {}; error_log {} warn; events {{}}\nhttp {{\naccess_log {};\n{}\n{site}}}\n",
            place("pid"),
            place("logs/main.log"),
            place("logs/access.log"),
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {};", place(name)))
                .join("\n"),
        );
        let configuration = scratch.write("nginx.conf", main);
        let program = find("nginx").expect("nginx is not here (package nginx-light)");
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(scratch.path())
            .arg("-c")
            .arg(configuration);
        let mut server = Server::start(&scratch, "nginx", &mut command, Signal::SIGTERM);
        while TcpStream::connect(("127.0.0.1", port.number()))
            .await
            .is_err()
        {
            assert!(server.is_running(), "nginx ended:\n{}", server.log());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Self {
            _server: server,
            port,
            scratch,
        }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Returns the folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.scratch.path().join("logs")
    }

    /// Returns the certificate of the authority that signed.
    pub fn authority(&self) -> PathBuf {
        self.scratch.path().join("authority")
    }

    /// Asks through TLS, as a client that trusts the authority, with further arguments for `curl`.
    ///
    /// # Panics
    ///
    /// Panics if there is no answer.
    pub fn ask(&self, path: &str, more: &[&str]) -> Answer {
        let output = Command::new(find("curl").expect("curl is not here (package curl)"))
            .args([
                "--silent",
                "--show-error",
                "--include",
                "--http1.1",
                "--max-time",
                "30",
            ])
            .arg("--cacert")
            .arg(self.authority())
            .args([
                "--connect-to",
                &format!("{HOST}:443:127.0.0.1:{}", self.port),
            ])
            .args(more)
            .arg(format!("https://{HOST}{path}"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{path}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Answer::parse(&output.stdout)
    }
}

impl Answer {
    /// Returns the value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    fn parse(octets: &[u8]) -> Self {
        let end = octets
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let (head, body) = octets.split_at(end + 4);
        let head = String::from_utf8_lossy(head).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            fields: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect(),
            body: body.to_vec(),
        }
    }
}
