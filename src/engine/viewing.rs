//! State and facts → view.

use super::facts::{Facts, ProxyFacts};
use super::judging;
use super::planning::plan;
use super::state::{Bake, RolloutState};
use super::turn::Subject;
use super::waits::Waits;
use super::{
    BlockerView, Cause, DrainView, FrozenView, InstanceView, Outcome, PartView, Phase, ProxyView,
    ReportView, RolloutView, ServiceState, ServiceView, StageKind, Stands, State, VersionView,
    View, Wait,
};
use crate::domain::{ProxyIdentity, RolloutName, ServiceName, ServicePlan, Span, Strategy, Time};

/// What is said of an instance that is kept although its source no longer knows it.
const VANISHED: &str = "its source no longer knows it; kept, for nothing else takes traffic";

/// All that a view is made of.
pub(super) struct Seen<'a> {
    pub(super) state: &'a State,
    pub(super) facts: &'a Facts,
    pub(super) waits: &'a Waits,
    pub(super) not_ready: Option<String>,
    pub(super) now: Time,
}

impl Seen<'_> {
    /// Everything at this moment.
    pub(super) fn view(&self) -> View {
        let plan = plan(self.state, self.state.generation);
        View {
            at: self.now,
            generation: self.state.generation,
            ready: self.not_ready.is_none(),
            not_ready: self.not_ready.clone(),
            frozen: self.state.frozen.as_ref().map(|(at, by)| FrozenView {
                by: by.by.to_string(),
                reason: by.reason.clone(),
                since: *at,
            }),
            services: plan
                .services
                .iter()
                .map(|planned| self.service(planned))
                .collect(),
            rollouts: self
                .state
                .rollouts
                .values()
                .map(|rollout| self.rollout(rollout))
                .collect(),
            proxies: self
                .state
                .proxies
                .values()
                .map(|proxy| self.proxy(proxy))
                .collect(),
        }
    }

    /// How a rollout stands at this moment.
    pub(super) fn stands(&self, name: &RolloutName) -> Option<Stands> {
        let rollout = self.state.rollouts.get(name)?;
        let blockers = self.blockers(&Subject::Rollout(name.clone()));
        let hint = blockers.first().and_then(|blocker| blocker.hint.clone());
        Some(Stands {
            rollout: name.clone(),
            phase: self.phase(rollout),
            waits: blockers.into_iter().map(|blocker| blocker.text).collect(),
            hint,
        })
    }

    fn blockers(&self, subject: &Subject) -> Vec<BlockerView> {
        self.waits
            .of(subject)
            .iter()
            .map(BlockerView::from)
            .collect()
    }

    fn service(&self, planned: &ServicePlan) -> ServiceView {
        let name = &planned.name;
        let state = self.state.services.get(name);
        let versions = planned.versions.iter().map(|version| VersionView {
            name: version.name.clone(),
            weight: version.weight.percent(),
            routed: version.routed,
        });
        ServiceView {
            name: name.clone(),
            stable: state.and_then(|state| state.stable.clone()),
            versions: versions.collect(),
            instances: state
                .map(|state| self.instances(name, state))
                .unwrap_or_default(),
            blockers: self.blockers(&Subject::Service(name.clone())),
        }
    }

    fn instances(&self, service: &ServiceName, state: &ServiceState) -> Vec<InstanceView> {
        let view = |(id, known): (&crate::domain::InstanceId, &super::InstanceState)| {
            let health = self.facts.health(service, id);
            let vanished = self.facts.vanished(service, id);
            InstanceView {
                id: id.clone(),
                version: known.instance.version.clone(),
                address: known.instance.address.to_string(),
                locality: known.instance.locality.clone(),
                stage: known.stage.to_string(),
                since: known.since,
                healthy: health.map(|health| health.healthy && !vanished),
                health_detail: match health {
                    _ if vanished => VANISHED.to_owned(),
                    Some(health) => health.detail.clone(),
                    None => String::new(),
                },
                in_progress: self.facts.in_progress(service, id),
                drain: DrainView::of_stage(id, &known.stage),
            }
        };
        state.instances.iter().map(view).collect()
    }

    fn rollout(&self, rollout: &RolloutState) -> RolloutView {
        let spec = &rollout.spec;
        let desired = rollout
            .started
            .as_ref()
            .map_or(0, |started| started.desired);
        let service = self.state.services.get(&spec.service);
        let serves_new = service.map_or(0, |state| {
            state
                .instances
                .count(|stand| stand.version == spec.to && stand.stage == StageKind::Serving)
        });
        let mut notes = Vec::new();
        if let Some(by) = &rollout.overridden {
            let reason = by.reason.as_deref().unwrap_or_default();
            notes.push(format!("house rules are overridden by {}: {reason}", by.by));
        }
        let report = &rollout.report;
        RolloutView {
            name: spec.name.clone(),
            service: spec.service.clone(),
            from: rollout.started.as_ref().map(|started| started.from.clone()),
            to: spec.to.clone(),
            phase: self.phase(rollout),
            planned: rollout.planned,
            by: rollout.by.to_string(),
            started: rollout.started.as_ref().map(|started| started.at),
            ended: rollout.ended.map(|(at, _)| at),
            outcome: rollout.ended.map(|(_, outcome)| outcome),
            done: match rollout.ended {
                Some((_, Outcome::Done)) => desired,
                Some((_, Outcome::RolledBack)) => 0,
                Some((_, Outcome::Superseded)) | None => serves_new.min(desired),
            },
            total: desired,
            batch: rollout.batches_done + running_batches(rollout),
            part: part(rollout),
            blockers: self.blockers(&Subject::Rollout(spec.name.clone())),
            gates: judging::views(self.state, self.facts, rollout, self.now),
            notes,
            report: ReportView {
                drained: report
                    .drained
                    .iter()
                    .map(|(id, p)| DrainView::new(id, p))
                    .collect(),
                lost: report.lost.clone(),
                min_ready: report.min_ready,
                ack_ms: report.acks.iter().map(|ack| millis(*ack)).collect(),
            },
        }
    }

    fn phase(&self, rollout: &RolloutState) -> Phase {
        let name = &rollout.spec.name;
        let waits = self.waits.of(&Subject::Rollout(name.clone()));
        let service = self.state.services.get(&rollout.spec.service);
        let drains = service.is_some_and(|state| {
            let draining = state
                .instances
                .select(|stand| stand.stage == StageKind::Draining);
            let mut causes = draining.values().map(|known| known.stage.cause());
            causes.any(|cause| cause.and_then(Cause::rollout) == Some(name))
        });
        let overdue = Span::between(rollout.progress, self.now) >= rollout.spec.deadline;
        match &rollout.ended {
            Some((_, Outcome::Done)) => return Phase::Done,
            Some((_, Outcome::RolledBack)) => return Phase::RolledBack,
            Some((_, Outcome::Superseded)) => return Phase::Superseded,
            None => {}
        }
        let asks = waits.iter().any(|b| matches!(b.on, Wait::Approval { .. }));
        let stays = waits.iter().any(|b| matches!(b.on, Wait::Step { .. }));
        if rollout.paused.is_some() || asks {
            Phase::Paused
        } else if rollout.started.is_none() {
            if waits.is_empty() {
                Phase::Planned
            } else {
                Phase::Waiting
            }
        } else if waits.iter().any(|wait| wait.on.holds_back()) && !drains {
            Phase::Held
        } else if matches!(rollout.bake, Bake::Began(_)) {
            Phase::Baking
        } else if overdue && !stays {
            Phase::Stuck
        } else if rollout.turned.is_some() {
            Phase::RollingBack
        } else if drains {
            Phase::Draining
        } else {
            Phase::Progressing
        }
    }

    fn proxy(&self, identity: &ProxyIdentity) -> ProxyView {
        let facts = self.facts.proxies.get(&identity.id);
        ProxyView {
            id: identity.id.clone(),
            cluster: identity.cluster.clone(),
            locality: identity.locality.clone(),
            metadata: identity.metadata.clone(),
            agent: identity.agent.clone(),
            connected: facts.is_some_and(|facts| facts.connected),
            since: facts.map_or(self.now, |facts: &ProxyFacts| facts.since),
            in_force: facts.and_then(|facts| facts.in_force),
            nack: facts.and_then(|facts| facts.nack.clone()),
            last_report: facts.and_then(|facts| facts.last_report),
            services: self.state.reach(identity).into_iter().collect(),
        }
    }
}

/// The wave or step in which a rollout is that has begun, and goes on.
fn part(rollout: &RolloutState) -> Option<PartView> {
    if !rollout.runs() || rollout.aborted() {
        return None;
    }
    let (kind, done, of) = rollout.parts();
    let what = match &rollout.spec.strategy {
        Strategy::Waves(waves) => waves.waves.get(done as usize)?.name.clone(),
        _ => rollout.steps.get(done as usize)?.action.to_string(),
    };
    Some(PartView {
        kind,
        number: done + 1,
        of,
        what,
    })
}

fn running_batches(rollout: &RolloutState) -> u32 {
    let running = rollout.lanes.iter().filter(|lane| lane.batch.is_some());
    u32::try_from(running.count()).unwrap_or(u32::MAX)
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
}
