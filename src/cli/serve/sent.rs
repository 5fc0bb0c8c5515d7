//! What proxies were sent, for the API: from the streams' own state to words and Envoy's JSON.

use crate::api::{Sent, SentError, SentRefusal, SentResource, SentState, SentStream};
use crate::api::{SentView, SentWanted};
use crate::domain::ProxyId;
use crate::snapshot::{ResourceKind, Shown};
use crate::xds::{Held, HeldState, Inspector, StreamState};

/// What is shown at once, in bytes as sent; as JSON it is about five times that.
const SHOWN_BYTES_MAX: usize = 8 * 1024 * 1024;

impl Sent for Inspector {
    fn types(&self) -> Vec<String> {
        ResourceKind::ALL.map(|kind| kind.to_string()).to_vec()
    }

    fn sent(&self, id: &ProxyId, wanted: &SentWanted) -> Result<Option<SentView>, SentError> {
        let Some(mut state) = self.proxy(id) else {
            return Ok(None);
        };
        for stream in &mut state.streams {
            stream.held.retain(|held| is_wanted(held, wanted));
        }
        let held = state.streams.iter().flat_map(|stream| &stream.held);
        let told = held.filter_map(|held| held.told.as_ref());
        let bytes = told.map(|resource| resource.sotw_field.len()).sum();
        if bytes > SHOWN_BYTES_MAX {
            return Err(SentError::TooLarge {
                proxy: id.clone(),
                bytes,
                max: SHOWN_BYTES_MAX,
            });
        }
        let streams = state.streams.iter().map(stream);
        Ok(Some(SentView {
            streams: streams.collect::<Result<_, _>>()?,
            proxy: state.identity,
        }))
    }
}

fn is_wanted(held: &Held, wanted: &SentWanted) -> bool {
    let SentWanted { kind, name } = wanted;
    kind.as_ref()
        .is_none_or(|kind| *kind == held.kind.to_string())
        && name.as_ref().is_none_or(|name| **name == *held.name)
}

fn stream(state: &StreamState) -> Result<SentStream, SentError> {
    let resources = state.held.iter().map(resource);
    Ok(SentStream {
        variant: state.variant.to_string(),
        only: state.only.map(|kind| kind.to_string()),
        resources: resources.collect::<Result<_, _>>()?,
    })
}

fn resource(held: &Held) -> Result<SentResource, SentError> {
    let json = held.told.as_ref().map(|told| Shown::of(told)?.json());
    let json = json.transpose();
    let json = json.map_err(|unreadable| SentError::Unreadable(unreadable.to_string()))?;
    let (state, refused) = match &held.state {
        HeldState::Acked => (SentState::Acked, None),
        HeldState::NotThere => (SentState::Missing, None),
        HeldState::Pending => (SentState::Pending, None),
        HeldState::Sent => (SentState::Sent, None),
        HeldState::Nacked(refusal) => {
            let refusal = SentRefusal {
                message: refusal.message.clone(),
                at: refusal.at,
            };
            (SentState::Nacked, Some(refusal))
        }
    };
    let accepted = held.accepted.as_ref().map(|resource| &resource.version);
    let runs = accepted.filter(|accepted| Some(*accepted) != held.version.as_ref());
    Ok(SentResource {
        kind: held.kind.to_string(),
        name: held.name.to_string(),
        version: held.version.as_ref().map(ToString::to_string),
        state,
        refused,
        runs: runs.map(ToString::to_string),
        resource: json,
    })
}
