//! Log lines that whoever can connect could make us write: one now and then, and how many were not.

use std::sync::{Mutex, PoisonError};

use crate::domain::{Span, Time};

/// Shortest time between two lines of a kind.
const EVERY: Span = Span::secs(1);

/// Says when a line may be written.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    state: Mutex<(Option<Time>, u64)>,
}

impl Seldom {
    /// May a line be written now? If so: how many were not since the last one.
    pub(super) fn passed_over(&self, now: Time) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, passed_over) = &mut *state;
        // A clock that was set back must not silence it.
        if last.is_some_and(|last| last <= now && now < EVERY.after(last)) {
            *passed_over += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(passed_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_counted() {
        let (seldom, begin) = (Seldom::default(), Time::UNIX_EPOCH);
        assert_eq!(seldom.passed_over(begin), Some(0));
        assert_eq!(seldom.passed_over(begin), None);
        assert_eq!(seldom.passed_over(Span::millis(999).after(begin)), None);
        assert_eq!(seldom.passed_over(EVERY.after(begin)), Some(2));
        assert_eq!(seldom.passed_over(begin), Some(0));
    }
}
