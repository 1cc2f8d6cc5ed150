//! What `edgemill bench model` gives to a network, and how it shows what comes out: as int8, whatever lies around that.
use edgemill_model::graph::{Graph, Op, ValueId};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};
use serde_json::{Value, json};

/// For real numbers that nothing quantizes.
const PLAIN: Quantization = Quantization { scale: 1.0 / 128.0, zero_point: 0 };

/// An input's bytes: element i, in the order batch, height, width, channel, is i × 37 mod 251 − 128. A uint8 element
/// is 128 more, a real number is what the network quantizes to that element, or else the element ÷ 128.
pub fn input(graph: &Graph<'_>, id: ValueId) -> Vec<u8> {
    let spec = graph.value(id).spec();
    let Entry { rule, planes } = Entry::of(graph, id);
    let element = |at: usize| {
        let place = planes.map_or(at, |planes| channels_last(planes, at));
        let element = i16::try_from(place * 37 % 251).expect("below 251") - 128;
        match spec.dtype {
            DType::I8 => vec![element.to_le_bytes()[0]],
            DType::U8 => vec![(element + 128).to_le_bytes()[0]],
            DType::I32 => i32::from(element).to_le_bytes().to_vec(),
            DType::F32 => real(element, rule.unwrap_or(PLAIN)).to_le_bytes().to_vec(),
        }
    };
    (0..spec.elements()).flat_map(element).collect()
}

/// How an output's elements are shown: as int8 where they are quantized, also where the network gives them out as uint8
/// or as real numbers.
pub struct Shown {
    dtype: DType,
    rule: Option<Quantization>,
}

impl Shown {
    pub fn of(graph: &Graph<'_>, id: ValueId) -> Self {
        Self { dtype: graph.value(id).spec().dtype, rule: dequantized(graph, id) }
    }

    pub fn elements(&self, bytes: &[u8]) -> Vec<Value> {
        let fours = bytes.as_chunks().0.iter();
        match self.dtype {
            DType::I8 => bytes.iter().map(|byte| json!(byte.cast_signed())).collect(),
            DType::U8 => bytes.iter().map(|&byte| json!(i16::from(byte) - 128)).collect(),
            DType::I32 => fours.map(|&bytes| json!(i32::from_le_bytes(bytes))).collect(),
            DType::F32 => fours.map(|&bytes| self.number(f32::from_le_bytes(bytes))).collect(),
        }
    }

    fn number(&self, real: f32) -> Value {
        self.rule.map_or(json!(real), |rule| json!(element(real, rule)))
    }
}

/// What happens to an input before the first layer.
#[derive(Default)]
struct Entry {
    /// By which rule it is made int8.
    rule: Option<Quantization>,
    /// Batch, channels, height, width, where the channels are moved behind.
    planes: Option<[usize; 4]>,
}

impl Entry {
    fn of(graph: &Graph<'_>, mut id: ValueId) -> Self {
        let mut entry = Self::default();
        while let Some((next, node)) = graph.nodes().find(|(_, node)| node.inputs.contains(&id)) {
            match &node.op {
                Op::Reshape(_) => {}
                Op::Quantize if entry.rule.is_none() => entry.rule = int8(graph.value(next).spec()),
                Op::Transpose(order) if order[..] == [0, 2, 3, 1] => {
                    let shape: Vec<_> =
                        graph.value(id).spec().shape.iter().map(|&d| d as usize).collect();
                    entry.planes = shape.try_into().ok();
                    break;
                }
                _ => break,
            }
            id = next;
        }
        entry
    }
}

/// Where the element at `at` comes to lie when the channels are behind.
fn channels_last([_, channels, height, width]: [usize; 4], at: usize) -> usize {
    let (plane, pixel) = (at / (height * width), at % (height * width));
    let (image, channel) = (plane / channels, plane % channels);
    (image * height * width + pixel) * channels + channel
}

/// The rule of what an output is made real from, if it was int8.
fn dequantized(graph: &Graph<'_>, mut id: ValueId) -> Option<Quantization> {
    while let Some(node) = graph.value(id).node() {
        id = node.inputs[0];
        match &node.op {
            Op::Reshape(_) | Op::Transpose(_) => {}
            Op::Dequantize => return int8(graph.value(id).spec()),
            _ => return None,
        }
    }
    None
}

/// The rule for elements that are int8, or uint8 less 128.
fn int8(spec: &TensorSpec) -> Option<Quantization> {
    let Quantization { scale, zero_point } = spec.quantization?;
    let less = if spec.dtype == DType::U8 { 128 } else { 0 };
    Some(Quantization { scale, zero_point: zero_point - less })
}

#[expect(clippy::cast_precision_loss, reason = "a zero point is a byte")]
fn real(element: i16, Quantization { scale, zero_point }: Quantization) -> f32 {
    (f32::from(element) - zero_point as f32) * scale
}

#[expect(clippy::cast_possible_truncation, reason = "it was an element before")]
fn element(real: f32, Quantization { scale, zero_point }: Quantization) -> i32 {
    (real / scale).round() as i32 + zero_point
}

#[cfg(test)]
mod tests {
    use edgemill_model::graph::Element;

    use super::*;

    fn spec(dtype: DType, shape: &[u32], zero_point: Option<i32>) -> TensorSpec {
        let quantization = zero_point.map(|zero_point| Quantization { scale: 0.25, zero_point });
        TensorSpec { dtype, shape: shape.to_vec(), quantization }
    }

    /// Planes of real numbers, quantized, moved, and back.
    fn graph(dtype: DType, zero_point: i32) -> Graph<'static> {
        let mut graph = Graph::new();
        let x = graph.input("x", spec(DType::F32, &[1, 3, 2, 2], None)).expect("an input");
        let rule = Some(Quantization { scale: 0.25, zero_point });
        let int8 = Element { dtype, quantization: rule };
        let mut node =
            |name, op, from, element| graph.node(name, op, &[from], element).expect(name);
        let q = node("q", Op::Quantize, x, int8);
        let last = node("t", Op::Transpose(vec![0, 2, 3, 1]), q, int8);
        let y = node("y", Op::Dequantize, last, Element::F32);
        graph.output(y).expect("an output");
        graph
    }

    #[test]
    fn real_numbers_around_int8_are_its_elements() {
        for (dtype, zero_point) in [(DType::I8, 7), (DType::U8, 131)] {
            let graph = graph(dtype, zero_point);
            let (x, y) = (graph.inputs().next().expect("one"), graph.outputs()[0]);
            let bytes = input(&graph, x);
            let reals: Vec<f32> =
                bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
            let zero = if dtype == DType::U8 { 3.0 } else { 7.0 };
            // The second pixel of the first plane is the fourth element of the picture with channels last.
            assert_eq!(reals[1], (3.0 * 37.0 - 128.0 - zero) * 0.25);
            let moved: Vec<u8> =
                (0..12).flat_map(|i| reals[i % 3 * 4 + i / 3].to_le_bytes()).collect();
            let elements: Vec<Value> = (0..12).map(|i| json!(i * 37 % 251 - 128)).collect();
            assert_eq!(Shown::of(&graph, y).elements(&moved), elements);
        }
    }

    #[test]
    fn bytes_are_shown_as_int8() {
        for (dtype, first, second) in [(DType::I8, 128, 165), (DType::U8, 0, 37)] {
            let mut graph = Graph::new();
            let x = graph.input("x", spec(dtype, &[2], Some(0))).expect("an input");
            let bytes = input(&graph, x);
            assert_eq!(bytes, [first, second]);
            assert_eq!(Shown::of(&graph, x).elements(&bytes), [json!(-128), json!(-91)]);
        }
    }
}
