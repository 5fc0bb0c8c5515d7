//! The journal, page by page.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::extract::{Ask, parsed};
use crate::domain::{RolloutName, ServiceName, Time};
use crate::engine::Record;
use crate::runtime::Numbered;

/// Entries on a page where the request does not say.
const PAGE_DEFAULT: usize = 200;

/// Entries on a page at most.
const PAGE_MAX: usize = 1000;

/// Entries that one request reads at most in search of those that are asked for; the answer's `next`
/// goes on.
const SCAN_MAX: usize = 20_000;

/// Some entries, and where to go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The entries in order.
    pub entries: Vec<Numbered>,
    /// The number to ask from for the next page.
    pub next: u64,
    /// Was this the newest at the time?
    pub end: bool,
    /// The oldest entry that is kept; those before were older than the retention.
    pub first: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    from: Option<u64>,
    limit: Option<usize>,
    rollout: Option<String>,
    service: Option<String>,
    by: Option<String>,
    since: Option<String>,
}

pub(super) async fn page(
    State(shared): State<Shared>,
    Ask(which): Ask<Which>,
) -> Result<Json<HistoryPage>, ApiError> {
    let limit = which.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid(
            format!("a page has 1 to {PAGE_MAX} entries"),
            "ask again from `next` for more",
        ));
    }
    let mut page = HistoryPage {
        entries: Vec::new(),
        next: which.from.unwrap_or(1).max(1),
        end: false,
        first: shared.control.journal().first,
    };
    let mut wanted = Wanted::new(which, &shared)?;
    let mut scanned = 0;
    while !page.end && page.entries.len() < limit && scanned < SCAN_MAX {
        let read = shared.control.history(page.next, PAGE_MAX).await?;
        scanned += read.len();
        page.end = read.len() < PAGE_MAX;
        for entry in read {
            if page.entries.len() == limit {
                page.end = false;
                break;
            }
            page.next = entry.seq + 1;
            // How far a trial has come is no event; what follows from it is, and has its numbers.
            if !entry.entry.record.is_note() && wanted.has(&entry) {
                page.entries.push(entry);
            }
        }
    }
    Ok(Json(page))
}

/// Which entries are asked for.
struct Wanted {
    rollout: Option<RolloutName>,
    service: Option<ServiceName>,
    by: Option<String>,
    since: Option<Time>,
    /// Whose each rollout is: those that are listed, and those seen to be planned.
    services: BTreeMap<RolloutName, ServiceName>,
}

impl Wanted {
    fn new(which: Which, shared: &Shared) -> Result<Self, ApiError> {
        let view = shared.view();
        let listed = view.rollouts.iter();
        Ok(Self {
            rollout: which.rollout.as_deref().map(parsed).transpose()?,
            service: which.service.as_deref().map(parsed).transpose()?,
            by: which.by,
            since: which.since.as_deref().map(moment).transpose()?,
            services: listed
                .map(|rollout| (rollout.name.clone(), rollout.service.clone()))
                .collect(),
        })
    }

    fn has(&mut self, numbered: &Numbered) -> bool {
        let (at, record) = (numbered.entry.at, &numbered.entry.record);
        if let Record::RolloutPlanned { spec, .. } = record {
            self.services
                .insert(spec.name.clone(), spec.service.clone());
        }
        let whose = |rollout: &RolloutName| self.services.get(rollout).cloned();
        let rollout = self.rollout.as_ref();
        let service = self.service.as_ref();
        let by = self.by.as_ref();
        self.since.is_none_or(|since| at >= since)
            && rollout.is_none_or(|name| record.rollout() == Some(name))
            && service.is_none_or(|name| record.concerns(name, whose))
            && by.is_none_or(|name| record.by().is_some_and(|actor| is_called(&actor.0, name)))
    }
}

fn moment(text: &str) -> Result<Time, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(
            format!("`{text}` is no moment"),
            "write it like 2026-11-23T12:00:00Z",
        )
    })
}

/// Is this the actor, whole or without the host: `ada` is `ada@laptop` too.
fn is_called(actor: &str, name: &str) -> bool {
    let person = actor.split_once('@').map_or(actor, |(person, _)| person);
    actor == name || person == name
}
