//! Everything before the body of a package. What is read is written back as the same bytes: what is signed and
//! sealed is what stands in the file.
#![no_main]

use edgemill_model::package::Prefix;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    if let Ok(prefix) = Prefix::read(&mut rest) {
        assert_eq!(prefix.to_bytes(), bytes[..bytes.len() - rest.len()]);
    }
});
