//! Enumerations, callbacks and other typedefs.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use crate::bind::bindings::integer;
use crate::emit::document::{self, Kind};
use crate::emit::emitter::{Emitter, File, Items, docs, ident};
use crate::error::Error;
use crate::read::facts::WSK;

/// Implements `Debug` for an enumeration: it prints the name of the first member with the value, or `NAME(7)` for any other
/// value.
fn debug(name: &str, members: &[(Ident, syn::Expr)]) -> TokenStream {
    let mut seen = BTreeSet::new();
    let named = members
        .iter()
        .filter_map(|(member, value)| Some((member.to_string(), integer(value)?)))
        .filter(|(_, value)| seen.insert(*value))
        .map(|(member, value)| {
            let value = Literal::i128_unsuffixed(value);
            quote!(#value => #member)
        });
    let other = format!("{name}({{other}})");
    let ident = ident(name);
    quote! {
        impl core::fmt::Debug for #ident {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let name = match self.0 {
                    #(#named,)*
                    other => return write!(f, #other),
                };
                f.write_str(name)
            }
        }
    }
}

impl Emitter<'_> {
    pub(super) fn enumerations(&self, items: &mut Items) {
        for (raw, enumeration) in &self.bindings.enumerations {
            let name = self.types.name(raw);
            let facts = self.facts.enumerations.get(&name);
            let doc = facts.map_or_else(
                || docs(&[format!("`{raw}` of the headers.")]),
                |facts| {
                    docs(&document::item(
                        Kind::Enumeration,
                        &name,
                        &facts.tag,
                        &facts.origin,
                        None,
                    ))
                },
            );
            let members = enumeration.members.iter().map(|(member, value)| {
                let origin = facts.and_then(|facts| facts.members.get(&member.to_string()));
                let doc = docs(&document::member(origin, &member.to_string(), None));
                quote!(#doc pub const #member: Self = Self(#value);)
            });
            let integer = self.types.rewrite(&enumeration.integer);
            let ident = ident(&name);
            let debug = debug(&name, &enumeration.members);
            let tokens = quote! {
                #doc
                #[repr(transparent)]
                #[derive(Clone, Copy, PartialEq, Eq, Hash)]
                pub struct #ident(pub #integer);
                impl #ident { #(#members)* }
                #debug
            };
            items.insert((File::Enumerations, name), tokens);
        }
    }

    pub(super) fn aliases_and_callbacks(&self, items: &mut Items) -> Result<(), Error> {
        for (name, ty) in &self.bindings.aliases {
            if !self.types.keeps(name) {
                continue;
            }
            let ident = ident(name);
            let rewritten = self.types.rewrite(ty);
            let (file, doc) = if let Some(prototype) = self.facts.callbacks.get(name) {
                if prototype.origin.header == WSK {
                    self.documented(name, &prototype.origin.doc)?;
                }
                let lines = document::item(
                    Kind::Callback,
                    name,
                    name,
                    &prototype.origin,
                    Some(prototype),
                );
                (File::Callbacks, docs(&lines))
            } else {
                let of = quote!(#rewritten)
                    .to_string()
                    .replace(' ', "")
                    .replace("*mut", "*mut ")
                    .replace("*const", "*const ");
                let origin = self.facts.aliases.get(name);
                (File::Aliases, docs(&document::alias(name, origin, &of)))
            };
            items.insert(
                (file, name.clone()),
                quote!(#doc pub type #ident = #rewritten;),
            );
        }
        Ok(())
    }
}
