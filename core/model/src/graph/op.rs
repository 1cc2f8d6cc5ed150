//! Operations.

/// What a node does. `x` is an activation, `w` weights, `b` a bias; every one of a node's activations has the
/// node's own kind of numbers, all f32 or all int8, except for `Quantize` and `Dequantize`. Biases are f32 for a
/// float node and int32 for an int8 one, whose weights are int8 with a scale for each output channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// x \[n, h, w, c\], w \[k, kernel h, kernel w, c ÷ groups\], optional b \[k\] → \[n, h', w', k\]. With `groups` = c it is
    /// depthwise. Outside the picture x is 0.
    Conv2d {
        /// Kernel, steps and border.
        window: Window,
        /// Distance between taps, vertical and horizontal.
        dilation: [u32; 2],
        /// Divides c and k.
        groups: u32,
        /// Applied to the result.
        clamp: Clamp,
    },
    /// x \[n, c\], w \[k, c\], optional b \[k\] → \[n, k\].
    Dense {
        /// Applied to the result.
        clamp: Clamp,
    },
    /// x \[n, h, w, c\] → the largest in each window; outside the picture there is nothing. Same rule in and out.
    MaxPool(Window),
    /// x \[n, h, w, c\] → the mean over that part of each window that lies in the picture.
    AveragePool(Window),
    /// Two activations of one shape → their sum.
    Add {
        /// Applied to the result.
        clamp: Clamp,
    },
    /// x → x held between two bounds.
    Clamp(Clamp),
    /// x → exponentials along the innermost axis, divided by their sum.
    Softmax,
    /// x → the same elements in another shape. Same rule in and out.
    Reshape(Vec<u32>),
    /// f32, or quantized by another rule → int8.
    Quantize,
    /// int8 → f32.
    Dequantize,
}

/// A window that slides over a picture; pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its size; for a convolution that of the weights.
    pub kernel: [u32; 2],
    /// Steps from one place to the next.
    pub stride: [u32; 2],
    /// Rows added above and below.
    pub rows: [u32; 2],
    /// Columns added left and right.
    pub columns: [u32; 2],
}

impl Window {
    /// A square window that moves by `stride`, with nothing added around the picture.
    #[must_use]
    pub const fn valid(kernel: u32, stride: u32) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], rows: [0; 2], columns: [0; 2] }
    }

    /// A square window of odd size that moves by 1 and keeps the picture's size.
    #[must_use]
    pub const fn same(kernel: u32) -> Self {
        let border = [kernel / 2; 2];
        Self { kernel: [kernel; 2], stride: [1; 2], rows: border, columns: border }
    }
}

/// Bounds of real numbers, either of which may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// At least this.
    pub low: f32,
    /// At most this, and not below `low`.
    pub high: f32,
}

impl Clamp {
    /// No bounds.
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    /// Not below 0.
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    /// Between 0 and 6.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}
