//! Records in words, for the history and the log.

use std::fmt;

use super::{Origin, Outcome, Record, Turned};
use crate::domain::{PlaceName, counted};
use crate::engine::{Pause, Stage};

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approved {
                rollout,
                by,
                reason,
            } => write!(
                f,
                "{rollout}: {by} lets it go on{}",
                because(reason.as_ref())
            ),
            Self::BatchBegan {
                rollout,
                lane,
                members,
                ..
            } => {
                let place = at(lane.as_ref());
                write!(f, "{rollout}: a batch begins{place}: {}", listed(members))
            }
            Self::BatchDone { rollout, lane } => {
                write!(f, "{rollout}: the batch{} is replaced", at(lane.as_ref()))
            }
            Self::BakeBegan { rollout } => write!(f, "{rollout}: everything is moved; it bakes"),
            Self::BakeDone { rollout } => write!(f, "{rollout}: the bake is over"),
            Self::DocumentsApplied {
                documents,
                by,
                changes,
            } if changes.is_empty() => write!(
                f,
                "documents by {by}: {} services, {} gateways, {} gates, {} rollouts",
                documents.services.len(),
                documents.gateways.len(),
                documents.gates.len(),
                documents.rollouts.len(),
            ),
            Self::DocumentsApplied { by, changes, .. } => {
                write!(f, "documents by {by}: {}", listed(changes))
            }
            Self::DrainAsked {
                service,
                instance,
                by,
                reason,
            } => write!(
                f,
                "{service}: {instance} is to be drained, by {by}{}",
                because(reason.as_ref())
            ),
            Self::Frozen(Pause { by, reason }) => {
                write!(
                    f,
                    "everything is frozen by {by}{}",
                    because(reason.as_ref())
                )
            }
            Self::HookCalled {
                rollout,
                call,
                attempt,
            } => {
                let (action, instance, version) = (call.action, &call.instance, &call.version);
                write!(f, "{rollout}: {action} hook for {instance} ({version})")?;
                match attempt {
                    0 | 1 => Ok(()),
                    again => write!(f, ", attempt {again}"),
                }
            }
            Self::HookDone {
                rollout,
                key,
                output,
            } => {
                write!(f, "{rollout}: hook {key} is done")?;
                match output.lines().next() {
                    None => Ok(()),
                    Some(line) => write!(f, ": {line}"),
                }
            }
            Self::HookAnswered {
                rollout,
                hook,
                moment,
                answer,
                ..
            } => write!(f, "{rollout}: {moment}: {hook} {answer}"),
            Self::HookAsked { ask, attempt, .. } => {
                let (rollout, moment, hook) = (&ask.rollout, &ask.moment, &ask.hook);
                write!(f, "{rollout}: {moment}: {hook} is asked")?;
                match attempt {
                    1 => Ok(()),
                    again => write!(f, ", try {again}"),
                }
            }
            Self::HookFailed {
                rollout,
                key,
                error,
            } => write!(f, "{rollout}: hook {key} failed: {error}"),
            Self::InForce {
                generation,
                proxies,
                took,
            } => write!(
                f,
                "generation {generation} is in force on {} after {took}",
                counted(*proxies, "proxy")
            ),
            Self::InstanceGone { service, instance } => write!(f, "{service}: {instance} is gone"),
            Self::InstanceLost {
                service,
                instance,
                stage,
            } => write!(f, "{service}: {instance} vanished while {stage}"),
            Self::InstanceMoved {
                service,
                instance,
                to,
                why,
            } => {
                write!(f, "{service}: {instance} is {to}: {why}")?;
                match to {
                    Stage::Released { proof, .. } => write!(f, " ({proof})"),
                    _ => Ok(()),
                }
            }
            Self::InstanceSeen { service, instance } => write!(
                f,
                "{service}: {} of {} at {}",
                instance.id, instance.version, instance.address
            ),
            Self::KeepEnded { service } => {
                write!(f, "{service}: the old instances stay no longer")
            }
            Self::Ruled { rollout, ruling } => write!(f, "{rollout}: {ruling}"),
            Self::LaneBegan {
                rollout,
                place,
                desired,
                quota,
            } => {
                let instances = counted(*desired, "instance");
                match quota {
                    Some(quota) => write!(f, "{rollout}: {place} begins: {quota} of {instances}"),
                    None => write!(f, "{rollout}: {place} begins: {instances}"),
                }
            }
            Self::LaneDone { rollout, place } => {
                write!(f, "{rollout}: all is replaced{}", at(place.as_ref()))
            }
            Self::ProxyForgotten { proxy, by, reason } => write!(
                f,
                "proxy {proxy} is forgotten, by {by}{}",
                because(reason.as_ref())
            ),
            Self::ProxySeen { identity } => write!(f, "proxy {} ({})", identity.id, identity.agent),
            Self::Published {
                generation,
                services,
            } => {
                write!(f, "generation {generation} is published")?;
                match services.as_slice() {
                    [] => Ok(()),
                    changed => {
                        let names: Vec<_> = changed.iter().map(ToString::to_string).collect();
                        write!(f, ": {}", names.join(", "))
                    }
                }
            }
            Self::RolloutAborted {
                rollout,
                by,
                reason,
                how,
            } => {
                let how = match how {
                    Turned::Back => "",
                    Turned::AtOnce => " at once",
                    Turned::ThisWave => " in this wave",
                };
                write!(
                    f,
                    "{rollout}: aborted{how} by {by}{}",
                    because(reason.as_ref())
                )
            }
            Self::RolloutAmended { spec, by } => {
                write!(f, "{}: its document changed", spec.name)?;
                by.as_ref().map_or(Ok(()), |by| write!(f, ", by {by}"))
            }
            Self::RolloutEnded {
                rollout, outcome, ..
            } => match outcome {
                Outcome::Done => write!(f, "{rollout}: done"),
                Outcome::RolledBack => write!(f, "{rollout}: rolled back"),
                Outcome::Superseded => write!(f, "{rollout}: superseded"),
            },
            Self::RolloutForgotten { rollout } => {
                write!(f, "{rollout}: ended long ago and is no longer listed")
            }
            Self::RolloutPaused {
                rollout,
                by,
                reason,
            } => write!(f, "{rollout}: paused by {by}{}", because(reason.as_ref())),
            Self::RolloutPlanned {
                spec,
                origin,
                by,
                reason,
            } => {
                let undo = match origin {
                    Origin::Document => "",
                    Origin::Run => " (run)",
                    Origin::Undo => " (undo)",
                };
                write!(
                    f,
                    "{}: {} to {} is wanted by {by}{undo}{}",
                    spec.name,
                    spec.service,
                    spec.to,
                    because(reason.as_ref())
                )
            }
            Self::RolloutResumed {
                rollout,
                by,
                reason,
            } => write!(f, "{rollout}: resumed by {by}{}", because(reason.as_ref())),
            Self::RolloutRetried {
                rollout,
                by,
                reason,
            } => write!(f, "{rollout}: retried by {by}{}", because(reason.as_ref())),
            Self::RolloutStarted {
                rollout,
                from,
                desired,
                ..
            } => write!(
                f,
                "{rollout}: starts from {from} with {}",
                counted(*desired, "instance")
            ),
            Self::RolloutSuperseded { rollout, by } => {
                write!(f, "{rollout}: superseded by {by}")
            }
            Self::RulesOverridden {
                rollout,
                by,
                reason,
            } => write!(f, "{rollout}: house rules are overridden by {by}: {reason}"),
            Self::StableChosen { service, version } => write!(f, "{service}: {version} is stable"),
            Self::StepSkipped {
                rollout,
                what,
                by,
                reason,
            } => write!(f, "{rollout}: {what}, by {by}{}", because(reason.as_ref())),
            Self::UndrainAsked {
                service,
                instance,
                by,
                reason,
            } => write!(
                f,
                "{service}: {instance} is to be put back, by {by}{}",
                because(reason.as_ref())
            ),
            Self::StepDone { rollout, step, why } => {
                write!(f, "{rollout}: step {} is over: {why}", step + 1)
            }
            Self::StepReached { rollout, step } => {
                write!(f, "{rollout}: step {} is in force", step + 1)
            }
            Self::Unfrozen(Pause { by, reason }) => {
                write!(f, "the freeze is over, by {by}{}", because(reason.as_ref()))
            }
            Self::VersionRouted { service, version } => {
                write!(f, "{service}: {version} gets its cluster")
            }
            Self::VersionTornDown { service, version } => {
                write!(f, "{service}: the cluster of {version} goes")
            }
            Self::VersionUnrouted {
                service,
                version,
                generation,
            } => write!(
                f,
                "{service}: routes leave {version} out from generation {generation} on"
            ),
            Self::WaveDone { rollout, wave } => write!(f, "{rollout}: wave {wave} is done"),
            Self::WaveRolledBack { rollout, wave } => {
                write!(f, "{rollout}: wave {wave} is rolled back")
            }
            Self::WeightsChosen {
                service,
                split,
                why,
                ..
            } => {
                let shares = split.weights.iter();
                let shares: Vec<_> = shares.map(|(v, weight)| format!("{v} {weight}")).collect();
                write!(f, "{service}: {}", shares.join(", "))?;
                if let Some((version, weight)) = &split.mirror {
                    write!(f, ", copies of {weight} to {version}")?;
                }
                write!(f, ": {why}")
            }
            Self::WeightsReleased { service } => {
                write!(f, "{service}: the traffic follows what instances carry")
            }
        }
    }
}

fn because(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

fn at(place: Option<&PlaceName>) -> String {
    place.map_or_else(String::new, |place| format!(" in {place}"))
}

/// How many names a sentence can bear.
const NAMES_SHOWN_MAX: usize = 5;

fn listed(members: &[impl fmt::Display]) -> String {
    let shown = members.iter().take(NAMES_SHOWN_MAX);
    let shown: Vec<String> = shown.map(ToString::to_string).collect();
    match members.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
