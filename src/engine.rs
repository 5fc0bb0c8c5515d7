//! The rollout engine.

mod blocker;
mod command;
mod effect;
mod event;
mod record;
mod stage;
mod view;

pub use blocker::{Blocker, Wait};
pub use command::{Answer, Command, Refusal, RolloutVerb, Verb};
pub use effect::Effect;
pub use event::{Actor, Event, InstanceLoad, LoadReport, ProxyEvent};
pub use record::{Entry, HookAction, HookCall, Origin, Outcome, Record};
pub use stage::{Cause, Proof, Stage};
pub use view::{
    BlockerView, DrainView, InstanceView, Phase, ProxyView, ReportView, RolloutView, ServiceView,
    VersionView, View,
};
