//! What comes out of the engine: things to be done, as data, in order.

use std::sync::Arc;

use super::{Entry, HookAsk, HookCall, Inquiry};
use crate::domain::{Hook, Plan};

/// Something to be done. Records come before what rests on them; whoever carries effects out
/// persists every record of a turn before doing anything else of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask an address whether nothing may begin now, and say [`super::Event::Answered`] afterwards.
    Ask {
        /// Where.
        url: String,
    },
    /// Call a hook, and say [`super::Event::HookDone`] afterwards.
    Call {
        /// The hook.
        hook: Hook,
        /// What it is asked.
        call: HookCall,
    },
    /// Ask a hook whether a rollout may go on, and say [`super::Event::HookSaid`] afterwards.
    Consult {
        /// The hook.
        hook: Hook,
        /// What it is told.
        ask: HookAsk,
        /// The how manieth try in a row this is, from 1.
        attempt: u32,
    },
    /// Ask somebody for the check of a gate, and say [`super::Event::Measured`] afterwards.
    Inquire(Inquiry),
    /// Tell the proxies.
    Publish(Arc<Plan>),
    /// Tell the proxies once more what they refused.
    Resend,
    /// Write down.
    Record(Entry),
}
