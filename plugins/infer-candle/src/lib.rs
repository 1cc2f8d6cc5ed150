//! Runs a model in real numbers on candle: the oracle that `infer-int8` is held to. It takes a float graph or an int8 one,
//! whose values it then rounds to their grids.
//!
//! Inputs `in` (or `in0`, `in1`, …, where the model has several) and outputs `out` (or `out0`, …): the tensors of the
//! model's contract, or the same in f32. Its weights are copied to ordinary memory: where a model must stay secret on the
//! board, use `infer-int8`.
#![forbid(unsafe_code)]

mod process;

use edgemill_sdk::{Call, Contract, Error, Host, Plugin, Port, Ports, Result, Setup};

use process::Model;

struct Candle;

impl Plugin for Candle {
    type Params = ();
    type Active<'m> = Model;

    fn create(_: Host<'_>, (): ()) -> Result<Self> {
        Ok(Self)
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it needs a model: name one by `model = \"…\"` in the stage")
        })?;
        let [inputs, outputs] = [("in", &contract.inputs), ("out", &contract.outputs)]
            .map(|(name, tensors)| Port::numbered(name, tensors, Port::real_or_quantized));
        let ports = inputs?.into_iter().fold(Ports::new(), Ports::input);
        Ok(outputs?.into_iter().fold(ports, Ports::output))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Model> {
        Model::new(setup.model()?.bytes(), setup.inputs(), setup.outputs())
    }

    fn process<'m>(&mut self, model: &mut Model, call: &Call<'_, 'm>) -> Result<()> {
        model.process(call)
    }
}

edgemill_sdk::export!(Candle);

#[cfg(test)]
mod tests;
