//! The generated files are readable: formatted as by rustfmt, with blank lines between items.

#![allow(missing_docs)]

mod tiny;

use std::fs;
use std::process::Command;

use wsk_codegen::{Options, Output, Source};

/// The changes that rustfmt would make.
fn changes(output: &Output) -> String {
    let folder = tempfile::tempdir().unwrap();
    output.write(folder.path()).unwrap();
    // Ignores the settings of the folders around it.
    fs::write(folder.path().join("rustfmt.toml"), "").unwrap();
    let rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--check", "--color", "never"])
        .arg(folder.path().join("mod.rs"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&rustfmt.stdout).into_owned();
    let error = String::from_utf8_lossy(&rustfmt.stderr).into_owned();
    assert!(rustfmt.status.success() || !said.is_empty(), "{error}");
    said
}

#[test]
fn rustfmt_changes_nothing() {
    let output = wsk_codegen::generate(&Source::ours().unwrap(), &Options::default()).unwrap();
    assert_eq!(changes(&output), "");
    let text = |file: &str| {
        let found = output.files().find(|(name, _)| *name == file);
        found.unwrap().1.to_owned()
    };
    for (file, part) in [
        ("layout.rs", "    assert!(size_of::<WSK_BUF>() == 24);\n"),
        ("constants.rs", ";\n\n/// "),
        ("functions.rs", ";\n\n    /// "),
        (
            "dispatch.rs",
            "        dispatch(since = 0x0600_0000, irql = \"<= DISPATCH_LEVEL\", entry = fn(\n            #[sal(In)] Socket: *mut WSK_SOCKET,\n",
        ),
    ] {
        assert!(text(file).contains(part), "{part} not in {file}");
    }
}

/// A line of a comment may end like an item.
#[test]
fn comments_stay_in_one_piece() {
    let wsk = "#include <ntddk.h>
        /// Does this first;
        /// and that later, with {braces}
        /// that end a line.
        typedef NTSTATUS (NTAPI *PFN_ONE)(_In_ PVOID Socket);";
    let output = tiny::generate(wsk).unwrap();
    for (_, text) in output.files() {
        let lines: Vec<&str> = text.lines().collect();
        for three in lines.windows(3) {
            let comment = |line: &str| line.trim_start().starts_with("///");
            assert!(
                !(comment(three[0]) && three[1].is_empty()),
                "{}",
                three.join("\n")
            );
        }
    }
}

/// Cases that are rare in our own headers.
#[test]
fn rustfmt_changes_nothing_of_odd_items_either() {
    let wsk = "#include <ntddk.h>
        /// Bits.
        typedef struct _BITS { ULONG First : 3; ULONG Second : 29; UCHAR a; ULONGLONG b : 40; } BITS;
        /// An enumeration whose name and members have names that are long enough to be broken over lines, somewhere.
        typedef enum _A_RATHER_LONG_NAME_OF_AN_ENUMERATION_FOR_A_LINE { AFirst, ASecond = -5 } A_RATHER_LONG_NAME_OF_AN_ENUMERATION_FOR_A_LINE;
        /// Calls.
        typedef NTSTATUS (NTAPI *PFN_ONE)(_In_ PVOID Socket, _In_ ULONG Flags, _In_reads_bytes_opt_(Length) PVOID Data, _In_ ULONG Length);
        /// Calls back with nothing.
        typedef void (NTAPI *PFN_NOTHING)(void);
        /// Table.
        typedef struct _WSK_PROVIDER_BASIC_DISPATCH { PFN_ONE WskControlSocket; PFN_NOTHING WskCloseSocket; } WSK_PROVIDER_BASIC_DISPATCH;
        /// Adds.
        #define WSK_ADD(a, b) ((a) + (b) + 0x1234)
        /// Text.
        #define WSK_TEXT L\"abc\"
        #ifdef _ARM64_
        /// More.
        #define WSK_MORE 2
        #else
        /// More.
        #define WSK_MORE 1
        #endif";
    let output = tiny::generate(wsk).unwrap();
    assert_eq!(changes(&output), "");
}

#[test]
fn the_locale_and_the_folder_do_not_matter() {
    let here = wsk_codegen::generate(&Source::ours().unwrap(), &Options::default()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("Ordner mit \u{e9}");
    let status = Command::new(env!("CARGO_BIN_EXE_wsk-codegen"))
        .args(["generate", "--out"])
        .arg(&folder)
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Asia/Kolkata")
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(here.diff(&folder).unwrap(), "");
}
