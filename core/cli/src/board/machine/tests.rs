//! Machines as their /proc and /sys show them, made by hand.
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use edgemill_config::Board;

use super::super::devices::{Camera, Devices, Gpio};
use super::super::write;
use super::{Machine, cpu_list};

/// A folder of its own, removed at the end.
struct Root(PathBuf);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("edgemill-cli-board-{}-{number}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&root.0).expect("a folder");
        files.iter().for_each(|(path, text)| root.write(path, text));
        root
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// As Linux shows a ROCK 5B: little and big cores, three clusters, a watchdog, zones with and without a passive trip.
fn rock() -> Root {
    let root = Root::new(&[
        ("proc/device-tree/compatible", "radxa,rock-5b\0rockchip,rk3588\0"),
        ("proc/device-tree/model", "Radxa ROCK 5 Model B\0"),
        ("proc/meminfo", "MemTotal:        8123456 kB\nMemFree:         1 kB\n"),
        ("sys/devices/system/cpu/present", "0-7\n"),
        ("sys/class/watchdog/watchdog0/identity", "Synopsys DesignWare Watchdog\n"),
        ("sys/class/watchdog/watchdog0/timeout", "30\n"),
        ("sys/class/thermal/thermal_zone0/type", "package-thermal\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_0_type", "critical\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "115000\n"),
        ("sys/class/thermal/thermal_zone1/type", "bigcore0-thermal\n"),
        ("sys/class/thermal/thermal_zone1/trip_point_0_type", "passive\n"),
        ("sys/class/thermal/thermal_zone1/trip_point_0_temp", "85000\n"),
        ("sys/class/thermal/thermal_zone1/trip_point_1_type", "critical\n"),
        ("sys/class/thermal/thermal_zone1/trip_point_1_temp", "115000\n"),
    ]);
    for (cpu, capacity, cluster) in (0..8).map(|cpu| match cpu {
        0..4 => (cpu, "397", "0-3"),
        4 | 5 => (cpu, "1024", "4-5"),
        _ => (cpu, "1024", "6-7"),
    }) {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}");
        root.write(&format!("{folder}/cpu_capacity"), &format!("{capacity}\n"));
        root.write(&format!("{folder}/topology/cluster_cpus_list"), &format!("{cluster}\n"));
        root.write(&format!("{folder}/topology/package_cpus_list"), "0-7\n");
    }
    root
}

fn parsed(name: Option<&str>, machine: &Machine, devices: &Devices) -> (Board, String) {
    let text = write::board(name, machine, devices);
    let board = Board::parse(&text, Path::new("board.toml"));
    (board.unwrap_or_else(|errors| panic!("{errors}\n{text}")), text)
}

#[test]
fn a_board_with_everything_is_described_and_accepted() {
    let root = rock();
    let machine = Machine::read(&root.0);
    assert_eq!(machine.notes, Vec::<String>::new());
    let (board, text) = parsed(None, &machine, &Devices::default());
    assert_eq!(board.name.value, "radxa-rock-5b");
    assert_eq!(board.cores, [397, 397, 397, 397, 1024, 1024, 1024, 1024]);
    assert_eq!(board.clusters, [vec![0, 1, 2, 3], vec![4, 5], vec![6, 7]]);
    assert_eq!(board.memory_bytes, Some(7933 << 20));
    let watchdog = board.watchdog.expect("a watchdog");
    assert_eq!((watchdog.device.as_path(), watchdog.timeout_s), (Path::new("/dev/watchdog0"), 30));
    let zones: Vec<_> = board.thermal.iter().map(|it| (it.zone.as_str(), it.throttle_c)).collect();
    assert_eq!(zones, [("bigcore0-thermal", 85)]);
    assert!(
        text.contains("Radxa ROCK 5 Model B, as") && text.contains("Thermal zone package-thermal")
    );
}

#[test]
fn what_is_absent_is_told_and_the_file_still_stands() {
    let root = Root::new(&[]);
    let machine = Machine::read(&root.0);
    assert_eq!(machine.notes.len(), 5, "{:?}", machine.notes);
    let devices = Devices { notes: vec!["no camera in /dev/video*".into()], ..Devices::default() };
    let (board, text) = parsed(None, &machine, &devices);
    assert_eq!((board.name.value.as_str(), board.cores.len()), ("unknown-board", 0));
    for note in machine.notes.iter().chain(&devices.notes) {
        assert!(text.contains(&format!("# Not found: {note}")), "{note}\n{text}");
    }
}

#[test]
fn a_pc_has_cores_that_are_alike_and_packages_for_clusters() {
    let root = Root::new(&[
        ("sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n"),
        ("sys/devices/system/cpu/present", "0-1\n"),
    ]);
    for cpu in [0, 1] {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/topology");
        root.write(&format!("{folder}/cluster_cpus_list"), &format!("{cpu}\n"));
        root.write(&format!("{folder}/package_cpus_list"), "0-1\n");
    }
    let machine = Machine::read(&root.0);
    assert!(machine.notes.iter().any(|note| note.contains("no cpu_capacity")));
    let (board, _) = parsed(None, &machine, &Devices::default());
    assert_eq!(board.name.value, "standard-pc-q35-ich9-2009");
    assert_eq!((board.cores, board.clusters), (vec![1024, 1024], vec![vec![0, 1]]));
    assert_eq!(parsed(Some("mine"), &machine, &Devices::default()).0.name.value, "mine");
}

#[test]
fn texts_of_devices_cannot_break_the_file() {
    let evil = "x\"\n[paths]\nstore = \"/\"\u{1b}[31m\\".to_owned();
    let camera = |picture| Camera {
        device: format!("/dev/{evil}").into(),
        card: evil.clone(),
        driver: evil.clone(),
        picture,
    };
    let cameras = vec![camera(Some(("YUYV", 640, 480))), camera(None)];
    let lines = vec![(0, evil.clone(), true), (1, evil.clone(), false), (2, String::new(), false)];
    let chips = vec![Gpio { name: evil.clone(), label: evil.clone(), lines }];
    let devices = Devices { cameras, chips, notes: vec![evil.clone()] };
    let root = Root::new(&[
        ("proc/device-tree/compatible", &evil),
        ("proc/device-tree/model", &evil),
        ("sys/class/watchdog/watchdog0/identity", &evil),
        ("sys/class/thermal/thermal_zone0/type", &evil),
    ]);
    let (board, text) = parsed(None, &Machine::read(&root.0), &devices);
    assert_eq!(board.paths, edgemill_config::Paths::default());
    assert_eq!(board.cameras.len(), 1);
    assert_eq!(board.cameras[0].device.value, format!("/dev/{evil}"));
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("3 lines, 1 of them in use"), "{text}");
}

#[test]
fn lists_of_cores_are_read_as_the_kernel_writes_them() {
    for (text, cpus) in
        [("0-3,6", vec![0, 1, 2, 3, 6]), ("5", vec![5]), ("", vec![]), ("0-99999999", vec![])]
    {
        assert_eq!(cpu_list(text), cpus, "{text}");
    }
}

#[test]
fn every_format_that_a_source_takes_may_stand_in_a_board() {
    let source = edgemill_capture::describe("v4l").expect("a source");
    let format = source.params.iter().find(|param| param.name == "format").expect("a parameter");
    let edgemill_capture::Kind::Choice { words, .. } = format.kind else { panic!("not a choice") };
    assert_eq!(words, edgemill_config::PICTURE_FORMATS);
}
