//! Certificates for one run, and TLS with them on both sides: each end shows one of the same
//! authority, as Envoys and control planes do.

use std::error::Error;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::unfold;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::server::Connected;

/// Handshakes that are under way at the same time.
const HANDSHAKES_MAX: usize = 64;

/// Writes `ca.pem`, and `server` and `client` as `.pem` and `.key`.
pub(crate) fn write(directory: &Path) -> Result<(), Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = ca.self_signed(&key)?;
    fs_err::write(directory.join("ca.pem"), certificate.pem())?;
    let issuer = Issuer::new(ca, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        fs_err::write(directory.join(format!("{name}.pem")), certificate.pem())?;
        fs_err::write(directory.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

/// The side of the load.
pub(crate) fn client(directory: &Path) -> Result<TlsConnector, Box<dyn Error>> {
    let (certificate, key) = own(directory, "client")?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(directory)?)
        .with_client_auth_cert(certificate, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The side of a floor.
pub(crate) fn server(directory: &Path) -> Result<TlsAcceptor, Box<dyn Error>> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(directory)?);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let (certificate, key) = own(directory, "server")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificate, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Accepted = io::Result<Secured>;

/// A connection that tonic takes. It knows those of its own TLS, which is not used here.
pub(crate) struct Secured(TlsStream<TcpStream>);

impl Connected for Secured {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, to)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Connections whose handshake is done; one that fails is passed over.
pub(crate) fn incoming(
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> Pin<Box<dyn Stream<Item = Accepted> + Send>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(HANDSHAKES_MAX);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move {
                if socket.set_nodelay(true).is_ok()
                    && let Ok(stream) = acceptor.accept(socket).await
                {
                    // The server may have ended meanwhile.
                    let _ = sender.send(Ok(Secured(stream))).await;
                }
            });
        }
    });
    Box::pin(unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    }))
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(directory: &Path, name: &str) -> Result<Own, Box<dyn Error>> {
    let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}.pem")))?;
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key")))?;
    Ok((vec![certificate], key))
}

fn roots(directory: &Path) -> Result<RootCertStore, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("ca.pem"))?)?;
    Ok(roots)
}
