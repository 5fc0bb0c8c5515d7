//! Moments of a rollout at which somebody outside has a say, what they are asked, and what they answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::domain::{
    Each, InstanceId, PlaceName, RolloutName, ServiceName, Time, VersionName, When,
};

/// One side of a part of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Before it begins, or after it is done.
    pub when: When,
    /// What.
    #[serde(flatten)]
    pub of: Portion,
}

/// A part of a rollout, or all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "each")]
pub enum Portion {
    /// Instances that are replaced together.
    Batch {
        /// Its number, from 1; each place counts for itself.
        number: u32,
        /// Where, if not everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<PlaceName>,
    },
    /// An old instance.
    Instance {
        /// Which.
        instance: InstanceId,
        /// The number of its batch, from 1.
        number: u32,
        /// Where, if the batch is not of everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<PlaceName>,
    },
    /// All of it.
    Rollout {
        /// How it ends, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<Outcome>,
    },
    /// A share of the traffic, or a pause.
    Step {
        /// Its number, from 1.
        number: u32,
        /// What it does.
        what: String,
    },
    /// A part of the fleet.
    Wave {
        /// Its name.
        wave: String,
    },
}

impl Moment {
    /// What it is a side of.
    pub const fn each(&self) -> Each {
        match self.of {
            Portion::Batch { .. } => Each::Batch,
            Portion::Instance { .. } => Each::Instance,
            Portion::Rollout { .. } => Each::Rollout,
            Portion::Step { .. } => Each::Step,
            Portion::Wave { .. } => Each::Wave,
        }
    }

    /// Is it the end of the rollout?
    pub fn is_end(&self) -> bool {
        self.when == When::After && self.each() == Each::Rollout
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.of {
            Portion::Batch { number, place } => {
                write!(f, "{} batch {number}", self.when)?;
                place
            }
            Portion::Instance { instance, .. } => {
                return write!(f, "{} instance {instance}", self.when);
            }
            Portion::Rollout { .. } => return write!(f, "{} the rollout", self.when),
            Portion::Step { number, what } => {
                return write!(f, "{} step {number} ({what})", self.when);
            }
            Portion::Wave { wave } => return write!(f, "{} wave {wave}", self.when),
        };
        place.iter().try_for_each(|place| write!(f, " in {place}"))
    }
}

/// What a hook is told when it is asked. Asked at least once: the key stays the same when it is asked again, so
/// that the other side can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookAsk {
    /// The idempotency key.
    pub key: String,
    /// Who is asked, as people call it.
    pub hook: String,
    /// When it is asked.
    pub at: Time,
    /// The rollout.
    pub rollout: RolloutName,
    /// Its service.
    pub service: ServiceName,
    /// The version that served when it began.
    pub from: VersionName,
    /// The version that it is to end on.
    pub to: VersionName,
    /// What is about to begin, or is done.
    #[serde(flatten)]
    pub moment: Moment,
}

/// What a hook says, cut to a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "says", content = "words")]
pub enum HookAnswer {
    /// It may not go on, now or ever.
    Fails(String),
    /// Not yet; it is to be asked again.
    Holds(String),
    /// It may go on.
    Passes(String),
    /// No answer, and why; it is tried again, so many times.
    Silent(String),
}

impl fmt::Display for HookAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, words) = match self {
            Self::Fails(words) => ("fails", words.as_str()),
            Self::Holds(words) => ("holds", words.as_str()),
            Self::Passes(words) => ("passes", words.lines().next().unwrap_or_default()),
            Self::Silent(words) => ("gives no answer", words.as_str()),
        };
        match words {
            "" => f.write_str(what),
            words => write!(f, "{what}: {words}"),
        }
    }
}
