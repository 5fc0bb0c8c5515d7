//! The port for proxies: from the socket to gRPC services that know who calls.
//!
//! ```text
//!  listen ─▶ accept ─▶ TLS handshake ─▶ HTTP/2 connection ─▶ a task per stream ─▶ services
//!    port              certificates      connection            streams           (a Caller in each)
//! ```
//!
//! In go a listener, services and certificates; every request that reaches a service carries a
//! [`Caller`]: who is asking, when its connection is to end, and a way to cut its stream. Connections
//! are limited, grow old, and end one after the other when the server drains. Knows no xDS, no
//! report, and no rule of the identity policy.

mod caller;
mod certificates;
mod connection;
mod observer;
mod patience;
mod port;
mod seldom;
mod streams;
#[cfg(test)]
pub(crate) mod tests;

pub use caller::{Caller, End};
pub use certificates::{Certificates, TlsError, Trust};
pub use observer::{NoObserver, Observer, Refused};
pub use port::{Port, PortOptions, TlsOptions, listen};
