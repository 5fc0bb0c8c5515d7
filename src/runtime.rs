//! The running control plane: mailbox → engine → journal → effects.
//!
//! [`Plane::start`] puts it together. [`mailbox`] is the one loop that everything goes through;
//! around it are the keepers of documents, secrets and hooks. What a decision is, only `engine` knows; what is
//! on the wire, only `xds` and `api`.

mod control;
mod documents;
mod hooks;
mod journal;
mod mailbox;
mod plane;

pub use control::{Applied, Control, ControlError, DocumentView, DocumentsView, Numbered};
pub use documents::check_documents;
pub use journal::{JournalError, replay};
pub use mailbox::OnAppend;
pub use plane::{Plane, PlaneOptions};

pub use crate::secrets::{SecretKind, SecretState, SecretView, SecretsView};
