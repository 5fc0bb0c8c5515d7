//! What the readers of all kinds share: where to tell problems, and which names were used.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use super::OverlayCheck;
use super::field::{Field, Ignored};
use super::problem::Sink;
use super::source::Place;
use crate::domain::{AliasName, Kind, OverlayPart, ServiceName, Span};

/// The surroundings of one document.
pub(super) struct Context<'a> {
    pub(super) sink: &'a Sink,
    pub(super) check_overlay: OverlayCheck,
    references: RefCell<Vec<Reference>>,
    settings: RefCell<Vec<Setting>>,
}

/// Envoy settings that stand in a listener, and so must fit what it speaks.
#[derive(Debug)]
pub(super) struct Setting {
    /// Which listener of its gateway.
    pub(super) listener: usize,
    pub(super) part: OverlayPart,
    pub(super) place: Place,
}

/// A document names another one, which must exist.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) place: Place,
    /// For a route: which listener of its gateway it belongs to.
    pub(super) listener: Option<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(sink: &'a Sink, check_overlay: OverlayCheck) -> Self {
        Self {
            sink,
            check_overlay,
            references: RefCell::default(),
            settings: RefCell::default(),
        }
    }

    pub(super) fn into_parts(self) -> (Vec<Reference>, Vec<Setting>) {
        (self.references.into_inner(), self.settings.into_inner())
    }

    /// Remembers that a listener has settings of its own.
    pub(super) fn sets(&self, listener: usize, part: OverlayPart, place: Place) {
        self.settings.borrow_mut().push(Setting {
            listener,
            part,
            place,
        });
    }

    /// Remembers that `name` must be a document of `kind`.
    pub(super) fn refer(
        &self,
        kind: Kind,
        name: &impl ToString,
        place: Place,
        listener: Option<usize>,
    ) {
        let name = name.to_string();
        self.references.borrow_mut().push(Reference {
            kind,
            name,
            place,
            listener,
        });
    }

    /// The service or its alias that a document means, which must exist.
    pub(super) fn service(
        &self,
        service: ServiceName,
        at: Place,
        alias: Field<AliasName>,
        listener: Option<usize>,
    ) -> Option<ServiceName> {
        let at = alias.at(at);
        let meant = if alias.is_given() {
            let aliased = service.with(&alias.get()?);
            aliased
                .map_err(|error| self.sink.problem(at, error.to_string()))
                .ok()?
        } else {
            service
        };
        self.refer(Kind::Service, &meant, at, listener);
        Some(meant)
    }

    /// Tells of each field that is given although nothing acts on it yet.
    pub(super) fn unsupported(&self, fields: &[(&str, &Field<Ignored>)]) {
        for (name, field) in fields {
            if let Some(key) = field.key() {
                self.not_yet(key, format_args!("`{name}`"));
            }
        }
    }

    /// Tells that `what` is not supported yet.
    pub(super) fn not_yet(&self, place: Place, what: impl Display) {
        let message = format!("not supported yet: {what}");
        self.sink.hinted(
            place,
            message,
            "remove it; it would have no effect".to_owned(),
        );
    }

    /// A text as the name or number that it should be.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, text: &str, place: Place) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| self.sink.problem(place, error.to_string()))
            .ok()
    }

    /// Tells if a text is no address to which a request can go.
    pub(super) fn http_url(&self, url: &str, at: Place, example: &str) {
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
            let hint = format!("write it like `{example}`");
            self.sink
                .hinted(at, format!("`{url}` is not an HTTP URL"), hint);
        }
    }

    /// A span that may not be zero.
    pub(super) fn span(&self, name: &str, field: Field<Span>, default: Span) -> Span {
        let at = field.at(Place::START);
        let span = field.or(default);
        if span.is_zero() {
            self.sink
                .problem(at, format!("`{name}` must be longer than no time"));
        }
        span
    }

    /// A count that may not be zero.
    pub(super) fn count(&self, name: &str, field: Field<u32>, default: u32) -> u32 {
        let at = field.at(Place::START);
        let count = field.or(default);
        if count == 0 {
            self.sink
                .problem(at, format!("`{name}` must be at least 1"));
        }
        count
    }
}
