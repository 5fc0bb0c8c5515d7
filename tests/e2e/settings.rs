//! Envoy settings of users' own, as the real Envoy takes them: what it holds is what was asked for.

use serde_json::Value;

use crate::support::envoy::Envoy;
use crate::support::load::Load;
use crate::support::tools;
use crate::support::world::World;

/// The example `edge`, and one more listener with TLS.
pub(crate) fn settings_are_in_force() {
    let example = tools::repository().join("examples/edge/edge.yaml");
    let example = fs_err::read_to_string(example).unwrap();
    let example = example.replace("port: 10000", "port: 0\n      address: 127.0.0.1");
    let tls = tls_listener();
    let documents = example.replace("  listeners:\n", &format!("  listeners:\n{tls}"));
    let mut world = World::with_files(&[("edge.yaml", documents)]);
    world.start_apps("v1", 0..2);
    let envoy = world.start_envoy("sidecar.yaml", "edge-1");
    world.until_serving("v1", 2);
    // The TLS listener stands first and takes the plain name.
    let load = Load::start(envoy.listener("edge/0.1"));
    load.until_more(50);
    load.stop_without_loss();
    envoy.listener("edge/0");
    world.control.until_in_force(envoy.id());
    envoy.stats().assert_nothing_refused();

    let dump = envoy.config_dump();
    assert_shown_as_held(&world, &envoy, &dump);
    let listener = dynamic(&dump, "ListenersConfigDump", "edge/0.1");
    assert_eq!(listener["per_connection_buffer_limit_bytes"], 32768);
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["stream_idle_timeout"], "60s");
    assert_eq!(
        manager["http2_protocol_options"]["max_concurrent_streams"],
        100
    );
    assert_eq!(manager["access_log"][0]["name"], "stdout");
    let names = manager["http_filters"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|filter| filter["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["buffer", "envoy.filters.http.router"]);
    let secure = dynamic(&dump, "ListenersConfigDump", "edge/0");
    let socket = &secure["filter_chains"][0]["transport_socket"];
    assert_eq!(socket["name"], "tls", "{socket}");

    let cluster = dynamic(&dump, "ClustersConfigDump", "cart/v1");
    assert_eq!(cluster["connect_timeout"], "0.250s");
    assert_eq!(cluster["outlier_detection"]["consecutive_5xx"], 5);
    let limits = &cluster["circuit_breakers"]["thresholds"][0];
    assert_eq!(
        (&limits["max_requests"], &limits["max_retries"]),
        (&200.into(), &1024.into())
    );
    // The zero of its enumeration, which is how Envoy shows it: not at all.
    assert!(cluster.get("lb_policy").is_none(), "{cluster}");

    let routes = dynamic(&dump, "RoutesConfigDump", "edge/0.1");
    let routes = &routes["virtual_hosts"][0]["routes"];
    assert_eq!(routes[0]["route"]["timeout"], "120s");
    assert_eq!(routes[1]["route"]["timeout"], "15s");
    assert_eq!(routes[1]["route"]["retry_policy"]["num_retries"], 1);
}

/// What `tidegate get --envoy` shows of clusters, listeners and routes is what the Envoy itself shows.
fn assert_shown_as_held(world: &World, envoy: &Envoy, dump: &Value) {
    let words = ["get", "--envoy", envoy.id(), "--output", "json"];
    let shown: Value = serde_json::from_str(&world.control.cli_ok(&words)).unwrap();
    let mut types = Vec::new();
    for resource in shown["streams"][0]["resources"].as_array().unwrap() {
        let section = match resource["type"].as_str().unwrap() {
            "cluster" => "ClustersConfigDump",
            "listener" => "ListenersConfigDump",
            "route" => "RoutesConfigDump",
            _ => continue,
        };
        let name = resource["name"].as_str().unwrap();
        assert_eq!(resource["state"], "acked", "{resource}");
        assert_eq!(resource["resource"], dynamic(dump, section, name));
        types.push(section);
    }
    types.dedup();
    assert_eq!(types.len(), 3, "{shown}");
}

/// A listener with a certificate of its own, as an item of a gateway's listeners.
fn tls_listener() -> String {
    let made = rcgen::generate_simple_self_signed(vec!["edge.test".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    format!(
        "    - port: 0
      address: 127.0.0.1
      envoy:
        filterChain:
          transport_socket:
            name: tls
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates:
                  - certificate_chain: {{ inline_string: {certificate:?} }}
                    private_key: {{ inline_string: {key:?} }}
      routes: [{{ service: cart }}]
"
    )
}

/// A resource in an Envoy's own dump, by the section that has it.
fn dynamic(dump: &Value, section: &str, name: &str) -> Value {
    let section_type = format!(".{section}");
    let configs = dump["configs"].as_array().unwrap();
    let of_type = |config: &&Value| config["@type"].as_str().unwrap().ends_with(&section_type);
    let config = configs.iter().find(of_type).unwrap();
    let (list, path) = match section {
        "ClustersConfigDump" => ("dynamic_active_clusters", "/cluster"),
        "ListenersConfigDump" => ("dynamic_listeners", "/active_state/listener"),
        _ => ("dynamic_route_configs", "/route_config"),
    };
    let mut all = config[list].as_array().unwrap().iter();
    let found = all.find_map(|it| {
        let resource = it.pointer(path)?;
        (resource["name"] == name).then(|| resource.clone())
    });
    found.unwrap_or_else(|| panic!("no {name} in {config:#}"))
}
