//! The version is good, but one of its instances is not: a tenth of its answers are errors. That one must go, and
//! the version come through.

use crate::demo::DemoError;
use crate::demo::habit::Habit;
use crate::demo::promise::{Facts, Promise};
use crate::demo::world::World;

/// Rolls, with the third instance bad.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    let habit = Habit {
        fail_percent: 10.0,
        ..Habit::default()
    };
    world.fleet.misbehave(BAD, habit).await;
    world.roll(|_| {}).await?;
    world.say(&format!("a tenth of what {BAD} answers is an error"));
    world.until_done().await
}

/// It was that instance, and not the version.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let seen = facts.judged.first().cloned().unwrap_or_default();
    let wanted = format!("one-box {BAD}");
    let is_it = seen.decision.as_deref() == Some(wanted.as_str());
    let says = format!("{}: {}", seen.decision.unwrap_or_default(), seen.says);
    let mut promises = vec![Promise::new(format!("{BAD} is taken out"), is_it, says)];
    promises.extend(facts.all_proven());
    promises
}

const BAD: &str = "v2-2";
