//! What a model expects and gives, as the host tells a stage that names its contract.
use std::ffi::{CStr, c_char};

use edgemill_abi::{Colour, Filter, Fit, Layout, format, raw};

use crate::{Error, Result};

/// The most tensors on one side of a model; a graph with more is no model for a small board.
const MAX_TENSORS: u32 = 64;
/// The most labels; the largest public label sets have about 22,000.
const MAX_LABELS: u32 = 1 << 16;

/// How a picture is made ready. An element is (pixel ÷ 255 − mean) ÷ std, per channel, then quantized by the
/// input tensor's rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picture {
    /// Axes of the input tensor.
    pub layout: Layout,
    /// Channels of the input tensor.
    pub colour: Colour,
    /// From region to picture.
    pub fit: Fit,
    /// How pixels are weighed where the size changes.
    pub filter: Filter,
    /// Value of every channel where a letterbox leaves the picture empty.
    pub fill: u8,
    /// x, y, width, height of the part of the frame looked at, as fractions of the frame; it lies within the frame.
    pub region: [f32; 4],
    /// Per channel, in the order of `colour`.
    pub mean: [f32; 4],
    /// Per channel, in the order of `colour`; above 0.
    pub std: [f32; 4],
}

/// How a series is cut up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Samples in one input; at least 1.
    pub samples: u32,
    /// Samples from the start of one window to the start of the next; at least 1.
    pub hop: u32,
    /// Samples per second.
    pub rate_hz: f64,
}

/// The whole contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub version: String,
    /// At least one.
    pub inputs: Vec<format::Tensor>,
    /// At least one.
    pub outputs: Vec<format::Tensor>,
    /// Given where the first input is a picture.
    pub picture: Option<Picture>,
    /// Given where the first input is a window of a series.
    pub window: Option<Window>,
    /// What the output means: `classifier`, `regression`, …
    pub head: String,
    /// Names of the classes, in the order of the output; any length.
    pub labels: Vec<String>,
}

impl Contract {
    /// # Safety
    /// `raw` is as `contract.h` describes it: each pointer is NULL or leads to what its comment says.
    pub(crate) unsafe fn read(raw: &raw::Contract) -> Result<Self> {
        // SAFETY: the caller's promise, for all five.
        unsafe {
            Ok(Self {
                model: text(raw.model, "model")?,
                version: text(raw.version, "version")?,
                inputs: tensors(raw.inputs, raw.input_count, "inputs")?,
                outputs: tensors(raw.outputs, raw.output_count, "outputs")?,
                picture: picture(raw)?,
                window: window(raw)?,
                head: text(raw.head, "head")?,
                labels: labels(raw)?,
            })
        }
    }
}

fn unfit(field: &str) -> Error {
    Error::unfit(format!("the contract's `{field}` is not valid"))
}

/// # Safety
/// `pointer` is NULL or leads to bytes ended by NUL.
unsafe fn text(pointer: *const c_char, field: &str) -> Result<String> {
    if pointer.is_null() {
        return Err(unfit(field));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(str::to_owned).map_err(|_| unfit(field))
}

/// # Safety
/// `pointer` is NULL or leads to `count` tensors.
unsafe fn tensors(
    pointer: *const raw::Tensor,
    count: u32,
    field: &str,
) -> Result<Vec<format::Tensor>> {
    if pointer.is_null() || !(1..=MAX_TENSORS).contains(&count) {
        return Err(unfit(field));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let tensors = unsafe { std::slice::from_raw_parts(pointer, count as usize) };
    tensors.iter().map(|tensor| Ok(format::Tensor::new(*tensor)?)).collect()
}

fn picture(raw: &raw::Contract) -> Result<Option<Picture>> {
    if raw.layout == 0 {
        return Ok(None);
    }
    let picture = Picture {
        layout: Layout::from_raw(raw.layout).ok_or_else(|| unfit("layout"))?,
        colour: Colour::from_raw(raw.colour).ok_or_else(|| unfit("colour"))?,
        fit: Fit::from_raw(raw.fit).ok_or_else(|| unfit("fit"))?,
        filter: Filter::from_raw(raw.filter).ok_or_else(|| unfit("filter"))?,
        fill: u8::try_from(raw.fill).map_err(|_| unfit("fill"))?,
        region: raw.region,
        mean: raw.mean,
        std: raw.std,
    };
    check_picture(&picture)?;
    Ok(Some(picture))
}

fn check_picture(picture: &Picture) -> Result<()> {
    let [x, y, width, height] = picture.region;
    // Fractions such as 0.1 + 0.9 may come out a rounding error above 1.
    let within = |start: f32, length: f32| {
        start >= 0.0 && length > 0.0 && start + length <= 1.0 + f32::EPSILON
    };
    if !within(x, width) || !within(y, height) {
        return Err(unfit("region"));
    }
    let channels = if picture.colour == Colour::Grey { 1 } else { 3 };
    if !picture.mean[..channels].iter().all(|m| m.is_finite()) {
        return Err(unfit("mean"));
    }
    if !picture.std[..channels].iter().all(|&s| s.is_finite() && s > 0.0) {
        return Err(unfit("std"));
    }
    Ok(())
}

fn window(raw: &raw::Contract) -> Result<Option<Window>> {
    let (samples, hop, rate_hz) = (raw.window, raw.hop, raw.rate_hz);
    match samples {
        0 => Ok(None),
        _ if hop == 0 => Err(unfit("hop")),
        _ if !(rate_hz.is_finite() && rate_hz > 0.0) => Err(unfit("rate_hz")),
        _ => Ok(Some(Window { samples, hop, rate_hz })),
    }
}

/// # Safety
/// `raw.labels` is NULL or leads to `label_count` pointers, each NULL or leading to bytes ended by NUL.
unsafe fn labels(raw: &raw::Contract) -> Result<Vec<String>> {
    if raw.label_count == 0 {
        return Ok(Vec::new());
    }
    if raw.labels.is_null() || raw.label_count > MAX_LABELS {
        return Err(unfit("labels"));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let labels = unsafe { std::slice::from_raw_parts(raw.labels, raw.label_count as usize) };
    // SAFETY: the caller's promise.
    labels.iter().map(|&label| unsafe { text(label, "labels") }).collect()
}
