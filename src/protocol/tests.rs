//! Stories: a few lines of what happens, and what the client sees.

mod asking;
mod order;
mod races;
mod references;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::message::{Ask, Notice, Request, Response, TypeUrl, Variant};
use super::{GATE_TIMEOUT, HeldState, Stream};
use crate::domain::{Generation, Limits, Span, Time};
use crate::snapshot::{Resource, ResourceKind, ResourceSet};

pub(super) fn resource(name: &str, version: &str) -> Arc<Resource> {
    let field = Bytes::from(format!("{name}@{version}"));
    Arc::new(Resource {
        name: name.into(),
        version: version.into(),
        sotw_field: field.clone(),
        delta_field: field,
        reference: None,
    })
}

fn kind(letter: char) -> ResourceKind {
    match letter {
        'c' => ResourceKind::Cluster,
        'e' => ResourceKind::Endpoint,
        'l' => ResourceKind::Listener,
        'm' => ResourceKind::LbEndpoint,
        'r' => ResourceKind::Route,
        's' => ResourceKind::Secret,
        _ => panic!("no type starts with {letter}"),
    }
}

fn letter(url: &TypeUrl) -> char {
    let TypeUrl::Served(kind) = url else {
        return '?';
    };
    match kind {
        ResourceKind::LbEndpoint => 'm',
        kind => kind.to_string().chars().next().unwrap(),
    }
}

/// Reads `c:a@1 e:a@1 r:main@2`.
fn set(generation: u64, text: &str) -> Arc<ResourceSet> {
    let mut set = ResourceSet::new(Generation(generation));
    for word in text.split_whitespace() {
        let (name, version) = word[2..].split_once('@').unwrap();
        set.insert(kind(word.chars().next().unwrap()), resource(name, version));
    }
    Arc::new(set)
}

/// A client driven by hand. Responses are written `c3 a@1 -b`: type, number, resources, removals.
struct Story {
    stream: Stream,
    variant: Variant,
    now: Time,
    /// SotW clients repeat their names in each answer.
    names: BTreeMap<char, String>,
    last: BTreeMap<char, Response>,
    set: Arc<ResourceSet>,
}

impl Story {
    fn new(variant: Variant) -> Self {
        Self {
            stream: Stream::new(variant, &Limits::default()),
            variant,
            now: Time::UNIX_EPOCH,
            names: BTreeMap::new(),
            last: BTreeMap::new(),
            set: Arc::default(),
        }
    }

    /// A client that holds `c:a@1 e:a@1 l:in@1 r:main@1` and has acknowledged all of it.
    fn settled(variant: Variant) -> Self {
        let mut story = Self::new(variant);
        story.snapshot(1, "c:a@1 e:a@1 l:in@1 r:main@1");
        for (letter, names) in [('c', ""), ('e', "a"), ('l', ""), ('r', "main")] {
            assert_ne!(story.ask(letter, names), "", "{letter}");
            story.ack(letter);
        }
        assert_eq!(
            story.notices().last().map(String::as_str),
            Some("in force 1")
        );
        story
    }

    fn snapshot(&mut self, generation: u64, text: &str) -> String {
        self.show(set(generation, text))
    }

    /// The same, by a set that grows out of the last one, as a compiler's do.
    fn grown(&mut self, generation: u64, text: &str) -> String {
        let mut grown = self.set.next(Generation(generation));
        let all = set(generation, text);
        grown.replace_all(
            all.all()
                .map(|(kind, resource)| (kind, Arc::clone(resource))),
        );
        self.show(Arc::new(grown))
    }

    fn show(&mut self, set: Arc<ResourceSet>) -> String {
        self.set = Arc::clone(&set);
        self.stream.on_snapshot(set, self.now);
        self.sent()
    }

    /// Delta: `a -b` subscribes and unsubscribes, `a=1` says what is held. SotW: the whole list.
    fn ask(&mut self, letter: char, text: &str) -> String {
        self.names.insert(letter, text.to_owned());
        let request = self.request(letter, text, "", None);
        self.put(request)
    }

    fn request(&self, letter: char, text: &str, nonce: &str, error: Option<&str>) -> Request {
        let ask = match self.variant {
            Variant::Sotw => Ask::Sotw {
                names: text.split_whitespace().map(str::to_owned).collect(),
                version: self
                    .last
                    .get(&letter)
                    .map_or(String::new(), |r| r.version.clone()),
            },
            Variant::Delta => {
                let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
                let mut initial_versions = BTreeMap::new();
                for word in text.split_whitespace() {
                    if let Some(name) = word.strip_prefix('-') {
                        unsubscribe.push(name.to_owned());
                    } else if let Some((name, version)) = word.split_once('=') {
                        initial_versions.insert(name.to_owned(), version.to_owned());
                        if !kind(letter).has_wildcard() {
                            subscribe.push(name.to_owned());
                        }
                    } else {
                        subscribe.push(word.to_owned());
                    }
                }
                Ask::Delta {
                    subscribe,
                    unsubscribe,
                    initial_versions,
                }
            }
        };
        Request {
            type_url: TypeUrl::Served(kind(letter)),
            nonce: nonce.to_owned(),
            error: error.map(str::to_owned),
            ask,
        }
    }

    fn put(&mut self, request: Request) -> String {
        self.stream.on_request(request, self.now).unwrap();
        self.sent()
    }

    fn ack(&mut self, letter: char) -> String {
        self.answer(letter, None)
    }

    fn nack(&mut self, letter: char) -> String {
        self.answer(letter, Some("no  good"))
    }

    fn answer(&mut self, letter: char, error: Option<&str>) -> String {
        let nonce = self.last[&letter].nonce.clone();
        let names = match self.variant {
            Variant::Delta => String::new(),
            Variant::Sotw => self.names.get(&letter).cloned().unwrap_or_default(),
        };
        let request = self.request(letter, &names, &nonce, error);
        self.put(request)
    }

    fn wait(&mut self, span: Span) -> String {
        self.now = span.after(self.now);
        self.sent()
    }

    fn sent(&mut self) -> String {
        let mut lines = Vec::new();
        while let Some(response) = self.stream.poll_response(self.now) {
            let letter = letter(&response.type_url);
            let resources = response
                .resources
                .iter()
                .map(|r| format!(" {}@{}", r.name, r.version));
            let removed = response.removed.iter().map(|name| format!(" -{name}"));
            lines.push(format!(
                "{letter}{}",
                resources.chain(removed).collect::<String>()
            ));
            self.last.insert(letter, response);
        }
        lines.join(", ")
    }

    fn notices(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(notice) = self.stream.poll_notice() {
            match notice {
                Notice::Acked { .. } => {}
                Notice::GateReleased(kind) => lines.push(format!("released {kind}")),
                Notice::InForce(generation) => lines.push(format!("in force {generation}")),
                Notice::Nacked(kind, nack) => {
                    let names = nack.resources.join(" ");
                    lines.push(format!(
                        "nacked {kind} {} {names}: {}",
                        nack.generation, nack.message
                    ));
                }
            }
        }
        lines
    }
}

const BOTH: [Variant; 2] = [Variant::Delta, Variant::Sotw];
