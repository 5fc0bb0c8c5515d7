//! What Envoy counts of each way in which a request ends: the facts that evidence rests on.

use std::collections::BTreeMap;

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::http;
use crate::support::mishaps::Mishaps;
use crate::support::process::Process;
use crate::support::tools::tidegate;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// A path, and what its request adds: of the version, then of its only endpoint.
const TABLE: [(&str, &str, &str); 11] = [
    ("/", "200 completed", "success"),
    ("/code/404", "404 completed", "success"),
    ("/code/429", "429 completed", "success"),
    ("/code/503", "503 completed", "error"),
    // It counts once, and as what came of it. Only attempts show that there were two, and that the first was no good.
    ("/again", "200 completed retry", "error success"),
    // Before the answer has begun.
    ("/vanish", "503 completed", "error"),
    ("/broken", "502 completed protocol_error", "error"),
    ("/hang", "504 completed timeout", "error"),
    // After it has.
    ("/cut", "200 completed protocol_error", "success"),
    ("/stall", "200 completed timeout", "success"),
    ("/", "200 completed", "success"),
];

/// Names in the table, with what Envoy calls them.
const OF_VERSION: [(&str, &str); 10] = [
    ("200", "upstream_rq_200"),
    ("404", "upstream_rq_404"),
    ("429", "upstream_rq_429"),
    ("502", "upstream_rq_502"),
    ("503", "upstream_rq_503"),
    ("504", "upstream_rq_504"),
    ("completed", "upstream_rq_completed"),
    ("protocol_error", "upstream_cx_protocol_error"),
    ("retry", "upstream_rq_retry"),
    ("timeout", "upstream_rq_timeout"),
];
const OF_ENDPOINT: [(&str, &str); 2] = [("error", "rq_error"), ("success", "rq_success")];

/// Requests that end in each way, one after the other.
pub(crate) fn each_way_to_end() {
    let mut documents = Documents::default().yaml();
    documents.push_str(
        "  envoy: { route: { route: { timeout: 0.5s, retry_policy: { num_retries: 1, \
         retry_on: retriable-status-codes, retriable_status_codes: [418] } } } }\n",
    );
    let world = World::with_files(&[("mesh.yaml", documents)]);
    let instance = Mishaps::start();
    let _lease = register(&world, &instance);
    let envoy = world.start_envoy("sidecar.yaml", "counting-1");
    world.until_serving("v1", 1);
    let listener = envoy.listener("mesh/0");
    for (path, version, endpoint) in TABLE {
        let before = counted(&envoy, &instance);
        // An answer that is cut is an error to whoever asked.
        let _ = http::get(&format!("http://{listener}{path}"));
        let want = format!("{} | {}", sorted(version), sorted(endpoint));
        eventually(SOON, &format!("what {path} adds"), || {
            let added = added(&before, &counted(&envoy, &instance));
            if_so(added == want, format!("{added}, and not {want}"))
        });
    }
}

fn register(world: &World, instance: &Mishaps) -> Process {
    let (server, address) = (world.control.url(""), instance.address.to_string());
    let args = [
        "--server",
        &server,
        "register",
        "--service",
        "cart",
        "--version",
        "v1",
        "--id",
        "v1-0",
        "--address",
        &address,
        "--ttl",
        "60s",
    ];
    Process::start_kept("v1-0-register", tidegate(), &args, world.path())
}

type Counted = [BTreeMap<&'static str, u64>; 2];

/// All that the table names: of the version, and of its endpoint.
fn counted(envoy: &Envoy, instance: &Mishaps) -> Counted {
    let stats = envoy.stats();
    let endpoint = instance.address.to_string().replace(':', "_");
    let of_version = OF_VERSION.iter().map(|(short, name)| {
        let value = stats.get(&format!("cluster.cart/v1.{name}"));
        (*short, value)
    });
    let of_endpoint = OF_ENDPOINT.iter().map(|(short, name)| {
        let value = stats.get(&format!("cluster.cart/v1.endpoint.{endpoint}.{name}"));
        (*short, value)
    });
    [of_version.collect(), of_endpoint.collect()]
}

/// Names, each as often as it was counted, in order.
fn added(before: &Counted, after: &Counted) -> String {
    let part = |before: &BTreeMap<&str, u64>, after: &BTreeMap<&'static str, u64>| {
        let more = after.iter().flat_map(|(name, value)| {
            let times = usize::try_from(value - before[name]).unwrap();
            std::iter::repeat_n(*name, times)
        });
        more.collect::<Vec<_>>().join(" ")
    };
    format!(
        "{} | {}",
        part(&before[0], &after[0]),
        part(&before[1], &after[1])
    )
}

fn sorted(words: &str) -> String {
    let mut words: Vec<&str> = words.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}
