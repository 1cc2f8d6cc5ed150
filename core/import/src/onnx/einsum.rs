//! `Einsum`: diagonals, sums, and products of matrices or of elements.
use edgemill_model::graph::{Clamp, Pair, Reduction, Span};

use super::Importer;
use super::moves::turned;
use crate::builder::{Out, Shape, Value};
use crate::{Refusal, unsupported, wrong};

/// A letter of the equation; what the points stand for counts on from [`POINTS`].
type Label = u32;
const POINTS: Label = 1 << 24;

/// A value and what its axes are called.
struct Term {
    value: Value,
    labels: Vec<Label>,
}

impl Importer<'_> {
    pub(super) fn einsum(&mut self, at: usize) -> Result<Value, Refusal> {
        let count = self.node(at).inputs.len();
        let values = (0..count).map(|n| self.value(at, n)).collect::<Result<Vec<_>, _>>()?;
        let ranks: Vec<usize> = values.iter().map(|v| self.build.value_shape(v).len()).collect();
        let (inputs, output) = labels(&self.text(at, "equation", ""), &ranks)?;
        let mut terms = Vec::new();
        for (value, labels) in values.into_iter().zip(inputs) {
            terms.push(self.without_repeats(Term { value, labels })?);
        }
        terms.reverse();
        let mut term = terms.pop().ok_or_else(|| wrong("it has no inputs"))?;
        while let Some(next) = terms.pop() {
            let rest = terms.iter().flat_map(|t| &t.labels).chain(&output);
            let kept: Vec<Label> = rest.copied().collect();
            let out = if terms.is_empty() { self.out(at) } else { Out::default() };
            term = self.contracted(&out, term, next, &kept)?;
        }
        let out = if count == 1 { self.out(at) } else { Out::default() };
        let term = self.summed_out(&out, term, &output)?;
        let place = |label: &Label| term.labels.iter().position(|l| l == label);
        let order: Option<Vec<usize>> = output.iter().map(place).collect();
        let order = order.ok_or_else(|| wrong("its result has an axis that no input has"))?;
        turned(self.as_live(term.value)?, &order)
    }

    /// The diagonal of axes that have the same name.
    fn without_repeats(&mut self, mut term: Term) -> Result<Term, Refusal> {
        let again = |labels: &[Label]| {
            (0..labels.len()).find_map(|a| {
                (a + 1..labels.len()).find(|&b| labels[a] == labels[b]).map(|b| (a, b))
            })
        };
        while let Some((a, b)) = again(&term.labels) {
            let mut order: Vec<usize> =
                (0..term.labels.len()).filter(|&axis| axis != a && axis != b).collect();
            order.extend([a, b]);
            let live = self.as_live(term.value)?;
            let Value::Live(live) = turned(live, &order)? else { return Err(wrong("a constant")) };
            let shape = self.build.logical(&live);
            let (outer, size) = (shape[..shape.len() - 2].to_vec(), shape[shape.len() - 1]);
            if shape[shape.len() - 2] != size {
                return Err(wrong("axes of one name differ in length"));
            }
            let flat = [&outer[..], &[size * size]].concat();
            let flat = self.build.reshaped("", &Value::Live(live), flat)?;
            let mut spans: Vec<Span> = outer.iter().map(|&d| Span::whole(d)).collect();
            let step = i32::try_from(size + 1).map_err(|_| wrong("an axis"))?;
            spans.push(Span { start: 0, step, count: size });
            let value = self.sliced("", &flat, &spans)?;
            let labels = order[..order.len() - 1].iter().map(|&axis| term.labels[axis]).collect();
            term = Term { value, labels };
        }
        Ok(term)
    }

    /// Without the axes that are not in `kept`: their sum.
    fn summed_out(&mut self, out: &Out, term: Term, kept: &[Label]) -> Result<Term, Refusal> {
        let gone = |axis: &usize| !kept.contains(&term.labels[*axis]);
        let on: Vec<usize> = (0..term.labels.len()).filter(gone).collect();
        if on.is_empty() {
            return Ok(term);
        }
        let live = self.as_live(term.value)?;
        let real = self.build.real(live.id)?;
        let x = Value::Live(crate::builder::Live { id: real, order: live.order });
        let sum = self.reduced(out, &x, Reduction::Sum, on.clone())?;
        let shape = self.build.value_shape(&sum);
        let stays = |axis: &usize| !on.contains(axis);
        let left: Vec<usize> = (0..shape.len()).filter(stays).collect();
        let shape = left.iter().map(|&axis| shape[axis]).collect();
        let value = Value::Live(self.build.reshaped("", &sum, shape)?);
        Ok(Term { value, labels: left.iter().map(|&axis| term.labels[axis]).collect() })
    }

    /// The product of two terms, summed over what neither `kept` nor only one of them has.
    fn contracted(&mut self, out: &Out, a: Term, b: Term, kept: &[Label]) -> Result<Term, Refusal> {
        let with = |labels: &[Label]| [kept, labels].concat();
        let a = self.summed_out(&Out::default(), a, &with(&b.labels.clone()))?;
        let b = self.summed_out(&Out::default(), b, &with(&a.labels.clone()))?;
        let pick = |from: &Term, f: &dyn Fn(&Label) -> bool| -> Vec<Label> {
            from.labels.iter().copied().filter(|l| f(l)).collect()
        };
        let batch = pick(&a, &|l| b.labels.contains(l) && kept.contains(l));
        let inner = pick(&a, &|l| b.labels.contains(l) && !kept.contains(l));
        let rows = pick(&a, &|l| !b.labels.contains(l));
        let columns = pick(&b, &|l| !a.labels.contains(l));
        let labels = [&batch[..], &rows, &columns].concat();
        let sizes = |this: &Self, term: &Term, of: &[Label]| -> Shape {
            let shape = this.build.value_shape(&term.value);
            let size = |l| term.labels.iter().position(|at| at == l).map_or(1, |at| shape[at]);
            of.iter().map(size).collect()
        };
        let (of_rows, of_columns) = (sizes(self, &a, &rows), sizes(self, &b, &columns));
        if inner.is_empty() {
            let ones = |of: &[u32]| vec![1; of.len()];
            let (of_a, of_b) = (sizes(self, &a, &batch), sizes(self, &b, &batch));
            let wide = [&of_a[..], &of_rows, &ones(&of_columns)].concat();
            let a = self.laid(a, &[&batch[..], &rows].concat(), wide)?;
            let wide = [&of_b[..], &ones(&of_rows), &of_columns].concat();
            let b = self.laid(b, &[&batch[..], &columns].concat(), wide)?;
            let value = self.build.pair(out, Pair::Mul, Clamp::NONE, [&a, &b])?;
            return Ok(Term { value, labels });
        }
        let shared = [&batch[..], &inner].concat();
        if sizes(self, &a, &shared) != sizes(self, &b, &shared) {
            return Err(unsupported("axes of one name that differ in length"));
        }
        let outer = sizes(self, &a, &batch);
        let [many, depth] = [&outer[..], &sizes(self, &a, &inner)].map(|s| s.iter().product());
        let [m, n] = [&of_rows, &of_columns].map(|s| s.iter().product());
        let lead = if batch.is_empty() { Vec::new() } else { vec![many] };
        let a =
            self.laid(a, &[&batch[..], &rows, &inner].concat(), [&lead[..], &[m, depth]].concat())?;
        let b = self.laid(
            b,
            &[&batch[..], &inner, &columns].concat(),
            [&lead[..], &[depth, n]].concat(),
        )?;
        let product = self.mat_mul(out, &a, &b, None)?;
        let shape = [outer, of_rows, of_columns].concat();
        let value = Value::Live(self.build.reshaped(&out.name, &product, shape)?);
        Ok(Term { value, labels })
    }

    /// The axes in the order of `labels`, then seen as of another shape.
    fn laid(&mut self, term: Term, labels: &[Label], shape: Shape) -> Result<Value, Refusal> {
        let place = |label: &Label| term.labels.iter().position(|l| l == label);
        let order: Option<Vec<usize>> = labels.iter().map(place).collect();
        let order = order.ok_or_else(|| wrong("its equation"))?;
        match term.value {
            Value::Host(host) => Ok(Value::Host(
                host.transposed(&order).reshaped(shape.iter().map(|&d| d as usize).collect()),
            )),
            Value::Live(live) => {
                let value = turned(live, &order)?;
                Ok(Value::Live(self.build.reshaped("", &value, shape)?))
            }
        }
    }
}

/// What the axes of each input and of the result are called.
fn labels(equation: &str, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>), Refusal> {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (equation.as_str(), None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != ranks.len() {
        return Err(wrong("its equation does not fit its inputs"));
    }
    let mut made = Vec::new();
    let mut points = 0;
    for (text, &rank) in inputs.iter().zip(ranks) {
        let letters = text.chars().filter(char::is_ascii_alphabetic).count();
        let open = rank.checked_sub(letters).filter(|&open| open == 0 || text.contains("..."));
        let open = open.ok_or_else(|| wrong("its equation does not fit an input's axes"))?;
        points = points.max(open);
        made.push(named(text, open)?);
    }
    let output = match output {
        Some(text) => named(text, if text.contains("...") { points } else { 0 })?,
        None => implied(&made, points),
    };
    Ok((made, output))
}

/// The names of one term whose points stand for `open` axes.
fn named(text: &str, open: usize) -> Result<Vec<Label>, Refusal> {
    let open = Label::try_from(open).map_err(|_| wrong("too many axes"))?;
    let mut labels = Vec::new();
    for (index, part) in text.split("...").enumerate() {
        if index == 1 {
            // Points are aligned at their end.
            labels.extend((0..open).rev().map(|n| POINTS + n));
        }
        if index > 1 || !part.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(wrong(format!("its equation has the term {text:?}")));
        }
        labels.extend(part.chars().map(Label::from));
    }
    Ok(labels)
}

/// Points, then what stands once, in alphabetical order.
fn implied(inputs: &[Vec<Label>], points: usize) -> Vec<Label> {
    let all: Vec<Label> = inputs.concat();
    let mut once: Vec<Label> = all
        .iter()
        .copied()
        .filter(|l| *l < POINTS && all.iter().filter(|other| *other == l).count() == 1)
        .collect();
    once.sort_unstable();
    let points = Label::try_from(points).unwrap_or(0);
    (0..points).rev().map(|n| POINTS + n).chain(once).collect()
}
