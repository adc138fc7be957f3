//! Every public function and field of `wsk` that takes a `SocketAddr` takes an encoded address, too, unless a table here has a reason.

#![allow(missing_docs)]

// Only the list of files is used.
#[allow(dead_code)]
#[path = "../../codegen/tests/imports/mod.rs"]
mod imports;
mod public_items;

use std::path::Path;

use imports::files;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use public_items::{is, public_items, signature};

/// The functions that take a `SocketAddr` alone, with the reason.
const ALONE: [(&str, &str); 1] = [(
    "of",
    "`Family::of` runs in constants, which cannot call the functions of a trait; it tells the family of a value, and uses no address",
)];

fn has_socket_address(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_socket_address(group.stream()),
        token => token.to_string().starts_with("SocketAddr"),
    })
}

/// The tokens before a comma or a brace that is in no angle brackets, or before a parameter list's end.
fn until_comma(tokens: &[TokenTree]) -> TokenStream {
    let mut depth = 0;
    let within = tokens.iter().take_while(|token| match token {
        TokenTree::Punct(punct) if punct.as_char() == '<' => {
            depth += 1;
            true
        }
        TokenTree::Punct(punct) if punct.as_char() == '>' => {
            depth -= 1;
            true
        }
        TokenTree::Punct(punct) if punct.as_char() == ',' => depth > 0,
        _ => true,
    });
    within.cloned().collect()
}

/// The public functions whose parameters or bounds have a `SocketAddr`, and the public fields of that type: in macros, too.
fn takers(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            takers(group.stream(), found);
        }
    }
    for item in public_items(&tokens) {
        if let Some(signature) = signature(item) {
            let parameters = signature.iter().position(|token| {
                matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis)
            });
            let bounds = signature.iter().position(|token| is(Some(token), "where"));
            let before = &signature[..=parameters.unwrap()];
            let after = bounds.map_or(&[][..], |bounds| &signature[bounds..]);
            if has_socket_address(before.iter().chain(after).cloned().collect()) {
                found.push(signature[0].to_string());
            }
        } else if ![
            "struct", "enum", "trait", "type", "use", "mod", "static", "union",
        ]
        .contains(
            &item
                .first()
                .map_or(String::new(), ToString::to_string)
                .as_str(),
        ) && has_socket_address(until_comma(item))
        {
            found.push(format!("the field {}", until_comma(item)));
        }
    }
}

fn takers_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    takers(text.parse().unwrap(), &mut found);
    found
}

#[test]
fn what_takes_a_socket_address_takes_an_encoded_one() {
    let mut told = Vec::new();
    let mut alone = Vec::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for name in takers_in(&std::fs::read_to_string(&file).unwrap()) {
            if ALONE.iter().any(|(function, _)| *function == name) {
                alone.push(name);
            } else {
                told.push(format!("{}: {name}", file.display()));
            }
        }
    }
    assert_eq!(
        told, [""; 0],
        "take `impl ToSocketAddr`, `impl Destination` or `impl Origin`"
    );
    assert_eq!(alone, ALONE.map(|(function, _)| function), "the table");
}

#[test]
fn a_socket_address_alone_is_found() {
    for (text, expected) in [
        ("pub fn f(to: SocketAddr) {}", "f"),
        (
            "pub const unsafe fn f(to: &core::net::SocketAddrV4) {}",
            "f",
        ),
        ("pub fn f(&self, to: impl Into<SocketAddr>) -> R {}", "f"),
        ("pub fn f<A: Into<SocketAddr>>(to: A) {}", "f"),
        ("pub fn f<A>(to: A) where A: Into<SocketAddr> {}", "f"),
        ("impl T { pub fn f(to: Option<(SocketAddr, u8)>); }", "f"),
        (
            "macro_rules! m { () => { pub fn f(to: SocketAddr) {} } }",
            "f",
        ),
        ("pub struct S(pub SocketAddr);", "the field SocketAddr"),
        (
            "pub struct S { pub a: u8, pub to: Option<SocketAddr> }",
            "the field to : Option < SocketAddr >",
        ),
    ] {
        assert_eq!(takers_in(text), [expected], "{text}");
    }
    for text in [
        "pub fn f(&self) -> Result<SocketAddr, Error> {}",
        "pub(crate) fn f(to: SocketAddr) {}",
        "fn f(to: SocketAddr) {}",
        "pub fn f(to: impl ToSocketAddr) { let x: SocketAddr = y; }",
        "pub struct S<A = SocketAddr>(pub A);",
        "pub struct S { pub a: u8, to: SocketAddr }",
        "pub use core::net::SocketAddr;",
    ] {
        assert_eq!(takers_in(text), [""; 0], "{text}");
    }
}
