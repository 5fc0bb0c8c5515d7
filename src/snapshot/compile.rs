//! From a plan to its snapshot: lint, encode each resource once, share it between audiences.

mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::lint::{LintError, lint};
use super::overlay::OverlayError;
use super::secret::{SecretUsers, add_users, asked_by, asked_by_gateway};
use super::{Audience, ByName, Resource, ResourceKind, ResourceSet, Snapshot};
use crate::domain::{
    Client, Gateway, GatewayName, Generation, OverlayPart, Plan, ServiceName, ServicePlan,
};

use resources::{gateway_resources, service_resources};

/// Why a plan has no snapshot. Nothing may be published then; the last snapshot stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The plan contradicts itself.
    #[error("generation {generation} may not be published")]
    Lint {
        /// The plan's number.
        generation: Generation,
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
    /// All secrets that there are; each is told only to those whose settings ask for it.
    secrets: Arc<ByName>,
}

type Entry = (ResourceKind, Arc<Resource>);
type Resources = Vec<Entry>;

/// What each kind of client is told; one that is missing is told nothing.
type Flavours = BTreeMap<Client, Resources>;

#[derive(Debug)]
struct CompiledService {
    plan: ServicePlan,
    resources: Flavours,
    /// The secrets that its settings ask for.
    asks: BTreeSet<String>,
}

#[derive(Debug)]
struct CompiledGateway {
    gateway: Gateway,
    /// Its listeners and their routes, which Envoys of both kinds are told.
    own: Resources,
    resources: BTreeMap<Client, Arc<ResourceSet>>,
    /// The secrets that its settings ask for.
    asks: BTreeSet<String>,
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
                    asks: match before {
                        Some(before) if before.plan.overlay == service.overlay => {
                            before.asks.clone()
                        }
                        _ => asked_by(service.overlay.as_ref()),
                    },
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
        Ok(self.publish(generation))
    }

    /// The snapshot of the last plan with these secrets.
    pub fn with_secrets(&mut self, secrets: Arc<ByName>) -> Snapshot {
        self.secrets = secrets;
        self.publish(self.last.generation)
    }

    /// Who asks for which secret, as of the last plan.
    pub fn secret_users(&self) -> SecretUsers {
        let mut users = SecretUsers::new();
        for (name, gateway) in &self.gateways {
            add_users(&mut users, &gateway.asks, || format!("gateway {name}"));
        }
        for (name, service) in &self.services {
            add_users(&mut users, &service.asks, || format!("service {name}"));
        }
        users
    }

    fn publish(&mut self, generation: Generation) -> Snapshot {
        let (services, secrets) = (&self.services, &self.secrets);
        let audience = |gateway: &mut CompiledGateway| {
            gateway.tell_secrets(generation, services, secrets);
            Audience {
                selector: gateway.gateway.proxies.clone(),
                resources: gateway.resources.clone(),
            }
        };
        let audiences = self.gateways.values_mut().map(audience).collect();
        self.last = self.last.followed_by(generation, audiences);
        self.last.clone()
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
            asks: asked_by_gateway(gateway),
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
            asks: self.asks.clone(),
        })
    }

    /// Gives its proxies the secrets that what they are told asks for, and takes away all others. gRPC
    /// clients are told no settings, and so no secrets.
    fn tell_secrets(
        &mut self,
        generation: Generation,
        services: &BTreeMap<ServiceName, CompiledService>,
        secrets: &ByName,
    ) {
        let reachable = self.gateway.reachable().into_iter();
        let by_services = reachable.filter_map(|name| services.get(name));
        let asked = by_services.flat_map(|service| &service.asks);
        let asked = asked.chain(&self.asks).filter_map(|name| {
            let secret = secrets.get(name.as_str())?;
            Some((ResourceKind::Secret, Arc::clone(secret)))
        });
        let now: Resources = asked.collect();
        for (client, set) in &mut self.resources {
            if *client == Client::Grpc {
                continue;
            }
            let told = set.of(ResourceKind::Secret).values();
            let told = told.map(|secret| (ResourceKind::Secret, Arc::clone(secret)));
            let before: Resources = told.collect();
            let is_told = |(_, secret): &Entry| {
                let told = set.of(ResourceKind::Secret).get(&secret.name);
                told.is_some_and(|told| told.version == secret.version)
            };
            let names: BTreeSet<_> = now.iter().map(|(_, secret)| &secret.name).collect();
            if before.len() == names.len() && now.iter().all(is_told) {
                continue;
            }
            let mut next = set.next(generation);
            replace(&mut next, &before, &now);
            *set = Arc::new(next);
        }
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
