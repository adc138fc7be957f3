//! The table of facts from a real WDK, and the Rust expressions for its rows. The build script includes this file, too, and turns
//! each row into an expression that measures the same thing in `wsk-sys`.

use std::collections::BTreeMap;

/// The table with its header line.
pub const TABLE: &str = include_str!("../facts/wsk-10.0.19041.0-x86_64.csv");

/// Members of unnamed members. C names them directly, and Rust with their path.
const NESTED: &[(&str, &str, &str)] = &[("IRP", "UserIosb", "Anonymous1.UserIosb")];

/// The rows of a table, without its header line.
pub fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter(|line| !line.is_empty())
}

/// The Rust expression, of type `Option<i128>`, that measures a row. `None` if the row only says that the item exists.
///
/// # Errors
///
/// When the kind of the row is unknown.
pub fn measurement(row: &str) -> Result<String, String> {
    let columns: Vec<&str> = row.split(',').collect();
    let &[kind, item, field, _] = columns.as_slice() else {
        return Err(format!("row `{row}` has no four columns"));
    };
    let record = item.trim_start_matches('_').to_uppercase();
    Ok(match kind {
        "size" => format!("Some(size_of::<wsk_sys::{record}>() as i128)"),
        "align" => format!("Some(align_of::<wsk_sys::{record}>() as i128)"),
        "offset" => {
            let nested = NESTED
                .iter()
                .find(|(of, name, _)| (*of, *name) == (&record, field));
            let path = nested.map_or(field, |(_, _, path)| path);
            format!("Some(offset_of!(wsk_sys::{record}, {path}) as i128)")
        }
        // The table lists a member of an enumeration as the enumeration and the member, which starts with `Wsk`.
        "const" => match item.find("_Wsk") {
            Some(at) => format!(
                "Some(wsk_sys::{}::{}.0 as i128)",
                &item[..at],
                &item[at + 1..]
            ),
            None => format!("Some(wsk_sys::{item} as i128)"),
        },
        "function" => format!("{{ let _ = wsk_sys::{item}; None }}"),
        "callback" => format!("{{ let _: wsk_sys::{item} = None; None }}"),
        _ => return Err(format!("row `{row}` is of an unknown kind")),
    })
}

/// Compares measurements, by row, with a table: rows with another number, rows that were not measured, and measurements of rows
/// that are not in the table.
#[must_use]
pub fn disagreements(table: &str, measured: &[(&str, Option<i128>)]) -> Vec<String> {
    let mut left: BTreeMap<&str, Option<i128>> = measured.iter().copied().collect();
    let mut wrong = Vec::new();
    for row in rows(table) {
        let said = row.rsplit(',').next().unwrap_or_default();
        match left.remove(row) {
            None => wrong.push(format!("{row}: not measured")),
            Some(None) if said.is_empty() => {}
            Some(Some(number)) if said.parse() == Ok(number) => {}
            Some(number) => wrong.push(format!("{row}: wsk-sys has {number:?}")),
        }
    }
    wrong.extend(
        left.keys()
            .map(|row| format!("{row}: measured, but not in the table")),
    );
    wrong
}
