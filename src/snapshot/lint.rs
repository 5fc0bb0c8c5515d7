//! What must hold for a plan before anything is encoded: the last look at what a fleet is told.
//!
//! Envoy accepts much that loses requests, such as a weight on a cluster without endpoints, and
//! refuses whole responses for one bad resource. Neither may depend on who made the plan.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::domain::{
    Gateway, GatewayName, InstanceId, Listener, Plan, Probe, Protocol, ServiceName, ServicePlan,
    VersionName, VersionPlan, Weight,
};

/// A contradiction in a plan. Most are faults of the engine; those that a document can cause say
/// what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// Weights of endpoints that do not fit into Envoy's 32 bits.
    #[error(
        "the capacities of `{service}/{version}` sum to more than {}",
        u32::MAX
    )]
    CapacityTooLarge {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
    },
    /// Two things of one name, of which one would silently win.
    #[error("{what} `{name}` is there twice")]
    Duplicate {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A gRPC health check needs HTTP/2.
    #[error(
        "service `{service}` has a gRPC health check but speaks no HTTP/2; \
         set `protocol: grpc` or `http2`, or check by `http` or `tcp`"
    )]
    GrpcProbe {
        /// The service.
        service: ServiceName,
    },
    /// A TCP service shares a listener.
    #[error(
        "a listener of gateway `{gateway}` on port {port} has routes to the TCP service `{service}` \
         and to others; give the TCP service a listener of its own"
    )]
    MixedListener {
        /// The gateway.
        gateway: GatewayName,
        /// The listener's port.
        port: u16,
        /// The TCP service.
        service: ServiceName,
    },
    /// A version with traffic and nobody to take it: each such request would fail.
    #[error("`{service}/{version}` has a weight of {weight} but no healthy endpoint")]
    NoHealthyEndpoint {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// Its weight.
        weight: Weight,
    },
    /// A gateway names what the plan does not have.
    #[error("gateway `{gateway}` names the service `{service}`, which the plan does not have")]
    UnknownService {
        /// The gateway.
        gateway: GatewayName,
        /// The service.
        service: ServiceName,
    },
    /// Weights that are not a whole.
    #[error("the weights of service `{service}` sum to {sum}, not {}", Weight::ALL.get())]
    WeightSum {
        /// The service.
        service: ServiceName,
        /// What they sum to.
        sum: u32,
    },
    /// An endpoint that Envoy would refuse, with every other one of its response.
    #[error("instance `{instance}` of `{service}/{version}` has no capacity")]
    ZeroCapacity {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// The instance.
        instance: InstanceId,
    },
}

/// The first contradiction in a plan, if there is one.
pub(super) fn lint(plan: &Plan) -> Result<(), LintError> {
    unique("gateway", plan.gateways.iter().map(|gateway| &gateway.name))?;
    unique("service", plan.services.iter().map(|service| &service.name))?;
    plan.services.iter().try_for_each(lint_service)?;
    plan.gateways
        .iter()
        .try_for_each(|gateway| lint_gateway(plan, gateway))
}

fn lint_service(service: &ServicePlan) -> Result<(), LintError> {
    unique(
        "version",
        service
            .versions
            .iter()
            .map(|v| format!("{}/{}", service.name, v.name)),
    )?;
    let endpoints = service
        .versions
        .iter()
        .flat_map(|version| &version.endpoints);
    unique("instance", endpoints.map(|endpoint| &endpoint.id))?;

    let speaks_http2 = matches!(service.protocol, Protocol::Grpc | Protocol::Http2);
    if matches!(service.health.probe, Probe::Grpc { .. }) && !speaks_http2 {
        return Err(LintError::GrpcProbe {
            service: service.name.clone(),
        });
    }
    let sum = service
        .routed()
        .map(|version| u32::from(version.weight.get()))
        .sum();
    if service.routed().next().is_some() && sum != u32::from(Weight::ALL.get()) {
        return Err(LintError::WeightSum {
            service: service.name.clone(),
            sum,
        });
    }
    service
        .versions
        .iter()
        .try_for_each(|version| lint_version(service, version))
}

fn lint_version(service: &ServicePlan, version: &VersionPlan) -> Result<(), LintError> {
    let (service, weight) = (service.name.clone(), version.weight);
    let endpoints = &version.endpoints;
    let version_name = version.name.clone();
    if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.capacity == 0) {
        let instance = endpoint.id.clone();
        return Err(LintError::ZeroCapacity {
            service,
            version: version_name,
            instance,
        });
    }
    let capacity = endpoints
        .iter()
        .try_fold(0_u32, |sum, e| sum.checked_add(e.capacity));
    if capacity.is_none() {
        return Err(LintError::CapacityTooLarge {
            service,
            version: version_name,
        });
    }
    if version.routed && weight > Weight::NONE && !version.takes_requests() {
        return Err(LintError::NoHealthyEndpoint {
            service,
            version: version_name,
            weight,
        });
    }
    Ok(())
}

fn lint_gateway(plan: &Plan, gateway: &Gateway) -> Result<(), LintError> {
    for service in gateway.reachable() {
        if plan.service(service).is_none() {
            let (gateway, service) = (gateway.name.clone(), service.clone());
            return Err(LintError::UnknownService { gateway, service });
        }
    }
    // Port 0 is a different port each time.
    let fixed = gateway
        .listeners
        .iter()
        .filter(|listener| listener.port != 0);
    unique(
        "listener",
        fixed.map(|l| format!("{}:{}", l.address, l.port)),
    )?;
    gateway
        .listeners
        .iter()
        .try_for_each(|listener| lint_listener(plan, gateway, listener))
}

fn lint_listener(plan: &Plan, gateway: &Gateway, listener: &Listener) -> Result<(), LintError> {
    let services: BTreeSet<_> = listener.routes.iter().map(|route| &route.service).collect();
    let is_tcp = |name: &ServiceName| {
        plan.service(name)
            .is_some_and(|service| service.protocol == Protocol::Tcp)
    };
    match services.iter().find(|name| is_tcp(name)) {
        Some(service) if services.len() > 1 => Err(LintError::MixedListener {
            gateway: gateway.name.clone(),
            port: listener.port,
            service: ServiceName::clone(service),
        }),
        _ => Ok(()),
    }
}

fn unique<T: Ord + Display>(
    what: &'static str,
    names: impl Iterator<Item = T>,
) -> Result<(), LintError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(LintError::Duplicate {
                what,
                name: name.to_string(),
            });
        }
        seen.insert(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::domain::EndpointState;

    #[test]
    fn a_sound_plan_passes() {
        assert_eq!(lint(&samples::plan()), Ok(()));
        assert_eq!(lint(&Plan::default()), Ok(()));
    }

    #[test]
    fn each_contradiction_is_found_and_named() {
        type Break = fn(&mut Plan);
        let cases: [(Break, &str); 12] = [
            (
                |p| p.services.clear(),
                "gateway `mesh` names the service `cart`, which the plan does not have",
            ),
            (
                |p| p.services.push(p.services[0].clone()),
                "service `cart` is there twice",
            ),
            (
                |p| p.gateways.push(p.gateways[0].clone()),
                "gateway `mesh` is there twice",
            ),
            (
                |p| {
                    let again = p.gateways[0].listeners[0].clone();
                    p.gateways[0].listeners.push(again);
                },
                "listener `127.0.0.1:10000` is there twice",
            ),
            (
                |p| p.services[0].versions[1].name = "v1".parse().unwrap(),
                "version `cart/v1` is there twice",
            ),
            (
                |p| p.services[0].versions[1].endpoints[0].id = "v1-0".parse().unwrap(),
                "instance `v1-0` is there twice",
            ),
            (
                |p| p.services[0].versions[1].weight = Weight::ALL,
                "the weights of service `cart` sum to 17500, not 10000",
            ),
            (
                |p| p.services[0].versions[1].endpoints.clear(),
                "`cart/v2` has a weight of 25% but no healthy endpoint",
            ),
            (
                |p| {
                    for endpoint in &mut p.services[0].versions[0].endpoints {
                        endpoint.state = EndpointState::Draining;
                    }
                },
                "`cart/v1` has a weight of 75% but no healthy endpoint",
            ),
            (
                |p| p.services[0].versions[0].endpoints[1].capacity = 0,
                "instance `v1-1` of `cart/v1` has no capacity",
            ),
            (
                |p| p.services[0].versions[0].endpoints[1].capacity = u32::MAX,
                "the capacities of `cart/v1` sum to more than 4294967295",
            ),
            (
                |p| {
                    p.services[0].health.probe = Probe::Grpc {
                        service: String::new(),
                    }
                },
                "service `cart` has a gRPC health check but speaks no HTTP/2; \
                 set `protocol: grpc` or `http2`, or check by `http` or `tcp`",
            ),
        ];
        for (break_it, message) in cases {
            let mut plan = samples::plan();
            break_it(&mut plan);
            assert_eq!(
                lint(&plan).map_err(|e| e.to_string()),
                Err(message.to_owned())
            );
        }
    }

    #[test]
    fn a_tcp_service_shares_no_listener() {
        let mut plan = samples::plan();
        let mut tcp = samples::service("queue");
        tcp.protocol = Protocol::Tcp;
        plan.services.push(tcp);
        plan.gateways[0].listeners[0]
            .routes
            .push(samples::route(&[], "/", "queue"));
        let error = lint(&plan).unwrap_err();
        assert!(
            matches!(error, LintError::MixedListener { port: 10000, .. }),
            "{error}"
        );
    }
}
