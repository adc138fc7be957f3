//! The attributes from which the derive makes typed wrappers: for each member of a dispatch table its signature with SAL, the
//! first Windows that has it, and the IRQL at which it may be called.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Type;

use crate::bind::bindings::bare_function;
use crate::emit::emitter::{Emitter, hexadecimal, ident};
use crate::emit::records::Place;
use crate::emit::tidy;
use crate::emit::types::member_name;
use crate::error::Error;
use crate::find::ntddi;
use crate::read::facts::Prototype;
use crate::read::{sal, tables};

impl Emitter<'_> {
    /// The attribute of the member `member` of `table`.
    pub(super) fn entry(
        &self,
        table: &str,
        member: &str,
        place: Place<'_>,
        ty: &Type,
    ) -> Result<TokenStream, Error> {
        let plain = |key: &str| {
            let key = ident(key);
            Ok(quote!(#[cfg_attr(feature = "dispatch", dispatch(#key))]))
        };
        if member.starts_with("Reserved") {
            return plain("reserved");
        }
        // A wrapper reads data on every Windows, but the tables of older ones end before some entries. Data behind an entry may
        // be out of bounds.
        let value = if place.behind_entry && place.table == Some("provider") {
            "reserved"
        } else {
            "value"
        };
        let alias = match ty {
            Type::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        let Some(alias) = alias else {
            let pointee = quote!(#ty).to_string();
            let table = pointee.trim_end().ends_with("_DISPATCH");
            return plain(if table { "table" } else { value });
        };
        let Some(prototype) = self.facts.callbacks.get(&alias) else {
            let public = self.types.name(&alias);
            let base = self.facts.records.contains_key(&public);
            return plain(if base { "base" } else { value });
        };
        let signature = self.signature(table, member, &alias, prototype)?;
        let mut keys = String::new();
        if let Some(since) = place.since {
            let _ = write!(keys, "since = {}, ", hexadecimal(since.into(), 8, ""));
        }
        if let Some(irql) = &prototype.origin.irql {
            let _ = write!(keys, "irql = {irql:?}, ");
        }
        let text = format!(
            "#[cfg_attr(\n    feature = \"dispatch\",\n    dispatch({keys}entry = {signature})\n)]"
        );
        let name = ident(tidy::ENTRY);
        Ok(quote!(#[#name = #text]))
    }

    /// The first Windows in which a table has each of its entries. For a client's table, that is the first one with Winsock
    /// Kernel. A member that is not an entry has no such version.
    ///
    /// Tables only grow at their ends. So an entry is never older than the entry before it, whatever the headers say.
    pub(super) fn since(
        &self,
        table: &str,
        members: &[(Ident, Type)],
    ) -> Result<BTreeMap<String, u32>, Error> {
        let provider = table.starts_with("WSK_PROVIDER_");
        let mut found = BTreeMap::new();
        let mut latest = ntddi::VISTA;
        let origins = self.origins(table);
        for (member, ty) in members {
            let member = member_name(member);
            if !self.is_entry(ty) {
                continue;
            }
            let conditional = origins
                .and_then(|origins| origins.get(&member))
                .and_then(|origin| origin.since.as_ref());
            let since = match conditional {
                Some(since) => tables::value(since, &self.reading.constants)?,
                None if !provider || tables::is_first(table, &member) => ntddi::VISTA,
                None => self
                    .reading
                    .new_entry
                    .clone()
                    .map_err(|problem| Error::item(format!("{table}::{member}"), problem))?,
            };
            latest = latest.max(since);
            found.insert(member, if provider { latest } else { since });
        }
        Ok(found)
    }

    /// Whether a member is a pointer to a function that the headers name.
    fn is_entry(&self, ty: &Type) -> bool {
        let alias = match ty {
            Type::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        alias.is_some_and(|alias| self.facts.callbacks.contains_key(&alias))
    }

    /// The entry's function type with the SAL annotations of its parameters.
    fn signature(
        &self,
        table: &str,
        member: &str,
        alias: &str,
        prototype: &Prototype,
    ) -> Result<String, Error> {
        let problem = |problem: String| Error::item(format!("{table}::{member}"), problem);
        let function = self
            .bindings
            .aliases
            .get(alias)
            .and_then(bare_function)
            .ok_or_else(|| problem(format!("{alias} is not a pointer to a function")))?;
        if function.inputs.len() != prototype.parameters.len() {
            return Err(problem(
                "clang and bindgen do not agree on the number of parameters".to_owned(),
            ));
        }
        let mut text = String::from("fn(");
        for (input, parameter) in function.inputs.iter().zip(&prototype.parameters) {
            let sal = sal::tokens(&parameter.sal).map_err(|what| {
                problem(format!(
                    "parameter {} of {alias} ({}:{}) {what}: {}\n  {}",
                    parameter.name,
                    prototype.origin.header,
                    parameter.line,
                    parameter.sal.join(" "),
                    sal::remedy(alias, &parameter.name, &parameter.sal)
                ))
            })?;
            let ty = self.types.rewrite(&input.ty);
            let _ = write!(
                text,
                "\n        #[sal({})] {}: {},",
                spelled(&sal),
                ident(&parameter.name),
                spelled(&ty)
            );
        }
        text.push_str(if function.inputs.is_empty() {
            ")"
        } else {
            "\n    )"
        });
        if let syn::ReturnType::Type(_, ty) = &function.output {
            let _ = write!(text, " -> {}", spelled(&self.types.rewrite(ty.as_ref())));
        }
        Ok(text)
    }
}

/// Tokens with spaces where people write them.
fn spelled(tokens: &impl quote::ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    let mut spelled = String::new();
    for word in text.split(' ') {
        let before = spelled.chars().last();
        let is_name = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        // A space goes between two names, and after a comma or a colon.
        let apart = is_name(before) && (is_name(word.chars().next()) || word.starts_with('*'))
            || matches!(before, Some(',' | ';'))
            || (before == Some(':') && !spelled.ends_with("::"));
        if apart {
            spelled.push(' ');
        }
        spelled.push_str(word);
    }
    spelled
}
