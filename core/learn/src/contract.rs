//! The contract that follows from a recipe.
use edgemill_model::contract::{Colour, Contract, Layout, Picture};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::calibrate::Range;
use crate::quantize::{PROBABILITY, affine};
use crate::recipe::Recipe;

/// What the float network expects and gives.
#[must_use]
pub fn float(recipe: &Recipe) -> Contract {
    let [width, height] = recipe.picture.size;
    Contract {
        inputs: vec![real(vec![1, height, width, 3])],
        outputs: vec![real(vec![1, classes(recipe)])],
        picture: Some(picture(recipe)),
        window: None,
        head: "classifier".into(),
        labels: recipe.labels.clone(),
    }
}

/// What the int8 network expects and gives.
#[must_use]
pub fn int8(recipe: &Recipe) -> Contract {
    let mut contract = float(recipe);
    let rules =
        [(&mut contract.inputs[0], input_rule(recipe)), (&mut contract.outputs[0], PROBABILITY)];
    for (tensor, rule) in rules {
        tensor.dtype = DType::I8;
        tensor.quantization = Some(rule);
    }
    contract
}

/// The int8 input of a recipe's network.
#[must_use]
pub fn input_rule(recipe: &Recipe) -> Quantization {
    picture_rule(&picture(recipe))
}

/// It covers all that a pixel can become, whatever was seen.
#[must_use]
pub fn picture_rule(picture: &Picture) -> Quantization {
    let channels = if picture.colour == Colour::Grey { 1 } else { 3 };
    let ends = |(mean, std): (&f32, &f32)| [-mean / std, (1.0 - mean) / std];
    let ends: Vec<[f32; 2]> =
        picture.mean.iter().zip(&picture.std).take(channels).map(ends).collect();
    let low = ends.as_flattened().iter().copied().fold(0.0, f32::min);
    let high = ends.as_flattened().iter().copied().fold(0.0, f32::max);
    affine(Range { low, high })
}

fn classes(recipe: &Recipe) -> u32 {
    u32::try_from(recipe.labels.len()).expect("a recipe has at most 256 labels")
}

fn real(shape: Vec<u32>) -> TensorSpec {
    TensorSpec { dtype: DType::F32, shape, quantization: None }
}

fn picture(recipe: &Recipe) -> Picture {
    let four = |[r, g, b]: [f32; 3], last| [r, g, b, last];
    Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: recipe.picture.fit,
        filter: recipe.picture.filter,
        fill: 0,
        region: recipe.picture.region,
        mean: four(recipe.picture.mean, 0.0),
        std: four(recipe.picture.std, 1.0),
    }
}
