//! Reads which source files import from which, and reports imports from a floor above, and circles.
//!
//! One rule decides: a path belongs to the file that defines the item. Code that names an item through a re-export imports from
//! the file that defines it. A folder's `mod.rs` that re-exports items of its own files does not import anything by that. An item
//! that `mod.rs` defines itself belongs to `mod.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::Visit;

/// A source file: the path of its module, and its text.
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) file: syn::File,
}

impl Module {
    /// A module with this text, to test the rules.
    pub(crate) fn of(path: &[&str], text: &str) -> Self {
        Self {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            file: syn::parse_str(text).unwrap(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.path.join("::")
    }

    /// The path of the module's own items. The file `lib` is the root.
    fn place(&self) -> Vec<String> {
        if self.path == ["lib"] {
            Vec::new()
        } else {
            self.path.clone()
        }
    }
}

/// Files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
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

/// The modules in a folder of sources, with paths relative to the package.
pub(crate) fn modules(source: &str) -> Vec<Module> {
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

/// A path in a file, from the crate's root, with its line.
#[derive(Clone)]
struct Named {
    path: Vec<String>,
    line: usize,
    /// The name under which a `use` exports it, if it does.
    exported: Option<String>,
}

/// The paths that a file names.
struct Paths<'a> {
    known: &'a BTreeSet<Vec<String>>,
    /// The path of the module that the visitor is in.
    here: Vec<String>,
    /// The names that the file's `use`s introduce, with their paths.
    aliases: BTreeMap<String, Vec<String>>,
    found: Vec<Named>,
}

impl<'a> Paths<'a> {
    fn of(module: &Module, known: &'a BTreeSet<Vec<String>>) -> Vec<Named> {
        let paths = |aliases| Self {
            known,
            here: module.place(),
            aliases,
            found: Vec::new(),
        };
        // Two rounds, because a `use` may come after the code that needs it.
        let mut first = paths(BTreeMap::new());
        first.visit_file(&module.file);
        let mut second = paths(first.aliases);
        second.visit_file(&module.file);
        second.found
    }

    /// The path from the crate's root, if the path leads into this crate.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let first = segments.first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "super" => {
                let mut here = self.here.clone();
                here.pop();
                here
            }
            "self" => self.here.clone(),
            _ => {
                let mut child = self.here.clone();
                child.push(first.clone());
                match self.aliases.get(first) {
                    Some(path) => path.clone(),
                    None if self.known.contains(&child) => child,
                    None => return None,
                }
            }
        };
        for segment in &segments[1..] {
            if segment == "super" {
                base.pop();
            } else {
                base.push(segment.clone());
            }
        }
        Some(base)
    }

    fn keep(&mut self, segments: &[String], line: usize) {
        if let Some(path) = self.absolute(segments) {
            self.found.push(Named {
                path,
                line,
                exported: None,
            });
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], exported: bool) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || before.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        let (path, name, line) = match tree {
            syn::UseTree::Path(path) => return self.tree(&path.tree, &with(&path.ident), exported),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before, exported);
                }
                return;
            }
            syn::UseTree::Name(name) => {
                let path = with(&name.ident);
                let last = path.last().cloned().unwrap_or_default();
                (path, last, name.ident.span().start().line)
            }
            syn::UseTree::Rename(rename) => (
                with(&rename.ident),
                rename.rename.to_string(),
                rename.ident.span().start().line,
            ),
            syn::UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                (before.to_vec(), "*".to_owned(), line)
            }
        };
        // An alias with the same name comes from this very `use`.
        let own = self.aliases.remove(&name);
        let absolute = self.absolute(&path);
        if let Some(own) = own {
            self.aliases.insert(name.clone(), own);
        }
        if let Some(path) = absolute {
            self.aliases.insert(name.clone(), path.clone());
            self.found.push(Named {
                path,
                line,
                exported: exported.then_some(name),
            });
        }
    }

    /// Collects the paths in a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream, before: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, sign: char| match tokens.get(at) {
            Some(TokenTree::Punct(punct)) => punct.as_char() == sign,
            _ => false,
        };
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream(), before),
                TokenTree::Ident(first) if at == 0 || !(is(at - 1, '.') || is(at - 1, ':')) => {
                    let line = first.span().start().line;
                    let mut path = before.to_vec();
                    path.push(first.to_string());
                    while is(at + 1, ':') && is(at + 2, ':') {
                        match tokens.get(at + 3) {
                            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                            Some(TokenTree::Group(group))
                                if group.delimiter() == Delimiter::Brace =>
                            {
                                self.tokens(group.stream(), &path);
                                at += 3;
                                break;
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    self.keep(&path, line);
                }
                _ => {}
            }
            at += 1;
        }
    }
}

/// Whether an item belongs to the file's own tests, which may import from anywhere.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !for_tests(&item.attrs) {
            let exported = !matches!(item.vis, syn::Visibility::Inherited);
            self.tree(&item.tree, &[], exported);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !for_tests(&item.attrs) {
            self.here.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.here.pop();
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if let Some(first) = path.segments.first() {
            self.keep(&segments, first.ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        syn::visit::visit_macro(self, invoked);
        // `quote!` contains code for another crate.
        if !invoked.path.is_ident("quote") {
            self.tokens(invoked.tokens.clone(), &[]);
        }
    }

    // The paths in `pub(super)` and `#[must_use]` are not imports.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// For each file, the files that it imports from, with the line and the imported item.
pub(crate) type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The imports of all modules.
pub(crate) fn imports(modules: &[Module]) -> Imports {
    let known: BTreeSet<Vec<String>> = modules.iter().map(Module::place).collect();
    let named: Vec<(&Module, Vec<Named>)> = modules
        .iter()
        .map(|module| (module, Paths::of(module, &known)))
        .collect();
    let mut exports = BTreeMap::new();
    for (module, paths) in &named {
        for one in paths {
            if let Some(name) = &one.exported {
                let mut exported = module.place();
                exported.push(name.clone());
                if exported != one.path {
                    exports.insert(exported, one.path.clone());
                }
            }
        }
    }
    let mut imports = Imports::new();
    for (module, paths) in &named {
        let here = module.place();
        let mut from = BTreeMap::new();
        for one in paths {
            let file = file(&one.path, &known, &exports);
            let own = one.exported.is_some() && file.starts_with(&here);
            // The root only re-exports names. An import through the root is not an import from the root.
            let root = file.is_empty() && (one.path.is_empty() || !known.contains(&Vec::new()));
            if file == here || own || root {
                continue;
            }
            let name = if file.is_empty() {
                "lib".to_owned()
            } else {
                file.join("::")
            };
            from.entry(name)
                .or_insert_with(|| format!("line {}: {}", one.line, one.path.join("::")));
        }
        imports.insert(module.name(), from);
    }
    imports
}

/// The file that defines the item at a path.
fn file(
    path: &[String],
    known: &BTreeSet<Vec<String>>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Vec<String> {
    let mut path = path.to_vec();
    // A re-export may lead to another one, but not to more than there are.
    for _ in 0..=exports.len() {
        let longest = |path: &[String]| {
            let length = (0..=path.len())
                .rev()
                .find(|length| known.contains(&path[..*length]));
            length.unwrap_or(0)
        };
        let length = longest(&path);
        let Some(behind) = path
            .get(..=length)
            .and_then(|exported| exports.get(exported))
        else {
            path.truncate(length);
            return path;
        };
        let rest = path.split_off(length + 1);
        path = behind.iter().cloned().chain(rest).collect();
    }
    Vec::new()
}

/// The problems with the imports, in words. `floor` returns the floor of a file.
pub(crate) fn problems(
    modules: &[Module],
    imports: &Imports,
    floor: impl Fn(&[String]) -> Option<usize>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut floors = BTreeMap::new();
    for module in modules {
        match floor(&module.path) {
            Some(number) => {
                floors.insert(module.name(), number);
            }
            None => problems.push(format!(
                "{} is on no floor: add it to the list of floors",
                module.name()
            )),
        }
    }
    for (file, from) in imports {
        for (other, what) in from.iter().filter(|(other, _)| {
            matches!((floors.get(file), floors.get(*other)), (Some(own), Some(theirs)) if theirs > own)
        }) {
            problems.push(format!(
                "{file} imports from {other}, which is above it ({what}): move what it needs down, or the file up"
            ));
        }
    }
    let mut told = BTreeSet::new();
    let mut tell = |imports: &Imports| {
        for file in imports.keys() {
            if let Some(circle) = circle(file, imports) {
                let members: BTreeSet<String> = circle.iter().cloned().collect();
                if told.insert(members) {
                    let ways: Vec<&str> = circle
                        .windows(2)
                        .map(|pair| imports[&pair[0]][&pair[1]].as_str())
                        .collect();
                    problems.push(format!(
                        "in a circle: {} ({}): move what both need into a file below them",
                        circle.join(" -> "),
                        ways.join("; ")
                    ));
                }
            }
        }
    };
    tell(imports);
    tell(&folders(imports));
    problems
}

/// The same imports between the files and folders at the crate's root.
fn folders(imports: &Imports) -> Imports {
    let first = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
    let mut folders = Imports::new();
    for (file, from) in imports {
        let own = folders.entry(first(file)).or_default();
        for (other, what) in from {
            if first(other) != first(file) {
                own.entry(first(other))
                    .or_insert_with(|| format!("{file}, {what}"));
            }
        }
    }
    folders
}

/// The shortest path of imports from a file back to itself.
fn circle(start: &str, imports: &Imports) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = std::collections::VecDeque::from([vec![start.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        let from = imports.get(way.last()?).into_iter();
        for next in from.flat_map(BTreeMap::keys) {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}
