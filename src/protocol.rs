//! The xDS stream machine: what one client asked for, what it holds, and what it is told next.
//!
//! In go parsed requests, whole snapshots and the time; out come responses and notices. It does no
//! I/O, so each rule of the protocol is a table in a test, and a fleet is a loop.
//!
//! - `message`: requests, responses and notices as plain values.
//! - `subscription`: which names a client wants of one type, wildcards included.
//! - `channel`: one type on one stream; at most one response waits for its answer.
//! - `order`: what each addition and removal waits for, as a table.
//! - `stream`: a channel for each type, their order, and when a generation is in force.
//!
//! Invariants: newer state waits behind an unanswered response and replaces what waited there, so
//! memory does not grow with the rate of change; what was refused is not sent again until it
//! changes; without a snapshot nothing is answered, since an empty answer wipes a proxy.
//!
//! It knows nothing of protobuf, of the content of resources, or of who the client is.

mod channel;
mod message;
mod nack;
mod order;
mod stream;
mod subscription;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use channel::{Held, HeldState, Refusal};
pub use message::{Ask, NAME_BYTES_MAX, Notice, Refused, Request, Response, TypeUrl, Variant};
pub use stream::{GATE_TIMEOUT, Stream};
