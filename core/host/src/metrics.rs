//! Numbers that a stage shows to people.
use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use edgemill_abi::Name;

/// The most metrics of one instance; further names are not kept.
const MAX_METRICS: usize = 32;

/// The latest value of each metric of an instance. Set from any thread without a lock or an allocation.
#[derive(Debug, Default)]
pub struct Metrics([Slot; MAX_METRICS]);

#[derive(Debug, Default)]
struct Slot {
    name: OnceLock<Name>,
    bits: AtomicU64,
}

impl Metrics {
    /// Name and value of each, in the order of their first setting.
    #[must_use]
    pub fn read(&self) -> Vec<(String, f64)> {
        let set = self.0.iter().map_while(|slot| Some((slot.name.get()?, &slot.bits)));
        set.map(|(name, bits)| (name.to_string(), f64::from_bits(bits.load(Ordering::Relaxed))))
            .collect()
    }

    /// False for a name that is none, or one too many.
    pub(crate) fn set(&self, name: &CStr, value: f64) -> bool {
        let Some(name) = name.to_str().ok().filter(|n| is_metric_name(n)).map(Name::fitted) else {
            return false;
        };
        let slot = self.0.iter().find(|slot| *slot.name.get_or_init(|| name) == name);
        if let Some(slot) = slot {
            slot.bits.store(value.to_bits(), Ordering::Relaxed);
        }
        slot.is_some()
    }
}

/// Letters, digits and `_`, short enough for a [`Name`].
pub(crate) fn is_metric_name(name: &str) -> bool {
    (1..=Name::MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::{MAX_METRICS, Metrics};

    #[test]
    fn the_latest_value_of_each_name_is_kept() {
        let metrics = Metrics::default();
        assert!(metrics.set(c"frames", 1.0) && metrics.set(c"score", 0.5));
        assert!(metrics.set(c"frames", 2.0));
        assert_eq!(metrics.read(), [("frames".to_owned(), 2.0), ("score".to_owned(), 0.5)]);
    }

    #[test]
    fn names_that_are_none_and_names_too_many_are_refused() {
        let metrics = Metrics::default();
        for name in [c"", c"a b", c"a-b", c"abcdefghijklmnopqrstuvwx", c"\xff"] {
            assert!(!metrics.set(name, 1.0), "{name:?}");
        }
        for i in 0..MAX_METRICS {
            assert!(metrics.set(&std::ffi::CString::new(format!("m{i}")).unwrap(), 0.0));
        }
        assert!(!metrics.set(c"one_more", 0.0));
        assert!(metrics.set(c"m0", 1.0));
    }
}
