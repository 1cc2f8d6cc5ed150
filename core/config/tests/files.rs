//! Board, access and what only the files together can show.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::path::{Path, PathBuf};

use edgemill_config::{Access, Arch, Board, Config, MemoryLock, Right};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("edgemill-config-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("pipelines")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const BOARD: &str =
    "name = \"box\"\ncores = [1024, 512]\n[paths]\nstore = \"store\"\nrun = \"/tmp/run\"";

fn pipeline(name: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\n[[stage]]\nname = \"camera\"\nsource = \"pattern\"\n\
         [[stage]]\nname = \"infer\"\nplugin = \"x\"\ninput = \"camera\"\n{more}"
    )
}

#[test]
fn the_board_is_read_and_its_paths_taken_from_its_folder() {
    let text = "name = \"qemu-virt\"\narch = \"aarch64\"\ncores = [1024]\nmemory-mib = 2\nmemory-lock = \"require\"\n\
                allow-unsigned = true\n[paths]\nplugins = \"p\"\nstore = \"/s\"\nstore-key = \"k\"\ndevice-key = \"d\"\ntrust = \"t\"\nrun = \"r\"";
    let board = Board::parse(text, Path::new("/etc/b/board.toml")).unwrap();
    assert_eq!(board.name.value, "qemu-virt");
    assert_eq!(board.arch.unwrap().value, Arch::Aarch64);
    assert_eq!((board.cores, board.memory_bytes), (vec![1024], Some(2 << 20)));
    assert_eq!((board.memory_lock, board.allow_unsigned), (MemoryLock::Require, true));
    assert_eq!(board.paths.plugins, Path::new("/etc/b/p"));
    assert_eq!(board.paths.store, Path::new("/s"));
    assert_eq!(board.paths.store_key, Path::new("/etc/b/k"));
    assert_eq!(board.paths.device_key, Path::new("/etc/b/d"));
}

#[test]
fn the_devices_key_lies_beside_the_stores() {
    let text = "name = \"b\"\n[paths]\nstore-key = \"keys/store.key\"";
    let board = Board::parse(text, Path::new("/etc/b/board.toml")).unwrap();
    assert_eq!(board.paths.device_key, Path::new("/etc/b/keys/device.key"));
}

#[test]
fn faults_of_board_and_access_name_their_place() {
    let board = |text: &str| Board::parse(text, Path::new("board.toml")).unwrap_err().to_string();
    let access =
        |text: &str| Access::parse(text, Path::new("access.toml")).unwrap_err().to_string();
    let cases = [
        (
            board("name = \"b\"\narch = \"arm64\""),
            "board.toml:2:8: arch is `arm64`; it may be x86_64, aarch64",
        ),
        (board("name = \"b\"\ncores = [0]"), "board.toml:2:10: a core's capacity is 0"),
        (
            board("name = \"b\"\n[paths]\nstores = \"x\""),
            "board.toml:3:1: unknown key `stores`; did you mean `store`?",
        ),
        (
            board("name = \"b\"\n[paths]\nstore = \"\""),
            "board.toml:3:9: a path has 1 to 4096 bytes",
        ),
        (
            board("name = \"b\"\nmemory-lock = \"yes\""),
            "memory-lock is `yes`; it may be try, require, off",
        ),
        (
            access("[[grant]]\npipeline = \"p\"\nstage = \"s\""),
            "access.toml:1:1: missing field `model`",
        ),
        (
            access("[[user]]\nname = \"o\"\nmay = [\"instal\"]"),
            "access.toml:3:8: may is `instal`; did you mean `install`?",
        ),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    let text = "[[grant]]\npipeline = \"p\"\nstage = \"s\"\nmodel = \"m.1\"\n\
                [[user]]\nname = \"op\"\nmay = [\"view\", \"rollback\"]\n";
    let access = Access::parse(text, Path::new("access.toml")).unwrap();
    assert!(access.may_open("p", "s", "m.1"));
    for (pipeline, stage, model) in [("q", "s", "m.1"), ("p", "t", "m.1"), ("p", "s", "m")] {
        assert!(!access.may_open(pipeline, stage, model));
    }
    let rights = access.rights_of("op");
    assert!(rights.has(Right::View) && rights.has(Right::Rollback));
    assert!(!rights.has(Right::Install) && !rights.has(Right::Activate));
    assert!(!access.rights_of("other").has(Right::View));
}

#[test]
fn a_folder_stands_for_its_files_and_board_and_access_are_found_in_the_parent() {
    let folder = Folder::new("whole");
    folder.write("board.toml", BOARD);
    folder.write("access.toml", "[[grant]]\npipeline = \"b\"\nstage = \"infer\"\nmodel = \"m\"");
    folder.write("pipelines/2.toml", &pipeline("a", ""));
    folder.write("pipelines/1.toml", &pipeline("b", "model = \"m\""));
    folder.write("pipelines/README.md", "not a pipeline");
    let config = Config::load(&[folder.0.join("pipelines")]).unwrap();
    let names: Vec<&str> = config.pipelines.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(config.board.paths.store, folder.0.join("store"));
    assert_eq!(
        config,
        Config::load(&[folder.0.join("pipelines/1.toml"), folder.0.join("pipelines/2.toml")])
            .unwrap()
    );
}

#[test]
fn no_pipelines_is_a_configuration_too() {
    let folder = Folder::new("none");
    let config = Config::load(&[folder.0.join("absent")]).unwrap();
    assert!(config.pipelines.is_empty());
    assert_eq!(config.board.paths, edgemill_config::Paths::default());
    folder.write("board.toml", BOARD);
    let config = Config::load(&[folder.0.join("pipelines")]).unwrap();
    assert_eq!((config.pipelines.len(), config.board.name.value.as_str()), (0, "box"));
}

/// The fault, the files there are, and what is said.
type Case<'a> = (&'a str, &'a [(&'a str, String)], &'a str);

#[test]
fn faults_between_files_name_both() {
    let cases: [Case<'_>; 8] = [
        (
            "no board",
            &[("pipelines/p.toml", pipeline("p", ""))],
            "p.toml: no board.toml in the folder of this file",
        ),
        (
            "duplicate pipeline",
            &[
                ("board.toml", BOARD.into()),
                ("pipelines/p.toml", pipeline("p", "")),
                ("pipelines/q.toml", pipeline("p", "")),
            ],
            "q.toml:1:8: pipeline `p` is here a second time (first at ",
        ),
        (
            "no such core",
            &[("board.toml", BOARD.into()), ("pipelines/p.toml", pipeline("p", "cpu = [2]"))],
            "p.toml:9:8: stage `infer` asks for cpu 2, and ",
        ),
        (
            "model not granted",
            &[("board.toml", BOARD.into()), ("pipelines/p.toml", pipeline("p", "model = \"m\""))],
            "p.toml:9:9: stage `infer` names model `m`, which ",
        ),
        (
            "grant to no stage",
            &[
                ("board.toml", BOARD.into()),
                (
                    "access.toml",
                    "[[grant]]\npipeline = \"p\"\nstage = \"infr\"\nmodel = \"m\"".into(),
                ),
                ("pipelines/p.toml", pipeline("p", "")),
            ],
            "access.toml:3:9: the grant names stage `infr`, and pipeline `p` has none of that name; did you mean `infer`?",
        ),
        (
            "two boards",
            &[
                ("board.toml", BOARD.into()),
                ("a.toml", pipeline("a", "")),
                ("pipelines/p.toml", pipeline("p", "")),
                ("pipelines/board.toml", BOARD.into()),
            ],
            "p.toml: belongs to ",
        ),
        ("absent file", &[("board.toml", BOARD.into())], "p.toml: cannot be read: No such file"),
        (
            "two faulty files",
            &[("board.toml", "nam = 1".into()), ("pipelines/p.toml", "name = 1".into())],
            "p.toml:1:8: invalid type",
        ),
    ];
    for (case, files, expected) in cases {
        let folder = Folder::new(&case.replace(' ', "-"));
        for (name, text) in files {
            folder.write(name, text);
        }
        let mut paths: Vec<PathBuf> = ["a.toml", "pipelines/p.toml", "pipelines/q.toml"]
            .map(|name| folder.0.join(name))
            .into_iter()
            .filter(|path| path.exists())
            .collect();
        if paths.is_empty() {
            paths.push(folder.0.join("pipelines/p.toml"));
        }
        let message = Config::load(&paths).expect_err(case).to_string();
        assert!(message.contains(expected), "{case}: {message}");
    }
}

#[test]
fn a_file_that_is_none_is_not_read() {
    let folder = Folder::new("odd");
    folder.write("board.toml", BOARD);
    let wide = folder.write("wide.toml", &"#".repeat(70_000));
    std::fs::write(folder.0.join("bytes.toml"), b"name = \"p\"\n\xff\n").unwrap();
    let load = |path: PathBuf| Config::load(&[path]).unwrap_err().to_string();
    assert!(load(wide).contains("larger than 65536 bytes"));
    assert!(load(folder.0.join("bytes.toml")).contains("bytes.toml:2: this line is not UTF-8"));
    std::os::unix::fs::symlink("/dev/zero", folder.0.join("zero.toml")).unwrap();
    assert!(load(folder.0.join("zero.toml")).contains("not a regular file"));
}
