//! Secrets for proxies, from files: a directory with one subdirectory for each, as Kubernetes mounts
//! them.
//!
//! ```text
//! edge/tls.crt + edge/tls.key ──▶ `edge`, a certificate     edge/ca.crt ──▶ `edge/ca`, CAs to trust
//! ```
//!
//! In go files and who asks for what, out come resources and a [`SecretsView`] of how each secret
//! stands. What is broken, half written or gone never replaces what was good: that stays for whoever
//! asks for it, and the view, the log and the metrics say why. What is read goes to proxies only; it is
//! never stored, logged or shown. Knows no plan and no proxy.

mod directory;
mod fault;
mod keeper;
mod kept;
mod pem;
#[cfg(test)]
mod tests;
mod view;

pub use keeper::{OnSecretRead, Secrets, check_secrets};
pub use view::{SecretKind, SecretState, SecretView, SecretsView};

/// After the name of a directory: the secret made of its CAs. No directory can have such a name.
const CA_SUFFIX: &str = "/ca";
