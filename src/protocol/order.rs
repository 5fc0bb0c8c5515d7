//! Make before break: what each addition and each removal waits for on one stream.
//!
//! Measured on Envoy 1.40, and the reason for each row:
//!
//! - A route to a cluster that is not there yet, or not there any more, answers 503 at once, and
//!   the route is acknowledged all the same. So routes come after warm clusters, and clusters go
//!   after the routes that named them were replaced.
//! - The ACK of a cluster is withheld until its endpoints have come. So endpoints wait for nothing;
//!   being listed after clusters, they are sent right behind them.
//! - So an old assignment without its answer keeps no route or listener waiting: that its cluster was
//!   answered says more.
//! - A cluster or listener warms until its secrets have come. So secrets wait for nothing either.
//! - One endpoint of a collection comes and goes like a line of an assignment: with nobody waiting.
//! - What does not change waits for nothing and is waited for by nobody.
//!
//! Additions and removals never share a response: clients refuse content, not its absence, so a
//! refusal never leaves in doubt whether something is gone.

use Op::{Add, Remove};
use ResourceKind::{Cluster, Endpoint, LbEndpoint, Listener, Route, Secret};
use Wait::{Accepted, Answered, Gone, Placed};

use crate::snapshot::ResourceKind;

/// What a response does to what the client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Adds, changes or repeats, or answers that a name does not exist.
    Add,
    /// Takes away.
    Remove,
}

/// A condition on another type of the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its additions are sent and acknowledged. A refusal holds until it is replaced: the proxy
    /// may still run what was there before, and that may name what is to go.
    Accepted(ResourceKind),
    /// Its additions are sent and answered, one way or the other: one refused cluster must not
    /// keep every route from the proxy.
    Answered(ResourceKind),
    /// Its removals are sent and answered.
    Gone(ResourceKind),
    /// Its additions are sent, and those that came with the same change are answered. What was sent
    /// before and is unanswered still has long been read, as it is ahead on the same stream.
    Placed(ResourceKind),
}

impl Wait {
    pub(super) const fn kind(self) -> ResourceKind {
        match self {
            Accepted(kind) | Answered(kind) | Gone(kind) | Placed(kind) => kind,
        }
    }
}

/// One kind of change and what must have happened before.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) kind: ResourceKind,
    pub(super) after: &'static [Wait],
}

/// Every step, in the order in which they are taken.
pub(super) static ORDER: [Step; 12] = [
    Step {
        op: Add,
        kind: Secret,
        after: &[],
    },
    Step {
        op: Add,
        kind: Cluster,
        after: &[],
    },
    Step {
        op: Add,
        kind: Endpoint,
        after: &[],
    },
    Step {
        op: Add,
        kind: LbEndpoint,
        after: &[],
    },
    Step {
        op: Remove,
        kind: LbEndpoint,
        after: &[],
    },
    Step {
        op: Add,
        kind: Listener,
        after: &[Answered(Cluster), Placed(Endpoint), Placed(LbEndpoint)],
    },
    Step {
        op: Add,
        kind: Route,
        after: &[Answered(Cluster), Placed(Endpoint), Placed(LbEndpoint)],
    },
    Step {
        op: Remove,
        kind: Listener,
        after: &[Accepted(Listener), Accepted(Route)],
    },
    Step {
        op: Remove,
        kind: Route,
        after: &[Accepted(Listener), Accepted(Route), Gone(Listener)],
    },
    Step {
        op: Remove,
        kind: Cluster,
        after: &[
            Accepted(Listener),
            Accepted(Route),
            Gone(Listener),
            Gone(Route),
        ],
    },
    Step {
        op: Remove,
        kind: Endpoint,
        after: &[Gone(Cluster)],
    },
    Step {
        op: Remove,
        kind: Secret,
        after: &[Gone(Listener), Gone(Cluster)],
    },
];
