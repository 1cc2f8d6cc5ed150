//! A pipeline that runs, and how it is told to the outside.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edgemill_config::{self as config, Pipeline};
use edgemill_control::{EdgeStatus, PathStatus, PipelineStatus, Quantiles, StageStatus};
use edgemill_linux::event::Waker;
use edgemill_pipeline::account::{Account, EdgeAccount, PathAccount, StageAccount};
use edgemill_pipeline::negotiate::Plan;
use edgemill_pipeline::run::{self, Options, Runtime};
use edgemill_pipeline::spec::Spec;
use edgemill_pipeline::stage::Ports;
use edgemill_pipeline::{Stop, histogram};

use crate::assembly::{Assembled, Known, Recipes, run_failure};
use crate::exit::Failure;
use crate::maker::{Actuator, Gauges, Identity, Maker};

/// After the drain limit, a stage that comes back at all has come back.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// One pipeline.
pub struct Running {
    /// As the file has it.
    pub pipeline: Pipeline,
    /// What it was asked to be.
    pub spec: Spec,
    /// What was agreed.
    pub plan: Plan,
    identities: Vec<Identity>,
    ports: Vec<Ports>,
    recipes: Recipes,
    /// Its threads.
    pub runtime: Runtime,
    /// The last account, once every stage has ended.
    pub ended: Option<Account>,
    /// A stage was held or halted it.
    pub failed: bool,
    /// It is to go when it has ended: no file describes it any more.
    pub leaving: bool,
    /// By then every stage must have ended.
    pub stop_by: Option<Instant>,
    /// What a reload that is under way will make of it.
    pending: Option<Assembled>,
}

impl Running {
    /// Sets it going. Waits for its stages to be activated. A model on probation whose stage cannot be is gone back from,
    /// for the next start.
    ///
    /// # Errors
    /// Why it cannot run, with file and line.
    pub fn start(assembled: Assembled, waker: &Arc<Waker>, maker: &Maker) -> Result<Self, Failure> {
        let Assembled { pipeline, spec, plan, identities, ports, recipes } = assembled;
        let options = Options {
            drain_limit: pipeline.stop_within,
            waker: Some(Arc::clone(waker)),
            ..Options::default()
        };
        let runtime =
            Runtime::start(spec.clone(), Box::new(recipes.clone()), options).map_err(|error| {
                let failure = run_failure(&pipeline, &error);
                if let Some(stage) = error.stage().and_then(|name| pipeline.stage(name)) {
                    maker.give_up_model(stage, &failure);
                }
                failure
            })?;
        Ok(Self {
            pipeline,
            spec,
            plan,
            identities,
            ports,
            recipes,
            runtime,
            ended: None,
            failed: false,
            leaving: false,
            stop_by: None,
            pending: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.pipeline.name.value
    }

    /// Begins to change it; the runtime's event says whether it has.
    pub fn reload(&mut self, assembled: Assembled) {
        self.recipes.merge(&assembled.recipes);
        self.runtime.reload(assembled.spec.clone());
        self.pending = Some(assembled);
    }

    /// The reload has gone well, or was refused.
    pub fn settle(&mut self, good: bool) {
        if let Some(Assembled { pipeline, spec, plan, identities, ports, .. }) =
            self.pending.take().filter(|_| good)
        {
            (self.pipeline, self.spec, self.plan) = (pipeline, spec, plan);
            (self.identities, self.ports) = (identities, ports);
        }
        self.recipes.keep(&self.spec);
    }

    /// Whether it can be changed at all.
    pub fn takes_reload(&self) -> bool {
        self.ended.is_none() && !self.leaving
    }

    /// The file that is in force, or is being taken up.
    pub fn wanted(&self) -> &Pipeline {
        self.pending.as_ref().map_or(&self.pipeline, |pending| &pending.pipeline)
    }

    /// The model that a stage of it runs.
    pub fn model_of(&self, stage: &str) -> Option<String> {
        Some(self.wanted().stage(stage)?.model()?.value.clone())
    }

    /// Whether a reload is under way.
    pub fn is_changing(&self) -> bool {
        self.pending.is_some()
    }

    /// Tells it to end, as its file says.
    pub fn stop(&mut self) {
        let (stop, within) = match self.pipeline.on_stop {
            config::Stop::Drain => (Stop::Drain, self.pipeline.stop_within),
            config::Stop::Drop => (Stop::Drop, Duration::ZERO),
        };
        self.runtime.stop(stop);
        self.stop_by.get_or_insert(Instant::now() + within + STOP_GRACE);
    }

    /// Its stages that have not ended.
    pub fn unfinished(&self) -> Vec<String> {
        let stages = self.runtime.status().stages.into_iter();
        let open = stages.filter(|stage| stage.state != edgemill_pipeline::State::Stopped);
        open.map(|stage| stage.name).collect()
    }

    /// How each of its actuators is found again.
    pub fn actuators(&self) -> Vec<Actuator> {
        actuators(&self.spec, &self.identities)
    }

    /// Adds the ports of its instances.
    pub fn add_known(&self, known: &mut Known) {
        for (stage, ports) in self.spec.stages.iter().zip(&self.ports) {
            let key = (self.name().to_owned(), stage.name.clone(), stage.kind.clone());
            known.insert(key, ports.clone());
        }
    }

    /// All of it, for people and programs.
    pub fn status(&self, gauges: &Gauges) -> PipelineStatus {
        let status = self.runtime.status();
        let account = self.ended.clone().unwrap_or_else(|| self.runtime.account());
        let stages = account.stages.iter().map(|stage| {
            let now = status.stages.iter().find(|now| now.name == stage.name);
            let work = self.spec.stages.iter().position(|spec| spec.name == stage.name);
            let work = work.map(|index| self.identities[index].work.clone());
            let metrics = gauges.read(self.name(), &stage.name);
            stage_status(stage, now, work.unwrap_or_default(), metrics)
        });
        PipelineStatus {
            name: self.name().to_owned(),
            stages: stages.collect(),
            edges: account.edges.iter().map(|edge| self.edge_status(edge)).collect(),
            paths: account.paths().iter().map(path_status).collect(),
        }
    }

    fn edge_status(&self, edge: &EdgeAccount) -> EdgeStatus {
        let mut planned = self.plan.edges.iter();
        let planned = planned.find(|planned| {
            self.plan.giver(planned.from) == edge.from && self.plan.taker(planned.to) == edge.to
        });
        let dropped = edge.dropped.iter().map(|(loss, count)| (loss.word().to_owned(), *count));
        EdgeStatus {
            from: edge.from.clone(),
            to: edge.to.clone(),
            overflow: planned.map(|edge| edge.overflow.word().to_owned()).unwrap_or_default(),
            capacity: planned.map_or(0, |edge| edge.capacity),
            sent: edge.sent,
            received: edge.received,
            dropped: dropped.collect(),
            queued: edge.queued,
        }
    }
}

/// The actuators among the stages of a spec.
pub fn actuators(spec: &Spec, identities: &[Identity]) -> Vec<Actuator> {
    let stages = spec.stages.iter().zip(identities);
    stages.filter_map(|(stage, identity)| identity.actuator(&spec.name, &stage.name)).collect()
}

fn stage_status(
    stage: &StageAccount,
    now: Option<&run::StageStatus>,
    work: String,
    metrics: BTreeMap<String, f64>,
) -> StageStatus {
    StageStatus {
        name: stage.name.clone(),
        work,
        state: now.map_or("stopped", |now| now.state.word()).to_owned(),
        reason: now.and_then(|now| now.why.clone().or(now.warning.clone())),
        cpus: now.map(|now| now.cores.clone()).unwrap_or_default(),
        priority: now.and_then(|now| now.fifo),
        received: stage.received,
        passed: stage.passed,
        bypassed: stage.bypassed,
        consumed: stage.consumed,
        delivered: stage.delivered,
        faulted: stage.faulted,
        no_buffer: stage.no_buffer,
        in_call: stage.in_call,
        emitted: stage.emitted,
        skipped: stage.skipped,
        refusals: stage.refusals,
        faults: stage.faults,
        hangs: stage.hangs,
        restarts: stage.restarts,
        call: now.map(|now| quantiles(&now.process)).unwrap_or_default(),
        latency: now.filter(|_| stage.is_sink).map(|now| quantiles(&now.latency)),
        metrics,
    }
}

fn path_status(path: &PathAccount) -> PathStatus {
    PathStatus {
        source: path.source.clone(),
        sink: path.sink.clone(),
        sent: path.sent,
        delivered: path.delivered,
        consumed: path.consumed,
        dropped: path.dropped.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
        queued: path.queued,
    }
}

fn quantiles(times: &histogram::Quantiles) -> Quantiles {
    #[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
    let us = |ns: u64| ns as f64 / 1000.0;
    Quantiles {
        count: times.count,
        p50_us: us(times.p50_ns),
        p99_us: us(times.p99_ns),
        p999_us: us(times.p999_ns),
        max_us: us(times.most_ns),
    }
}
