//! The int8 network's own answer for each test picture, by the example `outputs` of `edgemill-learn`, drawn and
//! prepared as the contract says, or as a wrong one does.
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Demo, model};
use crate::command::output;

/// Contracts that show another picture to the network than it learnt from.
pub fn wrong_contracts() -> [(&'static str, Value); 3] {
    [
        ("region", json!([0.0, 0.0, 1.0, 1.0])),
        ("region", json!([0.0, 0.0, 0.375, 1.0])),
        ("colour", json!("bgr")),
    ]
}

/// One line for each test picture: its output in hexadecimal digits, and its path.
pub fn of(demo: &Demo, mut program: Command, change: Option<(&str, Value)>) -> Result<String> {
    let (graph, mut contract) = model::graph_and_contract(&demo.places)?;
    if let Some((field, value)) = change {
        contract["picture"][field] = value;
    }
    let file = demo.places.demo("model/contract.json");
    fs::write(&file, contract.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    output(program.arg(graph).arg(file).arg(&demo.pictures.test_folder))
}

/// Fraction of the lines whose largest output is that of the folder the picture lies in.
pub fn accuracy(demo: &Demo, lines: &str) -> Result<f64> {
    let (_, contract) = model::graph_and_contract(&demo.places)?;
    let labels = contract["labels"].as_array().context("the contract has no labels")?;
    let right = lines.lines().filter(|line| {
        let (hex, path) = line.split_once(' ').unwrap_or_default();
        let label = answer(hex).and_then(|class| labels.get(class)?.as_str());
        label.is_some_and(|label| path.starts_with(&format!("{label}/")))
    });
    Ok(right.count() as f64 / lines.lines().count() as f64)
}

/// The class with the largest int8 output.
fn answer(hex: &str) -> Option<usize> {
    let output = |pair: &[u8]| {
        let byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        Some(byte.cast_signed())
    };
    let outputs: Option<Vec<i8>> = hex.as_bytes().chunks(2).map(output).collect();
    Some(outputs?.iter().enumerate().max_by_key(|(_, value)| **value)?.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_largest_output_is_the_answer() {
        let cases =
            [("80807f", Some(2)), ("ff0080", Some(1)), ("0", Some(0)), ("zz", None), ("", None)];
        for (hex, class) in cases {
            assert_eq!(super::answer(hex), class, "{hex}");
        }
    }
}
