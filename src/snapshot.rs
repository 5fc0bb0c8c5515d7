//! A plan as encoded Envoy resources, and what an Envoy needs to come and fetch them.
//!
//! In goes a [`crate::domain::Plan`], out comes a [`Snapshot`]: for each gateway, and each kind of
//! client, the clusters, assignments, listeners and routes that its proxies may see, with the secrets
//! that those ask for, each encoded once and named by its content. The same plan gives the same bytes on every replica and after every restart. During a
//! rollout only routes (weights) and assignments (endpoint states) change; clusters and HTTP
//! listeners stay still.
//!
//! This module and `protocol` are the only ones that know Envoy's types. It knows no clock, no
//! socket, no stream, and not which proxies are connected.

mod assignment;
mod audience;
mod bootstrap;
mod cluster;
mod collection;
mod compile;
mod dialect;
mod encode;
mod grpc;
mod lint;
mod listener;
mod overlay;
mod proto;
mod resource;
mod route;
#[cfg(test)]
mod samples;
mod secret;
mod session;
mod set;
mod shown;

pub use audience::{Audience, Snapshot};
pub use bootstrap::{
    BootstrapOptions, Report, Secret, Shape, Variant, bootstrap, grpc_bootstrap, secret_file,
};
pub use compile::{CompileError, Compiler, compile};
pub use dialect::Dialect;
pub use encode::{labelled, resource as encoded};
pub use lint::LintError;
pub use overlay::{OverlayError, check_overlay};
pub use resource::{Reference, Resource, ResourceKind};
pub use secret::{SecretUsers, secret_users, tls_certificate, validation_context};
pub use set::{ByName, Changes, Names, ResourceSet};
pub use shown::{Shown, Unreadable};
