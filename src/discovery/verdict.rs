//! Healthy or not: the verdict over a row of probes.
//!
//! So many good answers in a row make an instance healthy, so many bad ones unhealthy; in between, the
//! last verdict stands. Nothing is said before the first.

use crate::domain::HealthCheck;

#[derive(Debug)]
pub(crate) struct Verdict {
    healthy_after: u32,
    unhealthy_after: u32,
    row: u32,
    row_is_good: bool,
    standing: Option<bool>,
}

impl Verdict {
    pub(crate) fn new(health: &HealthCheck) -> Self {
        Self {
            healthy_after: health.healthy_after,
            unhealthy_after: health.unhealthy_after,
            row: 0,
            row_is_good: false,
            standing: None,
        }
    }

    /// Takes one answer, and returns the verdict if it is the first or another than before.
    pub(crate) fn observe(&mut self, good: bool) -> Option<bool> {
        self.row = if self.row_is_good == good {
            self.row.saturating_add(1)
        } else {
            1
        };
        self.row_is_good = good;
        let needed = if good {
            self.healthy_after
        } else {
            self.unhealthy_after
        };
        if self.row < needed || self.standing == Some(good) {
            return None;
        }
        self.standing = Some(good);
        self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::service;

    #[test]
    fn only_rows_change_a_verdict() {
        // Answers: `+` good, `-` bad. Verdicts: `H` healthy, `U` unhealthy, `.` nothing new.
        for (healthy_after, unhealthy_after, answers, verdicts) in [
            (2, 3, "++", ".H"),
            (2, 3, "+-+-+", "....."),
            (2, 3, "---", "..U"),
            (2, 3, "++--+---++", ".H.....U.H"),
            (1, 1, "+-+--", "HUHU."),
            (0, 0, "+-", "HU"),
            (2, 1, "-++", "U.H"),
        ] {
            let mut health = service("cart").health;
            (health.healthy_after, health.unhealthy_after) = (healthy_after, unhealthy_after);
            let mut verdict = Verdict::new(&health);
            let letter = |answer| match verdict.observe(answer == '+') {
                None => '.',
                Some(true) => 'H',
                Some(false) => 'U',
            };
            let got: String = answers.chars().map(letter).collect();
            assert_eq!(
                got, verdicts,
                "{answers} with {healthy_after} and {unhealthy_after}"
            );
        }
    }
}
