//! The output of bindgen by kind of item: the form that the later passes work on.

use std::collections::BTreeMap;

use syn::{Ident, Type, TypeFnPtr};

/// A structure or union.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// `repr` and `derive` attributes.
    pub attributes: Vec<syn::Attribute>,
    /// Whether it is a union.
    pub union: bool,
    /// Whether the headers only declare it.
    pub opaque: bool,
    /// Members in order.
    pub members: Vec<(Ident, Type)>,
}

impl Record {
    /// Whether bindgen found that every member can be printed.
    pub(crate) fn derives_debug(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            attribute.path().is_ident("derive")
                && quote::quote!(#attribute).to_string().contains("Debug")
        })
    }
}

/// An enumeration: a newtype with its members' values.
#[derive(Debug, Clone)]
pub(crate) struct Enumeration {
    /// The integer behind it.
    pub integer: Type,
    /// Members in order, with their values.
    pub members: Vec<(Ident, syn::Expr)>,
}

/// How clang lays out a record, read from the layout tests that bindgen writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Its size in bytes.
    pub size: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// Offsets of members in bytes, in their order.
    pub offsets: Vec<(Ident, usize)>,
}

/// A bitfield: some bits of a member that holds several.
#[derive(Debug, Clone)]
pub(crate) struct Bitfield {
    /// Its name.
    pub name: Ident,
    /// The number of the member that holds it, from 1.
    pub holder: String,
    /// Its lowest bit.
    pub shift: u32,
    /// How many bits it has.
    pub width: u32,
}

/// The output of bindgen by kind of item, under the names that bindgen gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings {
    /// Structures and unions.
    pub records: BTreeMap<String, Record>,
    /// Enumerations.
    pub enumerations: BTreeMap<String, Enumeration>,
    /// Type aliases, callbacks among them.
    pub aliases: BTreeMap<String, Type>,
    /// Imported functions, as the types of pointers to them.
    pub functions: BTreeMap<String, TypeFnPtr>,
    /// Bitfields by record.
    pub bitfields: BTreeMap<String, Vec<Bitfield>>,
    /// Layouts by record.
    pub layouts: BTreeMap<String, Layout>,
}

impl Enumeration {
    /// Bindings without any items.
    pub(crate) fn none() -> Self {
        Self {
            integer: syn::parse_quote!(i32),
            members: Vec::new(),
        }
    }
}

/// The function that a type is a pointer to.
#[must_use]
pub(crate) fn bare_function(ty: &Type) -> Option<&TypeFnPtr> {
    match ty {
        Type::FnPtr(function) => Some(function),
        Type::Path(path) => {
            let syn::PathArguments::AngleBracketed(arguments) =
                &path.path.segments.last()?.arguments
            else {
                return None;
            };
            match arguments.args.first()? {
                syn::GenericArgument::Type(inner) => bare_function(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An integer, possibly negative.
#[must_use]
pub(crate) fn integer(expression: &syn::Expr) -> Option<i128> {
    match expression {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Int(number),
            ..
        }) => number.base10_parse().ok(),
        syn::Expr::Unary(syn::ExprUnary {
            op: syn::UnOp::Neg(_),
            expr,
            ..
        }) => integer(expr).map(|value| -value),
        _ => None,
    }
}
