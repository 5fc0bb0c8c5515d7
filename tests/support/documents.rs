//! The documents of most stories: one service behind one gateway, with times short enough for tests.

use std::fmt::Write as _;

/// What differs between stories.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    /// So many listeners on ports of the host's choice; with none the proxies have their own.
    pub(crate) listeners: usize,
    /// Envoy settings for what listens for HTTP, as YAML flow text.
    pub(crate) http: Option<&'static str>,
    /// Envoy settings for the service's clusters, as YAML flow text.
    pub(crate) cluster: Option<&'static str>,
    /// The path that health checks ask for, both Tidegate's and Envoy's own.
    pub(crate) health: &'static str,
    /// What the instances speak is gRPC, and so is their health check.
    pub(crate) grpc: bool,
    /// Envoys are told the endpoints one by one.
    pub(crate) one_by_one: bool,
    /// How sessions are kept, as YAML flow text.
    pub(crate) sessions: Option<&'static str>,
    /// How instances drain, as YAML flow text.
    pub(crate) drain: &'static str,
    /// The version to roll to, by a rollout named `to-<version>` that replaces one by one, bakes for
    /// no time and has nobody who starts or stops instances.
    pub(crate) roll_to: Option<&'static str>,
    /// How the rollout replaces, as YAML flow text.
    pub(crate) rolling: &'static str,
    /// How the rollout bakes, as YAML flow text.
    pub(crate) bake: &'static str,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            listeners: 1,
            http: None,
            cluster: None,
            health: "/healthz",
            grpc: false,
            one_by_one: false,
            sessions: None,
            drain: "{ atMost: 60s }",
            roll_to: None,
            rolling: "{ batch: 1, maxSurge: 1, maxUnavailable: 0 }",
            bake: "{ for: 0s, holdback: 0 }",
        }
    }
}

impl Documents {
    /// All of them as one YAML text.
    pub(crate) fn yaml(&self) -> String {
        let mut all = vec![self.gateway(), self.service()];
        all.extend(self.rollout());
        all.join("---\n")
    }

    /// The gateway.
    pub(crate) fn gateway(&self) -> String {
        let mut text = "\
kind: Gateway
name: mesh
spec:
  proxies: { cluster: web }
"
        .to_owned();
        if let Some(http) = self.http {
            let _ = writeln!(text, "  envoy: {{ httpConnectionManager: {http} }}");
        }
        if self.listeners == 0 {
            text.push_str("  services: [cart]\n");
        } else {
            text.push_str("  listeners:\n");
        }
        for _ in 0..self.listeners {
            text.push_str(
                "    - { port: 0, address: 127.0.0.1, routes: [{ prefix: /, service: cart }] }\n",
            );
        }
        text
    }

    /// The service.
    pub(crate) fn service(&self) -> String {
        let (protocol, probe) = if self.grpc {
            ("grpc", "grpc: \"\"".to_owned())
        } else {
            ("http1", format!("http: {}", self.health))
        };
        let mut text = format!(
            "\
kind: Service
name: cart
spec:
  protocol: {protocol}
  instances: {{ from: api }}
  health: {{ {probe}, interval: 300ms, healthyAfter: 1, unhealthyAfter: 3 }}
  minReady: 0s
  drain: {}
",
            self.drain
        );
        if let Some(sessions) = self.sessions {
            let _ = writeln!(text, "  sessions: {sessions}");
        }
        if self.one_by_one {
            text.push_str("  endpoints: oneByOne\n");
        }
        if let Some(cluster) = self.cluster {
            let _ = writeln!(text, "  envoy: {{ cluster: {cluster} }}");
        }
        text
    }

    /// The rollout, if there is to be one.
    pub(crate) fn rollout(&self) -> Option<String> {
        let to = self.roll_to?;
        let (rolling, bake) = (self.rolling, self.bake);
        Some(format!(
            "\
kind: Rollout
name: to-{to}
spec:
  service: cart
  to: {to}
  rolling: {rolling}
  bake: {bake}
  deadline: 5m
"
        ))
    }
}
