//! A service whose document says what it runs, as in `examples/gitops`: commits, a revert, and drift.

use std::path::Path;
use std::sync::Arc;

use crate::fleet::{awaits_instances, in_stage, phase, register};
use crate::server::Server;
use crate::tidegate::{SPANS, transcript};

/// The example, with a health check that an open port passes and no time to bake.
fn documents(run: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops/cart.yaml");
    let text = fs_err::read_to_string(path).unwrap();
    let changes = [
        ("run: v42", format!("run: {run}")),
        (
            "health: { http: /healthz, interval: 2s }",
            "health: { tcp: true, interval: 100ms, healthyAfter: 1 }\n  minReady: 0s".to_owned(),
        ),
        (
            "bake: { for: 10m, holdback: 1 }",
            "bake: { for: 0s }".to_owned(),
        ),
    ];
    changes.into_iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, &to)
    })
}

/// What is typed in the directory where the repository is, without its path.
fn diff(server: &Server, repository: &Path, more: &str) -> String {
    let mut ran = server.run(&format!("diff -f {}{more}", repository.display()));
    ran.rename(&format!("{}", repository.display()), "documents");
    ran.to_string()
}

#[test]
fn commits_reverts_and_drift() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let repository = home.path().join("repository");
    fs_err::create_dir(&repository).unwrap();
    let write = |run: &str| fs_err::write(repository.join("cart.yaml"), documents(run)).unwrap();
    let server = Server::start_in(Arc::clone(&home));
    let commit = |run: &str| {
        write(run);
        server.apply(&documents(run));
    };
    write("v41");
    let mut seen = format!(
        "# before anything is in force\n{}",
        diff(&server, &repository, "")
    );
    commit("v41");
    seen += &format!("# nothing serves\n{}", diff(&server, &repository, ""));
    register(&server, "v41", &["a1", "a2"]);
    server.until("two serve", |state| in_stage(state, "serving") == 2);
    seen += &format!("# it runs\n{}", diff(&server, &repository, ""));
    write("v42");
    seen += &format!(
        "# a commit that is not in force\n{}",
        diff(&server, &repository, "")
    );
    commit("v42");
    server.until("it waits for instances", awaits_instances);
    seen += &format!("# on its way\n{}", diff(&server, &repository, ""));
    seen += &server.session(&["rollout status", "get"]);

    server.run("rollout abort cart-v42 --reason mistake").ok();
    server.until("it is back", |state| {
        phase(state, "cart-v42") == "RolledBack"
    });
    server.apply("kind: Gate\nname: extra\nspec: { checks: [errors: {}] }\n");
    seen += &format!(
        "# an abort, and a document by hand\n{}",
        diff(&server, &repository, "")
    );
    seen += &diff(&server, &repository, " --output json");
    server.run("delete gate extra").ok();

    commit("v41");
    seen += &format!("# the revert\n{}", diff(&server, &repository, ""));
    commit("v42");
    register(&server, "v42", &["b1", "b2"]);
    server.until("the second try ends", |state| {
        phase(state, "cart-v42-2") == "Done"
    });
    seen += &format!("# once more\n{}", diff(&server, &repository, ""));
    seen += &server.session(&["rollout status"]);
    transcript("commits_reverts_and_drift", &seen, &[SPANS]);
}
