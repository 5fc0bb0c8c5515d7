//! One stream on the wire: messages in, frames out, the protocol machine between them.
//!
//! The session runs only while its response body is read. A proxy that reads slowly is asked for
//! no more than it takes, and what changes meanwhile coalesces in the machine; when the connection
//! goes, or a panic ends it, the session is dropped and its seat in the registry with it. A peer
//! that is gone without a word is found by the server's HTTP/2 keepalive.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use http_body::Frame;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status, Streaming};

use super::identity::{check_same_node, identify, shown};
use super::registry::Seat;
use super::server::{Shared, Snapshots};
use super::watchdog::Watch;
use crate::domain::{Generation, Limits, ProxyIdentity, Span, Time};
use crate::peer::Claim;
use crate::protocol::{Ask, Notice, Request, Stream, TypeUrl, Variant};
use crate::serving::Caller;
use crate::snapshot::{Dialect, ResourceKind};

/// Generations whose ACKs are timed; a proxy that is further behind is told newer state anyway.
const GENERATIONS_TIMED_MAX: usize = 16;

/// A message of either variant.
pub(super) trait Message: prost::Message + Default + 'static {
    /// Its variant.
    const VARIANT: Variant;

    /// The node, and everything else.
    fn into_parts(self) -> (Option<Node>, Request);
}

impl Message for DiscoveryRequest {
    const VARIANT: Variant = Variant::Sotw;

    fn into_parts(self) -> (Option<Node>, Request) {
        let request = Request {
            type_url: TypeUrl::parse(&self.type_url),
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            ask: Ask::Sotw {
                names: self.resource_names,
                version: self.version_info,
            },
        };
        (self.node, request)
    }
}

impl Message for DeltaDiscoveryRequest {
    const VARIANT: Variant = Variant::Delta;

    fn into_parts(self) -> (Option<Node>, Request) {
        let request = Request {
            type_url: TypeUrl::parse(&self.type_url),
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            ask: Ask::Delta {
                subscribe: self.resource_names_subscribe,
                unsubscribe: self.resource_names_unsubscribe,
                initial_versions: self.initial_resource_versions.into_iter().collect(),
            },
        };
        (self.node, request)
    }
}

/// The protocol machine of one stream. Only its session drives it; others may look at it.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Never locked over an await.
    stream: Arc<Mutex<Stream>>,
    only: Option<ResourceKind>,
}

impl Machine {
    pub(super) fn new(variant: Variant, only: Option<ResourceKind>, limits: &Limits) -> Self {
        Self {
            stream: Arc::new(Mutex::new(Stream::new(variant, limits))),
            only,
        }
    }

    /// The one type that the stream is for; `None` for all of them.
    pub(super) const fn only(&self) -> Option<ResourceKind> {
        self.only
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Stream> {
        // A panic while the lock is held ends the session; who looks sees how far it came.
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The type that a request speaks of. A service for one type takes no other; on one for all
    /// types each request must say which.
    fn type_of(&self, url: TypeUrl) -> Result<TypeUrl, Status> {
        match (self.only, url) {
            (Some(only), url) if url.as_str().is_empty() => Ok(TypeUrl::Served(only)),
            (Some(only), url) if url != TypeUrl::Served(only) => {
                Err(Status::invalid_argument(format!(
                    "this service is for {}, not for {:?}; use the aggregated service, or that type's own",
                    only.type_url(),
                    shown(url.as_str()),
                )))
            }
            (None, url) if url.as_str().is_empty() => Err(Status::invalid_argument(
                "the request has no type_url; the aggregated service needs one in each request",
            )),
            (_, url) => Ok(url),
        }
    }
}

/// A stream, from its first request to its trailers.
pub(super) struct Session<M> {
    shared: Arc<Shared>,
    requests: Streaming<M>,
    snapshots: Snapshots,
    machine: Machine,
    caller: Caller,
    watch: Watch,
    opened_at: Time,
    /// Whose stream it is, once the first request has said so.
    owner: Option<(ProxyIdentity, Seat)>,
    frames: VecDeque<Bytes>,
    /// When the stream heard of its newest generations, for the time that an ACK takes.
    heard: VecDeque<(Generation, Time)>,
    /// Which attempt at its snapshot the machine is on.
    attempt: u64,
    has_ended: bool,
}

impl<M: Message> Session<M> {
    /// A session on a service for `only` one type, or for all.
    pub(super) fn new(
        shared: Arc<Shared>,
        only: Option<ResourceKind>,
        caller: Caller,
        requests: Streaming<M>,
    ) -> Self {
        shared.observer.stream_opened();
        Self {
            watch: shared.watchdog.watch(caller.cutter()),
            caller,
            opened_at: (shared.clock)(),
            snapshots: shared.snapshots.clone(),
            machine: Machine::new(M::VARIANT, only, &shared.limits),
            owner: None,
            frames: VecDeque::new(),
            heard: VecDeque::new(),
            attempt: 0,
            has_ended: false,
            shared,
            requests,
        }
    }

    /// The next frame of the response; trailers are the last.
    pub(super) async fn next(&mut self) -> Option<Result<Frame<Bytes>, Infallible>> {
        loop {
            if let Some(bytes) = self.frames.pop_front() {
                self.watch.spoke((self.shared.clock)());
                return Some(Ok(Frame::data(bytes)));
            }
            if self.has_ended {
                return None;
            }
            if let Err(status) = self.turn().await {
                self.has_ended = true;
                self.owner = None;
                return Some(Ok(Frame::trailers(trailers(&status))));
            }
        }
    }

    /// Sends what may be sent, or waits for something to happen.
    async fn turn(&mut self) -> Result<(), Status> {
        let now = (self.shared.clock)();
        self.pass_on_notices(now);
        let due = self.machine.lock().poll_response(now);
        if let Some(response) = due {
            let frames = self.shared.frames.encode(M::VARIANT, &response);
            if let TypeUrl::Served(kind) = response.type_url {
                self.shared
                    .observer
                    .pushed(kind, frames.iter().map(Bytes::len).sum());
            }
            self.frames.extend(frames);
            return Ok(());
        }
        self.pass_on_notices(now);
        self.shared.registry.deliver().await;
        let deadline = self.deadline(now)?;
        self.watch.awake();
        tokio::select! {
            biased;
            status = self.caller.ending() => Err(status),
            message = self.requests.message() => match message {
                Ok(Some(message)) => self.on_message(message),
                Ok(None) => Err(Status::ok("")),
                // The decoder's word for a message that is too large.
                Err(status) if status.code() == Code::OutOfRange => {
                    let words = format!("{} (`limits.requestSize`)", status.message());
                    Err(Status::resource_exhausted(words))
                }
                Err(status) => Err(status),
            },
            changed = self.snapshots.changed() => {
                changed.map_err(|_| Status::unavailable("this server shuts down"))?;
                self.on_snapshot();
                Ok(())
            }
            () = until(now, deadline) => Ok(()),
        }
    }

    /// When to look again though nothing has happened, unless something is overdue.
    fn deadline(&self, now: Time) -> Result<Option<Time>, Status> {
        let limits = &self.shared.limits;
        let machine = self.machine.lock();
        if let Some(kind) = machine.overdue(now) {
            return Err(Status::deadline_exceeded(format!(
                "the last {kind} response was not answered within {} (`limits.ackTime`)",
                limits.ack_time
            )));
        }
        if self.owner.is_some() {
            return Ok(machine.next_deadline(now));
        }
        let first_request = limits.first_request_time.after(self.opened_at);
        if first_request <= now {
            return Err(Status::deadline_exceeded(format!(
                "the first request did not come within {} (`limits.firstRequestTime`)",
                limits.first_request_time
            )));
        }
        Ok(Some(first_request))
    }

    fn on_message(&mut self, message: M) -> Result<(), Status> {
        let (node, mut request) = message.into_parts();
        request.type_url = self.machine.type_of(request.type_url)?;
        if let Some((_, seat)) = &self.owner {
            let again = node.unwrap_or_default().id;
            check_same_node(seat.id(), &again)?;
        } else {
            let identity = identify(node, self.shared.limits.node_bytes);
            let identity = identity.map_err(|bad| bad.status())?;
            self.caller.may_speak_for(Claim {
                node: identity.id.as_str(),
                cluster: Some(&identity.cluster),
            })?;
            let seat = self.shared.registry.open(&identity, self.machine.clone());
            let seat = seat.map_err(|full| Status::resource_exhausted(full.to_string()))?;
            self.owner = Some((identity, seat));
            self.on_snapshot();
        }
        let now = (self.shared.clock)();
        let taken = self.machine.lock().on_request(request, now);
        taken.map_err(|refused| Status::resource_exhausted(refused.to_string()))
    }

    /// Takes the newest snapshot. A proxy that no gateway selects is told nothing.
    fn on_snapshot(&mut self) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let Some((identity, _)) = &self.owner else {
            return;
        };
        let Some(snapshot) = snapshot else { return };
        let now = (self.shared.clock)();
        let collects = M::VARIANT == Variant::Delta && self.machine.only().is_none();
        let words = Dialect::of(identity, collects);
        if let Some(resources) = snapshot.for_proxy(identity, words) {
            self.machine.lock().on_snapshot(resources, now);
            self.heard.truncate(GENERATIONS_TIMED_MAX - 1);
            self.heard.push_front((snapshot.generation, now));
        }
        if snapshot.attempt > self.attempt {
            self.machine.lock().retry();
        }
        self.attempt = snapshot.attempt;
    }

    fn pass_on_notices(&mut self, now: Time) {
        let observer = &self.shared.observer;
        loop {
            let notice = self.machine.lock().poll_notice();
            let Some(notice) = notice else { return };
            match (notice, &self.owner) {
                (Notice::Acked { kind, generation }, _) => {
                    let heard = self.heard.iter().find(|(heard, _)| *heard == generation);
                    if let Some((_, at)) = heard {
                        observer.acked(kind, generation, Span::between(*at, now));
                    }
                }
                (Notice::GateReleased(kind), _) => observer.gate_released(kind),
                (Notice::InForce(generation), Some((_, seat))) => seat.in_force(generation),
                (Notice::Nacked(kind, nack), Some((_, seat))) => {
                    observer.nacked(kind);
                    seat.nacked(nack);
                }
                (Notice::InForce(_) | Notice::Nacked(..), None) => {}
            }
        }
    }
}

impl<M> Drop for Session<M> {
    fn drop(&mut self) {
        self.shared.observer.stream_closed();
    }
}

async fn until(now: Time, deadline: Option<Time>) {
    match deadline {
        // Rounded up, so that the deadline has come when the sleep ends.
        Some(at) => {
            tokio::time::sleep(Span::between(now, at).duration() + Duration::from_millis(1)).await;
        }
        None => std::future::pending().await,
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        // A message that no header can carry; the code alone always fits.
        headers.clear();
        let bare = Status::new(status.code(), "").add_header(&mut headers);
        debug_assert!(bare.is_ok());
    }
    headers
}
