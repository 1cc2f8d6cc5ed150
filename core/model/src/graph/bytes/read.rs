//! From bytes: nothing is taken that is not there, and nothing made that is above the limits.
use super::super::function::{Function, Pair};
use super::super::op::{Clamp, Detect, MAX_INPUTS, Op, Reduction, Span, Window};
use super::super::{
    Constant, DType, Element, Graph, GraphError, MAX_NAME, Quantization, TensorSpec, ValueId,
    checked_elements,
};
use super::{
    CELU, CONSTANT, ELU, HARD_SIGMOID, INPUT, LEAKY_RELU, Limits, NODE, POWER, SELU, SHRINK,
    THRESHOLD,
};
use crate::tensor::MAX_RANK;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.offset == self.bytes.len()
    }

    pub(super) fn graph(&mut self, limits: Limits) -> Result<Graph<'a>, GraphError> {
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

    pub(super) fn u32(&mut self) -> Result<u32, GraphError> {
        self.array().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, GraphError> {
        self.array().map(f32::from_le_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], GraphError> {
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

    pub(super) fn refusal(&self, reason: String) -> GraphError {
        GraphError::Bytes { offset: self.offset, reason }
    }
}
