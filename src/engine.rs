//! The rollout engine.

mod event;

pub use event::{Actor, Event, InstanceLoad, LoadReport, ProxyEvent};
