// SPDX-License-Identifier: GPL-3.0-or-later
//! Connecting: in clear on one host, or through TLS to a server that proves its name.

use std::{error::Error, path::Path, sync::Arc};

use diesel::{ConnectionResult, result::ConnectionError};
use diesel_async::AsyncPgConnection;
use tokio_postgres::{
    NoTls, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::address::{self, Trust};

/// Connects. An error tells all its causes, which the driver keeps to itself.
pub(super) async fn establish(given: &str) -> ConnectionResult<AsyncPgConnection> {
    let (address, trust) = address::complete(given).map_err(ConnectionError::BadConnection)?;
    match trust {
        None => connect(&address, NoTls).await,
        Some(trust) => connect(&address, MakeRustlsConnect::new(client(&trust)?)).await,
    }
}

async fn connect<T>(address: &str, tls: T) -> ConnectionResult<AsyncPgConnection>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + Unpin + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = tokio_postgres::connect(address, tls)
        .await
        .map_err(|error| bad(&error))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// Trusts whom the operator names, or whom the system trusts. Read anew for each connection, as authorities are renewed.
fn client(trust: &Trust) -> ConnectionResult<ClientConfig> {
    let authorities = match trust {
        Trust::System => rustls_native_certs::load_native_certs().certs,
        Trust::File(path) => read(path)?,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions of TLS that are the default");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read(path: &Path) -> ConnectionResult<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| {
            let place = path.display();
            ConnectionError::BadConnection(format!("failed to read \"{place}\": {error}"))
        })
}

fn bad(error: &dyn Error) -> ConnectionError {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    ConnectionError::BadConnection(words.join(": "))
}
