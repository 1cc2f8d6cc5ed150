//! Work on real numbers, which stand little-endian in memory: what a quantized network has between a dequantization and
//! the next quantization, or at its end. Plain loops.
use edgemill_kernels::int8::Spread;
use edgemill_model::graph::{Clamp, Function, Pair, Reduction};

/// Of one input.
pub(crate) enum Real {
    /// A function of each.
    Unary(Function),
    /// Each within bounds.
    Clamp(Clamp),
    /// Of rows of so many: exponentials divided by their sum, or the logarithms of that.
    Softmax { axis: usize, log: bool },
    /// What the bytes at each of `kept` and each of `reduced` from there come to.
    Reduce { by: Reduction, kept: Vec<usize>, reduced: Vec<usize> },
}

impl Real {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unary(_) => "real function",
            Self::Clamp(_) => "real bounds",
            Self::Softmax { .. } => "real softmax",
            Self::Reduce { .. } => "real reduce",
        }
    }

    pub fn run(&self, x: &[u8], y: &mut [u8]) {
        match self {
            Self::Unary(function) => each(x, y, |x| function.apply(x)),
            Self::Clamp(clamp) => each(x, y, |x| bounded(x, *clamp)),
            Self::Softmax { axis, log } => {
                let bytes = axis * WORD;
                for (x, y) in x.chunks_exact(bytes).zip(y.chunks_exact_mut(bytes)) {
                    softmax(*log, x, y);
                }
            }
            Self::Reduce { by, kept, reduced } => {
                for (y, &at) in y.as_chunks_mut::<WORD>().0.iter_mut().zip(kept) {
                    let numbers = reduced.iter().map(|r| number(&x[at + r..]));
                    *y = reduce(*by, numbers, reduced.len()).to_le_bytes();
                }
            }
        }
    }
}

/// Of two inputs, of which one may be repeated.
pub(crate) struct RealPair {
    pub function: Pair,
    pub clamp: Clamp,
    pub spread: Spread,
}

impl RealPair {
    pub fn run(&self, a: &[u8], b: &[u8], y: &mut [u8]) {
        // Those that are usual have loops of their own.
        match self.function {
            Pair::Add => self.each(a, b, y, |a, b| a + b),
            Pair::Sub => self.each(a, b, y, |a, b| a - b),
            Pair::Mul => self.each(a, b, y, |a, b| a * b),
            function => self.each(a, b, y, |a, b| function.apply(a, b)),
        }
    }

    fn each(&self, a: &[u8], b: &[u8], y: &mut [u8], function: impl Fn(f32, f32) -> f32) {
        let [a, b] = [a, b].map(|side| side.as_chunks::<WORD>().0);
        let (run, [one_a, one_b]) = (self.spread.run(), self.spread.single());
        let runs = y.as_chunks_mut::<WORD>().0.chunks_exact_mut(run);
        let made = |a: &[u8; WORD], b: &[u8; WORD]| {
            let [a, b] = [a, b].map(|word| f32::from_le_bytes(*word));
            bounded(function(a, b), self.clamp).to_le_bytes()
        };
        for (y, [at_a, at_b]) in runs.zip(self.spread.starts()) {
            let y = y.iter_mut();
            match (one_a, one_b) {
                (false, false) => {
                    let sides = a[at_a..].iter().zip(&b[at_b..]);
                    y.zip(sides).for_each(|(y, (a, b))| *y = made(a, b));
                }
                (true, _) => y.zip(&b[at_b..]).for_each(|(y, b)| *y = made(&a[at_a], b)),
                (_, true) => y.zip(&a[at_a..]).for_each(|(y, a)| *y = made(a, &b[at_b])),
            }
        }
    }
}

/// Bytes of a number.
const WORD: usize = 4;

fn each(x: &[u8], y: &mut [u8], function: impl Fn(f32) -> f32) {
    for (y, &x) in y.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
        *y = function(f32::from_le_bytes(x)).to_le_bytes();
    }
}

fn number(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(*bytes.first_chunk().expect("a whole number"))
}

/// What is no number stays so.
pub(crate) fn bounded(x: f32, Clamp { low, high }: Clamp) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

fn softmax(log: bool, x: &[u8], y: &mut [u8]) {
    let numbers = || x.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x));
    let greatest = numbers().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = numbers().map(|x| libm::expf(x - greatest)).sum();
    if log {
        each(x, y, |x| x - greatest - libm::logf(sum));
    } else {
        each(x, y, |x| libm::expf(x - greatest) / sum);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tensor has fewer than 2³⁰ elements")]
fn reduce(by: Reduction, numbers: impl Iterator<Item = f32>, count: usize) -> f32 {
    match by {
        Reduction::Sum => numbers.sum(),
        Reduction::Mean => numbers.sum::<f32>() / count as f32,
        Reduction::Product => numbers.product(),
        Reduction::Max => numbers.fold(f32::NEG_INFINITY, f32::max),
        Reduction::Min => numbers.fold(f32::INFINITY, f32::min),
    }
}
