//! Gateways that do not make sense, and Envoy settings in the wrong place.

use super::*;

#[test]
fn gateways_make_sense() {
    check(
        "kind: Gateway\nname: g\nspec:\n  proxies: {}\n",
        &[
            "a.yaml:3:1: the gateway serves nothing (hint: give `listeners`, or `services` for proxies with listeners of their own)",
            "a.yaml:4:3: `proxies` selects nothing in particular (hint: give `cluster`, `metadata`, `region` or `zone`)",
        ],
    );
    check_listeners(
        "    - { port: 80000, address: localhost, routes: [] }\n    - port: 80\n      routes:\n        - { hosts: [http://x], prefix: cart, service: cart }\n        - cart\n    - { port: 80, address: 10.0.0.1, routes: [{ service: car }] }\n",
        &[
            "a.yaml:14:15: expected a whole number from 0 to 65535, found `80000`",
            "a.yaml:14:31: `localhost` is not an IP address (hint: for any, leave it out)",
            "a.yaml:14:42: a listener needs at least one route",
            "a.yaml:17:21: `http://x` is not a host name (hint: write a name as in the `Host` header, or `*` for any)",
            "a.yaml:17:40: the prefix `cart` must begin with `/` (hint: write `/cart`)",
            "a.yaml:18:11: expected a mapping, found `cart`",
            "a.yaml:19:9: port 80 is used twice, first by the listener in line 15",
            "a.yaml:19:58: there is no Service `car` (hint: did you mean `cart`?)",
        ],
    );
    check_listeners(
        "    - { port: 1, routes: [{ service: cart }, { service: db }] }\n    - { port: 2, routes: [{ service: db }, { service: db }] }\n    - { port: 3, routes: [{ service: cart }, { prefix: /a, service: cart }] }\n",
        &[
            "a.yaml:14:57: `cart` and `db` share a listener, but only one of them speaks `tcp` (hint: give the TCP service a listener of its own)",
            "a.yaml:15:55: bytes for `db` and `db` cannot be told apart on one listener (hint: give the TCP service a listener of its own)",
        ],
    );
    let gateway = |name: &str, port: u16| {
        let listener = format!("{{ port: {port}, routes: [{{ service: cart }}] }}");
        format!(
            "kind: Gateway\nname: {name}\nspec: {{ proxies: {{ zone: a }}, listeners: [{listener}] }}\n---\n"
        )
    };
    check(
        &format!(
            "{CART}{}{}{}",
            gateway("a", 1),
            gateway("b", 2),
            gateway("c", 1)
        ),
        &["a.yaml:14:7: gateways `a` and `c` select the same proxies and both use port 1"],
    );
}

#[test]
fn envoy_settings_stand_where_they_have_an_effect() {
    check_listeners(
        "  - { port: 1, routes: [{ service: db, envoy: { route: {} } }], envoy: { tcpProxy: {}, httpConnectionManager: {} } }\n\
         \u{20} - { port: 2, routes: [{ service: cart, envoy: { route: { x: { bad: 1 } } } }], envoy: { tcpProxy: {} } }\n",
        &[
            "a.yaml:14:49: `route` has no effect: the listener is one of a TCP service",
            "a.yaml:14:88: `httpConnectionManager` has no effect: the listener is one of a TCP service",
            "a.yaml:15:65: no field `bad` (hint: did you mean `bat`?)",
            "a.yaml:15:91: `tcpProxy` has no effect: the listener's services speak HTTP",
        ],
    );
}
