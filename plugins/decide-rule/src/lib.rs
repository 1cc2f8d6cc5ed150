//! Turns what a model found into a named decision, with patience for what wavers.
//!
//! Of a classifier: input `in` is the model's first output, as its contract says, or the same in f32. Output `out` is an
//! event for each tensor, named by the label of the greatest number, with the values `score` (0 to 1), `class` (its index)
//! and `margin` (score above the runner-up's).
//!
//! Of a detector, which its contract's `head` tells: input `in` are the boxes that `decode-detections` made. Output `out` is
//! an event for each frame, that there are enough of a class in a region, or too few, with the values `count` and `score`
//! (the highest of those counted, or 0).
#![forbid(unsafe_code)]

mod count;
mod params;
mod patience;
mod process;

use edgemill_sdk::{Call, Contract, Error, Host, Plugin, Port, Ports, Range, Result, Setup};

use count::Count;
use params::Params;
use process::{Decision, names_of};

/// Heads of models that find boxes.
const DETECTORS: [&str; 4] = ["yolox", "yolo", "ssd", "boxes"];
/// The most boxes that a frame may have.
const MOST_BOXES: u32 = 1000;

struct Rule {
    params: Params,
    rule: Option<Kind>,
}

enum Kind {
    Class(Decision),
    Count(Count),
}

impl Plugin for Rule {
    type Params = Params;
    type Active<'m> = ();
    const REALTIME: bool = true;

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        Ok(Self { params, rule: None })
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it needs a model's labels: name one by `contract = \"…\"` in the stage")
        })?;
        let (rule, input) = if DETECTORS.contains(&contract.head.as_str()) {
            let count = Count::new(&self.params, &contract.labels)?;
            (Kind::Count(count), Port::new("in", Range::detections(MOST_BOXES)))
        } else {
            let output = contract.outputs[0];
            let names = names_of(&contract.labels, output.elements())?;
            (
                Kind::Class(Decision::new(&self.params, names)),
                Port::real_or_quantized("in", &output)?,
            )
        };
        self.rule = Some(rule);
        Ok(Ports::new().input(input).output(Port::new("out", Range::event())))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        match &mut self.rule {
            Some(Kind::Class(decision)) => decision.forget(),
            Some(Kind::Count(count)) => count.forget(),
            None => {}
        }
        Ok(())
    }

    fn process<'m>(&mut self, (): &mut (), call: &Call<'_, 'm>) -> Result<()> {
        let event = match &mut self.rule {
            Some(Kind::Class(decision)) => call.tensor(0)?.map(|tensor| decision.event(&tensor)),
            Some(Kind::Count(count)) => call.detections(0)?.map(|found| count.event(&found)),
            None => None,
        };
        event.map_or(Ok(()), |event| call.emit(0, event?))
    }
}

edgemill_sdk::export!(Rule);

#[cfg(test)]
mod tests;
