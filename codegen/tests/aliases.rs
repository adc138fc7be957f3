//! Readers search the documentation of `wsk` with C names. So each function and table entry of `wsk.h` that `wsk` calls, and each
//! event that it receives, must be the alias of an item.

#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use wsk_codegen::interface::{Interface, Kind};
use wsk_codegen::output;

/// The sources of `wsk`, without their tests and comments.
fn sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wsk/src");
    let mut text = String::new();
    for file in walkdir(&folder) {
        let source = fs::read_to_string(file).unwrap();
        for line in source.lines() {
            let line = line.trim_start();
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            if !line.starts_with("//") {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

fn walkdir(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walkdir(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The names in `doc(alias = "…")` and `doc(alias("…", "…"))`, and those that a macro turns into an alias, which are the last
/// word of a line such as `Name = NAME, "NAME";`.
fn aliases(text: &str) -> BTreeSet<&str> {
    let lists = text.split("doc(alias").skip(1);
    let lists = lists.filter_map(|rest| rest.split_once(")]").map(|(list, _)| list));
    let given = text.lines().filter_map(|line| {
        let (_, name) = line.strip_suffix("\";")?.rsplit_once(", \"")?;
        Some(name)
    });
    lists
        .flat_map(|list| list.split('"').skip(1).step_by(2))
        .chain(given)
        .collect()
}

/// The names of `wsk.h` that code can use, with the form in which code uses each: a method of a typed wrapper, or the C name.
fn names() -> BTreeMap<String, String> {
    let interface = Interface::of_folder(&output::committed().unwrap()).unwrap();
    let mut names = BTreeMap::new();
    for (name, item) in &interface.items {
        match &item.kind {
            Kind::Function(_) if item.header == "wsk.h" => {
                names.insert(name.clone(), format!("{name}("));
            }
            Kind::Record(record) if name.ends_with("_DISPATCH") => {
                let entries = record.members.iter().filter(|member| {
                    let entry = member.entry.as_deref();
                    entry.is_some_and(|entry| entry.contains("entry ="))
                });
                for entry in entries {
                    names.insert(entry.name.clone(), format!("{}(", snake(&entry.name)));
                }
            }
            Kind::Constant { .. } if name.starts_with("SIO_WSK_") => {
                names.insert(name.clone(), name.clone());
            }
            _ => {}
        }
    }
    names
}

/// `wsk_send_to` for `WskSendTo`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, c) in name.char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The names that the sources use without having an alias for them.
fn missing<'n>(names: &'n BTreeMap<String, String>, text: &str) -> Vec<&'n str> {
    let aliases = aliases(text);
    let used = names.iter().filter(|(name, used)| {
        // The wrapper calls it, or the code reads it from the table to call it.
        let read = format!("(*table).{name})");
        text.lines().any(|line| {
            !line.contains("doc(alias") && (line.contains(used.as_str()) || line.contains(&read))
        })
    });
    used.map(|(name, _)| name.as_str())
        .filter(|name| !aliases.contains(name))
        .collect()
}

#[test]
fn every_name_that_wsk_uses_finds_its_safe_item() {
    let (names, text) = (names(), sources());
    for known in [
        "WskRegister",
        "WskSendTo",
        "WskReceiveFromEvent",
        "SIO_WSK_SET_SENDTO_ADDRESS",
    ] {
        assert!(names.contains_key(known), "{known} not in {names:?}");
    }
    assert!(names.len() > 30, "{names:?}");
    assert_eq!(
        missing(&names, &text),
        [""; 0],
        "the items that replace these names have no `#[doc(alias = \"…\")]`"
    );
    let without = text.replace("doc(alias = \"WskSendTo\")", "doc(hidden)");
    assert_eq!(missing(&names, &without), ["WskSendTo"]);
}
