//! To bytes.
use super::super::function::{Function, Pair};
use super::super::op::{Clamp, Detect, Op, Reduction, Window};
use super::super::{DType, Graph, Quantization, Source, TensorSpec, Value, ValueId};
use super::{
    CELU, CONSTANT, ELU, HARD_SIGMOID, INPUT, LEAKY_RELU, MAGIC, NODE, POWER, SELU, SHRINK,
    THRESHOLD, VERSION,
};

#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub(super) fn graph(&mut self, graph: &Graph<'_>) {
        self.0.extend_from_slice(&MAGIC);
        self.u32(VERSION);
        self.count(graph.values().len());
        for value in graph.values() {
            self.value(value);
        }
        self.ids(graph.outputs());
    }

    fn value(&mut self, value: &Value<'_>) {
        let spec = value.spec();
        self.0.push(match value.source() {
            Source::Input => INPUT,
            Source::Constant(_) => CONSTANT,
            Source::Node(_) => NODE,
        });
        self.0.push(u8::try_from(value.name().len()).expect("names are checked"));
        self.0.extend_from_slice(value.name().as_bytes());
        self.element(spec);
        match value.source() {
            Source::Input => self.shape(&spec.shape),
            Source::Constant(constant) => {
                self.shape(&spec.shape);
                self.0.push(u8::from(!constant.scales.is_empty()));
                self.0.extend_from_slice(&constant.scales);
                self.0.extend_from_slice(&constant.data);
            }
            Source::Node(node) => {
                self.op(&node.op);
                self.ids(&node.inputs);
            }
        }
    }

    fn element(&mut self, spec: &TensorSpec) {
        self.0.push(match spec.dtype {
            DType::U8 => 1,
            DType::I8 => 2,
            DType::I32 => 3,
            DType::F32 => 4,
        });
        self.0.push(u8::from(spec.quantization.is_some()));
        if let Some(Quantization { scale, zero_point }) = spec.quantization {
            self.f32(scale);
            self.u32(zero_point.cast_unsigned());
        }
    }

    fn op(&mut self, op: &Op) {
        self.0.push(code(op));
        match op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                self.window(window);
                self.pair(*dilation);
                self.u32(*groups);
                self.clamp(*clamp);
            }
            Op::ConvTranspose2d { window, dilation, groups, extra, clamp } => {
                self.window(window);
                self.pair(*dilation);
                self.u32(*groups);
                self.pair(*extra);
                self.clamp(*clamp);
            }
            Op::Dense { clamp } | Op::Clamp(clamp) => self.clamp(*clamp),
            Op::Binary { function, clamp } => {
                self.place_in(&Pair::ALL, *function);
                self.clamp(*clamp);
            }
            Op::MaxPool(window) | Op::AveragePool(window) => self.window(window),
            Op::Reshape(shape) | Op::Tile(shape) => self.shape(shape),
            Op::Unary(function) => self.function(*function),
            Op::Reduce { by, axes } => {
                self.place_in(&Reduction::ALL, *by);
                self.each(axes, |out, &axis| out.0.push(axis));
            }
            Op::ArgMax { axis, least, last } => {
                self.0.extend([*axis, u8::from(*least), u8::from(*last)]);
            }
            Op::Resize { size, step, origin } => {
                self.pair(*size);
                step.iter().chain(origin).for_each(|&real| self.f32(real));
            }
            Op::Concat { axis } => self.0.push(*axis),
            Op::Slice(spans) => self.each(spans, |out, span| {
                out.u32(span.start);
                out.u32(span.step.cast_unsigned());
                out.u32(span.count);
            }),
            Op::Gather { axis, indices } => {
                self.0.push(*axis);
                self.count(indices.len());
                indices.iter().for_each(|&index| self.u32(index));
            }
            Op::Transpose(order) => self.each(order, |out, &axis| out.0.push(axis)),
            Op::Pad { borders, value } => {
                self.each(borders, |out, &border| out.pair(border));
                self.f32(*value);
            }
            Op::Detect(detect) => self.detect(detect),
            Op::MatMul
            | Op::Select
            | Op::Softmax
            | Op::LogSoftmax
            | Op::Quantize
            | Op::Dequantize
            | Op::Cast => {}
        }
    }

    fn place_in<T: PartialEq>(&mut self, all: &[T], one: T) {
        let place = all.iter().position(|of| *of == one).expect("all are listed");
        self.0.push(u8::try_from(place).expect("few are listed"));
    }

    fn function(&mut self, function: Function) {
        let (code, count) = match function {
            Function::LeakyRelu(_) => (LEAKY_RELU, 1),
            Function::Elu(_) => (ELU, 1),
            Function::Celu(_) => (CELU, 1),
            Function::Selu(..) => (SELU, 2),
            Function::HardSigmoid(..) => (HARD_SIGMOID, 2),
            Function::Threshold(_) => (THRESHOLD, 1),
            Function::Shrink(..) => (SHRINK, 2),
            Function::Power(_) => (POWER, 1),
            plain => return self.place_in(&Function::PLAIN, plain),
        };
        self.0.push(code);
        function.parameters()[..count].iter().for_each(|&parameter| self.f32(parameter));
    }

    fn detect(&mut self, detect: &Detect) {
        detect.divisors.iter().for_each(|&divisor| self.f32(divisor));
        self.f32(detect.score);
        self.f32(detect.overlap);
        self.u32(detect.most);
        self.0.push(u8::from(detect.per_class.is_some()));
        detect.per_class.iter().for_each(|&most| self.u32(most));
    }

    fn each<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.0.push(u8::try_from(items.len()).expect("ranks are checked"));
        items.iter().for_each(|item| write(self, item));
    }

    fn window(&mut self, window: &Window) {
        for pair in [window.kernel, window.stride, window.rows, window.columns] {
            self.pair(pair);
        }
    }

    fn clamp(&mut self, clamp: Clamp) {
        self.f32(clamp.low);
        self.f32(clamp.high);
    }

    fn shape(&mut self, shape: &[u32]) {
        self.0.push(u8::try_from(shape.len()).expect("ranks are checked"));
        shape.iter().for_each(|&d| self.u32(d));
    }

    fn ids(&mut self, ids: &[ValueId]) {
        self.count(ids.len());
        ids.iter().for_each(|id| self.u32(id.0));
    }

    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("`Graph::add` counts in u32"));
    }

    fn pair(&mut self, [a, b]: [u32; 2]) {
        self.u32(a);
        self.u32(b);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn f32(&mut self, value: f32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

const fn code(op: &Op) -> u8 {
    match op {
        Op::Conv2d { .. } => 1,
        Op::Dense { .. } => 2,
        Op::MaxPool(_) => 3,
        Op::AveragePool(_) => 4,
        Op::Binary { .. } => 5,
        Op::Clamp(_) => 6,
        Op::Softmax => 7,
        Op::Reshape(_) => 8,
        Op::Quantize => 9,
        Op::Dequantize => 10,
        Op::ConvTranspose2d { .. } => 11,
        Op::MatMul => 12,
        Op::Unary(_) => 13,
        Op::Select => 14,
        Op::LogSoftmax => 15,
        Op::Reduce { .. } => 16,
        Op::ArgMax { .. } => 17,
        Op::Resize { .. } => 18,
        Op::Concat { .. } => 19,
        Op::Slice(_) => 20,
        Op::Gather { .. } => 21,
        Op::Transpose(_) => 22,
        Op::Tile(_) => 23,
        Op::Pad { .. } => 24,
        Op::Cast => 25,
        Op::Detect(_) => 26,
    }
}
