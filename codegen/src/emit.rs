//! Writes the generated files: one per kind of item, items in the order of their names, so that they can be searched with
//! grep and compared from release to release.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use syn::Type;

use crate::bindings::{Bindings, Bitfield, Record};
use crate::document::{self, Kind};
use crate::facts::{Facts, Origin, Prototype};
use crate::macros::Constant;
use crate::types::{Types, member_name};
use crate::{Arch, Error, Output, constants};

/// The generated files, and what each is for.
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
        "Functions imported from `netio.sys` and `ntoskrnl.exe`.",
    ),
    (
        File::Layout,
        "layout",
        "Sizes, alignments and offsets as clang lays them out, asserted at compile time.",
    ),
    (File::Records, "records", "Structures and unions."),
    (
        File::Status,
        "status",
        "`NTSTATUS` values with their names and meanings.",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum File {
    Aliases,
    Callbacks,
    Constants,
    Dispatch,
    Enumerations,
    Functions,
    Layout,
    Records,
    Status,
}

/// Functions that are instructions on `x86_64` (they read and write CR8) and imports elsewhere: `wsk-sys` has them in
/// Rust for that one target.
const INLINE_ON_X86_64: &[&str] = &["KeGetCurrentIrql", "KeLowerIrql", "KfRaiseIrql"];

/// The least Windows that the bindings are for: 10.0.14393, `NTDDI_WIN10_RS1`. Every provider has what is older.
const FLOOR: i128 = 0x0A00_0002;

type Items = BTreeMap<(File, String), TokenStream>;

/// Writes the files from what clang and bindgen gave for each architecture.
///
/// # Errors
///
/// When an item has no documentation, or something in it is not understood.
pub fn emit(
    facts: &Facts,
    constants: &BTreeMap<String, Constant>,
    per_arch: Vec<(Arch, Bindings)>,
) -> Result<Output, Error> {
    let mut runs = Vec::new();
    for (arch, bindings) in &per_arch {
        let types = Types::new(bindings, facts);
        runs.push((
            *arch,
            Emitter {
                facts,
                constants,
                bindings,
                types: &types,
            }
            .items()?,
        ));
    }
    let merged = merge(runs);
    let mut files = BTreeMap::new();
    for (file, name, purpose) in FILES {
        let items: Vec<&TokenStream> = merged
            .iter()
            .filter(|((f, _), _)| f == file)
            .map(|(_, tokens)| tokens)
            .collect();
        files.insert(format!("{name}.rs"), render(*file, purpose, &items)?);
    }
    let modules = FILES
        .iter()
        .map(|(_, name, _)| Ident::new(name, Span::call_site()));
    let public = FILES.iter().filter(|(file, _, _)| *file != File::Layout);
    let public = public.map(|(_, name, _)| Ident::new(name, Span::call_site()));
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

/// One item where the architectures agree; one each, under `cfg`, where they do not.
fn merge(runs: Vec<(Arch, Items)>) -> Items {
    let keys: BTreeSet<(File, String)> = runs
        .iter()
        .flat_map(|(_, items)| items.keys().cloned())
        .collect();
    let mut merged = Items::new();
    for key in keys {
        let variants: Vec<(Arch, Option<&TokenStream>)> = runs
            .iter()
            .map(|(a, items)| (*a, items.get(&key)))
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

fn render(file: File, purpose: &str, items: &[&TokenStream]) -> Result<String, Error> {
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
        File::Constants | File::Enumerations => TokenStream::new(),
    };
    let body = match file {
        File::Functions => {
            let (netio, kernel): (Vec<_>, Vec<_>) = items
                .iter()
                .partition(|tokens| tokens.to_string().contains("wsk.h"));
            let block = |dll: &str, functions: Vec<&&TokenStream>| {
                quote! {
                    #[cfg_attr(windows, link(name = #dll, kind = "raw-dylib", modifiers = "+verbatim"))]
                    unsafe extern "system" { #(#functions)* }
                }
            };
            let (netio, kernel) = (block("netio.sys", netio), block("ntoskrnl.exe", kernel));
            quote!(#netio #kernel)
        }
        _ => quote!(#(#items)*),
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
    Ok(format!("{header}{}", prettyplease::unparse(&file)))
}

struct Emitter<'e> {
    facts: &'e Facts,
    constants: &'e BTreeMap<String, Constant>,
    bindings: &'e Bindings,
    types: &'e Types,
}

impl Emitter<'_> {
    fn items(&self) -> Result<Items, Error> {
        let mut items = Items::new();
        self.records(&mut items)?;
        self.enumerations(&mut items);
        self.aliases_and_callbacks(&mut items)?;
        self.functions(&mut items)?;
        self.constants(&mut items);
        self.layouts(&mut items);
        Ok(items)
    }

    fn records(&self, items: &mut Items) -> Result<(), Error> {
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
            // Behind every record, in the order of the names.
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
                "A `{raw}` of the kernel: only pointers to it are passed around."
            )]),
            None => docs(&[match self.owner(name) {
                Some(owner) => {
                    format!(
                        "What the headers leave unnamed inside [`{owner}`], behind a member of it."
                    )
                }
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
            None => {
                let debug = record.attributes.iter().any(|a| {
                    a.path().is_ident("derive") && quote!(#a).to_string().contains("Debug")
                });
                if debug {
                    quote!(#[derive(Debug, Clone, Copy)])
                } else {
                    quote!(#[derive(Clone, Copy)])
                }
            }
        };
        let mut members = Vec::new();
        for (member, ty) in &record.members {
            members.push(self.member(name, table, record.opaque, member, ty)?);
        }
        let name = ident(name);
        let keyword = if record.union {
            quote!(union)
        } else {
            quote!(struct)
        };
        Ok(quote! { #doc #alias #(#reprs)* #derive pub #keyword #name { #(#members)* } })
    }

    /// Accessors of the bits that share a member.
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
            let shift = Literal::u32_unsuffixed(bitfield.shift);
            let shifted = if bitfield.shift == 0 {
                quote!(self.#holder)
            } else {
                quote!((self.#holder >> #shift))
            };
            let mask = hexadecimal((1 << bitfield.width) - 1, 1, "");
            let placed = hexadecimal(((1 << bitfield.width) - 1) << bitfield.shift, 1, "");
            let value = if bitfield.shift == 0 {
                quote!((value & #mask))
            } else {
                quote!(((value & #mask) << #shift))
            };
            let name = bitfield.name.to_string();
            let doc = docs(&document::member(
                origins.and_then(|origins| origins.get(&name)),
                &name,
            ));
            let doc_set = docs(&[format!("Sets `{name}`; bits that do not fit are left out.")]);
            accessors.push(quote! {
                #doc
                #[inline]
                #[must_use]
                pub const fn #get(&self) -> #ty { #shifted & #mask }
                #doc_set
                #[inline]
                pub const fn #set(&mut self, value: #ty) {
                    self.#holder = (self.#holder & !#placed) | #value;
                }
            });
        }
        let name = ident(&name);
        Ok(quote!(impl #name { #(#accessors)* }))
    }

    /// The record of the headers that is or holds the record `name`.
    fn owner<'n>(&self, name: &'n str) -> Option<&'n str> {
        let mut name = name;
        while !self.facts.records.contains_key(name) {
            name = name.rsplit_once('_')?.0;
        }
        Some(name)
    }

    /// What is known of a record's members: those of the unnamed ones inside it are under its own name.
    fn origins(&self, name: &str) -> Option<&BTreeMap<String, Origin>> {
        let record = self.facts.records.get(self.owner(name)?)?;
        Some(&record.members)
    }

    fn member(
        &self,
        record: &str,
        table: Option<&str>,
        opaque: bool,
        member: &Ident,
        ty: &Type,
    ) -> Result<TokenStream, Error> {
        let public = member_name(member);
        let origin = self
            .origins(record)
            .and_then(|origins| origins.get(&public));
        let dispatch = match table {
            Some(_) => self.entry(record, &public, origin, ty)?,
            None => TokenStream::new(),
        };
        let ty = self.types.rewrite(ty);
        if opaque {
            return Ok(quote!(_unused: [u8; 0],));
        }
        let doc = docs(&document::member(origin, &public));
        let public = ident(&public);
        Ok(quote!(#doc #dispatch pub #public: #ty,))
    }

    /// What the derive needs to know of a member of a dispatch table.
    fn entry(
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
            return plain(if pointee.trim_end().ends_with("_DISPATCH") {
                "table"
            } else {
                "value"
            });
        };
        let Some(prototype) = self.facts.callbacks.get(&alias) else {
            return plain(if self.facts.records.contains_key(&alias) {
                "base"
            } else {
                "value"
            });
        };
        let signature = self.signature(table, member, &alias, prototype)?;
        let since = match origin.and_then(|origin| origin.since.as_ref()) {
            None => None,
            Some(name) => {
                let value = self.constants.get(name).ok_or_else(|| {
                    Error::item(
                        format!("{table}::{member}"),
                        format!("{name} has no value: define it in sdkddkver.h"),
                    )
                })?;
                (value.value > FLOOR).then(|| hexadecimal(value.value, 8, ""))
            }
        };
        let since = since.map(|since| quote!(since = #since,));
        let irql = prototype
            .origin
            .irql
            .as_ref()
            .map(|irql| quote!(irql = #irql,));
        Ok(quote!(#[cfg_attr(feature = "dispatch", dispatch(#since #irql entry = #signature))]))
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
            let [sal] = parameter.sal.as_slice() else {
                return Err(problem(format!(
                    "parameter {} has {} SAL annotations: exactly one is understood",
                    parameter.name,
                    parameter.sal.len()
                )));
            };
            let sal = sal.trim_start_matches('_');
            let (macro_name, arguments) =
                sal.split_once('(').map_or((sal, None), |(name, rest)| {
                    (name, Some(rest.trim_end_matches(')')))
                });
            let sal: TokenStream = match arguments {
                None => macro_name.trim_end_matches('_').parse(),
                Some(arguments) => {
                    format!("{}({arguments})", macro_name.trim_end_matches('_')).parse()
                }
            }
            .map_err(|_| {
                problem(format!(
                    "the SAL annotation of {} does not parse",
                    parameter.name
                ))
            })?;
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

    fn enumerations(&self, items: &mut Items) {
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
                let doc = docs(&document::member(origin, &member.to_string()));
                quote!(#doc pub const #member: Self = Self(#value);)
            });
            let integer = self.types.rewrite(&enumeration.integer);
            let ident = ident(&name);
            let tokens = quote! {
                #doc
                #[repr(transparent)]
                #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
                pub struct #ident(pub #integer);
                impl #ident { #(#members)* }
            };
            items.insert((File::Enumerations, name), tokens);
        }
    }

    fn aliases_and_callbacks(&self, items: &mut Items) -> Result<(), Error> {
        for (name, ty) in &self.bindings.aliases {
            if !self.types.keeps(name) {
                continue;
            }
            let ident = ident(name);
            let rewritten = self.types.rewrite(ty);
            let (file, doc) = if let Some(prototype) = self.facts.callbacks.get(name) {
                if prototype.origin.header == "wsk.h" && prototype.origin.doc.is_empty() {
                    return Err(Error::item(
                        name,
                        "has no documentation: write a `///` line above it",
                    ));
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
                let mut lines = match self.facts.aliases.get(name) {
                    Some(origin) if !origin.doc.is_empty() => {
                        vec![origin.doc.lines().next().unwrap_or("").to_owned()]
                    }
                    _ => vec![format!("`{of}` under the name that C code uses.")],
                };
                if let Some(origin) = self.facts.aliases.get(name) {
                    lines.extend([String::new(), format!("Header: `{}`.", origin.header)]);
                }
                (File::Aliases, docs(&lines))
            };
            items.insert(
                (file, name.clone()),
                quote!(#doc pub type #ident = #rewritten;),
            );
        }
        Ok(())
    }

    fn functions(&self, items: &mut Items) -> Result<(), Error> {
        for (name, function) in &self.bindings.functions {
            let Some(prototype) = self.facts.functions.get(name) else {
                continue;
            };
            if prototype.origin.doc.is_empty() {
                return Err(Error::item(
                    name,
                    "has no documentation: write a `///` line above it",
                ));
            }
            let doc = docs(&document::item(
                Kind::Function,
                name,
                name,
                &prototype.origin,
                Some(prototype),
            ));
            let mut signature = function.sig.clone();
            for input in &mut signature.inputs {
                if let syn::FnArg::Typed(typed) = input {
                    *typed.ty = self.types.rewrite(&typed.ty);
                }
            }
            if let syn::ReturnType::Type(_, ty) = &mut signature.output {
                **ty = self.types.rewrite(ty);
            }
            let cfg = INLINE_ON_X86_64
                .contains(&name.as_str())
                .then(|| quote!(#[cfg(not(all(windows, target_arch = "x86_64")))]));
            items.insert(
                (File::Functions, name.clone()),
                quote!(#doc #cfg pub #signature;),
            );
        }
        Ok(())
    }

    fn constants(&self, items: &mut Items) {
        let mut named = Vec::new();
        for (name, constant) in self.constants {
            let Some(facts) = self.facts.macros.get(name) else {
                continue;
            };
            if name.starts_with('_') {
                continue;
            }
            let ty = constants::rust_type(name, constant);
            let doc = docs(&document::item(
                Kind::Constant,
                name,
                name,
                &facts.origin,
                None,
            ));
            let ident = ident(name);
            if ty == "NTSTATUS" {
                let bits = hexadecimal(constant.value & 0xFFFF_FFFF, 8, "u32");
                items.insert(
                    (File::Status, name.clone()),
                    quote!(#doc pub const #ident: NTSTATUS = NTSTATUS(#bits.cast_signed());),
                );
                let meaning = facts
                    .origin
                    .doc
                    .lines()
                    .next()
                    .unwrap_or("")
                    .trim_end_matches('.')
                    .to_owned();
                named.push((constant.value & 0xFFFF_FFFF, ident, name.clone(), meaning));
                continue;
            }
            let value = if let Some(value) = constants::wrapped(ty, constant.value) {
                Literal::i128_unsuffixed(value)
            } else if constant.value > 0xFFFF {
                hexadecimal(constant.value, constant.size * 2, "")
            } else {
                Literal::i128_unsuffixed(constant.value)
            };
            let ty = crate::emit::ident(ty);
            items.insert(
                (File::Constants, name.clone()),
                quote!(#doc pub const #ident: #ty = #value;),
            );
        }
        named.sort();
        named.dedup_by_key(|entry| entry.0);
        let entries = named
            .iter()
            .map(|(_, ident, name, meaning)| quote!((#ident, #name, #meaning)));
        items.insert(
            (File::Status, "~named".to_owned()),
            quote! {
                /// Value, name and meaning of each status, in the order of the values as unsigned integers.
                pub(crate) const NAMED: &[(NTSTATUS, &str, &str)] = &[#(#entries),*];
            },
        );
    }

    fn layouts(&self, items: &mut Items) {
        for (raw, layouts) in &self.bindings.layouts {
            if self
                .bindings
                .records
                .get(raw)
                .is_some_and(|record| record.opaque)
            {
                continue;
            }
            let name = self.types.name(raw);
            let asserts = layouts.iter().map(|layout| {
                let measure = match self.types.rewrite_expr(&layout.measure) {
                    syn::Expr::Call(call) => {
                        let function = match &*call.func {
                            syn::Expr::Path(path) => path.path.segments.last().cloned(),
                            _ => None,
                        };
                        quote!(#function())
                    }
                    syn::Expr::Macro(call) => {
                        let tokens = &call.mac.tokens;
                        quote!(offset_of!(#tokens))
                    }
                    other => quote!(#other),
                };
                let value = &layout.value;
                quote!(assert!(#measure == #value);)
            });
            items.insert(
                (File::Layout, name),
                quote!(const _: () = { #(#asserts)* };),
            );
        }
    }
}

/// Whether a record is a dispatch table, and whose.
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

fn bare_function(ty: &Type) -> Option<&syn::TypeFnPtr> {
    match ty {
        Type::FnPtr(function) => Some(function),
        Type::Path(path) => {
            let syn::PathArguments::AngleBracketed(arguments) =
                &path.path.segments.last()?.arguments
            else {
                return None;
            };
            match arguments.args.first()? {
                syn::GenericArgument::Type(inner) => bare_function(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

fn docs(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// `0x0A00_0003`.
fn hexadecimal(value: i128, digits: usize, suffix: &str) -> Literal {
    let digits = format!("{value:0digits$X}");
    let mut text = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(4) {
            text.push('_');
        }
        text.push(digit);
    }
    text.push_str(suffix);
    text.parse()
        .unwrap_or_else(|_| Literal::i128_unsuffixed(value))
}
