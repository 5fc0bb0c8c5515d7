//! From a plan to its snapshot: lint, encode each resource once, share it between audiences.

mod resources;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::collection::Member;
use super::lint::{LintError, lint};
use super::overlay::OverlayError;
use super::secret::{SecretUsers, add_users, asked_by_gateway};
use super::{Audience, ByName, Dialect, Resource, ResourceKind, ResourceSet, Snapshot};
use crate::domain::{
    Client, Delivery, Gateway, GatewayName, Generation, OverlayPart, Plan, ServiceName,
    ServicePlan, VersionName,
};

use resources::{compiled_service, gateway_resources};

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

/// What is told in each way of saying it. A client that is missing is told nothing.
type Flavours = BTreeMap<Dialect, Resources>;

#[derive(Debug)]
struct CompiledService {
    plan: ServicePlan,
    resources: Flavours,
    /// The secrets that its settings ask for.
    asks: BTreeSet<String>,
    /// Its endpoints one by one, where they are delivered so.
    members: BTreeMap<VersionName, Vec<Arc<Member>>>,
}

impl CompiledService {
    /// What is told of it in these words, or in plain ones where there is no difference.
    fn in_words(&self, dialect: Dialect) -> &[Entry] {
        let own = self.resources.get(&dialect);
        let plain = Dialect::plain(dialect.client);
        let found = own.or_else(|| self.resources.get(&plain));
        found.map_or(&[], Vec::as_slice)
    }
}

#[derive(Debug)]
struct CompiledGateway {
    gateway: Gateway,
    /// Its listeners and their routes, which Envoys of both kinds are told.
    own: Resources,
    resources: BTreeMap<Dialect, Arc<ResourceSet>>,
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
            let versions = versions.map(|v| {
                let host = v.host.as_ref().map(|named| named.host.clone());
                (v.name.clone(), v.routed, v.weight, v.mirrored, host)
            });
            let settings = plan.overlay.as_ref();
            let settings = settings.and_then(|overlay| overlay.part(OverlayPart::Route));
            (
                plan.protocol,
                plan.sessions.clone(),
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
                let now = compiled_service(plan, service, before)?;
                changed.insert(service.name.clone(), Changed { now, before });
            }
        }
        let gateways = plan.gateways.iter().map(|gateway| {
            let before = self.gateways.get(&gateway.name);
            let words = dialects(plan, gateway);
            let is_same = |before: &&CompiledGateway| {
                before.gateway == *gateway && before.resources.keys().copied().eq(words.clone())
            };
            let same = before.filter(is_same);
            let compiled = match same {
                Some(before) => before.next(plan, &changed),
                None => self.gateway(plan, gateway, words.clone(), before, &changed),
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
        words: impl Iterator<Item = Dialect>,
        before: Option<&CompiledGateway>,
        changed: &BTreeMap<ServiceName, Changed<'_>>,
    ) -> Result<CompiledGateway, CompileError> {
        let own = gateway_resources(plan, gateway)?;
        let of = |name: &ServiceName| {
            let now = changed.get(name).map(|changed| &changed.now);
            now.or_else(|| self.services.get(name))
        };
        let services: Vec<_> = gateway.reachable().into_iter().filter_map(of).collect();
        let flavour = |words: Dialect| {
            let services = services.iter().map(|service| service.in_words(words));
            let own: &[Entry] = if words.client == Client::Grpc {
                &[]
            } else {
                &own
            };
            let before = before.and_then(|before| before.resources.get(&words));
            let mut set = match before {
                Some(before) => before.next(plan.generation),
                None => ResourceSet::new(plan.generation),
            };
            set.replace_all(services.flatten().chain(own).cloned());
            (words, Arc::new(set))
        };
        Ok(CompiledGateway {
            gateway: gateway.clone(),
            resources: words.map(flavour).collect(),
            own,
            asks: asked_by_gateway(gateway),
        })
    }
}

/// All the ways in which what a gateway's proxies see must be said.
fn dialects(plan: &Plan, gateway: &Gateway) -> impl Iterator<Item = Dialect> + Clone {
    let reachable = gateway.reachable().into_iter();
    let is_one_by_one = |service: &ServicePlan| service.delivery == Delivery::OneByOne;
    let mut services = reachable.filter_map(|name| plan.service(name));
    let has_one_by_one = services.any(is_one_by_one);
    let deliveries = [Delivery::OneByOne, Delivery::Together].into_iter();
    let deliveries = deliveries.filter(move |it| it.is_together() || has_one_by_one);
    let of = move |client| {
        deliveries
            .clone()
            .map(move |delivery| Dialect { client, delivery })
    };
    Client::ALL.into_iter().flat_map(of)
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
        let flavour = |(words, before): (&Dialect, &Arc<ResourceSet>)| {
            let mut set = before.next(plan.generation);
            for changed in &changed {
                let gone = changed.before.map(|before| before.in_words(*words));
                let now = changed.now.in_words(*words);
                replace(&mut set, gone.unwrap_or_default(), now);
            }
            if words.client != Client::Grpc {
                replace(&mut set, &self.own, &own);
            }
            (*words, Arc::new(set))
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
        for (words, set) in &mut self.resources {
            if words.client == Client::Grpc {
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

/// Takes `before` out of the set, and `now` in. Resources that are in both are not looked at.
fn replace(set: &mut ResourceSet, before: &[Entry], now: &[Entry]) {
    let all = |entries: &[Entry]| -> HashSet<*const Resource> {
        entries.iter().map(|(_, it)| Arc::as_ptr(it)).collect()
    };
    let (were, are) = (all(before), all(now));
    let new = now
        .iter()
        .filter(|(_, it)| !were.contains(&Arc::as_ptr(it)));
    let gone = before.iter();
    let gone = gone.filter(|(_, it)| !are.contains(&Arc::as_ptr(it)));
    let names = new.clone().map(|(kind, it)| (*kind, &it.name));
    let names: BTreeSet<_> = names.collect();
    for (kind, resource) in gone {
        if !names.contains(&(*kind, &resource.name)) {
            set.remove(*kind, &resource.name);
        }
    }
    for (kind, resource) in new {
        set.insert(*kind, Arc::clone(resource));
    }
}

#[cfg(test)]
mod tests;
