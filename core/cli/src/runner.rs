//! What runs a network in this tool: the int8 engine, or for one that is not int8 candle, as infer-candle does.
use edgemill_engine::kernels::Kernel;
use edgemill_engine::{Engine, EngineError, Plan};
use edgemill_learn::reference::Reference;
use edgemill_linux::sched;
use edgemill_model::graph::{Graph, ValueId};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::exit::Failure;

/// A network that is ready to run. Either way tensors are bytes, numbers of more than one little-endian.
pub enum Runner {
    Int8(Engine),
    Real(Real),
}

/// In f32: elements are made real before a run, and of their own type after it.
pub struct Real {
    reference: Reference,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Runner {
    /// On the engine; it says which node is not int8, where one is not.
    pub fn int8(
        graph: &Graph<'_>,
        kernel: &'static dyn Kernel,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let plan = Plan::new(graph, kernel)?.threads(threads);
        let memory = vec![0; plan.memory_bytes()];
        Engine::new(plan, graph, memory).map(Self::Int8)
    }

    /// On candle.
    pub fn real(graph: &Graph<'_>) -> Result<Self, Failure> {
        let spec = |id: ValueId| graph.value(id).spec().clone();
        let reference = Reference::new(graph).map_err(Failure::model)?;
        let inputs = graph.inputs().map(spec).collect();
        let outputs = graph.outputs().iter().copied().map(spec).collect();
        Ok(Self::Real(Real { reference, inputs, outputs }))
    }

    /// Runs once; calls `done` with the number of each layer of the engine's after it.
    pub fn run(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        done: impl FnMut(usize),
    ) -> Result<(), Failure> {
        match self {
            Self::Int8(engine) => {
                engine.run_watched(inputs, outputs, done).map_err(Failure::internal)
            }
            Self::Real(real) => real.run(inputs, outputs),
        }
    }

    /// The engine, where it runs on that.
    pub fn engine(&self) -> Option<&Engine> {
        if let Self::Int8(engine) = self { Some(engine) } else { None }
    }

    /// `int8` or `f32`.
    pub fn arithmetic(&self) -> &'static str {
        if matches!(self, Self::Int8(_)) { "int8" } else { "f32" }
    }
}

impl Real {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), Failure> {
        let inputs: Vec<_> =
            self.inputs.iter().zip(inputs).map(|(spec, bytes)| reals(spec, bytes)).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let results = self.reference.run(&inputs).map_err(Failure::model)?;
        for ((spec, reals), bytes) in self.outputs.iter().zip(results).zip(outputs) {
            write(spec, &reals, bytes);
        }
        Ok(())
    }
}

/// Threads that candle makes from now on, and this one, run on so many cores at most: it counts the cores that it may
/// use. Says how many they are.
pub fn hold_to(threads: usize) -> usize {
    let Ok(mut cores) = sched::affinity() else { return threads };
    cores.truncate(threads);
    // Where the system refuses, more cores are used, which costs nothing but the figure.
    let _ = sched::set_affinity(&cores);
    cores.len()
}

/// The numbers that elements stand for.
#[expect(clippy::cast_precision_loss, reason = "infer-candle computes in f32")]
fn reals(spec: &TensorSpec, bytes: &[u8]) -> Vec<f32> {
    let affine = |element: i32| match spec.quantization {
        Some(Quantization { scale, zero_point }) => (element - zero_point) as f32 * scale,
        None => element as f32,
    };
    match spec.dtype {
        DType::U8 => bytes.iter().map(|&byte| affine(byte.into())).collect(),
        DType::I8 => bytes.iter().map(|byte| affine(byte.cast_signed().into())).collect(),
        DType::I32 => bytes.as_chunks().0.iter().map(|&b| affine(i32::from_le_bytes(b))).collect(),
        DType::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    }
}

/// The elements that stand for numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn write(spec: &TensorSpec, reals: &[f32], bytes: &mut [u8]) {
    let width = spec.dtype.bytes();
    let element = |real: f32| match spec.quantization {
        Some(rule) => (real / rule.scale).round() as i32 + rule.zero_point,
        None => real as i32,
    };
    for (&real, bytes) in reals.iter().zip(bytes.chunks_exact_mut(width)) {
        match spec.dtype {
            DType::F32 => bytes.copy_from_slice(&real.to_le_bytes()),
            DType::I32 => bytes.copy_from_slice(&element(real).to_le_bytes()),
            DType::U8 => bytes[0] = element(real).clamp(0, 255) as u8,
            DType::I8 => bytes[0] = (element(real).clamp(-128, 127) as i8).cast_unsigned(),
        }
    }
}
