//! The sources that need no device, each in a pipeline.
mod common;

use std::path::Path;

use edgemill_abi::Format;
use edgemill_capture::pattern::read_number;
use edgemill_capture::{SOURCES, Value};
use edgemill_pipeline::account::{Account, StageAccount};

use common::{Seen, start};

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn sequences(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.origin.sequence).collect()
}

fn source(account: &Account) -> &StageAccount {
    account.stages.iter().find(|stage| stage.name == "source").expect("the source")
}

#[test]
fn a_pattern_ends_after_its_frames_and_each_carries_its_number() {
    let params = [("frames", Value::Int(50)), ("rate-hz", Value::Int(0)), ("format", text("GREY"))];
    let (account, seen, log) = start("pattern", &params).unwrap().until_its_end();
    assert_eq!((source(&account).emitted, source(&account).skipped), (50, 0));
    assert_eq!(sequences(&seen), (0..50).collect::<Vec<_>>());
    for frame in &seen {
        assert_eq!(read_number(&frame.bytes[..640], 640), Some(frame.origin.sequence));
    }
    assert!(log.is_empty());
}

#[test]
fn a_rate_spaces_the_frames() {
    let params = [("frames", Value::Int(6)), ("rate-hz", Value::Int(100))];
    let (_, seen, _) = start("pattern", &params).unwrap().until_its_end();
    let times: Vec<_> = seen.iter().map(|frame| frame.origin.capture_ns).collect();
    assert!(times[5] - times[0] >= 45_000_000, "never ahead of its beat: {times:?}");
}

#[test]
fn an_end_may_be_a_stop_a_rest_or_a_new_beginning() {
    let params = |end| [("path", text("tests/data/pictures")), ("end", text(end))];
    let (account, seen, _) = start("replay", &params("stop")).unwrap().until_its_end();
    assert_eq!((source(&account).emitted, sequences(&seen)), (2, vec![0, 1]));

    let (account, _, _) = start("replay", &params("idle")).unwrap().take(2);
    assert_eq!(source(&account).emitted, 2);

    let (_, seen, _) = start("replay", &params("loop")).unwrap().take(5);
    assert_eq!(sequences(&seen)[..5], [0, 1, 2, 3, 4]);
    assert_eq!(seen[0].bytes, seen[2].bytes);
    assert_ne!(seen[0].bytes, seen[1].bytes);
}

#[test]
fn a_damaged_picture_is_left_out_counted_and_named() {
    let params = [("path", text("tests/data/damaged")), ("rate-hz", Value::Int(0))];
    let (account, seen, log) = start("replay", &params).unwrap().until_its_end();
    assert_eq!(sequences(&seen), [0, 2], "its place in the sequence stays empty");
    assert_eq!((source(&account).emitted, source(&account).skipped), (2, 2));
    assert_eq!(log.len(), 2);
    assert!(log[0].contains("damaged/2-cut.jpg: cannot decode the JPEG"), "{}", log[0]);
    assert!(log[1].contains("damaged/4-cut.jpg"), "also after the last good one: {}", log[1]);
}

#[test]
fn a_recording_without_one_good_picture_is_a_fault() {
    let params = [("path", text("tests/data/damaged/2-cut.jpg"))];
    let playing = start("replay", &params).unwrap();
    playing.wait_state(edgemill_pipeline::State::Restarting);
    playing.runtime.stop(edgemill_pipeline::Stop::Drop);
    let (account, seen, _) = playing.until_its_end();
    assert!(source(&account).faults >= 1 && seen.is_empty());
}

#[test]
fn a_series_comes_in_full_packets_of_its_format() {
    let params = [
        ("path", text("tests/data/fan.csv")),
        ("columns", text("z,x")),
        ("rate-hz", Value::Int(100)),
        ("samples", Value::Int(2)),
        ("pace", text("fast")),
    ];
    let (account, seen, _) = start("series", &params).unwrap().until_its_end();
    assert_eq!((source(&account).emitted, sequences(&seen)), (2, vec![0, 1]));
    let Format::Series(format) = seen[1].format else { panic!("{:?}", seen[1].format) };
    assert_eq!((format.channels(), format.samples(), format.rate_hz()), (2, 2, 100.0));
    let values: Vec<_> =
        seen[1].bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    assert_eq!(values, [2.3, 2.1, 3.3, 3.1]);
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let cases = [
        (
            "no such source",
            "webcam",
            vec![],
            "`webcam` is no source; there are v4l, replay, pattern, series",
        ),
        (
            "unknown parameter",
            "replay",
            vec![("folder", text("x"))],
            "replay has no parameter `folder`; it has: path",
        ),
        (
            "missing parameter",
            "series",
            vec![("path", text("x"))],
            "series needs the parameter `rate-hz`",
        ),
        (
            "odd YUYV",
            "pattern",
            vec![("width", Value::Int(641))],
            "`width` is 641; a YUYV frame has an even",
        ),
        ("no file", "replay", vec![("path", text("tests/nowhere"))], "tests/nowhere: No such file"),
        (
            "bad cell",
            "series",
            vec![("path", text("tests/data/fail_cell.csv")), ("rate-hz", Value::Int(10))],
            "fail_cell.csv, line 3, column 2: `NaN` is not a finite number",
        ),
        (
            "not a camera",
            "v4l",
            vec![("device", text("/dev/null"))],
            "/dev/null is not a V4L2 device",
        ),
        (
            "a folder",
            "v4l",
            vec![("device", text("/dev"))],
            "camera /dev cannot be opened: Is a directory",
        ),
        (
            "a NUL in the path",
            "v4l",
            vec![("device", text("/dev/a\0b"))],
            "/dev/a\\0b is not a path",
        ),
    ];
    for (fault, kind, params, message) in cases {
        let error = start(kind, &params).map(|_| ()).expect_err(fault).to_string();
        assert!(error.contains(message), "{fault}: {error}");
        assert!(error.len() < 4096, "{fault}");
    }
}

#[test]
fn an_absent_camera_is_waited_for() {
    let playing = start("v4l", &[("device", text("/dev/video-nowhere"))]).unwrap();
    playing.wait_state(edgemill_pipeline::State::Restarting);
    let status = playing.runtime.status();
    let why = status.stages.iter().find_map(|stage| stage.why.clone()).unwrap_or_default();
    assert!(why.contains("camera /dev/video-nowhere is absent"), "{why}");
    playing.runtime.stop(edgemill_pipeline::Stop::Drain);
    let (account, seen, _) = playing.until_its_end();
    assert_eq!((source(&account).emitted, seen.len()), (0, 0));
}

#[test]
fn the_test_pictures_are_all_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/data/traffic-light/test");
    if !folder.exists() {
        eprintln!("skipped: {} is not there; `cargo xtask demo` fetches it", folder.display());
        return;
    }
    let params = [("path", text(folder.to_str().unwrap()))];
    let (account, seen, log) = start("replay", &params).unwrap().until_its_end();
    assert_eq!((source(&account).emitted, seen.len()), (297, 297));
    assert!(log.is_empty() && seen.iter().all(|frame| frame.bytes.len() == 640 * 480 * 2));
}

#[test]
fn the_documentation_has_every_parameter() {
    let docs = include_str!("../../../docs/sources.md");
    for source in SOURCES {
        let heading = format!("## `{}`", source.name);
        let section = docs.split(&heading).nth(1).expect("a section").split("\n## ").next();
        for param in source.params {
            let default = param.fallback().map_or("required".to_owned(), |v| format!("`{v}`"));
            let row = format!("| `{}` | {default} | {} |", param.name, param.allowed());
            assert!(section.is_some_and(|text| text.contains(&row)), "{}: {row}", source.name);
        }
        let rows = section.unwrap_or_default().matches("\n| `").count();
        assert_eq!(rows, source.params.len(), "{}: a parameter that there is not", source.name);
    }
}
