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

/// The table that this test makes, with the number of cases that it is of.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/onnx-cases.md");
const CASES_OF_TABLE: usize = 1072;

/// Cases that passed, were refused, failed.
type Counts = [usize; 3];

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
    let mut by_operator: BTreeMap<String, Counts> = BTreeMap::new();
    let mut failed = Vec::new();
    for case in &cases {
        let counts = by_operator.entry(operators(case)).or_default();
        match run(case) {
            Outcome::Passed => counts[0] += 1,
            Outcome::Unsupported(why) => {
                counts[1] += 1;
                println!("not supported: {}: {why}", case.display());
            }
            Outcome::Failed(why) => {
                counts[2] += 1;
                failed.push(format!("{}: {why}", case.display()));
            }
        }
    }
    let table = table(&by_operator);
    let passed: usize = by_operator.values().map(|counts| counts[0]).sum();
    assert!(failed.is_empty() && passed >= 900, "{passed} passed, failed:\n{}", failed.join("\n"));
    if std::env::var_os("EDGEMILL_WRITE_TABLE").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let written = std::fs::read_to_string(TABLE).unwrap();
    let current = cases.len() != CASES_OF_TABLE || written == table;
    assert!(current, "docs/onnx-cases.md is old: run this test with EDGEMILL_WRITE_TABLE=1");
}

fn table(by_operator: &BTreeMap<String, Counts>) -> String {
    let mut text = String::from(
        "# ONNX's own cases, by operator\n\n\
         Made by `EDGEMILL_WRITE_TABLE=1 cargo test --release -p edgemill-import --test onnx` of Debian's \
         `libonnx-testdata`.\nA case of several operators counts as such. What is not supported is \
         refused by name: `importing.md` says why.\n\n\
         | operator | passed | not supported | failed |\n|---|---|---|---|\n",
    );
    let line = |name: &str, [passed, refused, failed]: Counts| {
        format!("| {name} | {passed} | {refused} | {failed} |\n")
    };
    let mut all = [0; 3];
    for (name, counts) in by_operator {
        text += &line(name, *counts);
        all = [0, 1, 2].map(|at| all[at] + counts[at]);
    }
    text + &line("**all**", all)
}

/// The only operator of a case, if there is one.
fn operators(case: &Path) -> String {
    let file = std::fs::read(case.join("model.onnx")).unwrap();
    let nodes = |graph: &[u8]| contents(graph, 1).into_iter().map(<[u8]>::to_vec).collect();
    let nodes: Vec<Vec<u8>> =
        contents(&file, 7).into_iter().flat_map(|g| -> Vec<_> { nodes(g) }).collect();
    match &nodes[..] {
        [node] => contents(node, 4)
            .first()
            .map_or_else(String::new, |op| String::from_utf8_lossy(op).into()),
        _ => "several".into(),
    }
}

/// What the fields `number` of a protocol buffer hold.
fn contents(mut bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes);
                continue;
            }
            1 => 8,
            5 => 4,
            _ => usize::try_from(varint(&mut bytes)).unwrap(),
        };
        let (content, rest) = bytes.split_at(length);
        bytes = rest;
        if tag >> 3 == number {
            found.push(content);
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
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
            tried = again;
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
