//! Which headers are read, for which target, and with which arguments to clang.

use std::path::{Path, PathBuf};

use crate::Error;

/// An architecture that `wsk-sys` is generated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// `x86_64-pc-windows-msvc`.
    X86_64,
    /// `aarch64-pc-windows-msvc`.
    Aarch64,
}

impl Arch {
    /// Every architecture, the reference first.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The clang and rustc target triple.
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-pc-windows-msvc",
            Self::Aarch64 => "aarch64-pc-windows-msvc",
        }
    }

    /// The value of `cfg(target_arch)`.
    #[must_use]
    pub fn cfg(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    fn define(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["-D_AMD64_=1"],
            Self::Aarch64 => &["-D_ARM64_=1"],
        }
    }
}

/// The headers that bindings are generated from.
#[derive(Debug, Clone)]
pub struct Source {
    include: Vec<PathBuf>,
}

/// The headers whose declarations are not bound: they hold what C needs to read the others.
const PLUMBING: [&str; 2] = ["sal.h", "driverspecs.h"];

impl Source {
    /// The headers of this repository, or a folder laid out like them.
    ///
    /// # Errors
    ///
    /// When the folder has no `wsk.h`.
    pub fn headers(folder: &Path) -> Result<Self, Error> {
        for name in ["wsk.h", "ntddk.h"] {
            if !folder.join(name).is_file() {
                return Err(Error::MissingHeader {
                    name: name.to_owned(),
                    looked: vec![folder.to_owned()],
                });
            }
        }
        let folder = folder
            .canonicalize()
            .map_err(|error| Error::io(folder, error))?;
        Ok(Self {
            include: vec![folder],
        })
    }

    /// The folder of headers that the repository ships.
    #[must_use]
    pub fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../headers")
    }

    /// Whether the declarations of `file` are bound.
    #[must_use]
    pub fn is_bound(&self, file: &Path) -> bool {
        let plumbing = file
            .file_name()
            .is_some_and(|name| PLUMBING.iter().any(|plumbing| name == *plumbing));
        !plumbing && self.include.iter().any(|folder| file.starts_with(folder))
    }

    /// The folders that are searched for headers, in order.
    #[must_use]
    pub fn include(&self) -> &[PathBuf] {
        &self.include
    }

    /// The text of the file that includes everything to be bound.
    #[must_use]
    pub fn root(&self) -> &'static str {
        "#include <ntddk.h>\n#include <wsk.h>\n"
    }

    /// The arguments that make clang read the headers as the kernel's compiler does.
    ///
    /// The headers are parsed as C++: in C the anonymous member that four provider tables begin with has no name.
    #[must_use]
    pub fn arguments(&self, arch: Arch) -> Vec<String> {
        let mut arguments = vec![
            "-x".to_owned(),
            "c++".to_owned(),
            "-std=c++17".to_owned(),
            format!("--target={}", arch.triple()),
            "-fms-extensions".to_owned(),
            "-fms-compatibility".to_owned(),
            "-nostdinc".to_owned(),
            "-ferror-limit=0".to_owned(),
            "-DWSK_SAL_ANNOTATE=1".to_owned(),
            "-D_WIN64=1".to_owned(),
        ];
        arguments.extend(arch.define().iter().map(|&define| define.to_owned()));
        for folder in &self.include {
            arguments.push("-I".to_owned());
            arguments.push(folder.display().to_string());
        }
        arguments
    }
}
