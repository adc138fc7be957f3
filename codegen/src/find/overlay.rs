//! Lets clang find headers in any case, as on Windows: kits are written for a file system that does not distinguish
//! `DriverSpecs.h` from `driverspecs.h`. clang reads the folders through an overlay that lists their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use walkdir::WalkDir;

use crate::error::Error;

/// The limit for the nesting of header folders.
const DEPTH: usize = 4;

/// Writes an overlay of `folders`. clang needs the file until it has parsed the headers.
///
/// # Errors
///
/// When the file cannot be written. Folders that cannot be read, and links that lead in a circle, are left out.
pub(crate) fn write(folders: &[PathBuf]) -> Result<NamedTempFile, Error> {
    let roots: Vec<Value> = folders
        .iter()
        .flat_map(|folder| directories(folder))
        .collect();
    let overlay = json!({
        "version": 0,
        "case-sensitive": "false",
        "use-external-names": true,
        "roots": roots,
    });
    let io = |error| Error::io(std::env::temp_dir(), error);
    let file = tempfile::Builder::new()
        .prefix("wsk-codegen-")
        .suffix(".yaml")
        .tempfile()
        .map_err(io)?;
    serde_json::to_writer(&file, &overlay).map_err(|error| io(error.into()))?;
    Ok(file)
}

/// `folder` and the folders in it, each with its whole path.
fn directories(folder: &Path) -> Vec<Value> {
    let mut files: BTreeMap<PathBuf, Vec<Value>> = BTreeMap::new();
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .max_depth(DEPTH)
        .sort_by_file_name();
    for entry in walk.into_iter().filter_map(Result::ok) {
        let path = entry.path();
        if let (true, Some(name), Some(parent), Some(external)) = (
            entry.file_type().is_file(),
            entry.file_name().to_str(),
            path.parent(),
            path.to_str(),
        ) {
            files.entry(parent.to_owned()).or_default().push(json!({
                "type": "file",
                "name": name,
                "external-contents": external,
            }));
        }
    }
    files
        .into_iter()
        .map(|(folder, contents)| json!({ "type": "directory", "name": folder, "contents": contents }))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::write;

    #[test]
    fn files_are_listed_by_folder() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("sub")).unwrap();
        std::fs::write(root.path().join("A.H"), "").unwrap();
        std::fs::write(root.path().join("sub/b.h"), "").unwrap();
        let file = write(&[root.path().to_owned()]).unwrap();
        let overlay: Value =
            serde_json::from_reader(std::fs::File::open(file.path()).unwrap()).unwrap();
        assert_eq!(overlay["case-sensitive"], "false");
        let roots = overlay["roots"].as_array().unwrap();
        assert_eq!(roots.len(), 2);
        assert_eq!(roots[0]["contents"][0]["name"], "A.H");
        assert_eq!(roots[1]["name"], root.path().join("sub").to_str().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.h"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let file = write(&[root.path().to_owned()]).unwrap();
        assert!(std::fs::metadata(file.path()).unwrap().len() < 4096);
    }
}
