//! What a plugin is given when it is activated: formats, model, locked memory.
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use edgemill_abi::{Format, Status, raw};

use crate::contract::Contract;
use crate::host::Host;
use crate::{Error, Result};

/// Alignment of locked memory: a cache line, which also suits every vector instruction.
const SECRET_ALIGN: u64 = 64;

/// Everything that lives from activate to the end of deactivate, which is what `'m` means.
pub struct Setup<'m> {
    host: Host<'m>,
    inputs: Vec<Format>,
    outputs: Vec<Format>,
    model: Option<Model<'m>>,
}

impl<'m> Setup<'m> {
    /// # Safety
    /// `inputs` and `outputs` lead to as many formats as their counts say, or are NULL; `model` is NULL or as
    /// `contract.h` describes it for all of `'m`.
    pub(crate) unsafe fn new(
        host: Host<'m>,
        inputs: (*const raw::Format, usize),
        outputs: (*const raw::Format, usize),
        model: *const raw::Model,
    ) -> Result<Self> {
        // SAFETY: the caller's promise, for all three.
        unsafe {
            Ok(Self {
                host,
                inputs: formats(inputs)?,
                outputs: formats(outputs)?,
                model: Model::read(model)?,
            })
        }
    }

    /// The host of this instance; may be kept.
    #[must_use]
    pub fn host(&self) -> Host<'m> {
        self.host
    }

    /// The fixed format of each input, in the order of the ports.
    #[must_use]
    pub fn inputs(&self) -> &[Format] {
        &self.inputs
    }

    /// The fixed format of each output, in the order of the ports.
    #[must_use]
    pub fn outputs(&self) -> &[Format] {
        &self.outputs
    }

    /// The model that the stage is granted; may be kept.
    ///
    /// # Errors
    /// The stage names none or is not granted it.
    pub fn model(&self) -> Result<&Model<'m>> {
        self.model.as_ref().ok_or_else(|| {
            let text =
                "no model: name one by `model = \"…\"` in the stage, and grant it in access.toml";
            Error::new(Status::Denied, text)
        })
    }

    /// `length` zeroed elements of locked, undumpable memory, aligned to 64 bytes, for what is made from a model's
    /// bytes. Wiped when dropped.
    ///
    /// # Errors
    /// There is no such memory left.
    pub fn secret<T: Secret>(&self, length: usize) -> Result<SecretSlice<'m, T>> {
        SecretSlice::new(self.host, length)
    }
}

/// # Safety
/// `pointer` is NULL or leads to `count` formats.
unsafe fn formats((pointer, count): (*const raw::Format, usize)) -> Result<Vec<Format>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if pointer.is_null() {
        return Err(Error::unfit("activate: the formats are NULL"));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let formats = unsafe { slice::from_raw_parts(pointer, count) };
    formats.iter().map(|format| Ok(Format::new(format)?)).collect()
}

/// A model that the stage is granted: verified, decrypted, read-only, in locked memory.
#[derive(Clone, Debug)]
pub struct Model<'m> {
    bytes: &'m [u8],
    contract: Contract,
}

impl<'m> Model<'m> {
    /// # Safety
    /// `model` is NULL or as `contract.h` describes it for all of `'m`.
    unsafe fn read(model: *const raw::Model) -> Result<Option<Self>> {
        // SAFETY: the caller's promise.
        let Some(model) = (unsafe { model.as_ref() }) else { return Ok(None) };
        let length = usize::try_from(model.size).map_err(|_| Error::unfit("model: size"))?;
        if model.data.is_null() || model.contract.is_null() {
            return Err(Error::unfit("model: data or contract is NULL"));
        }
        // SAFETY: neither is NULL, checked above; that they lead to what `contract.h` says is the caller's promise.
        unsafe {
            let bytes = slice::from_raw_parts(model.data, length);
            Ok(Some(Self { bytes, contract: Contract::read(&*model.contract)? }))
        }
    }

    /// The model's bytes. They may be kept, but not copied out of locked memory: see [`Setup::secret`].
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// What it expects and gives.
    #[must_use]
    pub const fn contract(&self) -> &Contract {
        &self.contract
    }
}

/// Types that locked memory may hold: plain numbers, of which zeroed bytes are a value.
pub trait Secret: sealed::Zeroed + Copy + Send + Sync + 'static {}

mod sealed {
    /// Closed, because locked memory is handed out as zeroed bytes.
    pub trait Zeroed {}
}

macro_rules! secret {
    ($($type:ty)+) => {
        $(impl sealed::Zeroed for $type {}
        impl Secret for $type {})+
    };
}

secret!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

/// A slice in locked, undumpable memory, wiped when dropped. See [`Setup::secret`].
pub struct SecretSlice<'m, T: Secret> {
    host: Host<'m>,
    start: NonNull<T>,
    length: usize,
    owns: PhantomData<T>,
}

// SAFETY: it owns its memory alone, as a `Box<[T]>` does, and `T` is plain numbers.
unsafe impl<T: Secret> Send for SecretSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Secret> Sync for SecretSlice<'_, T> {}

impl<'m, T: Secret> SecretSlice<'m, T> {
    fn new(host: Host<'m>, length: usize) -> Result<Self> {
        const { assert!(align_of::<T>() as u64 <= SECRET_ALIGN) };
        let no_memory = || Error::new(Status::NoMemory, "no locked memory left");
        let bytes = length.checked_mul(size_of::<T>()).ok_or_else(no_memory)?;
        let table = host.table();
        // SAFETY: a `Setup` exists only inside activate, on the preparing thread, where `secret_alloc` may be called.
        let memory = unsafe { (table.secret_alloc)(table.raw, bytes.max(1) as u64, SECRET_ALIGN) };
        let start = NonNull::new(memory.cast::<T>()).ok_or_else(no_memory)?;
        Ok(Self { host, start, length, owns: PhantomData })
    }
}

impl<T: Secret> Deref for SecretSlice<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` leads to `length` elements, zeroed by the host when it allocated them, ours until drop.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Secret> DerefMut for SecretSlice<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed alone.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Secret> Drop for SecretSlice<'_, T> {
    fn drop(&mut self) {
        let table = self.host.table();
        // SAFETY: the memory came from `secret_alloc` and nobody refers to it any more. It lives at most until
        // deactivate, where freeing is allowed.
        unsafe { (table.secret_free)(table.raw, self.start.as_ptr().cast()) }
    }
}
