//! PEM texts → what may be told to a proxy: checked to be of use, and without what does not belong.
//!
//! Of each file only the sections that count are taken, word for word, so a key that lies in the
//! certificate's file is neither told as part of the chain nor shown with it.

use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::fault::Fault;
use crate::domain::Time;

/// A certificate with its key.
pub(super) struct Pair {
    /// The certificate and those between it and its CA, as PEM text.
    pub(super) chain: String,
    /// The key, as PEM text.
    pub(super) key: String,
    pub(super) validity: Validity,
}

/// CAs to trust.
pub(super) struct Authorities {
    /// As PEM text.
    pub(super) cas: String,
    /// From when any, until when the last of them is valid.
    pub(super) validity: Validity,
}

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) begins: Time,
    pub(super) ends: Time,
}

/// A file with its content.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) content: &'a [u8],
}

impl Pair {
    /// The pair in these files, if it is one.
    pub(super) fn parse(certificate: File<'_>, key: File<'_>) -> Result<Self, Fault> {
        let (chain, ders) = certificates(certificate)?;
        let mut read = ders.iter().zip(1..).map(|(der, number)| {
            let (_, parsed) = X509Certificate::from_der(der)
                .map_err(|error| unreadable(certificate, number, &error))?;
            Ok(parsed)
        });
        // There is at least one, and the first is the proxy's own.
        let own = read.next().transpose()?;
        let own = own.ok_or_else(|| no_pem(certificate, "certificate"))?;
        read.collect::<Result<Vec<_>, _>>()?;
        let (text, signing) = private_key(key)?;
        let fits = signing.public_key().is_some_and(|public| {
            SubjectPublicKeyInfo::from_der(&public).is_ok_and(|(_, public)| {
                public.subject_public_key.data == own.public_key().subject_public_key.data
            })
        });
        if !fits {
            return Err(Fault::Mismatch {
                certificate: certificate.path.to_owned(),
                key: key.path.to_owned(),
            });
        }
        Ok(Self {
            chain,
            key: text,
            validity: validity(&own),
        })
    }
}

impl Authorities {
    /// The CAs in this file.
    pub(super) fn parse(file: File<'_>) -> Result<Self, Fault> {
        let (cas, ders) = certificates(file)?;
        let validities = ders.iter().zip(1..).map(|(der, number)| {
            let (_, parsed) =
                X509Certificate::from_der(der).map_err(|error| unreadable(file, number, &error))?;
            Ok(validity(&parsed))
        });
        let validities: Vec<Validity> = validities.collect::<Result<_, Fault>>()?;
        // A bundle is to have old CAs in it while they are replaced, so the best of them counts.
        let begins = validities.iter().map(|it| it.begins).min();
        let ends = validities.iter().map(|it| it.ends).max();
        match (begins, ends) {
            (Some(begins), Some(ends)) => Ok(Self {
                cas,
                validity: Validity { begins, ends },
            }),
            _ => Err(no_pem(file, "certificate")),
        }
    }
}

/// The certificates of a file, as text and decoded; at least one.
fn certificates(file: File<'_>) -> Result<(String, Vec<CertificateDer<'static>>), Fault> {
    let text = sections(text(file, "certificate")?, |label| label == "CERTIFICATE");
    let ders = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    match ders {
        Ok(ders) if !ders.is_empty() => Ok((text, ders)),
        _ => Err(no_pem(file, "certificate")),
    }
}

/// The key of a file, as text and ready to sign.
fn private_key(file: File<'_>) -> Result<(String, Arc<dyn SigningKey>), Fault> {
    let what = "private key";
    let mut is_first = true;
    let text = sections(text(file, what)?, |label| {
        label.ends_with("PRIVATE KEY") && std::mem::take(&mut is_first)
    });
    let unusable = |cause: String| Fault::Key {
        path: file.path.to_owned(),
        cause,
    };
    if text.contains("ENCRYPTED") {
        return Err(unusable("it is encrypted".to_owned()));
    }
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| no_pem(file, what))?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&der)
        .map_err(|error| unusable(error.to_string()))?;
    // Envoy serves no such certificates.
    if signing.choose_scheme(&[SignatureScheme::ED25519]).is_some() {
        return Err(unusable("it is an Ed25519 key".to_owned()));
    }
    Ok((text, signing))
}

fn text<'a>(file: File<'a>, what: &'static str) -> Result<&'a str, Fault> {
    if file.content.trim_ascii().is_empty() {
        return Err(Fault::Empty {
            path: file.path.to_owned(),
        });
    }
    std::str::from_utf8(file.content).map_err(|_| no_pem(file, what))
}

/// The PEM sections whose labels are wanted, word for word, without what stands around them.
fn sections(text: &str, mut is_wanted: impl FnMut(&str) -> bool) -> String {
    let mut wanted = String::new();
    let mut section: Option<String> = None;
    for line in text.lines().map(str::trim) {
        let marked =
            |begin: &str| Some(line.strip_prefix(begin)?.strip_suffix("-----")?.to_owned());
        if let Some(label) = marked("-----BEGIN ") {
            section = is_wanted(&label).then(String::new);
        }
        if let Some(section) = &mut section {
            section.push_str(line);
            section.push('\n');
        }
        if marked("-----END ").is_some() {
            wanted.push_str(&section.take().unwrap_or_default());
        }
    }
    wanted
}

fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let time = |seconds: i64| Time::from_second(seconds).unwrap_or(Time::MAX);
    let validity = certificate.validity();
    Validity {
        begins: time(validity.not_before.timestamp()),
        ends: time(validity.not_after.timestamp()),
    }
}

fn unreadable(file: File<'_>, number: usize, cause: &dyn std::fmt::Display) -> Fault {
    Fault::Certificate {
        path: file.path.to_owned(),
        number,
        cause: cause.to_string(),
    }
}

fn no_pem(file: File<'_>, what: &'static str) -> Fault {
    Fault::Pem {
        path: file.path.to_owned(),
        what,
    }
}
