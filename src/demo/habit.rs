//! What is wrong with an instance.

use std::time::Duration;

/// How an instance misbehaves; not at all unless told so.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
pub struct Habit {
    /// So many percent of its answers are errors.
    #[arg(long, default_value_t = 0.0)]
    pub fail_percent: f64,
    /// So many percent of its answers come late.
    #[arg(long, default_value_t = 0.0)]
    pub late_percent: f64,
    /// It crashes after so many seconds.
    #[arg(long)]
    pub crash_after: Option<u64>,
}

impl Habit {
    /// Is this answer an error?
    pub(super) fn fails(self) -> bool {
        rand::random_bool((self.fail_percent / 100.0).clamp(0.0, 1.0))
    }

    /// How late this answer is.
    pub(super) fn lateness(self) -> Duration {
        if rand::random_bool((self.late_percent / 100.0).clamp(0.0, 1.0)) {
            LATE
        } else {
            Duration::ZERO
        }
    }

    /// Comes true when it crashes.
    pub(super) async fn crash(self) {
        match self.crash_after {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    }

    /// The options that make a process so.
    pub(super) fn arguments(self) -> Vec<String> {
        let mut arguments = vec![
            format!("--fail-percent={}", self.fail_percent),
            format!("--late-percent={}", self.late_percent),
        ];
        arguments.extend(self.crash_after.map(|it| format!("--crash-after={it}")));
        arguments
    }
}

/// Longer than nearly all that the demo asks for takes.
const LATE: Duration = Duration::from_millis(800);
