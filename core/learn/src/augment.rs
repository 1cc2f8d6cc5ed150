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

#[cfg(test)]
mod tests {
    use super::*;

    /// A recipe for 8×8 pictures that are their own normalised form.
    fn recipe(augment: &str) -> Recipe {
        let text = include_str!("../recipes/traffic-light.toml");
        let from = text.find("[augment]").expect("it has the section");
        let to = text.find("[quantize]").expect("it has the section");
        let text = text.replace(&text[from..to], &format!("[augment]\n{augment}\n"));
        let text = text.replace("size = [32, 32]", "size = [8, 8]").replace("[32, 64]", "[4]");
        let text = text.replace("0.5019608", "0.0").replace("0.2509804", "1.0");
        Recipe::parse(&text, "").expect("it is a recipe")
    }

    /// Each pixel tells its place.
    fn picture() -> Vec<f32> {
        (0..64_u8).flat_map(|at| [f32::from(at) / 64.0; 3]).collect()
    }

    fn variations(augment_section: &str) -> Vec<Vec<f32>> {
        let recipe = recipe(augment_section);
        let variation = |stream| {
            let mut out = vec![0.0; 192];
            augment(&recipe, &picture(), &mut out, &mut Prng::new(1, stream));
            out
        };
        (0..64).map(variation).collect()
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let same = variations("brightness = 0.0\nshift = 0\nnoise = 0.0\nflip = false");
        assert!(same.iter().all(|variation| *variation == picture()));
    }

    #[test]
    fn a_flip_mirrors_half_of_them() {
        let variations = variations("brightness = 0.0\nshift = 0\nnoise = 0.0\nflip = true");
        let mirrored: Vec<f32> =
            picture().chunks(24).flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
        let same = variations.iter().filter(|&v| *v == picture()).count();
        let other = variations.iter().filter(|&v| *v == mirrored).count();
        assert!(same > 16 && other > 16 && same + other == 64, "{same} and {other}");
    }

    #[test]
    fn a_shift_moves_by_whole_pixels_and_repeats_the_border() {
        let variations = variations("brightness = 0.0\nshift = 2\nnoise = 0.0\nflip = false");
        let at = |picture: &[f32], x: usize, y: usize| picture[(y * 8 + x) * 3];
        let mut seen = std::collections::BTreeSet::new();
        for variation in &variations {
            let found = (-2..=2).flat_map(|right| (-2..=2).map(move |down| (right, down)));
            let fits = |&(right, down): &(isize, isize)| {
                (0..64).all(|place| {
                    let (x, y) = (place % 8, place / 8);
                    let expected = at(&picture(), moved(x, right, 8), moved(y, down, 8));
                    (at(variation, x, y) - expected).abs() < 1e-6
                })
            };
            seen.extend(found.filter(fits));
        }
        assert!(seen.len() > 15, "{seen:?}");
    }

    #[test]
    fn brightness_and_noise_stay_within_the_pixels_range() {
        let variations = variations("brightness = 0.5\nshift = 0\nnoise = 0.2\nflip = false");
        assert!(variations.iter().flatten().all(|value| (0.0..=1.0).contains(value)));
        let sums = variations.iter().map(|v| v.iter().sum::<f32>() / 192.0);
        let (least, most) = sums.fold((1.0_f32, 0.0_f32), |(a, b), m| (a.min(m), b.max(m)));
        assert!(least < 0.4 && most > 0.55, "{least} {most}");
    }
}
