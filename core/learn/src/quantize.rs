//! int8.
use edgemill_model::tensor::Quantization;

/// The affine rule for int8 that covers low..=high and 0.
#[must_use]
pub fn affine(low: f32, high: f32) -> Quantization {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = (high - low) / 255.0;
    let zero_point = (-low / scale).round_ties_even() as i32 - 128;
    Quantization { scale, zero_point }
}
