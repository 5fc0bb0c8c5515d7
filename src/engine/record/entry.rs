//! A line of the journal: what was decided, and when.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::domain::Time;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided.
    pub at: Time,
    /// What was decided.
    pub record: Record,
}
