//! `TFLite_Detection_PostProcess`.
use edgemill_model::graph::{Clamp, Detect, Op, Pair, Reduction, Span, ValueId};
use edgemill_model::tensor::DType;

use super::flex::Map;
use super::ops::Values;
use super::{Importer, Node};
use crate::builder::{Out, Value, element};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The most anchors of which several classes each are wanted: their places take a square of so many elements.
const MAX_ANCHORS: u32 = 1 << 12;
/// The most classes of one detection.
const MAX_CLASSES: u32 = 1 << 7;
/// Below every score.
const NOTHING: f32 = -1e30;

/// Boxes, classes, scores: \[1, rows, width\] each.
type Columns = [ValueId; 3];

impl<'a> Importer<'a> {
    pub(super) fn detect(&mut self, node: &Node<'a>) -> Values {
        let options = Map::read(node.custom)?;
        let detect = detect_of(&options)?;
        let each = options.number("max_classes_per_detection").map_or(1, whole).max(1);
        if each > MAX_CLASSES {
            return Err(unsupported(format!("more than {MAX_CLASSES} classes for each detection")));
        }
        let boxes = self.id(node, 0)?;
        let boxes = self.build.real(boxes)?;
        let scores = self.class_scores(node, &options)?;
        let anchors = Value::Host(self.known(node, 2)?.real());
        let anchors = self.build.id(&anchors)?;
        let several = each > 1 && detect.per_class.is_none();
        let rivals = if several { self.by_anchor(scores)? } else { scores };
        let inputs = [boxes, rivals, anchors];
        let found = self.build.compute(&Out::default(), Op::Detect(detect), &inputs)?;
        let mut columns =
            [self.columns(found, 0, 4)?, self.columns(found, 4, 1)?, self.columns(found, 5, 1)?];
        if several {
            columns = self.best_classes(found, scores, each)?;
        }
        let mut values = Vec::new();
        for (id, width) in columns.into_iter().zip([4, 1, 1]) {
            values.push(self.rows(id, width, detect.most.saturating_mul(each))?);
        }
        let flags = self.columns(found, 6, 1)?;
        let sum = Op::Reduce { by: Reduction::Sum, axes: vec![1] };
        let sum = self.build.keep("", sum, &[flags])?;
        let id = self.build.keep("", Op::Reshape(vec![1]), &[sum])?;
        values.push(self.live(id));
        Ok(values)
    }

    /// Without what stands before the classes: the background.
    fn class_scores(&mut self, node: &Node<'a>, options: &Map) -> Result<ValueId, Refusal> {
        let scores = self.id(node, 1)?;
        let scores = self.build.real(scores)?;
        let classes = whole(number(options, "num_classes")?);
        match self.build.shape(scores)[..] {
            [_, _, c] if c > classes => self.columns(scores, c - classes, classes),
            [_, _, _] => Ok(scores),
            _ => Err(wrong("its scores have another number of axes than three")),
        }
    }

    /// Some of the innermost axis.
    pub(super) fn columns(
        &mut self,
        x: ValueId,
        start: u32,
        count: u32,
    ) -> Result<ValueId, Refusal> {
        let shape = self.build.shape(x);
        let &[n, rows, _] = &shape[..] else { return Err(wrong("it needs three axes")) };
        let spans = vec![Span::whole(n), Span::whole(rows), Span { start, step: 1, count }];
        self.build.keep("", Op::Slice(spans), &[x])
    }

    /// As many rows as the file says, the last of them zeros.
    fn rows(&mut self, x: ValueId, width: u32, rows: u32) -> Result<Value, Refusal> {
        let count = self.build.shape(x).iter().product::<u32>() / width;
        let mut id = self.build.keep("", Op::Reshape(vec![1, count, width]), &[x])?;
        if rows > count {
            let borders = vec![[0; 2], [0, rows - count], [0; 2]];
            id = self.build.keep("", Op::Pad { borders, value: 0.0 }, &[id])?;
        }
        let shape = if width == 1 { vec![1, rows] } else { vec![1, rows, width] };
        let id = self.build.keep("", Op::Reshape(shape), &[id])?;
        Ok(self.live(id))
    }

    /// Each anchor's best score in a class of its own, so that what is found says which anchor it was.
    fn by_anchor(&mut self, scores: ValueId) -> Result<ValueId, Refusal> {
        let a = self.build.shape(scores)[1];
        if a > MAX_ANCHORS {
            return Err(unsupported(format!("several classes each for more than {MAX_ANCHORS}")));
        }
        self.spend(a as usize * a as usize)?;
        let most = Op::Reduce { by: Reduction::Max, axes: vec![2] };
        let best = self.build.keep("", most, &[scores])?;
        let own =
            (0..a).flat_map(|row| (0..a).map(move |column| f32::from(u8::from(row == column))));
        let own = Host::floats(vec![1, a as usize, a as usize], own.collect());
        let (own, best) = (Value::Host(own), self.live(best));
        let nothing = Value::Host(Host::scalar(NOTHING));
        let made = self.build.repeated(&Out::default(), Op::Select, &[&own, &best, &nothing])?;
        self.build.id(&made)
    }

    /// Of what is found with the anchor as class: its box, and its best classes with their scores.
    fn best_classes(
        &mut self,
        found: ValueId,
        scores: ValueId,
        each: u32,
    ) -> Result<Columns, Refusal> {
        let shape = self.build.shape(scores);
        let (anchors, classes) = (shape[1], shape[2]);
        let each = each.min(classes);
        let table = self.ranking(scores, each)?;
        let (place, flag) = (self.columns(found, 4, 1)?, self.columns(found, 6, 1)?);
        let is_there = self.live(flag);
        let picked = self.one_hot(place, anchors)?;
        let picked = self.real(Pair::Mul, [&picked, &is_there])?;
        let picked = self.build.id(&picked)?;
        let taken = self.build.compute(&Out::default(), Op::MatMul, &[picked, table])?;
        let boxes = self.columns(found, 0, 4)?;
        let most = self.build.shape(boxes)[1];
        let indices = (0..most).flat_map(|row| (0..each).map(move |_| row)).collect();
        let boxes = self.build.keep("", Op::Gather { axis: 1, indices }, &[boxes])?;
        Ok([boxes, self.columns(taken, 0, each)?, self.columns(taken, each, each)?])
    }

    /// For each anchor its best classes, then their scores.
    pub(super) fn ranking(&mut self, scores: ValueId, each: u32) -> Result<ValueId, Refusal> {
        let classes = self.build.shape(scores)[2];
        let (mut rest, mut places, mut bests) = (scores, Vec::new(), Vec::new());
        for _ in 0..each {
            let place = Op::ArgMax { axis: 2, least: false, last: false };
            let place = self.build.node("", place, &[rest], element(DType::I32, None))?;
            let place = self.build.real(place)?;
            let most = Op::Reduce { by: Reduction::Max, axes: vec![2] };
            places.push(place);
            bests.push(self.build.keep("", most, &[rest])?);
            let (taken, others) = (self.one_hot(place, classes)?, self.live(rest));
            let nothing = Value::Host(Host::scalar(NOTHING));
            let left = [&taken, &nothing, &others];
            let left = self.build.repeated(&Out::default(), Op::Select, &left)?;
            rest = self.build.id(&left)?;
        }
        places.extend(bests);
        self.build.keep("", Op::Concat { axis: 2 }, &places)
    }

    /// 1 at the place that x \[1, n, 1\] names → \[1, n, count\].
    fn one_hot(&mut self, x: ValueId, count: u32) -> Result<Value, Refusal> {
        let places = Host::ints((0..i64::from(count)).collect()).real();
        let places = Value::Host(places.reshaped(vec![1, 1, count as usize]));
        let x = self.live(x);
        self.real(Pair::Equal, [&x, &places])
    }

    fn real(&mut self, pair: Pair, sides: [&Value; 2]) -> Result<Value, Refusal> {
        self.build.pair(&Out::default(), pair, Clamp::NONE, sides)
    }
}

fn number(options: &Map, name: &str) -> Result<f32, Refusal> {
    options.number(name).ok_or_else(|| wrong(format!("no option {name}")))
}

fn detect_of(options: &Map) -> Result<Detect, Refusal> {
    let regular = options.number("use_regular_nms").unwrap_or(0.0) > 0.0;
    let divisors = ["y_scale", "x_scale", "h_scale", "w_scale"].map(|name| number(options, name));
    let [y, x, h, w] = divisors;
    Ok(Detect {
        divisors: [y?, x?, h?, w?],
        score: number(options, "nms_score_threshold")?,
        overlap: number(options, "nms_iou_threshold")?,
        most: whole(number(options, "max_detections")?),
        per_class: regular.then(|| options.number("detections_per_class").map_or(100, whole)),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(number: f32) -> u32 {
    number as u32
}
