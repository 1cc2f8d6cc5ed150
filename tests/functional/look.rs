//! `edgemill run --input`: what a pipeline finds in pictures. Its detector is a real network, made here: where a picture is
//! red it sees a car in the middle, where it is blue a person.
use std::path::Path;
use std::process::Output;

use edgemill_kernels::image::{Limits, RgbPicture, decode_picture, encode_png};
use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture};
use edgemill_model::graph::{Clamp, Constant, Element, Graph, GraphError, Op};
use edgemill_model::manifest::{Boards, Release};
use edgemill_model::tensor::{DType, TensorSpec};
use serde_json::{Value, json};

use crate::keys::{open, package_of, release, sign, signed_site};
use crate::programs;
use crate::site::Site;

const STAGES: &str = "[[stage]]\nname = \"camera\"\nsource = \"pattern\"\n\
    [[stage]]\nname = \"prepare\"\nplugin = \"preprocess-image\"\ncontract = \"light\"\ninput = \"camera\"\n\
    [[stage]]\nname = \"infer\"\nplugin = \"infer-candle\"\nmodel = \"light\"\ninput = \"prepare\"\n\
    [[stage]]\nname = \"detect\"\nplugin = \"decode-detections\"\ncontract = \"light\"\ninput = \"infer\"\n\
    [[stage]]\nname = \"decide\"\nplugin = \"decide-rule\"\ncontract = \"light\"\ninput = \"detect\"\n\
    [[stage]]\nname = \"act\"\nplugin = \"actuate-log\"\nparams = { path = \"../acted.jsonl\" }\ninput = \"decide\"\n";
const PLUGINS: [&str; 5] =
    ["preprocess-image", "infer-candle", "decode-detections", "decide-rule", "actuate-log"];

/// The mean of the picture's red and blue are the scores of a car and of a person, whose box is 2 to 6 of 8 across and 4 to 8
/// down.
fn detector() -> Result<Vec<u8>, GraphError> {
    let spec =
        |shape: &[u32]| TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
    let mean =
        |channel: usize| (0..192).map(move |i| if i % 3 == channel { 1.0 / 64.0 } else { 0.0 });
    let weights: Vec<f32> = [0.0; 4 * 192].into_iter().chain(mean(2)).chain(mean(0)).collect();
    let mut graph = Graph::new();
    let picture = graph.input("picture", spec(&[1, 8, 8, 3]))?;
    let flat = graph.node("flat", Op::Reshape(vec![1, 192]), &[picture], Element::F32)?;
    let weights = graph.constant("weights", spec(&[6, 192]), Constant::f32(&weights))?;
    let bias = Constant::f32(&[4.0, 6.0, 4.0, 4.0, 0.0, 0.0]);
    let bias = graph.constant("bias", spec(&[6]), bias)?;
    let dense = Op::Dense { clamp: Clamp::NONE };
    let row = graph.node("row", dense, &[flat, weights, bias], Element::F32)?;
    let boxes = graph.node("boxes", Op::Reshape(vec![1, 1, 6]), &[row], Element::F32)?;
    graph.output(boxes)?;
    Ok(graph.to_bytes())
}

fn described() -> Release {
    let spec =
        |shape: &[u32]| TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
    let picture = Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Letterbox,
        fill: 0,
        filter: Filter::default(),
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let contract = Contract {
        inputs: vec![spec(&[1, 8, 8, 3])],
        outputs: vec![spec(&[1, 1, 6])],
        picture: Some(picture),
        window: None,
        head: "yolo".into(),
        labels: vec!["person".into(), "car".into()],
    };
    Release { contract, ..release(1, Boards::Any) }
}

/// A box with the detector in its store and the pipeline `street`.
fn site() -> Site {
    let (site, ring) = signed_site();
    PLUGINS.iter().for_each(|id| {
        site.plugin(id);
    });
    sign(&site, &ring, &PLUGINS);
    site.write(
        "access.toml",
        "[[grant]]\npipeline = \"street\"\nstage = \"infer\"\nmodel = \"light\"\n",
    );
    let daemon = site.start();
    daemon.wait_until(|_| true);
    let path = package_of(&site, &ring, "it.emp", &detector().unwrap(), described());
    daemon.client().install(&open(&path)).unwrap();
    daemon.signal("TERM");
    daemon.wait();
    site.pipeline("street", STAGES);
    site
}

fn painted(site: &Site, name: &str, [width, height]: [usize; 2], colour: [u8; 3]) {
    let pixels = colour.repeat(width * height);
    let file = encode_png(&RgbPicture::new(width, height, pixels).unwrap()).unwrap();
    let path = site.folder.join("pictures").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
}

fn look(site: &Site, more: &[&str]) -> Output {
    let mut command = programs::program("edgemill");
    command.arg("run").arg(site.folder.join("pipelines/street.toml"));
    command.arg("--input").arg(site.folder.join("pictures")).args(more);
    command.output().unwrap()
}

fn read(path: &Path) -> RgbPicture {
    decode_picture(&std::fs::read(path).unwrap(), Limits::default()).unwrap()
}

#[test]
fn boxes_are_printed_and_marked_in_each_picture_s_own_pixels() {
    let site = site();
    painted(&site, "a/tall.png", [80, 160], [0, 0, 255]);
    painted(&site, "b.png", [320, 160], [255, 0, 0]);
    painted(&site, "c.png", [320, 160], [0, 0, 0]);
    site.write("pictures/d.png", "no picture");
    let marked = site.folder.join("marked");
    let output = look(&site, &["--annotate", marked.to_str().unwrap(), "--json"]);
    let (told, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Of the tall one half the model's picture is seen, of the wide one as well.
    let expected = [
        json!({"file": "a/tall.png", "class": "person", "score": 0.5, "box": [0.0, 80.0, 80.0, 160.0]}),
        json!({"file": "b.png", "class": "car", "score": 0.5, "box": [80.0, 80.0, 240.0, 160.0]}),
    ];
    assert_eq!(lines, expected, "{said}");
    assert!(said.contains("left out") && said.contains("d.png"), "{said}");
    assert!(!site.folder.join("acted.jsonl").exists(), "nothing is driven");
    let (plain, drawn) = (read(&site.folder.join("pictures/b.png")), read(&marked.join("b.png")));
    assert_eq!((drawn.width(), drawn.height()), (320, 160));
    let at = |picture: &RgbPicture, x: usize, y: usize| picture.pixels()[(y * 320 + x) * 3 + 2];
    assert!(at(&drawn, 80, 120) > 100 && at(&plain, 80, 120) == 0, "the box's left edge is drawn");
    assert_eq!(at(&drawn, 160, 120), 0, "its inside is not");
    assert_eq!(read(&marked.join("c.png")), read(&site.folder.join("pictures/c.png")));
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let site = site();
    let said = |more: &[&str]| {
        let output = look(&site, more);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = said(&[]);
    assert!(code == Some(3) && text.contains("pictures: No such file"), "{text}");
    painted(&site, "a.png", [80, 80], [0, 0, 255]);
    let before = std::fs::read(site.folder.join("pictures/a.png")).unwrap();
    let (code, text) = said(&["--annotate", site.folder.join("pictures").to_str().unwrap()]);
    assert!(code == Some(3) && text.contains("a.png is one of the pictures"), "{text}");
    assert_eq!(std::fs::read(site.folder.join("pictures/a.png")).unwrap(), before);
    let (code, text) = said(&["--annotate", site.folder.join("board.toml").to_str().unwrap()]);
    assert!(code == Some(6) && text.contains("give --annotate a folder"), "{text}");
    let blind = STAGES.split("[[stage]]\nname = \"detect\"").next().unwrap();
    site.pipeline("street", blind);
    let (code, text) = said(&[]);
    assert!(
        code == Some(3) && text.contains("no stage of pipeline `street` gives boxes"),
        "{text}"
    );
    let (code, text) = said(&["--report", "report.json"]);
    assert!(code == Some(2) && text.contains("cannot be used with"), "{text}");
}
