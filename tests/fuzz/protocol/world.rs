//! A client, its streams, and what happens to them.

use std::collections::BTreeMap;

use tidegate::domain::{Span, Time};
use tidegate::protocol::{Ask, Request, TypeUrl, Variant};
use tidegate::snapshot::ResourceKind;

use super::client::Client;
use super::ledger::{Versions, is_whole};
use super::server::{Line, Published, Source};
use super::story::{Answer, EVERYTHING, Publish, Return, Step, Story, TERMS};

/// What is not served.
const UNSERVED: &str = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration";

/// Most responses from when changes cease until all is still, and turns of the loop that waits for it.
/// Large resources come one by one.
const RESPONSES_MAX: usize = 24;
const LARGE_RESPONSES_MAX: usize = 200;
const TURNS_MAX: usize = 300;

/// Everything.
pub(crate) struct World<'a> {
    story: &'a Story,
    now: Time,
    source: Source,
    published: Option<Published>,
    clients: [Client; ResourceKind::ALL.len()],
    lines: Vec<Line>,
    is_sane: bool,
}

impl<'a> World<'a> {
    /// Plays a story to its end, and then until all is still.
    pub(crate) fn play(story: &'a Story) {
        let Story {
            variant, habits, ..
        } = *story;
        let mut world = Self {
            story,
            now: Time::UNIX_EPOCH,
            source: Source::new(story.are_large),
            published: None,
            clients: ResourceKind::ALL.map(|kind| Client::new(kind, variant, habits)),
            lines: Vec::new(),
            is_sane: true,
        };
        world.connect(Return::Empty);
        if habits.is_usual {
            for (kind, term) in [
                (ResourceKind::Cluster, EVERYTHING),
                (ResourceKind::Listener, EVERYTHING),
                (ResourceKind::Endpoint, "a"),
                (ResourceKind::Endpoint, "b"),
                (ResourceKind::Route, "a"),
            ] {
                world.take(&Step::Subscribe(kind, term));
            }
        }
        for step in &story.steps {
            world.take(step);
        }
        world.end();
    }

    /// No change comes any more, and all that was said is answered.
    fn end(&mut self) {
        if self.published.is_none() {
            self.source.make(Publish::Grown);
        }
        self.publish();
        self.settle();
        self.check();
        // What was refused stays refused; once it is mended, all is well.
        for client in &mut self.clients {
            client.mend();
            let exists = &self.published.as_ref().unwrap().exists[client.kind as usize];
            for name in client.culprits(exists) {
                self.source.mend(client.kind, name);
            }
        }
        self.source.make(Publish::Grown);
        self.publish();
        self.settle();
        self.check();
        if !self.is_sane {
            return;
        }
        for client in &self.clients {
            let refused = client.standing(self.exists(client.kind)).next();
            assert_eq!(refused, None, "{} was mended in vain", client.kind);
        }
        for line in &self.lines {
            let has_asked = ResourceKind::ALL.iter().any(|kind| line.has_asked(*kind));
            assert!(line.is_in_force() || !has_asked, "in force, and never said");
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Edit(kind, exist, change, how) => {
                self.source.edit(kind, exist, change);
                self.source.make(how);
                if how != Publish::Unseen {
                    self.publish();
                }
            }
            Step::Deliver(kind, count) => {
                for _ in 0..count {
                    self.deliver(self.line(kind));
                }
            }
            Step::Receive(kind, count) => {
                for _ in 0..count {
                    self.receive(self.line(kind));
                }
            }
            Step::Answer(kind, answer, carries) => {
                let request = self.clients[kind as usize].answer(answer, carries);
                self.send(kind, request);
            }
            Step::Flow => drop(self.flow()),
            Step::Subscribe(kind, term) => {
                let request = self.clients[kind as usize].subscribe(term);
                self.send(kind, Some(request));
            }
            Step::Unsubscribe(kind, term) => {
                let request = self.clients[kind as usize].unsubscribe(term);
                self.send(kind, request);
            }
            Step::Repeat(kind, nonce) => {
                let foreign = self.lines[self.line(kind)].nonce_of_another(kind);
                let request = self.clients[kind as usize].repeat(nonce, foreign);
                self.send(kind, request);
            }
            Step::Pass(seconds) => self.pass(Span::secs(seconds).after(self.now)),
            Step::Reconnect(how) => self.connect(how),
            Step::Retry => {
                for line in &mut self.lines {
                    line.retry();
                }
                self.pump_all();
            }
            Step::Unserved(term) => {
                let request = Request {
                    type_url: TypeUrl::parse(UNSERVED),
                    nonce: String::new(),
                    error: None,
                    ask: self.raw_ask(&[term], &[], BTreeMap::new()),
                };
                self.lines[0]
                    .to_server
                    .push_back((request, Versions::new()));
            }
            Step::Wild(kind, terms, how) if self.story.is_wild => self.wild(kind, terms, how),
            Step::Wild(..) => {}
        }
    }

    fn exists(&self, kind: ResourceKind) -> &Versions {
        &self.published.as_ref().unwrap().exists[kind as usize]
    }

    fn line(&self, kind: ResourceKind) -> usize {
        if self.story.is_separate {
            kind as usize
        } else {
            0
        }
    }

    fn send(&mut self, kind: ResourceKind, request: Option<Request>) {
        let line = self.line(kind);
        let requests = request.map(|request| (request, Versions::new()));
        self.lines[line].to_server.extend(requests);
    }

    fn publish(&mut self) {
        let published = self.source.published();
        self.published = Some(published.clone());
        for line in &mut self.lines {
            line.publish(published.clone(), self.now);
        }
        self.pump_all();
    }

    fn pass(&mut self, until: Time) {
        self.now = until;
        self.pump_all();
        if self.lines.iter().any(|line| line.is_overdue(self.now)) {
            self.connect(Return::Whole);
        }
    }

    fn connect(&mut self, how: Return) {
        // A new stream begins with what is newest.
        if self.published.is_some() {
            self.published = Some(self.source.published());
        }
        let only = if self.story.is_separate {
            ResourceKind::ALL.map(Some).to_vec()
        } else {
            vec![None]
        };
        let line = |only| {
            let mut line = Line::new(self.story.variant, only, self.published.clone(), self.now);
            line.is_sane = self.is_sane;
            line
        };
        self.lines = only.into_iter().map(line).collect();
        for kind in ResourceKind::ALL {
            let line = self.line(kind);
            let client = &mut self.clients[kind as usize];
            let request = client.connect(how);
            let held = request.map(|request| (request, client.held.clone()));
            self.lines[line].to_server.extend(held);
        }
        self.pump_all();
    }

    fn pump_all(&mut self) {
        (0..self.lines.len()).for_each(|line| self.pump(line));
    }

    fn pump(&mut self, line: usize) {
        let line = &mut self.lines[line];
        let in_force = line.pump(self.now);
        // What a client has said and is still under way, nobody knows of.
        if in_force.is_none() || !self.is_sane || !line.to_server.is_empty() {
            return;
        }
        let exists = &self.published.as_ref().unwrap().exists;
        for client in &self.clients {
            if line.has_asked(client.kind) {
                client.check(&exists[client.kind as usize], false);
                let refused = client.standing(&exists[client.kind as usize]).next();
                assert_eq!(refused, None, "{} is in force and refused", client.kind);
            }
        }
    }

    /// The server gets a request. Was there one?
    fn deliver(&mut self, line: usize) -> bool {
        match self.lines[line].deliver(self.now) {
            None => return false,
            Some(true) => self.pump(line),
            Some(false) => {
                assert!(!self.is_sane, "a client was sent away");
                self.connect(Return::Whole);
            }
        }
        true
    }

    /// The client gets a response. Was there one?
    fn receive(&mut self, line: usize) -> bool {
        let Some((kind, response)) = self.lines[line].to_client.pop_front() else {
            return false;
        };
        let names = response.resources.iter().map(|resource| &resource.name);
        let told: Vec<_> = names.cloned().collect();
        self.clients[kind as usize].receive(response);
        let [clusters, endpoints] = [ResourceKind::Cluster, ResourceKind::Endpoint];
        if kind == clusters {
            let changed = self.clients[clusters as usize].changes();
            let changed = changed.keys().copied();
            self.clients[clusters as usize].warming.extend(changed);
        } else if kind == endpoints {
            let warming = &mut self.clients[clusters as usize].warming;
            warming.retain(|name| told.iter().all(|told| **told != **name));
        }
        true
    }

    /// All that is under way arrives, and is answered. Was there anything?
    fn flow(&mut self) -> bool {
        let mut flowed = false;
        for line in 0..self.lines.len() {
            while self.deliver(line) {
                flowed = true;
            }
            while self.receive(line) {
                flowed = true;
            }
        }
        for kind in ResourceKind::ALL {
            let request = self.clients[kind as usize].answer(Answer::Accept, None);
            flowed |= request.is_some();
            self.send(kind, request);
        }
        flowed
    }

    /// Until nothing is under way and the server waits for nothing.
    fn settle(&mut self) {
        let responses = |world: &Self| world.lines.iter().map(|line| line.responses).sum::<usize>();
        let mut before = responses(self);
        for _ in 0..TURNS_MAX {
            if self.flow() {
                continue;
            }
            let deadlines = self.lines.iter().filter_map(|line| line.deadline(self.now));
            let Some(deadline) = deadlines.min() else {
                let said = responses(self) - before;
                let max = if self.story.are_large {
                    LARGE_RESPONSES_MAX
                } else {
                    RESPONSES_MAX
                };
                assert!(said <= max, "{said} responses until all was still");
                return;
            };
            self.pass(deadline);
            // A client that came back is told anew.
            before = before.min(responses(self));
        }
        panic!("it never ends");
    }

    /// Does the client hold what there is, but for what it refused?
    fn check(&self) {
        if !self.is_sane {
            return;
        }
        let refuses = |kind| {
            let client: &Client = &self.clients[kind as usize];
            client.standing(self.exists(kind)).next().is_some()
        };
        let users = [ResourceKind::Listener, ResourceKind::Route];
        for client in &self.clients {
            let kind = client.kind;
            // What a refused route names is kept.
            let is_kept = if self.story.is_separate {
                users.contains(&kind) && refuses(kind)
            } else {
                kind != ResourceKind::LbEndpoint && users.into_iter().any(refuses)
            };
            // Who came back and refuses the whole keeps what it came with.
            let is_left = is_whole(kind, self.story.variant) && refuses(kind);
            client.check(self.exists(kind), is_kept || is_left);
        }
        if self.story.is_separate {
            return;
        }
        let [clusters, endpoints] = [ResourceKind::Cluster, ResourceKind::Endpoint];
        let endpoints = &self.clients[endpoints as usize];
        let exist = self.exists(endpoints.kind);
        let standing: Vec<_> = endpoints.standing(exist).collect();
        for name in &self.clients[clusters as usize].warming {
            let is_there = exist.contains_key(name) && endpoints.covers(name);
            assert!(
                !is_there || standing.contains(name),
                "cluster {name} warms for ever"
            );
        }
    }

    fn raw_ask(
        &self,
        subscribe: &[&str],
        unsubscribe: &[&str],
        initial_versions: BTreeMap<String, String>,
    ) -> Ask {
        let texts = |terms: &[&str]| terms.iter().map(ToString::to_string).collect();
        match self.story.variant {
            Variant::Delta => Ask::Delta {
                subscribe: texts(subscribe),
                unsubscribe: texts(unsubscribe),
                initial_versions,
            },
            Variant::Sotw => Ask::Sotw {
                names: texts(subscribe),
                version: initial_versions.into_values().collect(),
            },
        }
    }

    /// A request that no client would send: from now on only the referee looks.
    fn wild(&mut self, kind: ResourceKind, terms: u8, how: u8) {
        self.is_sane = false;
        let says = |bit: u8| how & (1 << bit) != 0;
        let mut named: Vec<&str> = TERMS.into_iter().collect();
        named.retain(|term| {
            let bit = TERMS.iter().position(|each| each == term).unwrap_or(0) % 8;
            terms & (1 << bit) != 0
        });
        named.extend(says(0).then_some(EVERYTHING));
        named.extend(says(1).then_some(""));
        let nothing = &[][..];
        let subscribe = if says(2) && !says(3) { nothing } else { &named };
        let unsubscribe = if says(2) { &named } else { nothing };
        let brings = named.iter().filter(|name| says(4) && !name.is_empty());
        let brings = brings.map(|name| ((*name).to_owned(), "1".to_owned()));
        let line = self.line(kind);
        self.lines.iter_mut().for_each(|line| line.is_sane = false);
        let nonce = match how >> 6 {
            0 => String::new(),
            1 => self.clients[kind as usize].last_nonce(),
            2 => self.lines[line]
                .nonce_of_another(kind)
                .unwrap_or("x")
                .to_owned(),
            _ => format!("{kind}-{terms}"),
        };
        let request = Request {
            type_url: TypeUrl::Served(kind),
            nonce,
            error: says(5).then(|| "wild".to_owned()),
            ask: self.raw_ask(subscribe, unsubscribe, brings.collect()),
        };
        self.lines[line]
            .to_server
            .push_back((request, Versions::new()));
    }
}
