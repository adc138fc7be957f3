//! Writes the generated files: one per kind of item, items in the order of their names, so that they can be searched with
//! grep and compared from release to release.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote;

use crate::bind::bindings::Bindings;
use crate::emit::emitter::{Emitter, File, Items, ident};
use crate::emit::output::Output;
use crate::emit::types::Types;
use crate::emit::{functions, tidy};
use crate::error::Error;
use crate::find::source::Arch;
use crate::read::facts::Reading;

/// The generated files, and the purpose of each.
const FILES: &[(File, &str, &str)] = &[
    (
        File::Aliases,
        "aliases",
        "Names that the headers give to other types.",
    ),
    (
        File::Callbacks,
        "callbacks",
        "Types of the functions in dispatch tables, and of other callbacks.",
    ),
    (
        File::Constants,
        "constants",
        "Flags, options, control codes and other constants.",
    ),
    (
        File::Dispatch,
        "dispatch",
        "Dispatch tables: what a provider offers, and what a client is told.",
    ),
    (
        File::Enumerations,
        "enumerations",
        "Enumerations, as newtypes: C may hold other values in them.",
    ),
    (
        File::Functions,
        "functions",
        "Functions imported from `netio.sys`, `ntoskrnl.exe` and `hal.dll`.",
    ),
    (
        File::Layout,
        "layout",
        "Sizes, alignments and offsets as clang lays them out, asserted at compile time.",
    ),
    (
        File::Macros,
        "macros",
        "Macros with parameters, as functions that constants can be computed with.",
    ),
    (File::Records, "records", "Structures and unions."),
    (
        File::Status,
        "status",
        "`NTSTATUS` values with their names and meanings.",
    ),
];

/// What the passes gave for one architecture.
pub(crate) struct Run {
    /// The architecture.
    pub arch: Arch,
    /// The facts that clang reads from the headers.
    pub reading: Reading,
    /// The bindings that bindgen makes from them.
    pub bindings: Bindings,
}

/// Writes the files from the runs for each architecture. `kit` says whether the headers are a kit's. `by_hand` are names that the
/// crate around the files already has.
///
/// # Errors
///
/// When an item of our own headers has no documentation, or contains something that the generator does not understand.
pub(crate) fn emit(runs: &[Run], kit: bool, by_hand: &BTreeSet<String>) -> Result<Output, Error> {
    let mut per_arch = Vec::new();
    for run in runs {
        let types = Types::new(&run.bindings, &run.reading.facts);
        let emitter = Emitter {
            reading: &run.reading,
            facts: &run.reading.facts,
            bindings: &run.bindings,
            types: &types,
            kit,
            by_hand,
        };
        per_arch.push((run.arch, emitter.items()?));
    }
    let merged = merge(per_arch);
    let facts_of = |function: &str| {
        runs.iter().find_map(|run| {
            let prototype = run.reading.facts.functions.get(function)?;
            let signature = run.bindings.functions.get(function)?;
            Some(functions::Facts {
                header: &prototype.origin.header,
                variadic: signature.variadic.is_some(),
            })
        })
    };
    let mut files = BTreeMap::new();
    let mut written = Vec::new();
    for (file, name, purpose) in FILES {
        let items: Vec<(&str, &TokenStream)> = merged
            .iter()
            .filter(|((f, _), _)| f == file)
            .map(|((_, name), tokens)| (name.as_str(), tokens))
            .collect();
        // A crate that has all macros by hand does not need an empty file for them.
        if *file == File::Macros && items.is_empty() {
            continue;
        }
        let body = if *file == File::Functions {
            functions::blocks(&items, facts_of)
        } else {
            let tokens = items.iter().map(|(_, tokens)| tokens);
            quote!(#(#tokens)*)
        };
        files.insert(format!("{name}.rs"), render(*file, purpose, &body)?);
        written.push((*file, ident(name)));
    }
    let modules = written.iter().map(|(_, name)| name);
    let public = written.iter().filter(|(file, _)| *file != File::Layout);
    let public = public.map(|(_, name)| name);
    let root = quote! {
        #(mod #modules;)*
        #(pub use #public::*;)*
    };
    files.insert(
        "mod.rs".to_owned(),
        format(&header("The generated bindings, by kind of item."), &root)?,
    );
    Ok(Output::new(files))
}

/// Merges the architectures: an item on which they agree is written once, any other once per architecture, under `cfg`.
fn merge(mut runs: Vec<(Arch, Items)>) -> Items {
    if let [(_, only)] = runs.as_mut_slice() {
        return std::mem::take(only);
    }
    let keys: BTreeSet<(File, String)> = runs
        .iter()
        .flat_map(|(_, items)| items.keys().cloned())
        .collect();
    let mut merged = Items::new();
    for key in keys {
        let variants: Vec<(Arch, Option<&TokenStream>)> = runs
            .iter()
            .map(|(arch, items)| (*arch, items.get(&key)))
            .collect();
        let texts: BTreeSet<Option<String>> = variants
            .iter()
            .map(|(_, tokens)| tokens.map(ToString::to_string))
            .collect();
        let tokens = if let (1, Some(tokens)) = (texts.len(), variants[0].1) {
            tokens.clone()
        } else {
            let arms = variants
                .iter()
                .filter_map(|(arch, tokens)| Some(for_arch(*arch, key.0, (*tokens)?)));
            quote!(#(#arms)*)
        };
        merged.insert(key, tokens);
    }
    merged
}

/// Puts every item of `tokens` under the condition that the target is `arch`.
fn for_arch(arch: Arch, file: File, tokens: &TokenStream) -> TokenStream {
    let arch = arch.cfg();
    let cfg: syn::Attribute = syn::parse_quote!(#[cfg(target_arch = #arch)]);
    match syn::parse2::<syn::File>(tokens.clone()) {
        Ok(parsed) if file != File::Functions => {
            let items = parsed.items.into_iter();
            quote!(#(#cfg #items)*)
        }
        _ => quote!(#cfg #tokens),
    }
}

fn header(purpose: &str) -> String {
    format!(
        "// Generated by wsk-codegen from the headers: `cargo codegen generate`. Do not edit.\n\n//! {purpose}\n\n"
    )
}

fn render(file: File, purpose: &str, body: &TokenStream) -> Result<String, Error> {
    let imports = match file {
        File::Aliases | File::Records | File::Dispatch | File::Callbacks => {
            quote!(
                #[allow(unused_imports)]
                use super::*;
                #[allow(unused_imports)]
                use crate::NTSTATUS;
                #[allow(unused_imports)]
                use core::ffi::c_void;
            )
        }
        File::Functions => quote!(
            use super::*;
            use crate::NTSTATUS;
            use core::ffi::c_void;
        ),
        File::Layout => quote!(
            use super::*;
            use core::mem::{align_of, offset_of, size_of};
        ),
        File::Status => quote!(
            use crate::NTSTATUS;
        ),
        File::Constants | File::Enumerations | File::Macros => TokenStream::new(),
    };
    format(&header(purpose), &quote!(#imports #body))
}

fn format(header: &str, tokens: &TokenStream) -> Result<String, Error> {
    let file = syn::parse2(tokens.clone()).map_err(|error| {
        Error::item(
            "a generated file",
            format!("does not parse as Rust: {error}"),
        )
    })?;
    let pretty = prettyplease::unparse(&file);
    let text = tidy::tidy(&pretty);
    if !pretty.contains(tidy::ENTRY) {
        return Ok(format!("{header}{text}"));
    }
    // Text that was inserted into the tokens must be Rust, too.
    syn::parse_file(&text).map_err(|error| {
        Error::item(
            "a generated file",
            format!("does not parse as Rust: {error}"),
        )
    })?;
    Ok(format!("{header}{text}"))
}

impl Emitter<'_> {
    fn items(&self) -> Result<Items, Error> {
        let mut items = Items::new();
        self.records(&mut items)?;
        self.enumerations(&mut items);
        self.aliases_and_callbacks(&mut items)?;
        self.functions(&mut items)?;
        self.function_macros(&mut items)?;
        self.constants(&mut items);
        self.texts(&mut items);
        Self::builds(&mut items);
        self.layouts(&mut items);
        Ok(items)
    }
}
