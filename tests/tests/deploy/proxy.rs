// SPDX-License-Identifier: GPL-3.0-or-later
//! The shipped proxy configurations: nginx for real, with pixel, link, page and API through TLS; the others by reading.

use std::{fs, path::Path, process::Command};

use common::{ids::MessageId, keys::KeyRing, tracking_url};
use harness::{
    database::Database,
    installation::{Installation, program_path},
    needs,
    nginx::{Answer, HOST, Nginx},
};
use serde_json::Value;

async fn collector(database: &Database) -> Installation {
    Installation::on(database)
        .set("controller.public_url", format!("https://{HOST}"))
        .write()
}

#[tokio::test]
async fn pixel_link_page_and_api_pass_through_tls_and_leave_no_line_in_a_log() {
    needs!(PostgreSql, Nginx);
    let database = Database::start().await;
    let installation = collector(&database).await;
    let _collector = installation.start_collector().await;
    let nginx = Nginx::before(installation.url().trim_start_matches("http://"), 20).await;
    let keys = KeyRing::read(&installation.keys()).unwrap();
    let message = MessageId::random();
    let destination = "https://shop.example.org//a%2Fb/%E2%82%AC?c=d%26e&f=%20g";
    let path = |url: String| {
        url.trim_start_matches("https://track.example.com")
            .to_owned()
    };

    let pixel = nginx.ask(
        &path(tracking_url::pixel(
            "https://track.example.com",
            &keys,
            message,
        )),
        &[],
    );
    let link = nginx.ask(
        &path(tracking_url::link(
            "https://track.example.com",
            &keys,
            message,
            1,
            destination,
        )),
        &[],
    );
    let forged = nginx.ask(
        "/l/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?u=https%3A%2F%2Fx.example%2F",
        &[],
    );
    let page = nginx.ask("/privacy", &[]);
    let api = nginx.ask("/api/v1/me", &[]);
    let description = nginx.ask("/api/openapi.json", &[]);

    assert_eq!((pixel.status, pixel.body.len()), (200, 43));
    assert_eq!(pixel.field("content-type"), Some("image/gif"));
    for name in ["etag", "set-cookie", "last-modified", "age"] {
        assert_eq!(pixel.field(name), None, "{name}");
    }
    assert!(
        pixel
            .field("cache-control")
            .unwrap()
            .starts_with("no-store")
    );
    assert_eq!(link.status, 302);
    assert_eq!(link.field("location"), Some(destination));
    assert_eq!(link.field("referrer-policy"), Some("no-referrer"));
    assert_eq!(forged.status, 400);
    assert_eq!(forged.field("location"), None);
    assert_eq!(page.status, 200);
    assert_eq!(api.status, 401);
    assert_eq!(api.field("content-type"), Some("application/problem+json"));
    assert_eq!(description.status, 200);

    for answer in [&pixel, &link, &forged, &page, &api] {
        assert!(
            answer
                .field("strict-transport-security")
                .unwrap()
                .contains("max-age=63072000")
        );
        let server = answer.field("server").unwrap_or_default();
        assert!(!server.contains(|c: char| c.is_ascii_digit()), "{server}");
    }
    for file in ["access.log", "error.log"] {
        let written = fs::read_to_string(nginx.logs().join(file)).unwrap_or_default();
        assert_eq!(written, "", "{file}");
    }
}

#[tokio::test]
async fn header_fields_pass_the_rules_of_public_checkers() {
    needs!(PostgreSql, Nginx);
    let database = Database::start().await;
    let installation = collector(&database).await;
    let _collector = installation.start_collector().await;
    let nginx = Nginx::before(installation.url().trim_start_matches("http://"), 20).await;

    for path in [
        "/privacy",
        "/sign-in",
        "/",
        "/nothing",
        "/c/forged",
        "/api/v1/me",
    ] {
        let answer = nginx.ask(path, &[]);
        let broken = broken_rules(&answer);

        assert_eq!(
            broken,
            [] as [&str; 0],
            "{path} ({}): {:?}",
            answer.status,
            answer.fields
        );
    }
    // A stranger's page may not read an answer of ours.
    let foreign = nginx.ask(
        "/api/v1/me",
        &["--header", "Origin: https://elsewhere.example"],
    );
    assert_eq!(foreign.field("access-control-allow-origin"), None);
}

/// The rules that HTTP Observatory and its kind check: transport, content policy, framing, sniffing, referrer, cookies.
fn broken_rules(answer: &Answer) -> Vec<&'static str> {
    let policy = answer.field("content-security-policy").unwrap_or_default();
    let directive = |name: &str| {
        policy
            .split(';')
            .map(str::trim)
            .find(|directive| directive.split(' ').next() == Some(name))
    };
    let transport = answer
        .field("strict-transport-security")
        .unwrap_or_default();
    let is_page = answer
        .field("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    let rules = [
        (
            "HSTS of half a year or more",
            transport.contains("max-age=63072000"),
        ),
        (
            "a policy that begins with nothing",
            directive("default-src") == Some("default-src 'none'"),
        ),
        (
            "no inline or evaluated script",
            !directive("script-src")
                .unwrap_or_default()
                .contains("unsafe-"),
        ),
        (
            "no frames of others",
            directive("frame-ancestors") == Some("frame-ancestors 'none'"),
        ),
        (
            "no base",
            !is_page || directive("base-uri") == Some("base-uri 'none'"),
        ),
        (
            "forms to us only",
            !is_page || directive("form-action").is_some(),
        ),
        (
            "no sniffing",
            answer.field("x-content-type-options") == Some("nosniff"),
        ),
        (
            "no referrer elsewhere",
            !is_page
                || matches!(
                    answer.field("referrer-policy"),
                    Some("no-referrer" | "same-origin" | "strict-origin")
                ),
        ),
        (
            "cookies of this host only",
            answer
                .fields
                .iter()
                .filter(|(name, _)| name == "set-cookie")
                .all(|(_, cookie)| {
                    ["__Host-", "Secure", "HttpOnly", "SameSite"]
                        .iter()
                        .all(|part| cookie.contains(part))
                }),
        ),
        ("no powered-by", answer.field("x-powered-by").is_none()),
    ];
    rules
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(rule, _)| rule)
        .collect()
}

#[tokio::test]
async fn doctor_sees_a_certificate_that_ends_soon() {
    needs!(PostgreSql, Nginx);
    let database = Database::start().await;
    let installation = collector(&database).await;
    let _collector = installation.start_collector().await;
    let place = installation.url();
    let place = place.trim_start_matches("http://");

    for (days, is_wrong) in [(20, false), (7, true)] {
        let nginx = Nginx::before(place, days).await;
        // The name leads nowhere here; so the doctor is told the loopback address by a configuration of its own.
        let text = fs::read_to_string(installation.configuration()).unwrap();
        let text = text.replace(
            &format!("https://{HOST}"),
            &format!("https://localhost:{}", nginx.port()),
        );
        let file = nginx.logs().join("../fairtrack.toml");
        fs::write(&file, text).unwrap();
        let output = Command::new(program_path("fairtrackctl"))
            .args(["doctor", "--json", "--proxy-logs"])
            .arg(nginx.logs())
            .env("FAIRTRACK_CONFIG", &file)
            .env("SSL_CERT_FILE", nginx.authority())
            .output()
            .unwrap();
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let level = |piece: &str| {
            findings
                .as_array()
                .unwrap()
                .iter()
                .find(|finding| finding["piece"] == piece)
                .map(|finding| finding["level"].as_str().unwrap().to_owned())
        };

        let expected = if is_wrong { "wrong" } else { "ok" };
        assert_eq!(
            level("certificate").as_deref(),
            Some(expected),
            "{findings:#}"
        );
        for piece in ["pixel", "link", "cache", "access log"] {
            assert_eq!(level(piece).as_deref(), Some("ok"), "{findings:#}");
        }
    }
}

#[test]
fn other_proxies_keep_no_access_log_either() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/proxy");
    let directives = |name: &str| -> Vec<String> {
        fs::read_to_string(folder.join(name))
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect()
    };
    let has = |lines: &[String], start: &str| lines.iter().any(|line| line.starts_with(start));

    let apache = directives("apache.conf");
    assert!(!has(&apache, "CustomLog") && !has(&apache, "TransferLog"));
    assert!(has(&apache, "AllowEncodedSlashes NoDecode"));
    assert!(
        apache
            .iter()
            .any(|line| line.starts_with("ProxyPass ") && line.contains("nocanon"))
    );

    let caddy = directives("Caddyfile");
    assert!(!has(&caddy, "log"));

    for (lines, transport) in [
        (&apache, "Header always set Strict-"),
        (&caddy, "header Strict-"),
    ] {
        assert!(has(lines, transport));
    }
}
