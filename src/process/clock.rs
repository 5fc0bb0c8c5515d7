//! The wall clock, read in one place; everything pure is told the time.

use crate::domain::Time;

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that all others ask"
)]
pub fn now() -> Time {
    Time::now()
}
