//! What the demo reads of the control plane's state: `GET /v1/state`, and no more of it than is
//! shown or checked. Every field may be missing.

use serde::{Deserialize, Deserializer};

/// The whole state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    #[serde(deserialize_with = "or_default")]
    pub(super) services: Vec<Service>,
    #[serde(deserialize_with = "or_default")]
    pub(super) rollouts: Vec<Rollout>,
    #[serde(deserialize_with = "or_default")]
    pub(super) proxies: Vec<Proxy>,
}

impl View {
    /// A service by name.
    pub(super) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// A rollout by name.
    pub(super) fn rollout(&self, name: &str) -> Option<&Rollout> {
        self.rollouts.iter().find(|rollout| rollout.name == name)
    }

    /// A proxy by its id.
    pub(super) fn proxy(&self, id: &str) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.id == id)
    }
}

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) versions: Vec<Version>,
    #[serde(deserialize_with = "or_default")]
    pub(super) instances: Vec<Instance>,
}

impl Service {
    /// Instances that take, or could take, new requests.
    pub(super) fn ready(&self) -> usize {
        self.instances
            .iter()
            .filter(|instance| instance.takes_requests())
            .count()
    }
}

/// A version with its share of the traffic, in percent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) weight: f64,
}

/// An instance.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) stage: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) healthy: bool,
}

impl Instance {
    /// Told to the proxies, healthy, and not on its way out.
    pub(super) fn takes_requests(&self) -> bool {
        self.healthy && ["serving", "leaving"].iter().any(|stage| self.is(stage))
    }

    /// Is it in this stage?
    pub(super) fn is(&self, stage: &str) -> bool {
        self.stage.eq_ignore_ascii_case(stage)
    }
}

/// A rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rollout {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) done: u32,
    pub(super) total: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) blockers: Vec<Blocker>,
    #[serde(deserialize_with = "or_default")]
    pub(super) report: Report,
    #[serde(deserialize_with = "or_default")]
    pub(super) gates: Vec<Gate>,
}

impl Rollout {
    /// What its gates have decided.
    pub(super) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.gates.iter().flat_map(|gate| &gate.decisions)
    }

    /// Is it in this phase?
    pub(super) fn is(&self, phase: &str) -> bool {
        self.phase.eq_ignore_ascii_case(phase)
    }

    /// Did it end as it should?
    pub(super) fn is_done(&self) -> bool {
        self.is("done")
    }
}

/// A gate of a rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Gate {
    #[serde(deserialize_with = "or_default")]
    pub(super) decisions: Vec<Decision>,
}

/// What a gate has decided.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision {
    /// `worse`, `unsure`, or `{oneBox: {instance}}`.
    #[serde(rename = "verdict")]
    found: serde_json::Value,
    pub(super) says: String,
}

impl Decision {
    /// What was found: `worse`, `unsure`, or `one-box v2-3`.
    pub(super) fn verdict(&self) -> String {
        match self.found["oneBox"]["instance"].as_str() {
            Some(instance) => format!("one-box {instance}"),
            None => self.found.as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// What a rollout waits for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Blocker {
    pub(super) text: String,
}

/// What a rollout has done.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    #[serde(deserialize_with = "or_default")]
    pub(super) drained: Vec<Drained>,
    pub(super) min_ready: Option<u64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ack_ms: Vec<f64>,
}

/// An instance that was drained, in the order of the releases.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Drained {
    pub(super) instance: String,
    pub(super) took_ms: f64,
    pub(super) proven: bool,
    pub(super) witnesses: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) missing: Vec<String>,
}

/// A proxy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Proxy {
    pub(super) id: String,
    pub(super) connected: bool,
    pub(super) nack: Option<Nack>,
}

/// A proxy's refusal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Nack {
    #[serde(deserialize_with = "or_default")]
    pub(super) resources: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
}

/// `null` is as good as absent.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_leniently() {
        let view: View = serde_json::from_str(
            r#"{"at":"2026-11-23T06:00:00Z","generation":7,"ready":true,
                "services":[{"name":"web","stable":"v1","versions":[{"name":"v1","weight":100.0,"routed":true}],
                  "instances":[{"id":"v1-0","version":"v1","stage":"serving","healthy":true,"drain":null},
                               {"id":"v1-1","version":"v1","stage":"draining","healthy":true,
                                "drain":{"proof":"proven","took_ms":12,"why":null}}]}],
                "rollouts":[{"name":"web-v2","phase":"Draining","blockers":null,
                  "report":{"drained":[{"instance":"v1-9","took_ms":2100,"proven":true,"missing":[]}],
                            "min_ready":null,"ack_ms":[3,4.5]}}],
                "proxies":[{"id":"edge-1","connected":true,"in_force":7,"nack":null}], "new":1}"#,
        )
        .unwrap();
        assert_eq!(view.service("web").unwrap().ready(), 1);
        let rollout = view.rollout("web-v2").unwrap();
        assert!(!rollout.is_done() && rollout.blockers.is_empty());
        assert_eq!(
            (rollout.report.drained.len(), rollout.report.ack_ms[1]),
            (1, 4.5)
        );
        assert!(view.proxy("edge-1").unwrap().connected && view.proxy("edge-2").is_none());
        serde_json::from_str::<View>("{}").unwrap();
    }
}
