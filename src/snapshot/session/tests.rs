use super::super::route::service_routes;
use super::super::samples;
use super::*;
use crate::domain::Plan;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use prost::Message;

/// The routes to `cart` with versions of these weights, each in a line.
fn told(sessions: Option<Sessions>, weights: &[u16]) -> Vec<String> {
    let mut plan: Plan = samples::plan();
    let cart = &mut plan.services[0];
    let versions = (1..=weights.len()).map(|number| samples::version(&format!("v{number}"), 1));
    cart.versions = versions.collect();
    for (version, weight) in cart.versions.iter_mut().zip(weights) {
        (version.routed, version.weight) = (true, Weight::parts(u64::from(*weight)));
    }
    cart.sessions = sessions;
    let name = cart.name.clone();
    let encoded = service_routes(&plan, &name).unwrap();
    let configuration = RouteConfiguration::decode(encoded.as_slice()).unwrap();
    let routes = configuration.virtual_hosts[0].routes.clone();
    routes.into_iter().map(line).collect()
}

/// `cookie name: value -> v1 90 v2 10 by hash of …, set …`.
fn line(mut route: EnvoyRoute) -> String {
    let mut parts = Vec::new();
    for cookie in &route.r#match.as_ref().unwrap().cookies {
        let value = match &cookie.string_match.as_ref().unwrap().match_pattern {
            Some(MatchPattern::Exact(value)) => value.clone(),
            Some(MatchPattern::SafeRegex(regex)) => regex.regex.clone(),
            other => panic!("{other:?}"),
        };
        parts.push(format!("{}: {value}", cookie.name));
    }
    let set = |headers: &[HeaderValueOption]| -> String {
        let texts = headers.iter().map(|it| &it.header.as_ref().unwrap().value);
        texts.fold(String::new(), |all, text| all + " [" + text + "]")
    };
    let shares = shares(&mut route).unwrap();
    let is_hashed = shares.random_value_specifier.is_some();
    let dealt = shares.clusters.iter().map(|share| {
        let version = share.name.split('/').next_back().unwrap();
        let weight = share.weight.unwrap().value;
        let set = set(&share.response_headers_to_add);
        format!("{version} {weight}{set}")
    });
    parts.push(format!("-> {}", dealt.collect::<Vec<_>>().join(", ")));
    let Some(Action::Route(action)) = &route.action else {
        panic!("{route:?}")
    };
    assert_eq!(is_hashed, !action.hash_policy.is_empty());
    for policy in &action.hash_policy {
        assert!(policy.terminal);
        parts.push(match policy.policy_specifier.as_ref().unwrap() {
            PolicySpecifier::Cookie(it) => {
                assert!(it.ttl.is_none(), "Envoy would make one of its own");
                format!("by cookie {}", it.name)
            }
            PolicySpecifier::Header(it) => format!("by {}", it.header_name),
            other => panic!("{other:?}"),
        });
    }
    parts.join(" ") + &set(&route.response_headers_to_add)
}

fn sessions(key: SessionKey) -> Sessions {
    Sessions {
        key,
        ..Sessions::default()
    }
}

#[test]
fn without_sessions_there_is_one_route() {
    assert_eq!(told(None, &[9_000, 1_000]), ["-> v1 9000, v2 1000"]);
}

#[test]
fn a_cookie_of_its_own_begins_with_the_id_of_the_first_request() {
    let hashes = "by cookie tidegate-cart by x-request-id";
    assert_eq!(
        told(Some(sessions(SessionKey::Auto)), &[9_000, 1_000]),
        [
            format!("tidegate-cart: .+ -> v1 9000, v2 1000 {hashes}"),
            format!(
                "-> v1 9000, v2 1000 {hashes} \
                 [tidegate-cart=%REQ(x-request-id)%; Path=/; HttpOnly; SameSite=Lax]"
            ),
        ]
    );
}

#[test]
fn a_cookie_of_the_application_goes_first_and_until_then_one_of_its_own() {
    let key = SessionKey::Cookie("JSESSIONID".to_owned());
    let hashes = "by cookie JSESSIONID by cookie tidegate-cart by x-request-id";
    assert_eq!(
        told(Some(sessions(key)), &[10_000]),
        [
            format!("JSESSIONID: .+ -> v1 10000 {hashes}"),
            format!("tidegate-cart: .+ -> v1 10000 {hashes}"),
            format!(
                "-> v1 10000 {hashes} \
                 [tidegate-cart=%REQ(x-request-id)%; Path=/; HttpOnly; SameSite=Lax]"
            ),
        ]
    );
}

#[test]
fn a_header_needs_no_cookie() {
    let key = SessionKey::Header("x-user".to_owned());
    assert_eq!(
        told(Some(sessions(key)), &[0, 10_000]),
        ["-> v1 0, v2 10000 by x-user"]
    );
}

#[test]
fn old_sessions_stay_as_long_as_their_version_has_a_share() {
    let kept = Sessions {
        moves: Moves::NewOnly,
        ttl: Some(Span::secs(1_800)),
        ..Sessions::default()
    };
    let v1 = "[tidegate-cart-version=v1; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax]";
    let v2 = v1.replace("v1", "v2");
    assert_eq!(
        told(Some(kept.clone()), &[9_000, 1_000, 0]),
        [
            format!("tidegate-cart-version: v1 -> v1 10000, v2 0, v3 0 {v1}"),
            format!("tidegate-cart-version: v2 -> v1 0, v2 10000, v3 0 {v2}"),
            format!(
                "-> v1 9000 {v1}, v2 1000 {v2}, v3 0 {}",
                v1.replace("v1", "v3")
            ),
        ]
    );
    let ended = told(Some(Sessions { ttl: None, ..kept }), &[0, 10_000]);
    let v2 = "[tidegate-cart-version=v2; Path=/; HttpOnly; SameSite=Lax]";
    assert_eq!(
        ended,
        [
            "tidegate-cart-version: v2 -> v1 0, v2 10000".to_owned(),
            format!("-> v1 0 {}, v2 10000 {v2}", v2.replace("v2", "v1")),
        ]
    );
}
