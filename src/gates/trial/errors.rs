//! The check of failed requests.

use serde::{Deserialize, Serialize};

use super::{Finding, Period, Stands, Telling, percent};
use crate::domain::{Codes, InstanceId};
use crate::gates::{Boxes, Comparison, Counts, InsideBound, NoWorse, Suspect, Table};

/// A version is proven no worse when its odds of failing are shown to be less than so many times the stable one's:
/// a smaller ratio takes longer than people wait.
const PROVEN_RATIO: f64 = 3.0;

/// With so many times the evidence of an alarm, the version is called worse even if it is not known whether it is
/// one instance: nothing of it shows in the attempts, so they never will tell …
const UNTOLD_MAX: f64 = 4.0;

/// … or it does, and takes so long that it cannot be left open.
const UNDECIDED_MAX: f64 = 16.0;

/// Failed requests, new against stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    pub(super) part: f64,
    min_effect: f64,
    codes: Codes,
    /// Final answers, as callers see them.
    pub comparison: Comparison,
    /// Attempts, by instance.
    pub boxes: Boxes,
    no_worse: NoWorse,
    /// Where next to nothing fails at all.
    inside: InsideBound,
}

impl Errors {
    pub(super) fn new(
        part: f64,
        tolerated: f64,
        min_effect: f64,
        codes: Codes,
        dispersion: f64,
    ) -> Self {
        Self {
            part,
            min_effect,
            codes,
            comparison: Comparison::of_errors(tolerated, dispersion),
            boxes: Boxes::of_errors(tolerated, dispersion),
            no_worse: NoWorse::than(PROVEN_RATIO.max(tolerated)),
            inside: InsideBound::of(min_effect),
        }
    }

    pub(super) fn hear(&mut self, period: &Period) {
        let (new, stable) = (
            period.new.failures(&self.codes),
            period.stable.failures(&self.codes),
        );
        let table = Table { new, stable };
        self.comparison.hear(&table);
        self.no_worse.hear(&table);
        self.inside.hear(new);
        self.boxes.hear(period.stable_attempts, &period.instances);
    }

    pub(super) fn prove_anew(&mut self) {
        self.no_worse = self.no_worse.anew();
        self.inside = self.inside.anew();
    }

    pub(super) fn ln_e(&self) -> f64 {
        self.comparison.ln_e()
    }

    pub(super) fn matters(&self) -> bool {
        self.comparison.effect.matters(self.min_effect)
    }

    /// An instance that is worse than the others, and by so much that it matters.
    pub(super) fn sick(&self, needed: f64) -> Option<Suspect> {
        let suspect = self
            .boxes
            .suspect()
            .filter(|suspect| suspect.ln_e >= needed)?;
        let excess = suspect.counts.rate() - suspect.others.rate();
        (suspect.counts.bad >= 3 && excess >= self.min_effect).then_some(suspect)
    }

    pub(super) fn telling(&self, needed: f64) -> Telling {
        match self.boxes.count() {
            0 => Telling::Version,
            1 => Telling::OnlyOne,
            _ if self.part.ln() + self.boxes.ln_e() >= needed => Telling::Version,
            _ => {
                let sick = self.sick(needed).map(Telling::OneBox);
                sick.unwrap_or_else(|| self.while_it_is_open(needed))
            }
        }
    }

    fn while_it_is_open(&self, needed: f64) -> Telling {
        let shows = self.boxes.ln_e_of_all() >= needed;
        let most = if shows { UNDECIDED_MAX } else { UNTOLD_MAX };
        if self.part.ln() + self.ln_e() >= most * needed {
            Telling::Version
        } else {
            Telling::Undecided
        }
    }

    pub(super) fn put_aside(&mut self, instance: &InstanceId) {
        self.boxes.put_aside(instance);
        // Callers' answers do not say who gave them: from here on they are judged anew.
        let tolerated = self.comparison.tolerated();
        self.comparison = Comparison::of_errors(tolerated, self.comparison.dispersion());
        self.prove_anew();
    }

    pub(super) fn says(&self) -> String {
        let (new, stable) = (self.comparison.effect.new, self.comparison.effect.stable);
        format!(
            "errors {} vs {}",
            percent(new.rate()),
            percent(stable.rate())
        )
    }

    pub(super) fn finding(&self, proven: f64) -> Finding {
        let effect = self.comparison.effect;
        let (new, stable) = (effect.new, effect.stable);
        let is_proven = self.no_worse.ln_e().max(self.inside.ln_e()) >= proven;
        let stands = if is_proven {
            Stands::Good
        } else {
            Stands::Unsure
        };
        let says = match (new.requests, stable.requests) {
            (0, _) => "no requests to the new version".to_owned(),
            (_, 0) => "no requests to the stable version".to_owned(),
            (requests, _) => format!("{} of {requests} requests", self.says()),
        };
        Finding { stands, says }
    }

    /// What counted of final answers, new and stable.
    pub const fn counts(&self) -> (Counts, Counts) {
        (self.comparison.effect.new, self.comparison.effect.stable)
    }
}
