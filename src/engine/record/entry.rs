//! A line of the journal: what was decided, when, and for which request.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::domain::{RequestKey, Time};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided.
    pub at: Time,
    /// The request that was carried out by this and by what follows at once, where it had a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What was decided.
    pub record: Record,
}

/// A request that whoever sent it may send again, not knowing whether it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// By which a repetition is known.
    pub key: RequestKey,
    /// The verb, in the words of the command line.
    pub asked: String,
}

impl Entry {
    /// Something that was decided for no request in particular.
    pub const fn new(at: Time, record: Record) -> Self {
        Self {
            at,
            request: None,
            record,
        }
    }
}
