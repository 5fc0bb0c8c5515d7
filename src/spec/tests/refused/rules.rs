//! Policies that do not make sense.

use super::*;

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
