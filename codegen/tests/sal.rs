//! Annotations that our headers do not have. The generator accepts them if they do not describe the use of a pointer. Otherwise
//! its error names the parameter, the annotation, the line and the remedy.

#![allow(missing_docs)]

mod tiny;

use std::fs;

use tiny::{generate_kit, kit, text};
use wsk_codegen::{Options, corrections};

/// A `wsk.h` with a table of one entry that has these parameters.
fn wsk(parameters: &str) -> String {
    format!(
        "#include <ntddk.h>
        typedef NTSTATUS (NTAPI *PFN_CALL)({parameters});
        typedef struct _WSK_PROVIDER_BASIC_DISPATCH {{ PFN_CALL WskControlSocket; }} WSK_PROVIDER_BASIC_DISPATCH;"
    )
}

/// Lines of a kit's own `sal.h` that are not in ours.
const OF_THE_KIT: &str = "#define _In_tomorrow_\n#define _Tomorrow_(x)\n#define __drv_aliasesMem\n";

fn kit_with(parameters: &str) -> tempfile::TempDir {
    let root = kit(wsk(parameters).as_bytes());
    let sal = root.path().join("Include/10.0.22621.0/shared/Sal.H");
    fs::write(sal, format!("{}{OF_THE_KIT}", tiny::KIT_SAL)).unwrap();
    root
}

#[track_caller]
fn refused(parameters: &str, words: &[&str]) {
    let root = kit_with(parameters);
    let error = generate_kit(root.path()).unwrap_err().to_string();
    for word in [
        "WSK_PROVIDER_BASIC_DISPATCH::WskControlSocket",
        "PFN_CALL",
        "wsk.h:2",
        "--corrections",
    ]
    .iter()
    .chain(words)
    {
        assert!(error.contains(word), "{word} not in {error}");
    }
}

/// The code generated with these corrections.
#[track_caller]
fn corrected(parameters: &str, lines: &str) -> String {
    let root = kit_with(parameters);
    let source = tiny::source(root.path()).unwrap();
    let source = source.with_corrections(corrections::parse(lines).unwrap());
    text(&wsk_codegen::generate(&source, &Options::default()).unwrap()).replace(' ', "")
}

#[test]
fn ordinary_driver_style() {
    let root = kit_with("_Inout_ __drv_aliasesMem PVOID Irp, _In_ struct _TAG *Tagged");
    let all = text(&generate_kit(root.path()).unwrap()).replace(' ', "");
    assert!(all.contains("#[sal(Inout)]Irp:*mutc_void"), "{all}");
}

#[test]
fn an_annotation_of_the_kit_s_own() {
    refused(
        "_In_tomorrow_ PVOID Data",
        &[
            "parameter Data",
            "is annotated _In_tomorrow_, which is not understood",
        ],
    );
    refused(
        "_In_ _Tomorrow_(Length) PVOID Data, _In_ ULONG Length",
        &[
            "parameter Data",
            "is annotated _Tomorrow_(Length), which is not understood",
        ],
    );
}

#[test]
fn none_and_several() {
    refused("PVOID Data", &["parameter Data", "has no SAL annotation"]);
    refused(
        "_In_ _Out_ PVOID Data",
        &["has 2 SAL annotations", "_In_ _Out_"],
    );
}

#[test]
fn corrections_add_replace_and_merge() {
    let added = corrected(
        "PVOID Data",
        "PFN_CALL Data: nothing => _In_opt_  # it may be NULL",
    );
    assert!(added.contains("#[sal(In_opt)]Data"), "{added}");
    let replaced = corrected(
        "_In_tomorrow_ PVOID Data",
        "PFN_CALL Data: _In_tomorrow_ => _Out_  # it is written",
    );
    assert!(replaced.contains("#[sal(Out)]Data"), "{replaced}");
    let merged = corrected(
        "_In_ _Out_ PVOID Data",
        "PFN_CALL Data: _In_ _Out_ => _Inout_  # both",
    );
    assert!(merged.contains("#[sal(Inout)]Data"), "{merged}");
}

#[test]
fn a_correction_that_fits_nothing_is_an_error() {
    let root = kit_with("_In_ PVOID Data");
    for (line, words) in [
        (
            "PFN_CALL Data: _Out_ => _Inout_ # why",
            "expects _Out_ in the header",
        ),
        ("PFN_CALL Other: _In_ => _Inout_ # why", "parameter Other"),
        ("PFN_NONE Data: _In_ => _Inout_ # why", "PFN_NONE"),
    ] {
        let source = tiny::source(root.path()).unwrap();
        let source = source.with_corrections(corrections::parse(line).unwrap());
        let error = wsk_codegen::generate(&source, &Options::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{words} not in {error}");
    }
}

/// The kit's own headers define the annotation as empty, after ours defined it.
#[test]
fn the_level_of_a_kit_s_own_function_is_documented() {
    let root = kit(b"#include <ntddk.h>\n_IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI WskNew(_In_ PVOID Data);\n");
    let version = root.path().join("Include/10.0.22621.0");
    fs::write(
        version.join("shared/kernelspecs.h"),
        "#ifndef KERNELSPECS\n#define KERNELSPECS\n#undef _IRQL_requires_max_\n#define _IRQL_requires_max_(x)\n#endif\n",
    )
    .unwrap();
    fs::write(
        version.join("km/NtDdk.h"),
        "#include <ntdef.h>\n#include <kernelspecs.h>\n",
    )
    .unwrap();
    let all = text(&generate_kit(root.path()).unwrap());
    assert!(
        all.contains("IRQL: `<= DISPATCH_LEVEL`. Header: `wsk.h`, in the kit 10.0.22621.0"),
        "{all}"
    );
}
