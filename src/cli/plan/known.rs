//! What a running control plane knows: its documents, its state, and what it sees.

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::history::{Which, read};
use crate::engine::{Entry, State, View};
use crate::forecast::Fleet;
use crate::runtime::{Checkpoint, DocumentsView, JournalView, Numbered, chain};
use crate::store::StoredCheckpoint;

/// All that a plan is made from.
pub(super) struct Known {
    pub(super) documents: DocumentsView,
    state: State,
    view: View,
    journal: Vec<Entry>,
}

/// So many entries are read at least, if there are as many, for what was measured in them.
const ENTRIES_READ: u64 = 10_000;

impl Known {
    /// Asks for it. Only reads.
    pub(super) async fn ask(client: &Client) -> Result<Self, Failure> {
        let documents = client.get("/v1/documents").await?;
        let (state, journal) = state(client).await?;
        Ok(Self {
            documents,
            state,
            view: client.view().await?,
            journal,
        })
    }

    pub(super) fn fleet(self) -> Fleet {
        Fleet::Known {
            state: Box::new(self.state),
            view: Box::new(self.view),
            journal: self.journal,
        }
    }
}

/// What its journal adds up to: the newest checkpoint and the entries since. Also the newest entries, those
/// before the checkpoint too.
async fn state(client: &Client) -> Result<(State, Vec<Entry>), Failure> {
    let newest: Value = client.get("/v1/journal/checkpoint").await?;
    let (mut state, covered) = if newest.is_null() {
        (State::default(), 0)
    } else {
        let seq = newest["seq"].as_u64().unwrap_or(0);
        let bytes = newest.to_string().into_bytes();
        let stored = StoredCheckpoint { seq, bytes };
        let newest = Checkpoint::decode(&stored).map_err(|error| not_understood(&chain(&error)))?;
        (newest.state, seq)
    };
    let kept: JournalView = client.get("/v1/journal").await?;
    let mut newest = Vec::new();
    let mut applied = covered;
    let mut take = |numbered: &Numbered| {
        newest.push(numbered.entry.clone());
        if numbered.seq <= covered {
            return Ok(());
        }
        if numbered.seq != applied + 1 {
            return Err(Failure::News {
                what: "old entries of the journal were deleted while they were read".to_owned(),
                hint: "run it again".to_owned(),
            });
        }
        applied = numbered.seq;
        let applied = state.apply(&numbered.entry);
        applied.map_err(|error| not_understood(&error.to_string()))
    };
    let mut next = kept.last.saturating_sub(ENTRIES_READ).min(covered) + 1;
    read(client, &Which::default(), &mut next, &mut take).await?;
    Ok((state, newest))
}

fn not_understood(why: &str) -> Failure {
    Failure::News {
        what: format!("the control plane's state cannot be read here: {why}"),
        hint: "use the `tidegate` of the control plane's version, or --offline".to_owned(),
    }
}
