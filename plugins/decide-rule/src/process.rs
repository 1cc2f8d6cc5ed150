//! From a classifier's numbers to a decision. Nothing here allocates after `ports`.
use edgemill_sdk::{Error, Event, Name, Result, TensorView};

use crate::params::{Params, Scores};
use crate::patience::Patience;

/// An event's name for each label: cut to what fits, and where two would be the same, told apart by `~` and the
/// class's index.
pub fn names_of(labels: &[String], classes: usize) -> Result<Vec<Name>> {
    if labels.len() != classes {
        let text = format!("the contract has {} labels for {classes} classes", labels.len());
        return Err(Error::unfit(text));
    }
    let mut names: Vec<Name> = Vec::with_capacity(classes);
    for (index, label) in labels.iter().enumerate() {
        let name = Name::fitted(label);
        let taken = names.contains(&name);
        names.push(if taken { numbered(&name, index) } else { name });
    }
    Ok(names)
}

fn numbered(name: &Name, index: usize) -> Name {
    let tail = format!("~{index}");
    let room = Name::MAX - tail.len();
    let starts = name.as_str().char_indices();
    let head: String = starts.filter(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c).collect();
    Name::fitted(&(head + &tail))
}

/// The class with the greatest number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Best {
    class: usize,
    score: f64,
    margin: f64,
}

/// The rule and what it remembers.
pub struct Decision {
    scores: Scores,
    threshold: f64,
    names: Vec<Name>,
    patience: Patience,
}

impl Decision {
    pub fn new(params: &Params, names: Vec<Name>) -> Self {
        let (scores, threshold) = (params.scores, params.threshold);
        Self { scores, threshold, names, patience: Patience::new(params) }
    }

    /// As if no tensor had come yet.
    pub fn forget(&mut self) {
        self.patience.forget();
    }

    /// The decision that stands after this tensor, with the tensor's own values.
    pub fn event(&mut self, tensor: &TensorView<'_>) -> Result<Event> {
        let best = best_of(tensor, self.scores)?;
        let sure = best.score >= self.threshold;
        let named = self.names.get(best.class).copied();
        let standing = self.patience.settle(named.filter(|_| sure));
        let class = f64::from(u32::try_from(best.class).unwrap_or(u32::MAX));
        let event = Event::named(standing)
            .with(Name::fitted("score"), best.score)
            .and_then(|event| event.with(Name::fitted("class"), class))
            .and_then(|event| event.with(Name::fitted("margin"), best.margin));
        event.ok_or_else(|| Error::unfit("an event holds fewer than three values"))
    }
}

fn best_of(tensor: &TensorView<'_>, scores: Scores) -> Result<Best> {
    if let Some(real) = tensor.elements::<f32>() {
        return best(real.iter().copied(), scores);
    }
    let (scale, zero_point) = tensor.format().quantization().unwrap_or((1.0, 0));
    let quantized = tensor.elements::<i8>().ok_or_else(|| {
        Error::unfit(format!("numbers of type {} are not decided on", tensor.format().dtype()))
    })?;
    best(quantized.iter().map(|&q| real(i32::from(q) - zero_point, scale)), scores)
}

#[expect(clippy::cast_precision_loss, reason = "two int8 differ by less than 2^24")]
fn real(steps: i32, scale: f32) -> f32 {
    steps as f32 * scale
}

/// The greatest number and its score; of equal ones the first.
fn best(numbers: impl Iterator<Item = f32> + Clone, scores: Scores) -> Result<Best> {
    let (mut class, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (index, number) in numbers.clone().enumerate() {
        if !number.is_finite() {
            return Err(Error::unfit("the model's output is not finite"));
        }
        if number > first {
            (class, first, second) = (index, number, first);
        } else if number > second {
            second = number;
        }
    }
    let score = |number: f32| match scores {
        Scores::Probabilities => number,
        // The greatest number is taken from each, so that nothing overflows.
        Scores::Logits => {
            libm::expf(number - first) / numbers.clone().map(|n| libm::expf(n - first)).sum::<f32>()
        }
    };
    let runner_up = if second.is_finite() { score(second) } else { 0.0 };
    let (score, runner_up) = (f64::from(score(first)), f64::from(runner_up));
    Ok(Best { class, score, margin: score - runner_up })
}
