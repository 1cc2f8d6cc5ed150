//! SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, fast, and the same on every machine.

/// A stream of numbers that depends on nothing but what it was made from.
#[derive(Clone, Debug)]
pub struct Prng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Prng {
    /// Another stream for each pair; step `n` of a training has a stream of its own, so that nothing but the step needs
    /// to be remembered for going on.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut seeded = Self(seed);
        Self(seeded.next_u64() ^ stream.wrapping_mul(GOLDEN))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`, which is above 0. Lemire's multiplication; the bias is below 2⁻³² for any bound used.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next_u64()) * bound as u128;
        usize::try_from(product >> 64).expect("the quotient is below the bound")
    }

    /// A number in 0..1, of 24 bits.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in f32")]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A number in -1..1.
    pub fn symmetric(&mut self) -> f32 {
        self.uniform() * 2.0 - 1.0
    }

    /// About normal, mean 0 and variance 1: the sum of four 16-bit uniforms (Irwin and Hall), near enough for noise.
    pub fn normal(&mut self) -> f32 {
        const VARIANCE_OF_SUM: f32 = 4.0 / 12.0;
        let bits = self.next_u64().to_le_bytes();
        let pairs = bits.as_chunks::<2>().0;
        let sum: f32 =
            pairs.iter().map(|&pair| f32::from(u16::from_le_bytes(pair)) / 65_536.0).sum();
        (sum - 2.0) / VARIANCE_OF_SUM.sqrt()
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_those_of_the_published_generator() {
        let mut prng = Prng(1_234_567);
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([prng.next_u64(), prng.next_u64(), prng.next_u64()], expected);
    }

    #[test]
    fn moments_are_those_stated() {
        let mut prng = Prng::new(1, 2);
        let draws: Vec<f32> = (0..100_000).map(|_| prng.normal()).collect();
        let mean = draws.iter().sum::<f32>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let mut counts = [0; 3];
        (0..30_000).for_each(|_| counts[prng.below(3)] += 1);
        assert!(counts.iter().all(|n| (9_600..10_400).contains(n)), "{counts:?}");
    }

    #[test]
    fn streams_differ() {
        let mut firsts: Vec<u64> =
            (0..4).flat_map(|s| (0..4).map(move |t| Prng::new(s, t).next_u64())).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 16);
    }
}
