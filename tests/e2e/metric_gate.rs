//! Gates that ask a real Prometheus, which scrapes the control plane itself.

use std::net::SocketAddr;
use std::path::Path;

use crate::support::control_plane::two_free_addresses;
use crate::support::documents::Documents;
use crate::support::http;
use crate::support::process::Process;
use crate::support::tools;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// A Prometheus that scrapes what is at `target` ten times a second.
fn start(target: &str, address: SocketAddr, directory: &Path) -> Process {
    let config = directory.join("prometheus.yaml");
    let text = format!(
        "global: {{ scrape_interval: 100ms, scrape_timeout: 100ms }}\n\
         scrape_configs: [{{ job_name: tidegate, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
    );
    fs_err::write(&config, text).unwrap();
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", directory.join("tsdb").display()),
        format!("--web.listen-address={address}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let program = tools::prometheus().unwrap();
    Process::start_kept("prometheus", &program, &args, directory).with_config(config)
}

/// What the checks of the rollout say, in their order.
fn readings(world: &World) -> Result<Vec<String>, String> {
    let rollout = world.control.rollout("to-v2")?;
    let evidence = rollout.gates.into_iter().filter_map(|gate| gate.evidence);
    let checks = evidence.flat_map(|evidence| evidence.checks);
    let said = checks.map(|check| format!("{:?} {}", check.stands, check.says));
    Ok(said.collect())
}

/// Numbers of this very service, within their bounds and beyond; and all ways in which there is no number.
pub(crate) fn is_asked() {
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..2);
    world.until_serving("v1", 2);
    let (address, nobody) = two_free_addresses();
    let target = world
        .control
        .url("")
        .trim_start_matches("http://")
        .to_owned();
    let prometheus = start(&target, address, world.path());
    let server = format!("http://{address}");
    let scraped = format!("{server}/api/v1/query?query=sum(up)");
    eventually(SOON, "Prometheus to have scraped", || {
        let answer = http::get(&scraped)?;
        if_so(answer.body.contains("\"1\""), answer.body)
    });
    let ours = "tidegate_instances{service=\\\"$service\\\", version=~\\\"$stable|$version\\\"}";
    let metric = |query: &str, bound: &str, server: &str| {
        format!(
            "    - metric: {{ prometheus: \"{query}\", {bound}, server: \"{server}\", every: 1s }}\n"
        )
    };
    let checks = [
        metric(&format!("sum({ours})"), "above: 1, below: 3", &server),
        metric(&format!("sum({ours})"), "below: 2", &server),
        metric(
            "sum(tidegate_instances{service=\\\"$rollout\\\"})",
            "below: 2",
            &server,
        ),
        metric("0 * sum(up) / 0", "below: 2", &server),
        metric("{job=\\\"tidegate\\\"}", "below: 2", &server),
        metric("sum(", "below: 2", &server),
        metric("scalar(sum(up))", "above: 0", &server),
        metric("up", "above: 0", &format!("http://{nobody}")),
    ];
    world.control.apply(&format!(
        "kind: Gate\nname: outside\nspec:\n  onWorse: report\n  ifUnsure: proceed\n  checks:\n{}---\n\
         kind: Rollout\nname: to-v2\nspec: {{ service: cart, to: v2, gates: [outside] }}\n",
        checks.concat()
    ));
    let said = eventually(SOON, "an answer to each check", || {
        let readings = readings(&world)?;
        let is_open = |it: &String| it.contains("no answer yet");
        let all = readings.len() == checks.len() && !readings.iter().any(is_open);
        if_so(all, format!("{readings:?}"))?;
        Ok::<_, String>(readings)
    });
    let wanted = [
        ("Good", " is 2"),
        ("Worse", ": 2, and is to be below 2"),
        ("Unsure", ": Prometheus has no data for the query"),
        ("Unsure", ": not a number (NaN)"),
        ("Unsure", " series for the query, and one number is wanted"),
        ("Unsure", ": Prometheus answered 400 Bad Request: "),
        ("Good", " is 1"),
        ("Unsure", ": Prometheus does not answer: "),
    ];
    for (said, (stands, says)) in said.iter().zip(wanted) {
        let is_it = said.starts_with(stands) && said.contains(says);
        assert!(is_it, "{said} where {stands}{says} was expected");
    }
    drop(prometheus);
    eventually(SOON, "its end to leave nobody sure", || {
        let readings = readings(&world)?;
        let first = readings.into_iter().next().unwrap_or_default();
        let is_unsure =
            first.starts_with("Unsure") && first.contains(": Prometheus does not answer: ");
        if_so(is_unsure, first)
    });
}
