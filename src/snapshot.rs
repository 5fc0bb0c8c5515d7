//! A plan as encoded Envoy resources.

mod audience;
mod resource;

pub use audience::{Audience, Snapshot};
pub use resource::{Resource, ResourceKind, ResourceSet};
