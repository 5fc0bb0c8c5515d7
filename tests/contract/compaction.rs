//! A journal that is summed up, copied, looked at, and one that cannot be written any more.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::fleet::{DOCUMENTS, in_stage, register, rollout, serving, serving_in};
use crate::journal::{CHECKPOINTED, FIXTURE, decided};
use crate::server::Server;
use crate::tidegate::{Ran, fed, tidegate, transcript, until};

fn home_with(settings: &str) -> Arc<TempDir> {
    let home = tempfile::tempdir().unwrap();
    fs_err::write(home.path().join("tidegate.yaml"), settings).unwrap();
    Arc::new(home)
}

fn journal(server: &Server) -> Value {
    serde_json::from_str(&server.get("/v1/journal").1).unwrap()
}

/// Runs `tidegate` on something in a directory that the transcript does not name.
fn on(home: &Path, words: &[&str], stdin: &str) -> Ran {
    let home = home.to_str().unwrap();
    let words: Vec<String> = words.iter().map(|w| w.replace("HOME", home)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut ran = fed(&words, stdin);
    ran.rename(home, "[HOME]");
    ran
}

/// What is old goes while a rollout is under way; nothing of that one does, and a start from the rest, or
/// from a copy of it, knows everything.
#[test]
fn a_compacted_journal_and_its_copy_know_everything() {
    let settings = "journal: { retention: 1ms, checkpointEvery: 5 }\n";
    let server = serving_in(home_with(settings));
    server.apply(&rollout("cart-2", "v2"));
    register(&server, "v2", &["b1"]);
    server.until("one is replaced", |state| in_stage(state, "released") == 1);
    let planned = |server: &Server| {
        let history = server.run("history --rollout cart-2 --output json").ok();
        let first = history.stdout.lines().next().unwrap().to_owned();
        serde_json::from_str::<Value>(&first).unwrap()
    };
    let before = planned(&server);
    let seq = before["seq"].as_u64().unwrap();
    until("what came before it is deleted", || {
        server.run("rollout pause cart-2 --reason lunch").ok();
        server.run("rollout resume cart-2").ok();
        (journal(&server)["first"].as_u64() > Some(1)).then_some(())
    });
    server.run("rollout pause cart-2").ok();
    assert!(journal(&server)["first"].as_u64() <= Some(seq));
    assert_eq!(planned(&server), before, "all of it is there");
    let noted = server.run("history --limit 1").ok();
    assert!(noted.stderr.contains("are deleted"), "{noted}");
    let status = server.run("journal status").ok();
    assert!(status.stdout.contains("checkpoint at entry"), "{status}");

    let known = server.state();
    let lines = server.run("journal export").ok().stdout;
    assert!(lines.starts_with("{\"checkpoint\":{"), "{lines}");
    let home = server.killed();
    let offline = on(home.path(), &["journal", "export", "HOME/data"], "").ok();
    assert_eq!(offline.stdout, lines);

    let copy = home_with(settings);
    on(
        copy.path(),
        &["journal", "import", "-", "HOME/data"],
        &lines,
    )
    .ok();
    let kept = copy.path().join("data/documents");
    fs_err::create_dir_all(&kept).unwrap();
    for file in fs_err::read_dir(home.path().join("data/documents")).unwrap() {
        let file = file.unwrap();
        fs_err::copy(file.path(), kept.join(file.file_name())).unwrap();
    }
    for home in [home, copy] {
        on(home.path(), &["journal", "check", "HOME/data"], "").ok();
        let again = Server::start_in(home);
        again.until("all of it is there again", |state| {
            state["ready"] == true && decided(state.clone()) == decided(known.clone())
        });
        let said = again.said();
        assert!(!said.contains("checkpoint=0"), "{said}");
    }
}

#[test]
fn what_is_said_of_a_journal() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    for (name, bytes) in [("old", FIXTURE), ("new", CHECKPOINTED)] {
        fs_err::create_dir_all(dir.join(name)).unwrap();
        fs_err::write(dir.join(name).join("journal.redb"), bytes).unwrap();
    }
    let lines = on(dir, &["journal", "export", "HOME/old"], "").ok().stdout;
    let without = |line: usize| {
        let lines = lines.lines().enumerate();
        let kept = lines.filter(|(number, _)| *number != line);
        kept.flat_map(|(_, line)| [line, "\n"]).collect::<String>()
    };
    let import = ["journal", "import", "-", "HOME/copy"];
    let mut seen = String::new();
    for (words, stdin) in [
        (&["journal", "check", "HOME/none"][..], ""),
        (&["journal", "check", "HOME/old"], ""),
        (&["journal", "check", "HOME/new/journal.redb"], ""),
        (&import, ""),
        (&import, "{\"seq\":1}\n"),
        (&import, without(2).as_str()),
        (&import, without(0).as_str()),
        (&import, lines.as_str()),
        (&import, lines.as_str()),
        (&["journal", "check", "HOME/copy"], ""),
    ] {
        seen += &on(dir, words, stdin).to_string();
    }
    assert!(!dir.join("copy/journal.partial").exists());
    transcript(
        "what_is_said_of_a_journal",
        &seen,
        &[(r"line \d+ column \d+", "[PLACE]")],
    );
    let again = on(dir, &["journal", "export", "HOME/copy"], "").ok();
    assert_eq!(again.stdout, lines);
}

#[test]
fn a_journal_in_use_is_said_to_be() {
    let server = serving();
    let mut seen = String::new();
    for verb in ["check", "export"] {
        seen += &on(server.home.path(), &["journal", verb, "HOME/data"], "").to_string();
    }
    let words = ["journal", "import", "-", "HOME/data"];
    seen += &on(server.home.path(), &words, "").to_string();
    transcript("a_journal_in_use", &seen, &[]);
}

#[test]
fn the_history_of_somebody_of_a_service_and_since_when() {
    let server = serving();
    server.run("drain a1 --reason reboot").ok();
    server.until("it is out", |state| {
        state["services"][0]["instances"][0]["stage"] == "released"
    });
    server.run("undrain a1").ok();
    server.until("it is back", |state| {
        state["services"][0]["instances"][0]["stage"] == "serving"
    });
    let mut seen = server.session(&[
        "history --by ada",
        "history --by ada --since 1h --limit 2",
        "history --service nobody",
        "history --since soon",
    ]);
    let cart = server.run("history --service cart --output json").ok();
    let first: Value = serde_json::from_str(cart.stdout.lines().next().unwrap()).unwrap();
    seen += &format!("{}\n", first["record"]["documentsApplied"]["changes"]);
    transcript("history_by_whom", &seen, &[(r"(?m)^ *\d+  ", "[NUMBER]  ")]);
    let later = server.run("history --since 2100-01-01T00:00:00Z").ok();
    assert_eq!(later.stdout, "");
}

/// Services enough for an entry of some hundred kilobytes, each time with another number.
fn many(number: usize) -> String {
    let service = |name: usize| {
        format!(
            "---\nkind: Service\nname: s{name}\nspec:\n  instances: {{ from: api }}\n  minReady: {number}s\n"
        )
    };
    format!(
        "{DOCUMENTS}{}",
        (0..500).map(service).collect::<Vec<_>>().concat()
    )
}

/// A limit on the size of files is what a full disk is for whoever writes, and needs no disk.
#[test]
fn a_journal_that_cannot_be_written_ends_the_process_and_loses_nothing() {
    let server = serving();
    server.apply(&many(1));
    let before = server.state();
    let home = server.killed();
    let data = home.path().join("data");
    let bytes = fs_err::metadata(data.join("journal.redb")).unwrap().len();
    let blocks = bytes.div_ceil(512) + 1024;
    let limited = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} serve --data {} --listen-xds 127.0.0.1:0 --listen-api 127.0.0.1:0",
        env!("CARGO_BIN_EXE_tidegate"),
        data.display(),
    );
    let mut child = std::process::Command::new("sh")
        .args(["-c", &limited])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut said = String::new();
    while !said.contains("the API is at ") || !said.ends_with('\n') {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    let (_, url) = said.split_once("the API is at ").unwrap();
    let url = url.lines().next().unwrap().to_owned();
    let mut number = 2;
    let code = until("it cannot write", || {
        fed(&["apply", "-f", "-", "--server", &url], &many(number));
        number += 1;
        child.try_wait().unwrap()
    });
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(code.code(), Some(1), "{said}");
    let word = "error: the control plane stopped: its journal cannot be written: ";
    assert!(said.contains(word), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert!(said.contains("hint: make room"), "{said}");

    let check = tidegate(&["journal", "check", data.to_str().unwrap()]).ok();
    assert!(check.stdout.ends_with("sound\n"), "{check}");
    let again = Server::start_in(home);
    let after = again.until("it is ready again", |state| state["ready"] == true);
    assert!(after["generation"].as_u64() >= before["generation"].as_u64());
}
