//! The call: numbers, candidates, boxes in the frame. Nothing here allocates after `activate`.
use edgemill_kernels::boxes::{Candidate, Suppression};
use edgemill_kernels::image::{self, Placement};
use edgemill_sdk::{Call, Error, Fit, Format, Result, TensorView, format, raw};

use crate::Model;
use crate::head::Head;
use crate::params::Params;

/// All that a call needs, made ahead.
pub struct Decoder {
    head: Head,
    placement: Placement,
    /// What an edge is multiplied by to be pixels of the model's picture: x and y.
    scale: [f32; 2],
    /// Width and height of the frame.
    frame: [f32; 2],
    threshold: f32,
    suppression: Suppression,
    /// The outputs that come quantized, in real numbers.
    real: Vec<Vec<f32>>,
    candidates: Vec<Candidate>,
    boxes: Vec<raw::Detection>,
}

/// Outputs of a model that has a head.
const MOST_OUTPUTS: usize = 4;

impl Decoder {
    pub fn new(model: &Model, params: &Params, inputs: &[Format], output: &Format) -> Result<Self> {
        let Format::Detections(detections) = output else {
            return Err(Error::unfit("it makes detections"));
        };
        let frame = [detections.frame().0, detections.frame().1];
        let Model { head, picture, size } = model;
        let fit = match picture.fit {
            Fit::Stretch => image::Fit::Stretch,
            Fit::Letterbox => image::Fit::Letterbox,
            Fit::Crop => image::Fit::Crop,
            Fit::Corner => image::Fit::Corner,
        };
        let placement = Placement::new(frame.map(|side| side as usize), picture.region, fit, *size)
            .map_err(|error| Error::unfit(format!("the frame that boxes refer to: {error}")))?;
        let iou = if head.finished { 1.0 } else { narrow(params.iou) };
        let most = detections.count() as usize;
        Ok(Self {
            placement,
            scale: if head.fractions { size.map(|side| pixels(side as u64)) } else { [1.0; 2] },
            frame: frame.map(|side| pixels(side.into())),
            threshold: narrow(params.threshold),
            suppression: Suppression::new(iou, most),
            real: inputs.iter().map(room).collect::<Result<_>>()?,
            candidates: Vec::with_capacity(head.rows),
            boxes: Vec::with_capacity(most),
            head: head.clone(),
        })
    }

    /// Runs once every output of the model is there; a call with fewer is consumed.
    pub fn process(&mut self, call: &Call<'_, '_>) -> Result<()> {
        let mut outputs: [&[f32]; MOST_OUTPUTS] = [&[]; MOST_OUTPUTS];
        for (port, real) in self.real.iter_mut().enumerate().take(MOST_OUTPUTS) {
            let Some(tensor) = call.tensor(port)? else { return Ok(()) };
            outputs[port] = numbers(&tensor, real)?;
        }
        self.candidates.clear();
        self.head.decode(&outputs, self.threshold, &mut self.candidates);
        for candidate in &mut self.candidates {
            let [left, top, right, bottom] = candidate.edges;
            let [x, y] = self.scale;
            candidate.edges = [left * x, top * y, right * x, bottom * y];
        }
        self.boxes.clear();
        for kept in self.suppression.of(&mut self.candidates) {
            self.boxes.extend(detection(kept, &self.placement, self.frame));
        }
        let mut buffer = call.acquire(0)?;
        buffer.set_boxes(&self.boxes)?;
        call.emit(0, buffer)
    }
}

/// The box in the frame, without what sticks out of it; `None` if nothing is left, or it is none.
fn detection(
    candidate: &Candidate,
    placement: &Placement,
    [width, height]: [f32; 2],
) -> Option<raw::Detection> {
    let [x0, y0, x1, y1] = placement.to_frame(candidate.edges);
    let (x0, x1) = (x0.clamp(0.0, width), x1.clamp(0.0, width));
    let (y0, y1) = (y0.clamp(0.0, height), y1.clamp(0.0, height));
    let (score, class_id) = (candidate.score.min(1.0), candidate.class);
    (x0 < x1 && y0 < y1).then_some(raw::Detection { x0, y0, x1, y1, score, class_id, track_id: 0 })
}

/// As many numbers as a port's tensors have, where they are not f32 already.
fn room(format: &Format) -> Result<Vec<f32>> {
    match format {
        Format::Tensor(tensor) if tensor.quantization().is_none() => Ok(Vec::new()),
        Format::Tensor(tensor) => Ok(Vec::with_capacity(tensor.elements())),
        _ => Err(Error::unfit("a port's format is not a tensor")),
    }
}

/// The tensor's numbers, where they lie or, if they are quantized, made real in `room`.
fn numbers<'a>(tensor: &TensorView<'a>, room: &'a mut Vec<f32>) -> Result<&'a [f32]> {
    if let Some(real) = tensor.elements::<f32>() {
        return Ok(real);
    }
    let affine = affine(tensor.format())?;
    room.clear();
    if let Some(elements) = tensor.elements::<i8>() {
        room.extend(elements.iter().map(|&element| affine(element.into())));
    } else if let Some(elements) = tensor.elements::<u8>() {
        room.extend(elements.iter().map(|&element| affine(element.into())));
    } else {
        let dtype = tensor.format().dtype();
        return Err(Error::unfit(format!("numbers of type {dtype} are not decoded")));
    }
    Ok(room)
}

fn affine(tensor: &format::Tensor) -> Result<impl Fn(i32) -> f32 + use<>> {
    let rule = tensor.quantization();
    let (scale, zero_point) = rule.ok_or_else(|| Error::unfit("numbers without a scale"))?;
    #[expect(clippy::cast_precision_loss, reason = "a difference of two bytes")]
    Ok(move |element: i32| scale * (element - zero_point) as f32)
}

#[expect(clippy::cast_precision_loss, reason = "a side is below 2^24")]
fn pixels(side: u64) -> f32 {
    side as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a parameter within 0..=1")]
fn narrow(number: f64) -> f32 {
    number as f32
}
