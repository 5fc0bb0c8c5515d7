//! What both versions depend on is down for a while in mid-roll: a fifth of all answers are errors, whoever gives
//! them. That says nothing of the new version, so nothing may go back.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::promise::{Facts, Promise};
use crate::demo::world::World;

/// Rolls; the dependency goes down when a few instances are new.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.roll(|_| {}).await?;
    world
        .until("some instances to be new", SOME_MAX, |world| {
            world.weight("v2") > 15.0
        })
        .await?;
    world.say("what both versions depend on is down: a fifth of all answers are errors");
    world.fleet.set_dependency(false)?;
    let passed = world.pass(OUTAGE).await;
    world.fleet.set_dependency(true)?;
    passed?;
    world.say("it is back");
    world.until_done().await
}

/// Both failed, nobody decided anything, and the roll came to its end.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let decided = facts.judged.iter().find_map(|it| it.decision.clone());
    let seen = decided.clone().unwrap_or("no decision".to_owned());
    let failed = format!("{} of {}", facts.failed, facts.requests);
    let mut promises = vec![
        Promise::new("the outage shows", facts.failed > 0, failed),
        Promise::new("no gate finds the version worse", decided.is_none(), seen),
    ];
    promises.extend(facts.all_proven());
    promises
}

const SOME_MAX: Duration = Duration::from_secs(40);
const OUTAGE: Duration = Duration::from_secs(8);
