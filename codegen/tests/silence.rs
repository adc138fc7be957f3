//! Headers that add declarations carelessly. The result is right, or the generator refuses the header and says what to do. It is
//! never wrong without an error, and it is never code that does not compile.

#![allow(missing_docs)]

mod tiny;

use tiny::{generate, generate_kit, headers, kit, text};
use wsk_codegen::{Options, Source, coverage, verify};

/// Generates, compiles, and compares with clang's numbers. Returns the text of all files.
#[track_caller]
fn right(wsk: &str) -> String {
    let wsk = format!("#include <ntddk.h>\n{wsk}");
    let folder = headers(wsk.as_bytes());
    let source = Source::headers(folder.path()).unwrap();
    let result = verify::verify(&source, &Options::default()).unwrap();
    assert!(
        result.comparisons.iter().any(|found| found.checks > 0),
        "{result:?}"
    );
    assert_eq!(result.differences(), 0, "{result:?}");
    let covered = coverage::coverage(&source, &Options::default()).unwrap();
    let missing: Vec<_> = covered.missing().collect();
    assert!(missing.is_empty(), "{missing:?}");
    text(&generate(&wsk).unwrap())
}

/// Our headers and a kit with this text are both refused with these words.
#[track_caller]
fn refused(wsk: &str, words: &[&str]) {
    let wsk = format!("#include <ntddk.h>\n{wsk}");
    let root = kit(wsk.as_bytes());
    for error in [
        generate(&wsk).unwrap_err(),
        generate_kit(root.path()).unwrap_err(),
    ] {
        let error = error.to_string();
        for word in words {
            assert!(error.contains(word), "{word} not in {error}");
        }
    }
}

#[test]
fn a_member_without_a_name_that_only_c_has() {
    refused(
        "typedef struct _INNER { ULONG a; ULONG b; } INNER;
         typedef struct _OUTER { INNER; ULONG c; } OUTER;",
        &["OUTER: ", "its size is 12 in C and 4 in C++", "headers"],
    );
}

#[test]
fn members_of_another_width_or_for_one_language_alone() {
    refused(
        "typedef struct _WIDTHS {
         #ifdef __cplusplus
            ULONGLONG a;
         #else
            ULONG a; ULONG unused;
         #endif
         } WIDTHS;",
        &[
            "WIDTHS: ",
            "member a is 4 bytes at 0 in C and 8 bytes at 0 in C++",
        ],
    );
    // The member is in the padding, so that no size reveals it.
    refused(
        "typedef struct _PADDED { ULONGLONG a; UCHAR b;
         #ifndef __cplusplus
            UCHAR hidden;
         #endif
         } PADDED;",
        &["member hidden is 1 bytes at 9 in C and nothing in C++"],
    );
}

#[test]
fn values_and_names_of_one_language_alone() {
    refused(
        "#define WSK_SIZE_OF_A sizeof('a')",
        &["WSK_SIZE_OF_A: its value is 4 in C and 1 in C++"],
    );
    refused(
        "#ifndef __cplusplus\ntypedef struct _ONLY { ULONG a; } ONLY;\n#endif",
        &["ONLY is declared for C alone"],
    );
    refused(
        "#ifdef __cplusplus\ntypedef enum _KIND { A = 1 } KIND;\n#else\ntypedef enum _KIND { A = 2 } KIND;\n#endif",
        &["KIND: member A is 2 in C and 1 in C++"],
    );
    refused(
        "#ifdef __cplusplus
         typedef void (NTAPI *PFN_X)(_In_ ULONGLONG a);
         #else
         typedef void (NTAPI *PFN_X)(_In_ ULONG a);
         #endif",
        &["PFN_X: its signature is (4) -> 0 bytes in C and (8) -> 0 bytes in C++"],
    );
    // The languages disagree on the size of a record without members.
    refused(
        "typedef struct _EMPTY { } EMPTY;
         typedef struct _HOLDER { EMPTY a; ULONG b; } HOLDER;",
        &["EMPTY", "in C++"],
    );
}

/// The types have the same width.
#[test]
fn types_of_another_kind() {
    for (cpp, c, words) in [
        (
            "LONG",
            "ULONG",
            "the type of member a is an unsigned integer in C and a signed integer in C++",
        ),
        (
            "PVOID",
            "ULONGLONG",
            "the type of member a is an unsigned integer in C and a pointer in C++",
        ),
        (
            "double",
            "ULONGLONG",
            "the type of member a is an unsigned integer in C and a floating number in C++",
        ),
    ] {
        let both = |text: &str| {
            format!(
                "#ifdef __cplusplus\n{}\n#else\n{}\n#endif",
                text.replace("TYPE", cpp),
                text.replace("TYPE", c)
            )
        };
        refused(
            &both("typedef struct _S { TYPE a[2]; } S;"),
            &["S: ", words],
        );
        refused(
            &both("typedef NTSTATUS (NTAPI *PFN_S)(TYPE a);"),
            &["PFN_S: its types are (an unsigned integer) -> a signed integer in C and (a"],
        );
    }
}

/// The value is the same. C's type counts.
#[test]
fn a_character_is_an_int_in_c() {
    let all =
        right("/// A mark.\n#define WSK_MARK 'a'\n/// Whether.\n#define WSK_WHETHER (1 == 1)\n");
    assert!(all.contains("pub const WSK_MARK: u32 = 97;"), "{all}");
    assert!(all.contains("pub const WSK_WHETHER: u32 = 1;"), "{all}");
}

#[test]
fn packed_bitfields() {
    let all = right(
        "#pragma pack(push, 1)
         /// One.
         typedef struct _ONE { ULONG a : 2; ULONG b : 4; USHORT f; ULONG g; } ONE;
         /// Two.
         typedef struct _TWO { UCHAR a; ULONGLONG b : 40; USHORT c : 3; UCHAR d; } TWO;
         #pragma pack(pop)",
    );
    assert!(
        all.contains("pub struct ONE { /// `Bitfield1` of the C structure. pub Bitfield1: u32,"),
        "{all}"
    );
}

#[test]
fn bitfields_of_every_kind_of_place() {
    right(
        "/// Behind something smaller.
         typedef struct _BEHIND { UCHAR c; ULONG a : 3; UCHAR d; } BEHIND;
         /// Of several types in a row.
         typedef struct _ROW { ULONG a : 3; UCHAR b : 2; ULONG c : 4; USHORT d : 16; } ROW;
         /// With gaps.
         typedef struct _GAPS { ULONG a : 8; ULONG : 4; ULONG b : 4; ULONG : 0; ULONG c : 4; } GAPS;
         /// In records inside it.
         typedef struct _INSIDE { struct { UCHAR k; ULONG u : 7; }; union { ULONG v : 9; USHORT w; } N; } INSIDE;
         /// Called as Rust's keywords are.
         typedef struct _WORDS { ULONG type : 3; ULONG match : 5; } WORDS;",
    );
}

#[test]
fn packed_and_aligned() {
    let all = right(
        "#pragma pack(push, 4)
         /// Nothing lies closer than it would anyway.
         typedef struct __declspec(align(64)) _FINE { ULONG x; ULONG y; ULONGLONG z; } FINE;
         /// Only packed.
         typedef struct _TIGHT { ULONG x; ULONGLONG z; UCHAR q; } TIGHT;
         #pragma pack(pop)",
    );
    assert!(all.contains("#[repr(C)] #[repr(align(64))]"), "{all}");
    assert!(all.contains("#[repr(C, packed(4))]"), "{all}");
    refused(
        "#pragma pack(push, 4)
         typedef struct __declspec(align(64)) _BOTH { ULONG y; ULONGLONG z; } BOTH;
         #pragma pack(pop)",
        &["BOTH: its layout cannot be written in Rust", "headers"],
    );
    refused(
        "typedef struct __declspec(align(8)) _FAR { ULONG a; } FAR;
         #pragma pack(push, 1)
         typedef struct _AROUND { UCHAR a; FAR b[2]; USHORT c; ULONG d; } AROUND;
         #pragma pack(pop)",
        &["AROUND"],
    );
}

#[test]
fn flexible_arrays_behind_bitfields() {
    right(
        "/// List.\ntypedef struct _LIST { ULONG Count : 30; ULONG More : 2; UCHAR c; ULONGLONG Items[]; } LIST;",
    );
}

/// The report of `diff` for two kits.
fn difference(old: &str, new: &str) -> String {
    let wsk = |text: &str| format!("#include <ntddk.h>\n{text}");
    let (old, new) = (kit(wsk(old).as_bytes()), kit(wsk(new).as_bytes()));
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wsk-codegen"))
        .arg("diff")
        .args([old.path(), new.path()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn what_is_not_bound_is_told_of() {
    let said = difference(
        "#define WSK_OLD(x) ((x) ? 1 : 2)",
        "#define WSK_OLD(x) ((x) ? 3 : 2)
         #define WSK_LOOP(x) do { } while (x)
         #define WSK_HALF 0.5
         __inline ULONG WskTwice(ULONG x) { return x * 2; }
         extern ULONG WskCounter;",
    );
    for part in [
        "WSK_LOOP (not bound, wsk.h)",
        "macro with parameters: (x) do { } while (x)",
        "WSK_HALF (not bound, wsk.h)",
        "macro: 0.5",
        "WskTwice (not bound, wsk.h)",
        "inline function: ",
        "WskCounter (not bound, wsk.h)",
        "variable: unsigned long",
        "WSK_OLD (not bound, wsk.h)",
        "the header says values 3, 3, 3, 3, was values 1, 1, 1, 1",
        "Semver step: none",
    ] {
        assert!(said.contains(part), "{part} not in {said}");
    }
}

#[test]
fn what_is_written_by_hand_is_told_of() {
    let said = difference(
        "extern CONST ULONG NPI_WSK_INTERFACE_ID;
         #define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)((Mj) << 8) | (USHORT)((Mn) & 0xff))",
        "extern CONST USHORT NPI_WSK_INTERFACE_ID;
         #define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)((Mj) << 4) | (USHORT)((Mn) & 0xff))",
    );
    for part in [
        "MAKE_WSK_VERSION (by hand, wsk.h): breaking",
        "the header says values 18",
        "NPI_WSK_INTERFACE_ID (by hand, wsk.h): breaking",
        "look at what is written by hand",
        "major",
    ] {
        assert!(said.contains(part), "{part} not in {said}");
    }
}

#[test]
fn a_parameter_s_name_is_nobody_s_business() {
    let table = |name: &str, count: &str| {
        format!(
            "typedef NTSTATUS (NTAPI *PFN_CALL)(_In_ PVOID {name}, _In_ ULONG {count}, _In_reads_bytes_opt_({count}) PVOID Data);
             typedef struct _WSK_PROVIDER_BASIC_DISPATCH {{ PFN_CALL WskControlSocket; }} WSK_PROVIDER_BASIC_DISPATCH;"
        )
    };
    let said = difference(&table("Socket", "Length"), &table("Handle", "Size"));
    assert!(said.contains("Semver step: patch"), "{said}");
    assert!(
        said.contains("the parameters of WskControlSocket have other names"),
        "{said}"
    );
}
