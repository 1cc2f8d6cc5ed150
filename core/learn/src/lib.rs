//! Train, calibrate, quantize, evaluate.
