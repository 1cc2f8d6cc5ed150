//! Whether the daemon may pat systemd's watchdog: only while every call of a stage comes back, or its pipeline's own
//! supervisor has given it up. That supervisor is what is watched here: were its thread to die, a hung stage would
//! stay, and nobody would know.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use edgemill_pipeline::State;

use crate::running::Running;

/// What a supervisor may take to notice a hang, on a loaded machine.
const MARGIN: Duration = Duration::from_secs(2);

/// Since when each stage has been in its present call.
#[derive(Debug, Default)]
pub struct Pulse(BTreeMap<(String, String), (u64, Instant)>);

impl Pulse {
    /// Looks at every stage; false if one is in a call that should have been given up.
    pub fn beats(&mut self, pipelines: &[Running], now: Instant) -> bool {
        let mut calls = BTreeMap::new();
        let mut beats = true;
        for running in pipelines.iter().filter(|running| running.ended.is_none()) {
            for stage in running.runtime.status().stages {
                if stage.state != State::Running || stage.account.in_call == 0 {
                    continue;
                }
                let key = (running.name().to_owned(), stage.name);
                let since = self.since(&key, stage.account.received, now);
                let spec = running.spec.stages.iter().find(|spec| spec.name == key.1);
                let limit = spec.map_or(Duration::MAX, |spec| spec.hang.saturating_add(MARGIN));
                beats &= now.saturating_duration_since(since) <= limit;
                calls.insert(key, (stage.account.received, since));
            }
        }
        self.0 = calls;
        beats
    }

    /// A call is known by how many inputs there had been before it.
    fn since(&self, key: &(String, String), received: u64, now: Instant) -> Instant {
        match self.0.get(key) {
            Some(&(seen, since)) if seen == received => since,
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_old_only_while_it_is_the_same_call() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(9);
        let key = ("p".to_owned(), "s".to_owned());
        let pulse = Pulse(BTreeMap::from([(key.clone(), (5, begin))]));
        assert_eq!(pulse.since(&key, 5, later), begin);
        assert_eq!(pulse.since(&key, 6, later), later);
        assert_eq!(pulse.since(&("p".to_owned(), "t".to_owned()), 5, later), later);
    }
}
