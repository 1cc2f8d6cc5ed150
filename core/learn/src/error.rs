//! What can go wrong while learning.
use std::path::{Path, PathBuf};

/// Each says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A folder of a class is not there or empty.
    #[error("{}: no .jpg pictures of the class `{label}`; each class of the recipe needs a folder of its name", folder.display())]
    NoPictures {
        /// Where they were looked for.
        folder: PathBuf,
        /// The class.
        label: String,
    },
    /// Too few to keep some apart for validation.
    #[error("{}: {found} picture of the class `{label}`; at least 2 are needed, one to train on and one to validate", folder.display())]
    TooFew {
        /// Where they are.
        folder: PathBuf,
        /// The class.
        label: String,
        /// How many there are.
        found: usize,
    },
    /// A picture, or what is asked of it.
    #[error("{}: {source}", path.display())]
    Picture {
        /// The picture's file.
        path: PathBuf,
        /// What is wrong.
        source: edgemill_kernels::image::ImageError,
    },
    /// A contract that pictures cannot be made for.
    #[error("the model's contract: {said}")]
    Contract {
        /// What is wrong.
        said: String,
    },
    /// A graph that cannot be made or run.
    #[error("the model's graph: {said}")]
    Graph {
        /// What is wrong.
        said: String,
    },
    /// candle refused: a fault of this program.
    #[error("the training arithmetic failed: {0}; please report this")]
    Arithmetic(#[from] candle_core::Error),
    /// A file of a training that was saved is damaged.
    #[error("{}: {said}; delete it and train again", path.display())]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        said: String,
    },
    /// The loss is no number any more.
    #[error("seed {seed} diverged at step {step}: lower train.learning-rate in the recipe")]
    Diverged {
        /// Of the network.
        seed: u64,
        /// Where it was seen.
        step: u32,
    },
    /// The caller asked to stop; what was done is saved.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> LearnError {
    let path = path.to_owned();
    move |source| LearnError::Io { path, source }
}

impl LearnError {
    pub(crate) fn graph(error: impl std::fmt::Display) -> Self {
        Self::Graph { said: error.to_string() }
    }
}
