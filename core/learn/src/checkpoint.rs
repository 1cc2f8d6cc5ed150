//! An interrupted training goes on from here and comes to the same weights, bit for bit.
//!
//! The file: magic, SHA-256 of the recipe, seed and pictures (32 bytes), the step (u32), then values, mean and square of
//! each parameter as f32, all little-endian. What is random depends on seed and step alone, so it need not be kept.
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::adamw::AdamW;
use crate::dataset::Dataset;
use crate::error::{LearnError, at};
use crate::network::Network;
use crate::recipe::{Calibration, Recipe};

/// The last byte counts up whenever training comes to other weights than before.
const MAGIC: [u8; 8] = *b"EMTRAIN\x01";
const HEADER: usize = MAGIC.len() + 32 + 4;

/// Where the state of one seed is kept.
pub struct Checkpoint {
    path: PathBuf,
    /// Of all that the result depends on; another one is of another training.
    digest: [u8; 32],
}

impl Checkpoint {
    /// `FOLDER/seed-N.checkpoint`.
    #[must_use]
    pub fn new(folder: &Path, recipe: &Recipe, dataset: &Dataset, seed: u64) -> Self {
        let path = folder.join(format!("seed-{seed}.checkpoint"));
        Self { path, digest: digest(recipe, dataset, seed) }
    }

    /// Writes the state after `step` steps: the old file or the new one is there, never a part.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, step: u32, network: &Network, optimiser: &AdamW) -> Result<(), LearnError> {
        let mut bytes = [&MAGIC[..], &self.digest, &step.to_le_bytes()].concat();
        for values in vectors(network, optimiser) {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        replace(&self.path, &bytes)
    }

    /// Reads the state into `network` and `optimiser` and answers the steps done: 0, and nothing changed, where there
    /// is none of this training.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn load(&self, network: &mut Network, optimiser: &mut AdamW) -> Result<u32, LearnError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(e) => return Err(at(&self.path)(e)),
        };
        let expected = HEADER + vectors(network, optimiser).map(|v| v.len() * 4).sum::<usize>();
        let start = [&MAGIC[..], &self.digest].concat();
        if bytes.len() != expected || !bytes.starts_with(&start) {
            return Ok(0);
        }
        let (header, body) = bytes.split_at(HEADER);
        let mut values = body.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value));
        for vector in vectors_mut(network, optimiser) {
            vector.iter_mut().zip(&mut values).for_each(|(to, from)| *to = from);
        }
        Ok(header.last_chunk().map_or(0, |&step| u32::from_le_bytes(step)))
    }
}

fn vectors<'a>(network: &'a Network, optimiser: &'a AdamW) -> impl Iterator<Item = &'a Vec<f32>> {
    let values = network.parameters.iter().map(|parameter| &parameter.values);
    values.chain(&optimiser.mean).chain(&optimiser.square)
}

fn vectors_mut<'a>(
    network: &'a mut Network,
    optimiser: &'a mut AdamW,
) -> impl Iterator<Item = &'a mut Vec<f32>> {
    let values = network.parameters.iter_mut().map(|parameter| &mut parameter.values);
    values.chain(&mut optimiser.mean).chain(&mut optimiser.square)
}

/// Other seeds, and how the result is quantized, make no difference to one seed's training.
fn digest(recipe: &Recipe, dataset: &Dataset, seed: u64) -> [u8; 32] {
    let mut relevant = (**recipe).clone();
    relevant.train.seeds = vec![seed];
    relevant.quantize.calibration = Calibration::MinMax;
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&relevant).expect("a recipe has no map and no NaN"));
    for sample in dataset.train() {
        hash.update(u64::try_from(sample.class).expect("usize has at most 64 bits").to_le_bytes());
        let bytes: Vec<u8> = sample.input.iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.update(&bytes);
    }
    hash.finalize().into()
}

/// Write new, sync, rename.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LearnError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&new, path)
    };
    write().map_err(at(path))
}
