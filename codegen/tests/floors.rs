//! The passes of the generator are folders, in the order in which they run. No file imports from a later pass, and no files
//! import each other in a circle. The imports are read from the `use`s and paths in the sources.

#![allow(missing_docs)]

mod imports;

use std::collections::BTreeMap;

use imports::{Imports, Module, imports, modules};

/// The folders, in the order in which the passes run. Files beside the folders come before all passes, except those below.
const PASSES: [&str; 6] = ["find", "read", "bind", "emit", "check", "update"];

/// The files beside the folders that come after all passes.
const ABOVE: [&str; 4] = ["lib", "main", "cli", "fuzz"];

fn floor(path: &[String]) -> usize {
    let first = path.first().map_or("", String::as_str);
    if ABOVE.contains(&first) {
        return PASSES.len() + 1;
    }
    PASSES
        .iter()
        .position(|pass| *pass == first)
        .map_or(0, |place| place + 1)
}

fn problems(modules: &[Module], from: &Imports) -> Vec<String> {
    imports::problems(modules, from, |path| Some(floor(path)))
}

#[test]
fn passes_import_from_those_before_them_and_never_in_a_circle() {
    let modules = modules("src");
    let imports = imports(&modules);
    for pass in PASSES {
        assert!(
            modules
                .iter()
                .any(|module| module.path.first().is_some_and(|first| first == pass)),
            "there is no pass {pass}"
        );
    }
    let count: usize = imports.values().map(BTreeMap::len).sum();
    assert!(count > 60, "only {count} imports were found");
    assert_eq!(problems(&modules, &imports), [""; 0]);
}

/// The functions that `wsk-sys` has by hand.
#[test]
fn inline_functions_import_each_other_in_no_circle() {
    let modules = modules("../wsk-sys/src/inline");
    let imports = imports(&modules);
    let found = imports["socket_address"].contains_key("address");
    assert!(found, "the imports are not found: {imports:?}");
    assert_eq!(problems(&modules, &imports), [""; 0]);
}

/// Each rule is broken, and the check reports it.
#[test]
fn a_broken_rule_is_told() {
    let module = Module::of;
    let told = |modules: &[Module]| problems(modules, &imports(modules)).join("\n");
    let back = [
        module(&["read", "sal"], "use crate::emit::document::{self, page};"),
        module(&["emit", "document"], ""),
    ];
    assert!(told(&back).starts_with("read::sal imports from emit::document, which is above it"));
    assert_eq!(told(&back).lines().count(), 1);
    let path = [
        module(&["find", "kit"], "fn f() { crate::check::verify::g() }"),
        module(&["check", "verify"], ""),
    ];
    assert!(told(&path).contains("find::kit imports from check::verify"));
    let round = [
        module(&["bind", "layout"], "use super::bindings::Record;"),
        module(&["bind", "bindings"], "use crate::bind::layout;"),
    ];
    assert!(told(&round).contains("bind::bindings -> bind::layout -> bind::bindings"));
    let root = [
        module(&["lib"], ""),
        module(&["read", "sal"], "use crate::Error;"),
    ];
    assert!(told(&root).contains("read::sal imports from lib"));
    let fine = [
        module(&["bind", "layout"], "use crate::read::facts::Facts;"),
        module(&["read", "facts"], "use crate::error::Error;"),
        module(&["error"], ""),
    ];
    assert_eq!(told(&fine), "");
}
