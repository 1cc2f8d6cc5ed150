//! What one step of a training looks at.
use candle_core::{Device, Result, Tensor};

use crate::augment::augment;
use crate::dataset::Sample;
use crate::prng::Prng;
use crate::recipe::Recipe;

/// Draws pictures of all classes alike, however many there are of each.
pub struct Batches<'a> {
    recipe: &'a Recipe,
    by_class: Vec<Vec<&'a Sample>>,
}

impl<'a> Batches<'a> {
    /// From `samples`, of which every class has at least one.
    pub fn new(recipe: &'a Recipe, samples: &'a [Sample]) -> Self {
        let mut by_class = vec![Vec::new(); recipe.labels.len()];
        samples.iter().for_each(|sample| by_class[sample.class].push(sample));
        Self { recipe, by_class }
    }

    /// Pictures, each varied, and what they should come to.
    pub fn draw(&self, prng: &mut Prng) -> Result<(Tensor, Tensor)> {
        let (classes, size) = (self.by_class.len(), self.recipe.train.batch as usize);
        let elements = self.by_class[0][0].input.len();
        let mut pictures = vec![0.0; size * elements];
        let mut chosen = Vec::with_capacity(size);
        let first = prng.below(classes);
        for (index, out) in pictures.chunks_exact_mut(elements).enumerate() {
            let class = &self.by_class[(first + index) % classes];
            let sample = class[prng.below(class.len())];
            augment(self.recipe, &sample.input, out, prng);
            chosen.push(sample.class);
        }
        let smoothing = self.recipe.train.label_smoothing;
        Ok((picture_tensor(pictures, size, self.recipe)?, targets(&chosen, classes, smoothing)?))
    }
}

/// `count` pictures, one after the other, as picture × height × width × channel.
pub fn picture_tensor(elements: Vec<f32>, count: usize, recipe: &Recipe) -> Result<Tensor> {
    let [width, height] = recipe.picture.size.map(|side| side as usize);
    Tensor::from_vec(elements, (count, height, width, 3), &Device::Cpu)
}

/// 1 for the class and 0 for the others, a part of it spread over all (Szegedy et al., 2016, arXiv:1512.00567).
#[expect(clippy::cast_precision_loss, reason = "there are at most 256 classes")]
pub fn targets(chosen: &[usize], classes: usize, smoothing: f32) -> Result<Tensor> {
    let spread = smoothing / classes as f32;
    let mut targets = vec![spread; chosen.len() * classes];
    for (row, &class) in targets.chunks_exact_mut(classes).zip(chosen) {
        row[class] += 1.0 - smoothing;
    }
    Tensor::from_vec(targets, (chosen.len(), classes), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        let text = include_str!("../recipes/traffic-light.toml");
        let text = text.replace("size = [32, 32]", "size = [8, 8]").replace("[32, 64]", "[4]");
        Recipe::parse(&text, "").expect("it is a recipe")
    }

    #[test]
    fn a_rare_class_is_drawn_as_often_as_the_others() {
        let recipe = recipe();
        let sample = |class: usize| Sample { input: vec![0.0; 192], class };
        let samples: Vec<Sample> =
            (0..100).map(|i| sample(if i == 0 { 1 } else { i % 2 * 2 })).collect();
        let batches = Batches::new(&recipe, &samples);
        let mut sums = [0.0; 3];
        for step in 0..30 {
            let (pictures, targets) = batches.draw(&mut Prng::new(1, step)).expect("it fits");
            assert_eq!(pictures.dims(), [32, 8, 8, 3]);
            let of_class = targets.sum(0).and_then(|sum| sum.to_vec1::<f32>()).expect("three sums");
            sums.iter_mut().zip(of_class).for_each(|(sum, of_class)| *sum += of_class);
        }
        assert!(sums.iter().all(|sum| (310.0..330.0).contains(sum)), "{sums:?}");
    }

    #[test]
    fn smoothed_targets_still_sum_to_one() {
        let targets = targets(&[2, 0], 3, 0.3).and_then(|t| t.to_vec2::<f32>()).expect("two rows");
        for (row, expected) in targets.iter().zip([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]) {
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?}");
        }
    }
}
