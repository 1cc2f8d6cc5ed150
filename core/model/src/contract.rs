//! What a model expects and gives, without its bytes: the part of the manifest a stage may read by naming
//! `contract = "MODEL"`. The plugin boundary's `edgemill_contract` carries the same.
use serde::{Deserialize, Serialize};

use crate::tensor::TensorSpec;

/// Order of the axes of a picture tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, height, width, channel.
    Nhwc,
    /// Batch, channel, height, width.
    Nchw,
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of luma.
    Grey,
}

/// How the region of a frame becomes the model's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Both axes scaled on their own.
    Stretch,
    /// Aspect kept, centred, the rest filled.
    Letterbox,
    /// Aspect kept, centred, what sticks out cut off.
    Crop,
    /// Aspect kept, in the upper left corner, the rest filled.
    Corner,
}

/// How pixels are weighed where the picture changes its size, along each axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Exact averages of the area where it shrinks, bilinear where it grows.
    #[default]
    Area,
    /// The two nearest in proportion, half-pixel centres, also where it shrinks.
    Bilinear,
}

/// How a picture is made ready. An element is (pixel ÷ 255 − mean) ÷ std, per channel, then quantized by the
/// input tensor's rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Axes of the input tensor.
    pub layout: Layout,
    /// Channels of the input tensor.
    pub colour: Colour,
    /// From region to picture.
    pub fit: Fit,
    /// How pixels are weighed.
    #[serde(default)]
    pub filter: Filter,
    /// Value of every channel where a letterbox or a corner leaves the picture empty, 0..=255.
    pub fill: u8,
    /// x, y, width, height of the part of the frame looked at, as fractions of the frame.
    pub region: [f32; 4],
    /// Per channel, in the order of `colour`.
    pub mean: [f32; 4],
    /// Per channel, in the order of `colour`; never 0.
    pub std: [f32; 4],
}

/// How a series is cut up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Samples in one input.
    pub samples: u32,
    /// Samples from the start of one window to the start of the next.
    pub hop: u32,
    /// Samples per second.
    pub rate_hz: f64,
}

/// The whole contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// At least one.
    pub inputs: Vec<TensorSpec>,
    /// At least one.
    pub outputs: Vec<TensorSpec>,
    /// Given where the first input is a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// Given where the first input is a window of a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What the output means: `classifier`, `regression`, …
    pub head: String,
    /// Names of the classes, in the order of the output.
    #[serde(default)]
    pub labels: Vec<String>,
}
