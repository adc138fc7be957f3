//! Runs the checks of the fuzz target on texts that look like headers. No reader panics, and each check holds.

#![allow(missing_docs)]

use proptest::prelude::*;

/// Pieces of headers, complete and cut.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "#if ",
        "#ifdef X",
        "#elif ",
        "#else",
        "#endif",
        "#define A",
        "#define F(a, b) ",
        "NTDDI_VERSION",
        " >= ",
        " < ",
        "NTDDI_WIN8",
        "0x0A000003",
        "_WIN32_WINNT",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "\n",
        "\r\n",
        "\\\n",
        "//",
        "/*",
        "*/",
        "\"",
        "\\\"",
        "'",
        "((USHORT)",
        "a",
        " << ",
        " | ",
        "~",
        "1u",
        "0x",
        "_In_reads_(",
        "_In_",
        "*",
        ",",
        "\u{FEFF}",
        "é",
        "pub const X: u32 = 1;",
        "const _: () = { assert!(size_of::<X>() == 1); };",
        "/// Header: `wsk.h`.",
        "pub struct S(",
    ];
    prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_like_headers(pieces in prop::collection::vec(piece(), 0..40)) {
        wsk_codegen::fuzz::text(pieces.concat().as_bytes());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        wsk_codegen::fuzz::text(&bytes);
    }

    #[test]
    fn our_own_headers_cut_anywhere(start in 0..60_000_usize, length in 0..3_000_usize, mark in any::<u8>()) {
        let header = include_bytes!("../../headers/wsk.h");
        let start = start.min(header.len());
        let mut cut = header[start..header.len().min(start + length)].to_vec();
        if let Some(byte) = cut.get_mut(length / 2) {
            *byte = mark;
        }
        wsk_codegen::fuzz::text(&cut);
    }
}
