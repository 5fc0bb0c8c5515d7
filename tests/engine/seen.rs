//! Proxies as they really are, in whichever fleet, and what the engine may do while they are so: the numbers are the
//! invariants of the design.

use std::collections::BTreeMap;

use tidegate::domain::{
    EndpointState, InstanceId, Plan, ProxyId, ServiceName, ServicePlan, Span, ThenDo, Time,
    VersionName, Weight,
};
use tidegate::engine::{HookAction, HookCall, Proof, ServiceState, Stage, State};

/// A proxy as it really is.
pub(crate) trait Seen {
    /// Is its stream open?
    fn connected(&self) -> bool;
    /// Since when that is so.
    fn since(&self) -> Time;
    /// So many requests are in progress on an instance.
    fn in_progress(&self, service: &ServiceName, instance: &InstanceId, now: Time) -> usize;
    /// May a new request go to it?
    fn may_start_on(&self, service: &ServiceName, instance: &InstanceId) -> bool;
    /// Does it route to a version, be it with weight zero?
    fn routes_to(&self, service: &ServiceName, version: &VersionName) -> bool;
}

/// All that there are.
pub(crate) type All<P> = BTreeMap<ProxyId, P>;

/// A stop hook may be called for what was released, or for what no proxy was told of.
pub(crate) fn may_stop<P: Seen>(call: &HookCall, proxies: &All<P>, state: &State, now: Time) {
    if call.action != HookAction::Stop {
        return;
    }
    let service = state.services.get(&call.service);
    let known = service.and_then(|service| service.instances.get(&call.instance));
    // A call that is made again may find another process there; its version tells them apart.
    let Some(known) = known.filter(|known| known.instance.version == call.version) else {
        return;
    };
    if let Stage::Released { proof, .. } = &known.stage {
        if known.told {
            idle((&call.service, &call.instance), proof, proxies, state, now);
        }
        return;
    }
    assert_eq!(
        known.stage.endpoint(),
        None,
        "3: {} is stopped",
        call.instance
    );
}

/// Invariant 3: nobody known has a request in progress on it, or can start one.
pub(crate) fn idle<P: Seen>(
    (service, instance): (&ServiceName, &InstanceId),
    proof: &Proof,
    proxies: &All<P>,
    state: &State,
    now: Time,
) {
    if !proof.is_full() {
        return;
    }
    for (id, proxy) in proxies
        .iter()
        .filter(|(id, _)| state.proxies.contains_key(*id))
    {
        let requests = proxy.in_progress(service, instance, now);
        assert_eq!(
            requests, 0,
            "3: {id} has requests in progress on {instance}"
        );
        let may_start = proxy.may_start_on(service, instance);
        assert!(!may_start, "3: {id} may start requests on {instance}");
    }
}

/// Invariant 4: a whole, and, unless shares are decided, no version above its share of what serves.
/// Where they are, [`carried`] looks.
pub(crate) fn true_to_capacity(planned: &ServicePlan, known: &ServiceState) {
    let total: u32 = planned.routed().map(|v| u32::from(v.weight.get())).sum();
    let routed = planned.routed().next().is_some();
    let whole = u32::from(Weight::ALL.get());
    assert!(!routed || total == whole, "4: the weights sum to {total}");
    if known.split.is_some() {
        return;
    }
    let carries = |name: &VersionName, wanted: &dyn Fn(&Stage) -> bool| -> u64 {
        let version = planned.versions.iter().find(|v| v.name == *name);
        let endpoints = version.into_iter().flat_map(|v| &v.endpoints);
        endpoints
            .filter(|e| wanted(&known.instances[&e.id].stage))
            .map(|e| u64::from(e.capacity))
            .sum()
    };
    let share = |wanted: &dyn Fn(&Stage) -> bool| -> Vec<(u64, u64)> {
        let of: Vec<u64> = planned.routed().map(|v| carries(&v.name, wanted)).collect();
        let all: u64 = of.iter().sum();
        of.into_iter().map(|one| (one, all)).collect()
    };
    let mut shares = share(&|stage| *stage == Stage::Serving);
    if shares.iter().all(|(_, all)| *all == 0) {
        shares = share(&|stage| stage.endpoint() == Some(EndpointState::Healthy));
    }
    for (version, (one, all)) in planned.routed().zip(shares) {
        let weight = u64::from(version.weight.get());
        let most = (one * u64::from(whole)).div_ceil(all.max(1));
        let name = &version.name;
        assert!(
            weight <= most,
            "4: {name} has {weight}, its share is {most}"
        );
    }
}

/// Invariant 6: what is gone from the plan is routed to by nobody whose word counts.
pub(crate) fn still_there<P: Seen>(
    before: &ServicePlan,
    plan: &Plan,
    state: &State,
    proxies: &All<P>,
    now: Time,
) {
    let Some(policy) = state.service(&before.name).map(|s| s.drain.lost_proxies) else {
        return;
    };
    let planned = plan.service(&before.name);
    let stays = |name| planned.is_some_and(|p| p.versions.iter().any(|v| v.name == name));
    for version in before.versions.iter().filter(|v| !stays(v.name.clone())) {
        for (id, proxy) in proxies
            .iter()
            .filter(|(id, _)| state.proxies.contains_key(*id))
        {
            let ignored = !proxy.connected()
                && policy.then == ThenDo::Ignore
                && Span::between(proxy.since(), now) >= policy.wait;
            let routes = proxy.routes_to(&before.name, &version.name);
            assert!(
                ignored || !routes,
                "6: {id} still routes to {}",
                version.name
            );
        }
    }
}
