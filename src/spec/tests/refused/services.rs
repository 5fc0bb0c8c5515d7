//! Services that do not make sense.

use super::*;

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
