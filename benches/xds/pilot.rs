//! Istio's pilot, as it was measured elsewhere: 1,000 identical sidecars, delta ADS, no TLS, no
//! Kubernetes, documents in files, on two cores like these. Quoted beside this run's numbers; nothing
//! of it is measured here.

use crate::end_to_end::Fleet;

/// What is known of a fleet's size; the spread was 15 %.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pilot {
    pub(crate) sync_ms: Option<f64>,
    pub(crate) sync_cpu_us: Option<f64>,
    pub(crate) edit_ms: Option<f64>,
    pub(crate) edit_cpu_us: Option<f64>,
}

impl Pilot {
    /// What it took for as many services, of as many instances.
    pub(crate) fn of(fleet: Fleet) -> Self {
        if fleet.proxies != 1_000 {
            return Self::default();
        }
        match (fleet.services, fleet.instances) {
            (1, 10) => Self {
                sync_ms: Some(600.0),
                sync_cpu_us: Some(650.0),
                edit_ms: Some(552.0),
                edit_cpu_us: Some(280.0),
            },
            (100, 10) => Self {
                sync_ms: Some(3_700.0),
                sync_cpu_us: Some(6_000.0),
                edit_ms: Some(787.0),
                edit_cpu_us: Some(612.0),
            },
            (100, 1_000) => Self {
                sync_ms: Some(121_000.0),
                sync_cpu_us: Some(226_000.0),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}
