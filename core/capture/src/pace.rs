//! When the next frame is due.

/// Moments at a steady rate, without drift. A moment that was missed by more than a period is left out, not caught up
/// with.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// 0: every moment is due.
    period_ns: u64,
    /// `None` before the first.
    due_ns: Option<u64>,
}

impl Pacer {
    /// `rate-hz` 0: every moment is due.
    pub(crate) fn new(rate_hz: f64) -> Self {
        let period_ns = match rate_hz > 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast from a float saturates, and the longest period is as good as any longer"
            )]
            true => (1e9 / rate_hz).round() as u64,
            false => 0,
        };
        Self { period_ns, due_ns: None }
    }

    /// Whether moments come by the clock.
    pub(crate) fn is_paced(&self) -> bool {
        self.period_ns != 0
    }

    /// The moment of the next frame: the first is now.
    pub(crate) fn due_ns(&mut self, now_ns: u64) -> u64 {
        *self.due_ns.get_or_insert(now_ns)
    }

    /// Uses up the moment that has come.
    pub(crate) fn advance(&mut self, now_ns: u64) {
        let next = self.due_ns(now_ns).saturating_add(self.period_ns);
        self.due_ns = Some(if next < now_ns { now_ns } else { next });
    }
}

#[cfg(test)]
mod tests {
    use super::Pacer;

    #[test]
    fn moments_follow_the_first_without_drift_and_missed_ones_are_left_out() {
        let mut pacer = Pacer::new(10.0);
        let mut seen = Vec::new();
        // When each frame's turn came, in ms: late by 30, by less than a period, then by more than two.
        for now_ms in [5, 135, 204, 530, 630] {
            let now_ns = now_ms * 1_000_000;
            seen.push(pacer.due_ns(now_ns) / 1_000_000);
            pacer.advance(now_ns);
        }
        assert_eq!(seen, [5, 105, 205, 305, 530]);
    }

    #[test]
    fn without_a_rate_every_moment_is_due() {
        let mut pacer = Pacer::new(0.0);
        assert!(!pacer.is_paced());
        for now in 0..100 {
            assert!(pacer.due_ns(now) <= now);
            pacer.advance(now);
        }
    }

    #[test]
    fn a_rate_near_zero_does_not_overflow() {
        let mut pacer = Pacer::new(f64::MIN_POSITIVE);
        pacer.due_ns(7);
        pacer.advance(7);
        assert_eq!(pacer.due_ns(8), u64::MAX);
    }
}
