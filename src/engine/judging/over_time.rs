//! How evidence came to be.

use serde::{Deserialize, Serialize};

use super::evidence::decades;
use crate::domain::Time;

/// Most points that are kept. When there are more, every other one is let go.
const POINTS_MAX: usize = 120;

/// Evidence at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Time,
    /// Decades.
    pub decades: f64,
}

/// How evidence came to be, with fewer points the longer it takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OverTime {
    points: Vec<Point>,
    /// Every so manieth is kept.
    every: u64,
    heard: u64,
}

impl OverTime {
    pub(super) fn note(&mut self, at: Time, ln_e: f64) {
        let every = self.every.max(1);
        if self.heard.is_multiple_of(every) {
            self.points.push(point(at, ln_e));
        }
        self.heard += 1;
        if self.points.len() > POINTS_MAX {
            let kept = self.points.iter().step_by(2).copied();
            self.points = kept.collect();
            self.every = every * 2;
        }
    }

    /// The points, and where it stands now.
    pub(super) fn until(&self, now: Time, ln_e: f64) -> Vec<Point> {
        let points = self.points.iter().copied();
        points.chain([point(now, ln_e)]).collect()
    }
}

fn point(at: Time, ln_e: f64) -> Point {
    Point {
        at,
        decades: decades(ln_e),
    }
}
