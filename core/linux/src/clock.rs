//! Time. See clock_gettime(2).
use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, in nanoseconds since the machine started.
///
/// # Panics
/// Never: Linux always has this clock.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has CLOCK_MONOTONIC");
    let (seconds, nanoseconds) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_forward_in_nanoseconds() {
        let start = super::monotonic_ns();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::monotonic_ns() - start >= 2_000_000);
    }
}
