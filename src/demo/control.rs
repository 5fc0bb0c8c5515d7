//! The control plane as a child process, and the calls that the demo makes to it.
//!
//! It can be killed with -9 and started again on the same ports and data. Its documents come only
//! through the API, so what holds after a crash is what it had stored.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use rand::rngs::StdRng;
use tokio::process::Command;

use super::DemoError;
use super::child::{Child, Output};
use super::clock::now;
use super::documents::Documents;
use super::http::Http;
use super::port::free_address;
use super::view::View;

/// The control plane; perhaps dead at the moment.
#[derive(Debug)]
pub(super) struct Control {
    program: PathBuf,
    directory: PathBuf,
    xds: SocketAddr,
    api: SocketAddr,
    http: Http,
    child: Option<Child>,
}

impl Control {
    /// Picks its ports and starts it, with its data and its log under `directory`.
    pub(super) async fn start(
        program: &Path,
        directory: &Path,
        rng: &mut StdRng,
    ) -> Result<Self, DemoError> {
        let xds = free_address(rng)?;
        let mut api = free_address(rng)?;
        while api == xds {
            api = free_address(rng)?;
        }
        let mut control = Self {
            program: program.to_owned(),
            directory: directory.to_owned(),
            xds,
            api,
            http: Http::new(),
            child: None,
        };
        control.run().await?;
        Ok(control)
    }

    /// Starts the process and waits until it answers. It answers proxies later, once it knows what to tell.
    pub(super) async fn run(&mut self) -> Result<(), DemoError> {
        let mut command = Command::new(&self.program);
        command
            .arg("serve")
            .args(["--listen-xds", &self.xds.to_string()])
            .args(["--listen-api", &self.api.to_string()])
            .arg("--data")
            .arg(self.directory.join("data"))
            .arg("--exit-with-stdin")
            .kill_on_drop(true);
        let log = self.directory.join("control-plane.log");
        let mut child = Child::start("the control plane", &mut command, &log, Output::Log)?;
        let deadline = now() + READY_MAX;
        loop {
            child.check()?;
            let Err(error) = self.http.get(&self.url("/healthz")).await else {
                self.child = Some(child);
                return Ok(());
            };
            if now() > deadline {
                return Err(DemoError::TimedOut {
                    what: "the control plane to answer".to_owned(),
                    seconds: READY_MAX.as_secs(),
                    because: format!(": {error}"),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it with -9.
    pub(super) async fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            child.kill().await;
        }
    }

    /// Tells it to end, and waits for that.
    pub(super) async fn end(&mut self) {
        if let Some(child) = self.child.take() {
            child.end().await;
        }
    }

    /// Where proxies connect to.
    pub(super) const fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Where its API answers.
    pub(super) const fn api(&self) -> SocketAddr {
        self.api
    }

    /// Everything that it knows.
    pub(super) async fn state(&self) -> Result<View, DemoError> {
        let body = self.http.get(&self.url("/v1/state")).await?;
        serde_json::from_slice(&body).map_err(|error| DemoError::Api {
            call: "GET /v1/state".to_owned(),
            detail: error.to_string(),
        })
    }

    /// Puts a whole set of documents in force.
    pub(super) async fn apply(&self, documents: &Documents) -> Result<(), DemoError> {
        let url = self.url("/v1/documents");
        self.http
            .call(Method::POST, &url, "application/yaml", documents.text())
            .await?;
        Ok(())
    }

    /// Says that a rollout may go on.
    pub(super) async fn resume(&self, rollout: &str) -> Result<(), DemoError> {
        let url = self.url(&format!("/v1/rollouts/{rollout}/resume"));
        let why = serde_json::json!({ "reason": "looked at" });
        self.http
            .call(Method::POST, &url, "application/json", why.to_string())
            .await?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }
}

/// The lease of one instance at the control plane's API.
#[derive(Clone, Debug)]
pub(super) struct LeaseApi {
    http: Http,
    base: String,
}

impl LeaseApi {
    /// For the instances of `service`.
    pub(super) fn new(api: SocketAddr, service: &str) -> Self {
        Self {
            http: Http::new(),
            base: format!("http://{api}/v1/instances/{service}"),
        }
    }

    /// Takes or renews a lease.
    pub(super) async fn put(
        &self,
        id: &str,
        address: SocketAddr,
        version: &str,
        zone: &str,
    ) -> Result<(), DemoError> {
        let lease = serde_json::json!({
            "address": address.to_string(), "version": version, "zone": zone, "ttl": "10s",
        });
        let url = format!("{}/{id}", self.base);
        self.http
            .call(Method::PUT, &url, "application/json", lease.to_string())
            .await?;
        Ok(())
    }

    /// Gives a lease up.
    pub(super) async fn delete(&self, id: &str) -> Result<(), DemoError> {
        let url = format!("{}/{id}", self.base);
        self.http
            .call(Method::DELETE, &url, "", Bytes::new())
            .await?;
        Ok(())
    }
}

/// How long the control plane may take to open its store and to be ready.
const READY_MAX: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(30);
