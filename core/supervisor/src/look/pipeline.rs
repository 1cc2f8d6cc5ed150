//! The part of a pipeline that finds boxes, run on one picture at a time.
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use edgemill_capture::look::{self, Finding, RgbPicture};
use edgemill_capture::{Context, Log};
use edgemill_config::{Pipeline, Stage, Work};
use edgemill_pipeline::run::{Event, Options, Runtime};
use edgemill_pipeline::spec::{EdgeSpec, OnFailure, Overflow, Spec, StageSpec};
use edgemill_pipeline::stage::{self, StageError};
use edgemill_pipeline::{Factory, Stop};

use crate::assembly::run_failure;
use crate::exit::{Exit, Failure};
use crate::maker::{Identity, Maker};
use crate::translate;

/// Name of the stage that hands over the boxes; no stage of a file can have it.
const END: &str = "(boxes)";
/// While a picture is under way, what the pipeline tells is looked at this often.
const TICK: Duration = Duration::from_millis(100);
/// A pipeline ends at once when it has nothing to do.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A pipeline that is looked through.
pub struct Looking {
    pipeline: Pipeline,
    maker: Arc<Maker>,
    /// From the source to the boxes, all edges blocking, so that no picture is lost.
    spec: Spec,
    source: String,
    identities: BTreeMap<String, Identity>,
    labels: Vec<String>,
    running: Option<Run>,
}

/// A run with frames of one size.
struct Run {
    size: [u32; 2],
    runtime: Runtime,
    frames: Sender<RgbPicture>,
    findings: Receiver<Vec<Finding>>,
}

impl Looking {
    /// Finds the stage that gives boxes, and what it needs.
    ///
    /// # Errors
    /// There is no such stage, it does not come from one source, or a stage cannot be made.
    pub fn new(pipeline: &Pipeline, maker: Arc<Maker>) -> Result<Self, Failure> {
        let mut made = Vec::new();
        for stage in &pipeline.stages {
            made.push(maker.identify(stage)?);
        }
        let (last, port) = last_with_boxes(pipeline, &made, &maker)?;
        let needed = needed(pipeline, last);
        let source = only_source(pipeline, last, &needed)?;
        let all = translate::spec(pipeline, &made);
        let mut stages: Vec<_> =
            all.stages.into_iter().filter(|stage| needed.contains(&*stage.name)).collect();
        stages.push(StageSpec {
            name: END.to_owned(),
            inputs: vec![EdgeSpec {
                from_stage: last.name.value.clone(),
                from_port: Some(port),
                capacity: 1,
                ..EdgeSpec::default()
            }],
            ..StageSpec::default()
        });
        stages.iter_mut().for_each(lose_nothing);
        let labels = last.model().map(|model| maker.labels(model)).transpose()?;
        let names = pipeline.stages.iter().map(|stage| stage.name.value.clone());
        Ok(Self {
            spec: Spec { name: all.name, stages },
            source,
            identities: names.zip(made).collect(),
            labels: labels.unwrap_or_default(),
            pipeline: pipeline.clone(),
            maker,
            running: None,
        })
    }

    /// What a class is called.
    pub fn name(&self, class: u32) -> String {
        let label = self.labels.get(class as usize);
        label.cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// What is found in a picture.
    ///
    /// # Errors
    /// A stage cannot be made or fails.
    pub fn at(&mut self, picture: &RgbPicture) -> Result<Vec<Finding>, Failure> {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let size = [side(picture.width()), side(picture.height())];
        let run = match self.running.take().filter(|run| run.size == size) {
            Some(run) => run,
            None => self.start(size)?,
        };
        // A pipeline that has ended says why below.
        let _ = run.frames.send(picture.clone());
        let found = run.wait(&self.pipeline)?;
        self.running = Some(run);
        Ok(found)
    }

    fn start(&self, size: [u32; 2]) -> Result<Run, Failure> {
        let (frames, to_see) = channel();
        let (found, findings) = channel();
        let factory = Ends {
            maker: Arc::clone(&self.maker),
            pipeline: self.pipeline.clone(),
            identities: self.identities.clone(),
            source: self.source.clone(),
            size,
            frames: Some(to_see),
            findings: found,
        };
        let options = Options::default();
        let runtime = Runtime::start(self.spec.clone(), Box::new(factory), options)
            .map_err(|error| run_failure(&self.pipeline, &error))?;
        Ok(Run { size, runtime, frames, findings })
    }
}

impl Run {
    /// Waits for what the picture that was handed over comes to.
    fn wait(&self, pipeline: &Pipeline) -> Result<Vec<Finding>, Failure> {
        loop {
            let found = self.findings.recv_timeout(TICK);
            if let Ok(found) = found {
                return Ok(found);
            }
            while let Ok(event) = self.runtime.events().try_recv() {
                if let Event::Halted { stage, why } | Event::Fatal { stage, why } = event {
                    let at = pipeline.stage(&stage).map_or(&pipeline.name.at, |it| &it.name.at);
                    let text = format!("{at}: stage `{stage}`: {why}");
                    return Err(Failure::new(Exit::Fault, text));
                }
            }
            if found == Err(RecvTimeoutError::Disconnected) {
                return Err(Failure::internal("the stage that hands over boxes is gone"));
            }
        }
    }
}

impl Drop for Run {
    /// Its devices, models and threads are gone before the next has its own.
    fn drop(&mut self) {
        self.runtime.stop(Stop::Drop);
        let _ = self.runtime.wait(Some(END_LIMIT));
    }
}

/// The last stage of the file that gives boxes, and by which port.
fn last_with_boxes<'a>(
    pipeline: &'a Pipeline,
    made: &[Identity],
    maker: &Maker,
) -> Result<(&'a Stage, String), Failure> {
    for (stage, identity) in pipeline.stages.iter().zip(made).rev() {
        if matches!(stage.work, Work::Source(_)) || identity.holds_device {
            continue;
        }
        let instance = maker.make(&pipeline.name.value, stage, identity)?;
        if let Some(port) =
            instance.ports().outputs.iter().find(|port| look::gives_detections(port))
        {
            return Ok((stage, port.name.clone()));
        }
    }
    Err(Failure::configuration(format!(
        "{}: no stage of pipeline `{}` gives boxes; add one, such as decode-detections after a detector",
        pipeline.name.at, pipeline.name.value
    )))
}

/// The stage and all that it takes its inputs from.
fn needed<'a>(pipeline: &'a Pipeline, last: &'a Stage) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::from([&*last.name.value]);
    // Every stage stands after those it takes its inputs from.
    for stage in pipeline.stages.iter().rev() {
        if needed.contains(&*stage.name.value) {
            needed.extend(stage.inputs.iter().map(|input| &*input.from.value));
        }
    }
    needed
}

fn only_source(
    pipeline: &Pipeline,
    last: &Stage,
    needed: &BTreeSet<&str>,
) -> Result<String, Failure> {
    let sources = pipeline.stages.iter().filter(|stage| {
        matches!(stage.work, Work::Source(_)) && needed.contains(&*stage.name.value)
    });
    let names: Vec<_> = sources.map(|stage| stage.name.value.clone()).collect();
    match &names[..] {
        [only] => Ok(only.clone()),
        _ => Err(Failure::configuration(format!(
            "{}: boxes come from {} sources, and pictures can only stand in for one",
            last.name.at,
            names.len()
        ))),
    }
}

/// No packet is dropped, and what fails ends the run.
fn lose_nothing(stage: &mut StageSpec) {
    for edge in &mut stage.inputs {
        edge.overflow = Some(Overflow::Block);
    }
    stage.on_failure = OnFailure::Halt;
    (stage.deadline, stage.stale) = (None, None);
}

/// Makes the stages of the file, but for the source, in whose place pictures come, and the end.
struct Ends {
    maker: Arc<Maker>,
    pipeline: Pipeline,
    identities: BTreeMap<String, Identity>,
    source: String,
    size: [u32; 2],
    frames: Option<Receiver<RgbPicture>>,
    findings: Sender<Vec<Finding>>,
}

impl Factory for Ends {
    fn prepare(&mut self, spec: &StageSpec) -> Result<Box<dyn stage::Stage>, StageError> {
        if spec.name == END {
            return Ok(look::findings(self.findings.clone()));
        }
        if spec.name == self.source {
            let frames =
                self.frames.take().ok_or_else(|| StageError("pictures have ended".into()))?;
            let log: Log = Arc::new(|_, _| {});
            return Ok(look::frames(self.size, frames, Context { base: PathBuf::new(), log })?);
        }
        let described = self.pipeline.stage(&spec.name).zip(self.identities.get(&spec.name));
        let (stage, identity) =
            described.ok_or_else(|| StageError("no file describes it".into()))?;
        self.maker
            .make(&self.pipeline.name.value, stage, identity)
            .map_err(|failure| StageError(failure.message))
    }
}
