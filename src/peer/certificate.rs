//! The names in a certificate.

use std::fmt;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Most DNS names that are looked at.
const DNS_NAMES_MAX: usize = 100;

/// Longest name that is looked at, in bytes; SPIFFE's own limit.
const NAME_BYTES_MAX: usize = 2048;

/// What a SPIFFE id begins with.
const SPIFFE: &str = "spiffe://";

/// What a certificate calls its owner, by its subject alternative names. The subject itself is not
/// looked at, as with TLS servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The SPIFFE id. A certificate with several URIs is no SPIFFE document and has none.
    pub spiffe: Option<String>,
    /// DNS names in lower case, without wildcards.
    pub dns: Vec<String>,
}

/// A certificate that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read: {0}")]
pub struct BadCertificate(String);

impl Names {
    /// The names in a DER certificate.
    pub fn of_certificate(der: &[u8]) -> Result<Self, BadCertificate> {
        let bad = |error: &dyn fmt::Display| BadCertificate(error.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| bad(&e))?;
        let alternative = certificate.subject_alternative_name();
        let Some(alternative) = alternative.map_err(|e| bad(&e))? else {
            return Ok(Self::default());
        };
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in &alternative.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::DNSName(name)
                    if name.len() <= NAME_BYTES_MAX
                        && !name.contains('*')
                        && dns.len() < DNS_NAMES_MAX =>
                {
                    dns.push(name.to_ascii_lowercase());
                }
                _ => {}
            }
        }
        let spiffe = match uris[..] {
            [uri] if uri.starts_with(SPIFFE) && uri.len() <= NAME_BYTES_MAX => Some(uri.to_owned()),
            _ => None,
        };
        Ok(Self { spiffe, dns })
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.spiffe.iter().chain(&self.dns).map(|s| &**s).collect();
        match names[..] {
            [] => f.write_str("a client without a SPIFFE id or DNS name"),
            [ref few @ .., last] if few.len() < NAMES_SHOWN_MAX => {
                for name in few {
                    write!(f, "{name}, ")?;
                }
                f.write_str(last)
            }
            [first, ..] => write!(f, "{first} and {} other names", names.len() - 1),
        }
    }
}

/// A certificate may have many names, and a message is a line.
const NAMES_SHOWN_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn names(alternative: Vec<SanType>) -> Names {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = alternative;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Names::of_certificate(certificate.der()).unwrap()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn names_are_those_that_name_one_owner() {
        let found = names(vec![uri("spiffe://prod/edge/a"), dns("A.example")]);
        assert_eq!(found.spiffe.as_deref(), Some("spiffe://prod/edge/a"));
        assert_eq!(found.dns, ["a.example"]);
        assert_eq!(found.to_string(), "spiffe://prod/edge/a, a.example");

        assert_eq!(names(vec![]), Names::default());
        for none in [
            vec![uri("spiffe://prod/a"), uri("spiffe://prod/b")],
            vec![uri("https://prod/a")],
            vec![dns("*.example")],
        ] {
            assert_eq!(names(none), Names::default());
        }
        Names::of_certificate(b"no certificate").unwrap_err();
    }
}
