//! Runs a model in real numbers on candle: the oracle that `infer-int8` is held to. It takes a float graph or an int8 one,
//! whose values it then rounds to their grids.
//!
//! Inputs `in` (or `in0`, `in1`, …, where the model has several) and outputs `out` (or `out0`, …): the tensors of the
//! model's contract, or the same in f32. Its weights are copied to ordinary memory: where a model must stay secret on the
//! board, use `infer-int8`.
#![forbid(unsafe_code)]

mod process;

use edgemill_sdk::{
    Call, Contract, DType, Error, Host, Plugin, Port, Ports, Range, Result, Setup, format, raw,
};

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
        let inputs = named("in", &contract.inputs)?.into_iter().fold(Ports::new(), Ports::input);
        Ok(named("out", &contract.outputs)?.into_iter().fold(inputs, Ports::output))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Model> {
        Model::new(setup.model()?.bytes(), setup.inputs(), setup.outputs())
    }

    fn process<'m>(&mut self, model: &mut Model, call: &Call<'_, 'm>) -> Result<()> {
        model.process(call)
    }
}

/// A port for each tensor, numbered where there are several.
fn named(name: &str, tensors: &[format::Tensor]) -> Result<Vec<Port>> {
    let port = |(index, tensor): (usize, &format::Tensor)| {
        let name = if tensors.len() == 1 { name.into() } else { format!("{name}{index}") };
        let port = Port::new(&name, Range::tensor(*tensor));
        Ok(if tensor.dtype() == DType::F32 {
            port
        } else {
            port.or(Range::tensor(in_f32(tensor)?))
        })
    };
    tensors.iter().enumerate().map(port).collect()
}

/// The same tensor in real numbers.
fn in_f32(tensor: &format::Tensor) -> Result<format::Tensor> {
    let real = raw::Tensor { dtype: raw::DTYPE_F32, scale: 0.0, zero_point: 0, ..tensor.raw() };
    Ok(format::Tensor::new(real)?)
}

edgemill_sdk::export!(Candle);

#[cfg(test)]
mod tests;
