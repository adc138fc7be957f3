//! The checksum of a folder of headers. The generated files carry it, so that a check compares them with the very headers that
//! they were generated from. It notices an edit that changes no declaration, too.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The first half of the SHA-256 of the headers in `folder`, in the order of their names, with line ends as on Unix.
///
/// # Errors
///
/// When a header cannot be read.
pub(crate) fn of(folder: &Path) -> Result<String, Error> {
    let io = |error| Error::io(folder, error);
    let mut headers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("h"))
        {
            headers.push(path);
        }
    }
    headers.sort();
    let mut hash = Sha256::new();
    for header in headers {
        let bytes = std::fs::read(&header).map_err(|error| Error::io(&header, error))?;
        let name = header
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        hash.update(format!("{name}\0"));
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = line
                .strip_suffix(b"\r\n")
                .map_or_else(|| line.to_vec(), |line| [line, b"\n"].concat());
            hash.update(line);
        }
        hash.update([0]);
    }
    Ok(half(hash))
}

/// The first half of the SHA-256 of some bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    half(Sha256::new_with_prefix(bytes))
}

fn half(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::of;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn any_edit_of_a_header_shows_and_line_ends_do_not() {
        let sum = |files: &[(&str, &str)]| of(folder(files).path()).unwrap();
        let before = sum(&[("a.h", "int a;\n"), ("b.h", "\n")]);
        assert_eq!(before.len(), 32);
        assert_eq!(sum(&[("a.h", "int a;\r\n"), ("b.h", "\r\n")]), before);
        assert_eq!(
            sum(&[("a.h", "int a;\n"), ("b.h", "\n"), ("README.md", "x")]),
            before
        );
        for other in [
            [("a.h", "int a; \n"), ("b.h", "\n")],
            [("a.h", "int a;\n\n"), ("b.h", "")],
            [("a.h", "int a;\n"), ("c.h", "\n")],
        ] {
            assert_ne!(sum(&other), before);
        }
    }
}
