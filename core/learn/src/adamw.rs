//! AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) and its rate.
use std::f32::consts::PI;

use crate::network::Parameter;
use crate::recipe::Train;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The two running means of each parameter's gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// Of the gradient itself.
    pub mean: Vec<Vec<f32>>,
    /// Of its square.
    pub square: Vec<Vec<f32>>,
}

impl AdamW {
    /// Nothing has been seen.
    #[must_use]
    pub fn new(parameters: &[Parameter]) -> Self {
        let zeros: Vec<Vec<f32>> = parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        Self { mean: zeros.clone(), square: zeros }
    }

    /// Moves every parameter once; `step` counts from 0. Biases do not decay.
    pub fn update(
        &mut self,
        recipe: &Train,
        step: u32,
        parameters: &mut [Parameter],
        gradients: &[Vec<f32>],
    ) {
        let rate = rate(recipe, step);
        let exponent = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let [unbias1, unbias2] = [BETA1, BETA2].map(|beta| 1.0 - beta.powi(exponent));
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((parameter, gradient), (mean, square)) in
            parameters.iter_mut().zip(gradients).zip(state)
        {
            let kept =
                1.0 - if parameter.shape.len() > 1 { rate * recipe.weight_decay } else { 0.0 };
            let moments = mean.iter_mut().zip(square);
            for ((value, g), (m, s)) in parameter.values.iter_mut().zip(gradient).zip(moments) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *s = BETA2 * *s + (1.0 - BETA2) * g * g;
                let step = (*m / unbias1) / ((*s / unbias2).sqrt() + EPSILON);
                *value = *value * kept - rate * step;
            }
        }
    }
}

/// Rises in a line over the warm-up, then falls to 0 along half a cosine.
#[expect(clippy::cast_precision_loss, reason = "steps are below 2²⁴")]
fn rate(recipe: &Train, step: u32) -> f32 {
    let Train { steps, warm_up, learning_rate, .. } = *recipe;
    if step < warm_up {
        return learning_rate * (step + 1) as f32 / warm_up as f32;
    }
    let done = (step - warm_up) as f32 / (steps - warm_up).max(1) as f32;
    learning_rate * 0.5 * (1.0 + (PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    fn recipe() -> Train {
        let text = include_str!("../recipes/traffic-light.toml");
        let mut train = Recipe::parse(text, "").expect("it is ours").train.clone();
        (train.steps, train.warm_up, train.learning_rate, train.weight_decay) = (100, 10, 0.1, 0.5);
        train
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let recipe = recipe();
        let cases = [(0, 0.01), (9, 0.1), (10, 0.1), (55, 0.05), (99, 0.000_03)];
        for (step, expected) in cases {
            assert!(
                (rate(&recipe, step) - expected).abs() < 1e-5,
                "step {step}: {}",
                rate(&recipe, step)
            );
        }
    }

    #[test]
    fn the_first_step_is_the_rate_in_the_gradients_direction() {
        let mut parameters = [
            Parameter { shape: vec![1, 2], values: vec![1.0, 1.0] },
            Parameter { shape: vec![2], values: vec![1.0, 1.0] },
        ];
        let gradients = [vec![3.0, -0.1], vec![3.0, 0.0]];
        AdamW::new(&parameters).update(&recipe(), 0, &mut parameters, &gradients);
        // Weights decay by rate × decay = 0.005, biases do not.
        let expected = [[0.985, 1.005], [0.99, 1.0]];
        for (parameter, expected) in parameters.iter().zip(expected) {
            let far = parameter.values.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-5);
            assert!(!far, "{:?}, not {expected:?}", parameter.values);
        }
    }
}
