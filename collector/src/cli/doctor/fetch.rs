// SPDX-License-Identifier: GPL-3.0-or-later
//! One GET, as a stranger on the net makes it: name, connection, certificate, answer.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{ServerName, UnixTime},
        time_provider::TimeProvider,
    },
};
use url::Url;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// When certificates are judged to be valid or not.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    InTwoWeeks,
    Now,
}

/// Asks for a URL and does not follow redirects.
///
/// # Errors
///
/// Fails if the host cannot be reached, shows a certificate that nobody would accept, or answers with something else
/// than HTTP.
pub(super) async fn get(url: &str, when: When) -> io::Result<Answer> {
    timeout(PATIENCE, ask(url, when))
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
}

const PATIENCE: Duration = Duration::from_secs(10);
/// No answer of ours is larger.
const LIMIT: u64 = 64 * 1024;

async fn ask(url: &str, when: When) -> io::Result<Answer> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidInput, "no URL that can be asked");
    let parsed = Url::parse(url).map_err(|_malformed| malformed())?;
    let host = parsed.host_str().ok_or_else(malformed)?;
    let port = parsed.port_or_known_default().ok_or_else(malformed)?;
    // As it was written: a parsed URL may have changed what is to be compared.
    let rest = url
        .split_once("//")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or("", |(_, rest)| rest);
    let request = format!(
        "GET /{rest} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fairtrackctl\r\nConnection: close\r\n\r\n",
        parsed.authority()
    );
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    if parsed.scheme() == "http" {
        return converse(stream, &request).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|_invalid| malformed())?;
    let tls = TlsConnector::from(Arc::new(trust(when)));
    converse(tls.connect(name, stream).await?, &request).await
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut octets = Vec::new();
    match (&mut stream).take(LIMIT).read_to_end(&mut octets).await {
        // Not every server closes TLS as it should.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    parse(&octets).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

fn parse(octets: &[u8]) -> Option<Answer> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = octets.split_at_checked(end + 4)?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let fields = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Answer {
        status,
        fields,
        body: body.to_vec(),
    })
}

impl Answer {
    /// Returns the value of a header field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Trusts whom the system trusts, at the time that is wanted.
fn trust(when: When) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_details(Arc::new(ring::default_provider()), Arc::new(when))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions of TLS that are the default")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

impl TimeProvider for When {
    fn current_time(&self) -> Option<UnixTime> {
        let later = match self {
            Self::InTwoWeeks => Duration::from_secs(14 * 24 * 3600),
            Self::Now => Duration::ZERO,
        };
        let now = UnixTime::now().as_secs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now) + later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_taken_apart() {
        let answer =
            parse(b"HTTP/1.1 302 Found\r\nLocation: https://a/b%2Fc\r\nX: 1\r\n\r\nbody").unwrap();

        assert_eq!(answer.status, 302);
        assert_eq!(answer.field("location"), Some("https://a/b%2Fc"));
        assert_eq!(answer.body, b"body");
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_none());
        assert!(parse(b"").is_none());
    }
}
