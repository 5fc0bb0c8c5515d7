//! A rollout before it is run: the engine itself, on a simulated fleet in virtual time.
//!
//! ```text
//! Setup ──▶ Sim: a queue of what happens next ──▶ engine ──▶ effects ──▶ what follows from them
//!           proxies · processes · the outside                            goes into the queue
//!                                 └──▶ Outcome: the timeline, and what it came to
//! ```
//!
//! Documents, a number of instances and proxies or a fleet that there is, faults and a seed go in; the same
//! come out the same. Time
//! jumps from one happening to the next, so what a simulation costs depends on what moves in it.
//!
//! Knows no clock and no I/O. What it knows of Envoy is what the engine can see: plans are put in force
//! late, requests last, reports come now and then.

mod chance;
mod counts;
mod deed;
mod ending;
mod fault;
mod flow;
mod journal;
mod listed;
mod outside;
mod process;
mod proxy;
mod queue;
mod report;
mod setup;
mod standing;
mod timeline;
mod times;
mod trouble;
mod watch;
mod wire;
mod world;

pub use chance::Chance;
pub use deed::Deed;
pub use fault::{Fault, UnknownFault};
pub use proxy::{Proxies, Proxy};
pub use report::{Drained, Report, RolloutReport};
pub use setup::{Crash, Setup, SetupError};
pub use standing::Standing;
pub use timeline::Line;
pub use times::Times;
pub use watch::{Nobody, Watch};
pub use world::{Outcome, simulate};
