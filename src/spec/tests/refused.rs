//! Each class of mistake and what is said of it, as one line each.

use super::*;

const CART: &str = "kind: Service\nname: cart\nspec: { instances: { from: api } }\n---\n";

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let got = match load_text(text) {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal.to_string().lines().map(str::to_owned).collect(),
    };
    assert_eq!(got, expected, "\n{text}");
}

/// The spec of a rollout of `cart`; its lines count from 8.
#[track_caller]
fn check_rollout(spec: &str, expected: &[&str]) {
    check(
        &format!("{CART}kind: Rollout\nname: r\nspec:\n{spec}"),
        expected,
    );
}

/// The spec of a service; its lines count from 5.
#[track_caller]
fn check_service(spec: &str, expected: &[&str]) {
    let head = "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n";
    check(&format!("{head}{spec}"), expected);
}

/// The listeners of a gateway before the service `cart` and a TCP service `db`.
#[track_caller]
fn check_listeners(listeners: &str, expected: &[&str]) {
    let db = "kind: Service\nname: db\nspec: { protocol: tcp, instances: { from: api } }\n---\n";
    let head = "kind: Gateway\nname: g\nspec:\n  proxies: { cluster: web }\n  listeners:\n";
    check(&format!("{CART}{db}{head}{listeners}"), expected);
}

#[test]
fn broken_yaml_spoils_its_document_only() {
    check(
        "kind: Rollout\nspec: { to: v2\n---\nkind: Gate\nname: g\n",
        &[
            "a.yaml:2:7: this is not YAML: unclosed bracket '{'",
            "a.yaml:4:1: missing field `spec`",
        ],
    );
    check(
        "a: &x [*x]\n",
        &["a.yaml:1:8: an alias may not stand inside of what it names"],
    );
    check(
        "a: !foo 1\n",
        &["a.yaml:1:9: not supported: the tag `!foo`"],
    );
    check("? [a]\n: 1\n", &["a.yaml:1:3: a key must be a text"]);
}

#[test]
fn documents_have_a_kind_a_name_and_a_spec() {
    check(
        "kind: Rollut\nname: r\nspec: {}\n---\nkind: Polcy\nname: p\nspec: { a: 1 }\n---\n- 1\n---\nnaem: x\n",
        &[
            "a.yaml:1:7: unknown kind `Rollut` (hint: did you mean `Rollout`?)",
            "a.yaml:5:7: unknown kind `Polcy` (hint: did you mean `Policy`?)",
            "a.yaml:9:1: expected a mapping, found a list",
            "a.yaml:11:1: unknown field `naem` (hint: did you mean `name`?)",
            "a.yaml:11:1: missing field `kind`",
            "a.yaml:11:1: missing field `name`",
            "a.yaml:11:1: missing field `spec`",
        ],
    );
    check(
        "kind: Service\nname: ''\nspec: { instances: { from: api } }\n",
        &["a.yaml:2:7: a service name may not be empty"],
    );
    check(
        "kind: Service\nname: a/b\nspec:\n  capacity: 5\n  instances: { from: api }\n",
        &[
            "a.yaml:2:7: a service name may not contain '/'; use letters, digits and `-._@`",
            "a.yaml:4:13: `5` is not a rate per instance; write it like `60rps`",
        ],
    );
}

#[test]
fn every_field_is_told_at_once() {
    check_rollout(
        "  service: cart\n  to:\n  rolling: { max_surge: 1, batch: x, wings: 2 }\n  bake: { for: 5 }\n  deadline: [1]\n  deadline: 5m\n",
        &[
            "a.yaml:9:5: expected a text, found nothing",
            "a.yaml:10:14: unknown field `max_surge` (hint: did you mean `maxSurge`?)",
            "a.yaml:10:35: `x` is neither a number nor a share; write it like `2` or `10%`",
            "a.yaml:10:38: unknown field `wings` (hint: `tidegate schema` prints what may stand here)",
            "a.yaml:11:16: `5` is not a duration; write it like `30s`, `5m`, `1h30m` or `250ms`",
            "a.yaml:12:13: expected a text, found a list",
            "a.yaml:13:3: `deadline` is given twice, first in line 12",
        ],
    );
}

#[test]
fn rollouts_make_sense() {
    check_rollout(
        "  service: crat\n  from: v1\n  to: v1\n  rolling: { batch: 0, maxSurge: 0 }\n  gates: [no-worse, slow]\n",
        &[
            "a.yaml:8:12: there is no Service `crat` (hint: did you mean `cart`?)",
            "a.yaml:10:7: `from` and `to` are the same version, `v1`",
            "a.yaml:11:21: `batch` must be at least 1",
            "a.yaml:11:34: with `maxSurge` 0 and `maxUnavailable` 0 no instance could be replaced (hint: raise one of them to at least 1)",
            "a.yaml:12:21: there is no Gate `slow` (hint: declare it with `kind: Gate`, `name: slow`)",
        ],
    );
    check_rollout(
        "  replace: { exec: [], post: ftp://x, headers: { a: b } }\n  bake: { for: 0s, holdback: 2 }\n  deadline: 0s\n",
        &[
            "a.yaml:7:1: missing field `service`",
            "a.yaml:7:1: missing field `to`",
            "a.yaml:8:20: `exec` must name a program",
            "a.yaml:8:24: `replace` has either `exec` or `post`, not both",
            "a.yaml:9:30: `holdback` has no effect without a bake (hint: give `for` a length, or leave `holdback` out)",
            "a.yaml:10:13: `deadline` must be longer than no time",
        ],
    );
    check_rollout(
        "  service: cart\n  to: v2\n  replace: { headers: { a: b } }\n",
        &[
            "a.yaml:10:3: `replace` needs `exec` or `post`",
            "a.yaml:10:14: `headers` go with `post`",
        ],
    );
    check_rollout(
        "  service: cart\n  to: v2\n  replace: { post: ftp://x }\n",
        &[
            "a.yaml:10:20: `ftp://x` is not an HTTP URL (hint: write it like `https://ci.example/replace`)",
        ],
    );
}

#[test]
fn ways_make_sense() {
    check_rollout(
        "  service: cart
  to: v2
  rolling: { batch: 1, then: { after: 1, batch: 0 }, spread: rack }
  steps: []
  inEach: {}
  bake: { holdback: 1 }
",
        &[
            "a.yaml:10:62: unknown value `rack` (hint: it may be `zone`)",
            "a.yaml:11:3: a rollout has one way, and both `rolling` and `steps` are given (hint: keep one of them; how each wave goes stands in `inEach`)",
            "a.yaml:11:10: `steps` needs at least one step",
            "a.yaml:12:3: `inEach` goes with `waves`",
            "a.yaml:13:11: `holdback` goes with `rolling`",
        ],
    );
    check_rollout(
        "  service: cart
  to: v2
  steps:
    - { weight: 5%, mirror: 5% }
    - { weight: 50%, for: 5m, until: proven }
    - { weight: 10%, atMost: 5m }
    - { weight: 0%, until: proven, atLeast: 2m, atMost: 1m }
    - { pause: {}, for: 1m }
  warm: { share: 0% }
",
        &[
            "a.yaml:11:9: a step has one of `weight`, `mirror` and `pause` (hint: write it like `- weight: 5%`, and the next thing as a step of its own)",
            "a.yaml:12:31: a step stays either `for` a time or `until: proven`",
            "a.yaml:13:9: a step to 10% after one to 50% would go back (hint: let the weights grow)",
            "a.yaml:13:22: `atMost` goes with `until: proven`",
            "a.yaml:14:9: a step to 0% after one to 50% would go back (hint: let the weights grow)",
            "a.yaml:14:17: a step without a share does nothing (hint: the smallest share is 0.01%)",
            "a.yaml:14:57: `atMost` must not be shorter than `atLeast`",
            "a.yaml:15:20: a pause lasts until somebody says that it goes on, or `giveUp`",
            "a.yaml:16:18: `0%` is not a share from 1% to 1000%; write it like `120%`",
        ],
    );
    check_rollout(
        "  service: cart\n  to: v2\n  steps: [{ pause: { approve: \"group:\" } }]\n",
        &["a.yaml:10:31: `group:` names nobody; write it like `group:edge-oncall` or `ada`"],
    );
    check_rollout(
        "  service: cart\n  to: v2\n  blueGreen: { approve: some of us }\n",
        &["a.yaml:10:25: `some of us` names nobody; write it like `group:edge-oncall` or `ada`"],
    );
    check_rollout(
        "  service: cart
  to: v2
  waves:
    - { name: a, pick: 0 of eu }
    - { name: a, pick: eu }
    - { name: a, pick: the rest, parallel: 0 }
    - { pick: us }
  keepOld: 1h
  warm: {}
",
        &[
            "a.yaml:11:24: `0 of eu` picks nothing; write it like `eu-west`, `1 of eu-west`, `10% of eu-west` or `the rest`",
            "a.yaml:13:15: two waves are called `a` (hint: give each wave a name of its own)",
            "a.yaml:13:44: `parallel` must be at least 1",
            "a.yaml:14:9: nothing is left after `the rest`",
            "a.yaml:15:3: `keepOld` goes with `steps` or `blueGreen` (hint: there both versions stand side by side until the end)",
            "a.yaml:16:3: `warm` goes with `steps`",
        ],
    );
}

#[test]
fn hooks_make_sense() {
    check_rollout(
        "  service: cart
  to: v2
  hooks:
    before: { each: step, end: rollout, exec: [a], post: \"http://x/\" }
    after:
      - { end: rollout }
      - { each: batch, end: rollout, exec: [] }
      - { each: wave, exec: [a], headers: {}, sign: { env: A } }
      - { each: batch, post: \"http://x/\", sign: { env: A, file: b }, tries: 0, onFail: retry }
      - exec: [a]
  replace: { exec: [a], sign: {} }
",
        &[
            "a.yaml:11:27: `end` goes with `after`",
            "a.yaml:11:52: a hook has either `exec` or `post`, not both",
            "a.yaml:13:11: a hook needs `exec` or `post`",
            "a.yaml:14:11: a hook has either `each` or `end` (hint: write it like `each: batch` or `end: rollout`)",
            "a.yaml:14:44: `exec` must name a program",
            "a.yaml:15:17: `each: wave` goes with `waves`",
            "a.yaml:15:34: `headers` go with `post`",
            "a.yaml:15:47: `sign` goes with `post`",
            "a.yaml:16:51: `sign` has either `file` or `env` (hint: write it like `sign: { env: HOOK_KEY }`)",
            "a.yaml:16:77: `tries` must be at least 1",
            "a.yaml:16:88: unknown value `retry` (hint: it may be `rollback`, `hold`, `ignore`)",
            "a.yaml:17:9: a hook has either `each` or `end` (hint: write it like `each: batch` or `end: rollout`)",
            "a.yaml:18:25: `sign` goes with `post`",
        ],
    );
    let many = "{ each: batch, exec: [a] }, ".repeat(17);
    check_rollout(
        &format!("  service: cart\n  to: v2\n  hooks: {{ before: [{many}] }}\n"),
        &["a.yaml:10:12: a rollout has at most 16 hooks"],
    );
}

#[test]
fn services_make_sense() {
    check_service(
        "  protocol: htp2\n  health: { http: healthz, grpc: x, interval: 0s, healthyAfter: 0 }\n  envoy: { cluster: { x: { bad: 1 } }, route: { x: [1, bad] } }\n",
        &[
            "a.yaml:5:13: unknown value `htp2` (hint: did you mean `http2`?)",
            "a.yaml:6:19: the path `healthz` must begin with `/` (hint: write `/healthz`)",
            "a.yaml:6:28: a health check has one probe: `http`, `tcp` or `grpc`",
            "a.yaml:6:47: `interval` must be longer than no time",
            "a.yaml:6:65: `healthyAfter` must be at least 1",
            "a.yaml:7:28: no field `bad` (hint: did you mean `bat`?)",
            "a.yaml:7:56: no field `bad` (hint: say good)",
        ],
    );
    check_service(
        "  capacity: much\n  health: { tcp: false }\n  envoy: { clusters: {}, listener: {} }\n",
        &[
            "a.yaml:5:13: `much` is not a rate per instance; write it like `60rps`",
            "a.yaml:6:18: `tcp` can only be `true`: health is always checked (hint: leave it out, or give `http` or `grpc`)",
            "a.yaml:7:12: unknown field `clusters` (hint: did you mean `cluster`?)",
            "a.yaml:7:26: unknown field `listener` (hint: `tidegate schema` prints what may stand here)",
        ],
    );
    for (instances, message) in [
        (
            "from: consul",
            "3:28: not supported yet: instances from `consul` (hint: use `from: api` or `from: file`)",
        ),
        (
            "from: files",
            "3:28: unknown value `files` (hint: did you mean `file`?)",
        ),
        (
            "from: nomad",
            "3:28: unknown value `nomad` (hint: it may be `api`, `file`)",
        ),
        ("from: file", "3:9: missing field `file`"),
        (
            "from: api, file: x",
            "3:33: `file` goes with `from: file` (hint: write `from: file`)",
        ),
        (
            "from: api, version: build",
            "3:42: `build` does not say which label names the version (hint: write `tag.version`)",
        ),
    ] {
        let text = format!("kind: Service\nname: cart\nspec: {{ instances: {{ {instances} }} }}\n");
        check(&text, &[&format!("a.yaml:{message}")]);
    }
}

#[test]
fn what_a_service_runs_makes_sense() {
    check_service(
        "  run: v2
  rollout:
    service: cart
    to: v3
    from: v2
    gates: [slow]
    bake: { for: 1m, holdback: 1 }
    waves: []
    wings: 2
",
        &[
            "a.yaml:5:8: `from` and `run` are the same version, `v2`",
            "a.yaml:7:5: `service` does not stand in the `rollout` of a service (hint: it is the service that it stands in; remove it)",
            "a.yaml:8:5: `to` does not stand in the `rollout` of a service (hint: `run` says which version; write it there)",
            "a.yaml:10:13: there is no Gate `slow` (hint: declare it with `kind: Gate`, `name: slow`)",
            "a.yaml:11:22: `holdback` goes with `rolling`",
            "a.yaml:12:12: `waves` needs at least one wave",
            "a.yaml:13:5: unknown field `wings` (hint: `tidegate schema` prints what may stand here)",
        ],
    );
    check_service(
        "  rollout: { rolling: { batch: 2 } }\n",
        &[
            "a.yaml:5:3: `rollout` goes with `run` (hint: write `run: VERSION`, or give `rollout` as a document of its own)",
        ],
    );
    check_service(
        &format!("  run: {}\n", "v".repeat(120)),
        &[
            "a.yaml:5:8: of its rollout: a rollout name may have at most 128 bytes, this one has 136",
        ],
    );
    check_service(
        "  run: a/b\n  rollout: fast\n",
        &[
            "a.yaml:5:8: a version may not contain '/'; use letters, digits and `-._+`",
            "a.yaml:6:12: expected a mapping, found `fast`",
        ],
    );
}

#[test]
fn gates_make_sense() {
    check(
        "kind: Gate\nname: g\nspec:\n  compare: old to new\n  falseAlarm: 0%\n  onWorse: explode\n  checks:\n    - errors: { noWorseThan: 0.5x }\n      latency: { at: [p100, p50] }\n    - {}\n    - slo: { availability: 99% }\n",
        &[
            "a.yaml:4:12: unknown value `old to new` (hint: it may be `new to stable`)",
            "a.yaml:5:15: `falseAlarm` must be more than 0% and less than 100%",
            "a.yaml:6:12: unknown value `explode` (hint: it may be `pause`, `report`, `rollback`)",
            "a.yaml:8:30: `0.5x` is not a ratio of at least 1; write it like `1x` or `1.1x`",
            "a.yaml:9:7: a check has either `errors` or `latency` (hint: give each an item of its own, beginning with `- `)",
            "a.yaml:9:23: `p100` is not a quantile; write it like `p50` or `p99.9`",
            "a.yaml:10:7: a check needs `errors` or `latency`",
            "a.yaml:11:7: not supported yet: `slo` (hint: remove it; it would have no effect)",
        ],
    );
}

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
fn names_are_unique_across_files() {
    let sources = [source("a.yaml", CART), source("b.yaml", CART)];
    let refusal = load(&sources, overlay).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "b.yaml:2:7: Service `cart` is declared twice, first in a.yaml:2:7 (hint: rename or delete one of them)"
    );
}

/// Use 1 of the design, with everything in it that is still to come.
#[test]
fn what_is_not_supported_yet_is_told_at_once() {
    check(
        "kind: Service
name: cart
spec:
  instances: { from: api }
  sessions: { stickTo: instance, ttl: 30m }
  drain: { letSessionsFinish: 10m, atMost: 15m }
---
kind: Gate
name: no-worse
spec:
  checks: [errors: { noWorseThan: 1x }]
  onOneBadBox: replace
---
kind: Rollout
name: cart-42
spec:
  service: cart
  to: v42
  stickTo: version
  onWorse: { rollback: this wave, then: pause }
  gates: [no-worse]
",
        &[
            "a.yaml:5:3: not supported yet: `sessions` (hint: remove it; it would have no effect)",
            "a.yaml:6:12: not supported yet: `letSessionsFinish` (hint: remove it; it would have no effect)",
            "a.yaml:12:3: not supported yet: `onOneBadBox` (hint: remove it; it would have no effect)",
            "a.yaml:19:3: not supported yet: `stickTo` (hint: remove it; it would have no effect)",
            "a.yaml:20:3: not supported yet: `onWorse` (hint: remove it; it would have no effect)",
        ],
    );
}

#[test]
fn listed_instances_and_aliases_make_sense() {
    check(
        "kind: Service
name: cart
spec:
  instances:
    from: api
    versions:
      \"17\": https://a.example
      v 2: 10.0.0.1:80
      v3: [10.0.0.2:80, 10.0.0.2:80, https://b.example]
      v4: []
      v5: https://c.example/live
  aliases: { li@ve: \"17\" }
  tls: { ca: ca.pem }
---
kind: Service
name: cart@live
spec: { instances: { from: api } }
---
kind: Gateway
name: mesh
spec:
  proxies: { cluster: web }
  listeners: [{ port: 80, routes: [{ service: cart, alias: canary }] }]
---
kind: Rollout
name: r
spec: { service: cart, alias: canary, to: v3, replace: { exec: [true] } }
",
        &[
            "a.yaml:5:5: `from` does not go with `versions` (hint: the list says all: remove one of them)",
            "a.yaml:8:7: a version may not contain ' '; use letters, digits and `-._+`",
            "a.yaml:9:11: the host of version `v3` is not its only address (hint: a version is either the URL of one host or a list of IP addresses)",
            "a.yaml:9:25: `10.0.0.2:80` is listed twice (hint: an instance is of one version)",
            "a.yaml:10:11: version `v4` has no address",
            "a.yaml:11:11: `https://c.example/live` says more than a host and a port; leave out what follows them",
            "a.yaml:12:14: a name of an alias may not contain '@'; use letters, digits and `-._`",
            "a.yaml:13:14: `ca.pem` is no absolute path (hint: proxies read it, on their own machines)",
            "a.yaml:16:7: `cart@live` is the name of an alias (hint: write `aliases: { live: VERSION }` into the spec of service `cart`)",
            "a.yaml:23:60: there is no Service `cart@canary` (hint: declare it with `aliases: { canary: VERSION }` in the spec of service `cart`)",
            "a.yaml:27:31: there is no Service `cart@canary` (hint: declare it with `aliases: { canary: VERSION }` in the spec of service `cart`)",
            "a.yaml:27:47: `replace` does not go with an alias (hint: its instances answer under other names as well: start and stop them elsewhere)",
        ],
    );
}

#[test]
fn sets_are_bounded() {
    let too_large = "#".repeat(FILE_BYTES_MAX + 1);
    check(
        &too_large,
        &["a.yaml:1:1: a file may have at most 1048576 bytes (hint: split it)"],
    );

    let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
    check(
        &deep,
        &["a.yaml:1:33: values may be nested at most 32 deep"],
    );

    let mut lines = vec!["a: &a [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for (name, of) in ["b", "c", "d", "e", "f", "g"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f"])
    {
        lines.push(format!(
            "{name}: &{name} [{}]",
            vec![format!("*{of}"); 10].join(", ")
        ));
    }
    let bomb = lines.join("\n");
    check(
        &bomb,
        &["a.yaml:5:7: the file has more than 200000 values (hint: split it)"],
    );

    let mistakes: Vec<_> = (0..200).map(|i| format!("field{i}: 1")).collect();
    let refusal = load_text(&mistakes.join("\n")).unwrap_err();
    assert_eq!(refusal.problems.len(), PROBLEMS_PER_FILE_MAX + 1);

    let many = vec![source("x.yaml", ""); FILES_MAX + 1];
    let refusal = load(&many, overlay).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "x.yaml:1:1: a set has at most 1000 files"
    );
}

#[test]
fn reports_show_the_line() {
    let text = "kind: Rollout\nname: r\nspec:\n  service: cart\n  to: v2\n  rolling: { maxSurg: 2 }\n  # größer\n  bake: { for: größer }\n";
    let refusal = load(
        &[source("cart.yaml", text), source("b.yaml", CART)],
        overlay,
    )
    .unwrap_err();
    let expected = "  × unknown field `maxSurg`
   ╭─[cart.yaml:6:14]
 5 │   to: v2
 6 │   rolling: { maxSurg: 2 }
   ·              ───────
 7 │   # größer
   ╰────
  help: did you mean `maxSurge`?

  × `größer` is not a duration; write it like `30s`, `5m`, `1h30m` or `250ms`
   ╭─[cart.yaml:8:16]
 7 │   # größer
 8 │   bake: { for: größer }
   ·                ──────
   ╰────

";
    assert_eq!(refusal.report(false), expected);
    assert!(refusal.report(true).contains("\u{1b}["));
}

#[test]
fn problems_are_json_for_the_api() {
    let refusal = load_text("kind: Gat\nname: g\nspec: {}\n").unwrap_err();
    assert_eq!(
        serde_json::to_value(&refusal.problems).unwrap(),
        serde_json::json!([{
            "file": "a.yaml",
            "line": 1,
            "column": 7,
            "message": "unknown kind `Gat`",
            "hint": "did you mean `Gate`?",
        }])
    );
}

#[test]
fn messages_stay_on_their_line_and_screens_whole() {
    check(
        "kind: Gate\nname: g\nspec: |\n  a\n  b\n",
        &[r"a.yaml:4:3: expected a mapping, found `a\nb\n`"],
    );
    let refusal = load_text("kind: \"\\e[31mGat\"\nname: g\nspec: {}\n").unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains(r"unknown kind `\u{1b}[31mGat`"),
        "{refusal}"
    );

    let refusal = load_text("kind: \u{1b}[31mGat # \u{9b}\n").unwrap_err();
    assert!(!refusal.report(false).contains(['\u{1b}', '\u{9b}']));

    let text = format!("kind: {}\nname: g\nspec: {{}}\n", "x".repeat(9_999));
    let refusal = load_text(&text).unwrap_err();
    assert!(refusal.problems[0].message.ends_with("xxx…"));
}

#[test]
fn policies_are_checked() {
    let policy = |spec: &str| format!("kind: Policy\nname: edge\nspec: {spec}\n");
    for (spec, problem) in [
        (
            "{}",
            "a.yaml:3:1: a policy needs a rule, such as `freeze` or `slots`",
        ),
        ("{ slots: 0 }", "a.yaml:3:16: `slots` must be at least 1"),
        (
            "{ freeze: [{ from: Friday 16:00, to: Mon 08:00 }] }",
            "a.yaml:3:26: `Friday 16:00` is no moment of the week; write it like `Fri 16:00`",
        ),
        (
            "{ freeze: [{ from: Fri 16:00, to: 2026-12-20 }] }",
            "a.yaml:3:41: `2026-12-20` is no moment of the week; write it like `Fri 16:00`",
        ),
        (
            "{ freeze: [{ from: 2027-01-02, to: 2026-12-20 }] }",
            "a.yaml:3:42: a freeze must end after it has begun",
        ),
        (
            "{ freeze: [{ from: Fri 16:00, to: Mon 08:00, zone: Mars }] }",
            "a.yaml:3:58: `Mars` is no time zone; write it like `Europe/Berlin` or `UTC`",
        ),
        (
            "{ freeze: [{ when: x, ask: ops.example }] }",
            "a.yaml:3:34: `ops.example` is not an HTTP URL (hint: write it like `https://ops.example/incidents/open`)",
        ),
        (
            "{ freeze: [{ when: x, ask: \"http://x/\", zone: UTC }] }",
            "a.yaml:3:47: a freeze is either a part of the calendar or a question, not both",
        ),
        (
            "{ neverBoth: [[eu-west]] }",
            "a.yaml:3:21: places that are never rolled at once are two or more (hint: write it like `[[eu-west, eu-central]]`)",
        ),
        (
            "{ may: { promote: [\"group:\"] } }",
            "a.yaml:3:26: `group:` names nobody; write it like `group:edge-oncall` or `ada`",
        ),
        (
            "{ after: [auth] }",
            "a.yaml:3:17: there is no Service `auth` (hint: declare it with `kind: Service`, `name: auth`)",
        ),
        (
            "{ freeze: [{ to: Mon 08:00 }] }",
            "a.yaml:3:20: missing field `from`",
        ),
    ] {
        check(&policy(spec), &[problem]);
    }
    let service = |name: &str| {
        format!(
            "---\nkind: Service\nname: {name}\nspec: {{ instances: {{ from: api }}, labels: {{ is: {name} }} }}\n"
        )
    };
    let after = |one: &str, other: &str| {
        format!(
            "---\nkind: Policy\nname: {one}-{other}\nspec: {{ applies: {{ to: {{ is: {one} }} }}, after: [{other}] }}\n"
        )
    };
    let circle = [service("a"), service("b"), after("a", "b"), after("b", "a")];
    check(
        &circle.concat(),
        &["a.yaml:11:7: by `after`, each of these waits for the next: a, b"],
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
