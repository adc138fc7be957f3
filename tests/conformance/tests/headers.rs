//! The headers compile as C and as C++, for both Windows targets and for the host, for every Windows that changes them, without a
//! warning, together and each on its own. They use nothing of a C library.

use std::path::PathBuf;
use std::process::Command;

use wsk_conformance::{clang, declared::headers};

const TARGETS: &[Option<&str>] = &[
    Some("x86_64-pc-windows-msvc"),
    Some("aarch64-pc-windows-msvc"),
    None,
];
const LANGUAGES: &[[&str; 2]] = &[["c", "c11"], ["c++", "c++17"]];
const RELEASES: &[&str] = &[
    "NTDDI_WIN7",
    "NTDDI_WIN8",
    "NTDDI_WIN10_RS1",
    "NTDDI_WIN10_RS2",
    "WDK_NTDDI_VERSION",
];

/// Compiles a text without output. Returns clang's messages if it fails.
fn compile(
    target: Option<&str>,
    [language, standard]: [&str; 2],
    release: &str,
    text: &str,
) -> Result<(), String> {
    let clang = clang().expect(
        "install clang, 16 or newer (Debian: `apt-get install clang-19`), or set WSK_CLANG",
    );
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join(format!("text.{language}"));
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(clang);
    command.args([
        "-fsyntax-only",
        "-nostdinc",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-x",
        language,
    ]);
    command
        .arg(format!("-std={standard}"))
        .arg("-I")
        .arg(headers());
    command.arg(format!("-DNTDDI_VERSION={release}"));
    if let Some(target) = target {
        command.arg(format!("--target={target}"));
    }
    let output = command.arg(&file).output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Compiles a text in every language, for every target and release.
fn compile_everywhere(text: &str) {
    compile_at(RELEASES, text);
}

/// Compiles a text in every language and for every target, for some releases.
fn compile_at(releases: &[&str], text: &str) {
    for &target in TARGETS {
        for &language in LANGUAGES {
            for release in releases {
                if let Err(problem) = compile(target, language, release, text) {
                    panic!("{target:?} {language:?} {release}\n{text}\n{problem}");
                }
            }
        }
    }
}

#[test]
fn together_in_either_order() {
    compile_everywhere("#include <ntddk.h>\n#include <wsk.h>\n");
    compile_everywhere("#include <wsk.h>\n#include <ntddk.h>\n");
}

#[test]
fn each_alone() {
    for entry in std::fs::read_dir(headers()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let name = path.file_name().unwrap().to_string_lossy();
            let text = format!("#include <sdkddkver.h>\n#include <{name}>\n");
            compile_at(&["WDK_NTDDI_VERSION"], &text);
        }
    }
}

#[test]
fn a_driver_in_c() {
    compile_everywhere(
        "#include <ntddk.h>\n#include <wsk.h>\n\
         static IO_COMPLETION_ROUTINE Done;\n\
         static NTSTATUS Done(PDEVICE_OBJECT Device, PIRP Irp, PVOID Event)\n\
         {\n\
             UNREFERENCED_PARAMETER(Device);\n\
             if (Irp->PendingReturned) {\n\
                 KeSetEvent((PKEVENT)Event, IO_NO_INCREMENT, FALSE);\n\
             }\n\
             return STATUS_MORE_PROCESSING_REQUIRED;\n\
         }\n\
         NTSTATUS Send(PWSK_SOCKET Socket, PWSK_BUF Buffer, PSOCKADDR To, PIRP Irp, PKEVENT Event)\n\
         {\n\
             const WSK_PROVIDER_DATAGRAM_DISPATCH *Table = (const WSK_PROVIDER_DATAGRAM_DISPATCH *)Socket->Dispatch;\n\
             IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);\n\
             IoSetCompletionRoutine(Irp, Done, Event, TRUE, TRUE, TRUE);\n\
             return Table->WskSendTo(Socket, Buffer, 0, To, 0, NULL, Irp);\n\
         }\n",
    );
}

#[test]
fn a_driver_in_c_that_waits_for_a_handle_and_copies_a_string() {
    compile_everywhere(
        "#include <ntifs.h>\n#include <wsk.h>\n\
         NTSTATUS Last(HANDLE Thread, char *Text);\n\
         NTSTATUS Last(HANDLE Thread, char *Text)\n\
         {\n\
             strcat(strncpy(strcpy(Text, \"ended\"), \"E\", 1), \"\\n\");\n\
             return ZwWaitForSingleObject(Thread, FALSE, NULL);\n\
         }\n",
    );
}

#[test]
fn a_driver_in_c_that_catches_exceptions() {
    compile_everywhere(
        "#include <ntddk.h>\n\
         NTSTATUS Lock(PMDL Mdl);\n\
         NTSTATUS Lock(PMDL Mdl)\n\
         {\n\
             NTSTATUS Status = STATUS_SUCCESS;\n\
             __try {\n\
                 MmProbeAndLockPages(Mdl, KernelMode, IoReadAccess);\n\
             } __except (EXCEPTION_EXECUTE_HANDLER) {\n\
                 Status = GetExceptionCode();\n\
             }\n\
             return Status;\n\
         }\n",
    );
}

#[test]
fn a_driver_in_c_with_sequenced_lists() {
    // With the documented names, which take a lock that is no longer used.
    compile_everywhere(
        "#include <ntddk.h>\n\
         static SLIST_HEADER Packets;\n\
         KSPIN_LOCK Lock;\n\
         PSLIST_ENTRY Exchange(PSLIST_ENTRY Packet);\n\
         PSLIST_ENTRY Exchange(PSLIST_ENTRY Packet)\n\
         {\n\
             ExInitializeSListHead(&Packets);\n\
             ExInterlockedPushEntrySList(&Packets, Packet, &Lock);\n\
             if (ExQueryDepthSList(&Packets) > 1) {\n\
                 return ExInterlockedFlushSList(&Packets);\n\
             }\n\
             return ExInterlockedPopEntrySList(&Packets, &Lock);\n\
         }\n",
    );
}

#[test]
fn what_is_wrong_is_refused() {
    let fails = |target, language, text: &str, why: &str| {
        let problem = compile(target, language, "WDK_NTDDI_VERSION", text).expect_err(why);
        assert!(problem.contains(why), "{problem}");
    };
    for &language in LANGUAGES {
        fails(
            Some("i686-pc-windows-msvc"),
            language,
            "#include <wsk.h>\n",
            "64-bit Windows only",
        );
        fails(
            None,
            language,
            "#include <wsk.h>\nWSK_NO_SUCH_TYPE *Nothing;\n",
            "WSK_NO_SUCH_TYPE",
        );
        fails(
            None,
            language,
            "#include <wsk.h>\nstatic int Unused;\n",
            "unused",
        );
    }
}

#[test]
fn wide_literals_that_are_not_utf_16_are_refused() {
    let texts = [
        "#include <ntddk.h>\nUSHORT Length(VOID) { DECLARE_CONST_UNICODE_STRING(Name, L\"name\"); return Name.Length; }\n",
        "#include <ntddk.h>\nUNICODE_STRING Name = RTL_CONSTANT_STRING(L\"name\");\n",
        "#include <ntddk.h>\nVOID Init(PUNICODE_STRING Name) { RtlInitUnicodeString(Name, L\"name\"); }\n",
    ];
    for text in texts {
        for &language in LANGUAGES {
            let problem = compile(None, language, "WDK_NTDDI_VERSION", text)
                .expect_err("wide characters of the host have 32 bits");
            let by_type = language[0] == "c++" && problem.contains("no matching function");
            assert!(
                problem.contains("compile with -fshort-wchar") || by_type,
                "{problem}"
            );
            // UTF-16 strings, and empty ones, are accepted.
            for right in ["u\"name\"", "NULL"] {
                let text = text.replace("L\"name\"", right);
                if right == "NULL" && !text.contains("RtlInit") {
                    continue;
                }
                assert_eq!(
                    compile(None, language, "WDK_NTDDI_VERSION", &text),
                    Ok(()),
                    "{text}"
                );
            }
            assert_eq!(
                compile(
                    Some("x86_64-pc-windows-msvc"),
                    language,
                    "WDK_NTDDI_VERSION",
                    text
                ),
                Ok(()),
                "{text}"
            );
        }
    }
    // Strings of bytes, too.
    compile_everywhere("#include <ntddk.h>\nANSI_STRING Name = RTL_CONSTANT_STRING(\"name\");\n");
}

#[test]
fn older_windows_have_less() {
    // The kit's headers have each of these from the second release on, and not in the first, the release before it.
    for (text, before, since) in [
        ("PFN_WSK_SEND_MESSAGES Entry;", "NTDDI_WIN7", "NTDDI_WIN8"),
        (
            "PFN_WSK_LISTEN Entry;",
            "NTDDI_WIN10_RS1",
            "NTDDI_WIN10_RS2",
        ),
        (
            "WSK_PROVIDER_STREAM_DISPATCH Table;",
            "NTDDI_WIN10_RS1",
            "NTDDI_WIN10_RS2",
        ),
        (
            "int Size = sizeof(ExAllocatePool2(0, 0, 0));",
            "NTDDI_WIN10_19H1",
            "NTDDI_WIN10_VB",
        ),
    ] {
        let text = format!("#include <ntddk.h>\n#include <wsk.h>\n{text}\n");
        for &language in LANGUAGES {
            assert_eq!(
                compile(None, language, since, &text),
                Ok(()),
                "{text} is missing at {since}"
            );
            assert!(
                compile(None, language, before, &text).is_err(),
                "{text} exists at {before}"
            );
        }
    }
}
