//! Where in which file something stands.
use std::fmt;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use crate::text::printable;

/// A place in a file. Line and column count from 1, the column in characters; line 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it was named to us.
    pub file: Arc<Path>,
    /// From 1; 0 for the whole file.
    pub line: usize,
    /// From 1; 0 for the whole line.
    pub column: usize,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn whole(file: impl Into<Arc<Path>>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file.to_string_lossy(), 512))?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// A value that knows where it stands. Two are equal when their values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Place,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for Located<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The text of a file, able to say on which line a byte is.
pub(crate) struct Source<'a> {
    pub(crate) file: Arc<Path>,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str, file: &Path) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { file: file.into(), text, line_starts }
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let at = span.start.min(self.text.len());
        let line = self.line_starts.partition_point(|&start| start <= at);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..at).map_or(1, |before| before.chars().count() + 1);
        Place { file: self.file.clone(), line, column }
    }

    pub(crate) fn whole(&self) -> Place {
        Place::whole(self.file.clone())
    }

    /// A path of the file: relative ones begin at its folder. Absolute, so that it means the same to a process that
    /// is started elsewhere.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let path = self.file.parent().unwrap_or(Path::new("")).join(path);
        std::path::absolute(&path).unwrap_or(path)
    }

    pub(crate) fn locate<T>(&self, value: Spanned<T>) -> Located<T> {
        let at = self.place(value.span());
        Located { value: value.into_inner(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let source = Source::new("ab\néx = 1\n", Path::new("f.toml"));
        let place = |at| {
            let place = source.place(at..at);
            (place.line, place.column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (1, 3));
        assert_eq!(place(3), (2, 1));
        assert_eq!(place(5), (2, 2));
        assert_eq!(place(99), (3, 1));
        assert_eq!(source.place(3..4).to_string(), "f.toml:2:1");
        assert_eq!(source.whole().to_string(), "f.toml");
    }
}
