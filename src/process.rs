//! The process that everything runs in: its clock, its supervised tasks, and the directories that it
//! watches. Knows nothing of what they are used for.

mod bell;
pub mod clock;
mod swarm;
mod tasks;
mod watch;

pub use bell::Belled;
pub use swarm::Swarm;
pub use tasks::Tasks;
pub use watch::DirectoryWatch;
#[cfg(test)]
pub(crate) use watch::POLL;
