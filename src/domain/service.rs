//! What callers call: where its instances come from, how they are checked, and how they drain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Address, AliasName, BadName, Instance, Locality, Overlay, Rollout, Rps, ServiceName, Sessions,
    Span, VersionName,
};

/// A service as its document declares it, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name; the cluster of a version is called `<service>/<version>`.
    pub name: ServiceName,
    /// What house rules may know it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where instances come from.
    pub source: InstanceSource,
    /// Labels that an instance must carry to belong here.
    pub matches: BTreeMap<String, String>,
    /// Which label of an instance names its version.
    pub version_label: VersionLabel,
    /// What the instances speak.
    pub protocol: Protocol,
    /// How an instance proves that it is alive, to Tidegate and to each Envoy.
    pub health: HealthCheck,
    /// What one instance carries; `None` counts all instances as equal.
    pub capacity: Option<Rps>,
    /// What one instance carries is taken from what it has been seen to carry.
    #[serde(default)]
    pub measured: bool,
    /// An instance must be healthy this long before it gets traffic.
    pub min_ready: Span,
    /// So many instances serve in each zone before a rolling replacement takes one there; zero for no such floor.
    #[serde(default, skip_serializing_if = "no_floor")]
    pub min_per_zone: u32,
    /// How long Envoy ramps a new instance up; zero for at once.
    pub warm_up: Span,
    /// How its sessions are kept; `None` where each request goes by the shares alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// How an instance is taken out.
    pub drain: Drain,
    /// How proxies are told its endpoints.
    #[serde(default, skip_serializing_if = "Delivery::is_together")]
    pub delivery: Delivery,
    /// Who is believed to be a host that is spoken to by TLS.
    #[serde(default)]
    pub tls: UpstreamTls,
    /// The user's own Envoy settings, merged into its generated clusters and routes.
    pub overlay: Option<Overlay>,
    /// The version that it is to run, and how it gets there: a rollout that begins whenever a document
    /// names another version. Its name gets a number where it has run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<Rollout>>,
    /// The version that answers at first; whichever is ready first, unless its document says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<VersionName>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn no_floor(instances: &u32) -> bool {
    *instances == 0
}

impl Service {
    /// The version that its document says it is to run, if it says so.
    pub fn runs(&self) -> Option<&VersionName> {
        self.run.as_ref().map(|run| &run.to)
    }

    /// The instances that its document lists. What is no good as a name was refused there.
    pub fn listed(&self) -> Vec<Instance> {
        let InstanceSource::Listed { versions } = &self.source else {
            return Vec::new();
        };
        let all = versions.iter().flat_map(|(version, addresses)| {
            let of_version = move |address| (version, address);
            addresses.iter().map(of_version)
        });
        let instances = all.filter_map(|(version, address)| {
            Some(Instance {
                id: address.as_id().parse().ok()?,
                address: address.clone(),
                version: version.clone(),
                locality: Locality::default(),
                capacity: None,
                lease: None,
                labels: BTreeMap::new(),
            })
        });
        instances.collect()
    }

    /// The same service under a name of its own, with weights of its own, which begins with this version.
    ///
    /// # Errors
    /// Where both names together are too long for one.
    pub fn under(&self, alias: &AliasName, first: VersionName) -> Result<Self, BadName> {
        Ok(Self {
            name: self.name.with(alias)?,
            run: None,
            first: Some(first),
            ..self.clone()
        })
    }
}

/// Who is believed to be a host that is spoken to by TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// A PEM file of certificate authorities, on the machine of each proxy and on Tidegate's own.
    pub ca: String,
}

impl UpstreamTls {
    /// Where Debian, Ubuntu, Alpine and their containers keep the authorities that everybody believes.
    pub const SYSTEM_CA: &'static str = "/etc/ssl/certs/ca-certificates.crt";
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            ca: Self::SYSTEM_CA.to_owned(),
        }
    }
}

/// How proxies are told a service's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    /// Each by itself where a proxy can take that, so that news of one costs the same however many
    /// there are.
    OneByOne,
    /// All of a version's at once.
    #[default]
    Together,
}

impl Delivery {
    /// Is it the default?
    pub fn is_together(&self) -> bool {
        *self == Self::Together
    }
}

/// Where a service's instances come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceSource {
    /// Leases, kept alive by whoever starts the instances.
    Api,
    /// A watched file that lists them; relative to the documents' directory.
    File {
        /// The file's path.
        path: String,
    },
    /// The document itself.
    Listed {
        /// Where the instances of each version answer.
        versions: BTreeMap<VersionName, Vec<Address>>,
    },
}

/// The label of an instance that names its version; `version` unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionLabel(pub String);

/// What the instances speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC, which is HTTP/2.
    Grpc,
    /// Bytes, by TCP proxy.
    Tcp,
}

/// How health is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// How often.
    pub interval: Span,
    /// How long an answer may take.
    pub timeout: Span,
    /// So many good answers in a row make an instance healthy.
    pub healthy_after: u32,
    /// So many bad answers in a row make it unhealthy.
    pub unhealthy_after: u32,
}

/// The question of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// `grpc.health.v1.Health/Check` answers SERVING.
    Grpc {
        /// The service asked about; empty for the whole server.
        service: String,
    },
    /// `GET` answers 200.
    Http {
        /// The path asked for.
        path: String,
    },
    /// A connection is accepted.
    Tcp,
}

/// How an instance is taken out of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// After this long an instance is released without proof, and the record says so.
    pub at_most: Span,
    /// What to do about proxies that are not connected and so can prove nothing.
    pub lost_proxies: LostProxies,
}

/// The policy for proxies that went away while a step needs their word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostProxies {
    /// Wait this long for a proxy to come back.
    pub wait: Span,
    /// And then?
    pub then: ThenDo,
}

/// What follows when a lost proxy stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThenDo {
    /// Go on without its word; what it could not prove is recorded as unproven.
    Ignore,
    /// Hold the rollout until the proxy is back or an operator decides.
    Pause,
}
