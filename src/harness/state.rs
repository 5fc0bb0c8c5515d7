//! What nodes were given: changes of a snapshot in which each node has a set of its own.

use std::sync::Arc;

use prost::Message;

use crate::domain::{BadName, Generation, ProxyId};
use crate::snapshot::{Resource, ResourceKind, ResourceSet, Snapshot, labelled};

/// Most nodes with a state. The harness uses one.
const NODES_MAX: usize = 1_000;

/// Why a state cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("node {id:?} cannot be used: {cause}")]
    Node { id: String, cause: BadName },
    #[error("node {node} has no {kind} {name:?}; add it with AddResource")]
    NoResource {
        node: ProxyId,
        kind: ResourceKind,
        name: String,
    },
    #[error("node {0} has no state; give it one with SetState")]
    NoState(ProxyId),
    #[error("resource {index} of type {type_url} has no name in its first field")]
    Nameless { index: usize, type_url: String },
    #[error("{NODES_MAX} nodes have a state, and no more may; clear one with ClearState")]
    TooManyNodes,
    #[error("resources of type {0:?} are not served")]
    Type(String),
}

/// The field that all these types agree on.
#[derive(Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// As much of a response as holds the content of its resources.
#[derive(Message)]
struct Response {
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Packed>,
}

/// As much of an `Any`.
#[derive(Message)]
struct Packed {
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

/// One resource, as a request names it.
pub(super) struct Which<'a> {
    pub(super) node: ProxyId,
    pub(super) kind: ResourceKind,
    pub(super) name: &'a str,
    /// The version of its type's state from now on.
    pub(super) version: &'a str,
}

/// A type and an encoded message of it.
pub(super) type Encoded = (String, Vec<u8>);

pub(super) fn node(id: &str) -> Result<ProxyId, Fault> {
    id.parse().map_err(|cause| Fault::Node {
        id: id.to_owned(),
        cause,
    })
}

pub(super) fn kind(type_url: &str) -> Result<ResourceKind, Fault> {
    ResourceKind::from_type_url(type_url).ok_or_else(|| Fault::Type(type_url.to_owned()))
}

/// Gives a node exactly these resources.
pub(super) fn set(
    snapshot: &mut Snapshot,
    node: ProxyId,
    version: &str,
    resources: Vec<Encoded>,
) -> Result<(), Fault> {
    if snapshot.own(&node).is_none() && snapshot.owners() >= NODES_MAX {
        return Err(Fault::TooManyNodes);
    }
    let mut set = ResourceSet::default();
    for (index, (type_url, content)) in resources.into_iter().enumerate() {
        let kind = kind(&type_url)?;
        let name = Named::decode(content.as_slice()).map_or(String::new(), |named| named.name);
        if name.is_empty() {
            return Err(Fault::Nameless { index, type_url });
        }
        set.insert(kind, labelled(kind, &name, version, content));
    }
    for kind in ResourceKind::ALL {
        set.label(kind, version);
    }
    publish(snapshot, node, set);
    Ok(())
}

/// Forgets a node.
pub(super) fn clear(snapshot: &mut Snapshot, node: &ProxyId) {
    next(snapshot);
    snapshot.give(node.clone(), None);
}

/// Calls a resource another one. Its content stays, as the request brings none.
pub(super) fn update(snapshot: &mut Snapshot, which: Which<'_>) -> Result<(), Fault> {
    let set = own(snapshot, &which.node)?;
    let Some(resource) = set.of(which.kind).get(which.name) else {
        return Err(missing(which));
    };
    let content = content(resource);
    put(snapshot, which, set, content);
    Ok(())
}

/// Adds a resource that has nothing but its name.
pub(super) fn add(snapshot: &mut Snapshot, which: Which<'_>) -> Result<(), Fault> {
    let set = own(snapshot, &which.node)?;
    let name = which.name.to_owned();
    put(snapshot, which, set, Named { name }.encode_to_vec());
    Ok(())
}

/// Takes a resource away.
pub(super) fn remove(snapshot: &mut Snapshot, which: Which<'_>) -> Result<(), Fault> {
    let mut set = own(snapshot, &which.node)?;
    if set.remove(which.kind, which.name).is_none() {
        return Err(missing(which));
    }
    set.label(which.kind, which.version);
    publish(snapshot, which.node, set);
    Ok(())
}

fn put(snapshot: &mut Snapshot, which: Which<'_>, mut set: ResourceSet, content: Vec<u8>) {
    let resource = labelled(which.kind, which.name, which.version, content);
    set.insert(which.kind, resource);
    set.label(which.kind, which.version);
    publish(snapshot, which.node, set);
}

/// The message that was encoded.
fn content(resource: &Resource) -> Vec<u8> {
    let response = Response::decode(resource.sotw_field.clone());
    let mut resources = response.map_or(Vec::new(), |response| response.resources);
    resources.pop().unwrap_or_default().content
}

/// What a node has, to be changed.
fn own(snapshot: &Snapshot, node: &ProxyId) -> Result<ResourceSet, Fault> {
    let set = snapshot.own(node);
    let set = set.map(|set| set.next(snapshot.generation.next()));
    set.ok_or_else(|| Fault::NoState(node.clone()))
}

fn missing(which: Which<'_>) -> Fault {
    Fault::NoResource {
        node: which.node,
        kind: which.kind,
        name: which.name.to_owned(),
    }
}

fn publish(snapshot: &mut Snapshot, node: ProxyId, mut set: ResourceSet) {
    set.generation = next(snapshot);
    snapshot.give(node, Some(Arc::new(set)));
}

fn next(snapshot: &mut Snapshot) -> Generation {
    snapshot.generation = snapshot.generation.next();
    snapshot.generation
}
