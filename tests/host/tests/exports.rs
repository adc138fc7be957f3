//! Nothing that `wsk-sys` declares is missing: a driver that links against it finds every symbol here.

use std::collections::BTreeSet;
use std::path::Path;

/// The names of the functions that a file of `wsk-sys` declares, or that the host kernel defines.
fn functions(text: &str, before: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix(before)?.split('(').next())
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
        .collect()
}

#[test]
fn every_declared_function_is_exported() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let declared =
        std::fs::read_to_string(root.join("../../wsk-sys/src/generated/functions.rs")).unwrap();
    let declared = functions(&declared, "pub fn ");
    assert!(
        declared.len() > 60,
        "only {} functions are declared",
        declared.len()
    );
    let mut exported = BTreeSet::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                exported.extend(functions(&text, "fn "));
                exported.extend(functions(&text, "pub(crate) unsafe extern \"system\" fn "));
                exported.extend(functions(&text, "pub(crate) unsafe extern \"C\" fn "));
                // Those with a variable number of arguments.
                exported.extend(text.lines().filter_map(|line| {
                    let (name, _) = line.trim_start().split_once(", dbg_print")?;
                    Some(name.to_owned())
                }));
                // Those that a macro writes for each kind of character.
                let lists = text.split("for_characters!(").skip(1);
                let words = lists.flat_map(|list| {
                    list.split(");")
                        .next()
                        .unwrap_or_default()
                        .split_whitespace()
                });
                exported.extend(words.map(str::to_owned));
            }
        }
    }
    let missing: Vec<&String> = declared.difference(&exported).collect();
    assert!(
        missing.is_empty(),
        "declared by wsk-sys, but not exported: {missing:?}"
    );
}

/// The data that the headers declare, which C code refers to, has a definition here.
#[test]
fn every_declared_object_is_defined() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut declared = BTreeSet::new();
    for file in std::fs::read_dir(root.join("../../headers")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let text = std::fs::read_to_string(path).unwrap();
            declared.extend(text.lines().filter_map(|line| {
                let declaration = line.strip_prefix("extern ")?.strip_suffix(';')?;
                let name = declaration
                    .split('[')
                    .next()?
                    .split([' ', '*'])
                    .next_back()?;
                Some(name.to_owned())
            }));
        }
    }
    assert!(declared.len() >= 10, "only {declared:?} are declared");
    let data = std::fs::read_to_string(root.join("src/data.rs")).unwrap();
    let defined: BTreeSet<String> = data
        .lines()
        .filter_map(|line| Some(line.strip_prefix("    ")?.split_once(": ")?.0.to_owned()))
        .collect();
    let missing: Vec<&String> = declared.difference(&defined).collect();
    assert!(
        missing.is_empty(),
        "declared by the headers, but not defined: {missing:?}"
    );
}
