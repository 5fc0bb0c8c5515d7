//! Shares, weights and rates: small numbers with their units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is no quantity of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct BadQuantity {
    text: String,
    wanted: &'static str,
}

/// A share of a whole in parts per million, so that `0.1%` is exact. At most 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 1_000_000;

    /// So many parts of a million; more than all is all.
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts < Self::WHOLE {
            parts
        } else {
            Self::WHOLE
        })
    }

    /// In parts of a million.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// To hundredths of a percent, rounded up.
    #[must_use]
    pub const fn rounded_up(self) -> Self {
        Self::per_million(self.0.div_ceil(100) * 100)
    }

    /// This share of `whole`, rounded up.
    pub fn of_rounded_up(self, whole: u32) -> u32 {
        let parts = u64::from(whole) * u64::from(self.0);
        u32::try_from(parts.div_ceil(u64::from(Self::WHOLE))).unwrap_or(u32::MAX)
    }

    /// This share of `whole`, rounded down.
    pub fn of_rounded_down(self, whole: u32) -> u32 {
        let parts = u64::from(whole) * u64::from(self.0);
        u32::try_from(parts / u64::from(Self::WHOLE)).unwrap_or(u32::MAX)
    }
}

impl FromStr for Share {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = || BadQuantity {
            text: text.to_owned(),
            wanted: "a share between 0% and 100%; write it like `5%` or `0.1%`",
        };
        let digits = text.trim().strip_suffix('%').ok_or_else(bad)?.trim();
        let percent: f64 = digits.parse().map_err(|_| bad())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(bad());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0..=1e6"
        )]
        Ok(Self((percent * 10_000.0).round() as u32))
    }
}

impl TryFrom<String> for Share {
    type Error = BadQuantity;

    fn try_from(text: String) -> Result<Self, BadQuantity> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

/// A number with its noun, for people: `1 proxy`, `2 proxies`, `0 hooks`.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// A number of instances, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(Share),
}

impl Amount {
    /// At most this many of `whole`; a share that is not nothing gives at least one.
    pub fn up_to(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(share) => share.of_rounded_up(whole),
        }
    }

    /// At most this many of `whole`, rounded so that a budget is never overdrawn.
    pub fn within(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(share) => share.of_rounded_down(whole),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}"),
        }
    }
}

/// Requests per second that one instance carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rps(u32);

impl Rps {
    /// One request per second, the unit in which equal instances are counted.
    pub const ONE: Self = Self(1);

    /// So many requests per second, unless that is none.
    pub const fn new(rate: u32) -> Option<Self> {
        if rate == 0 { None } else { Some(Self(rate)) }
    }

    /// As a number of requests per second; never zero.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Rps {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let number = text.trim().strip_suffix("rps").map(str::trim_end);
        match number.and_then(|digits| digits.parse().ok()) {
            Some(rate @ 1..=10_000_000) => Ok(Self(rate)),
            _ => Err(BadQuantity {
                text: text.to_owned(),
                wanted: "a rate per instance; write it like `60rps`",
            }),
        }
    }
}

impl TryFrom<String> for Rps {
    type Error = BadQuantity;

    fn try_from(text: String) -> Result<Self, BadQuantity> {
        text.parse()
    }
}

impl From<Rps> for String {
    fn from(rps: Rps) -> Self {
        rps.to_string()
    }
}

impl fmt::Display for Rps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}rps", self.0)
    }
}

/// A version's share of its service's traffic, in parts of 10,000.
///
/// The sum over a service is always 10,000: Envoy's hash-based choice between weighted clusters is
/// monotonic only while the total stays fixed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(10_000);

    /// So many parts of 10,000; more than all is all.
    pub fn parts(parts: u64) -> Self {
        u16::try_from(parts).map_or(Self::ALL, |parts| Self(parts.min(Self::ALL.0)))
    }

    /// The share of the traffic, rounded to parts of 10,000.
    pub fn of(share: Share) -> Self {
        Self::parts(u64::from(share.0) * u64::from(Self::ALL.0) / u64::from(Share::WHOLE))
    }

    /// In parts of 10,000.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What this leaves of the whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }

    /// In percent, for people.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", self.percent()))
    }
}

/// Splits all traffic in proportion to `capacities`, or `None` when there is no capacity at all.
///
/// Largest remainder, ties to the earlier entry: deterministic, and each share is off by less than
/// one part of 10,000.
pub fn split_weights(capacities: &[u64]) -> Option<Vec<Weight>> {
    let total: u64 = capacities.iter().sum();
    if total == 0 {
        return None;
    }
    let whole = u64::from(Weight::ALL.0);
    let mut parts: Vec<u64> = capacities.iter().map(|c| c * whole / total).collect();
    let missing = usize::try_from(whole - parts.iter().sum::<u64>()).unwrap_or(0);
    let mut by_remainder: Vec<usize> = (0..capacities.len()).collect();
    by_remainder.sort_by_key(|&i| std::cmp::Reverse(capacities[i] * whole % total));
    for &i in by_remainder.iter().take(missing) {
        parts[i] += 1;
    }
    Some(
        parts
            .into_iter()
            .map(|p| Weight(u16::try_from(p).unwrap_or(u16::MAX)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_capacity_and_sum_to_the_whole() {
        for (capacities, weights) in [
            (vec![9, 1], Some(vec![9000, 1000])),
            (vec![1, 1, 1], Some(vec![3334, 3333, 3333])),
            (vec![0, 5], Some(vec![0, 10_000])),
            (vec![0, 0], None),
        ] {
            let got = split_weights(&capacities)
                .map(|all| all.into_iter().map(Weight::get).collect::<Vec<_>>());
            assert_eq!(got, weights, "{capacities:?}");
        }
    }

    #[test]
    fn a_number_goes_with_its_noun() {
        let said = [
            counted(1u32, "proxy"),
            counted(2u32, "proxy"),
            counted(0u32, "hook"),
        ];
        assert_eq!(said, ["1 proxy", "2 proxies", "0 hooks"]);
    }

    #[test]
    fn amounts_round_to_the_safe_side() {
        let tenth = Amount::Percent("10%".parse().unwrap());
        assert_eq!((tenth.up_to(15), tenth.within(15)), (2, 1));
        assert_eq!((tenth.up_to(5), tenth.within(5)), (1, 0));
        assert_eq!(Amount::Count(3).up_to(1), 3);
        assert!("101%".parse::<Share>().is_err());
        assert_eq!("0.1%".parse::<Share>().unwrap().to_string(), "0.1%");
        let third = Share::per_million(333_334);
        assert_eq!(third.rounded_up().to_string(), "33.34%");
        assert_eq!("60rps".parse::<Rps>().unwrap().get(), 60);
        assert!("0rps".parse::<Rps>().is_err());
    }
}
