//! edgemill
fn main() {}
