//! All pipelines of a configuration, agreed on and with the instances that are not there yet, or everything that keeps
//! them from it.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edgemill_config::{Config, Input, Pipeline, Place, Stage, Work};
use edgemill_pipeline::negotiate::{Plan, PlanError, negotiate};
use edgemill_pipeline::spec::{Spec, StageSpec};
use edgemill_pipeline::stage::{self, Ports, StageError};
use edgemill_pipeline::{Factory, RunError};

use crate::exit::{Exit, Failure};
use crate::maker::{Identity, Maker};
use crate::translate;

/// One pipeline, ready to be run.
pub struct Assembled {
    /// As the file has it.
    pub pipeline: Pipeline,
    /// What it is asked to be.
    pub spec: Spec,
    /// What was agreed.
    pub plan: Plan,
    /// In the order of the spec.
    pub identities: Vec<Identity>,
    /// In the order of the spec.
    pub ports: Vec<Ports>,
    /// Makes its stages.
    pub recipes: Recipes,
}

/// Ports of the instances that run, by pipeline, stage and kind: these are not made again.
pub type Known = BTreeMap<(String, String, String), Ports>;

/// Makes every instance that is not `known` yet, and agrees on formats and pools.
///
/// # Errors
/// Everything that is wrong, one failure a line, with the exit code of the first.
pub fn assemble(
    config: &Config,
    maker: &Arc<Maker>,
    known: &Known,
) -> Result<Vec<Assembled>, Failure> {
    let mut failures = Vec::new();
    let mut assembled = Vec::new();
    for pipeline in &config.pipelines {
        match one(pipeline, maker, known) {
            Ok(pipeline) => assembled.push(pipeline),
            Err(mut found) => failures.append(&mut found),
        }
    }
    together(failures).map_or(Ok(assembled), Err)
}

fn one(pipeline: &Pipeline, maker: &Arc<Maker>, known: &Known) -> Result<Assembled, Vec<Failure>> {
    let (mut identities, mut ports, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let recipes = Recipes::default();
    for stage in &pipeline.stages {
        let prepare = || recipes.prepare_stage(pipeline, stage, maker, known);
        let prepared = prepare().or_else(|failure| {
            if maker.give_up_model(stage, &failure) { prepare() } else { Err(failure) }
        });
        match prepared {
            Ok((identity, found)) => {
                identities.push(identity);
                ports.push(found);
            }
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    let spec = translate::spec(pipeline, &identities);
    let plan = negotiate(&spec, &ports)
        .map_err(|error| vec![run_failure(pipeline, &RunError::Plan(error))])?;
    Ok(Assembled { pipeline: pipeline.clone(), spec, plan, identities, ports, recipes })
}

/// So many failures are told in full; a message has a limit.
const MOST_TOLD: usize = 8;

fn together(mut failures: Vec<Failure>) -> Option<Failure> {
    let exit = failures.first()?.exit;
    let more = failures.len().saturating_sub(MOST_TOLD);
    failures.truncate(MOST_TOLD);
    let mut lines: Vec<String> = failures.into_iter().map(|failure| failure.message).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Some(Failure::new(exit, lines.join("\n")))
}

/// How a stage of a certain kind is made, and the first instance, until it is asked for.
struct Recipe {
    how: Arc<How>,
    instance: Option<Box<dyn stage::Stage>>,
}

struct How {
    maker: Arc<Maker>,
    pipeline: String,
    stage: Stage,
    identity: Identity,
}

impl How {
    fn make(&self) -> Result<Box<dyn stage::Stage>, Failure> {
        self.maker.make(&self.pipeline, &self.stage, &self.identity)
    }
}

/// How every stage of one pipeline is made, by its name and kind: the pipeline's own preparing thread asks, when it
/// starts, and again after a fault.
#[derive(Clone, Default)]
pub struct Recipes(Arc<Mutex<BTreeMap<(String, String), Recipe>>>);

impl Recipes {
    fn prepare_stage(
        &self,
        pipeline: &Pipeline,
        stage: &Stage,
        maker: &Arc<Maker>,
        known: &Known,
    ) -> Result<(Identity, Ports), Failure> {
        let identity = maker.identify(stage)?;
        let (name, kind) = (stage.name.value.clone(), identity.kind.clone());
        let how = How {
            maker: Arc::clone(maker),
            pipeline: pipeline.name.value.clone(),
            stage: stage.clone(),
            identity: identity.clone(),
        };
        let (ports, instance) = match known.get(&(how.pipeline.clone(), name.clone(), kind.clone()))
        {
            Some(ports) => (ports.clone(), None),
            None => {
                let instance = how.make()?;
                (instance.ports().clone(), Some(instance))
            }
        };
        self.lock().insert((name, kind), Recipe { how: Arc::new(how), instance });
        Ok((identity, ports))
    }

    /// Those of `newer` as well, from now on.
    pub fn merge(&self, newer: &Self) {
        self.lock().append(&mut newer.lock());
    }

    /// Forgets what `spec` does not ask for.
    pub fn keep(&self, spec: &Spec) {
        let asked = |name: &str, kind: &str| {
            spec.stages.iter().any(|stage| stage.name == name && stage.kind == kind)
        };
        self.lock().retain(|(name, kind), _| asked(name, kind));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Recipe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Factory for Recipes {
    fn prepare(&mut self, spec: &StageSpec) -> Result<Box<dyn stage::Stage>, StageError> {
        let key = (spec.name.clone(), spec.kind.clone());
        let recipe = {
            let mut recipes = self.lock();
            let recipe = recipes.get_mut(&key);
            let recipe =
                recipe.ok_or_else(|| StageError("no file describes it any more".into()))?;
            if let Some(instance) = recipe.instance.take() {
                return Ok(instance);
            }
            Arc::clone(&recipe.how)
        };
        recipe.make().map_err(|failure| StageError(failure.message))
    }
}

/// Why a pipeline cannot be run, with the place to look at and, where two stages do not fit, the place of the other.
pub fn run_failure(pipeline: &Pipeline, error: &RunError) -> Failure {
    let stage = error.stage().and_then(|name| pipeline.stage(name));
    let device = stage.is_some_and(|stage| matches!(stage.work, Work::Source(_)));
    let exit = match error {
        RunError::Plan(_) | RunError::Pin { .. } => Exit::Configuration,
        RunError::Activate { .. } | RunError::Prepare { .. } if device => Exit::Device,
        RunError::Activate { .. } | RunError::Prepare { .. } => Exit::Plugin,
        RunError::Pool { .. } | RunError::Thread { .. } => Exit::Device,
        RunError::Service { .. } | RunError::Busy(_) | RunError::Cores(_) => Exit::Internal,
    };
    let (at, other) = match error {
        RunError::Plan(error) => places(pipeline, stage, error),
        _ => (stage.map(work_place), None),
    };
    let at = at.unwrap_or_else(|| pipeline.name.at.clone());
    let other = other.map(|other| format!(" ({} is at {})", other.name.value, other.name.at));
    Failure::new(exit, format!("{at}: {error}{}", other.unwrap_or_default()))
}

fn places<'a>(
    pipeline: &'a Pipeline,
    stage: Option<&Stage>,
    error: &PlanError,
) -> (Option<Place>, Option<&'a Stage>) {
    match error {
        PlanError::Mismatch { taker, giver, .. } | PlanError::NoFormat { taker, giver, .. } => {
            let other = giver.split_once('.').and_then(|(name, _)| pipeline.stage(name));
            let port = taker.split_once('.').map_or("", |(_, port)| port);
            let named = |input: &&Input| input.port.as_deref() == Some(port);
            (stage.map(|stage| input_place(stage, named)), other)
        }
        PlanError::NoSuchOutput { from, .. } => {
            let named = |input: &&Input| input.from.value == *from;
            (stage.map(|stage| input_place(stage, named)), pipeline.stage(from))
        }
        _ => (stage.map(|stage| stage.name.at.clone()), None),
    }
}

fn input_place(stage: &Stage, wanted: impl FnMut(&&Input) -> bool) -> Place {
    let input = stage.inputs.iter().find(wanted).or(stage.inputs.first());
    input.map_or(&stage.name.at, |input| &input.from.at).clone()
}

fn work_place(stage: &Stage) -> Place {
    match &stage.work {
        Work::Source(kind) => kind.at.clone(),
        Work::Plugin { id, .. } => id.at.clone(),
    }
}
