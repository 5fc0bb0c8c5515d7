//! Gates that do not make sense, and rollouts that name gates wrongly.

use super::*;

#[test]
fn gates_make_sense() {
    check(
        "kind: Gate\nname: g\nspec:\n  compare: old to new\n  falseAlarm: 0%\n  onWorse: explode\n  onOneBadBox: shoot\n  checks:\n    - errors: { noWorseThan: 0.5x }\n      latency: { at: [p100, p50] }\n    - {}\n",
        &[
            "a.yaml:4:12: unknown value `old to new` (hint: it may be `new to stable`)",
            "a.yaml:5:15: `falseAlarm` must be more than 0% and less than 100%",
            "a.yaml:6:12: unknown value `explode` (hint: it may be `rollback`, `pause`, `report`)",
            "a.yaml:7:16: unknown value `shoot` (hint: it may be `replace`, `pause`, `rollback`)",
            "a.yaml:9:30: `0.5x` is not a ratio of at least 1; write it like `1x` or `1.1x`",
            "a.yaml:10:7: a check has one word, and both `errors` and `latency` are given (hint: give each an item of its own, beginning with `- `)",
            "a.yaml:10:23: `p100` is not a quantile; write it like `p50` or `p99.9`",
            "a.yaml:11:7: a check needs its word (hint: one of `crashes`, `errors`, `healthyRatio`, `latency`, `metric`, `slo`, `webhook`)",
        ],
    );
}

#[test]
fn checks_make_sense() {
    let table = [
        (
            "error: {}",
            "a.yaml:3:20: unknown field `error` (hint: did you mean `errors`?)\na.yaml:3:20: a check needs its word (hint: one of `crashes`, `errors`, `healthyRatio`, `latency`, `metric`, `slo`, `webhook`)",
        ),
        (
            "errors: { codes: [7xx] }",
            "a.yaml:3:38: `7xx` is no HTTP status code of an answer; write it like `5xx`, `429` or `500-504`",
        ),
        (
            "errors: { grpc: [timeout] }",
            "a.yaml:3:37: `timeout` is no gRPC status of a failure; write it like `unavailable` or `14`",
        ),
        (
            "errors: { codes: [], grpc: [] }",
            "a.yaml:3:47: without any code nothing would be a failure",
        ),
        (
            "errors: { weight: 0% }",
            "a.yaml:3:38: a check without `weight` could never say anything (hint: leave the check out instead)",
        ),
        (
            "latency: { at: [] }",
            "a.yaml:3:35: `at` needs at least one quantile, unless `slowerThan` is given",
        ),
        (
            "latency: { slowerThan: 0s }",
            "a.yaml:3:43: `slowerThan` must be longer than no time",
        ),
        (
            "healthyRatio: { atLeast: 0% }",
            "a.yaml:3:45: `atLeast` must be more than 0%",
        ),
        (
            "slo: { burn: 2x over 1h }",
            "a.yaml:3:27: `slo` needs `availability` or `latency` (hint: write it like `slo: { availability: 99.95% }`)",
        ),
        (
            "slo: { availability: 100% }",
            "a.yaml:3:41: `availability` of 100% leaves no budget, so nothing could use it up (hint: write it like `99.95%`)",
        ),
        (
            "slo: { latency: { within: 300ms } }",
            "a.yaml:3:38: missing field `share`",
        ),
        (
            "slo: { availability: 99%, burn: 14.4 over 1h }",
            "a.yaml:3:52: `14.4 over 1h` is not a burn rate; write it like `14.4x over 1h and 5m` or `3x over 15m`",
        ),
        (
            "slo: { availability: 99%, burn: 2x over 5m and 1h }",
            "a.yaml:3:52: in `2x over 5m and 1h` the first window must be the longer one, and neither no time",
        ),
        (
            "slo: { availability: 99%, burn: [] }",
            "a.yaml:3:52: `burn` needs at least one rate",
        ),
        (
            "metric: { prometheus: up }",
            "a.yaml:3:30: `metric` needs `below` or `above` (hint: write it like `below: 5`)",
        ),
        (
            "metric: { below: 5 }",
            "a.yaml:3:30: missing field `prometheus`",
        ),
        (
            "metric: { prometheus: up, below: much }",
            "a.yaml:3:53: `much` is not a number; write it like `5` or `0.05`",
        ),
        (
            "metric: { prometheus: up, above: 5, below: 5 }",
            "a.yaml:3:53: no number is both above `above` and below `below`",
        ),
        (
            "metric: { prometheus: 'x{v=\"$verson\"}', below: 5 }",
            "a.yaml:3:42: there is no variable `$verson` (hint: did you mean `$version`?)",
        ),
        (
            "metric: { prometheus: 'x{v=\"$revision\"}', below: 5 }",
            "a.yaml:3:42: there is no variable `$revision` (hint: it may be $places, $rollout, $service, $stable, $version, $wave)",
        ),
        (
            "metric: { prometheus: 'rate($service[1m])', below: 5 }",
            "a.yaml:3:42: `$service` must stand within `\"` or `'` (hint: write it like `{region=\"$service\"}`)",
        ),
        (
            "metric: { prometheus: ' ', below: 5 }",
            "a.yaml:3:42: a query has from 1 to 4096 bytes",
        ),
        (
            "metric: { prometheus: up, below: 5, every: 100ms, server: prom }",
            "a.yaml:3:63: `every` must be at least 1s\na.yaml:3:78: `prom` is not an HTTP URL (hint: write it like `http://prometheus:9090`)",
        ),
        (
            "webhook: { every: 30s }",
            "a.yaml:3:31: missing field `post`",
        ),
        (
            "webhook: { post: ci.example, timeout: 0s }",
            "a.yaml:3:37: `ci.example` is not an HTTP URL (hint: write it like `https://ci.example/verdict`)\na.yaml:3:58: `timeout` must be longer than no time",
        ),
    ];
    // The column within the check says enough.
    let place = "a.yaml:3:";
    let found = table.map(|(spec, _)| {
        let said = said(&format!(
            "kind: Gate\nname: g\nspec: {{ checks: [{{ {spec} }}] }}\n"
        ));
        (spec, said.join("\n").replace(place, ""))
    });
    assert_eq!(
        found,
        table.map(|(spec, problems)| (spec, problems.replace(place, "")))
    );
}

/// Before anything begins: a rollout whose gates nobody knows is no rollout.
#[test]
fn rollouts_name_gates_that_there_are() {
    let named = |gates: &str, problem: &str| {
        let spec = format!("  service: cart\n  to: v2\n  gates: {gates}\n");
        check_rollout(&spec, &[problem]);
    };
    named(
        "[no-worse, slow]",
        "a.yaml:10:21: there is no Gate `slow` (hint: declare it with `kind: Gate`, `name: slow`)",
    );
    named(
        "[no-wrose]",
        "a.yaml:10:11: there is no Gate `no-wrose` (hint: did you mean `no-worse`?)",
    );
    named(
        "[no-worse, no-worse]",
        "a.yaml:10:21: `no-worse` is named twice",
    );
    check_rollout(
        "  service: cart\n  to: v2\n  onWorse: { rollback: this wave, then: pause }\n",
        &[
            "a.yaml:10:14: `rollback: this wave` goes with `waves` (hint: write `onWorse: rollback`)",
        ],
    );
    check_rollout(
        "  service: cart\n  to: v2\n  onWorse: { rollback: all }\n  ifUnsure: go\n",
        &[
            "a.yaml:10:14: it may be `rollback`, `pause`, `report` or `{ rollback: this wave, then: pause }`",
            "a.yaml:11:13: unknown value `go` (hint: it may be `pause`, `proceed`, `rollback`)",
        ],
    );
}
