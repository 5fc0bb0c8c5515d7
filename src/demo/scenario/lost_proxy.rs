//! One Envoy loses its control plane in mid-roll, and goes on sending traffic by what it knew last.
//! Whatever it does cannot be seen, so nothing may be released until it is back.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::promise::Promise;
use crate::demo::view::Rollout;
use crate::demo::world::World;

/// The drain policy: hold the rollout for a lost proxy, and pause it after five seconds. The drain's
/// own end is beyond the story.
pub(super) const DRAIN: &str = "{ atMost: 60s, lostProxies: { wait: 5s, then: pause } }";

/// Rolls, cuts, watches that nothing moves, restores, and waits for the end.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world.roll(|_| {}).await?;
    world
        .until("two releases", ROLL_MAX, |world| {
            world.fleet.stopped() >= CUT_AFTER
        })
        .await?;

    let Some((relay, proxy)) = world.relay() else {
        return Err(DemoError::Options(
            "this scenario needs a proxy behind a relay".to_owned(),
        ));
    };
    relay.cut();
    world.say(&format!("{proxy} is cut off from the control plane"));
    world
        .until("the control plane to miss the proxy", MISSED_MAX, |world| {
            !world
                .view
                .proxy(&proxy)
                .is_some_and(|proxy| proxy.connected)
        })
        .await?;
    // What had been proven by both before the cut may still be on its way out.
    world.pass(SETTLE).await?;
    let released = world.fleet.stopped();
    let mut named = None;
    let held_until = crate::demo::clock::now() + HOLD;
    world
        .until("the rollout to be held", HOLD * 2, |world| {
            let blocker = world.blockers().find(|text| text.contains(&proxy));
            named = blocker.map(str::to_owned).or(named.take());
            crate::demo::clock::now() >= held_until
        })
        .await?;

    let more = world.fleet.stopped() - released;
    world.promise(Promise::new(
        format!("nothing is released while {proxy} is cut off"),
        more == 0,
        format!("{more} in {} s", HOLD.as_secs()),
    ));
    world.promise(Promise::new(
        format!("the rollout says that it waits for {proxy}"),
        named.is_some(),
        named.unwrap_or_else(|| "no blocker names it".to_owned()),
    ));
    let ended = world.rollout().is_some_and(Rollout::is_done);
    world.promise(Promise::new(
        "the rollout is held, not done",
        !ended,
        phase(world),
    ));

    if let Some((relay, _)) = world.relay() {
        relay.restore();
    }
    world.say(&format!("{proxy} may reach the control plane again"));
    world.until_done().await
}

fn phase(world: &World) -> String {
    world.rollout().map_or("no rollout".to_owned(), |rollout| {
        format!("phase {}", rollout.phase)
    })
}

/// Releases before the cut.
const CUT_AFTER: usize = 2;
const ROLL_MAX: Duration = Duration::from_secs(40);
const MISSED_MAX: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(1);
/// Longer than the policy waits before it pauses, and longer than any drain takes.
const HOLD: Duration = Duration::from_secs(9);
