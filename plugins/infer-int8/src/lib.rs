//! Runs a quantized model.
