//! A folder of class folders of pictures, as a network sees them.
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::contract;
use crate::error::{LearnError, at};
use crate::picture::Camera;
use crate::prng::Prng;
use crate::recipe::Recipe;

/// One picture's file and its class, an index into the labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its class.
    pub class: usize,
}

/// The `.jpg` files of `FOLDER/LABEL/` for each label, in order of label and name, so that it is the same on every
/// machine.
///
/// # Errors
/// A folder that is absent or has none.
pub fn list(folder: &Path, labels: &[String]) -> Result<Vec<Entry>, LearnError> {
    let mut entries = Vec::new();
    for (class, label) in labels.iter().enumerate() {
        let mut paths = pictures(&folder.join(label))?;
        if paths.is_empty() {
            return Err(LearnError::NoPictures { folder: folder.to_owned(), label: label.clone() });
        }
        paths.sort();
        entries.extend(paths.into_iter().map(|path| Entry { path, class }));
    }
    Ok(entries)
}

fn pictures(folder: &Path) -> Result<Vec<PathBuf>, LearnError> {
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        extension.is_some_and(|e| e == "jpg" || e == "jpeg")
    };
    match std::fs::read_dir(folder) {
        Ok(files) => {
            let paths: Result<Vec<PathBuf>, _> = files.map(|file| Ok(file?.path())).collect();
            Ok(paths.map_err(at(folder))?.into_iter().filter(is_picture).collect())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(at(folder)(e)),
    }
}

/// One picture as the float network's input, and its class.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Height × width × channel.
    pub input: Vec<f32>,
    /// Index into the labels.
    pub class: usize,
}

/// Training pictures, read once, those kept for validation apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    train: Vec<Sample>,
    validation: Vec<Sample>,
}

/// Which pictures validate does not depend on the seed that is trained, so that seeds can be compared.
const SPLIT_SEED: u64 = 0;

impl Dataset {
    /// Reads every picture below `folder`; `progress` is told how many of how many are done.
    ///
    /// # Errors
    /// [`LearnError`] naming the folder or picture.
    pub fn load(
        folder: &Path,
        recipe: &Recipe,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, LearnError> {
        let samples = read_all(&list(folder, &recipe.labels)?, recipe, progress)?;
        Self::split(samples, recipe).map_err(|(class, found)| LearnError::TooFew {
            folder: folder.to_owned(),
            label: recipe.labels[class].clone(),
            found,
        })
    }

    /// Keeps the recipe's part of each class apart for validation, at least one, chosen at random. Where a class has
    /// fewer than two samples, that class and their number are the error.
    ///
    /// # Errors
    /// The class and how many samples it has.
    pub fn split(samples: Vec<Sample>, recipe: &Recipe) -> Result<Self, (usize, usize)> {
        let mut by_class = vec![Vec::new(); recipe.labels.len()];
        for sample in samples {
            by_class[sample.class].push(sample);
        }
        let mut split = Self { train: Vec::new(), validation: Vec::new() };
        for (class, mut samples) in by_class.into_iter().enumerate() {
            if samples.len() < 2 {
                return Err((class, samples.len()));
            }
            Prng::new(SPLIT_SEED, class as u64).shuffle(&mut samples);
            let kept = part(samples.len(), recipe.train.validation).clamp(1, samples.len() - 1);
            split.train.extend(samples.split_off(kept));
            split.validation.extend(samples);
        }
        Ok(split)
    }

    /// What is trained on, by class.
    #[must_use]
    pub fn train(&self) -> &[Sample] {
        &self.train
    }

    /// What is only looked at.
    #[must_use]
    pub fn validation(&self) -> &[Sample] {
        &self.validation
    }
}

/// Every core takes a stretch of the pictures; the samples come in the order of the entries.
fn read_all(
    entries: &[Entry],
    recipe: &Recipe,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Sample>, LearnError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stretches = entries.chunks(entries.len().div_ceil(cores).max(1));
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        let read = |stretch| {
            let sender = sender.clone();
            scope.spawn(move || read(stretch, recipe, &sender))
        };
        let readers: Vec<_> = stretches.map(read).collect();
        drop(sender);
        for (done, ()) in receiver.iter().enumerate() {
            progress(done + 1, entries.len());
        }
        let mut samples = Vec::with_capacity(entries.len());
        for reader in readers {
            samples.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(samples)
    })
}

fn read(entries: &[Entry], recipe: &Recipe, done: &Sender<()>) -> Result<Vec<Sample>, LearnError> {
    let mut camera = Camera::new(recipe.picture.frame);
    let mut preparer = camera.preparer(&contract::float(recipe))?;
    let mut bytes = vec![0; preparer.output_bytes()];
    let mut samples = Vec::with_capacity(entries.len());
    for Entry { path, class } in entries {
        camera.show(path)?;
        camera.prepare(&mut preparer, &mut bytes)?;
        let input = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        samples.push(Sample { input, class: *class });
        // The receiver goes only after all senders have.
        let _ = done.send(());
    }
    Ok(samples)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of 0..=0.5 of far fewer than 2²⁴ pictures"
)]
fn part(count: usize, part: f32) -> usize {
    (count as f32 * part).round() as usize
}
