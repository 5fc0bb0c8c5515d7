//! `docs/conformance.md`, from the table.

use super::report::{Part, service};
use super::row::{How, Row};
use super::variant::Variant;
use crate::support::tools::repository;

const PAGE: &str = "docs/conformance.md";

/// How often the public harness runs its scenarios, in all and on SotW, SotW ADS, delta and delta ADS.
const RUNS: (usize, [usize; 4]) = (98, [24, 26, 22, 26]);

/// What stands above the table.
const INTRODUCTION: &str = "\
# Conformance

What xDS asks of a server, rule by rule, and how Tidegate is seen to do it. Made from the table in
`tests/conformance` by `TIDEGATE_WRITE_DOCS=1 cargo test --test conformance -- docs`; do not edit.

`make conformance` runs all of it and prints what became of each row. The four variants are state of the world
(SotW) and delta, each aggregated on one stream (ADS) or with a stream for each type. On the wire means the real
server and a client of the tests over gRPC in memory, without sleeps: when nothing is left to run, nothing more
will come. Envoy means a story with a real one. A name with a file is a test that `make test` runs there. The
18 scenarios of the [public harness](harness.md) stand in the order of its files.
";

/// Fails where the page does not say what the table says; writes it instead when asked to.
pub(crate) fn check(parts: &[Part]) {
    assert_eq!(runs(parts), RUNS, "the runs of the public harness");
    assert_eq!(missing(parts), Vec::<String>::new(), "tests elsewhere");
    let path = repository().join(PAGE);
    let wanted = page(parts);
    if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
        fs_err::write(&path, &wanted).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{PAGE} is not what the table says; write it with\n  TIDEGATE_WRITE_DOCS=1 cargo test --test \
         conformance -- docs"
    );
}

/// The runs of the part that is the public harness, in all and by variant.
fn runs(parts: &[Part]) -> (usize, [usize; 4]) {
    let part = parts.iter().find(|(_, word, _)| *word == "harness");
    let rows = part
        .into_iter()
        .flat_map(|(_, _, rules)| rules.iter().flat_map(|r| r.rows));
    let mut by_variant = [0; 4];
    for row in rows {
        if let How::Harness(variants, types, _) = row.how {
            for variant in variants {
                let place = super::variant::ALL.iter().position(|each| each == variant);
                by_variant[place.unwrap()] += types.len();
            }
        }
    }
    (by_variant.iter().sum(), by_variant)
}

/// Tests elsewhere that are not there.
fn missing(parts: &[Part]) -> Vec<String> {
    let rows = parts
        .iter()
        .flat_map(|(_, _, rules)| rules.iter().flat_map(|r| r.rows));
    rows.filter_map(|row| match row.how {
        How::Elsewhere(file, test) => {
            let found = fs_err::read_to_string(repository().join(file)).unwrap_or_default();
            (!found.contains(&format!("fn {test}("))).then(|| format!("{test} in {file}"))
        }
        How::Envoy(_) | How::Harness(..) | How::Wire(..) => None,
    })
    .collect()
}

fn page(parts: &[Part]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, _, rules) in parts {
        page += &format!("\n## {title}\n\n| | rule | seen by | where |\n|---|---|---|---|\n");
        for rule in *rules {
            let says = match rule.not_served {
                Some(why) => format!("Not served: {} *Because {why}.*", rule.says),
                None => rule.says.to_owned(),
            };
            let mut first = Some((rule.label(), says));
            for row in rule.rows {
                let (number, says) = first.take().unwrap_or_default();
                page += &format!("| {number} | {says} | {} | {} |\n", row.says, place(row));
            }
        }
    }
    page
}

fn place(row: &Row) -> String {
    let names = |variants: &[Variant]| {
        let names: Vec<String> = variants.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    match row.how {
        How::Elsewhere(file, test) => format!("`{test}` in `{file}`"),
        How::Envoy(_) => "Envoy".to_owned(),
        How::Harness(variants, types, _) => {
            let types: Vec<String> = types.iter().map(|types| service(types)).collect();
            format!("{}; each of {}", names(variants), types.join(", "))
        }
        How::Wire(variants, _) => names(variants),
    }
}
