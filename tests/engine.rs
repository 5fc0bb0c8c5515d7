//! The rollout engine against a small fleet in virtual time: readable stories, and storms of random
//! actions after each of which every promise of the design is checked against what really holds.
//!
//! No clock, no socket, no thread: a failure prints its story, and the same story fails again.

#[path = "engine/audit.rs"]
mod audit;
#[path = "engine/clients.rs"]
mod clients;
#[path = "engine/closed.rs"]
mod closed;
#[path = "engine/crashes.rs"]
mod crashes;
#[path = "engine/decisions.rs"]
mod decisions;
#[path = "engine/drawn.rs"]
mod drawn;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/fleet.rs"]
mod fleet;
#[path = "engine/forecast.rs"]
mod forecast;
#[path = "engine/found.rs"]
mod found;
#[path = "engine/gates.rs"]
mod gates;
#[path = "engine/gitops.rs"]
mod gitops;
#[path = "engine/load.rs"]
mod load;
#[path = "engine/looking.rs"]
mod looking;
#[path = "engine/measuring.rs"]
mod measuring;
#[path = "engine/mended.rs"]
mod mended;
#[path = "engine/model.rs"]
mod model;
#[path = "engine/moments.rs"]
mod moments;
#[path = "engine/properties.rs"]
mod properties;
#[path = "engine/repeated.rs"]
mod repeated;
#[path = "engine/requests.rs"]
mod requests;
#[path = "engine/rules.rs"]
mod rules;
#[path = "engine/sample.rs"]
mod sample;
#[path = "engine/seen.rs"]
mod seen;
#[path = "engine/sessions.rs"]
mod sessions;
#[path = "engine/soak.rs"]
mod soak;
#[path = "engine/speed.rs"]
mod speed;
#[path = "engine/stories.rs"]
mod stories;
#[path = "engine/truth.rs"]
mod truth;
#[path = "engine/unsure.rs"]
mod unsure;
#[path = "engine/verbs.rs"]
mod verbs;
#[path = "engine/ways.rs"]
mod ways;
#[path = "engine/world.rs"]
mod world;
#[path = "engine/zones.rs"]
mod zones;
