//! The node of a request, checked and reduced to what gateways select by.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node};
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;
use tonic::Status;

use crate::domain::{BadName, Locality, ProxyId, ProxyIdentity};

/// Most metadata entries kept of one node; gateways select by a few.
const METADATA_MAX: usize = 256;

/// Most characters of a refused id that are shown: a status travels in headers, which are small.
const SHOWN_CHARS_MAX: usize = 200;

/// Why a node is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadNode {
    #[error("the node of this stream cannot be read: {cause}")]
    Encoding { cause: String },
    #[error("node.id {id:?} of this proxy cannot be used: {cause}; set `node.id` in its bootstrap")]
    Id { id: String, cause: BadName },
    #[error(
        "the first request of a stream has no node; set `node.id` and `node.cluster` in the proxy's bootstrap"
    )]
    Missing,
    #[error(
        "this stream belongs to node {before:?} and cannot become node {after:?}; open another stream"
    )]
    Other { before: String, after: String },
    #[error(
        "node {id:?} says {bytes} bytes of itself, and at most {max} are taken (`limits.nodeSize`); shorten its metadata"
    )]
    TooLarge {
        id: String,
        bytes: usize,
        max: usize,
    },
}

impl BadNode {
    /// As the stream is told.
    pub(super) fn status(&self) -> Status {
        let words = self.to_string();
        match self {
            Self::TooLarge { .. } => Status::resource_exhausted(words),
            Self::Encoding { .. } | Self::Id { .. } | Self::Missing | Self::Other { .. } => {
                Status::invalid_argument(words)
            }
        }
    }
}

/// Whom an encoded node describes, in so many bytes at most; for the other services that proxies call
/// with theirs.
pub fn identify_encoded(node: &[u8], bytes_max: usize) -> Result<ProxyIdentity, Status> {
    let node = Node::decode(node).map_err(|error| BadNode::Encoding {
        cause: error.to_string(),
    });
    node.and_then(|node| identify(Some(node), bytes_max))
        .map_err(|bad| bad.status())
}

/// A stream keeps the node that it began with; an empty id says nothing of it.
pub fn check_same_node(owner: &ProxyId, id: &str) -> Result<(), Status> {
    if id.is_empty() || id == owner.as_str() {
        return Ok(());
    }
    let (before, after) = (owner.to_string(), shown(id));
    Err(BadNode::Other { before, after }.status())
}

/// Whom a node describes, in so many bytes at most: they are journaled whenever they change. Envoy's
/// 516 extensions end here.
pub(super) fn identify(node: Option<Node>, bytes_max: usize) -> Result<ProxyIdentity, BadNode> {
    let node = node
        .filter(|node| !node.id.is_empty())
        .ok_or(BadNode::Missing)?;
    let id: ProxyId = match node.id.parse() {
        Ok(id) => id,
        Err(cause) => {
            let id = shown(&node.id);
            return Err(BadNode::Id { id, cause });
        }
    };
    let version = match node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => dotted(&build),
        Some(UserAgentVersionType::UserAgentVersion(version)) => version,
        None => String::new(),
    };
    let mut fields: Vec<_> = node
        .metadata
        .unwrap_or_default()
        .fields
        .into_iter()
        .collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let strings = fields
        .into_iter()
        .filter_map(|(key, value)| match value.kind {
            Some(Kind::StringValue(text)) => Some((key, text)),
            _ => None,
        });
    let locality = node.locality.unwrap_or_default();
    let metadata: BTreeMap<String, String> = strings.take(METADATA_MAX).collect();
    let said = metadata.iter().map(|(key, value)| key.len() + value.len());
    let bytes = said.sum::<usize>()
        + [
            &node.cluster,
            &locality.region,
            &locality.zone,
            &version,
            &node.user_agent_name,
        ]
        .map(String::len)
        .iter()
        .sum::<usize>();
    if bytes > bytes_max {
        return Err(BadNode::TooLarge {
            id: id.to_string(),
            bytes,
            max: bytes_max,
        });
    }
    Ok(ProxyIdentity {
        id,
        cluster: node.cluster,
        metadata,
        locality: Locality {
            region: locality.region,
            zone: locality.zone,
        },
        agent: format!("{} {version}", node.user_agent_name)
            .trim()
            .to_owned(),
    })
}

/// As much of what a node calls itself as fits in the status that refuses it.
pub(super) fn shown(id: &str) -> String {
    let mut shown: String = id.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < id.len() {
        shown.push('…');
    }
    shown
}

fn dotted(build: &BuildVersion) -> String {
    let version = build.version.unwrap_or_default();
    format!(
        "{}.{}.{}",
        version.major_number, version.minor_number, version.patch
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::r#type::v3::SemanticVersion;

    #[test]
    fn nodes_are_checked_where_they_enter() {
        let version = SemanticVersion {
            major_number: 1,
            minor_number: 40,
            patch: 0,
        };
        let build = BuildVersion {
            version: Some(version),
            metadata: None,
        };
        let node = Node {
            id: "edge-1".into(),
            cluster: "edge".into(),
            user_agent_name: "envoy".into(),
            user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(build)),
            ..Node::default()
        };
        let identity = identify(Some(node.clone()), 1024).unwrap();
        assert_eq!(
            (identity.id.as_str(), identity.agent.as_str()),
            ("edge-1", "envoy 1.40.0")
        );
        assert_eq!(identify(None, 1024), Err(BadNode::Missing));
        assert_eq!(identify(Some(Node::default()), 1024), Err(BadNode::Missing));
        let large = identify(Some(node.clone()), 10).unwrap_err();
        assert!(
            large
                .to_string()
                .contains("at most 10 are taken (`limits.nodeSize`)"),
            "{large}"
        );
        let bad = Node {
            id: "a b".into(),
            ..node
        };
        let bad = identify(Some(bad), 1024).unwrap_err();
        assert!(bad.to_string().contains("node.id \"a b\""), "{bad}");
    }
}
