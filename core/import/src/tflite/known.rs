//! What is known before the model runs: shapes, and what is computed of them.
use edgemill_model::graph::Span;

use super::options::{axis, sizes};
use super::{Importer, Node};
use crate::builder::Value;
use crate::host::{Data, Host, MAX_ELEMENTS, broadcast};
use crate::{Refusal, wrong};

impl<'a> Importer<'a> {
    /// What an operator gives, if it is known now.
    pub(super) fn fold(&self, name: &str, node: &Node<'a>) -> Result<Option<Host>, Refusal> {
        if let "SHAPE" | "RANK" = name {
            let shape = self.build.value_shape(&self.operand(node, 0)?);
            let list: Vec<i64> = shape.into_iter().map(i64::from).collect();
            let rank = i64::try_from(list.len()).unwrap_or(0);
            return Ok(Some(if name == "SHAPE" { Host::ints(list) } else { single(rank) }));
        }
        if name == "ZEROS_LIKE" {
            let shape = self.build.value_shape(&self.operand(node, 0)?);
            let shape = Host::ints(shape.into_iter().map(i64::from).collect());
            let whole = self.tensor(node.output())?.is_whole();
            let zero = if whole { single(0) } else { Host::scalar(0.0) };
            return filled(&shape, &zero).map(Some);
        }
        let mut hosts = Vec::new();
        for at in node.inputs.iter().filter(|&&at| at >= 0) {
            match self.value(*at)? {
                Value::Host(host) => hosts.push(host),
                Value::Live(_) => return Ok(None),
            }
        }
        let Some(x) = hosts.first() else { return Ok(None) };
        if name == "DENSIFY" {
            return Ok(Some(x.clone()));
        }
        self.of_hosts(name, node, x, &hosts[1..])
    }

    fn of_hosts(
        &self,
        name: &str,
        node: &Node<'a>,
        x: &Host,
        others: &[Host],
    ) -> Result<Option<Host>, Refusal> {
        let second = || others.first().ok_or_else(|| wrong("an input is missing"));
        if let ("FILL", Ok(value)) = (name, second()) {
            return filled(x, value).map(Some);
        }
        if !x.is_whole() || !others.iter().all(Host::is_whole) {
            return Ok(None);
        }
        if let Some(function) = pair(name) {
            return x.zip(second()?, true, function).map(Some).ok_or_else(does_not_fit);
        }
        Ok(Some(match name {
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                let shape = self.new_shape(name, node, &x.shape32())?;
                let shape: Vec<usize> = shape.into_iter().map(|d| d as usize).collect();
                if shape.iter().product::<usize>() != x.len() {
                    return Err(wrong("its shape"));
                }
                x.reshaped(shape)
            }
            "CAST" if self.tensor(node.output())?.is_whole() => x.clone(),
            "STRIDED_SLICE" => {
                let of = self.strides(node, &x.shape32())?;
                let shape = of.shape.into_iter().map(|d| d as usize).collect();
                part(x, &of.spans)?.reshaped(shape)
            }
            "SLICE" => part(x, &self.part(node)?)?,
            "PACK" if x.shape.is_empty() => row(x, others),
            "CONCATENATION" if x.shape.len() == 1 => row(x, others),
            "GATHER" if x.shape.len() == 1 => {
                axis(node.i32(0, 0)?.into(), 1)?;
                let indices = second()?;
                let places: Vec<usize> =
                    sizes(&indices.i64s()).into_iter().map(|i| i as usize).collect();
                if places.iter().any(|&place| place >= x.len()) {
                    return Err(wrong("a place beyond the end"));
                }
                x.picked(indices.shape.clone(), &places)
            }
            "REDUCE_PROD" if x.shape.len() == 1 => {
                single(x.i64s().into_iter().fold(1, i64::saturating_mul))
            }
            "BROADCAST_ARGS" => {
                let lengths = |h: &Host| sizes(&h.i64s()).into_iter().map(|d| d as usize).collect();
                let (a, b): (Vec<usize>, Vec<usize>) = (lengths(x), lengths(second()?));
                let shape = broadcast(&a, &b).ok_or_else(does_not_fit)?;
                Host::ints(shape.into_iter().map(|d| i64::try_from(d).unwrap_or(0)).collect())
            }
            "RANGE" => range(x, others)?,
            _ => return Ok(None),
        }))
    }
}

fn does_not_fit() -> Refusal {
    wrong("its inputs do not go together")
}

fn single(element: i64) -> Host {
    Host { shape: Vec::new(), data: Data::I(vec![element]) }
}

/// Scalars or lists, end to end.
fn row(x: &Host, others: &[Host]) -> Host {
    Host::ints(std::iter::once(x).chain(others).flat_map(Host::i64s).collect())
}

fn pair(name: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match name {
        "ADD" => |a, b| a + b,
        "SUB" => |a, b| a - b,
        "MUL" => |a, b| a * b,
        "DIV" => |a, b| (a / b).trunc(),
        "FLOOR_DIV" => |a, b| (a / b).floor(),
        "FLOOR_MOD" => |a, b| a - b * (a / b).floor(),
        "MAXIMUM" => f64::max,
        "MINIMUM" => f64::min,
        _ => return None,
    })
}

fn part(x: &Host, spans: &[Span]) -> Result<Host, Refusal> {
    let (mut first, mut shape, mut strides) = (0_i64, Vec::new(), Vec::new());
    for ((span, &stride), &size) in spans.iter().zip(&x.strides()).zip(&x.shape) {
        let last = i64::from(span.start)
            + i64::from(span.step) * (i64::from(span.count).saturating_sub(1));
        let inside = |at: i64| usize::try_from(at).is_ok_and(|at| at < size);
        if span.count == 0 || !inside(span.start.into()) || !inside(last) {
            return Err(wrong("its bounds"));
        }
        let step = isize::try_from(span.step).map_err(|_| wrong("its steps"))?;
        first += i64::from(span.start) * stride as i64;
        shape.push(span.count as usize);
        strides.push(stride * step);
    }
    if shape.len() != x.shape.len() {
        return Err(wrong("its bounds"));
    }
    Ok(x.view(usize::try_from(first).map_err(|_| wrong("its bounds"))?, &shape, &strides))
}

fn filled(shape: &Host, value: &Host) -> Result<Host, Refusal> {
    let shape: Vec<usize> =
        shape.i64s().into_iter().map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    if count.is_none_or(|n| n > MAX_ELEMENTS) || value.len() != 1 {
        return Err(wrong(format!("more than {MAX_ELEMENTS} elements")));
    }
    value.reshaped(Vec::new()).spread(&shape).ok_or_else(does_not_fit)
}

fn range(start: &Host, others: &[Host]) -> Result<Host, Refusal> {
    let first = |host: &Host| host.i64s().first().copied();
    let (Some(start), [end, step]) = (first(start), others) else { return Err(does_not_fit()) };
    let (Some(end), Some(step)) = (first(end), first(step)) else { return Err(does_not_fit()) };
    let before = |at: i64| if step > 0 { at < end } else { at > end };
    let mut list = Vec::new();
    let mut at = start;
    while step != 0 && before(at) {
        if list.len() >= MAX_ELEMENTS {
            return Err(wrong(format!("more than {MAX_ELEMENTS} elements")));
        }
        list.push(at);
        at = at.saturating_add(step);
    }
    Ok(Host::ints(list))
}
