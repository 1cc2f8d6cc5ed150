//! The whole way, on small made-up pictures: train, stop and go on, quantize, and hold int8 to the reference.
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use edgemill_engine::Engine;
use edgemill_learn::dataset::{Sample, list};
use edgemill_learn::prng::Prng;
use edgemill_learn::{
    Compressed, Dataset, LearnError, Progress, Recipe, Trained, compress, evaluate, train,
};
use edgemill_model::graph::{Graph, Limits};
use edgemill_reference::Reference;

const RECIPE: &str = r#"
name = "corners"
labels = ["top", "left", "none"]
[picture]
frame = [64, 48]
region = [0.0, 0.0, 1.0, 1.0]
size = [12, 12]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
[network]
convolutions = [4, 6]
dense = 8
[train]
seeds = [5, 6]
steps = 60
batch = 16
learning-rate = 0.01
warm-up = 5
weight-decay = 0.01
label-smoothing = 0.02
validation = 0.25
[augment]
brightness = 0.1
shift = 1
noise = 0.02
flip = false
[quantize]
calibration = "min-max"
"#;

fn recipe() -> Recipe {
    Recipe::parse(RECIPE, "corners.toml").expect("it is a recipe")
}

/// Dark pictures with noise; of the first class the top is red, of the second the left is green.
fn samples() -> Vec<Sample> {
    let mut prng = Prng::new(1, 1);
    let mut sample = |class: usize| {
        let pixel = |at: usize| {
            let (x, y) = (at % 12, at / 12);
            let lit = [[class == 0 && y < 4, false, false], [false, class == 1 && x < 4, false]];
            [0, 1, 2].map(|c| if lit[0][c] || lit[1][c] { 1.0 } else { -1.0 } + 0.4 * prng.normal())
        };
        Sample { input: (0..144).flat_map(pixel).collect(), class }
    };
    (0..120).map(|i| sample(i % 3)).collect()
}

fn dataset() -> Dataset {
    Dataset::split(samples(), &recipe()).expect("every class has samples")
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("edgemill-learn-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left there harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn trained(name: &str) -> Trained {
    let folder = Folder::new(name);
    train(&recipe(), &dataset(), &folder.0, &mut go_on).expect("it trains")
}

#[test]
fn a_training_comes_to_the_same_weights_again() {
    let (first, second) = (trained("first"), trained("second"));
    assert!(first == second);
    assert!(first.outcomes[0].graph != first.outcomes[1].graph, "seeds differ");
    let score = first.outcomes[first.best].validation;
    assert!(score.right * 10 >= score.total * 9, "{score:?}");
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_weights() {
    let whole = trained("whole");
    let folder = Folder::new("stopped");
    let mut stops = 0;
    let resumed = loop {
        let mut steps = 0;
        let answer = train(&recipe(), &dataset(), &folder.0, &mut |_| {
            steps += 1;
            if steps < 17 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match answer {
            Ok(trained) => break trained,
            Err(LearnError::Stopped) => stops += 1,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(stops >= 2, "it was stopped {stops} times");
    assert!(resumed == whole);
}

#[test]
fn a_checkpoint_of_something_else_is_not_gone_on_from() {
    let folder = Folder::new("other");
    let whole = train(&recipe(), &dataset(), &folder.0, &mut go_on).expect("it trains");
    let checkpoint = folder.0.join("seed-5.checkpoint");
    let bytes = fs::read(&checkpoint).expect("it was written");
    let other = RECIPE.replace("learning-rate = 0.01", "learning-rate = 0.02");
    let other = Recipe::parse(&other, "other.toml").expect("it is a recipe");
    let fresh = Folder::new("fresh");
    let expected = train(&other, &dataset(), &fresh.0, &mut go_on).expect("it trains");
    let after = train(&other, &dataset(), &folder.0, &mut go_on).expect("it trains");
    assert!(after == expected && after != whole, "another recipe starts anew");
    for (name, damaged) in [("cut", &bytes[..bytes.len() / 2]), ("empty", &[])] {
        fs::write(&checkpoint, damaged).expect("the temporary folder can be written");
        let again = train(&recipe(), &dataset(), &folder.0, &mut go_on).expect("it trains");
        assert!(again == whole, "{name}");
    }
}

#[test]
fn what_is_saved_is_what_is_read() {
    let folder = Folder::new("saved");
    let compressed = compress(&trained("to-save"), &dataset()).expect("it quantizes");
    compressed.save(&folder.0).expect("it is written");
    assert!(Compressed::load(&folder.0).expect("it is read") == compressed);
    for (file, said) in [("compressed.json", "compressed.json"), ("trained.json", "trained.json")] {
        fs::write(folder.0.join(file), "{").expect("the temporary folder can be written");
        let error = Compressed::load(&folder.0).expect_err(file).to_string();
        assert!(error.contains(said) && error.contains("train again"), "{error}");
    }
}

#[test]
fn int8_by_the_engine_is_within_steps_of_the_reference() {
    let compressed = compress(&trained("agree"), &dataset()).expect("it quantizes");
    let graph = Graph::from_bytes(compressed.best_int8(), Limits::default()).expect("a graph");
    let rule = compressed.int8_contract().inputs[0].quantization.expect("it is int8");
    let mut engine = Engine::load(&graph).expect("it is int8 throughout");
    let (int8, float) =
        (Reference::new(&graph), Graph::from_bytes(compressed.best_f32(), Limits::default()));
    let (int8, float) =
        (int8.expect("it runs"), Reference::new(&float.expect("a graph")).expect("it runs"));
    for sample in dataset().validation() {
        let quantize = |&real: &f32| edgemill_learn::quantize::int8_of(real, rule);
        let input: Vec<u8> = sample.input.iter().map(quantize).collect();
        let mut answer = [0_u8; 3];
        engine.run(&[&input], &mut [&mut answer]).expect("it fits");
        let found = answer.map(|byte| (f32::from(byte.cast_signed()) + 128.0) / 256.0);
        let near = &int8.run(&[&sample.input]).expect("it fits")[0];
        let true_to = &float.run(&[&sample.input]).expect("it fits")[0];
        let far = |expected: &[f32]| {
            found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(far(near) <= 3.0 / 256.0, "{found:?}, the int8 reference {near:?}");
        assert!(far(true_to) <= 0.1, "{found:?}, in real numbers {true_to:?}");
    }
}

#[test]
fn int8_keeps_the_validation_accuracy_by_either_calibration() {
    for calibration in ["min-max", "percentile"] {
        let text = RECIPE.replace("\"min-max\"", &format!("\"{calibration}\""));
        let mut trained = trained(calibration);
        trained.recipe = Recipe::parse(&text, "r.toml").expect("it is a recipe");
        let compressed = compress(&trained, &dataset()).expect("it quantizes");
        for (outcome, int8) in trained.outcomes.iter().zip(&compressed.int8) {
            let lost = outcome.validation.right.abs_diff(int8.right);
            assert!(lost <= 1, "{calibration}: {} and {}", outcome.validation.right, int8.right);
        }
    }
}

#[test]
fn validation_is_a_part_of_each_class_and_of_no_other_use() {
    let dataset = dataset();
    for class in 0..3 {
        let count = |samples: &[Sample]| samples.iter().filter(|s| s.class == class).count();
        assert_eq!((count(dataset.train()), count(dataset.validation())), (30, 10));
    }
    assert!(dataset.validation().iter().all(|sample| !dataset.train().contains(sample)));
}

#[test]
fn folders_that_cannot_be_learnt_from_are_named() {
    let folder = Folder::new("pictures");
    let recipe = recipe();
    let load = || Dataset::load(&folder.0, &recipe, &mut |_, _| {}).map_err(|e| e.to_string());
    let said = load().expect_err("no class is there");
    assert!(said.contains("`top`"), "{said}");
    for label in &recipe.labels {
        fs::create_dir_all(folder.0.join(label)).expect("the temporary folder can be written");
        fs::write(folder.0.join(label).join("a.jpg"), "no JPEG").expect("as above");
        fs::write(folder.0.join(label).join("notes.txt"), "no picture").expect("as above");
    }
    assert_eq!(list(&folder.0, &recipe.labels).expect("they are there").len(), 3);
    let said = load().expect_err("they are no JPEGs");
    assert!(said.contains("top/a.jpg") && said.contains("JPEG"), "{said}");
    let compressed = compress(&trained("to-evaluate"), &dataset()).expect("it quantizes");
    let said = evaluate(&compressed, &folder.0, &mut |_, _| {}).expect_err("no JPEGs").to_string();
    assert!(said.contains("top/a.jpg"), "{said}");
}

#[test]
fn a_class_of_one_cannot_be_split() {
    let one =
        samples().into_iter().filter(|s| s.class != 1).chain(samples().into_iter().skip(1).take(1));
    assert_eq!(Dataset::split(one.collect(), &recipe()), Err((1, 1)));
}

#[test]
fn a_loss_that_is_no_number_stops_the_training() {
    let mut samples = samples();
    samples.iter_mut().for_each(|sample| sample.input.fill(f32::NAN));
    let dataset = Dataset::split(samples, &recipe()).expect("every class has samples");
    let folder = Folder::new("diverged");
    let error = train(&recipe(), &dataset, &folder.0, &mut go_on).expect_err("it cannot learn");
    assert!(matches!(error, LearnError::Diverged { step: 0, .. }), "{error}");
}
