//! A connection to an instance as a new caller would make it: by its address, or by the name of its
//! host, over TLS where the instance asks for that.
//!
//! In goes an address, out comes a stream of bytes, or in a few words why there is none.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::domain::{Address, HostAddress, Protocol, UpstreamTls};

/// Longest file of certificate authorities, in bytes.
const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes to and from an instance.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Connects to one instance, again and again.
#[derive(Debug)]
pub(super) struct Caller {
    address: Address,
    protocol: Protocol,
    tls: UpstreamTls,
    /// What TLS is spoken with; read when first needed, and anew after it has failed.
    trust: Option<Arc<ClientConfig>>,
}

impl Caller {
    pub(super) fn new(address: Address, protocol: Protocol, tls: UpstreamTls) -> Self {
        Self {
            address,
            protocol,
            tls,
            trust: None,
        }
    }

    /// Whom requests name as their host.
    pub(super) fn authority(&self) -> String {
        self.address.as_id()
    }

    /// The scheme of its URLs.
    pub(super) fn scheme(&self) -> &'static str {
        match &self.address {
            Address::Host(host) if host.tls() => "https",
            _ => "http",
        }
    }

    pub(super) async fn connect(&mut self) -> Result<Stream, String> {
        let cannot = |error: std::io::Error| format!("cannot connect: {error}");
        match self.address.clone() {
            Address::Socket(socket) => {
                let stream = TcpStream::connect(socket).await.map_err(cannot)?;
                Ok(Either::Left(stream))
            }
            Address::Host(host) => {
                let to = (host.name().to_owned(), host.port());
                let stream = TcpStream::connect(to).await.map_err(cannot)?;
                if host.tls() {
                    self.secure(&host, stream).await
                } else {
                    Ok(Either::Left(stream))
                }
            }
        }
    }

    async fn secure(&mut self, host: &HostAddress, stream: TcpStream) -> Result<Stream, String> {
        let trust = match self.trust.take() {
            Some(trust) => trust,
            None => self.read_trust().await?,
        };
        let name = ServerName::try_from(host.name().to_owned());
        let name = name.map_err(|error| format!("TLS: {error}"))?;
        let secured = TlsConnector::from(Arc::clone(&trust)).connect(name, stream);
        let secured = secured.await.map_err(|error| format!("TLS: {error}"))?;
        self.trust = Some(trust);
        Ok(Either::Right(Box::new(secured)))
    }

    async fn read_trust(&self) -> Result<Arc<ClientConfig>, String> {
        let (path, protocol) = (self.tls.ca.clone(), self.protocol);
        let read = tokio::task::spawn_blocking(move || {
            let believed = authorities(Path::new(&path));
            believed.map_err(|cause| format!("the CAs in `{path}` cannot be used: {cause}"))
        });
        let believed = read.await.map_err(|error| error.to_string())??;
        let mut config = ClientConfig::builder()
            .with_root_certificates(believed)
            .with_no_client_auth();
        let spoken = match protocol {
            Protocol::Http1 => Some("http/1.1"),
            Protocol::Http2 | Protocol::Grpc => Some("h2"),
            Protocol::Tcp => None,
        };
        config.alpn_protocols = spoken.map(Into::into).into_iter().collect();
        Ok(Arc::new(config))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let bytes = fs_err::metadata(path).map_err(|error| error.to_string())?;
    if bytes.len() > CA_BYTES_MAX {
        return Err(format!("it has more than {CA_BYTES_MAX} bytes"));
    }
    let pem = fs_err::read(path).map_err(|error| error.to_string())?;
    let certificates = CertificateDer::pem_slice_iter(&pem).flatten();
    let mut believed = RootCertStore::empty();
    // A system's collection may have one in it that is not understood, and is none the worse for it.
    let (taken, _) = believed.add_parsable_certificates(certificates);
    if taken == 0 {
        return Err("it has no certificate in PEM form".to_owned());
    }
    Ok(believed)
}
