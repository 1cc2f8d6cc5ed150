//! The model's life in the demo: learnt, compressed, measured, packed, signed, sealed, installed; each step by the
//! tool a user has.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::pictures::Pictures;
use super::places::Places;
use crate::command::{output, run};

/// What `edgemill model evaluate` says of all networks.
#[derive(Deserialize)]
pub struct Evaluated {
    best: usize,
    /// The least accuracy of any seed's int8 network.
    pub worst_accuracy_int8: f64,
    seeds: Vec<Seed>,
}

/// Of one seed's networks.
#[derive(Deserialize)]
pub struct Seed {
    /// As it was trained.
    pub f32: Accuracy,
    /// The same in int8.
    pub int8: Accuracy,
}

/// Of one network.
#[derive(Deserialize)]
pub struct Accuracy {
    /// Fraction of pictures named rightly.
    pub accuracy: f64,
    /// Which class was taken for which.
    pub confusion: Confusion,
}

/// A row for each truth, a column for each answer.
#[derive(Deserialize)]
pub struct Confusion {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Pictures.
    pub counts: Vec<Vec<u64>>,
}

impl Evaluated {
    /// The networks that are used: those that did best on the validation pictures.
    pub fn best(&self) -> &Seed {
        &self.seeds[self.best]
    }
}

/// What was measured of the models, newly at each run.
pub struct Learnt {
    /// On the test pictures.
    pub evaluated: Evaluated,
    /// Size of the signed, sealed package of each form.
    pub package_bytes: [u64; 2],
}

/// Trains and quantizes, unless an earlier run did so by the same recipe.
pub fn learn(places: &Places, pictures: &Pictures) -> Result<()> {
    let (recipe, folder) = (places.demo("recipe.toml"), places.demo("model"));
    let wanted = include_str!("../../../core/learn/recipes/traffic-light.toml");
    let same = fs::read_to_string(&recipe).is_ok_and(|old| old == wanted);
    if same && folder.join("compressed.json").exists() {
        eprintln!("      the model of an earlier run is used again");
        return Ok(());
    }
    fs::write(&recipe, wanted).with_context(|| format!("cannot write {}", recipe.display()))?;
    let mut train = places.tool();
    train.args(["model", "train", "--recipe"]).arg(&recipe);
    run(train.arg("--data").arg(&pictures.train_folder).arg("--output").arg(&folder))?;
    let mut compress = places.tool();
    compress.args(["model", "compress"]).arg(&folder).arg("--data").arg(&pictures.train_folder);
    run(&mut compress)
}

/// Packs both forms, signs them, and makes the int8 one active where it is not yet.
pub fn install(places: &Places) -> Result<()> {
    for form in FORMS {
        pack(places, form)?;
    }
    let (package, stamp) = (package(places, "int8"), places.demo("installed"));
    let same = fs::read(&stamp).is_ok_and(|old| fs::read(&package).is_ok_and(|new| old == new));
    if same && places.demo("store").exists() {
        return Ok(());
    }
    let board = places.demo("board.toml");
    let mut install = places.tool();
    install.args(["model", "install", "--json"]).arg(&package).arg("--board").arg(&board);
    let installed: Value = serde_json::from_str(&output(&mut install)?)?;
    if installed["slot"] == "candidate" {
        let name = installed["model"].as_str().context("the package has no name")?;
        run(places.tool().args(["model", "activate", name]).arg("--board").arg(&board))?;
    }
    fs::copy(&package, &stamp).map(drop).context("cannot note what is installed")
}

const FORMS: [&str; 2] = ["f32", "int8"];

fn pack(places: &Places, form: &str) -> Result<()> {
    let (package, folder, keys) =
        (package(places, form), places.demo("model"), places.demo("keys"));
    if newer(&package, &folder.join("compressed.json"))? {
        return Ok(());
    }
    let mut pack = places.tool();
    pack.args(["model", "pack"]).arg(&folder).args(["--form", form, "--counter", "1"]);
    pack.args(["--licence", "CC-BY-SA-4.0", "--card", crate::data::TRAFFIC_LIGHT_CREDITS]);
    run(pack.arg("--recipient").arg(keys.join("device.pub")).arg("--output").arg(&package))?;
    run(places.tool().args(["model", "sign"]).arg(&package).arg("--keys").arg(&keys))
}

/// Packs the int8 network for one box, and signs it.
pub fn seal(
    places: &Places,
    version: &str,
    counter: usize,
    recipient: &Path,
    package: &Path,
) -> Result<()> {
    let mut pack = places.tool();
    pack.args(["model", "pack"]).arg(places.demo("model")).args(["--form", "int8"]);
    pack.args(["--model-version", version, "--counter", &counter.to_string()]);
    pack.args(["--licence", "CC-BY-SA-4.0", "--card", crate::data::TRAFFIC_LIGHT_CREDITS]);
    run(pack.arg("--recipient").arg(recipient).arg("--output").arg(package))?;
    run(places.tool().args(["model", "sign"]).arg(package).arg("--keys").arg(places.demo("keys")))
}

/// Evaluates every network on the test pictures: the only step that opens them.
pub fn measure(places: &Places, pictures: &Pictures) -> Result<Learnt> {
    let bytes = |form| Ok::<_, anyhow::Error>(fs::metadata(package(places, form))?.len());
    let mut evaluate = places.tool();
    evaluate.args(["model", "evaluate", "--json"]).arg(places.demo("model"));
    let printed = output(evaluate.arg("--data").arg(&pictures.test_folder))?;
    let evaluated = serde_json::from_str(&printed)
        .with_context(|| format!("`edgemill model evaluate` said {printed}"))?;
    Ok(Learnt { evaluated, package_bytes: [bytes("f32")?, bytes("int8")?] })
}

/// The file of the int8 network that is used, and its contract.
pub fn graph_and_contract(places: &Places) -> Result<(PathBuf, Value)> {
    let index = fs::read(places.demo("model/trained.json")).context("no model was trained")?;
    let index: Value = serde_json::from_slice(&index)?;
    let seed = index["best_seed"].as_u64().context("trained.json names no best seed")?;
    let mut inspect = places.tool();
    inspect.args(["model", "inspect", "--json"]).arg(package(places, "int8"));
    let mut manifest: Value = serde_json::from_str(&output(&mut inspect)?)?;
    let contract = manifest["release"]["contract"].take();
    Ok((places.demo(&format!("model/seed-{seed}.int8.graph")), contract))
}

fn package(places: &Places, form: &str) -> PathBuf {
    places.demo(if form == "int8" { "traffic-light.emp" } else { "traffic-light-f32.emp" })
}

/// Whether `made` exists and is no older than what it was made from.
fn newer(made: &Path, from: &Path) -> Result<bool> {
    let from = fs::metadata(from).and_then(|meta| meta.modified())?;
    Ok(fs::metadata(made).and_then(|meta| meta.modified()).is_ok_and(|made| made >= from))
}
