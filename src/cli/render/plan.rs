//! A plan, for people: each rollout in a few lines, then its parts.

use super::table::Table;
use super::wrap::wrapped;
use super::{Look, NOTHING};
use crate::cli::plan::Said;
use crate::domain::{InstanceId, Moves, Span, counted};
use crate::engine::Outcome;
use crate::forecast::{
    CapacityForecast, HoldForecast, HookForecast, PartForecast, PartKind, ProxyForecast,
    RolloutForecast, SessionsForecast, WORSE_BY, ZonesForecast,
};

/// Parts of a rollout that are shown; programs get all of them.
const PARTS_SHOWN_MAX: usize = 24;

/// Instances of a batch that are named.
const NAMES_SHOWN_MAX: usize = 3;

/// Proxies that are named one by one.
const PROXIES_SHOWN_MAX: usize = 5;

/// Sizes of batches that are told, before the rest is summed up.
const SIZES_SHOWN_MAX: usize = 4;

/// All of it.
pub(crate) fn plan(said: &Said, look: Look) -> String {
    let whose = match (&said.server, &said.made_up) {
        (Some(server), _) => format!("for the fleet of {server}, as it is now; nothing is changed"),
        (None, why) => format!(
            "for a made-up fleet ({}); nothing is changed",
            why.as_deref().unwrap_or("no control plane was asked")
        ),
    };
    let mut lines = wrapped(&whose, "", look.width);
    for rollout in &said.forecast.rollouts {
        lines.push(String::new());
        lines.extend(of_rollout(rollout, said, look));
    }
    if said.forecast.rollouts.is_empty() {
        let what = "no rollout would begin: what the documents ask for runs already, or has run";
        lines.extend(wrapped(what, "", look.width));
    }
    for name in &said.forecast.running {
        let what = format!("{name} is under way and goes on");
        lines.extend(wrapped(&what, "", look.width));
    }
    if !said.forecast.rollouts.is_empty() {
        lines.push("\nassumes".to_owned());
        for what in &said.forecast.assumes {
            lines.extend(wrapped(what, "  ", look.width));
        }
    }
    lines.join("\n")
}

fn of_rollout(it: &RolloutForecast, said: &Said, look: Look) -> Vec<String> {
    let from = it.from.as_ref().map_or("?", |version| version.as_str());
    let zones: Vec<_> = it
        .zones
        .iter()
        .map(|(zone, count)| match zone.as_str() {
            "" => format!("{count} in no zone"),
            zone => format!("{count} in {zone}"),
        })
        .collect();
    let of = match zones.len() {
        0 => String::new(),
        _ => format!(
            ": {} ({})",
            counted(it.instances, "instance"),
            zones.join(", ")
        ),
    };
    let (name, service, to, strategy) = (&it.name, &it.service, &it.to, it.strategy);
    let head = format!("{name}: {service} {from} → {to}, {strategy}{of}");
    let mut lines = wrapped(&head, "", look.width);
    let mut say = |label: &str, text: &str| {
        lines.extend(wrapped(text, &format!("  {label:<11}"), look.width));
    };
    if let Some(before) = &it.takes_over {
        say("takes over", before.as_str());
    }
    let sizes = sizes(&it.parts);
    if !sizes.is_empty() {
        say("batches", &sizes);
    }
    say("takes", &takes(it));
    for wait in &it.waits {
        say("waits", wait);
    }
    if let Some(capacity) = &it.capacity {
        say("capacity", &of_capacity(capacity));
        if let Some(zones) = &capacity.zones {
            say("zones", &of_zones(zones));
        }
    }
    if let Some(sessions) = &it.sessions {
        say("sessions", &of_sessions(sessions));
    }
    say("gates", &of_gates(it, said.rps));
    for hold in &it.holds {
        say("held", &of_hold(hold));
    }
    if it.holds.is_empty() {
        say("held", "by no house rule");
    }
    for word in &it.words {
        let give_up = word
            .give_up_s
            .map(|after| format!(" (goes back after {})", span(after)));
        say(
            "asks",
            &format!(
                "at +{}: {}{}",
                span(word.at_s),
                word.text,
                give_up.unwrap_or_default()
            ),
        );
    }
    for hook in &it.hooks {
        say("hooks", &of_hook(hook));
    }
    for line in of_proxies(&it.proxies) {
        say("proxies", &line);
    }
    lines.extend(parts(it, look));
    lines
}

/// `3 of 1, then 8 of 2, then 1 of 1: 12 batches`
fn sizes(parts: &[PartForecast]) -> String {
    let batches = parts.iter().filter(|part| part.kind == PartKind::Batch);
    let sizes: Vec<usize> = batches.map(|part| part.instances.len()).collect();
    let alike: Vec<&[usize]> = sizes.chunk_by(|a, b| a == b).collect();
    let mut said: Vec<String> = alike
        .iter()
        .take(SIZES_SHOWN_MAX)
        .map(|alike| format!("{} of {}", alike.len(), alike[0]))
        .collect();
    if alike.len() > SIZES_SHOWN_MAX {
        said.push("others".to_owned());
    }
    match said.len() {
        0 => String::new(),
        1 => said.remove(0),
        _ => format!("{}: {} in all", said.join(", then "), sizes.len()),
    }
}

fn takes(it: &RolloutForecast) -> String {
    let Some(ends) = it.ends_s else {
        return match it.begins_s {
            Some(_) => "for ever: it would not end".to_owned(),
            None => "for ever: it would not begin".to_owned(),
        };
    };
    let bakes = it.parts.iter().filter(|part| part.kind == PartKind::Bake);
    let bakes: f64 = bakes.filter_map(|part| part.takes_s).sum();
    let of_it = [(bakes, "baking"), (it.held_s, "held")].into_iter();
    let of_it = of_it.filter(|(seconds, _)| *seconds >= 1.0);
    let of_it: Vec<String> = of_it
        .map(|(seconds, what)| format!(", {} of it {what}", span(seconds)))
        .collect();
    let of_it = of_it.concat();
    let how = match it.outcome {
        Some(Outcome::RolledBack) => "; then it is rolled back",
        Some(Outcome::Superseded) => "; then another one takes over",
        Some(Outcome::Done) | None => "",
    };
    format!("about {}{of_it}{how}", span(ends))
}

fn of_capacity(it: &CapacityForecast) -> String {
    let carries = it.carries_rps.map(|rps| format!(", which carry {rps} rps"));
    let needs = it.needs.map(|needs| {
        let verdict = if it.enough == Some(true) {
            "ok"
        } else {
            "NOT ENOUGH"
        };
        format!("; the traffic needs {needs} with headroom: {verdict}")
    });
    let (lowest, of) = (it.lowest, it.of);
    let lowest = if lowest >= of {
        format!("never fewer than {of} of {of} ready")
    } else {
        format!("lowest at {lowest} of {of} ready, at +{}", span(it.at_s))
    };
    let (carries, needs) = (carries.unwrap_or_default(), needs.unwrap_or_default());
    format!("{lowest}{carries}{needs}")
}

/// `1 must serve in each when one goes; never fewer than 1 in a, 2 in b`
fn of_zones(it: &ZonesForecast) -> String {
    let lowest: Vec<String> = it
        .lowest
        .iter()
        .map(|(zone, lowest)| format!("{lowest} in {zone}"))
        .collect();
    let (floor, lowest) = (it.floor, lowest.join(", "));
    format!("{floor} must serve in each when one goes; never fewer than {lowest}")
}

fn of_sessions(it: &SessionsForecast) -> String {
    match (it.moves, it.crowds) {
        (Moves::Minimal, _) => "each client moves once, as the shares do".to_owned(),
        (Moves::NewOnly, None) => {
            "clients stay with the old version until its share ends, then all move at once"
                .to_owned()
        }
        (Moves::NewOnly, Some(times)) => format!(
            "clients stay with the old version, so its last instances get {times} times as many each: \
             write `move: minimal`, or roll by `steps`"
        ),
    }
}

fn of_gates(it: &RolloutForecast, rps: Option<u32>) -> String {
    let names: Vec<_> = it.gates.iter().map(ToString::to_string).collect();
    let gates = match names.len() {
        0 => "a gate".to_owned(),
        _ => names.join(", "),
    };
    let percent = WORSE_BY * 100.0;
    if rps.is_none() {
        return format!("how soon {gates} would see +{percent} % errors is unknown: pass --rps");
    }
    let seen = it.parts.iter().filter(|part| part.sees_within_s.is_some());
    let first = seen.clone().next();
    let soonest = seen.min_by(|a, b| {
        a.sees_within_s
            .unwrap_or(f64::MAX)
            .total_cmp(&b.sees_within_s.unwrap_or(f64::MAX))
    });
    let said = |part: &PartForecast| {
        let within = span(part.sees_within_s.unwrap_or_default());
        format!("in about {within} at {} ({})", label(part), share(part))
    };
    let mut all: Vec<String> = first.map(said).into_iter().collect();
    all.extend(soonest.filter(|part| Some(*part) != first).map(said));
    let when = match all.len() {
        0 => "never: at no time do both versions take traffic".to_owned(),
        _ => all.join(", soonest "),
    };
    format!("{gates} would see +{percent} % errors {when}")
}

fn of_hold(it: &HoldForecast) -> String {
    let hint = it.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!(
        "from {:.0}: {}{}",
        it.begins,
        it.text,
        hint.unwrap_or_default()
    )
}

/// `ci, before each batch: 3 times, first at +4s`
fn of_hook(it: &HookForecast) -> String {
    let times = counted(it.times, "time");
    format!(
        "{}, {}: {times}, first at +{}",
        it.hook,
        it.at,
        span(it.first_s)
    )
}

fn of_proxies(it: &ProxyForecast) -> Vec<String> {
    let away = match it.of - it.connected {
        0 => String::new(),
        away => format!(", {away} not connected"),
    };
    let agents = match it.agents.as_slice() {
        [] => String::new(),
        agents => format!(" ({})", agents.join(", ")),
    };
    let proves = match (it.of, it.cannot_prove.len()) {
        (0, _) => "; nobody can reach the service through one".to_owned(),
        (_, 0) => "; proof of drain: yes".to_owned(),
        (_, cannot) => format!("; {cannot} cannot prove a drain:"),
    };
    let mut lines = vec![format!("{}{away}{agents}{proves}", it.of)];
    let shown = it.cannot_prove.iter().take(PROXIES_SHOWN_MAX);
    lines.extend(shown.map(|it| format!("{}: {}", it.proxy, it.why)));
    let more = it.cannot_prove.len().saturating_sub(PROXIES_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn parts(it: &RolloutForecast, look: Look) -> Vec<String> {
    if it.parts.is_empty() {
        return Vec::new();
    }
    let sees = format!("SEES +{} %", WORSE_BY * 100.0);
    let is_known = it.parts.iter().any(|part| part.sees_within_s.is_some());
    let mut headers = vec!["PART", "BEGINS", "TAKES", "SHARE"];
    headers.extend(is_known.then_some(sees.as_str()));
    headers.push("WHAT");
    let mut table = Table::new(&headers);
    for part in it.parts.iter().take(PARTS_SHOWN_MAX) {
        let mut cells = vec![
            label(part),
            format!("+{}", span(part.begins_s)),
            part.takes_s.map_or_else(|| "for ever".to_owned(), span),
            share(part),
        ];
        let sees = part.sees_within_s;
        cells.extend(is_known.then(|| sees.map_or_else(|| NOTHING.to_owned(), span)));
        cells.push(what(part));
        table.row(cells);
    }
    let mut lines = vec![String::new(), table.print(look)];
    let more = it.parts.len().saturating_sub(PARTS_SHOWN_MAX);
    if more > 0 {
        lines.push(format!(
            "and {more} parts more; `--output json` has them all"
        ));
    }
    lines
}

fn label(part: &PartForecast) -> String {
    let kind = match part.kind {
        PartKind::Batch => "batch",
        PartKind::Step => "step",
        PartKind::Wave => "wave",
        PartKind::Bake => "bake",
    };
    format!("{kind} {}", part.number)
}

fn share(part: &PartForecast) -> String {
    let share = part.share.map(|share| format!("{share}%"));
    share.unwrap_or_else(|| NOTHING.to_owned())
}

fn what(part: &PartForecast) -> String {
    let names: Vec<&str> = part
        .instances
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(InstanceId::as_str)
        .collect();
    let more = part.instances.len().saturating_sub(NAMES_SHOWN_MAX);
    let names = match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    };
    match (&part.place, names.as_str(), part.what.as_str()) {
        (Some(place), names, _) => format!("{place}: {names}"),
        (None, "", "") => NOTHING.to_owned(),
        (None, "", what) => what.to_owned(),
        (None, names, _) => names.to_owned(),
    }
}

fn span(seconds: f64) -> String {
    Span::from(std::time::Duration::from_secs_f64(seconds)).to_string()
}
