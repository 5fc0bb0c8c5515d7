//! From a plan to its snapshot: lint, encode each resource once, share it between audiences.

mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lint::{LintError, lint};
use super::overlay::OverlayError;
use super::{Audience, Resource, ResourceKind, ResourceSet, Snapshot};
use crate::domain::{Client, Gateway, GatewayName, OverlayPart, Plan, ServiceName, ServicePlan};

use resources::{gateway_resources, service_resources};

/// Why a plan has no snapshot. Nothing may be published then; the last snapshot stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The plan contradicts itself.
    #[error("generation {generation} may not be published")]
    Lint {
        /// The plan's number.
        generation: crate::domain::Generation,
        /// What is wrong with it.
        source: LintError,
    },
    /// Settings of a gateway or a service do not fit.
    #[error("the Envoy settings of {object} do not fit")]
    Overlay {
        /// Whose they are.
        object: String,
        /// Why not.
        source: OverlayError,
    },
}

/// The snapshot of a plan: one audience per gateway.
pub fn compile(plan: &Plan) -> Result<Snapshot, CompileError> {
    Compiler::default().compile(plan)
}

/// Compiles plan after plan. What did not change since the last one is not encoded again, and each
/// set grows out of the one before, so that streams look only at what changed.
#[derive(Debug, Default)]
pub struct Compiler {
    last: Snapshot,
    services: BTreeMap<ServiceName, CompiledService>,
    gateways: BTreeMap<GatewayName, CompiledGateway>,
}

type Entry = (ResourceKind, Arc<Resource>);
type Resources = Vec<Entry>;

/// What each kind of client is told; one that is missing is told nothing.
type Flavours = BTreeMap<Client, Resources>;

#[derive(Debug)]
struct CompiledService {
    plan: ServicePlan,
    resources: Flavours,
}

#[derive(Debug)]
struct CompiledGateway {
    gateway: Gateway,
    /// Its listeners and their routes, which Envoys of both kinds are told.
    own: Resources,
    resources: BTreeMap<Client, Arc<ResourceSet>>,
}

/// What is new of a service, and what was there before.
struct Changed<'a> {
    now: CompiledService,
    before: Option<&'a CompiledService>,
}

impl Changed<'_> {
    /// Does it change what listeners or their routes say?
    fn is_routed_anew(&self) -> bool {
        let said = |plan: &ServicePlan| {
            let versions = plan.versions.iter();
            let versions = versions.map(|v| (v.name.clone(), v.routed, v.weight));
            let settings = plan.overlay.as_ref();
            let settings = settings.and_then(|overlay| overlay.part(OverlayPart::Route));
            (
                plan.protocol,
                settings.map(str::to_owned),
                versions.collect::<Vec<_>>(),
            )
        };
        self.before
            .is_none_or(|before| said(&before.plan) != said(&self.now.plan))
    }
}

impl Compiler {
    /// The snapshot of the next plan. After an error it stands where it stood.
    pub fn compile(&mut self, plan: &Plan) -> Result<Snapshot, CompileError> {
        let generation = plan.generation;
        lint(plan).map_err(|source| CompileError::Lint { generation, source })?;

        let mut changed = BTreeMap::new();
        for service in &plan.services {
            let before = self.services.get(&service.name);
            if before.is_none_or(|before| before.plan != *service) {
                let now = CompiledService {
                    plan: service.clone(),
                    resources: service_resources(plan, service)?,
                };
                changed.insert(service.name.clone(), Changed { now, before });
            }
        }
        let gateways = plan.gateways.iter().map(|gateway| {
            let before = self.gateways.get(&gateway.name);
            let same = before.filter(|before| before.gateway == *gateway);
            let compiled = match same {
                Some(before) => before.next(plan, &changed),
                None => self.gateway(plan, gateway, before, &changed),
            };
            Ok::<_, CompileError>((gateway.name.clone(), compiled?))
        });
        let gateways: BTreeMap<_, _> = gateways.collect::<Result<_, _>>()?;

        let changed: Vec<_> = changed.into_iter().map(|(name, c)| (name, c.now)).collect();
        self.services.extend(changed);
        self.services.retain(|name, _| plan.service(name).is_some());
        self.gateways = gateways;
        let audience = |gateway: &Gateway| Audience {
            selector: gateway.proxies.clone(),
            resources: self.gateways[&gateway.name].resources.clone(),
        };
        let audiences = plan.gateways.iter().map(audience).collect();
        self.last = self.last.followed_by(generation, audiences);
        Ok(self.last.clone())
    }

    /// A gateway that is new, or that reaches other services than before.
    fn gateway(
        &self,
        plan: &Plan,
        gateway: &Gateway,
        before: Option<&CompiledGateway>,
        changed: &BTreeMap<ServiceName, Changed<'_>>,
    ) -> Result<CompiledGateway, CompileError> {
        let own = gateway_resources(plan, gateway)?;
        let of = |name: &ServiceName| {
            let now = changed.get(name).map(|changed| &changed.now);
            now.or_else(|| self.services.get(name))
        };
        let services: Vec<_> = gateway.reachable().into_iter().filter_map(of).collect();
        let flavour = |client| {
            let services = services.iter();
            let services = services.filter_map(|service| service.resources.get(&client));
            let own: &[Entry] = if client == Client::Grpc { &[] } else { &own };
            let before = before.and_then(|before| before.resources.get(&client));
            let mut set = match before {
                Some(before) => before.next(plan.generation),
                None => ResourceSet::new(plan.generation),
            };
            set.replace_all(services.flatten().chain(own).cloned());
            (client, Arc::new(set))
        };
        Ok(CompiledGateway {
            gateway: gateway.clone(),
            resources: Client::ALL.map(flavour).into(),
            own,
        })
    }
}

impl CompiledGateway {
    /// The same gateway, after some of the services changed.
    fn next(
        &self,
        plan: &Plan,
        changed: &BTreeMap<ServiceName, Changed<'_>>,
    ) -> Result<Self, CompileError> {
        let reachable = self.gateway.reachable();
        let changed = changed.iter().filter(|(name, _)| reachable.contains(name));
        let changed: Vec<_> = changed.map(|(_, changed)| changed).collect();
        let own = if changed.iter().any(|changed| changed.is_routed_anew()) {
            gateway_resources(plan, &self.gateway)?
        } else {
            self.own.clone()
        };
        let flavour = |(client, before): (&Client, &Arc<ResourceSet>)| {
            let mut set = before.next(plan.generation);
            for changed in &changed {
                let of = |service: &CompiledService| service.resources.get(client).cloned();
                let gone = changed.before.and_then(of).unwrap_or_default();
                replace(&mut set, &gone, &of(&changed.now).unwrap_or_default());
            }
            if *client != Client::Grpc {
                replace(&mut set, &self.own, &own);
            }
            (*client, Arc::new(set))
        };
        Ok(Self {
            gateway: self.gateway.clone(),
            resources: self.resources.iter().map(flavour).collect(),
            own,
        })
    }
}

/// Takes `before` out of the set, and `now` in.
fn replace(set: &mut ResourceSet, before: &[Entry], now: &[Entry]) {
    let is_kept = |kind, name: &Arc<str>| {
        let mut kept = now.iter();
        kept.any(|(other, resource)| *other == kind && resource.name == *name)
    };
    for (kind, resource) in before {
        if !is_kept(*kind, &resource.name) {
            set.remove(*kind, &resource.name);
        }
    }
    for (kind, resource) in now {
        set.insert(*kind, Arc::clone(resource));
    }
}

#[cfg(test)]
mod tests;
