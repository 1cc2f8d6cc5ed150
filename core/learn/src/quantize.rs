//! A float graph as an int8 graph: weights symmetric with a scale for each filter, activations affine with a rule for each
//! tensor, biases int32. Jacob et al., 2018, arXiv:1712.05877; Krishnamoorthi, 2018, arXiv:1806.08342.
use edgemill_model::graph::{
    Constant, Element, Function, Graph, GraphError, Node, Op, Reduction, Source, Value, ValueId,
};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::calibrate::Range;

/// What a softmax or a logistic function gives lies in 0..1: an int8 step is 1 ÷ 256.
pub const PROBABILITY: Quantization = Quantization { scale: 1.0 / 256.0, zero_point: -128 };

/// No range is narrower than this: a scale must stay a normal number.
const NARROWEST: f32 = 1e-6;
/// A bias stays this far below the int32 accumulator's end.
const BIAS_LIMIT: f64 = (1_u32 << 30) as f64;

/// What the outputs of a quantized graph are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// int8, by their ranges.
    Int8,
    /// f32. What is only moved on the way to an output is so as f32 too: a detector joins boxes and scores at its end, for
    /// which one rule would be far too coarse.
    Real,
}

/// Why a graph cannot be quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// It has int8 in it already, or an operation that int8 does not have.
    #[error("graph value {index} ({name:?}) {reason}")]
    Value {
        /// Its place.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The new graph refuses a value.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The affine rule for int8 that covers `range` and 0.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a quotient of 0..=255")]
pub fn affine(range: Range) -> Quantization {
    let (low, high) = (range.low.min(0.0), range.high.max(0.0));
    let scale = (high - low).max(NARROWEST) / 255.0;
    let zero_point = (-low / scale).round_ties_even() as i32 - 128;
    Quantization { scale, zero_point: zero_point.clamp(-128, 127) }
}

/// A real number as the byte of an int8, rounded as the `Preparer` of `kernels` does it.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "clamped to int8")]
pub fn int8_of(real: f32, rule: Quantization) -> u8 {
    let step = (f64::from(real) / f64::from(rule.scale)).round_ties_even();
    ((step + f64::from(rule.zero_point)).clamp(-128.0, 127.0) as i8).cast_unsigned()
}

/// `graph` in int8. `inputs` has a rule for each of its inputs, `ranges` a range for each of its values.
///
/// # Errors
/// [`QuantizeError`] naming the value.
pub fn quantize(
    graph: &Graph<'_>,
    inputs: &[Quantization],
    ranges: &[Range],
    outputs: Outputs,
) -> Result<Graph<'static>, QuantizeError> {
    let values = graph.values().len();
    let mut quantizer = Quantizer {
        graph,
        ranges,
        at_the_end: if outputs == Outputs::Real { at_the_end(graph) } else { vec![false; values] },
        made: Graph::new(),
        ids: Vec::with_capacity(values),
        reals: vec![None; values],
    };
    let mut rules = inputs.iter();
    for (index, value) in graph.values().iter().enumerate() {
        let id = match value.source() {
            Source::Constant(_) => None,
            Source::Input => {
                let rule = rules.next().ok_or_else(|| refusal(index, value, "has no rule"))?;
                let spec = TensorSpec {
                    dtype: DType::I8,
                    quantization: Some(*rule),
                    ..value.spec().clone()
                };
                Some(quantizer.made.input(value.name(), spec)?)
            }
            Source::Node(node) if quantizer.at_the_end[index] => {
                Some(quantizer.moved(value, node)?)
            }
            Source::Node(node) => Some(quantizer.node(index, value, node)?),
        };
        quantizer.ids.push(id);
    }
    for output in graph.outputs() {
        let made = match outputs {
            Outputs::Int8 => quantizer.operand(*output)?,
            Outputs::Real => quantizer.real(*output)?,
        };
        quantizer.made.output(made)?;
    }
    Ok(quantizer.made)
}

fn refusal(index: usize, value: &Value<'_>, reason: &'static str) -> QuantizeError {
    QuantizeError::Value { index, name: value.name().into(), reason }
}

/// Of each value, whether it only moves elements, and so does all that comes after it.
fn at_the_end(graph: &Graph<'_>) -> Vec<bool> {
    let mut moved: Vec<bool> =
        graph.values().iter().map(|value| value.node().is_some_and(only_moves)).collect();
    for (id, node) in graph.nodes().collect::<Vec<_>>().into_iter().rev() {
        if !moved[id.index()] {
            node.inputs.iter().for_each(|input| moved[input.index()] = false);
        }
    }
    moved
}

/// Of each value, whether it is an output, or is only moved on the way to one.
pub(crate) fn said(graph: &Graph<'_>) -> Vec<bool> {
    let moved = at_the_end(graph);
    let mut said = vec![false; moved.len()];
    graph.outputs().iter().for_each(|output| said[output.index()] = true);
    for (id, node) in graph.nodes().filter(|(id, _)| moved[id.index()]) {
        said[id.index()] = true;
        node.inputs.iter().for_each(|input| said[input.index()] = true);
    }
    said
}

fn only_moves(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Concat { .. }
            | Op::Slice(_)
            | Op::Gather { .. }
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Tile(_)
            | Op::Pad { .. }
    )
}

struct Quantizer<'a> {
    graph: &'a Graph<'a>,
    ranges: &'a [Range],
    /// Which values stay f32.
    at_the_end: Vec<bool>,
    made: Graph<'static>,
    /// What each value of the float graph has become; constants are made by the nodes that read them.
    ids: Vec<Option<ValueId>>,
    /// The same in f32, where something reads that.
    reals: Vec<Option<ValueId>>,
}

impl Quantizer<'_> {
    fn node(
        &mut self,
        index: usize,
        value: &Value<'_>,
        node: &Node,
    ) -> Result<ValueId, QuantizeError> {
        let x = self.operand(node.inputs[0])?;
        let given = self.made.value(x).spec().quantization.unwrap_or(PROBABILITY);
        let seen = || self.ranges.get(index).copied().map(affine);
        let rule = match &node.op {
            Op::MaxPool(_)
            | Op::Reshape(_)
            | Op::Slice(_)
            | Op::Gather { .. }
            | Op::Transpose(_)
            | Op::Tile(_)
            | Op::Pad { .. }
            | Op::Reduce { by: Reduction::Max | Reduction::Min, .. } => Some(given),
            Op::Softmax | Op::Unary(Function::Sigmoid) => Some(PROBABILITY),
            Op::Quantize | Op::Dequantize => {
                return Err(refusal(index, value, "is quantized already"));
            }
            Op::ArgMax { .. } | Op::Cast | Op::Detect(_) => {
                return Err(refusal(
                    index,
                    value,
                    "has no int8 form: leave it out of the network, or run that in f32",
                ));
            }
            _ => seen(),
        };
        let rule = rule.ok_or_else(|| refusal(index, value, "has no range"))?;
        let mut inputs = vec![x];
        match &node.op {
            Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Dense { .. } => {
                inputs.extend(self.weights(index, node, given.scale)?)
            }
            _ => {
                for &other in &node.inputs[1..] {
                    inputs.push(self.operand(other)?);
                }
            }
        }
        let element = Element::i8(rule.scale, rule.zero_point);
        Ok(self.made.node(value.name(), node.op.clone(), &inputs, element)?)
    }

    /// What a value has become, or a constant by a rule that covers it.
    fn operand(&mut self, id: ValueId) -> Result<ValueId, QuantizeError> {
        if let Some(made) = self.ids.get(id.index()).copied().flatten() {
            return Ok(made);
        }
        let value = self.graph.value(id);
        let elements = floats(value).ok_or_else(|| {
            refusal(id.index(), value, "is not f32, and nothing else is quantized")
        })?;
        let rule = affine(Range::of(&elements));
        let bytes: Vec<i8> =
            elements.iter().map(|&real| int8_of(real, rule).cast_signed()).collect();
        let spec =
            TensorSpec { quantization: Some(rule), ..spec(DType::I8, value.spec().shape.clone()) };
        Ok(self.made.constant(value.name(), spec, Constant::i8(&bytes, &[]))?)
    }

    /// A value in f32.
    fn real(&mut self, id: ValueId) -> Result<ValueId, QuantizeError> {
        if let Some(made) = self.reals[id.index()] {
            return Ok(made);
        }
        let value = self.graph.value(id);
        let known = self.ids.get(id.index()).copied().flatten();
        let made = match known {
            Some(made) if self.at_the_end[id.index()] => made,
            Some(made) => self.made.node(value.name(), Op::Dequantize, &[made], Element::F32)?,
            None => {
                let elements = floats(value)
                    .ok_or_else(|| refusal(id.index(), value, "is a constant that is not f32"))?;
                self.made.constant(value.name(), value.spec().clone(), Constant::f32(&elements))?
            }
        };
        self.reals[id.index()] = Some(made);
        Ok(made)
    }

    fn moved(&mut self, value: &Value<'_>, node: &Node) -> Result<ValueId, QuantizeError> {
        let inputs: Vec<ValueId> =
            node.inputs.iter().map(|&id| self.real(id)).collect::<Result<_, _>>()?;
        Ok(self.made.node(value.name(), node.op.clone(), &inputs, Element::F32)?)
    }

    /// Weights and bias of a node whose input has steps of `input_scale`.
    fn weights(
        &mut self,
        index: usize,
        node: &Node,
        input_scale: f32,
    ) -> Result<Vec<ValueId>, QuantizeError> {
        let operand = |at: usize| node.inputs.get(at).map(|&id| self.graph.value(id));
        let reader = &self.graph.values()[index];
        let weights = operand(1).ok_or_else(|| refusal(index, reader, "has no weights"))?;
        let filters = weights.spec().shape.first().map_or(1, |&n| n as usize);
        let elements = floats(weights)
            .ok_or_else(|| refusal(index, reader, "has weights that are not f32"))?;
        let biases = match operand(2) {
            None => vec![0.0; filters],
            Some(bias) => {
                floats(bias).ok_or_else(|| refusal(index, reader, "has a bias that is not f32"))?
            }
        };
        let (mut small, mut scales, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for (filter, &bias) in elements.chunks_exact(elements.len() / filters).zip(&biases) {
            let scale = filter_scale(filter, bias, input_scale);
            small.extend(filter.iter().map(|&weight| step(weight, scale)));
            sums.push(sum_of_bias(bias, scale, input_scale));
            scales.push(scale);
        }
        let bias_name =
            operand(2).map_or_else(|| format!("{} bias", reader.name()), |b| b.name().into());
        let weights_spec = spec(DType::I8, weights.spec().shape.clone());
        let bias_spec = spec(DType::I32, weights.spec().shape[..1].to_vec());
        let weights =
            self.made.constant(weights.name(), weights_spec, Constant::i8(&small, &scales))?;
        Ok(vec![weights, self.made.constant(&bias_name, bias_spec, Constant::i32(&sums))?])
    }
}

fn floats(value: &Value<'_>) -> Option<Vec<f32>> {
    let is_float = value.spec().dtype == DType::F32;
    value.constant().filter(|_| is_float).map(|constant| constant.f32s().collect())
}

fn spec(dtype: DType, shape: Vec<u32>) -> TensorSpec {
    TensorSpec { dtype, shape, quantization: None }
}

/// The greatest weight becomes 127, unless the bias, whose step is this scale times the input's, would not fit then.
#[expect(clippy::cast_possible_truncation, reason = "the one rounding to f32 that is meant")]
fn filter_scale(filter: &[f32], bias: f32, input_scale: f32) -> f32 {
    let greatest = filter.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    let for_bias = f64::from(bias.abs()) / (f64::from(input_scale) * BIAS_LIMIT);
    (greatest.max(NARROWEST) / 127.0).max(for_bias as f32)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to int8")]
fn step(weight: f32, scale: f32) -> i8 {
    (weight / scale).round_ties_even().clamp(-127.0, 127.0) as i8
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
fn sum_of_bias(bias: f32, scale: f32, input_scale: f32) -> i32 {
    (f64::from(bias) / (f64::from(scale) * f64::from(input_scale))).round_ties_even() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_affine_rule_is_that_of_the_paper() {
        let cases = [
            ("one side", (0.0, 2.55), (0.01, -128)),
            ("both sides", (-1.0, 1.55), (0.01, -28)),
            ("below 0 only", (-2.55, -1.0), (0.01, 127)),
            ("above 0 only", (1.0, 2.55), (0.01, -128)),
            ("nothing seen", (f32::INFINITY, f32::NEG_INFINITY), (NARROWEST / 255.0, -128)),
        ];
        for (name, (low, high), (scale, zero_point)) in cases {
            let rule = affine(Range { low, high });
            assert!((rule.scale / scale - 1.0).abs() < 1e-5, "{name}: {rule:?}");
            assert_eq!(rule.zero_point, zero_point, "{name}");
        }
    }

    #[test]
    fn a_round_trip_is_within_half_a_step() {
        let rule = affine(Range { low: -0.7, high: 1.9 });
        let zero = f32::from(i8::try_from(rule.zero_point).expect("it is int8"));
        for real in (-70..=190_i16).map(|i| f32::from(i) / 100.0) {
            let step = (real / rule.scale).round_ties_even() + zero;
            assert!((-128.0..=127.0).contains(&step), "{real}");
            let back = rule.scale * (step - zero);
            assert!((back - real).abs() <= rule.scale * 0.501, "{real} comes back as {back}");
        }
    }

    #[test]
    fn a_bias_that_outweighs_its_filter_still_fits() {
        let cases = [(0.5, 0.1), (1e-9, 100.0), (0.0, -3.0)];
        for (weight, bias) in cases {
            let scale = filter_scale(&[weight, -weight], bias, 0.01);
            let back = f64::from(sum_of_bias(bias, scale, 0.01)) * f64::from(scale) * 0.01;
            assert!(
                (back - f64::from(bias)).abs()
                    <= f64::from(scale) * 0.006 + f64::from(bias.abs()) * 1e-7,
                "{weight} {bias}: {back}"
            );
        }
    }
}
