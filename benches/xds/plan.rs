//! What a run measures, in order.

use crate::end_to_end::Fleet;
use crate::push::{Bench, Shape, Who};
use crate::report::Results;
use crate::world::Change;

const ALL: [Who; 6] = [
    Who::Tcp,
    Who::TonicShared,
    Who::TonicNaive,
    Who::GoLinear,
    Who::GoSnapshot,
    Who::Tidegate,
];

/// Who is measured where the number of streams is what matters.
const MANY: [Who; 4] = [Who::Tcp, Who::TonicShared, Who::GoLinear, Who::Tidegate];

/// The proxies of most measurements.
const STREAMS: usize = 1_000;

/// All shapes.
fn shapes(is_quick: bool) -> Vec<Shape> {
    let plain = |change, endpoints, streams, whose: &[Who]| {
        let shape = |who: &Who| Shape::plain(*who, change, endpoints, streams);
        whose.iter().map(shape).collect::<Vec<_>>()
    };
    let mut shapes = plain(Change::Endpoint, 10, STREAMS, &ALL);
    shapes.extend(plain(Change::Endpoint, 1_000, STREAMS, &ALL));
    if is_quick {
        return shapes;
    }
    shapes.extend(plain(Change::Endpoint, 10_000, STREAMS, &ALL));
    // A bare message has no type, so the TCP floor has no routes.
    shapes.extend(plain(Change::Route, 10, STREAMS, &ALL[1..]));
    for streams in [100, 5_000, 10_000] {
        shapes.extend(plain(Change::Endpoint, 10, streams, &MANY));
    }
    for who in [Who::TonicShared, Who::Tidegate] {
        let two_thousand = Shape::plain(who, Change::Large, 10, 2_000);
        shapes.push(two_thousand);
        for endpoints in [10, 1_000] {
            shapes.push(Shape {
                tls: true,
                ..Shape::plain(who, Change::Endpoint, endpoints, STREAMS)
            });
        }
    }
    for endpoints in [1_000, 10_000] {
        shapes.extend(plain(Change::Leds, endpoints, STREAMS, &[Who::Tidegate]));
    }
    let ours = Shape::plain(Who::Tidegate, Change::Endpoint, 10, STREAMS);
    shapes.push(Shape {
        protocol: "sotw",
        ..ours
    });
    for manners in ["slow", "refusing", "stalled"] {
        shapes.push(Shape { manners, ..ours });
    }
    for who in [Who::GoLinear, Who::Tidegate] {
        for clusters in [100, 10_000] {
            shapes.push(Shape {
                clusters,
                ..Shape::plain(who, Change::Endpoint, 2, 100)
            });
        }
    }
    shapes
}

/// Measures them; what fails is left out, with the reason.
pub(crate) fn measure(bench: &Bench, is_quick: bool, only: Option<&str>, results: &mut Results) {
    let is_wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    for shape in shapes(is_quick) {
        let name = format!("{} on {}", shape.name(), shape.who.word());
        let is_go = matches!(shape.who, Who::GoLinear | Who::GoSnapshot);
        if !is_wanted(&name) || (is_go && bench.go.is_none()) {
            continue;
        }
        eprintln!("{name}");
        match bench.push(shape) {
            Ok(row) => results.push.push(row),
            Err(error) => results.skipped.push(format!("{name}: {error}")),
        }
    }
    let storms: &[(usize, bool)] = if is_quick {
        &[(STREAMS, false)]
    } else {
        &[(10_000, false), (5_000, true)]
    };
    for (streams, tls) in storms {
        let name = format!("restart, {streams} proxies");
        if !is_wanted(&name) {
            continue;
        }
        eprintln!("{name}");
        match bench.storm(Who::Tidegate, *streams, *tls) {
            Ok(storm) => results.storms.push(storm),
            Err(error) => results.skipped.push(format!("{name}: {error}")),
        }
    }
    let fleets: &[(usize, usize)] = if is_quick {
        &[(1, 10)]
    } else {
        &[(1, 10), (100, 10), (100, 1_000)]
    };
    for (services, instances) in fleets {
        let fleet = Fleet {
            services: *services,
            instances: *instances,
            proxies: STREAMS,
        };
        let name = fleet.name();
        if !is_wanted(&name) {
            continue;
        }
        eprintln!("{name}");
        match bench.end_to_end(fleet) {
            Ok(row) => results.end_to_end.push(row),
            Err(error) => results.skipped.push(format!("{name}: {error}")),
        }
    }
}
