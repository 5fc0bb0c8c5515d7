//! Stories: a few lines of what happens, and what the client sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::message::{Ask, Notice, Request, Response, TypeUrl, Variant};
use super::{ACK_TIMEOUT, GATE_TIMEOUT, Stream};
use crate::domain::{Generation, Span, Time};
use crate::snapshot::{Resource, ResourceKind, ResourceSet};

pub(super) fn resource(name: &str, version: &str) -> Arc<Resource> {
    let field = Bytes::from(format!("{name}@{version}"));
    Arc::new(Resource {
        name: name.into(),
        version: version.into(),
        sotw_field: field.clone(),
        delta_field: field,
    })
}

pub(super) fn kind(letter: char) -> ResourceKind {
    match letter {
        'c' => ResourceKind::Cluster,
        'e' => ResourceKind::Endpoint,
        'l' => ResourceKind::Listener,
        'r' => ResourceKind::Route,
        _ => panic!("no type starts with {letter}"),
    }
}

fn letter(url: &TypeUrl) -> char {
    let TypeUrl::Served(kind) = url else {
        return '?';
    };
    kind.to_string().chars().next().unwrap()
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
}

impl Story {
    fn new(variant: Variant) -> Self {
        Self {
            stream: Stream::new(variant),
            variant,
            now: Time::UNIX_EPOCH,
            names: BTreeMap::new(),
            last: BTreeMap::new(),
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
        self.stream.on_snapshot(set(generation, text), self.now);
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

#[test]
fn nothing_is_answered_before_there_is_a_snapshot() {
    for variant in BOTH {
        let mut story = Story::new(variant);
        assert_eq!(story.ask('c', ""), "");
        assert_eq!(story.ask('e', "a"), "");
        assert_eq!(story.snapshot(1, "c:a@1 e:a@1"), "c a@1, e a@1");
    }
}

#[test]
fn additions_go_clusters_endpoints_then_listeners_and_routes() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        let (cluster, endpoint) = match variant {
            Variant::Delta => ("c b@1", "e a@2"),
            Variant::Sotw => ("c a@1 b@1", "e a@2"),
        };
        let next = "c:a@1 c:b@1 e:a@2 e:b@1 l:in@1 r:main@2";
        assert_eq!(story.snapshot(2, next), format!("{cluster}, {endpoint}"));
        // The proxy asks for the new cluster's endpoints and withholds its ACK until they come.
        assert_eq!(story.ack('e'), "");
        let names = if variant == Variant::Delta {
            "b"
        } else {
            "a b"
        };
        assert_eq!(story.ask('e', names), "e b@1");
        assert_eq!(story.ack('e'), "");
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.notices(), [""; 0]);
        assert_eq!(story.ack('r'), "");
        assert_eq!(story.notices(), ["in force 2"]);
    }
}

#[test]
fn removals_come_after_the_routes_that_named_them_were_replaced() {
    for (variant, union, last) in [
        (Variant::Delta, "c b@1", "c -a"),
        (Variant::Sotw, "c a@1 b@1", "c b@1"),
    ] {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:b@1 e:b@1 l:in@1 r:main@2"), union);
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.notices(), [""; 0]);
        let removal = story.ack('r');
        assert_eq!(removal, last, "{variant:?}");
        assert_eq!(story.notices(), [""; 0]);
        let forgets = if variant == Variant::Delta {
            "e -a"
        } else {
            ""
        };
        assert_eq!(story.ack('c'), forgets);
    }
}

#[test]
fn a_refused_route_holds_removals_until_it_is_replaced() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:b@1 e:b@1 l:in@1 r:main@2");
        assert_eq!(story.ack('c'), "r main@2");
        assert_eq!(story.nack('r'), "");
        assert_eq!(story.wait(ACK_TIMEOUT), "");
        assert_eq!(story.notices(), ["nacked route 2 main: no good"]);
        assert_eq!(story.snapshot(3, "c:b@1 e:b@1 l:in@1 r:main@3"), "r main@3");
        assert!(story.ack('r').starts_with('c'));
    }
}

#[test]
fn a_refused_cluster_lets_routes_pass_and_is_not_in_force() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@2");
        assert_eq!(story.nack('c'), "r main@2");
        assert_eq!(story.ack('r'), "");
        assert_eq!(story.notices(), ["nacked cluster 2 b: no good"]);
        // The same content is not tried again, by whatever else changes.
        assert_eq!(
            story.snapshot(3, "c:a@1 c:b@1 e:a@2 l:in@1 r:main@2"),
            "e a@2"
        );
        story.ack('e');
        assert_eq!(story.notices(), [""; 0]);
        let fixed = if variant == Variant::Delta {
            "c b@2"
        } else {
            "c a@1 b@2"
        };
        assert_eq!(
            story.snapshot(4, "c:a@1 c:b@2 e:a@2 l:in@1 r:main@2"),
            fixed
        );
        story.ack('c');
        assert_eq!(story.notices(), ["in force 4"]);
    }
}

#[test]
fn sotw_repeats_the_last_accepted_content_of_what_was_refused() {
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(
        story.snapshot(2, "c:a@bad e:a@1 l:in@1 r:main@1"),
        "c a@bad, e a@1"
    );
    story.nack('c');
    story.ack('e');
    assert_eq!(
        story.snapshot(3, "c:a@bad c:b@1 e:a@1 l:in@1 r:main@1"),
        "c a@1 b@1"
    );
}

#[test]
fn what_was_refused_together_is_tried_together_when_one_changes_or_on_demand() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "c:a@1 c:b@1");
    assert_eq!(story.ask('c', ""), "c a@1 b@1");
    story.nack('c');
    assert_eq!(story.snapshot(2, "c:a@1 c:b@2"), "c a@1 b@2");
    story.nack('c');
    story.stream.retry();
    assert_eq!(story.sent(), "c a@1 b@2");
    // A name that the client may have taken from a refused response is removed all the same.
    story.nack('c');
    assert_eq!(story.snapshot(3, "c:b@3"), "c b@3");
    assert_eq!(story.ack('c'), "c -a");
}

#[test]
fn a_changed_cluster_gets_its_endpoints_again_at_once() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(
            story.snapshot(2, "c:a@2 e:a@1 l:in@1 r:main@1"),
            "c a@2, e a@1"
        );
    }
    // SotW: Envoy asks again with a nonce that it has answered.
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(story.ack('e'), "e a@1");
    assert_eq!(story.ack('e'), "");
    assert_eq!(
        story.ack('c'),
        "",
        "clusters do not warm by being asked for"
    );
}

#[test]
fn endpoints_never_wait_for_the_ack_of_clusters() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@2 e:a@1 l:in@1 r:main@1");
        story.ack('e');
        assert_eq!(story.snapshot(3, "c:a@3 e:a@2 l:in@1 r:main@1"), "e a@2");
        assert_eq!(story.ack('e'), "");
        assert_eq!(story.ack('c'), "c a@3, e a@2");
    }
}

#[test]
fn a_gate_opens_by_timeout_and_that_is_counted() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        let sent = story.snapshot(2, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@2");
        assert!(sent.starts_with("c ") && !sent.contains("r "), "{sent}");
        assert_eq!(
            story.stream.next_deadline(story.now),
            Some(GATE_TIMEOUT.after(story.now))
        );
        assert_eq!(story.wait(GATE_TIMEOUT), "r main@2");
        assert_eq!(story.notices(), ["released cluster"]);
        story.ack('r');
        assert_eq!(story.stream.overdue(story.now), None);
        story.wait(Span::secs(45));
        assert_eq!(story.stream.overdue(story.now), Some(ResourceKind::Cluster));
    }
}

#[test]
fn newer_state_coalesces_behind_an_unanswered_response() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1"), "e a@2");
        for generation in 3..9 {
            let next = format!("c:a@1 e:a@{generation} l:in@1 r:main@1");
            assert_eq!(story.snapshot(generation, &next), "");
        }
        assert_eq!(story.ack('e'), "e a@8");
        story.ack('e');
        assert_eq!(story.notices(), ["in force 8"]);
    }
}

#[test]
fn an_unchanged_generation_is_in_force_at_once() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        assert_eq!(story.snapshot(2, "c:a@1 e:a@1 l:in@1 r:main@1"), "");
        assert_eq!(story.notices(), ["in force 2"]);
    }
}

#[test]
fn delta_says_what_does_not_exist_and_serves_it_when_it_does() {
    let mut story = Story::settled(Variant::Delta);
    assert_eq!(story.ask('e', "new"), "e -new");
    assert_eq!(story.ack('e'), "");
    assert_eq!(
        story.snapshot(2, "c:a@1 e:a@1 e:new@1 l:in@1 r:main@1"),
        "e new@1"
    );
    story.ack('e');
    assert_eq!(
        story.ask('e', "new"),
        "e new@1",
        "asked for again, told again"
    );
    story.ack('e');
    assert_eq!(story.ask('e', "-new -phantom"), "");
    assert_eq!(story.snapshot(3, "c:a@1 e:a@1 e:new@2 l:in@1 r:main@1"), "");
}

#[test]
fn delta_answers_when_a_name_is_dropped_that_the_wildcard_still_covers() {
    let mut story = Story::settled(Variant::Delta);
    assert_eq!(story.ask('l', "in ghost"), "l in@1 -ghost");
    story.ack('l');
    assert_eq!(story.ask('l', "-in -ghost"), "l in@1 -ghost");
}

#[test]
fn sotw_stays_silent_about_missing_endpoints_and_serves_the_others() {
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(story.ask('e', "a missing"), "");
    assert_eq!(story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1"), "e a@2");
    story.ack('e');
    assert_eq!(
        story.snapshot(3, "c:a@1 e:a@2 e:missing@1 l:in@1 r:main@1"),
        "e missing@1"
    );
    story.ack('e');
    assert_eq!(story.ask('e', "a"), "");
    assert_eq!(
        story.ask('e', "a missing"),
        "e missing@1",
        "asked for anew, told anew"
    );
}

#[test]
fn grpc_clients_ask_for_clusters_by_name() {
    let mut story = Story::new(Variant::Sotw);
    story.snapshot(1, "c:v1@1 c:v2@1 c:other@1");
    assert_eq!(story.ask('c', "v1"), "c v1@1");
    assert_eq!(
        story.ask('c', "v1 v2"),
        "",
        "one unanswered response of a type"
    );
    assert_eq!(story.ack('c'), "c v1@1 v2@1");
    story.ack('c');
    assert_eq!(
        story.ask('c', "v1 v2 v3"),
        "c v1@1 v2@1",
        "absence tells that v3 does not exist"
    );
}

#[test]
fn a_delta_client_that_comes_back_gets_only_differences() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(7, "c:a@1 c:b@2 e:a@1 l:in@1 r:main@1");
    assert_eq!(story.ask('c', "a=1 b=1 gone=1"), "c b@2");
    assert_eq!(story.ask('e', "a=1"), "");
    assert_eq!(story.ask('l', "in=1"), "");
    assert_eq!(story.ack('c'), "", "its routes are not known yet");
    assert_eq!(story.notices(), [""; 0]);
    assert_eq!(story.ask('r', "main=0"), "r main@1");
    assert_eq!(story.ack('r'), "c -gone");
    story.ack('c');
    assert_eq!(story.notices(), ["in force 7"]);
}

#[test]
fn a_client_that_comes_back_without_routes_settles_after_a_while() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(7, "c:a@1");
    assert_eq!(story.ask('c', "a=1 gone=1"), "");
    let deadline = story.stream.next_deadline(story.now).unwrap();
    assert_eq!(story.wait(Span::between(story.now, deadline)), "c -gone");
    story.ack('c');
    assert_eq!(story.notices(), ["in force 7"]);
}

#[test]
fn a_sotw_client_that_comes_back_with_the_same_set_is_told_nothing() {
    let before = Story::settled(Variant::Sotw);
    let mut story = Story::new(Variant::Sotw);
    story.last = before.last;
    story.snapshot(2, "c:a@1 e:a@1 l:in@1 r:main@1");
    assert_eq!(story.ask('c', ""), "");
    assert_eq!(story.ask('l', ""), "");
    assert_eq!(
        story.ask('e', "a"),
        "e a@1",
        "names may be new to the client"
    );
    story.ack('e');
    story.ask('r', "main");
    story.ack('r');
    assert_eq!(story.notices(), ["in force 2"]);
    assert_eq!(
        story.snapshot(3, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@1"),
        "c a@1 b@1"
    );
}

#[test]
fn late_and_foreign_nonces_answer_nothing() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1");
        let names = if variant == Variant::Sotw { "a" } else { "" };
        let foreign = story.request('e', names, "listener-3", None);
        assert_eq!(story.put(foreign), "", "{variant:?}");
        let late = story.request('e', names, "endpoint-1", None);
        assert_eq!(story.put(late), "");
        assert_eq!(story.notices(), [""; 0]);
        story.ack('e');
        assert_eq!(story.notices(), ["in force 2"]);
    }
}

#[test]
fn unknown_types_do_not_exist() {
    for (variant, type_name, answers) in [
        (
            Variant::Delta,
            "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            1,
        ),
        (
            Variant::Delta,
            "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            0,
        ),
        (
            Variant::Sotw,
            "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            0,
        ),
    ] {
        let mut story = Story::new(variant);
        let mut request = story.request('r', "x", "", None);
        request.type_url = TypeUrl::parse(type_name);
        story.stream.on_request(request, story.now).unwrap();
        let response = story.stream.poll_response(story.now);
        assert_eq!(
            response.iter().flat_map(|r| &r.removed).count(),
            answers,
            "{type_name}"
        );
    }
}

#[test]
fn an_empty_wildcard_is_answered() {
    for variant in BOTH {
        let mut story = Story::new(variant);
        story.snapshot(1, "");
        assert_eq!(story.ask('c', ""), "c");
        assert_eq!(story.ack('c'), "");
        assert_eq!(story.notices(), ["in force 1"]);
    }
}
