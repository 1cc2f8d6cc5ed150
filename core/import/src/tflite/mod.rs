//! TensorFlow Lite files, float and full-integer, as the Keras and LiteRT converters write them.
mod flat;
mod flex;
mod ops;

use std::collections::HashMap;

use edgemill_model::graph::Graph;
use edgemill_model::tensor::{DType, Quantization, TensorSpec};
use half::f16;

use crate::builder::{Builder, Out, Value, signed};
use crate::host::{Data, Host, Quantized};
use crate::{ImportError, MAX_NODES, Refusal, unsupported, wrong};
use flat::{Table, damaged};

pub fn import(bytes: &[u8]) -> Result<Graph<'static>, ImportError> {
    let model = Table::root(bytes)?;
    let graphs = model.tables(2)?;
    let [graph] = graphs[..] else {
        return Err(ImportError::File(format!("{} subgraphs where one is read", graphs.len())));
    };
    let mut importer = Importer::new(&model, &graph)?;
    for input in graph.i32s(1)? {
        importer.input(input)?;
    }
    let operators = graph.tables(3)?;
    if operators.len() > MAX_NODES {
        return Err(ImportError::File(format!("more than {MAX_NODES} operators")));
    }
    let codes = model.tables(1)?;
    for operator in operators {
        let code = codes.get(index(operator.i32(0, 0)?)?).ok_or_else(damaged)?;
        importer.operator(&operator, code)?;
    }
    for output in graph.i32s(2)? {
        importer.output(output)?;
    }
    importer.build.finish()
}

fn index(of: i32) -> Result<usize, ImportError> {
    usize::try_from(of).map_err(|_| damaged())
}

/// A tensor as the file describes it.
struct Tensor<'a> {
    name: String,
    shape: Vec<i32>,
    kind: u8,
    data: &'a [u8],
    scales: Vec<f32>,
    zeros: Vec<i64>,
    axis: usize,
}

struct Importer<'a> {
    build: Builder,
    tensors: Vec<Tensor<'a>>,
    values: HashMap<usize, Value>,
}

/// One operator with its operands.
struct Node<'a> {
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<Table<'a>>,
    custom: &'a [u8],
}

const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT32: u8 = 2;
const UINT8: u8 = 3;
const INT64: u8 = 4;
const BOOL: u8 = 6;
const INT8: u8 = 9;

impl<'a> Importer<'a> {
    fn new(model: &Table<'a>, graph: &Table<'a>) -> Result<Self, ImportError> {
        let buffers = model.tables(4)?;
        let tensor = |table: Table<'a>| {
            let buffer = buffers.get(index(table.i32(2, 0)?)?).ok_or_else(damaged)?;
            let rule = table.table(4)?;
            let (mut scales, mut zeros, mut axis) = (Vec::new(), Vec::new(), 0);
            if let Some(rule) = rule {
                (scales, zeros, axis) = (rule.f32s(2)?, rule.i64s(3)?, index(rule.i32(6, 0)?)?);
            }
            let (name, shape, kind) = (table.text(3)?, table.i32s(0)?, table.u8(1, 0)?);
            Ok(Tensor { name, shape, kind, data: buffer.bytes(0)?, scales, zeros, axis })
        };
        let tensors =
            graph.tables(0)?.into_iter().map(tensor).collect::<Result<_, ImportError>>()?;
        Ok(Self { build: Builder::default(), tensors, values: HashMap::new() })
    }

    fn tensor(&self, at: i32) -> Result<&Tensor<'a>, Refusal> {
        let found = usize::try_from(at).ok().and_then(|at| self.tensors.get(at));
        found.ok_or_else(|| wrong("it names a tensor that is not there"))
    }

    fn input(&mut self, at: i32) -> Result<(), ImportError> {
        let named = |e: Refusal| e.of("", "input");
        let tensor = self.tensor(at).map_err(named)?;
        let spec = TensorSpec {
            dtype: tensor.dtype().map_err(named)?,
            shape: tensor
                .sizes()
                .map_err(named)?
                .iter()
                .map(|&d| u32::try_from(d).unwrap_or(u32::MAX))
                .collect(),
            quantization: tensor.rule(),
        };
        let name = tensor.name.clone();
        let live = self.build.input(&name, spec).map_err(|e| e.of(&name, "input"))?;
        self.values.insert(index(at)?, Value::Live(live));
        Ok(())
    }

    fn output(&mut self, at: i32) -> Result<(), ImportError> {
        let tensor = self.tensor(at).map_err(|e| e.of("", "output"))?;
        let name = tensor.name.clone();
        let made =
            || -> Result<_, Refusal> { Ok((self.value(at)?, tensor.dtype()?, tensor.rule())) };
        let (value, dtype, rule) = made().map_err(|e| e.of(&name, "output"))?;
        // Int8 stays as the file has it.
        let dtype = if dtype == DType::I8 && rule.is_some() { DType::I8 } else { dtype };
        self.build.output(&name, &value, Some(dtype), rule).map_err(|e| e.of(&name, "output"))
    }

    /// A value that was made, or a constant.
    fn value(&self, at: i32) -> Result<Value, Refusal> {
        let place = usize::try_from(at).map_err(|_| wrong("an input is missing"))?;
        if let Some(value) = self.values.get(&place) {
            return Ok(value.clone());
        }
        let tensor = self.tensor(at)?;
        if tensor.data.is_empty() && !tensor.sizes()?.contains(&0) {
            return Err(wrong(format!("nothing makes its input {:?}", tensor.name)));
        }
        tensor.host().map(Value::Host)
    }

    fn operator(&mut self, operator: &Table<'a>, code: &Table<'a>) -> Result<(), ImportError> {
        let builtin = i32::from(code.u8(0, 0)?).max(code.i32(3, 0)?);
        let name = if builtin == 32 { code.text(1)? } else { ops::name(builtin) };
        let node = Node {
            inputs: operator.i32s(1)?,
            outputs: operator.i32s(2)?,
            options: operator.table(4)?,
            custom: operator.bytes(5)?,
        };
        let label = node
            .outputs
            .first()
            .and_then(|&o| self.tensor(o).ok())
            .map_or("", |t| &t.name)
            .to_owned();
        self.lower(&name, &node).map_err(|e| e.of(&label, &name))
    }

    fn lower(&mut self, name: &str, node: &Node<'a>) -> Result<(), Refusal> {
        let values = self.dispatch(name, node).map_err(|e| match e {
            ops::Error::Refusal(refusal) => refusal,
            ops::Error::File(error) => wrong(error.to_string()),
        })?;
        for (&at, value) in node.outputs.iter().zip(values) {
            let place = usize::try_from(at).map_err(|_| wrong("an output"))?;
            let value = self.stored(at, value)?;
            if self.values.insert(place, value).is_some() {
                return Err(wrong("two operators make one tensor"));
            }
        }
        Ok(())
    }

    /// As int8 where the file says so.
    fn stored(&mut self, at: i32, value: Value) -> Result<Value, Refusal> {
        let (name, rule) = (self.tensor(at)?.name.clone(), self.tensor(at)?.signed_rule());
        match (value, rule) {
            (Value::Live(live), Some(rule)) => {
                let id = self.build.quantized(&name, live.id, rule)?;
                Ok(Value::Live(crate::builder::Live { id, ..live }))
            }
            (value, _) => Ok(value),
        }
    }

    fn out(&self, node: &Node<'a>) -> Result<Out, Refusal> {
        let tensor =
            self.tensor(*node.outputs.first().ok_or_else(|| wrong("it has no output"))?)?;
        Ok(Out { name: tensor.name.clone(), rule: tensor.signed_rule() })
    }
}

impl Tensor<'_> {
    fn sizes(&self) -> Result<Vec<usize>, Refusal> {
        self.shape
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| wrong("a shape below 0")))
            .collect()
    }

    fn dtype(&self) -> Result<DType, Refusal> {
        match self.kind {
            FLOAT32 | FLOAT16 => Ok(DType::F32),
            INT32 | INT64 => Ok(DType::I32),
            UINT8 | BOOL => Ok(DType::U8),
            INT8 => Ok(DType::I8),
            other => Err(unsupported(format!("elements of type {other}"))),
        }
    }

    fn rule(&self) -> Option<Quantization> {
        let (&[scale], zeros) = (&self.scales[..], &self.zeros) else { return None };
        let zero_point = i32::try_from(zeros.first().copied().unwrap_or(0)).ok()?;
        matches!(self.kind, UINT8 | INT8).then_some(Quantization { scale, zero_point })
    }

    fn signed_rule(&self) -> Option<Quantization> {
        let dtype = if self.kind == UINT8 { DType::U8 } else { DType::I8 };
        self.rule().map(|rule| signed(rule, dtype))
    }

    #[expect(clippy::cast_possible_truncation, reason = "one rounding to f32")]
    fn host(&self) -> Result<Host, Refusal> {
        fn all<const N: usize, T>(data: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
            data.as_chunks().0.iter().map(|&b| f(b)).collect()
        }
        let shape = self.sizes()?;
        let ints = |list: Vec<i32>| match &self.scales[..] {
            [] => Data::I(list.into_iter().map(i64::from).collect()),
            scales => {
                let inner = list.len() / scales.len().max(1);
                let real = |(at, e): (usize, i32)| {
                    (f64::from(e) * f64::from(scales[(at / inner.max(1)).min(scales.len() - 1)]))
                        as f32
                };
                Data::F(list.into_iter().enumerate().map(real).collect())
            }
        };
        let data = match self.kind {
            FLOAT32 => Data::F(all(self.data, f32::from_le_bytes)),
            FLOAT16 => Data::F(all(self.data, |b| f16::from_le_bytes(b).to_f32())),
            INT32 => ints(all(self.data, i32::from_le_bytes)),
            INT64 => Data::I(all(self.data, i64::from_le_bytes)),
            INT8 | UINT8 if !self.scales.is_empty() => self.quantized()?,
            INT8 => Data::I(self.data.iter().map(|&b| b.cast_signed().into()).collect()),
            UINT8 | BOOL => Data::I(self.data.iter().map(|&b| b.into()).collect()),
            other => return Err(unsupported(format!("elements of type {other}"))),
        };
        let host = Host { shape, data };
        let given = match &host.data {
            Data::F(e) => e.len(),
            Data::I(e) => e.len(),
            Data::Q(q) => q.elements.len(),
        };
        let needed = host.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if needed != Some(given) {
            return Err(wrong(format!(
                "constant {:?} has {given} elements, its shape others",
                self.name
            )));
        }
        Ok(host)
    }

    fn quantized(&self) -> Result<Data, Refusal> {
        let shift = if self.kind == UINT8 { 128 } else { 0 };
        let flip = if self.kind == UINT8 { 0x80 } else { 0 };
        let zero = |at: usize| {
            let zero = self.zeros.get(at).or(self.zeros.first()).copied().unwrap_or(0);
            i32::try_from(zero - shift).map_err(|_| wrong("a zero point"))
        };
        let zeros = (0..self.scales.len()).map(zero).collect::<Result<_, _>>()?;
        let elements = self.data.iter().map(|&b| (b ^ flip).cast_signed()).collect();
        Ok(Data::Q(Quantized { elements, scales: self.scales.clone(), zeros, axis: self.axis }))
    }
}
