//! The journal, page by page.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::extract::Ask;
use crate::runtime::Numbered;

/// Entries on a page where the request does not say.
const PAGE_DEFAULT: usize = 200;

/// Entries on a page at most.
const PAGE_MAX: usize = 1000;

/// Entries that one request reads at most in search of one rollout's; the answer's `next` goes on.
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    from: Option<u64>,
    limit: Option<usize>,
    rollout: Option<String>,
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
    };
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
            if which
                .rollout
                .as_ref()
                .is_none_or(|name| is_of(&entry, name))
            {
                page.entries.push(entry);
            }
        }
    }
    Ok(Json(page))
}

fn is_of(entry: &Numbered, rollout: &str) -> bool {
    entry
        .entry
        .record
        .rollout()
        .is_some_and(|name| name.as_str() == rollout)
}
