//! Measures networks on pictures that neither training nor calibration has seen.
use std::path::Path;
use std::time::Instant;

use edgemill_kernels::image::Preparer;
use edgemill_model::contract::Contract;
use edgemill_model::graph::{Graph, Limits};

use crate::compress::Compressed;
use crate::confusion::Confusion;
use crate::dataset::list;
use crate::error::LearnError;
use crate::picture::Camera;
use crate::report::{Measured, Report, SeedReport};
use crate::runner::Runner;

/// Runs every network of `compressed`, float and int8, on every picture below `folder`, drawn and prepared as the pipeline
/// does it; `progress` is told how many of how many pictures are done.
///
/// # Errors
/// [`LearnError`] naming the picture or what is wrong with a graph.
pub fn evaluate(
    compressed: &Compressed,
    folder: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, LearnError> {
    let recipe = &compressed.trained.recipe;
    let entries = list(folder, &recipe.labels)?;
    let mut camera = Camera::new(recipe.picture.frame);
    let mut f32s = Side::new(&camera, &compressed.f32_contract())?;
    let mut int8s = Side::new(&camera, &compressed.int8_contract())?;
    let mut trials = trials(compressed)?;
    for (done, entry) in entries.iter().enumerate() {
        camera.show(&entry.path)?;
        f32s.prepare(&camera)?;
        int8s.prepare(&camera)?;
        for [float, int8] in &mut trials {
            float.run(&f32s.input, entry.class)?;
            int8.run(&int8s.input, entry.class)?;
        }
        progress(done + 1, entries.len());
    }
    Ok(report(compressed, entries.len(), trials))
}

/// Frames as one contract wants them.
struct Side {
    preparer: Preparer,
    input: Vec<u8>,
}

impl Side {
    fn new(camera: &Camera, contract: &Contract) -> Result<Self, LearnError> {
        let preparer = camera.preparer(contract)?;
        let input = vec![0; preparer.output_bytes()];
        Ok(Self { preparer, input })
    }

    fn prepare(&mut self, camera: &Camera) -> Result<(), LearnError> {
        camera.prepare(&mut self.preparer, &mut self.input)
    }
}

/// One network on its way through the pictures.
struct Trial {
    runner: Runner,
    confusion: Confusion,
    bytes: usize,
    macs: u64,
    run_us: Vec<f64>,
}

fn trials(compressed: &Compressed) -> Result<Vec<[Trial; 2]>, LearnError> {
    let labels = &compressed.trained.recipe.labels;
    let trial = |bytes: &[u8]| Trial::new(bytes, labels);
    let pairs = compressed.trained.outcomes.iter().zip(&compressed.int8);
    pairs.map(|(float, int8)| Ok([trial(&float.graph)?, trial(&int8.graph)?])).collect()
}

impl Trial {
    fn new(bytes: &[u8], labels: &[String]) -> Result<Self, LearnError> {
        let graph = Graph::from_bytes(bytes, Limits::default()).map_err(LearnError::graph)?;
        Ok(Self {
            runner: Runner::new(&graph)?,
            confusion: Confusion::new(labels),
            bytes: bytes.len(),
            macs: graph.macs(),
            run_us: Vec::new(),
        })
    }

    fn run(&mut self, input: &[u8], class: usize) -> Result<(), LearnError> {
        let begun = Instant::now();
        let answer = self.runner.answer(input)?;
        self.run_us.push(begun.elapsed().as_secs_f64() * 1e6);
        self.confusion.count(class, answer);
        Ok(())
    }

    fn measured(mut self) -> Measured {
        self.run_us.sort_by(f64::total_cmp);
        let middle = self.run_us.get(self.run_us.len() / 2).copied().unwrap_or_default();
        Measured::new(self.confusion, self.bytes, self.macs, middle)
    }
}

fn report(compressed: &Compressed, pictures: usize, trials: Vec<[Trial; 2]>) -> Report {
    let trained = &compressed.trained;
    let outcomes = trained.outcomes.iter().zip(trials);
    let measured = outcomes.map(|(outcome, [float, int8])| SeedReport {
        seed: outcome.seed,
        validation: outcome.validation,
        f32: float.measured(),
        int8: int8.measured(),
    });
    Report::new(&trained.recipe.name, pictures, measured.collect(), trained.best)
}
