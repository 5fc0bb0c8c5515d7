//! CAs and certificates, for a control plane and Envoys that ask each other who they are.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::tools;

/// Where `envoy-configs/mtls.yaml` has its certificates.
const WRITTEN: &str = "/etc/tidegate/tls";

/// The file that a control plane takes its settings from, in its directory.
pub(crate) const SETTINGS: &str = "tidegate.yaml";

/// A certificate and its key, as PEM text.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A CA.
#[derive(Debug)]
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// One that nobody knows yet.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Told apart by name, or a bundle of two would be searched for one of them in vain.
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a DNS name.
    pub(crate) fn certify(&self, name: &str) -> Pair {
        let (certificate, key) = self.sign(SanType::DnsName(name.try_into().unwrap()));
        Pair { certificate, key }
    }

    fn sign(&self, name: SanType) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![name];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Lets a control plane in `directory` ask for certificates: nodes are `spiffe://test/CLUSTER/NODE`.
pub(crate) fn set_up_server(directory: &Path, ca: &Ca) {
    let server = server(directory);
    fs_err::create_dir(&server).unwrap();
    trust_proxies_of(directory, &ca.pem());
    certify_server(directory, ca);
    let settings = "\
tls: { certificate: server/tls.crt, key: server/tls.key, clientCa: server/ca.crt }
identity: [{ spiffe: \"spiffe://test/{cluster}/{node}\" }]
";
    fs_err::write(directory.join(SETTINGS), settings).unwrap();
}

/// Gives the server another certificate.
pub(crate) fn certify_server(directory: &Path, ca: &Ca) {
    let (certificate, key) = ca.sign(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    put(&server(directory), "tls.crt", &certificate);
    put(&server(directory), "tls.key", &key);
}

/// Says whose proxies are let in.
pub(crate) fn trust_proxies_of(directory: &Path, cas: &str) {
    put(&server(directory), "ca.crt", cas);
}

/// The directory of an Envoy's certificates, with the files of its secrets as users are given them.
pub(crate) fn set_up_proxy(directory: &Path, id: &str, ca: &Ca, names: &str) -> PathBuf {
    let proxy = directory.join(format!("{id}-tls"));
    fs_err::create_dir(&proxy).unwrap();
    for file in ["certificate.yaml", "ca.yaml"] {
        let path = tools::repository().join("envoy-configs/mtls").join(file);
        let text = fs_err::read_to_string(path).unwrap();
        put(
            &proxy,
            file,
            &text.replace(WRITTEN, proxy.to_str().unwrap()),
        );
    }
    trust_server_of(&proxy, &ca.pem());
    certify_proxy(&proxy, ca, names);
    proxy
}

/// Gives an Envoy a certificate with this SPIFFE id.
pub(crate) fn certify_proxy(proxy: &Path, ca: &Ca, id: &str) {
    let (certificate, key) = ca.sign(SanType::URI(id.try_into().unwrap()));
    put(proxy, "tls.crt", &certificate);
    put(proxy, "tls.key", &key);
}

/// Says whose server an Envoy believes.
pub(crate) fn trust_server_of(proxy: &Path, cas: &str) {
    put(proxy, "ca.crt", cas);
}

/// A bootstrap with its certificates elsewhere.
pub(crate) fn relocated(bootstrap: &str, proxy: &Path) -> String {
    bootstrap.replace(WRITTEN, proxy.to_str().unwrap())
}

fn server(directory: &Path) -> PathBuf {
    directory.join("server")
}

/// Moves a file into its place, as is asked of whoever changes certificates.
fn put(directory: &Path, name: &str, text: &str) {
    let other = directory.join(format!(".{name}"));
    fs_err::write(&other, text).unwrap();
    fs_err::rename(other, directory.join(name)).unwrap();
}
