//! The signed list of plugins.
use std::fs;

use edgemill_store::author::{PluginName, SignPluginsError, sign_plugins};
use edgemill_store::device::{PluginList, PluginListError};
use edgemill_store::signed::{DocumentError, SignatureFault};

use crate::fixture::{NOW, World};

fn name(file: &str) -> PluginName {
    PluginName { file: file.into(), id: format!("id of {file}"), version: "1.0.0".into() }
}

fn signed(world: &World) -> std::path::PathBuf {
    let folder = world.folder.path("plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.so"), b"library a").unwrap();
    fs::write(folder.join("b.so"), b"library b").unwrap();
    sign_plugins(&folder, &[name("a.so"), name("b.so")], &world.ring).unwrap();
    folder.join("plugins.json")
}

#[test]
fn ok_listed_files_have_their_digest() {
    let world = World::new();
    let list = PluginList::verify(&signed(&world), &world.trust, NOW).unwrap();
    assert_eq!(list.entries().len(), 2);
    let digest = list.digest_of("a.so").unwrap().to_string();
    // printf 'library a' | sha256sum
    assert_eq!(digest, "9f822fbe2789b2b03ee15b44f4562589046aa619e9a11009de08f45d666729e9");
    assert_ne!(list.digest_of("a.so"), list.digest_of("b.so"));
    assert_eq!(list.digest_of("c.so"), None);
}

#[test]
fn fail_any_byte_of_what_is_signed_changed() {
    let world = World::new();
    let path = signed(&world);
    let text = fs::read(&path).unwrap();
    let end = String::from_utf8_lossy(&text).find("\"signatures\"").unwrap();
    let start = "{\n  \"signed\": ".len();
    // After the value itself come a comma and white space, which mean nothing.
    let end = start + text[start..end].iter().rposition(|byte| *byte == b'}').unwrap() + 1;
    for at in start..end {
        let mut changed = text.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        let fault = PluginList::verify(&path, &world.trust, NOW).unwrap_err();
        let refused = matches!(
            fault,
            PluginListError::Document(
                DocumentError::Malformed(..)
                    | DocumentError::Signature(_, SignatureFault::Wrong { .. })
            )
        );
        assert!(refused, "byte {at}: {fault:?}");
    }
}

#[test]
fn fail_lists() {
    let (world, stranger) = (World::new(), World::new());
    let path = signed(&world);
    let fault = PluginList::verify(&path, &stranger.trust, NOW).unwrap_err();
    let unknown = matches!(
        fault,
        PluginListError::Document(DocumentError::Signature(_, SignatureFault::UnknownKey { .. }))
    );
    assert!(unknown, "{fault:?}");
    // A root document, well signed, is no list.
    let fault = PluginList::verify(&world.key_file("trust.json"), &world.trust, NOW).unwrap_err();
    assert!(matches!(fault, PluginListError::Document(DocumentError::Malformed(..))), "{fault:?}");
    fs::remove_file(&path).unwrap();
    let fault = PluginList::verify(&path, &world.trust, NOW).unwrap_err();
    assert!(matches!(fault, PluginListError::Document(DocumentError::Absent(..))), "{fault:?}");
}

#[test]
fn fail_names_outside_the_folder_and_files_that_are_not_there() {
    let world = World::new();
    let folder = signed(&world).parent().unwrap().to_path_buf();
    let before = fs::read(folder.join("plugins.json")).unwrap();
    for files in [&["../plugins/a.so"][..], &["a.so", "a.so"], &["./a.so"]] {
        let names: Vec<_> = files.iter().map(|file| name(file)).collect();
        let fault = sign_plugins(&folder, &names, &world.ring).unwrap_err();
        assert!(matches!(fault, SignPluginsError::File(_)), "{files:?}: {fault:?}");
    }
    let fault = sign_plugins(&folder, &[name("c.so")], &world.ring).unwrap_err();
    assert!(matches!(fault, SignPluginsError::Read(..)), "{fault:?}");
    assert_eq!(fs::read(folder.join("plugins.json")).unwrap(), before);
}
