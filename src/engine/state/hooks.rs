//! Every hook call of a rollout and how it went, found by key and by what it was for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{InstanceId, VersionName};
use crate::engine::{HookAction, HookCall};

/// A hook call and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookState {
    /// The call.
    pub call: HookCall,
    /// How it went.
    pub status: HookStatus,
    /// How many times it was decided to make it.
    #[serde(default)]
    pub attempts: u32,
    /// What it did has been undone since, so the same may be asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past: bool,
}

/// How a hook call went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookStatus {
    /// No answer yet.
    Called,
    /// It worked.
    Done,
    /// It did not.
    Failed(String),
}

/// What a call is for.
type Purpose = (HookAction, VersionName, InstanceId);

/// The hook calls of one rollout. Written down as a list, in the order of the calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    calls: Vec<HookState>,
    by_key: BTreeMap<String, usize>,
    by_purpose: BTreeMap<Purpose, Made>,
    open: BTreeSet<usize>,
}

/// The calls that were made for one purpose.
#[derive(Clone, Debug, Default, PartialEq)]
struct Made {
    /// The one whose effect holds.
    holds: Option<usize>,
    times: u32,
}

impl Hooks {
    /// All calls, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, HookState> {
        self.calls.iter()
    }

    /// Those without an answer, and those that failed.
    pub fn open(&self) -> impl Iterator<Item = &HookState> {
        self.open.iter().map(|index| &self.calls[*index])
    }

    /// The call with this key.
    pub fn get(&self, key: &str) -> Option<&HookState> {
        self.by_key.get(key).map(|index| &self.calls[*index])
    }

    /// The call that was to do this, unless that has been undone since.
    pub fn for_instance(
        &self,
        action: HookAction,
        version: &VersionName,
        instance: &InstanceId,
    ) -> Option<&HookState> {
        let purpose = (action, version.clone(), instance.clone());
        let made = self.by_purpose.get(&purpose)?;
        made.holds.map(|index| &self.calls[index])
    }

    /// So many calls for the same came before.
    pub fn times(&self, action: HookAction, version: &VersionName, instance: &InstanceId) -> u32 {
        let purpose = (action, version.clone(), instance.clone());
        self.by_purpose.get(&purpose).map_or(0, |made| made.times)
    }

    /// Notes that a call is made, perhaps again.
    pub(super) fn call(&mut self, call: &HookCall, attempts: u32) {
        let index = self.by_key.get(&call.key).copied();
        let index = index.unwrap_or_else(|| self.add(call));
        let state = &mut self.calls[index];
        (state.status, state.attempts) = (HookStatus::Called, attempts);
        self.open.insert(index);
    }

    fn add(&mut self, call: &HookCall) -> usize {
        let index = self.calls.len();
        self.calls.push(HookState {
            call: call.clone(),
            status: HookStatus::Called,
            attempts: 0,
            past: false,
        });
        self.by_key.insert(call.key.clone(), index);
        let made = self.by_purpose.entry(purpose(call)).or_default();
        (made.holds, made.times) = (Some(index), made.times + 1);
        index
    }

    /// The instance is to be replaced by `version`, so what was started in its place before took the place of
    /// another one under its id.
    pub(super) fn replaces_anew(&mut self, version: &VersionName, instance: &InstanceId) {
        self.undo((HookAction::Start, version.clone(), instance.clone()));
    }

    /// The instance is gone, or put back; what comes under its id may be stopped again.
    pub(super) fn may_stop_again(&mut self, version: &VersionName, instance: &InstanceId) {
        self.undo((HookAction::Stop, version.clone(), instance.clone()));
    }

    fn undo(&mut self, purpose: Purpose) {
        let made = self.by_purpose.get_mut(&purpose);
        if let Some(index) = made.and_then(|made| made.holds.take()) {
            self.calls[index].past = true;
        }
    }

    /// Notes how a call ended.
    pub(super) fn end(&mut self, key: &str, status: HookStatus) {
        if let Some(index) = self.by_key.get(key) {
            if status == HookStatus::Done {
                self.open.remove(index);
            }
            self.calls[*index].status = status;
        }
    }
}

impl<'a> IntoIterator for &'a Hooks {
    type Item = &'a HookState;
    type IntoIter = std::slice::Iter<'a, HookState>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<HookState> for Hooks {
    fn from_iter<I: IntoIterator<Item = HookState>>(calls: I) -> Self {
        let mut hooks = Self::default();
        for state in calls {
            hooks.call(&state.call, state.attempts);
            if state.past {
                hooks.undo(purpose(&state.call));
            }
            if state.status != HookStatus::Called {
                hooks.end(&state.call.key, state.status);
            }
        }
        hooks
    }
}

impl Serialize for Hooks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.calls.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

fn purpose(call: &HookCall) -> Purpose {
    (call.action, call.version.clone(), call.instance.clone())
}
