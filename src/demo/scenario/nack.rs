//! The proxies refuse the new configuration: a Maglev table whose size is no prime number. It looks
//! right, and only Envoy knows that it is not. The rollout must stop before any traffic moves, and
//! say which proxy refused what.

use std::time::Duration;

use crate::demo::DemoError;
use crate::demo::documents::SERVICE;
use crate::demo::promise::{Facts, Promise};
use crate::demo::view::{Nack, Proxy};
use crate::demo::world::World;

/// Rolls with the bad overlay, and watches that nothing moves.
pub(super) async fn play(world: &mut World) -> Result<(), DemoError> {
    world
        .roll(|documents| documents.overlay = Some(OVERLAY))
        .await?;
    let waited = world
        .until(
            "a blocker that names a proxy and what it refused",
            NAMED_MAX,
            |world| named(world).is_some(),
        )
        .await;
    let seen = named(world);
    world.promise(Promise::new(
        "the rollout says which proxy refused which resource, and why",
        seen.is_some(),
        seen.unwrap_or_else(|| {
            waited
                .err()
                .map_or_else(String::new, |error| error.to_string())
        }),
    ));

    let mut moved = false;
    let end = crate::demo::clock::now() + HOLD;
    world
        .until("the rollout to stay where it is", HOLD * 2, |world| {
            moved |= world.weight("v2") > 0.0;
            crate::demo::clock::now() >= end
        })
        .await?;
    let weight = world.weight("v2");
    world.promise(Promise::new(
        "v2 gets no traffic",
        !moved,
        format!("weight {weight}"),
    ));
    let released = world.fleet.stopped();
    let seen = format!("{released} released");
    world.promise(Promise::new("no instance is released", released == 0, seen));
    Ok(())
}

/// Traffic goes on as before.
pub(super) fn promises(facts: &Facts) -> Vec<Promise> {
    let done = facts
        .rollout
        .as_ref()
        .is_some_and(crate::demo::view::Rollout::is_done);
    let seen = format!("phase {}", facts.phase());
    vec![
        facts.none_failed(),
        Promise::new("the rollout has stopped", !done, seen),
    ]
}

/// The blocker that names a proxy which refused something, and a resource of the service.
fn named(world: &World) -> Option<String> {
    let refused = |proxy: &&Proxy| proxy.nack.as_ref().is_some_and(says_what);
    let names = |text: &str, proxy: &Proxy| {
        text.contains(&proxy.id) && text.contains(&format!("{SERVICE}/"))
    };
    let mut proxies = world.view.proxies.iter().filter(refused);
    proxies
        .find_map(|proxy| world.blockers().find(|text| names(text, proxy)))
        .map(str::to_owned)
}

fn says_what(nack: &Nack) -> bool {
    let of_service = |name: &String| name.starts_with(&format!("{SERVICE}/"));
    !nack.message.is_empty() && nack.resources.iter().any(of_service)
}

/// Envoy: "The table size of maglev must be prime number".
const OVERLAY: &str = "{ cluster: { lb_policy: MAGLEV, maglev_lb_config: { table_size: 1000 } } }";
const NAMED_MAX: Duration = Duration::from_secs(20);
/// How long it is watched that nothing moves; a step of a healthy roll takes about four seconds.
const HOLD: Duration = Duration::from_secs(8);
