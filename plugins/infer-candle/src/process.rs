//! From the packets' tensors to real numbers, through the graph, and back.
use edgemill_reference::Reference;
use edgemill_reference::graph::{Graph, Limits};
use edgemill_sdk::{Call, DType, Error, Format, Result, Status, TensorView, format};

/// A model that is ready to run.
pub struct Model {
    reference: Reference,
    outputs: Vec<format::Tensor>,
    /// The inputs of a call in real numbers; kept, so that a call does not make them anew.
    real: Vec<Vec<f32>>,
}

impl Model {
    pub fn new(bytes: &[u8], inputs: &[Format], outputs: &[Format]) -> Result<Self> {
        let graph = Graph::from_bytes(bytes, Limits::default()).map_err(unfit)?;
        let (inputs, outputs) = (tensors(inputs)?, tensors(outputs)?);
        let of_inputs: Vec<_> =
            graph.inputs().map(|id| &graph.value(id).spec().shape[..]).collect();
        let of_outputs: Vec<_> =
            graph.outputs().iter().map(|&id| &graph.value(id).spec().shape[..]).collect();
        check("inputs", &of_inputs, &inputs)?;
        check("outputs", &of_outputs, &outputs)?;
        let real = inputs.iter().map(|tensor| Vec::with_capacity(tensor.elements())).collect();
        Ok(Self { reference: Reference::new(&graph).map_err(unfit)?, outputs, real })
    }

    /// Runs once every input is there; a call with fewer is consumed.
    pub fn process(&mut self, call: &Call<'_, '_>) -> Result<()> {
        for (port, real) in self.real.iter_mut().enumerate() {
            let Some(tensor) = call.tensor(port)? else { return Ok(()) };
            real.clear();
            read(&tensor, real)?;
        }
        let inputs: Vec<&[f32]> = self.real.iter().map(Vec::as_slice).collect();
        let fault =
            |e: edgemill_reference::ReferenceError| Error::new(Status::Fault, e.to_string());
        let results = self.reference.run(&inputs).map_err(fault)?;
        for (port, (result, format)) in results.iter().zip(&self.outputs).enumerate() {
            let mut buffer = call.acquire(port)?;
            write(result, format, buffer.bytes_mut());
            call.emit(port, buffer)?;
        }
        Ok(())
    }
}

fn unfit(error: impl std::fmt::Display) -> Error {
    Error::unfit(error.to_string())
}

fn tensors(formats: &[Format]) -> Result<Vec<format::Tensor>> {
    let tensor = |format: &Format| match format {
        Format::Tensor(tensor) => Ok(*tensor),
        _ => Err(Error::unfit("a port's format is not a tensor")),
    };
    formats.iter().map(tensor).collect()
}

/// The graph is signed together with its contract, but by people.
fn check(side: &str, graph: &[&[u32]], contract: &[format::Tensor]) -> Result<()> {
    if graph.iter().copied().eq(contract.iter().map(format::Tensor::shape)) {
        return Ok(());
    }
    let shapes: Vec<_> = contract.iter().map(format::Tensor::shape).collect();
    Err(Error::unfit(format!("the graph's {side} are {graph:?}, the contract's {shapes:?}")))
}

fn read(tensor: &TensorView<'_>, real: &mut Vec<f32>) -> Result<()> {
    let (scale, zero_point) = tensor.format().quantization().unwrap_or((1.0, 0));
    let affine = |element: i32| scale * small(element - zero_point);
    match tensor.format().dtype() {
        DType::F32 => real.extend_from_slice(tensor.elements::<f32>().unwrap_or_default()),
        DType::I8 => real.extend(tensor.bytes().iter().map(|&b| affine(b.cast_signed().into()))),
        DType::U8 => real.extend(tensor.bytes().iter().map(|&b| affine(b.into()))),
        DType::I32 => return Err(Error::unfit("int32 tensors are not taken")),
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a difference of two bytes")]
fn small(number: i32) -> f32 {
    number as f32
}

/// Where the port gives bytes, rounded to the nearest, ties to even.
fn write(result: &[f32], format: &format::Tensor, out: &mut [u8]) {
    let (scale, zero_point) = format.quantization().unwrap_or((1.0, 0));
    let step = |real: f32| (real / scale).round_ties_even() + small(zero_point);
    match format.dtype() {
        DType::F32 | DType::I32 => {
            for (out, real) in out.as_chunks_mut().0.iter_mut().zip(result) {
                *out = real.to_le_bytes();
            }
        }
        DType::I8 => {
            for (out, &real) in out.iter_mut().zip(result) {
                *out = saturated(step(real)).cast_unsigned();
            }
        }
        DType::U8 => {
            for (out, &real) in out.iter_mut().zip(result) {
                *out = (saturated(step(real) - 128.0).cast_unsigned()) ^ 0x80;
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from f32 saturates")]
fn saturated(step: f32) -> i8 {
    step as i8
}
