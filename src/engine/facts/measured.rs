//! What somebody outside answered to the checks of gates, and who is being asked.

use std::collections::BTreeMap;

use crate::domain::{Span, Time};
use crate::engine::measuring::{ASK_AGAIN, Asked, CheckId, Heard, Reading};

/// The answers, by check.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Measured {
    checks: BTreeMap<CheckId, Known>,
    /// So many questions were put.
    number: u64,
}

/// How it stands with one check.
#[derive(Clone, Debug)]
struct Known {
    what: Asked,
    every: Span,
    /// The question without an answer, and when it was put.
    open: Option<(u64, Time)>,
    heard: Option<Heard>,
}

impl Measured {
    /// Forgets what is not wanted, or not in these words: an answer to another question says nothing.
    pub(in crate::engine) fn keep(&mut self, wanted: &BTreeMap<CheckId, (Asked, Span)>) {
        self.checks.retain(|of, known| {
            let wanted = wanted.get(of);
            wanted.is_some_and(|(what, _)| *what == known.what)
        });
    }

    /// The number of a question, if it is to be put now.
    pub(in crate::engine) fn due(
        &mut self,
        of: &CheckId,
        what: &Asked,
        every: Span,
        now: Time,
    ) -> Option<u64> {
        let known = self.checks.entry(of.clone()).or_insert_with(|| Known {
            what: what.clone(),
            every,
            open: None,
            heard: None,
        });
        known.every = every;
        let after = match &known.heard {
            Some(heard) if matches!(heard.reading, Reading::Unsure(_)) => every.min(ASK_AGAIN),
            _ => every,
        };
        let last = known.heard.as_ref().map(|heard| heard.asked);
        let is_due = last.is_none_or(|last| Span::between(last, now) >= after);
        if known.open.is_some() || !is_due {
            return None;
        }
        self.number += 1;
        known.open = Some((self.number, now));
        Some(self.number)
    }

    /// Takes in the answer to a question, if that is still open.
    pub(in crate::engine) fn hear(
        &mut self,
        of: &CheckId,
        number: u64,
        reading: Reading,
        value: Option<f64>,
        now: Time,
    ) {
        let Some(known) = self.checks.get_mut(of) else {
            return;
        };
        if let Some((_, asked)) = known.open.filter(|(open, _)| *open == number) {
            known.open = None;
            known.heard = Some(Heard {
                reading,
                number: value,
                asked,
                at: now,
            });
        }
    }

    /// The last answer to a check, and how often it is asked for.
    pub(in crate::engine) fn heard(&self, of: &CheckId) -> Option<(&Heard, Span)> {
        let known = self.checks.get(of)?;
        Some((known.heard.as_ref()?, known.every))
    }
}
