//! All that can happen, in all orders, to a rolling replacement in a small world: checked by stateright.
//!
//! `make model` tries three instances, one trouble or several at each moment, and prints how much that was;
//! `cargo test` tries one instance, so that nothing here rots. A promise that does not hold is told with the
//! shortest story that breaks it.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use crate::closed::{Closed, Ends, Step, Trouble};

/// The worlds that a fleet of so many, and what may go wrong, lead to.
#[derive(Debug)]
struct Worlds {
    fleet: u32,
    trouble: Trouble,
    ends: Ends,
}

impl Worlds {
    /// One trouble of each kind that is named.
    fn new(fleet: u32, kinds: &str) -> Self {
        let one = |kind: &str| u8::from(kinds.contains(kind));
        let trouble = Trouble {
            aborts: one("abort"),
            emergencies: one("emergency"),
            crashes: one("crash"),
            losses: one("lost ACK"),
            nacks: one("NACK"),
            requests: one("request"),
        };
        let ends = Ends::default();
        Self {
            fleet,
            trouble,
            ends,
        }
    }
}

impl PartialEq for Closed {
    fn eq(&self, other: &Self) -> bool {
        self.essence == other.essence
    }
}

impl Hash for Closed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.essence.hash(state);
    }
}

impl Model for Worlds {
    type State = Closed;
    type Action = Step;

    fn init_states(&self) -> Vec<Closed> {
        vec![Closed::at_rest(self.fleet, self.trouble)]
    }

    fn actions(&self, world: &Closed, steps: &mut Vec<Step>) {
        steps.extend(world.steps());
    }

    fn next_state(&self, world: &Closed, step: Step) -> Option<Closed> {
        Some(world.after(&step))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let mut properties = vec![
            always("1: enough instances, and not too many", |_, world| {
                keeps(world, "1:")
            }),
            always("2: no request is sent to what is gone", |_, world| {
                keeps(world, "2:")
            }),
            always(
                "3: no instance is released or stopped before the proof",
                |_, world| keeps(world, "3:"),
            ),
            always(
                "4: no version gets more than its instances carry",
                |_, world| keeps(world, "4:"),
            ),
            always("6: no cluster goes that a proxy routes to", |_, world| {
                keeps(world, "6:")
            }),
            always(
                "7: the journal comes before the effect, and is the state",
                |_, world| keeps(world, "7:"),
            ),
            always("8: generations only grow", |_, world| keeps(world, "8:")),
            always(OBEYS, |_, world| {
                keeps(world, "9:") && calmly(|| world.obeys())
            }),
            always(
                "10: it says what it waits for, and ends if nothing more goes wrong",
                |worlds, world| keeps(world, "10:") && calmly(|| world.ends(&worlds.ends).is_ok()),
            ),
            always("what the engine checks itself", |_, world| {
                let broken = world.broken.as_ref();
                broken.is_none_or(|broken| broken.starts_with(|c: char| c.is_ascii_digit()))
            }),
        ];
        let turned = self.trouble.aborts + self.trouble.emergencies;
        properties.push(Property::sometimes("it comes to its end", |_, world| {
            ends_as(world, "v2")
        }));
        if turned > 0 {
            properties.push(Property::sometimes("it is turned round", |_, world| {
                ends_as(world, "v1")
            }));
        }
        properties
    }
}

const OBEYS: &str = "9: it can be held and turned round";

fn keeps(world: &Closed, number: &str) -> bool {
    let broken = world.broken.as_ref();
    broken.is_none_or(|broken| !broken.starts_with(number))
}

fn ends_as(world: &Closed, version: &str) -> bool {
    world.ended_as().is_some_and(|it| it.as_str() == version)
}

/// What panics does not hold.
fn calmly(holds: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(holds)).unwrap_or(false)
}

/// Tries everything, and says how much that was.
#[expect(
    clippy::print_stdout,
    reason = "`make model` is there for these numbers"
)]
fn check(fleet: u32, kinds: &str) {
    let worlds = Worlds::new(fleet, kinds);
    let promises = worlds.properties();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    #[expect(clippy::disallowed_methods, reason = "it says how long it took")]
    let began = std::time::Instant::now();
    let checker = worlds.checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_dfs().join();
    println!(
        "{fleet:>9}  {kinds:<36} {:>9} {:>9} {:>5} {:>7.1}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    let found = checker.discoveries();
    let always = promises
        .iter()
        .filter(|it| matches!(it.expectation, Expectation::Always));
    if always
        .map(|it| it.name)
        .any(|name| found.contains_key(name))
    {
        panic!("{}", shortest(fleet, kinds));
    }
    checker.assert_properties();
}

/// The shortest story that breaks a promise.
fn shortest(fleet: u32, kinds: &str) -> String {
    let checker = Worlds::new(fleet, kinds).checker();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let found = checker.discoveries().into_iter();
    let stories = found.filter_map(|(name, path)| {
        let world = path.last_state();
        let broken = world.broken.clone();
        let broken = broken.or_else(|| world.ends(&Ends::default()).err());
        let broken = match broken {
            None if name == OBEYS => name.to_owned(),
            broken => broken?,
        };
        let steps = path.into_actions();
        let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        Some(format!("{kinds}: {broken}\n{}", steps.join("\n")))
    });
    let stories: Vec<String> = stories.collect();
    stories.join("\n")
}

/// Three instances: what may go wrong, each at every moment and at most once. Several together are all that any of
/// them can do, too.
const THREE: [&str; 10] = [
    "nothing",
    "crash",
    "lost ACK",
    "NACK",
    "long request",
    "crash, lost ACK, NACK",
    "abort",
    "abort, crash",
    "abort, lost ACK",
    "abort, NACK",
];

/// One instance, where more fits in.
const ONE: [&str; 3] = [
    "emergency",
    "crash, lost ACK, long request",
    "abort, crash, lost ACK, NACK",
];

#[test]
fn what_can_happen_to_one_instance_breaks_no_promise() {
    for kinds in ["nothing", "abort", "NACK"] {
        check(1, kinds);
    }
}

/// `MODEL='abort, NACK'` is that alone.
#[test]
#[ignore = "it takes minutes; `make model` runs it"]
fn what_can_happen_to_three_instances_breaks_no_promise() {
    let promises = Worlds::new(3, "abort").properties();
    println!("\nOf a rolling replacement behind two proxies, of each world and each turn:");
    for promise in promises {
        println!("  {:?}: {}", promise.expectation, promise.name);
    }
    println!("\ninstances  besides, at each moment              states     steps depth seconds");
    #[expect(clippy::disallowed_methods, reason = "it chooses a row by hand")]
    if let Ok(kinds) = std::env::var("MODEL") {
        return check(3, &kinds);
    }
    for kinds in ONE {
        check(1, kinds);
    }
    for kinds in THREE {
        check(3, kinds);
    }
}
