//! The only source of chance: seeded, so that the same seed tells the same story.

use crate::domain::Span;

/// A seeded generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(usize::try_from(self.below(all.len() as u64)).unwrap_or(0))
    }

    /// Something up to `most`, in whole milliseconds.
    pub fn up_to(&mut self, most: Span) -> Span {
        Span::millis(self.below(millis(most).saturating_add(1)))
    }

    /// Something from `least` up to `most`.
    pub fn between(&mut self, least: Span, most: Span) -> Span {
        let room = millis(most).saturating_sub(millis(least));
        Span::millis(millis(least) + self.below(room + 1))
    }
}

/// A span in whole milliseconds.
pub(super) fn millis(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
}
