//! Recurrent layers, step by step: what they read is multiplied at once, and each step then has nodes of its own.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Span};

use super::moves::{sliced_host, turned};
use super::{Attribute, Importer};
use crate::builder::{Live, Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The most steps of a layer.
const MAX_STEPS: u32 = 512;

/// What each step of one direction needs.
struct Layer {
    kind: Kind,
    hidden: u32,
    /// The weights of the state, \[hidden, gates\], and their bias.
    state: Value,
    bias: Value,
    /// How far the cell is seen by the gates, each \[hidden\]: input, output, forget.
    peepholes: Option<[Value; 3]>,
    function: Function,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Lstm,
    /// With the state multiplied before it is reset, or after.
    Gru {
        before: bool,
    },
    Plain,
}

impl Importer<'_> {
    pub(super) fn recurrent(&mut self, at: usize, op: &str) -> Result<Vec<Value>, Refusal> {
        let function = self.plain_activation(at, op)?;
        let (kind, gates) = match op {
            "LSTM" => (Kind::Lstm, 4),
            "GRU" => (Kind::Gru { before: self.int(at, "linear_before_reset", 0) != 0 }, 3),
            _ => (Kind::Plain, 1),
        };
        let across = self.int(at, "layout", 0) != 0;
        let x = self.value(at, 0)?;
        let mut x = self.real_live(&x)?;
        if across {
            x = self.as_live(turned(x, &[1, 0, 2])?)?;
        }
        let &[steps, batch, input] = &self.build.logical(&x)[..] else {
            return Err(wrong("its input has other axes than three"));
        };
        let (weights, state) = (self.need_host(at, 1)?, self.need_host(at, 2)?);
        let &[directions, wide, hidden] = &state.shape32()[..] else {
            return Err(wrong("its weights have other axes than three"));
        };
        let fits = weights.shape32() == [directions, wide, input] && wide == gates * hidden;
        if !fits || !(1..=2).contains(&directions) || steps > MAX_STEPS {
            return Err(unsupported(format!(
                "weights that do not fit, or more than {MAX_STEPS} steps"
            )));
        }
        self.check_lengths(at, steps)?;
        let rows =
            Value::Live(self.build.reshaped("", &Value::Live(x), vec![steps * batch, input])?);
        let reverse = self.text(at, "direction", "forward") == "reverse";
        let (mut all, mut last, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for direction in 0..directions {
            let of = |host: &Host| {
                let mut spans: Vec<Span> = host.shape32().iter().map(|&d| Span::whole(d)).collect();
                spans[0] = Span { start: direction, step: 1, count: 1 };
                sliced_host(host, &spans).real().reshaped(host.shape[1..].to_vec())
            };
            let (bias, state_bias) = self.biases(at, &of, wide)?;
            let weights = Value::Host(of(&weights).transposed(&[1, 0]));
            let read = self.mat_mul(&Out::default(), &rows, &weights, Some(&bias))?;
            let read = self.build.reshaped("", &read, vec![steps, batch, wide])?;
            let layer = Layer {
                kind,
                hidden,
                state: Value::Host(of(&state).transposed(&[1, 0])),
                bias: state_bias,
                peepholes: self.peepholes(at, &of, hidden)?,
                function,
            };
            let first =
                [5, 6].map(|index| self.first(at, index, direction, across, [batch, hidden]));
            let [h, c] = first;
            let backwards = reverse || direction == 1;
            let (made, h, c) = self.steps(&layer, &read, [h?, c?], backwards)?;
            all.push(self.joined_steps(&made, vec![steps, 1, batch, hidden])?);
            last.push(Value::Live(self.build.reshaped("", &h, vec![1, batch, hidden])?));
            cells.push(Value::Live(self.build.reshaped("", &c, vec![1, batch, hidden])?));
        }
        let all = self.concat(&Out::default(), &all, 1)?;
        let last = self.concat(&Out::default(), &last, 0)?;
        let cells = self.concat(&Out::default(), &cells, 0)?;
        if !across {
            return Ok(vec![all, last, cells]);
        }
        let turn = |this: &mut Self, value: Value, order: &[usize]| {
            this.as_live(value).and_then(|live| turned(live, order))
        };
        Ok(vec![
            turn(self, all, &[2, 0, 1, 3])?,
            turn(self, last, &[1, 0, 2])?,
            turn(self, cells, &[1, 0, 2])?,
        ])
    }

    fn need_host(&self, at: usize, index: usize) -> Result<Host, Refusal> {
        self.host(at, index)?.ok_or_else(|| wrong("it has no weights"))
    }

    /// The activation of a plain layer; those of the others have to be the usual ones.
    fn plain_activation(&self, at: usize, op: &str) -> Result<Function, Refusal> {
        if self.float(at, "clip", 0.0) != 0.0 || self.int(at, "input_forget", 0) != 0 {
            return Err(unsupported("clip or input_forget"));
        }
        let Some(Attribute::Texts(names)) = self.attribute(at, "activations") else {
            return Ok(Function::Tanh);
        };
        let usual = match op {
            "LSTM" => vec!["Sigmoid", "Tanh", "Tanh"],
            "GRU" => vec!["Sigmoid", "Tanh"],
            _ => vec!["Tanh"],
        };
        let is = |usual: &[&str]| names.iter().zip(usual.iter().cycle()).all(|(a, b)| a == b);
        if is(&usual) {
            return Ok(Function::Tanh);
        }
        if op == "RNN" && is(&["Relu"]) {
            return Ok(Function::Threshold(0.0));
        }
        Err(unsupported(format!("activations {names:?}")))
    }

    /// Every sequence has to be as long as the input.
    fn check_lengths(&self, at: usize, steps: u32) -> Result<(), Refusal> {
        let lengths = self.host(at, 4)?.map_or_else(Vec::new, |host| host.i64s());
        if lengths.iter().any(|&length| length != i64::from(steps)) {
            return Err(unsupported("sequences of different lengths"));
        }
        Ok(())
    }

    /// The biases of what is read and of the state.
    fn biases(
        &self,
        at: usize,
        of: &impl Fn(&Host) -> Host,
        wide: u32,
    ) -> Result<(Value, Value), Refusal> {
        let wide = wide as usize;
        let list = match self.host(at, 3)? {
            Some(host) if host.shape.len() == 2 => of(&host).f32s(),
            Some(_) => return Err(wrong("its bias")),
            None => vec![0.0; 2 * wide],
        };
        if list.len() != 2 * wide {
            return Err(wrong("its bias"));
        }
        let half = |part: &[f32]| Value::Host(Host::floats(vec![wide], part.to_vec()));
        Ok((half(&list[..wide]), half(&list[wide..])))
    }

    fn peepholes(
        &self,
        at: usize,
        of: &impl Fn(&Host) -> Host,
        hidden: u32,
    ) -> Result<Option<[Value; 3]>, Refusal> {
        let Some(host) = self.host(at, 7)?.filter(|host| host.shape.len() == 2) else {
            return Ok(None);
        };
        let (list, hidden) = (of(&host).f32s(), hidden as usize);
        if list.len() != 3 * hidden {
            return Err(wrong("its peepholes"));
        }
        let part = |n: usize| {
            Value::Host(Host::floats(vec![hidden], list[n * hidden..(n + 1) * hidden].to_vec()))
        };
        Ok(Some([part(0), part(1), part(2)]))
    }

    /// The state that a direction begins with.
    fn first(
        &mut self,
        at: usize,
        index: usize,
        direction: u32,
        across: bool,
        [batch, hidden]: [u32; 2],
    ) -> Result<Value, Refusal> {
        let given =
            if self.node(at).op == "LSTM" || index == 5 { self.optional(at, index)? } else { None };
        let Some(given) = given else {
            let count = batch as usize * hidden as usize;
            let zeros = Host::floats(vec![batch as usize, hidden as usize], vec![0.0; count]);
            return Ok(Value::Live(self.as_live(Value::Host(zeros))?));
        };
        let mut live = self.real_live(&given)?;
        if across {
            live = self.as_live(turned(live, &[1, 0, 2])?)?;
        }
        let shape = self.build.logical(&live);
        if shape.len() != 3 || shape[1..] != [batch, hidden] || shape[0] <= direction {
            return Err(wrong("the state that it begins with"));
        }
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        spans[0] = Span { start: direction, step: 1, count: 1 };
        let one = self.sliced("", &live, &spans)?;
        Ok(Value::Live(self.build.reshaped("", &one, vec![batch, hidden])?))
    }

    /// The states after each step in the order of time, the last state and the last cell.
    fn steps(
        &mut self,
        layer: &Layer,
        read: &Live,
        [mut h, mut c]: [Value; 2],
        backwards: bool,
    ) -> Result<(Vec<Value>, Value, Value), Refusal> {
        let &[steps, batch, wide] = &self.build.logical(read)[..] else {
            return Err(wrong("three axes"));
        };
        let mut made = Vec::new();
        for step in 0..steps {
            let time = if backwards { steps - 1 - step } else { step };
            let mut spans = [steps, batch, wide].map(Span::whole).to_vec();
            spans[0] = Span { start: time, step: 1, count: 1 };
            let now = self.sliced("", read, &spans)?;
            let now = Value::Live(self.build.reshaped("", &now, vec![batch, wide])?);
            h = match layer.kind {
                Kind::Lstm => {
                    let (state, cell) = self.lstm(layer, &now, &h, &c)?;
                    c = cell;
                    state
                }
                Kind::Gru { before } => self.gru(layer, &now, &h, before)?,
                Kind::Plain => {
                    let sum = self.with_state(layer, &now, &h)?;
                    self.build.each(&Out::default(), Op::Unary(layer.function), &sum)?
                }
            };
            made.push(h.clone());
        }
        if backwards {
            made.reverse();
        }
        Ok((made, h, c))
    }

    /// What was read and the state by its weights.
    fn with_state(&mut self, layer: &Layer, now: &Value, h: &Value) -> Result<Value, Refusal> {
        let by = self.mat_mul(&Out::default(), h, &layer.state, Some(&layer.bias))?;
        self.two(Pair::Add, now, &by)
    }

    fn two(&mut self, pair: Pair, a: &Value, b: &Value) -> Result<Value, Refusal> {
        self.build.pair(&Out::default(), pair, Clamp::NONE, [a, b])
    }

    fn one(&mut self, function: Function, x: &Value) -> Result<Value, Refusal> {
        self.build.each(&Out::default(), Op::Unary(function), x)
    }

    /// One gate of all.
    fn gate(&mut self, layer: &Layer, gates: &Value, n: u32) -> Result<Value, Refusal> {
        let live = self.as_live(gates.clone())?;
        let batch = self.build.logical(&live)[0];
        let gate = Span { start: n * layer.hidden, step: 1, count: layer.hidden };
        self.sliced("", &live, &[Span::whole(batch), gate])
    }

    /// A gate that may see the cell.
    fn seeing(
        &mut self,
        layer: &Layer,
        gate: Value,
        n: usize,
        c: &Value,
    ) -> Result<Value, Refusal> {
        let gate = match &layer.peepholes {
            None => gate,
            Some(peepholes) => {
                let seen = self.two(Pair::Mul, c, &peepholes[n])?;
                self.two(Pair::Add, &gate, &seen)?
            }
        };
        self.one(Function::Sigmoid, &gate)
    }

    fn lstm(
        &mut self,
        layer: &Layer,
        now: &Value,
        h: &Value,
        c: &Value,
    ) -> Result<(Value, Value), Refusal> {
        let gates = self.with_state(layer, now, h)?;
        let [input, output, forget, cell] = [0, 1, 2, 3].map(|n| self.gate(layer, &gates, n));
        let input = self.seeing(layer, input?, 0, c)?;
        let forget = self.seeing(layer, forget?, 2, c)?;
        let cell = self.one(Function::Tanh, &cell?)?;
        let kept = self.two(Pair::Mul, &forget, c)?;
        let new = self.two(Pair::Mul, &input, &cell)?;
        let cell = self.two(Pair::Add, &kept, &new)?;
        let output = self.seeing(layer, output?, 1, &cell)?;
        let seen = self.one(Function::Tanh, &cell)?;
        Ok((self.two(Pair::Mul, &output, &seen)?, cell))
    }

    fn gru(
        &mut self,
        layer: &Layer,
        now: &Value,
        h: &Value,
        before: bool,
    ) -> Result<Value, Refusal> {
        let by = self.mat_mul(&Out::default(), h, &layer.state, Some(&layer.bias))?;
        let mut gates = Vec::new();
        for n in 0..2 {
            let (now, by) = (self.gate(layer, now, n)?, self.gate(layer, &by, n)?);
            let sum = self.two(Pair::Add, &now, &by)?;
            gates.push(self.one(Function::Sigmoid, &sum)?);
        }
        let (update, reset) = (&gates[0], &gates[1]);
        let by = if before {
            let by = self.gate(layer, &by, 2)?;
            self.two(Pair::Mul, reset, &by)?
        } else {
            let kept = self.two(Pair::Mul, reset, h)?;
            let by = self.mat_mul(&Out::default(), &kept, &layer.state, Some(&layer.bias))?;
            self.gate(layer, &by, 2)?
        };
        let now = self.gate(layer, now, 2)?;
        let sum = self.two(Pair::Add, &now, &by)?;
        let new = self.one(Function::Tanh, &sum)?;
        // (1 − update) × new + update × state
        let less = self.two(Pair::Sub, h, &new)?;
        let less = self.two(Pair::Mul, update, &less)?;
        self.two(Pair::Add, &new, &less)
    }

    fn joined_steps(&mut self, made: &[Value], shape: Vec<u32>) -> Result<Value, Refusal> {
        let all = self.concat(&Out::default(), made, 0)?;
        Ok(Value::Live(self.build.reshaped("", &all, shape)?))
    }
}
