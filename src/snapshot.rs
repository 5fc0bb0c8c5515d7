//! A plan as encoded Envoy resources.

mod resource;

pub use resource::{Resource, ResourceKind, ResourceSet};
