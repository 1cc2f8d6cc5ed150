//! A camera's controls (exposure, white balance, gain …), set each time that it is opened: a camera that was pulled out
//! has forgotten them.
//!
//! A control is named as `v4l2-ctl --list-ctrls` names it: small letters and digits of the driver's name, with an
//! underscore for whatever stands between them.
use std::io;
use std::path::Path;

use nix::errno::Errno;
use v4l::Device;
use v4l::control::{Control, Description, Type, Value};

use super::error::CameraError;
use crate::text::cut;

/// One control and what it is to be set to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    name: String,
    value: i64,
}

/// Reads `NAME=VALUE, NAME=VALUE …`; `""` is none.
pub(crate) fn parse(text: &str) -> Result<Vec<Setting>, CameraError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| setting(part).ok_or_else(|| CameraError::Setting(cut(part)))).collect()
}

fn setting(part: &str) -> Option<Setting> {
    let (name, value) = part.split_once('=')?;
    let (name, value) = (plain(name), value.trim().parse().ok()?);
    (!name.is_empty()).then_some(Setting { name, value })
}

/// As `v4l2-ctl` writes it.
fn plain(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// Sets them in the order given, since one may open the way for the next (`auto_exposure` for `exposure_time_absolute`).
pub(super) fn set(path: &Path, device: &Device, settings: &[Setting]) -> Result<(), CameraError> {
    if settings.is_empty() {
        return Ok(());
    }
    let controls = device.query_controls().map_err(|source| failed(path, source))?;
    settings.iter().try_for_each(|setting| set_one(path, device, &controls, setting))
}

fn set_one(
    path: &Path,
    device: &Device,
    controls: &[Description],
    Setting { name, value }: &Setting,
) -> Result<(), CameraError> {
    let path = path.to_path_buf();
    let Some(control) = controls.iter().find(|control| plain(&control.name) == *name) else {
        let has = controls.iter().filter(|it| settable(it)).map(|it| plain(&it.name));
        let has = has.collect::<Vec<_>>().join(", ");
        return Err(CameraError::NoControl { path, name: name.clone(), has });
    };
    let typed = match control.typ {
        Type::Boolean | Type::Button => Value::Boolean(*value != 0),
        _ => Value::Integer(*value),
    };
    // The kernel would take the nearest value that there is, and say nothing.
    let within = control.typ == Type::Button || (control.minimum..=control.maximum).contains(value);
    let done = match within {
        true => device.set_control(Control { id: control.id, value: typed }),
        false => Err(io::Error::from(Errno::ERANGE)),
    };
    done.map_err(|source| CameraError::Control {
        path,
        name: name.clone(),
        value: *value,
        least: control.minimum,
        most: control.maximum,
        source,
    })
}

/// Has a number for a value.
fn settable(control: &Description) -> bool {
    use Type::{Bitmask, Boolean, Button, Integer, Integer64, IntegerMenu, Menu};
    matches!(control.typ, Integer | Integer64 | Boolean | Button | Menu | IntegerMenu | Bitmask)
}

fn failed(path: &Path, source: io::Error) -> CameraError {
    CameraError::Start { path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::{Setting, parse, plain};

    #[test]
    fn settings_are_read_in_their_order() {
        let set = |name: &str, value| Setting { name: name.to_owned(), value };
        let read = parse(" auto_exposure = 1,exposure_time_absolute=-150 ,").unwrap();
        assert_eq!(read, [set("auto_exposure", 1), set("exposure_time_absolute", -150)]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_is_no_setting_is_named() {
        for text in ["gain", "gain=", "gain=high", "=3", "gain=1;2", "gain=99999999999999999999"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("NAME=VALUE"), "{error}");
        }
    }

    #[test]
    fn names_are_those_of_v4l2_ctl() {
        for (driver, ours) in [
            ("White Balance, Automatic", "white_balance_automatic"),
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("Test Pattern", "test_pattern"),
        ] {
            assert_eq!(plain(driver), ours);
        }
    }
}
