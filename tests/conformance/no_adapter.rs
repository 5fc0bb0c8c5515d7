//! In the adapter's place where it was not built: its rows are listed and do not run.

use super::world::World;

const WHY: &str = "it needs --features harness-adapter";

pub(crate) fn world() -> World {
    panic!("{WHY}")
}

pub(crate) struct Adapter;

impl Adapter {
    pub(crate) fn connect(_: &World) -> Self {
        Self
    }

    pub(crate) fn set_state(&self, _: &World, _: &str, _: &[(&str, &str)]) {
        unreachable!("{WHY}")
    }

    pub(crate) fn clear_state(&self, _: &World) {
        unreachable!("{WHY}")
    }

    pub(crate) fn update(&self, _: &World, _: &str, _: &str, _: &str) {
        unreachable!("{WHY}")
    }

    pub(crate) fn add(&self, _: &World, _: &str, _: &str, _: &str) {
        unreachable!("{WHY}")
    }

    pub(crate) fn remove(&self, _: &World, _: &str, _: &str, _: &str) {
        unreachable!("{WHY}")
    }
}
