//! The functions that Windows exports, from an independent list: the import libraries of mingw-w64, which follow releases older
//! than 10.0.14393. A function in them is in every Windows that matters here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use object::read::archive::ArchiveFile;

use crate::toolchain;

/// The folder in which Debian's package `mingw-w64-x86-64-dev` has them.
const LIBRARIES: &str = "/usr/x86_64-w64-mingw32/lib";

/// The files from which drivers may import, and the list for each.
const FILES: [(&str, &str); 3] = [
    ("ntoskrnl.exe", "libntoskrnl.a"),
    ("netio.sys", "libnetio.a"),
    ("hal.dll", "libhal.a"),
];

/// Functions that `wsk-sys` declares although the lists lack them, because the lists follow older releases. The documentation of
/// `wsk-sys` says which kits have them. The sample drivers import none of them.
const NEWER: &[&str] = &[
    "ExAcquirePushLockExclusiveEx",
    "ExAcquirePushLockSharedEx",
    "ExAllocatePool2",
    "ExReleasePushLockExclusiveEx",
    "ExReleasePushLockSharedEx",
    "IoCleanupIrp",
    "KeQuerySystemTimePrecise",
];

/// Whether the lists exist.
#[must_use]
pub fn present() -> bool {
    FILES
        .iter()
        .all(|(_, library)| Path::new(LIBRARIES).join(library).is_file())
}

/// The names that each file exports.
#[derive(Debug, Clone, Default)]
pub struct Exports(BTreeMap<String, BTreeSet<String>>);

impl Exports {
    /// Reads the lists.
    ///
    /// # Errors
    ///
    /// What is missing, in words.
    pub fn read() -> Result<Self, String> {
        let mut exports = Self::default();
        for (file, library) in FILES {
            let path = Path::new(LIBRARIES).join(library);
            let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let names = names(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            exports.0.insert(file.to_owned(), names);
        }
        Ok(exports)
    }

    /// Whether drivers may import from a file at all.
    #[must_use]
    pub fn knows(&self, file: &str) -> bool {
        self.0.contains_key(file)
    }

    /// Whether a file exports a function.
    #[must_use]
    pub fn has(&self, file: &str, function: &str) -> bool {
        self.0
            .get(file)
            .is_some_and(|names| names.contains(function))
    }

    /// Reports problems with the functions that `wsk-sys` declares: some Windows lacks one, or another file exports it.
    ///
    /// # Errors
    ///
    /// The file of the declarations cannot be read.
    pub fn problems_of_declarations(&self) -> Result<Vec<String>, String> {
        let path = toolchain::repository().join("wsk-sys/src/generated/functions.rs");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let declared = declared(&text);
        if declared.len() < 60 {
            return Err(format!("only {} functions are declared", declared.len()));
        }
        Ok(declared
            .iter()
            .filter(|(_, function)| !NEWER.contains(&function.as_str()))
            .filter(|(file, function)| !self.has(file, function))
            .map(|(file, function)| {
                format!("wsk-sys declares {function}, which not every {file} exports")
            })
            .collect())
    }
}

/// The symbols of an import library.
fn names(bytes: &[u8]) -> Result<BTreeSet<String>, object::Error> {
    let archive = ArchiveFile::parse(bytes)?;
    let mut names = BTreeSet::new();
    for symbol in archive.symbols()?.into_iter().flatten() {
        names.insert(String::from_utf8_lossy(symbol?.name()).into_owned());
    }
    Ok(names)
}

/// The functions that a generated file declares for x64, to which the lists apply, with the files that export them.
fn declared(text: &str) -> Vec<(String, String)> {
    let (mut file, mut elsewhere) = ("", false);
    let mut declared = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some((_, rest)) = line.split_once("link(name = \"") {
            file = rest.split('"').next().unwrap_or_default();
        } else if line == "#[cfg(target_arch = \"aarch64\")]" {
            elsewhere = true;
        } else if let Some(rest) = line.strip_prefix("pub fn ")
            && !std::mem::take(&mut elsewhere)
        {
            let name = rest.split('(').next().unwrap_or_default();
            declared.push((file.to_owned(), name.to_owned()));
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::{Exports, declared};

    #[test]
    fn declarations_are_read_with_their_file() {
        let text = "#[cfg_attr(windows, link(name = \"a.sys\", kind = \"raw-dylib\"))]\n unsafe extern {\n    pub fn First(\n) ; }\n\
            link(name = \"b.exe\")\n    #[cfg(target_arch = \"aarch64\")]\n /// Lowers.\n pub fn Arms();\n    pub fn Second();";
        let pair = |file: &str, name: &str| (file.to_owned(), name.to_owned());
        assert_eq!(
            declared(text),
            [pair("a.sys", "First"), pair("b.exe", "Second")]
        );
    }

    #[test]
    fn what_is_not_listed_is_found() {
        let problems = Exports::default().problems_of_declarations().unwrap();
        assert!(problems.len() > 60, "{problems:?}");
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("WskRegister"))
        );
    }
}
