//! `TFLite_Detection_PostProcess`.
use edgemill_model::graph::{Detect, Op, Reduction, Span};

use super::ops::Values;
use super::{Importer, Node};
use crate::builder::{Out, Value};
use crate::{unsupported, wrong};

impl<'a> Importer<'a> {
    pub(super) fn detect(&mut self, node: &Node<'a>) -> Values {
        let options = super::flex::Map::read(node.custom)?;
        let number =
            |name: &str| options.number(name).ok_or_else(|| wrong(format!("no option {name}")));
        let count = |name: &str, default: f32| whole(options.number(name).unwrap_or(default));
        if count("max_classes_per_detection", 1.0) != 1 {
            return Err(unsupported("several classes for each detection"));
        }
        let (boxes, scores) = (self.id(node, 0)?, self.id(node, 1)?);
        let (boxes, mut scores) = (self.build.real(boxes)?, self.build.real(scores)?);
        let anchors = Value::Host(self.known(node, 2)?.real());
        let anchors = self.build.id(&anchors)?;
        let shape = self.build.shape(scores);
        let classes = whole(number("num_classes")?);
        if let &[n, a, c] = &shape[..]
            && c > classes
        {
            let behind = Span { start: c - classes, step: 1, count: classes };
            let spans = vec![Span::whole(n), Span::whole(a), behind];
            scores = self.build.keep("", Op::Slice(spans), &[scores])?;
        }
        let regular = options.number("use_regular_nms").unwrap_or(0.0) > 0.0;
        let most = whole(number("max_detections")?);
        let detect = Detect {
            divisors: [
                number("y_scale")?,
                number("x_scale")?,
                number("h_scale")?,
                number("w_scale")?,
            ],
            score: number("nms_score_threshold")?,
            overlap: number("nms_iou_threshold")?,
            most,
            per_class: regular.then(|| count("detections_per_class", 100.0)),
        };
        let found =
            self.build.compute(&Out::default(), Op::Detect(detect), &[boxes, scores, anchors])?;
        let mut values = Vec::new();
        for (start, count) in [(0, 4), (4, 1), (5, 1)] {
            let spans = vec![Span::whole(1), Span::whole(most), Span { start, step: 1, count }];
            let part = self.build.keep("", Op::Slice(spans), &[found])?;
            let shape = if count == 4 { vec![1, most, 4] } else { vec![1, most] };
            let id = self.build.keep("", Op::Reshape(shape), &[part])?;
            values.push(self.live(id));
        }
        let flag = vec![Span::whole(1), Span::whole(most), Span { start: 6, step: 1, count: 1 }];
        let flags = self.build.keep("", Op::Slice(flag), &[found])?;
        let sum =
            self.build.keep("", Op::Reduce { by: Reduction::Sum, axes: vec![1] }, &[flags])?;
        let id = self.build.keep("", Op::Reshape(vec![1]), &[sum])?;
        values.push(self.live(id));
        Ok(values)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(number: f32) -> u32 {
    number as u32
}
