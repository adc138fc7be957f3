//! Replaces the kernel's own structures in a kit's bindings with the form that our headers give them, where the layouts agree.
//!
//! A kit nests unnamed unions in its `IRP` more deeply than our headers do, and each kit nests them differently, although the
//! members keep their offsets. Drivers should not have to change because of that. So a member that both headers have keeps the
//! path that our headers give it, and a member that the kit lacks is left out. If a member has another offset or size in the kit,
//! the whole record keeps the kit's form.

use std::collections::{BTreeMap, BTreeSet};

use syn::Type;

use crate::bind::bindings::{Bindings, Record};
use crate::bind::layout::{Sizes, mentioned, offsets, pointed_at, reduced};
use crate::error::Error;
use crate::read::facts::{Facts, WSK};

/// Replaces the records of a kit's `bindings` whose layout agrees with `ours`. Returns the names of the replaced records.
///
/// # Errors
///
/// When the size of a member is not known.
pub(crate) fn adopt(
    bindings: &mut Bindings,
    facts: &Facts,
    ours: &Bindings,
) -> Result<BTreeSet<String>, Error> {
    let mut adopted = BTreeSet::new();
    for (public, tagged) in &facts.records {
        if tagged.origin.header == WSK {
            continue;
        }
        let Some(raw) = [&tagged.tag, public]
            .into_iter()
            .find(|name| ours.records.contains_key(*name))
        else {
            continue;
        };
        let theirs = members(bindings, raw);
        let same_size = match (bindings.layouts.get(raw), ours.layouts.get(raw)) {
            (Some(theirs), Some(ours)) => theirs.size == ours.size && theirs.align == ours.align,
            _ => false,
        };
        let known = members(ours, raw);
        let lies_elsewhere = known
            .iter()
            .any(|(path, place)| theirs.get(path).is_some_and(|theirs| theirs != place));
        if !same_size || lies_elsewhere {
            continue;
        }
        // Bitfields have no offset to compare, so they stay with their record.
        let keep = |path: &str| theirs.contains_key(path);
        take(bindings, ours, raw, "", &keep, &mut adopted)?;
    }
    complete(bindings, ours, &adopted);
    Ok(adopted)
}

/// Where a member lies in the whole record, and its size.
type Place = (usize, usize);

/// The named members of a record by path, including the members of unnamed records inside it.
fn members(bindings: &Bindings, raw: &str) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    collect(bindings, raw, "", 0, &mut found);
    found
}

fn collect(
    bindings: &Bindings,
    raw: &str,
    path: &str,
    base: usize,
    found: &mut BTreeMap<String, Place>,
) {
    let (Some(record), Some(layout)) = (bindings.records.get(raw), bindings.layouts.get(raw))
    else {
        return;
    };
    let sizes = Sizes(bindings);
    let offsets = offsets(record, layout, &sizes);
    for (member, ty) in &record.members {
        let Some(offset) = offsets.get(member).map(|offset| base + offset) else {
            continue;
        };
        let inner = inner_record(raw, ty);
        let name = member.to_string();
        let path = match (&inner, name.starts_with("__bindgen_anon_")) {
            (_, true) => path.to_owned(),
            (_, false) => format!("{path}.{name}"),
        };
        if !name.starts_with("__bindgen_")
            && let Some((size, _)) = sizes.of(ty)
        {
            found.insert(path.clone(), (offset, size));
        }
        if let Some(inner) = inner {
            collect(bindings, &inner, &path, offset, found);
        }
    }
}

/// The unnamed record that is the type of a member of `raw`, if it is one.
fn inner_record(raw: &str, ty: &Type) -> Option<String> {
    let prefix = format!("{raw}__bindgen_ty_");
    mentioned(ty)
        .by_value
        .into_iter()
        .find(|name| name.starts_with(&prefix))
}

/// Copies our form of a record and of the records inside it. Only members whose paths are kept are copied.
fn take(
    bindings: &mut Bindings,
    ours: &Bindings,
    raw: &str,
    path: &str,
    keep: &dyn Fn(&str) -> bool,
    adopted: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let (Some(record), Some(layout)) = (ours.records.get(raw), ours.layouts.get(raw)) else {
        return Ok(());
    };
    let wanted = |record: &Record, member: &syn::Ident| {
        let name = member.to_string();
        if name.starts_with("__bindgen_anon_") {
            let ty = record.members.iter().find(|(known, _)| known == member);
            let inner = ty.and_then(|(_, ty)| inner_record(raw, ty));
            return inner.is_none_or(|inner| any_kept(ours, &inner, path, keep));
        }
        name.starts_with('_') || keep(&format!("{path}.{name}"))
    };
    let taken = reduced(
        raw,
        record,
        layout,
        &|member| wanted(record, member),
        &Sizes(ours),
    )?;
    let mut layout = layout.clone();
    layout
        .offsets
        .retain(|(member, _)| taken.members.iter().any(|(kept, _)| kept == member));
    for (member, ty) in &taken.members {
        if let Some(inner) = inner_record(raw, ty) {
            let name = member.to_string();
            let path = if name.starts_with("__bindgen_anon_") {
                path.to_owned()
            } else {
                format!("{path}.{name}")
            };
            take(bindings, ours, &inner, &path, keep, adopted)?;
        }
    }
    bindings.bitfields.remove(raw);
    if let Some(bitfields) = ours.bitfields.get(raw) {
        bindings.bitfields.insert(raw.to_owned(), bitfields.clone());
    }
    bindings.records.insert(raw.to_owned(), taken);
    bindings.layouts.insert(raw.to_owned(), layout);
    adopted.insert(raw.to_owned());
    Ok(())
}

/// Whether any member of an unnamed record is kept.
fn any_kept(ours: &Bindings, raw: &str, path: &str, keep: &dyn Fn(&str) -> bool) -> bool {
    let Some(record) = ours.records.get(raw) else {
        return false;
    };
    record.members.iter().any(|(member, ty)| {
        let name = member.to_string();
        match inner_record(raw, ty) {
            Some(inner) if name.starts_with("__bindgen_anon_") => {
                any_kept(ours, &inner, path, keep)
            }
            _ => name.starts_with("_bitfield_") || keep(&format!("{path}.{name}")),
        }
    })
}

/// Adds the items that the adopted records mention and that the kit's bindings lack.
fn complete(bindings: &mut Bindings, ours: &Bindings, adopted: &BTreeSet<String>) {
    let mut queue: Vec<(String, bool)> = Vec::new();
    for raw in adopted {
        for (_, ty) in &ours.records[raw].members {
            let mentioned = mentioned(ty);
            queue.extend(mentioned.by_value.into_iter().map(|name| (name, true)));
            queue.extend(mentioned.pointed.into_iter().map(|name| (name, false)));
        }
    }
    while let Some((name, by_value)) = queue.pop() {
        if bindings.records.contains_key(&name)
            || bindings.enumerations.contains_key(&name)
            || bindings.aliases.contains_key(&name)
        {
            continue;
        }
        if let Some(alias) = ours.aliases.get(&name) {
            let mentioned = mentioned(alias);
            queue.extend(mentioned.by_value.into_iter().map(|name| (name, by_value)));
            queue.extend(mentioned.pointed.into_iter().map(|name| (name, false)));
            bindings.aliases.insert(name, alias.clone());
        } else if let Some(enumeration) = ours.enumerations.get(&name) {
            bindings.enumerations.insert(name, enumeration.clone());
        } else if let Some(record) = ours.records.get(&name) {
            if by_value {
                bindings.records.insert(name.clone(), record.clone());
                if let Some(layout) = ours.layouts.get(&name) {
                    bindings.layouts.insert(name, layout.clone());
                }
            } else {
                bindings.records.insert(name, pointed_at(record));
            }
        }
    }
}
