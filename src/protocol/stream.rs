//! One xDS stream: four types, the order among them, and when a generation is in force.
//!
//! Feed it with [`Stream::on_request`] and [`Stream::on_snapshot`]; after each, and when
//! [`Stream::next_deadline`] has come, take responses with [`Stream::poll_response`] until there is
//! none, then notices with [`Stream::poll_notice`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::{Built, Channel, Held, Progress, is_nonce_of, take_fitting};
use super::message::{Ask, NAME_BYTES_MAX, Notice, Refused, Request, Response, TypeUrl, Variant};
use super::nack;
use super::order::{ORDER, Op, Step, Wait};
use super::subscription::named;
use crate::domain::{Generation, Limits, Nack, Span, Time};
use crate::snapshot::{ResourceKind, ResourceSet};

/// A response that was not answered for this long no longer holds up other types. Envoy withholds
/// the ACK of a cluster for 15 s when its endpoints do not come.
pub const GATE_TIMEOUT: Span = Span::secs(15);

/// A client that comes back with state, or begins by asking for nothing, asks for all its types
/// within this time. Until it has, what it holds of the others is unknown: nothing is removed and
/// nothing is in force.
const RESUME_SETTLE: Span = Span::secs(3);

/// The types that nearly every proxy asks for. One that comes back is waited for until it has.
const USUAL: [ResourceKind; 4] = [
    ResourceKind::Cluster,
    ResourceKind::Endpoint,
    ResourceKind::Listener,
    ResourceKind::Route,
];

/// Most names that one refusal lists.
const NACK_NAMES_MAX: usize = 100;

/// Most answers about types that are not served, waiting to be sent.
const UNSERVED_MAX: usize = 16;

/// Extension configs: Envoy must not be told that one is removed, it would drop what it runs.
const NEVER_REMOVED: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// The state of one stream.
#[derive(Debug)]
pub struct Stream {
    variant: Variant,
    target: Option<Arc<ResourceSet>>,
    channels: [Channel; ResourceKind::ALL.len()],
    responses: u64,
    unserved: VecDeque<Response>,
    notices: VecDeque<Notice>,
    in_force: Option<Generation>,
    /// The client came back, or has asked for nothing yet; by then it has asked for all it wants.
    settled_at: Option<Time>,
    names_max: usize,
    /// A client that has not answered for this long is stuck.
    ack_time: Span,
}

impl Stream {
    /// A stream that has just been opened.
    pub fn new(variant: Variant, limits: &Limits) -> Self {
        Self {
            names_max: limits.names_per_type,
            ack_time: limits.ack_time,
            variant,
            target: None,
            channels: ResourceKind::ALL.map(|kind| Channel::new(kind, variant)),
            responses: 0,
            unserved: VecDeque::new(),
            notices: VecDeque::new(),
            in_force: None,
            settled_at: None,
        }
    }

    /// Takes a message from the client.
    pub fn on_request(&mut self, request: Request, now: Time) -> Result<(), Refused> {
        let lengths = request.ask.names().map(String::len);
        if let Some(bytes) = lengths.max().filter(|bytes| *bytes > NAME_BYTES_MAX) {
            return Err(Refused::LongName { bytes });
        }
        let kind = match request.type_url {
            TypeUrl::Other(url) => return self.on_unserved(&url, &request.ask),
            TypeUrl::Served(kind) => kind,
        };
        let channel = &mut self.channels[kind as usize];
        let is_first = !channel.is_asked();
        // A nonce on a type's first request is of an earlier stream.
        let nonce = Some(request.nonce.as_str()).filter(|n| !n.is_empty() && !is_first);
        // Who mixes up two types may list the names of either, so neither is believed.
        let is_of_another = |nonce| {
            let mut others = ResourceKind::ALL.into_iter().filter(|other| *other != kind);
            others.any(|other| is_nonce_of(other, nonce))
        };
        if nonce.is_some_and(is_of_another) && self.variant == Variant::Sotw {
            return Ok(());
        }
        let error = request.error.as_deref();
        let answer = nonce.and_then(|nonce| channel.on_answer(nonce, error, now));
        let is_repeat_of = nonce.filter(|_| answer.is_none() && request.error.is_none());
        let asked = channel.on_ask(&request.ask, is_repeat_of)?;
        let (names, max) = (channel.names_asked_for(), self.names_max);
        if names > max {
            return Err(Refused::TooManyNames { names, max });
        }
        if asked.resumes && kind == ResourceKind::Endpoint {
            self.owe_endpoints();
        }
        let channel = &mut self.channels[kind as usize];
        let is_only_a_beginning = asked.resumes || (is_first && !channel.wants_anything());
        if is_only_a_beginning && self.settled_at.is_none() {
            self.settled_at = Some(RESUME_SETTLE.after(now));
        }
        if let Some(target) = &self.target {
            channel.take(asked.news, target);
            if let Some(answer) = &answer {
                channel.after(answer, target);
            }
        }
        if let Some(answer) = answer {
            let generation = answer.generation;
            self.notices.push_back(if answer.is_ack {
                Notice::Acked { kind, generation }
            } else {
                // A secret changes between plans. Once what was refused is replaced, that is said.
                self.in_force = None;
                let names = answer.names.iter().take(NACK_NAMES_MAX);
                let resources = names.map(|name| name.as_ref().to_owned()).collect();
                let message = nack::normalised(request.error.as_deref().unwrap_or_default());
                Notice::Nacked(
                    kind,
                    Nack {
                        generation,
                        kind: kind.to_string(),
                        resources,
                        message,
                    },
                )
            });
        }
        self.review(now);
        Ok(())
    }

    /// Takes what the client is to hold from now on.
    pub fn on_snapshot(&mut self, target: Arc<ResourceSet>, now: Time) {
        let held = self.target.as_deref();
        let changes = held.and_then(|held| target.changes_since(held));
        for channel in self
            .channels
            .iter_mut()
            .filter(|channel| channel.is_asked())
        {
            match changes {
                Some(changes) => channel.refresh_names(&target, changes.of(channel.kind())),
                None => channel.refresh(&target),
            }
        }
        self.target = Some(target);
        self.review(now);
    }

    /// Tries once more what the client refused.
    pub fn retry(&mut self) {
        let Some(target) = &self.target else { return };
        for channel in &mut self.channels {
            channel.retry(target);
        }
    }

    /// The next message to the client, if one may be sent now.
    pub fn poll_response(&mut self, now: Time) -> Option<Response> {
        if let Some(response) = self.unserved.pop_front() {
            return Some(response);
        }
        let target = Arc::clone(self.target.as_ref()?);
        self.hold_collections(&target);
        for step in &ORDER {
            let channel = &self.channels[step.kind as usize];
            let is_due = channel.owes(step.op) && channel.waiting_since().is_none();
            if is_due && self.is_open(step, now) {
                return Some(self.send(step, &target, now));
            }
        }
        self.review(now);
        None
    }

    /// The next thing that others should know.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When to poll again though nothing has happened; always after `now`.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let sent = self.channels.iter().filter_map(Channel::waiting_since);
        sent.flat_map(|at| [GATE_TIMEOUT.after(at), self.ack_time.after(at)])
            .chain(self.settled_at)
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// The type whose last response has not been answered within the time that is given to it.
    pub fn overdue(&self, now: Time) -> Option<ResourceKind> {
        let is_overdue = |c: &&Channel| {
            c.waiting_since()
                .is_some_and(|at| self.ack_time.after(at) <= now)
        };
        self.channels.iter().find(is_overdue).map(Channel::kind)
    }

    /// How it carries state.
    pub const fn variant(&self) -> Variant {
        self.variant
    }

    /// What the client was told, type by type and name by name. What it holds from an earlier stream
    /// is known by its version, and so is its content where the target has it.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.channels.iter().flat_map(Channel::held).map(|held| {
            let target = self.target.as_deref().filter(|_| held.told.is_none());
            let now = target.and_then(|target| target.of(held.kind).get(&*held.name));
            let same = now.filter(|now| Some(&now.version) == held.version.as_ref());
            Held {
                told: held.told.or_else(|| same.cloned()),
                ..held
            }
        })
    }

    fn send(&mut self, step: &Step, target: &ResourceSet, now: Time) -> Response {
        self.responses += 1;
        let channel = &mut self.channels[step.kind as usize];
        let Built { response, added } = channel.build(target, step.op, self.responses, now);
        if step.kind == ResourceKind::Cluster {
            // A changed cluster warms until its endpoints come again, and Envoy does not ask for
            // them on a delta stream. An assignment bears its cluster's name.
            let endpoints = &mut self.channels[ResourceKind::Endpoint as usize];
            for name in &added {
                endpoints.owe_again(name);
            }
            endpoints.refresh_names(target, &added);
        }
        if step.kind == ResourceKind::Endpoint {
            let endpoints = &mut self.channels[ResourceKind::Endpoint as usize];
            let closed = endpoints.refer(&response.resources, target);
            for (collection, opens) in closed {
                self.channels[ResourceKind::LbEndpoint as usize].close(&collection, opens);
            }
        }
        response
    }

    /// Leaves a collection as it is from the moment that the assignment which refers to it is to change or
    /// to go: the one changes as a whole, the other goes after its cluster. An assignment that is to stay
    /// after all is then told again, or nothing would be told of its collections any more.
    fn hold_collections(&mut self, target: &ResourceSet) {
        for (name, collections) in self.channels[ResourceKind::Endpoint as usize].referred() {
            let endpoints = &mut self.channels[ResourceKind::Endpoint as usize];
            let is_there = target.of(ResourceKind::Endpoint).contains_key(&name);
            let is_to_change = !is_there || endpoints.owes_name(&name);
            let members = &mut self.channels[ResourceKind::LbEndpoint as usize];
            if is_to_change {
                for collection in &collections {
                    members.close(collection, false);
                }
            }
            if is_there && collections.iter().any(|it| members.is_closed(it)) {
                let endpoints = &mut self.channels[ResourceKind::Endpoint as usize];
                endpoints.owe_again(&name);
                endpoints.refresh_names(target, [&name]);
            }
        }
    }

    /// A client that comes back says that it holds endpoints, but clusters that were sent to it before it
    /// said so may warm, and wait for them.
    fn owe_endpoints(&mut self) {
        let clusters = &self.channels[ResourceKind::Cluster as usize];
        let warming: Vec<_> = clusters.told_here().cloned().collect();
        let endpoints = &mut self.channels[ResourceKind::Endpoint as usize];
        for name in &warming {
            endpoints.owe_again(name);
        }
    }

    /// May this step be taken now? Counts the waits that ended only because they took too long.
    fn is_open(&mut self, step: &Step, now: Time) -> bool {
        let mut late = Vec::new();
        for wait in step.after {
            let channel = &self.channels[wait.kind() as usize];
            let op = if matches!(wait, Wait::Gone(_)) {
                Op::Remove
            } else {
                Op::Add
            };
            let since = if matches!(wait, Wait::Placed(_)) {
                self.channels[step.kind as usize].due_since()
            } else {
                None
            };
            match channel.progress(op, since, GATE_TIMEOUT, now) {
                Progress::Busy => return false,
                Progress::Done => {}
                Progress::Late => late.push(wait.kind()),
            }
            let unheard = !channel.is_asked() && self.is_settling(now);
            if matches!(wait, Wait::Accepted(_)) && (channel.is_refused() || unheard) {
                return false;
            }
        }
        for kind in late {
            if self.channels[kind as usize].release() {
                self.notices.push_back(Notice::GateReleased(kind));
            }
        }
        true
    }

    fn is_settling(&self, now: Time) -> bool {
        self.settled_at.is_some_and(|at| now < at)
    }

    /// Is the target in force, and was that not said yet?
    fn review(&mut self, now: Time) {
        let Some(target) = &self.target else { return };
        if self.in_force == Some(target.generation) {
            return;
        }
        let mut asked = self.channels.iter().filter(|c| c.is_asked()).peekable();
        let is_asked = asked.peek().is_some();
        let is_current = asked.all(Channel::is_current);
        let is_unheard = |kind: &ResourceKind| !self.channels[*kind as usize].is_asked();
        let may_hold_more = self.is_settling(now) && USUAL.iter().any(is_unheard);
        if is_asked && is_current && !may_hold_more && self.asks_for_all_collections(target) {
            self.in_force = Some(target.generation);
            self.notices.push_back(Notice::InForce(target.generation));
        }
    }

    /// Has the client asked for every collection that it was told of? Until then it does not have what
    /// is in them, though there is nothing that it was to acknowledge.
    fn asks_for_all_collections(&self, target: &ResourceSet) -> bool {
        let members = &self.channels[ResourceKind::LbEndpoint as usize];
        let mut collections = self.channels[ResourceKind::Endpoint as usize].collections(target);
        collections.all(|collection| members.is_asked_for(collection))
    }

    /// On a delta stream, says that a resource of a type that is not served does not exist, so
    /// that nobody waits for it.
    fn on_unserved(&mut self, url: &Arc<str>, ask: &Ask) -> Result<(), Refused> {
        let Ask::Delta { subscribe, .. } = ask else {
            return Ok(());
        };
        let mut names = named(subscribe);
        let max = self.names_max;
        if names.len() > max {
            let names = names.len();
            return Err(Refused::TooManyNames { names, max });
        }
        if &**url == NEVER_REMOVED || self.unserved.len() >= UNSERVED_MAX {
            return Ok(());
        }
        while !names.is_empty() {
            self.responses += 1;
            self.unserved.push_back(Response {
                type_url: TypeUrl::Other(Arc::clone(url)),
                nonce: format!("other-{}", self.responses),
                version: String::new(),
                resources: Vec::new(),
                removed: take_fitting(&mut names, |name| name.len()),
            });
        }
        Ok(())
    }
}
