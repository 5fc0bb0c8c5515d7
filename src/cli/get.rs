//! `tidegate get`: the documents, and with `--envoy` what they have become for one proxy.

use super::Context;
use super::client::encoded;
use super::failure::Failure;
use super::output::yaml;
use super::render;
use crate::api::SentView;
use crate::domain::{Kind, ProxyId};
use crate::runtime::DocumentsView;

/// The documents in force, and where they stand; or what a proxy was sent
#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// Only those of this kind: gate, gateway, policy, rollout or service
    #[arg(value_enum, hide_possible_values = true)]
    kind: Option<DocumentKind>,
    /// Only this one, as it was written
    name: Option<String>,
    /// What this proxy was sent, as Envoy's own configuration, and how far it got
    #[arg(long, value_name = "PROXY", conflicts_with_all = ["kind", "name"])]
    envoy: Option<ProxyId>,
    /// With `--envoy`: only this type, such as cluster, endpoint, listener or route
    #[arg(long = "type", value_name = "TYPE", requires = "envoy")]
    of_type: Option<String>,
    /// With `--envoy`: only the resource of this name, in full
    #[arg(
        long = "name",
        value_name = "NAME",
        requires = "envoy",
        id = "resource"
    )]
    resource: Option<String>,
}

/// A kind of document, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DocumentKind {
    /// What "no worse" means
    #[value(name = "gate", alias = "gates", alias = "Gate")]
    Gate,
    /// Listeners and routes for some proxies
    #[value(name = "gateway", alias = "gateways", alias = "Gateway")]
    Gateway,
    /// House rules
    #[value(name = "policy", alias = "policies", alias = "Policy")]
    Policy,
    /// One change
    #[value(name = "rollout", alias = "rollouts", alias = "Rollout")]
    Rollout,
    /// What callers call
    #[value(name = "service", alias = "services", alias = "Service")]
    Service,
}

impl DocumentKind {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Gate => Kind::Gate,
            Self::Gateway => Kind::Gateway,
            Self::Policy => Kind::Policy,
            Self::Rollout => Kind::Rollout,
            Self::Service => Kind::Service,
        }
    }
}

impl Get {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(proxy) = &self.envoy {
            return self.sent(proxy, context).await;
        }
        let client = context.client()?;
        let mut all: DocumentsView = client.get("/v1/documents").await?;
        all.documents.retain(|document| {
            self.kind.is_none_or(|kind| kind.kind() == document.kind)
                && self.name.as_ref().is_none_or(|n| *n == document.name)
        });
        let output = &context.output;
        if let Some(name) = &self.name {
            if all.documents.is_empty() {
                let kind = self
                    .kind
                    .map_or_else(|| "document".to_owned(), |kind| kind.kind().to_string());
                return Err(Failure::News {
                    what: format!("there is no {kind} `{name}`"),
                    hint: "`tidegate get` lists them".to_owned(),
                });
            }
            output.show(&all.documents, |documents| {
                let texts: Vec<&str> = documents.iter().map(|d| d.yaml.trim_end()).collect();
                texts.join("\n---\n")
            })?;
        } else {
            let view = client.view().await?;
            let look = output.look();
            output.show(&all, |all| render::documents(&all.documents, &view, look))?;
        }
        for warning in &all.warnings {
            output.note(&format!("warning: {warning}"));
        }
        if !all.refused.is_empty() {
            output.note(
                "the newest change of the documents is refused; the last good set is in force:",
            );
            for line in &all.refused {
                output.note(&format!("  {line}"));
            }
        }
        Ok(())
    }

    async fn sent(&self, proxy: &ProxyId, context: &Context) -> Result<(), Failure> {
        let mut path = format!("/v1/proxies/{}/envoy", encoded(proxy.as_str()));
        let asked = [("type", &self.of_type), ("name", &self.resource)];
        let asked = asked.iter().filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some(format!("{key}={}", encoded(value)))
        });
        let query: Vec<_> = asked.collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let view: SentView = context.client()?.get(&path).await?;
        let resources = view.streams.iter().flat_map(|stream| &stream.resources);
        if let (0, Some(name)) = (resources.clone().count(), &self.resource) {
            return Err(Failure::News {
                what: format!("{proxy} has not asked for `{name}`, and was not sent it"),
                hint: format!("`tidegate get --envoy {proxy}` lists what it was sent"),
            });
        }
        let mut full = String::new();
        for resource in resources.filter(|_| self.resource.is_some()) {
            if let Some(json) = &resource.resource {
                full = format!("{full}---\n{}", yaml(json)?);
            }
        }
        let output = &context.output;
        output.show(&view, |view| {
            let table = render::sent(view, output.look());
            format!("{}\n{full}", table.trim_end())
        })
    }
}
