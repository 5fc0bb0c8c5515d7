//! The rules that say which certificates speak for which nodes.

use super::{Claim, Names, Pattern};

/// Rules; one that fits is enough, and without one nobody is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// In the order in which they were written.
    pub rules: Vec<Rule>,
}

/// Certificates with such a name may speak for such nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name that the certificate must have.
    pub san: San,
    /// Which node ids, where the name does not say it all.
    pub node: Option<Pattern>,
    /// Which node clusters, where the name does not say it all.
    pub cluster: Option<Pattern>,
}

/// A pattern for a kind of name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A DNS name; its segments end at dots.
    Dns(Pattern),
    /// A SPIFFE id; its segments end at slashes.
    Spiffe(Pattern),
}

impl San {
    /// Its pattern.
    pub const fn pattern(&self) -> &Pattern {
        match self {
            Self::Dns(pattern) | Self::Spiffe(pattern) => pattern,
        }
    }
}

impl Policy {
    /// Is there a rule by which the owner of these names may speak for that node?
    pub fn allows(&self, names: &Names, claim: Claim<'_>) -> bool {
        self.rules.iter().any(|rule| rule.allows(names, claim))
    }
}

impl Rule {
    fn allows(&self, names: &Names, claim: Claim<'_>) -> bool {
        let is_named = match &self.san {
            San::Spiffe(pattern) => names
                .spiffe
                .iter()
                .any(|id| pattern.fits(id, claim, Some('/'))),
            San::Dns(pattern) => {
                // DNS has no case, and names are kept in lower case.
                let node = claim.node.to_ascii_lowercase();
                let cluster = claim.cluster.map(str::to_ascii_lowercase);
                let claim = Claim {
                    node: &node,
                    cluster: cluster.as_deref(),
                };
                names
                    .dns
                    .iter()
                    .any(|name| pattern.fits(name, claim, Some('.')))
            }
        };
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.fits(text, claim, None))
        };
        is_named
            && fits(&self.node, claim.node)
            && claim
                .cluster
                .is_none_or(|cluster| fits(&self.cluster, cluster))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::peer::Peer;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn spiffe(id: &str) -> Names {
        Names {
            spiffe: Some(id.to_owned()),
            dns: Vec::new(),
        }
    }

    fn edge() -> Arc<Policy> {
        let rules = vec![
            Rule {
                san: San::Spiffe(pattern("spiffe://prod/ns/*/edge/{node}")),
                node: None,
                cluster: Some(pattern("edge")),
            },
            Rule {
                san: San::Dns(pattern("{node}.{cluster}.example")),
                node: None,
                cluster: None,
            },
        ];
        Arc::new(Policy { rules })
    }

    #[test]
    fn one_rule_that_fits_in_all_is_enough() {
        let dns = Names {
            spiffe: None,
            dns: vec!["other".to_owned(), "a-1.web.example".to_owned()],
        };
        for (names, node, cluster, allowed) in [
            (spiffe("spiffe://prod/ns/x/edge/a"), "a", Some("edge"), true),
            (spiffe("spiffe://prod/ns/x/edge/a"), "a", Some("web"), false),
            (
                spiffe("spiffe://prod/ns/x/edge/a"),
                "b",
                Some("edge"),
                false,
            ),
            (spiffe("spiffe://prod/ns/x/edge/a"), "a", Some(""), false),
            (spiffe("spiffe://prod/ns/x/edge/a"), "a", None, true),
            (spiffe("spiffe://prod/ns/x/edge/a"), "b", None, false),
            (dns.clone(), "A-1", Some("web"), true),
            (dns, "a-1", Some("edge"), false),
            (Names::default(), "a", Some("edge"), false),
        ] {
            let peer = Peer::Named(names, edge());
            let said = peer.may_speak_for(Claim { node, cluster });
            assert_eq!(said.is_ok(), allowed, "{peer:?} {node} {cluster:?}");
        }
    }

    #[test]
    fn without_a_rule_nobody_speaks_and_the_refusal_says_for_whom() {
        let peer = Peer::Named(spiffe("spiffe://prod/a"), Arc::default());
        let claim = Claim {
            node: "a",
            cluster: Some("edge"),
        };
        let denied = peer.may_speak_for(claim).unwrap_err().to_string();
        assert!(
            denied.contains("spiffe://prod/a may not speak for node \"a\" of cluster \"edge\""),
            "{denied}"
        );
        Peer::Unasked.may_speak_for(claim).unwrap();
    }
}
