//! Drift, as lines for people: what differs, and in which lines of the documents.

use super::Look;
use crate::cli::diff::{Change, DocumentDrift, Drift};

/// What differs; or that nothing does.
pub(crate) fn drift(drift: &Drift, look: Look) -> String {
    let mut lines: Vec<String> = drift.documents.iter().flat_map(document).collect();
    for service in &drift.services {
        let label = format!("{}: ", service.service);
        lines.extend(super::wrap::wrapped(&service.message, &label, look.width));
    }
    if !drift.any {
        lines.push("no drift".to_owned());
    }
    lines.join("\n")
}

fn document(it: &DocumentDrift) -> Vec<String> {
    let DocumentDrift {
        kind, name, source, ..
    } = it;
    match (it.change, &it.in_force, &it.wanted) {
        (Change::Changed, Some(before), Some(after)) => {
            let mut lines = vec![format!("{kind} {name} differs ({source})")];
            lines.extend(changed_lines(before, after));
            lines
        }
        (Change::NotInFiles, ..) => vec![format!("{kind} {name} is not in the files ({source})")],
        _ => vec![format!("{kind} {name} is not in force ({source})")],
    }
}

/// The lines from the first that differs to the last: those in force, then those wanted.
fn changed_lines(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let pairs = before.iter().zip(&after);
    let same_first = pairs.take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[same_first..], &after[same_first..]);
    let pairs = before.iter().rev().zip(after.iter().rev());
    let same_last = pairs.take_while(|(a, b)| a == b).count();
    let gone = before[..before.len() - same_last].iter();
    let new = after[..after.len() - same_last].iter();
    let gone = gone.map(|line| format!("  - {line}"));
    gone.chain(new.map(|line| format!("  + {line}"))).collect()
}
