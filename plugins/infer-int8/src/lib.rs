//! Runs a quantized model: the same bits on every machine, by the fastest kernel that this one has.
//!
//! Inputs `in` (or `in0`, `in1`, …, where the model has several) and outputs `out` (or `out0`, …): the tensors of the
//! model's contract. Packed weights and all that a run computes lie in locked memory, which the host wipes.
//!
//! With `threads = n` as many threads share the rows of each convolution, on the stage's cores: name at least n by `cpu`.
//! The bits do not change.
#![forbid(unsafe_code)]

mod process;

use edgemill_sdk::{
    Call, Contract, Error, Host, LogLevel, Plugin, Port, Ports, Range, Result, Setup, format,
};

use process::{MAX_TENSORS, Model};

edgemill_sdk::params! {
    /// What the pipeline's file may set.
    struct Params {
        /// How many threads share each layer, on the cores that the stage's cpu names.
        #[range(1, 16)]
        threads: u32 = 1,
    }
}

struct Int8 {
    params: Params,
}

impl Plugin for Int8 {
    type Params = Params;
    type Active<'m> = Model<'m>;
    const REALTIME: bool = true;

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        Ok(Self { params })
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it needs a model: name one by `model = \"…\"` in the stage")
        })?;
        let inputs = named("in", &contract.inputs)?.into_iter().fold(Ports::new(), Ports::input);
        Ok(named("out", &contract.outputs)?.into_iter().fold(inputs, Ports::output))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Model<'m>> {
        let threads = self.params.threads as usize;
        let model = Model::new(&setup, threads)?;
        let (host, kernel) = (setup.host(), model.kernel());
        host.log(LogLevel::Info, format_args!("runs on {kernel}, threads: {threads}"));
        let cores = std::thread::available_parallelism().map_or(threads, usize::from);
        if cores < threads {
            let text = format_args!("{threads} threads share {cores} cores: name more by cpu");
            host.log(LogLevel::Warn, text);
        }
        Ok(model)
    }

    fn process<'m>(&mut self, model: &mut Model<'m>, call: &Call<'_, 'm>) -> Result<()> {
        model.process(call)
    }
}

/// A port for each tensor, numbered where there are several.
fn named(name: &str, tensors: &[format::Tensor]) -> Result<Vec<Port>> {
    if tensors.len() > MAX_TENSORS {
        let text = format!("{} tensors on one side, at most {MAX_TENSORS}", tensors.len());
        return Err(Error::unfit(text));
    }
    Port::numbered(name, tensors, |name, tensor| Ok(Port::new(name, Range::tensor(*tensor))))
}

edgemill_sdk::export!(Int8);

#[cfg(test)]
mod tests;
