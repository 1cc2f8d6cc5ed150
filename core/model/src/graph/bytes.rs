//! A graph as bytes, and back: `docs/graph-format.md`. Every graph has exactly one form.
use super::function::{Function, Pair};
use super::op::{Clamp, Detect, MAX_INPUTS, Op, Reduction, Span, Window};
use super::{
    Constant, DType, Element, Graph, GraphError, MAX_NAME, Quantization, Source, TensorSpec, Value,
    ValueId, checked_elements,
};
use crate::tensor::MAX_RANK;

/// The first bytes.
pub const MAGIC: [u8; 8] = *b"EMGRAPH\0";
/// Follows them.
pub const VERSION: u32 = 1;

const INPUT: u8 = 1;
const CONSTANT: u8 = 2;
const NODE: u8 = 3;

/// What a graph may ask for at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: usize,
    /// Values.
    pub values: usize,
    /// Elements of all inputs and results, together; memory for a run is at most a few bytes of each.
    pub elements: usize,
    /// Multiplications of one run.
    pub macs: u64,
}

impl Default for Limits {
    /// 1 GiB, 65,536 values, 2³⁰ elements, 10¹² multiplications.
    fn default() -> Self {
        Self { bytes: 1 << 30, values: 1 << 16, elements: 1 << 30, macs: 1_000_000_000_000 }
    }
}

impl<'a> Graph<'a> {
    /// Reads a graph; constants stay where they are, in `bytes`.
    ///
    /// # Errors
    /// [`GraphError`] if the bytes are not exactly one complete graph within `limits`.
    pub fn from_bytes(bytes: &'a [u8], limits: Limits) -> Result<Self, GraphError> {
        let mut reader = Reader { bytes, offset: 0 };
        if bytes.len() > limits.bytes {
            let most = limits.bytes;
            return Err(reader.refusal(format!("{} bytes, at most {most} are read", bytes.len())));
        }
        if reader.array()? != MAGIC {
            return Err(reader.refusal("this is not a graph".into()));
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(reader.refusal(format!("version {version}, {VERSION} is read")));
        }
        let graph = reader.graph(limits)?;
        if reader.offset != bytes.len() {
            return Err(reader.refusal("bytes follow the graph".into()));
        }
        graph.check()?;
        Ok(graph)
    }

    /// The one form of this graph.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.u32(VERSION);
        out.count(self.values().len());
        for value in self.values() {
            out.value(value);
        }
        out.ids(self.outputs());
        out.0
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn graph(&mut self, limits: Limits) -> Result<Graph<'a>, GraphError> {
        let count = self.count(limits.values, "values")?;
        let mut graph = Graph::new();
        let mut made = 0_usize;
        for _ in 0..count {
            let id = self.value(&mut graph)?;
            let value = graph.value(id);
            if value.constant().is_none() {
                made = made.saturating_add(value.spec().elements());
            }
            if made > limits.elements || graph.node_macs(id) > limits.macs {
                return Err(self.refusal("a run of it takes more than the limits allow".into()));
            }
        }
        if graph.macs() > limits.macs {
            return Err(self.refusal(format!("more than {} multiplications", limits.macs)));
        }
        for id in self.ids(count)? {
            graph.output(id)?;
        }
        Ok(graph)
    }

    fn value(&mut self, graph: &mut Graph<'a>) -> Result<ValueId, GraphError> {
        let kind = self.u8()?;
        let name = self.name()?;
        let element = self.element()?;
        match kind {
            INPUT => {
                let spec = self.spec(element)?;
                graph.input(name, spec)
            }
            CONSTANT => {
                let spec = self.spec(element)?;
                let constant = self.constant(&spec)?;
                graph.constant(name, spec, constant)
            }
            NODE => {
                let op = self.op()?;
                let inputs = self.ids(MAX_INPUTS)?;
                graph.node(name, op, &inputs, element)
            }
            other => Err(self.refusal(format!("a value of kind {other}"))),
        }
    }

    fn name(&mut self) -> Result<&'a str, GraphError> {
        let length = usize::from(self.u8()?);
        debug_assert!(length <= MAX_NAME);
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.refusal("a name is not UTF-8".into()))
    }

    fn element(&mut self) -> Result<Element, GraphError> {
        let dtype = match self.u8()? {
            1 => DType::U8,
            2 => DType::I8,
            3 => DType::I32,
            4 => DType::F32,
            other => return Err(self.refusal(format!("elements of type {other}"))),
        };
        let quantization = if self.flag()? {
            Some(Quantization { scale: self.f32()?, zero_point: self.u32()?.cast_signed() })
        } else {
            None
        };
        Ok(Element { dtype, quantization })
    }

    fn spec(&mut self, element: Element) -> Result<TensorSpec, GraphError> {
        let Element { dtype, quantization } = element;
        Ok(TensorSpec { dtype, shape: self.shape()?, quantization })
    }

    fn shape(&mut self) -> Result<Vec<u32>, GraphError> {
        let rank = usize::from(self.u8()?);
        if rank > MAX_RANK {
            return Err(self.refusal(format!("{rank} dimensions, at most {MAX_RANK} are read")));
        }
        let shape = (0..rank).map(|_| self.u32()).collect::<Result<Vec<_>, _>>()?;
        checked_elements(&shape).map_err(|reason| self.refusal(reason))?;
        Ok(shape)
    }

    fn constant(&mut self, spec: &TensorSpec) -> Result<Constant<'a>, GraphError> {
        let scales = if self.flag()? {
            self.take(4 * spec.shape.first().map_or(0, |&d| d as usize))?
        } else {
            &[]
        };
        Ok(Constant { scales: scales.into(), data: self.take(spec.bytes())?.into() })
    }

    fn op(&mut self) -> Result<Op, GraphError> {
        Ok(match self.u8()? {
            1 => Op::Conv2d {
                window: self.window()?,
                dilation: self.pair()?,
                groups: self.u32()?,
                clamp: self.clamp()?,
            },
            2 => Op::Dense { clamp: self.clamp()? },
            3 => Op::MaxPool(self.window()?),
            4 => Op::AveragePool(self.window()?),
            5 => {
                Op::Binary { function: self.one_of(&Pair::ALL, "function")?, clamp: self.clamp()? }
            }
            6 => Op::Clamp(self.clamp()?),
            7 => Op::Softmax,
            8 => Op::Reshape(self.shape()?),
            9 => Op::Quantize,
            10 => Op::Dequantize,
            11 => Op::ConvTranspose2d {
                window: self.window()?,
                dilation: self.pair()?,
                groups: self.u32()?,
                extra: self.pair()?,
                clamp: self.clamp()?,
            },
            12 => Op::MatMul,
            13 => Op::Unary(self.function()?),
            14 => Op::Select,
            15 => Op::LogSoftmax,
            16 => Op::Reduce {
                by: self.one_of(&Reduction::ALL, "reduction")?,
                axes: self.each(Self::u8)?,
            },
            17 => Op::ArgMax { axis: self.u8()?, least: self.flag()?, last: self.flag()? },
            18 => Op::Resize {
                size: self.pair()?,
                step: self.real_pair()?,
                origin: self.real_pair()?,
            },
            19 => Op::Concat { axis: self.u8()? },
            20 => Op::Slice(self.each(Self::span)?),
            21 => Op::Gather { axis: self.u8()?, indices: self.indices()? },
            22 => Op::Transpose(self.each(Self::u8)?),
            23 => Op::Tile(self.each(Self::u32)?),
            24 => Op::Pad { borders: self.each(Self::pair)?, value: self.f32()? },
            25 => Op::Cast,
            26 => Op::Detect(self.detect()?),
            other => return Err(self.refusal(format!("an operation of code {other}"))),
        })
    }

    /// One item for each axis.
    fn each<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, GraphError>,
    ) -> Result<Vec<T>, GraphError> {
        let rank = usize::from(self.u8()?);
        if rank > MAX_RANK {
            return Err(self.refusal(format!("{rank} axes, at most {MAX_RANK} are read")));
        }
        (0..rank).map(|_| item(self)).collect()
    }

    fn one_of<T: Copy>(&mut self, all: &[T], what: &str) -> Result<T, GraphError> {
        let code = self.u8()?;
        let found = all.get(usize::from(code)).copied();
        found.ok_or_else(|| self.refusal(format!("a {what} of code {code}")))
    }

    fn function(&mut self) -> Result<Function, GraphError> {
        let code = self.u8()?;
        if let Some(&plain) = Function::PLAIN.get(usize::from(code)) {
            return Ok(plain);
        }
        Ok(match code {
            LEAKY_RELU => Function::LeakyRelu(self.f32()?),
            ELU => Function::Elu(self.f32()?),
            CELU => Function::Celu(self.f32()?),
            SELU => Function::Selu(self.f32()?, self.f32()?),
            HARD_SIGMOID => Function::HardSigmoid(self.f32()?, self.f32()?),
            THRESHOLD => Function::Threshold(self.f32()?),
            SHRINK => Function::Shrink(self.f32()?, self.f32()?),
            POWER => Function::Power(self.f32()?),
            other => return Err(self.refusal(format!("a function of code {other}"))),
        })
    }

    fn span(&mut self) -> Result<Span, GraphError> {
        Ok(Span { start: self.u32()?, step: self.u32()?.cast_signed(), count: self.u32()? })
    }

    fn indices(&mut self) -> Result<Vec<u32>, GraphError> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.saturating_mul(4))?;
        Ok(bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect())
    }

    fn detect(&mut self) -> Result<Detect, GraphError> {
        let divisors = [self.f32()?, self.f32()?, self.f32()?, self.f32()?];
        let (score, overlap, most) = (self.f32()?, self.f32()?, self.u32()?);
        let per_class = if self.flag()? { Some(self.u32()?) } else { None };
        Ok(Detect { divisors, score, overlap, most, per_class })
    }

    fn flag(&mut self) -> Result<bool, GraphError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.refusal(format!("a flag of {other}"))),
        }
    }

    fn window(&mut self) -> Result<Window, GraphError> {
        let (kernel, stride) = (self.pair()?, self.pair()?);
        Ok(Window { kernel, stride, rows: self.pair()?, columns: self.pair()? })
    }

    fn clamp(&mut self) -> Result<Clamp, GraphError> {
        Ok(Clamp { low: self.f32()?, high: self.f32()? })
    }

    fn ids(&mut self, most: usize) -> Result<Vec<ValueId>, GraphError> {
        let count = self.count(most, "references")?;
        (0..count).map(|_| self.u32().map(ValueId)).collect()
    }

    fn count(&mut self, most: usize, what: &str) -> Result<usize, GraphError> {
        let count = self.u32()? as usize;
        if count > most {
            return Err(self.refusal(format!("{count} {what}, at most {most} are read")));
        }
        Ok(count)
    }

    fn pair(&mut self) -> Result<[u32; 2], GraphError> {
        Ok([self.u32()?, self.u32()?])
    }

    fn real_pair(&mut self) -> Result<[f32; 2], GraphError> {
        Ok([self.f32()?, self.f32()?])
    }

    fn u8(&mut self) -> Result<u8, GraphError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, GraphError> {
        self.array().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, GraphError> {
        self.array().map(f32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GraphError> {
        Ok(*self.take(N)?.first_chunk().expect("N bytes were taken"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], GraphError> {
        let rest = &self.bytes[self.offset..];
        let Some(taken) = rest.get(..length) else {
            let reason = format!("{length} bytes are needed, {} are left", rest.len());
            return Err(self.refusal(reason));
        };
        self.offset += length;
        Ok(taken)
    }

    fn refusal(&self, reason: String) -> GraphError {
        GraphError::Bytes { offset: self.offset, reason }
    }
}

/// Codes of the functions with parameters; those without come before.
const LEAKY_RELU: u8 = 33;
const ELU: u8 = 34;
const CELU: u8 = 35;
const SELU: u8 = 36;
const HARD_SIGMOID: u8 = 37;
const THRESHOLD: u8 = 38;
const SHRINK: u8 = 39;
const POWER: u8 = 40;

struct Writer(Vec<u8>);

impl Writer {
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
