//! Real Envoys that show a certificate, `mtls.yaml`: who is who, while everything about it changes.

use tidegate::engine::Phase;

use crate::support::certificates::{
    Ca, certify_proxy, certify_server, set_up_proxy, set_up_server, trust_proxies_of,
    trust_server_of,
};
use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

/// Every certificate and every CA is replaced in the middle of a roll, and nothing is lost.
pub(crate) fn certificates_change_in_mid_roll() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let documents = Documents::default();
    let mut world = World::prepared(&documents, |directory| set_up_server(directory, &old));
    world.start_apps("v1", 0..3);
    let id = "spiffe://test/web/proxy-1";
    let tls = set_up_proxy(world.path(), "proxy-1", &old, id);
    let envoy = world.start_envoy("mtls.yaml", "proxy-1");
    world.until_serving("v1", 3);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);

    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    world.start_apps("v2", 0..1);
    world.until_serving("v2", 1);

    // First both CAs are trusted, then certificates are of the new one, then only it is trusted.
    let both = old.pem() + &new.pem();
    trust_proxies_of(world.path(), &both);
    trust_server_of(&tls, &both);
    until_counted(&world, "certificate_reads_total{outcome=\"taken\"} ", 1);
    until_taken(&envoy, 1);
    let taken = envoy.stats().get(TAKEN);
    certify_proxy(&tls, &new, id);
    certify_server(world.path(), &new);
    until_taken(&envoy, taken + 1);
    let connections = envoy.stats().get(CONNECTIONS);
    trust_proxies_of(world.path(), &new.pem());
    trust_server_of(&tls, &new.pem());
    eventually(SOON, "Envoy to come back with the new certificate", || {
        let now = envoy.stats().get(CONNECTIONS);
        if_so(now > connections, format!("{now} connections"))
    });

    world.start_apps("v2", 1..3);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 3, 1);
    world.control.until_in_force("proxy-1");
    load.until_more(50);
    let tally = load.stop_without_loss();
    assert!(tally.by_version["v2"] > 0, "{tally:?}");
    envoy.stats().assert_warm();
}

/// A certificate that is good, and another's.
pub(crate) fn nobody_is_told_what_is_anothers() {
    let ca = Ca::new("ca");
    let prepared = |directory: &std::path::Path| set_up_server(directory, &ca);
    let mut world = World::prepared(&Documents::default(), prepared);
    world.start_apps("v1", 0..1);
    set_up_proxy(world.path(), "proxy-1", &ca, "spiffe://test/web/proxy-1");
    let right = world.start_envoy("mtls.yaml", "proxy-1");
    right.listener("mesh/0");

    // Of another node, of another cluster, and of a CA that nobody knows.
    let unknown = Ca::new("unknown");
    for (id, ca, name) in [
        ("proxy-2", &ca, "spiffe://test/web/proxy-1"),
        ("proxy-3", &ca, "spiffe://test/other/proxy-3"),
        ("proxy-4", &unknown, "spiffe://test/web/proxy-4"),
    ] {
        set_up_proxy(world.path(), id, ca, name);
        let wrong = world.start_envoy("mtls.yaml", id);
        if id == "proxy-4" {
            eventually(SOON, "the handshake to fail", || {
                let failed = wrong.stats().get("cluster.tidegate.ssl.fail_verify_san")
                    + wrong.stats().get("cluster.tidegate.ssl.fail_verify_error")
                    + wrong
                        .stats()
                        .get("cluster.tidegate.upstream_cx_connect_fail");
                if_so(failed > 0, "none failed".to_owned())
            });
        } else {
            let words =
                format!("{name} may not speak for node \\\"{id}\\\" of cluster \\\"web\\\"");
            let plain = words.replace("\\\"", "\"");
            eventually(SOON, "the server to deny it", || {
                let log = world.control.log();
                if_so(log.contains(&words) || log.contains(&plain), log.clone())
            });
        }
        let stats = wrong.stats();
        assert_eq!(stats.get("cluster_manager.cds.update_success"), 0);
        assert_eq!(stats.get("listener_manager.lds.update_success"), 0);
        assert!(world.control.proxy(id).is_err());
    }
    world.control.until_in_force("proxy-1");
}

const TAKEN: &str = "cluster.tidegate.client_ssl_socket_factory.ssl_context_update_by_sds";
const CONNECTIONS: &str = "cluster.tidegate.upstream_cx_total";

fn until_taken(envoy: &Envoy, times: u64) {
    eventually(SOON, "Envoy to take its certificates", || {
        let taken = envoy.stats().get(TAKEN);
        if_so(taken >= times, format!("taken {taken} times"))
    });
}

fn until_counted(world: &World, metric: &str, least: u64) {
    eventually(SOON, metric, || {
        let metrics = world.control.get("/metrics").body;
        let found = metrics.lines().find_map(|line| {
            let value = line.strip_prefix("tidegate_")?.strip_prefix(metric)?;
            value.parse::<u64>().ok()
        });
        if_so(found >= Some(least), format!("{found:?}"))
    });
}
