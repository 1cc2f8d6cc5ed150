//! `access.toml`, checked: which stage may open which model, and which local user may do what.
use std::path::Path;

use crate::error::{Errors, Found, choice, few, model_name, name};
use crate::limits;
use crate::place::{Located, Place, Source};
use crate::raw::{self, RawAccess, RawGrant, RawUser};

/// Everything that is allowed. What is not here is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The file, or where it would be.
    pub at: Place,
    /// Models to stages.
    pub grants: Vec<Grant>,
    /// Rights to local users.
    pub users: Vec<User>,
}

/// A stage may open a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Of this pipeline,
    pub pipeline: Located<String>,
    /// this stage
    pub stage: Located<String>,
    /// may open this model.
    pub model: Located<String>,
}

/// What a local user may do over the control socket.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Name of the account.
    pub name: Located<String>,
    /// What it may do.
    pub may: Rights,
}

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Bring a model, to be a candidate.
    Install,
    /// Make a candidate the active model; reload and stop pipelines.
    Activate,
    /// Go back to the previous model.
    Rollback,
    /// See status, models and pictures.
    View,
}

const RIGHTS: [(&str, Right); 4] = [
    ("install", Right::Install),
    ("activate", Right::Activate),
    ("rollback", Right::Rollback),
    ("view", Right::View),
];

impl Right {
    /// As it stands in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        RIGHTS.iter().find(|(_, right)| *right == self).map_or("", |(word, _)| word)
    }
}

/// A set of rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Vec<Right>);

impl Rights {
    /// Every right there is: those of root and of the daemon's own user, who own the store anyway.
    #[must_use]
    pub fn all() -> Self {
        Self(RIGHTS.iter().map(|(_, right)| *right).collect())
    }

    /// Whether `right` is among them.
    #[must_use]
    pub fn has(&self, right: Right) -> bool {
        self.0.contains(&right)
    }
}

impl Access {
    /// Allows nothing.
    #[must_use]
    pub fn none(file: &Path) -> Self {
        Self { at: Place::whole(file), grants: Vec::new(), users: Vec::new() }
    }

    /// Reads the text of an access file; `file` is only for messages.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Errors> {
        let source = Source::new(text, file);
        let raw: RawAccess = raw::read(text, &source)?;
        let mut found = Found::default();
        found.note(few("grants", raw.grant.len(), limits::ACCESS_ENTRIES, || source.whole()));
        found.note(few("users", raw.user.len(), limits::ACCESS_ENTRIES, || source.whole()));
        let grants =
            raw.grant.into_iter().filter_map(|grant| check_grant(grant, &source, &mut found));
        let grants = grants.collect();
        let users = raw.user.into_iter().filter_map(|user| check_user(user, &source, &mut found));
        let users = users.collect();
        let access = Self { at: source.whole(), grants, users };
        found.or(Some(access))
    }

    /// Whether the stage may open the model.
    #[must_use]
    pub fn may_open(&self, pipeline: &str, stage: &str, model: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant.pipeline.value == pipeline
                && grant.stage.value == stage
                && grant.model.value == model
        })
    }

    /// What the local user of that name may do.
    #[must_use]
    pub fn rights_of(&self, user: &str) -> Rights {
        let own = self.users.iter().filter(|entry| entry.name.value == user);
        Rights(own.flat_map(|entry| entry.may.0.iter().copied()).collect())
    }
}

fn check_grant(raw: RawGrant, source: &Source<'_>, found: &mut Found) -> Option<Grant> {
    let pipeline = found.note(name("pipeline", source.locate(raw.pipeline)));
    let stage = found.note(name("stage", source.locate(raw.stage)));
    let model = found.note(model_name(source.locate(raw.model)));
    Some(Grant { pipeline: pipeline?, stage: stage?, model: model? })
}

fn check_user(raw: RawUser, source: &Source<'_>, found: &mut Found) -> Option<User> {
    let name = found.note(name("user", source.locate(raw.name)));
    let words = raw.may.into_iter().map(|word| source.locate(word));
    let rights: Vec<Option<Right>> =
        words.map(|word| found.note(choice("may", &word, &RIGHTS))).collect();
    Some(User { name: name?, may: Rights(rights.into_iter().collect::<Option<_>>()?) })
}
