//! What the pipeline's file may set.
use edgemill_sdk::{choices, params};

choices! {
    /// What edges are measured in.
    pub enum Units {
        /// As most models with this head have it: fractions for `ssd` and for TensorFlow Lite's boxes, else pixels.
        Usual = "usual",
        /// Pixels of the model's picture.
        Pixels = "pixels",
        /// Fractions of its sides.
        Fractions = "fractions",
    }
}

choices! {
    /// What the numbers of an `ssd` head's classes are.
    pub enum Scores {
        /// 0 to 1.
        Probabilities = "probabilities",
        /// Any numbers, of each of which the logistic function is taken.
        Sigmoid = "sigmoid",
        /// Any numbers, of which the softmax is taken.
        Softmax = "softmax",
    }
}

choices! {
    /// Order of the numbers of an `ssd` head's corrections.
    pub enum Order {
        /// y, x, height, width: TensorFlow.
        YxHw = "yxhw",
        /// x, y, width, height: PyTorch.
        XyWh = "xywh",
    }
}

choices! {
    /// What an `ssd` head's corrections of the sides are.
    pub enum Sides {
        /// Logarithms of what the anchor's sides are multiplied by.
        Logarithms = "logarithms",
        /// What they are multiplied by: MediaPipe.
        Factors = "factors",
    }
}

params! {
    /// What the pipeline's file may set.
    pub struct Params {
        /// Score below which a box is none.
        #[range(0.0, 1.0)]
        threshold: f64 = 0.3,
        /// Share of their common area above which the lesser of two boxes of a class goes.
        #[range(0.0, 1.0)]
        iou: f64 = 0.45,
        /// Boxes in one frame, at most; of more, those with the highest scores stay.
        #[range(1, 1000)]
        most: u32 = 100,
        /// What the edges of boxes are measured in.
        units: Units = "usual",
        /// What the scores of an `ssd` head are.
        scores: Scores = "sigmoid",
        /// Order of the numbers of an `ssd` head's corrections.
        order: Order = "yxhw",
        /// What an `ssd` head's corrections of the centre are divided by.
        #[range(0.001, 1000.0)]
        centre_scale: f64 = 10.0,
        /// What an `ssd` head's corrections of the sides are divided by.
        #[range(0.001, 1000.0)]
        side_scale: f64 = 5.0,
        /// What an `ssd` head's corrections of the sides are.
        sides: Sides = "logarithms",
        /// An `ssd` head's anchors, where each is the whole picture and only its place counts, as in MediaPipe: "8:2, 16:6"
        /// is two in each cell of 8 pixels, then six in each of 16.
        cells: Option<String>,
        /// File with an `ssd` head's anchors, one a line: x and y of the centre, width, height, as fractions of the picture,
        /// with commas between. Without it and `cells` they are those of an SSD on MobileNet.
        path: Option<String>,
    }
}
