//! One network as it is run: float by the reference, int8 by the engine.
use edgemill_engine::Engine;
use edgemill_model::graph::Graph;
use edgemill_model::tensor::DType;
use edgemill_reference::Reference;

use crate::error::LearnError;

/// A classifier of one input and one output.
pub enum Runner {
    /// In real numbers.
    Float(Reference),
    /// With memory for its answer.
    Int8(Engine, Vec<u8>),
}

impl Runner {
    /// Whether it is float or int8 follows from what the graph gives.
    ///
    /// # Errors
    /// [`LearnError::Graph`] if it cannot be run.
    pub fn new(graph: &Graph<'_>) -> Result<Self, LearnError> {
        let [output] = graph.outputs() else {
            return Err(LearnError::graph("a classifier has one output"));
        };
        let output = graph.value(*output).spec();
        if output.dtype == DType::F32 {
            return Reference::new(graph).map(Self::Float).map_err(LearnError::graph);
        }
        let engine = Engine::load(graph).map_err(LearnError::graph)?;
        Ok(Self::Int8(engine, vec![0; output.bytes()]))
    }

    /// The class with the greatest number; of equals the first, as `decide-rule` has it. `input` is the elements of the
    /// graph's input, little-endian.
    ///
    /// # Errors
    /// [`LearnError::Graph`] if `input` is not of the graph's size.
    pub fn answer(&mut self, input: &[u8]) -> Result<usize, LearnError> {
        match self {
            Self::Float(reference) => {
                let real: Vec<f32> =
                    input.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                let outputs = reference.run(&[&real]).map_err(LearnError::graph)?;
                Ok(greatest(outputs[0].iter().copied()))
            }
            Self::Int8(engine, answer) => {
                engine.run(&[input], &mut [answer]).map_err(LearnError::graph)?;
                Ok(greatest(answer.iter().map(|byte| f32::from(byte.cast_signed()))))
            }
        }
    }
}

fn greatest(numbers: impl Iterator<Item = f32>) -> usize {
    let best = |best: (usize, f32), (index, number): (usize, f32)| {
        if number > best.1 { (index, number) } else { best }
    };
    numbers.enumerate().fold((0, f32::NEG_INFINITY), best).0
}
