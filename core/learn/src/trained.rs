//! What training comes to, in memory and in a folder.
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::replace;
use crate::error::{LearnError, at};
use crate::recipe::{Fields, Recipe};

/// How a network did on pictures it was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Pictures it was right about.
    pub right: usize,
    /// Pictures.
    pub total: usize,
    /// Mean cross-entropy.
    pub loss: f32,
}

/// One seed's network.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// On the validation pictures.
    pub validation: Score,
    /// The float graph's bytes.
    pub graph: Vec<u8>,
}

/// A network for each seed of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What they were made by.
    pub recipe: Recipe,
    /// In the order of the recipe's seeds.
    pub outcomes: Vec<Outcome>,
    /// Index of the one that did best on the validation pictures.
    pub best: usize,
}

/// `trained.json`; the graphs lie beside it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    recipe: Fields,
    best_seed: u64,
    seeds: Vec<Seed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: u64,
    validation: Score,
}

const INDEX: &str = "trained.json";

impl Trained {
    pub(crate) fn new(recipe: Recipe, outcomes: Vec<Outcome>) -> Self {
        let better = |a: &Score, b: &Score| a.right.cmp(&b.right).then(b.loss.total_cmp(&a.loss));
        // Of equals the first, whichever way `max_by` counts.
        let by_score = outcomes.iter().enumerate().rev();
        let best = by_score.max_by(|(_, a), (_, b)| better(&a.validation, &b.validation));
        let best = best.map_or(0, |(index, _)| index);
        Self { recipe, outcomes, best }
    }

    /// Writes `trained.json` and `seed-N.f32.graph` for each seed into `folder`, which must be there.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        for outcome in &self.outcomes {
            replace(&graph_path(folder, outcome.seed), &outcome.graph)?;
        }
        let seeds = self.outcomes.iter().map(|o| Seed { seed: o.seed, validation: o.validation });
        let best_seed = self.outcomes[self.best].seed;
        let index = Index { recipe: (*self.recipe).clone(), best_seed, seeds: seeds.collect() };
        write_json(&folder.join(INDEX), &index)
    }

    /// Reads what [`Trained::save`] wrote.
    ///
    /// # Errors
    /// A file that is absent or damaged.
    pub fn load(folder: &Path) -> Result<Self, LearnError> {
        let path = folder.join(INDEX);
        let index: Index = read_json(&path)?;
        let recipe = Recipe::check(index.recipe, INDEX).map_err(|e| saved(&path, &e))?;
        let outcome = |Seed { seed, validation }| {
            let path = graph_path(folder, seed);
            Ok(Outcome { seed, validation, graph: fs::read(&path).map_err(at(&path))? })
        };
        let outcomes =
            index.seeds.into_iter().map(outcome).collect::<Result<Vec<_>, LearnError>>()?;
        let best = outcomes.iter().position(|outcome| outcome.seed == index.best_seed);
        let best = best.ok_or_else(|| saved(&path, &"best_seed is none of its seeds"))?;
        Ok(Self { recipe, outcomes, best })
    }
}

fn graph_path(folder: &Path, seed: u64) -> PathBuf {
    folder.join(format!("seed-{seed}.f32.graph"))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LearnError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| saved(path, &e))?;
    text.push(b'\n');
    replace(path, &text)
}

pub(crate) fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, LearnError> {
    let bytes = fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&bytes).map_err(|e| saved(path, &e))
}

pub(crate) fn saved(path: &Path, said: &dyn std::fmt::Display) -> LearnError {
    LearnError::Saved { path: path.to_owned(), said: said.to_string().chars().take(400).collect() }
}
