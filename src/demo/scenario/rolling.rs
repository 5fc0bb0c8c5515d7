//! The plain story: v1 to v2 under load.

use crate::demo::DemoError;
use crate::demo::promise::{Facts, Promise};
use crate::demo::world::World;

/// Rolls, and waits for the end.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.roll(|_| {}).await?;
    world.until_done().await
}

/// Nothing lost, everything proven, capacity never lower than at the start.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let mut promises = super::rolled_without_loss(facts);
    promises.push(facts.capacity_kept());
    promises
}
