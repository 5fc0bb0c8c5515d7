//! Rollouts that do not make sense.

use super::*;

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
