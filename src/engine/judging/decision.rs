//! What a gate has decided, with what it rests on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Evidence;
use crate::domain::{InstanceId, Time};
use crate::gates::Stands;

/// What a gate has decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Time,
    /// What it found.
    pub verdict: Verdict,
    /// What was counted, in words.
    pub says: String,
    /// What followed.
    pub follows: Follows,
    /// In which part of the rollout: the number of steps and of waves that were done.
    pub part: (u32, u32),
    /// What it rests on.
    pub evidence: Evidence,
}

/// What a gate found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// One instance of the new version is worse, and the version is not.
    OneBox {
        /// Which.
        instance: InstanceId,
    },
    /// It could not tell in time.
    Unsure,
    /// The new version is worse.
    Worse,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneBox { instance } => write!(f, "{instance} is worse than the others"),
            Self::Unsure => f.write_str("unsure"),
            Self::Worse => f.write_str("worse"),
        }
    }
}

/// What followed from a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Follows {
    /// The rollout goes back.
    GoesBack,
    /// It goes on all the same.
    GoesOn,
    /// It holds for somebody's word.
    Holds,
    /// The instance is taken out, and another one is to take its place.
    TakenOut,
}

impl fmt::Display for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GoesBack => "it goes back",
            Self::GoesOn => "it goes on all the same",
            Self::Holds => "it holds",
            Self::TakenOut => "another instance is to take its place",
        })
    }
}

impl Decision {
    pub(super) const fn stands(&self) -> Stands {
        match self.verdict {
            Verdict::Worse => Stands::Worse,
            Verdict::OneBox { .. } | Verdict::Unsure => Stands::Unsure,
        }
    }
}
