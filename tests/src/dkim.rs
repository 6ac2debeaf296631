// SPDX-License-Identifier: GPL-3.0-or-later
//! DKIM by others: OpenDKIM signs, dkimpy verifies. Neither knows of us.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::net::UnixStream;

use crate::{
    programs::find,
    scratch::Scratch,
    server::{Server, run},
};

/// A running OpenDKIM that signs all mail, whoever its author, for one domain.
pub struct OpenDkim {
    _server: Server,
    socket: PathBuf,
    public_key: String,
    scratch: Scratch,
}

/// What a verifier says of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signature {
    Absent,
    Invalid,
    Valid,
}

impl OpenDkim {
    /// Makes a key for a domain and starts a signer with it.
    ///
    /// # Panics
    ///
    /// Panics if OpenDKIM or `openssl` is not installed, or does not start.
    pub async fn start(domain: &str) -> Self {
        let scratch = Scratch::new("dkim");
        let key = scratch.path().join("key");
        run(
            &scratch,
            Command::new("openssl")
                .args(["genrsa", "-out"])
                .arg(&key)
                .arg("2048"),
        );
        let mut public = Command::new("openssl");
        public.args(["rsa", "-pubout", "-in"]).arg(&key);
        let public_key = String::from_utf8(run(&scratch, &mut public)).unwrap();
        let socket = scratch.path().join("socket");
        let keys = scratch.write("keys", format!("site {domain}:test:{}\n", key.display()));
        let authors = scratch.write("authors", "* site\n");
        let configuration = scratch.write(
            "opendkim.conf",
            format!(
                "Mode s\nKeyTable {}\nSigningTable refile:{}\nSocket local:{}\nUMask 000\n\
                 Canonicalization relaxed/relaxed\nOversignHeaders From\nRequireSafeKeys no\nSyslog no\nBackground no\n",
                keys.display(),
                authors.display(),
                socket.display()
            ),
        );
        let program = find("opendkim").expect("OpenDKIM is not here (package opendkim)");
        let mut command = Command::new(program);
        command.arg("-f").arg("-x").arg(configuration);
        // On TERM it takes five seconds to end, and it has nothing to save.
        let mut server = Server::start(&scratch, "opendkim", &mut command, Signal::SIGKILL);
        // It says nothing when it is ready.
        while UnixStream::connect(&socket).await.is_err() {
            assert!(server.is_running(), "opendkim ended:\n{}", server.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self {
            _server: server,
            socket,
            public_key: public_key
                .lines()
                .filter(|line| !line.starts_with('-'))
                .collect(),
            scratch,
        }
    }

    /// Returns the socket, spelled as in Postfix.
    pub fn socket(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Asks dkimpy about a message as it was delivered.
    ///
    /// # Panics
    ///
    /// Panics if dkimpy is not installed.
    pub fn verify(&self, message: &[u8]) -> Signature {
        let verdicts = self.verify_all(&[message]);
        verdicts.first().copied().unwrap_or(Signature::Absent)
    }

    /// Asks dkimpy about many messages.
    ///
    /// # Panics
    ///
    /// As [`Self::verify`].
    pub fn verify_all(&self, messages: &[&[u8]]) -> Vec<Signature> {
        let mut command = Command::new("/usr/bin/python3");
        self.scratch.mark(&mut command);
        let mut child = command
            .args(["-c", VERIFIER, &self.public_key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        for message in messages {
            writeln!(input, "{}", message.len()).unwrap();
            input.write_all(message).unwrap();
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        let verdicts: Vec<Signature> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| match line {
                "absent" => Signature::Absent,
                "invalid" => Signature::Invalid,
                _ => Signature::Valid,
            })
            .collect();
        assert_eq!(
            verdicts.len(),
            messages.len(),
            "dkimpy failed (package python3-dkim)"
        );
        verdicts
    }
}

/// The key comes from the command line instead of the DNS. Everything is read before anything is said, so that neither
/// side waits for the other.
const VERIFIER: &str = r#"
import sys, dkim
record = b"v=DKIM1; k=rsa; p=" + sys.argv[1].encode()

def verdict(message):
    try:
        verifier = dkim.DKIM(message)
        if not any(name.lower() == b"dkim-signature" for name, _ in verifier.headers):
            return "absent"
        return "valid" if verifier.verify(dnsfunc=lambda *_, **__: record) else "invalid"
    except (dkim.DKIMException, ValueError):
        return "invalid"

messages = []
while line := sys.stdin.buffer.readline():
    messages.append(sys.stdin.buffer.read(int(line)))
print(*map(verdict, messages), sep="\n")
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{postfix::Postfix, sink::Sink};

    #[tokio::test]
    async fn changed_message_is_told_from_the_signed_one() {
        crate::needs!(Postfix, OpenDkim, Dkimpy);
        let signer = OpenDkim::start("example.com").await;
        let sink = Sink::start();
        let postfix = Postfix::relaying_to(sink.port())
            .user("alice@example.com", "secret")
            .milter(&signer.socket())
            .start()
            .await;
        let message =
            b"From: alice@example.com\r\nTo: bob@recipient.test\r\nSubject: x\r\n\r\nBody\r\n";

        postfix
            .submit(
                ("alice@example.com", "secret"),
                &["bob@recipient.test"],
                message,
            )
            .await;
        let signed = sink.next().await.message;
        let changed = String::from_utf8(signed.clone())
            .unwrap()
            .replace("Body", "body");

        assert_eq!(signer.verify(message), Signature::Absent);
        assert_eq!(signer.verify(&signed), Signature::Valid);
        assert_eq!(signer.verify(changed.as_bytes()), Signature::Invalid);
    }
}
