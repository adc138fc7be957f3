//! Every public name of `wsk.h` is the alias of a safe item in the documentation of `wsk`, or else has an entry with a reason in
//! a table here. No name has both.

#![allow(missing_docs)]

// Only the list of files is used.
#[allow(dead_code)]
#[path = "../../codegen/tests/imports/mod.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imports::files;
use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, ForeignItem, Item, ItemImpl, Lit, Meta, Type, Visibility};

/// Names that are no alias of anything in `wsk`, with the reason.
const WITHOUT: [(&str, &[&str]); 5] = [
    (
        "a table whose functions the crate calls, or WSK calls; its entries are found by their own names",
        &[
            "WSK_CLIENT_DISPATCH",
            "WSK_PROVIDER_BASIC_DISPATCH",
            "WSK_PROVIDER_CONNECTION_DISPATCH",
            "WSK_PROVIDER_DATAGRAM_DISPATCH",
            "WSK_PROVIDER_LISTEN_DISPATCH",
        ],
    ),
    (
        "the crate fills it in: a driver cannot choose it",
        &["MAKE_WSK_VERSION", "NPI_WSK_INTERFACE_ID"],
    ),
    (
        "a count or a bound of other names: no function takes it",
        &["WskControlMax", "WskInspectMax"],
    ),
    (
        "WSK never calls it: no event is defined for a client as a whole",
        &["WskClientEvent"],
    ),
    (
        "splits a version: the crate compares whole versions, of which there is one so far",
        &["WSK_MAJOR_VERSION", "WSK_MINOR_VERSION"],
    ),
];

/// A name of `wsk.h`, and another name whose alias leads to it, too.
type Names = BTreeMap<String, Option<String>>;

/// The text of documentation comments.
fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(literal) if pair.path.is_ident("doc") => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn of_header(attributes: &[Attribute]) -> bool {
    documentation(attributes).contains("Header: `wsk.h`")
}

/// The last word of a type's path: `WSK_BUF` of `*mut WSK_BUF`.
fn last_word(ty: &Type) -> Option<String> {
    match ty {
        Type::Ptr(pointer) => last_word(&pointer.elem),
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

/// Adds the public names of the header that a file of bindings has.
fn add_names(text: &str, names: &mut Names) {
    let file = syn::parse_file(text).unwrap();
    let mut enumerations = BTreeSet::new();
    for item in &file.items {
        match item {
            Item::Const(item) if of_header(&item.attrs) => {
                names.insert(item.ident.to_string(), None);
            }
            Item::Static(item) if of_header(&item.attrs) => {
                names.insert(item.ident.to_string(), None);
            }
            Item::Fn(item) if of_header(&item.attrs) => {
                names.insert(item.sig.ident.to_string(), None);
            }
            Item::Type(item) if of_header(&item.attrs) => {
                let name = item.ident.to_string();
                let pointee = last_word(&item.ty).filter(|pointee| name == format!("P{pointee}"));
                // The type of an entry is added with the entry below.
                names.entry(name).or_insert(pointee);
            }
            Item::Struct(item) if of_header(&item.attrs) => {
                let name = item.ident.to_string();
                enumerations.insert(name.clone());
                for field in &item.fields {
                    let entry = field.ident.as_ref().filter(|_| name.ends_with("_DISPATCH"));
                    if let (Some(entry), Some(ty)) = (entry, last_word(&field.ty))
                        && ty.starts_with("PFN_")
                    {
                        names.insert(ty, Some(entry.to_string()));
                        names.insert(entry.to_string(), None);
                    }
                }
                names.insert(name, None);
            }
            Item::ForeignMod(module) => {
                for item in &module.items {
                    if let ForeignItem::Fn(item) = item
                        && of_header(&item.attrs)
                    {
                        names.insert(item.sig.ident.to_string(), None);
                    }
                }
            }
            Item::Impl(ItemImpl {
                trait_: None,
                self_ty,
                items,
                ..
            }) if last_word(self_ty).is_some_and(|of| enumerations.contains(&of)) => {
                for item in items {
                    if let syn::ImplItem::Const(item) = item
                        && matches!(item.vis, Visibility::Public(_))
                    {
                        names.insert(item.ident.to_string(), None);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The public names of `wsk.h` in `wsk-sys`.
fn names() -> Names {
    let mut names = Names::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wsk-sys/src");
    for file in files(&folder) {
        add_names(&std::fs::read_to_string(file).unwrap(), &mut names);
    }
    names
}

/// The strings in the tokens of an attribute.
fn strings(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => found.extend(strings(group.stream())),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push(text.value());
                }
            }
            _ => {}
        }
    }
    found
}

/// The aliases in an attribute's brackets, `doc(alias = "…")` or `doc(alias("…", "…"))`. Any other attribute has none. A macro
/// variable is ignored here: its value is found where the macro is called.
fn aliases_of(attribute: TokenStream) -> Option<Vec<String>> {
    let mut tokens = attribute.into_iter();
    match (tokens.next()?, tokens.next()?) {
        (TokenTree::Ident(doc), TokenTree::Group(list)) if doc == "doc" => {
            let mut inside = list.stream().into_iter();
            match inside.next()? {
                TokenTree::Ident(alias) if alias == "alias" => Some(strings(inside.collect())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Adds the aliases of safe items in the tokens of a file. `given` says that a macro of the file makes an alias of its last
/// string argument, before a `;` or a `,`.
fn add_aliases(tokens: TokenStream, given: bool, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    // The aliases of the item whose attributes are being read.
    let mut waiting: Vec<String> = Vec::new();
    let mut is_unsafe = false;
    let is = |at: usize, text: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == text);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                if at > 0 && is(at - 1, '#') {
                    if let Some(aliases) = aliases_of(group.stream()) {
                        waiting.extend(aliases);
                    }
                    continue;
                }
                add_aliases(group.stream(), given, found);
            }
            TokenTree::Ident(word) => {
                let word = word.to_string();
                is_unsafe |= word == "unsafe";
                // The item's name follows. Visibility and qualifiers come before its kind.
                let goes_on = ["pub", "const", "async", "extern", "unsafe", "crate"];
                if !goes_on.contains(&word.as_str()) {
                    if !is_unsafe {
                        found.extend(waiting.drain(..));
                    }
                    waiting.clear();
                    is_unsafe = false;
                }
            }
            TokenTree::Literal(literal) if given && (is(at + 1, ';') || is(at + 1, ',')) => {
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                found.extend(text.map(|text| text.value()));
            }
            _ => {}
        }
    }
}

/// The aliases of safe items in `wsk`.
fn aliases() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        let given = text.contains("#[doc(alias = $alias)]");
        add_aliases(text.parse().unwrap(), given, &mut found);
    }
    found
}

/// Reports the problems with the names, the aliases and the table.
fn problems(names: &Names, aliases: &BTreeSet<String>, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut told = Vec::new();
    let mut reasons = BTreeMap::new();
    for (reason, listed) in table {
        for name in *listed {
            if let Some(other) = reasons.insert(*name, *reason) {
                told.push(format!("{name} has two reasons: {other}; {reason}"));
            }
            if !names.contains_key(*name) {
                told.push(format!("{name} is in the table, but not in wsk.h"));
            }
        }
    }
    let found = |name: &str| (aliases.contains(name), reasons.contains_key(name));
    for (name, by) in names {
        match (found(name), by) {
            ((true, true), _) => told.push(format!(
                "{name} is the alias of something safe now: take it out of the table"
            )),
            ((false, false), Some(by)) if names.contains_key(by) => {}
            ((false, false), _) => told.push(format!(
                "{name} is no alias of anything safe in wsk, and has no reason in the table"
            )),
            _ => {}
        }
    }
    told
}

#[test]
fn every_name_of_the_header_is_found_or_has_a_reason() {
    let names = names();
    for known in [
        "MAKE_WSK_VERSION",
        "NPI_WSK_INTERFACE_ID",
        "PFN_WSK_SEND_TO",
        "PWSK_BUF",
        "WSK_BUF",
        "WSK_FLAG_OOB",
        "WSK_TRANSPORT",
        "WskAcceptEvent",
        "WskInspectReject",
        "WskRegister",
        "WskSendTo",
    ] {
        assert!(names.contains_key(known), "{known} not in {names:#?}");
    }
    assert_eq!(names["PWSK_BUF"].as_deref(), Some("WSK_BUF"));
    assert_eq!(names["PFN_WSK_SEND_TO"].as_deref(), Some("WskSendTo"));
    let told = problems(&names, &aliases(), &WITHOUT);
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn a_name_in_neither_place_or_in_both_is_told() {
    let mut names = Names::new();
    add_names(
        "/// Header: `wsk.h`.\npub const ONE: u32 = 1;
         /// Header: `wdm.h`.\npub const OTHER: u32 = 1;
         /// Header: `wsk.h`.\npub struct TWO { a: u32 }
         /// Header: `wsk.h`.\npub type PTWO = *mut TWO;
         /// Header: `wsk.h`.\npub type PFN_THREE = Option<fn()>;
         /// Header: `wsk.h`.\npub struct A_DISPATCH { pub Three: PFN_THREE }
         /// Header: `wsk.h`.\npub struct FOUR(pub i32);
         impl FOUR { pub const Four: Self = Self(4); }",
        &mut names,
    );
    let listed: Vec<&str> = names.keys().map(String::as_str).collect();
    let all = [
        "A_DISPATCH",
        "FOUR",
        "Four",
        "ONE",
        "PFN_THREE",
        "PTWO",
        "TWO",
        "Three",
    ];
    assert_eq!(listed, all);
    let of = |text: &str| {
        let mut found = BTreeSet::new();
        add_aliases(text.parse().unwrap(), false, &mut found);
        found
    };
    let aliases = of(
        "#[doc(alias = \"ONE\")] pub const fn one() {} #[doc(alias(\"Three\", \"TWO\"))] struct T;",
    );
    let rest: &[&str] = &["A_DISPATCH", "FOUR", "Four"];
    assert_eq!(problems(&names, &aliases, &[("no use", rest)]), [""; 0]);
    let neither = problems(&names, &aliases, &[("no use", &rest[1..])]);
    assert_eq!(neither.len(), 1);
    assert!(neither[0].starts_with("A_DISPATCH is no alias"));
    let both = problems(
        &names,
        &aliases,
        &[("no use", rest), ("nor this", &["ONE"])],
    );
    assert!(both[0].starts_with("ONE is the alias of something safe now"));
    let gone = problems(
        &names,
        &aliases,
        &[("no use", rest), ("nor this", &["FIVE"])],
    );
    assert_eq!(gone, ["FIVE is in the table, but not in wsk.h"]);
    // Aliases of unsafe items do not count, and neither do mere mentions of a name.
    assert_eq!(
        of("#[doc(alias = \"ONE\")] #[inline] pub unsafe fn one() {}"),
        of("")
    );
    assert_eq!(
        of("#[doc(alias = \"ONE\")] pub(crate) unsafe trait One {}"),
        of("")
    );
    assert_eq!(of("/// `ONE`\nconst S: &str = \"ONE\";"), of(""));
}
