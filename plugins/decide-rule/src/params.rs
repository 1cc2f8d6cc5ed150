//! What the pipeline's file may set.
use edgemill_sdk::{choices, params};

choices! {
    /// What the model's numbers are.
    pub enum Scores {
        /// 0 to 1, as a graph that ends in a softmax gives them.
        Probabilities = "probabilities",
        /// Any numbers, of which the softmax is taken.
        Logits = "logits",
    }
}

params! {
    /// What the pipeline's file may set.
    pub struct Params {
        /// What the model's numbers are: probabilities, or logits of which the softmax is taken.
        scores: Scores = "probabilities",
        /// Score below which nothing is decided, and a box is not counted.
        #[range(0.0, 1.0)]
        threshold: f64 = 0.0,
        /// Event that is sent when nothing is decided, or there are too few boxes.
        unknown: String = "unknown",
        /// Boxes: only those of this class are counted; without it, all.
        class: Option<String>,
        /// Boxes: from how many on the event is sent.
        #[range(1, 1000)]
        at_least: u32 = 1,
        /// Boxes: event that is sent when there are enough; the class, or `found`, when none is given.
        event: Option<String>,
        /// Boxes: left edge of the region in which their centres must lie, as a fraction of the frame.
        #[range(0.0, 1.0)]
        left: f64 = 0.0,
        /// Boxes: top edge of the region.
        #[range(0.0, 1.0)]
        top: f64 = 0.0,
        /// Boxes: width of the region.
        #[range(0.0, 1.0)]
        width: f64 = 1.0,
        /// Boxes: height of the region.
        #[range(0.0, 1.0)]
        height: f64 = 1.0,
        /// A new decision must come this many times in a row before it replaces the standing one.
        #[range(1, 10_000)]
        #[unit("frames")]
        hold: u32 = 1,
    }
}
