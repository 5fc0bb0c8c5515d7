//! Why files make no secret, and what would help. Never with anything of their content.

use std::path::PathBuf;

/// Why the files of a secret are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A certificate cannot be read.
    #[error("certificate {number} in `{}` cannot be read: {cause}", path.display())]
    Certificate {
        path: PathBuf,
        /// From 1.
        number: usize,
        cause: String,
    },
    /// A file has nothing in it.
    #[error("`{}` is empty", path.display())]
    Empty { path: PathBuf },
    /// What was there is there no more.
    #[error("`{}` is gone", path.display())]
    Gone { path: PathBuf },
    /// The key is of no use.
    #[error("the key in `{}` cannot be used: {cause}", path.display())]
    Key { path: PathBuf, cause: String },
    /// The key belongs to another certificate.
    #[error("the key in `{}` is not that of the certificate in `{}`", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    /// One of a pair is there, and this one is not.
    #[error("`{}` is not there", path.display())]
    Missing { path: PathBuf },
    /// Not PEM, or not that.
    #[error("`{}` has no {what} in PEM form", path.display())]
    Pem { path: PathBuf, what: &'static str },
    /// The file cannot be read.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Read { path: PathBuf, cause: String },
    /// More than any certificate has.
    #[error("`{}` has more than {max} bytes", path.display())]
    TooLarge { path: PathBuf, max: u64 },
}

impl Fault {
    /// What whoever looks after the files should do.
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::Certificate { .. } | Self::Pem { .. } | Self::Empty { .. } => {
                "write it again, as PEM text"
            }
            Self::Gone { .. } => {
                "put it back, or remove the settings that ask for it; a restart forgets it"
            }
            Self::Key { .. } => {
                "proxies take RSA keys of 2048 bits and more, and ECDSA keys on P-256 and P-384, unencrypted"
            }
            Self::Mismatch { .. } => {
                "write both files of one pair; it is taken as soon as they fit"
            }
            Self::Missing { .. } => "a certificate is a pair, `tls.crt` and `tls.key`",
            Self::Read { .. } => "let the control plane read it",
            Self::TooLarge { .. } => "keep only what the proxies need",
        }
    }
}
