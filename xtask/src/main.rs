//! The few commands a person types.
fn main() {}
