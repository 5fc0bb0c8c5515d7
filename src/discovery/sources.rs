//! The declared services with what their sources have said so far.
//!
//! In go documents, lease calls and readings of files, each with the time; out come the sets that are
//! to be published. Invariants: a service is published only when its source has spoken in full; what
//! a source said under an older declaration (its *epoch*) is not heard any more; a broken file
//! changes nothing; an alias has the instances of its service, at the same time. Does no I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Documents, Instance, InstanceId, InstanceSource, Service, ServiceName, Span, Time,
};

use super::leases::{LeaseError, Leases};

/// After a start, leases have this long to show up where nobody tells which were held before.
pub(crate) const SETTLE: Span = Span::secs(10);

#[derive(Debug, Default)]
pub(crate) struct Sources {
    applied: bool,
    changed: BTreeSet<ServiceName>,
    declared: BTreeMap<ServiceName, Declared>,
    epoch: u64,
    leases: Leases,
}

#[derive(Debug)]
struct Declared {
    epoch: u64,
    published: bool,
    service: Service,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Leases; until `settles`, if that is set, more may show up.
    Api { settles: Option<Time> },
    /// The last good reading, and what is wrong with the latest.
    File {
        last_good: Option<Vec<Instance>>,
        problem: Option<String>,
    },
    /// The document itself.
    Listed,
}

/// A file to follow.
#[derive(Debug)]
pub(crate) struct FileSource {
    pub(crate) service: Service,
    pub(crate) path: String,
    pub(crate) epoch: u64,
}

impl Sources {
    /// Takes over the services of `documents`; what is known of those that stay is kept.
    pub(crate) fn declare(&mut self, documents: &Documents, now: Time) {
        let settles = (!self.applied).then(|| SETTLE.after(now));
        self.applied = true;
        let mut before = std::mem::take(&mut self.declared);
        for (name, service) in &documents.services {
            let declared = match before.remove(name) {
                Some(same) if same.service == *service => same,
                other => {
                    self.changed.insert(name.clone());
                    self.epoch += 1;
                    Declared::new(service, self.epoch, other, settles)
                }
            };
            if !matches!(declared.source, Source::Api { .. }) {
                self.leases.forget(name);
            }
            self.declared.insert(name.clone(), declared);
        }
        for name in before.keys() {
            self.leases.forget(name);
            self.changed.remove(name);
        }
    }

    /// Every declared service.
    pub(crate) fn names(&self) -> BTreeSet<ServiceName> {
        self.declared.keys().cloned().collect()
    }

    /// Every file that is to be followed.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileSource> + '_ {
        self.declared
            .values()
            .filter_map(|declared| match &declared.service.source {
                InstanceSource::Api | InstanceSource::Listed { .. } => None,
                InstanceSource::File { path } => Some(FileSource {
                    service: declared.service.clone(),
                    path: path.clone(),
                    epoch: declared.epoch,
                }),
            })
    }

    /// Takes what a file said, or why it said nothing.
    pub(crate) fn heard(
        &mut self,
        name: &ServiceName,
        epoch: u64,
        read: Result<Vec<Instance>, String>,
    ) {
        let Some(declared) = self.declared.get_mut(name) else {
            return;
        };
        let Source::File { last_good, problem } = &mut declared.source else {
            return;
        };
        if declared.epoch != epoch {
            return;
        }
        match read {
            Ok(instances) => {
                *problem = None;
                if last_good.as_ref() != Some(&instances) {
                    *last_good = Some(instances);
                    self.changed.insert(name.clone());
                }
            }
            Err(reason) => *problem = Some(reason),
        }
    }

    pub(crate) fn seed(
        &mut self,
        name: &ServiceName,
        instances: Vec<Instance>,
        grace: Span,
        now: Time,
    ) {
        let Some(Declared {
            source: Source::Api { settles },
            ..
        }) = self.declared.get_mut(name)
        else {
            return;
        };
        *settles = None;
        if !name.is_alias() {
            self.leases.seed(name, instances, grace, now);
        }
        self.changed.insert(name.clone());
    }

    pub(crate) fn register(
        &mut self,
        name: &ServiceName,
        instance: Instance,
        ttl: Span,
        now: Time,
    ) -> Result<Time, LeaseError> {
        let name = &self.of_leases(name)?;
        let granted = self.leases.register(name, instance, ttl, now)?;
        if granted.changed {
            self.has_changed(name);
        }
        Ok(granted.ends)
    }

    pub(crate) fn renew(
        &mut self,
        name: &ServiceName,
        id: &InstanceId,
        now: Time,
    ) -> Result<Time, LeaseError> {
        let name = &self.of_leases(name)?;
        self.leases.renew(name, id, now)
    }

    /// So many leases are alive.
    pub(super) fn leases(&self) -> usize {
        self.leases.count()
    }

    pub(crate) fn deregister(
        &mut self,
        name: &ServiceName,
        id: &InstanceId,
    ) -> Result<(), LeaseError> {
        let name = &self.of_leases(name)?;
        self.leases.deregister(name, id)?;
        self.has_changed(name);
        Ok(())
    }

    /// The whole sets of the services that have changed and may be published.
    pub(crate) fn take_changes(&mut self, now: Time) -> Vec<(Service, Vec<Instance>)> {
        for name in self.leases.expire(now) {
            self.has_changed(&name);
        }
        let mut changes = Vec::new();
        let (declared, leases) = (&mut self.declared, &self.leases);
        self.changed.retain(|name| {
            let Some(declared) = declared.get_mut(name) else {
                return false;
            };
            let instances = match &mut declared.source {
                Source::Api { settles } => {
                    *settles = settles.filter(|at| now < *at);
                    settles.is_none().then(|| leases.instances(&name.pool()))
                }
                Source::File { last_good, .. } => last_good.clone(),
                Source::Listed => Some(declared.service.listed()),
            };
            let Some(instances) = instances else {
                return true;
            };
            changes.push((declared.service.clone(), instances));
            false
        });
        changes
    }

    /// Notes that a set went out, unless the service is declared otherwise by now.
    pub(crate) fn published(&mut self, service: &Service) {
        let declared = self.declared.get_mut(&service.name);
        if let Some(declared) = declared.filter(|declared| declared.service == *service) {
            declared.published = true;
        }
    }

    /// When [`Sources::take_changes`] may have something, though nothing was said.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let settles = self
            .declared
            .values()
            .filter_map(|declared| match declared.source {
                Source::Api { settles } => settles,
                Source::File { .. } | Source::Listed => None,
            });
        settles.chain(self.leases.next_deadline()).min()
    }

    pub(crate) fn problems(&self) -> BTreeMap<ServiceName, String> {
        let problem = |declared: &Declared| match &declared.source {
            Source::Api { .. } | Source::Listed => None,
            Source::File { problem, .. } => problem.clone(),
        };
        self.declared
            .iter()
            .filter_map(|(name, declared)| Some((name.clone(), problem(declared)?)))
            .collect()
    }

    pub(crate) fn waiting(&self) -> Vec<ServiceName> {
        let unpublished = self
            .declared
            .iter()
            .filter(|(_, declared)| !declared.published);
        unpublished.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn synced(&self) -> bool {
        self.applied && self.declared.values().all(|declared| declared.published)
    }

    /// The service that holds the leases of this one.
    fn of_leases(&self, name: &ServiceName) -> Result<ServiceName, LeaseError> {
        match self.declared.get(name).map(|declared| &declared.source) {
            None => Err(LeaseError::UnknownService {
                service: name.clone(),
            }),
            Some(Source::File { .. } | Source::Listed) => Err(LeaseError::NotByLease {
                service: name.clone(),
            }),
            Some(Source::Api { .. }) => Ok(name.pool()),
        }
    }

    /// Notes that a service's leases are others, and so those of its aliases.
    fn has_changed(&mut self, pool: &ServiceName) {
        let names = self.declared.keys().filter(|name| name.pool() == *pool);
        self.changed.extend(names.cloned());
    }
}

impl Declared {
    /// A new declaration; what was known under the one before is kept, if the kind of source stays.
    fn new(service: &Service, epoch: u64, before: Option<Self>, settles: Option<Time>) -> Self {
        let (published, known) = before.map_or((false, None), |b| (b.published, Some(b.source)));
        let (published, source) = match (&service.source, known) {
            (InstanceSource::Api, Some(known @ Source::Api { .. }))
            | (InstanceSource::File { .. }, Some(known @ Source::File { .. })) => {
                (published, known)
            }
            (InstanceSource::Listed { .. }, known) => {
                (published && known.is_some(), Source::Listed)
            }
            (InstanceSource::Api, _) => (false, Source::Api { settles }),
            (InstanceSource::File { .. }, _) => (
                false,
                Source::File {
                    last_good: None,
                    problem: None,
                },
            ),
        };
        Self {
            epoch,
            published,
            service: service.clone(),
            source,
        }
    }
}
