//! What the pipeline's file may set.

edgemill_sdk::params! {
    /// What the pipeline's file may set.
    pub struct Params {
        /// File to append to; made where it does not exist.
        path: String,
    }
}
