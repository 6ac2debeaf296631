// SPDX-License-Identifier: GPL-3.0-or-later
//! The public URL from outside in: what a recipient's mail program would get, and what the proxy remembers of it.
//!
//! The pixel has a token that nobody signed, and the link one of a message that does not exist: neither is recorded.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{config::Controller, ids::MessageId, keys::KeyRing, tracking_url};

use super::{
    fetch::{self, Answer, When},
    finding::Finding,
};

/// Where proxies keep their logs on Debian and elsewhere.
pub(super) const LOGS: [&str; 4] = [
    "/var/log/nginx",
    "/var/log/apache2",
    "/var/log/httpd",
    "/var/log/caddy",
];

pub(super) async fn examine(
    controller: &Controller,
    keys: Option<&KeyRing>,
    logs: &[PathBuf],
) -> Vec<Finding> {
    let base = controller.base_url();
    let token = random_token();
    let answer = match fetch::get(&format!("{base}/o/{token}.gif"), When::Now).await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Finding::wrong(
                "public URL",
                format!("\"{base}\": {error}"),
                "let the name lead to the TLS proxy, its certificate be valid for the name, and the proxy pass everything to \"collector.listen\"",
            )];
        }
    };
    let mut findings = vec![pixel(base, &answer)];
    if base.starts_with("https:") {
        findings.push(certificate(base, &token).await);
    }
    if let Some(keys) = keys {
        findings.push(link(base, keys).await);
    }
    findings.push(cache(base, &answer));
    findings.push(logged(&token, logs));
    findings
}

fn pixel(base: &str, answer: &Answer) -> Finding {
    let is_ours = answer.status == 200
        && answer.field("content-type") == Some("image/gif")
        && answer.body.len() == 43;
    if is_ours {
        Finding::ok("pixel", format!("is shown at \"{base}\""))
    } else {
        Finding::wrong(
            "pixel",
            format!("\"{base}\" answers {} and no pixel", answer.status),
            "let the proxy pass everything below \"/\" to \"collector.listen\", unchanged",
        )
    }
}

async fn certificate(base: &str, token: &str) -> Finding {
    match fetch::get(&format!("{base}/o/{token}.gif"), When::InTwoWeeks).await {
        Ok(_) => Finding::ok("certificate", "is valid, and for two weeks more"),
        Err(error) => Finding::wrong(
            "certificate",
            format!("ends within two weeks: {error}"),
            "renew it, and let the proxy read it again: links in mail that was sent lead through it",
        ),
    }
}

async fn link(base: &str, keys: &KeyRing) -> Finding {
    // What proxies like to change: encoded slashes, double slashes, percent signs.
    let destination = "https://destination.invalid//a%2Fb/%E2%82%AC?c=d%26e&f=%20g";
    let url = tracking_url::link(base, keys, MessageId::random(), 1, destination);
    match fetch::get(&url, When::Now).await {
        Ok(answer) if answer.field("location") == Some(destination) => {
            Finding::ok("link", "leads exactly where it should")
        }
        Ok(answer) if answer.status == 400 => Finding::wrong(
            "link",
            "is taken for forged",
            "the collector has other keys than \"keys.file\" here, or the proxy changes URLs: let it pass them as they are (Apache: AllowEncodedSlashes NoDecode, nocanon)",
        ),
        Ok(answer) => Finding::wrong(
            "link",
            format!("is answered {} and leads elsewhere", answer.status),
            "let the proxy pass everything to \"collector.listen\", and change no URL",
        ),
        Err(error) => Finding::wrong(
            "link",
            error.to_string(),
            "look at the log of the proxy and of the collector",
        ),
    }
}

fn cache(base: &str, answer: &Answer) -> Finding {
    let stores = !answer
        .field("cache-control")
        .is_some_and(|value| value.contains("no-store"));
    let signs: Vec<&str> = ["age", "x-cache", "x-cache-status", "etag", "set-cookie"]
        .into_iter()
        .filter(|name| answer.field(name).is_some())
        .collect();
    if !stores && signs.is_empty() {
        return Finding::ok("cache", "none between readers and the collector");
    }
    let sign = if stores {
        "\"Cache-Control: no-store\" is missing".to_owned()
    } else {
        format!("the answer has \"{}\"", signs.join("\", \""))
    };
    Finding::wrong(
        "cache",
        format!("something keeps or changes answers of \"{base}\": {sign}"),
        "switch caching, cookies and ETags of the proxy off for this host",
    )
}

/// Looks for the token of our own question in the logs.
fn logged(token: &str, folders: &[PathBuf]) -> Finding {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let mut unread = 0_usize;
    let files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| {
            fs::read_dir(folder)
                .inspect_err(|error| unread += usize::from(is_denied(error)))
                .ok()
        })
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
        .take(1000)
        .collect();
    let found = files.iter().find(|file| {
        says(file, token)
            .inspect_err(|error| unread += usize::from(is_denied(error)))
            .unwrap_or(false)
    });
    match found {
        None if unread > 0 => Finding::note(
            "access log",
            format!("{unread} logs or folders of a proxy here may not be read by this user"),
            "run this as root to have them searched for tokens",
        ),
        Some(file) => Finding::wrong(
            "access log",
            format!("\"{}\" keeps tokens and readers' addresses", file.display()),
            "switch the access log off for this host, as deploy/proxy shows, and delete what gathered",
        ),
        None => Finding::ok(
            "access log",
            format!("{} logs of a proxy here, no token in them", files.len()),
        ),
    }
}

/// Tells whether the end of a file holds a text.
fn says(file: &Path, text: &str) -> io::Result<bool> {
    let mut file = fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut octets = Vec::new();
    file.take(END).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).contains(text))
}

/// Far more than is written between our question and our look.
const END: u64 = 256 * 1024;

fn random_token() -> String {
    let mut octets = [0_u8; 36];
    // Without randomness the token is still one that nobody signed.
    let _ = getrandom::fill(&mut octets);
    URL_SAFE_NO_PAD.encode(octets)
}
