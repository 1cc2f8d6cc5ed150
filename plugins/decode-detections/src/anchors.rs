//! Anchors from a file, or by their grids.
use std::fs::File;
use std::io::Read;

use edgemill_kernels::boxes::Anchor;
use edgemill_sdk::{Error, Result};

/// Far above any detector's anchors.
const MOST_BYTES: u64 = 8 << 20;

/// One anchor a line: x, y, width, height. Empty lines and what follows a `#` are left out.
pub fn read(path: &str) -> Result<Vec<Anchor>> {
    let failed = |what: String| Error::unfit(format!("{}: {what}", path.escape_debug()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let numbered = lines.enumerate().filter(|(_, line)| !line.is_empty());
    numbered
        .map(|(index, line)| {
            anchor(line).ok_or_else(|| {
                let place = index + 1;
                failed(format!("line {place} is not x, y, width and height, with commas between"))
            })
        })
        .collect()
}

/// Pixels of a cell and boxes in it, of each grid: "8:2, 16:6".
pub fn cells(text: &str) -> Result<Vec<(usize, usize)>> {
    let number = |text: &str| text.trim().parse().ok().filter(|n| (1..=1000).contains(n));
    let pair = |text: &str| {
        let (cell, boxes) = text.split_once(':')?;
        Some((number(cell)?, number(boxes)?))
    };
    text.split(',').map(pair).collect::<Option<_>>().ok_or_else(|| {
        let text = text.escape_debug();
        Error::unfit(format!("cells \"{text}\" are not pixels and boxes such as \"8:2, 16:6\""))
    })
}

fn anchor(line: &str) -> Option<Anchor> {
    let mut numbers = line.split(',').map(|number| number.trim().parse::<f32>().ok());
    let mut next = || numbers.next().flatten().filter(|number| number.is_finite());
    let anchor = Anchor { x: next()?, y: next()?, width: next()?, height: next()? };
    numbers.next().is_none().then_some(anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_pairs_or_refused() {
        assert_eq!(cells("8:2, 16 : 6").expect("good"), [(8, 2), (16, 6)]);
        for bad in ["", "8", "8:0", "0:1", "8:2,", "a:1", "1001:1"] {
            let error = cells(bad).expect_err(bad).to_string();
            assert!(error.contains("are not pixels and boxes"), "{error}");
        }
    }

    #[test]
    fn lines_are_anchors_or_named() {
        let path = std::env::temp_dir().join(format!("edgemill-anchors-{}", std::process::id()));
        let path = path.to_str().expect("a plain path");
        std::fs::write(path, "# x, y, w, h\n\n0.5, 0.25,0.1,0.2 # the first\n").expect("written");
        let anchors = read(path);
        let expected = Anchor { x: 0.5, y: 0.25, width: 0.1, height: 0.2 };
        assert_eq!(anchors.expect("good"), [expected]);
        for bad in ["0.5,0.5,0.1", "0.5,0.5,0.1,0.1,0.1", "0.5,0.5,nan,0.1", "x"] {
            std::fs::write(path, format!("0,0,1,1\n{bad}\n")).expect("written");
            let error = read(path).expect_err(bad).to_string();
            assert!(error.contains("line 2 is not"), "{error}");
        }
        std::fs::remove_file(path).expect("it was there");
        assert!(read(path).is_err());
    }
}
