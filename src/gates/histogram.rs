//! How long requests took: counts between fixed edges.

use serde::{Deserialize, Serialize};

/// Counts by how long it took, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The upper edges, ascending.
    edges: Vec<f64>,
    /// One more than edges: the last is of those that took longer than all of them.
    counts: Vec<u64>,
}

/// Edges are the same if they differ by no more than a printed number may.
const SAME_MS: f64 = 1e-6;

impl Histogram {
    /// Counts between edges; `None` unless there is one more of them, and the edges ascend.
    pub fn new(edges: Vec<f64>, counts: Vec<u64>) -> Option<Self> {
        let ascend = edges.windows(2).all(|pair| pair[0] < pair[1]);
        (ascend && counts.len() == edges.len() + 1).then_some(Self { edges, counts })
    }

    /// The upper edges, in milliseconds.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The counts: one more than edges.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Halves all counts, so that what is old counts less.
    pub fn fade(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// So many took longer than the edge; `None` if that is no edge.
    pub fn above(&self, edge: f64) -> Option<u64> {
        let at = self
            .edges
            .iter()
            .position(|it| (it - edge).abs() <= SAME_MS)?;
        Some(self.counts[at + 1..].iter().sum())
    }

    /// Adds others. False, and nothing is added, if their edges are others.
    pub fn add(&mut self, others: &Self) -> bool {
        if self.counts.is_empty() {
            self.clone_from(others);
        } else if self.edges == others.edges {
            for (count, more) in self.counts.iter_mut().zip(&others.counts) {
                *count = count.saturating_add(*more);
            }
        } else {
            return others.counts.is_empty();
        }
        true
    }

    /// The time within which such a share was answered, in milliseconds, between two edges by proportion. `None`
    /// without requests. What took longer than the last edge is taken to have taken just as long.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.total() as f64;
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                let to = self.edges.get(index).or(self.edges.last())?;
                let from = index
                    .checked_sub(1)
                    .map_or(0.0, |before| self.edges[before])
                    .min(*to);
                return Some(from + (to - from) * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        None
    }

    /// The edge that is nearest to a time, by ratio.
    pub fn edge_near(&self, ms: f64) -> Option<f64> {
        let far = |edge: &&f64| (edge.max(SAME_MS) / ms.max(SAME_MS)).ln().abs();
        let nearest = self.edges.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        nearest.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_what_is_above() {
        let histogram = Histogram::new(vec![10.0, 20.0, 40.0], vec![50, 40, 8, 2]).unwrap();
        for (share, expected) in [
            (0.25, 5.0),
            (0.5, 10.0),
            (0.9, 20.0),
            (0.94, 30.0),
            (0.999, 40.0),
        ] {
            let got = histogram.quantile(share).unwrap();
            assert!((got - expected).abs() < 1e-9, "{share}: {got}");
        }
        for (edge, expected) in [
            (10.0, Some(50)),
            (20.0, Some(10)),
            (40.0, Some(2)),
            (15.0, None),
        ] {
            assert_eq!(histogram.above(edge), expected, "{edge}");
        }
        for (ms, edge) in [(1.0, 10.0), (14.0, 10.0), (15.0, 20.0), (900.0, 40.0)] {
            assert_eq!(histogram.edge_near(ms), Some(edge), "{ms}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert!(Histogram::new(vec![10.0], vec![1]).is_none());
        assert!(Histogram::new(vec![10.0, 5.0], vec![1, 1, 1]).is_none());
    }

    #[test]
    fn only_the_same_edges_are_added() {
        let mut sum = Histogram::default();
        let one = Histogram::new(vec![10.0], vec![1, 2]).unwrap();
        assert!(sum.add(&one) && sum.add(&one) && sum.add(&Histogram::default()));
        assert_eq!((sum.total(), sum.above(10.0)), (6, Some(4)));
        let other = Histogram::new(vec![11.0], vec![1, 2]).unwrap();
        assert!(!sum.add(&other));
        assert_eq!(sum.total(), 6);
    }
}
