//! Which packets fail, and how.
use crate::params::{BadModel, Params};

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Error,
    Panic,
    Hang,
    Slow,
    Crash,
}

/// The plan: faults at given packets and at random ones.
pub struct Faults {
    at: [(Option<u64>, Fault); 4],
    every: u64,
    ppm: [(u32, Fault); 3],
    seed: u64,
    /// What every packet comes to.
    always: Option<Fault>,
    /// There are none, so that the common packet is not looked at.
    none: bool,
}

impl Faults {
    /// As the file says; `bad_model`: the stage's model is the bad one.
    pub fn new(params: &Params, bad_model: bool) -> Self {
        let at = [
            (params.error_at, Fault::Error),
            (params.panic_at, Fault::Panic),
            (params.hang_at, Fault::Hang),
            (params.slow_at, Fault::Slow),
        ];
        let ppm = [
            (params.error_ppm, Fault::Error),
            (params.panic_ppm, Fault::Panic),
            (params.slow_ppm, Fault::Slow),
        ];
        let always = match params.bad_model {
            _ if !bad_model => None,
            BadModel::Refuse | BadModel::Error => Some(Fault::Error),
            BadModel::Hang => Some(Fault::Hang),
            BadModel::Crash => Some(Fault::Crash),
        };
        let none = always.is_none()
            && at.iter().all(|(at, _)| at.is_none())
            && ppm.iter().all(|(ppm, _)| *ppm == 0);
        Self { at, every: params.every, ppm, seed: params.seed, always, none }
    }

    /// What the `n`-th packet comes to.
    pub fn of(&self, n: u64) -> Option<Fault> {
        if self.none {
            return None;
        }
        self.always.or_else(|| self.given(n)).or_else(|| self.random(n))
    }

    fn given(&self, n: u64) -> Option<Fault> {
        let hit =
            |at: u64| n == at || self.every > 0 && n > at && (n - at).is_multiple_of(self.every);
        self.at.iter().find(|(at, _)| at.is_some_and(hit)).map(|&(_, fault)| fault)
    }

    /// One number in a million for each packet; the kinds of faults share the million out in order.
    fn random(&self, n: u64) -> Option<Fault> {
        let drawn = splitmix64(self.seed ^ splitmix64(n)) % 1_000_000;
        let mut upto = 0;
        self.ppm.iter().find_map(|&(ppm, fault)| {
            upto += u64::from(ppm);
            (drawn < upto).then_some(fault)
        })
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the answer depends on every bit of `x`.
const fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
