//! Which headers are read, for which target, and with which arguments to clang.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::error::Error;
use crate::find::corrections::Correction;
use crate::find::kit::{self, Kit};
use crate::find::overlay;
use crate::find::shipped::{self, Shipped};

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

    fn defines(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["-D_AMD64_=1", "-DAMD64=1"],
            Self::Aarch64 => &["-D_ARM64_=1", "-DARM64=1"],
        }
    }
}

/// A language that the headers are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// The language of Windows and of most drivers.
    C,
    /// The language that the bindings are generated from. In C, the anonymous first member of four provider tables has no name.
    Cpp,
}

impl Language {
    fn arguments(self) -> [&'static str; 3] {
        match self {
            Self::C => ["-x", "c", "-std=c17"],
            Self::Cpp => ["-x", "c++", "-std=c++17"],
        }
    }
}

/// The headers that bindings are generated from.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    kit: bool,
    include: Vec<PathBuf>,
    overlay: Option<Arc<NamedTempFile>>,
    ntddi: Option<u32>,
    /// Whether a user asked for that version. It may then differ from the version of the headers.
    asked: bool,
    build: Option<u32>,
    corrections: Vec<Correction>,
    root: String,
    /// Our own headers, which are needed to read a kit's.
    shipped: Arc<Shipped>,
}

/// The headers that C needs to read the others. Their declarations are not bound.
const PLUMBING: [&str; 4] = ["sal.h", "driverspecs.h", "specstrings.h", "kernelspecs.h"];

/// The headers that Winsock Kernel's own headers include, or that its clients include in addition, if they are not included yet.
const COMPANIONS: [&str; 7] = [
    "ntstatus.h",
    "netioddk.h",
    "ws2def.h",
    "ws2ipdef.h",
    "mswsockdef.h",
    "mstcpip.h",
    "guiddef.h",
];

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
                    wanted_by: None,
                    looked: vec![folder.to_owned()],
                });
            }
        }
        let folder = whole(folder)?;
        Ok(Self {
            name: folder.display().to_string(),
            kit: false,
            include: vec![folder],
            overlay: None,
            ntddi: None,
            asked: false,
            build: None,
            corrections: Vec::new(),
            root: "#include <ntddk.h>\n#include <wsk.h>\n".to_owned(),
            shipped: shipped::shipped()?,
        })
    }

    /// The headers of a Windows Driver Kit, with the SDK's at `sdk` where the kit has none.
    ///
    /// # Errors
    ///
    /// When the kit has no `wsk.h`.
    pub fn kit(kit: &Kit, sdk: Option<&Path>) -> Result<Self, Error> {
        let shipped = shipped::shipped()?;
        let mut include = Vec::new();
        for folder in kit.include(sdk, &shipped.runtime)? {
            include.push(whole(&folder)?);
        }
        let overlay = if cfg!(windows) {
            None
        } else {
            Some(Arc::new(overlay::write(&include)?))
        };
        Ok(Self {
            name: kit.name(),
            kit: true,
            root: kit_root(&shipped.headers),
            shipped,
            include,
            overlay,
            ntddi: kit.ntddi(),
            asked: false,
            build: kit.version.map(kit::Version::build),
            corrections: Vec::new(),
        })
    }

    /// The same headers, for clients of the Windows with this `NTDDI_VERSION`.
    #[must_use]
    pub fn for_ntddi(self, ntddi: Option<u32>) -> Self {
        Self {
            ntddi: ntddi.or(self.ntddi),
            asked: self.asked || ntddi.is_some(),
            ..self
        }
    }

    /// The same headers, with these corrections of their annotations.
    #[must_use]
    pub fn with_corrections(self, corrections: Vec<Correction>) -> Self {
        Self {
            corrections,
            ..self
        }
    }

    /// The user's corrections of the headers, in addition to the built-in ones.
    #[must_use]
    pub fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// Our own headers: those of the repository that the generator runs in, or else those that were built into the generator.
    ///
    /// # Errors
    ///
    /// When they cannot be written where clang can read them.
    pub fn ours() -> Result<Self, Error> {
        Self::headers(&shipped::shipped()?.headers)
    }

    /// The name of the headers in messages: the kit's version, or the folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the headers are a kit's. If so, only what concerns Winsock Kernel is bound.
    #[must_use]
    pub fn is_kit(&self) -> bool {
        self.kit
    }

    /// The build of the kit, if its folder names it.
    #[must_use]
    pub fn build(&self) -> Option<u32> {
        self.build
    }

    /// Whether they are read for a version that a user asked for.
    #[must_use]
    pub fn is_for_asked_version(&self) -> bool {
        self.asked
    }

    /// Whether the headers are our own.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        whole(&self.shipped.headers).is_ok_and(|ours| self.include == [ours])
    }

    /// Whether `file` holds declarations of the interface, and not only what C needs to read them.
    #[must_use]
    pub fn is_bound(&self, file: &Path) -> bool {
        let name = header_name(file);
        !PLUMBING.contains(&name.as_str())
            && self.include.iter().any(|folder| file.starts_with(folder))
    }

    /// The folders that are searched for headers, in order.
    #[must_use]
    pub fn include(&self) -> &[PathBuf] {
        &self.include
    }

    /// The file that `#include <name>` means.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.include
            .iter()
            .find_map(|folder| kit::child(folder, name))
    }

    /// The names that our own `sal.h` defines, and those that the headers' `sal.h` defines, unless the headers are a kit's.
    ///
    /// # Errors
    ///
    /// When a `sal.h` cannot be read.
    pub fn annotations(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        let theirs = self.find("sal.h").filter(|_| !self.kit);
        let theirs = theirs
            .map(|path| std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error)));
        let theirs = theirs.transpose()?.unwrap_or_default();
        for text in [shipped::sal(), &theirs] {
            let defined = text
                .lines()
                .filter_map(|line| line.strip_prefix("#define "));
            names.extend(defined.map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest[..end.unwrap_or(rest.len())].to_owned()
            }));
        }
        Ok(names)
    }

    /// The text of the file that includes everything to be bound.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The arguments that make clang read the headers as the kernel's compiler does.
    ///
    /// # Errors
    ///
    /// When a folder's name is not Unicode.
    pub fn arguments(&self, arch: Arch, language: Language) -> Result<Vec<String>, Error> {
        let common = [
            "-fms-extensions",
            "-fms-compatibility",
            "-nostdinc",
            "-ferror-limit=0",
            "-w",
            "-fno-spell-checking",
            // Kits rely on Microsoft's compiler for these two: the C runtime has exception specifications, and some macros paste
            // tokens that do not form a token.
            "-Wno-dynamic-exception-spec",
            "-Wno-invalid-token-paste",
            "-DWSK_SAL_ANNOTATE=1",
            "-D_WIN64=1",
        ];
        let words = language.arguments().into_iter().chain(common);
        let mut arguments: Vec<String> = words.map(str::to_owned).collect();
        arguments.push(format!("--target={}", arch.triple()));
        arguments.extend(arch.defines().iter().map(|&define| define.to_owned()));
        if let Some(ntddi) = self.ntddi {
            arguments.push(format!("-DNTDDI_VERSION={ntddi:#010X}").replace("=0X", "=0x"));
            arguments.push(format!("-D_WIN32_WINNT={:#06X}", ntddi >> 16).replace("=0X", "=0x"));
            arguments.push(format!("-DWINVER={:#06X}", ntddi >> 16).replace("=0X", "=0x"));
        }
        if let Some(overlay) = &self.overlay {
            arguments.extend(["-ivfsoverlay".to_owned(), unicode(overlay.path())?]);
        }
        for folder in &self.include {
            arguments.extend(["-I".to_owned(), unicode(folder)?]);
        }
        Ok(arguments)
    }
}

/// A header's name as headers spell it.
pub(crate) fn header_name(file: &Path) -> String {
    file.file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

/// The file through which a kit's headers are read. The kit's own SAL defines every annotation as empty. Ours is included after
/// it, and turns annotations into attributes that clang reports.
fn kit_root(ours: &Path) -> String {
    let mut root = String::new();
    for name in ["sal.h", "specstrings.h", "driverspecs.h", "kernelspecs.h"] {
        let _ = writeln!(
            root,
            "#if __has_include(<{name}>)\n#include <{name}>\n#endif"
        );
    }
    let sal = ours.join("sal.h");
    let sal = whole(&sal).unwrap_or(sal);
    let sal = in_include(&sal.display().to_string());
    let _ = writeln!(root, "#undef WSK_HEADERS_SAL_H\n#include \"{sal}\"");
    root.push_str("#include <ntddk.h>\n#include <wsk.h>\n");
    for name in COMPANIONS {
        let _ = writeln!(
            root,
            "#if __has_include(<{name}>)\n#include <{name}>\n#endif"
        );
    }
    root
}

/// A path as `#include "…"` takes it: with slashes, on Windows too.
fn in_include(path: &str) -> String {
    if is_of_windows(path) {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    }
}

/// Whether a path is a Windows path, with a drive or a server.
fn is_of_windows(path: &str) -> bool {
    let mut letters = path.chars();
    let drive =
        letters.next().is_some_and(|c| c.is_ascii_alphabetic()) && letters.next() == Some(':');
    drive || path.starts_with("\\\\")
}

/// The whole path of a folder, in a form that clang accepts on Windows, too.
fn whole(folder: &Path) -> Result<PathBuf, Error> {
    dunce::canonicalize(folder).map_err(|error| Error::io(folder, error))
}

fn unicode(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::argument(
            path.display().to_string(),
            "is not Unicode, which clang needs",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Arch, Language, Source, in_include};

    #[test]
    fn paths_of_every_system_in_an_include() {
        for (path, include) in [
            (
                r"C:\Program Files (x86)\Windows Kits\10\sal.h",
                "C:/Program Files (x86)/Windows Kits/10/sal.h",
            ),
            (r"\\server\kits\sal.h", "//server/kits/sal.h"),
            ("/Users/me/wdk@home/sal.h", "/Users/me/wdk@home/sal.h"),
            // Elsewhere a backslash is an ordinary character of a name.
            (r"/home/me/a\b/sal.h", r"/home/me/a\b/sal.h"),
        ] {
            assert_eq!(in_include(path), include);
        }
    }

    #[test]
    fn the_version_reaches_clang() {
        let source = Source::ours().unwrap();
        let has = |source: &Source, argument: &str| {
            source
                .arguments(Arch::X86_64, Language::Cpp)
                .unwrap()
                .iter()
                .any(|a| a == argument)
        };
        assert!(
            !source
                .arguments(Arch::X86_64, Language::Cpp)
                .unwrap()
                .iter()
                .any(|a| a.contains("NTDDI"))
        );
        let source = source.for_ntddi(Some(0x0A00_0003));
        assert!(has(&source, "-DNTDDI_VERSION=0x0A000003"));
        assert!(has(&source, "-D_WIN32_WINNT=0x0A00"));
    }
}
