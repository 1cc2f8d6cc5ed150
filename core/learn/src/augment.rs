//! Varies a picture, so that the network learns what does not matter.
use crate::prng::Prng;
use crate::recipe::Recipe;

/// Writes a variation of `input` to `out`; both height × width × RGB as the recipe's contract has them.
pub fn augment(recipe: &Recipe, input: &[f32], out: &mut [f32], prng: &mut Prng) {
    let variation = Variation::draw(recipe, prng);
    let [width, height] = recipe.picture.size.map(|side| side as usize);
    let pixels = input.as_chunks::<3>().0;
    for (at, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let x = variation.column(at % width, width);
        let y = moved(at / width, variation.down, height);
        let of_channel = recipe.picture.mean.iter().zip(&recipe.picture.std);
        for ((out, value), (mean, std)) in
            pixel.iter_mut().zip(&pixels[y * width + x]).zip(of_channel)
        {
            let noise = recipe.augment.noise * prng.normal();
            let bright = (value * std + mean) * variation.brightness + noise;
            *out = (bright.clamp(0.0, 1.0) - mean) / std;
        }
    }
}

/// What is drawn once for a picture.
struct Variation {
    brightness: f32,
    right: isize,
    down: isize,
    mirrored: bool,
}

impl Variation {
    fn draw(recipe: &Recipe, prng: &mut Prng) -> Self {
        let augment = &recipe.augment;
        let reach = augment.shift as usize;
        let mut shift = || prng.below(2 * reach + 1).cast_signed() - reach.cast_signed();
        let (right, down) = (shift(), shift());
        Self {
            brightness: 1.0 + augment.brightness * prng.symmetric(),
            right,
            down,
            mirrored: augment.flip && prng.below(2) == 1,
        }
    }

    /// The column of the picture that is shown at `x`.
    fn column(&self, x: usize, width: usize) -> usize {
        let x = moved(x, self.right, width);
        if self.mirrored { width - 1 - x } else { x }
    }
}

/// `at - by`, the border repeated.
fn moved(at: usize, by: isize, size: usize) -> usize {
    at.saturating_add_signed(-by).min(size - 1)
}
