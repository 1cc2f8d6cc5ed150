//! From boxes to a decision: whether enough of them lie where they matter. Nothing here allocates after `ports`.
use edgemill_sdk::{DetectionsView, Error, Event, Name, Result, raw};

use crate::params::Params;
use crate::patience::Patience;

/// The rule and what it remembers.
pub struct Count {
    /// `None` for any.
    class: Option<u32>,
    threshold: f64,
    at_least: u32,
    /// Left, top, right and bottom, as fractions of the frame.
    region: [f64; 4],
    name: Name,
    patience: Patience,
}

impl Count {
    /// For boxes of a model with these labels.
    pub fn new(params: &Params, labels: &[String]) -> Result<Self> {
        let class = params.class.as_deref().map(|class| class_of(class, labels)).transpose()?;
        let Params { left, top, width, height, .. } = *params;
        let name = params.event.as_deref().or(params.class.as_deref()).unwrap_or("found");
        Ok(Self {
            class,
            threshold: params.threshold,
            at_least: params.at_least,
            region: [left, top, left + width, top + height],
            name: Name::fitted(name),
            patience: Patience::new(params),
        })
    }

    /// As if no frame had come yet.
    pub fn forget(&mut self) {
        self.patience.forget();
    }

    /// The decision that stands after this frame, with the frame's own values.
    pub fn event(&mut self, found: &DetectionsView<'_>) -> Result<Event> {
        let frame = found.format().frame();
        let frame = [f64::from(frame.0), f64::from(frame.1)];
        let (mut count, mut score) = (0_u32, 0.0_f64);
        for found in found.boxes().iter().filter(|found| self.counts(found, frame)) {
            count += 1;
            score = score.max(f64::from(found.score));
        }
        let standing = self.patience.settle((count >= self.at_least).then_some(self.name));
        let event = Event::named(standing)
            .with(Name::fitted("count"), f64::from(count))
            .and_then(|event| event.with(Name::fitted("score"), score));
        event.ok_or_else(|| Error::unfit("an event holds fewer than two values"))
    }

    /// Whether a box is of the class, sure enough, and has its centre in the region.
    fn counts(&self, found: &raw::Detection, [width, height]: [f64; 2]) -> bool {
        let [left, top, right, bottom] = self.region;
        let x = f64::from(found.x0 + found.x1) / 2.0 / width;
        let y = f64::from(found.y0 + found.y1) / 2.0 / height;
        self.class.is_none_or(|class| class == found.class_id)
            && f64::from(found.score) >= self.threshold
            && (left..=right).contains(&x)
            && (top..=bottom).contains(&y)
    }
}

fn class_of(class: &str, labels: &[String]) -> Result<u32> {
    let found = (0..).zip(labels).find(|(_, label)| *label == class).map(|(index, _)| index);
    found.ok_or_else(|| {
        let class = class.escape_debug();
        let some = labels.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if labels.len() > 12 { ", …" } else { "" };
        Error::unfit(format!("the model has no class \"{class}\"; it has {some}{more}"))
    })
}
