//! Policy documents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::decode::decode;
use super::field::{Field, Ignored};
use super::source::Place;
use super::tree::Node;
use crate::domain::{Freeze, Policy, PolicyName, Window, WindowSpan};

/// House rules over many rollouts: when nothing may begin, and how much at once.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicySpec {
    /// Which services it is about; all of them unless given.
    #[serde(default)]
    applies: Field<AppliesSpec>,
    /// When no rollout may begin anything.
    #[serde(default)]
    freeze: Field<Vec<Field<FreezeSpec>>>,
    /// So many rollouts at once; as many as there are unless given.
    #[serde(default)]
    slots: Field<u32>,
    #[serde(default)]
    #[schemars(skip)]
    never_both: Field<Ignored>,
    #[serde(default)]
    #[schemars(skip)]
    blast_radius: Field<Ignored>,
    #[serde(default)]
    #[schemars(skip)]
    after: Field<Ignored>,
    #[serde(default)]
    #[schemars(skip)]
    may: Field<Ignored>,
}

/// Which services a policy is about.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AppliesSpec {
    /// Labels that a service must have, all of them.
    to: Field<BTreeMap<String, String>>,
}

/// A part of the calendar.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FreezeSpec {
    /// From a moment of each week, like `Fri 16:00`, or from a date, like `2026-12-20` or `2026-12-20 16:00`.
    from: Field<String>,
    /// Until then; a date without a time counts to its end.
    to: Field<String>,
    /// The time zone, like `Europe/Berlin`; `UTC` unless given.
    zone: Field<String>,
    #[schemars(skip)]
    when: Field<Ignored>,
    #[schemars(skip)]
    ask: Field<Ignored>,
}

/// Reads the spec of a policy; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<PolicyName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Policy> {
    let spec: PolicySpec = decode(spec, cx.sink)?;
    cx.unsupported(&[
        ("neverBoth", &spec.never_both),
        ("blastRadius", &spec.blast_radius),
        ("after", &spec.after),
        ("may", &spec.may),
    ]);
    let applies = spec.applies.or(AppliesSpec::default());
    let has_rule = [&spec.never_both, &spec.blast_radius, &spec.after, &spec.may]
        .iter()
        .any(|field| field.is_given())
        || spec.freeze.is_given()
        || spec.slots.is_given();
    let slots = spec.slots.is_given();
    let slots = slots.then(|| cx.count("slots", spec.slots, 1));
    let freezes_at = spec.freeze.at(Place::START);
    let freezes = spec.freeze.or(Vec::new()).into_iter();
    let freezes = freezes.filter_map(|field| {
        let at = field.at(freezes_at);
        freeze(field.get()?, at, cx)
    });
    let freezes: Vec<_> = freezes.collect();
    if !has_rule {
        cx.sink
            .problem(at, "a policy needs a rule, such as `freeze` or `slots`");
    }
    Some(Policy {
        freezes,
        name: name?,
        applies: applies.to.or(BTreeMap::new()),
        slots,
    })
}

fn freeze(spec: FreezeSpec, at: Place, cx: &Context<'_>) -> Option<Freeze> {
    cx.unsupported(&[("when", &spec.when), ("ask", &spec.ask)]);
    if spec.when.is_given() || spec.ask.is_given() {
        return None;
    }
    window(spec, at, cx).map(Freeze::Calendar)
}

fn window(spec: FreezeSpec, at: Place, cx: &Context<'_>) -> Option<Window> {
    let (from_at, to_at, zone_at) = (spec.from.at(at), spec.to.at(at), spec.zone.at(at));
    let from = spec.from.required("from", at, cx.sink);
    let to = spec.to.required("to", at, cx.sink);
    let zone = cx.parse(&spec.zone.or("UTC".to_owned()), zone_at);
    let (from, to) = (from?, to?);
    let is_weekly = from.starts_with(|first: char| first.is_ascii_alphabetic());
    let span = if is_weekly {
        let (from, to) = (cx.parse(&from, from_at), cx.parse(&to, to_at));
        WindowSpan::Weekly {
            from: from?,
            to: to?,
        }
    } else {
        let (from, to) = (cx.parse(&from, from_at), cx.parse(&to, to_at));
        WindowSpan::Dates {
            from: from?,
            to: to?,
        }
    };
    let window = Window { span, zone: zone? };
    if !window.is_possible() {
        cx.sink
            .problem(to_at, "a freeze must end after it has begun");
    }
    Some(window)
}
