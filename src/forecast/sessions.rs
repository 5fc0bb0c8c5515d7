//! What becomes of clients' sessions.

use serde::Serialize;

use super::notes::{Note, PartKind};
use crate::domain::{Documents, Moves, Sessions, Strategy};

/// What becomes of clients' sessions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionsForecast {
    /// Who moves when shares do.
    pub moves: Moves,
    /// So many times as many sessions as before would come to each of the last old instances, since those of the
    /// others stay with their version; `None` where old instances stay until the end, or sessions move with the shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowds: Option<u32>,
}

/// Of the service that a rollout is about, if it keeps any.
pub(super) fn forecast(documents: &Documents, note: &Note) -> Option<SessionsForecast> {
    let service = documents.services.get(&note.spec.service)?;
    let by_rollout = || note.spec.keeps_sessions.then(Sessions::default);
    let moves = service.sessions.clone().or_else(by_rollout)?.moves;
    let replaces = matches!(
        note.spec.strategy,
        Strategy::Rolling(_) | Strategy::Waves(_)
    );
    let batches = note.parts.iter().rev();
    let last = batches
        .filter(|part| part.kind == PartKind::Batch)
        .map(|part| part.members.len());
    let last = last
        .map(|members| u32::try_from(members).unwrap_or(u32::MAX))
        .next();
    let crowds = last.and_then(|last| note.desired.checked_div(last));
    Some(SessionsForecast {
        moves,
        crowds: crowds.filter(|times| moves == Moves::NewOnly && replaces && *times > 1),
    })
}
