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
        /// Score below which nothing is decided.
        #[range(0.0, 1.0)]
        threshold: f64 = 0.0,
        /// Event that is sent when nothing is decided.
        unknown: String = "unknown",
        /// A new decision must come this many times in a row before it replaces the standing one.
        #[range(1, 10_000)]
        #[unit("frames")]
        hold: u32 = 1,
    }
}
