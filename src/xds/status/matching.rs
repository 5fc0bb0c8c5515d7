//! Which nodes a request for their status means.

use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{NodeMatcher, StringMatcher};
use tonic::Status;

use crate::domain::ProxyId;

/// The nodes that fit one of these, or all if there are none.
pub(super) struct Wanted(Vec<Fits>);

struct Fits {
    pattern: Pattern,
    ignore_case: bool,
}

enum Pattern {
    Contains(String),
    Exact(String),
    Prefix(String),
    Suffix(String),
}

impl Wanted {
    /// Reads matchers; only those by node id are supported, and no regular expressions.
    pub(super) fn of(matchers: Vec<NodeMatcher>) -> Result<Self, Status> {
        matchers
            .into_iter()
            .map(fits)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Is the node one of them?
    pub(super) fn includes(&self, id: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one.fits(id))
    }

    /// The ids, where each is said in full: by the matchers, or without any by the node that asks.
    pub(super) fn exactly(&self, asks: Option<&str>) -> Result<Vec<ProxyId>, Status> {
        let exact = self.0.iter().map(|one| match &one.pattern {
            Pattern::Exact(id) if !one.ignore_case => Some(id.as_str()),
            _ => None,
        });
        let mut ids: Option<Vec<_>> = exact.collect();
        if ids.as_ref().is_some_and(Vec::is_empty) {
            ids = asks.filter(|id| !id.is_empty()).map(|id| vec![id]);
        }
        let ids = ids.ok_or_else(|| {
            Status::permission_denied(
                "a client with a certificate is shown its own nodes only: give each by \
                 `node_matchers[].node_id.exact`, or the one that asks by `node.id`",
            )
        })?;
        let parsed = ids.into_iter().map(|id| {
            id.parse()
                .map_err(|bad| Status::invalid_argument(format!("{id:?} is no node id: {bad}")))
        });
        parsed.collect()
    }
}

impl Fits {
    fn fits(&self, id: &str) -> bool {
        let id = self.cased(id);
        match &self.pattern {
            Pattern::Contains(text) => id.contains(&self.cased(text)),
            Pattern::Exact(text) => id == self.cased(text),
            Pattern::Prefix(text) => id.starts_with(&self.cased(text)),
            Pattern::Suffix(text) => id.ends_with(&self.cased(text)),
        }
    }

    fn cased(&self, text: &str) -> String {
        if self.ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    }
}

fn fits(matcher: NodeMatcher) -> Result<Fits, Status> {
    let unsupported = || {
        Status::invalid_argument(
            "nodes are matched by `node_id` with `exact`, `prefix`, `suffix` or `contains`",
        )
    };
    if !matcher.node_metadatas.is_empty() {
        return Err(unsupported());
    }
    let StringMatcher {
        ignore_case,
        match_pattern,
    } = matcher.node_id.ok_or_else(unsupported)?;
    let pattern = match match_pattern.ok_or_else(unsupported)? {
        MatchPattern::Contains(text) => Pattern::Contains(text),
        MatchPattern::Exact(text) => Pattern::Exact(text),
        MatchPattern::Prefix(text) => Pattern::Prefix(text),
        MatchPattern::Suffix(text) => Pattern::Suffix(text),
        MatchPattern::SafeRegex(_) | MatchPattern::Custom(_) => return Err(unsupported()),
    };
    Ok(Fits {
        pattern,
        ignore_case,
    })
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;

    use super::*;

    fn by_id(match_pattern: MatchPattern, ignore_case: bool) -> NodeMatcher {
        NodeMatcher {
            node_id: Some(StringMatcher {
                ignore_case,
                match_pattern: Some(match_pattern),
            }),
            ..NodeMatcher::default()
        }
    }

    #[test]
    fn one_matcher_that_fits_is_enough() {
        let exact = by_id(MatchPattern::Exact("edge-1".into()), false);
        let prefix = by_id(MatchPattern::Prefix("CELL".into()), true);
        let suffix = by_id(MatchPattern::Suffix("-z".into()), false);
        let contains = by_id(MatchPattern::Contains("mid".into()), false);
        let wanted = Wanted::of(vec![exact, prefix, suffix, contains]).unwrap();
        for (id, is_wanted) in [
            ("edge-1", true),
            ("edge-10", false),
            ("cell-7", true),
            ("a-z", true),
            ("a-mid-b", true),
            ("a-MID-b", false),
        ] {
            assert_eq!(wanted.includes(id), is_wanted, "{id}");
        }
        assert!(Wanted(Vec::new()).includes("anyone"));
    }

    #[test]
    fn what_is_not_said_in_full_is_nothing_for_a_named_client() {
        let exactly = |matchers, asks| Wanted::of(matchers).unwrap().exactly(asks);
        let exact = || by_id(MatchPattern::Exact("edge-1".into()), false);
        let ids = |found: Result<Vec<ProxyId>, Status>| {
            let found = found.map_err(|status| status.code())?;
            Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(ids(exactly(vec![exact()], None)), Ok(vec!["edge-1".into()]));
        assert_eq!(ids(exactly(vec![], Some("me"))), Ok(vec!["me".into()]));
        let denied = Err(tonic::Code::PermissionDenied);
        assert_eq!(ids(exactly(vec![], None)), denied);
        let any = by_id(MatchPattern::Prefix(String::new()), false);
        assert_eq!(ids(exactly(vec![exact(), any], Some("me"))), denied);
    }

    #[test]
    fn what_cannot_be_matched_is_said() {
        let regex = by_id(MatchPattern::SafeRegex(RegexMatcher::default()), false);
        for matcher in [regex, NodeMatcher::default()] {
            let refused = Wanted::of(vec![matcher]).err().unwrap();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
    }
}
