//! The known instances of a service, counted and sorted by where they stand.
//!
//! A step of a rollout moves a few instances of a fleet that may have thousands, and every decision asks
//! how many there are of a kind. So the sets and sums are kept as instances move, and a step costs what
//! it moves and not what the fleet counts. Derived: only the instances themselves are written down.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::iter::Map;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InstanceState;
use crate::domain::{Address, InstanceId, Locality, Rps, Time, VersionName};
use crate::engine::Stage;
use crate::engine::stage::StageKind;

/// Instances by id, and by where they stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    instances: Members,
    groups: BTreeMap<Stand, Group>,
}

/// Instances by id. Shared, for each is with all and with those that stand like it.
type Members = BTreeMap<InstanceId, Arc<InstanceState>>;

/// Where an instance stands, in every sense that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stand {
    /// Its stage.
    pub stage: StageKind,
    /// Its version.
    pub version: VersionName,
    /// Its place.
    pub locality: Locality,
    /// Is it known by the name of a host?
    pub named: bool,
}

/// Instances that stand alike.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    members: Members,
    /// The sum of what those say that they carry, in requests per second.
    own: u64,
    /// So many do not say.
    silent: u32,
}

impl Roster {
    /// The instance of that id.
    pub fn get(&self, id: &InstanceId) -> Option<&InstanceState> {
        self.instances.get(id).map(|it| &**it)
    }

    /// Is there one of that id?
    pub fn contains(&self, id: &InstanceId) -> bool {
        self.instances.contains_key(id)
    }

    /// So many there are.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&InstanceId, &InstanceState)> + Clone {
        by_id(&self.instances)
    }

    /// All, by id.
    pub fn values(&self) -> impl Iterator<Item = &InstanceState> {
        self.iter().map(|(_, state)| state)
    }

    /// So many stand as wanted.
    pub fn count(&self, wanted: impl Fn(&Stand) -> bool) -> u32 {
        let groups = self.groups.iter().filter(|(stand, _)| wanted(stand));
        let count = groups.map(|(_, group)| group.members.len()).sum::<usize>();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Does any stand as wanted?
    pub fn any(&self, wanted: impl Fn(&Stand) -> bool) -> bool {
        self.groups.keys().any(wanted)
    }

    /// The instances that stand as wanted, by id.
    pub fn select(&self, wanted: impl Fn(&Stand) -> bool) -> BTreeMap<&InstanceId, &InstanceState> {
        let groups = self.groups.iter().filter(|(stand, _)| wanted(stand));
        groups
            .flat_map(|(_, group)| by_id(&group.members))
            .collect()
    }

    /// Where those stand that are wanted, and which they are, by id.
    pub fn stands(
        &self,
        wanted: impl Fn(&Stand) -> bool,
    ) -> impl Iterator<Item = (&Stand, impl ExactSizeIterator<Item = &InstanceId>)> {
        let groups = self.groups.iter().filter(move |(stand, _)| wanted(stand));
        groups.map(|(stand, group)| (stand, group.members.keys()))
    }

    /// What those that stand as wanted carry, in requests per second; `each` is for those that do not say.
    pub fn capacity(&self, each: Option<Rps>, wanted: impl Fn(&Stand) -> bool) -> u64 {
        let each = u64::from(each.unwrap_or(Rps::ONE).get());
        let groups = self.groups.iter().filter(|(stand, _)| wanted(stand));
        groups
            .map(|(_, group)| group.own + each * u64::from(group.silent))
            .sum()
    }

    /// The versions of those that stand as wanted, each once.
    pub fn versions(&self, wanted: impl Fn(&Stand) -> bool) -> BTreeSet<&VersionName> {
        let stands = self.groups.keys().filter(|stand| wanted(stand));
        stands.map(|stand| &stand.version).collect()
    }

    /// The places of those that stand as wanted, each once.
    pub fn localities(&self, wanted: impl Fn(&Stand) -> bool) -> BTreeSet<&Locality> {
        let stands = self.groups.keys().filter(|stand| wanted(stand));
        stands.map(|stand| &stand.locality).collect()
    }

    /// Takes in an instance in place of any other of its id.
    pub(super) fn put(&mut self, state: InstanceState) {
        self.remove(&state.instance.id);
        let state = Arc::new(state);
        self.group(&state).add(&state);
        self.instances.insert(state.instance.id.clone(), state);
    }

    /// Takes an instance out.
    pub(super) fn remove(&mut self, id: &InstanceId) -> Option<InstanceState> {
        let state = self.instances.remove(id)?;
        self.leave_group(&state);
        Some(Arc::unwrap_or_clone(state))
    }

    /// Moves an instance to another stage. False if there is none of that id.
    pub(super) fn set_stage(&mut self, id: &InstanceId, to: &Stage, at: Time) -> bool {
        let Some(mut state) = self.remove(id) else {
            return false;
        };
        state.stage = to.clone();
        state.told |= to.endpoint().is_some();
        state.since = at;
        self.put(state);
        true
    }

    fn group(&mut self, state: &InstanceState) -> &mut Group {
        self.groups.entry(Stand::of(state)).or_default()
    }

    fn leave_group(&mut self, state: &InstanceState) {
        let stand = Stand::of(state);
        if let Some(group) = self.groups.get_mut(&stand) {
            group.remove(state);
            if group.members.is_empty() {
                self.groups.remove(&stand);
            }
        }
    }
}

impl Stand {
    fn of(state: &InstanceState) -> Self {
        Self {
            stage: state.stage.kind(),
            version: state.instance.version.clone(),
            locality: state.instance.locality.clone(),
            named: matches!(state.instance.address, Address::Host(_)),
        }
    }
}

impl Group {
    fn add(&mut self, state: &Arc<InstanceState>) {
        let id = state.instance.id.clone();
        self.members.insert(id, Arc::clone(state));
        match state.instance.capacity {
            Some(own) => self.own += u64::from(own.get()),
            None => self.silent += 1,
        }
    }

    fn remove(&mut self, state: &InstanceState) {
        self.members.remove(&state.instance.id);
        match state.instance.capacity {
            Some(own) => self.own -= u64::from(own.get()),
            None => self.silent -= 1,
        }
    }
}

type Iter<'a> = Map<
    btree_map::Iter<'a, InstanceId, Arc<InstanceState>>,
    fn((&'a InstanceId, &'a Arc<InstanceState>)) -> (&'a InstanceId, &'a InstanceState),
>;

fn by_id(members: &Members) -> Iter<'_> {
    members.iter().map(|(id, state)| (id, &**state))
}

impl<'a> IntoIterator for &'a Roster {
    type Item = (&'a InstanceId, &'a InstanceState);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        by_id(&self.instances)
    }
}

impl std::ops::Index<&InstanceId> for Roster {
    type Output = InstanceState;

    /// # Panics
    /// If there is no instance of that id.
    fn index(&self, id: &InstanceId) -> &InstanceState {
        &self.instances[id]
    }
}

impl FromIterator<InstanceState> for Roster {
    fn from_iter<I: IntoIterator<Item = InstanceState>>(states: I) -> Self {
        let mut roster = Self::default();
        states.into_iter().for_each(|state| roster.put(state));
        roster
    }
}

impl Serialize for Roster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.instances.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Roster {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let instances = BTreeMap::<InstanceId, InstanceState>::deserialize(deserializer)?;
        Ok(instances.into_values().collect())
    }
}
