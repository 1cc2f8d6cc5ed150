//! From a trained float network to an int8 one.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_model::contract::Contract;
use edgemill_model::graph::{Graph, Limits};
use edgemill_model::tensor::Quantization;
use serde::{Deserialize, Serialize};

use crate::calibrate::ranges;
use crate::checkpoint::replace;
use crate::contract;
use crate::dataset::{Dataset, Sample};
use crate::error::{LearnError, at};
use crate::quantize::{Outputs, int8_of, quantize};
use crate::runner::Runner;
use crate::trained::{Outcome, Trained, read_json, saved, write_json};

/// Every network of a training, as float and as int8.
#[derive(Clone, Debug, PartialEq)]
pub struct Compressed {
    /// The float networks, and which is best.
    pub trained: Trained,
    /// The int8 network of each, in the same order.
    pub int8: Vec<Int8>,
}

/// One int8 network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Int8 {
    /// The graph's bytes.
    pub graph: Vec<u8>,
    /// Validation pictures that it was right about, of [`Score::total`](crate::Score::total).
    pub right: usize,
}

/// Enough to see every range; more changes nothing.
const CALIBRATION_PICTURES: usize = 300;

/// Quantizes every network of `trained` with ranges seen on training pictures of `dataset`.
///
/// # Errors
/// A graph that is damaged or cannot be quantized.
pub fn compress(trained: &Trained, dataset: &Dataset) -> Result<Compressed, LearnError> {
    let inputs = calibration_inputs(dataset.train());
    let rule = contract::input_rule(&trained.recipe);
    let one = |outcome: &Outcome| {
        let graph =
            Graph::from_bytes(&outcome.graph, Limits::default()).map_err(LearnError::graph)?;
        let calibration = trained.recipe.quantize.calibration;
        let ranges = ranges(&graph, &inputs, calibration, &[], &mut || ());
        let ranges = ranges.map_err(LearnError::graph)?;
        let int8 = quantize(&graph, &[rule], &ranges, Outputs::Int8).map_err(LearnError::graph)?;
        let right = right(&int8, rule, dataset.validation())?;
        Ok(Int8 { graph: int8.to_bytes(), right })
    };
    let int8 = trained.outcomes.iter().map(one).collect::<Result<_, LearnError>>()?;
    Ok(Compressed { trained: trained.clone(), int8 })
}

fn right(graph: &Graph<'_>, rule: Quantization, samples: &[Sample]) -> Result<usize, LearnError> {
    let mut runner = Runner::new(graph)?;
    let mut right = 0;
    for sample in samples {
        let input: Vec<u8> = sample.input.iter().map(|&real| int8_of(real, rule)).collect();
        right += usize::from(runner.answer(&input)? == sample.class);
    }
    Ok(right)
}

/// Samples lie class by class: every n-th shows each class as often as it is there.
fn calibration_inputs(samples: &[Sample]) -> Vec<&[f32]> {
    let stride = samples.len().div_ceil(CALIBRATION_PICTURES).max(1);
    samples.iter().step_by(stride).map(|sample| &sample.input[..]).collect()
}

impl Compressed {
    /// The float graph of the best network.
    #[must_use]
    pub fn best_f32(&self) -> &[u8] {
        &self.trained.outcomes[self.trained.best].graph
    }

    /// The int8 graph of the best network.
    #[must_use]
    pub fn best_int8(&self) -> &[u8] {
        &self.int8[self.trained.best].graph
    }

    /// What the float networks expect and give.
    #[must_use]
    pub fn f32_contract(&self) -> Contract {
        contract::float(&self.trained.recipe)
    }

    /// What the int8 networks expect and give.
    #[must_use]
    pub fn int8_contract(&self) -> Contract {
        contract::int8(&self.trained.recipe)
    }

    /// Writes `compressed.json` and `seed-N.int8.graph` for each seed into `folder`, beside what [`Trained::save`] writes.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        self.trained.save(folder)?;
        for (outcome, int8) in self.trained.outcomes.iter().zip(&self.int8) {
            replace(&graph_path(folder, outcome.seed), &int8.graph)?;
        }
        let right = self.int8.iter().map(|int8| int8.right).collect();
        write_json(&folder.join(INDEX), &Index { validation_right: right })
    }

    /// Reads what [`Compressed::save`] wrote.
    ///
    /// # Errors
    /// A file that is absent or damaged.
    pub fn load(folder: &Path) -> Result<Self, LearnError> {
        let trained = Trained::load(folder)?;
        let path = folder.join(INDEX);
        let index: Index = read_json(&path)?;
        if index.validation_right.len() != trained.outcomes.len() {
            return Err(saved(&path, &"it is of another training"));
        }
        let read = |(outcome, right): (&Outcome, usize)| {
            let path = graph_path(folder, outcome.seed);
            Ok(Int8 { graph: fs::read(&path).map_err(at(&path))?, right })
        };
        let int8 = trained.outcomes.iter().zip(index.validation_right).map(read);
        let int8 = int8.collect::<Result<_, LearnError>>()?;
        Ok(Self { trained, int8 })
    }
}

/// `compressed.json`; the graphs lie beside it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    /// In the order of the recipe's seeds.
    validation_right: Vec<usize>,
}

const INDEX: &str = "compressed.json";

fn graph_path(folder: &Path, seed: u64) -> PathBuf {
    folder.join(format!("seed-{seed}.int8.graph"))
}
