//! `make bench-gates`: the gate beside re-creations of what others do, on simulated streams of requests.
//!
//! Each row is a scene and a policy, played for many seeds: how often and how soon it decides, how many requests have
//! failed on the new version by then, and what it says about a good one. Seeds are 0, 1, 2 … in every row. Prints a
//! table for people and, at the end, one JSON object; fails when a goal is missed.

mod cost;
mod policies;
mod traffic;

use policies::{Ours, Policy, Rate, Verdict};
use serde::Serialize;
use traffic::{Errors, Scene, Slow, Stream, Weather};

/// The stable version has been watched for so long before: an hour, or ten minutes where times are told, of which no
/// more is kept.
const fn before_s(play: &Scene) -> u64 {
    match play.slow {
        Slow::Untold => 3_600,
        _ => 600,
    }
}

/// Half an hour, for what should not be decided.
const LONG_S: u64 = 1_800;
/// Ten minutes, for what should.
const SHORT_S: u64 = 600;

type Make = fn() -> Box<dyn Policy>;

/// A row, to be played.
struct Row {
    scene: &'static str,
    policy: &'static str,
    play: Scene,
    make: Make,
    seconds: u64,
    goal: Goal,
}

/// What the row is to reach.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// Nothing: it is shown for comparison.
    None,
    /// Half of the decisions come within so many seconds, and nearly all come.
    Within(f64),
    /// So many of a hundred runs decide at most.
    AtMost(f64),
    /// The version, and not one instance, in all but so many of a hundred that decide.
    Version(f64),
    /// The first instance, and neither the version nor another one.
    Box(f64),
}

/// A row, played.
#[derive(Debug, Serialize)]
struct Played {
    scene: &'static str,
    policy: &'static str,
    seeds: u64,
    /// Of a hundred runs.
    decided: f64,
    median_s: Option<f64>,
    p95_s: Option<f64>,
    /// Requests that failed on the new version by then, in the median of all runs.
    failed: f64,
    /// Of a hundred: the version, and the first instance.
    version: f64,
    first_box: f64,
    wrong_box: f64,
    /// Of a hundred that were not decided: proven to be no worse.
    proven: f64,
    held: bool,
    goal: String,
}

fn main() {
    let seeds = std::env::args()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(1_000);
    println!(
        "{seeds} seeds a row; others are re-created from their documentation and code, and stated so\n"
    );
    println!(
        "{:<34} {:<26} {:>8} {:>9} {:>7} {:>8} {:>8}  goal",
        "scene", "policy", "decided", "median", "p95", "failed", "proven"
    );
    let mut played = Vec::new();
    for row in rows() {
        let row = play(&row, seeds);
        print_row(&row);
        played.push(row);
    }
    let cost = cost::measure();
    println!(
        "\na tick of {} versions with {} instances each and {} thresholds: {:.2} ms (goal: under {} ms) {}",
        cost.versions,
        cost.instances,
        cost.thresholds,
        cost.median_ms,
        cost::GOAL_MS,
        if cost.held { "held" } else { "MISSED" }
    );
    let held = played.iter().all(|row| row.held) && cost.held;
    let said = serde_json::json!({ "seeds": seeds, "rows": played, "tick": cost, "held": held });
    println!("\n{said}");
    std::process::exit(i32::from(!held));
}

fn print_row(row: &Played) {
    let seconds = |it: Option<f64>| it.map_or("–".to_owned(), |it| format!("{it:.0} s"));
    let held = match (row.goal.as_str(), row.held) {
        ("", _) => "",
        (_, true) => "held",
        (_, false) => "MISSED",
    };
    println!(
        "{:<34} {:<26} {:>6.1} % {:>9} {:>7} {:>8.0} {:>6.0} %  {} {held}",
        row.scene,
        row.policy,
        row.decided,
        seconds(row.median_s),
        seconds(row.p95_s),
        row.failed,
        row.proven,
        row.goal,
    );
}

/// What a run came to.
struct Run {
    decided: Option<(u64, Verdict)>,
    failed: u64,
    is_sure: bool,
}

fn play(row: &Row, seeds: u64) -> Played {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (0..seeds).filter(move |seed| seed % threads == worker);
                    mine.map(|seed| one(row, seed)).collect::<Vec<Run>>()
                })
            })
            .collect();
        let runs = workers
            .into_iter()
            .flat_map(|it| it.join().expect("a run panicked"));
        runs.collect()
    });
    judge(row, seeds, &runs)
}

fn one(row: &Row, seed: u64) -> Run {
    let (mut stream, mut policy) = (Stream::new(row.play, seed), (row.make)());
    for _ in 0..before_s(&row.play) {
        policy.before(&stream.before());
    }
    let mut failed = 0;
    for second in 1..=row.seconds {
        let period = stream.next();
        failed += period.new.failures(&tidegate::domain::Codes::default()).bad;
        if let Some(verdict) = policy.next(second, &period) {
            let decided = Some((second, verdict));
            return Run {
                decided,
                failed,
                is_sure: false,
            };
        }
    }
    let is_sure = policy.is_sure();
    Run {
        decided: None,
        failed,
        is_sure,
    }
}

fn judge(row: &Row, seeds: u64, runs: &[Run]) -> Played {
    let percent = |count: usize| count as f64 * 100.0 / seeds as f64;
    let quantile = |mut values: Vec<u64>, share: f64| {
        values.sort_unstable();
        let at = (values.len() as f64 * share) as usize;
        values
            .get(at.min(values.len().saturating_sub(1)))
            .map(|it| *it as f64)
    };
    let decided: Vec<u64> = runs
        .iter()
        .filter_map(|run| Some(run.decided.as_ref()?.0))
        .collect();
    let verdicts = |wanted: &dyn Fn(&Verdict) -> bool| {
        let verdicts = runs.iter().filter_map(|run| Some(&run.decided.as_ref()?.1));
        percent(verdicts.filter(|it| wanted(it)).count())
    };
    let version = verdicts(&|it| *it == Verdict::Worse);
    let first_box = verdicts(&|it| *it == Verdict::OneBox("new-0".to_owned()));
    let all = percent(decided.len());
    let wrong_box = all - version - first_box;
    // Of all runs, those that never decide included.
    let median = if all > 50.0 {
        let never = vec![u64::MAX; runs.len() - decided.len()];
        quantile([decided.clone(), never].concat(), 0.5)
    } else {
        None
    };
    let (goal, held) = match row.goal {
        Goal::None => (String::new(), true),
        Goal::Within(most) => (
            format!("median ≤ {most} s"),
            median.is_some_and(|it| it <= most) && all >= 99.0,
        ),
        Goal::AtMost(most) => (format!("≤ {most} %"), all <= most),
        Goal::Version(most) => (
            format!("an instance ≤ {most} %"),
            all - version <= most && all >= 99.0,
        ),
        Goal::Box(most) => (
            format!("the version or another ≤ {most} %"),
            version + wrong_box <= most && first_box >= 99.0 - most,
        ),
    };
    let open = runs
        .iter()
        .filter(|run| run.decided.is_none())
        .count()
        .max(1);
    let proven = runs.iter().filter(|run| run.is_sure).count();
    Played {
        scene: row.scene,
        policy: row.policy,
        seeds,
        decided: all,
        median_s: median,
        p95_s: quantile(decided, 0.95),
        failed: quantile(runs.iter().map(|run| run.failed).collect(), 0.5).unwrap_or_default(),
        version,
        first_box,
        wrong_box,
        proven: proven as f64 * 100.0 / open as f64,
        held,
        goal,
    }
}

fn rows() -> Vec<Row> {
    let plain = Scene::PLAIN;
    let mut rows = Vec::new();
    let mut add = |scene, policy, play, make: Make, seconds, goal| {
        rows.push(Row {
            scene,
            policy,
            play,
            make,
            seconds,
            goal,
        });
    };
    let ours: Make = || Box::new(Ours::of_errors());
    let others: [(&str, Make); 5] = [
        ("Flagger, 1 m, 5, 99 %", || Box::new(Rate::flagger())),
        ("Flagger docs, 1 m, 10, 99 %", || {
            Box::new(Rate::flagger_docs())
        }),
        ("Flagger tuned, 10 s, 99.5 %", || {
            Box::new(Rate::flagger_tuned())
        }),
        ("Argo docs, 5 m, 4, 95 %", || Box::new(Rate::argo())),
        (
            "Argo tuned, 1 m, 1, 99.5 %",
            || Box::new(Rate::argo_tuned()),
        ),
    ];
    for (scene, weight, most) in [
        ("+1 % errors, 5 % of the traffic", 0.05, 40.0),
        ("+1 % errors, 10 %", 0.1, 25.0),
        ("+1 % errors, 20 %", 0.2, 15.0),
    ] {
        let play = Scene {
            weight,
            worse_by: 0.01,
            ..plain
        };
        add(scene, "Tidegate", play, ours, SHORT_S, Goal::Within(most));
        for (policy, make) in others {
            add(scene, policy, play, make, LONG_S, Goal::None);
        }
    }
    for (scene, errors, weather) in [
        ("good, errors alone", Errors::Alone, Weather::Calm),
        ("good, bursts of 2", Errors::Bursts(2), Weather::Calm),
        ("good, bursts of 5", Errors::Bursts(5), Weather::Calm),
        ("good, mixed bursts", Errors::Mixed, Weather::Calm),
        ("good, errors drift", Errors::Alone, Weather::Drift),
        ("good, shared outage", Errors::Alone, Weather::Outage),
    ] {
        let play = Scene {
            bad: 0.01,
            errors,
            weather,
            ..plain
        };
        add(scene, "Tidegate", play, ours, LONG_S, Goal::AtMost(1.0));
        for (policy, make) in others {
            add(scene, policy, play, make, LONG_S, Goal::None);
        }
    }
    let times: Make = || Box::new(Ours::of_times());
    for (scene, slow, most) in [
        ("+20 % time, 10 %", Slow::Times(1.2), 25.0),
        ("5 % take 500 ms more, 10 %", Slow::Tail(5.0), 12.0),
    ] {
        let play = Scene { slow, ..plain };
        add(
            scene,
            "Tidegate, times",
            play,
            times,
            SHORT_S,
            Goal::Within(most),
        );
    }
    let same = Scene {
        slow: Slow::Same,
        ..plain
    };
    add(
        "good, times alike",
        "Tidegate, times",
        same,
        times,
        LONG_S,
        Goal::AtMost(1.0),
    );
    let both: Make = || Box::new(Ours::built_in());
    add(
        "good, times alike",
        "Tidegate, built-in gate",
        same,
        both,
        LONG_S,
        Goal::AtMost(1.0),
    );
    for (scene, weight, boxes) in [
        ("1 of 2 new boxes at 3 %", 0.1, 2),
        ("1 of 4 new boxes at 3 %", 0.2, 4),
    ] {
        let sick = Scene {
            weight,
            boxes,
            sick: 0.03,
            ..plain
        };
        add(scene, "Tidegate", sick, ours, SHORT_S, Goal::Box(1.0));
    }
    for (scene, weight, boxes) in [
        ("+1 % errors, 2 boxes, 10 %", 0.1, 2),
        ("+1 % errors, 4 boxes, 20 %", 0.2, 4),
    ] {
        let worse = Scene {
            weight,
            boxes,
            worse_by: 0.01,
            ..plain
        };
        add(scene, "Tidegate", worse, ours, SHORT_S, Goal::Version(1.0));
    }
    for (scene, rps) in [
        ("good, 1 rps", 1.0),
        ("good, 5 rps", 5.0),
        ("good, 20 rps", 20.0),
    ] {
        let low = Scene {
            rps,
            weight: 0.25,
            slow: Slow::Same,
            ..plain
        };
        add(
            scene,
            "Tidegate, built-in gate",
            low,
            both,
            LONG_S,
            Goal::AtMost(1.0),
        );
        for (policy, make) in [others[0], others[2]] {
            add(scene, policy, low, make, LONG_S, Goal::None);
        }
    }
    rows
}
