//! The running control plane: mailbox → engine → journal → effects.

pub mod clock;
mod control;
pub mod tasks;

pub use control::{Applied, Control, ControlError, DocumentView, DocumentsView, Numbered};
