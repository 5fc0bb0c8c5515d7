//! Good documents: what they become, with which defaults.

use std::path::Path;

use super::*;
use crate::domain::{
    Amount, Bake, Delivery, Drain, Each, Hook, InstanceSource, KeySource, Kind, LostProxies,
    OnFail, Probe, Protocol, Rolling, Rollout, RolloutHook, Service, Share, Span, Strategy, ThenDo,
    VersionLabel, When,
};

pub(super) const CART: &str =
    "kind: Service\nname: cart\nspec: { instances: { from: api } }\n---\n";

#[track_caller]
pub(super) fn good(text: &str) -> Loaded {
    load_text(text).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[track_caller]
pub(super) fn rollout(spec: &str) -> Rollout {
    let loaded = good(&format!("{CART}kind: Rollout\nname: r\nspec: {spec}\n"));
    loaded.documents.rollouts.into_values().next().unwrap()
}

#[track_caller]
pub(super) fn service(spec: &str) -> Service {
    let loaded = good(&format!("kind: Service\nname: cart\nspec: {spec}\n"));
    loaded.documents.services.into_values().next().unwrap()
}

#[test]
fn a_rollout_with_nothing_set_is_safe() {
    assert_eq!(
        rollout("{ service: cart, to: v2 }"),
        Rollout {
            name: "r".parse().unwrap(),
            service: "cart".parse().unwrap(),
            from: None,
            to: "v2".parse().unwrap(),
            strategy: Strategy::Rolling(Rolling::new(
                Amount::Count(1),
                Amount::Count(1),
                Amount::Count(0),
            )),
            replace: None,
            hooks: Vec::new(),
            gates: vec!["no-worse".parse().unwrap()],
            on_worse: None,
            if_unsure: None,
            keeps_sessions: false,
            bake: Bake {
                span: Span::secs(300),
                holdback: 1
            },
            keep_old: Span::ZERO,
            deadline: Span::secs(600),
        }
    );
}

#[test]
fn an_alias_is_a_service_of_its_own_with_the_same_instances() {
    let loaded = good(
        "kind: Service
name: thumbnail
spec:
  instances: { versions: { 17: https://a.example, 18: [10.0.0.1:80, 10.0.0.2:80] } }
  aliases: { live: 17 }
---
kind: Rollout
name: r
spec: { service: thumbnail, alias: live, to: 18 }
---
kind: Gateway
name: mesh
spec:
  proxies: { cluster: web }
  listeners: [{ port: 80, routes: [{ service: thumbnail, alias: live }] }]
  services: [thumbnail@live]
",
    );
    let documents = &loaded.documents;
    let names: Vec<_> = documents.services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["thumbnail", "thumbnail@live"]);
    let [own, live] = ["thumbnail", "thumbnail@live"].map(|name| {
        let service = &documents.services[&name.parse().unwrap()];
        (
            service.first.as_ref().map(ToString::to_string),
            service.source.clone(),
        )
    });
    assert_eq!((own.0, live.0.as_deref()), (None, Some("17")));
    assert_eq!(own.1, live.1);
    let InstanceSource::Listed { versions } = live.1 else {
        panic!("{:?}", live.1)
    };
    let said = |(version, all): (&_, &Vec<_>)| format!("{version} {all:?}");
    assert_eq!(versions.iter().map(said).count(), 2);
    let live = "thumbnail@live".parse().unwrap();
    assert_eq!(documents.rollouts[&"r".parse().unwrap()].service, live);
    let gateway = &documents.gateways[&"mesh".parse().unwrap()];
    assert_eq!(gateway.reachable().into_iter().collect::<Vec<_>>(), [&live]);
}

#[test]
fn a_policy_is_about_the_services_with_its_labels() {
    let loaded = good(
        "kind: Policy\nname: edge\nspec:\n  applies: { to: { tier: edge } }\n  slots: 1\n  freeze:\n    \
         - { from: Fri 16:00, to: Mon 08:00, zone: Europe/Berlin }\n    \
         - { from: 2026-12-20, to: 2027-01-02 }\n",
    );
    let policy = loaded.documents.policies.values().next().unwrap();
    let freezes = policy.freezes.iter().map(ToString::to_string);
    assert_eq!(
        freezes.collect::<Vec<_>>(),
        [
            "Fri 16:00 to Mon 08:00 Europe/Berlin",
            "2026-12-20 to 2027-01-02 UTC"
        ]
    );
    assert_eq!(policy.slots, Some(1));
    assert!(policy.applies_to(&service(
        "{ instances: { from: api }, labels: { tier: edge, x: y } }"
    )));
    assert!(!policy.applies_to(&service("{ instances: { from: api } }")));
}

#[test]
fn a_service_with_nothing_set_is_safe() {
    let got = service("{ instances: { from: api } }");
    assert_eq!(got.source, InstanceSource::Api);
    assert_eq!(got.version_label, VersionLabel("version".to_owned()));
    assert_eq!(
        (got.protocol, &got.health.probe),
        (Protocol::Http1, &Probe::Tcp)
    );
    assert_eq!(
        (got.health.interval, got.health.timeout),
        (Span::secs(2), Span::secs(1))
    );
    assert_eq!(
        (got.health.healthy_after, got.health.unhealthy_after),
        (2, 3)
    );
    assert_eq!(
        (got.min_ready, got.warm_up, got.capacity, got.delivery),
        (Span::secs(5), Span::ZERO, None, Delivery::Together)
    );
    let lost_proxies = LostProxies {
        wait: Span::secs(60),
        then: ThenDo::Pause,
    };
    assert_eq!(
        got.drain,
        Drain {
            at_most: Span::secs(300),
            lost_proxies
        }
    );
    assert_eq!(got.overlay, None);
}

/// The GitOps form is a rollout like any other, under a name of its own.
#[test]
fn a_service_that_says_what_it_runs_is_a_rollout() {
    let way = "rolling: { batch: 2 }, bake: { for: 1m }, replace: { exec: [./deploy.sh] }";
    let got = service(&format!(
        "{{ instances: {{ from: api }}, run: v2+1, rollout: {{ {way} }} }}"
    ));
    let same = rollout(&format!("{{ service: cart, to: v2+1, {way} }}"));
    let name = "cart-v2-1".parse().unwrap();
    assert_eq!(*got.run.unwrap(), Rollout { name, ..same });
    let bare = service("{ instances: { from: api }, run: v2 }")
        .run
        .unwrap();
    let same = rollout("{ service: cart, to: v2 }");
    let name = "cart-v2".parse().unwrap();
    assert_eq!(*bare, Rollout { name, ..same });
}

#[test]
fn what_is_written_holds() {
    let got = rollout(
        "{ service: cart, from: 1.9, to: 1.10, bake: { for: 0s }, deadline: 1h,
           rolling: { batch: 5%, maxSurge: 0, maxUnavailable: 10% },
           replace: { exec: [./deploy.sh, '{instance}'], timeout: 90s } }",
    );
    // A version is a text, whatever it looks like.
    assert_eq!(
        (got.from.unwrap().as_str(), got.to.as_str()),
        ("1.9", "1.10")
    );
    assert_eq!(
        got.bake,
        Bake {
            span: Span::ZERO,
            holdback: 0
        }
    );
    assert_eq!(
        got.strategy.rolling().map(|rolling| rolling.batch),
        Some(Amount::Percent(Share::per_million(50_000)))
    );
    let argv = vec!["./deploy.sh".to_owned(), "{instance}".to_owned()];
    assert_eq!(
        got.replace,
        Some(Hook::Exec {
            argv,
            timeout: Span::secs(90)
        })
    );

    let got = service(
        "{ instances: { from: file, file: cart.json, match: { tier: 1 }, version: label.build },
           protocol: grpc, health: { grpc: '', interval: 5s }, capacity: 60rps,
           drain: { until: idle, lostProxies: { then: ignore } }, endpoints: oneByOne,
           envoy: { cluster: { connect_timeout: 1s, a: [1, -2, 0.5, 'yes', true, ~, '7'] } } }",
    );
    assert_eq!(
        got.source,
        InstanceSource::File {
            path: "cart.json".to_owned()
        }
    );
    assert_eq!(got.matches, [("tier".to_owned(), "1".to_owned())].into());
    assert_eq!(got.version_label.0, "build");
    assert_eq!(
        got.health.probe,
        Probe::Grpc {
            service: String::new()
        }
    );
    assert_eq!(got.drain.lost_proxies.then, ThenDo::Ignore);
    assert_eq!(got.delivery, Delivery::OneByOne);
    assert_eq!(
        got.overlay.unwrap().part(OverlayPart::Cluster).unwrap(),
        r#"{"connect_timeout":"1s","a":[1,-2,0.5,"yes",true,null,"7"]}"#
    );
}

#[test]
fn the_index_knows_each_document_as_it_was_written() {
    let text = "# all\n---\n# cart\nkind: Service\nname: cart\nspec: &s { instances: { from: api } }\n# end\n---\n---\nkind: Service\nname: größe-2\n";
    assert!(load_text(text).is_err());
    let loaded = good(&text.replace(
        "name: größe-2\n",
        "# größe\nname: b\nspec: { instances: { from: api } }\n...\n",
    ));
    let entry = |name: &str, line, yaml: &str| Entry {
        kind: Kind::Service,
        name: name.to_owned(),
        file: "a.yaml".to_owned(),
        line,
        yaml: yaml.to_owned(),
    };
    assert_eq!(
        loaded.index,
        [
            entry(
                "cart",
                4,
                "# cart\nkind: Service\nname: cart\nspec: &s { instances: { from: api } }\n# end"
            ),
            entry(
                "b",
                10,
                "kind: Service\n# größe\nname: b\nspec: { instances: { from: api } }"
            ),
        ]
    );
}

#[test]
fn aliases_are_followed() {
    let loaded = good(
        "kind: Rollout\nname: r\nspec: { service: cart, to: &v v2, bake: { for: &t 7m }, deadline: *t }\n---\nkind: Service\nname: cart\nspec: { instances: { from: api } }\n",
    );
    let rollout = loaded.documents.rollouts.values().next().unwrap();
    assert_eq!(rollout.deadline, Span::secs(420));
}

#[test]
fn a_written_rollout_reads_back() {
    let (name, service) = ("cart-42".parse().unwrap(), "cart".parse().unwrap());
    let (from, to) = ("1.9".parse().unwrap(), "1.10".parse().unwrap());
    let share = Amount::Percent(Share::per_million(1_000));
    let rolling = Rolling::new(share, Amount::Count(2), Amount::Count(1));
    let text = rollout_document(&name, &service, Some(&from), &to, Some(&rolling));
    let loaded = good(&format!("{CART}{text}"));
    let got = &loaded.documents.rollouts[&name];
    assert_eq!(
        (&got.service, &got.from, &got.to),
        (&service, &Some(from), &to)
    );
    assert_eq!(got.strategy, Strategy::Rolling(rolling));

    let short = rollout_document(&name, &service, None, &to, None);
    assert_eq!(
        short,
        "kind: Rollout\nname: \"cart-42\"\nspec:\n  service: \"cart\"\n  to: \"1.10\"\n"
    );
}

#[test]
fn no_documents_are_a_good_set() {
    assert!(good("").index.is_empty());
    assert!(load(&[], overlay).is_ok());
}

#[test]
fn the_examples_load() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mesh");
    let sources = read_directory(&directory).unwrap();
    let loaded = load(&sources, overlay).unwrap_or_else(|refusal| panic!("{refusal}"));
    let files: Vec<_> = loaded
        .index
        .iter()
        .map(|entry| entry.file.as_str())
        .collect();
    assert_eq!(
        files,
        ["gate.yaml", "gateway.yaml", "rollout.yaml", "service.yaml"]
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn hooks_are_one_or_several() {
    let got = rollout(
        "{ service: cart, to: v2, steps: [{ weight: 5% }],
           hooks: {
             before: { each: step, post: 'https://ci.example/smoke', timeout: 30s, sign: { env: KEY } },
             after: [
               { each: step, exec: [./smoke.sh, '{what}'], tries: 1, every: 5s, onFail: hold, name: smoke },
               { end: rollout, post: 'https://chat.example/hook', sign: { file: /run/key } },
             ] },
           replace: { post: 'https://ci.example/replace', sign: { env: KEY } } }",
    );
    let post = |url: &str, timeout, sign| Hook::Post {
        url: url.to_owned(),
        headers: std::collections::BTreeMap::new(),
        timeout,
        sign: Some(sign),
    };
    let env = || KeySource::Env("KEY".to_owned());
    let first = RolloutHook {
        name: "ci.example".to_owned(),
        when: When::Before,
        each: Each::Step,
        call: post("https://ci.example/smoke", Span::secs(30), env()),
        tries: 5,
        every: Span::secs(15),
        on_fail: OnFail::Rollback,
    };
    let second = RolloutHook {
        name: "smoke".to_owned(),
        when: When::After,
        call: Hook::Exec {
            argv: vec!["./smoke.sh".to_owned(), "{what}".to_owned()],
            timeout: Span::secs(60),
        },
        tries: 1,
        every: Span::secs(5),
        on_fail: OnFail::Hold,
        ..first.clone()
    };
    let file = KeySource::File("/run/key".to_owned());
    let third = RolloutHook {
        name: "chat.example".to_owned(),
        when: When::After,
        each: Each::Rollout,
        call: post("https://chat.example/hook", Span::secs(60), file),
        on_fail: OnFail::Ignore,
        ..first.clone()
    };
    assert_eq!(got.hooks, [first, second, third]);
    let replace = post("https://ci.example/replace", Span::secs(300), env());
    assert_eq!(got.replace, Some(replace));
}

#[test]
fn directories_give_their_visible_yaml_files() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b.yml", "a.yaml", ".hidden.yaml", "notes.txt"] {
        fs_err::write(directory.path().join(name), name).unwrap();
    }
    fs_err::create_dir(directory.path().join("c.yaml")).unwrap();
    fs_err::write(
        directory.path().join("large.yaml"),
        vec![b'#'; FILE_BYTES_MAX + 9],
    )
    .unwrap();
    let sources = read_directory(directory.path()).unwrap();
    let names: Vec<_> = sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a.yaml", "b.yml", "large.yaml"]);
    assert_eq!(sources[2].text.len(), FILE_BYTES_MAX + 1);

    fs_err::write(directory.path().join("d.yaml"), [0xff]).unwrap();
    let error = read_directory(directory.path()).unwrap_err().to_string();
    assert!(error.contains("d.yaml` is not UTF-8"), "{error}");
}

#[test]
fn the_schema_knows_what_is_supported() {
    let schema = json_schema();
    assert_eq!(schema["oneOf"].as_array().map(Vec::len), Some(5));
    let rollout = &schema["$defs"]["RolloutSpec"];
    assert_eq!(rollout["required"], serde_json::json!(["service", "to"]));
    assert_eq!(rollout["additionalProperties"], false);
    let fields: Vec<_> = rollout["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "service",
            "alias",
            "from",
            "to",
            "rolling",
            "replace",
            "hooks",
            "gates",
            "bake",
            "deadline",
            "steps",
            "warm",
            "blueGreen",
            "waves",
            "inEach",
            "keepOld",
            "stickTo",
            "onWorse",
            "ifUnsure"
        ]
    );
    // Each field says what it is for.
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for (field, schema) in definition["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{field}");
        }
    }
}
