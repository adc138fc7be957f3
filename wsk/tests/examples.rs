//! Every public type has an example that runs, in its own documentation or at one of its methods, or else an entry with a reason
//! in a table here. No type has both.
//!
//! The test looks at the types that users of `wsk`, `wsk-driver` and `wsk-host` can name. Types that a macro makes, such as the
//! socket options, are left out: the page of their module has the example.

#![allow(missing_docs)]

// Only the list of files is used.
#[allow(dead_code)]
#[path = "../../codegen/tests/imports/mod.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imports::files;
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, TraitItem, Type, UseTree, Visibility};

/// Types without an example, with the reason.
const WITHOUT: [(&str, &[&str]); 7] = [
    (
        "a request as a method makes it: nobody names its type, and the method has the example",
        &[
            "wsk::request::accept::Accept",
            "wsk::request::client::ControlClientRaw",
            "wsk::request::client::TransportChange",
            "wsk::request::connect::Connect",
            "wsk::request::connect_ex::ConnectWithData",
            "wsk::request::control::IoControl",
            "wsk::request::control::ControlRaw",
            "wsk::request::control::GetOption",
            "wsk::request::control::SetOption",
            "wsk::request::disconnect::Abort",
            "wsk::request::disconnect::Disconnect",
            "wsk::request::disconnect::DisconnectAfter",
            "wsk::request::indicate_control::IndicateControl",
            "wsk::request::inspect::CompleteInspection",
            "wsk::request::name_info::NameOf",
            "wsk::request::open::OpenConnected",
            "wsk::request::receive::Drain",
            "wsk::request::receive::Receive",
            "wsk::request::receive::ReceiveAll",
            "wsk::request::receive::ReceiveExact",
            "wsk::request::receive_from::ReceiveFrom",
            "wsk::request::resolve::Resolve",
            "wsk::request::security::GetSecurity",
            "wsk::request::security::SetSecurity",
            "wsk::request::send::Send",
            "wsk::request::send_messages::SendMessages",
            "wsk::request::send_to::SendFixed",
            "wsk::request::send_to::SendTo",
        ],
    ),
    (
        "an operation that no driver keeps in a type of its own: of a category of sockets, which has no public name, or over borrowed memory",
        &[
            "wsk::request::client::ControllingClientRaw",
            "wsk::request::control::IoControlling",
            "wsk::request::control::ControllingRaw",
            "wsk::request::control::ReadingOption",
            "wsk::request::control::SettingOption",
            "wsk::request::security::ReadingSecurity",
            "wsk::request::security::SettingSecurity",
        ],
    ),
    (
        "a request that only this crate makes and runs, in methods that wait",
        &[
            "wsk::request::bind::Bind",
            "wsk::request::bind::Binding",
            "wsk::request::bind::LocalAddress",
            "wsk::request::bind::PeerAddress",
            "wsk::request::bind::ReadingLocalAddress",
            "wsk::request::bind::ReadingRemoteAddress",
            "wsk::request::control::DisableEvents",
            "wsk::request::control::DisablingEvents",
            "wsk::request::control::Fix",
            "wsk::request::control::Fixing",
            "wsk::request::open::Open",
            "wsk::request::open::Opening",
        ],
    ),
    (
        "what an operation carries that was made for it: nobody meets it but in the type of the operation, which has the example",
        &[
            "wsk::request::name_info::NameRoom",
            "wsk::request::resolve::Looking",
            "wsk::registration::security::DescriptorRoom",
        ],
    ),
    (
        "how a request carries what it carries: a type without values, for the crate's own traits",
        &[
            "wsk::request::Shown",
            "wsk::buffer::carry::ToReceive",
            "wsk::buffer::carry::List",
            "wsk::buffer::carry::Nothing",
            "wsk::buffer::carry::ToSend",
            "wsk::buffer::carry::Own",
        ],
    ),
    (
        "a trait that only this crate implements, or what belongs to it: its methods are those of requests, which have the examples",
        &[
            "wsk::address::ReadAddress",
            "wsk::buffer::traits::SendList",
            "wsk::operation::blocking::Blocking",
            "wsk::operation::pool::Source",
            "wsk::request::CutShort",
            "wsk::request::Function",
            "wsk::request::InPlace",
            "wsk::request::Operation",
            "wsk::request::Owning",
            "wsk::request::Repeat",
            "wsk::request::SendsTo",
            "wsk::request::Takes",
            "wsk::request::way::HasBuffer",
            "wsk::request::way::Way",
        ],
    ),
    (
        "a bug check ends the program, which `expect_bugcheck` runs again with one test alone: the example of that is one to read",
        &["wsk_host::testing::BugCheck"],
    ),
];

/// A source file: its definitions and its re-exports.
#[derive(Default)]
struct Source {
    /// The types and traits, and whether their pages have an example.
    types: BTreeMap<String, bool>,
    /// The names that it imports, with their paths.
    imports: Vec<(bool, Vec<String>, String)>,
    /// Its public modules.
    modules: Vec<String>,
}

/// The sources of a package by module path, and the types whose methods have examples.
#[derive(Default)]
struct Package {
    sources: BTreeMap<Vec<String>, Source>,
    methods: BTreeSet<String>,
}

/// Whether documentation has a block of code that runs.
fn has_example(attributes: &[Attribute]) -> bool {
    let mut inside = false;
    let mut found = false;
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(literal) = &pair.value else {
            continue;
        };
        let Lit::Str(text) = &literal.lit else {
            continue;
        };
        if !pair.path.is_ident("doc") {
            continue;
        }
        for line in text.value().lines() {
            if let Some(kind) = line.trim_start().strip_prefix("```") {
                found |= !inside && matches!(kind.trim(), "" | "rust");
                inside = !inside;
            }
        }
    }
    found
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Adds the names that a `use` introduces, each with its path.
fn add_uses(tree: &UseTree, path: &[String], public: bool, source: &mut Source) {
    let below = |segment: String| [path, &[segment]].concat();
    match tree {
        UseTree::Path(tree) => add_uses(&tree.tree, &below(tree.ident.to_string()), public, source),
        UseTree::Group(group) => {
            for tree in &group.items {
                add_uses(tree, path, public, source);
            }
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            source.imports.push((public, below(name.clone()), name));
        }
        UseTree::Rename(name) => {
            let (path, name) = (below(name.ident.to_string()), name.rename.to_string());
            source.imports.push((public, path, name));
        }
        UseTree::Glob(_) => {}
    }
}

fn name_of(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

impl Package {
    fn read(folder: &Path) -> Self {
        let mut package = Self::default();
        for file in files(folder) {
            let inside = file.strip_prefix(folder).unwrap().with_extension("");
            let mut path: Vec<String> = inside
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            path.pop_if(|last| last == "mod" || last == "lib");
            package.add(path, &std::fs::read_to_string(file).unwrap());
        }
        package
    }

    fn add(&mut self, path: Vec<String>, text: &str) {
        let file = syn::parse_file(text).unwrap();
        let mut source = Source::default();
        for item in &file.items {
            let (name, attributes, visibility) = match item {
                Item::Struct(item) => (&item.ident, &item.attrs, &item.vis),
                Item::Enum(item) => (&item.ident, &item.attrs, &item.vis),
                Item::Union(item) => (&item.ident, &item.attrs, &item.vis),
                Item::Trait(item) => {
                    let at_method = item.items.iter().any(
                        |item| matches!(item, TraitItem::Fn(method) if has_example(&method.attrs)),
                    );
                    if at_method {
                        self.methods.insert(item.ident.to_string());
                    }
                    (&item.ident, &item.attrs, &item.vis)
                }
                Item::Impl(block) if block.trait_.is_none() => {
                    let at_method = block.items.iter().any(
                        |item| matches!(item, ImplItem::Fn(method) if has_example(&method.attrs)),
                    );
                    self.methods
                        .extend(name_of(&block.self_ty).filter(|_| at_method));
                    continue;
                }
                Item::Use(item) => {
                    add_uses(&item.tree, &[], is_public(&item.vis), &mut source);
                    continue;
                }
                Item::Mod(item) if is_public(&item.vis) => {
                    source.modules.push(item.ident.to_string());
                    continue;
                }
                _ => continue,
            };
            if is_public(visibility) {
                source
                    .types
                    .insert(name.to_string(), has_example(attributes));
            }
        }
        self.sources.insert(path, source);
    }

    /// The file that defines a name that is known in a module. `None` if another package defines it, or if it is not a type.
    fn find(&self, module: &[String], name: &str) -> Option<(&[String], bool)> {
        let (place, source) = self.sources.get_key_value(module)?;
        if let Some(&example) = source.types.get(name) {
            return Some((place, example));
        }
        let (_, path, _) = source.imports.iter().find(|(.., here)| here == name)?;
        let (target, folder) = path.split_last()?;
        let folder = match folder.split_first() {
            Some((first, rest)) if first == "crate" => rest.to_vec(),
            Some((first, rest)) if first == "self" => [module, rest].concat(),
            Some((first, rest)) if first == "super" => [&module[..module.len() - 1], rest].concat(),
            _ => {
                let below = [module, folder].concat();
                if self.sources.contains_key(&below) {
                    below
                } else {
                    folder.to_vec()
                }
            }
        };
        if folder == module && target == name {
            return None;
        }
        self.find(&folder, target)
    }

    /// The types that users can name through a public module, and whether their pages have an example.
    fn types(&self, module: &[String], found: &mut BTreeMap<String, bool>) {
        let Some(source) = self.sources.get(module) else {
            return;
        };
        let reexported = source.imports.iter().filter(|(public, ..)| *public);
        let names = reexported.map(|(.., name)| name).chain(source.types.keys());
        for name in names {
            if let Some((place, example)) = self.find(module, name) {
                let name = [place, std::slice::from_ref(name)].concat().join("::");
                let at_method = self.methods.contains(name.rsplit("::").next().unwrap());
                *found.entry(name).or_default() |= example || at_method;
            }
        }
        for below in &source.modules {
            self.types(&[module, std::slice::from_ref(below)].concat(), found);
        }
    }
}

/// Reports the problems with the types and the table.
fn problems(types: &BTreeMap<String, bool>, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut told = Vec::new();
    let mut without = BTreeSet::new();
    for (_, names) in table {
        for name in *names {
            if !without.insert(*name) {
                told.push(format!("{name} has two reasons"));
            }
            match types.get(*name) {
                None => told.push(format!("{name} is in the table, but is not a public type")),
                Some(true) => told.push(format!("{name} has an example: take it out of the table")),
                Some(false) => {}
            }
        }
    }
    let bare = types.iter().filter(|(_, example)| !**example);
    let bare = bare.filter(|(name, _)| !without.contains(name.as_str()));
    told.extend(bare.map(|(name, _)| format!("{name} has no example that runs")));
    told
}

#[test]
fn every_public_type_has_an_example_or_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut types = BTreeMap::new();
    for (package, source) in [
        ("wsk", "src"),
        ("wsk_driver", "../tests/drivers/runtime/src"),
        ("wsk_host", "../tests/host/src"),
    ] {
        let mut found = BTreeMap::new();
        Package::read(&folder.join(source)).types(&[], &mut found);
        assert!(found.len() > 5, "{package}: {found:?}");
        types.extend(
            found
                .into_iter()
                .map(|(name, example)| (format!("{package}::{name}"), example)),
        );
    }
    for known in [
        "wsk::socket::sockets::DatagramSocket",
        "wsk::events::datagram::ReceiveFromEvent",
        "wsk::operation::prepared::Prepared",
        "wsk::socket::retained::Retained",
        "wsk_driver::spin_lock::SpinLock",
        "wsk_host::kernel::Kernel",
    ] {
        assert!(types.contains_key(known), "{known} not in {types:#?}");
    }
    let told = problems(&types, &WITHOUT);
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn what_has_neither_is_told() {
    let mut package = Package::default();
    package.add(
        vec![],
        "pub mod shown; mod hidden; pub use hidden::{Bare, Shown as Other}; pub use shown::Again;",
    );
    package.add(
        vec!["hidden".to_owned()],
        "/// ```text\n/// no code\n/// ```\npub struct Bare;\n/// ```\n/// code();\n/// ```\npub enum Shown {}\npub struct Unreached;",
    );
    package.add(
        vec!["shown".to_owned()],
        "pub struct Again; impl Again { /// ```\n/// code();\n/// ```\npub fn f() {} }\n/// ```no_run\n/// code();\n/// ```\npub trait T {}\npub(crate) struct Private;",
    );
    let mut types = BTreeMap::new();
    package.types(&[], &mut types);
    let found: Vec<_> = types
        .iter()
        .map(|(name, &example)| (name.as_str(), example))
        .collect();
    assert_eq!(
        found,
        [
            ("hidden::Bare", false),
            ("hidden::Other", true),
            ("shown::Again", true),
            ("shown::T", false)
        ]
    );
    assert_eq!(
        problems(&types, &[("reason", &["shown::T", "shown::Again", "gone"])]),
        [
            "shown::Again has an example: take it out of the table",
            "gone is in the table, but is not a public type",
            "hidden::Bare has no example that runs"
        ]
    );
}
