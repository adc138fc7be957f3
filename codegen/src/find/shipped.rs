//! Our own headers: those of the repository that the generator runs in, or else those that were built into the generator.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::error::Error;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files that clang reads in addition to a kit.
#[derive(Debug)]
pub(crate) struct Shipped {
    /// Our own headers.
    pub headers: PathBuf,
    /// The folder of replacements for the compiler's headers, for when neither kit nor SDK has them.
    pub runtime: PathBuf,
    /// Keeps the files until they are no longer used.
    _made: TempDir,
}

/// One copy is enough for a process.
static SHARED: Mutex<Weak<Shipped>> = Mutex::new(Weak::new());

/// Our own headers, as files.
///
/// # Errors
///
/// When they cannot be written.
pub(crate) fn shipped() -> Result<Arc<Shipped>, Error> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shipped) = shared.upgrade() {
        return Ok(shipped);
    }
    let io = |error| Error::io(std::env::temp_dir(), error);
    let made = tempfile::Builder::new()
        .prefix("wsk-codegen-")
        .tempdir()
        .map_err(io)?;
    let runtime = made.path().join("runtime");
    write(&runtime, RUNTIME)?;
    let headers = if let Some(repository) = repository() {
        repository.join("headers")
    } else {
        let headers = made.path().join("headers");
        write(&headers, HEADERS)?;
        headers
    };
    let shipped = Arc::new(Shipped {
        headers,
        runtime,
        _made: made,
    });
    *shared = Arc::downgrade(&shipped);
    Ok(shipped)
}

fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Error::io(&path, error))?;
    }
    Ok(())
}

/// The text of our own `sal.h`.
pub(crate) fn sal() -> &'static str {
    let sal = HEADERS.iter().find(|(name, _)| *name == "sal.h");
    sal.map_or("", |(_, text)| text)
}

/// The repository that the generator runs in: the nearest one around the current folder.
#[must_use]
pub fn repository() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let holds = |folder: &&Path| {
        ["headers/wsk.h", "wsk-sys/Cargo.toml", "codegen/Cargo.toml"]
            .iter()
            .all(|file| folder.join(file).is_file())
    };
    here.ancestors().find(holds).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{HEADERS, RUNTIME, sal, shipped};

    #[test]
    fn what_is_built_in_is_what_the_repository_has() {
        assert!(HEADERS.iter().any(|(name, _)| *name == "wsk.h"));
        assert!(RUNTIME.iter().any(|(name, _)| *name == "vcruntime.h"));
        assert!(sal().contains("#define _In_opt_"));
        let shipped = shipped().unwrap();
        for (name, text) in HEADERS {
            let file = std::fs::read_to_string(shipped.headers.join(name)).unwrap();
            assert_eq!(file, *text, "{name}");
        }
        assert!(shipped.runtime.join("vcruntime.h").is_file());
    }
}
