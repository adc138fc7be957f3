//! Runs bindgen and sorts what it writes by kind of item.

use std::collections::BTreeMap;

use quote::ToTokens as _;
use syn::{Fields, ForeignItem, ForeignItemFn, Ident, Item, ItemImpl, Type};

use crate::facts::Facts;
use crate::{Arch, Error, Source};

/// A structure or union.
#[derive(Debug, Clone)]
pub struct Record {
    /// `repr` and `derive` attributes.
    pub attributes: Vec<syn::Attribute>,
    /// Whether it is a union.
    pub union: bool,
    /// Whether the headers only declare it.
    pub opaque: bool,
    /// Members in order.
    pub members: Vec<(Ident, Type)>,
}

/// An enumeration: a newtype with its members' values.
#[derive(Debug, Clone)]
pub struct Enumeration {
    /// The integer behind it.
    pub integer: Type,
    /// Members in order, with their values.
    pub members: Vec<(Ident, syn::Expr)>,
}

/// One assertion on a layout, as clang laid the record out.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `size_of::<T>()`, `align_of::<T>()` or `offset_of!(T, member)`.
    pub measure: syn::Expr,
    /// Its value.
    pub value: syn::LitInt,
}

/// A bitfield: some bits of a member that holds several.
#[derive(Debug, Clone)]
pub struct Bitfield {
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
#[derive(Debug, Default)]
pub struct Bindings {
    /// Structures and unions.
    pub records: BTreeMap<String, Record>,
    /// Enumerations.
    pub enumerations: BTreeMap<String, Enumeration>,
    /// Type aliases, callbacks among them.
    pub aliases: BTreeMap<String, Type>,
    /// Imported functions.
    pub functions: BTreeMap<String, ForeignItemFn>,
    /// Bitfields by record.
    pub bitfields: BTreeMap<String, Vec<Bitfield>>,
    /// Layout assertions by record.
    pub layouts: BTreeMap<String, Vec<Layout>>,
}

/// Runs bindgen over the headers for one architecture.
///
/// # Errors
///
/// When bindgen fails, or writes something of a form that is not known here.
pub fn run(source: &Source, arch: Arch, facts: &Facts) -> Result<Bindings, Error> {
    let mut builder = bindgen::Builder::default()
        .header_contents("wsk-bindings.hpp", source.root())
        .clang_args(source.arguments(arch))
        .use_core()
        .ctypes_prefix("ctypes")
        .default_enum_style(bindgen::EnumVariation::NewType {
            is_bitfield: false,
            is_global: false,
        })
        .prepend_enum_name(false)
        .generate_comments(false)
        .generate_inline_functions(false)
        .derive_debug(true)
        .layout_tests(true)
        .formatter(bindgen::Formatter::None)
        .ignore_methods()
        .allowlist_recursively(true);
    let names = facts
        .records
        .values()
        .map(|record| &record.tag)
        .chain(facts.records.keys());
    let names = names.chain(
        facts
            .enumerations
            .values()
            .map(|enumeration| &enumeration.tag),
    );
    let names = names
        .chain(facts.enumerations.keys())
        .chain(facts.callbacks.keys())
        .chain(facts.aliases.keys());
    for name in names.chain(facts.public.values()) {
        builder = builder.allowlist_type(name);
    }
    for name in facts.functions.keys() {
        builder = builder.allowlist_function(name);
    }
    let text = builder
        .generate()
        .map_err(|error| Error::Bindgen(error.to_string()))?
        .to_string();
    sort(&text)
}

fn sort(text: &str) -> Result<Bindings, Error> {
    let file = syn::parse_file(text)
        .map_err(|error| Error::Bindgen(format!("its output does not parse: {error}")))?;
    let mut bindings = Bindings::default();
    for item in file.items {
        bindings.item(item)?;
    }
    Ok(bindings)
}

impl Bindings {
    fn item(&mut self, item: Item) -> Result<(), Error> {
        match item {
            Item::Struct(item) => match item.fields {
                Fields::Named(_) if item.ident == UNIT => {}
                Fields::Named(fields) => {
                    let members = named(fields);
                    // C++ lays a structure without members out as one byte.
                    let opaque = members.len() == 1
                        && (members[0].0 == "_unused" || members[0].0 == "_address");
                    let record = Record {
                        attributes: item.attrs,
                        union: false,
                        opaque,
                        members,
                    };
                    self.records.insert(item.ident.to_string(), record);
                }
                Fields::Unnamed(fields) => {
                    let integer = fields.unnamed.into_iter().next().map(|field| field.ty);
                    let integer = integer.ok_or_else(|| unknown("an empty tuple struct"))?;
                    self.enumerations
                        .entry(item.ident.to_string())
                        .or_insert_with(Enumeration::none)
                        .integer = integer;
                }
                Fields::Unit => return Err(unknown("a unit struct")),
            },
            Item::Union(item) => {
                let record = Record {
                    attributes: item.attrs,
                    union: true,
                    opaque: false,
                    members: named(item.fields),
                };
                self.records.insert(item.ident.to_string(), record);
            }
            Item::Type(item) => {
                self.aliases.insert(item.ident.to_string(), *item.ty);
            }
            Item::ForeignMod(block) => {
                for foreign in block.items {
                    if let ForeignItem::Fn(function) = foreign {
                        self.functions
                            .insert(function.sig.ident.to_string(), function);
                    }
                }
            }
            Item::Const(item) if item.ident == "_" => self.layout(*item.expr)?,
            Item::Impl(block) => self.implementation(block)?,
            Item::Use(item) => {
                // `pub use self::_TAG as NAME;` for a typedef of an enumeration.
                let (tag, name) = renaming(&item.tree).ok_or_else(|| unknown("another import"))?;
                self.aliases
                    .insert(name.to_string(), syn::parse_quote!(#tag));
            }
            // Constants come from our own evaluation.
            Item::Const(_) => {}
            other => return Err(unknown(&quote::quote!(#other).to_string())),
        }
        Ok(())
    }

    /// Members of a newtype enumeration, or accessors of bitfields.
    fn implementation(&mut self, block: ItemImpl) -> Result<(), Error> {
        let name = last_segment(&block.self_ty)
            .ok_or_else(|| unknown("an impl for something unnamed"))?
            .to_string();
        for item in &block.items {
            match item {
                syn::ImplItem::Const(constant) => {
                    let syn::Expr::Call(call) = &constant.expr else {
                        return Err(unknown("an enumeration member that is no newtype value"));
                    };
                    let value = call
                        .args
                        .first()
                        .cloned()
                        .ok_or_else(|| unknown("a member without value"))?;
                    let enumeration = self
                        .enumerations
                        .entry(name.clone())
                        .or_insert_with(Enumeration::none);
                    enumeration.members.push((constant.ident.clone(), value));
                }
                syn::ImplItem::Fn(accessor) if name != UNIT => {
                    if let Some(bitfield) = bitfield(accessor) {
                        self.bitfields
                            .entry(name.clone())
                            .or_default()
                            .push(bitfield);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A block of statements like `["Size of X"][size_of::<X>() - 24usize];`.
    fn layout(&mut self, expression: syn::Expr) -> Result<(), Error> {
        let syn::Expr::Block(block) = expression else {
            return Err(unknown("a constant without a name"));
        };
        for statement in block.block.stmts {
            let syn::Stmt::Expr(syn::Expr::Index(index), _) = statement else {
                return Err(unknown("a layout test of another form"));
            };
            let syn::Expr::Binary(difference) = *index.index else {
                return Err(unknown("a layout test without a difference"));
            };
            let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(value),
                ..
            }) = *difference.right
            else {
                return Err(unknown("a layout test without a number"));
            };
            let measure = *difference.left;
            let record = measured(&measure).ok_or_else(|| unknown("a layout test of nothing"))?;
            let value = syn::LitInt::new(value.base10_digits(), value.span());
            self.layouts
                .entry(record)
                .or_default()
                .push(Layout { measure, value });
        }
        Ok(())
    }
}

/// The record with which bindgen holds bitfields; ours are plain integers.
const UNIT: &str = "__BindgenBitfieldUnit";

/// What bindgen's getter of a bitfield says: `self._bitfield_1.get_const::<28usize, 4u8>()`.
fn bitfield(accessor: &syn::ImplItemFn) -> Option<Bitfield> {
    let body = accessor
        .block
        .to_token_stream()
        .to_string()
        .replace(' ', "");
    let (before, after) = body.split_once(".get_const::<")?;
    let (_, holder) = before.rsplit_once("self._bitfield_")?;
    let (shift, after) = after.split_once("usize,")?;
    let (width, _) = after.split_once("u8>")?;
    Some(Bitfield {
        name: accessor.sig.ident.clone(),
        holder: holder.to_owned(),
        shift: shift.parse().ok()?,
        width: width.parse().ok()?,
    })
}

fn renaming(tree: &syn::UseTree) -> Option<(&Ident, &Ident)> {
    match tree {
        syn::UseTree::Path(path) => renaming(&path.tree),
        syn::UseTree::Rename(rename) => Some((&rename.ident, &rename.rename)),
        _ => None,
    }
}

impl Enumeration {
    fn none() -> Self {
        Self {
            integer: syn::parse_quote!(i32),
            members: Vec::new(),
        }
    }
}

fn named(fields: syn::FieldsNamed) -> Vec<(Ident, Type)> {
    let members = fields
        .named
        .into_iter()
        .filter_map(|field| Some((field.ident?, field.ty)));
    members
        .filter(|(name, _)| !name.to_string().starts_with("_bitfield_align_"))
        .collect()
}

fn last_segment(ty: &Type) -> Option<Ident> {
    let Type::Path(path) = ty else { return None };
    path.path
        .segments
        .last()
        .map(|segment| segment.ident.clone())
}

/// The record that a layout test measures.
fn measured(measure: &syn::Expr) -> Option<String> {
    match measure {
        syn::Expr::Call(call) => {
            let syn::Expr::Path(function) = &*call.func else {
                return None;
            };
            let syn::PathArguments::AngleBracketed(arguments) =
                &function.path.segments.last()?.arguments
            else {
                return None;
            };
            let Some(syn::GenericArgument::Type(ty)) = arguments.args.first() else {
                return None;
            };
            last_segment(ty).map(|ident| ident.to_string())
        }
        syn::Expr::Macro(macro_call) => {
            let first = macro_call.mac.tokens.clone().into_iter().next()?;
            Some(first.to_string())
        }
        _ => None,
    }
}

fn unknown(what: &str) -> Error {
    let what: String = what.chars().take(200).collect();
    Error::Bindgen(format!(
        "it wrote {what}, which this generator does not know how to read"
    ))
}
