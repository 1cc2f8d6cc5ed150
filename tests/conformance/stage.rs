//! Plugins as stages of a pipeline: probe → the plugin in C → probe.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgemill_host::params::{self, ParamInput};
use edgemill_host::{Library, LogSink, ModelBytes, PluginStage, Setup};
use edgemill_pipeline::account::Account;
use edgemill_pipeline::stage::{Stage, StageError};
use edgemill_pipeline::{EdgeSpec, Factory, Options, Runtime, Spec, StageSpec};

use crate::fixture::{bad_plugin, contract, text};
use crate::shipped::built;
use crate::{Case, Verdict, expect};

/// Packets in a run.
const COUNT: i64 = 200;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("stage_granted_a_model_passes_every_packet", || passes_all(None)),
        Case::new("stage_that_forgets_a_release_loses_nothing", || passes_all(Some("RELEASED"))),
        Case::new("stage_without_a_grant_has_no_model", no_grant),
        Case::new("stage_with_another_model_says_why", other_model),
        Case::new("stage_packets_of_another_format_are_refused", || faulted("FORMATS", 0)),
        Case::new("stage_answer_without_meaning_is_a_fault", || faulted("STATUSES", 0)),
        Case::new("stage_model_without_contract_is_refused", no_contract),
    ]
}

/// What the stage in the middle is given.
struct Kit {
    fault: Option<&'static str>,
    model: Option<&'static [u8]>,
}

const GRANTED: Option<&[u8]> = Some(b"edgemill conformance model");

struct Bytes(&'static [u8]);

impl ModelBytes for Bytes {
    fn bytes(&self) -> &[u8] {
        self.0
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, _: edgemill_abi::LogLevel, stage: &str, text: &str) {
        if let Ok(mut lines) = self.0.lock() {
            lines.push(format!("{stage}: {text}"));
        }
    }
}

impl Factory for Kit {
    fn prepare(&mut self, stage: &StageSpec) -> Result<Box<dyn Stage>, StageError> {
        let made = match &*stage.name {
            "middle" => self.middle(),
            "counts" => probe("sink", "event"),
            role => probe(role, "tensor"),
        };
        made.map(|stage| Box::new(stage) as _).map_err(StageError)
    }
}

impl Kit {
    fn middle(&self) -> Result<PluginStage, String> {
        let library = Library::open(&bad_plugin(self.fault)?, None).map_err(|e| e.to_string())?;
        let given = [text("path", "nowhere")];
        let values = params::check(library.descriptor(), &given).map_err(|e| e.to_string())?;
        let setup = Setup {
            stage: "middle".to_owned(),
            values,
            contract: Some(contract()),
            model: self.model.map(|bytes| Box::new(Bytes(bytes)) as _),
            log: Arc::new(Lines::default()),
        };
        PluginStage::new(&library, setup).map_err(|e| e.to_string())
    }
}

fn probe(role: &str, kind: &str) -> Result<PluginStage, String> {
    let library = Library::open(&built("probe")?, None).map_err(|e| e.to_string())?;
    let number = |name: &str, value| (name.to_owned(), ParamInput::Int(value));
    let given =
        [text("role", role), text("kind", kind), number("bytes", 24), number("count", COUNT)];
    let values = params::check(library.descriptor(), &given).map_err(|e| e.to_string())?;
    let log = Arc::new(Lines::default());
    let setup = Setup { stage: role.to_owned(), values, contract: None, model: None, log };
    PluginStage::new(&library, setup).map_err(|e| e.to_string())
}

fn spec() -> Spec {
    let stage = |name: &str, from: Option<(&str, Option<&str>)>| StageSpec {
        name: name.to_owned(),
        kind: name.to_owned(),
        inputs: from
            .map(|(stage, port)| EdgeSpec {
                from_stage: stage.to_owned(),
                from_port: port.map(str::to_owned),
                capacity: 2,
                ..EdgeSpec::default()
            })
            .into_iter()
            .collect(),
        on_failure: edgemill_pipeline::spec::OnFailure::Halt,
        ..StageSpec::default()
    };
    let stages = vec![
        stage("source", None),
        stage("middle", Some(("source", None))),
        stage("sink", Some(("middle", Some("out")))),
        stage("counts", Some(("middle", Some("count")))),
    ];
    Spec { name: "conformance".to_owned(), stages }
}

fn run(kit: Kit) -> Result<(Account, Vec<String>), String> {
    let runtime = Runtime::start(spec(), Box::new(kit), Options::default());
    let runtime = runtime.map_err(|e| e.to_string())?;
    let account = runtime.wait(Some(Duration::from_secs(60))).ok_or("it does not end")?;
    let events = runtime.events().try_iter().map(|e| format!("{e:?}")).collect();
    Ok((account, events))
}

fn passes_all(fault: Option<&'static str>) -> Verdict {
    let (account, events) = run(Kit { fault, model: GRANTED })?;
    let of = |name: &str| account.stages.iter().find(|s| s.name == name);
    let count = u64::try_from(COUNT).unwrap_or_default();
    let delivered = of("sink").map_or(0, |s| s.delivered);
    let counted = of("counts").map_or(0, |s| s.delivered);
    expect((delivered, counted) == (count, count), || format!("{account:#?}\n{events:#?}"))
}

fn no_grant() -> Verdict {
    let error = run(Kit { fault: None, model: None }).err().unwrap_or_default();
    expect(error.contains("activate answered \"denied\""), || error)
}

fn other_model() -> Verdict {
    let error = run(Kit { fault: None, model: Some(b"another model") }).err().unwrap_or_default();
    expect(error.contains("bad-plugin: activate answered \"bad argument\""), || error)
}

fn no_contract() -> Verdict {
    let library = Library::open(&bad_plugin(None)?, None).map_err(|e| e.to_string())?;
    let setup = Setup {
        stage: "middle".to_owned(),
        values: params::Values::default(),
        contract: None,
        model: Some(Box::new(Bytes(b"model"))),
        log: Arc::new(Lines::default()),
    };
    let error = PluginStage::new(&library, setup).err().map(|e| e.to_string()).unwrap_or_default();
    expect(error.contains("without its contract"), || error)
}

/// The stage's faults are counted, and nothing of it reaches the sink.
fn faulted(fault: &'static str, delivered: u64) -> Verdict {
    let (account, events) = run(Kit { fault: Some(fault), model: GRANTED })?;
    let of = |name: &str| account.stages.iter().find(|s| s.name == name);
    let arrived = of("sink").map_or(u64::MAX, |s| s.delivered);
    expect(arrived == delivered, || format!("{account:#?}\n{events:#?}"))
}
