//! Copies the sources of `wsk` for the model. The model's `memory/atomic.rs` replaces that of `wsk`, and at some places code is
//! inserted that asks whether to make a mistake.

use std::fs;
use std::path::{Path, PathBuf};

include!("mistakes.rs");

fn main() {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says"));
    let source = here.join("../../wsk/src");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo says")).join("wsk");
    let _ = fs::remove_dir_all(&out);
    copy(&source, &out);
    fs::copy(here.join("src/atomic.rs"), out.join("memory/atomic.rs")).expect("copied");
    for place in PLACES {
        let path = out.join(place.file);
        let text = fs::read_to_string(&path).expect(place.file);
        let found = text.matches(place.right).count();
        assert_eq!(
            found, 1,
            "{} contains this {found} times, and not once:\n{}",
            place.file, place.right
        );
        let with = place.with.replace("made(", "wsk_sys::mistake::is_made(");
        fs::write(&path, text.replace(place.right, &with)).expect(place.file);
    }
    root(&out);
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=src/atomic.rs");
    println!("cargo::rerun-if-changed=mistakes.rs");
    println!("cargo::rerun-if-changed=build.rs");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            // The unit tests of `wsk` run in `wsk`. Mistakes may need unsafe code.
            let text = fs::read_to_string(&path)
                .expect("read")
                .replace("#[cfg(test)]", "#[cfg(any())]")
                .replace("#![forbid(unsafe_code)]", "");
            fs::write(&place, text).expect("copied");
        }
    }
}

/// The root of the crate, to be included: without the attributes that only the start of a file can have, and with paths for its
/// modules.
fn root(out: &Path) {
    let text = fs::read_to_string(out.join("lib.rs")).expect("the root");
    let mut root = String::new();
    for line in text.lines() {
        if line.starts_with("//!") || line.starts_with("#!") || line.starts_with("#![") {
            continue;
        }
        if let Some(name) = line
            .split("mod ")
            .nth(1)
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let file = out.join(format!("{name}.rs"));
            let path = if file.exists() {
                file
            } else {
                out.join(name).join("mod.rs")
            };
            // As a Rust literal, because Windows paths contain backslashes.
            root.extend(["#[path = r#\"", &path.display().to_string(), "\"#]\n"]);
        }
        root.push_str(line);
        root.push('\n');
    }
    fs::write(out.join("root.rs"), root).expect("the root");
}
