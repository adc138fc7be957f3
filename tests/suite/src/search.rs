//! What the search of the documentation finds by the names of C: read from the index that rustdoc has written, as the search of the
//! pages reads it.
//!
//! The index is columns of rows. A column says how many of its rows are empty in a bitmap (of the form that is called roaring), and
//! has the others in files, one after the other, each with its length in front. What is searched for is in the column `name`; a row
//! of the column `alias` is the number of the row that the name of this row stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use fs_err as fs;
use roaring::RoaringBitmap;
use serde_json::Value;
use wsk_drivers::toolchain;

use crate::table;

/// What is found by each name that stands for something else.
type Found = BTreeMap<String, BTreeSet<String>>;

/// Every name of the table leads to what stands for it, in the documentation that was made last.
pub(crate) fn finds_the_names_of_c() -> Result<()> {
    let found = read(&toolchain::target_directory().join("doc/search.index"))?;
    let names = table().names;
    let missing = missing(&names, &found);
    ensure!(missing.is_empty(), missing.join("\n"));
    println!("{} names of C lead to what stands for them", names.len());
    Ok(())
}

fn missing(names: &BTreeMap<String, String>, found: &Found) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, to) in names {
        let all = found.get(name);
        if !all.is_some_and(|all| all.contains(to)) {
            missing.push(format!("{name} does not lead to {to}, but to {all:?}"));
        }
    }
    missing
}

fn read(folder: &Path) -> Result<Found> {
    let root = fs::read_to_string(folder.join("root.js"))?;
    let root = quoted(&root, '\'').context("the root of the index has another form")?;
    let root: Value = serde_json::from_str(&root)?;
    let names = column(folder, &root, "name")?;
    let mut found = Found::new();
    for (row, to) in column(folder, &root, "alias")? {
        let name = names.get(&row).context("an alias without a name")?;
        let to = names.get(&to.parse()?).context("an alias of nothing")?;
        found.entry(name.clone()).or_default().insert(to.clone());
    }
    ensure!(!found.is_empty(), "the index has no aliases");
    Ok(found)
}

/// The rows of a column that are not empty, by their numbers.
fn column(folder: &Path, root: &Value, name: &str) -> Result<BTreeMap<u32, String>> {
    let wrong = || format!("the column {name} has another form");
    let part = |key: &str| root[name][key].as_str().with_context(wrong);
    let decoded = |key: &str| BASE64.decode(part(key)?).with_context(wrong);
    let empty = RoaringBitmap::deserialize_from(&decoded("E")?[..])?;
    let mut rows = Vec::new();
    for hash in decoded("H")?.chunks(6) {
        let file = hash.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let file = fs::read_to_string(folder.join(name).join(format!("{file:012x}.js")))?;
        let file = quoted(&file, '"').with_context(wrong)?;
        rows.extend(strings(&file).with_context(wrong)?);
    }
    let (count, _) = number(part("N")?).with_context(wrong)?;
    ensure!(count == rows.len(), wrong());
    let numbers = (0..).filter(|row| !empty.contains(*row));
    Ok(numbers.zip(rows).collect())
}

/// The text between the first and the last quote of a call, which may have escapes.
fn quoted(text: &str, quote: char) -> Option<String> {
    let (start, end) = (text.find(quote)? + 1, text.rfind(quote)?);
    let text = text.get(start..end)?;
    if quote == '"' {
        serde_json::from_str(&format!("\"{text}\"")).ok()
    } else {
        Some(text.replace("\\'", "'").replace("\\\\", "\\"))
    }
}

/// A number of base 16: the low bits of characters, of which the last is one of a higher kind.
fn number(text: &str) -> Option<(usize, &str)> {
    let mut value = 0;
    for (index, byte) in text.bytes().enumerate() {
        value = value << 4 | usize::from(byte & 15);
        if byte >= b'`' {
            return Some((value, text.get(index + 1..)?));
        }
    }
    None
}

/// Strings with their lengths in front. One of the characters from `0` to `?` repeats one of the last sixteen.
fn strings(mut text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut last: Vec<String> = Vec::new();
    while let Some(first) = text.bytes().next() {
        if (b'0'..=b'?').contains(&first) {
            all.push(last.get(usize::from(first - b'0'))?.clone());
            text = &text[1..];
            continue;
        }
        let (length, rest) = number(text)?;
        let (string, rest) = rest.split_at_checked(length)?;
        all.push(string.to_owned());
        last.insert(0, string.to_owned());
        last.truncate(16);
        text = rest;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::{Found, missing, strings};
    use crate::table;

    #[test]
    fn strings_repeat_others() {
        assert_eq!(
            strings("b()b->bNo1"),
            Some(vec!["()".into(), "->".into(), "No".into(), "->".into()])
        );
        // Seventeen letters, and a back reference to them.
        assert_eq!(
            strings("Aaseventeen lettersa!1").unwrap()[2],
            "seventeen letters"
        );
        assert_eq!(strings("z"), None);
        assert_eq!(strings("1"), None);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_told() {
        let names = table().names;
        let leads = |(name, to): (&String, &String)| (name.clone(), [to.clone()].into());
        let mut found: Found = names.iter().map(leads).collect();
        assert!(missing(&names, &found).is_empty());
        found.insert("WskSendTo".to_owned(), ["send".to_owned()].into());
        found.remove("WSK_BUF");
        assert_eq!(
            missing(&names, &found),
            [
                "WSK_BUF does not lead to Extent, but to None",
                "WskSendTo does not lead to send_to, but to Some({\"send\"})"
            ]
        );
    }
}
