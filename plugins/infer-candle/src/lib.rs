//! Runs a model in f32 on candle.
