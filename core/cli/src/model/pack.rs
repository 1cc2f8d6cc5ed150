//! `edgemill model pack`: a network and what is said of it become a package, sealed to its recipients.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use edgemill_learn::Compressed;
use edgemill_model::contract::Contract;
use edgemill_model::manifest::{Boards, Release};
use edgemill_store::author::Package;
use edgemill_store::keys::PublicDeviceKey;
use serde_json::json;

use super::described;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model pack`.
#[derive(clap::Args)]
#[command(after_help = "\
A network from elsewhere needs a contract, which says what it sees and what its numbers mean:

    name = \"street\"
    head = \"yolox\"                      # what decode-detections or decide-rule makes of its outputs
    labels-file = \"coco_classes.txt\"    # one a line; or labels = [\"person\", …]
    [picture]
    colour = \"bgr\"                      # rgb, bgr, grey
    fit = \"corner\"                      # stretch, letterbox, crop, corner: a letterbox in the upper left corner
    filter = \"bilinear\"                 # or area
    fill = 114                          # of what a letterbox leaves empty
    range = [0, 255]                    # what black and white become; or mean = [...] and std = [...]

Examples: edgemill model pack model --counter 1 --recipient keys/device.pub --output lights.emp
          edgemill model pack yolox_nano.onnx --contract street.toml --counter 1 --recipient keys/device.pub --output street.emp")]
pub struct Args {
    /// A training folder, compressed; or a graph, an ONNX or a TensorFlow Lite file, with its contract.
    model: PathBuf,
    /// What is to be known of a network from elsewhere; below is an example.
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    contract: Option<PathBuf>,
    /// Which form of a training folder's best network.
    #[arg(long, value_enum, default_value_t = Form::Int8)]
    form: Form,
    /// The model's name; that of the recipe or the contract when none is given.
    #[arg(long)]
    name: Option<String>,
    /// The version that people read.
    #[arg(long, default_value = "1.0.0")]
    model_version: String,
    /// The security counter: a box never goes back below the one it has committed to.
    #[arg(long)]
    counter: u64,
    /// A board that may run it, by the name in its board.toml; again for further ones; any when none is given.
    #[arg(long, value_name = "NAME")]
    board: Vec<String>,
    /// The public key of a box that may open it; again for further ones.
    #[arg(long, value_name = "FILE", required = true)]
    recipient: Vec<PathBuf>,
    /// Licence of the model, an SPDX expression or words.
    #[arg(long, default_value = "Apache-2.0")]
    licence: String,
    /// What people should know of the model: for what, from what, how good.
    #[arg(long, default_value = "")]
    card: String,
    /// The package.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Float or quantized.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// As it was trained.
    F32,
    /// As `model compress` made it.
    Int8,
}

/// What is packed.
struct Model {
    graph: Vec<u8>,
    contract: Contract,
    name: Option<String>,
    report: BTreeMap<String, f64>,
}

/// Packs; the package still has to be signed.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let Model { graph, contract, name, report } = match &args.contract {
        Some(contract) => imported(&args.model, contract)?,
        None => trained(&args.model, args.form)?,
    };
    let name = args.name.clone().or(name).ok_or_else(|| {
        Failure::model("the model has no name: write one into the contract, or give --name")
    })?;
    let release = Release {
        name,
        version: args.model_version.clone(),
        counter: args.counter,
        contract,
        boards: boards(&args.board),
        graph_format: edgemill_model::graph::FORMAT.into(),
        report,
        card: args.card.clone(),
        licence: args.licence.clone(),
        expires_unix_s: None,
    };
    let recipients: Vec<PublicDeviceKey> =
        args.recipient.iter().map(|file| PublicDeviceKey::load(file)).collect::<Result<_, _>>()?;
    let package = Package::pack(&graph, release)?.seal(&recipients)?;
    package.write_file(&args.output)?;
    let (file, bytes) = (args.output.display().to_string(), package.to_bytes().len());
    output.result(
        &json!({ "file": file, "bytes": bytes }),
        format!("{file}: {bytes} bytes, not signed yet: `edgemill model sign {file} --keys DIR`"),
    )
}

fn trained(folder: &Path, form: Form) -> Result<Model, Failure> {
    if folder.is_file() {
        let text = format!(
            "{}: a network by itself needs --contract FILE, which says what it sees and what its numbers mean: \
             `edgemill model pack --help` has an example",
            folder.display()
        );
        return Err(Failure::model(text));
    }
    let compressed = Compressed::load(folder).map_err(Failure::model)?;
    let (graph, contract) = match form {
        Form::F32 => (compressed.best_f32(), compressed.f32_contract()),
        Form::Int8 => (compressed.best_int8(), compressed.int8_contract()),
    };
    let name = Some(compressed.trained.recipe.name.clone());
    Ok(Model { graph: graph.to_vec(), contract, name, report: report(&compressed) })
}

fn imported(file: &Path, contract: &Path) -> Result<Model, Failure> {
    let bytes = described::bytes(file)?;
    let graph = described::graph(file, &bytes)?;
    let described = described::read(contract, &graph)?;
    Ok(Model {
        graph: graph.to_bytes(),
        contract: described.contract,
        name: described.name,
        report: BTreeMap::new(),
    })
}

fn boards(names: &[String]) -> Boards {
    if names.is_empty() { Boards::Any } else { Boards::Named(names.to_vec()) }
}

/// What training measured, on pictures kept apart.
fn report(compressed: &Compressed) -> BTreeMap<String, f64> {
    let trained = &compressed.trained;
    let score = trained.outcomes[trained.best].validation;
    let accuracy = score.right as f64 / score.total as f64;
    BTreeMap::from([("accuracy_validation_f32".into(), accuracy)])
}
