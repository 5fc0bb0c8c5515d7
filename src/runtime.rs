//! The running control plane: mailbox → engine → journal → effects.
//!
//! [`Plane::start`] puts it together. [`mailbox`] is the one loop that everything goes through;
//! around it are the keepers of documents, secrets and hooks. What a decision is, only `engine` knows; what is
//! on the wire, only `xds` and `api`.

mod causes;
mod checkpoint;
mod compaction;
mod control;
mod documents;
mod hooks;
mod http;
mod inspect;
mod journal;
mod mailbox;
mod measuring;
mod plane;
mod questions;
mod transfer;

pub use causes::chain;
pub use checkpoint::{CHECKPOINT_FORMAT, Checkpoint, CheckpointError, CheckpointHeader};
pub use compaction::JournalView;
pub use control::{Applied, Control, ControlError, DocumentView, DocumentsView, Numbered};
pub use documents::check_documents;
pub use inspect::{Inspection, Sum, inspect};
pub use journal::{JournalError, Replayed, replay};
pub use mailbox::OnAppend;
pub use measuring::Prometheus;
pub use plane::{Plane, PlaneOptions};
pub use transfer::{CheckpointLine, TransferError, export, import};

pub use crate::secrets::{SecretKind, SecretState, SecretView, SecretsView};
