//! What moves elements, or looks for places among them.
use candle_core::{Device, Result, Tensor};
use edgemill_model::graph::Span;

pub fn slice(x: &Tensor, spans: &[Span]) -> Result<Tensor> {
    let mut x = x.clone();
    for (axis, span) in spans.iter().enumerate() {
        x = if span.step == 1 {
            x.narrow(axis, span.start as usize, span.count as usize)?
        } else {
            let place = |n: u32| span.start.wrapping_add_signed(n.cast_signed() * span.step);
            gather(&x, axis, (0..span.count).map(place).collect())?
        };
    }
    x.contiguous()
}

pub fn gather(x: &Tensor, axis: usize, indices: Vec<u32>) -> Result<Tensor> {
    let count = indices.len();
    x.contiguous()?.index_select(&Tensor::from_vec(indices, count, &Device::Cpu)?, axis)
}

pub fn pad(x: &Tensor, borders: &[[u32; 2]], value: f32) -> Result<Tensor> {
    let mut x = x.clone();
    for (axis, border) in borders.iter().enumerate() {
        if *border == [0; 2] {
            continue;
        }
        let mut shape = x.dims().to_vec();
        let mut parts = Vec::new();
        for length in border {
            shape[axis] = *length as usize;
            parts.push(Tensor::full(value, shape.clone(), &Device::Cpu)?);
        }
        x = Tensor::cat(&[&parts[0], &x, &parts[1]], axis)?;
    }
    Ok(x)
}

/// Place of the greatest along an axis.
#[expect(clippy::cast_precision_loss, reason = "places are below 2²⁴, or rounded")]
pub fn arg_max(x: &Tensor, axis: usize, least: bool, last: bool) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let length = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let elements = x.flatten_all()?.to_vec1::<f32>()?;
    let better = |new: f32, old: f32| {
        let (new, old) = if least { (-new, -old) } else { (new, old) };
        new > old || last && new >= old
    };
    let place = |line: usize| {
        let first = line / inner * length * inner + line % inner;
        let at = |n: usize| elements[first + n * inner];
        (1..length).fold(0, |best, n| if better(at(n), at(best)) { n } else { best })
    };
    let places: Vec<f32> = (0..elements.len() / length).map(|line| place(line) as f32).collect();
    shape[axis] = 1;
    Tensor::from_vec(places, shape, &Device::Cpu)
}

/// Neighbours of a place along an axis, and how far it stands from the first.
#[derive(Clone, Copy)]
struct Between {
    before: usize,
    after: usize,
    part: f32,
}

#[expect(clippy::cast_precision_loss, reason = "as the graph format has it")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within the axis")]
fn between(size: usize, places: usize, step: f32, origin: f32) -> Vec<Between> {
    let place = |n: usize| {
        let at = (origin + n as f32 * step).clamp(0.0, (size - 1) as f32);
        let before = at as usize;
        Between { before, after: (before + 1).min(size - 1), part: at - before as f32 }
    };
    (0..places).map(place).collect()
}

/// Linear between neighbours, of batch × height × width × channel.
pub fn resize(x: &Tensor, shape: &[usize], step: [f32; 2], origin: [f32; 2]) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let elements = x.flatten_all()?.to_vec1::<f32>()?;
    let rows = between(height, shape[1], step[0], origin[0]);
    let columns = between(width, shape[2], step[1], origin[1]);
    let mut output = Vec::with_capacity(shape.iter().product());
    for picture in 0..batch {
        for row in &rows {
            for column in &columns {
                let at = |y: usize, x: usize, c: usize| {
                    elements[((picture * height + y) * width + x) * channels + c]
                };
                let line = |y: usize, c: usize| {
                    at(y, column.before, c) * (1.0 - column.part)
                        + at(y, column.after, c) * column.part
                };
                output.extend((0..channels).map(|c| {
                    line(row.before, c) * (1.0 - row.part) + line(row.after, c) * row.part
                }));
            }
        }
    }
    Tensor::from_vec(output, shape, &Device::Cpu)
}
