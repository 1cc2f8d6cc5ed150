//! Which head a model has, from its contract: what is not clear there is refused here, before anything runs.
use edgemill_kernels::boxes::{
    self, Candidate, Grids, Rows, SsdHead, Variances, decode_centred, decode_grids, decode_ssd,
    ssd_anchors, take_finished, unit_anchors,
};
use edgemill_sdk::{Contract, Error, Layout, Picture, Result, format};

use crate::anchors;
use crate::params::{Order, Params, Scores, Sides, Units};

/// How the outputs of a model become candidates.
#[derive(Clone)]
pub struct Head {
    kind: Kind,
    /// Whether edges come as fractions of the model's picture.
    pub fractions: bool,
    /// Whether the model has suppressed what covers each other already.
    pub finished: bool,
    /// Candidates, at most.
    pub rows: usize,
}

#[derive(Clone)]
enum Kind {
    /// The first output.
    Grids { grids: Grids, classes: usize },
    /// The first output.
    Centred(Rows),
    /// Indexes of two outputs.
    Ssd { boxes: usize, scores: usize, head: SsdHead },
    /// The first output: edges, score and class in each row.
    Sixes,
    /// Indexes of three outputs; edges are top, left, bottom, right.
    Lists { boxes: usize, classes: usize, scores: usize },
}

/// Width and height of the picture that a model takes.
pub fn picture_size(picture: &Picture, input: &format::Tensor) -> Result<[usize; 2]> {
    match (picture.layout, input.shape()) {
        (Layout::Nhwc, &[1, height, width, _]) | (Layout::Nchw, &[1, _, height, width]) => {
            Ok([width as usize, height as usize])
        }
        (layout, shape) => {
            Err(Error::unfit(format!("shape {shape:?} is not one picture in {layout:?}")))
        }
    }
}

impl Head {
    pub fn new(contract: &Contract, [width, height]: [usize; 2], params: &Params) -> Result<Self> {
        let outputs = &contract.outputs;
        let labels = contract.labels.len();
        let (kind, rows) = match contract.head.as_str() {
            "yolox" => grids(&outputs[0], labels, [width, height])?,
            "yolo" => centred(&outputs[0], labels)?,
            "ssd" => ssd(outputs, labels, [width, height], params)?,
            "boxes" => finished(outputs)?,
            other => {
                let other = other.escape_debug();
                let text = format!(
                    "the contract's head is \"{other}\"; \"yolox\", \"yolo\", \"ssd\" and \"boxes\" are decoded: \
                     pack the model with the head it has"
                );
                return Err(Error::unfit(text));
            }
        };
        let usual = matches!(kind, Kind::Ssd { .. } | Kind::Lists { .. });
        let fractions = match params.units {
            Units::Usual => usual,
            Units::Pixels => false,
            Units::Fractions => true,
        };
        let finished = matches!(kind, Kind::Sixes | Kind::Lists { .. });
        Ok(Self { kind, fractions, finished, rows })
    }

    /// Appends the candidates; `outputs` has the numbers of each output of the model.
    pub fn decode(&self, outputs: &[&[f32]], threshold: f32, out: &mut Vec<Candidate>) {
        match &self.kind {
            Kind::Grids { grids, classes } => {
                decode_grids(outputs[0], *classes, grids, threshold, out);
            }
            Kind::Centred(rows) => decode_centred(outputs[0], rows, threshold, out),
            Kind::Ssd { boxes, scores, head } => {
                decode_ssd(outputs[*boxes], outputs[*scores], head, threshold, out);
            }
            Kind::Sixes => {
                let rows = outputs[0].as_chunks::<6>().0.iter();
                let edges =
                    rows.clone().map(|&[left, top, right, bottom, ..]| [left, top, right, bottom]);
                let (scores, classes) = (rows.clone().map(|row| row[4]), rows.map(|row| row[5]));
                take_finished(edges, classes, scores, threshold, out);
            }
            Kind::Lists { boxes, classes, scores } => {
                let rows = outputs[*boxes].as_chunks::<4>().0.iter();
                let edges = rows.map(|&[top, left, bottom, right]| [left, top, right, bottom]);
                let of = |index: usize| outputs[index].iter().copied();
                take_finished(edges, of(*classes), of(*scores), threshold, out);
            }
        }
    }
}

/// Sides of a tensor that are not 1, but for the last, which always counts: rows and numbers of each.
fn table(tensor: &format::Tensor) -> Result<[usize; 2]> {
    let shape = tensor.shape();
    let numbers = shape.last().map_or(1, |&side| side as usize).max(1);
    let rows = tensor.elements() / numbers;
    let longer = shape[..shape.len() - 1].iter().filter(|&&side| side != 1).count();
    if longer > 1 {
        return Err(Error::unfit(format!("an output of shape {shape:?} is not rows of numbers")));
    }
    Ok([rows, numbers])
}

fn grids(output: &format::Tensor, labels: usize, size: [usize; 2]) -> Result<(Kind, usize)> {
    let [rows, numbers] = table(output)?;
    let classes = numbers.saturating_sub(5);
    if classes == 0 || (labels > 0 && labels != classes) {
        return Err(Error::unfit(format!(
            "a yolox head of {labels} labels has {} numbers in a row, this one has {numbers}",
            labels + 5
        )));
    }
    let grids = Grids::of(rows, size[0], size[1]).map_err(|e| Error::unfit(e.to_string()))?;
    Ok((Kind::Grids { grids, classes }, rows))
}

fn centred(output: &format::Tensor, labels: usize) -> Result<(Kind, usize)> {
    let [rows, numbers] = table(output)?;
    let tries = [(rows, numbers, false), (numbers, rows, true)];
    let fits = tries.into_iter().find_map(|(count, width, across)| {
        let objectness = width == labels + 5;
        let rows = Rows { count, classes: labels, objectness, across };
        (labels > 0 && rows.width() == width).then_some(rows)
    });
    let rows = fits.ok_or_else(|| {
        Error::unfit(format!(
            "a yolo head of {labels} labels has {} or {} numbers for a box, and this one is {:?}",
            labels + 4,
            labels + 5,
            output.shape()
        ))
    })?;
    let count = rows.count;
    Ok((Kind::Centred(rows), count))
}

fn ssd(
    outputs: &[format::Tensor],
    labels: usize,
    size: [usize; 2],
    params: &Params,
) -> Result<(Kind, usize)> {
    let [first, second] = outputs else {
        let text = format!("an ssd head has two outputs, and this model {}", outputs.len());
        return Err(Error::unfit(text));
    };
    let tables = [table(first)?, table(second)?];
    let is_scores = |table: [usize; 2]| labels > 0 && (labels..labels + 2).contains(&table[1]);
    let boxes = match tables.map(|[_, width]| width == 4) {
        [false, true] => 1,
        [false, false] => usize::from(is_scores(tables[0])),
        _ => 0,
    };
    let ([rows, width], [scored, numbers]) = (tables[boxes], tables[1 - boxes]);
    let background = labels > 0 && numbers == labels + 1;
    let classes = numbers - usize::from(background);
    if width < 4 || rows != scored || (labels > 0 && classes != labels) {
        return Err(Error::unfit(format!(
            "an ssd head of {labels} labels has outputs of N × 4 (or more, for key points) and N × {labels} or {}, and \
             this one {:?} and {:?}",
            labels + 1,
            first.shape(),
            second.shape()
        )));
    }
    let head = SsdHead {
        anchors: anchors_for(rows, size, params)?,
        numbers: width,
        classes,
        background,
        scores: match params.scores {
            Scores::Probabilities => boxes::Scores::Probabilities,
            Scores::Sigmoid => boxes::Scores::Sigmoid,
            Scores::Softmax => boxes::Scores::Softmax,
        },
        variances: Variances { centre: real(params.centre_scale), side: real(params.side_scale) },
        sides: match params.sides {
            Sides::Logarithms => boxes::Sides::Logarithms,
            Sides::Factors => boxes::Sides::Factors,
        },
        x_first: params.order == Order::XyWh,
    };
    Ok((Kind::Ssd { boxes, scores: 1 - boxes, head }, rows))
}

fn anchors_for(
    rows: usize,
    [width, height]: [usize; 2],
    params: &Params,
) -> Result<Vec<boxes::Anchor>> {
    let (whose, anchors) = match (&params.path, &params.cells) {
        (Some(_), Some(_)) => {
            return Err(Error::unfit("`path` and `cells` both say which anchors"));
        }
        (Some(path), None) => ("the file has", anchors::read(path)?),
        (None, Some(cells)) => {
            ("`cells` gives", unit_anchors(width, height, &anchors::cells(cells)?))
        }
        (None, None) => ("an SSD on MobileNet has", ssd_anchors(width, height)),
    };
    if anchors.len() == rows {
        return Ok(anchors);
    }
    Err(Error::unfit(format!(
        "the head has {rows} rows and {whose} {} anchors; set `path` to a file with those of this model, or `cells`",
        anchors.len()
    )))
}

fn finished(outputs: &[format::Tensor]) -> Result<(Kind, usize)> {
    let tables = outputs.iter().map(table).collect::<Result<Vec<_>>>()?;
    if let [[rows, 6]] = tables[..] {
        return Ok((Kind::Sixes, rows));
    }
    let with_four = tables.iter().position(|&[rows, numbers]| numbers == 4 && rows > 1);
    let of = |boxes: usize| outputs[boxes].elements() / 4;
    // TensorFlow 1 gives boxes, classes, scores and count, TensorFlow 2 scores, boxes, count and classes.
    let lists = match (with_four, outputs.len()) {
        (Some(0), 3 | 4) => Some((0, 1, 2)),
        (Some(1), 4) => Some((1, 3, 0)),
        _ => None,
    };
    let fits = |&(boxes, classes, scores): &(usize, usize, usize)| {
        [classes, scores].iter().all(|&index| outputs[index].elements() == of(boxes))
    };
    match lists.filter(fits) {
        Some((boxes, classes, scores)) => Ok((Kind::Lists { boxes, classes, scores }, of(boxes))),
        None => {
            let shapes: Vec<_> = outputs.iter().map(format::Tensor::shape).collect();
            Err(Error::unfit(format!(
                "a head of finished boxes has one output of N × 6, or boxes of N × 4, N classes, N scores and a \
                 count; this model has {shapes:?}"
            )))
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a parameter within 0.001..=1000")]
fn real(number: f64) -> f32 {
    number as f32
}
