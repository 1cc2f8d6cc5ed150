//! FlexBuffers maps of numbers: the options of custom operators.
use super::flat::damaged;
use crate::ImportError;

pub struct Map(Vec<(String, f32)>);

impl Map {
    /// # Errors
    /// [`ImportError`] if the bytes are no map.
    pub fn read(bytes: &[u8]) -> Result<Self, ImportError> {
        let [.., kind, width] = bytes else { return Err(damaged()) };
        let (width, end) = (usize::from(*width), bytes.len() - 2);
        if kind >> 2 != 9 || !matches!(width, 1 | 2 | 4 | 8) {
            return Err(damaged());
        }
        let root = end.checked_sub(width).ok_or_else(damaged)?;
        let map = back(bytes, root, width)?;
        let of_map = 1 << (kind & 3);
        let at = |n: usize| map.checked_sub(n * of_map).ok_or_else(damaged);
        let (count, key_width) = (uint(bytes, at(1)?, of_map)?, uint(bytes, at(2)?, of_map)?);
        let keys = back(bytes, at(3)?, of_map)?;
        let mut found = Vec::new();
        for n in 0..count.min(256) {
            let key = back(bytes, keys.saturating_add(n.saturating_mul(key_width)), key_width)?;
            let name: Vec<u8> =
                bytes.get(key..).unwrap_or(&[]).iter().copied().take_while(|&b| b != 0).collect();
            let kind = *bytes
                .get(map.saturating_add(count.saturating_mul(of_map)).saturating_add(n))
                .ok_or_else(damaged)?;
            found.push((
                String::from_utf8_lossy(&name).into_owned(),
                number(bytes, map + n * of_map, of_map, kind >> 2)?,
            ));
        }
        Ok(Self(found))
    }

    pub fn number(&self, name: &str) -> Option<f32> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, number)| *number)
    }
}

fn uint(bytes: &[u8], at: usize, width: usize) -> Result<usize, ImportError> {
    let end = at.checked_add(width).filter(|_| width <= 8).ok_or_else(damaged)?;
    let taken = bytes.get(at..end).ok_or_else(damaged)?;
    let mut all = [0; 8];
    all[..width].copy_from_slice(taken);
    usize::try_from(u64::from_le_bytes(all)).map_err(|_| damaged())
}

/// What an offset at `at`, counted backwards from there, leads to.
fn back(bytes: &[u8], at: usize, width: usize) -> Result<usize, ImportError> {
    at.checked_sub(uint(bytes, at, width)?).ok_or_else(damaged)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "options are small numbers"
)]
fn number(bytes: &[u8], at: usize, width: usize, kind: u8) -> Result<f32, ImportError> {
    let bits = uint(bytes, at, width)? as u64;
    Ok(match (kind, width) {
        (3, 4) => f32::from_bits(bits as u32),
        (3, 8) => f64::from_bits(bits) as f32,
        _ => bits as f32,
    })
}
