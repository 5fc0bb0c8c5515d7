//! A handful of requests each second: too few to prove anything soon. The gate must say so when its time is up, hold
//! for a word, and never go back for want of data.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::promise::Promise;
use crate::demo::world::World;

/// Rolls, waits for the gate to say that it cannot tell, and says the word.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.roll(|_| {}).await?;
    let unsure = |world: &World| world.rollout().is_some_and(|it| it.is("Paused"));
    let waited = world.until("the gate to hold", UNSURE_MAX, unsure).await;
    let seen = world.judged().cloned().unwrap_or_default();
    world.promise(Promise::new(
        "the gate says that it cannot tell, and holds",
        unsure(world) && seen.decision.as_deref() == Some("unsure"),
        seen.says,
    ));
    waited?;
    world.say("somebody looks at it, and says that it may go on");
    world.resume().await?;
    world
        .until("the rollout to be done", UNSURE_MAX, |world| {
            world
                .rollout()
                .is_some_and(crate::demo::view::Rollout::is_done)
        })
        .await
}

/// Of ten instances, for a demo's patience.
pub(super) const RPS: u32 = 10;
pub(super) const GATE: &str =
    "{ checks: [errors: {}, latency: { at: [p99] }], proveWithin: 3s, ifUnsure: pause }";
/// One old instance stays to be compared with.
pub(super) const BAKE: &str = "{ for: 2s, holdback: 1 }";
const UNSURE_MAX: Duration = Duration::from_mins(1);
