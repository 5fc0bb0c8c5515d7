//! Users' own settings of what proxies are sent, and what may be wrong with them.
//!
//! The settings are JSON text in the proxy's own words: opaque to everything but `snapshot`, which
//! checks and merges them. A fault says where in the JSON it is, so that whoever read a file can show
//! the line.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What settings may be a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverlayPart {
    /// The clusters of a service.
    Cluster,
    /// The one filter chain of a listener, with its TLS.
    FilterChain,
    /// The HTTP side of a listener.
    HttpConnectionManager,
    /// A listener, without its filter chain.
    Listener,
    /// The routes to a service, or one route of a listener.
    Route,
    /// The TCP side of a listener.
    TcpProxy,
}

impl fmt::Display for OverlayPart {
    /// The field of a document that holds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::FilterChain => "filterChain",
            Self::HttpConnectionManager => "httpConnectionManager",
            Self::Listener => "listener",
            Self::Route => "route",
            Self::TcpProxy => "tcpProxy",
        })
    }
}

/// Settings, part by part, each as JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay(pub BTreeMap<OverlayPart, String>);

impl Overlay {
    /// The settings of one part.
    pub fn part(&self, part: OverlayPart) -> Option<&str> {
        self.0.get(&part).map(String::as_str)
    }
}

/// One thing that is wrong with the settings of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFault {
    /// Where in the JSON; empty for all of it.
    pub path: Vec<Step>,
    /// The last key of the path is at fault, and not its value.
    pub at_key: bool,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What would help.
    pub help: Help,
}

/// One step into JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// An item of a list, from 0.
    Item(usize),
}

/// What would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Help {
    /// Nothing that is known here.
    None,
    /// These words.
    Hint(String),
    /// One of the known words was meant, perhaps.
    Known {
        /// The word that is not known.
        word: String,
        /// Those that are.
        known: Vec<String>,
    },
}

impl fmt::Display for OverlayFault {
    /// In one line, with the place in Envoy's words: `filters[0].name: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}
