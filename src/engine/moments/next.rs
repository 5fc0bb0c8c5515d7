//! What follows from what a hook has said, or not said yet.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{OnFail, RolloutHook, Span, Time};
use crate::engine::HookAnswer;
use crate::engine::facts::Asking;
use crate::engine::state::{AskState, AskStatus};

/// A hook that gives no answer is tried again after this long; after each more try, after twice as long.
const TRY_AGAIN: Span = Span::secs(1);

/// But after this long at most.
const TRY_AGAIN_MAX: Span = Span::secs(60);

/// What a rollout does about a hook.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Asks it, for the how manieth time in a row.
    Ask { attempt: u32 },
    /// Goes back, for it failed.
    GoBack(String),
    /// Goes on, whatever it said.
    Ignore(String),
    /// Goes on.
    Pass,
    /// Asks it again whether it still holds.
    Repeat(String),
    /// Waits.
    Wait(Standing),
}

/// How a hook stands that has not let a rollout pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stands")]
pub enum Standing {
    /// It is being asked.
    Asked,
    /// It failed, and somebody must see to it.
    Failed {
        /// In its words.
        error: String,
    },
    /// It says that it is too early.
    Holds {
        /// In its words.
        said: String,
        /// When it is asked again; it is being asked, unless given.
        again: Option<Time>,
    },
    /// It gave no answer, and is tried again.
    Silent {
        /// Why not.
        error: String,
        /// So many times it was tried.
        attempt: u32,
        /// It is tried so many times.
        of: u32,
        /// When it is tried again.
        again: Time,
    },
}

impl Standing {
    /// When it is asked again, if that is known.
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Holds { again, .. } => *again,
            Self::Silent { again, .. } => Some(*again),
            Self::Asked | Self::Failed { .. } => None,
        }
    }

    /// Has it said that nothing may go on?
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Holds { .. })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("is being asked"),
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::Holds { said, .. } if said.is_empty() => {
                f.write_str("holds, and does not say why")
            }
            Self::Holds { said, .. } => write!(f, "holds: {said}"),
            Self::Silent {
                error, attempt, of, ..
            } => write!(f, "gave no answer to try {attempt} of {of}: {error}"),
        }
    }
}

/// What to do now about a hook. `asking` is what has happened since it said that it holds.
pub(super) fn next(
    asked: Option<&AskState>,
    asking: Option<Asking>,
    hook: &RolloutHook,
    goes_back: bool,
    now: Time,
) -> Next {
    let Some(asked) = asked else {
        return Next::Ask { attempt: 1 };
    };
    let attempt = asked.attempt;
    let said = match &asked.status {
        AskStatus::Asked => return Next::Wait(Standing::Asked),
        AskStatus::Said(said) => said.clone(),
    };
    match said {
        HookAnswer::Passes(_) => Next::Pass,
        HookAnswer::Holds(said) if goes_back => Next::Ignore(said),
        HookAnswer::Holds(said) => {
            let heard = match asking {
                Some(Asking::Open) => return Next::Wait(Standing::Holds { said, again: None }),
                Some(Asking::Heard(at)) => at,
                None => asked.since,
            };
            let again = hook.every.after(heard);
            if now >= again {
                return Next::Repeat(said);
            }
            let again = Some(again);
            Next::Wait(Standing::Holds { said, again })
        }
        HookAnswer::Silent(error) if attempt < hook.tries => {
            let again = try_again(attempt).after(asked.since);
            if now >= again {
                let attempt = attempt + 1;
                return Next::Ask { attempt };
            }
            let of = hook.tries;
            Next::Wait(Standing::Silent {
                error,
                attempt,
                of,
                again,
            })
        }
        HookAnswer::Silent(error) | HookAnswer::Fails(error) => match hook.on_fail {
            _ if goes_back => Next::Ignore(error),
            OnFail::Ignore => Next::Ignore(error),
            OnFail::Hold => Next::Wait(Standing::Failed { error }),
            OnFail::Rollback => Next::GoBack(error),
        },
    }
}

/// How long after so many tries the next one is due.
fn try_again(attempt: u32) -> Span {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1));
    let longer = doubled.map(|times| TRY_AGAIN.duration().saturating_mul(times));
    longer.map_or(TRY_AGAIN_MAX, |longer| {
        Span::from(longer).min(TRY_AGAIN_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Each, Hook, When};
    use crate::engine::{HookAsk, Moment, Portion};

    fn at(secs: u64) -> Time {
        Span::secs(1_000 + secs).after(Time::UNIX_EPOCH)
    }

    fn hook(on_fail: OnFail) -> RolloutHook {
        RolloutHook {
            name: "ci".to_owned(),
            when: When::Before,
            each: Each::Rollout,
            call: Hook::Exec {
                argv: vec!["ci".to_owned()],
                timeout: Span::secs(60),
            },
            tries: 3,
            every: Span::secs(15),
            on_fail,
        }
    }

    /// Asked the how manieth time, and what it said, at 0.
    fn asked(attempt: u32, said: Option<HookAnswer>) -> AskState {
        AskState {
            ask: HookAsk {
                key: "k".to_owned(),
                hook: "ci".to_owned(),
                at: at(0),
                rollout: "next".parse().unwrap(),
                service: "cart".parse().unwrap(),
                from: "v1".parse().unwrap(),
                to: "v2".parse().unwrap(),
                moment: Moment {
                    when: When::Before,
                    of: Portion::Rollout { outcome: None },
                },
            },
            hook: 0,
            attempt,
            status: said.map_or(AskStatus::Asked, AskStatus::Said),
            since: at(0),
        }
    }

    #[test]
    fn what_follows_from_what_a_hook_says() {
        use HookAnswer::{Fails, Holds, Passes, Silent};
        let word = || "word".to_owned();
        let holds = |again| {
            Next::Wait(Standing::Holds {
                said: word(),
                again,
            })
        };
        let silent = |attempt, again| {
            let (error, of) = (word(), 3);
            Next::Wait(Standing::Silent {
                error,
                attempt,
                of,
                again,
            })
        };
        let table = [
            (
                asked(1, None),
                None,
                OnFail::Rollback,
                99,
                Next::Wait(Standing::Asked),
            ),
            (
                asked(1, Some(Passes(word()))),
                None,
                OnFail::Rollback,
                0,
                Next::Pass,
            ),
            // A hold is repeated in its rhythm, and not while it is being asked.
            (
                asked(1, Some(Holds(word()))),
                None,
                OnFail::Rollback,
                14,
                holds(Some(at(15))),
            ),
            (
                asked(1, Some(Holds(word()))),
                None,
                OnFail::Rollback,
                15,
                Next::Repeat(word()),
            ),
            (
                asked(1, Some(Holds(word()))),
                Some(Asking::Open),
                OnFail::Rollback,
                99,
                holds(None),
            ),
            (
                asked(1, Some(Holds(word()))),
                Some(Asking::Heard(at(90))),
                OnFail::Rollback,
                99,
                holds(Some(at(105))),
            ),
            // Silence is tried again, each time later, and then it is a failure.
            (
                asked(1, Some(Silent(word()))),
                None,
                OnFail::Ignore,
                0,
                silent(1, at(1)),
            ),
            (
                asked(1, Some(Silent(word()))),
                None,
                OnFail::Ignore,
                1,
                Next::Ask { attempt: 2 },
            ),
            (
                asked(2, Some(Silent(word()))),
                None,
                OnFail::Ignore,
                1,
                silent(2, at(2)),
            ),
            (
                asked(3, Some(Silent(word()))),
                None,
                OnFail::Ignore,
                0,
                Next::Ignore(word()),
            ),
            (
                asked(3, Some(Silent(word()))),
                None,
                OnFail::Rollback,
                0,
                Next::GoBack(word()),
            ),
            // A failure is one at once.
            (
                asked(1, Some(Fails(word()))),
                None,
                OnFail::Rollback,
                0,
                Next::GoBack(word()),
            ),
            (
                asked(1, Some(Fails(word()))),
                None,
                OnFail::Ignore,
                0,
                Next::Ignore(word()),
            ),
            (
                asked(1, Some(Fails(word()))),
                None,
                OnFail::Hold,
                0,
                Next::Wait(Standing::Failed { error: word() }),
            ),
        ];
        for (asked, asking, on_fail, now, wanted) in table {
            let found = next(Some(&asked), asking, &hook(on_fail), false, at(now));
            assert_eq!(found, wanted, "{asked:?} {asking:?} {on_fail:?} {now}");
        }
        let first = next(None, None, &hook(OnFail::Hold), false, at(0));
        assert_eq!(first, Next::Ask { attempt: 1 });
    }

    #[test]
    fn nothing_holds_what_goes_back() {
        for said in [
            HookAnswer::Holds("word".to_owned()),
            HookAnswer::Fails("word".to_owned()),
        ] {
            for on_fail in [OnFail::Hold, OnFail::Rollback, OnFail::Ignore] {
                let asked = asked(1, Some(said.clone()));
                let found = next(Some(&asked), None, &hook(on_fail), true, at(0));
                assert_eq!(found, Next::Ignore("word".to_owned()));
            }
        }
    }

    #[test]
    fn tries_come_later_and_later() {
        for (attempt, secs) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (99, 60)] {
            assert_eq!(try_again(attempt), Span::secs(secs), "{attempt}");
        }
    }
}
