//! Readings of sensors from a CSV file, as packets of a few samples each.
use std::path::Path;

use edgemill_abi::format::{self, FormatError};
use edgemill_abi::{Format, raw};

use crate::csv::{self, CsvError, Table};
use crate::params::{Checked, Kind, Param};
use crate::play::Frames;
use crate::replay::{self, ReplayError};

/// What the source takes.
pub(crate) const PARAMS: &[Param] = &[
    Param {
        name: "path",
        unit: "",
        help: "A CSV file of numbers; the first line may be a header.",
        kind: Kind::Text { fallback: None },
    },
    Param {
        name: "columns",
        unit: "",
        help: "The columns that are channels, by name or by number from 1, separated by commas; `*` for all.",
        kind: Kind::Text { fallback: Some("*") },
    },
    Param {
        name: "rate-hz",
        unit: "Hz",
        help: "Samples a second, as the sensor took them.",
        kind: Kind::Float { least: 1e-3, most: 10e6, fallback: None },
    },
    Param {
        name: "samples",
        unit: "",
        help: "Samples of each channel in a packet.",
        kind: Kind::Int { least: 1, most: 65_536, fallback: Some(16) },
    },
    Param {
        name: "pace",
        unit: "",
        help: "Play as the sensor did, or as fast as packets are taken.",
        kind: Kind::Choice { words: &["sensor", "fast"], fallback: Some("sensor") },
    },
    replay::END,
];

/// A series cut into packets of equal length; what does not fill the last one is left out.
pub(crate) struct Series {
    table: Table,
    samples: usize,
}

impl Series {
    /// Reads the file whole and checks every cell.
    pub(crate) fn open(path: &Path, params: &Checked) -> Result<Self, CsvError> {
        let columns = match params.text("columns") {
            "*" => "",
            names => names,
        };
        let table = csv::read(path, columns)?;
        let samples = params.int("samples") as usize;
        let rows = table.values.len().checked_div(table.channels).unwrap_or(0);
        if rows < samples {
            return Err(CsvError::Short { path: path.to_path_buf(), rows, samples });
        }
        Ok(Self { table, samples })
    }

    /// As the pipeline knows it.
    pub(crate) fn format(&self, rate_hz: f64) -> Result<Format, FormatError> {
        let size = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let (channels, samples) = (size(self.table.channels), size(self.samples));
        let (dtype, reserved) = (raw::DTYPE_F32, 0);
        let raw = raw::Series { dtype, channels, samples, reserved, rate_hz };
        format::Series::new(raw).map(Format::Series)
    }

    fn packet(&self) -> usize {
        self.samples * self.table.channels
    }
}

impl Frames for Series {
    fn count(&self) -> u64 {
        (self.table.values.len() / self.packet()) as u64
    }

    fn fill(&mut self, index: u64, out: &mut [u8]) -> Result<(), ReplayError> {
        let start = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(self.packet());
        let values = self.table.values[start..].iter().take(self.packet());
        for (out, value) in out.as_chunks_mut().0.iter_mut().zip(values) {
            *out = value.to_le_bytes();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Series;
    use crate::csv::Table;
    use crate::play::Frames;

    #[test]
    fn packets_are_full_and_what_is_left_over_is_not_one() {
        let values = (0_u8..14).map(f32::from).collect();
        let mut series = Series { table: Table { channels: 2, values }, samples: 3 };
        assert_eq!(series.count(), 2);
        let mut out = [0; 24];
        series.fill(1, &mut out).unwrap();
        let read: Vec<_> = out.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        assert_eq!(read, [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn its_format_says_channels_samples_and_rate() {
        let table = Table { channels: 3, values: vec![0.0; 30] };
        let format = Series { table, samples: 5 }.format(50.0).unwrap();
        let payload = format.payload();
        let raw = payload.series();
        assert_eq!((raw.channels, raw.samples, raw.rate_hz), (3, 5, 50.0));
        assert_eq!(format.buffer_bytes(), 60);
    }
}
