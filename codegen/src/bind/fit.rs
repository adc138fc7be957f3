//! Gives records the layout that clang computes, where Rust or bindgen would lay them out differently. It writes the padding out
//! and puts bitfields into integers of the type that C declares. It refuses a layout that Rust cannot express.

use proc_macro2::{Literal, Span};
use syn::{Ident, Type, parse_quote};

use crate::bind::bindings::{Bindings, Bitfield, Layout, Record};
use crate::bind::layout::{Sizes, mentioned};
use crate::error::Error;
use crate::read::facts::Facts;
use crate::read::fields::{Field, Fields};

/// Fits every record whose layout the facts contain.
///
/// # Errors
///
/// When a layout cannot be written in Rust.
pub(crate) fn fit(bindings: &mut Bindings, facts: &Facts) -> Result<(), Error> {
    for (public, tagged) in &facts.records {
        let Some(fields) = &tagged.fields else {
            continue;
        };
        let raw = [&tagged.tag, public]
            .into_iter()
            .find(|name| bindings.records.contains_key(*name));
        if let Some(raw) = raw {
            record(bindings, raw, fields).map_err(|problem| refused(public, &problem))?;
        }
    }
    Ok(())
}

/// Fails where rustc would not lay a record out as clang does.
///
/// # Errors
///
/// When there is such a record.
pub(crate) fn check(bindings: &Bindings) -> Result<(), Error> {
    for (name, record) in &bindings.records {
        let Some(layout) = bindings.layouts.get(name).filter(|_| !record.opaque) else {
            continue;
        };
        let unit = |ty: &Type| mentioned(ty).by_value.contains("__BindgenBitfieldUnit");
        if record.members.iter().any(|(_, ty)| unit(ty)) {
            let problem = "it has bitfields, and neither wsk.h nor our own headers declare it";
            return Err(refused(name, problem));
        }
        let said = |found: Result<Rust, String>| match found {
            Ok(found) if agrees(&found, layout) => Ok(()),
            Ok(found) => Err(format!(
                "Rust would give it {} bytes, aligned to {}, and C gives it {}, aligned to {}",
                found.size, found.align, layout.size, layout.align
            )),
            Err(problem) => Err(problem),
        };
        said(rust(record, &Sizes(bindings), bindings))
            .map_err(|problem| refused(name, &problem))?;
    }
    Ok(())
}

fn refused(record: &str, problem: &str) -> Error {
    Error::item(
        record,
        format!(
            "its layout cannot be written in Rust: {problem}; declare it with another layout in headers, or remove it there"
        ),
    )
}

/// The layout that rustc computes for a record.
struct Rust {
    size: usize,
    align: usize,
    offsets: Vec<(Ident, usize)>,
}

fn agrees(found: &Rust, layout: &Layout) -> bool {
    let place = |member: &Ident| {
        let known = found.offsets.iter().find(|(name, _)| name == member);
        known.map(|(_, offset)| *offset)
    };
    found.size == layout.size
        && found.align == layout.align
        && layout
            .offsets
            .iter()
            .all(|(member, offset)| place(member) == Some(*offset))
}

/// The values of a record's `repr` attribute.
#[derive(Default)]
struct Repr {
    packed: Option<usize>,
    align: Option<usize>,
}

impl Repr {
    fn of(record: &Record) -> Self {
        let mut repr = Self::default();
        for attribute in &record.attributes {
            if !attribute.path().is_ident("repr") {
                continue;
            }
            // bindgen writes no other form. If it did, the layouts would not agree, and that is reported.
            let _ = attribute.parse_nested_meta(|meta| {
                let number = if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    content.parse::<syn::LitInt>()?.base10_parse()?
                } else {
                    1
                };
                if meta.path.is_ident("packed") {
                    repr.packed = Some(number);
                } else if meta.path.is_ident("align") {
                    repr.align = Some(number.max(repr.align.unwrap_or(0)));
                }
                Ok(())
            });
        }
        repr
    }
}

fn rust(record: &Record, sizes: &Sizes<'_>, bindings: &Bindings) -> Result<Rust, String> {
    let repr = Repr::of(record);
    if let (Some(_), Some(_)) = (repr.packed, repr.align) {
        return Err("it is packed and aligned at the same time".to_owned());
    }
    let (mut end, mut align) = (0_usize, 1);
    let mut offsets = Vec::new();
    for (member, ty) in &record.members {
        let (size, wanted) = sizes
            .of(ty)
            .ok_or_else(|| format!("the size of member {member} is not known"))?;
        if repr.packed.is_some() && holds_aligned(ty, bindings) {
            return Err(format!(
                "it is packed, and its member {member} has an alignment of its own"
            ));
        }
        let wanted = repr.packed.map_or(wanted, |packed| wanted.min(packed));
        align = align.max(wanted);
        let offset = if record.union {
            0
        } else {
            end.next_multiple_of(wanted.max(1))
        };
        offsets.push((member.clone(), offset));
        end = end.max(offset + size);
    }
    let align = align.max(repr.align.unwrap_or(1));
    Ok(Rust {
        size: end.next_multiple_of(align),
        align,
        offsets,
    })
}

/// Whether a type contains a record with an `align` attribute. Rust allows none inside a packed record.
fn holds_aligned(ty: &Type, bindings: &Bindings) -> bool {
    mentioned(ty).by_value.iter().any(|name| {
        if let Some(record) = bindings.records.get(name) {
            let inner = record.members.iter();
            return Repr::of(record).align.is_some()
                || inner
                    .filter(|_| !record.opaque)
                    .any(|(_, ty)| holds_aligned(ty, bindings));
        }
        bindings
            .aliases
            .get(name)
            .is_some_and(|ty| holds_aligned(ty, bindings))
    })
}

/// A member of a record that is built again.
struct Slot {
    member: Ident,
    ty: Type,
    offset: usize,
    size: usize,
    align: usize,
}

/// Whether bindgen invented this member, so that no C member corresponds to it.
fn is_made(member: &Ident) -> bool {
    let name = member.to_string();
    [
        "_bitfield_",
        "__bindgen_padding_",
        "_bindgen_align",
        "__bindgen_align",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

fn record(bindings: &mut Bindings, raw: &str, fields: &Fields) -> Result<(), String> {
    let Some(record) = bindings.records.get(raw).cloned() else {
        return Ok(());
    };
    if record.opaque {
        return Ok(());
    }
    let members: Vec<&(Ident, Type)> = record
        .members
        .iter()
        .filter(|(member, _)| !is_made(member))
        .collect();
    let plain: Vec<&Field> = fields
        .fields
        .iter()
        .filter(|field| field.width.is_none())
        .collect();
    if members.len() != plain.len() {
        return Err("clang and bindgen do not agree on its members".to_owned());
    }
    for ((_, ty), field) in members.iter().zip(&plain) {
        let prefix = format!("{raw}_");
        let inner = mentioned(ty).by_value;
        let inner = inner.into_iter().find(|name| name.starts_with(&prefix));
        if let (Some(inner), Some(fields)) = (inner, &field.inner) {
            self::record(bindings, &inner, fields)?;
        }
    }
    let layout = bindings.layouts.entry(raw.to_owned()).or_default();
    (layout.size, layout.align) = (fields.size, fields.align);
    let has_made = record.members.len() != members.len() || plain.len() != fields.fields.len();
    let repr = Repr::of(&record);
    let ordinary = !has_made && repr.packed.is_none() && repr.align.is_none();
    if ordinary {
        let layout = &bindings.layouts[raw];
        if let Ok(found) = rust(&record, &Sizes(bindings), bindings)
            && agrees(&found, layout)
        {
            return Ok(());
        }
    }
    let mut slots = Vec::new();
    for ((member, ty), field) in members.into_iter().zip(plain) {
        let known = Sizes(bindings).of(ty);
        let (size, align) =
            known.ok_or_else(|| format!("the size of member {member} is not known"))?;
        if field.bit % 8 != 0 || (size != field.size && field.size != 0) {
            return Err(format!(
                "member {member} is {} bytes at bit {} in C, and {size} bytes in Rust",
                field.size, field.bit
            ));
        }
        slots.push(Slot {
            member: member.clone(),
            ty: ty.clone(),
            offset: field.bit / 8,
            size,
            align,
        });
    }
    let (units, bitfields) = units(&fields.fields, record.union)?;
    slots.extend(units);
    // The order of C: a member of size zero comes before the member at the same offset.
    slots.sort_by_key(|slot| (slot.offset, slot.size));
    let made = remade(&record, fields, slots)?;
    let layout = bindings.layouts.entry(raw.to_owned()).or_default();
    layout.offsets = made.1;
    if bitfields.is_empty() {
        bindings.bitfields.remove(raw);
    } else {
        bindings.bitfields.insert(raw.to_owned(), bitfields);
    }
    bindings.records.insert(raw.to_owned(), made.0);
    Ok(())
}

/// The integers that hold bitfields, as Microsoft's compiler allocates them: an integer has the declared type, and holds as many
/// consecutive fields of that size as fit.
fn units(fields: &[Field], union: bool) -> Result<(Vec<Slot>, Vec<Bitfield>), String> {
    let mut units: Vec<Slot> = Vec::new();
    let mut bitfields = Vec::new();
    let mut open = false;
    for field in fields {
        let Some(width) = field.width else {
            open = false;
            continue;
        };
        if width == 0 {
            open = false;
            continue;
        }
        let joins = open
            && !union
            && units.last().is_some_and(|unit| {
                unit.size == field.size
                    && field.bit >= unit.offset * 8
                    && field.bit + width <= (unit.offset + unit.size) * 8
            });
        if !joins {
            let ty: Type = match field.size {
                1 => parse_quote!(u8),
                2 => parse_quote!(u16),
                4 => parse_quote!(u32),
                8 => parse_quote!(u64),
                other => return Err(format!("a bitfield of a type of {other} bytes")),
            };
            if field.bit % 8 != 0 {
                return Err(format!(
                    "bitfield {} begins an integer at bit {}",
                    field.name, field.bit
                ));
            }
            units.push(Slot {
                member: Ident::new(&format!("_bitfield_{}", units.len() + 1), Span::call_site()),
                ty,
                offset: field.bit / 8,
                size: field.size,
                align: field.size,
            });
            open = true;
        }
        if let Some(unit) = units.last().filter(|_| !field.name.is_empty()) {
            let name = syn::parse_str::<Ident>(&field.name)
                .unwrap_or_else(|_| Ident::new(&format!("{}_", field.name), Span::call_site()));
            let number = |value: usize| u32::try_from(value).map_err(|error| error.to_string());
            bitfields.push(Bitfield {
                name,
                holder: units.len().to_string(),
                shift: number(field.bit - unit.offset * 8)?,
                width: number(width)?,
            });
        }
    }
    Ok((units, bitfields))
}

/// Builds the record with these members, and the list of their offsets.
fn remade(
    record: &Record,
    fields: &Fields,
    slots: Vec<Slot>,
) -> Result<(Record, Vec<(Ident, usize)>), String> {
    let natural = slots.iter().map(|slot| slot.align).max().unwrap_or(1);
    let lie_naturally = slots
        .iter()
        .all(|slot| slot.offset.is_multiple_of(slot.align.max(1)));
    let packed = !lie_naturally || fields.align < natural;
    if packed
        && !slots.iter().all(|slot| {
            slot.offset
                .is_multiple_of(slot.align.min(fields.align).max(1))
        })
    {
        return Err(
            "members lie closer than their alignment, and the record is aligned more than they"
                .to_owned(),
        );
    }
    let mut attributes: Vec<syn::Attribute> = record
        .attributes
        .iter()
        .filter(|attribute| !attribute.path().is_ident("repr"))
        .cloned()
        .collect();
    let align = Literal::usize_unsuffixed(fields.align);
    attributes.push(match (packed, fields.align) {
        (true, 1) => parse_quote!(#[repr(C, packed)]),
        (true, _) => parse_quote!(#[repr(C, packed(#align))]),
        (false, _) => parse_quote!(#[repr(C)]),
    });
    if !packed && fields.align > natural {
        attributes.push(parse_quote!(#[repr(align(#align))]));
    }
    let limit = if packed { fields.align } else { usize::MAX };
    let mut members: Vec<(Ident, Type)> = Vec::new();
    let mut offsets = Vec::new();
    let (mut end, mut gaps) = (0_usize, 0);
    let mut gap = |members: &mut Vec<(Ident, Type)>, bytes: usize| {
        gaps += 1;
        let name = Ident::new(&format!("_reserved_{gaps}"), Span::call_site());
        members.push((name, parse_quote!([u8; #bytes])));
    };
    for slot in slots {
        if !record.union {
            let next = end.next_multiple_of(slot.align.min(limit).max(1));
            if slot.offset < end {
                return Err(format!("member {} overlaps another", slot.member));
            }
            if slot.offset > next {
                gap(&mut members, slot.offset - end);
            }
        }
        end = end.max(slot.offset + slot.size);
        offsets.push((slot.member.clone(), slot.offset));
        members.push((slot.member, slot.ty));
    }
    if fields.size > end.next_multiple_of(fields.align) {
        let bytes = if record.union {
            fields.size
        } else {
            fields.size - end
        };
        gap(&mut members, bytes);
    }
    let made = Record {
        attributes,
        members,
        ..record.clone()
    };
    Ok((made, offsets))
}
