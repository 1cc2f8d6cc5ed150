//! From a trained float network to an int8 one.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_model::contract::Contract;
use edgemill_model::graph::{Graph, Limits};

use crate::calibrate::ranges;
use crate::checkpoint::replace;
use crate::contract;
use crate::dataset::{Dataset, Sample};
use crate::error::{LearnError, at};
use crate::quantize::quantize;
use crate::trained::{Outcome, Trained};

/// Every network of a training, as float and as int8.
#[derive(Clone, Debug, PartialEq)]
pub struct Compressed {
    /// The float networks, and which is best.
    pub trained: Trained,
    /// The int8 graph's bytes of each, in the same order.
    pub int8: Vec<Vec<u8>>,
}

/// Enough to see every range; more changes nothing.
const CALIBRATION_PICTURES: usize = 300;

/// Quantizes every network of `trained` with ranges seen on training pictures of `dataset`.
///
/// # Errors
/// A graph that is damaged or cannot be quantized.
pub fn compress(trained: &Trained, dataset: &Dataset) -> Result<Compressed, LearnError> {
    let inputs = calibration_inputs(dataset.train());
    let one = |outcome: &Outcome| {
        let graph =
            Graph::from_bytes(&outcome.graph, Limits::default()).map_err(LearnError::graph)?;
        let calibration = trained.recipe.quantize.calibration;
        let ranges = ranges(&graph, &inputs, calibration).map_err(LearnError::graph)?;
        let rule = contract::input_rule(&trained.recipe);
        let int8 = quantize(&graph, &[rule], &ranges).map_err(LearnError::graph)?;
        Ok(int8.to_bytes())
    };
    let int8 = trained.outcomes.iter().map(one).collect::<Result<_, LearnError>>()?;
    Ok(Compressed { trained: trained.clone(), int8 })
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
        &self.int8[self.trained.best]
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

    /// Writes `seed-N.int8.graph` for each seed into `folder`, beside what [`Trained::save`] wrote there.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        self.trained.save(folder)?;
        for (outcome, graph) in self.trained.outcomes.iter().zip(&self.int8) {
            replace(&graph_path(folder, outcome.seed), graph)?;
        }
        Ok(())
    }

    /// Reads what [`Compressed::save`] wrote.
    ///
    /// # Errors
    /// A file that is absent or damaged.
    pub fn load(folder: &Path) -> Result<Self, LearnError> {
        let trained = Trained::load(folder)?;
        let read = |outcome: &Outcome| {
            let path = graph_path(folder, outcome.seed);
            fs::read(&path).map_err(at(&path))
        };
        let int8 = trained.outcomes.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { trained, int8 })
    }
}

fn graph_path(folder: &Path, seed: u64) -> PathBuf {
    folder.join(format!("seed-{seed}.int8.graph"))
}
