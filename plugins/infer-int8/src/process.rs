//! From the packets' tensors through the engine and back.
use edgemill_engine::graph::{Graph, Limits, ValueId};
use edgemill_engine::tensor::{self, Quantization};
use edgemill_engine::{Engine, EngineError, Plan, kernels};
use edgemill_sdk::{
    Buffer, Call, DType, Error, Format, Result, SecretSlice, Setup, Status, format,
};

/// The most inputs and the most outputs of a model: a call keeps that many slices on the stack.
pub const MAX_TENSORS: usize = 16;

/// A model that is ready to run.
pub struct Model<'m> {
    engine: Engine<SecretSlice<'m, u8>>,
    inputs: usize,
    outputs: usize,
}

impl<'m> Model<'m> {
    pub fn new(setup: &Setup<'m>, threads: usize) -> Result<Self> {
        let graph = Graph::from_bytes(setup.model()?.bytes(), Limits::default()).map_err(unfit)?;
        let inputs: Vec<ValueId> = graph.inputs().collect();
        check("input", &graph, &inputs, setup.inputs())?;
        check("output", &graph, graph.outputs(), setup.outputs())?;
        let plan = Plan::new(&graph, kernels::best()).map_err(unfit)?.threads(threads);
        let memory = setup.secret(plan.memory_bytes())?;
        let engine = Engine::new(plan, &graph, memory).map_err(unfit)?;
        Ok(Self { engine, inputs: inputs.len(), outputs: graph.outputs().len() })
    }

    pub fn kernel(&self) -> &'static str {
        self.engine.kernel()
    }

    /// Runs once every input is there; a call with fewer is consumed.
    pub fn process(&mut self, call: &Call<'_, 'm>) -> Result<()> {
        let mut inputs: [&[u8]; MAX_TENSORS] = [&[]; MAX_TENSORS];
        for (port, input) in inputs[..self.inputs].iter_mut().enumerate() {
            let Some(tensor) = call.tensor(port)? else { return Ok(()) };
            *input = tensor.bytes();
        }
        let mut buffers: [Option<Buffer<'m>>; MAX_TENSORS] = [const { None }; MAX_TENSORS];
        for (port, buffer) in buffers[..self.outputs].iter_mut().enumerate() {
            *buffer = Some(call.acquire(port)?);
        }
        let mut outputs: [&mut [u8]; MAX_TENSORS] = Default::default();
        for (output, buffer) in outputs.iter_mut().zip(buffers.iter_mut().flatten()) {
            *output = buffer.bytes_mut();
        }
        let (inputs, outputs) = (&inputs[..self.inputs], &mut outputs[..self.outputs]);
        let fault = |e: EngineError| Error::new(Status::Fault, e.to_string());
        self.engine.run(inputs, outputs).map_err(fault)?;
        for (port, buffer) in buffers.into_iter().flatten().enumerate() {
            call.emit(port, buffer)?;
        }
        Ok(())
    }
}

fn unfit(error: impl std::fmt::Display) -> Error {
    Error::unfit(error.to_string())
}

/// The graph is signed together with its contract, but by people.
fn check(side: &str, graph: &Graph<'_>, ids: &[ValueId], formats: &[Format]) -> Result<()> {
    if ids.len() != formats.len() {
        let text = format!("the graph has {} {side}s, the contract {}", ids.len(), formats.len());
        return Err(Error::unfit(text));
    }
    for (index, (&id, format)) in ids.iter().zip(formats).enumerate() {
        let spec = graph.value(id).spec();
        match format {
            Format::Tensor(tensor) if same(spec, tensor) => {}
            _ => {
                let text = format!("{side} {index}: the graph has {spec:?}, the port {format:?}");
                return Err(Error::unfit(text));
            }
        }
    }
    Ok(())
}

fn same(spec: &tensor::TensorSpec, tensor: &format::Tensor) -> bool {
    let dtype = match spec.dtype {
        tensor::DType::U8 => DType::U8,
        tensor::DType::I8 => DType::I8,
        tensor::DType::I32 => DType::I32,
        tensor::DType::F32 => DType::F32,
    };
    let rule = spec.quantization.map(|Quantization { scale, zero_point }| (scale, zero_point));
    dtype == tensor.dtype() && spec.shape == tensor.shape() && rule == tensor.quantization()
}
