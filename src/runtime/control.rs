//! What the API and the command line may ask of a running control plane.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::compaction::JournalView;
use crate::domain::{Instance, InstanceId, Kind, ServiceName, Span};
use crate::engine::{Actor, Answer, Command, Entry, Refusal, View};
use crate::secrets::SecretsView;

/// A running control plane, seen from its API.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Carries out a verb and answers once its record is durable.
    async fn command(&self, command: Command) -> Result<Answer, ControlError>;

    /// Adds documents, or replaces those of the same kind and name; all of them or none.
    async fn apply(&self, yaml: String, by: Actor) -> Result<Applied, ControlError>;

    /// Removes a document that was applied through the API.
    async fn delete(&self, kind: Kind, name: &str, by: Actor) -> Result<Applied, ControlError>;

    /// The documents in force, and why the newest attempt was refused, if it was.
    fn documents(&self) -> DocumentsView;

    /// How the secrets for proxies stand.
    fn secrets(&self) -> Arc<SecretsView>;

    /// Keeps an instance's lease; it begins if there is none.
    async fn register(
        &self,
        service: ServiceName,
        instance: Instance,
        ttl: Span,
    ) -> Result<Answer, ControlError>;

    /// Ends an instance's lease at once.
    async fn deregister(
        &self,
        service: ServiceName,
        instance: InstanceId,
    ) -> Result<Answer, ControlError>;

    /// The present state; changes wake the receiver, and it always holds the newest.
    fn view(&self) -> watch::Receiver<Arc<View>>;

    /// Journal entries from now on; a receiver that lags is told how many it missed.
    fn entries(&self) -> broadcast::Receiver<Arc<Numbered>>;

    /// How the journal stands.
    fn journal(&self) -> JournalView;

    /// The journal's newest checkpoint as it is kept, in JSON.
    async fn checkpoint(&self) -> Result<Option<Vec<u8>>, ControlError>;

    /// At most `limit` journal entries, beginning with number `from`.
    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Numbered>, ControlError>;
}

/// A journal entry with its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbered {
    /// Its place in the journal, from 1.
    pub seq: u64,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What applying documents did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// One line for each document: `Rollout cart-42 created`, `Service cart unchanged`.
    pub changes: Vec<String>,
    /// Things to know that do not stop it.
    pub warnings: Vec<String>,
}

/// The documents in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DocumentsView {
    /// Each document.
    pub documents: Vec<DocumentView>,
    /// Things to know about them that do not stop anything.
    pub warnings: Vec<String>,
    /// Why the newest change of the documents' directory was refused; the last good set is in
    /// force. One line for each problem.
    pub refused: Vec<String>,
}

/// One document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentView {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The file it is in, or `api`.
    pub source: String,
    /// Its YAML as written.
    pub yaml: String,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The documents are wrong. One line for each problem.
    #[error("the documents are refused:\n{}", .0.join("\n"))]
    Documents(Vec<String>),
    /// The request makes no sense as it is.
    #[error("{what}")]
    Invalid {
        /// Why.
        what: String,
        /// What would.
        hint: String,
    },
    /// The engine will not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The control plane is stopping or cannot write its journal.
    #[error("the control plane cannot do this now: {0}")]
    Unavailable(String),
}
