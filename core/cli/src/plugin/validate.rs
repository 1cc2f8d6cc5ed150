//! `edgemill plugin validate`: the conformance suite over one plugin, each trial in a child process.
use std::path::PathBuf;

use edgemill_host::params::ParamInput;
use edgemill_host::{ModelContract, ValidateOptions, validate};

use crate::exit::Failure;
use crate::model::verify::open;
use crate::output::Output;

/// Arguments of `edgemill plugin validate`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: edgemill plugin validate infer-int8.so --model lights.emp --keys keys"
)]
pub struct Args {
    /// The plugin's file.
    file: PathBuf,
    /// A parameter that it needs; again for further ones.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, ParamInput)>,
    /// A package, for a plugin that needs a contract or a model.
    #[arg(long, value_name = "FILE", requires = "keys")]
    model: Option<PathBuf>,
    /// The folder with trust.json, root.pub and device.key that opens the package.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// Prints every finding; a plugin that breaks a rule is a failure.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let mut options = ValidateOptions { params: args.params.clone(), ..ValidateOptions::default() };
    if let (Some(package), Some(keys)) = (&args.model, &args.keys) {
        let view = open(package, keys)?;
        let release = &view.manifest().release;
        options.contract = Some(ModelContract {
            model: release.name.clone(),
            version: release.version.clone(),
            contract: release.contract.clone(),
        });
        options.model = Some(view.bytes().to_vec());
    }
    let report = validate(&args.file, &options);
    output.result(&report, &report)?;
    if report.is_conforming() {
        return Ok(());
    }
    Err(Failure::plugin(format!("{} breaks the rules named above", args.file.display())))
}

/// `NAME=VALUE`, the value as it would stand in a pipeline's file, quotes left out.
fn parameter(text: &str) -> Result<(String, ParamInput), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.into(), value_of(value)))
}

fn value_of(text: &str) -> ParamInput {
    if let Ok(boolean) = text.parse() {
        return ParamInput::Bool(boolean);
    }
    if let Ok(integer) = text.parse() {
        return ParamInput::Int(integer);
    }
    text.parse().map_or_else(|_| ParamInput::String(text.into()), ParamInput::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        let cases = [
            ("true", ParamInput::Bool(true)),
            ("-3", ParamInput::Int(-3)),
            ("0.5", ParamInput::Float(0.5)),
            ("red,yellow", ParamInput::String("red,yellow".into())),
        ];
        for (text, value) in cases {
            assert_eq!(value_of(text), value, "{text}");
        }
    }
}
