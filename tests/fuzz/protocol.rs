//! The stream machine under any story: networks that delay, clients that refuse, forget, drop and come
//! back, publications at any moment. A referee on each stream knows the protocol and not the machine;
//! whatever happened, the client ends with what there is.
//!
//! - `story`: bytes → what happens.
//! - `asked`, `ledger`, `order`: the referee, who sees every message on a stream.
//! - `client`: what a client wants, holds and says.
//! - `server`: what there is, and the machines.
//! - `world`: puts it together, plays the story, and looks.

#[path = "protocol/asked.rs"]
pub(crate) mod asked;
#[path = "protocol/client.rs"]
pub(crate) mod client;
#[path = "protocol/ledger.rs"]
pub(crate) mod ledger;
#[path = "protocol/order.rs"]
pub(crate) mod order;
#[path = "protocol/server.rs"]
pub(crate) mod server;
#[path = "protocol/story.rs"]
pub(crate) mod story;
#[path = "protocol/world.rs"]
pub(crate) mod world;

/// Plays the story in these bytes; panics if a rule of the protocol is broken.
pub(crate) fn run(bytes: &[u8]) {
    world::World::play(&story::Story::read(bytes));
}
