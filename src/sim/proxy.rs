//! A proxy as the engine meets it: it puts plans in force when they arrive, says so, sends requests by the
//! plan that it has, and reports by a clock of its own.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Times;
use super::chance::Chance;
use super::flow::{Flow, Lot, Tally, in_progress};
use crate::domain::{
    Endpoint, EndpointState, InstanceId, Plan, ProxyId, ProxyIdentity, ServiceName, ServicePlan,
    Span, Time, VersionPlan, Weight,
};

/// Proxies by id.
pub type Proxies = BTreeMap<ProxyId, Proxy>;

/// An instance of a service.
pub(super) type Key = (ServiceName, InstanceId);

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    pub(super) identity: ProxyIdentity,
    /// Each service that it sends requests to, and its share of them in thousandths a second.
    pub(super) rates: BTreeMap<ServiceName, u64>,
    pub(super) connected: bool,
    pub(super) since: Time,
    /// Tells what belongs to this connection from what belongs to one before.
    pub(super) session: u32,
    pub(super) refuses: bool,
    /// Plans do not overtake each other on their way, nor do words.
    pub(super) last_arrival: Time,
    /// It never says what is in progress.
    pub(super) silent: bool,
    /// Is there a report to come?
    pub(super) reporting: bool,
    /// Its clock minus ours, in nanoseconds.
    pub(super) ahead_ns: i64,
    in_force: Option<Arc<Plan>>,
    flows: BTreeMap<ServiceName, Flow>,
    taking: BTreeMap<Key, Taking>,
    /// Listed instances that drain, and since when the proxy's own health check passes, which goes on meanwhile.
    checked: BTreeMap<Key, Time>,
    /// When the requests end that are in progress on instances that take no more.
    left: BTreeMap<Key, Vec<Time>>,
}

/// An instance that gets requests.
#[derive(Clone, Copy, Debug)]
struct Taking {
    since: Time,
    /// The proxy's own health check passes then.
    from: Time,
}

/// What a proxy's requests depend on besides its plan.
pub(super) struct Conditions<'a> {
    /// The longest request to each service where some are very long.
    pub(super) very_long: &'a BTreeMap<ServiceName, Span>,
    /// How long requests were in progress before.
    pub(super) times: &'a BTreeMap<ServiceName, Times>,
    /// How often proxies report.
    pub(super) report_every: Span,
    /// Is a version of a service bad?
    pub(super) bad: &'a BTreeSet<(ServiceName, String)>,
}

impl Proxy {
    pub(super) fn new(
        identity: ProxyIdentity,
        rates: BTreeMap<ServiceName, u64>,
        chance: &mut Chance,
        now: Time,
    ) -> Self {
        let hour_ns = 3_600_000_000_000_i64;
        let ahead = i64::try_from(chance.below(7200)).unwrap_or(0) * 1_000_000_000;
        Self {
            identity,
            rates,
            connected: false,
            since: now,
            session: 0,
            refuses: false,
            last_arrival: now,
            silent: false,
            reporting: false,
            ahead_ns: ahead - hour_ns,
            in_force: None,
            flows: BTreeMap::new(),
            taking: BTreeMap::new(),
            checked: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    /// A new process: nothing in force, nothing in progress, a clock of its own.
    pub(super) fn boot(&mut self, tally: &mut Tally, chance: &mut Chance, now: Time) {
        self.settle(tally, now);
        let (identity, rates) = (self.identity.clone(), std::mem::take(&mut self.rates));
        let (session, last_arrival) = (self.session, self.last_arrival);
        *self = Self {
            session,
            last_arrival,
            reporting: self.reporting,
            ..Self::new(identity, rates, chance, now)
        };
    }

    /// Is its stream open?
    pub fn connected(&self) -> bool {
        self.connected
    }

    /// Since when that is so.
    pub fn since(&self) -> Time {
        self.since
    }

    /// So many requests are in progress on an instance that takes no new ones.
    pub fn in_progress(&self, service: &ServiceName, instance: &InstanceId, now: Time) -> usize {
        let left = self.left.get(&(service.clone(), instance.clone()));
        left.map_or(0, |ends| ends.iter().filter(|end| **end > now).count())
    }

    /// May a new request go to the instance by what is in force here?
    pub fn may_start_on(&self, service: &ServiceName, instance: &InstanceId) -> bool {
        let planned = self.knows_of(service);
        let versions = planned.into_iter().flat_map(ServicePlan::routed);
        let mut taking = versions.filter(|version| version.weight > Weight::NONE);
        taking.any(|version| {
            let found = find(&version.endpoints, instance);
            found.is_some_and(|endpoint| endpoint.state == EndpointState::Healthy)
        })
    }

    /// Does what is in force here route to this version, be it with weight zero?
    pub fn routes_to(&self, service: &ServiceName, version: &str) -> bool {
        let planned = self.knows_of(service);
        let mut routed = planned.into_iter().flat_map(ServicePlan::routed);
        routed.any(|planned| planned.name.as_str() == version)
    }

    /// What is in force here of a service that the proxy is told of.
    fn knows_of(&self, service: &ServiceName) -> Option<&ServicePlan> {
        let plan = self.in_force.as_ref()?;
        let is_told = self.rates.contains_key(service);
        plan.service(service).filter(|_| is_told)
    }

    pub(super) fn disconnect(&mut self, now: Time) {
        (self.connected, self.since) = (false, now);
        self.session += 1;
    }

    pub(super) fn connect(&mut self, now: Time) {
        (self.connected, self.since) = (true, now);
        self.session += 1;
    }

    /// What it says of an instance: requests in progress, and whether it sends it new ones. `None` if
    /// it does not know it.
    pub(super) fn says_of(
        &self,
        service: &ServiceName,
        version: &str,
        instance: &InstanceId,
        now: Time,
    ) -> Option<(u64, bool)> {
        let planned = self.in_force.as_ref()?.service(service)?;
        let planned = planned
            .versions
            .iter()
            .find(|v| v.name.as_str() == version)?;
        find(&planned.endpoints, instance)?;
        let taking = self.taking.get(&(service.clone(), instance.clone()));
        let uses = taking.is_some_and(|taking| taking.from <= now);
        let requests = self.in_progress(service, instance, now) + usize::from(uses);
        Some((requests as u64, uses))
    }

    /// Adds up the requests until `now`.
    pub(super) fn settle(&mut self, tally: &mut Tally, now: Time) {
        for flow in self.flows.values_mut() {
            flow.settle(tally, now);
        }
    }

    /// Goes by `plan` from now on.
    pub(super) fn take(
        &mut self,
        plan: Arc<Plan>,
        conditions: &Conditions<'_>,
        tally: &mut Tally,
        chance: &mut Chance,
        now: Time,
    ) {
        self.settle(tally, now);
        let before = self.in_force.take();
        let is_first = before.is_none();
        let rates: Vec<_> = self
            .rates
            .iter()
            .map(|(name, rate)| (name.clone(), *rate))
            .collect();
        for (service, rate) in rates {
            let old = before.as_ref().and_then(|plan| plan.service(&service));
            let new = plan.service(&service);
            let very_long = conditions.very_long.get(&service).copied();
            let interval = new.map_or(Span::ZERO, |planned| planned.health.interval);
            let mut news = Change {
                service: &service,
                interval,
                very_long,
                times: conditions.times.get(&service),
                report_every: conditions.report_every,
                is_first,
                chance,
                now,
            };
            self.compare(old, new, rate, &mut news);
            let flow = self.flow(&service, new, rate, conditions, now);
            self.flows.insert(service, flow);
        }
        self.left
            .retain(|_, ends| ends.iter().any(|end| *end > now));
        self.in_force = Some(plan);
    }

    fn compare(
        &mut self,
        old: Option<&ServicePlan>,
        new: Option<&ServicePlan>,
        rate: u64,
        change: &mut Change<'_>,
    ) {
        let olds = old.map_or(&[][..], |planned| &planned.versions);
        let news = new.map_or(&[][..], |planned| &planned.versions);
        let find_in = |all: &'_ [VersionPlan], version: &VersionPlan| {
            all.iter().position(|v| v.name == version.name)
        };
        for version in olds {
            let after = find_in(news, version).map(|at| &news[at]);
            let after = after.map_or(&[][..], |version| &version.endpoints);
            self.compare_endpoints(&version.endpoints, after, &Each::of(version, rate), change);
        }
        for version in news.iter().filter(|v| find_in(olds, v).is_none()) {
            self.compare_endpoints(&[], &version.endpoints, &Each::default(), change);
        }
    }

    /// Both are sorted by id.
    fn compare_endpoints(
        &mut self,
        mut old: &[Endpoint],
        mut new: &[Endpoint],
        each: &Each,
        change: &mut Change<'_>,
    ) {
        if std::ptr::eq(old, new) {
            return;
        }
        loop {
            let order = match (old.first(), new.first()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.id.cmp(&new.id),
            };
            let (was, is) = match order {
                Ordering::Less => (old.split_off_first(), None),
                Ordering::Greater => (None, new.split_off_first()),
                Ordering::Equal => (old.split_off_first(), new.split_off_first()),
            };
            let takes = |endpoint: Option<&Endpoint>| {
                endpoint.is_some_and(|endpoint| endpoint.state == EndpointState::Healthy)
            };
            match (takes(was), takes(is)) {
                (true, false) => self.stops(was, each, change),
                (false, true) => self.begins(is, change),
                _ => {}
            }
            if let Some(was) = was.filter(|_| is.is_none()) {
                let key = (change.service.clone(), was.id.clone());
                self.checked.remove(&key);
            }
        }
    }

    fn stops(&mut self, endpoint: Option<&Endpoint>, each: &Each, change: &mut Change<'_>) {
        let Some(endpoint) = endpoint else { return };
        let key = (change.service.clone(), endpoint.id.clone());
        if let Some(taking) = self.taking.remove(&key) {
            self.checked.insert(key.clone(), taking.from);
            let rate = each.rate(endpoint);
            let (very_long, now) = (change.very_long, change.now);
            let every = change.report_every;
            let seen = change.times;
            let seen = seen.and_then(|times| times.left_on(&endpoint.id, every));
            let ends = match seen {
                Some(left) => vec![left.after(now)],
                None => in_progress(rate, taking.since, very_long, change.chance, now),
            };
            self.left.entry(key).or_default().extend(ends);
        }
    }

    fn begins(&mut self, endpoint: Option<&Endpoint>, change: &mut Change<'_>) {
        let Some(endpoint) = endpoint else { return };
        let check = change.chance.up_to(change.interval);
        // A new process checks everything once before it takes its first request.
        let check = if change.is_first { Span::ZERO } else { check };
        let key = (change.service.clone(), endpoint.id.clone());
        let before = self.checked.remove(&key);
        let taking = Taking {
            since: change.now,
            from: before.unwrap_or_else(|| check.after(change.now)),
        };
        self.taking.insert(key, taking);
    }

    fn flow(
        &self,
        service: &ServiceName,
        planned: Option<&ServicePlan>,
        rate: u64,
        conditions: &Conditions<'_>,
        now: Time,
    ) -> Flow {
        let versions = planned.into_iter().flat_map(ServicePlan::routed);
        let versions = versions.filter(|v| v.weight > Weight::NONE).map(|version| {
            let healthy = version.endpoints.iter();
            let mut healthy = healthy.filter(|e| e.state == EndpointState::Healthy);
            let from = |endpoint: &Endpoint| {
                let taking = self.taking.get(&(service.clone(), endpoint.id.clone()));
                taking.map(|taking| taking.from)
            };
            // The first that takes requests already is enough.
            let mut first: Option<Time> = None;
            let taken = healthy.any(|endpoint| {
                let from = from(endpoint);
                first = [first, from].into_iter().flatten().min();
                from.is_some_and(|from| from <= now)
            });
            Lot {
                version: version.name.clone(),
                weight: version.weight,
                from: if taken { Some(now) } else { first },
                bad: conditions
                    .bad
                    .contains(&(service.clone(), version.name.to_string())),
            }
        });
        Flow {
            region: self.identity.locality.region.clone(),
            service: service.clone(),
            rate,
            since: now,
            versions: versions.collect(),
        }
    }

    /// An instance is sick: the proxy's own check finds that, too, and has to pass again.
    pub(super) fn finds_sick(&mut self, key: &Key) {
        self.checked.remove(key);
    }

    /// The process of an instance ends. So many requests end with it that were in progress, and so many
    /// a second are sent to it in vain from now on, in thousandths.
    pub(super) fn lose(
        &mut self,
        service: &ServiceName,
        instance: &InstanceId,
        now: Time,
    ) -> (u64, u64) {
        let key = (service.clone(), instance.clone());
        self.checked.remove(&key);
        let cut = self.left.remove(&key).unwrap_or_default();
        let cut = cut.iter().filter(|end| **end > now).count() as u64;
        let in_vain = self.taking.contains_key(&key).then(|| {
            let planned = self.in_force.as_ref()?.service(service)?;
            let mut versions = planned.routed();
            let (version, endpoint) =
                versions.find_map(|v| Some((v, find(&v.endpoints, instance)?)))?;
            let rate = self.rates.get(service).copied().unwrap_or(0);
            Some(Each::of(version, rate).rate(endpoint))
        });
        (cut, in_vain.flatten().unwrap_or(0))
    }
}

/// What changes for a service in one plan.
struct Change<'a> {
    service: &'a ServiceName,
    interval: Span,
    very_long: Option<Span>,
    times: Option<&'a Times>,
    report_every: Span,
    /// Had it no plan before?
    is_first: bool,
    chance: &'a mut Chance,
    now: Time,
}

/// What each instance of a version gets.
#[derive(Default)]
struct Each {
    /// Thousandths a second, for all of them.
    rate: u64,
    /// The sum of what they carry.
    capacity: u64,
}

impl Each {
    fn of(version: &VersionPlan, rate: u64) -> Self {
        let healthy = version.endpoints.iter();
        let healthy = healthy.filter(|e| e.state == EndpointState::Healthy);
        Self {
            rate: rate * u64::from(version.weight.get()) / u64::from(Weight::ALL.get()),
            capacity: healthy.map(|e| u64::from(e.capacity)).sum(),
        }
    }

    fn rate(&self, endpoint: &Endpoint) -> u64 {
        self.rate * u64::from(endpoint.capacity) / self.capacity.max(1)
    }
}

fn find<'a>(endpoints: &'a [Endpoint], instance: &InstanceId) -> Option<&'a Endpoint> {
    let found = endpoints.binary_search_by(|endpoint| endpoint.id.cmp(instance));
    found.ok().map(|at| &endpoints[at])
}
