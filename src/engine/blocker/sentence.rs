//! What is waited for, in a sentence.

use std::fmt;

use super::Wait;
use crate::domain::{ProxyId, ThenDo, counted};

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval { by, note, wave, .. } => {
                match wave {
                    Some(wave) => write!(f, "wave {wave} begins when ")?,
                    None => f.write_str("it goes on when ")?,
                }
                write!(f, "{} says so", by.as_deref().unwrap_or("somebody"))?;
                note.iter().try_for_each(|note| write!(f, ": {note}"))
            }
            Self::Capacity {
                version,
                share,
                carries,
                missing,
            } => write!(
                f,
                "{version} can carry {carries} of the traffic and is to get {share}: {} missing",
                counted(*missing, "instance"),
            ),
            Self::Step {
                number,
                of,
                span,
                missing,
            } => match missing {
                None => write!(f, "step {number} of {of} stays for {span}"),
                Some(missing) => write!(
                    f,
                    "step {number} of {of} stays until it is proven, at most for {span}: {missing}"
                ),
            },
            Self::Unproven { says } => write!(f, "baking until it is proven: {says}"),
            Self::Weighing { gate, says } => {
                write!(
                    f,
                    "gate {gate} finds it worse ({says}), and weighs whether it is one instance"
                )
            }
            Self::Bake { span, holdback: 0 } => write!(f, "baking for {span}"),
            Self::Bake { span, holdback } => {
                write!(f, "baking for {span} with {holdback} old held back")
            }
            Self::Barrier {
                generation,
                proxies,
                of,
            } => write!(
                f,
                "{} of {of} proxies have not acknowledged generation {generation}: {}",
                proxies.len(),
                names(proxies),
            ),
            Self::DocumentDeleted => f.write_str("its document was deleted while it runs"),
            Self::DocumentDiffers { wants } => {
                write!(f, "its document now wants {wants}, which is not what runs")
            }
            Self::RunDiffers { run: Some(run) } => {
                write!(f, "its service's document now says `run: {run}`")
            }
            Self::RunDiffers { run: None } => {
                f.write_str("its service's document does not say `run` any more")
            }
            Self::Drain { instance, gaps } => {
                write!(f, "{instance} is draining: {}", gaps.join("; "))
            }
            Self::Frozen { by, reason } => {
                write!(f, "everything is frozen by {by}")?;
                reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
            }
            Self::Rule { policy, rule } => write!(f, "policy {policy}: {rule}"),
            Self::Hook { action, instance } => {
                write!(f, "the {action} hook for {instance} is running")
            }
            Self::HookFailed {
                action,
                instance,
                error,
            } => {
                write!(f, "the {action} hook for {instance} failed: {error}")
            }
            Self::Moment {
                moment,
                hook,
                stands,
            } => write!(f, "{moment}: {hook} {stands}"),
            Self::Instances { version, missing } => {
                write!(
                    f,
                    "{} of {version} must appear",
                    counted(*missing, "more instance")
                )
            }
            Self::LostProxies {
                proxies,
                of,
                then,
                wait,
            } => {
                write!(
                    f,
                    "{} of {of} proxies are not connected and may still send traffic: {} (",
                    proxies.len(),
                    names(proxies),
                )?;
                match then {
                    ThenDo::Ignore => write!(f, "ignored after {wait})"),
                    ThenDo::Pause => f.write_str("held until they are back or forgotten)"),
                }
            }
            Self::Nacked { proxy, nack } => write!(
                f,
                "{proxy} refused {} {} of generation {}: {}",
                nack.kind,
                nack.resources.join(", "),
                nack.generation,
                nack.message,
            ),
            Self::Ready {
                ready,
                floor,
                zone: Some(zone),
                ..
            } => {
                let more = counted(
                    floor.saturating_add(1).saturating_sub(*ready),
                    "more instance",
                );
                let ready = counted(*ready, "instance");
                write!(
                    f,
                    "{ready} serving in zone {zone}, and {floor} must: {more} there, then one may go"
                )
            }
            Self::Ready {
                ready,
                floor,
                by_load,
                zone: None,
            } => {
                let must = if *by_load { ", for the traffic" } else { "" };
                let ready = counted(*ready, "instance");
                write!(f, "{ready} serving, and {floor} must{must}")
            }
            Self::NotUsed {
                instance,
                proxies,
                of,
            } => write!(
                f,
                "{} of {of} proxies do not send requests to {instance} yet: {}",
                proxies.len(),
                names(proxies),
            ),
            Self::NotReady { version, instances } => {
                write!(
                    f,
                    "instances of {version} are not ready: {}",
                    instances.join("; ")
                )
            }
            Self::OtherRollout { rollout } => {
                write!(f, "rollout {rollout} of the same service is running")
            }
            Self::Paused {
                by,
                reason: Some(reason),
            } => write!(f, "paused by {by}: {reason}"),
            Self::Paused { by, reason: None } => write!(f, "paused by {by}"),
            Self::NoGateway => f.write_str("no gateway is declared, so no proxy is told anything"),
            Self::NoStable => f.write_str("no version of the service serves yet"),
            Self::WrongStart { wanted, stable } => {
                write!(f, "it is to start from {wanted}, but {stable} serves")
            }
        }
    }
}

/// How many names a sentence can bear.
const NAMES_SHOWN_MAX: usize = 3;

fn names(proxies: &[ProxyId]) -> String {
    let shown: Vec<&str> = proxies
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(ProxyId::as_str)
        .collect();
    match proxies.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
