//! What the kernels' tests have in common.
#![allow(dead_code, reason = "not every test needs all of it")]
use edgemill_kernels::int8::{self, Kernel, Output};

/// Counts the cases that each kernel has run, so that one that is available and was not tried fails the test.
#[derive(Default)]
pub struct Tried(Vec<(&'static str, usize)>);

impl Tried {
    /// To be called where a kernel has run a case.
    pub fn ran(&mut self, kernel: &dyn Kernel) {
        match self.0.iter_mut().find(|(name, _)| *name == kernel.name()) {
            Some((_, cases)) => *cases += 1,
            None => self.0.push((kernel.name(), 1)),
        }
    }

    /// Fails for a kernel of this processor that has not run as many cases as there were.
    pub fn all(&self, cases: usize) {
        let ran = |name| self.0.iter().find(|tried| tried.0 == name).map_or(0, |tried| tried.1);
        for name in int8::available().iter().map(|kernel| kernel.name()) {
            let ran = ran(name);
            assert_eq!(ran, cases, "the kernel {name} is available and ran {ran} of {cases} cases");
        }
        println!("compared over {cases} cases: {:?}", self.0);
    }
}

/// A small generator of known quality (`SplitMix64`), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    /// Every byte is as likely; a tenth of all arrays hold extremes only.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let extreme = self.below(10) == 0;
        let byte = |r: u64| if extreme { [0x80, 0x7F][(r & 1) as usize] } else { (r >> 20) as u8 };
        (0..count).map(|_| byte(self.next())).collect()
    }

    /// As [`Self::bytes`]; in every other array there is no -128, as usual in models.
    pub fn weights(&mut self, count: usize) -> Vec<u8> {
        let least = [0x80, 0x81][self.below(2)];
        self.bytes(count).into_iter().map(|w| if w == 0x80 { least } else { w }).collect()
    }
}

/// The rule, by other means than the kernels': f64 holds the product of two f32 exactly.
pub fn plain_rounding(steps: f32, output: Output) -> i8 {
    let element = f64::from(steps).round_ties_even() + f64::from(output.zero_point());
    element.clamp(f64::from(output.low()), f64::from(output.high())) as i8
}
