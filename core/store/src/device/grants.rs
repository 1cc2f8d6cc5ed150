//! Which stage may open which model. A [`Grant`] can come from nowhere but [`Grants::may_open`].
use std::collections::BTreeSet;

use edgemill_model::text::shown;
use thiserror::Error;

/// One `[[grant]]` of access.toml.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the stage in it.
    pub stage: String,
    /// Name of the model.
    pub model: String,
}

/// No rule allows it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "stage `{}` of pipeline `{}` may not open model `{}`: add a [[grant]] to access.toml if it should",
    shown(&.0.stage), shown(&.0.pipeline), shown(&.0.model)
)]
pub struct Refused(pub Rule);

/// All rules of a box.
#[derive(Clone, Debug, Default)]
pub struct Grants(BTreeSet<Rule>);

/// The permission of one stage to open one model.
#[derive(Clone, Debug)]
pub struct Grant(Rule);

impl Grants {
    /// Rules, of which none is allowed to mean more than it says: there are no wildcards.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// The permission, where a rule gives it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn may_open(&self, pipeline: &str, stage: &str, model: &str) -> Result<Grant, Refused> {
        let rule = Rule { pipeline: pipeline.into(), stage: stage.into(), model: model.into() };
        if self.0.contains(&rule) { Ok(Grant(rule)) } else { Err(Refused(rule)) }
    }
}

impl Grant {
    /// Whether it is for `model`.
    pub(crate) fn check(&self, model: &str) -> Result<(), Refused> {
        if self.0.model == model {
            return Ok(());
        }
        Err(Refused(Rule { model: model.into(), ..self.0.clone() }))
    }

    /// For whom and for what it is.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.0
    }
}
