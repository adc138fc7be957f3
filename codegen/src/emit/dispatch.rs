//! What the derive of the typed wrappers needs to know of a member of a dispatch table: its signature with SAL, the first
//! Windows that has it, and the IRQL that it may be called at.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Type;

use crate::bind::bindings::bare_function;
use crate::emit::emitter::{Emitter, hexadecimal, ident};
use crate::error::Error;
use crate::find::ntddi;
use crate::read::facts::{Origin, Prototype};
use crate::read::sal;

impl Emitter<'_> {
    /// The attribute of the member `member` of `table`.
    pub(super) fn entry(
        &self,
        table: &str,
        member: &str,
        origin: Option<&Origin>,
        ty: &Type,
    ) -> Result<TokenStream, Error> {
        let plain = |key: &str| {
            let key = ident(key);
            Ok(quote!(#[cfg_attr(feature = "dispatch", dispatch(#key))]))
        };
        if member.starts_with("Reserved") {
            return plain("reserved");
        }
        let alias = match ty {
            Type::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        let Some(alias) = alias else {
            let pointee = quote!(#ty).to_string();
            let table = pointee.trim_end().ends_with("_DISPATCH");
            return plain(if table { "table" } else { "value" });
        };
        let Some(prototype) = self.facts.callbacks.get(&alias) else {
            let public = self.types.name(&alias);
            let base = self.facts.records.contains_key(&public);
            return plain(if base { "base" } else { "value" });
        };
        let signature = self.signature(table, member, &alias, prototype)?;
        let since = self.since(table, member, origin)?;
        let since = since.map(|since| quote!(since = #since,));
        let irql = prototype
            .origin
            .irql
            .as_ref()
            .map(|irql| quote!(irql = #irql,));
        Ok(quote!(#[cfg_attr(feature = "dispatch", dispatch(#since #irql entry = #signature))]))
    }

    /// The first Windows that has the member, where there are older ones that the bindings are for.
    fn since(
        &self,
        table: &str,
        member: &str,
        origin: Option<&Origin>,
    ) -> Result<Option<proc_macro2::Literal>, Error> {
        let Some(version) = origin.and_then(|origin| origin.since.as_ref()) else {
            return Ok(None);
        };
        let value = match self.reading.constants.get(version) {
            Some(constant) => constant.value,
            None => ntddi::parse(version)
                .map_err(|_| {
                    let problem = format!("{version} has no value: define it in sdkddkver.h");
                    Error::item(format!("{table}::{member}"), problem)
                })?
                .into(),
        };
        Ok((value > ntddi::FLOOR.into()).then(|| hexadecimal(value, 8, "")))
    }

    /// The entry's function type with the SAL annotations of its parameters.
    fn signature(
        &self,
        table: &str,
        member: &str,
        alias: &str,
        prototype: &Prototype,
    ) -> Result<TokenStream, Error> {
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
        let mut parameters = Vec::new();
        for (input, parameter) in function.inputs.iter().zip(&prototype.parameters) {
            let sal = sal::tokens(&parameter.sal)
                .map_err(|what| problem(format!("parameter {} {what}", parameter.name)))?;
            let name = ident(&parameter.name);
            let ty = self.types.rewrite(&input.ty);
            parameters.push(quote!(#[sal(#sal)] #name: #ty));
        }
        let output = match &function.output {
            syn::ReturnType::Default => TokenStream::new(),
            syn::ReturnType::Type(_, ty) => {
                let ty = self.types.rewrite(ty.as_ref());
                quote!(-> #ty)
            }
        };
        Ok(quote!(fn(#(#parameters),*) #output))
    }
}
