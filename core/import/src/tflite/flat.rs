//! FlatBuffers, as far as a TensorFlow Lite file needs them: every offset is checked, nothing is recursive.
use crate::ImportError;

#[derive(Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

pub fn damaged() -> ImportError {
    ImportError::File("the TensorFlow Lite file is damaged: an offset leads out of it".into())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ImportError> {
    let end = at.checked_add(N).ok_or_else(damaged)?;
    bytes.get(at..end).and_then(|b| b.first_chunk()).copied().ok_or_else(damaged)
}

fn follow(bytes: &[u8], at: usize) -> Result<usize, ImportError> {
    let offset = u32::from_le_bytes(array(bytes, at)?) as usize;
    at.checked_add(offset).filter(|&to| to < bytes.len()).ok_or_else(damaged)
}

impl<'a> Table<'a> {
    pub fn root(bytes: &'a [u8]) -> Result<Self, ImportError> {
        Ok(Self { bytes, at: follow(bytes, 0)? })
    }

    fn field(&self, index: usize) -> Result<Option<usize>, ImportError> {
        let back = i32::from_le_bytes(array(self.bytes, self.at)?);
        let table = self.at.checked_add_signed(-(back as isize)).ok_or_else(damaged)?;
        let length = usize::from(u16::from_le_bytes(array(self.bytes, table)?));
        let entry = 4 + 2 * index;
        if entry + 2 > length {
            return Ok(None);
        }
        match u16::from_le_bytes(array(self.bytes, table + entry)?) {
            0 => Ok(None),
            offset => Ok(Some(self.at + usize::from(offset))),
        }
    }

    pub fn u8(&self, index: usize, default: u8) -> Result<u8, ImportError> {
        self.field(index)?.map_or(Ok(default), |at| Ok(array::<1>(self.bytes, at)?[0]))
    }

    pub fn i32(&self, index: usize, default: i32) -> Result<i32, ImportError> {
        self.field(index)?.map_or(Ok(default), |at| array(self.bytes, at).map(i32::from_le_bytes))
    }

    pub fn f32(&self, index: usize, default: f32) -> Result<f32, ImportError> {
        self.field(index)?.map_or(Ok(default), |at| array(self.bytes, at).map(f32::from_le_bytes))
    }

    pub fn table(&self, index: usize) -> Result<Option<Self>, ImportError> {
        let Some(at) = self.field(index)? else { return Ok(None) };
        Ok(Some(Self { bytes: self.bytes, at: follow(self.bytes, at)? }))
    }

    /// The elements of a vector of things of `size` bytes.
    fn vector(&self, index: usize, size: usize) -> Result<&'a [u8], ImportError> {
        let Some(at) = self.field(index)? else { return Ok(&[]) };
        let at = follow(self.bytes, at)?;
        let count = u32::from_le_bytes(array(self.bytes, at)?) as usize;
        let length = count.checked_mul(size).ok_or_else(damaged)?;
        let end = (at + 4).checked_add(length).ok_or_else(damaged)?;
        self.bytes.get(at + 4..end).ok_or_else(damaged)
    }

    pub fn bytes(&self, index: usize) -> Result<&'a [u8], ImportError> {
        self.vector(index, 1)
    }

    fn u64(&self, index: usize) -> Result<u64, ImportError> {
        self.field(index)?.map_or(Ok(0), |at| array(self.bytes, at).map(u64::from_le_bytes))
    }

    /// What stands outside of the tables: where it begins in the file is the field `index`, how long it is the next.
    pub fn outside(&self, index: usize) -> Result<&'a [u8], ImportError> {
        let place = |n: u64| usize::try_from(n).map_err(|_| damaged());
        let (at, length) = (place(self.u64(index)?)?, place(self.u64(index + 1)?)?);
        let end = at.checked_add(length).ok_or_else(damaged)?;
        self.bytes.get(at..end).ok_or_else(damaged)
    }

    pub fn text(&self, index: usize) -> Result<String, ImportError> {
        Ok(String::from_utf8_lossy(self.bytes(index)?).into_owned())
    }

    pub fn i32s(&self, index: usize) -> Result<Vec<i32>, ImportError> {
        Ok(self.vector(index, 4)?.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)).collect())
    }

    pub fn u16s(&self, index: usize) -> Result<Vec<u16>, ImportError> {
        Ok(self.vector(index, 2)?.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect())
    }

    pub fn f32s(&self, index: usize) -> Result<Vec<f32>, ImportError> {
        Ok(self.vector(index, 4)?.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
    }

    pub fn i64s(&self, index: usize) -> Result<Vec<i64>, ImportError> {
        Ok(self.vector(index, 8)?.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect())
    }

    pub fn tables(&self, index: usize) -> Result<Vec<Self>, ImportError> {
        let Some(at) = self.field(index)? else { return Ok(Vec::new()) };
        let at = follow(self.bytes, at)? + 4;
        let count = self.vector(index, 4)?.len() / 4;
        (0..count)
            .map(|n| Ok(Self { bytes: self.bytes, at: follow(self.bytes, at + 4 * n)? }))
            .collect()
    }
}
