//! One version's share moves: who gives, and who gets.

use std::collections::BTreeMap;

use crate::domain::{VersionName, Weight, split_weights};
use crate::engine::Split;

/// The shares when `version` has `share`.
///
/// Sessions have places on a line that the versions part among them in `order`, the order of the routes. So a version that
/// grows takes from its neighbours, and from those behind them only when nothing is left of these: no client goes to a
/// third version on the way. A `loser` goes before all of them: a bad version is left at once. A version that gives way gives to all others as they had it among themselves, for so
/// nobody gets more than it carries.
pub(super) fn share_out(
    split: &Split,
    order: &[VersionName],
    (version, share): (&VersionName, Weight),
    loser: Option<&VersionName>,
) -> BTreeMap<VersionName, Weight> {
    let has = split.of(version);
    let mut weights = if share >= has {
        taken(split, order, version, loser, share.get() - has.get())
    } else {
        given(split, version, share)
    };
    let others: u16 = weights.values().map(|weight| weight.get()).sum();
    weights.insert(version.clone(), Weight::parts(others.into()).rest());
    weights
}

/// What the others keep when so much is taken from them, the nearest first.
fn taken(
    split: &Split,
    order: &[VersionName],
    version: &VersionName,
    loser: Option<&VersionName>,
    mut more: u16,
) -> BTreeMap<VersionName, Weight> {
    let place = |of: &VersionName| order.iter().position(|it| it == of);
    let own = place(version).unwrap_or(order.len());
    let mut others: Vec<_> = others(split, version).collect();
    others.sort_by_key(|(other, _)| {
        let distance = place(other).map_or(usize::MAX, |at| at.abs_diff(own));
        (Some(*other) != loser, distance)
    });
    let kept = others.into_iter().map(|(other, had)| {
        let gives = had.get().min(more);
        more -= gives;
        (other.clone(), Weight::parts((had.get() - gives).into()))
    });
    kept.collect()
}

/// What the others have when they share the rest as they did among themselves.
fn given(split: &Split, version: &VersionName, share: Weight) -> BTreeMap<VersionName, Weight> {
    let others: Vec<_> = others(split, version).collect();
    let had: Vec<u64> = others.iter().map(|(_, had)| had.get().into()).collect();
    let Some(parts) = split_weights(&had) else {
        return BTreeMap::new();
    };
    let (all, rest) = (u64::from(Weight::ALL.get()), share.rest());
    let mut left = rest.get();
    let mut weights = BTreeMap::new();
    for ((other, _), part) in others.iter().zip(&parts) {
        let scaled = u64::from(rest.get()) * u64::from(part.get()) / all;
        let scaled = Weight::parts(scaled.min(left.into()));
        left -= scaled.get();
        weights.insert((*other).clone(), scaled);
    }
    // What rounding has left over goes to the first that has any.
    if let Some((other, _)) = others.iter().find(|(_, had)| *had > Weight::NONE) {
        let first = weights.entry((*other).clone()).or_default();
        *first = Weight::parts(u64::from(first.get()) + u64::from(left));
    }
    weights
}

fn others<'a>(
    split: &'a Split,
    version: &'a VersionName,
) -> impl Iterator<Item = (&'a VersionName, Weight)> {
    let weights = split.weights.iter();
    let others = weights.filter(move |(other, _)| *other != version);
    others.map(|(other, weight)| (other, *weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares of v1, v2 and v3, in percent.
    fn shares(before: [u16; 3], version: &str, share: u16, loser: Option<&str>) -> [u16; 3] {
        let loser = loser.map(|it| it.parse().unwrap());
        let order: Vec<VersionName> = ["v1", "v2", "v3"].map(|it| it.parse().unwrap()).into();
        let parts = before.map(|percent| Weight::parts(u64::from(percent) * 100));
        let split = Split {
            weights: order.iter().cloned().zip(parts).collect(),
            mirror: None,
        };
        let version = version.parse().unwrap();
        let share = Weight::parts(u64::from(share) * 100);
        let after = share_out(&split, &order, (&version, share), loser.as_ref());
        let of = |at: usize| after.get(&order[at]).copied().unwrap_or_default();
        [0, 1, 2].map(|at| of(at).get() / 100)
    }

    #[test]
    fn who_grows_takes_from_its_neighbours_first() {
        for (before, version, share, after) in [
            ([90, 10, 0], "v3", 5, [90, 5, 5]),
            ([90, 10, 0], "v3", 50, [50, 0, 50]),
            ([50, 40, 10], "v3", 100, [0, 0, 100]),
            ([20, 30, 50], "v1", 40, [40, 10, 50]),
            ([20, 30, 50], "v1", 70, [70, 0, 30]),
            ([20, 30, 50], "v2", 40, [10, 40, 50]),
            ([0, 0, 0], "v2", 10, [0, 100, 0]),
        ] {
            let shared = shares(before, version, share, None);
            assert_eq!(shared, after, "{before:?} {version}");
        }
        let back = shares([20, 30, 50], "v1", 60, Some("v3"));
        assert_eq!(back, [60, 30, 10]);
    }

    #[test]
    fn who_gives_way_gives_to_all_others() {
        assert_eq!(shares([60, 20, 20], "v3", 12, None), [66, 22, 12]);
        assert_eq!(shares([100, 0, 0], "v1", 40, None), [100, 0, 0]);
    }
}
