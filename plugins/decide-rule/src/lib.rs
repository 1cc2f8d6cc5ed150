//! Turns a classifier's numbers into a named decision: the label of the greatest number, its score, and patience with
//! numbers that waver.
//!
//! Input `in`: the model's first output, as its contract says, or the same in f32. Output `out`: an event for each
//! tensor, with the values `score` (0 to 1), `class` (its index) and `margin` (score above the runner-up's).
#![forbid(unsafe_code)]

mod params;
mod process;

use edgemill_sdk::{
    Call, Contract, DType, Error, Host, Plugin, Port, Ports, Range, Result, Setup, format, raw,
};

use params::Params;
use process::{Decision, names_of};

struct Rule {
    params: Params,
    decision: Decision,
}

impl Plugin for Rule {
    type Params = Params;
    type Active<'m> = ();
    const REALTIME: bool = true;

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        let decision = Decision::new(&params, Vec::new());
        Ok(Self { params, decision })
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it needs a model's labels: name one by `contract = \"…\"` in the stage")
        })?;
        let output = contract.outputs[0];
        let names = names_of(&contract.labels, output.elements())?;
        self.decision = Decision::new(&self.params, names);
        let mut input = Port::new("in", Range::tensor(output));
        if output.dtype() != DType::F32 {
            input = input.or(Range::tensor(in_f32(&output)?));
        }
        Ok(Ports::new().input(input).output(Port::new("out", Range::event())))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        self.decision.forget();
        Ok(())
    }

    fn process<'m>(&mut self, (): &mut (), call: &Call<'_, 'm>) -> Result<()> {
        match call.tensor(0)? {
            Some(tensor) => call.emit(0, self.decision.event(&tensor)?),
            None => Ok(()),
        }
    }
}

/// The same tensor in real numbers, as a model run in f32 gives it.
fn in_f32(tensor: &format::Tensor) -> Result<format::Tensor> {
    let real = raw::Tensor { dtype: raw::DTYPE_F32, scale: 0.0, zero_point: 0, ..tensor.raw() };
    Ok(format::Tensor::new(real)?)
}

edgemill_sdk::export!(Rule);

#[cfg(test)]
mod tests;
