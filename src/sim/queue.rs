//! What happens next: a heap by time, and by the order of asking among what comes at one moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::Time;

/// Things to happen, each at its time.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    asked: u64,
}

#[derive(Debug)]
struct Due<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            asked: 0,
        }
    }

    /// Lets `what` happen at `at`.
    pub(super) fn at(&mut self, at: Time, what: T) {
        self.asked += 1;
        let number = self.asked;
        self.heap.push(Reverse(Due { at, number, what }));
    }

    /// The next thing, and its time.
    pub(super) fn next(&mut self) -> Option<(Time, T)> {
        let Reverse(due) = self.heap.pop()?;
        Some((due.at, due.what))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    #[test]
    fn what_comes_at_one_moment_comes_in_the_order_of_asking() {
        let mut queue = Queue::new();
        for (second, word) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            queue.at(Span::secs(second).after(Time::UNIX_EPOCH), word);
        }
        let order: String = std::iter::from_fn(|| queue.next().map(|(_, word)| word)).collect();
        assert_eq!(order, "abcd");
    }
}
