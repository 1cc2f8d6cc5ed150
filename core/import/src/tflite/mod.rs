//! TensorFlow Lite files, float and full-integer, as the Keras and LiteRT converters write them.
mod batches;
mod detect;
mod flat;
mod flex;
mod known;
mod moves;
mod names;
mod ops;
mod options;
mod picks;
mod pictures;
mod products;
mod reduce;
mod sparse;
mod tensor;
mod windows;

use std::collections::HashMap;

use edgemill_model::graph::{self, Graph, Op};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::builder::{Builder, Live, Out, Value, element};
use crate::{ImportError, MAX_NODES, Refusal, wrong};
use batches::Spread;
use flat::{Table, damaged};
use options::Node;
use tensor::{Tensor, index};

pub fn import(bytes: &[u8]) -> Result<Graph<'static>, ImportError> {
    let model = Table::root(bytes)?;
    // What follows the first is what loops and branches run, or what other signatures do.
    let graph = *model.tables(2)?.first().ok_or_else(damaged)?;
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

struct Importer<'a> {
    build: Builder,
    tensors: Vec<Tensor<'a>>,
    values: HashMap<usize, Value>,
    spread: HashMap<i32, Spread>,
    /// Elements that were computed while importing.
    computed: usize,
}

/// The most elements that are computed while importing.
const MAX_COMPUTED: usize = 1 << 27;

impl<'a> Importer<'a> {
    fn new(model: &Table<'a>, graph: &Table<'a>) -> Result<Self, ImportError> {
        let buffers = model.tables(4)?;
        let tensors = graph
            .tables(0)?
            .iter()
            .map(|table| Tensor::read(table, &buffers))
            .collect::<Result<_, ImportError>>()?;
        let (values, spread) = (HashMap::new(), HashMap::new());
        Ok(Self { build: Builder::default(), tensors, values, spread, computed: 0 })
    }

    fn tensor(&self, at: i32) -> Result<&Tensor<'a>, Refusal> {
        let found = usize::try_from(at).ok().and_then(|at| self.tensors.get(at));
        found.ok_or_else(|| wrong("it names a tensor that is not there"))
    }

    fn input(&mut self, at: i32) -> Result<(), ImportError> {
        let name = self.tensor(at).map_or("", |tensor| &tensor.name).to_owned();
        let named = |e: Refusal| e.of(&name, "input");
        let tensor = self.tensor(at).map_err(named)?;
        let spec = TensorSpec {
            dtype: tensor.dtype().map_err(named)?,
            shape: tensor.sizes32().map_err(named)?,
            quantization: tensor.rule(),
        };
        let live = self.build.input(&name, spec).map_err(named)?;
        self.values.insert(index(at)?, Value::Live(live));
        Ok(())
    }

    fn output(&mut self, at: i32) -> Result<(), ImportError> {
        let name = self.tensor(at).map_or("", |tensor| &tensor.name).to_owned();
        self.named_output(at, &name).map_err(|e| e.of(&name, "output"))
    }

    fn named_output(&mut self, at: i32, name: &str) -> Result<(), Refusal> {
        self.settle_tensor(at)?;
        let tensor = self.tensor(at)?;
        let (dtype, rule, mut value) = (tensor.dtype()?, tensor.rule(), self.value(at)?);
        let plain = |id| self.build.element(id).quantization.is_none();
        if let (DType::U8, None, Value::Live(live)) = (dtype, rule, &value)
            && plain(live.id)
            && self.build.element(live.id).dtype != DType::U8
        {
            // Truths are computed in real numbers.
            let id = self.build.node(name, Op::Cast, &[live.id], element(DType::U8, None))?;
            value = Value::Live(Live { id, ..live.clone() });
        }
        self.build.output(name, &value, Some(dtype), rule)
    }

    /// A value that was made, or a constant.
    fn value(&self, at: i32) -> Result<Value, Refusal> {
        let place = usize::try_from(at).map_err(|_| wrong("an input is missing"))?;
        if let Some(value) = self.values.get(&place) {
            return Ok(value.clone());
        }
        let tensor = self.tensor(at)?;
        if tensor.is_made() {
            return Err(wrong(format!("nothing makes its input {:?}", tensor.name)));
        }
        tensor.host().map(Value::Host)
    }

    fn operator(&mut self, operator: &Table<'a>, code: &Table<'a>) -> Result<(), ImportError> {
        let builtin = i32::from(code.u8(0, 0)?).max(code.i32(3, 0)?);
        let name = if builtin == 32 { code.text(1)? } else { names::name(builtin) };
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
        if self.batched(name, node)? {
            return Ok(());
        }
        let values = match self.fold(name, node)? {
            Some(host) => {
                self.spend(host.len())?;
                vec![Value::Host(host)]
            }
            None => self.dispatch(name, node)?,
        };
        self.give(node, values)
    }

    /// Counts elements that are made while importing.
    fn spend(&mut self, count: usize) -> Result<(), Refusal> {
        self.computed = self.computed.saturating_add(count);
        if self.computed > MAX_COMPUTED {
            return Err(wrong(format!("more than {MAX_COMPUTED} constants to compute")));
        }
        Ok(())
    }

    fn give(&mut self, node: &Node<'a>, values: Vec<Value>) -> Result<(), Refusal> {
        for (&at, value) in node.outputs.iter().zip(values) {
            let place = usize::try_from(at).map_err(|_| wrong("an output"))?;
            let value = self.stored(at, value)?;
            if self.spread.contains_key(&at) || self.values.insert(place, value).is_some() {
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
                let live = self.without_island(&name, live, rule)?;
                let id = self.build.quantized(&name, live.id, rule)?;
                Ok(Value::Live(Live { id, ..live }))
            }
            (value, _) => Ok(value),
        }
    }

    /// A function of real numbers between DEQUANTIZE and QUANTIZE is one of int8.
    fn without_island(
        &mut self,
        name: &str,
        live: Live,
        rule: Quantization,
    ) -> Result<Live, Refusal> {
        let alone =
            |node: &graph::Node| node.inputs.first().copied().filter(|_| node.inputs.len() == 1);
        let made = self.build.made_by(live.id);
        let Some((op, real)) = made.and_then(|made| Some((made.op.clone(), alone(made)?))) else {
            return Ok(live);
        };
        let from = self.build.made_by(real).filter(|of| of.op == Op::Dequantize).and_then(alone);
        match (op, from) {
            (op @ (Op::Unary(_) | Op::Clamp(_)), Some(x)) if self.build.is_int8(x) => {
                let out = Out { name: name.to_owned(), rule: Some(rule) };
                Ok(Live { id: self.build.compute(&out, op, &[x])?, ..live })
            }
            _ => Ok(live),
        }
    }

    fn out(&self, node: &Node<'a>) -> Result<Out, Refusal> {
        let tensor = self.tensor(node.output())?;
        Ok(Out { name: tensor.name.clone(), rule: tensor.signed_rule() })
    }
}
