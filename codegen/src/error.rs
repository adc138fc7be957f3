//! The generator's errors. Each says what to do about it.

use std::path::PathBuf;

/// Why the generator could not generate, check, compare or write bindings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No libclang could be loaded.
    #[error(
        "libclang could not be loaded: {reason}\n  install it, for example with `apt-get install \
         libclang-19-dev`, or set LIBCLANG_PATH to the folder that holds it"
    )]
    NoLibclang {
        /// What the loader said.
        reason: String,
    },
    /// The libclang that was found is older than the generator can use.
    #[error(
        "{found} is too old: libclang {least} or newer is needed\n  install it, for example with \
         `apt-get install libclang-19-dev`, and set LIBCLANG_PATH if the old one is still found first"
    )]
    OldLibclang {
        /// The version text of the library found.
        found: String,
        /// The least major version that works.
        least: u32,
    },
    /// No kit was found.
    #[error(
        "no kit was found: a folder that holds Include/VERSION/km/wsk.h is needed; looked in\n{}",
        list(looked)
    )]
    NoKit {
        /// The folders that were searched.
        looked: Vec<PathBuf>,
    },
    /// The kit does not have this version.
    #[error("{root} has no version {wanted}; it has {}", if found.is_empty() { "none" } else { found })]
    NoVersion {
        /// The version that was asked for.
        wanted: String,
        /// The kit's root.
        root: PathBuf,
        /// The versions that it has.
        found: String,
    },
    /// A header was not found.
    #[error(
        "{name} was not found{}; looked in\n{}{}",
        wanted_by.as_ref().map(|by| format!(" (included by {by})")).unwrap_or_default(),
        list(looked),
        advice(name)
    )]
    MissingHeader {
        /// The file's name.
        name: String,
        /// The file that includes it.
        wanted_by: Option<String>,
        /// The folders that were searched.
        looked: Vec<PathBuf>,
    },
    /// clang reports errors in the headers.
    #[error("the headers do not parse:\n{diagnostics}")]
    Parse {
        /// clang's messages, one a line.
        diagnostics: String,
    },
    /// The headers declare something else in C than in C++.
    #[error(
        "{headers} says one thing to C, which Windows is written in, and another to C++, which the bindings are made of:\n{differences}\n  \
         declare these in headers so that both see the same: an unnamed member with a name, a member or value for one language \
         alone not at all"
    )]
    Languages {
        /// The kit or folder of headers.
        headers: String,
        /// The differences, one a line.
        differences: String,
    },
    /// bindgen refused the headers.
    #[error("bindgen failed: {0}")]
    Bindgen(String),
    /// rustc could not be run, or rejected the generated code.
    #[error("rustc: {0}")]
    Rustc(String),
    /// The headers contain something that the generator does not understand.
    #[error("{item}: {problem}")]
    Item {
        /// The item's name.
        item: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// An argument is invalid.
    #[error("{argument}: {problem}")]
    Argument {
        /// The argument as given.
        argument: String,
        /// What is wrong with it.
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

    pub(crate) fn argument(argument: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Argument {
            argument: argument.into(),
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
    let lines: Vec<String> = folders
        .iter()
        .map(|folder| format!("  {}", folder.display()))
        .collect();
    lines.join("\n")
}

/// What to do about a header that is not in the driver kit itself.
fn advice(name: &str) -> &'static str {
    const OF_THE_DRIVER_KIT: [&str; 4] = ["wsk.h", "wdm.h", "ntddk.h", "netioddk.h"];
    if OF_THE_DRIVER_KIT.contains(&name) {
        ""
    } else {
        "\n  if it belongs to the Windows SDK, name the SDK's folder with --sdk"
    }
}
