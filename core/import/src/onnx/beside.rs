//! Files beside an ONNX file that hold its weights, as PyTorch writes them by default: `model.onnx.data`.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use super::proto::{Field, damaged, fields, text};
use crate::{ImportError, MAX_BYTES};

/// The most files of weights that one model has.
const MAX_FILES: usize = 256;

/// The folder that such files are looked for in, and nowhere else.
#[derive(Default)]
pub struct Beside {
    folder: Option<PathBuf>,
    open: RefCell<HashMap<String, File>>,
    read: Cell<usize>,
}

/// Where the bytes of a tensor lie.
#[derive(Default)]
pub struct Place {
    location: String,
    offset: u64,
    length: Option<usize>,
}

impl Place {
    /// Notes one entry of what the file says of it.
    pub fn note(&mut self, entry: &[u8]) -> Result<(), ImportError> {
        let (mut key, mut value) = (String::new(), String::new());
        fields(entry, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => key = text(bytes)?,
                (2, Field::Bytes(bytes)) => value = text(bytes)?,
                _ => {}
            }
            Ok(())
        })?;
        let number = || damaged("where weights lie is no number");
        match key.as_str() {
            "location" => self.location = value,
            "offset" => self.offset = value.parse().map_err(|_| number())?,
            "length" => self.length = Some(value.parse().map_err(|_| number())?),
            _ => {}
        }
        Ok(())
    }
}

impl Beside {
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_path_buf), ..Self::default() }
    }

    /// The `needed` bytes of a tensor.
    pub fn read(&self, tensor: &str, place: &Place, needed: usize) -> Result<Vec<u8>, ImportError> {
        let location = &place.location;
        let failed = |why: String| {
            ImportError::File(format!("tensor {tensor:?} is kept in the file {location:?}: {why}"))
        };
        if place.length.is_some_and(|length| length != needed) {
            return Err(failed(format!("its shape needs {needed} bytes, not those it has")));
        }
        let total = self.read.get().saturating_add(needed);
        if total > MAX_BYTES {
            return Err(failed(format!("all weights are larger than {} MiB", MAX_BYTES >> 20)));
        }
        self.read.set(total);
        self.opened(location).map_err(&failed)?;
        let files = self.open.borrow();
        let file = files.get(location).ok_or_else(|| failed("it was not opened".into()))?;
        let length = file.metadata().map_err(|e| failed(e.to_string()))?.len();
        let end = place.offset.checked_add(needed as u64);
        if end.is_none_or(|end| end > length) {
            return Err(failed(
                "it ends early; is it the one that was saved with the model?".into(),
            ));
        }
        let mut bytes = vec![0; needed];
        file.read_exact_at(&mut bytes, place.offset).map_err(|e| failed(e.to_string()))?;
        Ok(bytes)
    }

    /// Opens a regular file of the folder itself: no path leads out of it.
    fn opened(&self, location: &str) -> Result<(), String> {
        let Some(folder) = &self.folder else {
            return Err("save the model as one file".into());
        };
        let mut parts = Path::new(location).components().filter(|part| *part != Component::CurDir);
        let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
            return Err("it has to lie in the model's own folder".into());
        };
        if self.open.borrow().contains_key(location) {
            return Ok(());
        }
        if self.open.borrow().len() >= MAX_FILES {
            return Err(format!("the weights lie in more than {MAX_FILES} files"));
        }
        let path = folder.join(name);
        let advice = "put it beside the model, or save the model as one file";
        let of = path.symlink_metadata().map_err(|e| format!("{e}; {advice}"))?;
        if !of.is_file() {
            return Err("it is a link or no regular file".into());
        }
        let file = File::open(&path).map_err(|e| e.to_string())?;
        self.open.borrow_mut().insert(location.to_owned(), file);
        Ok(())
    }
}
