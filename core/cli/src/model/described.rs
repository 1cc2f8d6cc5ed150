//! `contract.toml`: what a network from elsewhere sees and what its numbers mean, which its file does not say. Tensors come
//! from the network itself. Read raw, checked once.
use std::path::Path;

use edgemill_import::Options;
use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture, Window};
use edgemill_model::graph::{Graph, Limits, MAGIC, ValueId};
use edgemill_model::tensor::TensorSpec;
use serde::Deserialize;

use super::import;
use crate::exit::{Code, Failure};

/// A description that fits its network.
pub struct Described {
    /// The model's name.
    pub name: Option<String>,
    /// All that a package says of it.
    pub contract: Contract,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    name: Option<String>,
    head: String,
    labels: Option<Vec<String>>,
    labels_file: Option<String>,
    picture: Option<RawPicture>,
    window: Option<RawWindow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawPicture {
    layout: Option<Layout>,
    colour: Colour,
    fit: Fit,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    fill: u8,
    region: Option<[f32; 4]>,
    /// What black and white become; or mean and std.
    range: Option<[f32; 2]>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawWindow {
    samples: u32,
    hop: u32,
    rate_hz: f64,
}

/// The bytes of a network's file.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    import::read(path)
}

/// What they hold: one of our graphs, or an ONNX or TensorFlow Lite file.
pub fn graph<'a>(path: &Path, bytes: &'a [u8]) -> Result<Graph<'a>, Failure> {
    if !bytes.starts_with(&MAGIC) {
        return import::import(path, bytes, &Options::default());
    }
    Graph::from_bytes(bytes, Limits::default())
        .map_err(|error| Failure::model(format!("{}: {error}", path.display())))
}

/// Reads what `path` says of `graph`.
pub fn read(path: &Path, graph: &Graph<'_>) -> Result<Described, Failure> {
    let refused = |said: &dyn std::fmt::Display| {
        Failure::new(Code::Configuration, format!("{}: {said}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
    let raw: Raw = toml::from_str(&text).map_err(|error| refused(&error.to_string().trim_end()))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    describe(raw, beside, graph).map_err(|said| refused(&said))
}

fn describe(raw: Raw, beside: &Path, graph: &Graph<'_>) -> Result<Described, String> {
    let spec = |id: ValueId| graph.value(id).spec().clone();
    let inputs: Vec<TensorSpec> = graph.inputs().map(spec).collect();
    let outputs = graph.outputs().iter().map(|&id| spec(id)).collect();
    let labels = match (raw.labels, raw.labels_file) {
        (Some(_), Some(_)) => return Err("give labels or labels-file, not both".into()),
        (labels, None) => labels.unwrap_or_default(),
        (None, Some(file)) => lines(&beside.join(file))?,
    };
    let picture = raw.picture.map(|raw| picture(raw, &inputs[0].shape)).transpose()?;
    let window = |RawWindow { samples, hop, rate_hz }| Window { samples, hop, rate_hz };
    let window = raw.window.map(window);
    let contract = Contract { inputs, outputs, picture, window, head: raw.head, labels };
    Ok(Described { name: raw.name, contract })
}

/// The lines of a file that are not empty.
fn lines(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("labels-file: {}: {error}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn picture(raw: RawPicture, input: &[u32]) -> Result<Picture, String> {
    let channels: u32 = if raw.colour == Colour::Grey { 1 } else { 3 };
    let usual = match *input {
        [1, _, _, c] if c == channels => Some(Layout::Nhwc),
        [1, c, _, _] if c == channels => Some(Layout::Nchw),
        _ => None,
    };
    let layout = raw.layout.or(usual).ok_or_else(|| {
        format!(
            "the network's first input is {input:?}, and a picture of {channels} channels is [1, h, w, {channels}] or \
             [1, {channels}, h, w]: change colour, or leave [picture] out if it is none"
        )
    })?;
    let (mean, std) = scale(raw.range, raw.mean, raw.std, channels as usize)?;
    Ok(Picture {
        layout,
        colour: raw.colour,
        fit: raw.fit,
        filter: raw.filter,
        fill: raw.fill,
        region: raw.region.unwrap_or([0.0, 0.0, 1.0, 1.0]),
        mean,
        std,
    })
}

type Channels = [f32; 4];

/// Mean and std of each channel; a single one is for all.
fn scale(
    range: Option<[f32; 2]>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    channels: usize,
) -> Result<(Channels, Channels), String> {
    let four = |given: &[f32], rest: f32, name: &str| match given {
        [all] => Ok([*all; 4]),
        each if each.len() == channels => {
            let mut four = [rest; 4];
            four[..channels].copy_from_slice(each);
            Ok(four)
        }
        other => {
            Err(format!("{name} has {} numbers, and the picture {channels} channels", other.len()))
        }
    };
    match (range, mean, std) {
        (Some([black, white]), None, None) if black != white => {
            let span = white - black;
            Ok(([-black / span; 4], [1.0 / span; 4]))
        }
        (None, Some(mean), Some(std)) => Ok((four(&mean, 0.0, "mean")?, four(&std, 1.0, "std")?)),
        _ => Err("[picture] needs either range, what black and white become, or mean and std, by which an \
                  element is (pixel ÷ 255 − mean) ÷ std"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use edgemill_model::graph::{Element, Op};
    use edgemill_model::tensor::DType;

    use super::*;

    fn network(shape: &[u32]) -> Graph<'static> {
        let spec = TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
        let mut graph = Graph::new();
        let x = graph.input("x", spec).unwrap();
        let order = Op::Transpose(vec![0, 2, 3, 1]);
        let y = graph.node("y", order, &[x], Element::F32).unwrap();
        graph.output(y).unwrap();
        graph
    }

    fn described(text: &str, shape: &[u32]) -> Result<Described, String> {
        describe(toml::from_str(text).unwrap(), Path::new(""), &network(shape))
    }

    #[test]
    fn a_picture_is_described_by_the_range_of_its_pixels() {
        let text = "head = \"yolox\"\nlabels = [\"a\"]\n[picture]\ncolour = \"bgr\"\nfit = \"corner\"\n\
            fill = 114\nrange = [-1.0, 1.0]\n";
        let contract = described(text, &[1, 3, 8, 16]).unwrap().contract;
        assert_eq!(contract.outputs[0].shape, [1, 8, 16, 3]);
        let picture = contract.picture.unwrap();
        assert_eq!((picture.layout, picture.fit, picture.fill), (Layout::Nchw, Fit::Corner, 114));
        assert_eq!((picture.mean, picture.std), ([0.5; 4], [0.5; 4]));
        assert_eq!(picture.region, [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn what_does_not_fit_the_network_is_refused() {
        let picture = |more: &str| format!("head = \"h\"\n[picture]\nfit = \"crop\"\n{more}");
        let cases = [
            (
                picture("colour = \"grey\"\nrange = [0, 1]"),
                "[1, 3, 8, 16], and a picture of 1 channels",
            ),
            (picture("colour = \"rgb\""), "either range"),
            (picture("colour = \"rgb\"\nrange = [1, 1]"), "either range"),
            (picture("colour = \"rgb\"\nrange = [0, 1]\nmean = [0]\nstd = [1]"), "either range"),
            (picture("colour = \"rgb\"\nmean = [0, 0]\nstd = [1]"), "mean has 2 numbers"),
            ("head = \"h\"\nlabels = []\nlabels-file = \"x\"".into(), "not both"),
            ("head = \"h\"\nlabels-file = \"/no/such\"".into(), "/no/such: No such file"),
        ];
        for (text, expected) in cases {
            let Err(said) = described(&text, &[1, 3, 8, 16]) else { panic!("{text}") };
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
