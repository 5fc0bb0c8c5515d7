//! The documents of the demo. Each set is whole: it says all that is to be in force.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The service that is rolled.
pub(super) const SERVICE: &str = "web";
/// `node.cluster` of the demo's proxies.
pub(super) const PROXY_CLUSTER: &str = "demo";

/// What a scenario changes about the documents.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    /// The drain policy, as YAML flow text.
    pub(super) drain: Option<&'static str>,
    /// How sessions are kept, as YAML flow text.
    pub(super) sessions: Option<&'static str>,
    /// Envoy settings for the service's clusters, as YAML flow text.
    pub(super) overlay: Option<&'static str>,
    /// The spec of the gate, as YAML flow text; the one that needs no document unless given.
    pub(super) gate: Option<&'static str>,
    /// How the new version bakes, as YAML flow text.
    pub(super) bake: &'static str,
    /// Where the hook answers that starts and stops instances; `None` for no rollout at all.
    pub(super) roll_with: Option<SocketAddr>,
    /// The version that is rolled out.
    pub(super) to: &'static str,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            drain: None,
            sessions: None,
            overlay: None,
            gate: None,
            bake: "{ for: 2s, holdback: 0 }",
            roll_with: None,
            to: "v2",
        }
    }
}

impl Documents {
    /// The name of the rollout.
    pub(super) fn rollout(&self) -> String {
        format!("{SERVICE}-{}", self.to)
    }

    /// The YAML text.
    pub(super) fn text(&self) -> String {
        let drain = self.drain.unwrap_or("{ atMost: 30s }");
        let mut text = format!(
            "\
kind: Gateway
name: edge
spec:
  proxies: {{ cluster: {PROXY_CLUSTER} }}
  listeners:
    - address: 127.0.0.1
      port: 0
      routes:
        - {{ prefix: /, service: {SERVICE} }}
---
kind: Service
name: {SERVICE}
spec:
  instances: {{ from: api }}
  protocol: http1
  health: {{ http: /healthz, interval: 500ms, healthyAfter: 1, unhealthyAfter: 3 }}
  minReady: 500ms
  drain: {drain}
"
        );
        if let Some(sessions) = self.sessions {
            let _ = writeln!(text, "  sessions: {sessions}");
        }
        if let Some(overlay) = self.overlay {
            let _ = writeln!(text, "  envoy: {overlay}");
        }
        if let Some(gate) = self.gate {
            let _ = write!(text, "---\nkind: Gate\nname: no-worse\nspec: {gate}\n");
        }
        if let Some(hook) = self.roll_with {
            let (rollout, to, bake) = (self.rollout(), self.to, self.bake);
            let _ = write!(
                text,
                "\
---
kind: Rollout
name: {rollout}
spec:
  service: {SERVICE}
  to: {to}
  rolling: {{ batch: 1, maxSurge: 1, maxUnavailable: 0 }}
  replace: {{ post: \"http://{hook}/replace\" }}
  bake: {bake}
  deadline: 60s
"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds and names of the documents, and the spec of the service.
    fn parse(documents: &Documents) -> (Vec<String>, serde_json::Value) {
        let parsed: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&documents.text()).unwrap();
        let name = |d: &serde_json::Value| format!("{} {}", d["kind"], d["name"]).replace('"', "");
        (parsed.iter().map(name).collect(), parsed[1]["spec"].clone())
    }

    #[test]
    fn every_set_is_yaml_and_says_what_the_scenario_asked_for() {
        let (names, service) = parse(&Documents::default());
        assert_eq!(names, ["Gateway edge", "Service web"]);
        assert_eq!(service["drain"]["atMost"], "30s");
        assert_eq!(service.get("envoy"), None);

        let (names, service) = parse(&Documents {
            drain: Some("{ atMost: 60s }"),
            overlay: Some("{ cluster: { lb_policy: MAGLEV } }"),
            gate: Some("{ checks: [errors: {}] }"),
            roll_with: Some(SocketAddr::from(([127, 0, 0, 1], 99))),
            to: "v3",
            ..Documents::default()
        });
        assert_eq!(
            names,
            [
                "Gateway edge",
                "Service web",
                "Gate no-worse",
                "Rollout web-v3"
            ]
        );
        assert_eq!(service["drain"]["atMost"], "60s");
        assert_eq!(service["envoy"]["cluster"]["lb_policy"], "MAGLEV");
    }
}
