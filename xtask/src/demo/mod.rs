//! `cargo xtask demo`: everything from an empty machine to a box that reads traffic lights, then what it measured.
mod model;
pub mod outputs;
mod pictures;
mod places;
mod play;
mod setup;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::progress::Steps;
use pictures::Pictures;
use places::Places;
use play::Played;

/// The demo's options.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask demo --json > demo.json")]
pub struct Args {
    /// Print one JSON object on stdout; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Remove all that the demo made, then stop.
    #[arg(long)]
    clean: bool,
    /// Run the same pipeline on this V4L2 camera, for instance /dev/video0, until Ctrl-C.
    #[arg(long, value_name = "DEVICE")]
    camera: Option<String>,
}

/// Runs the demo.
pub fn run(root: &Path, args: &Args) -> Result<()> {
    let places = Places::new(root);
    if args.clean {
        return clean(&places);
    }
    let demo = prepare(root)?;
    if let Some(device) = &args.camera {
        setup::pipeline(&demo.places, &setup::Source::Camera(device))?;
        return play::watch_camera(&demo.places);
    }
    let measured = demo.measure()?;
    summary::print(&demo, &measured, args.json)
}

/// Runs the whole demo and holds it to what it promises.
pub fn prove(root: &Path) -> Result<()> {
    let demo = prepare(root)?;
    let measured = demo.measure()?;
    summary::print(&demo, &measured, true)?;
    summary::check(&demo, &measured)
}

/// A demo that is ready to play.
pub struct Demo {
    places: Places,
    pictures: Pictures,
}

/// What one whole run came to.
struct Measured {
    learnt: model::Learnt,
    played: Played,
}

/// Sets up all the demo needs; what an earlier run made is used again.
pub fn prepare(root: &Path) -> Result<Demo> {
    let places = Places::new(root);
    let steps = Steps::new(6);
    steps.begin("look for the packages it needs");
    setup::packages()?;
    steps.begin("build the workspace");
    setup::build(&places)?;
    steps.begin("fetch the traffic-light pictures");
    let pictures = Pictures::fetch(root)?;
    steps.begin("train and quantize the model");
    setup::keys(&places)?;
    model::learn(&places, &pictures)?;
    steps.begin("sign the plugins; pack, sign, seal and install the model");
    setup::plugins(&places)?;
    setup::board(&places)?;
    model::install(&places)?;
    steps.begin("ready to run");
    Ok(Demo { places, pictures })
}

impl Demo {
    /// Plays the test pictures through a newly started daemon.
    pub fn play(&self) -> Result<Played> {
        setup::pipeline(&self.places, &setup::Source::Replay)?;
        play::replay(&self.places, self.pictures.test.len())
    }

    /// The folder of the author's keys.
    pub fn keys(&self) -> PathBuf {
        self.places.demo("keys")
    }

    /// The int8 network as it is before it is packed.
    pub fn plain_model(&self) -> Result<PathBuf> {
        Ok(model::graph_and_contract(&self.places)?.0)
    }

    /// The int8 network as a signed package of this version for one box.
    pub fn seal(
        &self,
        version: &str,
        counter: usize,
        recipient: &Path,
        package: &Path,
    ) -> Result<()> {
        model::seal(&self.places, version, counter, recipient, package)
    }

    fn measure(&self) -> Result<Measured> {
        let learnt = model::measure(&self.places, &self.pictures)?;
        Ok(Measured { learnt, played: self.play()? })
    }
}

fn clean(places: &Places) -> Result<()> {
    match std::fs::remove_dir_all(&places.demo) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", places.demo.display()))
        }
        _ => {
            eprintln!("removed {}", places.demo.display());
            Ok(())
        }
    }
}
