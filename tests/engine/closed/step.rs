//! What can happen next in the small world, and how often what goes wrong may still go wrong.

use tidegate::domain::InstanceId;
use tidegate::engine::{StageKind, Turned};

use super::Closed;

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Somebody turns the rollout round.
    Abort(Turned),
    /// The answer of a hook arrives.
    Answer(String),
    /// A stream is open again.
    Back(usize),
    /// The control plane ends, and another one goes on from the journal.
    Crash,
    /// It ends in the middle of this: what was decided is durable, and nothing of it was done.
    CrashIn(Box<Step>),
    /// Requests end.
    End,
    /// A hook does what it is asked.
    Hook(String),
    /// Sources and probers speak, after a start.
    Look,
    /// A stream breaks, with all that is on its way.
    Lose(usize),
    /// A proxy refuses what it is told.
    Refuse(usize),
    /// A proxy reports what is in progress.
    Report(usize),
    /// Somebody has what was refused sent again.
    Retry,
    /// A request begins, and lasts.
    Start(usize, InstanceId),
    /// A proxy puts what it is told in force.
    Take(usize),
    /// A proxy's word arrives.
    Word(usize),
}

/// How often what goes wrong may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    /// Somebody turns the rollout round.
    pub(crate) aborts: u8,
    /// The same, with all of the traffic at once.
    pub(crate) emergencies: u8,
    /// A control plane ends and another one goes on, at any moment or in the middle of a decision.
    pub(crate) crashes: u8,
    /// A stream breaks with an ACK on its way, or with a plan.
    pub(crate) losses: u8,
    /// A proxy refuses a plan.
    pub(crate) nacks: u8,
    /// A request lasts until it is said to end.
    pub(crate) requests: u8,
}

impl Step {
    /// Is the engine told of it at once?
    pub(super) fn turns(&self) -> bool {
        match self {
            Self::Abort(_)
            | Self::Answer(_)
            | Self::Back(_)
            | Self::Hook(_)
            | Self::Look
            | Self::Lose(_)
            | Self::Report(_)
            | Self::Retry
            | Self::Word(_) => true,
            Self::Crash
            | Self::CrashIn(_)
            | Self::End
            | Self::Refuse(_)
            | Self::Start(..)
            | Self::Take(_) => false,
        }
    }
}

impl Closed {
    /// Everything that can happen now.
    pub(crate) fn steps(&self) -> Vec<Step> {
        if self.broken.is_some() {
            return Vec::new();
        }
        let mut steps = self.calm_steps();
        let trouble = self.trouble;
        if trouble.aborts > 0 {
            steps.push(Step::Abort(Turned::Back));
        }
        if trouble.emergencies > 0 {
            steps.push(Step::Abort(Turned::AtOnce));
        }
        if trouble.crashes > 0 && self.looked {
            let turning = steps.iter().filter(|step| step.turns()).cloned();
            let crashes: Vec<Step> = turning.map(|step| Step::CrashIn(Box::new(step))).collect();
            steps.extend(crashes);
            steps.push(Step::Crash);
        }
        for (number, edge) in self.edges.iter().enumerate() {
            if trouble.losses > 0 && edge.connected {
                steps.push(Step::Lose(number));
            }
            if trouble.nacks > 0 && edge.told.is_some() && edge.word.is_none() {
                steps.push(Step::Refuse(number));
            }
            if trouble.requests > 0 && edge.request.is_none() {
                let takers = edge.takers().into_iter();
                steps.extend(takers.map(|taker| Step::Start(number, taker)));
            }
        }
        steps
    }

    /// What happens by itself, and brings things forward. What waits for somebody's word comes last.
    pub(super) fn calm_steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.looked {
            steps.push(Step::Look);
        }
        for (number, edge) in self.edges.iter().enumerate() {
            if !edge.connected {
                steps.push(Step::Back(number));
            } else if edge.word.is_some() {
                steps.push(Step::Word(number));
            } else if edge.told.is_some() {
                steps.push(Step::Take(number));
            }
        }
        for key in self.calls.keys() {
            let is_heard = self.heard.contains(key);
            let key = key.clone();
            steps.push(if is_heard {
                Step::Answer(key)
            } else {
                Step::Hook(key)
            });
        }
        if self.is_asked() {
            let edges = self.edges.iter().enumerate();
            let able = edges.filter(|(_, edge)| edge.connected && edge.in_force.is_some());
            steps.extend(able.map(|(number, _)| Step::Report(number)));
        }
        if self.edges.iter().any(|edge| edge.request.is_some()) {
            steps.push(Step::End);
        }
        if self.edges.iter().any(|edge| edge.refused && edge.connected) {
            steps.push(Step::Retry);
        }
        steps
    }

    /// Does anything wait for a report?
    fn is_asked(&self) -> bool {
        self.count(StageKind::Joining) + self.count(StageKind::Draining) > 0
    }
}
