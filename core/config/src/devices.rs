//! Where a pipeline names a device of the board: `device = "@front"` of a source becomes that camera's device and
//! picture, `line = "@relay"` of a plugin that line's chip and offset. Neither source nor plugin knows of boards.
use crate::board::Board;
use crate::error::{ConfigError, Fault, Found, list, shown, shown_path};
use crate::hardware::{Camera, Idle, Line, LineAt};
use crate::pipeline::{Param, Stage, Value, Work};
use crate::place::{Located, Place};
use crate::text::nearest;

/// The parameter of a source that may name a camera.
const DEVICE: &str = "device";
/// The parameter of a plugin that may name a line, and those that the line brings or is held against.
const LINE: &str = "line";
const CHIP: &str = "chip";
const ACTIVE_LOW: &str = "active-low";
const SAFE: &str = "safe";

/// Puts what the board says in the place of the name.
pub(crate) fn resolve(stage: &mut Stage, board: &Board, found: &mut Found) {
    let key = match stage.work {
        Work::Source(_) => DEVICE,
        Work::Plugin { .. } => LINE,
    };
    let Some((name, at)) = reference(stage, key) else { return };
    let resolved = match stage.work {
        Work::Source(_) => find(&board.cameras, |it| &it.name, "camera", &name, &at, stage, board)
            .map(|camera| take_camera(stage, camera, &at)),
        Work::Plugin { .. } => find(&board.lines, |it| &it.name, "line", &name, &at, stage, board)
            .and_then(|line| take_line(stage, line, &at)),
    };
    found.note(resolved);
}

/// The name after the `@`, and where it stands.
fn reference(stage: &Stage, key: &str) -> Option<(String, Place)> {
    let param = stage.params.get(key)?;
    let Value::Text(text) = &param.value else { return None };
    Some((text.strip_prefix('@')?.to_owned(), param.at.clone()))
}

fn find<'b, T>(
    all: &'b [T],
    name_of: fn(&T) -> &Located<String>,
    what: &'static str,
    name: &str,
    at: &Place,
    stage: &Stage,
    board: &Board,
) -> Result<&'b T, ConfigError> {
    let known = || all.iter().map(|it| name_of(it).as_str());
    all.iter().find(|it| name_of(it).value == name).ok_or_else(|| {
        let fault = Fault::NoSuchDevice {
            stage: stage.name.value.clone(),
            what,
            found: shown(name),
            nearest: nearest(name, known()).map(str::to_owned),
            known: if all.is_empty() { "none".to_owned() } else { list(known()) },
            board: shown_path(&board.name.at.file),
        };
        fault.at(at.clone())
    })
}

fn take_camera(stage: &mut Stage, camera: &Camera, at: &Place) {
    let Camera { device, format, width, height, rate_hz, controls, .. } = camera;
    set(stage, DEVICE, Value::Text(device.value.clone()), at);
    for (key, text) in [("format", format), ("controls", controls)] {
        let Some(text) = text else { continue };
        fill(stage, key, Value::Text(text.value.clone()), &text.at);
    }
    for (key, number) in [("width", width), ("height", height), ("rate-hz", rate_hz)] {
        let Some(number) = number else { continue };
        fill(stage, key, Value::Int(i64::try_from(number.value).unwrap_or(i64::MAX)), &number.at);
    }
}

fn take_line(stage: &mut Stage, line: &Line, at: &Place) -> Result<(), ConfigError> {
    for key in [CHIP, ACTIVE_LOW] {
        if let Some(param) = stage.params.get(key) {
            let problem =
                format!("has {key} beside @{}; the board says it: remove it", line.name.value);
            return Err(Fault::stage(&stage.name, problem).at(param.at.clone()));
        }
    }
    check_safe(stage, line, at)?;
    let named = match &line.at {
        LineAt::Offset(offset) => offset.to_string(),
        LineAt::KernelName(name) => name.clone(),
    };
    set(stage, LINE, Value::Text(named), at);
    if let Some(chip) = &line.chip {
        set(stage, CHIP, Value::Text(chip.value.clone()), &chip.at);
    }
    if line.active_low {
        set(stage, ACTIVE_LOW, Value::Bool(true), at);
    }
    Ok(())
}

/// After the daemon has gone the line does what the board says: a safe state that contradicts it would not last.
fn check_safe(stage: &Stage, line: &Line, at: &Place) -> Result<(), ConfigError> {
    let safe = match stage.params.get(SAFE).map(|param| &param.value) {
        Some(Value::Text(word)) => word.as_str(),
        _ => "low",
    };
    let (level, idle) = match (line.idle, safe) {
        (Some(idle @ Idle::PullUp), "low") => ("high", idle),
        (Some(idle @ Idle::PullDown), "high") => ("low", idle),
        _ => return Ok(()),
    };
    let problem = format!(
        "is safe when {safe}, but @{} goes {level} once nobody holds it (idle = \"{}\" in the board's file); \
         set safe = \"{level}\", or choose another line",
        line.name.value,
        idle.word()
    );
    let at = stage.params.get(SAFE).map_or(at, |param| &param.at);
    Err(Fault::stage(&stage.name, problem).at(at.clone()))
}

fn set(stage: &mut Stage, key: &str, value: Value, at: &Place) {
    stage.params.insert(key.to_owned(), Param { value, at: at.clone() });
}

/// The pipeline's own value goes before the board's.
fn fill(stage: &mut Stage, key: &str, value: Value, at: &Place) {
    stage.params.entry(key.to_owned()).or_insert_with(|| Param { value, at: at.clone() });
}
