//! Where the capacity of each zone is lowest, for services that want so many instances in each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::{ServiceState, StageKind, Stand};

/// The zones of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZonesForecast {
    /// So many must serve on when one goes.
    pub floor: u32,
    /// The fewest that serve, by zone.
    pub lowest: BTreeMap<String, u32>,
}

impl ZonesForecast {
    pub(super) fn new(floor: u32) -> Self {
        Self {
            floor,
            lowest: BTreeMap::new(),
        }
    }

    /// Looks at what serves now in each of the zones that the old version stood in.
    pub(super) fn measure<'a>(
        &mut self,
        known: &ServiceState,
        zones: impl Iterator<Item = &'a String>,
    ) {
        for zone in zones.filter(|zone| !zone.is_empty()) {
            let serves = |s: &Stand| s.stage == StageKind::Serving && s.locality.zone == *zone;
            let serving = known.instances.count(serves);
            let lowest = self.lowest.entry(zone.clone()).or_insert(serving);
            *lowest = serving.min(*lowest);
        }
    }
}
