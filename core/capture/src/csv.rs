//! A table of numbers from a CSV file (RFC 4180, without quotes: sensors write numbers), read whole and checked
//! before anything flows, so that the frame path neither reads nor fails.
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::text::{cut, show};

/// The largest file taken: what a board can hold several times over. Longer recordings are split.
pub(crate) const MOST_BYTES: u64 = 256 << 20;
/// The longest line taken, so that a file without line ends is refused early.
const MOST_LINE: u64 = 64 << 10;

/// Why a CSV file is not a series.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read.
    #[error("{}: {source}", show(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// More than 256 MiB.
    #[error("{} is {bytes} bytes; {MOST_BYTES} is the most: split the recording", show(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A line without an end.
    #[error("{}, line {line}: longer than {MOST_LINE} bytes; is it a CSV file?", show(path))]
    LongLine {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A cell that is no number, or one that is not there.
    #[error(
        "{}, line {line}, column {column}: `{}` is not a finite number; mend the cell or take the line out",
        show(path),
        cell.escape_debug()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The cell's text, cut.
        cell: String,
    },
    /// A column that the file does not have.
    #[error("{} has no column `{}`; it has {has}", show(path), column.escape_debug())]
    Column {
        /// The file.
        path: PathBuf,
        /// The name or number asked for, cut.
        column: String,
        /// The columns there are, in words.
        has: String,
    },
    /// Nothing to play.
    #[error("{} holds {rows} rows of numbers; a packet takes {samples}", show(path))]
    Short {
        /// The file.
        path: PathBuf,
        /// Rows of numbers found.
        rows: usize,
        /// Rows that one packet takes.
        samples: usize,
    },
}

/// Rows of `channels` numbers each, one after another.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub channels: usize,
    pub values: Vec<f32>,
}

/// Reads the columns named in `columns` (comma-separated names or numbers from 1; all when empty). A first line in
/// which no cell is a number is a header.
pub(crate) fn read(path: &Path, columns: &str) -> Result<Table, CsvError> {
    let failed = |source| CsvError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > MOST_BYTES {
        return Err(CsvError::TooLarge { path: path.to_path_buf(), bytes });
    }
    parse(path, BufReader::new(file.take(MOST_BYTES)), columns)
}

fn parse(path: &Path, mut input: impl BufRead, columns: &str) -> Result<Table, CsvError> {
    let mut reader = Lines { path, number: 0, text: Vec::new() };
    let mut table = Table { channels: 0, values: Vec::new() };
    let mut chosen = Vec::new();
    while reader.next(&mut input)? {
        let cells = || reader.text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        if table.channels == 0 {
            let header = cells().all(|cell| number(cell).is_none());
            let names = if header { cells().map(text).collect() } else { Vec::new() };
            chosen = choose(path, columns, &names, cells().count())?;
            table.channels = chosen.len();
            if header {
                continue;
            }
        }
        for column in &chosen {
            let cell = cells().nth(*column).unwrap_or_default();
            table.values.push(number(cell).ok_or_else(|| reader.bad(*column, cell))?);
        }
    }
    Ok(table)
}

/// The lines of a file that are not empty, counted.
struct Lines<'a> {
    path: &'a Path,
    number: usize,
    text: Vec<u8>,
}

impl Lines<'_> {
    fn next(&mut self, input: &mut impl BufRead) -> Result<bool, CsvError> {
        loop {
            self.text.clear();
            self.number += 1;
            let mut line = input.take(MOST_LINE + 1);
            let read = line.read_until(b'\n', &mut self.text);
            match read.map_err(|source| CsvError::Read { path: self.path.to_path_buf(), source })? {
                0 => return Ok(false),
                n if n as u64 > MOST_LINE => {
                    return Err(CsvError::LongLine {
                        path: self.path.to_path_buf(),
                        line: self.number,
                    });
                }
                _ if self.text.trim_ascii().is_empty() => {}
                _ => return Ok(true),
            }
        }
    }

    fn bad(&self, column: usize, cell: &[u8]) -> CsvError {
        CsvError::Cell {
            path: self.path.to_path_buf(),
            line: self.number,
            column: column + 1,
            cell: cut(&text(cell)),
        }
    }
}

fn number(cell: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(cell).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

fn text(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).into_owned()
}

/// The indices, from 0, of the columns asked for.
fn choose(
    path: &Path,
    columns: &str,
    names: &[String],
    count: usize,
) -> Result<Vec<usize>, CsvError> {
    if columns.is_empty() {
        return Ok((0..count).collect());
    }
    let index =
        |wanted| find(names, wanted, count).ok_or_else(|| no_column(path, wanted, names, count));
    columns.split(',').map(str::trim).map(index).collect()
}

fn find(names: &[String], wanted: &str, count: usize) -> Option<usize> {
    let by_number =
        || wanted.parse().ok().filter(|n| (1..=count).contains(n)).map(|n: usize| n - 1);
    names.iter().position(|name| name == wanted).or_else(by_number)
}

fn no_column(path: &Path, wanted: &str, names: &[String], count: usize) -> CsvError {
    let has = match names.is_empty() {
        true => format!("{count} columns and no header, so name them by number, from 1"),
        false => cut(&names.join(", ")).escape_debug().to_string(),
    };
    CsvError::Column { path: path.to_path_buf(), column: cut(wanted), has }
}

#[cfg(test)]
mod tests {
    use super::{Table, parse};
    use std::path::Path;

    fn read(text: &str, columns: &str) -> Result<Table, String> {
        parse(Path::new("fan.csv"), text.as_bytes(), columns).map_err(|error| error.to_string())
    }

    #[test]
    fn a_header_is_optional_and_columns_may_be_chosen() {
        let cases: [(&str, &str, &str, usize, &[f32]); 6] = [
            ("all, no header", "1,2\n3,4\n", "", 2, &[1.0, 2.0, 3.0, 4.0]),
            ("header", "x,y\n1,2\n", "", 2, &[1.0, 2.0]),
            ("by name, another order", "t,x,y\n0,1,2\n1,3,4", "y,x", 2, &[2.0, 1.0, 4.0, 3.0]),
            ("by number", "t,x,y\n0,1,2\n", "2", 1, &[1.0]),
            ("text in a column not taken", "x,note\n1,good\n2,\n", "x", 1, &[1.0, 2.0]),
            (
                "blanks, CRLF, empty lines",
                "\r\n x , y \r\n\r\n 1 , -2e1 \r\n",
                "",
                2,
                &[1.0, -20.0],
            ),
        ];
        for (case, text, columns, channels, values) in cases {
            let table = read(text, columns).expect(case);
            assert_eq!((table.channels, table.values.as_slice()), (channels, values), "{case}");
        }
    }

    #[test]
    fn each_fault_names_line_and_column() {
        let long = "1".repeat(70_000);
        let cases = [
            (
                "bad cell",
                "x,y\n1,2\n3,abc\n",
                "",
                "fan.csv, line 3, column 2: `abc` is not a finite",
            ),
            ("missing cell", "1,2\n3\n", "", "fan.csv, line 2, column 2: `` is not a finite"),
            ("infinite", "1\ninf\n", "", "fan.csv, line 2, column 1: `inf`"),
            ("control characters", "1\n\x1b[2J\n", "", "line 2, column 1: `\\u{1b}[2J`"),
            ("half a header", "x,1\n2,3\n", "", "fan.csv, line 1, column 1: `x`"),
            ("no such name", "x,y\n1,2\n", "z", "fan.csv has no column `z`; it has x, y"),
            (
                "no such number",
                "1,2\n",
                "3",
                "fan.csv has no column `3`; it has 2 columns and no header",
            ),
            ("column zero", "1,2\n", "0", "fan.csv has no column `0`"),
            ("no line ends", &long, "", "fan.csv, line 1: longer than"),
        ];
        for (fault, text, columns, message) in cases {
            let error = read(text, columns).expect_err(fault);
            assert!(error.contains(message), "{fault}: {error}");
        }
    }
}
