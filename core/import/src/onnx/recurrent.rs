//! Recurrent layers, step by step: what they read is multiplied at once, and each step then has nodes of its own.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Span};

use super::moves::{sliced_host, turned};
use super::{Attribute, Importer};
use crate::builder::{Live, Out, Value};
use crate::host::{Host, MAX_ELEMENTS};
use crate::{Refusal, unsupported, wrong};

/// The most steps of a layer.
const MAX_STEPS: u32 = 512;

/// What each step of one direction needs.
struct Layer {
    kind: Kind,
    hidden: u32,
    /// Weights of what is read, \[input, gates\], and of the state, \[hidden, gates\], with their biases.
    read: Value,
    read_bias: Value,
    state: Value,
    state_bias: Value,
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
        let (rows, sizes) = self.read_rows(at)?;
        let state = self.need_host(at, 2)?;
        let &[directions, wide, hidden] = &state.shape32()[..] else {
            return Err(wrong("its weights have other axes than three"));
        };
        if wide != gates * hidden || !(1..=2).contains(&directions) {
            return Err(wrong("its weights do not fit"));
        }
        let mut made = [Vec::new(), Vec::new(), Vec::new()];
        for direction in 0..directions {
            let layer = self.layer(at, direction, (kind, function), hidden)?;
            let values = self.one_direction(at, direction, &layer, &rows, sizes)?;
            made.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        let across = self.int(at, "layout", 0) != 0;
        let orders: [(i64, &[usize]); 3] = [(1, &[2, 0, 1, 3]), (0, &[1, 0, 2]), (0, &[1, 0, 2])];
        let mut joined = Vec::new();
        for (values, (along, order)) in made.iter().zip(orders) {
            let all = self.concat(&Out::default(), values, along)?;
            let all = self.as_live(all)?;
            joined.push(if across { turned(all, order)? } else { Value::Live(all) });
        }
        Ok(joined)
    }

    /// What is read, a row for each step and example; and how many steps, examples and columns.
    fn read_rows(&mut self, at: usize) -> Result<(Value, [u32; 3]), Refusal> {
        let x = self.value(at, 0)?;
        let mut x = self.real_live(&x)?;
        if self.int(at, "layout", 0) != 0 {
            x = self.as_live(turned(x, &[1, 0, 2])?)?;
        }
        let &[steps, batch, input] = &self.build.logical(&x)[..] else {
            return Err(wrong("its input has other axes than three"));
        };
        if steps > MAX_STEPS {
            return Err(unsupported(format!("{steps} steps: at most {MAX_STEPS} are")));
        }
        self.check_lengths(at, steps)?;
        let rows = self.build.reshaped("", &Value::Live(x), vec![steps * batch, input])?;
        Ok((Value::Live(rows), [steps, batch, input]))
    }

    /// The weights of one direction.
    fn layer(
        &self,
        at: usize,
        direction: u32,
        (kind, function): (Kind, Function),
        hidden: u32,
    ) -> Result<Layer, Refusal> {
        let of = |index: usize| -> Result<Value, Refusal> {
            let host = of_direction(&self.need_host(at, index)?, direction)?;
            if host.shape.len() != 2 {
                return Err(wrong("its weights have other axes than three"));
            }
            Ok(Value::Host(host.transposed(&[1, 0])))
        };
        let (read, state) = (of(1)?, of(2)?);
        let [read_bias, state_bias] = self.biases(at, direction, &state)?;
        let peepholes = self.peepholes(at, direction, hidden)?;
        Ok(Layer { kind, function, hidden, read, read_bias, state, state_bias, peepholes })
    }

    /// The states of all steps, the last one and the last cell.
    fn one_direction(
        &mut self,
        at: usize,
        direction: u32,
        layer: &Layer,
        rows: &Value,
        [steps, batch, input]: [u32; 3],
    ) -> Result<[Value; 3], Refusal> {
        let weights = self.build.value_shape(&layer.read);
        if weights[0] != input {
            return Err(wrong("its weights do not fit its input"));
        }
        let read = self.mat_mul(&Out::default(), rows, &layer.read, Some(&layer.read_bias))?;
        let read = self.build.reshaped("", &read, vec![steps, batch, weights[1]])?;
        let hidden = layer.hidden;
        let [h, c] = [5, 6].map(|index| self.first(at, index, direction, [batch, hidden]));
        let backwards = direction == 1 || self.text(at, "direction", "forward") == "reverse";
        let (made, h, c) = self.steps(layer, &read, [h?, c?], backwards)?;
        let all = self.concat(&Out::default(), &made, 0)?;
        Ok([
            Value::Live(self.build.reshaped("", &all, vec![steps, 1, batch, hidden])?),
            Value::Live(self.build.reshaped("", &h, vec![1, batch, hidden])?),
            Value::Live(self.build.reshaped("", &c, vec![1, batch, hidden])?),
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

    /// The biases of what is read and of the state, whose weights are \[hidden, gates\].
    fn biases(&self, at: usize, direction: u32, state: &Value) -> Result<[Value; 2], Refusal> {
        let wide = self.build.value_shape(state)[1] as usize;
        let list = match self.host(at, 3)? {
            Some(host) => of_direction(&host, direction)?.f32s(),
            None => vec![0.0; 2 * wide],
        };
        if list.len() != 2 * wide {
            return Err(wrong("its bias"));
        }
        let half = |part: &[f32]| Value::Host(Host::floats(vec![wide], part.to_vec()));
        Ok([half(&list[..wide]), half(&list[wide..])])
    }

    fn peepholes(
        &self,
        at: usize,
        direction: u32,
        hidden: u32,
    ) -> Result<Option<[Value; 3]>, Refusal> {
        let Some(host) = self.host(at, 7)? else { return Ok(None) };
        let (list, hidden) = (of_direction(&host, direction)?.f32s(), hidden as usize);
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
        [batch, hidden]: [u32; 2],
    ) -> Result<Value, Refusal> {
        let given =
            if self.node(at).op == "LSTM" || index == 5 { self.optional(at, index)? } else { None };
        let Some(given) = given else {
            let count = batch as usize * hidden as usize;
            if count > MAX_ELEMENTS {
                return Err(unsupported("that many examples"));
            }
            let zeros = Host::floats(vec![batch as usize, hidden as usize], vec![0.0; count]);
            return Ok(Value::Live(self.as_live(Value::Host(zeros))?));
        };
        let mut live = self.real_live(&given)?;
        if self.int(at, "layout", 0) != 0 {
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
        let by = self.mat_mul(&Out::default(), h, &layer.state, Some(&layer.state_bias))?;
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
        let by = self.mat_mul(&Out::default(), h, &layer.state, Some(&layer.state_bias))?;
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
            let by = self.mat_mul(&Out::default(), &kept, &layer.state, Some(&layer.state_bias))?;
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
}

/// What a constant has for one direction.
fn of_direction(host: &Host, direction: u32) -> Result<Host, Refusal> {
    let mut spans: Vec<Span> = host.shape32().iter().map(|&d| Span::whole(d)).collect();
    match host.shape.first() {
        Some(&directions) if directions > direction as usize => {
            spans[0] = Span { start: direction, step: 1, count: 1 };
        }
        _ => return Err(wrong("its weights have too few directions")),
    }
    Ok(sliced_host(host, &spans).real().reshaped(host.shape[1..].to_vec()))
}
