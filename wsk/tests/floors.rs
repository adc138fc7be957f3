//! The sources are on floors: a file imports only from lower floors, or from its own floor without a circle. The tests also count
//! unsafe code, which may only become less, and let no two types or constants have the same name.

#![allow(missing_docs)]

#[path = "../../codegen/tests/imports/mod.rs"]
mod imports;

use std::collections::BTreeMap;
use std::path::Path;

use imports::{Module, files, imports, modules, problems};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Item;
use syn::visit::Visit;

/// The files of each floor, from the lowest floor up.
const FLOORS: [&[&str]; 10] = [
    &[
        "address", "endpoint", "error", "family", "irql", "system", "time",
    ],
    &["memory"],
    &["irp"],
    &["buffer", "cancel"],
    &["registration"],
    &["socket"],
    &["request"],
    &["operation"],
    &[
        "basic",
        "buffered",
        "connection",
        "controlling",
        "datagram",
        "driver_state",
        "events",
        "io",
        "listening",
        "methods",
        "network",
        "raw",
        "resolution",
        "stream",
        "streams",
    ],
    &["lib", "guide"],
];

/// The number of unsafe blocks in `wsk/src`, and of files that have some. Lower these limits when the numbers fall.
const UNSAFE_BLOCKS: usize = 206;
const UNSAFE_FILES: usize = 14;

/// The files that have unsafe code of any kind. Those without blocks declare what is unsafe, or say which threads may have a value.
const UNSAFE: &[&str] = &[
    "buffer::carry",
    "buffer::driver",
    "buffer::driver_chain",
    "buffer::lock",
    "buffer::mdl",
    "buffer::messages",
    "buffer::traits",
    "irp::arguments",
    "irp::block",
    "irp::launch",
    "memory::arena",
    "memory::pool",
    "memory::unicode",
    "operation::carried",
    "operation::in_flight",
    "operation::prepared",
    "operation::scope",
    "registration::capture",
    "registration::owner",
    "registration::provider",
    "registration::transport",
    "socket::callbacks",
    "socket::calls",
    "socket::event_context",
    "socket::ioctl",
    "socket::open",
    "socket::retained",
    "system",
];

/// The types, traits and constants that several modules define under one name, with the reason.
const REPEATED: &[(&str, &str)] = &[
    (
        "Sealed",
        "each module seals its own traits, and no other module names the trait that does",
    ),
    ("IP", LEVEL),
    ("IPV6", LEVEL),
    ("UDP", LEVEL),
];
const LEVEL: &str =
    "the same level, as a signed number in control information and an unsigned one in options";

/// If a number is below its limit by this many, the test fails, so that somebody lowers the limit.
const SLACK: usize = 3;

fn floor(path: &[String]) -> Option<usize> {
    let first = path.first()?;
    FLOORS
        .iter()
        .position(|floor| floor.contains(&first.as_str()))
}

fn told(modules: &[Module]) -> String {
    problems(modules, &imports(modules), floor).join("\n")
}

#[test]
fn files_import_from_the_floors_below_and_never_in_a_circle() {
    let modules = modules("src");
    for name in FLOORS.concat() {
        assert!(
            modules.iter().any(|module| module.path[0] == name),
            "there is no {name}: take it off its floor"
        );
    }
    let count: usize = imports(&modules).values().map(BTreeMap::len).sum();
    assert!(count > 300, "only {count} imports were found");
    let told = told(&modules);
    assert!(told.is_empty(), "{told}");
}

#[test]
fn an_import_from_above_is_told() {
    let above = [
        Module::of(
            &["irp", "flight"],
            "use crate::{error::Error, socket::Handle};",
        ),
        Module::of(&["socket"], "pub struct Handle;"),
        Module::of(&["error"], ""),
    ];
    let expected = "irp::flight imports from socket, which is above it (line 1: socket::Handle)";
    assert!(told(&above).starts_with(expected), "{}", told(&above));
    for text in [
        "fn f() { crate::request::send::send() }",
        "type T = Vec<super::request::send::Send>;",
        "fn f() { assert!(crate::request::send::send()) }",
        "macro_rules! m { () => { $crate::request::{send::{send}} } }",
        "use crate::request; fn f() { request::send::send() }",
        "fn f() { g!(h, r::send()) } use crate::request::send as r;",
        "mod inner { use super::super::request::send; }",
        "use crate::{request as r}; mod send { pub use crate::r; }",
        "use crate::send;",
    ] {
        let modules = [
            Module::of(&["lib"], "pub use request::send; pub use request as r;"),
            Module::of(&["request"], "mod send; pub use send::send as sending;"),
            Module::of(&["request", "send"], ""),
            Module::of(&["buffer"], text),
        ];
        let told = told(&modules);
        assert!(
            told.contains("buffer imports from request"),
            "{text}: {told}"
        );
    }
    let nowhere = [Module::of(&["attic"], "")];
    assert!(told(&nowhere).contains("attic is on no floor"));
}

#[test]
fn a_circle_is_told() {
    let files = [
        Module::of(&["irp", "state"], "use super::block::Block;"),
        Module::of(&["irp", "block"], "use crate::irp::flight;"),
        Module::of(&["irp", "flight"], "fn f() { super::state::g() }"),
    ];
    let circle = "irp::block -> irp::flight -> irp::state -> irp::block";
    assert!(told(&files).contains(circle), "{}", told(&files));
    // A folder's own items, with a child file that uses them and that they use.
    let folder = [
        Module::of(&["irp"], "pub use block::Block; struct Of(Block);"),
        Module::of(&["irp", "block"], "use super::Of;"),
    ];
    assert!(told(&folder).contains("irp -> irp::block -> irp"));
    // A circle of two folders, but of no two files.
    let folders = [
        Module::of(&["datagram"], "use crate::events::stream;"),
        Module::of(&["events", "stream"], ""),
        Module::of(&["events", "datagram"], "use crate::datagram;"),
    ];
    assert!(told(&folders).contains("datagram -> events -> datagram"));
}

#[test]
fn what_is_allowed_is_not_told() {
    let fine = [
        Module::of(&["lib"], "mod error; pub use error::Error;"),
        Module::of(&["error"], "pub(super) fn f() {}"),
        // Through the root's re-export of a file on a lower floor.
        Module::of(&["irql"], "use crate::Error; use core::fmt;"),
        // Through the folder's re-export of a file beside it. That file does not import from this one.
        Module::of(
            &["irp"],
            "mod block; mod state; pub use block::Block; pub use state::State;",
        ),
        Module::of(&["irp", "block"], "use crate::irp::State;"),
        Module::of(
            &["irp", "state"],
            "#[cfg(test)] mod tests { use crate::lib; use super::super::block::Block; } #[cfg(test)] use super::Block;",
        ),
    ];
    assert_eq!(told(&fine), "");
}

/// The unsafe blocks in a file, as a compiler sees them: without those in comments and strings.
fn blocks(tokens: TokenStream) -> usize {
    let mut count = 0;
    let mut after = false;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            count += usize::from(after && group.delimiter() == Delimiter::Brace);
            count += blocks(group.stream());
        }
        after = matches!(&token, TokenTree::Ident(ident) if ident == "unsafe");
    }
    count
}

fn limit(what: &str, found: usize, limit: usize) -> Result<(), String> {
    if found > limit {
        Err(format!(
            "{found} {what}, but the limit is {limit}: use a safe function of a lower floor, or add one there"
        ))
    } else if found + SLACK < limit {
        Err(format!(
            "only {found} {what}: lower the limit of {limit} to keep it so"
        ))
    } else {
        Ok(())
    }
}

#[test]
fn unsafe_blocks_become_fewer() {
    let mut found = Vec::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let count = blocks(text.parse().unwrap());
        if count > 0 {
            found.push((count, file));
        }
    }
    found.sort();
    let sum = found.iter().map(|(count, _)| count).sum();
    for told in [
        limit("unsafe blocks", sum, UNSAFE_BLOCKS),
        limit("files with unsafe blocks", found.len(), UNSAFE_FILES),
    ] {
        assert_eq!(told, Ok(()), "{found:#?}");
    }
}

#[test]
fn unsafe_blocks_are_counted() {
    let text = r#"
        // unsafe { a comment }
        /* unsafe { one more } */
        unsafe fn f() { let s = "unsafe { a string }"; }
        unsafe impl T for S {}
        macro_rules! m { () => { unsafe { f() } } }
        fn g() { unsafe { unsafe { f() } } }
    "#;
    assert_eq!(blocks(text.parse().unwrap()), 3);
    assert!(
        limit("blocks", 11, 10)
            .is_err_and(|told| told.starts_with("11 blocks, but the limit is 10"))
    );
    assert!(limit("blocks", 6, 10).is_err_and(|told| told.contains("lower the limit of 10")));
    assert_eq!(limit("blocks", 10, 10), Ok(()));
    assert_eq!(limit("blocks", 7, 10), Ok(()));
}

/// Whether a file has unsafe code of any kind: blocks, functions, traits, or their implementations.
fn is_unsafe(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "unsafe",
        TokenTree::Group(group) => is_unsafe(group.stream()),
        _ => false,
    })
}

fn forbids_unsafe_code(file: &syn::File) -> bool {
    file.attrs.iter().any(|attribute| {
        matches!(&attribute.meta, syn::Meta::List(list)
            if list.path.is_ident("forbid") && list.tokens.to_string() == "unsafe_code")
    })
}

/// The files that have unsafe code are those of the list. All others forbid it, or the file of their folder does, except for files of folders
/// that have some below.
fn unsafe_code(modules: &[Module], allowed: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for module in modules {
        let name = module.name();
        let forbids = modules.iter().any(|folder| {
            module.path.starts_with(&folder.path) && forbids_unsafe_code(&folder.file)
        });
        // Types of unsafe functions are not forbidden.
        let has = !forbids && is_unsafe(module.file.to_token_stream());
        match (has, allowed.contains(&name.as_str())) {
            (true, false) => told.push(format!("{name} has unsafe code")),
            (false, true) => told.push(format!("{name} has no unsafe code: take it off the list")),
            _ => {}
        }
        let leads_to_some = allowed
            .iter()
            .any(|allowed| name == "lib" || allowed.starts_with(&format!("{name}::")));
        if !has && !forbids && !leads_to_some {
            told.push(format!("{name} does not forbid unsafe code"));
        }
    }
    told
}

#[test]
fn upper_floors_forbid_unsafe_code() {
    assert_eq!(unsafe_code(&modules("src"), UNSAFE), [""; 0]);
}

#[test]
fn unsafe_code_where_it_is_not_expected_is_told() {
    let forbidden = "#![forbid(unsafe_code)]";
    let modules = [
        Module::of(&["lib"], ""),
        Module::of(&["irp"], "mod block; mod state;"),
        Module::of(&["irp", "block"], "unsafe impl Send for Block {}"),
        Module::of(&["irp", "state"], forbidden),
        Module::of(&["request"], forbidden),
        Module::of(&["request", "send"], "fn f() {}"),
    ];
    assert_eq!(unsafe_code(&modules, &["irp::block"]), [""; 0]);
    let told = unsafe_code(&modules, &["irp::state"]);
    assert_eq!(
        told,
        [
            "irp::block has unsafe code",
            "irp::state has no unsafe code: take it off the list"
        ]
    );
    let open = [Module::of(&["time"], "fn f() {}")];
    assert_eq!(
        unsafe_code(&open, &[]),
        ["time does not forbid unsafe code"]
    );
}

/// Collects the names of types, traits, constants and statics, also of those inside functions. Not those of associated items, nor of tests.
#[derive(Default)]
struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Struct(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Const(item) if item.ident != "_" => Some(&item.ident),
            Item::Static(item) => Some(&item.ident),
            Item::Mod(item) if item.ident == "tests" => return,
            _ => None,
        };
        self.0.extend(name.map(ToString::to_string));
        syn::visit::visit_item(self, item);
    }
}

/// The names that stand for several items of these modules.
fn repeated(modules: &[Module]) -> Vec<String> {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for module in modules {
        let mut names = Names::default();
        names.visit_file(&module.file);
        for name in names.0 {
            places.entry(name).or_default().push(module.name());
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    several
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect()
}

#[test]
fn one_name_means_one_thing() {
    let modules = modules("src");
    let mut found = repeated(&modules);
    for (name, reason) in REPEATED {
        let before = found.len();
        found.retain(|repeated| !repeated.starts_with(&format!("{name}: ")));
        assert!(
            found.len() < before,
            "{name} is not repeated: take it off the list ({reason})"
        );
    }
    assert!(
        found.is_empty(),
        "give one of them another name: {found:#?}"
    );
}

#[test]
fn a_repeated_name_is_told() {
    let modules = [
        Module::of(
            &["a"],
            "struct Slot; trait Named { type Slot; } impl T { type Slot = u8; } const MOST: u8 = 1;",
        ),
        Module::of(
            &["b"],
            "const _: () = (); enum Other {} fn f() { struct Slot; } mod tests { struct Other; }",
        ),
        Module::of(
            &["c"],
            "type Other = u8; mod inner { trait Alone {} static MOST: u8 = 2; const _: () = (); }",
        ),
    ];
    assert_eq!(
        repeated(&modules),
        ["MOST: a, c", "Other: b, c", "Slot: a, b"]
    );
}
