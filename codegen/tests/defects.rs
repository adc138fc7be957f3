//! Mistakes that bindgen alone makes with Windows headers, each on a small header of our own. If a new bindgen changes one of
//! them, the test with its name fails.

#![allow(missing_docs)]

mod tiny;

use std::path::Path;

use tiny::{generate, generate_kit, kit, text};
use wsk_codegen::{Options, Source, coverage, verify};

#[track_caller]
fn has(wsk: &str, wanted: &[&str]) {
    let all = text(&generate(wsk).unwrap());
    for wanted in wanted {
        assert!(all.contains(wanted), "{wanted}\nis not in\n{all}");
    }
}

/// The names that a kit's bindings lack. The names that they have must be right.
#[track_caller]
fn missing_of_right(root: &Path) -> Vec<String> {
    let source = tiny::source(root).unwrap();
    let result = verify::verify(&source, &Options::default()).unwrap();
    assert_eq!(result.differences(), 0, "{result:?}");
    let covered = coverage::coverage(&source, &Options::default()).unwrap();
    covered.missing().map(|name| format!("{name:?}")).collect()
}

#[track_caller]
fn verified(wsk: &str) {
    let folder = tiny::headers(wsk.as_bytes());
    let result = verify::verify(
        &Source::headers(folder.path()).unwrap(),
        &Options::default(),
    )
    .unwrap();
    assert!(
        result
            .comparisons
            .iter()
            .any(|comparison| comparison.checks > 0),
        "{result:?}"
    );
    assert_eq!(result.differences(), 0, "{result:?}");
}

/// In C the anonymous member has no name, and bindgen turns it into padding. Four provider tables begin with such a member.
#[test]
fn anonymous_typedef_member() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _INNER { ULONG a; ULONG b; } INNER;
        /// Two.
        typedef struct _OUTER {
        #ifdef __cplusplus
            INNER Basic;
        #else
            INNER;
        #endif
            ULONG c;
        } OUTER;";
    has(
        wsk,
        &["pub struct OUTER { /// `Basic` of the C structure. pub Basic: INNER,"],
    );
    verified(wsk);
}

/// As in `INET_PORT_RESERVATION_INSTANCE`: the member has no name in C++ either.
#[test]
fn anonymous_struct_member() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _INSTANCE {
            union { struct { USHORT Start; USHORT Count; }; ULONG Both; };
            struct { ULONGLONG Token; } Named;
        } INSTANCE;";
    has(
        wsk,
        &[
            "pub Anonymous1: INSTANCE_Anonymous1,",
            "pub union INSTANCE_Anonymous1",
            "pub struct INSTANCE_Anonymous1_Anonymous1",
            "pub Named: INSTANCE_Named,",
        ],
    );
    verified(wsk);
}

/// bindgen writes no constants for macros that use a function-like macro.
#[test]
fn constants_through_function_like_macros() {
    let wsk = "#include <ntddk.h>
        /// Makes a code.
        #define CODE(x) (0x80000000 | (x << 8))
        /// The code.
        #define THE_CODE CODE(3)
        /// Another.
        #define NEGATIVE (-2)
        /// Wide.
        #define WIDE 0x100000000ULL";
    has(
        wsk,
        &[
            "pub const THE_CODE: u32 = 0x8000_0300;",
            "pub const NEGATIVE: i32 = -2;",
            "pub const WIDE: u64 = 0x0000_0001_0000_0000;",
            "pub const fn CODE(x: u32) -> u32",
        ],
    );
    verified(wsk);
}

#[test]
fn function_like_macros() {
    let wsk = "#include <ntddk.h>
        /// Version from its parts.
        #define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)((Mj) << 8) | (USHORT)((Mn) & 0xff))
        /// Major part.
        #define WSK_MAJOR_VERSION(V) ((UCHAR)((V) >> 8))
        /// No expression.
        #define LOOP(x) do { } while (x)";
    has(
        wsk,
        &[
            "pub const fn MAKE_WSK_VERSION(Mj: u8, Mn: u8) -> u16",
            "pub const fn WSK_MAJOR_VERSION(V: u16) -> u8",
        ],
    );
    assert!(!text(&generate(wsk).unwrap()).contains("LOOP"));
    verified(wsk);
}

#[test]
fn texts() {
    let wsk = "#include <ntddk.h>
        /// Narrow.
        #define NARROW \"a\\n\"
        /// Wide.
        #define WIDE L\"b\"";
    has(
        wsk,
        &[
            "pub const NARROW: &core::ffi::CStr = c\"a\\n\";",
            "pub const WIDE: &[u16; 2usize] = &[98u16, 0u16];",
        ],
    );
}

/// On a Linux host, `long` has 64 bits for bindgen.
#[test]
fn llp64_integers() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _WIDTHS { LONG a; ULONG b; ULONGLONG c; SIZE_T d; ULONG_PTR e; WCHAR f; long long g; CHAR h; } WIDTHS;";
    has(
        wsk,
        &[
            "pub a: i32,",
            "pub b: u32,",
            "pub c: u64,",
            "pub d: usize,",
            "pub e: usize,",
            "pub f: u16,",
            "pub g: i64,",
            "pub h: i8,",
        ],
    );
    verified(wsk);
}

/// bindgen puts bitfields into a type of its own, whose alignment differs from that of C's integer.
#[test]
fn bitfields() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _BITS { ULONG Low : 28; ULONG High : 4; USHORT Next; UCHAR a : 1; UCHAR b : 7; ULONGLONG Wide : 40; ULONGLONG Rest : 24; } BITS;
        /// Two.
        typedef struct _ODD { ULONG a : 3; ULONG b : 14; UCHAR c; ULONG d : 20; } ODD;
        /// Three.
        typedef struct _WHOLE { ULONGLONG All : 64; } WHOLE;";
    has(
        wsk,
        &[
            "pub Bitfield1: u32,",
            "pub const fn Low(&self) -> u32 { self.Bitfield1 & 0xFFF_FFFF }",
            "pub const fn High(&self) -> u32 { (self.Bitfield1 >> 28) & 0xF }",
            "pub const fn set_High(&mut self, value: u32)",
            // Each in an integer of the declared type.
            "pub Bitfield2: u8,",
            "pub Bitfield3: u64,",
            "pub const fn Wide(&self) -> u64 { self.Bitfield3 & 0xFF_FFFF_FFFF }",
            "pub struct ODD { /// `Bitfield1` of the C structure. pub Bitfield1: u32, /// `c` of the C structure. pub c: u8,",
            "pub const fn All(&self) -> u64 { self.Bitfield1 & 0xFFFF_FFFF_FFFF_FFFF }",
        ],
    );
    verified(wsk);
}

#[test]
fn flexible_arrays() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _LIST { ULONG Count; USHORT Items[]; } LIST;
        /// Two.
        typedef struct _OLD { ULONG Count; ULONG Items[1]; } OLD;";
    has(wsk, &["pub Items: [u16; 0],", "pub Items: [u32; 1usize],"]);
    verified(wsk);
}

#[test]
fn forward_declared_structures() {
    let wsk = "#include <ntddk.h>
        /// Never defined.
        typedef struct _LATER LATER, *PLATER;
        struct _NEVER;
        /// One.
        typedef struct _HOLDER { PLATER a; struct _NEVER *b; } HOLDER;";
    has(
        wsk,
        &[
            "pub struct LATER { _unused: [u8; 0], }",
            "pub a: *mut LATER,",
            "pub struct NEVER { _unused: [u8; 0], }",
            "pub b: *mut NEVER,",
        ],
    );
    verified(wsk);
}

/// Only 32-bit Windows distinguishes `__stdcall` from other calling conventions. Rust's `system` covers both.
#[test]
fn stdcall() {
    let wsk = "#include <ntddk.h>
        #ifdef __cplusplus
        extern \"C\" {
        #endif
        /// Calls back.
        typedef NTSTATUS (NTAPI *PFN_BACK)(_In_ ULONG Value, _In_opt_ PVOID Context);
        /// Does.
        NTSTATUS NTAPI Does(_In_ PFN_BACK Back);
        #ifdef __cplusplus
        }
        #endif";
    has(
        wsk,
        &[
            "unsafe extern \"system\" fn(Value: u32, Context: *mut c_void) -> NTSTATUS>;",
            "pub fn Does(Back: PFN_BACK) -> NTSTATUS;",
            "unsafe extern \"system\" {",
        ],
    );
}

#[test]
fn tags_give_way_to_typedef_names() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _NODE { struct _NODE *Next; } NODE, *PNODE;
        /// Two.
        typedef enum _KIND { KindOne, KindTwo = 7 } KIND;";
    has(
        wsk,
        &[
            "#[doc(alias = \"_NODE\")]",
            "pub Next: *mut NODE,",
            "pub type PNODE = *mut NODE;",
            "pub struct KIND(pub i32);",
            "pub const KindTwo: Self = Self(7);",
        ],
    );
    verified(wsk);
}

/// A kit's inline functions are written for Microsoft's compiler, and those of a later kit for a later version of it.
#[test]
fn intrinsics_that_clang_does_not_have() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _ONE { ULONG a; } ONE;
        __forceinline ULONG Inline(ULONG x) { __of_tomorrow_too(); return (ULONG)__of_tomorrow(x, &x); }";
    has(wsk, &["pub struct ONE {"]);
    verified(wsk);
    let wrong = wsk.replace("ULONG a;", "UNKNOWN a;");
    assert!(generate(&wrong).is_err());
}

/// bindgen's newtypes print as numbers. If two members have the same value, ours print the first one's name.
#[test]
fn enumerations_print_their_names() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef enum _KIND { KindLeast = -1, KindOne, KindFirst = 0, KindTwo = 7 } KIND;";
    has(
        wsk,
        &[
            "impl core::fmt::Debug for KIND {",
            "-1 => \"KindLeast\", 0 => \"KindOne\", 7 => \"KindTwo\", other =>",
        ],
    );
    verified(wsk);
}

#[test]
fn members_of_enumerations_without_a_name_are_constants() {
    let wsk = "#include <ntddk.h>
        enum {
            /// The first.
            FIRST = 3,
            /// The second.
            SECOND
        };";
    has(
        wsk,
        &["pub const FIRST: u32 = 3;", "pub const SECOND: u32 = 4;"],
    );
    verified(wsk);
}

/// If only one architecture has a member, each architecture has its own record.
#[test]
fn architectures_that_differ() {
    let wsk = "#include <ntddk.h>
        /// One.
        typedef struct _PER {
        #ifdef _ARM64_
            ULONG More;
        #endif
            ULONG Same;
        } PER;
        #ifdef _ARM64_
        /// The page.
        #define PAGES 2
        #else
        /// The page.
        #define PAGES 1
        #endif";
    has(
        wsk,
        &[
            "pub const PAGES: u32 = 1; #[cfg(target_arch = \"aarch64\")]",
            "pub More: u32,",
        ],
    );
    verified(wsk);
}

/// The comparison includes declarations that our own headers have too, and those named by a typedef.
#[test]
fn what_every_source_knows_may_differ() {
    let wsk = "#include <ntddk.h>
        #ifdef _ARM64_
        typedef enum _WSK_KIND { WskOne = 2 } WSK_KIND;
        typedef struct _WSK_BUF { ULONG More; ULONG Same; } WSK_BUF;
        #else
        typedef enum _WSK_KIND { WskOne = 1 } WSK_KIND;
        typedef struct _WSK_BUF { ULONG Same; } WSK_BUF;
        #endif\n";
    let ours = wsk.replace("typedef", "/// Words.\ntypedef");
    let ours = ours.replace("ULONG ", "/// Words.\nULONG ");
    let root = kit(wsk.as_bytes());
    for all in [
        text(&generate_kit(root.path()).unwrap()),
        text(&generate(&ours).unwrap()),
    ] {
        for part in [
            "pub const WskOne: Self = Self(1);",
            "pub const WskOne: Self = Self(2);",
            "pub More: u32,",
        ] {
            assert!(all.contains(part), "{part} not in {all}");
        }
    }
}

/// Words that Rust does not allow as names, not even after `r#`.
#[test]
fn words_of_rust_are_names_in_c() {
    let wsk = b"#include <ntddk.h>
        typedef struct _WSK_WORDS { ULONG self; ULONG crate; ULONG match; ULONG super : 3; ULONG fn : 5; } WSK_WORDS;
        NTSTATUS NTAPI WskWords(_In_ ULONG self, _In_ ULONG loop, _In_ ULONG Self);\n";
    let root = kit(wsk);
    let all = text(&generate_kit(root.path()).unwrap());
    for part in [
        "pub self_: u32,",
        "pub crate_: u32,",
        "pub match_: u32,",
        "pub const fn super_(&self)",
        "pub fn WskWords(self_: u32, r#loop: u32, Self_: u32) -> NTSTATUS;",
    ] {
        assert!(all.contains(part), "{part} not in {all}");
    }
    let missing = missing_of_right(root.path());
    assert_eq!(missing, [""; 0]);
}

/// The DDK's way to declare callbacks: first the function, then a pointer to it.
#[test]
fn a_callback_may_be_a_pointer_to_a_typedef() {
    let wsk = b"#include <ntddk.h>
        typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS (NTAPI WSK_CALL)(_In_ PVOID Socket, _Reserved_ ULONG Flags);
        typedef WSK_CALL *PFN_CALL;
        typedef struct _WSK_PROVIDER_TINY_DISPATCH { PFN_CALL First; } WSK_PROVIDER_TINY_DISPATCH;";
    let root = kit(wsk);
    let all = text(&generate_kit(root.path()).unwrap()).replace(' ', "");
    let entry = "irql=\"<=DISPATCH_LEVEL\",entry=fn(#[sal(In)]Socket:*mutc_void,#[sal(Reserved)]Flags:u32,)->NTSTATUS";
    assert!(all.contains(entry), "{all}");
}

/// Without a typedef the tag is the name, both of the binding and in its documentation.
#[test]
fn a_tag_alone_is_a_name() {
    let wsk = b"#include <ntddk.h>
        enum _WSK_KIND { WskOne = 3 };
        struct _WSK_ALONE { ULONG a; enum _WSK_KIND Kind; };
        typedef struct _WSK_POINTED_AT *PWSK_POINTED_AT;
        static const ULONG WskConstant = 5;\n";
    let root = kit(wsk);
    let all = text(&generate_kit(root.path()).unwrap());
    for part in [
        "pub struct _WSK_ALONE {",
        "pub Kind: _WSK_KIND,",
        "pub struct _WSK_KIND(pub i32);",
        "/// `_WSK_ALONE` of `wsk.h`. /// /// Header: `wsk.h`",
    ] {
        assert!(all.contains(part), "{part} not in {all}");
    }
    let missing = missing_of_right(root.path());
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].contains("WskConstant"), "{missing:?}");
}

/// The comparison includes the members of unnamed records.
#[test]
fn members_of_unnamed_records_may_differ() {
    let root = kit(b"#include <ntddk.h>\n");
    let ntddk = root.path().join("Include/10.0.22621.0/km/NtDdk.h");
    let block = "typedef struct _IO_STATUS_BLOCK {
        #ifdef _ARM64_
            union { struct { ULONG More; NTSTATUS Status; }; PVOID Pointer; };
        #else
            union { NTSTATUS Status; PVOID Pointer; };
        #endif
            ULONG_PTR Information;
        } IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;\n";
    std::fs::write(ntddk, format!("#pragma once\n{}{block}", tiny::NTDDK)).unwrap();
    let source = tiny::source(root.path()).unwrap();
    let result = verify::verify(&source, &Options::default()).unwrap();
    assert_eq!(result.differences(), 0, "{result:?}");
    let all = text(&generate_kit(root.path()).unwrap());
    assert!(all.contains("target_arch = \"aarch64\""), "{all}");
}

/// For a kit as for our own headers, the header that declares a function decides on its module, or the function's name does.
#[test]
fn functions_are_imported_from_the_module_that_exports_them() {
    let root = kit(b"#include <ntddk.h>\nNTSTATUS NTAPI WskNew(_In_ PVOID Data);\n");
    let ntddk = "#pragma once
        #include <ntdef.h>
        typedef union _LARGE_INTEGER { LONGLONG QuadPart; } LARGE_INTEGER, *PLARGE_INTEGER;
        LARGE_INTEGER NTAPI KeQueryPerformanceCounter(PLARGE_INTEGER PerformanceFrequency);
        VOID NTAPI KeEnterCriticalRegion(VOID);
        VOID NTAPI NotOurs(VOID);\n";
    let ntddk = ntddk.replace("LONGLONG", "long long");
    let path = root.path().join("Include/10.0.22621.0/km/NtDdk.h");
    std::fs::write(path, ntddk).unwrap();
    let ours = wsk_codegen::generate(&Source::ours().unwrap(), &Options::default()).unwrap();
    let theirs = generate_kit(root.path()).unwrap();
    let tellers = ["DbgPrint", "DbgPrintEx"].as_slice();
    for (output, network, of_c) in [(&ours, "WskRegister", tellers), (&theirs, "WskNew", &[])] {
        let file = output.files().find(|(name, _)| *name == "functions.rs");
        let (_, text) = file.unwrap();
        let functions = |module: &str, abi: &str| {
            let of_module = format!("name = \"{module}\"");
            let blocks = text.split(&of_module).skip(1);
            let blocks = blocks.map(|rest| rest.split("\n}\n").next().unwrap());
            let called = format!("extern \"{abi}\"");
            let mut blocks = blocks.filter(|block| block.contains(&called));
            let block = blocks.next().unwrap_or_default();
            assert_eq!(blocks.next(), None, "{module} has two blocks of {abi}");
            let names = block.split("pub fn ").skip(1);
            let names = names.map(|rest| rest.split('(').next().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            functions("hal.dll", "system"),
            ["KeQueryPerformanceCounter"]
        );
        let of_netio = functions("netio.sys", "system");
        assert!(of_netio.iter().any(|name| name == network));
        let of_kernel = functions("ntoskrnl.exe", "system");
        assert!(of_kernel.iter().any(|name| name == "KeEnterCriticalRegion"));
        // Variadic functions use C's calling convention.
        assert!(!of_kernel.iter().any(|name| name.starts_with("DbgPrint")));
        assert_eq!(functions("ntoskrnl.exe", "C"), of_c);
        assert!(!text.contains("NotOurs"));
    }
}

/// An item of one architecture is under that architecture's condition, and so are the items that only it uses. This holds if the
/// other architecture has another item, so that bindgen runs for each, and if it lacks the item, so that one run serves both.
#[test]
fn what_one_architecture_has_alone() {
    let first = "#include <ntddk.h>
        typedef struct _WSK_BOTH { ULONG a; } WSK_BOTH;
        NTSTATUS NTAPI WskBoth(_In_ WSK_BOTH *Both);
        #ifndef _ARM64_
        NTSTATUS NTAPI WskFirst(_In_ WSK_BOTH *Both, _In_ struct _WSK_FIRST *First);
        #endif\n";
    let second = "#ifdef _ARM64_
        typedef struct _WSK_SECOND { ULONG b; } WSK_SECOND;
        NTSTATUS NTAPI WskSecond(_In_ WSK_SECOND *Second);
        #endif\n";
    let of_first = [
        ("functions.rs", "fn WskBoth", None),
        ("functions.rs", "fn WskFirst", Some("x86_64")),
        ("records.rs", "struct WSK_BOTH", None),
        ("records.rs", "struct WSK_FIRST", Some("x86_64")),
    ];
    let of_second = [
        ("functions.rs", "fn WskSecond", Some("aarch64")),
        ("records.rs", "struct WSK_SECOND", Some("aarch64")),
    ];
    for (wsk, items) in [
        (first.to_owned(), of_first.to_vec()),
        (
            format!("{first}{second}"),
            [of_first.as_slice(), &of_second].concat(),
        ),
    ] {
        let root = kit(wsk.as_bytes());
        let source = tiny::source(root.path()).unwrap();
        let result = verify::verify(&source, &Options::default()).unwrap();
        assert_eq!(result.differences(), 0, "{result:?}");
        let output = generate_kit(root.path()).unwrap();
        for (file, item, arch) in items {
            let (_, text) = output.files().find(|(name, _)| *name == file).unwrap();
            assert!(text.contains(item), "{item} not in {text}");
            let before = text.split(item).next().unwrap();
            // The lines of one item contain no blank line.
            let own = before.rsplit("\n\n").next().unwrap();
            let found = own.split("target_arch = \"").nth(1);
            let found = found.and_then(|rest| rest.split('"').next());
            assert_eq!(found, arch, "{item} in {text}");
        }
    }
}

#[test]
fn a_condition_becomes_the_entry_s_first_release() {
    let wsk = "#include <ntddk.h>
        #define NTDDI_WIN10_RS2 0x0A000003
        /// Calls.
        typedef NTSTATUS (NTAPI *PFN_CALL)(_In_ PVOID Socket, _Reserved_ ULONG Flags);
        /// Table.
        typedef struct _WSK_PROVIDER_BASIC_DISPATCH {
            PFN_CALL WskControlSocket;
        #if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
            PFN_CALL Second;
        #endif
        } WSK_PROVIDER_BASIC_DISPATCH;";
    let all = text(&generate(wsk).unwrap()).replace(' ', "");
    assert!(
        all.contains(
            "dispatch(since=0x0600_0000,entry=fn(#[sal(In)]Socket:*mutc_void,#[sal(Reserved)]Flags:u32,)->NTSTATUS)"
        ),
        "{all}"
    );
    assert!(
        all.contains("dispatch(since=0x0A00_0003,entry=fn("),
        "{all}"
    );
    assert!(
        all.contains("From`NTDDI_WIN10_RS2`on:thetablesofolderprovidersendbeforeit."),
        "{all}"
    );
}

#[test]
fn an_annotation_that_is_not_understood_is_an_error() {
    let wsk = "#include <ntddk.h>
        /// Calls.
        typedef NTSTATUS (NTAPI *PFN_CALL)(SAL PVOID Socket);
        /// Table.
        typedef struct _WSK_PROVIDER_TINY_DISPATCH { PFN_CALL First; } WSK_PROVIDER_TINY_DISPATCH;";
    for (sal, problem) in [
        ("", "no SAL annotation"),
        ("_In_z_", "_In_z_"),
        ("_In_ _Out_", "2 SAL annotations"),
    ] {
        let error = generate(&wsk.replace("SAL", sal)).unwrap_err().to_string();
        assert!(
            error.contains("WSK_PROVIDER_TINY_DISPATCH::First") && error.contains("Socket"),
            "{error}"
        );
        assert!(error.contains(problem), "{error}");
    }
}

/// The kit's own SAL defines every annotation as empty. Ours is read nevertheless.
#[test]
fn a_kit_s_annotations_are_read() {
    let wsk = b"#include <NTDDK.H>
        typedef NTSTATUS (NTAPI *PFN_CALL)(_In_ PVOID Socket, _In_reads_bytes_opt_(Length) PVOID Data, _In_ ULONG Length);
        typedef struct _WSK_PROVIDER_TINY_DISPATCH { PFN_CALL First; } WSK_PROVIDER_TINY_DISPATCH;";
    let root = kit(wsk);
    let all = text(&generate_kit(root.path()).unwrap()).replace(' ', "");
    assert!(
        all.contains("#[sal(In_reads_bytes_opt(Length))]Data:*mutc_void"),
        "{all}"
    );
}

#[test]
fn a_kit_s_comments_are_not_ours() {
    let wsk = b"#include <ntddk.h>
        /// The words of somebody else.
        typedef struct _WSK_TINY { /** Theirs. */ ULONG a; } WSK_TINY;
        /// And these.
        #define WSK_TINY_FLAG 1";
    let root = kit(wsk);
    let all = text(&generate_kit(root.path()).unwrap());
    assert!(
        all.contains("pub struct WSK_TINY") && all.contains("WSK_TINY_FLAG"),
        "{all}"
    );
    for words in ["words of somebody", "Theirs", "And these"] {
        assert!(!all.contains(words), "{words}");
    }
}
