//! The devices of a board, pipelines that name them, and the boards that are shipped.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::path::{Path, PathBuf};

use edgemill_config::{Board, Config, Idle, LineAt, Stage, Value};

const BOARD: &str = r#"
name = "box"
cores = [530, 530, 1024, 1024]
clusters = [[0, 1], [2, 3]]

[[camera]]
name = "front"
device = "driver:uvcvideo"
format = "GREY"
width = 320
height = 240
rate-hz = 15
controls = "gain=16"

[[line]]
name = "relay"
chip = "pinctrl-rp1"
offset = 17
active-low = true
idle = "pull-up"

[[line]]
name = "lamp"
kernel-name = "GPIO22"

[watchdog]
device = "/dev/watchdog0"
timeout-s = 15

[[thermal]]
zone = "cpu-thermal"
throttle-c = 85
"#;

/// A folder with that board and one pipeline, loaded; the folder goes again.
fn load(camera: &str, actuator: &str) -> Result<Config, String> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("edgemill-config-boards-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("board.toml"), BOARD).unwrap();
    let pipeline = format!(
        "name = \"p\"\n[[stage]]\nname = \"camera\"\nsource = \"v4l\"\nparams = {{ {camera} }}\n\
         [[stage]]\nname = \"act\"\nplugin = \"x\"\ninput = \"camera\"\nparams = {{ {actuator} }}\n"
    );
    std::fs::write(folder.join("p.toml"), pipeline).unwrap();
    let config = Config::load(&[folder.join("p.toml")]);
    std::fs::remove_dir_all(&folder).unwrap();
    config.map_err(|errors| errors.to_string())
}

fn stage(config: &Config, name: &str) -> Stage {
    config.pipelines[0].stage(name).unwrap().clone()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn every_device_is_read() {
    let board = Board::parse(BOARD, Path::new("board.toml")).unwrap();
    assert_eq!(board.clusters, [vec![0, 1], vec![2, 3]]);
    let camera = &board.cameras[0];
    assert_eq!((camera.name.as_str(), camera.device.as_str()), ("front", "driver:uvcvideo"));
    assert_eq!(camera.height.as_ref().unwrap().value, 240);
    let [relay, lamp] = &board.lines[..] else { panic!("two lines") };
    assert_eq!((relay.at.clone(), relay.active_low), (LineAt::Offset(17), true));
    assert_eq!((relay.idle, lamp.idle), (Some(Idle::PullUp), None));
    assert_eq!(lamp.at, LineAt::KernelName("GPIO22".into()));
    let watchdog = board.watchdog.unwrap();
    assert_eq!((watchdog.device.as_path(), watchdog.timeout_s), (Path::new("/dev/watchdog0"), 15));
    assert_eq!((board.thermal[0].zone.as_str(), board.thermal[0].throttle_c), ("cpu-thermal", 85));
}

#[test]
fn a_name_becomes_what_the_board_says() {
    let config = load("device = \"@front\", width = 640", "line = \"@relay\", safe = \"high\"");
    let config = config.unwrap();
    let params = stage(&config, "camera").params;
    assert_eq!(params["device"].value, text("driver:uvcvideo"));
    assert_eq!(params["format"].value, text("GREY"));
    assert_eq!(params["width"].value, Value::Int(640), "the pipeline goes before the board");
    assert_eq!(
        (&params["height"].value, &params["rate-hz"].value),
        (&Value::Int(240), &Value::Int(15))
    );
    assert_eq!(params["controls"].value, text("gain=16"));
    assert_eq!(params["height"].at.line, 11, "faults in a default are told where it stands");
    let params = stage(&config, "act").params;
    assert_eq!((&params["chip"].value, &params["line"].value), (&text("pinctrl-rp1"), &text("17")));
    assert_eq!(params["active-low"].value, Value::Bool(true));

    let params =
        stage(&load("device = \"/dev/video0\"", "line = \"@lamp\"").unwrap(), "act").params;
    assert_eq!(params["line"].value, text("GPIO22"));
    assert!(!params.contains_key("chip") && !params.contains_key("active-low"));
}

#[test]
fn what_is_no_reference_is_left_alone() {
    let config =
        load("device = \"/dev/video0\", path = \"@x\"", "topic = \"@lamp\", line = \"LAMP\"");
    let config = config.unwrap();
    assert_eq!(stage(&config, "camera").params["device"].value, text("/dev/video0"));
    assert_eq!(stage(&config, "act").params["topic"].value, text("@lamp"));
    assert_eq!(stage(&config, "act").params["line"].value, text("LAMP"));
}

#[test]
fn a_reference_that_cannot_be_kept_is_refused_at_its_place() {
    let cases = [
        (load("device = \"@frnt\"", ""), "p.toml:5:21: stage `camera` names camera `@frnt`, and "),
        (load("device = \"@frnt\"", ""), "did you mean `front`?; its cameras are: front"),
        (load("", "line = \"@siren\""), "none of that name; its lines are: relay, lamp"),
        (load("", "line = \"@lamp\", chip = \"gpiochip0\""), "stage `act` has chip beside @lamp"),
        (
            load("", "line = \"@lamp\", active-low = true"),
            "stage `act` has active-low beside @lamp",
        ),
        (
            load("", "line = \"@relay\""),
            "is safe when low, but @relay goes high once nobody holds it",
        ),
    ];
    for (loaded, expected) in cases {
        let message = loaded.expect_err(expected);
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    }
    assert!(load("", "line = \"@relay\", safe = \"input\"").is_ok());
}

#[test]
fn faults_of_devices_name_their_place() {
    let cases = [
        ("[[camera]]\nname = \"a\"", "board.toml:2:1: missing field `device`"),
        (
            "[[camera]]\nname = \"a\"\ndevise = \"/dev/video0\"",
            "unknown key `devise`; did you mean `device`?",
        ),
        (
            "[[camera]]\nname = \"a\"\ndevice = \"video0\"",
            "board.toml:4:10: device is none of /dev/…, card:NAME",
        ),
        ("[[camera]]\nname = \"a\"\ndevice = \"card:\"", "device names no camera after the colon"),
        (
            "[[camera]]\nname = \"a\"\ndevice = \"/d\"\nformat = \"YUV\"",
            "format is `YUV`; did you mean `YUYV`?",
        ),
        (
            "[[camera]]\nname = \"a\"\ndevice = \"/d\"\nwidth = 1",
            "width is 1; it must be from 2 to 8192",
        ),
        (
            "[[camera]]\nname = \"a\"\ndevice = \"/d\"\n[[camera]]\nname = \"a\"\ndevice = \"/e\"",
            "board.toml:6:8: camera `a` is here a second time (first at board.toml:3:8)",
        ),
        ("[[line]]\nname = \"Lamp\"\nkernel-name = \"x\"", "line `Lamp` is not a name"),
        ("[[line]]\nname = \"a\"", "line `a` has neither offset nor kernel-name"),
        ("[[line]]\nname = \"a\"\noffset = 3", "line `a` has an offset and no chip"),
        (
            "[[line]]\nname = \"a\"\nchip = \"c\"\noffset = 3\nkernel-name = \"x\"",
            "has both offset and kernel-name",
        ),
        (
            "[[line]]\nname = \"a\"\nchip = \"c\"\noffset = 65536",
            "offset is 65536; it must be from 0 to 65535",
        ),
        (
            "[[line]]\nname = \"a\"\nkernel-name = \"x\"\nidle = \"low\"",
            "idle is `low`; it may be pull-down, pull-up",
        ),
        ("[watchdog]\ndevice = \"watchdog0\"\ntimeout-s = 5", "device is no path in /dev"),
        (
            "[watchdog]\ndevice = \"/dev/watchdog0\"\ntimeout-s = 0",
            "timeout-s is 0; it must be from 1",
        ),
        (
            "[[thermal]]\nzone = \"z\"\nthrottle-c = 85000",
            "throttle-c is 85000; it must be from 1 to 150",
        ),
        ("cores = [1, 1]\nclusters = [[0, 2]]", "a cluster's core is 2; it must be from 0 to 1"),
        (
            "cores = [1, 1]\nclusters = [[0], [0, 1]]",
            "board.toml:3:19: core `0` is here a second time",
        ),
        ("cores = [1, 1]\nclusters = [[0]]", "clusters name 1 of the 2 cores"),
        ("clusters = [[0]]", "clusters need cores"),
    ];
    for (text, expected) in cases {
        let text = format!("name = \"b\"\n{text}");
        let message = Board::parse(&text, Path::new("board.toml")).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    }
    let many = "[[line]]\nname = \"a\"\nkernel-name = \"x\"\n".repeat(257);
    let message = Board::parse(&format!("name = \"b\"\n{many}"), Path::new("b")).unwrap_err();
    assert!(message.to_string().contains("has 257 lines; at most 256"), "{message}");
}

/// Every folder of `board/` with a `board.toml`.
fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board");
    let folders = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join("board.toml").exists()).collect()
}

#[test]
fn every_shipped_board_is_named_for_its_folder_and_its_pipelines_load() {
    let boards = shipped();
    for board in &boards {
        let config = Config::load(&[board.join("pipelines")]).map_err(|it| it.to_string()).unwrap();
        assert_eq!(config.board.name.value, board.file_name().unwrap().to_str().unwrap());
        assert!(!config.pipelines.is_empty(), "{} has no pipeline", board.display());
        let named = |stage: &Stage| {
            !stage
                .params
                .values()
                .any(|it| matches!(&it.value, Value::Text(text) if text.starts_with('@')))
        };
        assert!(config.pipelines.iter().flat_map(|it| &it.stages).all(named));
    }
    let names: Vec<_> = boards.iter().filter_map(|it| it.file_name()?.to_str()).collect();
    for name in ["host", "qemu-virt", "raspberrypi-4", "raspberrypi-5", "rock-5b"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}
