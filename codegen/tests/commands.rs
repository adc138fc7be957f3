//! Runs the commands, and checks what they print, what they write, and their exit codes.

#![allow(missing_docs)]

mod tiny;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const TINY: &str = "#include <ntddk.h>
/// Socket.
typedef struct _WSK_TINY { ULONG a; PVOID b; } WSK_TINY;
/// Flag.
#define WSK_TINY_FLAG 0x10
#if NTDDI_VERSION >= 0x0A000003
/// Newer flag.
#define WSK_TINY_NEWER 0x20
#endif
";

fn codegen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wsk-codegen"))
}

#[track_caller]
fn output(command: &mut Command, code: i32) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

fn is_empty(folder: &Path) -> bool {
    !folder.exists() || fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_committed_files_are_what_the_headers_give() {
    output(codegen().arg("check"), 0);
}

#[test]
fn a_change_is_found_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("generated");
    output(codegen().args(["generate", "--out"]).arg(&out), 0);
    output(codegen().args(["check", "--out"]).arg(&out), 0);
    let constants = out.join("constants.rs");
    let text = fs::read_to_string(&constants).unwrap();
    fs::write(
        &constants,
        text.replace("WSK_FLAG_NODELAY", "WSK_FLAG_NODELIGHT"),
    )
    .unwrap();
    let (diff, _) = output(codegen().args(["check", "--out"]).arg(&out), 1);
    assert!(
        diff.contains("-pub const WSK_FLAG_NODELIGHT")
            && diff.contains("+pub const WSK_FLAG_NODELAY"),
        "{diff}"
    );
}

#[test]
fn nothing_is_written_when_anything_fails() {
    let root = tiny::kit(b"#include <ntddk.h>\n#include <missing.h>\n");
    let out = root.path().join("out");
    let (_, error) = output(
        codegen()
            .arg("generate")
            .arg("--wdk")
            .arg(root.path())
            .arg("--out")
            .arg(&out),
        2,
    );
    for part in [
        "missing.h was not found",
        "wsk.h:2",
        "10.0.22621.0/km",
        "--sdk",
    ] {
        assert!(error.contains(part), "{part} not in {error}");
    }
    assert!(is_empty(&out));
}

/// A generator that is installed elsewhere uses the headers that were built into it.
#[test]
fn it_works_outside_of_the_repository() {
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], code| {
        let mut command = codegen();
        command.current_dir(elsewhere.path()).args(arguments);
        output(&mut command, code)
    };
    run(&["generate", "--out", "generated"], 0);
    run(&["check", "--out", "generated"], 0);
    let here = wsk_codegen::generate(
        &wsk_codegen::Source::ours().unwrap(),
        &wsk_codegen::Options::default(),
    )
    .unwrap();
    for (name, text) in here.files() {
        let there = fs::read_to_string(elsewhere.path().join("generated").join(name)).unwrap();
        assert!(there == text, "{name}");
    }
    let root = tiny::kit(TINY.as_bytes());
    let root = root.path().to_str().unwrap();
    run(&["generate", "--wdk", root, "--out", "of-the-kit"], 0);
    run(&["coverage", "--wdk", root], 0);
    let (_, error) = run(&["generate"], 2);
    assert!(error.contains("--out"), "{error}");
    let (_, error) = run(&["diff", "committed", "headers"], 2);
    assert!(error.contains("checkout"), "{error}");
    // It leaves nothing behind in the folder or beside it.
    assert!(!elsewhere.path().join("headers").exists());
}

/// The committed files are generated from our own headers, so a kit needs an output folder of its own.
#[test]
fn a_kit_does_not_replace_the_committed_files_unasked() {
    let root = tiny::kit(TINY.as_bytes());
    refused(
        codegen().arg("generate").arg("--wdk").arg(root.path()),
        &["--wdk: needs --out DIR"],
    );
}

/// The command fails with these words, and prints nothing to standard output.
#[track_caller]
fn refused(command: &mut Command, words: &[&str]) {
    let (out, error) = output(command, 2);
    assert_eq!(out, "");
    for part in words {
        assert!(error.contains(part), "{part} not in {error}");
    }
}

#[test]
fn no_libclang() {
    let folder = tempfile::tempdir().unwrap();
    let (nothing, broken) = (folder.path().join("nothing"), folder.path().join("broken"));
    tiny::write(
        folder.path(),
        &[
            ("nothing/readme", b"no library"),
            ("broken/libclang.so", b"no library either"),
            ("broken/libclang.dylib", b"no library either"),
            ("broken/libclang.dll", b"no library either"),
        ],
    );
    for library in [&nothing, &broken] {
        let out = folder.path().join("out");
        refused(
            codegen()
                .env("LIBCLANG_PATH", library)
                .args(["generate", "--out"])
                .arg(&out),
            &[
                "libclang could not be loaded",
                "install it",
                "LIBCLANG_PATH",
            ],
        );
        assert!(!out.exists());
    }
}

#[test]
fn arguments_that_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    refused(
        codegen()
            .args(["generate", "--arch", "mips", "--out"])
            .arg(&out),
        &["'mips'", "x86_64, aarch64"],
    );
    refused(
        codegen()
            .args(["generate", "--ntddi", "NTDDI_TOMORROW", "--out"])
            .arg(&out),
        &["NTDDI_TOMORROW: is not an NTDDI_VERSION", "0x0A000003"],
    );
    refused(
        codegen()
            .args(["generate", "--headers", "nowhere", "--out"])
            .arg(&out),
        &["wsk.h was not found", "nowhere"],
    );
    refused(
        codegen()
            .args(["generate", "--wdk", "nowhere", "--out"])
            .arg(&out),
        &["no kit was found", "nowhere"],
    );
    refused(
        codegen()
            .args(["generate", "--wdk", "--out"])
            .arg(&out)
            .env_remove("WDKContentRoot")
            .env_remove("WindowsSdkDir")
            .env_remove("UniversalCRTSdkDir"),
        if cfg!(windows) {
            &[]
        } else {
            &["no kit was found", "WDKContentRoot"]
        },
    );
    refused(
        codegen().args(["diff", "committed", "./nowhere"]),
        &["./nowhere: is not a folder"],
    );
    refused(
        codegen().args(["diff", "committed"]),
        &["name two releases"],
    );
    refused(
        codegen().args(["verify", "--bindings", "nowhere"]),
        &["nowhere", "mod.rs"],
    );
    assert!(!out.exists());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    refused(
        codegen().args(["generate", "--out"]).arg(&file),
        &["is a file"],
    );
    refused(
        codegen()
            .args(["generate", "--out"])
            .arg(file.join("inside")),
        &["inside"],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

/// A kit's own folders without the SDK's.
#[test]
fn a_kit_without_the_sdk() {
    let root = tiny::kit(TINY.as_bytes());
    fs::remove_dir_all(root.path().join("Include/10.0.22621.0/shared")).unwrap();
    let out = root.path().join("out");
    let generate = || {
        let mut command = codegen();
        command.arg("generate").arg("--wdk").arg(root.path());
        command.arg("--out").arg(&out);
        command
    };
    refused(
        &mut generate(),
        &["ws2def.h was not found", "10.0.22621.0/shared", "--sdk"],
    );
    refused(
        generate().arg("--sdk").arg(root.path().join("Include")),
        &["ws2def.h was not found", "shared"],
    );
    assert!(!out.exists());
    // The SDK's package in a folder of its own.
    let sdk = tempfile::tempdir().unwrap();
    let shared = "c/Include/10.0.26100.0/shared";
    tiny::write(
        sdk.path(),
        &[
            (&format!("{shared}/ntdef.h"), tiny::NTDEF.as_bytes()),
            (&format!("{shared}/sal.h"), tiny::KIT_SAL.as_bytes()),
            (&format!("{shared}/ws2def.h"), b""),
        ],
    );
    output(generate().arg("--sdk").arg(sdk.path()), 0);
    assert!(out.join("records.rs").is_file());
}

/// Packages in neighbouring folders, named by a path that is too short to have their parents.
#[test]
fn packages_are_found_from_a_short_path() {
    let root = tiny::kit(TINY.as_bytes());
    let packages = tempfile::tempdir().unwrap();
    let nuget = packages.path().join("nuget");
    let wdk = nuget.join("Microsoft.Windows.WDK.x64.10.0.22621.1/c");
    let sdk = nuget.join("Microsoft.Windows.SDK.CPP.10.0.22621.1/c/Include/10.0.22621.0");
    fs::create_dir_all(&wdk).unwrap();
    fs::create_dir_all(&sdk).unwrap();
    fs::rename(root.path().join("Include"), wdk.join("Include")).unwrap();
    fs::rename(wdk.join("Include/10.0.22621.0/shared"), sdk.join("shared")).unwrap();
    let generate = |folder: &Path, named: &str| {
        let mut command = codegen();
        command
            .current_dir(folder)
            .args(["generate", "--wdk", named]);
        command.arg("--out").arg(packages.path().join("out"));
        output(&mut command, 0)
    };
    generate(packages.path(), "nuget");
    generate(&nuget, ".");
    generate(&nuget.join("Microsoft.Windows.WDK.x64.10.0.22621.1"), ".");
    generate(&wdk.join("Include/10.0.22621.0/km"), ".");
}

#[test]
fn versions_are_listed_and_chosen() {
    let root = tiny::kit(TINY.as_bytes());
    let include = root.path().join("Include");
    let old = include.join("10.0.14393.0");
    fs::create_dir_all(old.join("km")).unwrap();
    fs::create_dir_all(old.join("shared")).unwrap();
    for (from, to) in [
        ("km/NtDdk.h", "km/ntddk.h"),
        ("km/wsk.h", "km/wsk.h"),
        ("shared/Sal.H", "shared/sal.h"),
        ("shared/NTDEF.h", "shared/ntdef.h"),
        ("shared/ws2def.h", "shared/ws2def.h"),
    ] {
        fs::copy(include.join("10.0.22621.0").join(from), old.join(to)).unwrap();
    }
    let generate = |version: Option<&str>| {
        let out = root.path().join("out");
        let mut command = codegen();
        command
            .arg("generate")
            .arg("--wdk")
            .arg(root.path())
            .arg("--out")
            .arg(&out);
        if let Some(version) = version {
            command.args(["--wdk-version", version]);
        }
        let (_, said) = output(&mut command, 0);
        (said, fs::read_to_string(out.join("constants.rs")).unwrap())
    };
    let (said, newest) = generate(None);
    assert!(
        said.contains("versions found: 10.0.14393.0, 10.0.22621.0")
            && said.contains("reading 10.0.22621.0"),
        "{said}"
    );
    assert!(newest.contains("WSK_TINY_NEWER"));
    // The older kit is for a Windows older than the condition.
    let (_, older) = generate(Some("14393"));
    assert!(older.contains("WSK_TINY_FLAG") && !older.contains("WSK_TINY_NEWER"));
    let (_, error) = output(
        codegen()
            .arg("generate")
            .arg("--wdk")
            .arg(root.path())
            .args(["--wdk-version", "10.0.1.0"]),
        2,
    );
    assert!(
        error.contains("has no version 10.0.1.0; it has 10.0.14393.0, 10.0.22621.0"),
        "{error}"
    );

    let (report, _) = output(
        codegen()
            .arg("diff")
            .arg("--wdk")
            .arg(root.path())
            .args(["14393", "22621"]),
        0,
    );
    for part in [
        "Added:",
        "WSK_TINY_NEWER (constant, wsk.h): compatible",
        "1 added, 0 removed, 0 changed",
        "minor",
    ] {
        assert!(report.contains(part), "{part} not in {report}");
    }
    let (report, _) = output(
        codegen()
            .arg("diff")
            .arg(format!("{}@22621", root.path().display()))
            .arg(format!("{}@14393", root.path().display()))
            .args(["--format", "json"]),
        0,
    );
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["step"], "major");
    assert_eq!(report["changes"][0]["item"], "WSK_TINY_NEWER");
    assert_eq!(report["changes"][0]["how"], "removed");
    let (report, _) = output(
        codegen()
            .args(["diff", "--releases", "--format", "markdown"])
            .arg(root.path()),
        0,
    );
    assert!(
        report.contains("| item") && report.contains("| WSK_TINY_NEWER | - "),
        "{report}"
    );
}

#[test]
fn folders_are_compared_with_what_is_committed() {
    let (report, _) = output(codegen().args(["diff", "committed", "headers"]), 0);
    assert!(report.contains("Semver step: none"), "{report}");
    let changed = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(tiny::shipped()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let text = fs::read_to_string(&path).unwrap().replace(
                "#define WSK_FLAG_WAITALL 0x00000002",
                "#define WSK_FLAG_WAITALL 0x00000004",
            );
            fs::write(changed.path().join(path.file_name().unwrap()), text).unwrap();
        }
    }
    let (report, _) = output(
        codegen()
            .args(["diff", "headers"])
            .arg(changed.path())
            .args(["--format", "markdown"]),
        0,
    );
    for part in [
        "### Changed",
        "**`WSK_FLAG_WAITALL`** (constant, `wsk.h`): breaking",
        "its value: 2, now 4",
        "0 added, 0 removed, 1 changed",
    ] {
        assert!(report.contains(part), "{part} not in {report}");
    }
}

#[test]
fn coverage_of_our_headers_is_whole() {
    let (report, _) = output(codegen().args(["coverage", "--format", "json"]), 0);
    let report: Value = serde_json::from_str(&report).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let row = |name: &str| {
        rows.iter()
            .find(|row| row["name"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(row("_WSK_BUF")["bound"], "struct WSK_BUF");
    assert_eq!(row("PFN_WSK_SEND_TO")["bound"], "callback PFN_WSK_SEND_TO");
    assert_eq!(
        row("WSK_INSPECT_ACTION.WskInspectPend")["bound"],
        "WSK_INSPECT_ACTION::WskInspectPend"
    );
    assert!(
        row("WSKAPI")["reason"]
            .as_str()
            .unwrap()
            .contains("calling convention")
    );
    assert!(row("MAKE_WSK_VERSION")["bound"].is_string());
}

#[test]
fn a_name_that_is_not_bound_is_missing() {
    let headers =
        tiny::headers(format!("{TINY}/// What?\n#define WSK_TINY_RIDDLE (&nothing)\n").as_bytes());
    let (report, _) = output(
        codegen()
            .arg("coverage")
            .arg("--headers")
            .arg(headers.path()),
        1,
    );
    assert!(
        report.contains("WSK_TINY_RIDDLE")
            && report.contains("MISSING")
            && report.contains("1 missing"),
        "{report}"
    );
}

#[test]
fn bindings_that_are_wrong_do_not_verify() {
    let headers = tiny::headers(TINY.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("generated");
    output(
        codegen()
            .arg("generate")
            .arg("--headers")
            .arg(headers.path())
            .arg("--out")
            .arg(&out),
        0,
    );
    let verify = |code| {
        output(
            codegen()
                .arg("verify")
                .arg("--headers")
                .arg(headers.path())
                .arg("--bindings")
                .arg(&out),
            code,
        )
        .0
    };
    assert!(verify(0).contains(" 0 differences"));
    // A member of another type and a constant of another value, without the files' own assertions.
    for (file, from, to) in [
        ("records.rs", "pub b: *mut c_void", "pub b: u32"),
        ("constants.rs", ": u32 = 16", ": u32 = 17"),
        ("layout.rs", "assert!", "let _ = ("),
    ] {
        let path = out.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        let text = text.replace(from, to);
        fs::write(
            path,
            if file == "layout.rs" {
                "\n".to_owned()
            } else {
                text
            },
        )
        .unwrap();
    }
    let report = verify(1);
    for part in [
        "size of WSK_TINY: clang 16, rustc 8",
        "offset of WSK_TINY.b: clang 8, rustc 4",
        "value of WSK_TINY_FLAG: clang 16, rustc 17",
    ] {
        assert!(report.contains(part), "{part} not in {report}");
    }
}
