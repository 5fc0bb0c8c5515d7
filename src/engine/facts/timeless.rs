//! What is observed, without when: worlds in which only the order of things counts are compared by it.
//!
//! Each part is taken apart by name, so a new one is either in here or left out on purpose.

use std::fmt::Write as _;

use super::{Facts, ProxyFacts};
use crate::engine::{StageKind, State};

impl Facts {
    /// All that a decision can rest on, as text.
    pub(in crate::engine) fn timeless(&self, state: &State) -> String {
        let Self {
            vanished,
            health,
            proxies,
            // Only measures how long acknowledgements take.
            unacknowledged: _,
            asking,
            questions,
            // In worlds that are compared proxies count no answers, and no gate asks anybody.
            tally: _,
            judged: _,
            baselines: _,
            weighed: _,
            measured: _,
            traffic,
            witnesses,
        } = self;
        let asking = asking.keys();
        let mut text = format!("{vanished:?}{asking:?}{}", traffic.timeless());
        for (url, asked) in questions {
            let answer = asked.answer.map(|(_, answer)| answer);
            let _ = write!(text, "{url} {answer:?} {:?};", asked.silence);
        }
        for (service, known) in health {
            for (instance, health) in &known.by_instance {
                let _ = write!(text, "{service} {instance} {};", health.healthy);
            }
        }
        let services = state.services.iter();
        let instances = services.flat_map(|(service, known)| {
            known
                .instances
                .iter()
                .map(move |(id, known)| ((service.clone(), id.clone()), known))
        });
        let joining = instances.filter(|(_, known)| known.stage.kind() == StageKind::Joining);
        for (id, proxy) in proxies {
            let ProxyFacts {
                connected,
                since: _,
                // Only how long it is waited for.
                seen: _,
                in_force,
                nack,
                last_report: _,
                // It is asked what it uses, below.
                by_lrs: _,
                by_otlp: _,
            } = proxy;
            let _ = write!(text, "{id} {connected} {in_force:?} {nack:?}");
            let _ = write!(
                text,
                "{:?};",
                joining
                    .clone()
                    .map(|(of, known)| { proxy.uses(&of, proxy.since.max(known.since)) })
                    .collect::<Vec<_>>()
            );
        }
        for (of, witnesses) in witnesses {
            for (id, witness) in witnesses {
                let _ = write!(text, "{of:?} {id} {:?};", witness.shown());
            }
        }
        text
    }
}
