//! Turns a model's numbers into a named decision.
