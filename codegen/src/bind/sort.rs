//! Sorts the items that bindgen wrote by their kind.

use syn::{Fields, Ident, Item, ItemImpl, Type};

use crate::bind::bindings::{Bindings, Enumeration, Record, bare_function};
use crate::bind::run::{FUNCTION, ROOTS};
use crate::error::Error;

/// Sorts the items that bindgen wrote by their kind.
///
/// # Errors
///
/// When an item has a form that this generator does not know.
pub(crate) fn sort(text: &str) -> Result<Bindings, Error> {
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
                Fields::Named(fields) if item.ident == ROOTS => self.roots(&fields)?,
                _ if SUPPORT.contains(&item.ident.to_string().as_str()) => {}
                Fields::Named(fields) => {
                    let members = named(fields);
                    // In C++, a structure without members has one byte.
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
                Fields::Unit => return Err(unknown("a unit structure")),
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
            Item::Const(item) if item.ident == "_" => self.layout(*item.expr)?,
            Item::Impl(block) => self.implementation(&block)?,
            Item::Use(item) => {
                // `pub use self::_TAG as NAME;` for a typedef of an enumeration.
                let (tag, name) = renaming(&item.tree).ok_or_else(|| unknown("another import"))?;
                self.aliases
                    .insert(name.to_string(), syn::parse_quote!(#tag));
            }
            // This generator evaluates constants itself, and reads functions from the roots.
            Item::Const(_) | Item::ForeignMod(_) => {}
            other => return Err(unknown(&quote::quote!(#other).to_string())),
        }
        Ok(())
    }

    fn roots(&mut self, fields: &syn::FieldsNamed) -> Result<(), Error> {
        for field in &fields.named {
            let name = field
                .ident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            if let Some(name) = name.strip_prefix(FUNCTION) {
                let function = bare_function(&field.ty)
                    .ok_or_else(|| unknown("a function root that is no function"))?;
                self.functions.insert(name.to_owned(), function.clone());
            }
        }
        Ok(())
    }

    /// The members of an enumeration that is a newtype. Bitfields are ignored: clang describes them.
    fn implementation(&mut self, block: &ItemImpl) -> Result<(), Error> {
        let name = last_segment(&block.self_ty)
            .ok_or_else(|| unknown("an impl for something unnamed"))?
            .to_string();
        if block.trait_.is_some() || SUPPORT.contains(&name.as_str()) {
            return Ok(());
        }
        for item in &block.items {
            if let syn::ImplItem::Const(constant) = item {
                let syn::Expr::Call(call) = &constant.expr else {
                    return Err(unknown("an enumeration member that is not a newtype value"));
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
        }
        Ok(())
    }

    /// A layout test: a block of statements like `["Size of X"][size_of::<X>() - 24usize];`.
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
            let value = value
                .base10_parse()
                .map_err(|_| unknown("a layout test whose number is invalid"))?;
            let measure =
                measure(&difference.left).ok_or_else(|| unknown("a layout test of nothing"))?;
            if measure.record == ROOTS {
                continue;
            }
            let layout = self.layouts.entry(measure.record).or_default();
            match measure.of {
                Of::Size => layout.size = value,
                Of::Align => layout.align = value,
                Of::Offset(member) => layout.offsets.push((member, value)),
            }
        }
        Ok(())
    }
}

/// What a layout test measures.
struct Measure {
    record: String,
    of: Of,
}

enum Of {
    Size,
    Align,
    Offset(Ident),
}

/// Reads `size_of::<X>()`, `align_of::<X>()` and `offset_of!(X, member)`.
fn measure(expression: &syn::Expr) -> Option<Measure> {
    match expression {
        syn::Expr::Call(call) => {
            let syn::Expr::Path(function) = &*call.func else {
                return None;
            };
            let segment = function.path.segments.last()?;
            let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return None;
            };
            let Some(syn::GenericArgument::Type(ty)) = arguments.args.first() else {
                return None;
            };
            let of = if segment.ident == "size_of" {
                Of::Size
            } else {
                Of::Align
            };
            let record = last_segment(ty)?.to_string();
            Some(Measure { record, of })
        }
        syn::Expr::Macro(macro_call) => {
            let mut names =
                macro_call
                    .mac
                    .tokens
                    .clone()
                    .into_iter()
                    .filter_map(|token| match token {
                        proc_macro2::TokenTree::Ident(ident) => Some(ident),
                        _ => None,
                    });
            let record = names.next()?.to_string();
            Some(Measure {
                record,
                of: Of::Offset(names.next()?),
            })
        }
        _ => None,
    }
}

/// The types that bindgen uses for bitfields and flexible arrays. The generated files have plain integers and arrays without
/// elements instead.
const SUPPORT: [&str; 2] = ["__BindgenBitfieldUnit", "__IncompleteArrayField"];

fn renaming(tree: &syn::UseTree) -> Option<(&Ident, &Ident)> {
    match tree {
        syn::UseTree::Path(path) => renaming(&path.tree),
        syn::UseTree::Rename(rename) => Some((&rename.ident, &rename.rename)),
        _ => None,
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

fn unknown(what: &str) -> Error {
    let what: String = what.chars().take(200).collect();
    Error::Bindgen(format!(
        "it wrote {what}, which this generator does not know how to read"
    ))
}
