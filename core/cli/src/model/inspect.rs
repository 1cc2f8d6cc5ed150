//! `edgemill model inspect`: what a package says of itself.
use std::fs::File;
use std::path::{Path, PathBuf};

use edgemill_model::manifest::Manifest;
use edgemill_store::device::Sealed;

use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model inspect`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model inspect target/demo/traffic-light.emp")]
pub struct Args {
    /// The package.
    file: PathBuf,
}

/// Prints the manifest, which may be anyone's: `model verify` says whose it is.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let sealed = read(&args.file)?;
    let manifest = sealed.manifest_unverified();
    output.result(manifest, page(manifest))
}

/// Reads a package up to its body.
pub fn read(path: &Path) -> Result<Sealed<File>, Failure> {
    let named =
        |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| named(&error))?;
    Sealed::read(file).map_err(|error| named(&error))
}

/// A manifest as a person reads it.
pub fn page(manifest: &Manifest) -> String {
    let (release, payload) = (&manifest.release, &manifest.payload);
    let mut lines = vec![
        format!("model     {} {}", release.name, release.version),
        format!("counter   {}", release.counter),
        format!("boards    {}", release.boards),
        format!(
            "graph     {}, {} bytes, sha256 {}",
            release.graph_format, payload.bytes, payload.sha256
        ),
        format!("inputs    {}", specs(&release.contract.inputs)),
        format!("outputs   {}", specs(&release.contract.outputs)),
        format!("head      {}: {}", release.contract.head, release.contract.labels.join(", ")),
        format!("licence   {}", release.licence),
    ];
    lines.extend(release.report.iter().map(|(name, value)| format!("measured  {name} {value}")));
    if !release.card.is_empty() {
        lines.push(format!("card      {}", release.card));
    }
    lines.join("\n")
}

fn specs(specs: &[edgemill_model::tensor::TensorSpec]) -> String {
    let spec = |spec: &edgemill_model::tensor::TensorSpec| {
        let shape: Vec<String> = spec.shape.iter().map(u32::to_string).collect();
        format!("{:?} {}", spec.dtype, shape.join("×")).to_lowercase()
    };
    specs.iter().map(spec).collect::<Vec<_>>().join(", ")
}
