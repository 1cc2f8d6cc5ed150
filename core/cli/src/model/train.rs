//! `edgemill model train`: a recipe and a folder of pictures become a network.
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use edgemill_learn::{Dataset, Progress, Recipe, Trained, train};
use serde::Serialize;

use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::progress::Bar;

/// Arguments of `edgemill model train`.
#[derive(clap::Args)]
#[command(
    after_help = "Cut short, it goes on where it was.\n\nExample: edgemill model train --recipe lights.toml --data train --output model"
)]
pub struct Args {
    /// What to train and how.
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// A folder with a folder of pictures for each label.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The training folder: networks, checkpoints and what was measured.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// What one seed came to, on pictures kept apart for validation.
#[derive(Serialize)]
struct Line {
    seed: u64,
    validation_accuracy: f64,
    best: bool,
}

/// Trains, showing how far it is.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let recipe =
        Recipe::load(&args.recipe).map_err(|error| Failure::new(Code::Configuration, error))?;
    let dataset = read_pictures(&args.data, &recipe)?;
    let seeds = recipe.train.seeds.len() as u64;
    let bar = Bar::new("training", u64::from(recipe.train.steps) * seeds);
    // By seed, since a training that goes on from a checkpoint begins in the middle.
    let mut steps = BTreeMap::new();
    let mut progress = |progress: Progress| {
        steps.insert(progress.seed, u64::from(progress.step));
        bar.reach(steps.values().sum(), &format!("loss {:.3}", progress.loss));
        ControlFlow::Continue(())
    };
    let trained = train(&recipe, &dataset, &args.output, &mut progress).map_err(Failure::model)?;
    bar.done();
    trained.save(&args.output).map_err(Failure::model)?;
    let lines = lines(&trained);
    let text: Vec<String> = lines.iter().map(show).collect();
    output.result(&lines, text.join("\n"))
}

/// Reads and prepares every picture, as the pipeline would.
pub fn read_pictures(folder: &std::path::Path, recipe: &Recipe) -> Result<Dataset, Failure> {
    let bar = Bar::new("pictures", 0);
    let dataset = Dataset::load(folder, recipe, &mut |done, of| bar.at(done as u64, of as u64));
    bar.done();
    dataset.map_err(Failure::model)
}

fn lines(trained: &Trained) -> Vec<Line> {
    let line = |(index, outcome): (usize, &edgemill_learn::Outcome)| Line {
        seed: outcome.seed,
        validation_accuracy: outcome.validation.right as f64 / outcome.validation.total as f64,
        best: index == trained.best,
    };
    trained.outcomes.iter().enumerate().map(line).collect()
}

fn show(line: &Line) -> String {
    let best = if line.best { "  (kept)" } else { "" };
    format!("seed {}: {:.2} % on validation{best}", line.seed, line.validation_accuracy * 100.0)
}
