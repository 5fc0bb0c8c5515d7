//! Values to text for people: pure functions of a view, a moment and a [`Look`].
//!
//! Colour never carries meaning alone: whatever is coloured also has a letter or a word.

mod cells;
mod drift;
mod evidence;
mod paint;
mod plan;
mod rollout;
mod table;
#[cfg(test)]
mod tests;
mod wrap;

pub(crate) use drift::drift;
pub(crate) use evidence::evidence;
pub(crate) use plan::plan;
pub(crate) use rollout::{rollout, rollout_line};

use crate::api::{LocatedInstance, SentView, Why, foremost};
use crate::domain::{Kind, Span, Time};
use crate::engine::{Answer, ProxyView, RolloutView, ServiceView, View};
use crate::runtime::{DocumentView, Numbered, SecretsView};
use table::Table;

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// May colours be used?
    pub(crate) colour: bool,
    /// Columns; `None` for as many as it takes, when the reader is a program or a file.
    pub(crate) width: Option<usize>,
}

/// What a cell shows that has nothing to show.
const NOTHING: &str = "-";

pub(crate) fn rollouts(all: &[RolloutView], now: Time, look: Look) -> String {
    if all.is_empty() {
        return "no rollouts; `tidegate rollout start SERVICE --to VERSION` begins one".to_owned();
    }
    let mut table = Table::new(&[
        "NAME", "SERVICE", "FROM", "TO", "PHASE", "DONE", "FOR", "WAITS",
    ]);
    for rollout in all {
        table.row([
            rollout.name.to_string(),
            rollout.service.to_string(),
            or_nothing(rollout.from.as_ref()),
            rollout.to.to_string(),
            rollout.phase.to_string(),
            format!("{}/{}", rollout.done, rollout.total),
            elapsed(rollout, now).to_string(),
            or_nothing(foremost(&rollout.blockers).map(|b| &b.text)),
        ]);
    }
    table.print(look)
}

pub(crate) fn instances(all: &[LocatedInstance], look: Look) -> String {
    if all.is_empty() {
        return "no instances; `tidegate register` announces one".to_owned();
    }
    let mut table = Table::new(&[
        "SERVICE", "INSTANCE", "VERSION", "STAGE", "HEALTH", "ACTIVE", "ZONE", "ADDRESS", "DRAINED",
    ]);
    for LocatedInstance { service, instance } in all {
        let health = match instance.healthy {
            None => "not probed yet".to_owned(),
            Some(true) => "ok".to_owned(),
            Some(false) => format!("failing: {}", instance.health_detail),
        };
        let drained = instance.drain.as_ref().map(|drain| {
            let took = Span::millis(drain.took_ms);
            if drain.proven {
                format!("proven in {took}")
            } else {
                format!("unproven after {took}: {}", drain.missing.join("; "))
            }
        });
        table.row([
            service.to_string(),
            instance.id.to_string(),
            instance.version.to_string(),
            instance.stage.clone(),
            health,
            or_nothing(instance.in_progress),
            or_nothing(Some(&instance.locality.zone)),
            instance.address.clone(),
            or_nothing(drained),
        ]);
    }
    table.print(look)
}

pub(crate) fn proxies(all: &[ProxyView], now: Time, look: Look) -> String {
    if all.is_empty() {
        return "no proxies; `tidegate bootstrap` prints an Envoy bootstrap for one".to_owned();
    }
    let mut table = Table::new(&[
        "PROXY", "CLUSTER", "AGENT", "STREAM", "FOR", "IN FORCE", "REPORT", "REFUSES",
    ]);
    for proxy in all {
        let nack = proxy.nack.as_ref().map(|nack| {
            format!(
                "{} {} of generation {}: {}",
                nack.kind,
                nack.resources.join(", "),
                nack.generation,
                nack.message
            )
        });
        table.row([
            proxy.id.to_string(),
            proxy.cluster.clone(),
            proxy.agent.clone(),
            if proxy.connected { "open" } else { "lost" }.to_owned(),
            Span::between(proxy.since, now).to_string(),
            or_nothing(proxy.in_force),
            or_nothing(
                proxy
                    .last_report
                    .map(|at| format!("{} ago", Span::between(at, now))),
            ),
            or_nothing(nack),
        ]);
    }
    table.print(look)
}

pub(crate) fn sent(view: &SentView, look: Look) -> String {
    let resources = view.streams.iter().flat_map(|stream| &stream.resources);
    let mut table = Table::new(&["TYPE", "NAME", "VERSION", "STATE", "RUNS", "REFUSED"]);
    let mut is_empty = true;
    for resource in resources {
        is_empty = false;
        let refused = resource.refused.as_ref();
        table.row([
            resource.kind.clone(),
            resource.name.clone(),
            or_nothing(resource.version.as_ref()),
            resource.state.to_string(),
            or_nothing(resource.runs.as_ref()),
            or_nothing(refused.map(|it| format!("{:.0}: {}", it.at, it.message))),
        ]);
    }
    if is_empty {
        return format!("{} has asked for nothing of this", view.proxy.id);
    }
    table.print(look)
}

pub(crate) fn secrets(view: &SecretsView, look: Look) -> String {
    if view.secrets.is_empty() {
        return match &view.directory {
            Some(directory) => format!("no secrets in {directory}, and nobody asks for any"),
            None => {
                "no secrets; `secrets` in the server's file names a directory of them".to_owned()
            }
        };
    }
    let mut table = Table::new(&[
        "SECRET", "KIND", "STATE", "VERSION", "EXPIRES", "USED BY", "PROBLEM",
    ]);
    for secret in &view.secrets {
        let hint = secret.hint.as_ref().map(|hint| format!("; {hint}"));
        let hint = hint.unwrap_or_default();
        let problem = secret.problem.as_ref();
        table.row([
            secret.name.clone(),
            secret.kind.to_string(),
            secret.state.to_string(),
            or_nothing(secret.version.as_ref()),
            or_nothing(secret.expires.map(|at| format!("{at:.0}"))),
            or_nothing(Some(secret.used_by.join(", ")).filter(|it| !it.is_empty())),
            or_nothing(problem.map(|problem| format!("{problem}{hint}"))),
        ]);
    }
    table.print(look)
}

pub(crate) fn documents(all: &[DocumentView], view: &View, look: Look) -> String {
    if all.is_empty() {
        return "no documents; `tidegate apply -f FILE` adds some".to_owned();
    }
    let mut table = Table::new(&["KIND", "NAME", "SOURCE", "STATE"]);
    for document in all {
        table.row([
            document.kind.to_string(),
            document.name.clone(),
            document.source.clone(),
            or_nothing(state_of(document, view)),
        ]);
    }
    table.print(look)
}

fn state_of(document: &DocumentView, view: &View) -> Option<String> {
    match document.kind {
        Kind::Service => {
            let mut services = view.services.iter();
            let service = services.find(|s| s.name.as_str() == document.name)?;
            Some(format!(
                "{}; {} instances",
                weights(service).unwrap_or_else(|| "no traffic yet".to_owned()),
                service.instances.len()
            ))
        }
        Kind::Rollout => {
            let mut rollouts = view.rollouts.iter();
            let rollout = rollouts.find(|r| r.name.as_str() == document.name)?;
            Some(format!(
                "{} {}/{}",
                rollout.phase, rollout.done, rollout.total
            ))
        }
        Kind::Gate | Kind::Gateway | Kind::Policy => None,
    }
}

pub(crate) fn why(why: &Why, look: Look) -> String {
    let mut lines = vec![why.message.clone()];
    for blocker in why.blockers.iter().skip(1) {
        lines.extend(wrap::wrapped(&blocker.text, "  and ", look.width));
    }
    for blocker in &why.blockers {
        if let Some(hint) = &blocker.hint {
            lines.extend(wrap::wrapped(hint, "  hint: ", look.width));
        }
    }
    lines.dedup();
    for gate in &why.gates {
        lines.extend(wrap::wrapped(gate, "  gate ", look.width));
    }
    for note in &why.notes {
        lines.extend(wrap::wrapped(note, "  note: ", look.width));
    }
    lines.join("\n")
}

/// What a verb led to, and how the rollout stands now.
pub(crate) fn answer(answer: &Answer, look: Look) -> String {
    let mut lines = vec![answer.message.clone()];
    if let Some(now) = &answer.now {
        let stands = format!("{} is {now}", now.rollout);
        lines.extend(wrap::wrapped(&stands, "  ", look.width));
    }
    lines.join("\n")
}

/// A journal entry as one line.
pub(crate) fn entry(entry: &Numbered) -> String {
    let Numbered { seq, entry } = entry;
    format!("{seq:>6}  {:.0}  {}", entry.at, entry.record)
}

/// `v41 65% v42 35%`, or nothing when no version is routed.
fn weights(service: &ServiceView) -> Option<String> {
    let routed = service.versions.iter().filter(|version| version.routed);
    let all: Vec<String> = routed
        .map(|v| format!("{} {}%", v.name, v.weight))
        .collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// How long a rollout has moved, or moved in all.
fn elapsed(rollout: &RolloutView, now: Time) -> Span {
    let start = rollout.started.unwrap_or(rollout.planned);
    Span::between(start, rollout.ended.unwrap_or(now))
}

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value
        .map(|value| value.to_string())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| NOTHING.to_owned())
}
