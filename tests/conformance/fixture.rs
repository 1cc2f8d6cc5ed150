//! Plugins in C, compiled for the machine of the test, and what a plugin is given.
use std::path::{Path, PathBuf};
use std::time::Duration;

use edgemill_host::params::ParamInput;
use edgemill_host::{ModelContract, Outcome, Report, ValidateOptions};
use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};
use edgemill_tests::compiler::cc;

/// Where a test may write; kept between runs, as Cargo keeps what it builds.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// A shared object made from one of the repository's C files, with nothing but the headers.
pub fn compiled(source: &str, flag: Option<String>, out: PathBuf) -> Result<PathBuf, String> {
    let output = cc()
        .args(["-O1", "-shared", "-fPIC", "-fvisibility=hidden"])
        .args(flag)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source))
        .arg("-o")
        .arg(&out)
        .output()
        .map_err(|e| format!("no C compiler: {e}"))?;
    match output.status.success() {
        true => Ok(out),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// `bad_plugin.c` with a fault, or whole for `None`.
pub fn bad_plugin(fault: Option<&str>) -> Result<PathBuf, String> {
    let out = folder("faults").join(format!("{}.so", fault.unwrap_or("none").to_lowercase()));
    compiled("tests/conformance/bad_plugin.c", fault.map(|f| format!("-DFAULT_{f}=1")), out)
}

/// A contract such as a picture classifier's manifest has.
pub fn contract() -> ModelContract {
    let quantization = Some(Quantization { scale: 1.0 / 255.0, zero_point: -128 });
    let input = TensorSpec { dtype: DType::I8, shape: vec![1, 32, 32, 3], quantization };
    let output = TensorSpec { dtype: DType::I8, shape: vec![1, 3], quantization };
    ModelContract {
        model: "traffic-light".to_owned(),
        version: "1.0.0".to_owned(),
        contract: Contract {
            inputs: vec![input],
            outputs: vec![output],
            picture: Some(Picture {
                layout: Layout::Nhwc,
                colour: Colour::Rgb,
                fit: Fit::Stretch,
                filter: Filter::Area,
                fill: 0,
                region: [0.0, 0.0, 1.0, 1.0],
                mean: [0.0; 4],
                std: [1.0; 4],
            }),
            window: None,
            head: "classifier".to_owned(),
            labels: ["red", "yellow", "green"].map(str::to_owned).to_vec(),
        },
    }
}

/// What `bad_plugin.c` needs.
pub fn options() -> ValidateOptions {
    ValidateOptions {
        params: vec![text("path", "nowhere")],
        contract: None,
        model: Some(b"edgemill conformance model".to_vec()),
        timeout: Duration::from_secs(60),
    }
}

pub fn text(name: &str, value: &str) -> (String, ParamInput) {
    (name.to_owned(), ParamInput::String(value.to_owned()))
}

/// Names of the checks of one outcome.
pub fn names(report: &Report, outcome: Outcome) -> Vec<&str> {
    report.with(outcome).map(|f| f.check.as_str()).collect()
}
