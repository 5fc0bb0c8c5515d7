//! Certificates that real Envoys are given, and that change under way: the example `tls`.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::support::certificates::{Ca, Pair, SETTINGS};
use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::tls::TlsClient;
use crate::support::tools;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// What the example's certificate is for.
const NAME: &str = "edge.test";

/// The example, and the files of its secrets.
struct Story {
    world: World,
    ca: Ca,
}

impl Story {
    fn start() -> Self {
        let world = World::prepared(&Documents::default(), |directory| {
            fs_err::create_dir(directory.join("secrets")).unwrap();
            fs_err::write(directory.join(SETTINGS), "secrets: secrets\n").unwrap();
        });
        let ca = Ca::new("ours");
        Self { world, ca }
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.world.path().join("secrets").join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn put_pair(&self, pair: &Pair) {
        self.put("edge/tls.crt", &pair.certificate);
        self.put("edge/tls.key", &pair.key);
    }

    /// The state of a secret, and what is said of it.
    fn until_state(&self, name: &str, state: &str) -> String {
        eventually(SOON, &format!("the secret {name} to be {state}"), || {
            let view = self.world.control.get("/v1/secrets").json();
            let all = view["secrets"].as_array().unwrap().iter();
            let secret = all.clone().find(|it| it["name"] == name);
            let secret = secret.ok_or_else(|| view.to_string())?;
            if_so(secret["state"] == state, secret.to_string())?;
            Ok::<_, String>(secret["problem"].to_string())
        })
    }

    /// Waits until new connections are shown this certificate, and keeps one.
    fn until_shown(&self, envoy: &Envoy, pair: &Pair) -> TlsClient {
        let listener = envoy.listener("edge/0");
        let wanted = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        eventually(SOON, "the certificate", || {
            let client = TlsClient::connect(listener, NAME, &self.ca.pem(), None)?;
            if_so(client.certificate() == wanted, "another one".to_owned())?;
            Ok::<_, String>(client)
        })
    }
}

/// From "not there yet" over A to B; then a pair that is none, and none at all.
pub(crate) fn certificates_change_under_way() {
    let mut story = Story::start();
    let applied = apply_example(&story.world);
    for said in [
        "waits for the secret `edge`",
        "secrets/edge/tls.crt",
        "`partners/ca`",
    ] {
        assert!(applied.contains(said), "{applied}");
    }
    story.world.start_apps("v1", 0..1);
    let envoy = story.world.start_envoy("sidecar.yaml", "edge-1");
    story.world.until_serving("v1", 1);
    let control = &story.world.control;
    eventually(SOON, "the listeners to wait", || {
        let sent = control.cli_ok(&["get", "--envoy", "edge-1", "--type", "secret"]);
        if_so(sent.matches("missing").count() == 2, sent)
    });
    assert_eq!(envoy.state(), "INITIALIZING");
    assert!(control.cli_ok(&["secrets"]).contains("there is no"));
    assert!(
        control
            .cli(&["get"])
            .stderr
            .contains("waits for the secret `edge`")
    );

    let (a, b) = (story.ca.certify(NAME), story.ca.certify(NAME));
    story.put("partners/ca.crt", &story.ca.pem());
    story.put_pair(&a);
    let mut with_a = story.until_shown(&envoy, &a);
    story.until_state("edge", "current");

    story.put_pair(&b);
    let mut with_b = story.until_shown(&envoy, &b);
    with_a.get().expect("a connection goes on");

    story.put("edge/tls.key", &a.key);
    let problem = story.until_state("edge", "kept");
    assert!(
        problem.contains("is not that of the certificate"),
        "{problem}"
    );
    assert!(
        story
            .world
            .control
            .log()
            .contains("is not that of the certificate")
    );
    story.until_shown(&envoy, &b);
    fs_err::remove_dir_all(story.world.path().join("secrets/edge")).unwrap();
    eventually(SOON, "the files to be missed", || {
        let problem = story.until_state("edge", "kept");
        if_so(problem.contains("is gone"), problem)
    });
    story.until_shown(&envoy, &b);
    let metrics = story.world.control.get("/metrics").body;
    assert!(
        metrics.contains("tidegate_secrets{state=\"kept\"} 1"),
        "{metrics}"
    );

    // By the other variant of the protocol too, and by its CAs.
    let sotw = story.world.start_envoy("sotw.yaml", "edge-2");
    story.until_shown(&sotw, &b);
    for envoy in [&envoy, &sotw] {
        let partners = envoy.listener("edge/0.1");
        let connect = |own: Option<&Pair>| TlsClient::connect(partners, NAME, &story.ca.pem(), own);
        connect(Some(&story.ca.certify("partner.test"))).unwrap();
        connect(Some(&Ca::new("other").certify("partner.test"))).unwrap_err();
        connect(None).unwrap_err();
        let stats = envoy.stats();
        stats.assert_nothing_refused();
        stats.assert_warm();
    }
    with_a.get().expect("a connection goes on");
    with_b.get().expect("a connection goes on");
    assert_no_key_is_shown(&story.world, &[&a, &b]);
}

/// Neither what is shown nor what is logged or kept has any of a key in it.
fn assert_no_key_is_shown(world: &World, pairs: &[&Pair]) {
    let control = &world.control;
    let words = ["get", "--envoy", "edge-1", "--output", "yaml"];
    let shown = control.cli_ok(&words);
    assert!(
        shown.contains("[redacted]") && shown.contains("BEGIN CERTIFICATE"),
        "{shown}"
    );
    let rest = control.get("/v1/proxies/edge-1/envoy?type=secret").body;
    assert!(rest.contains("[redacted]"), "{rest}");
    let mut all = vec![shown, rest, control.log(), control.history()];
    all.push(control.get("/v1/secrets").body);
    all.push(control.get("/v1/documents").body);
    for entry in files(&world.path().join("data")) {
        all.push(String::from_utf8_lossy(&entry).into_owned());
    }
    for pair in pairs {
        let line = pair.key.lines().nth(1).unwrap();
        assert!(line.len() > 40 && all.iter().all(|text| !text.contains(line)));
    }
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(fs_err::read(path).unwrap());
        }
    }
    assert!(!found.is_empty());
    found
}

/// Puts the example in force, on ports of the host's choice, for Envoys that wait however long it takes;
/// what is said beside it.
fn apply_example(world: &World) -> String {
    let example = tools::repository().join("examples/tls/tls.yaml");
    let mut text = fs_err::read_to_string(example).unwrap();
    for port in ["10443", "10444"] {
        text = text.replace(
            &format!("port: {port}"),
            "address: 127.0.0.1\n      port: 0",
        );
    }
    let text = text.replace("{ ads: {},", "{ initial_fetch_timeout: 0s, ads: {},");
    let path = world.path().join("tls.yaml");
    fs_err::write(&path, text).unwrap();
    world.control.cli_ok(&["delete", "gateway", "mesh"]);
    let applied = world.control.cli(&["apply", "-f", path.to_str().unwrap()]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    applied.stderr
}
