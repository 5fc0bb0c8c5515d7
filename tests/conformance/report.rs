//! Runs the table, and prints what became of each row.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Conclusion, Trial};

use super::page;
use super::row::{How, Row, Rule};
use crate::support::tools;

/// A heading, the word for its rows in names of trials, and its rules.
pub(crate) type Part = (&'static str, &'static str, &'static [Rule]);

/// What became of each trial, by its name.
type Outcomes = Arc<Mutex<BTreeMap<String, bool>>>;

/// Runs all that the command line selects; the table, then `N passed, N failed`.
pub(crate) fn run(parts: &'static [Part]) -> ExitCode {
    let arguments = Arguments::from_args();
    let outcomes = Outcomes::default();
    let mut trials = vec![Trial::test("docs/conformance.md is the table", move || {
        page::check(parts);
        Ok(())
    })];
    let mut stories = Vec::new();
    let mut told = BTreeSet::new();
    let envoy = tools::envoy();
    for (_, word, rules) in parts {
        for rule in *rules {
            for row in rule.rows {
                match row.how {
                    How::Wire(..) | How::Harness(..) => {
                        trials.extend(on_the_wire(word, rule, row, &outcomes));
                    }
                    How::Envoy(story) if told.insert(row.says) => {
                        stories.extend(with_envoy(row, story, &envoy, &outcomes));
                    }
                    How::Envoy(_) | How::Elsewhere(..) => {}
                }
            }
        }
    }
    let wire = libtest_mimic::run(&arguments, trials);
    let alone = Arguments {
        test_threads: arguments.test_threads.or(Some(1)),
        ..arguments.clone()
    };
    let stories = libtest_mimic::run(&alone, stories);
    if !arguments.list {
        let is_partial = arguments.filter.is_some() || !arguments.skip.is_empty();
        print(parts, &outcomes.lock().unwrap(), is_partial);
        let count = |of: fn(&Conclusion) -> u64| of(&wire) + of(&stories);
        let (passed, failed) = (count(|c| c.num_passed), count(|c| c.num_failed));
        println!("\n{passed} passed, {failed} failed");
    }
    if wire.has_failed() || stories.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What a trial is called; the same in the list, in a filter and in the table.
fn name(word: &str, rule: &Rule, row: &Row, on: &str) -> String {
    match row.how {
        How::Envoy(_) => format!("[Envoy] {}", row.says),
        How::Harness(..) => format!("{word} {} [{on}] {}", rule.label(), rule.says),
        How::Elsewhere(..) | How::Wire(..) => {
            format!("{word} {} [{on}] {}", rule.number, row.says)
        }
    }
}

/// What each trial of a row runs on.
fn ons(row: &Row) -> Vec<String> {
    match row.how {
        How::Elsewhere(..) => Vec::new(),
        How::Envoy(_) => vec!["Envoy".to_owned()],
        How::Harness(variants, types, _) => {
            let each = types
                .iter()
                .flat_map(|t| variants.iter().map(move |v| (*v, *t)));
            each.map(|(variant, types)| of_types(variant, types))
                .collect()
        }
        How::Wire(variants, _) => variants.iter().map(ToString::to_string).collect(),
    }
}

fn of_types(variant: super::variant::Variant, types: &str) -> String {
    format!("{variant} {}", service(types))
}

/// `CDS` for `c`, and `CDS and LDS` for `c l`.
pub(super) fn service(letters: &str) -> String {
    let words = letters
        .split(' ')
        .map(|letter| format!("{letter}ds").to_uppercase());
    words.collect::<Vec<_>>().join(" and ")
}

fn on_the_wire(word: &str, rule: &Rule, row: &Row, outcomes: &Outcomes) -> Vec<Trial> {
    match row.how {
        How::Wire(variants, run) => variants
            .iter()
            .map(|variant| {
                let variant = *variant;
                let name = name(word, rule, row, &variant.to_string());
                noted(name, outcomes, move || run(variant))
            })
            .collect(),
        How::Harness(variants, types, run) => {
            let each = types
                .iter()
                .flat_map(|types| variants.iter().map(move |v| (*v, *types)));
            each.map(|(variant, types)| {
                let name = name(word, rule, row, &of_types(variant, types));
                noted(name, outcomes, move || run(variant, types))
                    .with_ignored_flag(!cfg!(feature = "harness-adapter"))
            })
            .collect()
        }
        How::Elsewhere(..) | How::Envoy(_) => Vec::new(),
    }
}

/// Stories are run by `--test e2e` too, so here only where somebody asks for them.
fn with_envoy(
    row: &Row,
    story: fn(),
    envoy: &Result<std::path::PathBuf, String>,
    outcomes: &Outcomes,
) -> Option<Trial> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let name = format!("[Envoy] {}", row.says);
    match envoy {
        Ok(_) => Some(noted(name, outcomes, story).with_ignored_flag(true)),
        Err(why) if is_ci => {
            let why = why.clone();
            Some(Trial::test(name, move || Err(why.into())))
        }
        Err(_) => None,
    }
}

fn noted(name: String, outcomes: &Outcomes, run: impl FnOnce() + Send + 'static) -> Trial {
    let outcomes = Arc::clone(outcomes);
    Trial::test(name.clone(), move || {
        let ended = catch_unwind(AssertUnwindSafe(run));
        outcomes.lock().unwrap().insert(name, ended.is_ok());
        match ended {
            Ok(()) => Ok(()),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// The table; of a part of it, only what was run.
fn print(parts: &[Part], outcomes: &BTreeMap<String, bool>, is_partial: bool) {
    for (title, word, rules) in parts {
        let mut lines = String::new();
        for rule in *rules {
            let mut rows = String::new();
            for row in rule.rows {
                let ons = ons(row);
                let results = ons.iter().map(|on| {
                    let result = match outcomes.get(&name(word, rule, row, on)) {
                        Some(true) => "ok",
                        Some(false) => "FAILED",
                        None => "not run",
                    };
                    (result != "not run", format!("{on}: {result}"))
                });
                let results: Vec<(bool, String)> = results.collect();
                let was_run = results.iter().any(|(was_run, _)| *was_run);
                if is_partial && !was_run {
                    continue;
                }
                let said = match row.how {
                    How::Elsewhere(file, test) => format!("see {test} in {file}"),
                    _ => results
                        .into_iter()
                        .map(|(_, text)| text)
                        .collect::<Vec<_>>()
                        .join(", "),
                };
                rows += &format!("       {}\n         {said}\n", row.says);
            }
            if !rows.is_empty() {
                let mark = rule.not_served.map_or("", |_| " (not served)");
                lines += &format!("  {:>3}  {}{mark}\n{rows}", rule.label(), rule.says);
            }
        }
        if !lines.is_empty() {
            println!("\n{title}\n\n{}", lines.trim_end());
        }
    }
}
