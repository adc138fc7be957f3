//! Derives the bindings of a second architecture from those of the first. Another run of bindgen would take half as long as
//! everything else together, and only few declarations of a kit differ between architectures: alignments, members, functions.

use proc_macro2::Span;
use syn::{Ident, Type, TypeFnPtr, parse_quote};

use crate::bind::bindings::{Bindings, Layout, Record};
use crate::bind::fit;
use crate::bind::layout::mentioned;
use crate::read::facts::Reading;
use crate::read::fields::{Field, Fields};

/// The bindings that bindgen would write for another architecture, laid out, derived from those of the `first`. Returns `None`
/// when a difference needs bindgen itself.
///
/// `first` is bindgen's own output. Items that the other architecture lacks stay in it, but the facts of that architecture do not
/// mention them.
pub(crate) fn retarget(first: &Bindings, before: &Reading, after: &Reading) -> Option<Bindings> {
    let mut bindings = first.clone();
    let differs = |name: &&String| before.shapes.get(*name) != after.shapes.get(*name);
    for name in after.shapes.keys().filter(differs) {
        if let Some(tagged) = after.facts.records.get(name) {
            let fields = tagged.fields.as_ref()?;
            let raw = [&tagged.tag, name]
                .into_iter()
                .find(|name| bindings.records.contains_key(*name))?
                .clone();
            let known = before.facts.records.get(name);
            let known = known.and_then(|known| known.fields.as_ref());
            if !known.is_some_and(|known| are_alike(known, fields)) {
                let record = record(&bindings, fields)?;
                let of_it = format!("{raw}__bindgen_ty_");
                bindings.records.retain(|name, _| !name.starts_with(&of_it));
                bindings.layouts.retain(|name, _| !name.starts_with(&of_it));
                let offsets = record.members.iter().zip(plain(fields));
                let offsets = offsets.map(|((member, _), field)| (member.clone(), field.bit / 8));
                let offsets = offsets.collect();
                let layout = bindings.layouts.entry(raw.clone()).or_default();
                layout.offsets = offsets;
                bindings.records.insert(raw.clone(), record);
            }
            let layout: &mut Layout = bindings.layouts.entry(raw).or_default();
            (layout.size, layout.align) = (fields.size, fields.align);
        } else if let Some(function) = after.facts.functions.get(name) {
            let function: TypeFnPtr = syn::parse_str(function.rust.as_ref()?).ok()?;
            if !is_known(&bindings, &Type::FnPtr(function.clone())) {
                return None;
            }
            bindings.functions.insert(name.clone(), function);
        } else {
            return None;
        }
    }
    fit::fit(&mut bindings, &after.facts).ok()?;
    Some(bindings)
}

/// The members that are not bitfields.
fn plain(fields: &Fields) -> impl Iterator<Item = &Field> {
    fields.fields.iter().filter(|field| field.width.is_none())
}

/// Whether two records have the same members, at whatever offsets.
fn are_alike(one: &Fields, other: &Fields) -> bool {
    one.union == other.union
        && one.fields.len() == other.fields.len()
        && one.fields.iter().zip(&other.fields).all(|(one, other)| {
            let inner = match (&one.inner, &other.inner) {
                (None, None) => true,
                (Some(one), Some(other)) => are_alike(one, other),
                _ => false,
            };
            let types = (&one.rust, &one.name, one.width.is_some(), one.size);
            inner && types == (&other.rust, &other.name, other.width.is_some(), other.size)
        })
}

/// A record of these members. Returns `None` if one of them is an unnamed record.
fn record(bindings: &Bindings, fields: &Fields) -> Option<Record> {
    let mut members = Vec::new();
    for field in plain(fields) {
        let ty: Type = syn::parse_str(field.rust.as_ref()?).ok()?;
        if field.inner.is_some() || !is_known(bindings, &ty) {
            return None;
        }
        let name = syn::parse_str::<Ident>(&field.name)
            .unwrap_or_else(|_| Ident::new(&format!("{}_", field.name), Span::call_site()));
        members.push((name, ty));
    }
    let mut attributes = vec![parse_quote!(#[repr(C)])];
    let held = members.iter().flat_map(|(_, ty)| mentioned(ty).by_value);
    if !fields.union && held.into_iter().all(|name| has_debug(bindings, &name)) {
        attributes.push(parse_quote!(#[derive(Debug, Copy, Clone)]));
    }
    Some(Record {
        attributes,
        union: fields.union,
        opaque: false,
        members,
    })
}

/// Whether the bindings contain every name that a type mentions.
fn is_known(bindings: &Bindings, ty: &Type) -> bool {
    let mentioned = mentioned(ty);
    let mut names = mentioned.by_value.iter().chain(&mentioned.pointed);
    names.all(|name| {
        name == "bool"
            || name.starts_with("c_")
            || name == "ctypes"
            || bindings.records.contains_key(name)
            || bindings.enumerations.contains_key(name)
            || bindings.aliases.contains_key(name)
    })
}

fn has_debug(bindings: &Bindings, name: &str) -> bool {
    if let Some(record) = bindings.records.get(name) {
        return record.derives_debug();
    }
    let alias = bindings.aliases.get(name);
    alias.is_none_or(|ty| {
        let held = mentioned(ty).by_value;
        held.iter().all(|name| has_debug(bindings, name))
    })
}
