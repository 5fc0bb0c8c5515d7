//! Files of every kind, and what becomes of the secrets that they are to be.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio::sync::watch;

use super::kept::Kept;
use super::*;
use crate::domain::Time;
use crate::process::Tasks;
use crate::snapshot::SecretUsers;

/// A certificate and its key.
#[derive(Clone)]
struct Made {
    certificate: String,
    key: String,
}

fn made() -> Made {
    made_by(&PKCS_ECDSA_P256_SHA256, (2020, 2200))
}

fn made_by(algorithm: &'static rcgen::SignatureAlgorithm, (from, to): (i32, i32)) -> Made {
    let mut params = CertificateParams::new(vec!["edge.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let key = KeyPair::generate_for(algorithm).unwrap();
    Made {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A directory of secrets, and a look at it.
struct World {
    directory: TempDir,
    kept: Kept,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            kept: Kept::default(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn put(&self, file: &str, text: impl AsRef<[u8]>) {
        put(self.path(), file, text);
    }

    fn put_pair(&self, name: &str, made: &Made) {
        self.put(&format!("{name}/tls.crt"), &made.certificate);
        self.put(&format!("{name}/tls.key"), &made.key);
    }

    fn remove(&self, file: &str) {
        fs_err::remove_file(self.path().join(file)).unwrap();
    }

    /// Each secret as `name state: problem` after a look.
    fn look(&mut self) -> Vec<String> {
        let (names, _) = directory::list(self.path()).unwrap();
        let found = directory::read(self.path(), names);
        self.kept.take(self.directory.path(), &found);
        let now = "2026-11-23T12:00:00Z".parse::<Time>().unwrap();
        let view = self.kept.view(now).into_iter();
        let line = |it: SecretView| {
            let problem = it.problem.map(|problem| format!(": {problem}"));
            format!("{} {}{}", it.name, it.state, problem.unwrap_or_default())
        };
        let root = format!("{}/", self.path().display());
        view.map(|it| line(it).replace(&root, "")).collect()
    }

    fn version(&self, name: &str) -> String {
        let resources = self.kept.resources();
        resources[name].version.to_string()
    }
}

fn put(directory: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = directory.join(file);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

#[test]
fn names_follow_from_files() {
    let (mut world, pair) = (World::new(), made());
    world.put_pair("edge", &pair);
    world.put("edge/ca.crt", &pair.certificate);
    world.put("partners/ca.crt", format!("{0}{0}", pair.certificate));
    world.put("acme/ca.crt", "\n");
    world.put_pair("acme", &pair);
    world.put("nothing/readme", "nothing");
    world.put(".old/tls.crt", "skipped");
    world.put("stray.crt", "skipped");
    assert_eq!(
        world.look(),
        [
            "acme current",
            "edge current",
            "edge/ca current",
            "partners/ca current"
        ]
    );
    world.put("a b/tls.crt", "");
    let (_, strange) = directory::list(world.path()).unwrap();
    assert_eq!(strange, ["a b"]);
}

#[test]
fn what_is_of_no_use_is_told_and_never_taken() {
    let (pair, other) = (made(), made());
    let ed25519 = made_by(&PKCS_ED25519, (2020, 2200));
    let encrypted = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let half = &pair.certificate[..pair.certificate.len() / 2];
    let garbled = pair.certificate.replace("MII", "AAA");
    let table: [(&str, &str, &str); 11] = [
        (&pair.certificate, "", "`edge/tls.key` is empty"),
        (
            &pair.certificate,
            "hello",
            "`edge/tls.key` has no private key in PEM form",
        ),
        (
            &pair.certificate,
            &pair.certificate,
            "`edge/tls.key` has no private key in PEM form",
        ),
        (
            &pair.certificate,
            &other.key,
            "the key in `edge/tls.key` is not that of the certificate in `edge/tls.crt`",
        ),
        (
            &pair.certificate,
            &encrypted,
            "the key in `edge/tls.key` cannot be used: it is encrypted",
        ),
        (
            &ed25519.certificate,
            &ed25519.key,
            "the key in `edge/tls.key` cannot be used: it is an Ed25519 key",
        ),
        ("", &pair.key, "`edge/tls.crt` is empty"),
        (
            "hello",
            &pair.key,
            "`edge/tls.crt` has no certificate in PEM form",
        ),
        (
            half,
            &pair.key,
            "`edge/tls.crt` has no certificate in PEM form",
        ),
        (
            &pair.key,
            &pair.key,
            "`edge/tls.crt` has no certificate in PEM form",
        ),
        (
            &garbled,
            &pair.key,
            "certificate 1 in `edge/tls.crt` cannot be read: ",
        ),
    ];
    for (certificate, key, problem) in table {
        // With nothing before, and with a good one.
        for is_kept in [false, true] {
            let (mut world, good) = (World::new(), made());
            let mut version = None;
            if is_kept {
                world.put_pair("edge", &good);
                assert_eq!(world.look(), ["edge current"]);
                version = Some(world.version("edge"));
            }
            world.put("edge/tls.crt", certificate);
            world.put("edge/tls.key", key);
            let seen = world.look();
            let state = if is_kept { "kept" } else { "broken" };
            let expected = format!("edge {state}: {problem}");
            assert!(
                seen.len() == 1 && seen[0].starts_with(&expected),
                "{seen:?}\n{expected}"
            );
            assert_eq!(world.look(), seen, "said again");
            let secret = world
                .kept
                .resources()
                .get("edge")
                .map(|it| it.version.to_string());
            assert_eq!(secret, version);
            world.put_pair("edge", &pair);
            assert_eq!(world.look(), ["edge current"]);
        }
    }
}

#[test]
fn files_that_are_missing_or_strange() {
    let (mut world, pair) = (World::new(), made());
    world.put("a/tls.crt", &pair.certificate);
    world.put("b/tls.key", &pair.key);
    world.put_pair("c", &pair);
    world.put("c/tls.crt", [0xff, 0xfe]);
    world.put("d/ca.crt", "-----BEGIN CERTIFICATE-----\nnothing\n");
    world.put_pair("e", &pair);
    world.put("e/tls.key", vec![b'x'; 1024 * 1024 + 1]);
    fs_err::create_dir_all(world.path().join("f/tls.crt")).unwrap();
    assert_eq!(
        world.look(),
        [
            "a broken: `a/tls.key` is not there",
            "b broken: `b/tls.crt` is not there",
            "c broken: `c/tls.crt` has no certificate in PEM form",
            "d/ca broken: `d/ca.crt` has no certificate in PEM form",
            "e broken: `e/tls.key` has more than 1048576 bytes",
            "f broken: `f/tls.crt` cannot be read: other error",
        ]
    );
}

#[test]
fn expiry_is_told_and_stops_nothing() {
    let mut world = World::new();
    world.put_pair("late", &made_by(&PKCS_ECDSA_P384_SHA384, (2020, 2021)));
    world.put_pair("soon", &made_by(&PKCS_ECDSA_P256_SHA256, (2100, 2200)));
    // Of a bundle one that holds is enough.
    let cas =
        [(2020, 2021), (2020, 2200)].map(|it| made_by(&PKCS_ECDSA_P256_SHA256, it).certificate);
    world.put("cas/ca.crt", cas.concat());
    assert_eq!(
        world.look(),
        [
            "cas/ca current",
            "late expired: it expired at 2021-01-01T00:00:00Z",
            "soon current: it is not valid before 2100-01-01T00:00:00Z",
        ]
    );
    assert_eq!(world.kept.resources().len(), 3);
}

/// Only what counts goes to proxies: no key with the chain, no comment, no other section.
#[test]
fn only_the_sections_that_count_are_taken() {
    let (mut world, pair) = (World::new(), made());
    world.put_pair("edge", &pair);
    world.look();
    let version = world.version("edge");
    let combined = format!(
        "# {}\n{}\n{}",
        "secret",
        pair.key,
        pair.certificate.replace('\n', "\r\n")
    );
    world.put("edge/tls.crt", combined);
    world.put(
        "edge/tls.key",
        format!(
            "-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n{}",
            pair.key
        ),
    );
    assert_eq!(world.look(), ["edge current"]);
    assert_eq!(world.version("edge"), version);
}

#[test]
fn what_is_gone_is_kept_for_those_who_ask_for_it() {
    let (mut world, pair) = (World::new(), made());
    world.put_pair("edge", &pair);
    world.put("edge/ca.crt", &pair.certificate);
    world.look();
    let users = SecretUsers::from([("edge".to_owned(), ["gateway edge".to_owned()].into())]);
    world.kept.forget_unused(&users);
    assert_eq!(world.look(), ["edge current", "edge/ca current"]);
    world.remove("edge/tls.key");
    world.remove("edge/ca.crt");
    let seen = world.look();
    assert_eq!(
        seen,
        [
            "edge kept: `edge/tls.key` is not there",
            "edge/ca kept: `edge/ca.crt` is gone"
        ]
    );
    world.remove("edge/tls.crt");
    world.look();
    world.kept.forget_unused(&users);
    assert_eq!(world.look(), ["edge kept: `edge/tls.crt` is gone"]);
    world.kept.forget_unused(&SecretUsers::new());
    assert!(world.look().is_empty() && world.kept.resources().is_empty());
    world.put_pair("edge", &pair);
    assert_eq!(world.look(), ["edge current"]);
}

#[test]
fn those_who_ask_are_told_what_they_wait_for() {
    let (world, pair) = (World::new(), made());
    world.put_pair("good", &pair);
    world.put("only-ca/ca.crt", &pair.certificate);
    world.put("bad/tls.crt", &pair.certificate);
    let users = ["bad", "good", "missing", "missing/ca", "only-ca", "un/real"];
    let users = users.map(|name| (name.to_owned(), ["gateway edge".to_owned()].into()));
    let users = SecretUsers::from(users);
    let warnings = check_secrets(world.path()).asked_by(&users).warnings();
    let root = format!("{}/", world.path().display());
    let warnings: Vec<_> = warnings.iter().map(|it| it.replace(&root, "")).collect();
    assert_eq!(
        warnings,
        [
            "gateway edge waits for the secret `bad`: `bad/tls.key` is not there; a certificate is a pair, `tls.crt` and `tls.key`",
            "gateway edge waits for the secret `missing`: there is no `missing/tls.crt` and `tls.key`; they are taken as soon as they are there",
            "gateway edge waits for the secret `missing/ca`: there is no `missing/ca.crt`; it is taken as soon as it is there",
            "gateway edge waits for the secret `only-ca`: there is no `only-ca/tls.crt` and `tls.key`; the CAs beside it are the secret `only-ca/ca`",
            "gateway edge waits for the secret `un/real`: a secret name may not contain '/'; use letters, digits and `-._`; see docs/secrets.md",
        ]
    );
    let nowhere = SecretsView::default().asked_by(&users).warnings();
    assert!(nowhere[0].contains("the server has no directory of secrets; name one by `secrets`"));
    let unreadable = check_secrets(&world.path().join("nowhere"));
    assert!(unreadable.problem.is_some() && unreadable.secrets.is_empty());
}

/// A keeper of a directory, and those who ask for what is in it.
struct Running {
    tasks: Tasks,
    secrets: Secrets,
    users: watch::Sender<Arc<SecretUsers>>,
    reads: Arc<Mutex<Vec<bool>>>,
}

impl Running {
    fn start(directory: PathBuf) -> Self {
        let (tasks, reads) = (Tasks::new(), Arc::new(Mutex::default()));
        let (users, asked) = watch::channel(Arc::default());
        let counted: Arc<Mutex<Vec<bool>>> = Arc::clone(&reads);
        let on_read: OnSecretRead = Arc::new(move |taken| counted.lock().unwrap().push(taken));
        Self {
            secrets: Secrets::start(&tasks, Some(directory), asked, on_read),
            tasks,
            users,
            reads,
        }
    }

    /// Waits for less than a poll takes, so that what is seen was noticed.
    async fn until(&mut self, what: impl Fn(&SecretsView) -> bool) -> SecretsView {
        let seen = self.secrets.view.wait_for(|view| what(view));
        let seen = tokio::time::timeout(crate::process::POLL / 2, seen).await;
        let seen = seen.expect("noticed before the poll").unwrap();
        SecretsView::clone(&seen)
    }

    async fn until_state(&mut self, name: &str, state: SecretState) -> SecretView {
        let of = |view: &SecretsView| view.secrets.iter().find(|it| it.name == name).cloned();
        let is_it = |view: &SecretsView| of(view).is_some_and(|it| it.state == state);
        of(&self.until(is_it).await).unwrap()
    }

    fn version(&self, name: &str) -> Option<String> {
        let resources = self.secrets.resources();
        let resources = resources.borrow();
        resources.get(name).map(|it| it.version.to_string())
    }

    async fn stop(self) {
        assert!(
            self.tasks
                .shutdown(Duration::from_secs(30))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn files_that_are_written_anew_are_taken_and_broken_ones_are_not() {
    let world = World::new();
    world.put_pair("edge", &made());
    let mut running = Running::start(world.path().to_owned());
    // There before anything is answered.
    let first = running.version("edge").unwrap();
    assert_eq!(*running.reads.lock().unwrap(), [true]);

    world.put("edge/tls.key", made().key);
    running.until_state("edge", SecretState::Kept).await;
    assert_eq!(running.version("edge").unwrap(), first);
    world.put_pair("edge", &made());
    running.until_state("edge", SecretState::Current).await;
    assert_ne!(running.version("edge").unwrap(), first);

    // A secret that is new, and one that is asked for before it is there.
    let users = SecretUsers::from([("late".to_owned(), ["gateway edge".to_owned()].into())]);
    running.users.send_replace(Arc::new(users));
    running.until_state("late", SecretState::Missing).await;
    world.put_pair("late", &made());
    let late = running.until_state("late", SecretState::Current).await;
    assert_eq!(late.used_by, ["gateway edge"]);

    // What is gone stays for as long as somebody asks for it.
    fs_err::remove_dir_all(world.path().join("late")).unwrap();
    running.until_state("late", SecretState::Kept).await;
    assert!(running.version("late").is_some());
    running.users.send_replace(Arc::default());
    running.until(|view| view.secrets.len() == 1).await;
    assert_eq!(running.version("late"), None);
    running.stop().await;
}

/// As Kubernetes does, for a secret that is a volume of its own, and for several in one volume.
#[tokio::test]
async fn links_that_are_swapped_are_followed() {
    let (world, volume) = (World::new(), tempfile::tempdir().unwrap());
    let link = |to: &str, at: &Path| {
        let partial = PathBuf::from(format!("{}.partial", at.display()));
        std::os::unix::fs::symlink(to, &partial).unwrap();
        fs_err::rename(partial, at).unwrap();
    };
    let swap = |root: &Path, generation: &str, inner: &str, pair: &Made| {
        put(
            root,
            &format!("..{generation}/{inner}tls.crt"),
            &pair.certificate,
        );
        put(root, &format!("..{generation}/{inner}tls.key"), &pair.key);
        link(&format!("..{generation}"), &root.join("..data"));
    };
    let own = world.path().join("own");
    fs_err::create_dir(&own).unwrap();
    swap(&own, "1", "", &made());
    swap(volume.path(), "1", "projected/", &made());
    for file in ["tls.crt", "tls.key"] {
        link(&format!("..data/{file}"), &own.join(file));
    }
    link("..data/projected", &volume.path().join("projected"));

    for (root, directory, name) in [
        (own.clone(), world.path(), "own"),
        (volume.path().to_owned(), volume.path(), "projected"),
    ] {
        let inner = if name == "own" { "" } else { "projected/" };
        let mut running = Running::start(directory.to_owned());
        for generation in ["2", "3"] {
            let before = running.version(name);
            assert!(before.is_some());
            swap(&root, generation, inner, &made());
            let is_new = |view: &SecretsView| view.secrets[0].version != before;
            let view = running.until(is_new).await;
            assert_eq!(view.secrets[0].state, SecretState::Current);
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_changes_nothing() {
    let world = World::new();
    let path = world.path().join("secrets");
    put(&path, "edge/tls.crt", "");
    let pair = made();
    put(&path, "edge/tls.crt", &pair.certificate);
    put(&path, "edge/tls.key", &pair.key);
    let running = Running::start(path.clone());
    let version = running.version("edge");
    fs_err::rename(&path, world.path().join("away")).unwrap();
    // That a watched directory was itself moved away may be found by a poll alone.
    let mut view = running.secrets.view.clone();
    let is_gone = view.wait_for(|view| view.problem.is_some());
    tokio::time::timeout(crate::process::POLL * 3, is_gone)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(running.version("edge"), version);
    fs_err::rename(world.path().join("away"), &path).unwrap();
    running.users.send_replace(Arc::default());
    let mut view = running.secrets.view.clone();
    let is_back = view.wait_for(|view| view.problem.is_none());
    tokio::time::timeout(crate::process::POLL * 3, is_back)
        .await
        .unwrap()
        .unwrap();
    running.stop().await;
}
