//! The journal of the simulated control plane: what is written, what that leads to, and what it adds up to.

use super::fault::Fault;
use super::world::{Sim, TICK};
use crate::engine::{Entry, Record, State};

impl Sim<'_> {
    /// The journal takes all or nothing. False when the control plane ends with it.
    pub(super) fn write(&mut self, records: Vec<Entry>) -> bool {
        let number = self.writes;
        self.writes = number.map(|number| number + 1);
        let crash = self.setup.crashes.iter().find(|c| Some(c.write) == number);
        let crash = crash.copied();
        if crash.is_some_and(|crash| !crash.written) {
            return false;
        }
        for entry in &records {
            self.watch.recorded(entry, &self.proxies);
        }
        self.timeline.write(&records);
        if records.iter().any(|entry| comes_forward(&entry.record)) {
            self.progress = self.now;
        }
        if records.iter().any(|entry| !entry.record.is_note()) {
            self.counts_change();
        }
        let begins = records
            .iter()
            .any(|entry| matches!(entry.record, Record::RolloutStarted { .. }));
        if self.can_crash() {
            self.journal.extend(records);
        }
        if begins && !self.trouble_began {
            self.trouble_began = true;
            self.begin_trouble();
        }
        self.gap = TICK;
        self.tick_by(TICK.after(self.now));
        crash.is_none()
    }

    pub(super) fn can_crash(&self) -> bool {
        !self.setup.crashes.is_empty() || self.setup.faults.contains(&Fault::LeaderLoss)
    }

    /// What the journal adds up to.
    ///
    /// # Panics
    /// If it does not, which is a bug of the engine.
    pub(super) fn replay(&self) -> State {
        let mut state = State::default();
        for entry in &self.journal {
            if let Err(illegal) = state.apply(entry) {
                panic!("{illegal}");
            }
        }
        state
    }
}

/// Does a rollout come forward by this? Shares that follow a flapping instance up and down lead nowhere.
fn comes_forward(record: &Record) -> bool {
    let leads_nowhere = record.is_note() || matches!(record, Record::WeightsChosen { .. });
    record.rollout().is_some() && !leads_nowhere
}
