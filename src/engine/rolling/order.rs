//! Which old instances go next: sick ones first, then those of a version that was not the last good one,
//! then by the labels of the order, and never two of one zone in a row if they are to be spread.

use std::collections::{BTreeMap, VecDeque};

use super::Roll;
use crate::domain::{InstanceId, Spread};
use crate::engine::turn::Turn;
use crate::engine::{StageKind, Stand};

/// What goes before what: the lower first.
type Rank = (bool, bool, u8);

impl Roll {
    /// The next `size` instances, and the zone of the last of them.
    pub(super) fn next_members(
        &self,
        turn: &Turn<'_>,
        size: u32,
    ) -> (Vec<InstanceId>, Option<String>) {
        let size = size as usize;
        let mut ranked = BTreeMap::<Rank, BTreeMap<String, VecDeque<InstanceId>>>::new();
        let known = turn.state.services.get(&self.course.service);
        let stands = known.into_iter().flat_map(|state| {
            state
                .instances
                .stands(|stand: &Stand| self.is_remaining(stand))
        });
        for (stand, ids) in stands {
            let is_good = stand.version == self.course.from;
            let is_well = stand.stage != StageKind::Suspended;
            let zone = match self.rolling.spread {
                Some(Spread::Zone) => stand.locality.zone.clone(),
                None => String::new(),
            };
            // Without an order among themselves, the first of those that stand alike are enough.
            let enough = if self.rolling.order.is_any() && self.rolling.spread.is_none() {
                size
            } else {
                usize::MAX
            };
            for id in ids.take(enough) {
                let rank = turn
                    .instance(&self.course.service, id)
                    .map_or(1, |known| self.rolling.order.rank(&known.instance.labels));
                let zones = ranked.entry((is_well, is_good, rank)).or_default();
                zones.entry(zone.clone()).or_default().push_back(id.clone());
            }
        }
        let (mut members, mut last) = (Vec::new(), self.lane.last_zone.clone());
        for zones in ranked.values_mut() {
            for ids in zones.values_mut() {
                ids.make_contiguous().sort();
            }
            while members.len() < size
                && let Some((zone, id)) = next_of(zones, last.as_deref())
            {
                members.push(id);
                last = Some(zone);
            }
        }
        (members, last.filter(|_| self.rolling.spread.is_some()))
    }
}

/// Takes the next from the zone that has most left, but not from `last` while there is another.
fn next_of(
    zones: &mut BTreeMap<String, VecDeque<InstanceId>>,
    last: Option<&str>,
) -> Option<(String, InstanceId)> {
    zones.retain(|_, ids| !ids.is_empty());
    let others = zones.iter().filter(|(zone, _)| last != Some(zone.as_str()));
    let most = others.max_by_key(|(zone, ids)| (ids.len(), std::cmp::Reverse(*zone)));
    let zone = most.or_else(|| zones.iter().next())?.0.clone();
    let id = zones.get_mut(&zone)?.pop_front()?;
    Some((zone, id))
}
