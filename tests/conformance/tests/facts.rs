//! Compares `wsk-sys` with the table of facts from a real WDK: every size, alignment, offset, constant, function and callback
//! type. If an item is missing, this does not compile. If a number differs, its row is reported.

use std::mem::offset_of;

use wsk_conformance::facts::{TABLE, disagreements, rows};

/// The measurement of each row in `wsk-sys`, written by the build script.
#[allow(clippy::cast_lossless, clippy::cast_possible_wrap)]
const MEASURED: &[(&str, Option<i128>)] = &include!(concat!(env!("OUT_DIR"), "/measured.rs"));

#[test]
fn every_row_agrees() {
    let wrong = disagreements(TABLE, MEASURED);
    assert!(
        wrong.is_empty(),
        "{} rows disagree:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        MEASURED.len(),
        rows(TABLE).count(),
        "rows measured, and rows in the table"
    );
    assert_eq!(
        rows(TABLE).count(),
        TABLE.trim_end().lines().count() - 1,
        "rows, and lines of the file"
    );
}

#[test]
fn a_doctored_row_is_found() {
    for (row, doctored) in [
        ("size,_IRP,,208", "size,_IRP,,200"),
        ("align,_IRP,,16", "align,_IRP,,8"),
        ("offset,_MDL,ByteCount,40", "offset,_MDL,ByteCount,44"),
        ("const,WSK_FLAG_DRAIN,,4", "const,WSK_FLAG_DRAIN,,-4"),
        ("function,WskRegister,,", "function,WskRegister,,1"),
        (
            "callback,PFN_WSK_SEND_TO,,",
            "callback,PFN_WSK_SEND_TO_ALL,,",
        ),
    ] {
        let table = TABLE.replace(&format!("\n{row}\n"), &format!("\n{doctored}\n"));
        assert_ne!(table, TABLE, "the table has no row `{row}`");
        let wrong = disagreements(&table, MEASURED);
        assert!(
            wrong.iter().any(|line| line.starts_with(doctored)),
            "`{doctored}` passed: {wrong:?}"
        );
    }
    let longer = format!("{TABLE}size,_WSK_NEW,,8\n");
    assert_eq!(
        disagreements(&longer, MEASURED),
        ["size,_WSK_NEW,,8: not measured"]
    );
}
