//! Stories drawn at random, and a story that fails made small.

use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::protocol::{self, story};

/// Stories in a run of all tests. `PROPTEST_CASES=<number>` draws more.
const CASES: u32 = 3_000;

const STEPS_MAX: usize = 80;

/// The same stories each time, so that a change is to blame for what it breaks. Others are drawn with
/// `PROPTEST_RNG_SEED=<number>`.
const SEED: u64 = 118;

fn settings() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        chosen @ RngSeed::Fixed(_) => chosen,
    };
    let is_default = default.cases == ProptestConfig::with_cases(256).cases;
    ProptestConfig {
        cases: if is_default { CASES } else { default.cases },
        failure_persistence: None,
        rng_seed,
        ..default
    }
}

/// A story as bytes; a failure prints what happens in it, and the bytes for a file of the corpus.
#[derive(Clone)]
struct Written(Vec<u8>);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self
            .0
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let story = story::Story::read(&self.0);
        write!(
            f,
            "{story:#?}\nfor fuzz/corpus/protocol, by `xxd -r -p`: {hex}"
        )
    }
}

fn written() -> impl Strategy<Value = Written> {
    let head = any::<[u8; story::HEAD_BYTES]>();
    let steps = prop::collection::vec(any::<[u8; story::STEP_BYTES]>(), 0..STEPS_MAX);
    (head, steps).prop_map(|(head, steps)| Written([head.as_slice(), &steps.concat()].concat()))
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn whatever_happens_the_protocol_is_kept_and_the_client_ends_with_what_there_is(
        story in written(),
    ) {
        protocol::run(&story.0);
    }
}
