//! In which words a stream is told the plan.

use crate::domain::{Client, Delivery, ProxyIdentity};

/// What a stream's words follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dialect {
    /// What kind of client it is.
    pub client: Client,
    /// How it is told the endpoints of those services that have them delivered one by one.
    pub delivery: Delivery,
}

/// What Envoy, and nobody else, calls itself.
const ENVOY: &str = "envoy";

impl Dialect {
    /// What every stream of such a client understands.
    pub const fn plain(client: Client) -> Self {
        Self {
            client,
            delivery: Delivery::Together,
        }
    }

    /// The words for a stream of `proxy`. `collects`: it carries all types, and collections of them.
    /// Who cannot ask for a collection must never be told of one, so only an Envoy is.
    pub fn of(proxy: &ProxyIdentity, collects: bool) -> Self {
        let is_envoy = proxy.agent.split(' ').next() == Some(ENVOY);
        Self {
            client: proxy.client(),
            delivery: if is_envoy && collects {
                Delivery::OneByOne
            } else {
                Delivery::Together
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Locality, REPORT_BY_LRS, REPORT_METADATA};

    #[test]
    fn only_an_envoy_on_a_stream_with_collections_is_told_one_by_one() {
        for (agent, collects, delivery) in [
            ("envoy 1.40.0", true, Delivery::OneByOne),
            ("envoy", true, Delivery::OneByOne),
            ("envoy 1.40.0", false, Delivery::Together),
            ("gRPC C-core linux", true, Delivery::Together),
            ("envoy-like 1.0", true, Delivery::Together),
            ("", true, Delivery::Together),
        ] {
            let mut proxy = ProxyIdentity {
                id: "a".parse().unwrap(),
                cluster: String::new(),
                metadata: BTreeMap::new(),
                locality: Locality::default(),
                agent: agent.into(),
            };
            assert_eq!(Dialect::of(&proxy, collects).delivery, delivery, "{agent}");
            let by_lrs = (REPORT_METADATA.to_owned(), REPORT_BY_LRS.to_owned());
            proxy.metadata.extend([by_lrs]);
            assert_eq!(Dialect::of(&proxy, collects).delivery, delivery, "{agent}");
        }
    }
}
