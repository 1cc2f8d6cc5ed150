//! Weights that an ONNX file keeps in another file: read from its own folder, and from nowhere else.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
mod making;

use std::path::{Path, PathBuf};

use edgemill_import::{Options, import};
use edgemill_reference::Reference;
use making::{kept_in, model, node};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("edgemill-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With the numbers 0.5, 2 and 3 in a file.
    fn with_weights(name: &str) -> Self {
        let folder = Self::new(name);
        let bytes: Vec<u8> = [0.5_f32, 2.0, 3.0].iter().flat_map(|e| e.to_le_bytes()).collect();
        std::fs::write(folder.0.join("w.data"), bytes).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// y = x × w, with w of two elements where `entries` say.
fn file(entries: &[(&str, &str)]) -> Vec<u8> {
    model(&[2], &[node("Mul", &["x", "w"], "y")], &[kept_in("w", &[2], entries)])
}

fn refusal(folder: Option<&Path>, entries: &[(&str, &str)]) -> String {
    let options = Options { folder: folder.map(Path::to_path_buf), ..Options::default() };
    import(&file(entries), &options).unwrap_err().to_string()
}

#[test]
fn weights_are_read_from_the_file_beside() {
    let folder = Folder::with_weights("beside");
    let options = Options { folder: Some(folder.0.clone()), ..Options::default() };
    let bytes = file(&[("location", "w.data"), ("offset", "4"), ("length", "8")]);
    let graph = import(&bytes, &options).unwrap();
    let result = Reference::new(&graph).unwrap().run(&[&[10.0, 100.0]]).unwrap();
    assert_eq!(result, [[20.0, 300.0]]);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let folder = Folder::with_weights("paths");
    let inner = folder.0.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    std::os::unix::fs::symlink(folder.0.join("w.data"), inner.join("link")).unwrap();
    let whole = folder.0.join("w.data");
    for (location, says) in [
        ("../w.data", "own folder"),
        (whole.to_str().unwrap(), "own folder"),
        ("deeper/w.data", "own folder"),
        ("..", "own folder"),
        ("", "own folder"),
        ("link", "link"),
        (".", "own folder"),
        ("absent", "put it beside the model"),
    ] {
        let said = refusal(Some(&inner), &[("location", location)]);
        assert!(said.contains(says), "{location:?}: {said}");
    }
}

#[test]
fn a_file_that_does_not_hold_what_it_should_is_refused() {
    let folder = Folder::with_weights("short");
    let at = Some(folder.0.as_path());
    let place = |offset, length| [("location", "w.data"), ("offset", offset), ("length", length)];
    assert!(refusal(at, &place("8", "8")).contains("ends early"));
    assert!(refusal(at, &place("18446744073709551615", "8")).contains("ends early"));
    assert!(refusal(at, &place("0", "12")).contains("needs 8 bytes"));
    assert!(refusal(at, &place("-1", "8")).contains("no number"));
    assert!(refusal(None, &place("0", "8")).contains("one file"));
}
