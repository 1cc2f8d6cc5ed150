//! What a test does to a V4L2 camera behind the back of who captures from it: sets one of its controls by name (the
//! kernel's virtual camera has buttons that make it fail), sets its format as another program might, or shows it.
use std::process::ExitCode;

use v4l::control::{Control, Type, Value};
use v4l::video::Capture;
use v4l::{Device, Format, FourCC};

const USAGE: &str = "vivid DEVICE control NAME VALUE | vivid DEVICE format [FOURCC WIDTH HEIGHT]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [device, "control", name, value] => control(device, name, value),
        [device, "format", wanted @ ..] => format(device, wanted),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn control(device: &str, name: &str, value: &str) -> Done {
    let device = Device::with_path(device)?;
    let controls = device.query_controls()?;
    let found = controls.iter().find(|control| control.name == name);
    let control = found.ok_or_else(|| {
        let names: Vec<_> = controls.iter().map(|control| control.name.as_str()).collect();
        format!("there is no control {name}; there are {}", names.join(", "))
    })?;
    let value = match control.typ {
        Type::Button | Type::Boolean => Value::Boolean(value != "0"),
        _ => Value::Integer(value.parse()?),
    };
    Ok(device.set_control(Control { id: control.id, value })?)
}

fn format(device: &str, wanted: &[&str]) -> Done {
    let device = Device::with_path(device)?;
    if let [fourcc, width, height] = wanted {
        let fourcc: [u8; 4] = fourcc.as_bytes().try_into()?;
        let wanted = Format::new(width.parse()?, height.parse()?, FourCC::new(&fourcc));
        device.set_format(&wanted)?;
    }
    let is = device.format()?;
    println!("{} {}x{}", is.fourcc, is.width, is.height);
    Ok(())
}
