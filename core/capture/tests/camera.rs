//! A V4L2 camera in a pipeline. These need the kernel's virtual camera, `vivid`, as /dev/video0 and root's right to
//! unplug it: `cargo xtask test --only guest` boots a machine that has both and runs them there, one after another.
mod common;

use std::fs;

use edgemill_capture::Value;
use edgemill_linux::clock::monotonic_ns;
use edgemill_pipeline::account::{Account, StageAccount};
use edgemill_pipeline::{State, Stop};
use v4l::Device;
use v4l::control::{Control, Value as ControlValue};

use common::{Playing, Seen, lock, start};

const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
const DEVICE: &str = "vivid.0";

fn camera(params: &[(&str, Value)]) -> Result<Playing, String> {
    let params: Vec<_> = [("rate-hz", Value::Int(25))].iter().chain(params).cloned().collect();
    start("v4l", &params).map_err(|error| error.to_string())
}

fn format(word: &str) -> (&'static str, Value) {
    ("format", Value::Text(word.to_owned()))
}

fn source(account: &Account) -> &StageAccount {
    account.stages.iter().find(|stage| stage.name == "source").expect("the source")
}

/// Presses one of vivid's buttons that make it fail.
fn inject(button: &str) {
    let device = Device::with_path("/dev/video0").expect("the camera");
    let controls = device.query_controls().expect("controls");
    let found = controls.iter().find(|control| control.name == button);
    let id = found.unwrap_or_else(|| panic!("vivid has no {button:?}")).id;
    let press = Control { id, value: ControlValue::Boolean(true) };
    device.set_control(press).expect("the button is pressed");
}

/// The middles of vivid's eight colour bars, on a row below its text.
fn bars(bytes: &[u8], pixel_bytes: usize) -> Vec<&[u8]> {
    let row = &bytes[300 * 640 * pixel_bytes..][..640 * pixel_bytes];
    (0..8).map(|bar| &row[(bar * 80 + 40) * pixel_bytes..][..pixel_bytes]).collect()
}

/// White, yellow, cyan, green, magenta, red, blue, black: their luma falls, and a bit each tells R, G and B.
fn check_bars(bytes: &[u8], pixel_bytes: usize) {
    let bars = bars(bytes, pixel_bytes);
    if pixel_bytes == 3 {
        let bits =
            |bar: &&[u8]| bar.iter().fold(0, |bits, value| bits << 1 | u8::from(*value > 96));
        let colours: Vec<_> = bars.iter().map(bits).collect();
        assert_eq!(colours, [0b111, 0b110, 0b011, 0b010, 0b101, 0b100, 0b001, 0b000], "{bars:?}");
    } else {
        assert!(bars.is_sorted_by(|a, b| a[0] > b[0]), "{bars:?}");
    }
}

fn controls(text: &str) -> (&'static str, Value) {
    ("controls", Value::Text(text.to_owned()))
}

/// Sequence and time rise; each gap in the sequence is in the account.
fn check_order(account: &Account, seen: &[Seen], began_ns: u64) {
    let mut gaps = seen[0].origin.sequence;
    let mut last = (None, began_ns.saturating_sub(1_000_000_000));
    for frame in seen {
        let (sequence, time) = (frame.origin.sequence, frame.origin.capture_ns);
        gaps += last.0.map_or(0, |last| sequence - last - 1);
        assert!(time > last.1 && time <= monotonic_ns(), "{time} after {}", last.1);
        last = (Some(sequence), time);
    }
    assert_eq!(gaps, source(account).skipped);
}

fn captures_60_frames(word: &str, bytes_per_pixel: usize) {
    let began_ns = monotonic_ns();
    let playing = camera(&[format(word)]).expect("a camera that offers this format");
    let (account, seen, _) = playing.take(60);
    assert!(seen.len() >= 60);
    for frame in &seen {
        assert_eq!(frame.bytes.len(), 640 * 480 * bytes_per_pixel);
    }
    check_bars(&seen[59].bytes, bytes_per_pixel);
    check_order(&account, &seen, began_ns);
    println!("{word}: {} frames, {} lost by the driver", seen.len(), source(&account).skipped);
}

#[test]
#[ignore = "needs a vivid camera"]
fn it_captures_yuyv() {
    captures_60_frames("YUYV", 2);
}

#[test]
#[ignore = "needs a vivid camera"]
fn it_captures_nv12() {
    let (_, seen, _) = camera(&[format("NV12")]).expect("vivid has it").take(10);
    for frame in &seen {
        assert_eq!(frame.bytes.len(), 640 * 480 * 3 / 2);
    }
    let bars = bars(&seen[9].bytes, 1);
    assert!(bars.is_sorted_by(|a, b| a[0] > b[0]), "{bars:?}");
}

#[test]
#[ignore = "needs a vivid camera"]
fn it_captures_grey() {
    captures_60_frames("GREY", 1);
}

#[test]
#[ignore = "needs a vivid camera"]
fn it_captures_rgb24() {
    captures_60_frames("RGB24", 3);
}

#[test]
#[ignore = "needs a vivid camera"]
fn its_controls_are_set_when_it_is_opened() {
    // In vivid's menu of test patterns 8 is "100% Green" and 0 the bars.
    let green = camera(&[format("RGB24"), controls("brightness = 128, test_pattern = 8")]);
    let (_, seen, _) = green.expect("it has both").take(5);
    for pixel in bars(&seen[4].bytes, 3) {
        assert!(pixel[1] > 200 && pixel[0] < 40 && pixel[2] < 40, "{pixel:?}");
    }
    let (_, seen, _) = camera(&[format("RGB24"), controls("test_pattern=0")]).unwrap().take(5);
    check_bars(&seen[4].bytes, 3);
}

#[test]
#[ignore = "needs a vivid camera"]
fn what_it_does_not_offer_is_refused_with_what_it_does() {
    let cases = [
        (
            "size",
            vec![("width", Value::Int(100)), ("height", Value::Int(100))],
            vec!["does not offer YUYV 100x100; it offers YUYV 320x180", "GREY 320x180", "640x480"],
        ),
        ("rate", vec![("rate-hz", Value::Int(24))], vec!["does not do 24 frames", "15, 25 Hz"]),
        (
            "control",
            vec![controls("iris=1")],
            vec!["has no control `iris`; it has: ", "test_pattern"],
        ),
        ("value", vec![controls("brightness=999")], vec!["`brightness` to 999", "0 to 255"]),
        (
            "words",
            vec![controls("brightness")],
            vec!["`brightness` in `controls` is not NAME=VALUE"],
        ),
    ];
    for (fault, params, messages) in cases {
        let error = camera(&params).map(|_| ()).expect_err(fault);
        println!("{error}");
        for message in messages {
            assert!(error.contains(message), "{fault}: {error}");
        }
    }
}

#[test]
#[ignore = "needs a vivid camera"]
fn a_busy_camera_is_refused_and_free_when_its_user_stops() {
    let first = camera(&[]).unwrap();
    first.wait_for(1);
    for word in ["YUYV", "GREY"] {
        let error = camera(&[format(word)]).map(|_| ()).expect_err("busy");
        println!("{error}");
        assert!(error.contains("camera /dev/video0 is busy"), "{error}");
    }
    first.take(2);
    camera(&[format("GREY")]).unwrap().take(1);
}

#[test]
#[ignore = "needs a vivid camera"]
fn an_unplugged_camera_is_an_error_and_comes_back() {
    let playing = camera(&[]).unwrap();
    playing.wait_for(5);
    fs::write(format!("{DRIVER}/unbind"), DEVICE).unwrap();
    playing.wait_state(State::Restarting);
    let before = lock(&playing.seen).len();
    fs::write(format!("{DRIVER}/bind"), DEVICE).unwrap();
    playing.wait_state(State::Running);
    let (account, seen, _) = playing.take(before + 5);
    assert!(source(&account).faults >= 1 && source(&account).restarts >= 1);
    let sequences: Vec<_> = seen.iter().map(|frame| frame.origin.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "one stream, however often it restarts");
}

#[test]
#[ignore = "needs a vivid camera"]
fn a_damaged_frame_is_left_out_and_counted() {
    let playing = camera(&[]).unwrap();
    playing.wait_for(5);
    inject("Inject V4L2_BUF_FLAG_ERROR");
    playing.wait_for(15);
    let (account, _, log) = playing.take(20);
    assert!(source(&account).skipped >= 1);
    assert!(log.iter().any(|line| line.contains("damaged frame")), "{log:?}");
    assert_eq!(source(&account).faults, 0);
}

#[test]
#[ignore = "needs a vivid camera"]
fn a_stream_that_fails_is_opened_again() {
    for button in ["Inject Fatal Streaming Error", "Inject VIDIOC_STREAMON Error"] {
        let playing = camera(&[]).unwrap();
        playing.wait_for(5);
        inject(button);
        if button.contains("STREAMON") {
            inject("Inject Fatal Streaming Error");
        }
        playing.wait_state(State::Restarting);
        playing.wait_state(State::Running);
        let (account, _, _) = playing.take(20);
        assert!(source(&account).restarts >= 1, "{button}");
    }
}

#[test]
#[ignore = "needs a vivid camera"]
fn a_camera_is_stopped_between_frames() {
    let playing = camera(&[("rate-hz", Value::Int(1))]).unwrap();
    playing.wait_for(1);
    playing.runtime.stop(Stop::Drain);
    playing.until_its_end();
}
