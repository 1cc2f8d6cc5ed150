//! The headers compile: each alone, all together in both orders and twice.
use std::fs;
use std::path::Path;
use std::process::Command;

use edgemill_tests::compiler::{Scratch, cc, cxx, include, succeed};

/// Every header, as a plugin includes it.
pub fn all() -> Vec<String> {
    let mut headers = Vec::new();
    collect(&include(), "edgemill", &mut headers);
    headers.sort();
    headers
}

fn collect(root: &Path, folder: &str, headers: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).expect("the folder of headers") {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_str().expect("ASCII"));
        if entry.path().is_dir() {
            collect(root, &name, headers);
        } else {
            assert!(name.ends_with(".h"), "{name} is no header");
            headers.push(name);
        }
    }
}

/// One unit for each header alone, and one for all of them.
fn units() -> Vec<(String, String)> {
    let headers = all();
    let include = |header: &String| format!("#include <{header}>\n");
    let there = headers.iter().map(include);
    let back = headers.iter().rev().map(include);
    let together = there.chain(back).collect::<String>();
    let alone = headers.iter().map(|header| (header.replace('/', "_"), include(header)));
    alone.chain([("together".to_owned(), together)]).collect()
}

fn compile(extension: &str, compiler: fn() -> Command) {
    let scratch = Scratch::new();
    for (name, text) in units() {
        let source = scratch.file(&format!("{name}.{extension}"));
        // A unit without a declaration of its own is not strict C.
        fs::write(&source, text + "int edgemill_unit;\n").expect("written");
        succeed(compiler().arg("-fsyntax-only").arg(&source));
    }
}

#[test]
fn as_c11() {
    compile("c", cc);
}

#[test]
fn as_cxx17() {
    compile("cc", cxx);
}

#[test]
fn there_are_as_many_as_edgemill_h_includes() {
    let text = fs::read_to_string(include().join("edgemill/edgemill.h")).expect("there");
    let mut included: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#include \"")?.strip_suffix('"'))
        .map(|name| format!("edgemill/{name}"))
        .chain(["edgemill/edgemill.h".to_owned()])
        .collect();
    included.sort();
    assert_eq!(included, all());
}
