//! Proxies drawn at random whose reports are lost, doubled, overtaken and cut into parts.

use proptest::prelude::*;

use super::tests::{SECOND, at, cart, hear, report, said};
use super::*;

/// What happens to a proxy and to its reports.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Requests to a version, answered 200 and 503.
    Answers(usize, u64, u64),
    /// It reads its counters, perhaps in two parts.
    Reads(bool),
    /// A report arrives: one of those that were ever sent.
    Arrives(usize),
    /// The newest that has not arrived does.
    ArrivesInTime,
    /// The process ends, and another begins.
    Restarts,
    /// Its clock goes back.
    ClockSetBack,
    /// The control plane goes on in another process.
    Resumes,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..2_usize, 0..9_u64, 0..4_u64).prop_map(|(v, ok, bad)| Happening::Answers(v, ok, bad)),
        4 => any::<bool>().prop_map(Happening::Reads),
        3 => any::<usize>().prop_map(Happening::Arrives),
        3 => Just(Happening::ArrivesInTime),
        1 => Just(Happening::Restarts),
        1 => Just(Happening::ClockSetBack),
        1 => Just(Happening::Resumes),
    ]
}

/// A report, with its process and what was counted.
type Sent = (LoadReport, u64, [Option<[u64; 2]>; 2]);

/// A proxy whose counts are known, and what is to come of what arrives of them.
#[derive(Default)]
struct World {
    tells_process: bool,
    process: u64,
    clock: u64,
    counts: [[u64; 2]; 2],
    sent: Vec<Sent>,
    arrived: usize,
    newest: Option<u64>,
    newest_process: u64,
    over: Vec<u64>,
    /// By process and version: what the newest of its readings says.
    known: BTreeMap<(u64, usize), [u64; 2]>,
    baseline: [u64; 2],
    truth: [u64; 2],
    sum: [u64; 2],
    tally: Tally,
}

impl World {
    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Answers(version, ok, bad) => {
                let count = &mut self.counts[version];
                (count[0], count[1]) = (count[0] + ok, count[1] + bad);
                (self.truth[0], self.truth[1]) = (self.truth[0] + ok, self.truth[1] + bad);
            }
            Happening::Reads(in_parts) => {
                self.clock += 1;
                let in_parts = in_parts && self.newest.is_some();
                let parts: &[&[usize]] = if in_parts { &[&[0], &[1]] } else { &[&[0, 1]] };
                for part in parts {
                    self.send(part);
                }
            }
            Happening::Arrives(which) if !self.sent.is_empty() => {
                self.arrive(which % self.sent.len());
            }
            Happening::ArrivesInTime => {
                if self.arrived < self.sent.len() {
                    self.arrive(self.arrived);
                    self.arrived += 1;
                }
            }
            Happening::Restarts => {
                self.process += 1;
                self.clock += 1;
                self.counts = Default::default();
            }
            Happening::ClockSetBack if self.tells_process => {
                self.clock = self.clock.saturating_sub(100);
                // What is under way while a clock is set back cannot be put in order.
                self.sent.clear();
                self.arrived = 0;
            }
            Happening::Arrives(_) | Happening::ClockSetBack => {}
            Happening::Resumes => {
                let heard = serde_json::to_string(&self.tally.heard(&cart())).unwrap();
                let heard: Vec<Heard> = serde_json::from_str(&heard).unwrap();
                self.tally = Tally::default();
                self.tally.resume(&cart(), &heard, at(0));
                // What was over is not written down.
                self.over.clear();
            }
        }
    }

    fn send(&mut self, part: &[usize]) {
        let of = |version: usize| {
            let [ok, bad] = self.counts[version];
            said(&format!("v{version} 200={ok} 503={bad}"))
        };
        let since = self.tells_process.then_some(self.process);
        let report = report(since, self.clock, part.iter().map(|it| of(*it)).collect());
        let mut counts = [None; 2];
        for it in part {
            counts[*it] = Some(self.counts[*it]);
        }
        self.sent.push((report, self.process, counts));
    }

    fn arrive(&mut self, which: usize) {
        let (report, process, counts) = self.sent[which].clone();
        hear(&mut self.tally, "e", "", &report);
        let taken = self.tally.take(&cart());
        for answers in taken.answers.values().flat_map(BTreeMap::values) {
            let more = |code: u16| answers.codes.get(&code).copied().unwrap_or(0);
            (self.sum[0], self.sum[1]) = (self.sum[0] + more(200), self.sum[1] + more(503));
        }
        self.expect(process, report.read_at_ns / SECOND, counts);
    }

    /// The rule, once more and in other words.
    fn expect(&mut self, process: u64, read_at: u64, counts: [Option<[u64; 2]>; 2]) {
        let is_first = self.newest.is_none();
        if let Some(newest) = self.newest {
            let is_late = read_at < newest && newest - read_at <= 60;
            let is_over = process != self.newest_process && self.over.contains(&process);
            if is_late || is_over {
                return;
            }
        }
        if !is_first && process != self.newest_process {
            self.over.push(self.newest_process);
        }
        (self.newest, self.newest_process) = (Some(read_at), process);
        for (version, counts) in counts.into_iter().enumerate() {
            let Some(counts) = counts else { continue };
            let known = self.known.entry((process, version)).or_default();
            *known = [known[0].max(counts[0]), known[1].max(counts[1])];
            if is_first {
                self.baseline = [self.baseline[0] + counts[0], self.baseline[1] + counts[1]];
            }
        }
    }

    fn expected(&self) -> [u64; 2] {
        let of = |which: usize| {
            let known: u64 = self.known.values().map(|it| it[which]).sum();
            known - self.baseline[which]
        };
        [of(0), of(1)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_is_what_was_counted(story in prop::collection::vec(happening(), 1..60)) {
        let mut world = World { tells_process: true, clock: 1_000, ..World::default() };
        for happening in story {
            world.happens(happening);
            prop_assert_eq!(world.sum, world.expected());
            prop_assert!(world.sum[0] <= world.truth[0] && world.sum[1] <= world.truth[1]);
        }
    }

    /// A restart after which more was counted than before cannot be seen; then less is taken, never more.
    #[test]
    fn without_a_word_of_its_process_it_is_never_more(story in prop::collection::vec(happening(), 1..60)) {
        let mut world = World { clock: 1_000, ..World::default() };
        for happening in story {
            world.happens(happening);
            prop_assert!(world.sum[0] <= world.truth[0] && world.sum[1] <= world.truth[1]);
        }
    }
}
