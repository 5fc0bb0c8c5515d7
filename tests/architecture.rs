//! The code is checked against `ARCHITECTURE.md`, and against what the style asks of every file.
//!
//! The picture of the allowed edges stands in `ARCHITECTURE.md` alone; this reads it from there. Only
//! the standard library is used, so that the check builds at once and never changes with a crate.
//! Test code is free: it may reach wherever it needs to.

#![expect(
    clippy::disallowed_methods,
    reason = "it reads the sources, and may use no crate that names files in errors"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Longest source file, in lines. What is longer holds two things.
const LINES_MAX: usize = 450;

/// Files that are longer, and why they may be.
const LONGER: [(&str, &str); 0] = [];

/// Modules that decide and do nothing else.
const PURE: [&str; 8] = [
    "domain", "engine", "forecast", "gates", "peer", "protocol", "sim", "snapshot",
];

/// What would make them impure: a clock, chance, sockets, files, the environment, logging, waiting.
const IMPURE: [&str; 20] = [
    ".await",
    "Instant::now",
    "SystemTime::now",
    "TcpListener",
    "TcpStream",
    "Time::now",
    "Timestamp::now",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "async fn",
    "async_trait",
    "fs_err::",
    "rand::",
    "std::env::",
    "std::fs",
    "std::process",
    "std::thread",
    "tokio::",
    "tracing::",
];

/// Crates that bring a foreign world with them, and the modules that may know it.
const WORLDS: [(&str, &[&str]); 11] = [
    ("axum::", &["api", "cli", "demo"]),
    ("clap::", &["cli", "demo", "observe"]),
    ("envoy_types::", &["snapshot", "xds"]),
    ("notify::", &["process"]),
    ("opentelemetry_proto::", &["telemetry"]),
    ("prometheus_client::", &["api", "cli", "observe"]),
    ("redb::", &["store"]),
    ("ring::", &["runtime"]),
    ("rustls::", &["discovery", "secrets", "serving"]),
    ("schemars::", &["spec"]),
    ("x509_parser::", &["peer", "secrets"]),
];

/// Who may know whom, by module.
type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_know_only_whom_the_picture_says() {
    let allowed = picture();
    let mut strange = String::new();
    for file in sources() {
        for (number, known) in file.knows() {
            let is_allowed = allowed
                .get(&file.module)
                .is_some_and(|of| of.contains(&known));
            if !is_allowed {
                let (path, module) = (&file.path, &file.module);
                let _ = writeln!(
                    strange,
                    "{path}:{number}: `{module}` may not know `{known}`"
                );
            }
        }
    }
    assert!(
        strange.is_empty(),
        "{strange}What is needed may come in as a value, a function or a trait; or list the edge in \
         ARCHITECTURE.md, in the block `edges`, and say why."
    );
}

#[test]
fn every_edge_of_the_picture_is_used() {
    let (allowed, used) = (picture(), used());
    let none = BTreeSet::new();
    let mut unused = Vec::new();
    for (module, known) in &allowed {
        let used = used.get(module).unwrap_or(&none);
        unused.extend(
            known
                .difference(used)
                .map(|known| format!("{module} -> {known}")),
        );
    }
    assert!(
        unused.is_empty(),
        "ARCHITECTURE.md lists what is not so any more: {}\nThis is so:\n\n{}",
        unused.join(", "),
        printed(&used)
    );
}

#[test]
fn the_picture_shows_the_modules_that_there_are() {
    let (allowed, used) = (picture(), used());
    assert!(
        allowed.keys().eq(used.keys()),
        "ARCHITECTURE.md shows {:?}, and there are:\n\n{}",
        allowed.keys(),
        printed(&used)
    );
}

#[test]
fn the_picture_has_no_cycle() {
    let mut rest = picture();
    while !rest.is_empty() {
        let known_by_none_left: Vec<String> = rest
            .iter()
            .filter(|(_, known)| known.iter().all(|known| !rest.contains_key(known)))
            .map(|(module, _)| module.clone())
            .collect();
        assert!(
            !known_by_none_left.is_empty(),
            "these modules know each other in a circle, or know one that does:\n\n{}",
            printed(&rest)
        );
        rest.retain(|module, _| !known_by_none_left.contains(module));
    }
}

#[test]
fn pure_modules_know_no_clock_no_chance_and_no_io() {
    let mut found = String::new();
    for file in sources()
        .iter()
        .filter(|file| PURE.contains(&file.module.as_str()))
    {
        for (number, line) in &file.code {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                let _ = writeln!(found, "{}:{number}: `{word}`", file.path);
            }
        }
    }
    assert!(
        found.is_empty(),
        "{found}These modules decide from values; let the shell fetch what they need."
    );
}

#[test]
fn each_foreign_world_has_few_doors() {
    let mut found = String::new();
    for file in sources() {
        for (number, line) in &file.code {
            for (world, doors) in WORLDS {
                if has_word(line, world) && !doors.contains(&file.module.as_str()) {
                    let _ = writeln!(
                        found,
                        "{}:{number}: `{world}` is for {}",
                        file.path,
                        doors.join(", ")
                    );
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn no_file_is_too_long() {
    let mut too_long = String::new();
    for file in sources() {
        let may_be = LONGER.iter().any(|(path, _)| *path == file.path);
        if file.lines > LINES_MAX && !may_be {
            let _ = writeln!(
                too_long,
                "{} has {} lines, over {LINES_MAX}",
                file.path, file.lines
            );
        }
        assert!(
            file.lines > LINES_MAX || !may_be,
            "{} is short again; take it from `LONGER`",
            file.path
        );
    }
    assert!(too_long.is_empty(), "{too_long}Give each noun its file.");
}

#[test]
fn every_file_begins_with_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|file| !file.begins_with_doc)
        .map(|file| file.path)
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

#[test]
fn modules_are_files_beside_their_folders() {
    let found: Vec<PathBuf> = rust_files(&root().join("src"))
        .into_iter()
        .filter(|path| path.ends_with("mod.rs"))
        .collect();
    assert!(
        found.is_empty(),
        "write `foo.rs` beside `foo/` in place of {found:?}"
    );
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut dead = String::new();
    for document in documents() {
        let folder = document.parent().unwrap_or(Path::new("."));
        for target in links(&read(&document)) {
            let path = target.split('#').next().unwrap_or_default();
            let is_outside = target.contains("://") || path.is_empty();
            if !is_outside && !folder.join(path).exists() {
                let _ = writeln!(dead, "{}: `{target}`", document.display());
            }
        }
    }
    assert!(dead.is_empty(), "{dead}");
}

// --- the picture

/// The block `edges` of `ARCHITECTURE.md`: `module -> known, known`, one module a line.
fn picture() -> Edges {
    let text = read(&root().join("ARCHITECTURE.md"));
    let block = text
        .split("```edges\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("ARCHITECTURE.md has a block that begins with ```edges");
    let lines = block.lines().filter(|line| !line.trim().is_empty());
    let edge = |line: &str| {
        let (module, known) = line
            .split_once("->")
            .unwrap_or_else(|| panic!("ARCHITECTURE.md: `{line}` is not `module -> known, known`"));
        let known = known
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        (
            module.trim().to_owned(),
            known.map(str::to_owned).collect::<BTreeSet<_>>(),
        )
    };
    lines.map(edge).collect()
}

/// Who knows whom in the code.
fn used() -> Edges {
    let mut used = Edges::new();
    for file in sources() {
        let known = file.knows().into_iter().map(|(_, known)| known);
        used.entry(file.module.clone()).or_default().extend(known);
    }
    used
}

/// As the block in `ARCHITECTURE.md` is written.
fn printed(edges: &Edges) -> String {
    let line = |(module, known): (&String, &BTreeSet<String>)| {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        format!("{module} -> {}\n", known.join(", "))
    };
    edges.iter().map(line).collect()
}

// --- the sources

/// A source file that is no test.
struct Source {
    /// From the repository's root, with `/`.
    path: String,
    /// The first folder or file under `src`.
    module: String,
    /// How many `super::` lead out of the module.
    depth: usize,
    lines: usize,
    begins_with_doc: bool,
    /// Numbered from 1, without comments and without the tests at the bottom.
    code: Vec<(usize, String)>,
}

impl Source {
    /// The other modules that it names, each with a line.
    fn knows(&self) -> Vec<(usize, String)> {
        let mut known = Vec::new();
        for (number, line) in &self.code {
            assert!(
                !line.contains(&"super::".repeat(self.depth)),
                "{}:{number}: write the path of another module as `crate::module::…`",
                self.path
            );
            for rest in line.split("crate::").skip(1) {
                let group = rest.strip_prefix('{').map(|group| {
                    let end = group.find('}').unwrap_or_else(|| {
                        panic!("{}:{number}: one `use` for each module", self.path)
                    });
                    &group[..end]
                });
                for path in group
                    .unwrap_or(rest)
                    .split(if group.is_some() { ',' } else { '\n' })
                {
                    let begun = path.trim_start();
                    let name: String = begun.chars().take_while(|c| is_of_name(*c)).collect();
                    if !name.is_empty() && name != self.module {
                        known.push((*number, name));
                    }
                }
            }
        }
        known
    }
}

/// All of `src` but the roots of crates and the tests.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = rust_files(&src);
    assert!(!files.is_empty(), "there are sources in {}", src.display());
    let tests: Vec<PathBuf> = files.iter().flat_map(|path| test_modules(path)).collect();
    let is_test = |path: &PathBuf| {
        tests
            .iter()
            .any(|test| path == &test.with_extension("rs") || path.starts_with(test))
    };
    let roots = ["lib.rs", "main.rs", "pure.rs"].map(|root| src.join(root));
    files
        .into_iter()
        .filter(|path| !roots.contains(path) && !is_test(path))
        .map(|path| source(&src, &path))
        .collect()
}

fn source(src: &Path, path: &Path) -> Source {
    let text = read(path);
    let inside = path.strip_prefix(src).expect("it was found under src");
    let names: Vec<String> = inside
        .with_extension("")
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    Source {
        path: format!("src/{}.rs", names.join("/")),
        module: names[0].clone(),
        depth: names.len(),
        lines: text.lines().count(),
        begins_with_doc: text.starts_with("//!"),
        code: code(&text),
    }
}

fn code(text: &str) -> Vec<(usize, String)> {
    let mut code = Vec::new();
    let mut is_for_tests = false;
    for (index, line) in text.lines().enumerate() {
        let begun = line.trim_start();
        if is_for_tests && begun.starts_with("mod ") && begun.ends_with('{') {
            // Tests stand at the bottom.
            break;
        }
        is_for_tests = begun == "#[cfg(test)]";
        let said = if begun.starts_with("//") {
            ""
        } else {
            line.split(" // ").next().unwrap_or_default()
        };
        code.push((index + 1, said.to_owned()));
    }
    code
}

/// The modules that a file declares for tests alone, as paths without `.rs`.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let text = read(path);
    let folder = path.with_extension("");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    declared
        .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "))
        .map(|(_, name)| folder.join(name))
        .collect()
}

/// Is `word` there, not as the end of a longer name? A crate must stand first in its path; a type may
/// stand at its end.
fn has_word(line: &str, word: &str) -> bool {
    let may_follow_path = word.starts_with(|c: char| c.is_ascii_uppercase());
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        word.starts_with('.')
            || !before.is_some_and(|c| is_of_name(c) || (c == ':' && !may_follow_path))
    })
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

// --- files

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, "rs", true)
}

/// What people read: at the root, in `docs` and in `examples`.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root(), "md", false);
    for folder in ["docs", "examples"] {
        found.extend(files(&root().join(folder), "md", true));
    }
    found
}

fn files(folder: &Path, extension: &str, deep: bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .path();
        if path.is_dir() && deep {
            found.extend(files(&path, extension, deep));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The targets of Markdown links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}
