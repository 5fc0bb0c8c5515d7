//! Two thousand clients with cookies, while the instances are replaced one by one: each goes to the new version once, and
//! never back.

use crate::demo::DemoError;
use crate::demo::promise::{Facts, Promise};
use crate::demo::world::World;

/// Rolls, with clients that keep their cookies.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.begin_sessions(SESSIONS).await?;
    world.say(&format!("{SESSIONS} clients have their cookies"));
    world.roll(|_| {}).await?;
    world.until_done().await?;
    world.until_sessions_are_on("v2").await
}

/// Each of them moved once.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let seen = facts.sessions.clone().unwrap_or_default();
    let none = |text: &str, count: usize| Promise::new(text, count == 0, count.to_string());
    let once = format!("{} of {}", seen.moved_once, seen.sessions);
    let lost = usize::try_from(seen.session_failures).unwrap_or(usize::MAX);
    let mut promises = super::rolled_without_loss(facts);
    promises.extend([
        Promise::new(
            "each session goes to the new version once",
            seen.sessions == SESSIONS && seen.moved_once == SESSIONS,
            once,
        ),
        none("no session goes back", seen.went_back),
        none("no session moves more than once", seen.moved_more),
        none("none moves while no share does", seen.flips_without_change),
        none("no request of a session fails", lost),
    ]);
    promises
}

/// How its sessions are kept.
pub(super) const KEPT: &str = "{ stickTo: version }";
const SESSIONS: usize = 2_000;
