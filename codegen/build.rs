//! Builds the repository's headers, and the replacements for the compiler's, into the generator, so that it works wherever it is
//! installed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    // The published package contains a copy of the repository's headers.
    let of_repository = package.join("../headers");
    let headers = if of_repository.join("wsk.h").is_file() {
        of_repository
    } else {
        package.join("headers")
    };
    let mut text = String::new();
    embed(&mut text, "HEADERS", &headers);
    embed(&mut text, "RUNTIME", &package.join("runtime"));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), text).expect("OUT_DIR can be written");
}

/// Adds a table of the headers in a folder: names and texts.
fn embed(text: &mut String, table: &str, folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).expect("the headers are in the package");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    files.sort();
    let _ = writeln!(text, "const {table}: &[(&str, &str)] = &[");
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let content = fs::read_to_string(&file).expect("a header is text");
        let _ = writeln!(text, "({name:?}, {content:?}),");
    }
    text.push_str("];\n");
}
