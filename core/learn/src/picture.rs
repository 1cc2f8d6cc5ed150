//! From a picture's file to a network's input, by the same two functions of `kernels` as the pipeline: the replay
//! camera's `draw_letterboxed` and the `Preparer` of `preprocess-image`.
use std::path::Path;

use edgemill_kernels::image::{
    Colour, Element, Filter, Fit, FrameSpec, Layout, Limits, Picture, PixelFormat, Preparer,
    RgbPicture, Target, decode_jpeg, draw_letterboxed_into,
};
use edgemill_model::contract::{self, Contract};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::error::{LearnError, at};

/// Draws one picture after the other into a frame, and prepares what each contract asks for.
pub struct Camera {
    spec: FrameSpec,
    frame: Vec<u8>,
}

impl Camera {
    /// YUYV frames of `width` × `height`.
    #[must_use]
    pub fn new([width, height]: [u32; 2]) -> Self {
        let (width, height) = (width as usize, height as usize);
        let format = PixelFormat::Yuyv;
        let spec = FrameSpec { format, width, height };
        Self { spec, frame: vec![0; format.frame_bytes(width, height)] }
    }

    /// Draws the picture in `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no JPEG.
    pub fn show(&mut self, path: &Path) -> Result<(), LearnError> {
        let bytes = std::fs::read(path).map_err(at(path))?;
        let FrameSpec { format, width, height } = self.spec;
        decode_jpeg(&bytes, Limits::default())
            .and_then(|picture| {
                draw_letterboxed_into(&picture, format, width, height, &mut self.frame)
            })
            .map_err(|source| LearnError::Picture { path: path.to_owned(), source })
    }

    /// What turns this camera's frames into inputs for `contract`.
    ///
    /// # Errors
    /// [`LearnError::Contract`] if it takes no picture, or one that cannot be made.
    pub fn preparer(&self, contract: &Contract) -> Result<Preparer, LearnError> {
        preparer(self.spec, contract)
    }

    /// Prepares the frame that is shown into `input`, exactly as large as the tensor.
    ///
    /// # Errors
    /// `input` is too small.
    pub fn prepare(&self, preparer: &mut Preparer, input: &mut [u8]) -> Result<(), LearnError> {
        let stride = self.spec.width * self.spec.format.pixel_bytes();
        preparer.prepare(&self.frame, stride, input).map_err(refused)
    }
}

/// One picture as the f32 input that `contract` has, from its own pixels: what a camera of its size would give.
///
/// # Errors
/// [`LearnError::Contract`] if it takes no picture, or not as f32.
pub fn input(picture: &RgbPicture, contract: &Contract) -> Result<Vec<f32>, LearnError> {
    let (width, height) = (picture.width(), picture.height());
    let spec = FrameSpec { format: PixelFormat::Rgb24, width, height };
    let mut preparer = preparer(spec, contract)?;
    let mut bytes = vec![0; preparer.output_bytes()];
    preparer.prepare(picture.pixels(), 3 * width, &mut bytes).map_err(refused)?;
    Ok(bytes.as_chunks().0.iter().map(|&element| f32::from_le_bytes(element)).collect())
}

fn preparer(spec: FrameSpec, contract: &Contract) -> Result<Preparer, LearnError> {
    let (Some(picture), Some(input)) = (&contract.picture, contract.inputs.first()) else {
        return Err(refused("it takes no picture"));
    };
    let target = target(picture.layout, input).map_err(refused)?;
    Preparer::new(spec, &lower(picture), target).map_err(refused)
}

fn refused(said: impl std::fmt::Display) -> LearnError {
    LearnError::Contract { said: said.to_string() }
}

fn lower(picture: &contract::Picture) -> Picture {
    Picture {
        layout: match picture.layout {
            contract::Layout::Nhwc => Layout::Nhwc,
            contract::Layout::Nchw => Layout::Nchw,
        },
        colour: match picture.colour {
            contract::Colour::Rgb => Colour::Rgb,
            contract::Colour::Bgr => Colour::Bgr,
            contract::Colour::Grey => Colour::Grey,
        },
        fit: match picture.fit {
            contract::Fit::Stretch => Fit::Stretch,
            contract::Fit::Letterbox => Fit::Letterbox,
            contract::Fit::Crop => Fit::Crop,
            contract::Fit::Corner => Fit::Corner,
        },
        filter: match picture.filter {
            contract::Filter::Area => Filter::Area,
            contract::Filter::Bilinear => Filter::Bilinear,
        },
        fill: picture.fill,
        region: picture.region,
        mean: picture.mean,
        std: picture.std,
    }
}

fn target(layout: contract::Layout, input: &TensorSpec) -> Result<Target, &'static str> {
    let (height, width) = match (layout, &input.shape[..]) {
        (contract::Layout::Nhwc, &[1, height, width, _])
        | (contract::Layout::Nchw, &[1, _, height, width]) => (height, width),
        _ => return Err("its input is not one picture of four axes"),
    };
    let element = match (input.dtype, input.quantization) {
        (DType::F32, None) => Element::F32,
        (DType::I8, Some(Quantization { scale, zero_point })) => Element::I8 { scale, zero_point },
        (DType::U8, Some(Quantization { scale, zero_point })) => Element::U8 { scale, zero_point },
        _ => return Err("its input is neither f32 nor quantized bytes"),
    };
    Ok(Target { width: width as usize, height: height as usize, element })
}
