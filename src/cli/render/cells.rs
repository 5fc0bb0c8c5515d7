//! Instances as cells: a letter each, coloured by stage, with a legend.

use super::Look;
use super::paint::{Tone, paint};
use super::wrap::flowed;
use crate::domain::VersionName;
use crate::engine::InstanceView;

/// So many cells of a version at most; the rest is a number.
const CELLS_MAX: usize = 400;

/// Behind the letter of an instance that fails its health check.
const FAILING: char = '!';

/// The letter and the tone of each stage, in the order of an instance's life.
const STAGES: [(&str, char, Tone); 10] = [
    ("registered", 'r', Tone::Quiet),
    ("ready", 'y', Tone::New),
    ("joining", 'J', Tone::New),
    ("serving", 'S', Tone::Good),
    ("suspended", 'P', Tone::Bad),
    ("leaving", 'L', Tone::Busy),
    ("draining", 'D', Tone::Busy),
    ("drained", 'd', Tone::Quiet),
    ("removed", 'm', Tone::Quiet),
    ("released", 'x', Tone::Quiet),
];

/// For a stage that a newer server knows and this does not.
const UNKNOWN: (char, Tone) = ('?', Tone::Quiet);

fn sign(stage: &str) -> (char, Tone) {
    let found = STAGES.iter().find(|(word, ..)| *word == stage);
    found.map_or(UNKNOWN, |&(_, letter, tone)| (letter, tone))
}

/// The cells of one version behind its name, on as many lines as they need.
pub(super) fn of_version(
    version: &VersionName,
    label_width: usize,
    instances: &[&InstanceView],
    look: Look,
) -> Vec<String> {
    let label = format!("  {version:label_width$}  ");
    // A cell is a letter, perhaps a mark, and a gap.
    let room = look.width.map_or(CELLS_MAX, |width| {
        (width.saturating_sub(label.chars().count()) / 2).max(1)
    });
    let cells: Vec<String> = instances
        .iter()
        .take(CELLS_MAX)
        .map(|instance| {
            let (letter, tone) = sign(&instance.stage);
            if instance.healthy == Some(false) {
                paint(&format!("{letter}{FAILING}"), Tone::Bad, look.colour)
            } else {
                paint(&letter.to_string(), tone, look.colour) + " "
            }
        })
        .collect();
    let mut lines: Vec<String> = cells
        .chunks(room)
        .enumerate()
        .map(|(row, cells)| {
            let label = if row == 0 {
                label.clone()
            } else {
                " ".repeat(label.chars().count())
            };
            label + cells.concat().trim_end()
        })
        .collect();
    let more = instances.len().saturating_sub(CELLS_MAX);
    if more > 0 {
        lines.push(format!("{}and {more} more", " ".repeat(label.len())));
    }
    lines
}

/// What the letters mean, as far as they are used.
pub(super) fn legend(instances: &[InstanceView], look: Look) -> Vec<String> {
    let used = STAGES.iter().filter_map(|&(word, letter, tone)| {
        let count = instances.iter().filter(|i| i.stage == word).count();
        (count > 0).then(|| (letter, tone, format!("{word} {count}")))
    });
    let failing = instances.iter().any(|i| i.healthy == Some(false));
    let mark = failing.then(|| (FAILING, Tone::Bad, "fails its health check".to_owned()));
    let parts = used.chain(mark).map(|(letter, tone, words)| {
        let sign = paint(&letter.to_string(), tone, look.colour);
        (format!("{sign} {words}"), 2 + words.chars().count())
    });
    flowed(parts, "  ", look.width)
}
