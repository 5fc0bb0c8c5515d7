//! The control plane dies in mid-roll, three times, at moments that nobody chose.
//!
//! The moments hang on progress, not on time, so that they fall into the roll on slow machines
//! too: after some releases, and a little later than that.

use std::time::Duration;

use rand::RngExt;

use crate::demo::DemoError;
use crate::demo::promise::Promise;
use crate::demo::world::World;

/// Rolls; kills and restarts the control plane on the way.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.roll(|_| {}).await?;
    let mut in_mid_roll = 0;
    for crash in 0..CRASHES {
        let third = world.instances() / CRASHES;
        let releases = crash * third + world.rng.random_range(0..third.max(1));
        let later = Duration::from_millis(world.rng.random_range(0..LATER_MS_MAX));
        let down = Duration::from_millis(world.rng.random_range(DOWN_MS));

        let what = format!("{releases} releases, to crash after them");
        world
            .until(&what, ROLL_MAX, |world| world.fleet.stopped() >= releases)
            .await?;
        world.pass(later).await?;
        if world.fleet.stopped() < world.instances() {
            in_mid_roll += 1;
        }
        let milliseconds = down.as_millis();
        world.control.kill().await;
        world.say(&format!(
            "kill -9 of the control plane; back in {milliseconds} ms"
        ));
        world.pass(down).await?;
        world.control.run().await?;
        world.say("the control plane is back");
    }
    world.promise(Promise::new(
        format!("the control plane is killed {CRASHES} times in mid-roll"),
        in_mid_roll == CRASHES,
        format!("{in_mid_roll} times"),
    ));
    world.until_done().await
}

const CRASHES: usize = 3;
const ROLL_MAX: Duration = Duration::from_mins(1);
/// A crash comes at most this much after the release that it follows; one replacement takes about
/// four seconds, so each of its steps gets its turn over many seeds.
const LATER_MS_MAX: u64 = 3000;
/// How long the control plane stays dead.
const DOWN_MS: std::ops::Range<u64> = 200..1500;
