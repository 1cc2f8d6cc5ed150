//! Operations.
use super::function::{Function, Pair};

/// What a node does. `x` is an activation, `w` weights, `b` a bias; every one of a node's activations has the
/// node's own kind of numbers, all f32 or all quantized int8, unless it says otherwise. Biases are f32 for a
/// float node and int32 for an int8 one, whose weights are int8 with a scale for each output channel and constant.
/// Operations that only move elements take every type, and keep it and its rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// x \[n, h, w, c\], w \[k, kernel h, kernel w, c ÷ groups\], optional b \[k\] → \[n, h', w', k\]. With `groups` = c it is
    /// depthwise. Outside the picture x is 0. In one dimension h is 1.
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
    /// The same operands; each pixel of x is spread over a window of the result, whose border is cut off.
    ConvTranspose2d {
        /// Kernel, steps and the rows and columns that are cut off.
        window: Window,
        /// Distance between taps, vertical and horizontal.
        dilation: [u32; 2],
        /// Divides c and k.
        groups: u32,
        /// Rows added below and columns added at the right.
        extra: [u32; 2],
        /// Applied to the result.
        clamp: Clamp,
    },
    /// x \[n, c\], w \[k, c\], optional b \[k\] → \[n, k\].
    Dense {
        /// Applied to the result.
        clamp: Clamp,
    },
    /// Two activations \[…, m, k\] and \[…, k, n\] of one rank → \[…, m, n\]; the axes before are broadcast.
    MatMul,
    /// x \[n, h, w, c\] → the largest in each window; outside the picture there is nothing. Same rule in and out.
    MaxPool(Window),
    /// x \[n, h, w, c\] → the mean over that part of each window that lies in the picture.
    AveragePool(Window),
    /// A function of two activations, element by element; an axis of 1, or one that is missing in front, is repeated.
    Binary {
        /// Which.
        function: Pair,
        /// Applied to the result.
        clamp: Clamp,
    },
    /// A function of each element.
    Unary(Function),
    /// c, a, b → where c is not 0 a, elsewhere b; repeated as for `Binary`. In an int8 node c is compared with its zero point.
    Select,
    /// x → x held between two bounds.
    Clamp(Clamp),
    /// x → exponentials along the innermost axis, divided by their sum.
    Softmax,
    /// x → the logarithm of that.
    LogSoftmax,
    /// x → along some axes, which stay with length 1.
    Reduce {
        /// What is made of the elements.
        by: Reduction,
        /// In ascending order.
        axes: Vec<u8>,
    },
    /// x → i32, the place of the greatest element along an axis, which stays with length 1.
    ArgMax {
        /// Along which.
        axis: u8,
        /// The least element instead.
        least: bool,
        /// The last of equals instead of the first.
        last: bool,
    },
    /// x \[n, h, w, c\] → \[n, h', w', c\], linear between neighbours: the element at i of the result stands at
    /// origin + i × step of x, held within x.
    Resize {
        /// h', w'.
        size: [u32; 2],
        /// Pixels of x from one element to the next.
        step: [f32; 2],
        /// Where in x the first one stands.
        origin: [f32; 2],
    },
    /// One to [`MAX_INPUTS`] tensors that differ along one axis only → end to end. int8 takes to the result's rule.
    Concat {
        /// Along which.
        axis: u8,
    },
    /// x → a part of it; one span for each axis.
    Slice(Vec<Span>),
    /// x → the parts that `indices` names, in that order.
    Gather {
        /// Along which.
        axis: u8,
        /// Places along it.
        indices: Vec<u32>,
    },
    /// x → the same elements in another shape.
    Reshape(Vec<u32>),
    /// x → axis i of the result is axis `order[i]` of x.
    Transpose(Vec<u8>),
    /// x → repeated as often along each axis.
    Tile(Vec<u32>),
    /// x → with elements of one value before and after, for each axis.
    Pad {
        /// How many before and after.
        borders: Vec<[u32; 2]>,
        /// The real number that they stand for.
        value: f32,
    },
    /// f32, or quantized by another rule → quantized bytes.
    Quantize,
    /// Quantized bytes → f32.
    Dequantize,
    /// Numbers of one type that is not quantized → the same numbers in another; f32 to integers drops the fraction.
    Cast,
    /// Detections of a single-shot detector: f32 boxes \[1, a, 4\] relative to anchors, scores \[1, a, classes\], constant
    /// anchors \[a, 4\] (centre y, centre x, height, width) → \[1, most, 7\]: y and x of the first corner, of the second,
    /// class, score, 1; from the best score down, rows of zeros behind.
    Detect(Detect),
}

/// The most activations a node reads.
pub const MAX_INPUTS: usize = 1024;

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

/// What becomes of the elements along the axes that are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// That, divided by their number.
    Mean,
    /// Their product; f32 only.
    Product,
    /// The greatest. Same rule in and out.
    Max,
    /// The least. Same rule in and out.
    Min,
}

impl Reduction {
    /// In the order of their codes, from 0.
    pub const ALL: [Self; 5] = [Self::Sum, Self::Mean, Self::Product, Self::Max, Self::Min];
}

/// Elements at `start`, `start + step`, … along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: u32,
    /// Not 0; backwards if it is below.
    pub step: i32,
    /// How many.
    pub count: u32,
}

impl Span {
    /// A whole axis.
    #[must_use]
    pub const fn whole(count: u32) -> Self {
        Self { start: 0, step: 1, count }
    }
}

/// How detections are found in the boxes of a single-shot detector; one box at a time is taken, the best first, and
/// what overlaps it is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detect {
    /// Divisors of the boxes' y, x, height and width; centre = box ÷ divisor × anchor's size + anchor's centre, size =
    /// exp(box ÷ divisor) × anchor's size.
    pub divisors: [f32; 4],
    /// Scores below are dropped.
    pub score: f32,
    /// Boxes that overlap a better one by more than this part of their union are dropped.
    pub overlap: f32,
    /// Rows of the result.
    pub most: u32,
    /// `Some(n)`: boxes compete within a class, at most n of each class are taken. `None`: all boxes compete by their best
    /// class.
    pub per_class: Option<u32>,
}
