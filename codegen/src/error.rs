//! What can go wrong in the generator, each with what to do about it.

use std::path::PathBuf;

/// Why bindings could not be generated, checked or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No libclang could be loaded.
    #[error(
        "libclang could not be loaded: {reason}\n  install it, for example with `apt-get install libclang-19-dev`, or \
         set LIBCLANG_PATH to the folder that holds it"
    )]
    NoLibclang {
        /// What the loader said.
        reason: String,
    },
    /// The libclang that was found is older than the generator can use.
    #[error(
        "{found} is too old: libclang {least} or newer is needed\n  install it, for example with `apt-get install \
         libclang-19-dev`, and set LIBCLANG_PATH if the old one is still found first"
    )]
    OldLibclang {
        /// The version text of the library found.
        found: String,
        /// The least major version that works.
        least: u32,
    },
    /// A header is not where it should be.
    #[error("{name} was not found; looked in {}", list(looked))]
    MissingHeader {
        /// The file's name.
        name: String,
        /// The folders that were searched.
        looked: Vec<PathBuf>,
    },
    /// clang reports errors in the headers.
    #[error("the headers do not parse:\n{diagnostics}")]
    Parse {
        /// clang's messages, one a line.
        diagnostics: String,
    },
    /// bindgen refused the headers.
    #[error("bindgen failed: {0}")]
    Bindgen(String),
    /// The headers hold something that the generator does not understand.
    #[error("{item}: {problem}")]
    Item {
        /// The item's name.
        item: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Error {
    pub(crate) fn item(item: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Item {
            item: item.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            error,
        }
    }
}

fn list(folders: &[PathBuf]) -> String {
    folders
        .iter()
        .map(|f| f.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
