// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages that their author signed or encrypted, made and checked by openssl and GnuPG: after passing through with
//! consent given, they are what they were.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use harness::{
    needs,
    scratch::Scratch,
    site::{ALICE, BOB, Said, Site},
};

/// What is signed or encrypted: a part that would be instrumented otherwise.
const PART: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    <html><body><p>Dzień dobry, our <a href=\"https://shop.example.org/offer\">offer</a>.</p></body></html>\r\n";

const TEXT: &str = "Our offer:\r\nhttps://shop.example.org/offer?id=7\r\n\r\n- not a list\r\n";

#[tokio::test]
async fn s_mime_passes_through_unharmed() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = consenting_site().await;
    let _milter = site.installation.start_milter().await;
    let author = Author::new();

    for tool in ["smime", "cms"] {
        for (arguments, reason) in [
            (&["-sign"][..], "signed"),
            (&["-sign", "-nodetach"][..], "signed"),
            (&["-encrypt", "-aes256"][..], "encrypted"),
        ] {
            let case = format!("{tool} {arguments:?}");
            let message = addressed(&author.s_mime(tool, arguments));
            let delivery = site.deliver(ALICE, &[BOB], &message).await;
            let arrived = delivery.without_trace_and_signature();

            assert_eq!(arrived, message, "{case}");
            assert_eq!(
                author.open_s_mime(tool, arguments, &arrived),
                PART,
                "{case}"
            );
            assert_eq!(last_reason(&site).await, reason, "{case}");
        }
    }
}

#[tokio::test]
async fn pgp_mime_and_inline_pgp_pass_through_unharmed() {
    needs!(PostgreSql, Postfix, OpenDkim, Gnupg);
    let site = consenting_site().await;
    let _milter = site.installation.start_milter().await;
    let author = Author::new();
    author.make_pgp_key();

    let signature = author.gpg(&["--detach-sign"], PART.as_bytes());
    let signed = multipart(
        "signed; micalg=pgp-sha512; protocol=\"application/pgp-signature\"",
        &[
            PART,
            &format!("Content-Type: application/pgp-signature\r\n\r\n{signature}"),
        ],
    );
    let delivery = site.deliver(ALICE, &[BOB], &signed).await;
    let arrived = String::from_utf8(delivery.without_trace_and_signature()).unwrap();
    let parts: Vec<&str> = arrived.split("\r\n--=_b").collect();
    let (part, signature) = (parts[1].trim_start_matches("\r\n"), parts[2]);
    author.verify_detached(part, signature.split_once("\r\n\r\n").unwrap().1);
    assert_eq!(last_reason(&site).await, "signed");

    let sealed = author.gpg(&["--encrypt", "-r", ALICE], PART.as_bytes());
    let encrypted = multipart(
        "encrypted; protocol=\"application/pgp-encrypted\"",
        &[
            "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
            &format!("Content-Type: application/octet-stream\r\n\r\n{sealed}"),
        ],
    );
    let delivery = site.deliver(ALICE, &[BOB], &encrypted).await;
    assert_eq!(author.gpg(&["--decrypt"], delivery.body()), PART);
    assert_eq!(last_reason(&site).await, "encrypted");

    let inline = [
        (author.gpg(&["--clearsign"], TEXT.as_bytes()), "signed"),
        (
            author.gpg(&["--encrypt", "-r", ALICE], TEXT.as_bytes()),
            "encrypted",
        ),
    ];
    for (armoured, reason) in inline {
        let head = "Content-Type: text/plain; charset=utf-8\r\n\r\n";
        let message = addressed(format!("MIME-Version: 1.0\r\n{head}{armoured}").as_bytes());
        let delivery = site.deliver(ALICE, &[BOB], &message).await;
        let text = author.gpg(&["--decrypt"], delivery.body());

        assert_eq!(text.trim_end(), TEXT.trim_end(), "{reason}");
        assert_eq!(last_reason(&site).await, reason);
    }
}

/// A site where everything would be instrumented.
async fn consenting_site() -> Site {
    let site = Site::start().await;
    site.user(ALICE).await;
    site.database
        .execute("UPDATE users SET text_links = true")
        .await;
    site.says(BOB, Said::Yes).await;
    site
}

async fn last_reason(site: &Site) -> String {
    let client = site.database.connect().await;
    let newest = "SELECT coalesce(reason, 'none') FROM messages ORDER BY sent_at DESC LIMIT 1";
    client.query_one(newest, &[]).await.unwrap().get(0)
}

fn addressed(message: &[u8]) -> Vec<u8> {
    let fields = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: Offer\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <1@example.com>\r\n"
    );
    [fields.as_bytes(), message].concat()
}

fn multipart(subtype: &str, parts: &[&str]) -> Vec<u8> {
    let mut text =
        format!("MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary=\"=_b\"\r\n\r\n");
    for part in parts {
        text.push_str(&format!("--=_b\r\n{part}\r\n"));
    }
    text.push_str("--=_b--\r\n");
    addressed(text.as_bytes())
}

/// Keys and tools of the author, who reads her own mail as well.
struct Author {
    scratch: Scratch,
}

impl Author {
    fn new() -> Self {
        let author = Self {
            scratch: Scratch::new("author"),
        };
        author.openssl(
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=Alice",
                "-keyout",
                "key",
                "-out",
                "cert",
            ],
            b"",
        );
        author
    }

    fn s_mime(&self, tool: &str, arguments: &[&str]) -> Vec<u8> {
        let keys: &[&str] = match arguments {
            ["-encrypt", ..] => &["cert"],
            _ => &["-signer", "cert", "-inkey", "key"],
        };
        let all = [&[tool][..], arguments, &["-crlfeol"], keys].concat();
        // Without -crlfeol some versions end lines of the header section with LF alone.
        let text = String::from_utf8(self.openssl(&all, PART.as_bytes())).unwrap();
        text.replace("\r\n", "\n")
            .replace('\n', "\r\n")
            .into_bytes()
    }

    /// Verifies or decrypts, and returns what was signed or encrypted.
    fn open_s_mime(&self, tool: &str, arguments: &[&str], message: &[u8]) -> String {
        let all: &[&str] = match arguments {
            ["-encrypt", ..] => &[tool, "-decrypt", "-recip", "cert", "-inkey", "key"],
            _ => &[tool, "-verify", "-CAfile", "cert"],
        };
        String::from_utf8(self.openssl(all, message)).unwrap()
    }

    fn make_pgp_key(&self) {
        self.scratch.folder("gnupg", None);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(self.home(), mode).unwrap();
        self.gpg(
            &["--quick-generate-key", ALICE, "future-default", "default"],
            b"",
        );
    }

    fn verify_detached(&self, part: &str, signature: &str) {
        let file = self.scratch.write("signature", signature);
        self.gpg(
            &["--verify", &file.display().to_string(), "-"],
            part.as_bytes(),
        );
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", self.home())
            .args([
                "--batch",
                "--quiet",
                "--armor",
                "--trust-model",
                "always",
                "--pinentry-mode",
                "loopback",
            ])
            .args(["--passphrase", ""])
            .args(arguments);
        let output = String::from_utf8(self.feed(&mut command, input)).unwrap();
        // Armour has LF; by SMTP it travels with CR LF.
        output.replace("\r\n", "\n").replace('\n', "\r\n")
    }

    fn openssl(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        self.feed(Command::new("openssl").args(arguments), input)
    }

    fn feed(&self, command: &mut Command, input: &[u8]) -> Vec<u8> {
        let mut child = command
            .current_dir(self.scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A program that needs no input has perhaps closed it.
        let _ = pipe.write_all(input);
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        output.stdout
    }

    fn home(&self) -> PathBuf {
        self.scratch.path().join("gnupg")
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        // The agent goes away by itself when its folder does, but only after a while.
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.home())
            .args(["--kill", "all"])
            .output();
    }
}
