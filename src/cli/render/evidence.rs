//! What gates go by: each check with its numbers, each instance, how the evidence came to be, and decisions.

use super::paint::{Tone, paint};
use super::table::Table;
use super::wrap::wrapped;
use super::{Look, NOTHING};
use crate::api::Weighed;
use crate::engine::{CheckEvidence, Decision, Evidence, GateView, Point};
use crate::gates::{Counts, Stands};

/// Heights of the curve, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The widest curve, in characters.
const CURVE_MAX: usize = 60;

/// All gates of a rollout.
pub(crate) fn evidence(weighed: &Weighed, look: Look) -> String {
    let name = &weighed.rollout;
    if weighed.gates.is_empty() {
        return format!("{name} has no gates: `gates` in its document names them");
    }
    let mut lines = vec![format!("{name} is {}", weighed.phase)];
    for gate in &weighed.gates {
        lines.push(String::new());
        lines.extend(of_gate(gate, look));
    }
    lines.join("\n")
}

fn of_gate(gate: &GateView, look: Look) -> Vec<String> {
    let (word, tone) = match gate.stands {
        Stands::Good => ("no worse", Tone::Good),
        Stands::Unsure => ("unsure", Tone::Busy),
        Stands::Worse => ("worse", Tone::Bad),
    };
    let name = paint(gate.gate.as_str(), Tone::Strong, look.colour);
    let mut lines = vec![format!("{name}: {}", paint(word, tone, look.colour))];
    lines.extend(wrapped(&gate.says, "  ", look.width));
    for decision in &gate.decisions {
        lines.extend(decided(decision, look));
    }
    // What was decided last stays to be looked at when nothing is counted any more.
    let last = gate.decisions.last().map(|decision| &decision.evidence);
    if let Some(evidence) = gate.evidence.as_ref().or(last) {
        lines.extend(counted(evidence, look));
    }
    lines
}

fn decided(decision: &Decision, look: Look) -> Vec<String> {
    let at = decision.at.strftime("%H:%M:%S");
    let (verdict, says, follows) = (&decision.verdict, &decision.says, decision.follows);
    let text = format!("{at} {verdict} ({says}); {follows}");
    wrapped(&text, "  decided: ", look.width)
}

fn counted(evidence: &Evidence, look: Look) -> Vec<String> {
    let (new, stable) = (&evidence.new, &evidence.stable);
    let mut checks = Table::new(&[
        "  CHECK",
        "DECADES",
        &caps(new),
        &caps(stable),
        "BURSTS",
        "STANDS",
    ]);
    for check in &evidence.checks {
        let bursts = check
            .dispersion
            .map_or(NOTHING.to_owned(), |it| format!("{it:.1}"));
        checks.row([
            format!("  {}", check.check),
            decades(check.decades),
            counts(check.new),
            counts(check.stable),
            bursts,
            stands(check, evidence.needed).to_owned(),
        ]);
        for slow in &check.thresholds {
            let from = slow
                .quantile
                .map_or("bound".to_owned(), |it| format!("p{}", it * 100.0));
            checks.row([
                format!("    over {} ms ({from})", slow.over_ms.round()),
                decades(Some(slow.decades)),
                counts(Some(slow.new)),
                counts(Some(slow.stable)),
                String::new(),
                String::new(),
            ]);
        }
    }
    let mut lines = vec![String::new(), checks.print(look)];
    for check in evidence
        .checks
        .iter()
        .filter(|check| check.decades.is_none())
    {
        lines.extend(wrapped(
            &format!("{}: {}", check.check, check.says),
            "  ",
            look.width,
        ));
    }
    if evidence.left_out.requests > 0 {
        let (left_out, new) = (counts(Some(evidence.left_out)), &evidence.new);
        let text = format!("left out while {new} warms up: {left_out}");
        lines.extend(wrapped(&text, "  ", look.width));
    }
    if !evidence.instances.is_empty() {
        let mut boxes = Table::new(&["  INSTANCE", "DECADES AGAINST THE OTHERS", "ATTEMPTS", ""]);
        for it in &evidence.instances {
            let taken_out = if it.taken_out { "taken out" } else { "" };
            boxes.row([
                format!("  {}", it.instance),
                decades(Some(it.decades)),
                counts(Some(it.attempts)),
                taken_out.to_owned(),
            ]);
        }
        lines.extend([String::new(), boxes.print(look)]);
    }
    lines.extend(curve(evidence));
    lines
}

fn caps(version: &crate::domain::VersionName) -> String {
    version.to_string().to_uppercase()
}

fn stands(check: &CheckEvidence, needed: f64) -> &'static str {
    match check.stands {
        _ if check.decades.is_some_and(|decades| decades >= needed) => "worse",
        Stands::Good => "proven",
        Stands::Unsure => "unsure",
        Stands::Worse => "worse",
    }
}

fn decades(decades: Option<f64>) -> String {
    decades.map_or(NOTHING.to_owned(), |it| format!("{it:.1}"))
}

/// `3 of 420, 0.71%`
fn counts(counts: Option<Counts>) -> String {
    counts.map_or(NOTHING.to_owned(), |it| {
        format!("{} of {}, {:.2}%", it.bad, it.requests, it.rate() * 100.0)
    })
}

/// How the evidence came to be, from nothing to what an alarm takes.
fn curve(evidence: &Evidence) -> Vec<String> {
    let points = &evidence.over_time;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let step = points.len().div_ceil(CURVE_MAX).max(1);
    let shown: String = points
        .iter()
        .step_by(step)
        .map(|point| bar(point, evidence.needed))
        .collect();
    let (from, to) = (first.at.strftime("%H:%M:%S"), last.at.strftime("%H:%M:%S"));
    let needed = evidence.needed;
    vec![
        String::new(),
        format!("  evidence over time, full at {needed:.1} decades"),
        format!("  {from} {shown} {to}"),
    ]
}

fn bar(point: &Point, needed: f64) -> char {
    let share = (point.decades / needed.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of bars"
    )]
    let height = (share * (BARS.len() - 1) as f64).round() as usize;
    BARS[height]
}
