//! The boards that are shipped: `edgemilld check` accepts the pipelines of each, with a model in the store and with the
//! plugins that were built. On which machine that is does not matter to a check.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_model::contract::{Colour, Contract, Fit, Layout, Picture};
use edgemill_model::manifest::{Boards, Release};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};
use edgemill_store::author::KeyRing;
use serde_json::Value;

use crate::keys::{open, package, release};
use crate::programs;
use crate::site::{Site, board};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../board").join(name)
}

/// What a board's example asks of the model: a small picture in, a label out.
fn traffic_light() -> Release {
    let tensor = |dtype, shape: &[u32], quantization| TensorSpec {
        dtype,
        shape: shape.to_vec(),
        quantization,
    };
    let quantization = Some(Quantization { scale: 1.0 / 255.0, zero_point: -128 });
    let contract = Contract {
        inputs: vec![tensor(DType::I8, &[1, 32, 32, 3], quantization)],
        outputs: vec![tensor(DType::F32, &[1, 2], None)],
        picture: Some(Picture {
            layout: Layout::Nhwc,
            colour: Colour::Rgb,
            fit: Fit::Letterbox,
            fill: 0,
            region: [0.0, 0.0, 1.0, 1.0],
            mean: [0.0; 4],
            std: [1.0; 4],
        }),
        labels: vec!["red".into(), "green".into()],
        ..release(1, Boards::Any).contract
    };
    Release { name: "traffic-light".into(), contract, ..release(1, Boards::Any) }
}

/// A site that has the model, the plugins, and the files of a shipped board but for its paths.
fn site(name: &str) -> Site {
    let site = Site::new();
    let ring = KeyRing::init(&site.folder.join("keys")).unwrap();
    for id in ["preprocess-image", "infer-int8", "decide-rule", "actuate-gpio", "actuate-log"] {
        site.plugin(id);
    }
    let daemon = site.start();
    daemon.wait_until(|_| true);
    let path = package(&site, &ring, "it.emp", traffic_light());
    daemon.client().install(&open(&path)).unwrap();
    daemon.signal("TERM");
    daemon.wait();

    let read = |file: &str| fs::read_to_string(shipped(name).join(file)).unwrap();
    site.write("access.toml", &read("access.toml"));
    site.write("pipelines/traffic-light.toml", &read("pipelines/traffic-light.toml"));
    let unsigned = read("board.toml").replacen("\nallow-unsigned = false\n", "\n", 1);
    let unsigned = unsigned.replacen("\nname = ", "\nallow-unsigned = true\nname = ", 1);
    let paths = board("").split_once("[paths]").unwrap().1.to_owned();
    let paths = if unsigned.contains("\n[paths]") { "" } else { &format!("\n[paths]{paths}") };
    site.write("board.toml", &format!("{unsigned}{paths}"));
    site
}

/// What `check` says, as JSON, of the only pipeline.
fn checked(site: &Site) -> Value {
    let output = site.check(&site.folder.join("pipelines/traffic-light.toml"), true);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_shipped_pipeline_is_accepted() {
    let listed = fs::read_dir(shipped("")).unwrap().flatten();
    let names = listed.filter(|entry| entry.path().join("board.toml").exists());
    let names: Vec<String> = names.map(|it| it.file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in &names {
        let checked = checked(&site(name));
        assert_eq!(checked["board"], **name);
        let camera = &checked["pipelines"][0]["stages"][0];
        assert_eq!(camera["work"], "source v4l");
        let format = camera["outputs"][0]["format"].to_string();
        assert!(format.contains("YUYV") && format.contains("640"), "{name}: {format}");
    }
}

#[test]
fn a_name_that_the_board_does_not_have_is_refused_with_those_it_has() {
    let site = site("rock-5b");
    let path = site.folder.join("pipelines/traffic-light.toml");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        ("@front", "@frnt", "camera `@frnt`, and "),
        ("@front", "@frnt", "did you mean `front`?; its cameras are: front"),
        ("@relay", "@siren", "none of that name; its lines are: relay"),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        let output = site.check(&path, false);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("traffic-light.toml:") && stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn detect_describes_this_machine_and_never_overwrites_by_itself() {
    let site = Site::new();
    let file = site.folder.join("new.toml");
    let detect = |more: &[&str]| {
        let mut command = programs::program("edgemill");
        command.args(["board", "detect", "--name", "mine", "--output"]).arg(&file).args(more);
        command.output().unwrap()
    };
    let first = detect(&[]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("name = \"mine\"") && text.contains("memory-mib = "), "{text}");

    fs::write(&file, "mine").unwrap();
    let second = detect(&[]);
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains("exists; choose another --output"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(detect(&["--force"]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    let mut show = programs::program("edgemill");
    show.args(["board", "show", "--json", "--board"]).arg(&file);
    let shown: Value = serde_json::from_slice(&show.output().unwrap().stdout).unwrap();
    assert_eq!(shown["name"], "mine");
    assert!(!shown["cores"].as_array().unwrap().is_empty());
}
