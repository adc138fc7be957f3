//! Structures and unions, accessors of their bitfields, and the assertions on their layout.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use syn::Type;

use crate::bind::bindings::{Bitfield, Record};
use crate::emit::document::{self, Kind};
use crate::emit::emitter::{Emitter, File, Items, docs, hexadecimal, ident};
use crate::emit::types::member_name;
use crate::error::Error;
use crate::read::facts::Origin;

/// The place of a member, for the derive of a dispatch table's wrapper.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    /// Whose table contains it, if a table does.
    pub table: Option<&'p str>,
    /// The first release whose table has it.
    pub since: Option<u32>,
    /// Whether an entry comes before it.
    pub behind_entry: bool,
}

impl Emitter<'_> {
    pub(super) fn records(&self, items: &mut Items) -> Result<(), Error> {
        let mut zeroed = Vec::new();
        for (raw, record) in &self.bindings.records {
            let name = self.types.name(raw);
            let table = table_kind(&name);
            let file = if table.is_some() {
                File::Dispatch
            } else {
                File::Records
            };
            items.insert((file, name.clone()), self.record(raw, &name, record)?);
            if !record.opaque {
                zeroed.push(ident(&name));
            }
        }
        for (raw, bitfields) in &self.bindings.bitfields {
            // The assertions follow each record, in the order of the names.
            items.insert(
                (File::Records, format!("~{raw}")),
                self.bitfields(raw, bitfields)?,
            );
        }
        items.insert(
            (File::Records, "~default".to_owned()),
            quote!(crate::zeroed_default!(#(#zeroed),*);),
        );
        Ok(())
    }

    fn record(&self, raw: &str, name: &str, record: &Record) -> Result<TokenStream, Error> {
        let facts = self.facts.records.get(name);
        let doc = match facts {
            Some(facts) => docs(&document::item(
                Kind::Record,
                name,
                &facts.tag,
                &facts.origin,
                None,
            )),
            None if record.opaque => docs(&[format!(
                "The kernel's `{raw}`. Drivers only use pointers to it."
            )]),
            None => docs(&[match self.owner(name) {
                Some(owner) => format!(
                    "An unnamed structure or union inside [`{owner}`]: the type of one of its members."
                ),
                None => format!("`{raw}` of the headers."),
            }]),
        };
        let alias = facts.filter(|facts| facts.tag != name).map(|facts| {
            let tag = &facts.tag;
            quote!(#[doc(alias = #tag)])
        });
        let reprs = record
            .attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("repr"));
        let table = table_kind(name);
        let derive = match &table {
            Some(kind) => {
                let kind = ident(kind);
                quote!(
                    #[derive(Debug, Clone, Copy)]
                    #[cfg_attr(feature = "dispatch", derive(wsk_macros::Dispatch), dispatch(#kind))]
                )
            }
            None if record.opaque => TokenStream::new(),
            None if record.derives_debug() => quote!(#[derive(Debug, Clone, Copy)]),
            None => quote!(#[derive(Clone, Copy)]),
        };
        let since = match table {
            Some(_) => self.since(name, &record.members)?,
            None => BTreeMap::new(),
        };
        let mut members = Vec::new();
        let mut place = Place {
            table,
            since: None,
            behind_entry: false,
        };
        for (member, ty) in &record.members {
            place.since = since.get(&member_name(member)).copied();
            members.push(self.member(name, place, record.opaque, member, ty)?);
            place.behind_entry |= place.since.is_some();
        }
        let name = ident(name);
        let keyword = if record.union {
            quote!(union)
        } else {
            quote!(struct)
        };
        Ok(quote! { #doc #alias #(#reprs)* #derive pub #keyword #name { #(#members)* } })
    }

    /// Accessors of the bitfields that share a member.
    fn bitfields(&self, raw: &str, bitfields: &[Bitfield]) -> Result<TokenStream, Error> {
        let name = self.types.name(raw);
        let origins = self.origins(&name);
        let mut accessors = Vec::new();
        for bitfield in bitfields {
            let holder = format!("_bitfield_{}", bitfield.holder);
            let record = self.bindings.records.get(raw);
            let member = record
                .and_then(|record| record.members.iter().find(|(member, _)| *member == holder));
            let (member, ty) =
                member.ok_or_else(|| Error::item(raw, format!("{holder} is not a member")))?;
            let (ty, holder) = (self.types.rewrite(ty), ident(&member_name(member)));
            let (get, set) = (&bitfield.name, ident(&format!("set_{}", bitfield.name)));
            let name = bitfield.name.to_string();
            let doc = docs(&document::member(
                origins.and_then(|origins| origins.get(&name)),
                &name,
                None,
            ));
            let doc_set = docs(&[format!("Sets `{name}`; bits that do not fit are left out.")]);
            let (mut read, mut write) = in_integer(bitfield, &holder);
            let is_union = record.is_some_and(|record| record.union);
            let (safety, unsafety) = if is_union {
                let lines = [
                    "",
                    "# Safety",
                    "",
                    "All bits of the member that holds it are initialised.",
                ];
                (read, write) = (quote!(unsafe { #read }), quote!(unsafe { #write }));
                (docs(&lines.map(str::to_owned)), Some(quote!(unsafe)))
            } else {
                (TokenStream::new(), None)
            };
            accessors.push(quote! {
                #doc
                #safety
                #[inline]
                #[must_use]
                pub const #unsafety fn #get(&self) -> #ty { #read }
                #doc_set
                #safety
                #[inline]
                pub const #unsafety fn #set(&mut self, value: #ty) { #write }
            });
        }
        let name = ident(&name);
        Ok(quote!(impl #name { #(#accessors)* }))
    }

    /// The record of the headers that is `name` or contains it.
    fn owner<'n>(&self, name: &'n str) -> Option<&'n str> {
        let mut name = name;
        while !self.facts.records.contains_key(name) {
            name = name.rsplit_once('_')?.0;
        }
        Some(name)
    }

    /// The facts of a record's members. Those of an unnamed record are listed under the record that contains it.
    pub(super) fn origins(&self, name: &str) -> Option<&BTreeMap<String, Origin>> {
        let record = self.facts.records.get(self.owner(name)?)?;
        Some(&record.members)
    }

    fn member(
        &self,
        record: &str,
        place: Place<'_>,
        opaque: bool,
        member: &Ident,
        ty: &Type,
    ) -> Result<TokenStream, Error> {
        let public = member_name(member);
        let origin = self
            .origins(record)
            .and_then(|origins| origins.get(&public));
        let dispatch = match place.table {
            Some(_) => self.entry(record, &public, place, ty)?,
            None => TokenStream::new(),
        };
        let ty = self.types.rewrite(ty);
        if opaque {
            return Ok(quote!(_unused: [u8; 0],));
        }
        if public.starts_with("_reserved_") {
            return Ok(quote!(#member: #ty,));
        }
        let doc = docs(&document::member(origin, &public, place.since));
        let public = ident(&public);
        Ok(quote!(#doc #dispatch pub #public: #ty,))
    }

    pub(super) fn layouts(&self, items: &mut Items) {
        for (raw, layout) in &self.bindings.layouts {
            if self
                .bindings
                .records
                .get(raw)
                .is_some_and(|record| record.opaque)
            {
                continue;
            }
            let name = self.types.name(raw);
            let record = ident(&name);
            let (size, align) = (number(layout.size), number(layout.align));
            let offsets = layout.offsets.iter().map(|(member, offset)| {
                let (member, offset) = (ident(&member_name(member)), number(*offset));
                quote!(assert!(offset_of!(#record, #member) == #offset);)
            });
            let tokens = quote! {
                const _: () = {
                    assert!(size_of::<#record>() == #size);
                    assert!(align_of::<#record>() == #align);
                    #(#offsets)*
                };
            };
            items.insert((File::Layout, name), tokens);
        }
    }
}

/// The code that reads and writes a bitfield in an integer.
fn in_integer(bitfield: &Bitfield, holder: &Ident) -> (TokenStream, TokenStream) {
    let ones = u64::MAX >> 64_u32.saturating_sub(bitfield.width);
    let mask = hexadecimal(ones.into(), 1, "");
    let placed = hexadecimal(i128::from(ones) << bitfield.shift, 1, "");
    let shift = Literal::u32_unsuffixed(bitfield.shift);
    if bitfield.shift == 0 {
        (
            quote!(self.#holder & #mask),
            quote!(self.#holder = (self.#holder & !#placed) | (value & #mask);),
        )
    } else {
        (
            quote!((self.#holder >> #shift) & #mask),
            // Two statements, because one may be too long for a line.
            quote! {
                let value = (value & #mask) << #shift;
                self.#holder = (self.#holder & !#placed) | value;
            },
        )
    }
}

/// If a record is a dispatch table, whose table it is.
fn table_kind(name: &str) -> Option<&'static str> {
    if !name.ends_with("_DISPATCH") {
        None
    } else if name.starts_with("WSK_PROVIDER_") {
        Some("provider")
    } else if name.starts_with("WSK_CLIENT_") {
        Some("client")
    } else {
        None
    }
}

fn number(value: usize) -> Literal {
    Literal::usize_unsuffixed(value)
}
