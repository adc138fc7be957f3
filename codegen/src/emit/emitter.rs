//! What the code that writes each kind of item shares.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

use crate::bind::bindings::Bindings;
use crate::emit::types::Types;
use crate::error::Error;
use crate::read::facts::{Facts, Reading};

/// The file that an item is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum File {
    Aliases,
    Callbacks,
    Constants,
    Dispatch,
    Enumerations,
    Functions,
    Layout,
    Macros,
    Records,
    Status,
}

/// Items by file and name.
pub(super) type Items = BTreeMap<(File, String), TokenStream>;

/// Writes the items of one architecture.
pub(super) struct Emitter<'e> {
    pub(super) reading: &'e Reading,
    pub(super) facts: &'e Facts,
    pub(super) bindings: &'e Bindings,
    pub(super) types: &'e Types,
    /// Whether the headers are a kit's. Items of a kit may have no documentation of ours.
    pub(super) kit: bool,
    pub(super) by_hand: &'e BTreeSet<String>,
}

impl Emitter<'_> {
    /// Fails if an item of our own headers has no documentation. A kit may have items that our headers do not describe yet.
    pub(super) fn documented(&self, name: &str, doc: &str) -> Result<(), Error> {
        if self.kit || !doc.is_empty() {
            Ok(())
        } else {
            Err(Error::item(
                name,
                "has no documentation: write a `///` line above it",
            ))
        }
    }
}

/// A name of C's as an identifier.
pub(super) fn ident(name: &str) -> Ident {
    // A C member may have the name of a Rust keyword, and some keywords cannot even be raw identifiers.
    if syn::parse_str::<Ident>(name).is_ok() {
        Ident::new(name, Span::call_site())
    } else if ["self", "Self", "super", "crate", "_"].contains(&name) {
        Ident::new(&format!("{name}_"), Span::call_site())
    } else {
        Ident::new_raw(name, Span::call_site())
    }
}

/// Lines of documentation.
pub(super) fn docs(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// A hexadecimal literal such as `0x0A00_0003`.
pub(super) fn hexadecimal(value: i128, digits: usize, suffix: &str) -> Literal {
    let digits = format!("{value:0digits$X}");
    let mut text = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(4) {
            text.push('_');
        }
        text.push(digit);
    }
    text.push_str(suffix);
    text.parse()
        .unwrap_or_else(|_| Literal::i128_unsuffixed(value))
}
