//! Broken or odd headers and kits lead to a clear error or a right result, and never to a panic.

#![allow(missing_docs)]

mod tiny;

use std::fs;

use tiny::{generate, generate_bytes, generate_kit, kit, text};
use wsk_codegen::{Error, Source};

const GOOD: &str = "#include <ntddk.h>\n/// One.\ntypedef struct _WSK_TINY { ULONG a; ULONG b; } WSK_TINY;\n/// Flag.\n#define WSK_TINY_FLAG 0x10\n";

#[track_caller]
fn good(all: &str) {
    for wanted in [
        "pub struct WSK_TINY {",
        "pub a: u32,",
        "pub const WSK_TINY_FLAG: u32 = 16;",
    ] {
        assert!(all.contains(wanted), "{wanted}\nis not in\n{all}");
    }
}

#[track_caller]
fn refused(wsk: &str) -> String {
    let error = generate(wsk).unwrap_err();
    assert!(matches!(error, Error::Parse { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_truncated_header() {
    // A header that is cut anywhere is refused with the line, or gives what is complete before the cut.
    let declaration = GOOD.find("typedef").unwrap();
    for end in [declaration + 20, declaration + 40] {
        let error = refused(&GOOD[..end]);
        assert!(error.contains("the end of the headers"), "{error}");
    }
    for end in (0..GOOD.len()).step_by(7) {
        match generate(&GOOD[..end]) {
            Ok(_) | Err(Error::Parse { .. }) => {}
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
}

#[test]
fn a_header_cut_inside_extern_c() {
    let error = refused(&format!(
        "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n{GOOD}"
    ));
    assert!(error.contains("the end of the headers"), "{error}");
}

#[test]
fn a_header_cut_inside_a_comment_or_a_condition() {
    assert!(refused(&format!("{GOOD}/* and so")).contains("wsk.h:6"));
    assert!(refused(&format!("{GOOD}#if 1\n")).contains("wsk.h:6"));
}

#[test]
fn a_header_with_errors() {
    let error =
        refused("#include <ntddk.h>\ntypedef struct _X { UNKNOWN a; } X;\n#error stop here\n");
    for part in ["wsk.h:2", "UNKNOWN", "stop here"] {
        assert!(error.contains(part), "{part} not in {error}");
    }
}

#[test]
fn a_header_that_includes_one_that_is_missing() {
    let error = generate("#include <ntddk.h>\n#include <nowhere.h>\n").unwrap_err();
    let Error::MissingHeader {
        name,
        wanted_by,
        looked,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(name, "nowhere.h");
    assert!(wanted_by.unwrap().contains("wsk.h:2"));
    assert!(!looked.is_empty());
}

#[test]
fn a_header_that_includes_itself() {
    let error = refused("#include <wsk.h>\n");
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn a_kit_without_wsk() {
    let root = kit(GOOD.as_bytes());
    fs::remove_file(root.path().join("Include/10.0.22621.0/km/wsk.h")).unwrap();
    let error = generate_kit(root.path()).unwrap_err();
    let Error::MissingHeader { name, looked, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(name, "wsk.h");
    assert_eq!(looked, &[root.path().join("Include/10.0.22621.0/km")]);
}

#[test]
fn no_kit_at_all() {
    let root = tempfile::tempdir().unwrap();
    let error = generate_kit(root.path()).unwrap_err();
    assert!(matches!(error, Error::NoKit { .. }), "{error}");
    assert!(generate_kit(&root.path().join("nowhere")).is_err());
    assert!(Source::headers(root.path()).is_err());
}

/// The repository knows the datagram table best. A header without it has other tables.
#[test]
fn a_wsk_h_without_the_datagram_table() {
    let root = kit(GOOD.as_bytes());
    let all = text(&generate_kit(root.path()).unwrap());
    good(&all);
    assert!(!all.contains("DATAGRAM_DISPATCH"));
}

#[cfg(unix)]
#[test]
fn a_loop_of_folders() {
    let root = kit(GOOD.as_bytes());
    let version = root.path().join("Include/10.0.22621.0");
    std::os::unix::fs::symlink(&version, version.join("km/again")).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("Include/loop")).unwrap();
    good(&text(&generate_kit(root.path()).unwrap()));
}

#[test]
fn ten_megabytes_of_comments() {
    let line =
        "// #if NTDDI_VERSION >= NTDDI_WIN10_RS2 and some more words that say nothing at all\n";
    let block = format!("/*\n{}*/\n", "#define NOT_ONE 1\n".repeat(300_000));
    let wsk = format!("{}{block}{GOOD}", line.repeat(60_000));
    assert!(wsk.len() > 10_000_000);
    let all = text(&generate(&wsk).unwrap());
    good(&all);
    assert!(!all.contains("NOT_ONE"));
}

#[test]
fn text_that_is_not_utf_8() {
    let mut wsk = b"// caf\xE9 \xFF\xFE\n".to_vec();
    wsk.extend_from_slice(GOOD.as_bytes());
    wsk.extend_from_slice(b"\n// \xC0\xAF\n#define WSK_MARK /* \xA9 */ 3\n");
    good(&text(&generate_bytes(&wsk).unwrap()));
}

#[test]
fn carriage_returns_and_a_byte_order_mark() {
    let mut wsk = b"\xEF\xBB\xBF".to_vec();
    wsk.extend_from_slice(GOOD.replace('\n', "\r\n").as_bytes());
    let all = text(&generate_bytes(&wsk).unwrap());
    good(&all);
    assert!(
        all.contains("/// One. ///"),
        "the comment must be read to its end, across line ends: {all}"
    );
}

#[test]
fn utf_16() {
    let wsk: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(GOOD.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert!(generate_bytes(&wsk).is_err());
}

#[test]
fn nothing_and_zeros() {
    generate("").unwrap();
    generate_bytes(&[0; 100]).unwrap();
}

#[test]
fn macros_that_are_no_values() {
    let wsk = format!(
        "{GOOD}
        #define OPEN {{
        #define CLOSE }}
        #define HALF (1 +
        #define QUOTE \"
        #define SELF SELF
        #define TYPE ULONG
        #define EMPTY
        #define CALL(x) x(
        #define DIVIDE (1 / 0)
        #define LAST 7\n"
    );
    let all = text(&generate(&wsk).unwrap());
    good(&all);
    for name in [
        "OPEN", "HALF", "QUOTE", "SELF", "TYPE", "EMPTY", "CALL", "DIVIDE",
    ] {
        assert!(!all.contains(&format!("pub const {name}:")), "{name}");
    }
    assert!(
        all.contains("pub const LAST: u32 = 7;"),
        "the macros that follow must still be read"
    );
}

#[test]
fn members_called_as_rust_s_keywords() {
    let wsk = "#include <ntddk.h>\n/// One.\ntypedef struct _WSK_TINY { ULONG type; ULONG match; ULONG fn; } WSK_TINY;\n";
    let all = text(&generate(wsk).unwrap());
    assert!(
        all.contains("match_: u32") || all.contains("r#match: u32"),
        "{all}"
    );
}
