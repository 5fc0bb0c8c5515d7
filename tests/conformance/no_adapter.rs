//! In the adapter's place where it was not built: its rows are listed and do not run.

use envoy_types::pb::google::protobuf::Any;

use super::world::World;

const WHY: &str = "it needs --features harness-adapter";

/// There is none, and whatever wants it says why.
pub(crate) struct Adapter(&'static str);

pub(crate) fn world() -> World {
    panic!("{WHY}")
}

impl Adapter {
    pub(crate) fn connect(_: &World) -> Self {
        Self(WHY)
    }

    pub(crate) fn set_state(&self, _: &World, _: &str, _: &[(&str, &str)]) {
        panic!("{}", self.0)
    }

    pub(crate) fn set_encoded(&self, _: &World, _: &str, _: Vec<Any>) {
        panic!("{}", self.0)
    }

    pub(crate) fn clear_state(&self, _: &World) {
        panic!("{}", self.0)
    }

    pub(crate) fn update(&self, _: &World, _: &str, _: &str, _: &str) {
        panic!("{}", self.0)
    }

    pub(crate) fn add(&self, _: &World, _: &str, _: &str, _: &str) {
        panic!("{}", self.0)
    }

    pub(crate) fn remove(&self, _: &World, _: &str, _: &str, _: &str) {
        panic!("{}", self.0)
    }
}
