//! Generates, passes or swallows packets, and fails on command: for tests of a pipeline's policies, and for
//! measuring what a pipeline costs when its stages cost nothing.
//!
//! A `source` has the output `out`, a `sink` the input `in`, a `pass` both; where there are several of a kind they
//! are `in0`, `in1`, … and `out0`, `out1`, …. It counts by itself what it received, emitted and failed at, so that
//! the pipeline's own accounting can be held against it.
#![forbid(unsafe_code)]

mod counts;
mod faults;
mod params;
mod process;

use edgemill_sdk::{
    Call, Contract, DType, Error, Host, Plugin, Port, Ports, Range, Result, Setup, format, raw,
};

use counts::Counts;
use faults::Faults;
use params::{BadModel, Flows, Params, Role};
use process::Run;

struct Probe {
    params: Params,
    counts: Counts,
}

impl Plugin for Probe {
    type Params = Params;
    type Active<'m> = Run<'m>;

    fn create(host: Host<'_>, params: Params) -> Result<Self> {
        let counts = Counts::new(params.role, host.now_ns());
        Ok(Self { params, counts })
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        let Params { role, inputs, outputs, hold, .. } = self.params;
        let range = self.range()?;
        let mut ports = Ports::new();
        if role != Role::Source {
            for name in names("in", inputs) {
                ports = ports.input(Port::new(&name, range).held(hold));
            }
        }
        if role != Role::Sink {
            for name in names("out", outputs) {
                ports = ports.output(Port::new(&name, range).burst(hold.max(1)));
            }
        }
        Ok(ports)
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Run<'m>> {
        let bad = self.params.bad_version.as_deref().is_some_and(|bad| has_version(&setup, bad));
        if bad && self.params.bad_model == BadModel::Refuse {
            return Err(Error::unfit("it refuses this model on command"));
        }
        let faults = Faults::new(&self.params, bad);
        Ok(Run::new(&self.params, faults, setup.inputs().len(), setup.outputs().len()))
    }

    fn process<'m>(&mut self, run: &mut Run<'m>, call: &Call<'_, 'm>) -> Result<()> {
        run.process(&mut self.counts, call)
    }

    fn deactivate<'m>(&mut self, _: Host<'m>, run: Run<'m>) -> Result<()> {
        drop(run);
        self.counts.append(self.params.path.as_deref())
    }
}

impl Probe {
    fn range(&self) -> Result<Range> {
        let shape = [self.params.bytes, 0, 0, 0, 0, 0];
        let bytes = raw::Tensor { dtype: raw::DTYPE_U8, rank: 1, shape, scale: 0.0, zero_point: 0 };
        Ok(match self.params.kind {
            Flows::Tensor => Range::tensor(format::Tensor::new(bytes)?),
            Flows::Event => Range::event(),
            Flows::Image => Range::image(0),
            Flows::Series => {
                let any = 1..=u32::MAX;
                Range::series(DType::F32, any.clone(), any, f64::MIN_POSITIVE..=f64::MAX)
            }
        })
    }
}

fn has_version(setup: &Setup<'_>, version: &str) -> bool {
    setup.model().is_ok_and(|model| model.contract().version == version)
}

fn names(stem: &str, count: u32) -> Vec<String> {
    match count {
        1 => vec![stem.to_owned()],
        _ => (0..count).map(|index| format!("{stem}{index}")).collect(),
    }
}

edgemill_sdk::export!(Probe);

#[cfg(test)]
mod tests;
