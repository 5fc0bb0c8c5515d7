//! The words of the command line: help, wrong words, exit codes.

use std::path::Path;

use crate::tidegate::{tidegate, transcript};

/// The commands whose help is part of the page, in its order.
const COMMANDS: [&str; 41] = [
    "serve",
    "validate",
    "schema",
    "sim",
    "plan",
    "apply",
    "get",
    "diff",
    "delete",
    "register",
    "instances",
    "drain",
    "undrain",
    "rollout",
    "rollout start",
    "rollout status",
    "rollout watch",
    "rollout pause",
    "rollout resume",
    "rollout skip",
    "rollout retry",
    "rollout abort",
    "rollout undo",
    "rollout override",
    "freeze",
    "unfreeze",
    "why",
    "evidence",
    "history",
    "journal",
    "journal status",
    "journal check",
    "journal export",
    "journal import",
    "proxies",
    "proxies forget",
    "secrets",
    "bootstrap",
    "demo",
    "completions",
    "help",
];

/// Where the page is.
const PAGE: &str = "docs/command-line.md";

/// What stands above the commands.
const INTRODUCTION: &str = "\
# The command line

What `--help` says, in one page. Made from it by `TIDEGATE_WRITE_DOCS=1 cargo test --test contract \
command_line`; do not edit.

Data goes to stdout, all else to stderr. `--output json` gives programs the API's own values.
";

/// The part of a help text that every command has.
fn without_globals(help: &str) -> String {
    let Some((before, after)) = help.split_once("Global options:\n") else {
        return help.to_owned();
    };
    let rest = after.split_once("\n\n").map_or("", |(_, rest)| rest);
    let rest = rest.lines().skip_while(|line| line.starts_with(' '));
    let rest: Vec<&str> = rest.collect();
    format!("{}\n{}", before.trim_end(), rest.join("\n"))
        .trim()
        .to_owned()
}

fn page() -> String {
    let main = tidegate(&["--help"]).ok().stdout;
    let mut page = format!("{INTRODUCTION}\n```text\n{}\n```\n", main.trim());
    for name in COMMANDS.iter().filter(|name| **name != "help") {
        let words: Vec<&str> = name.split(' ').chain(["-h"]).collect();
        let help = tidegate(&words).ok().stdout;
        let help = without_globals(&help);
        page += &format!("\n## {name}\n\n```text\n{help}\n```\n");
    }
    page
}

/// The page cannot rot, and what it says is reviewed as a change of a file.
#[test]
fn the_page_says_what_the_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
        fs_err::write(&path, page()).unwrap();
    }
    let kept = fs_err::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept,
        page(),
        "{PAGE} is stale; its second paragraph says how to make it"
    );
}

#[test]
fn every_command_is_on_the_page() {
    let help = tidegate(&["--help"]).ok().stdout;
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        assert!(COMMANDS.contains(&name), "{name} is not on the page");
    }
}

#[test]
fn help_fits_a_screen() {
    for name in COMMANDS {
        let words: Vec<&str> = name.split(' ').chain(["-h"]).collect();
        let ran = tidegate(&words);
        if name != "help" {
            assert!(ran.stdout.lines().count() <= 60, "{ran}");
        }
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{ran}");
    }
}

/// Exit code 2 and nothing on stdout, whatever is wrong with the words.
#[test]
fn wrong_words() {
    let wrong: [&[&str]; 14] = [
        &["--bogus"],
        &["rollout", "statsu"],
        &["rollout", "start", "cart"],
        &["rollout", "start", "a b", "--to", "v1"],
        &[
            "register",
            "--service",
            "cart",
            "--version",
            "1",
            "--address",
            "localhost:80",
        ],
        &[
            "register",
            "--service",
            "a",
            "--version",
            "1",
            "--address",
            "10.0.0.1:1",
            "--label",
            "x",
        ],
        &["drain", "cart-1", "--timeout", "5s"],
        &["drain", "cart-1", "--wait", "--timeout", "5"],
        &["get", "cats"],
        &["serve", "--listen-xds", "here"],
        &["bootstrap", "--node-cluster", "web", "--xds", "here"],
        &["schema", "--log", "foo=bar=baz"],
        &["why", "x", "--server", "127.0.0.1:18080"],
        &["validate"],
    ];
    let mut seen = String::new();
    for words in wrong {
        let ran = tidegate(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
        seen += &ran.to_string();
    }
    transcript("wrong_words", &seen, &[]);
}

/// Exit code 3, in one line and with a hint, from every command that talks to a control plane.
#[test]
fn no_server() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    for words in [
        "get",
        "delete gate x",
        "instances",
        "drain x",
        "drain x --wait",
        "undrain x",
        "why x",
        "rollout start cart --to v2",
        "rollout status",
        "rollout watch x",
        "rollout pause x",
        "history",
        "history --follow",
        "journal status",
        "journal export",
        "proxies",
        "proxies forget x",
        "register --service a --version 1 --address 10.0.0.1:1 --once",
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--server", &url]).collect();
        let ran = tidegate(&words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran}");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{ran}");
        assert!(
            lines[0].starts_with("error: cannot reach the control plane at http://"),
            "{ran}"
        );
        assert!(
            lines[1].starts_with("hint: is `tidegate serve` running?"),
            "{ran}"
        );
    }
}

#[test]
fn completions_and_bootstrap_print_only_data() {
    for words in [
        "completions bash",
        "completions zsh",
        "bootstrap --node-cluster web",
        "--version",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = tidegate(&words).ok();
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran}");
    }
}
