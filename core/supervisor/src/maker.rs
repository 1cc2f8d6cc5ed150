//! From what a file says of a stage to an instance of it: the one place that knows both plugins and sources.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use edgemill_capture as capture;
use edgemill_config::{Located, ModelUse, Param, Place, Stage, Value, Work, printable};
use edgemill_host::params::{self, ParamError, ParamInput, Values};
use edgemill_host::{Library, LogSink, Metrics, ModelBytes, PluginStage, Setup};
use edgemill_pipeline::stage;
use edgemill_store::device::ModelView;

use crate::exit::{Exit, Failure};
use crate::models::Models;
use crate::plugins::Plugins;

/// What a stage is, known before there is an instance of it.
#[derive(Clone)]
pub struct Identity {
    /// All that makes an instance unlike another: a reload replaces it when this has changed.
    pub kind: String,
    /// For people: `source replay`, `plugin preprocess-image 0.1.0`.
    pub work: String,
    /// A second instance could not be had at the same time.
    pub holds_device: bool,
    /// Its library and what it is told, where it is a plugin.
    plugin: Option<(Arc<Library>, Values)>,
}

impl Identity {
    /// How its safe state can be applied after the daemon has died, where it is an actuator.
    pub fn actuator(&self, pipeline: &str, stage: &str) -> Option<Actuator> {
        let (library, values) = self.plugin.as_ref()?;
        library.descriptor().actuator.then(|| Actuator {
            pipeline: pipeline.to_owned(),
            stage: stage.to_owned(),
            path: library.path().to_owned(),
            sha256: *library.sha256(),
            values: values.clone(),
        })
    }
}

/// How an actuator's safe state can be applied by a process that knows nothing else.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actuator {
    /// Of its pipeline.
    pub pipeline: String,
    /// Of its stage.
    pub stage: String,
    /// File of its plugin.
    pub path: PathBuf,
    /// SHA-256 of that file.
    pub sha256: [u8; 32],
    /// Every parameter.
    pub values: Values,
}

/// Makes instances under one configuration.
pub struct Maker {
    plugins: Plugins,
    models: Models,
    log: Arc<dyn LogSink>,
    gauges: Arc<Gauges>,
}

/// What the present instances measure of themselves, by pipeline and stage.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<BTreeMap<(String, String), Arc<Metrics>>>);

impl Gauges {
    /// The latest numbers of a stage.
    pub fn read(&self, pipeline: &str, stage: &str) -> BTreeMap<String, f64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pipeline.to_owned(), stage.to_owned());
        all.get(&key).map(|metrics| metrics.read().into_iter().collect()).unwrap_or_default()
    }

    fn set(&self, pipeline: &str, stage: &str, metrics: Arc<Metrics>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((pipeline.to_owned(), stage.to_owned()), metrics);
    }
}

impl Maker {
    /// Of these plugins and models; what instances say goes to `log`, what they measure to `gauges`.
    pub fn new(
        plugins: Plugins,
        models: Models,
        log: Arc<dyn LogSink>,
        gauges: Arc<Gauges>,
    ) -> Self {
        Self { plugins, models, log, gauges }
    }

    /// Whether the stage can be tried with another package of its model: the active one was on probation, and is gone
    /// back from.
    pub fn give_up_model(&self, stage: &Stage, failure: &Failure) -> bool {
        stage.model().is_some_and(|model| self.models.give_up(model, &failure.message))
    }

    /// What was gone back from under this configuration.
    pub fn gone_back(&self) -> Vec<String> {
        self.models.gone_back()
    }

    /// Says what the stage is; for a plugin that loads its library.
    ///
    /// # Errors
    /// Its plugin, its parameters or its model's name: with file, line and column.
    pub fn identify(&self, stage: &Stage) -> Result<Identity, Failure> {
        match &stage.work {
            Work::Source(kind) => {
                not_an_actuator(stage)?;
                Ok(Identity {
                    kind: format!("source {} {:?}", kind.value, values(stage)),
                    work: format!("source {}", kind.value),
                    holds_device: kind.value == "v4l",
                    plugin: None,
                })
            }
            Work::Plugin { id, model } => self.identify_plugin(stage, id, model),
        }
    }

    fn identify_plugin(
        &self,
        stage: &Stage,
        id: &Located<String>,
        model: &ModelUse,
    ) -> Result<Identity, Failure> {
        let library = self.plugins.load(id, stage.allow_unsigned)?;
        let descriptor = library.descriptor();
        let given: Vec<(String, ParamInput)> =
            stage.params.iter().map(|(name, value)| (name.clone(), input(value))).collect();
        let values =
            params::check(descriptor, &given).map_err(|error| param_failure(stage, id, &error))?;
        if !descriptor.actuator {
            not_an_actuator(stage)?;
        }
        let model = self.active(model)?;
        Ok(Identity {
            kind: format!("plugin {:02x?} {values:?} {model}", library.sha256()),
            work: format!("plugin {} {}", descriptor.id, descriptor.version),
            holds_device: descriptor.actuator,
            plugin: Some((library, values)),
        })
    }

    /// Makes an instance of the stage, which is what `identity` says.
    ///
    /// # Errors
    /// Its plugin or source refuses, or its model is not to be had: with file, line and column.
    pub fn make(
        &self,
        pipeline: &str,
        stage: &Stage,
        identity: &Identity,
    ) -> Result<Box<dyn stage::Stage>, Failure> {
        match (&stage.work, &identity.plugin) {
            (Work::Plugin { id, model }, Some((library, values))) => {
                let made = self.instance(pipeline, stage, id, model, library, values.clone())?;
                self.gauges.set(pipeline, &stage.name, made.metrics());
                Ok(Box::new(made))
            }
            (Work::Source(kind), _) => self.source(stage, kind),
            (Work::Plugin { .. }, None) => {
                Err(Failure::internal(format!("stage `{}` was not identified", stage.name.value)))
            }
        }
    }

    fn source(
        &self,
        stage: &Stage,
        kind: &Located<String>,
    ) -> Result<Box<dyn stage::Stage>, Failure> {
        let (log, name) = (Arc::clone(&self.log), stage.name.value.clone());
        let log: capture::Log = Arc::new(move |level, text| log.line(level, &name, text));
        // Paths were taken from the file's folder when it was read.
        let context = capture::Context { base: PathBuf::new(), log };
        let params = stage.params.iter().map(|(name, value)| (name.clone(), source_value(value)));
        capture::create(kind, &params.collect(), context)
            .map_err(|error| source_failure(stage, kind, &error))
    }

    /// Changes when another package of the model becomes active.
    fn active(&self, model: &ModelUse) -> Result<String, Failure> {
        match model {
            ModelUse::None => Ok(String::new()),
            ModelUse::Contract(model) => Ok(format!("contract {}", self.models.active(model)?)),
            ModelUse::Model(model) => Ok(format!("model {}", self.models.active(model)?)),
        }
    }

    fn instance(
        &self,
        pipeline: &str,
        stage: &Stage,
        id: &Located<String>,
        model: &ModelUse,
        library: &Arc<Library>,
        values: Values,
    ) -> Result<PluginStage, Failure> {
        let contract = stage.model().map(|model| self.models.contract(model)).transpose()?;
        let model: Option<Box<dyn ModelBytes>> = match model {
            ModelUse::Model(model) => {
                Some(Box::new(Opened(self.models.open(pipeline, &stage.name, model)?)))
            }
            ModelUse::None | ModelUse::Contract(_) => None,
        };
        let log = Arc::clone(&self.log);
        let setup = Setup { stage: stage.name.value.clone(), values, contract, model, log };
        PluginStage::new(library, setup).map_err(|error| {
            let stage = &stage.name.value;
            Failure::new(Exit::Plugin, format!("{}: stage `{stage}`: {error}", id.at))
        })
    }
}

/// A model's bytes as the host lends them to a plugin.
struct Opened(ModelView);

impl ModelBytes for Opened {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Only an actuator has a safe state to go to.
fn not_an_actuator(stage: &Stage) -> Result<(), Failure> {
    match &stage.stale {
        None => Ok(()),
        Some(time) => Err(Failure::configuration(format!(
            "{}: stage `{}` has stale-ms and is no actuator, so it has no safe state to go to; remove it",
            time.at, stage.name.value
        ))),
    }
}

fn param_failure(stage: &Stage, id: &Located<String>, error: &ParamError) -> Failure {
    let name = match error {
        ParamError::Unknown { name, .. }
        | ParamError::Twice { name, .. }
        | ParamError::Missing { name, .. }
        | ParamError::Value { name, .. } => name,
    };
    let at = param_place(stage, name, &id.at);
    Failure::configuration(format!("{at}: stage `{}`: {error}", stage.name.value))
}

fn source_failure(stage: &Stage, kind: &Located<String>, error: &capture::Error) -> Failure {
    let (exit, at) = match error {
        capture::Error::Param(error) => {
            (Exit::Configuration, param_place(stage, error.name(), &kind.at))
        }
        capture::Error::Kind { .. } | capture::Error::Width(_) => {
            (Exit::Configuration, kind.at.clone())
        }
        capture::Error::Replay(_) | capture::Error::Csv(_) => {
            (Exit::Configuration, param_place(stage, "path", &kind.at))
        }
        _ => (Exit::Device, kind.at.clone()),
    };
    let text = printable(&error.to_string(), 2000);
    Failure::new(exit, format!("{at}: stage `{}`: {text}", stage.name.value))
}

fn param_place(stage: &Stage, name: &str, otherwise: &Place) -> Place {
    stage.params.get(name).map_or(otherwise, |value| &value.at).clone()
}

fn values(stage: &Stage) -> Vec<(&String, &Value)> {
    stage.params.iter().map(|(name, value)| (name, &value.value)).collect()
}

fn source_value(value: &Param) -> capture::Value {
    match &value.value {
        Value::Bool(value) => capture::Value::Bool(*value),
        Value::Int(value) => capture::Value::Int(*value),
        Value::Float(value) => capture::Value::Float(*value),
        Value::Text(value) => capture::Value::Text(value.clone()),
    }
}

fn input(value: &Param) -> ParamInput {
    match &value.value {
        Value::Bool(value) => ParamInput::Bool(*value),
        Value::Int(value) => ParamInput::Int(*value),
        Value::Float(value) => ParamInput::Float(*value),
        Value::Text(value) => ParamInput::String(value.clone()),
    }
}
