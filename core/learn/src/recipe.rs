//! `recipe.toml`: what is trained, on what, and how. Read raw, checked once.
use std::path::Path;

use edgemill_model::contract::{Filter, Fit};
use serde::{Deserialize, Serialize};

/// A recipe whose every number can be used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Recipe(Fields);

impl std::ops::Deref for Recipe {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

/// A recipe as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fields {
    /// The model's name.
    pub name: String,
    /// Folders of the pictures, in the order of the outputs.
    pub labels: Vec<String>,
    /// What the network sees.
    pub picture: Picture,
    /// What the network is.
    pub network: Network,
    /// How it learns.
    pub train: Train,
    /// How pictures are varied while it learns.
    pub augment: Augment,
    /// How it is made int8.
    pub quantize: Quantize,
}

/// From a picture's file to the network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Picture {
    /// Width and height of the YUYV frame that every picture is drawn into, letterboxed.
    pub frame: [u32; 2],
    /// x, y, width, height of the part of the frame looked at, as fractions of the frame.
    pub region: [f32; 4],
    /// From region to input.
    #[serde(default = "stretch")]
    pub fit: Fit,
    /// How pixels are weighed where the size changes.
    #[serde(default)]
    pub filter: Filter,
    /// Width and height of the input; RGB.
    pub size: [u32; 2],
    /// Of red, green and blue in 0..1, taken off.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

/// 3×3 convolutions, each with ReLU and a 2×2 pool, then two dense layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Filters of each convolution.
    pub convolutions: Vec<u32>,
    /// Units of the hidden dense layer.
    pub dense: u32,
}

/// How it learns: AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101), the rate rising in a line over the warm-up and
/// falling to 0 along a cosine (Loshchilov and Hutter, 2017, arXiv:1608.03983).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Train {
    /// One network is trained for each; the best on the validation pictures is kept.
    pub seeds: Vec<u64>,
    /// Steps of each.
    pub steps: u32,
    /// Pictures in a step, of all classes alike.
    pub batch: u32,
    /// The highest rate.
    pub learning_rate: f32,
    /// Steps until the highest rate.
    pub warm_up: u32,
    /// Part of a weight taken off, times the rate, in a step.
    pub weight_decay: f32,
    /// Part of the target spread over all classes.
    pub label_smoothing: f32,
    /// Part of the pictures of each class that is never trained on.
    pub validation: f32,
}

/// How pictures are varied; each at random, for every picture of every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Augment {
    /// Pixels are multiplied by 1 ± this.
    pub brightness: f32,
    /// The picture moves by up to this many pixels each way, its border repeated.
    pub shift: u32,
    /// Standard deviation of what is added to a pixel, of its range 0..1.
    pub noise: f32,
    /// Half of them are mirrored, left to right.
    pub flip: bool,
}

/// How activations' ranges are found on the training pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quantize {
    /// The rule.
    pub calibration: Calibration,
}

/// What of the values seen the int8 range covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// All of them.
    MinMax,
    /// All but the outermost 0.005 % on each side.
    Percentile,
    /// As much as leaves the least square error.
    Mse,
}

const fn stretch() -> Fit {
    Fit::Stretch
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// Its path.
        file: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Not TOML, or a key that is unknown or missing.
    #[error("{file}: {said}")]
    Syntax {
        /// Its path.
        file: String,
        /// Place and reason.
        said: String,
    },
    /// A value that makes no sense.
    #[error("{file}: {key} {rule}")]
    Value {
        /// Its path.
        file: String,
        /// Section and key.
        key: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

impl Recipe {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`RecipeError`] with the file, the place and the rule.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(source) => Err(RecipeError::Read { file, source }),
        }
    }

    /// Checks a text; `file` is only for messages.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        let raw: Fields = toml::from_str(text).map_err(|error| {
            let said: String = error.to_string().chars().take(1000).collect();
            RecipeError::Syntax { file: file.into(), said: said.trim_end().into() }
        })?;
        Self::check(raw, file)
    }

    pub(crate) fn check(fields: Fields, file: &str) -> Result<Self, RecipeError> {
        match rules(&fields).into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, rule)) => Err(RecipeError::Value { file: file.into(), key, rule }),
            None => Ok(Self(fields)),
        }
    }
}

/// Every rule: whether it holds, what it is about, and what it asks.
fn rules(raw: &Fields) -> Vec<(bool, &'static str, &'static str)> {
    let Fields { picture, network, train, augment, .. } = raw;
    let [x, y, width, height] = picture.region;
    let inside = x >= 0.0
        && y >= 0.0
        && width > 0.0
        && height > 0.0
        && x + width <= 1.0
        && y + height <= 1.0;
    let even = picture.frame[0].is_multiple_of(2);
    let sides = |sides: [u32; 2], most| sides.iter().all(|side| (8..=most).contains(side));
    let part = |value: f32| (0.0..1.0).contains(&value);
    let counts = |counts: &[u32]| counts.iter().all(|n| (1..=1024).contains(n));
    let normal = picture.mean.iter().chain(&picture.std).all(|v| v.is_finite())
        && picture.std.iter().all(|&s| s > 0.0);
    vec![
        (name_is_plain(&raw.name), "name", "must be letters, digits, - and _, at most 64"),
        ((2..=256).contains(&raw.labels.len()), "labels", "must be 2 to 256 names"),
        (
            raw.labels.iter().all(|l| name_is_plain(l)),
            "labels",
            "must be folder names of letters, digits, - and _",
        ),
        (all_differ(&raw.labels), "labels", "must all differ"),
        (
            sides(picture.frame, 4096) && even,
            "picture.frame",
            "must be two sides of 8 to 4096 pixels, the width even",
        ),
        (inside, "picture.region", "must be x, y, width, height as fractions, inside the frame"),
        (sides(picture.size, 512), "picture.size", "must be two sides of 8 to 512 pixels"),
        (normal, "picture.mean and picture.std", "must be finite, std above 0"),
        (counts(&network.convolutions), "network.convolutions", "must be filters of 1 to 1024"),
        (
            fits(picture.size, network.convolutions.len()),
            "network.convolutions",
            "must leave at least a pixel of the picture",
        ),
        (counts(&[network.dense]), "network.dense", "must be 1 to 1024"),
        (
            !train.seeds.is_empty() && train.seeds.len() <= 16,
            "train.seeds",
            "must be 1 to 16 numbers",
        ),
        (all_differ(&train.seeds), "train.seeds", "must all differ"),
        ((1..=1_000_000).contains(&train.steps), "train.steps", "must be 1 to 1000000"),
        ((1..=1024).contains(&train.batch), "train.batch", "must be 1 to 1024"),
        (
            train.learning_rate > 0.0 && train.learning_rate <= 1.0,
            "train.learning-rate",
            "must be above 0, at most 1",
        ),
        (train.warm_up <= train.steps, "train.warm-up", "must be at most train.steps"),
        (part(train.weight_decay), "train.weight-decay", "must be 0 to below 1"),
        (part(train.label_smoothing), "train.label-smoothing", "must be 0 to below 1"),
        (
            train.validation > 0.0 && train.validation <= 0.5,
            "train.validation",
            "must be above 0, at most 0.5",
        ),
        (part(augment.brightness), "augment.brightness", "must be 0 to below 1"),
        (
            augment.shift < picture.size[0].min(picture.size[1]),
            "augment.shift",
            "must be below the picture's size",
        ),
        (part(augment.noise), "augment.noise", "must be 0 to below 1"),
    ]
}

fn name_is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

fn all_differ<T: Ord>(items: &[T]) -> bool {
    items.iter().collect::<std::collections::BTreeSet<_>>().len() == items.len()
}

/// Whether each 3×3 convolution and 2×2 pool finds enough of the picture.
fn fits(size: [u32; 2], convolutions: usize) -> bool {
    (0..convolutions)
        .try_fold(size, |size, _| {
            let left = size.map(|side| side.saturating_sub(2) / 2);
            left.iter().all(|&side| side > 0).then_some(left)
        })
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../recipes/traffic-light.toml");

    #[test]
    fn the_worked_example_is_a_recipe() {
        let recipe = Recipe::parse(GOOD, "traffic-light.toml").expect("it is ours");
        assert_eq!(recipe.labels, ["red", "yellow", "green"]);
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            ("unknown key", "batch = 32", "batch = 32\nbatsh = 1", "batsh"),
            ("missing key", "steps = 300", "", "steps"),
            ("another type", "steps = 300", "steps = \"many\"", "steps"),
            ("nan", "noise = 0.03", "noise = nan", "augment.noise"),
            ("region outside", "0.375, 1.0]", "0.8, 1.0]", "picture.region"),
            ("odd frame", "[640, 480]", "[641, 480]", "picture.frame"),
            ("std of 0", "std = [0.2509804,", "std = [0.0,", "picture.std"),
            ("too deep", "[32, 64]", "[8, 8, 8, 8]", "network.convolutions"),
            ("no seed", "[1, 2, 3]", "[]", "train.seeds"),
            ("same seed twice", "[1, 2, 3]", "[1, 2, 1]", "train.seeds"),
            ("one label", "[\"red\", \"yellow\", \"green\"]", "[\"red\"]", "labels"),
            ("a path for a label", "\"red\"", "\"../red\"", "labels"),
            ("no validation", "validation = 0.2", "validation = 0.0", "train.validation"),
        ];
        for (name, from, to, expected) in cases {
            assert!(GOOD.contains(from), "{name}: the recipe has changed");
            let said = Recipe::parse(&GOOD.replace(from, to), "r.toml").map_err(|e| e.to_string());
            let said = said.expect_err(name);
            assert!(said.starts_with("r.toml: ") && said.contains(expected), "{name}: {said}");
        }
    }
}
