//! A graph as bytes, and back: `docs/graph-format.md`. Every graph has exactly one form.
use super::op::{Clamp, Op, Window};
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
    /// 256 MiB, 65,536 values, 2³⁰ elements, 10¹² multiplications.
    fn default() -> Self {
        Self { bytes: 256 << 20, values: 1 << 16, elements: 1 << 30, macs: 1_000_000_000_000 }
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
        let quantization = match self.u8()? {
            0 => None,
            1 => Some(Quantization { scale: self.f32()?, zero_point: self.u32()?.cast_signed() }),
            other => return Err(self.refusal(format!("a flag of {other}"))),
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
        let scales = match self.u8()? {
            0 => &[],
            1 => self.take(4 * spec.shape.first().map_or(0, |&d| d as usize))?,
            other => return Err(self.refusal(format!("a flag of {other}"))),
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
            5 => Op::Add { clamp: self.clamp()? },
            6 => Op::Clamp(self.clamp()?),
            7 => Op::Softmax,
            8 => Op::Reshape(self.shape()?),
            9 => Op::Quantize,
            10 => Op::Dequantize,
            other => return Err(self.refusal(format!("an operation of code {other}"))),
        })
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

/// No operation takes more.
const MAX_INPUTS: usize = 3;

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
        let code = match op {
            Op::Conv2d { .. } => 1,
            Op::Dense { .. } => 2,
            Op::MaxPool(_) => 3,
            Op::AveragePool(_) => 4,
            Op::Add { .. } => 5,
            Op::Clamp(_) => 6,
            Op::Softmax => 7,
            Op::Reshape(_) => 8,
            Op::Quantize => 9,
            Op::Dequantize => 10,
        };
        self.0.push(code);
        match op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                self.window(window);
                self.pair(*dilation);
                self.u32(*groups);
                self.clamp(*clamp);
            }
            Op::Dense { clamp } | Op::Add { clamp } | Op::Clamp(clamp) => self.clamp(*clamp),
            Op::MaxPool(window) | Op::AveragePool(window) => self.window(window),
            Op::Reshape(shape) => self.shape(shape),
            Op::Softmax | Op::Quantize | Op::Dequantize => {}
        }
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
