//! What may go wrong in a simulation, and by how much.

use std::fmt;
use std::str::FromStr;

use crate::domain::Span;

/// Something that goes wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The new version passes its health check and answers a part of its requests with errors.
    BadVersion,
    /// One instance of each service fails its health check again and again, and recovers.
    Flapping,
    /// The control plane ends a few times in mid-roll, and another one goes on from the journal.
    LeaderLoss,
    /// One proxy of each gateway loses its connection in mid-roll, goes on sending requests by what it
    /// has, and comes back.
    LostProxy,
    /// One proxy of each gateway refuses what it is told in mid-roll, until somebody mends it.
    Nack,
    /// A few requests last longer than the drain may.
    SlowDrain,
    /// New instances take minutes to pass their health check.
    SlowStart,
}

/// So many percent of the requests fail on a bad version.
pub(super) const BAD_PERCENT: u64 = 20;

/// How often a control plane ends in mid-roll.
pub(super) const LEADER_LOSSES: u64 = 3;

/// From the beginning of a rollout to the moment at which something goes wrong, at most.
pub(super) const BEGINS_WITHIN: Span = Span::secs(40);

/// A proxy that refuses is mended after this long.
pub(super) const MENDED_AFTER: Span = Span::secs(120);

/// A lost proxy stays away for this long, or twice as long as its services wait for it if that is more.
pub(super) const AWAY: Span = Span::secs(300);

/// One of so many requests lasts long, if drains are slow.
pub(super) const LONG_ONE_IN: u64 = 1_000;

/// A flapping instance is sick for up to this long.
pub(super) const SICK_FOR: Span = Span::secs(20);

/// And well for up to this long.
pub(super) const WELL_FOR: Span = Span::secs(60);

/// How long a new process takes to answer its health check: at least, and at most.
pub(super) const STARTS_IN: (Span, Span) = (Span::secs(2), Span::secs(5));

/// The same where starts are slow.
pub(super) const STARTS_SLOWLY_IN: (Span, Span) = (Span::secs(60), Span::secs(180));

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault; there are {list}", list = Fault::ALL.map(Fault::word).join(", "))]
pub struct UnknownFault(String);

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BadVersion,
        Self::Flapping,
        Self::LeaderLoss,
        Self::LostProxy,
        Self::Nack,
        Self::SlowDrain,
        Self::SlowStart,
    ];

    /// The word for the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadVersion => "bad-version",
            Self::Flapping => "flapping",
            Self::LeaderLoss => "leader-loss",
            Self::LostProxy => "lost-proxy",
            Self::Nack => "nack",
            Self::SlowDrain => "slow-drain",
            Self::SlowStart => "slow-start",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let known = Self::ALL.into_iter().find(|fault| fault.word() == text);
        known.ok_or_else(|| UnknownFault(text.to_owned()))
    }
}
