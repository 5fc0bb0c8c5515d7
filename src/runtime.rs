//! The loop: mailbox → engine → effects.

mod control;

pub use control::{Applied, Control, ControlError, DocumentView, DocumentsView, Numbered};
