//! The passes of the generator are folders in the order in which they run: no file imports from a pass behind its own, and no
//! files import each other in a circle. What the sources import is read from their `use`s and paths.

#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The folders in the order in which the passes run. What stands beside them is before all, but for the files below.
const PASSES: [&str; 6] = ["find", "read", "bind", "emit", "check", "update"];

/// What stands beside the folders and is above all of them.
const ABOVE: [&str; 4] = ["lib", "main", "cli", "fuzz"];

/// A source file as a path of modules, and what it says.
struct Module {
    path: Vec<String>,
    file: syn::File,
}

impl Module {
    fn name(&self) -> String {
        self.path.join("::")
    }

    fn floor(&self) -> usize {
        floor(&self.path)
    }
}

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

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn modules(source: &str) -> Vec<Module> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let read = |file: PathBuf| {
        let relative = file.strip_prefix(&source).unwrap().with_extension("");
        let mut path: Vec<String> = relative
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        let text = fs::read_to_string(&file).unwrap();
        Module {
            path,
            file: syn::parse_file(&text).unwrap(),
        }
    };
    files(&source).into_iter().map(read).collect()
}

/// The paths that a file names, from the crate's root.
struct Paths {
    /// The path of the module that is visited.
    here: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn of(module: &Module) -> BTreeSet<Vec<String>> {
        let mut paths = Self {
            here: module.path.clone(),
            found: BTreeSet::new(),
        };
        paths.visit_file(&module.file);
        paths.found
    }

    /// Keeps a path that begins in this crate.
    fn keep(&mut self, segments: &[String]) {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super") => {
                let mut here = self.here.clone();
                here.pop();
                here
            }
            Some("self") => self.here.clone(),
            _ => return,
        };
        for segment in &segments[1..] {
            if segment == "super" {
                base.pop();
            } else {
                base.push(segment.clone());
            }
        }
        self.found.insert(base);
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || before.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.keep(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.keep(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.keep(before),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.here.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.here.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.keep(&segments);
        syn::visit::visit_path(self, path);
    }
}

/// The files that each file imports from.
fn imports(modules: &[Module]) -> BTreeMap<String, BTreeSet<String>> {
    let known: BTreeSet<Vec<String>> = modules.iter().map(|module| module.path.clone()).collect();
    let mut imports = BTreeMap::new();
    for module in modules {
        let mut from = BTreeSet::new();
        for path in Paths::of(module) {
            // The longest beginning of the path that is a file.
            let file = (0..=path.len())
                .rev()
                .find(|length| known.contains(&path[..*length]));
            let file = file.map_or(Vec::new(), |length| path[..length].to_vec());
            if file != module.path && !file.is_empty() {
                from.insert(file.join("::"));
            } else if file.is_empty() && !path.is_empty() && known.contains(&["lib".to_owned()][..])
            {
                // Something of the crate's root, which re-exports what all passes have.
                from.insert("lib".to_owned());
            }
        }
        imports.insert(module.name(), from);
    }
    imports
}

/// What is wrong with the imports, in words.
fn problems(modules: &[Module], imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let floors: BTreeMap<String, usize> = modules
        .iter()
        .map(|module| (module.name(), module.floor()))
        .collect();
    let mut problems = Vec::new();
    for (file, from) in imports {
        for other in from.iter().filter(|other| floors[*other] > floors[file]) {
            problems.push(format!("{file} imports from {other}, of a later pass"));
        }
    }
    for file in imports.keys() {
        if let Some(circle) = circle(file, imports) {
            problems.push(format!("in a circle: {}", circle.join(" -> ")));
        }
    }
    problems
}

/// The way from a file back to itself.
fn circle(start: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![start.to_owned()]];
    while let Some(way) = ways.pop() {
        for next in imports.get(way.last()?).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
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
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 60, "only {count} imports were found");
    assert_eq!(problems(&modules, &imports), [""; 0]);
}

/// The functions that `wsk-sys` has by hand.
#[test]
fn inline_functions_import_each_other_in_no_circle() {
    let modules = modules("../wsk-sys/src/inline");
    let imports = imports(&modules);
    let found = imports["socket_address"].contains("address");
    assert!(found, "the imports are not found: {imports:?}");
    assert_eq!(problems(&modules, &imports), [""; 0]);
}

/// The rules broken, and told.
#[test]
fn a_broken_rule_is_told() {
    let module = |path: &[&str], text: &str| Module {
        path: path.iter().map(|&part| part.to_owned()).collect(),
        file: syn::parse_str(text).unwrap(),
    };
    let told = |modules: &[Module]| problems(modules, &imports(modules)).join("\n");
    let back = [
        module(&["read", "sal"], "use crate::emit::document::{self, page};"),
        module(&["emit", "document"], ""),
    ];
    assert_eq!(
        told(&back),
        "read::sal imports from emit::document, of a later pass"
    );
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
