//! Leases: instances that stay for as long as somebody keeps saying so (`from: api`).
//!
//! In go calls with the time, out come whole sets per service. An id has one lease; registering it
//! again with another address or version is a new instance in its place, which is for the engine to
//! notice. Knows no clock and no caller.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Instance, InstanceId, ServiceName, Span, Time, excluded};

/// Most leases, over all services.
pub const LEASES_MAX: usize = 20_000;
/// Shortest time to live of a lease.
pub const TTL_MIN: Span = Span::secs(1);
/// Longest time to live of a lease.
pub const TTL_MAX: Span = Span::secs(24 * 60 * 60);

/// Why a lease is not granted, renewed or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// One of two instances of a version is known by the name of a host.
    #[error(
        "`{instance}` and `{other}` of `{service}` are of one version, and one of them is the URL of a host"
    )]
    Excluded {
        /// The service.
        service: ServiceName,
        /// The one that asks for a lease.
        instance: InstanceId,
        /// The one that holds one.
        other: InstanceId,
    },
    /// The service's instances come from elsewhere.
    #[error("instances of `{service}` do not come from leases")]
    NotByLease {
        /// The service.
        service: ServiceName,
    },
    /// The table is full.
    #[error("there are {LEASES_MAX} leases already")]
    TooMany,
    /// The time to live is out of bounds.
    #[error("a lease may last from {TTL_MIN} to {TTL_MAX}, not {ttl}")]
    Ttl {
        /// What was asked for.
        ttl: Span,
    },
    /// There is no such lease, or it has ended.
    #[error("`{instance}` of `{service}` holds no lease")]
    UnknownInstance {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
    },
    /// There is no such service.
    #[error("there is no service `{service}`")]
    UnknownService {
        /// The service.
        service: ServiceName,
    },
}

impl LeaseError {
    /// What would help; empty if nothing is known to.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Excluded { .. } => {
                "such a version has no other instance: give them versions of their own, or end one's lease"
            }
            Self::NotByLease { .. } => {
                "declare `instances: { from: api }` in its Service document, if they should"
            }
            Self::TooMany => "end those of instances that are gone",
            Self::Ttl { .. } => "",
            Self::UnknownInstance { .. } => "`tidegate register` begins one",
            Self::UnknownService { .. } => "declare it with `tidegate apply -f FILE`",
        }
    }
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: BTreeMap<ServiceName, BTreeMap<InstanceId, Lease>>,
}

#[derive(Debug)]
struct Lease {
    ends: Time,
    instance: Instance,
    ttl: Span,
}

/// What a registration came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Is the service's set another than before?
    pub(crate) changed: bool,
    pub(crate) ends: Time,
}

impl Leases {
    pub(crate) fn register(
        &mut self,
        service: &ServiceName,
        instance: Instance,
        ttl: Span,
        now: Time,
    ) -> Result<Granted, LeaseError> {
        if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
            return Err(LeaseError::Ttl { ttl });
        }
        let before = self
            .held
            .get(service)
            .and_then(|held| held.get(&instance.id));
        let changed = before.is_none_or(|lease| lease.instance != instance);
        if before.is_none() && self.count() >= LEASES_MAX {
            return Err(LeaseError::TooMany);
        }
        let others = self
            .held
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values);
        let others = others.map(|lease| &lease.instance);
        let mut others = others.filter(|it| it.id != instance.id && it.version == instance.version);
        if changed && let Some(other) = others.find(|it| excluded([*it, &instance]).is_some()) {
            return Err(LeaseError::Excluded {
                service: service.clone(),
                instance: instance.id,
                other: other.id.clone(),
            });
        }
        let ends = ttl.after(now);
        let held = self.held.entry(service.clone()).or_default();
        held.insert(
            instance.id.clone(),
            Lease {
                ends,
                instance,
                ttl,
            },
        );
        Ok(Granted { changed, ends })
    }

    pub(crate) fn renew(
        &mut self,
        service: &ServiceName,
        id: &InstanceId,
        now: Time,
    ) -> Result<Time, LeaseError> {
        let lease = self.held.get_mut(service).and_then(|held| held.get_mut(id));
        let lease = lease.ok_or_else(|| unknown(service, id))?;
        lease.ends = lease.ttl.after(now);
        Ok(lease.ends)
    }

    pub(crate) fn deregister(
        &mut self,
        service: &ServiceName,
        id: &InstanceId,
    ) -> Result<(), LeaseError> {
        let held = self.held.get_mut(service).and_then(|held| held.remove(id));
        held.map(drop).ok_or_else(|| unknown(service, id))
    }

    /// Gives instances that are known from before a restart their own time to renew, but at least
    /// `grace`. Who has registered
    /// since keeps what it got; those over [`LEASES_MAX`] were never granted, so there are none.
    pub(crate) fn seed(
        &mut self,
        service: &ServiceName,
        instances: Vec<Instance>,
        grace: Span,
        now: Time,
    ) {
        let held = self.held.entry(service.clone()).or_default();
        for instance in instances {
            let ttl = instance.lease.unwrap_or(grace);
            let lease = || Lease {
                ends: ttl.max(grace).after(now),
                instance: instance.clone(),
                ttl,
            };
            held.entry(instance.id.clone()).or_insert_with(lease);
        }
    }

    /// Ends the leases whose time is over, and returns the services that lost some.
    pub(crate) fn expire(&mut self, now: Time) -> BTreeSet<ServiceName> {
        let mut changed = BTreeSet::new();
        for (service, held) in &mut self.held {
            let before = held.len();
            held.retain(|_, lease| now < lease.ends);
            if held.len() < before {
                changed.insert(service.clone());
            }
        }
        changed
    }

    /// When the next lease ends, if it is not renewed.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.held
            .values()
            .flat_map(BTreeMap::values)
            .map(|lease| lease.ends)
            .min()
    }

    /// The whole set of a service, by id.
    pub(crate) fn instances(&self, service: &ServiceName) -> Vec<Instance> {
        let held = self
            .held
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values);
        held.map(|lease| lease.instance.clone()).collect()
    }

    /// Drops the leases of a service that is no more.
    pub(crate) fn forget(&mut self, service: &ServiceName) {
        self.held.remove(service);
    }

    /// So many leases are alive.
    pub(crate) fn count(&self) -> usize {
        self.held.values().map(BTreeMap::len).sum()
    }
}

fn unknown(service: &ServiceName, id: &InstanceId) -> LeaseError {
    LeaseError::UnknownInstance {
        service: service.clone(),
        instance: id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::instance;
    use crate::domain::Address;

    fn at(second: i64) -> Time {
        Time::from_second(second).unwrap()
    }

    fn ids(leases: &Leases, service: &ServiceName) -> Vec<String> {
        leases
            .instances(service)
            .iter()
            .map(|instance| instance.id.to_string())
            .collect()
    }

    #[test]
    fn a_lease_lasts_while_it_is_renewed() {
        let (cart, mut leases) = ("cart".parse().unwrap(), Leases::default());
        let ttl = Span::secs(10);
        let granted = leases
            .register(&cart, instance("i-1", 9001, "v1"), ttl, at(0))
            .unwrap();
        assert_eq!(
            granted,
            Granted {
                changed: true,
                ends: at(10)
            }
        );
        leases
            .register(&cart, instance("i-2", 9002, "v1"), ttl, at(3))
            .unwrap();
        assert_eq!(leases.next_deadline(), Some(at(10)));

        assert_eq!(
            leases.renew(&cart, &"i-1".parse().unwrap(), at(9)),
            Ok(at(19))
        );
        assert!(leases.expire(at(12)).is_empty());
        assert_eq!(leases.expire(at(13)), BTreeSet::from([cart.clone()]));
        assert_eq!(ids(&leases, &cart), ["i-1"]);

        leases.deregister(&cart, &"i-1".parse().unwrap()).unwrap();
        for id in ["i-1", "i-2"] {
            let id = id.parse().unwrap();
            assert_eq!(leases.renew(&cart, &id, at(14)), Err(unknown(&cart, &id)));
            assert_eq!(leases.deregister(&cart, &id), Err(unknown(&cart, &id)));
        }
        assert_eq!(leases.next_deadline(), None);
    }

    #[test]
    fn registering_again_changes_the_set_only_with_other_facts() {
        let (cart, mut leases) = ("cart".parse().unwrap(), Leases::default());
        for (again, changed) in [
            (instance("i-1", 9001, "v1"), true),
            (instance("i-1", 9001, "v1"), false),
            (instance("i-1", 9002, "v1"), true),
            (instance("i-1", 9002, "v2"), true),
        ] {
            let granted = leases
                .register(&cart, again.clone(), Span::secs(10), at(0))
                .unwrap();
            assert_eq!(granted.changed, changed, "{again:?}");
            assert_eq!(leases.instances(&cart), [again]);
        }
    }

    #[test]
    fn limits_are_kept() {
        let (cart, mut leases) = ("cart".parse().unwrap(), Leases::default());
        for ttl in [Span::millis(999), Span::secs(24 * 60 * 60 + 1)] {
            let refused = leases.register(&cart, instance("i-1", 9001, "v1"), ttl, at(0));
            assert_eq!(refused, Err(LeaseError::Ttl { ttl }));
        }
        let many = (0..LEASES_MAX)
            .map(|n| instance(&format!("i-{n}"), 9001, "v1"))
            .collect();
        leases.seed(&cart, many, Span::secs(10), at(0));
        let one_more = leases.register(&cart, instance("one", 9001, "v1"), TTL_MIN, at(0));
        assert_eq!(one_more, Err(LeaseError::TooMany));
        leases
            .register(&cart, instance("i-7", 9001, "v1"), TTL_MIN, at(0))
            .unwrap();
    }

    #[test]
    fn a_seed_gives_way_to_who_has_registered() {
        let (cart, mut leases) = ("cart".parse().unwrap(), Leases::default());
        leases
            .register(&cart, instance("i-1", 9009, "v2"), Span::secs(60), at(0))
            .unwrap();
        let known = vec![instance("i-1", 9001, "v1"), instance("i-2", 9002, "v1")];
        leases.seed(&cart, known, Span::secs(30), at(0));
        let addresses: Vec<_> = leases
            .instances(&cart)
            .iter()
            .map(|i| match i.address {
                Address::Socket(socket) => socket.port(),
                Address::Host(_) => 0,
            })
            .collect();
        assert_eq!(addresses, [9009, 9002]);
        leases.expire(at(30));
        assert_eq!(ids(&leases, &cart), ["i-1"]);
    }
}
