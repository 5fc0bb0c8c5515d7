//! Rollout documents: read, and written for who starts a rollout by a command.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

use super::context::Context;
use super::decode::decode;
use super::field::{Field, Ignored};
use super::gate::{UnsureWord, WorseSpec};
use super::hooks::{self, HooksSpec, ReplaceSpec};
use super::sessions::{self, StickTo};
use super::source::Place;
use super::strategy::{BlueGreenSpec, InEachSpec, RollingSpec, StepSpec, WarmSpec, WaveSpec, Ways};
use super::tree::Node;
use super::words::{NameText, ServiceText, SpanText, VersionText};
use crate::domain::{
    AliasName, BUILT_IN_GATE, BadName, Bake, GateName, Kind, OnWorse, Rolling, Rollout,
    RolloutName, ServiceName, Span, Strategy, VersionName,
};

/// One change of one service from a version to another.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RolloutSpec {
    /// What is rolled.
    #[schemars(with = "ServiceText")]
    service: Field<ServiceName>,
    /// The service's alias that is rolled, with weights of its own; the service itself unless given.
    #[serde(default)]
    #[schemars(with = "NameText")]
    alias: Field<AliasName>,
    /// The version that it must start from; whatever is stable unless given.
    #[serde(default)]
    #[schemars(with = "VersionText")]
    from: Field<VersionName>,
    /// The version that it ends on.
    #[schemars(with = "VersionText")]
    to: Field<VersionName>,
    /// How instances are replaced; one by one unless given.
    #[serde(default)]
    rolling: Field<RollingSpec>,
    /// Who starts and stops instances; unless given, Tidegate waits for them to appear.
    #[serde(default)]
    replace: Field<ReplaceSpec>,
    /// Who has a say before and after its parts; nobody unless given.
    #[serde(default)]
    hooks: Field<HooksSpec>,
    /// The gates that judge it; `[no-worse]` unless given, which exists without a document. `[]` is none.
    #[serde(default)]
    #[schemars(with = "Vec<NameText>")]
    gates: Field<Vec<Field<GateName>>>,
    /// How long to watch before it is done; 5m with one old instance held back unless given.
    #[serde(default)]
    bake: Field<BakeSpec>,
    /// Without progress for this long it is stuck, and says so; 10m unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    deadline: Field<Span>,
    /// Shares of the traffic, one after the other.
    #[serde(default)]
    steps: Field<Vec<Field<StepSpec>>>,
    /// With `steps`: what must be there before a share is given.
    #[serde(default)]
    warm: Field<WarmSpec>,
    /// A whole new fleet, then all traffic at once.
    #[serde(default)]
    blue_green: Field<BlueGreenSpec>,
    /// Parts of the fleet, one after the other.
    #[serde(default)]
    waves: Field<Vec<Field<WaveSpec>>>,
    /// With `waves`: how instances are replaced within each.
    #[serde(default)]
    in_each: Field<InEachSpec>,
    /// With `steps` and `blueGreen`: how long the old instances stay after the end, so that `undo` is one
    /// step; not at all unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    keep_old: Field<Span>,
    /// `version`: clients keep their version while it runs, also where the service keeps no sessions.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["none", "version"]))]
    stick_to: Field<StickTo>,
    #[serde(default)]
    #[schemars(skip)]
    approve: Field<Ignored>,
    /// What follows when a gate says that the new version is worse; as the gate says unless given. With `waves`
    /// it may be `{ rollback: this wave, then: pause }`.
    #[serde(default)]
    on_worse: Field<WorseSpec>,
    /// What follows when a gate cannot tell; as the gate says unless given.
    #[serde(default)]
    if_unsure: Field<UnsureWord>,
}

/// The watch before a rollout is done.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BakeSpec {
    /// How long; 5m unless given. `0s` leaves it out.
    #[serde(rename = "for")]
    #[schemars(with = "SpanText")]
    span: Field<Span>,
    /// So many old instances stay until its end, to go back to; 1 unless given.
    holdback: Field<u32>,
}

/// Reads the spec of a rollout; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<RolloutName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Rollout> {
    let spec: RolloutSpec = decode(spec, cx.sink)?;
    let (service_at, to_at) = (spec.service.at(at), spec.to.at(at));
    let service = spec.service.clone().required("service", at, cx.sink);
    let service = service.and_then(|it| cx.service(it, service_at, spec.alias.clone(), None));
    let to = spec.to.clone().required("to", at, cx.sink);
    let aim = Aim {
        name,
        service,
        to,
        to_at,
        to_key: "to",
    };
    build(aim, spec, at, cx)
}

/// Reads how a service gets to the version that it is to `run`; `None` once it was told what is wrong.
pub(super) fn read_run(
    service: Option<ServiceName>,
    run: Field<VersionName>,
    spec: Field<RolloutSpec>,
    at: Place,
    cx: &Context<'_>,
) -> Option<Rollout> {
    let (run_at, at) = (run.at(at), spec.key().unwrap_or(at));
    if let Some(key) = spec.key().filter(|_| !run.is_given()) {
        let hint = "write `run: VERSION`, or give `rollout` as a document of its own".to_owned();
        cx.sink.hinted(key, "`rollout` goes with `run`", hint);
    }
    let to = run.get();
    let given = spec.is_given();
    let spec = match spec.get() {
        Some(spec) => spec,
        // What was given and does not fit has been told.
        None if given => return None,
        None => RolloutSpec::default(),
    };
    if let Some(key) = spec.to.key() {
        let hint = "`run` says which version; write it there".to_owned();
        let message = "`to` does not stand in the `rollout` of a service";
        cx.sink.hinted(key, message, hint);
    }
    if let Some(key) = spec.service.key() {
        let hint = "it is the service that it stands in; remove it".to_owned();
        let message = "`service` does not stand in the `rollout` of a service";
        cx.sink.hinted(key, message, hint);
    }
    if let Some(key) = spec.alias.key() {
        let hint = "give the rollout of an alias as a document of its own".to_owned();
        let message = "`alias` does not stand in the `rollout` of a service";
        cx.sink.hinted(key, message, hint);
    }
    let name = service.as_ref().zip(to.as_ref()).and_then(|(service, to)| {
        let name = RolloutName::derived(service, to);
        // The longest number that may follow must fit, too.
        let name = name.and_then(|name| name.numbered(u32::MAX).map(|_| name));
        let told = |error: BadName| cx.sink.problem(run_at, format!("of its rollout: {error}"));
        name.map_err(told).ok()
    });
    let aim = Aim {
        name,
        service,
        to,
        to_at: run_at,
        to_key: "run",
    };
    build(aim, spec, at, cx)
}

/// What is to be rolled and to which version; the rest a rollout's document and a service's `rollout`
/// have in common.
struct Aim {
    name: Option<RolloutName>,
    service: Option<ServiceName>,
    to: Option<VersionName>,
    to_at: Place,
    to_key: &'static str,
}

fn build(aim: Aim, spec: RolloutSpec, at: Place, cx: &Context<'_>) -> Option<Rollout> {
    let Aim {
        name,
        service,
        to,
        to_at,
        to_key,
    } = aim;
    cx.unsupported(&[("approve", &spec.approve)]);
    let keeps_sessions = sessions::sticks(spec.stick_to, cx);
    let from = spec.from.get();
    if let (Some(from), Some(to)) = (&from, &to)
        && from == to
    {
        let message = format!("`from` and `{to_key}` are the same version, `{to}`");
        cx.sink.problem(to_at, message);
    }
    let ways = Ways {
        rolling: spec.rolling,
        steps: spec.steps,
        blue_green: spec.blue_green,
        waves: spec.waves,
        in_each: spec.in_each,
        warm: spec.warm,
    };
    let strategy = ways.read(cx);
    let side_by_side = matches!(strategy, Strategy::Steps(_) | Strategy::BlueGreen(_));
    if let Some(at) = spec.keep_old.key().filter(|_| !side_by_side) {
        let hint = "there both versions stand side by side until the end".to_owned();
        cx.sink
            .hinted(at, "`keepOld` goes with `steps` or `blueGreen`", hint);
    }
    let replace_at = spec.replace.key().unwrap_or(at);
    let replace = spec
        .replace
        .get()
        .and_then(|r| hooks::replace(r, replace_at, cx));
    if replace.is_some() && service.as_ref().is_some_and(ServiceName::is_alias) {
        let hint = "its instances answer under other names as well: start and stop them elsewhere";
        let message = "`replace` does not go with an alias";
        cx.sink.hinted(replace_at, message, hint.to_owned());
    }
    let hooks = hooks::hooks(spec.hooks, &strategy, cx);
    let gates = gates(spec.gates, cx);
    let on_worse = on_worse(spec.on_worse, &strategy, cx);
    let bake = bake(spec.bake.or(BakeSpec::default()), &strategy, cx);
    let deadline = cx.span("deadline", spec.deadline, Span::secs(600));
    let (name, service, to) = (name?, service?, to?);
    Some(Rollout {
        name,
        service,
        from,
        to,
        strategy,
        replace,
        hooks,
        gates,
        on_worse,
        if_unsure: spec.if_unsure.get().map(Into::into),
        keeps_sessions,
        bake,
        keep_old: spec.keep_old.or(Span::ZERO),
        deadline,
    })
}

fn gates(field: Field<Vec<Field<GateName>>>, cx: &Context<'_>) -> Vec<GateName> {
    let at = field.at(Place::START);
    if !field.is_given() {
        return BUILT_IN_GATE.parse().into_iter().collect();
    }
    let mut gates = Vec::new();
    for field in field.or(Vec::new()) {
        let place = field.at(at);
        let Some(gate) = field.get() else { continue };
        if gate.as_str() != BUILT_IN_GATE {
            cx.refer(Kind::Gate, &gate, place, None);
        }
        if gates.contains(&gate) {
            cx.sink.problem(place, format!("`{gate}` is named twice"));
        }
        gates.push(gate);
    }
    gates
}

fn on_worse(field: Field<WorseSpec>, strategy: &Strategy, cx: &Context<'_>) -> Option<OnWorse> {
    let at = field.at(Place::START);
    let WorseSpec(on_worse) = field.get()?;
    if on_worse == OnWorse::RollbackWave && strategy.is_whole() {
        let hint = "write `onWorse: rollback`".to_owned();
        cx.sink
            .hinted(at, "`rollback: this wave` goes with `waves`", hint);
    }
    Some(on_worse)
}

/// Whoever asks for no bake gets no holdback either: nothing would look at the held-back instances. Waves
/// have bakes of their own, and where both versions stand side by side all old instances stay.
fn bake(spec: BakeSpec, strategy: &Strategy, cx: &Context<'_>) -> Bake {
    let holdback_at = spec.holdback.at(Place::START);
    let holds_back = matches!(strategy, Strategy::Rolling(_));
    if let Some(at) = spec.holdback.key().filter(|_| !holds_back) {
        cx.sink.problem(at, "`holdback` goes with `rolling`");
    }
    let default = match strategy {
        Strategy::Waves(_) => Span::ZERO,
        _ => Span::secs(300),
    };
    let span = spec.span.or(default);
    let holdback = spec.holdback.or(u32::from(holds_back && !span.is_zero()));
    if span.is_zero() && holdback > 0 {
        let hint = "give `for` a length, or leave `holdback` out".to_owned();
        cx.sink
            .hinted(holdback_at, "`holdback` has no effect without a bake", hint);
    }
    Bake { span, holdback }
}

/// The document that starts such a rollout. What is not given stays out of it, so that the
/// defaults hold.
pub fn rollout_document(
    name: &RolloutName,
    service: &ServiceName,
    from: Option<&VersionName>,
    to: &VersionName,
    rolling: Option<&Rolling>,
) -> String {
    let mut text = format!("kind: Rollout\nname: \"{name}\"\nspec:\n  service: \"{service}\"\n");
    // Quoted, because other readers of YAML take a version such as 1.10 for a number. Names have no
    // character that would need an escape. Writing to a string cannot fail.
    if let Some(from) = from {
        let _ = writeln!(text, "  from: \"{from}\"");
    }
    let _ = writeln!(text, "  to: \"{to}\"");
    if let Some(Rolling {
        batch,
        max_surge,
        max_unavailable,
        ..
    }) = rolling
    {
        let _ = writeln!(
            text,
            "  rolling:\n    batch: {batch}\n    maxSurge: {max_surge}"
        );
        let _ = writeln!(text, "    maxUnavailable: {max_unavailable}");
    }
    text
}

/// The schema of a service's `rollout`: a rollout's without what the service itself says.
pub(super) fn run_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = RolloutSpec::json_schema(generator);
    schema.remove("required");
    schema.insert(
        "description".to_owned(),
        "How the service gets to the version that it is to `run`; one by one unless given.".into(),
    );
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        fields.retain(|name, _| name != "service" && name != "to");
    }
    schema
}
