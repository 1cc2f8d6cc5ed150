//! A network from any file that holds one: a graph, an ONNX or TensorFlow Lite file, a package.
use std::fmt::Display;
use std::path::{Path, PathBuf};

use edgemill_import::Options;
use edgemill_model::graph::{Graph, Limits, MAGIC};
use edgemill_model::package;
use edgemill_store::device::ModelView;

use crate::exit::Failure;
use crate::model::verify;

/// Arguments that say which network.
#[derive(clap::Args)]
pub struct Args {
    /// The network: a graph, an ONNX or TensorFlow Lite file, or a package.
    pub file: PathBuf,
    /// For a package: the folder with trust.json and root.pub, to know the signers by, and device.key, to decrypt
    /// with. Without it they are looked for beside the package, and in a folder `keys` there.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// The bytes of a graph; a package's stay in the locked memory that they were decrypted to.
pub enum Network {
    Plain(Vec<u8>),
    Opened(Box<ModelView>),
}

impl Args {
    /// Reads the file, whichever kind it is.
    pub fn open(&self) -> Result<Network, Failure> {
        let bytes = read(&self.file)?;
        if bytes.starts_with(&package::MAGIC) {
            let keys = self.keys.clone().or_else(|| keys_beside(&self.file));
            let keys = keys.ok_or_else(|| self.failure(&SEALED))?;
            let view = verify::open(&self.file, &keys)?;
            return Ok(Network::Opened(Box::new(view)));
        }
        if self.keys.is_some() {
            return Err(self.failure(&"--keys opens packages, and this is none"));
        }
        if bytes.starts_with(&MAGIC) {
            return Ok(Network::Plain(bytes));
        }
        let graph = import(&self.file, &bytes, &Options::default())?;
        Ok(Network::Plain(graph.to_bytes()))
    }

    /// The graph of what was opened.
    pub fn graph<'n>(&self, network: &'n Network) -> Result<Graph<'n>, Failure> {
        let bytes = match network {
            Network::Plain(bytes) => bytes,
            Network::Opened(view) => view.bytes(),
        };
        Graph::from_bytes(bytes, Limits::default()).map_err(|error| self.failure(&error))
    }

    /// A failure that has to do with this file.
    pub fn failure(&self, error: &dyn Display) -> Failure {
        named(&self.file, error)
    }

    /// Says on stderr why the network is run in real numbers.
    pub fn note_real(&self, why: &dyn Display) {
        eprintln!("{}: runs in real numbers, in f32: {why}", self.file.display());
    }
}

const SEALED: &str = "it is a package, sealed to the boxes that may open it: give the folder that holds \
trust.json, root.pub and such a box's device.key by --keys DIR (edgemill model inspect shows what needs no key)";

/// Where `key init` has put them, if that was here.
fn keys_beside(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    let whole = |keys: &PathBuf| {
        ["trust.json", "root.pub", "device.key"].iter().all(|key| keys.join(key).exists())
    };
    [folder.to_path_buf(), folder.join("keys")].into_iter().find(whole)
}

/// A file of at most the size that is imported.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = std::fs::metadata(path).map_err(|error| named(path, &error))?.len();
    if length > edgemill_import::MAX_BYTES as u64 {
        let most = edgemill_import::MAX_BYTES >> 20;
        return Err(named(path, &format!("larger than {most} MiB")));
    }
    std::fs::read(path).map_err(|error| named(path, &error))
}

/// What `bytes` hold: one of our graphs, or an ONNX or TensorFlow Lite file.
pub fn graph_in<'a>(path: &Path, bytes: &'a [u8]) -> Result<Graph<'a>, Failure> {
    if !bytes.starts_with(&MAGIC) {
        return import(path, bytes, &Options::default());
    }
    Graph::from_bytes(bytes, Limits::default()).map_err(|error| named(path, &error))
}

/// The graph of an ONNX or TensorFlow Lite file; weights that are kept in files beside it are read from there.
pub fn import(path: &Path, bytes: &[u8], options: &Options) -> Result<Graph<'static>, Failure> {
    let folder = path.parent().map(Path::to_path_buf);
    edgemill_import::import(bytes, &Options { folder, ..options.clone() })
        .map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &dyn Display) -> Failure {
    Failure::model(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file of these bytes.
    fn said(name: &str, bytes: &[u8], keys: Option<&str>) -> String {
        let file = std::env::temp_dir().join(format!("edgemill-{}-{name}", std::process::id()));
        std::fs::write(&file, bytes).expect("a file");
        let args = Args { file: file.clone(), keys: keys.map(PathBuf::from) };
        let said = match args.open().and_then(|network| args.graph(&network).map(drop)) {
            Ok(()) => String::new(),
            Err(failure) => format!("{failure:?}"),
        };
        std::fs::remove_file(file).expect("it is there");
        said
    }

    #[test]
    fn every_kind_is_told_by_its_first_bytes() {
        let graph = Graph::new().to_bytes();
        let cases = [
            ("graph", &graph[..], None, "output"),
            ("sealed", &package::MAGIC[..], None, "--keys DIR"),
            ("keyless", &package::MAGIC[..], Some("nowhere"), "nowhere/root.pub"),
            ("keyed", &graph[..], Some("keys"), "--keys opens packages"),
        ];
        for (name, bytes, keys, expected) in cases {
            let said = said(name, bytes, keys);
            assert!(said.contains(expected), "{name}: {said}");
        }
    }
}
