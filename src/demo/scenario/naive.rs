//! What others lose. No rollout here: each instance is killed, half a second later its lease is
//! given up, and another one of the same version takes its place. Its loss is what the other
//! scenarios are measured against.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::documents::SERVICE;
use crate::demo::promise::{Facts, Promise};
use crate::demo::world::World;

/// Kills, then removes, then replaces, ten times.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.say("the naive way begins: kill, 0.5 s later remove, then start another one");
    let instances = world.instances();
    for ordinal in 0..instances {
        let old = format!("v1-{ordinal}");
        let new = format!("v1-{}", instances + ordinal);
        world.fleet.kill(&old).await;
        world.pass(REMOVED_AFTER).await?;
        world.fleet.stop(&old).await;
        world.fleet.start(&new, "v1").await?;
        let what = format!("{new} to be ready");
        world
            .until(&what, READY_MAX, |world| {
                let service = world.view.service(SERVICE);
                let mut instances = service.into_iter().flat_map(|service| &service.instances);
                instances.any(|instance| instance.id == new && instance.takes_requests())
            })
            .await?;
        world.pass(BETWEEN).await?;
    }
    Ok(())
}

/// It loses; a run of it that does not would show that the load measures nothing.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let text = format!("the naive way fails at least {LOSS_MIN} requests");
    vec![Promise::new(
        text,
        facts.failed >= LOSS_MIN,
        format!("{} failed", facts.failed),
    )]
}

/// How long after its death an instance is removed; a registry's usual delay is longer.
const REMOVED_AFTER: Duration = Duration::from_millis(500);
const READY_MAX: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_millis(500);
const LOSS_MIN: u64 = 100;
