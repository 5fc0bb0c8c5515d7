//! Versions that are bad in three ways, one after the other: 1 % of the answers are errors; 5 % come late; the
//! process crashes, is started again, and crashes. All of them pass their health check at first. Each must be found
//! out by what the proxies count, and go back by itself, instance by instance.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::habit::Habit;
use crate::demo::promise::Promise;
use crate::demo::world::World;

/// What the version is, and what is wrong with it.
const VERSIONS: [(&str, &str, Habit); 3] = [
    (
        "v2",
        "1 % of its answers are errors",
        Habit {
            fail_percent: 1.0,
            ..GOOD
        },
    ),
    (
        "v3",
        "5 % of its answers are late",
        Habit {
            late_percent: 5.0,
            ..GOOD
        },
    ),
    (
        "v4",
        "it crashes again and again",
        Habit {
            crash_after: Some(4),
            ..GOOD
        },
    ),
];
const GOOD: Habit = Habit {
    fail_percent: 0.0,
    late_percent: 0.0,
    crash_after: None,
};

/// Rolls out each of them.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    for (version, what, habit) in VERSIONS {
        world.fleet.misbehave(version, habit).await;
        world.roll(|documents| documents.to = version).await?;
        world.say(&format!("{version}: {what}"));
        let back = |world: &World| world.rollout().is_some_and(|it| it.is("RolledBack"));
        let waited = world
            .until("it to be rolled back", ROLLED_BACK_MAX, back)
            .await;
        let seen = world.judged().cloned().unwrap_or_default();
        world.promise(Promise::new(
            format!("{version} is found to be worse, since {what}"),
            seen.decision.as_deref() == Some("worse"),
            seen.says,
        ));
        let phase = format!("phase {}", seen.phase);
        world.promise(Promise::new("it is rolled back", back(world), phase));
        waited?;
        let instances = world.instances();
        world
            .until("the old instances to serve alone", SETTLE_MAX, |world| {
                let service = world.view.service(crate::demo::documents::SERVICE);
                let serving = service.into_iter().flat_map(|it| &it.instances);
                serving
                    .filter(|it| it.version == "v1" && it.is("serving"))
                    .count()
                    == instances
            })
            .await?;
    }
    Ok(())
}

/// Health checks count here as well.
pub(super) const GATE: &str = "{ checks: [errors: {}, latency: { at: [p99] }, crashes: {}] }";
const ROLLED_BACK_MAX: Duration = Duration::from_secs(40);
const SETTLE_MAX: Duration = Duration::from_secs(10);
