//! Places in one block of memory for buffers that live for a while.

/// Buffers begin at a cache line.
pub(crate) const LINE: usize = 64;

/// A buffer, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub usize);

/// What a run needs of one buffer.
#[derive(Clone, Copy, Debug)]
struct Need {
    bytes: usize,
    /// The step that writes it, and the last that reads it.
    from: usize,
    to: usize,
}

/// The buffers of a run, while it is being planned.
#[derive(Default)]
pub(crate) struct Arena {
    needs: Vec<Need>,
}

impl Arena {
    /// A buffer that step `from` writes.
    pub fn take(&mut self, bytes: usize, from: usize) -> Slot {
        self.needs.push(Need { bytes: bytes.next_multiple_of(LINE), from, to: from });
        Slot(self.needs.len() - 1)
    }

    /// Keeps a buffer until step `to` is done.
    pub fn keep(&mut self, slot: Slot, to: usize) {
        let need = &mut self.needs[slot.0];
        need.to = need.to.max(to);
    }

    /// Where each buffer begins, and the bytes of all: the largest first, each at the lowest place that is
    /// free for as long as it lives.
    pub fn places(&self) -> (Vec<usize>, usize) {
        let mut order: Vec<usize> = (0..self.needs.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.needs[i].bytes));
        let mut starts = vec![0; self.needs.len()];
        let mut placed: Vec<usize> = Vec::new();
        for i in order {
            starts[i] = self.lowest(i, &placed, &starts);
            placed.push(i);
        }
        let end = |&i: &usize| starts[i] + self.needs[i].bytes;
        let bytes = placed.iter().map(end).max().unwrap_or(0);
        (starts, bytes)
    }

    fn lowest(&self, i: usize, placed: &[usize], starts: &[usize]) -> usize {
        let need = self.needs[i];
        let at_once = |other: &Need| need.from <= other.to && other.from <= need.to;
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&p| at_once(&self.needs[p]))
            .map(|&p| (starts[p], starts[p] + self.needs[p].bytes))
            .collect();
        taken.sort_unstable();
        let mut start = 0;
        for (from, to) in taken {
            if start + need.bytes <= from {
                break;
            }
            start = start.max(to);
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_at_once_lie_apart_and_others_share() {
        let mut arena = Arena::default();
        let mut state = 1_u64;
        let mut random = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % usize::try_from(most).unwrap()
        };
        for step in 0..60 {
            let slot = arena.take(1 + random(5000), step);
            arena.keep(slot, step + random(8));
        }
        let (starts, bytes) = arena.places();
        let ranges: Vec<_> =
            starts.iter().zip(&arena.needs).map(|(&s, need)| s..s + need.bytes).collect();
        for (i, (a, first)) in ranges.iter().zip(&arena.needs).enumerate() {
            assert_eq!(a.start % LINE, 0);
            assert!(a.end <= bytes);
            for (b, second) in ranges[..i].iter().zip(&arena.needs) {
                let at_once = first.from <= second.to && second.from <= first.to;
                let apart = a.end <= b.start || b.end <= a.start;
                assert!(!at_once || apart, "{a:?} and {b:?}");
            }
        }
        assert!(bytes < arena.needs.iter().map(|n| n.bytes).sum::<usize>() / 3);
    }
}
