//! Plugins in C, compiled for the machine of the test, and what a plugin is given.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use edgemill_host::params::ParamInput;
use edgemill_host::{ModelContract, Outcome, Report, ValidateOptions};
use edgemill_model::contract::{Colour, Contract, Fit, Layout, Picture};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

/// Where a test may write; kept between runs, as Cargo keeps what it builds.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Compiles `bad_plugin.c` with a fault, or whole for `None`.
pub fn bad_plugin(fault: Option<&str>) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = folder("faults").join(format!("{}.so", fault.unwrap_or("none").to_lowercase()));
    let compiler = compiler();
    let output = Command::new(&compiler)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"])
        .args(fault.map(|f| format!("-DFAULT_{f}=1")))
        .arg("-I")
        .arg(root.join("../core/abi/include"))
        .arg(root.join("conformance/bad_plugin.c"))
        .arg("-o")
        .arg(&out)
        .output()
        .map_err(|e| format!("{compiler}: {e}"))?;
    if output.status.success() {
        return Ok(out);
    }
    Err(format!("{compiler}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The C compiler for the machine that the test runs on, which may be an emulated one.
pub fn compiler() -> String {
    let cross = cfg!(target_arch = "aarch64") && std::env::var_os("EDGEMILL_EMULATOR").is_some();
    if cross { "aarch64-linux-gnu-gcc" } else { "cc" }.to_owned()
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
        contract: Some(contract()),
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
