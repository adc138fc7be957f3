//! Runs `cargo codegen update` with the kit of an imagined later release, in a repository of its own, and follows RELEASING.md.

#![allow(missing_docs)]

mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use assert_cmd::Command;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A repository with what the generator needs, and a release.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    copy(&here.join("headers"), &root.path().join("headers"));
    copy(&here.join("wsk-sys/src"), &root.path().join("wsk-sys/src"));
    for file in ["wsk-sys/Cargo.toml", "codegen/Cargo.toml"] {
        fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
        fs::copy(here.join(file), root.path().join(file)).unwrap();
    }
    let git = |arguments: &[&str]| {
        let status = Process::new("git")
            .current_dir(root.path())
            .args(["-c", "user.name=Test", "-c", "user.email=test@localhost"])
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "0.1.0"]);
    git(&["tag", "v0.1.0"]);
    root
}

/// What the later `wsk.h` changes: a text of today's, and its replacement.
const CHANGES: &[(&str, &str)] = &[
    // A new member of an enumeration.
    (
        "WskInspectMax\n}",
        "WskInspectMax,\n    WskInspectLater = 7\n}",
    ),
    // A wider member.
    ("    ULONG SerialNumber;\n", "    ULONGLONG SerialNumber;\n"),
    // A parameter with another name.
    (
        "_In_opt_ PVOID ClientContext,",
        "_In_opt_ PVOID ContextOfClient,",
    ),
    // Entries under a condition, and under none.
    (
        "    PFN_WSK_RECEIVE_EX WskReceiveEx;\n} WSK_PROVIDER_CONNECTION_DISPATCH",
        "    PFN_WSK_RECEIVE_EX WskReceiveEx;\n#if (NTDDI_VERSION >= NTDDI_WIN12_AA)\n    PFN_WSK_TOMORROW WskTomorrow;\n#endif\n    \
         PFN_WSK_TOMORROW WskUngated;\n} WSK_PROVIDER_CONNECTION_DISPATCH",
    ),
];

/// The declarations that it adds.
const NEW: &str = "
typedef struct _WSK_NEW {
    ULONG Kind : 4;
    ULONG Flags : 28;
    union { PVOID Pointer; ULONGLONG Number; } Value;
    union { struct { ULONG Low; ULONG High; }; ULONGLONG Whole; };
    UCHAR Bytes[8];
    USHORT Items[];
} WSK_NEW, *PWSK_NEW;
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_TOMORROW)(
    _In_ PWSK_SOCKET Socket,
    _In_reads_bytes_opt_(Length) PVOID Data,
    _In_ ULONG Length,
    _Inout_ PIRP Irp);
#define SIO_WSK_NEW _WSAIORW(IOC_WS2, 99)
#define WSK_MAKE_KIND(x) (((x) & 0xF) << 2)
#define WSK_LOOP(x) do { } while (x)
";

const FUNCTION: &str = "
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS WskPeek(
    _In_ PWSK_SOCKET Socket,
    _Out_ PWSK_NEW New);
";

/// The kit of the later release, made of our own headers.
fn kit() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let version = root.path().join("Include/10.0.29000.0");
    for entry in fs::read_dir(tiny::shipped()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "h") {
            continue;
        }
        let of_the_kit = ["wsk.h", "wdm.h", "ntddk.h", "netioddk.h"].contains(&name.as_str());
        let folder = version.join(if of_the_kit { "km" } else { "shared" });
        fs::create_dir_all(&folder).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        if name == "wsk.h" {
            text = tomorrow(&text);
        }
        if name == "sdkddkver.h" {
            text = text.replace(
                "#define WDK_NTDDI_VERSION NTDDI_WIN10_NI",
                "#define NTDDI_WIN12_AA 0x0A000020\n#define WDK_NTDDI_VERSION NTDDI_WIN12_AA",
            );
        }
        if name == "sal.h" {
            text = text.replace("WSK_SAL_ANNOTATE", "NEVER_DEFINED");
        }
        fs::write(folder.join(name), text).unwrap();
    }
    root
}

fn tomorrow(text: &str) -> String {
    let mut text = text.to_owned();
    for (today, tomorrow) in CHANGES {
        assert!(text.contains(today), "{today}");
        text = text.replacen(today, tomorrow, 1);
    }
    let table = text
        .find("/// What the client offers the provider as a whole.")
        .unwrap();
    text.insert_str(table, NEW);
    let end = text.rfind("#ifdef __cplusplus\n}").unwrap();
    text.insert_str(end, FUNCTION);
    text
}

fn update(root: &Path, kit: &Path, more: &[&str], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsk-codegen"));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    command.current_dir(root).arg("update").arg(kit).args(more);
    // Reuses the library that `verify` compiles once per machine.
    command.env(
        "CARGO_TARGET_DIR",
        std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| target.into()),
    );
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}\n{error}");
    said + &error
}

/// The texts of the headers and the generated files.
fn texts(root: &Path) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    for folder in ["headers", "wsk-sys/src/generated"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            texts.push((path, text));
        }
    }
    texts.sort();
    texts
}

#[test]
fn a_kit_of_tomorrow_is_taken_over() {
    let (root, kit) = (repository(), kit());
    let before = texts(root.path());

    // Somebody must decide on an entry without a condition. Until then nothing is written.
    let said = update(root.path(), kit.path(), &[], 1);
    for part in [
        "WSK_PROVIDER_CONNECTION_DISPATCH::WskUngated is under no condition",
        "--decide WskUngated=",
        "nothing was written",
        "WSK_NEW (struct, wsk.h)",
        "WskInspectLater",
    ] {
        assert!(said.contains(part), "{part} not in {said}");
    }
    assert!(texts(root.path()) == before);

    let said = update(
        root.path(),
        kit.path(),
        &["--decide", "WskUngated=NTDDI_WIN12_AA"],
        0,
    );
    for part in [
        // The report mentions what is not bound.
        "note: WSK_LOOP: it is a macro with parameters, which is not bound",
        // The changelog entry compares with the last release.
        "## v0.1.0 to the next release",
        "### Added",
        "**`WSK_NEW`** (struct, `wsk.h`): compatible",
        "**`WskPeek`** (function, `wsk.h`): compatible",
        "**`SIO_WSK_NEW`** (constant, `wsk.h`): compatible",
        "**`WSK_MAKE_KIND`** (const fn, `wsk.h`): compatible",
        "### Changed",
        "the type of member SerialNumber: u32, now u64",
        "member WskInspectLater = 7 is new",
        "Semver step: major",
        "reading 10.0.29000.0",
        "verifying",
        "NTDDI_WIN12_AA = 0x0A000020 is new",
    ] {
        let plain = said.replace("\\_", "_");
        assert!(plain.contains(part), "{part} not in {plain}");
    }
    let wsk = fs::read_to_string(root.path().join("headers/wsk.h")).unwrap();
    for part in [
        "typedef struct _WSK_NEW {",
        "    ULONG Kind : 4;",
        "    ULONGLONG Whole;",
        "    USHORT Items[];",
        "} WSK_NEW, *PWSK_NEW;",
        "    _In_reads_bytes_opt_(Length) VOID *Data,",
        "    ULONGLONG SerialNumber;",
        "    WskInspectMax,\n    /// (New in 10.0.29000.0: to be described.)\n    WskInspectLater = 7,\n}",
        "#if (NTDDI_VERSION >= NTDDI_WIN12_AA)\n    /// (New in 10.0.29000.0: to be described.)\n    PFN_WSK_TOMORROW WskTomorrow;\n#endif",
        "PFN_WSK_TOMORROW WskUngated;",
        "ContextOfClient",
        "#define SIO_WSK_NEW 0xc8000063",
        "WskPeek(",
        // Our documentation stays.
        "/// Names a request for a connection that is being inspected.",
        "    /// Second part of the name.",
    ] {
        assert!(wsk.contains(part), "{part} not in {wsk}");
    }
    let versions = fs::read_to_string(root.path().join("headers/sdkddkver.h")).unwrap();
    assert!(
        versions.contains("#define NTDDI_WIN12_AA 0x0A000020"),
        "{versions}"
    );
    assert!(
        versions.contains("#define WDK_NTDDI_VERSION NTDDI_WIN12_AA"),
        "{versions}"
    );
    let dispatch =
        fs::read_to_string(root.path().join("wsk-sys/src/generated/dispatch.rs")).unwrap();
    assert_eq!(
        dispatch.matches("since = 0x0A00_0020").count(),
        2,
        "{dispatch}"
    );

    // The update is complete: the committed files are what the headers give, and the kit has nothing else to add.
    let run = |arguments: &[&str], code| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsk-codegen"));
        let output = command
            .current_dir(root.path())
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["check"], 0);
    let left = run(&["diff", "headers", kit.path().to_str().unwrap()], 0);
    assert!(
        left.contains("Semver step: none") || left.contains("Semver step: patch"),
        "{left}"
    );
}

/// If no draft is possible, the generator says so and writes nothing.
#[test]
fn what_is_left_to_a_person_stops_it() {
    let (root, kit) = (repository(), kit());
    let before = texts(root.path());
    let path = kit.path().join("Include/10.0.29000.0/km/wsk.h");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace(
        "#define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)(((Mj) << 8) | ((Mn) & 0xff)))",
        "#define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)(((Mj) << 4) | ((Mn) & 0xff)))",
    );
    assert!(text != changed);
    fs::write(&path, changed).unwrap();
    let said = update(
        root.path(),
        kit.path(),
        &["--decide", "WskUngated=NTDDI_WIN12_AA"],
        1,
    );
    assert!(
        said.contains(
            "must be written by hand: MAKE_WSK_VERSION: it is written by hand in wsk-sys"
        ),
        "{said}"
    );
    // The error for an unknown annotation says what to do.
    fs::write(
        &path,
        text.replace(
            "    _In_ PWSK_SOCKET Socket,\n    _In_reads_bytes_opt_(Length) PVOID Data,",
            "    _New_ PWSK_SOCKET Socket,\n    _In_reads_bytes_opt_(Length) PVOID Data,",
        )
        .replace("#ifndef _WSK_\n", "#ifndef _WSK_\n#define _New_\n"),
    )
    .unwrap();
    let said = update(root.path(), kit.path(), &[], 2);
    assert!(
        said.contains("_New_") && said.contains("--corrections"),
        "{said}"
    );
    assert!(texts(root.path()) == before);
}
