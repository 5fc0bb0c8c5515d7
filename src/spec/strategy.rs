//! The ways of a rollout in documents: `rolling`, `steps`, `blueGreen`, `waves`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::field::Field;
use super::source::Place;
use super::words::{
    AmountSchema, AmountText, ApprovalText, Percent, PercentText, ShareText, SpanText,
};
use crate::domain::{
    Amount, Approval, BlueGreen, Order, Pick, Principal, Rolling, RolloutStep, Share, Span, Spread,
    Stay, StepAction, Steps, Strategy, Then, Wave, Waves, Weight,
};

/// What a rollout's document says of its way; at most one of the four.
pub(super) struct Ways {
    pub(super) rolling: Field<RollingSpec>,
    pub(super) steps: Field<Vec<Field<StepSpec>>>,
    pub(super) blue_green: Field<BlueGreenSpec>,
    pub(super) waves: Field<Vec<Field<WaveSpec>>>,
    pub(super) in_each: Field<InEachSpec>,
    pub(super) warm: Field<WarmSpec>,
}

/// Instance by instance, batch by batch.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RollingSpec {
    /// So many instances, or such a share, are replaced together; 1 unless given.
    #[schemars(with = "AmountSchema")]
    batch: Field<AmountText>,
    /// So many instances more than desired may run; 1 unless given.
    #[schemars(with = "AmountSchema")]
    max_surge: Field<AmountText>,
    /// So many instances fewer than desired may be ready; 0 unless given.
    #[schemars(with = "AmountSchema")]
    max_unavailable: Field<AmountText>,
    /// Which instances go first, and which last, by their labels.
    order: Field<OrderSpec>,
    /// `zone`: never two of one zone in a row, while there are several.
    spread: Field<By>,
    /// Another size of batch, after some.
    then: Field<ThenSpec>,
}

/// What instances can be told apart by.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum By {
    Zone,
}

/// Which instances go first, and which last.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct OrderSpec {
    /// Labels of those that go before the others.
    first: Field<BTreeMap<String, String>>,
    /// Labels of those that go after the others.
    last: Field<BTreeMap<String, String>>,
}

/// Another size of batch, after some.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ThenSpec {
    /// So many batches of the first size.
    after: Field<u32>,
    /// The size from then on.
    #[schemars(with = "AmountSchema")]
    batch: Field<AmountText>,
}

/// One step: either `weight`, `mirror` or `pause`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct StepSpec {
    /// The new version gets this share of the traffic.
    #[schemars(with = "ShareText")]
    weight: Field<Share>,
    /// The new version gets copies of this share of the requests; nobody waits for its answers.
    #[schemars(with = "ShareText")]
    mirror: Field<Share>,
    /// Somebody must say that it goes on.
    pause: Field<PauseSpec>,
    /// It stays for this long.
    #[serde(rename = "for")]
    #[schemars(with = "SpanText")]
    span: Field<Span>,
    /// `proven`: it stays until the gates are satisfied.
    until: Field<Until>,
    /// But at least this long.
    #[schemars(with = "SpanText")]
    at_least: Field<Span>,
    /// And at most this long.
    #[schemars(with = "SpanText")]
    at_most: Field<Span>,
}

/// The only thing that a step can wait for besides time.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Until {
    Proven,
}

/// Somebody's word.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PauseSpec {
    /// What they should look at.
    note: Field<String>,
    /// Who may say so, like `group:billing`; anybody unless given.
    approve: Field<String>,
    /// Without a word for so long, the rollout goes back.
    #[schemars(with = "SpanText")]
    give_up: Field<Span>,
}

/// A whole new fleet, then all traffic at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct BlueGreenSpec {
    /// `zone`: one zone's share of the traffic after the other.
    by: Field<By>,
    /// Who must say so before each switch, like `group:billing`; `true` for anybody.
    #[schemars(with = "ApprovalText")]
    approve: Field<String>,
}

/// A part of the fleet.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct WaveSpec {
    /// What people call it.
    name: Field<String>,
    /// A region or a zone, like `eu-west`; so many of one, like `1 of eu-west`; or `the rest`.
    #[schemars(with = "String")]
    pick: Field<String>,
    /// So many of its regions are rolled at one time; 1 unless given.
    parallel: Field<u32>,
    /// How long it is watched before the next; not at all unless given.
    #[schemars(with = "SpanText")]
    bake: Field<Span>,
    /// Who must say so before it begins, like `group:billing`; `true` for anybody.
    #[schemars(with = "ApprovalText")]
    approve: Field<String>,
}

/// How instances are replaced within each wave.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct InEachSpec {
    /// Instance by instance, batch by batch.
    rolling: Field<RollingSpec>,
}

/// What must be there before a share is given.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct WarmSpec {
    /// The only moment there is.
    before: Field<Before>,
    /// Of the instances that a step needs; 100% unless given.
    #[schemars(with = "PercentText")]
    share: Field<Percent>,
}

/// When instances must be there.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Before {
    Weight,
}

impl Ways {
    /// The way that is given; one by one if none is.
    pub(super) fn read(self, cx: &Context<'_>) -> Strategy {
        let given = [
            ("rolling", self.rolling.key()),
            ("steps", self.steps.key()),
            ("blueGreen", self.blue_green.key()),
            ("waves", self.waves.key()),
        ];
        let mut given = given.into_iter().filter_map(|(name, at)| Some((name, at?)));
        if let (Some((first, _)), Some((second, at))) = (given.next(), given.next()) {
            let hint = "keep one of them; how each wave goes stands in `inEach`".to_owned();
            let message =
                format!("a rollout has one way, and both `{first}` and `{second}` are given");
            cx.sink.hinted(at, message, hint);
        }
        if let Some(at) = self.in_each.key().filter(|_| !self.waves.is_given()) {
            cx.sink.problem(at, "`inEach` goes with `waves`");
        }
        if let Some(at) = self.warm.key().filter(|_| !self.steps.is_given()) {
            cx.sink.problem(at, "`warm` goes with `steps`");
        }
        if self.steps.is_given() {
            Strategy::Steps(read_steps(self.steps, self.warm, cx))
        } else if self.blue_green.is_given() {
            Strategy::BlueGreen(read_blue_green(
                self.blue_green.or(BlueGreenSpec::default()),
                cx,
            ))
        } else if self.waves.is_given() {
            let in_each = self.in_each.or(InEachSpec::default());
            Strategy::Waves(Waves {
                waves: read_waves(self.waves, cx),
                in_each: read_rolling(in_each.rolling.or(RollingSpec::default()), cx),
            })
        } else {
            Strategy::Rolling(read_rolling(self.rolling.or(RollingSpec::default()), cx))
        }
    }
}

fn read_rolling(spec: RollingSpec, cx: &Context<'_>) -> Rolling {
    let (batch_at, surge_at) = (spec.batch.at(Place::START), spec.max_surge.at(Place::START));
    let unavailable_at = spec.max_unavailable.at(surge_at);
    let one = AmountText(Amount::Count(1));
    let batch = spec.batch.or(one);
    if batch.is_zero() {
        cx.sink.problem(batch_at, "`batch` must be at least 1");
    }
    let max_surge = spec.max_surge.or(one);
    let max_unavailable = spec.max_unavailable.or(AmountText(Amount::Count(0)));
    if max_surge.is_zero() && max_unavailable.is_zero() {
        let hint = "raise one of them to at least 1".to_owned();
        let message = "with `maxSurge` 0 and `maxUnavailable` 0 no instance could be replaced";
        cx.sink.hinted(surge_at.max(unavailable_at), message, hint);
    }
    let then = spec.then.get().map(|then| {
        let at = then.batch.at(Place::START);
        let batch = then.batch.or(one);
        if batch.is_zero() {
            cx.sink.problem(at, "`then.batch` must be at least 1");
        }
        Then {
            after: then.after.or(0),
            batch: batch.0,
        }
    });
    let order = spec.order.or(OrderSpec::default());
    Rolling {
        then,
        spread: spec.spread.get().map(|By::Zone| Spread::Zone),
        order: Order {
            first: order.first.or(BTreeMap::new()),
            last: order.last.or(BTreeMap::new()),
        },
        ..Rolling::new(batch.0, max_surge.0, max_unavailable.0)
    }
}

fn read_steps(
    steps: Field<Vec<Field<StepSpec>>>,
    warm: Field<WarmSpec>,
    cx: &Context<'_>,
) -> Steps {
    let at = steps.at(Place::START);
    let mut read = Vec::new();
    let mut highest = Weight::NONE;
    for field in steps.or(Vec::new()) {
        let at = field.at(at);
        let Some(step) = field.get().and_then(|spec| read_step(spec, at, cx)) else {
            continue;
        };
        if let StepAction::Weight(weight) = step.action {
            if weight < highest {
                let message = format!("a step to {weight} after one to {highest} would go back");
                cx.sink
                    .hinted(at, message, "let the weights grow".to_owned());
            }
            highest = highest.max(weight);
        }
        read.push(step);
    }
    if read.is_empty() {
        cx.sink.problem(at, "`steps` needs at least one step");
    }
    let warm = warm.or(WarmSpec::default());
    // There is one moment, so it is enough that the word was understood.
    let (Some(Before::Weight) | None) = warm.before.get();
    Steps {
        steps: read,
        warm_percent: warm.share.get().map_or(100, |share| share.0),
    }
}

fn read_step(spec: StepSpec, at: Place, cx: &Context<'_>) -> Option<RolloutStep> {
    let given = [
        spec.weight.is_given(),
        spec.mirror.is_given(),
        spec.pause.is_given(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        let hint = "write it like `- weight: 5%`, and the next thing as a step of its own";
        let message = "a step has one of `weight`, `mirror` and `pause`";
        cx.sink.hinted(at, message, hint.to_owned());
        return None;
    }
    let stays = [
        spec.span.key(),
        spec.until.key(),
        spec.at_least.key(),
        spec.at_most.key(),
    ];
    let stays_at = stays.into_iter().flatten().next();
    if let Some(at) = stays_at.filter(|_| spec.pause.is_given()) {
        cx.sink.problem(
            at,
            "a pause lasts until somebody says that it goes on, or `giveUp`",
        );
    }
    if let (Some(_), Some(until)) = (spec.span.key(), spec.until.key()) {
        cx.sink
            .problem(until, "a step stays either `for` a time or `until: proven`");
    }
    if let Some(at) = spec.at_most.key().filter(|_| !spec.until.is_given()) {
        cx.sink.problem(at, "`atMost` goes with `until: proven`");
    }
    let (at_most_at, at_least) = (spec.at_most.at(at), spec.at_least.or(Span::ZERO));
    let at_most = spec.at_most.or(Span::secs(600));
    if spec.until.is_given() && at_least > at_most {
        cx.sink
            .problem(at_most_at, "`atMost` must not be shorter than `atLeast`");
    }
    let stay = Stay {
        at_least: spec.span.or(at_least),
        until_proven: spec.until.get().map(|Until::Proven| at_most),
    };
    let share_at = spec.weight.at(spec.mirror.at(at));
    let action = if let Some(pause) = spec.pause.get() {
        StepAction::Pause(Approval {
            note: pause.note.get(),
            by: {
                let at = pause.approve.at(at);
                pause.approve.get().and_then(|by| whose(&by, at, cx))
            },
            give_up: pause.give_up.get(),
        })
    } else if let Some(share) = spec.weight.get() {
        StepAction::Weight(Weight::of(share))
    } else {
        StepAction::Mirror(Weight::of(spec.mirror.get()?))
    };
    if matches!(
        action,
        StepAction::Weight(Weight::NONE) | StepAction::Mirror(Weight::NONE)
    ) {
        let hint = "the smallest share is 0.01%".to_owned();
        cx.sink
            .hinted(share_at, "a step without a share does nothing", hint);
    }
    Some(RolloutStep { action, stay })
}

fn read_blue_green(spec: BlueGreenSpec, cx: &Context<'_>) -> BlueGreen {
    BlueGreen {
        by_zone: spec.by.get() == Some(By::Zone),
        approve: approval(spec.approve, cx),
    }
}

fn read_waves(waves: Field<Vec<Field<WaveSpec>>>, cx: &Context<'_>) -> Vec<Wave> {
    let at = waves.at(Place::START);
    let mut read: Vec<Wave> = Vec::new();
    for field in waves.or(Vec::new()) {
        let at = field.at(at);
        let Some(spec) = field.get() else { continue };
        let (name_at, pick_at) = (spec.name.at(at), spec.pick.at(at));
        let pick = spec.pick.required("pick", at, cx.sink);
        let Some(pick) = pick.and_then(|text| cx.parse::<Pick>(&text, pick_at)) else {
            continue;
        };
        let name = spec.name.get().unwrap_or_else(|| pick.to_string());
        if read.iter().any(|wave| wave.name == name) {
            let hint = "give each wave a name of its own".to_owned();
            cx.sink
                .hinted(name_at, format!("two waves are called `{name}`"), hint);
        }
        if read.iter().any(|wave| wave.pick == Pick::Rest) {
            cx.sink.problem(at, "nothing is left after `the rest`");
        }
        read.push(Wave {
            name,
            pick,
            parallel: cx.count("parallel", spec.parallel, 1),
            bake: spec.bake.or(Span::ZERO),
            approve: approval(spec.approve, cx),
        });
    }
    if read.is_empty() {
        cx.sink.problem(at, "`waves` needs at least one wave");
    } else if read.iter().all(|wave| wave.pick != Pick::Rest) {
        let message = "no wave picks `the rest`: what no wave picks stays on the old version";
        cx.sink.warn(at, message);
    }
    read
}

/// `true` is anybody's word, `false` nobody's.
fn approval(field: Field<String>, cx: &Context<'_>) -> Option<Approval> {
    let at = field.at(Place::START);
    let by = match field.get()?.as_str() {
        "false" => return None,
        "true" => None,
        by => whose(by, at, cx),
    };
    Some(Approval {
        by,
        ..Approval::default()
    })
}

/// Whose word it must be; told if that is nobody.
fn whose(by: &str, at: Place, cx: &Context<'_>) -> Option<String> {
    let who = cx.parse::<Principal>(by, at)?;
    Some(who.to_string())
}
