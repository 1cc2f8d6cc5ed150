//! ONNX's own test cases (Debian's `libonnx-testdata`): each imports and gives what it should, or is refused by name.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemill_import::{Binding, Elements, ImportError, Options, import, tensor};
use edgemill_model::graph::Graph;
use edgemill_reference::Reference;

const CASES: &str = "/usr/share/libonnx-testdata/data";

/// What became of one case.
enum Outcome {
    Passed,
    Unsupported(String),
    Failed(String),
}

#[test]
fn every_case_passes_or_is_refused_by_name() {
    let root = std::env::var("EDGEMILL_ONNX_CASES").unwrap_or_else(|_| CASES.into());
    if !Path::new(&root).is_dir() {
        eprintln!("skipped: no ONNX cases in {root} (apt-get install libonnx-testdata)");
        return;
    }
    let mut cases = Vec::new();
    find(Path::new(&root), &mut cases);
    cases.sort();
    let (mut passed, mut refused, mut failed) = (0, BTreeMap::new(), Vec::new());
    for case in &cases {
        match run(case) {
            Outcome::Passed => passed += 1,
            Outcome::Unsupported(why) => *refused.entry(why).or_insert(0) += 1,
            Outcome::Failed(why) => failed.push(format!("{}: {why}", case.display())),
        }
    }
    let unsupported: usize = refused.values().sum();
    println!(
        "{} cases: {passed} passed, {unsupported} not supported, {} failed",
        cases.len(),
        failed.len()
    );
    for (why, count) in &refused {
        println!("  not supported {count:4}  {why}");
    }
    println!("{}", failed.join("\n"));
    assert!(failed.is_empty() && passed >= 450, "{passed} passed, {} failed", failed.len());
}

fn find(folder: &Path, cases: &mut Vec<PathBuf>) {
    if folder.join("model.onnx").is_file() {
        cases.push(folder.into());
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, cases);
        }
    }
}

fn run(case: &Path) -> Outcome {
    let file = std::fs::read(case.join("model.onnx")).unwrap();
    let (inputs, outputs) = match (tensors(case, "input"), tensors(case, "output")) {
        (Ok(inputs), Ok(outputs)) => (inputs, outputs),
        (Err(error), _) | (_, Err(error)) => return Outcome::Unsupported(operator(&error)),
    };
    match bound(&file, &inputs) {
        Ok(graph) => match compare(&graph, &inputs, &outputs) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        },
        Err(error) => Outcome::Unsupported(operator(&error)),
    }
}

fn operator(error: &ImportError) -> String {
    match error {
        ImportError::Unsupported { operator, reason, .. } => format!("{operator}{reason}"),
        other => other.to_string().chars().take(120).collect(),
    }
}

/// The graph as it is; else with whole numbers bound, which give shapes and axes; else with all but the first input.
fn bound(file: &[u8], inputs: &[Binding]) -> Result<Graph<'static>, ImportError> {
    let whole = |b: &&Binding| matches!(b.elements, Elements::I64(_));
    let first = import(file, &Options::default());
    let choices: [Vec<Binding>; 2] =
        [inputs.iter().filter(whole).cloned().collect(), inputs.iter().skip(1).cloned().collect()];
    let mut tried = first;
    for bindings in choices {
        if tried.is_err() && !bindings.is_empty() {
            let again = import(file, &Options { bindings, ..Options::default() });
            tried = if again.is_ok() { again } else { tried };
        }
    }
    tried
}

fn tensors(case: &Path, side: &str) -> Result<Vec<Binding>, ImportError> {
    let file = |n: usize| case.join(format!("test_data_set_0/{side}_{n}.pb"));
    (0..)
        .map(file)
        .take_while(|f| f.is_file())
        .map(|f| tensor(&std::fs::read(f).unwrap()))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "compared as f32")]
fn reals(binding: &Binding) -> Vec<f32> {
    match &binding.elements {
        Elements::F32(elements) => elements.clone(),
        Elements::I64(elements) => elements.iter().map(|&e| e as f32).collect(),
    }
}

fn compare(graph: &Graph<'_>, inputs: &[Binding], outputs: &[Binding]) -> Result<(), String> {
    let given = |(at, id)| {
        let value = graph.value(id);
        let named = inputs.iter().find(|i| i.name == value.name());
        // Some cases name their data otherwise; then they come in the model's order.
        let input = named.or(inputs.get(at));
        let mut elements =
            input.map(reals).ok_or_else(|| format!("no data for {:?}", value.name()))?;
        if let Some(rule) = value.spec().quantization {
            elements.iter_mut().for_each(|e| *e = (*e - rule.zero_point as f32) * rule.scale);
        }
        Ok::<_, String>(elements)
    };
    let given = graph.inputs().enumerate().map(given).collect::<Result<Vec<_>, _>>()?;
    let slices: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let reference = Reference::new(graph).map_err(|e| e.to_string())?;
    let results = reference.run(&slices).map_err(|e| e.to_string())?;
    for ((id, result), expected) in graph.outputs().iter().zip(&results).zip(outputs) {
        let mut result = result.clone();
        // ONNX's own tolerance; bytes may differ by one step, where rounding rules differ.
        let step = if graph.value(*id).spec().quantization.is_some() { 1.0 } else { 1e-5 };
        if let Some(rule) = graph.value(*id).spec().quantization {
            result.iter_mut().for_each(|e| *e = *e / rule.scale + rule.zero_point as f32);
        }
        let shape: Vec<usize> = graph.value(*id).spec().shape.iter().map(|&d| d as usize).collect();
        if shape != expected.shape {
            return Err(format!("shape {shape:?} for {:?}", expected.shape));
        }
        for (at, (&a, b)) in result.iter().zip(reals(expected)).enumerate() {
            let close =
                (a - b).abs() <= 1e-3 * b.abs() + step || a == b || a.is_nan() && b.is_nan();
            if !close {
                return Err(format!("element {at} is {a}, not {b}"));
            }
        }
    }
    Ok(())
}
