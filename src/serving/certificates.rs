//! The certificate, the key and the client CAs of the port, read anew whenever their files change.
//!
//! All three are taken at once or not at all, by the next handshake: a chain never meets the key of
//! another, and a broken set leaves the last good one in force. A session that was begun under old
//! CAs cannot be resumed under new ones, since each set has its own.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::select_all;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Observer;
use crate::domain::TlsFiles;
use crate::process::DirectoryWatch;

/// What gRPC is spoken over.
const ALPN: &[u8] = b"h2";

/// Why certificates are not taken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The clients' CAs cannot be asked.
    #[error("the CAs in `{}` cannot be used: {cause}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        cause: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The chain and the key are no pair, or of no use.
    #[error("the certificate in `{}` and the key in `{}` cannot be used: {cause}", certificate.display(), key.display())]
    Pair {
        /// The file of the chain.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        cause: rustls::Error,
    },
    /// A file is no PEM file, or has not in it what it should have.
    #[error("`{}` has no {what} in PEM form: {cause}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should have in it.
        what: &'static str,
        /// Why not.
        cause: String,
    },
}

/// What the next handshake is done with.
#[derive(Debug)]
pub struct Trust {
    pub(super) config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    client_ca: blake3::Hash,
}

impl Trust {
    /// Would a peer that `earlier` has accepted with this chain be accepted now?
    pub(super) fn accepts(
        &self,
        chain: &[CertificateDer<'static>],
        earlier: &Self,
        now: UnixTime,
    ) -> bool {
        if self.client_ca == earlier.client_ca {
            return true;
        }
        let Some((own, between)) = chain.split_first() else {
            return false;
        };
        self.verifier.verify_client_cert(own, between, now).is_ok()
    }
}

/// Keeps the certificates as their files are.
pub struct Certificates {
    files: TlsFiles,
    seen: Seen,
    trust: watch::Sender<Arc<Trust>>,
    observer: Arc<dyn Observer>,
}

/// What was in the files, without what is secret.
type Seen = Option<[blake3::Hash; 3]>;

impl Certificates {
    /// Reads the files for the first time.
    pub fn load(files: TlsFiles, observer: Arc<dyn Observer>) -> Result<Self, TlsError> {
        let mut seen = None;
        let trust = read(&files, &mut seen)?;
        let trust = trust.ok_or_else(|| io::Error::other("the files have no content"))?;
        Ok(Self {
            files,
            seen,
            trust: watch::channel(Arc::new(trust)).0,
            observer,
        })
    }

    /// What handshakes are done with, from now on.
    pub fn trust(&self) -> watch::Receiver<Arc<Trust>> {
        self.trust.subscribe()
    }

    /// Reads the files whenever they may have changed, until the stop.
    pub async fn keep(mut self, stop: CancellationToken) {
        let files = [
            &self.files.certificate,
            &self.files.key,
            &self.files.client_ca,
        ];
        let directories: BTreeSet<PathBuf> = files.map(|file| parent(file)).into_iter().collect();
        let mut watches: Vec<_> = directories.into_iter().map(DirectoryWatch::new).collect();
        loop {
            let changed = select_all(watches.iter_mut().map(|watch| Box::pin(watch.changed())));
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed => self.look(),
            }
        }
    }

    fn look(&mut self) {
        match read(&self.files, &mut self.seen) {
            Ok(None) => {}
            Ok(Some(trust)) => {
                self.trust.send_replace(Arc::new(trust));
                self.observer.certificates_read(true);
                tracing::info!("The certificate files changed and were taken");
            }
            Err(error) => {
                self.observer.certificates_read(false);
                tracing::warn!(%error, "The certificate files are broken; those before stay in force");
            }
        }
    }
}

fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads the files; `None` if they are what was `seen` last, good or broken.
fn read(files: &TlsFiles, seen: &mut Seen) -> Result<Option<Trust>, TlsError> {
    let certificate = fs_err::read(&files.certificate)?;
    let key = fs_err::read(&files.key)?;
    let client_ca = fs_err::read(&files.client_ca)?;
    let now = [&certificate, &key, &client_ca].map(|bytes| blake3::hash(bytes));
    if seen.replace(now) == Some(now) {
        return Ok(None);
    }

    let chain = certificates(&certificate, &files.certificate)?;
    let private =
        PrivateKeyDer::from_pem_slice(&key).map_err(|e| no_pem(&files.key, "private key", &e))?;
    let bad_ca = |cause: &dyn std::fmt::Display| TlsError::Ca {
        path: files.client_ca.clone(),
        cause: cause.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for ca in certificates(&client_ca, &files.client_ca)? {
        roots.add(ca).map_err(|e| bad_ca(&e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|e| bad_ca(&e))?;
    let unusable = |cause| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        cause,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::clone(&verifier))
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Some(Trust {
        config: Arc::new(config),
        verifier,
        client_ca: now[2],
    }))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(no_pem(path, "certificate", &"there is none")),
        Ok(found) => Ok(found),
        Err(error) => Err(no_pem(path, "certificate", &error)),
    }
}

fn no_pem(path: &Path, what: &'static str, cause: &dyn std::fmt::Display) -> TlsError {
    TlsError::Pem {
        path: path.to_owned(),
        what,
        cause: cause.to_string(),
    }
}
