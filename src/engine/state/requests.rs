//! Requests that were carried out, so that one which comes again does not act again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::{RequestKey, Time};
use crate::engine::{Entry, Request};

/// So many are remembered, the newest. Whoever has no answer asks again within seconds, not after this many others.
const REQUESTS_MAX: usize = 256;

/// The newest requests that had a key, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests(VecDeque<CarriedOut>);

/// A request that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct CarriedOut {
    #[serde(flatten)]
    pub(in crate::engine) request: Request,
    pub(in crate::engine) at: Time,
}

impl Requests {
    /// Has there been none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one with this key.
    pub(in crate::engine) fn get(&self, key: &RequestKey) -> Option<&CarriedOut> {
        self.0.iter().find(|done| done.request.key == *key)
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        let Some(request) = entry.request.clone() else {
            return;
        };
        let at = entry.at;
        self.0.push_back(CarriedOut { request, at });
        while self.0.len() > REQUESTS_MAX {
            self.0.pop_front();
        }
    }
}
