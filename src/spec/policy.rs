//! Policy documents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::decode::decode;
use super::field::Field;
use super::source::Place;
use super::tree::Node;
use super::words::{NameText, ShareText};
use crate::domain::{
    Freeze, Kind, MayVerb, PlaceName, Policy, PolicyName, Principal, Question, ServiceName, Share,
    Window, WindowSpan,
};

/// House rules over many rollouts: when nothing may begin, how much at once, who may do what.
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
    /// Groups of regions or zones of which one is rolled at a time.
    #[serde(default)]
    #[schemars(with = "Vec<Vec<String>>")]
    never_both: Field<Vec<Field<Vec<Field<String>>>>>,
    /// So much of all capacity may be off the stable versions, in rollouts of which two waves have not passed.
    #[serde(default)]
    #[schemars(with = "ShareText")]
    blast_radius: Field<Share>,
    /// Services whose rollouts come first.
    #[serde(default)]
    #[schemars(with = "Vec<NameText>")]
    after: Field<Vec<Field<ServiceName>>>,
    /// Who may do what with a rollout, like `promote: [group:edge-oncall]`; anybody unless given.
    #[serde(default)]
    may: Field<MaySpec>,
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
    /// Instead of a part of the calendar: what is asked, like `incident-open`.
    when: Field<String>,
    /// The URL that answers `true` while nothing may begin, and `false` otherwise.
    ask: Field<String>,
    /// Without an answer rollouts stay `frozen`, or `go` on; `frozen` unless given.
    if_unknown: Field<IfUnknown>,
}

/// What holds without an answer.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum IfUnknown {
    Frozen,
    Go,
}

/// Who may do what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MaySpec {
    /// Turn a rollout round.
    #[schemars(with = "Vec<String>")]
    abort: Field<Vec<Field<String>>>,
    /// Have no house rule hold it.
    #[serde(rename = "override")]
    #[schemars(with = "Vec<String>")]
    r#override: Field<Vec<Field<String>>>,
    /// Hold it.
    #[schemars(with = "Vec<String>")]
    pause: Field<Vec<Field<String>>>,
    /// Say the word that it waits for, or end its step.
    #[schemars(with = "Vec<String>")]
    promote: Field<Vec<Field<String>>>,
    /// Let it go on after a pause.
    #[schemars(with = "Vec<String>")]
    resume: Field<Vec<Field<String>>>,
    /// Try again what failed.
    #[schemars(with = "Vec<String>")]
    retry: Field<Vec<Field<String>>>,
    /// Pass over what it waits for.
    #[schemars(with = "Vec<String>")]
    skip: Field<Vec<Field<String>>>,
    /// Go back after the end.
    #[schemars(with = "Vec<String>")]
    undo: Field<Vec<Field<String>>>,
}

/// Reads the spec of a policy; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<PolicyName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Policy> {
    let spec: PolicySpec = decode(spec, cx.sink)?;
    let given = [
        spec.freeze.is_given(),
        spec.slots.is_given(),
        spec.never_both.is_given(),
        spec.blast_radius.is_given(),
        spec.after.is_given(),
        spec.may.is_given(),
    ];
    if !given.contains(&true) {
        cx.sink
            .problem(at, "a policy needs a rule, such as `freeze` or `slots`");
    }
    let applies = spec.applies.or(AppliesSpec::default());
    let slots = spec.slots.is_given();
    let slots = slots.then(|| cx.count("slots", spec.slots, 1));
    let freezes_at = spec.freeze.at(Place::START);
    let freezes = spec.freeze.or(Vec::new()).into_iter();
    let freezes = freezes.filter_map(|field| {
        let at = field.at(freezes_at);
        freeze(field.get()?, at, cx)
    });
    let freezes = freezes.collect();
    let never_both = never_both(spec.never_both, cx);
    let after = after(spec.after, cx);
    let may = may(spec.may.or(MaySpec::default()), cx);
    Some(Policy {
        name: name?,
        applies: applies.to.or(BTreeMap::new()),
        freezes,
        slots,
        never_both,
        blast_radius: spec.blast_radius.get(),
        after,
        may,
    })
}

fn never_both(
    field: Field<Vec<Field<Vec<Field<String>>>>>,
    cx: &Context<'_>,
) -> Vec<Vec<PlaceName>> {
    let at = field.at(Place::START);
    let mut groups = Vec::new();
    for field in field.or(Vec::new()) {
        let place = field.at(at);
        let Some(names) = field.get() else { continue };
        let names: Vec<_> = names.into_iter().filter_map(Field::get).collect();
        let group: Vec<_> = names.into_iter().map(PlaceName).collect();
        if group.len() < 2 {
            let hint = "write it like `[[eu-west, eu-central]]`".to_owned();
            let message = "places that are never rolled at once are two or more";
            cx.sink.hinted(place, message, hint);
        }
        groups.push(group);
    }
    groups
}

fn after(field: Field<Vec<Field<ServiceName>>>, cx: &Context<'_>) -> Vec<ServiceName> {
    let at = field.at(Place::START);
    let mut services = Vec::new();
    for field in field.or(Vec::new()) {
        let place = field.at(at);
        if let Some(service) = field.get() {
            cx.refer(Kind::Service, &service, place, None);
            services.push(service);
        }
    }
    services
}

fn may(spec: MaySpec, cx: &Context<'_>) -> BTreeMap<MayVerb, Vec<Principal>> {
    let verbs = [
        (MayVerb::Abort, spec.abort),
        (MayVerb::Override, spec.r#override),
        (MayVerb::Pause, spec.pause),
        (MayVerb::Promote, spec.promote),
        (MayVerb::Resume, spec.resume),
        (MayVerb::Retry, spec.retry),
        (MayVerb::Skip, spec.skip),
        (MayVerb::Undo, spec.undo),
    ];
    let verbs = verbs.into_iter().filter(|(_, who)| who.is_given());
    let verbs = verbs.map(|(verb, field)| {
        let at = field.at(Place::START);
        let who = field.or(Vec::new()).into_iter().filter_map(|one| {
            let at = one.at(at);
            cx.parse(&one.get()?, at)
        });
        (verb, who.collect())
    });
    verbs.collect()
}

fn freeze(spec: FreezeSpec, at: Place, cx: &Context<'_>) -> Option<Freeze> {
    if spec.when.is_given() || spec.ask.is_given() {
        return question(spec, at, cx).map(Freeze::Question);
    }
    if let Some(key) = spec.if_unknown.key() {
        cx.sink.problem(key, "`ifUnknown` goes with `ask`");
    }
    window(spec, at, cx).map(Freeze::Calendar)
}

fn question(spec: FreezeSpec, at: Place, cx: &Context<'_>) -> Option<Question> {
    let keys = [spec.from.key(), spec.to.key(), spec.zone.key()];
    if let Some(key) = keys.into_iter().flatten().next() {
        let message = "a freeze is either a part of the calendar or a question, not both";
        cx.sink.problem(key, message);
    }
    let url_at = spec.ask.at(at);
    let name = spec.when.required("when", at, cx.sink);
    let url = spec.ask.required("ask", at, cx.sink)?;
    cx.http_url(&url, url_at, "https://ops.example/incidents/open");
    Some(Question {
        name: name?,
        url,
        go_if_unknown: spec.if_unknown.get() == Some(IfUnknown::Go),
    })
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
