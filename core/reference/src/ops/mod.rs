//! Layers, those that are trained with a gradient, as custom operations on candle. candle's own convolution and pooling spend four times what the
//! arithmetic needs on the way back; these are one matrix product each way, and a loop for what is around it.
mod conv;
mod forward;
mod pool;
mod window;

pub use conv::{conv2d, dense};
pub use forward::{conv_transpose2d, depthwise};
pub use pool::{average_pool2d, max_pool2d};
use window::Sweep;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The elements of a contiguous f32 tensor as they lie in memory.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a layer needs a contiguous tensor");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Calls `f` with the elements of each tensor.
fn with_elements<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> R,
) -> Result<R> {
    let contiguous: Vec<Tensor> = tensors.iter().map(|t| t.contiguous()).collect::<Result<_>>()?;
    let held: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut elements = [&[][..]; N];
    for (elements, (storage, layout)) in elements.iter_mut().zip(&held) {
        *elements = match &**storage {
            Storage::Cpu(storage) => slice(storage, layout)?,
            _ => bail!("a layer needs tensors in the processor's memory"),
        };
    }
    Ok(f(elements))
}
