//! Leaves out what clients of Winsock Kernel never use. All of a kit's `wsk.h` is bound. Of the kernel's own structures, only the
//! members that our headers name are bound, at the kit's offsets. A structure that our headers never name becomes an opaque type
//! behind pointers.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Span;
use syn::{Ident, Type, parse_quote};

use crate::bind::bindings::Bindings;
use crate::bind::layout::{Sizes, blob, mentioned, pointed_at, reduced, renumber};
use crate::error::Error;
use crate::read::facts::{Facts, WSK};

/// How much of a record is bound, from less to more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// Only pointers to it exist.
    Pointer,
    /// Another record contains it, so its size and alignment are bound.
    Size,
    /// The members with these names.
    Members(BTreeSet<String>),
    /// All of it.
    Whole,
}

/// Prunes the bindings of a kit. `ours` are the facts of our own headers. The `adopted` records already have their final form.
///
/// # Errors
///
/// When the size of a kept member is not known.
pub(crate) fn prune(
    bindings: &mut Bindings,
    facts: &Facts,
    ours: &Facts,
    adopted: &BTreeSet<String>,
) -> Result<(), Error> {
    let Extents {
        records, others, ..
    } = Extents::of(bindings, facts, ours, adopted);
    for (name, extent) in &records {
        let Some(record) = bindings.records.get(name).cloned() else {
            continue;
        };
        let layout = bindings.layouts.get(name).cloned().unwrap_or_default();
        let pruned = match extent {
            Extent::Whole => continue,
            Extent::Pointer => pointed_at(&record),
            Extent::Size => blob(&record, &layout),
            Extent::Members(names) => {
                let keep = |member: &Ident| is_kept(bindings, name, member, names);
                reduced(name, &record, &layout, &keep, &Sizes(bindings))?
            }
        };
        let bare = !matches!(extent, Extent::Members(_));
        if bare {
            bindings.bitfields.remove(name);
        }
        if *extent == Extent::Pointer {
            bindings.layouts.remove(name);
        } else if let Some(layout) = bindings.layouts.get_mut(name) {
            let kept = |member: &Ident| pruned.members.iter().any(|(kept, _)| kept == member);
            layout.offsets.retain(|(member, _)| kept(member));
            renumber(layout.offsets.iter_mut().map(|(member, _)| member));
        }
        let mut pruned = pruned;
        renumber(pruned.members.iter_mut().map(|(member, _)| member));
        bindings.records.insert(name.clone(), pruned);
    }
    bindings
        .records
        .retain(|name, _| records.contains_key(name));
    bindings
        .layouts
        .retain(|name, _| records.contains_key(name));
    bindings
        .bitfields
        .retain(|name, _| records.contains_key(name));
    bindings
        .enumerations
        .retain(|name, _| others.contains(name));
    Ok(())
}

/// Whether a member is one of `names`, or contains one of them (bindgen numbers the members that C leaves unnamed).
fn is_kept(bindings: &Bindings, record: &str, member: &Ident, names: &BTreeSet<String>) -> bool {
    let member = member.to_string();
    if let Some(holder) = member.strip_prefix("_bitfield_") {
        let bitfields = bindings.bitfields.get(record);
        return bitfields.is_some_and(|bitfields| {
            bitfields.iter().any(|bitfield| {
                bitfield.holder == holder && names.contains(&bitfield.name.to_string())
            })
        });
    }
    if !member.starts_with("__bindgen_anon_") {
        return names.contains(&member);
    }
    let Some(record) = bindings.records.get(record) else {
        return false;
    };
    let inner = record.members.iter().find(|(name, _)| *name == member);
    let inner = inner.into_iter().flat_map(|(_, ty)| mentioned(ty).by_value);
    inner.into_iter().any(|inner| {
        bindings.records.get(&inner).is_some_and(|record| {
            record
                .members
                .iter()
                .any(|(member, _)| is_kept(bindings, &inner, member, names))
        })
    })
}

/// The extent to which each record is bound, and the enumerations that are bound.
struct Extents<'b> {
    bindings: &'b Bindings,
    records: BTreeMap<String, Extent>,
    others: BTreeSet<String>,
    queue: Vec<String>,
}

impl<'b> Extents<'b> {
    fn of(bindings: &'b Bindings, facts: &Facts, ours: &Facts, adopted: &BTreeSet<String>) -> Self {
        let mut extents = Self {
            bindings,
            records: BTreeMap::new(),
            others: BTreeSet::new(),
            queue: Vec::new(),
        };
        for (public, record) in &facts.records {
            let extent = if record.origin.header == WSK {
                Extent::Whole
            } else {
                let named = ours
                    .records
                    .get(public)
                    .map(|ours| ours.members.keys().cloned().collect());
                named.map_or(Extent::Pointer, Extent::Members)
            };
            for name in [&record.tag, public] {
                let adopted = adopted.contains(name);
                extents.need(
                    name,
                    if adopted {
                        Extent::Whole
                    } else {
                        extent.clone()
                    },
                );
            }
        }
        for (public, enumeration) in &facts.enumerations {
            extents
                .others
                .extend([public.clone(), enumeration.tag.clone()]);
        }
        for name in facts.opaque.keys() {
            extents.ty(&reference(name), &Extent::Pointer);
        }
        for (name, prototype) in &facts.callbacks {
            if let Some(ty) = bindings.aliases.get(name) {
                extents.signature(ty, &prototype.origin.header);
            }
        }
        for (name, origin) in &facts.aliases {
            if let Some(ty) = bindings.aliases.get(name) {
                extents.signature(ty, &origin.header);
            }
        }
        for (name, prototype) in &facts.functions {
            if let Some(function) = bindings.functions.get(name) {
                let ty = Type::FnPtr(function.clone());
                extents.signature(&ty, &prototype.origin.header);
            }
        }
        extents.follow();
        extents
    }

    /// Records that a record is needed at least to this extent.
    fn need(&mut self, name: &str, extent: Extent) {
        if !self.bindings.records.contains_key(name) {
            return;
        }
        match self.records.get_mut(name) {
            Some(known) if *known >= extent => return,
            Some(known) => *known = extent,
            None => {
                self.records.insert(name.to_owned(), extent);
            }
        }
        self.queue.push(name.to_owned());
    }

    fn signature(&mut self, ty: &Type, header: &str) {
        let by_value = if header == WSK {
            Extent::Whole
        } else {
            Extent::Size
        };
        self.ty(ty, &by_value);
    }

    /// Records what a type mentions: types that it contains are needed to the extent `by_value`, types behind pointers only as
    /// pointers.
    fn ty(&mut self, ty: &Type, by_value: &Extent) {
        let mentioned = mentioned(ty);
        let uses = mentioned
            .by_value
            .iter()
            .map(|name| (name, by_value.clone()));
        let uses = uses.chain(mentioned.pointed.iter().map(|name| (name, Extent::Pointer)));
        for (name, extent) in uses {
            if self.bindings.records.contains_key(name) {
                self.need(name, extent);
            } else if self.bindings.enumerations.contains_key(name) {
                self.others.insert(name.clone());
            } else if let Some(target) = self.bindings.aliases.get(name) {
                self.ty(&target.clone(), &extent);
            }
        }
    }

    fn follow(&mut self) {
        while let Some(name) = self.queue.pop() {
            let (Some(record), Some(extent)) = (
                self.bindings.records.get(&name),
                self.records.get(&name).cloned(),
            ) else {
                continue;
            };
            match extent {
                Extent::Pointer | Extent::Size => {}
                Extent::Whole => {
                    for (_, ty) in &record.members {
                        self.ty(ty, &Extent::Whole);
                    }
                }
                Extent::Members(names) => {
                    for (member, ty) in &record.members {
                        if !is_kept(self.bindings, &name, member, &names) {
                            continue;
                        }
                        // An unnamed record belongs to the record that contains it, whatever the member is called.
                        let inner = mentioned(ty).by_value;
                        let own = inner
                            .iter()
                            .any(|inner| inner.starts_with(&format!("{name}__bindgen_ty_")));
                        let extent = if own {
                            Extent::Members(names.clone())
                        } else {
                            Extent::Size
                        };
                        self.ty(ty, &extent);
                    }
                }
            }
        }
    }
}

fn reference(name: &str) -> Type {
    let ident = Ident::new(name, Span::call_site());
    parse_quote!(#ident)
}
