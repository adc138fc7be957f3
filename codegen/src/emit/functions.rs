//! Functions: imported ones, and function-like macros.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;

use crate::emit::document::{self, Kind};
use crate::emit::emitter::{Emitter, File, Items, docs, ident};
use crate::emit::function_macros;
use crate::error::Error;
use crate::read::facts::WSK;

/// Functions that are instructions on `x86_64` (they read and write CR8) and imports elsewhere. `wsk-sys` implements them in Rust
/// for `x86_64`.
const INLINE_ON_X86_64: &[&str] = &["KeGetCurrentIrql", "KeLowerIrql", "KfRaiseIrql"];

/// The `cfg` condition of code that runs in the kernel, and of its documentation. A driver aborts on a panic. A program that
/// unwinds is something else, such as a test, and another crate is its kernel. `more` must hold, too.
fn in_a_driver(more: &TokenStream) -> TokenStream {
    quote!(all(windows, #more any(docsrs, not(panic = "unwind"))))
}

impl Emitter<'_> {
    pub(super) fn functions(&self, items: &mut Items) -> Result<(), Error> {
        for (name, function) in &self.bindings.functions {
            let Some(prototype) = self.facts.functions.get(name) else {
                continue;
            };
            self.documented(name, &prototype.origin.doc)?;
            let doc = docs(&document::item(
                Kind::Function,
                name,
                name,
                &prototype.origin,
                Some(prototype),
            ));
            if function.inputs.len() != prototype.parameters.len() {
                return Err(Error::item(name, "has parameters that cannot be bound"));
            }
            let parameters =
                function
                    .inputs
                    .iter()
                    .zip(&prototype.parameters)
                    .map(|(input, parameter)| {
                        let (name, ty) = (ident(&parameter.name), self.types.rewrite(&input.ty));
                        quote!(#name: #ty)
                    });
            let more = function.variadic.is_some().then(|| quote!(...));
            let output = match &function.output {
                syn::ReturnType::Default => TokenStream::new(),
                syn::ReturnType::Type(_, ty) => {
                    let ty = self.types.rewrite(ty.as_ref());
                    quote!(-> #ty)
                }
            };
            let item = ident(name);
            let cfg = INLINE_ON_X86_64.contains(&name.as_str()).then(|| {
                let driver = in_a_driver(&quote!(target_arch = "x86_64",));
                quote!(#[cfg(not(#driver))])
            });
            items.insert(
                (File::Functions, name.clone()),
                quote!(#doc #cfg pub fn #item(#(#parameters,)* #more) #output;),
            );
        }
        Ok(())
    }

    /// The function-like macros of `wsk.h` that the crate does not have by hand.
    pub(super) fn function_macros(&self, items: &mut Items) -> Result<(), Error> {
        for (name, function) in &self.facts.function_macros {
            if function.origin.header != WSK || self.by_hand.contains(name) {
                continue;
            }
            // A macro that is not an expression does not become a function. The report of coverage lists it.
            let Ok(translated) =
                function_macros::translate(name, function, &self.reading.constants)
            else {
                continue;
            };
            self.documented(name, &function.origin.doc)?;
            let mut lines = document::item(Kind::Function, name, name, &function.origin, None);
            lines.extend(document::examples(&function_macros::examples(
                name,
                &translated,
                &self.reading.constants,
            )));
            let doc = docs(&lines);
            let parameters = translated.parameters.iter().map(|(name, ty)| {
                let (name, ty) = (ident(name), ident(ty));
                quote!(#name: #ty)
            });
            let (output, body, name_ident) =
                (ident(translated.output), &translated.body, ident(name));
            let tokens = quote! {
                #doc
                #[inline]
                #[must_use]
                pub const fn #name_ident(#(#parameters),*) -> #output { #body }
            };
            items.insert((File::Macros, name.clone()), tokens);
        }
        Ok(())
    }
}

/// What decides in which block a function is declared.
#[derive(Clone, Copy, Default)]
pub(super) struct Facts<'f> {
    /// The header that declares it.
    pub header: &'f str,
    /// Whether it takes any number of arguments.
    pub variadic: bool,
}

/// The module that exports a function, by its name and the header that declares it.
fn module(name: &str, header: &str) -> &'static str {
    match (name, header) {
        // Before Windows 10.0.19041 only `hal.dll` exports it. Later versions have a `hal.dll` that forwards it.
        ("KeQueryPerformanceCounter", _) => "hal.dll",
        (_, "wsk.h" | "netioddk.h") => "netio.sys",
        _ => "ntoskrnl.exe",
    }
}

/// The functions, in one block for each exporting module and calling convention. Variadic functions use C's convention on every
/// target. `facts_of` returns the facts of a function.
pub(super) fn blocks<'f>(
    items: &[(&str, &TokenStream)],
    facts_of: impl Fn(&str) -> Option<Facts<'f>>,
) -> TokenStream {
    let mut blocks: BTreeMap<(&str, &str), Vec<&TokenStream>> = BTreeMap::new();
    for (name, tokens) in items {
        let facts = facts_of(name).unwrap_or_default();
        let abi = if facts.variadic { "C" } else { "system" };
        let block = (module(name, facts.header), abi);
        blocks.entry(block).or_default().push(tokens);
    }
    let driver = in_a_driver(&TokenStream::new());
    let blocks = blocks.into_iter().map(|((module, abi), functions)| {
        quote! {
            #[cfg_attr(#driver, link(name = #module, kind = "raw-dylib", modifiers = "+verbatim"))]
            unsafe extern #abi { #(#functions)* }
        }
    });
    quote!(#(#blocks)*)
}
