//! A client that speaks TLS with an Envoy, sees its certificate, and keeps its connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::certificates::Pair;

/// Longer than any answer that is waited for.
const READ_MAX: Duration = Duration::from_secs(30);

/// An open connection.
#[derive(Debug)]
pub(crate) struct TlsClient(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient {
    /// Connects as whoever trusts `roots`, and perhaps shows a certificate.
    pub(crate) fn connect(
        to: SocketAddr,
        name: &str,
        roots: &str,
        own: Option<&Pair>,
    ) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates(roots));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(store);
        let config = match own {
            None => config.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                let chain = certificates(&pair.certificate);
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(to).map_err(|e| said(&e))?;
        stream.set_read_timeout(Some(READ_MAX)).unwrap();
        let mut client = Self(StreamOwned::new(session, stream));
        // Only an answer shows that the other side was content too.
        client.get()?;
        Ok(client)
    }

    /// What the Envoy has shown.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        let shown = self.0.conn.peer_certificates().unwrap();
        shown[0].clone().into_owned()
    }

    /// One more request on this connection, which goes on after it.
    pub(crate) fn get(&mut self) -> Result<(), String> {
        let said = |error: std::io::Error| error.to_string();
        let request = "GET /fast HTTP/1.1\r\nhost: cart.internal\r\n\r\n";
        self.0.write_all(request.as_bytes()).map_err(said)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).map_err(said)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            return Err(head);
        }
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        let mut body = vec![0; length.ok_or("no length")?.parse().unwrap()];
        self.0.read_exact(&mut body).map_err(said)
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes());
    all.collect::<Result<_, _>>().unwrap()
}
