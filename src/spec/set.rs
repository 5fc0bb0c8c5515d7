//! The set of all documents: each read, then checked against the others.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::context::{Context, Reference, Setting};
use super::decode::decode;
use super::field::{Field, Ignored};
use super::problem::{Problem, Refusal, Sink, Warning, did_you_mean, suggestion};
use super::source::{Place, Source};
use super::tree::{self, Tree};
use super::{
    DOCUMENTS_MAX, FILE_BYTES_MAX, FILES_MAX, OverlayCheck, gate, gateway, policy, rollout, service,
};
use crate::domain::{
    BUILT_IN_GATE, Documents, Gateway, Kind, OverlayPart, Protocol, Service, ServiceName,
};

/// A set of documents that is good as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub documents: Documents,
    /// What its author should know.
    pub warnings: Vec<Warning>,
    /// Where each document stands, in the order of the sources.
    pub index: Vec<Entry>,
}

/// Where a document stands and what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The name of its source.
    pub file: String,
    /// The line of its first key, from 1.
    pub line: usize,
    /// Its text as written, without `---`.
    pub yaml: String,
}

/// Takes a text apart into its documents. Each is checked alone, none against the others.
pub fn split(source: &Source, check_overlay: OverlayCheck) -> Result<Vec<Entry>, Refusal> {
    let sinks = [Sink::new(&source.name)];
    let mut set = Set::default();
    for tree in tree::parse(&source.text, &sinks[0]) {
        set.add(&tree, 0, &sinks, check_overlay);
    }
    let [sink] = sinks;
    match sink.into_parts() {
        (problems, _) if problems.is_empty() => Ok(set.index),
        (problems, _) => Err(Refusal::new(problems, std::slice::from_ref(source))),
    }
}

/// Reads all documents of all sources, and takes or refuses them as a whole.
pub fn load(sources: &[Source], check_overlay: OverlayCheck) -> Result<Loaded, Refusal> {
    let sinks: Vec<_> = sources
        .iter()
        .map(|source| Sink::new(&source.name))
        .collect();
    let mut set = Set::default();
    for (file, (source, sink)) in sources.iter().zip(&sinks).enumerate() {
        if file >= FILES_MAX {
            sink.problem(Place::START, format!("a set has at most {FILES_MAX} files"));
            break;
        }
        if source.text.len() > FILE_BYTES_MAX {
            let message = format!("a file may have at most {FILE_BYTES_MAX} bytes");
            sink.hinted(Place::START, message, "split it".to_owned());
            continue;
        }
        for tree in tree::parse(&source.text, sink) {
            set.add(&tree, file, &sinks, check_overlay);
        }
    }
    set.check_references(&sinks);
    set.check_listeners(&sinks);
    set.check_ports(&sinks);
    set.check_order(&sinks);
    let (mut problems, mut warnings) = (Vec::<Problem>::new(), Vec::new());
    for (of_problems, of_warnings) in sinks.into_iter().map(Sink::into_parts) {
        problems.extend(of_problems);
        warnings.extend(of_warnings);
    }
    if problems.is_empty() {
        Ok(Loaded {
            documents: set.documents,
            warnings,
            index: set.index,
        })
    } else {
        Err(Refusal::new(problems, sources))
    }
}

/// What every document has; the spec is read by its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kind: Field<String>,
    name: Field<String>,
    spec: Field<Ignored>,
}

#[derive(Default)]
struct Set {
    documents: Documents,
    index: Vec<Entry>,
    /// Where each name was given, even if the rest of its document is wrong: what refers to it
    /// is not wrong for that.
    declared: BTreeMap<(Kind, String), (usize, Place)>,
    links: Vec<Link>,
}

/// What one document refers to.
struct Link {
    file: usize,
    /// The kind of the document that refers.
    kind: Kind,
    references: Vec<Reference>,
    settings: Vec<Setting>,
}

impl Set {
    fn add(&mut self, tree: &Tree<'_>, file: usize, sinks: &[Sink], check_overlay: OverlayCheck) {
        let sink = &sinks[file];
        let root = tree.root.place;
        let Some(header) = decode::<Header>(&tree.root, sink) else {
            return;
        };
        let (kind_at, name_at) = (header.kind.at(root), header.name.at(root));
        let kind = header.kind.required("kind", root, sink);
        let name = header.name.required("name", root, sink);
        let has_spec = header.spec.required("spec", root, sink).is_some();
        let Some(kind) = kind.and_then(|kind| known_kind(&kind, kind_at, sink)) else {
            return;
        };
        if self.index.len() == DOCUMENTS_MAX {
            let message = format!("a set has at most {DOCUMENTS_MAX} documents");
            sink.problem(root, message);
            return;
        }
        if let Some(name) = &name {
            self.declare(kind, name, file, name_at, sinks);
        }
        self.index.push(Entry {
            kind,
            name: name.clone().unwrap_or_default(),
            file: sink.file().to_owned(),
            line: root.line,
            yaml: tree.text.to_owned(),
        });
        let cx = Context::new(sink, check_overlay);
        if let Some((key, spec)) = tree.root.get("spec").filter(|_| has_spec) {
            let stands_at = (file, name_at);
            self.read(kind, name.as_deref(), stands_at, spec, key.place, &cx);
        }
        let (references, settings) = cx.into_parts();
        self.links.push(Link {
            file,
            kind,
            references,
            settings,
        });
    }

    fn declare(&mut self, kind: Kind, name: &str, file: usize, place: Place, sinks: &[Sink]) {
        let key = (kind, name.to_owned());
        if let Some((first_file, first)) = self.declared.get(&key) {
            let message = format!(
                "{kind} `{name}` is declared twice, first in {}:{}:{}",
                sinks[*first_file].file(),
                first.line,
                first.column
            );
            sinks[file].hinted(place, message, "rename or delete one of them".to_owned());
        } else {
            self.declared.insert(key, (file, place));
        }
    }

    fn read(
        &mut self,
        kind: Kind,
        name: Option<&str>,
        (file, name_at): (usize, Place),
        spec: &tree::Node,
        at: Place,
        cx: &Context<'_>,
    ) {
        let documents = &mut self.documents;
        // A missing name has been told; an illegal one is told here.
        macro_rules! read {
            ($module:ident, $map:ident) => {{
                let name = name.and_then(|name| cx.parse(name, name_at));
                if let Some(document) = $module::read(name, spec, at, cx) {
                    documents.$map.insert(document.name.clone(), document);
                }
            }};
        }
        match kind {
            Kind::Gate => read!(gate, gates),
            Kind::Gateway => read!(gateway, gateways),
            Kind::Policy => read!(policy, policies),
            Kind::Rollout => read!(rollout, rollouts),
            Kind::Service => {
                let name = name.filter(|name| !is_aliased(name, name_at, cx));
                let name = name.and_then(|name| cx.parse(name, name_at));
                if let Some(declared) = service::read(name, spec, at, cx) {
                    self.add_service(declared, file);
                }
            }
        }
    }

    /// Whatever is named must be declared.
    fn add_service(&mut self, declared: service::Declared, file: usize) {
        let service::Declared { service, aliases } = declared;
        let services = &mut self.documents.services;
        services.insert(service.name.clone(), service);
        for (aliased, place) in aliases {
            let key = (Kind::Service, aliased.name.to_string());
            self.declared.insert(key, (file, place));
            services.insert(aliased.name.clone(), aliased);
        }
    }

    fn check_references(&self, sinks: &[Sink]) {
        for Link {
            file, references, ..
        } in &self.links
        {
            for reference in references {
                let Reference {
                    kind, name, place, ..
                } = reference;
                if self.declared.contains_key(&(*kind, name.clone())) {
                    continue;
                }
                let known = self.declared.keys().filter(|(of, _)| of == kind);
                let built_in = (*kind == Kind::Gate).then_some(BUILT_IN_GATE);
                let known = known.map(|(_, name)| name.as_str()).chain(built_in);
                let hint = did_you_mean(name, known).unwrap_or_else(|| to_declare(*kind, name));
                sinks[*file].hinted(*place, format!("there is no {kind} `{name}`"), hint);
            }
        }
    }

    /// No rollout may have to wait for one that waits for it.
    fn check_order(&self, sinks: &[Sink]) {
        let Some((policy, services)) = self.documents.circle() else {
            return;
        };
        let names: Vec<_> = services.iter().map(ToString::to_string).collect();
        let declared = self.declared.get(&(Kind::Policy, policy.to_string()));
        if let Some((file, place)) = declared {
            let message = format!(
                "by `after`, each of these waits for the next: {}",
                names.join(", ")
            );
            sinks[*file].problem(*place, message);
        }
    }

    /// Gateways for the same proxies may not want the same port.
    fn check_ports(&self, sinks: &[Sink]) {
        let gateways: Vec<_> = self.documents.gateways.values().collect();
        for (i, gateway) in gateways.iter().enumerate() {
            let earlier = gateways[..i]
                .iter()
                .filter(|other| other.proxies == gateway.proxies);
            for other in earlier {
                let Some(port) = clashing_port(gateway, other) else {
                    continue;
                };
                let Some((file, place)) = self
                    .declared
                    .get(&(Kind::Gateway, gateway.name.to_string()))
                else {
                    continue;
                };
                let message = format!(
                    "gateways `{}` and `{}` select the same proxies and both use port {port}",
                    other.name, gateway.name
                );
                sinks[*file].problem(*place, message);
            }
        }
    }

    /// A listener is an HTTP listener or a TCP one, which sends all its bytes to one service.
    fn check_listeners(&self, sinks: &[Sink]) {
        for Link {
            file,
            references,
            settings,
            ..
        } in self.links.iter().filter(|l| l.kind == Kind::Gateway)
        {
            let mut listeners = BTreeMap::<usize, Vec<(&Reference, bool)>>::new();
            for reference in references {
                let Some(listener) = reference.listener else {
                    continue;
                };
                let service: Option<ServiceName> = reference.name.parse().ok();
                let service = service.and_then(|name| self.documents.services.get(&name));
                let Some(Service { protocol, .. }) = service else {
                    continue;
                };
                let route = (reference, *protocol == Protocol::Tcp);
                listeners.entry(listener).or_default().push(route);
            }
            for (listener, routes) in &listeners {
                let (first, first_is_tcp) = routes[0];
                for setting in settings.iter().filter(|s| s.listener == *listener) {
                    if let Some(message) = misfit(setting.part, first_is_tcp) {
                        sinks[*file].problem(setting.place, message);
                    }
                }
                for (route, is_tcp) in &routes[1..] {
                    let message = match (first_is_tcp, is_tcp) {
                        (false, false) => continue,
                        (true, true) => format!(
                            "bytes for `{}` and `{}` cannot be told apart on one listener",
                            first.name, route.name
                        ),
                        _ => format!(
                            "`{}` and `{}` share a listener, but only one of them speaks `tcp`",
                            first.name, route.name
                        ),
                    };
                    let hint = "give the TCP service a listener of its own".to_owned();
                    sinks[*file].hinted(route.place, message, hint);
                }
            }
        }
    }
}

/// Settings that would have no effect, for what the listener speaks.
fn misfit(part: OverlayPart, is_tcp: bool) -> Option<String> {
    match part {
        OverlayPart::HttpConnectionManager | OverlayPart::Route if is_tcp => Some(format!(
            "`{part}` has no effect: the listener is one of a TCP service"
        )),
        OverlayPart::TcpProxy if !is_tcp => Some(format!(
            "`{part}` has no effect: the listener's services speak HTTP"
        )),
        _ => None,
    }
}

fn clashing_port(gateway: &Gateway, other: &Gateway) -> Option<u16> {
    let mut listeners = gateway.listeners.iter();
    listeners
        .find(|one| other.listeners.iter().any(|l| gateway::clash(one, l)))
        .map(|listener| listener.port)
}

fn known_kind(word: &str, at: Place, sink: &Sink) -> Option<Kind> {
    let kinds = Kind::ALL;
    let kind = kinds.into_iter().find(|kind| kind.to_string() == word);
    if kind.is_none() {
        let names = kinds.map(|kind| kind.to_string());
        let message = format!("unknown kind `{word}`");
        sink.hinted(
            at,
            message,
            suggestion(word, names.iter().map(String::as_str)),
        );
    }
    kind
}

/// How that which is missing is declared.
fn to_declare(kind: Kind, name: &str) -> String {
    match name.split_once('@') {
        Some((service, alias)) if kind == Kind::Service => {
            format!(
                "declare it with `aliases: {{ {alias}: VERSION }}` in the spec of service `{service}`"
            )
        }
        _ => format!("declare it with `kind: {kind}`, `name: {name}`"),
    }
}

/// Is a document's name that of an alias, which only its service may declare?
fn is_aliased(name: &str, at: Place, cx: &Context<'_>) -> bool {
    let Some((service, alias)) = name.split_once('@') else {
        return false;
    };
    let hint =
        format!("write `aliases: {{ {alias}: VERSION }}` into the spec of service `{service}`");
    cx.sink
        .hinted(at, format!("`{name}` is the name of an alias"), hint);
    true
}
