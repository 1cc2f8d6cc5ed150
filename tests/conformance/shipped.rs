//! The suite over every plugin that Edgemill ships, and over the example in C.
use std::path::{Path, PathBuf};

use edgemill_host::params::ParamInput;
use edgemill_host::{ModelContract, Outcome, ValidateOptions, validate};
use edgemill_model::contract::{Colour, Contract, Fit, Layout, Picture};
use edgemill_model::graph::{Clamp, Constant, Element, Graph, GraphError, Op};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::fixture::{compiled, folder, names, options, text};
use crate::{Case, Verdict, expect};

/// What no plugin but an actuator, a source, a stage with a timer or a realtime one has.
const TIMER: &str = "timer";
const FLUSH: &str = "flush";
const REALTIME: &str = "realtime";
const FAIL_SAFE: &str = "fail-safe";

pub fn cases() -> Vec<Case> {
    vec![
        shipped("preprocess-image", "", &[TIMER, FAIL_SAFE], || given(vec![])),
        shipped("infer-int8", "", &[TIMER, FAIL_SAFE], int8),
        shipped("infer-candle", "", &[TIMER, REALTIME, FAIL_SAFE], float),
        shipped("decode-detections", "", &[TIMER, FAIL_SAFE], detector),
        shipped("decide-rule", "", &[TIMER, FAIL_SAFE], || given(vec![])),
        shipped("decide-rule", "_on_boxes", &[TIMER, FAIL_SAFE], detector),
        shipped("actuate-log", "", &[TIMER, REALTIME], log),
        Case::new("shipped_actuate-gpio_without_a_chip", gpio),
        shipped("probe", "_as_a_source", &[TIMER, FLUSH, REALTIME, FAIL_SAFE], || {
            probe("source", 0)
        }),
        shipped("probe", "_that_passes", &[TIMER, REALTIME, FAIL_SAFE], || probe("pass", 2)),
        shipped("probe", "_as_a_sink", &[TIMER, REALTIME, FAIL_SAFE], || probe("sink", 3)),
        Case::new("shipped_example_in_c", || {
            conforms(&debounce()?, &[TIMER, FAIL_SAFE], &given(vec![]))
        }),
    ]
}

fn shipped(
    name: &'static str,
    how: &str,
    skips: &'static [&'static str],
    given: fn() -> ValidateOptions,
) -> Case {
    Case::new(format!("shipped_{name}{how}"), move || conforms(&built(name)?, skips, &given()))
}

/// Nothing fails, and nothing is skipped but what is meant to be.
fn conforms(path: &Path, skips: &[&str], options: &ValidateOptions) -> Verdict {
    let report = validate(path, options);
    let right = report.is_conforming() && names(&report, Outcome::Skip) == skips;
    expect(right, || format!("only {skips:?} may be skipped\n{report}"))
}

/// The plugin as Cargo has built it, beside this test.
pub fn built(name: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = test.ancestors().nth(2).ok_or("a test lies in a target folder")?;
    let path = folder.join(format!("lib{}.so", name.replace('-', "_")));
    match path.is_file() {
        true => Ok(path),
        false => Err(format!(
            "{} is absent; build it as this test was built: cargo build --release -p {name}",
            path.display()
        )),
    }
}

fn debounce() -> Result<PathBuf, String> {
    compiled("plugins/examples/c/debounce.c", None, folder("examples").join("debounce.so"))
}

fn given(params: Vec<(String, ParamInput)>) -> ValidateOptions {
    ValidateOptions { params, model: None, ..options() }
}

fn log() -> ValidateOptions {
    let path = folder("shipped").join("decisions.jsonl");
    given(vec![text("path", &path.to_string_lossy())])
}

fn probe(role: &str, hold: i64) -> ValidateOptions {
    given(vec![text("role", role), ("hold".to_owned(), ParamInput::Int(hold))])
}

/// What needs a line to act on is skipped; everything before that is not. With a chip, `tests/vm` runs it.
fn gpio() -> Verdict {
    let given =
        given(vec![text("chip", "/nowhere/gpiochip0"), text("line", "0"), text("on", "red")]);
    let report = validate(&built("actuate-gpio")?, &given);
    let passed = names(&report, Outcome::Pass);
    let found = ["no-crash", "no-hang", "statuses", "ports", "unknown-parameter", "bad-parameter"];
    let later = ["missing-parameter", "order", "contract"];
    let tried = found.iter().chain(&later).all(|check| passed.contains(check));
    expect(report.is_conforming() && tried, || report.to_string())
}

/// The contract of a detector of two classes in pictures of 64 × 64.
fn detector() -> ValidateOptions {
    let spec =
        |shape: &[u32]| TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
    let picture = Picture {
        layout: Layout::Nchw,
        colour: Colour::Bgr,
        fit: Fit::Letterbox,
        fill: 114,
        filter: edgemill_model::contract::Filter::default(),
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let contract = Contract {
        inputs: vec![spec(&[1, 3, 64, 64])],
        outputs: vec![spec(&[1, 84, 7])],
        picture: Some(picture),
        window: None,
        head: "yolox".to_owned(),
        labels: ["person", "car"].map(str::to_owned).to_vec(),
    };
    let (model, version) = ("street".to_owned(), "1.0.0".to_owned());
    let contract = Some(ModelContract { model, version, contract });
    ValidateOptions { contract, ..given(vec![]) }
}

/// Four numbers to three, by int8 weights.
fn int8() -> ValidateOptions {
    let quantization = Some(Quantization { scale: 0.5, zero_point: -3 });
    let spec = |shape, quantization| TensorSpec { dtype: DType::I8, shape, quantization };
    let weights = Constant::i8(&[1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12], &[0.1, 0.2, 0.3]);
    let input = spec(vec![1, 4], quantization);
    dense(input, spec(vec![3, 4], None), weights, Element::i8(0.25, 2))
}

/// Four numbers to three, in real numbers.
fn float() -> ValidateOptions {
    let spec = |shape| TensorSpec { dtype: DType::F32, shape, quantization: None };
    let weights = Constant::f32(&[0.1; 12]);
    dense(spec(vec![1, 4]), spec(vec![3, 4]), weights, Element::F32)
}

fn dense(
    input: TensorSpec,
    weights: TensorSpec,
    constant: Constant<'_>,
    element: Element,
) -> ValidateOptions {
    let (dtype, quantization) = (element.dtype, element.quantization);
    let output = TensorSpec { dtype, shape: vec![1, 3], quantization };
    let graph = || -> Result<Vec<u8>, GraphError> {
        let mut graph = Graph::new();
        let x = graph.input("x", input.clone())?;
        let w = graph.constant("w", weights, constant)?;
        let y = graph.node("y", Op::Dense { clamp: Clamp::NONE }, &[x, w], element)?;
        graph.output(y)?;
        Ok(graph.to_bytes())
    };
    let model = graph().expect("the graph is well formed");
    let contract = Contract {
        inputs: vec![input],
        outputs: vec![output],
        picture: None,
        window: None,
        head: "classifier".to_owned(),
        labels: ["red", "yellow", "green"].map(str::to_owned).to_vec(),
    };
    let (name, version) = ("dense".to_owned(), "1.0.0".to_owned());
    let contract = Some(ModelContract { model: name, version, contract });
    ValidateOptions { contract, model: Some(model), ..given(vec![]) }
}
