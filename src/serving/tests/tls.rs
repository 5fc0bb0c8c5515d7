//! Who is let in, and what happens when certificates change.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::*;
use crate::domain::TlsFiles;
use crate::peer::{Policy, Rule, San};
use crate::serving::Certificates;

/// A CA.
struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
struct Identity {
    certificate: String,
    key: String,
    der: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: SanType) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![name];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: (
                certificate.der().clone(),
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            ),
        }
    }

    fn server(&self) -> Identity {
        self.sign(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()))
    }

    fn proxy(&self, id: &str) -> Identity {
        let uri = format!("spiffe://test/edge/{id}");
        self.sign(SanType::URI(uri.as_str().try_into().unwrap()))
    }
}

/// A port with TLS, its files and its CA.
struct Secure {
    world: World,
    ca: Ca,
    directory: TempDir,
    _certificates: DropGuard,
}

impl Secure {
    fn new(limits: Limits) -> Self {
        let ca = Ca::new();
        let directory = tempfile::tempdir().unwrap();
        write(&directory, &ca.server(), &ca);
        let counts = Arc::<Counts>::default();
        let certificates = Certificates::load(files(&directory), Arc::clone(&counts) as _).unwrap();
        let rule = Rule {
            san: San::Spiffe("spiffe://test/{cluster}/{node}".parse().unwrap()),
            node: None,
            cluster: None,
        };
        let tls = TlsOptions {
            trust: certificates.trust(),
            policy: Arc::new(Policy { rules: vec![rule] }),
        };
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
        tokio::spawn(certificates.keep(stop.clone()));
        Self {
            world: World::with(limits, calm(), Some(tls), counts),
            ca,
            directory,
            _certificates: stop.drop_guard(),
        }
    }

    /// Connects with a certificate, or without; TLS 1.3 tells of a refusal only afterwards.
    async fn connect(&self, identity: Option<&Identity>) -> std::io::Result<Client> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(Identity {
                der: (certificate, key),
                ..
            }) => config
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(self.world.address).await?;
        let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
        let connector = TlsConnector::from(Arc::new(config));
        let stream = soon(connector.connect(name, socket)).await?;
        Ok(Client::over(stream).await)
    }

    async fn asks(&self, identity: &Identity, node: &str, cluster: &str) -> String {
        let client = self.connect(Some(identity)).await.unwrap();
        let path = format!("/may?node={node}&cluster={cluster}");
        client.status_of(&path).await
    }
}

fn files(directory: &TempDir) -> TlsFiles {
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    TlsFiles {
        certificate: path("server.pem"),
        key: path("server.key"),
        client_ca: path("ca.pem"),
    }
}

fn write(directory: &TempDir, server: &Identity, ca: &Ca) {
    let files = files(directory);
    fs_err::write(files.client_ca, ca.0.pem()).unwrap();
    fs_err::write(files.certificate, &server.certificate).unwrap();
    fs_err::write(files.key, &server.key).unwrap();
}

#[tokio::test]
async fn a_certificate_speaks_for_the_node_that_it_names() {
    let secure = Secure::new(Limits::default());
    let proxy = secure.ca.proxy("a");
    assert_eq!(secure.asks(&proxy, "a", "edge").await, "0 yes");
    for (node, cluster) in [("b", "edge"), ("a", "web")] {
        let said = secure.asks(&proxy, node, cluster).await;
        assert!(said.starts_with("7 "), "{said}");
        assert!(said.contains("spiffe://test/edge/a"), "{said}");
    }
    assert_eq!(Counts::of(&secure.world.counts.denied), 2);
}

#[tokio::test]
async fn who_has_no_certificate_of_the_right_ca_never_gets_to_ask() {
    let secure = Secure::new(Limits::default());
    for identity in [None, Some(Ca::new().proxy("a"))] {
        let connected = secure.connect(identity.as_ref()).await;
        if let Ok(client) = connected {
            client.call("/may?node=a&cluster=edge").await.unwrap_err();
        }
    }
    let counts = &secure.world.counts;
    until("both are counted", || {
        Counts::of(&counts.handshakes_failed) == 2
    })
    .await;
    assert_eq!(Counts::of(&counts.opened), 0);
}

#[tokio::test]
async fn plaintext_on_a_port_with_tls_is_a_failed_handshake() {
    let secure = Secure::new(Limits::default());
    let client = secure.world.connect().await;
    client.call("/may?node=a&cluster=edge").await.unwrap_err();
    assert_eq!(Counts::of(&secure.world.counts.handshakes_failed), 1);
}

#[tokio::test]
async fn slow_handshakes_hold_nobody_up() {
    let secure = Secure::new(Limits {
        handshakes: 1,
        ..Limits::default()
    });
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(TcpStream::connect(secure.world.address).await.unwrap());
    }
    let proxy = secure.ca.proxy("a");
    assert_eq!(secure.asks(&proxy, "a", "edge").await, "0 yes");
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_ended() {
    let secure = Secure::new(Limits {
        handshakes: 1,
        handshake_time: Span::millis(10),
        first_request_time: Span::millis(10),
        ..Limits::default()
    });
    let half = TcpStream::connect(secure.world.address).await.unwrap();
    // The head of a TLS record that never comes.
    half.writable().await.unwrap();
    half.try_write(&[22, 3, 1, 1, 0]).unwrap();
    let silent = TcpStream::connect(secure.world.address).await.unwrap();
    let counts = &secure.world.counts;
    until("both are given up", || {
        Counts::of(&counts.handshakes_failed) == 2
    })
    .await;
    drop((half, silent));
}

#[tokio::test]
async fn certificates_change_under_way_and_who_is_no_longer_trusted_goes() {
    let secure = Secure::new(Limits::default());
    let counts = &secure.world.counts;
    let old = secure.ca.proxy("a");
    let client = secure.connect(Some(&old)).await.unwrap();
    let held = client.call("/hold").await.unwrap();

    // Another certificate of the same CA: those who are connected stay.
    write(&secure.directory, &secure.ca.server(), &secure.ca);
    until("it is taken", || Counts::of(&counts.taken) > 0).await;
    assert_eq!(secure.asks(&old, "a", "edge").await, "0 yes");
    assert_eq!(client.status_of("/may?node=a&cluster=edge").await, "0 yes");

    // A key that fits no certificate is not taken, and all goes on.
    let broken = Counts::of(&counts.broken);
    fs_err::write(files(&secure.directory).key, &old.key).unwrap();
    until("it is found broken", || Counts::of(&counts.broken) > broken).await;
    assert_eq!(secure.asks(&old, "a", "edge").await, "0 yes");

    // Other CAs: the old proxy goes, and cannot come back; the new one can.
    let next = Ca::new();
    write(&secure.directory, &secure.ca.server(), &next);
    assert!(trailers(held).await.contains("not trusted any more"));
    soon(client.ended).await.unwrap();
    assert_eq!(secure.asks(&next.proxy("a"), "a", "edge").await, "0 yes");
    if let Ok(client) = secure.connect(Some(&old)).await {
        client.call("/may?node=a&cluster=edge").await.unwrap_err();
    }
}

#[test]
fn what_is_wrong_with_files_is_said_at_the_start() {
    let (ca, directory) = (Ca::new(), tempfile::tempdir().unwrap());
    let load = || {
        let loaded = Certificates::load(files(&directory), Arc::new(Counts::default()));
        loaded.map(|_| ()).unwrap_err().to_string()
    };
    assert!(load().contains("server.pem"), "{}", load());
    let server = ca.server();
    write(&directory, &server, &ca);
    for (file, text, words) in [
        (
            files(&directory).client_ca,
            "",
            "ca.pem` has no certificate",
        ),
        (
            files(&directory).key,
            &*server.certificate,
            "server.key` has no private key",
        ),
        (files(&directory).key, &*ca.proxy("a").key, "cannot be used"),
    ] {
        write(&directory, &server, &ca);
        fs_err::write(file, text).unwrap();
        assert!(load().contains(words), "{}", load());
    }
}
