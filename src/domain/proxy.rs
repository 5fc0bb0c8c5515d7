//! One connected Envoy, or gRPC client, as it describes itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Generation, Locality, ProxyId};

/// What a proxy's node says of it, reduced to what gateways select by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyIdentity {
    /// `node.id`.
    pub id: ProxyId,
    /// `node.cluster`.
    pub cluster: String,
    /// The top-level strings of `node.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// `node.locality`.
    pub locality: Locality,
    /// The program and its version, such as `envoy 1.40.0`.
    pub agent: String,
}

impl ProxyIdentity {
    /// What kind of client it is, by the program that it says it is and how it says that it reports.
    pub fn client(&self) -> Client {
        if self.agent.starts_with(GRPC_AGENT) {
            Client::Grpc
        } else if self.metadata.get(REPORT_METADATA).map(String::as_str) == Some(REPORT_BY_LRS) {
            Client::EnvoyByLrs
        } else {
            Client::Envoy
        }
    }
}

/// The key in `node.metadata` by which an Envoy says how it reports; left out, by OTLP.
pub const REPORT_METADATA: &str = "tidegate.report";

/// Its value in an Envoy that reports by LRS.
pub const REPORT_BY_LRS: &str = "lrs";

/// How every gRPC library begins `node.user_agent_name`: `gRPC C-core`, `gRPC Node Pure JS`, ….
const GRPC_AGENT: &str = "gRPC";

/// What kind of client a proxy is. All are told the same plan, each kind in the words that it
/// understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// An Envoy, or whatever else takes what an Envoy takes.
    Envoy,
    /// An Envoy that reports by LRS, and therefore refuses clusters with statistics per endpoint.
    EnvoyByLrs,
    /// A program that finds a service's instances by itself, with the gRPC library.
    Grpc,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Envoy, Self::EnvoyByLrs, Self::Grpc];
}

/// A proxy's refusal of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The generation whose resources were refused.
    pub generation: Generation,
    /// The short name of the resource type: `cluster`, `endpoint`, `listener` or `route`.
    pub kind: String,
    /// The resources of the refused response; which of them is at fault only the message tells.
    pub resources: Vec<String>,
    /// The proxy's own words, with its random spacing and markers taken out.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_agent_and_how_it_reports() {
        for (agent, client) in [
            ("envoy 1.40.0", Client::Envoy),
            ("", Client::Envoy),
            ("gRPC C-core linux C-core 55.0.0", Client::Grpc),
            ("gRPC Node Pure JS 1.14.7", Client::Grpc),
            ("gRPC Go 1.80.0", Client::Grpc),
        ] {
            let proxy = ProxyIdentity {
                id: "a".parse().unwrap(),
                cluster: String::new(),
                metadata: BTreeMap::new(),
                locality: Locality::default(),
                agent: agent.into(),
            };
            assert_eq!(proxy.client(), client, "{agent}");
            let by_lrs = ProxyIdentity {
                metadata: [(REPORT_METADATA.to_owned(), REPORT_BY_LRS.to_owned())].into(),
                ..proxy
            };
            assert_eq!(
                by_lrs.client() == Client::EnvoyByLrs,
                client == Client::Envoy
            );
        }
    }
}
