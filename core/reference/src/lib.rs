//! A graph in f32 on candle-core: the oracle, and what learn trains on.
