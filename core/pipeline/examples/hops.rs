//! What one frame costs in a pipeline of four stages and three edges of capacity 4, all stages in Rust in this process.
//!
//!     cargo run --release -p edgemill-pipeline --example hops -- FRAMES PACE_US BYTES [CORE]
//!
//! Buffers go by reference through every stage, with histogram, account and deadline on. Prints one JSON line.
#![forbid(unsafe_code)]
use std::sync::Arc;
use std::time::Duration;

use edgemill_abi::raw::{DTYPE_U8, FormatRange, Tensor};
use edgemill_abi::{Format, Reason, format, raw};
use edgemill_linux::clock::monotonic_ns;
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::Packet;
use edgemill_pipeline::spec::Overflow;
use edgemill_pipeline::stage::{Flow, Port, Ports, Stage, StageError};
use edgemill_pipeline::{EdgeSpec, Factory, Options, Runtime, Spec, StageSpec};

/// Emits frames, passes them on, or takes them, as its ports say.
struct Hop {
    ports: Ports,
    outlet: Option<Arc<Outlet>>,
    payload: raw::Payload,
    left: u64,
    pace_ns: u64,
}

impl Hop {
    fn emit(&mut self) -> Result<Flow, StageError> {
        let outlet = self.outlet.as_ref().ok_or_else(|| StageError("not active".into()))?;
        if self.left == 0 {
            return Ok(Flow::End);
        }
        if self.pace_ns > 0 && outlet.sleep_until(monotonic_ns() + self.pace_ns).is_err() {
            return Ok(Flow::End);
        }
        let Ok(buffer) = outlet.acquire_mut(0) else { return Ok(Flow::Continue) };
        self.left -= 1;
        let emitted = outlet.emit_sample(0, self.payload, Some(buffer), monotonic_ns());
        emitted.map_err(|status| StageError(status.to_string()))?;
        Ok(Flow::Continue)
    }
}

impl Stage for Hop {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        _: &[Format],
        outputs: &[Format],
        outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        self.payload = outputs.first().map(Format::payload).unwrap_or_default();
        self.outlet = Some(outlet);
        Ok(())
    }

    fn process(&mut self, _: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        match (inputs, self.ports.outputs.is_empty(), &self.outlet) {
            ([], ..) => return self.emit(),
            ([Some(packet)], false, Some(outlet)) => {
                outlet.emit(0, packet.raw()).map_err(|status| StageError(status.to_string()))?;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn deactivate(&mut self) {}
}

struct Hops {
    bytes: u32,
    frames: u64,
    pace_ns: u64,
}

impl Factory for Hops {
    fn prepare(&mut self, spec: &StageSpec) -> Result<Box<dyn Stage>, StageError> {
        let tensor = Tensor {
            dtype: DTYPE_U8,
            rank: 1,
            shape: [self.bytes, 0, 0, 0, 0, 0],
            ..Tensor::default()
        };
        let format =
            Format::Tensor(format::Tensor::new(tensor).map_err(|e| StageError(e.to_string()))?);
        let range = FormatRange { least: format.raw(), most: format.raw() };
        let port = Port { name: "p".into(), ranges: vec![range], held: 0, burst: 1 };
        let side = |wanted: bool| if wanted { vec![port.clone()] } else { Vec::new() };
        let ports = Ports {
            inputs: side(!spec.inputs.is_empty()),
            outputs: side(spec.kind != "sink"),
            timer_ns: 0,
        };
        Ok(Box::new(Hop {
            ports,
            outlet: None,
            payload: raw::Payload::default(),
            left: self.frames,
            pace_ns: self.pace_ns,
        }))
    }
}

fn stage(name: &str, from: Option<&str>, core: usize) -> StageSpec {
    let edge = |from: &str| EdgeSpec {
        from_stage: from.into(),
        overflow: Some(Overflow::Block),
        capacity: 4,
        ..EdgeSpec::default()
    };
    StageSpec {
        name: name.into(),
        kind: name.into(),
        inputs: from.map(edge).into_iter().collect(),
        cpu: vec![core],
        deadline: from.is_none().then_some(Duration::from_secs(10)),
        ..StageSpec::default()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |at: usize, otherwise: u64| {
        std::env::args().nth(at).map_or(Ok(otherwise), |text| text.parse())
    };
    let (frames, pace, bytes) = (number(1, 100_000)?, number(2, 0)?, number(3, 614_400)?);
    let core = usize::try_from(number(4, 0)?)?;
    let spec = Spec {
        name: "hops".into(),
        stages: vec![
            stage("source", None, core),
            stage("one", Some("source"), core),
            stage("two", Some("one"), core),
            stage("sink", Some("two"), core),
        ],
    };
    let factory = Hops { bytes: u32::try_from(bytes)?, frames, pace_ns: pace * 1000 };
    let start = monotonic_ns();
    let runtime = Runtime::start(spec, Box::new(factory), Options::default())?;
    let account = runtime.wait(None).ok_or("the pipeline did not end")?;
    let took = monotonic_ns() - start;
    account.check()?;
    let latency = runtime.status().stages[3].latency;
    let us = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e6;
    println!(
        "{{\"engine\": \"edgemill\", \"frames\": {}, \"us_per_frame\": {:.2}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"p999_us\": {:.1}}}",
        account.paths()[0].delivered,
        us(took) / frames.max(1) as f64,
        us(latency.p50_ns),
        us(latency.p99_ns),
        us(latency.p999_ns),
    );
    Ok(())
}
