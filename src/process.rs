//! The process that everything runs in: its clock and its supervised tasks. Knows nothing of what
//! they are used for.

pub mod clock;
mod tasks;

pub use tasks::Tasks;
