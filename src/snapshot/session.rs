//! Routes that keep a client with its version while shares move.
//!
//! Two ways. With [`Moves::Minimal`] Envoy chooses the version by a hash of what a client is known by. The weights of a
//! route always sum to the same, in the same order, so the hash is a place on a line and a share that grows moves one
//! boundary on it: clients cross it once and in one direction, on every proxy alike, with no state anywhere. Whoever
//! comes without a cookie is known by the id of its request, and its answer makes that id its cookie, so the first request
//! agrees already with all that follow.
//!
//! With [`Moves::NewOnly`] a cookie says which version a client began with, and a route for each version with a share stands
//! before the one that deals out shares. It goes in the same step as the share, before the version's last instance does.
//!
//! Cookies are matched by `RouteMatch.cookies`: Envoy's parser knows quotes and split headers, an expression over the whole
//! header does not.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    Cookie, Header, PolicySpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route_action::{ClusterSpecifier, HashPolicy};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::RandomValueSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    CookieMatcher, Route as EnvoyRoute, RouteAction, WeightedCluster,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};

use super::proto::{number, truth};
use crate::domain::{Moves, ServicePlan, SessionKey, Sessions, Span, VersionPlan, Weight};

/// The header with Envoy's id of a request.
const REQUEST_ID: &str = "x-request-id";

/// The routes of a service in place of `plain`, which deals out shares, in the order in which Envoy looks.
pub(super) fn routes(service: &ServicePlan, plain: EnvoyRoute) -> Vec<EnvoyRoute> {
    match &service.sessions {
        None => vec![plain],
        Some(sessions) if sessions.moves == Moves::NewOnly => by_version(service, sessions, &plain),
        Some(sessions) => by_hash(service, sessions, plain),
    }
}

fn by_hash(service: &ServicePlan, sessions: &Sessions, mut chosen: EnvoyRoute) -> Vec<EnvoyRoute> {
    let own = Sessions::cookie(&service.name);
    let known_by: Vec<&str> = match &sessions.key {
        SessionKey::Auto => vec![&own],
        SessionKey::Cookie(name) => vec![name, &own],
        SessionKey::Header(_) => Vec::new(),
    };
    let hashes = match &sessions.key {
        SessionKey::Header(name) => vec![by_header(name)],
        _ => known_by
            .iter()
            .map(|name| by_cookie(name))
            .chain([by_header(REQUEST_ID)])
            .collect(),
    };
    if let Some(Action::Route(action)) = &mut chosen.action {
        action.hash_policy = hashes;
    }
    if let Some(shares) = shares(&mut chosen) {
        shares.random_value_specifier = Some(RandomValueSpecifier::UseHashPolicy(truth(true)));
    }
    if known_by.is_empty() {
        return vec![chosen];
    }
    let mut first = chosen.clone();
    let id = format!("%REQ({REQUEST_ID})%");
    first.response_headers_to_add = vec![set_cookie(&own, &id, sessions.ttl)];
    let any = MatchPattern::SafeRegex(RegexMatcher {
        regex: ".+".to_owned(),
        ..RegexMatcher::default()
    });
    let known = known_by
        .iter()
        .map(|name| with_cookie(chosen.clone(), name, any.clone()));
    known.chain([first]).collect()
}

fn by_version(service: &ServicePlan, sessions: &Sessions, plain: &EnvoyRoute) -> Vec<EnvoyRoute> {
    let name = Sessions::version_cookie(&service.name);
    let mark = |version: &VersionPlan| set_cookie(&name, version.name.as_str(), sessions.ttl);
    let versions = service.routed().enumerate();
    let versions = versions.filter(|(_, version)| version.weight > Weight::NONE);
    let stays = versions.map(|(at, version)| {
        let exact = MatchPattern::Exact(version.name.to_string());
        let mut route = with_cookie(plain.clone(), &name, exact);
        let clusters = shares(&mut route).map(|shares| &mut shares.clusters);
        for (other, share) in clusters.into_iter().flatten().enumerate() {
            let weight = if other == at {
                Weight::ALL
            } else {
                Weight::NONE
            };
            share.weight = Some(number(u32::from(weight.get())));
        }
        // With each answer its time begins anew.
        route.response_headers_to_add = sessions.ttl.map(|_| mark(version)).into_iter().collect();
        route
    });
    let mut first = plain.clone();
    let clusters = shares(&mut first).map(|shares| &mut shares.clusters);
    for (share, version) in clusters.into_iter().flatten().zip(service.routed()) {
        share.response_headers_to_add = vec![mark(version)];
    }
    stays.chain([first]).collect()
}

/// The shares that a route deals out.
fn shares(route: &mut EnvoyRoute) -> Option<&mut WeightedCluster> {
    match &mut route.action {
        Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::WeightedClusters(shares)),
            ..
        })) => Some(shares),
        _ => None,
    }
}

fn with_cookie(mut route: EnvoyRoute, name: &str, value: MatchPattern) -> EnvoyRoute {
    let matcher = CookieMatcher {
        name: name.to_owned(),
        string_match: Some(StringMatcher {
            match_pattern: Some(value),
            ..StringMatcher::default()
        }),
        ..CookieMatcher::default()
    };
    route.r#match.get_or_insert_default().cookies.push(matcher);
    route
}

/// Envoy makes no such cookie itself: without a time to live it only reads it.
fn by_cookie(name: &str) -> HashPolicy {
    hash_of(PolicySpecifier::Cookie(Cookie {
        name: name.to_owned(),
        ..Cookie::default()
    }))
}

fn by_header(name: &str) -> HashPolicy {
    hash_of(PolicySpecifier::Header(Header {
        header_name: name.to_owned(),
        ..Header::default()
    }))
}

/// The first that a request has is what counts; the user's own are for what has none.
fn hash_of(what: PolicySpecifier) -> HashPolicy {
    HashPolicy {
        terminal: true,
        policy_specifier: Some(what),
    }
}

fn set_cookie(name: &str, value: &str, ttl: Option<Span>) -> HeaderValueOption {
    let lives = ttl.map(|ttl| format!("; Max-Age={}", ttl.duration().as_secs()));
    let lives = lives.unwrap_or_default();
    HeaderValueOption {
        header: Some(HeaderValue {
            key: "set-cookie".to_owned(),
            value: format!("{name}={value}; Path=/{lives}; HttpOnly; SameSite=Lax"),
            ..HeaderValue::default()
        }),
        append_action: HeaderAppendAction::AppendIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

#[cfg(test)]
mod tests;
