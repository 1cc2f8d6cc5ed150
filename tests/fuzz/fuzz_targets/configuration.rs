//! The three configuration files. A refusal is short and printable.
#![no_main]

use std::path::Path;

use edgemill_config::{Access, Board, Errors, Pipeline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = Path::new("/etc/edgemill/file.toml");
    check(Pipeline::parse(text, file).err());
    check(Board::parse(text, file).err());
    check(Access::parse(text, file).err());
});

fn check(errors: Option<Errors>) {
    let Some(errors) = errors else { return };
    let message = errors.to_string();
    let odd = |c: char| c.is_control() && c != '\n';
    assert!(message.len() <= 4096 && !message.contains(odd), "{message:?}");
}
