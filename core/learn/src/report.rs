//! What an evaluation comes to, for machines.
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::confusion::Confusion;
use crate::error::LearnError;
use crate::trained::{Score, read_json, write_json};

/// One network on the test pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Part of the pictures that it was right about.
    pub accuracy: f64,
    /// Part of each class, in the order of the labels.
    pub recall: Vec<f64>,
    /// Which class was taken for which.
    pub confusion: Confusion,
    /// Of the graph.
    pub bytes: usize,
    /// Multiplications of a weight by an element in a run.
    pub macs: u64,
    /// Median time of a run, without preparing the picture, on this machine.
    pub median_us: f64,
}

/// One seed's networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedReport {
    /// The seed.
    pub seed: u64,
    /// What it was chosen by, or not.
    pub validation: Score,
    /// The float network.
    pub f32: Measured,
    /// The int8 network.
    pub int8: Measured,
}

/// All seeds; the best on the validation pictures is the one that is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// Test pictures.
    pub pictures: usize,
    /// Index of the best, chosen without the test pictures.
    pub best: usize,
    /// The least accuracy of any seed's float network.
    pub worst_accuracy_f32: f64,
    /// The least accuracy of any seed's int8 network.
    pub worst_accuracy_int8: f64,
    /// In the order of the recipe.
    pub seeds: Vec<SeedReport>,
}

impl Measured {
    pub(crate) fn new(confusion: Confusion, bytes: usize, macs: u64, median_us: f64) -> Self {
        let recall = (0..confusion.labels.len()).map(|class| confusion.recall(class)).collect();
        Self { accuracy: confusion.accuracy(), recall, confusion, bytes, macs, median_us }
    }
}

impl Report {
    pub(crate) fn new(model: &str, pictures: usize, seeds: Vec<SeedReport>, best: usize) -> Self {
        let worst = |of: fn(&SeedReport) -> &Measured| {
            seeds.iter().map(|seed| of(seed).accuracy).fold(1.0, f64::min)
        };
        Self {
            model: model.into(),
            pictures,
            best,
            worst_accuracy_f32: worst(|seed| &seed.f32),
            worst_accuracy_int8: worst(|seed| &seed.int8),
            seeds,
        }
    }

    /// The seed that is used.
    #[must_use]
    pub fn best(&self) -> &SeedReport {
        &self.seeds[self.best]
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, path: &Path) -> Result<(), LearnError> {
        write_json(path, self)
    }

    /// Reads what [`Report::save`] wrote.
    ///
    /// # Errors
    /// A file that is absent or damaged.
    pub fn load(path: &Path) -> Result<Self, LearnError> {
        read_json(path)
    }
}
