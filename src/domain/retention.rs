//! How long the journal keeps what, and how often it is summed up.

use super::Span;

/// What the journal is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries are kept at least this long, and ended rollouts are listed for as long.
    pub kept: Span,
    /// Entries from one checkpoint to the next.
    pub checkpoint_every: u64,
    /// Size of the journal in bytes beyond which the log warns. Nothing is deleted for it.
    pub size_warning: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            kept: Span::secs(90 * 24 * 3600),
            checkpoint_every: 10_000,
            size_warning: 1024 * 1024 * 1024,
        }
    }
}
