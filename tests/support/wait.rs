//! Waiting on conditions, never on time.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Long enough for a machine that does four other things meanwhile.
pub(crate) const SOON: Duration = Duration::from_secs(45);
/// The same for a whole roll.
pub(crate) const ROLL: Duration = Duration::from_mins(2);

const POLL: Duration = Duration::from_millis(25);

/// Looks again and again until `look` finds what it wants; panics with what it saw last when that
/// takes too long.
pub(crate) fn eventually<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let begun = now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(
                begun.elapsed() < deadline,
                "waited {deadline:?} in vain for {what}; seen last: {seen}"
            ),
        }
        std::thread::sleep(POLL);
    }
}

/// `Ok` if it holds, else what was seen instead.
pub(crate) fn if_so(holds: bool, seen: impl Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen.to_string()) }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the deadline of a wait on another process"
)]
fn now() -> Instant {
    Instant::now()
}
