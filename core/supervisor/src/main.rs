//! edgemilld
fn main() {}
