//! What a run leaves behind.
use std::path::Path;

use edgemill_control::Report;
use edgemill_linux::file::write_atomic;

use crate::daemon::End;
use crate::exit::{Exit, Failure};

/// Writes the final account; nothing where no configuration was ever in force.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, end: &End) -> Result<(), Failure> {
    let Some(status) = &end.status else { return Ok(()) };
    let report = Report {
        exit_code: end.exit as u8,
        ended: end.why.clone(),
        start: end.start,
        status: status.clone(),
    };
    let mut json = serde_json::to_vec_pretty(&report).map_err(Failure::internal)?;
    json.push(b'\n');
    write_atomic(path, &json, 0o644).map_err(|error| {
        Failure::new(Exit::Device, format!("the report cannot be written: {error}"))
    })
}

/// Proportional set size of this process, in KiB; 0 where the kernel does not tell. See proc_pid_smaps_rollup(5).
pub fn pss_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    pss_in(&text).unwrap_or(0)
}

fn pss_in(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pss_is_read_from_its_line() {
        assert_eq!(pss_in("Rss:  900 kB\nPss:   412 kB\nPss_Dirty: 3 kB\n"), Some(412));
        assert_eq!(pss_in("Rss: 900 kB\n"), None);
    }
}
