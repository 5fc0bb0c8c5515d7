//! How a rollout gets from one version to the other: instance by instance, by shares of the traffic, or
//! the whole fleet at once; everywhere, or one part of the fleet after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Amount, Locality, Span, Weight};

/// The way of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Instance by instance, batch by batch; the traffic follows the instances.
    Rolling(Rolling),
    /// Both versions side by side; the traffic moves by shares.
    Steps(Steps),
    /// A whole new fleet beside the old one, then all traffic at once.
    BlueGreen(BlueGreen),
    /// One part of the fleet after the other.
    Waves(Waves),
}

impl Strategy {
    /// Is the fleet rolled as one, and not part by part?
    pub fn is_whole(&self) -> bool {
        !matches!(self, Self::Waves(_))
    }

    /// Its word in a document.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Rolling(_) => "rolling",
            Self::Steps(_) => "steps",
            Self::BlueGreen(_) => "blueGreen",
            Self::Waves(_) => "waves",
        }
    }

    /// How instances are replaced, if this strategy replaces them one by one.
    pub fn rolling(&self) -> Option<&Rolling> {
        match self {
            Self::Rolling(rolling) => Some(rolling),
            Self::Waves(waves) => Some(&waves.in_each),
            Self::Steps(_) | Self::BlueGreen(_) => None,
        }
    }
}

/// Instance by instance, batch by batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// So many instances are replaced together.
    pub batch: Amount,
    /// Another size from some batch on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// So many instances more than desired may run.
    pub max_surge: Amount,
    /// So many instances fewer than desired may be ready.
    pub max_unavailable: Amount,
    /// Which instances may not go one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Which instances go first, and which last.
    #[serde(default, skip_serializing_if = "Order::is_any")]
    pub order: Order,
}

impl Rolling {
    /// Batches of one size, in any order.
    pub fn new(batch: Amount, max_surge: Amount, max_unavailable: Amount) -> Self {
        Self {
            batch,
            then: None,
            max_surge,
            max_unavailable,
            spread: None,
            order: Order::default(),
        }
    }

    /// How many instances the batch after so many others has, of `desired`; at least one.
    pub fn batch_after(&self, batches: u32, desired: u32) -> u32 {
        let then = self.then.filter(|then| batches >= then.after);
        let size = then.map_or(self.batch, |then| then.batch);
        size.up_to(desired).max(1)
    }
}

/// Another size of batch, after some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// So many batches of the first size.
    pub after: u32,
    /// The size from then on.
    pub batch: Amount,
}

/// What must differ between an instance and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Spread {
    /// Their zones, as long as there are several.
    Zone,
}

/// Which instances go first, and which last, by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Those with all of these labels go before the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub first: BTreeMap<String, String>,
    /// Those with all of these labels go after the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last: BTreeMap<String, String>,
}

impl Order {
    /// Is none before another?
    pub fn is_any(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }

    /// 0 for those that go first, 2 for those that go last, 1 for all others.
    pub fn rank(&self, labels: &BTreeMap<String, String>) -> u8 {
        let has = |wanted: &BTreeMap<String, String>| {
            let mut wanted_labels = wanted.iter();
            !wanted.is_empty() && wanted_labels.all(|(name, value)| labels.get(name) == Some(value))
        };
        if has(&self.last) {
            2
        } else {
            u8::from(!has(&self.first))
        }
    }
}

/// Shares of the traffic, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// In this order; all of the traffic follows the last.
    pub steps: Vec<RolloutStep>,
    /// Before a share is given, so many percent of the instances that it needs must be there.
    pub warm_percent: u32,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStep {
    /// What it does.
    pub action: StepAction,
    /// How long it stays.
    #[serde(default)]
    pub stay: Stay,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepAction {
    /// The new version gets a share of the traffic.
    Weight(Weight),
    /// The new version gets copies of a share of the requests; nobody waits for its answers.
    Mirror(Weight),
    /// Somebody must say that it goes on.
    Pause(Approval),
}

impl fmt::Display for StepAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(share) => write!(f, "{share}"),
            Self::Mirror(share) => write!(f, "copies of {share}"),
            Self::Pause(_) => f.write_str("pause"),
        }
    }
}

/// Somebody's word that is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What they should look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who may say so; anybody, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Without a word for so long, the rollout goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up: Option<Span>,
}

/// How long a step stays once it is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// At least so long.
    pub at_least: Span,
    /// Until the gates have proven it, or this long; `None` asks no gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_proven: Option<Span>,
}

/// A whole new fleet, then all traffic at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueGreen {
    /// Zone by zone: each zone's share of the traffic moves when the zone's new fleet is ready.
    pub by_zone: bool,
    /// Somebody must say so before each switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approval>,
}

/// Parts of the fleet, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waves {
    /// In this order.
    pub waves: Vec<Wave>,
    /// How instances are replaced within each.
    pub in_each: Rolling,
}

/// A part of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// What people call it.
    pub name: String,
    /// Which part.
    pub pick: Pick,
    /// So many of its places are rolled at one time.
    pub parallel: u32,
    /// How long it is watched before the next.
    pub bake: Span,
    /// Somebody must say so before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approval>,
}

/// Which part of a fleet a wave is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pick {
    /// These places, whole.
    Places(Vec<PlaceName>),
    /// So many instances of one place.
    Some(Amount, PlaceName),
    /// Every place that has old instances left.
    Rest,
}

/// The name of a region or of a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaceName(pub String);

impl PlaceName {
    /// Does something there stand here?
    pub fn holds(&self, locality: &Locality) -> bool {
        self.0 == locality.region || self.0 == locality.zone
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no pick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` picks nothing; write it like `eu-west`, `1 of eu-west`, `10% of eu-west` or `the rest`"
)]
pub struct BadPick(String);

impl FromStr for Pick {
    type Err = BadPick;

    fn from_str(text: &str) -> Result<Self, BadPick> {
        let text = text.trim();
        let bad = || BadPick(text.to_owned());
        let place = |name: &str| {
            let name = name.trim();
            let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
            is_name.then(|| PlaceName(name.to_owned())).ok_or_else(bad)
        };
        if text == "the rest" {
            return Ok(Self::Rest);
        }
        let Some((amount, name)) = text.split_once(" of ") else {
            return Ok(Self::Places(vec![place(text)?]));
        };
        let share = || amount.parse().map(Amount::Percent).map_err(|_| bad());
        let amount = amount.parse().map(Amount::Count).or_else(|_| share())?;
        if amount.up_to(u32::MAX) == 0 {
            return Err(bad());
        }
        Ok(Self::Some(amount, place(name)?))
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Places(places) => {
                let names: Vec<_> = places.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(", "))
            }
            Self::Some(amount, place) => write!(f, "{amount} of {place}"),
            Self::Rest => f.write_str("the rest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pick_reads_as_it_is_written() {
        for text in ["eu-west", "1 of ap-south", "10% of eu-west", "the rest"] {
            assert_eq!(text.parse::<Pick>().unwrap().to_string(), text);
        }
        for text in ["", "two of a", "0 of a", "1 of ", "1 of a b", "some rest"] {
            assert!(text.parse::<Pick>().is_err(), "{text}");
        }
    }

    #[test]
    fn batches_grow_after_some() {
        let one = Amount::Count(1);
        let rolling = Rolling {
            then: Some(Then {
                after: 3,
                batch: Amount::Percent("10%".parse().unwrap()),
            }),
            ..Rolling::new(one, one, Amount::Count(0))
        };
        let sizes: Vec<_> = (0..5).map(|done| rolling.batch_after(done, 20)).collect();
        assert_eq!(sizes, [1, 1, 1, 2, 2]);
    }

    #[test]
    fn labels_say_who_goes_last() {
        let labels = |role: &str| BTreeMap::from([("role".to_owned(), role.to_owned())]);
        let order = Order {
            first: labels("canary"),
            last: labels("leader"),
        };
        let ranks = ["canary", "worker", "leader"].map(|role| order.rank(&labels(role)));
        assert_eq!(ranks, [0, 1, 2]);
        assert_eq!(Order::default().rank(&labels("leader")), 1);
    }
}
