//! Secrets: who is told which, when they change, and what is said of one that is not there.
//!
//! Here plans and files' contents go through the compiler, as they do in the control plane.

use std::cell::RefCell;
use std::sync::Arc;

use tidegate::domain::{
    Gateway, Generation, Listener, Overlay, OverlayPart, Plan, ProxySelector, ServiceName,
};
use tidegate::snapshot::{ByName, Compiler, tls_certificate};

use super::row::{Rule, served, wire};
use super::variant::{ALL, DELTA, Variant};
use super::world::World;

pub(crate) const RULES: &[Rule] = &[
    served(
        0,
        "A secret is told to those whose settings ask for it.",
        &[
            wire("nobody else, whatever it asks for", ALL, to_those_who_may),
            wire(
                "one that changes is told alone, without a new plan",
                ALL,
                changes,
            ),
            wire(
                "one that is refused is replaced by the next, and that is in force",
                ALL,
                refused,
            ),
        ],
    ),
    served(
        0,
        "Who asks for a secret that is not there waits: Envoy would take up a listener without it.",
        &[
            wire("it is served when it comes", ALL, comes_later),
            wire("one that the client holds is told to be gone", DELTA, goes),
        ],
    ),
];

/// A control plane with a gateway for everybody.
struct Plane {
    world: World,
    compiler: RefCell<Compiler>,
}

impl Plane {
    /// The gateway's settings ask for this secret.
    fn asking_for(secret: &str) -> Self {
        let tls =
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
        let settings = serde_json::json!({ "transport_socket": { "name": "tls", "typed_config": {
            "@type": tls,
            "common_tls_context": { "tls_certificate_sds_secret_configs": [
                { "name": secret, "sds_config": { "ads": {}, "resource_api_version": "V3" } },
            ] },
        } } });
        let gateway = Gateway {
            name: "edge".parse().unwrap(),
            proxies: ProxySelector::default(),
            listeners: Vec::<Listener>::new(),
            services: Vec::<ServiceName>::new(),
            overlay: Some(Overlay(
                [(OverlayPart::FilterChain, settings.to_string())].into(),
            )),
        };
        let plan = Plan {
            generation: Generation(1),
            gateways: vec![gateway],
            services: Vec::new(),
        };
        let (world, mut compiler) = (World::new(), Compiler::default());
        world.show(compiler.compile(&plan).unwrap());
        Self {
            world,
            compiler: RefCell::new(compiler),
        }
    }

    /// Publishes these secrets as all that there are: `edge@1 other@1`, name and key.
    fn put(&self, secrets: &str) {
        let secret = |word: &str| {
            let (name, key) = word.split_once('@').unwrap();
            (Arc::from(name), tls_certificate(name, "chain", key))
        };
        let secrets: ByName = secrets.split_whitespace().map(secret).collect();
        self.world
            .show(self.compiler.borrow_mut().with_secrets(Arc::new(secrets)));
    }
}

/// What is heard of a secret, without its content, which is no text of these tests.
fn names(heard: &str) -> String {
    let words = heard.split(' ').map(|word| word.split('@').next().unwrap());
    words.collect::<Vec<_>>().join(" ")
}

fn to_those_who_may(v: Variant) {
    let plane = Plane::asking_for("edge");
    plane.put("edge@1 other@1");
    let mut client = plane.world.client(v);
    assert_eq!(names(&client.ask("s", "other")), "");
    assert_eq!(names(&client.want("s", "edge", "")), "s edge");
    assert_eq!(client.ack("s"), "");
    plane.put("edge@1 other@2");
    assert_eq!(plane.world.client(v).ask("s", "other"), "");
    assert_eq!(client.heard(), "");
}

fn changes(v: Variant) {
    let plane = Plane::asking_for("edge");
    plane.put("edge@1");
    let mut client = plane.world.client(v);
    assert_eq!(names(&client.ask("s", "edge")), "s edge");
    assert_eq!(client.ack("s"), "");
    assert_eq!(plane.world.events().last().unwrap(), "test-id has 1");
    plane.put("edge@1");
    assert_eq!(client.heard(), "");
    plane.put("edge@2");
    assert_eq!(names(&client.heard()), "s edge");
    assert_eq!(client.ack("s"), "");
    assert_eq!(plane.world.events(), Vec::<String>::new());
}

fn refused(v: Variant) {
    let plane = Plane::asking_for("edge");
    plane.put("edge@1");
    let mut client = plane.world.client(v);
    assert_eq!(names(&client.ask("s", "edge")), "s edge");
    assert_eq!(client.ack("s"), "");
    plane.world.events();
    plane.put("edge@2");
    assert_eq!(names(&client.heard()), "s edge");
    assert_eq!(names(&client.nack("s", "too short")), "");
    assert_eq!(
        plane.world.events(),
        ["test-id refused secret edge of 1: too short"]
    );
    plane.put("edge@3");
    assert_eq!(names(&client.heard()), "s edge");
    assert_eq!(client.ack("s"), "");
    assert_eq!(plane.world.events(), ["test-id has 1"]);
}

fn comes_later(v: Variant) {
    let plane = Plane::asking_for("edge");
    let mut client = plane.world.client(v);
    assert_eq!(client.ask("s", "edge"), "");
    plane.put("other@1");
    assert_eq!(client.heard(), "");
    plane.put("edge@1");
    assert_eq!(names(&client.heard()), "s edge");
    assert_eq!(client.ack("s"), "");
}

fn goes(v: Variant) {
    let plane = Plane::asking_for("edge");
    plane.put("edge@1");
    let mut client = plane.world.client(v);
    assert_eq!(names(&client.ask("s", "edge")), "s edge");
    assert_eq!(client.ack("s"), "");
    plane.put("");
    assert_eq!(client.heard(), "s -edge");
    assert_eq!(client.ack("s"), "");
    plane.put("edge@1");
    assert_eq!(names(&client.heard()), "s edge");
}
