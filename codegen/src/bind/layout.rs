//! Sizes of types as bindgen writes them, and records reduced to some of their members.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Ident, Type, parse_quote};

use crate::bind::bindings::{Bindings, Layout, Record};
use crate::error::Error;

/// The names that a type mentions.
#[derive(Default)]
pub(crate) struct Mentioned {
    /// Names of types that it contains by value.
    pub(crate) by_value: BTreeSet<String>,
    /// Names of types that it points at.
    pub(crate) pointed: BTreeSet<String>,
    behind: usize,
}

/// The names in `ty`.
pub(crate) fn mentioned(ty: &Type) -> Mentioned {
    let mut mentioned = Mentioned::default();
    mentioned.visit_type(ty);
    mentioned
}

impl<'ast> Visit<'ast> for Mentioned {
    fn visit_type_ptr(&mut self, pointer: &'ast syn::TypePtr) {
        self.behind += 1;
        visit::visit_type_ptr(self, pointer);
        self.behind -= 1;
    }

    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        let name = segment.ident.to_string();
        if self.behind == 0 {
            self.by_value.insert(name);
        } else {
            self.pointed.insert(name);
        }
        visit::visit_path_segment(self, segment);
    }
}

/// The record without its members, in the form that bindgen gives to records that headers only declare: only pointers to it can
/// be used.
pub(crate) fn pointed_at(record: &Record) -> Record {
    Record {
        attributes: vec![parse_quote!(#[repr(C)])],
        union: false,
        opaque: true,
        members: vec![(
            Ident::new("_unused", Span::call_site()),
            parse_quote!([u8; 0]),
        )],
    }
    .unless_opaque(record)
}

impl Record {
    fn unless_opaque(self, original: &Self) -> Self {
        if original.opaque {
            original.clone()
        } else {
            self
        }
    }
}

/// The record as plain bytes, of which only size and alignment are known.
pub(crate) fn blob(record: &Record, layout: &Layout) -> Record {
    let size = layout.size;
    let mut attributes = vec![parse_quote!(#[repr(C)])];
    if layout.align > 1 {
        let align = literal(layout.align);
        attributes.push(parse_quote!(#[repr(align(#align))]));
    }
    Record {
        attributes,
        union: false,
        opaque: false,
        members: vec![(reserved(1), parse_quote!([u8; #size]))],
    }
    .unless_opaque(record)
}

/// The record with only the kept members, at their offsets, and reserved bytes between them.
pub(crate) fn reduced(
    name: &str,
    record: &Record,
    layout: &Layout,
    keep: &dyn Fn(&Ident) -> bool,
    sizes: &Sizes<'_>,
) -> Result<Record, Error> {
    if record.opaque || record.members.iter().all(|(member, _)| keep(member)) {
        return Ok(record.clone());
    }
    let unknown =
        |member: &Ident| Error::item(name, format!("the size of member {member} is not known"));
    let mut members: Vec<(Ident, Type)> = Vec::new();
    let (mut end, mut align, mut gaps) = (0_usize, 1, 0);
    let mut gap = |members: &mut Vec<(Ident, Type)>, bytes: usize| {
        gaps += 1;
        members.push((reserved(gaps), parse_quote!([u8; #bytes])));
    };
    let offsets = offsets(record, layout, sizes);
    for (member, ty) in &record.members {
        if !keep(member) {
            continue;
        }
        let (size, member_align) = sizes.of(ty).ok_or_else(|| unknown(member))?;
        if record.union {
            end = end.max(size);
        } else {
            let natural = end.next_multiple_of(member_align);
            let offset = offsets.get(member).copied().unwrap_or(natural);
            if offset > natural {
                gap(&mut members, offset - end);
            }
            end = offset + size;
        }
        align = align.max(member_align);
        members.push((member.clone(), ty.clone()));
    }
    if layout.size > end.next_multiple_of(layout.align.max(1))
        || (record.union && layout.size > end)
    {
        let bytes = if record.union {
            layout.size
        } else {
            layout.size - end
        };
        gap(&mut members, bytes);
    }
    let mut attributes = record.attributes.clone();
    let aligned = attributes
        .iter()
        .any(|attribute| quote::quote!(#attribute).to_string().contains("align"));
    if align < layout.align && !aligned {
        let align = literal(layout.align);
        attributes.push(parse_quote!(#[repr(align(#align))]));
    }
    Ok(Record {
        attributes,
        members,
        ..*record
    })
}

/// The offsets of a record's members. bindgen measures neither bitfields nor unnamed members. In a structure they follow the
/// member before them.
pub(crate) fn offsets(
    record: &Record,
    layout: &Layout,
    sizes: &Sizes<'_>,
) -> BTreeMap<Ident, usize> {
    let mut end = 0_usize;
    let mut found = BTreeMap::new();
    for (member, ty) in &record.members {
        let measured = layout
            .offsets
            .iter()
            .find(|(measured, _)| measured == member);
        let size = sizes.of(ty);
        let offset = match (measured, size) {
            (Some((_, offset)), _) => *offset,
            (None, Some((_, align))) => end.next_multiple_of(align.max(1)),
            (None, None) => continue,
        };
        if !record.union {
            end = offset + size.map_or(0, |(size, _)| size);
        }
        found.insert(member.clone(), offset);
    }
    found
}

/// Numbers the remaining unnamed members again, from 1.
pub(crate) fn renumber<'m>(members: impl Iterator<Item = &'m mut Ident>) {
    let unnamed = members.filter(|member| member.to_string().starts_with("__bindgen_anon_"));
    for (index, member) in unnamed.enumerate() {
        *member = Ident::new(&format!("__bindgen_anon_{}", index + 1), member.span());
    }
}

fn reserved(number: usize) -> Ident {
    Ident::new(&format!("_reserved_{number}"), Span::call_site())
}

fn literal(value: usize) -> proc_macro2::Literal {
    proc_macro2::Literal::usize_unsuffixed(value)
}

/// Sizes and alignments of types as bindgen writes them.
pub(crate) struct Sizes<'b>(pub(crate) &'b Bindings);

impl Sizes<'_> {
    /// The size and alignment of a type, if they are known.
    pub(crate) fn of(&self, ty: &Type) -> Option<(usize, usize)> {
        match ty {
            Type::Ptr(_) | Type::FnPtr(_) => Some((8, 8)),
            Type::Array(array) => {
                let (size, align) = self.of(&array.elem)?;
                let syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(count),
                    ..
                }) = &array.len
                else {
                    return None;
                };
                Some((size.checked_mul(count.base10_parse().ok()?)?, align))
            }
            Type::Path(path) => self.named(&path.path),
            _ => None,
        }
    }

    fn named(&self, path: &syn::Path) -> Option<(usize, usize)> {
        let segment = path.segments.last()?;
        let name = segment.ident.to_string();
        let first = match &segment.arguments {
            syn::PathArguments::AngleBracketed(arguments) => arguments.args.first(),
            _ => None,
        };
        let bytes = match name.as_str() {
            "c_char" | "c_schar" | "c_uchar" | "u8" | "i8" | "bool" => 1,
            "c_short" | "c_ushort" | "u16" | "i16" => 2,
            "c_int" | "c_uint" | "c_long" | "c_ulong" | "u32" | "i32" | "f32" => 4,
            "c_longlong" | "c_ulonglong" | "u64" | "i64" | "usize" | "isize" | "f64" | "Option" => {
                8
            }
            // A flexible array has no elements, and the alignment of one.
            "__IncompleteArrayField" => {
                let syn::GenericArgument::Type(ty) = first? else {
                    return None;
                };
                return self.of(ty).map(|(_, align)| (0, align));
            }
            // A bitfield unit is an array of bytes, whose alignment is that of its element type.
            "__BindgenBitfieldUnit" => {
                let syn::GenericArgument::Type(ty) = first? else {
                    return None;
                };
                return self.of(ty);
            }
            _ => {
                if let Some(layout) = self.0.layouts.get(&name) {
                    return Some((layout.size, layout.align));
                }
                if let Some(enumeration) = self.0.enumerations.get(&name) {
                    return self.of(&enumeration.integer);
                }
                return self.of(self.0.aliases.get(&name)?);
            }
        };
        Some((bytes, bytes))
    }
}
