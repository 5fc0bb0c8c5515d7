//! The running process: its clock and its tasks.

pub mod clock;
pub mod tasks;
