//! Small headers of our own in a temporary folder, laid out like the repository's headers or like a kit.

// Each test crate uses some of these functions.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wsk_codegen::{Error, Options, Output, Source, kit};

/// The folder of the repository's headers.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../headers")
}

/// The `ntddk.h` of these headers.
pub const NTDDK: &str = "#include <ntdef.h>\n";

/// The `ntdef.h` of these headers, with the names that any of them may use.
pub const NTDEF: &str = "#ifndef TINY_NTDEF
#define TINY_NTDEF
#include <sal.h>
#define NTAPI __stdcall
#define VOID void
#define CONST const
typedef void *PVOID;
typedef unsigned char UCHAR, BOOLEAN;
typedef char CHAR;
typedef unsigned short USHORT, WCHAR;
typedef int INT;
typedef unsigned long ULONG;
typedef long LONG;
typedef LONG NTSTATUS;
typedef unsigned long long ULONGLONG, ULONG_PTR;
typedef ULONG_PTR SIZE_T;
#ifndef NTDDI_VERSION
#define NTDDI_VERSION 0x0A00000C
#endif
#endif
";

/// A SAL header that defines the annotations as empty, like a kit's.
pub const KIT_SAL: &str = "#ifndef TINY_SAL
#define TINY_SAL
#define _In_
#define _In_opt_
#define _Out_
#define _Inout_
#define _Reserved_
#define _In_reads_bytes_opt_(x)
#define _Outptr_
#endif
";

/// Writes files below `root`.
pub fn write(root: &Path, files: &[(&str, &[u8])]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A folder of headers with this `wsk.h`.
pub fn headers(wsk: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sal = fs::read(shipped().join("sal.h")).unwrap();
    write(
        folder.path(),
        &[
            ("ntddk.h", NTDDK.as_bytes()),
            ("ntdef.h", NTDEF.as_bytes()),
            ("sal.h", &sal),
            ("wsk.h", wsk),
        ],
    );
    folder
}

/// The code generated from a folder of headers with this `wsk.h`.
pub fn generate(wsk: &str) -> Result<Output, Error> {
    generate_bytes(wsk.as_bytes())
}

/// The same, for a `wsk.h` that need not be valid text.
pub fn generate_bytes(wsk: &[u8]) -> Result<Output, Error> {
    let folder = headers(wsk);
    let source = Source::headers(folder.path())?;
    wsk_codegen::generate(&source, &Options::default())
}

/// A kit with this `wsk.h`, and its root.
pub fn kit(wsk: &[u8]) -> TempDir {
    kit_of("10.0.22621.0", wsk)
}

/// A kit of this version with this `wsk.h`, and its root.
pub fn kit_of(version: &str, wsk: &[u8]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let (km, shared) = (
        format!("Include/{version}/km"),
        format!("Include/{version}/shared"),
    );
    write(
        root.path(),
        &[
            (&format!("{km}/NtDdk.h"), NTDDK.as_bytes()),
            (&format!("{km}/wsk.h"), wsk),
            (&format!("{shared}/NTDEF.h"), NTDEF.as_bytes()),
            (&format!("{shared}/Sal.H"), KIT_SAL.as_bytes()),
            (&format!("{shared}/ws2def.h"), b""),
        ],
    );
    root
}

/// The code generated from a kit at `root`.
pub fn generate_kit(root: &Path) -> Result<Output, Error> {
    wsk_codegen::generate(&source(root)?, &Options::default())
}

/// The newest kit at `root`.
pub fn source(root: &Path) -> Result<Source, Error> {
    Source::kit(&kit::choose(root, None)?, None)
}

/// All generated files in one text, without the spaces and line breaks of formatting.
pub fn text(output: &Output) -> String {
    let files: Vec<&str> = output.files().map(|(_, text)| text).collect();
    let words: Vec<&str> = files
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    words.join(" ")
}

/// A folder with the generated files, like the `generated` module of a crate.
pub fn written(output: &Output) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let generated = folder.path().join("generated");
    output.write(&generated).unwrap();
    (folder, generated)
}
