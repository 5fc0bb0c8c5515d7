//! One stream on the wire: messages in, frames out, the protocol machine between them.
//!
//! The session runs only while its response body is read. A proxy that reads slowly is asked for
//! no more than it takes, and what changes meanwhile coalesces in the machine; when the connection
//! goes, or a panic ends it, the session is dropped and its seat in the registry with it. A peer
//! that is gone without a word is found by the server's HTTP/2 keepalive.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{once, select, unfold};
use http_body::{Body, Frame};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use super::alarm::Alarm;
use super::frames::Outgoing;
use super::identity::{check_same_node, identify, shown};
use super::message::Message;
use super::registry::Seat;
use super::requests::Requests;
use super::server::{Shared, Snapshots};
use super::watchdog::Watch;
use crate::domain::{Generation, Limits, ProxyIdentity, Span, Time};
use crate::peer::Claim;
use crate::process::Belled;
use crate::protocol::{Notice, Stream, TypeUrl, Variant};
use crate::serving::Caller;
use crate::snapshot::{Dialect, ResourceKind};

/// Generations whose ACKs are timed; a proxy that is further behind is told newer state anyway.
const GENERATIONS_TIMED_MAX: usize = 16;

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

/// A stream, from its first request to its trailers; it is the body of the response.
pub(super) struct Session<M> {
    shared: Arc<Shared>,
    requests: Requests<M>,
    snapshots: Snapshots,
    /// What comes from elsewhere than the client.
    calls: Belled<Call>,
    machine: Machine,
    caller: Caller,
    watch: Watch,
    opened_at: Time,
    /// Whose stream it is, once the first request has said so.
    owner: Option<(ProxyIdentity, Seat)>,
    /// The second frame of a response whose first one was taken.
    shared_frame: Option<Bytes>,
    /// Something was said to the engine, and may not be in its mailbox yet.
    has_said: bool,
    /// The wait for room in that mailbox.
    delivery: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When to look again though nothing has happened. It may go off too early: one that is set for
    /// a response is left when the answer comes, and does for the next.
    alarm: Option<Alarm>,
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
        requests: Requests<M>,
    ) -> Self {
        shared.observer.stream_opened();
        Self {
            watch: shared.watchdog.watch(caller.cutter()),
            opened_at: (shared.clock)(),
            snapshots: shared.snapshots.clone(),
            calls: calls(caller.clone(), shared.snapshots.clone()),
            caller,
            machine: Machine::new(M::VARIANT, only, &shared.limits),
            owner: None,
            shared_frame: None,
            has_said: false,
            delivery: None,
            alarm: None,
            heard: VecDeque::new(),
            attempt: 0,
            has_ended: false,
            shared,
            requests,
        }
    }

    /// The next message that may be sent, if there is one; else takes in what happens.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, Status>> {
        loop {
            let now = (self.shared.clock)();
            if let Some(message) = self.due(now) {
                self.watch.spoke(now);
                return Poll::Ready(Ok(message));
            }
            ready!(self.poll_delivery(cx));
            let deadline = self.deadline(now)?;
            self.watch.awake();
            match self.calls.poll_next(cx) {
                Poll::Ready(Some(Call::Changed)) => {
                    self.on_snapshot();
                    continue;
                }
                Poll::Ready(Some(Call::Ending(status))) => return Poll::Ready(Err(status)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Poll::Ready(message) = self.requests.poll_next(cx)? {
                let message = message.ok_or_else(|| Status::ok(""))?;
                self.on_message(message)?;
                continue;
            }
            ready!(self.poll_alarm(now, deadline, cx));
        }
    }

    /// What the machine has to send, and whom else it has to tell.
    fn due(&mut self, now: Time) -> Option<Outgoing> {
        let mut notices = Vec::new();
        let response = {
            let mut machine = self.machine.lock();
            let response = machine.poll_response(now);
            notices.extend(std::iter::from_fn(|| machine.poll_notice()));
            response
        };
        for notice in notices {
            self.pass_on(notice, now);
        }
        let response = response?;
        let message = self.shared.frames.encode(M::VARIANT, &response);
        if let TypeUrl::Served(kind) = response.type_url {
            let observer = &self.shared.observer;
            if message.is_new {
                observer.encoded(kind);
            }
            observer.pushed(kind, message.len());
        }
        Some(message)
    }

    /// Waits until the engine has been told what it was to be.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_said {
            return Poll::Ready(());
        }
        if self.delivery.is_none() && !self.shared.registry.try_deliver() {
            let registry = Arc::clone(&self.shared.registry);
            self.delivery = Some(Box::pin(async move { registry.deliver().await }));
        }
        if let Some(delivery) = &mut self.delivery {
            ready!(delivery.as_mut().poll(cx));
            self.delivery = None;
        }
        self.has_said = false;
        Poll::Ready(())
    }

    /// Waits until the deadline, or an earlier one.
    fn poll_alarm(&mut self, now: Time, deadline: Option<Time>, cx: &mut Context<'_>) -> Poll<()> {
        let is_set_for = |at| self.alarm.as_ref().is_some_and(|alarm| alarm.at <= at);
        if let Some(at) = deadline.filter(|at| !is_set_for(*at)) {
            self.alarm = Some(Alarm::new(now, at));
        }
        let Some(alarm) = &mut self.alarm else {
            return Poll::Pending;
        };
        ready!(alarm.poll(cx));
        self.alarm = None;
        Poll::Ready(())
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
            self.has_said = true;
            self.owner = Some((identity, seat));
            self.on_snapshot();
        }
        let now = (self.shared.clock)();
        let taken = self.machine.lock().on_request(request, now);
        taken.map_err(|refused| Status::resource_exhausted(refused.to_string()))
    }

    /// Takes the newest snapshot. A proxy that no gateway selects is told nothing.
    fn on_snapshot(&mut self) {
        let snapshot = self.snapshots.borrow().clone();
        let Some((identity, _)) = &self.owner else {
            return;
        };
        let Some(snapshot) = snapshot else { return };
        let now = (self.shared.clock)();
        let collects = M::VARIANT == Variant::Delta && self.machine.only().is_none();
        let words = Dialect::of(identity, collects);
        if let Some(resources) = snapshot.for_proxy(identity, words) {
            self.machine.lock().on_snapshot(resources, now);
            let generation = snapshot.generation;
            if self
                .heard
                .front()
                .is_none_or(|(newest, _)| *newest != generation)
            {
                self.heard.truncate(GENERATIONS_TIMED_MAX - 1);
                self.heard.push_front((generation, now));
            }
        }
        if snapshot.attempt > self.attempt {
            self.machine.lock().retry();
        }
        self.attempt = snapshot.attempt;
    }

    fn pass_on(&mut self, notice: Notice, now: Time) {
        let observer = &self.shared.observer;
        match (notice, &self.owner) {
            (Notice::Acked { kind, generation }, _) => {
                let heard = self.heard.iter().find(|(heard, _)| *heard == generation);
                if let Some((_, at)) = heard {
                    observer.acked(kind, generation, Span::between(*at, now));
                }
            }
            (Notice::GateReleased(kind), _) => observer.gate_released(kind),
            (Notice::InForce(generation), Some((_, seat))) => {
                seat.in_force(generation);
                self.has_said = true;
            }
            (Notice::Nacked(kind, nack), Some((_, seat))) => {
                observer.nacked(kind);
                seat.nacked(nack);
                self.has_said = true;
            }
            (Notice::InForce(_) | Notice::Nacked(..), None) => {}
        }
    }
}

impl<M: Message> Body for Session<M> {
    type Data = Bytes;
    type Error = Infallible;

    /// The next frame; trailers are the last.
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(shared) = this.shared_frame.take() {
            return Poll::Ready(Some(Ok(Frame::data(shared))));
        }
        if this.has_ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(this.poll_message(cx)) {
            Ok(message) => {
                this.shared_frame = message.shared;
                Frame::data(message.head)
            }
            Err(status) => {
                this.has_ended = true;
                this.owner = None;
                Frame::trailers(trailers(&status))
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }
}

impl<M> Drop for Session<M> {
    fn drop(&mut self) {
        self.shared.observer.stream_closed();
    }
}

/// What happens to a stream without its client.
enum Call {
    /// There is a newer snapshot.
    Changed,
    /// Its connection ends.
    Ending(Status),
}

/// The end of the connection, or of whoever makes snapshots; and newer ones until then.
fn calls(caller: Caller, snapshots: Snapshots) -> Belled<Call> {
    let ending = once(async move { Call::Ending(caller.ending().await) });
    let changes = unfold(Some(snapshots), async |snapshots| {
        let mut snapshots = snapshots?;
        Some(if snapshots.changed().await.is_ok() {
            (Call::Changed, Some(snapshots))
        } else {
            let status = Status::unavailable("this server shuts down");
            (Call::Ending(status), None)
        })
    });
    Belled::new(select(ending, changes))
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
