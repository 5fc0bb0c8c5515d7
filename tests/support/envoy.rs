//! A real Envoy, started from one of the files in `envoy-configs/`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::certificates::relocated;
use super::http;
use super::process::Process;
use super::tools;
use super::wait::{SOON, eventually};

/// A running Envoy.
#[derive(Debug)]
pub(crate) struct Envoy {
    id: String,
    process: Process,
    admin: PathBuf,
}

impl Envoy {
    /// Starts one as `id`, from `envoy-configs/<file>` with nothing replaced but its ports, its id
    /// and where its certificates are.
    pub(crate) fn start(file: &str, id: &str, xds: SocketAddr, directory: &Path) -> Self {
        let path = tools::repository().join("envoy-configs").join(file);
        let text = fs_err::read_to_string(path).unwrap();
        let written_id = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("id: \"")?.strip_suffix('"'))
            .unwrap();
        let text = text
            .replace(written_id, id)
            .replace("port_value: 9901", "port_value: 0")
            .replace("port_value: 10000", "port_value: 0")
            .replace("port_value: 18000", &format!("port_value: {}", xds.port()));
        let text = relocated(&text, &directory.join(format!("{id}-tls")));
        let config = directory.join(format!("{id}.yaml"));
        fs_err::write(&config, text).unwrap();

        let admin = directory.join(format!("{id}.admin"));
        let _ = fs_err::remove_file(&admin);
        let (config_path, admin_path) = (config.to_str().unwrap(), admin.to_str().unwrap());
        let args = [
            "--config-path",
            config_path,
            "--admin-address-path",
            admin_path,
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warn",
        ];
        let envoy = tools::envoy().unwrap_or_else(|why| panic!("{why}"));
        let process = Process::start_kept(id, &envoy, &args, directory).with_config(config);
        let mut envoy = Self {
            id: id.to_owned(),
            process,
            admin,
        };
        eventually(SOON, &format!("the admin page of {id}"), || {
            envoy.process.check();
            envoy.page("/server_info")
        });
        envoy
    }

    /// Its node id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Where its admin page is.
    pub(crate) fn admin(&self) -> Result<SocketAddr, String> {
        let text = fs_err::read_to_string(&self.admin).map_err(|error| error.to_string())?;
        let address = text.trim();
        address
            .parse()
            .map_err(|error| format!("{address}: {error}"))
    }

    /// Kills it with -9.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until a listener takes connections, and says where.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        eventually(SOON, &format!("the listener {name} of {}", self.id), || {
            // A listener of the bootstrap has its port long before it takes connections.
            self.page("/ready")?;
            let page: Value = parsed(&self.page("/listeners?format=json")?)?;
            let listeners = page["listener_statuses"].as_array().cloned();
            let found = listeners.unwrap_or_default().into_iter().find_map(|it| {
                let socket = &it["local_address"]["socket_address"];
                let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
                (it["name"] == name && port > 0).then_some(port)
            });
            let port = found.ok_or_else(|| page.to_string())?;
            Ok::<_, String>(SocketAddr::from(([127, 0, 0, 1], port)))
        })
    }

    /// `LIVE`, `PRE_INITIALIZING`, …
    pub(crate) fn state(&self) -> String {
        let page: Value = parsed(&self.page("/server_info").unwrap()).unwrap();
        page["state"].as_str().unwrap_or_default().to_owned()
    }

    /// Counters and gauges.
    pub(crate) fn stats(&self) -> Stats {
        let page: Value = parsed(&self.page("/stats?format=json").unwrap()).unwrap();
        let stats = page["stats"].as_array().cloned().unwrap_or_default();
        let numbers = stats.into_iter().filter_map(|stat| {
            let name = stat["name"].as_str()?.to_owned();
            Some((name, stat["value"].as_u64()?))
        });
        Stats(numbers.collect())
    }

    /// The hosts of a cluster, by name, with all that stands against new requests to them.
    pub(crate) fn hosts(&self, cluster: &str) -> BTreeMap<String, Value> {
        let page: Value = parsed(&self.page("/clusters?format=json").unwrap()).unwrap();
        let clusters = page["cluster_statuses"].as_array().cloned();
        let mut clusters = clusters.unwrap_or_default().into_iter();
        let found = clusters.find(|it| it["name"] == cluster);
        let hosts = found.and_then(|it| it["host_statuses"].as_array().cloned());
        let host = |it: Value| {
            let name = it["hostname"].as_str().unwrap_or_default().to_owned();
            (name, it["health_status"].clone())
        };
        hosts.unwrap_or_default().into_iter().map(host).collect()
    }

    /// Everything that it was told, in its own words.
    pub(crate) fn config_dump(&self) -> Value {
        parsed(&self.page("/config_dump?include_eds").unwrap()).unwrap()
    }

    fn page(&self, path: &str) -> Result<String, String> {
        let answer = http::get(&format!("http://{}{path}", self.admin()?))?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(format!("{path}: {status} {}", answer.body)),
        }
    }
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// Counters and gauges by name.
#[derive(Clone, Debug)]
pub(crate) struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// One of them; 0 if it is not there, since Envoy makes many only when they first count.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Those whose names end in one of `endings`, and that are not 0.
    pub(crate) fn ending(&self, endings: &[&str]) -> BTreeMap<String, u64> {
        let wanted = |name: &str| endings.iter().any(|ending| name.ends_with(ending));
        let found = self.0.iter().filter(|(name, v)| **v > 0 && wanted(name));
        found.map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// No cluster, listener or route was ever given up on while it waited for what it needs (15 s
    /// each); and none is waiting now.
    pub(crate) fn assert_warm(&self) {
        let timeouts = self.ending(&["init_fetch_timeout"]);
        assert!(timeouts.is_empty(), "{timeouts:?}");
        let warming = ["warming_clusters", "total_listeners_warming"];
        let warming = self.ending(&warming);
        assert!(warming.is_empty(), "{warming:?}");
    }

    /// No request ever met a route without a cluster, or a cluster without a host.
    pub(crate) fn assert_no_request_stranded(&self) {
        let missing = self.ending(&[".no_cluster", ".no_route", "upstream_cx_none_healthy"]);
        assert!(missing.is_empty(), "{missing:?}");
    }

    /// Nothing was refused.
    pub(crate) fn assert_nothing_refused(&self) {
        let refused = self.ending(&["update_rejected"]);
        assert!(refused.is_empty(), "{refused:?}");
    }
}
