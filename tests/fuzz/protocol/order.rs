//! Make before break, by the rules 41 to 44: what must have come before a response on a stream of all
//! types.

use ResourceKind::{Cluster, Endpoint, LbEndpoint, Listener, Route, Secret};
use tidegate::domain::Time;
use tidegate::snapshot::ResourceKind;

use super::ledger::{Effect, Ledger};
use super::server::Published;

/// Panics if a response comes too early. While a client `settles` it has not asked for all that it wants.
pub(crate) fn check(
    kind: ResourceKind,
    effect: Effect,
    ledgers: &[Ledger],
    published: &Published,
    settles: bool,
    now: Time,
) {
    let at = |kind: ResourceKind| (&ledgers[kind as usize], &published.exists[kind as usize]);
    let is_gone = |kind| {
        let (ledger, exists) = at(kind);
        ledger.is_gone(exists, now)
    };
    if effect.adds && matches!(kind, Listener | Route) {
        let (clusters, exist) = at(Cluster);
        assert!(
            clusters.is_answered(exist, now),
            "{kind} before its cluster"
        );
        for before in [Endpoint, LbEndpoint] {
            let (endpoints, exist) = at(before);
            let is_placed = endpoints.is_placed(exist, published.set.generation, now);
            assert!(is_placed, "{kind} before its {before}");
        }
    }
    if !effect.takes {
        return;
    }
    if matches!(kind, Listener | Route | Cluster) {
        for user in [Listener, Route] {
            let (ledger, exist) = at(user);
            assert!(
                ledger.is_accepted(exist, now),
                "{kind} goes before a new {user}"
            );
            let is_heard = ledger.asked.has_begun || !settles;
            assert!(is_heard, "{kind} goes before anybody asked for a {user}");
        }
    }
    let users: &[ResourceKind] = match kind {
        Listener | LbEndpoint => &[],
        Route => &[Listener],
        Cluster => &[Listener, Route],
        Endpoint => &[Cluster],
        Secret => &[Listener, Cluster],
    };
    for user in users {
        assert!(is_gone(*user), "{kind} goes before its {user}");
    }
}
