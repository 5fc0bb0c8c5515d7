//! One rollout: where it stands, its weights, its instances, what it waits for, what it measured.

use super::paint::{Tone, paint};
use super::wrap::{clipped, flowed, wrapped};
use super::{Look, cells, elapsed, weights};
use crate::api::foremost;
use crate::domain::{Span, Time};
use crate::engine::{BlockerView, Phase, ReportView, RolloutView, ServiceView, View};
use crate::runtime::Numbered;

/// The longest bar of a weight, in characters.
const BAR_MAX: usize = 40;

/// What stands beside a bar: indent, gaps and `100%`.
const BAR_SIDE: usize = 12;

/// The whole picture, as `status` prints and `watch` redraws it.
pub(crate) fn rollout(
    view: &View,
    rollout: &RolloutView,
    recent: &[Numbered],
    now: Time,
    look: Look,
) -> String {
    let mut lines = head(view, rollout, now, look);
    if let Some(service) = view.services.iter().find(|s| s.name == rollout.service) {
        lines.push(String::new());
        lines.extend(bars(service, look));
        lines.push(String::new());
        lines.extend(fleet(service, look));
    }
    if !rollout.blockers.is_empty() {
        lines.push(String::new());
        lines.push(paint("waits for", Tone::Strong, look.colour));
        lines.extend(rollout.blockers.iter().flat_map(|b| blocker(b, now, look)));
    }
    if !rollout.gates.is_empty() {
        lines.push(String::new());
        lines.push(paint("gates", Tone::Strong, look.colour));
        lines.extend(rollout.gates.iter().flat_map(|gate| {
            let text = format!("{}: {}", gate.gate, gate.says);
            wrapped(&text, "  ", look.width)
        }));
    }
    for note in &rollout.notes {
        lines.extend(wrapped(note, "  note: ", look.width));
    }
    let measured = report(&rollout.report, look);
    if !measured.is_empty() {
        lines.push(String::new());
        lines.push(paint("measured", Tone::Strong, look.colour));
        lines.extend(measured);
    }
    if !recent.is_empty() {
        lines.push(String::new());
        lines.push(paint("recently", Tone::Strong, look.colour));
        lines.extend(recent.iter().map(|Numbered { entry, .. }| {
            let line = format!("  {}  {}", entry.at.strftime("%H:%M:%S"), entry.record);
            clipped(&line, look.width)
        }));
    }
    lines.join("\n")
}

/// The same in one line, for lines that are appended.
pub(crate) fn rollout_line(view: &View, rollout: &RolloutView) -> String {
    let mut parts = vec![format!(
        "{} {}/{}",
        rollout.phase, rollout.done, rollout.total
    )];
    let service = view.services.iter().find(|s| s.name == rollout.service);
    parts.extend(rollout.part.as_ref().map(ToString::to_string));
    parts.extend(service.and_then(weights));
    parts.extend(foremost(&rollout.blockers).map(|b| b.text.clone()));
    parts.join("; ")
}

fn head(view: &View, rollout: &RolloutView, now: Time, look: Look) -> Vec<String> {
    let change = match &rollout.from {
        Some(from) => format!("{} {from} → {}", rollout.service, rollout.to),
        None => format!("{} → {}", rollout.service, rollout.to),
    };
    let title = [
        (rollout.name.to_string(), Some(Tone::Strong)),
        (change, None),
        (rollout.phase.to_string(), Some(tone(rollout.phase))),
    ];
    let lost = view.proxies.iter().filter(|p| !p.connected).count();
    let proxies = match lost {
        0 => format!("{} proxies", view.proxies.len()),
        lost => format!("{} proxies, {lost} of them lost", view.proxies.len()),
    };
    let mut facts = vec![elapsed(rollout, now).to_string()];
    facts.extend(rollout.part.as_ref().map(ToString::to_string));
    if rollout.batch > 0 {
        facts.push(format!("batch {}", rollout.batch));
    }
    facts.extend([
        format!("{} of {} replaced", rollout.done, rollout.total),
        format!("generation {}", view.generation),
        proxies,
    ]);
    let title = title.map(|(text, tone)| {
        let seen = text.chars().count();
        (
            tone.map_or(text.clone(), |tone| paint(&text, tone, look.colour)),
            seen,
        )
    });
    let facts = facts.into_iter().map(|fact| {
        let seen = fact.chars().count();
        (fact, seen)
    });
    let mut lines = flowed(title, "", look.width);
    lines.extend(flowed(facts, "", look.width));
    lines
}

const fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Planned => Tone::New,
        Phase::Progressing | Phase::Draining | Phase::Baking | Phase::Waiting | Phase::Held => {
            Tone::Busy
        }
        Phase::Done | Phase::Superseded => Tone::Good,
        Phase::Paused | Phase::RollingBack | Phase::RolledBack | Phase::Stuck => Tone::Bad,
    }
}

/// The width of the column with the versions' names.
fn label_width(service: &ServiceView) -> usize {
    let of_versions = service.versions.iter().map(|v| v.name.as_str());
    let of_instances = service.instances.iter().map(|i| i.version.as_str());
    of_versions
        .chain(of_instances)
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
}

fn bars(service: &ServiceView, look: Look) -> Vec<String> {
    let label = label_width(service);
    let room = look.width.map_or(BAR_MAX, |width| {
        width.saturating_sub(label + BAR_SIDE).clamp(1, BAR_MAX)
    });
    let routed = service.versions.iter().filter(|v| v.routed);
    routed
        .map(|version| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and the width of a terminal"
            )]
            let full = (version.weight.clamp(0.0, 100.0) / 100.0 * room as f64).round() as usize;
            let stable = service.stable.as_ref() == Some(&version.name);
            let tone = if stable { Tone::Good } else { Tone::New };
            format!(
                "  {:label$}  {}{}  {}%",
                version.name,
                paint(&"█".repeat(full), tone, look.colour),
                paint(&"░".repeat(room - full), Tone::Quiet, look.colour),
                version.weight,
            )
        })
        .collect()
}

/// The instances, a row for each version in the order of the routes; then the legend.
fn fleet(service: &ServiceView, look: Look) -> Vec<String> {
    let mut versions: Vec<_> = service.versions.iter().map(|v| &v.name).collect();
    for instance in &service.instances {
        if !versions.contains(&&instance.version) {
            versions.push(&instance.version);
        }
    }
    let label = label_width(service);
    let mut lines = Vec::new();
    for version in versions {
        let of_version = service.instances.iter().filter(|i| i.version == *version);
        let instances: Vec<_> = of_version.collect();
        lines.extend(cells::of_version(version, label, &instances, look));
    }
    lines.extend(cells::legend(&service.instances, look));
    lines
}

fn blocker(blocker: &BlockerView, now: Time, look: Look) -> Vec<String> {
    let since = Span::between(blocker.since, now);
    let bound = blocker.until.map_or_else(String::new, |until| {
        format!(", {} left", Span::between(now, until))
    });
    let text = format!("{} (for {since}{bound})", blocker.text);
    let mut lines = wrapped(&text, "  ", look.width);
    if let Some(hint) = &blocker.hint {
        lines.extend(wrapped(hint, "    hint: ", look.width));
    }
    lines
}

fn report(report: &ReportView, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |text: String| lines.extend(wrapped(&text, "  ", look.width));
    let drained = &report.drained;
    if !drained.is_empty() {
        let proven = drained.iter().filter(|d| d.proven).count();
        let took = drained.iter().map(|d| d.took_ms);
        say(format!(
            "{} drained: {proven} proven, {} unproven; {}",
            drained.len(),
            drained.len() - proven,
            spread(took),
        ));
    }
    if !report.lost.is_empty() {
        let names: Vec<_> = report.lost.iter().map(ToString::to_string).collect();
        say(format!(
            "lost before they were drained: {}",
            names.join(", ")
        ));
    }
    if !report.ack_ms.is_empty() {
        let took = spread(report.ack_ms.iter().copied());
        say(format!(
            "{} plans acknowledged; {took}",
            report.ack_ms.len()
        ));
    }
    if let Some(lowest) = report.min_ready {
        say(format!("never fewer than {lowest} instances took traffic"));
    }
    lines
}

/// `median 4.2s, slowest 9s`
fn spread(millis: impl Iterator<Item = u64>) -> String {
    let mut sorted: Vec<u64> = millis.collect();
    sorted.sort_unstable();
    let at = |index: usize| Span::millis(sorted.get(index).copied().unwrap_or(0));
    let last = sorted.len().saturating_sub(1);
    format!("median {}, slowest {}", at(last / 2), at(last))
}
