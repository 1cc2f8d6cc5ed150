//! The manifest. One that was accepted survives being written and read again.
#![no_main]

use edgemill_model::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::from_bytes(bytes) {
        Ok(manifest) => {
            if let Ok(written) = manifest.to_bytes() {
                assert_eq!(Manifest::from_bytes(&written), Ok(manifest));
            }
        }
        Err(fault) => {
            let message = fault.to_string();
            assert!(message.len() < 4096 && !message.contains(char::is_control), "{message:?}");
        }
    }
});
