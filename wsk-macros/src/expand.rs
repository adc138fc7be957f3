//! Writes the Rust that a dispatch table stands for: methods over a provider's table, or a trait whose implementations
//! become a client's table. As lean as written by hand: a call is a check for NULL and the call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{ImplItem, ItemImpl, Type, parse_quote, parse_quote_spanned};

use crate::{
    names,
    parse::{self, Entry, Kind, Member, Role, Table},
    sal::{self, Param, Role as ParamRole, Unit},
};

pub(crate) fn table(table: &Table) -> TokenStream {
    match table.kind {
        Kind::Provider => provider(table),
        Kind::Client => client(table),
    }
}

/// A name that the user's own can't meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A place for generated code that an error may be about.
fn at(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// Lines of documentation, at the place that a warning about them points to.
fn doc<S: AsRef<str>>(span: Span, lines: impl IntoIterator<Item = S>) -> TokenStream {
    lines
        .into_iter()
        .map(|line| {
            let line = line.as_ref();
            let line = if line.is_empty() {
                String::new()
            } else {
                format!(" {line}")
            };
            quote_spanned!(span=> #[doc = #line])
        })
        .collect()
}

fn allow_many_arguments(count: usize) -> Option<TokenStream> {
    (count > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]))
}

// ---- Provider tables: methods

fn provider(table: &Table) -> TokenStream {
    let Table {
        vis,
        name,
        rust_name,
        members,
        ..
    } = table;
    let docs = doc(name.span(), [
        format!("Typed calls through a [`{name}`], the table of functions that WSK gives for its kind of object."),
        String::new(),
        "# Invariants".to_owned(),
        String::new(),
        "While the value or a copy of it is used, `table` points to a table that can be read up to the last member"
            .to_owned(),
        "that a Windows of version `ntddi` has.".to_owned(),
    ]);
    let new_docs = doc(
        name.span(),
        [
            "Wraps the table of a provider.",
            "",
            "`ntddi` is the `NTDDI_VERSION` of the Windows that runs. Entries newer than it are never read: the tables of",
            "older Windows end before them.",
            "",
            "# Safety",
            "",
            "As long as the value or a copy of it is used, `table` points to a table that is aligned, not written to, and",
            "readable up to the last member that a Windows of version `ntddi` has.",
        ],
    );
    let as_ptr_docs = doc(
        name.span(),
        ["The table itself. Of older Windows, it may be shorter than its type."],
    );
    let methods = members.iter().map(|member| provider_member(table, member));
    quote! {
        #docs
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #[allow(dead_code)]
        #vis struct #rust_name {
            table: ::core::ptr::NonNull<#name>,
            ntddi: u32,
        }

        #[allow(dead_code)]
        impl #rust_name {
            #new_docs
            #[inline]
            #[must_use]
            #vis const unsafe fn new(table: ::core::ptr::NonNull<#name>, ntddi: u32) -> Self {
                Self { table, ntddi }
            }

            #as_ptr_docs
            #[inline]
            #[must_use]
            #vis const fn as_ptr(self) -> *const #name {
                self.table.as_ptr().cast_const()
            }

            #(#methods)*
        }
    }
}

fn provider_member(table: &Table, member: &Member) -> TokenStream {
    let vis = &table.vis;
    let Member { name, ty, docs, .. } = member;
    let method = names::snake_ident(name);
    let alias = names::c_name(name);
    match &member.role {
        Role::Base(wrapper) => {
            let own = doc(
                name.span(),
                [format!(
                    "The entries of `{alias}`, which this table begins with."
                )],
            );
            quote! {
                #own
                #[doc(alias = #alias)]
                #[inline]
                #[must_use]
                #vis const fn #method(self) -> #wrapper {
                    // SAFETY: the pointer isn't null because it points into a table that is there (invariant of
                    // `self`), and what `ntddi` says of the whole table it says of its beginning.
                    unsafe {
                        #wrapper::new(
                            ::core::ptr::NonNull::new_unchecked(&raw mut (*self.table.as_ptr()).#name),
                            self.ntddi,
                        )
                    }
                }
            }
        }
        Role::Value => {
            let own = docs
                .is_empty()
                .then(|| doc(name.span(), [format!("The table's `{alias}`.")]));
            quote! {
                #own
                #(#[doc = #docs])*
                #[doc(alias = #alias)]
                #[inline]
                #[must_use]
                #vis const fn #method(self) -> #ty {
                    // SAFETY: every Windows has the table up to here (invariant of `self`).
                    unsafe { (&raw const (*self.table.as_ptr()).#name).read() }
                }
            }
        }
        // The parser gives no provider table a `Table`.
        Role::Reserved | Role::Table(_) => TokenStream::new(),
        Role::Entry(entry) => provider_entry(table, member, entry),
    }
}

/// The pieces of a method that calls an entry, parameter by parameter.
#[derive(Default)]
struct Call {
    parameters: Vec<TokenStream>,
    prepare: Vec<TokenStream>,
    arguments: Vec<TokenStream>,
    /// Some length may not fit.
    too_long: bool,
}

fn provider_entry(table: &Table, member: &Member, entry: &Entry) -> TokenStream {
    let vis = &table.vis;
    let name = &member.name;
    let method = names::snake_ident(name);
    let alias = names::c_name(name);
    let Call {
        parameters,
        prepare,
        arguments,
        too_long,
    } = call(&alias, &entry.params);
    let docs = provider_docs(member, entry, too_long);
    let many = allow_many_arguments(parameters.len() + 1);
    let function = local("entry");
    let signature = signature(entry);
    let output = parse::output_type(&entry.output);
    let age = entry.since.as_ref().map(|since| {
        quote! {
            if self.ntddi < #since {
                return ::core::result::Result::Err(::wsk_sys::DispatchError::TooNew {
                    entry: #alias,
                    since: #since,
                    running: self.ntddi,
                });
            }
        }
    });
    let finish = if parse::is_unit(&entry.output) {
        quote! {
            // SAFETY: the caller's promise (`# Safety` of the method).
            unsafe { #function(#(#arguments),*) };
            ::core::result::Result::Ok(())
        }
    } else {
        // SAFETY: the caller's promise (`# Safety` of the method).
        quote!(::core::result::Result::Ok(unsafe { #function(#(#arguments),*) }))
    };
    // The annotated binding holds the written signature against the member's own type; a difference is an error at
    // the signature.
    let read = quote_spanned! {at(entry.span)=>
        // SAFETY: a Windows of this version has the table up to here (invariant of `self`).
        unsafe { (&raw const (*self.table.as_ptr()).#name).read() }
    };
    quote! {
        #docs
        #[doc(alias = #alias)]
        #many
        #[inline]
        #vis unsafe fn #method(
            self,
            #(#parameters),*
        ) -> ::core::result::Result<#output, ::wsk_sys::DispatchError> {
            #age
            let #function: ::core::option::Option<#signature> = #read;
            let ::core::option::Option::Some(#function) = #function else {
                return ::core::result::Result::Err(::wsk_sys::DispatchError::Absent { entry: #alias });
            };
            #(#prepare)*
            #finish
        }
    }
}

/// The type of the function that an entry points to.
fn signature(entry: &Entry) -> TokenStream {
    let types = entry.params.iter().map(|param| &param.ty);
    let output = &entry.output;
    quote_spanned!(entry.span=> unsafe extern "system" fn(#(#types),*) #output)
}

fn non_null(to: &TokenStream, optional: bool) -> TokenStream {
    let pointer = quote!(::core::ptr::NonNull<#to>);
    if optional {
        quote!(::core::option::Option<#pointer>)
    } else {
        pointer
    }
}

fn slice_of(to: &Type, unit: Unit) -> TokenStream {
    match unit {
        Unit::Bytes => quote!([u8]),
        Unit::Elements => quote!([#to]),
    }
}

fn length_of(buffer: &Param) -> Ident {
    local(&format!(
        "{}_length",
        names::snake(&names::c_name(&buffer.name))
    ))
}

fn call(entry: &str, params: &[Param]) -> Call {
    let mut call = Call::default();
    for param in params {
        let name = names::snake_ident(&param.name);
        let ty = &param.ty;
        match &param.role {
            ParamRole::Value => {
                call.parameters.push(quote!(#name: #ty));
                call.arguments.push(quote!(#name));
            }
            ParamRole::Pointer { to, optional, .. } => {
                let pointer = non_null(&quote!(#to), *optional);
                call.parameters.push(quote!(#name: #pointer));
                call.arguments.push(if *optional {
                    quote!(match #name {
                        ::core::option::Option::Some(#name) => #name.as_ptr(),
                        ::core::option::Option::None => ::core::ptr::null_mut(),
                    })
                } else {
                    quote!(#name.as_ptr())
                });
            }
            ParamRole::Buffer {
                to,
                optional,
                unit,
                count,
                ..
            } => {
                let buffer = non_null(&slice_of(to, *unit), *optional);
                call.parameters.push(quote!(#name: #buffer));
                let length = length_of(param);
                if *optional {
                    let pointer = local("pointer");
                    call.prepare.push(quote! {
                        let (#name, #length) = match #name {
                            ::core::option::Option::Some(#pointer) if !#pointer.is_empty() => {
                                (#pointer.cast::<#to>().as_ptr(), #pointer.len())
                            }
                            _ => (::core::ptr::null_mut(), 0),
                        };
                    });
                    call.arguments.push(quote!(#name));
                } else {
                    call.prepare.push(quote!(let #length = #name.len();));
                    call.arguments.push(quote!(#name.cast::<#to>().as_ptr()));
                }
                let count = &params[*count].ty;
                if !sal::is_usize(count) {
                    call.too_long = true;
                    let parameter = names::c_name(&param.name);
                    let fitting = local("fitting");
                    call.prepare.push(quote! {
                        let ::core::result::Result::Ok(#fitting) =
                            <#count as ::core::convert::TryFrom<usize>>::try_from(#length)
                        else {
                            return ::core::result::Result::Err(::wsk_sys::DispatchError::TooLong {
                                entry: #entry,
                                parameter: #parameter,
                                length: #length,
                            });
                        };
                        let #length = #fitting;
                    });
                }
            }
            ParamRole::Count { buffer } => {
                let length = length_of(&params[*buffer]);
                call.arguments.push(quote!(#length));
            }
            ParamRole::ReservedInteger => call.arguments.push(quote!(0)),
            ParamRole::ReservedPointer { mutable: true } => {
                call.arguments.push(quote!(::core::ptr::null_mut()));
            }
            ParamRole::ReservedPointer { mutable: false } => {
                call.arguments.push(quote!(::core::ptr::null()));
            }
        }
    }
    call
}

/// The member's own documentation and the level that it is called at.
fn entry_docs(member: &Member, entry: &Entry, verb: &str) -> TokenStream {
    let docs = &member.docs;
    let mut out = if docs.is_empty() {
        doc(
            member.name.span(),
            [format!("{verb} `{}`.", names::c_name(&member.name))],
        )
    } else {
        quote!(#(#[doc = #docs])*)
    };
    let told = docs.iter().any(|line| line.value().contains("IRQL"));
    if let Some(irql) = entry.irql.as_ref().filter(|_| !told) {
        out.extend(doc(
            member.name.span(),
            [String::new(), format!("IRQL: `{}`.", irql.value().trim())],
        ));
    }
    if let Some(since) = &entry.since {
        out.extend(doc(
            member.name.span(),
            [
                String::new(),
                format!("In Windows since `NTDDI_VERSION` {since}."),
            ],
        ));
    }
    out
}

fn provider_docs(member: &Member, entry: &Entry, too_long: bool) -> TokenStream {
    let c_name = names::c_name(&member.name);
    let mut out = entry_docs(member, entry, "Calls");
    let mut lines = Vec::new();
    if entry
        .params
        .iter()
        .any(|param| matches!(param.role, ParamRole::Buffer { optional: true, .. }))
    {
        lines.extend([
            String::new(),
            "`None` and an empty buffer are the same: NULL and a length of 0.".to_owned(),
        ]);
    }
    lines.extend([
        String::new(),
        "# Safety".to_owned(),
        String::new(),
        "- The table belongs to what the call is about: this open socket, or this captured provider.".to_owned(),
        format!("- Every pointer and buffer is valid for what `{c_name}` documents to do with it."),
    ]);
    for param in &entry.params {
        if let ParamRole::Buffer {
            to,
            unit: Unit::Bytes,
            ..
        } = &param.role
            && let Some(to) = sal::path(to).and_then(|path| path.segments.last())
            && to.ident != "c_void"
            && to.ident != "u8"
        {
            let rust = names::snake(&names::c_name(&param.name));
            lines.push(format!(
                "- A `{rust}` that isn't empty is aligned for `{}`.",
                to.ident
            ));
        }
    }
    if entry.params.iter().any(|param| sal::is_irp(&param.ty)) {
        lines.push(
            "- With an IRP, all of it and everything that the IRP refers to stays valid until the IRP completes,"
                .to_owned(),
        );
        lines.push("  whatever the call returns.".to_owned());
    }
    if entry.irql.is_some() {
        lines.push("- The IRQL is one that the entry may be called at.".to_owned());
    }
    lines.extend([
        String::new(),
        "# Errors".to_owned(),
        String::new(),
        "Without making the call:".to_owned(),
        String::new(),
        "- `Absent`: the table has NULL for it.".to_owned(),
    ]);
    if entry.since.is_some() {
        lines.push("- `TooNew`: the running Windows is older than the entry.".to_owned());
    }
    if too_long {
        lines.push("- `TooLong`: a buffer is longer than its count can say.".to_owned());
    }
    if !parse::is_unit(&entry.output) {
        lines.extend([
            String::new(),
            "What the call itself gives, failure included, is in `Ok`.".to_owned(),
        ]);
    }
    out.extend(doc(member.name.span(), lines));
    out
}

// ---- Client tables: a trait, and the table of its implementation

fn client(table: &Table) -> TokenStream {
    let Table {
        vis,
        name,
        rust_name,
        members,
        ..
    } = table;
    let events = format_ident!("{rust_name}Events");
    let function = format_ident!("{}_table", names::snake(&rust_name.to_string()));
    let trait_docs = doc(name.span(), [
        format!("What a driver fills a [`{name}`] with: [`{function}`] makes the table of an implementation."),
        String::new(),
        "The methods that an implementation has become the table's entries, the others are NULL there. Put".to_owned(),
        "`#[dispatch_events]` on the implementation: it notes which methods there are.".to_owned(),
        String::new(),
        "# Safety".to_owned(),
        String::new(),
        "WSK takes the table at its word. Each method keeps what is documented for its callback, whatever is running"
            .to_owned(),
        "at the same time: what it returns, what it writes through its pointers, and what it does at the IRQL it is"
            .to_owned(),
        "called at. Each constant is a value that is documented for its member.".to_owned(),
    ]);
    let function_docs = doc(
        name.span(),
        [
            format!("The [`{name}`] that `Events` stands for."),
            String::new(),
            "Equal calls give equal tables, but not always the same address.".to_owned(),
        ],
    );
    let items = members.iter().map(trait_item);
    let values = members.iter().map(table_value);
    let thunks = members.iter().filter_map(|member| match &member.role {
        Role::Entry(entry) => Some(thunk(member, entry)),
        _ => None,
    });
    quote! {
        #trait_docs
        #vis unsafe trait #events {
            #[doc(hidden)]
            const USE_DISPATCH_EVENTS: ();

            #(#items)*
        }

        #function_docs
        #[allow(dead_code)]
        #[must_use]
        #vis const fn #function<Events: #events>() -> &'static #name {
            struct Thunks<Events>(::core::marker::PhantomData<Events>);

            impl<Events: #events> Thunks<Events> {
                const TABLE: &'static #name = &#name {
                    #(#values),*
                };

                #(#thunks)*
            }

            Thunks::<Events>::TABLE
        }
    }
}

fn has(name: &Ident, span: Span) -> Ident {
    Ident::new(&format!("HAS_{}", names::screaming(name)), span)
}

fn constant(name: &Ident) -> Ident {
    Ident::new(&names::screaming(name), name.span())
}

fn trait_item(member: &Member) -> TokenStream {
    let Member { name, ty, docs, .. } = member;
    let c_name = names::c_name(name);
    let constant = constant(name);
    match &member.role {
        Role::Entry(entry) => trait_method(member, entry),
        Role::Value => {
            let own = docs
                .is_empty()
                .then(|| doc(name.span(), [format!("The table's `{c_name}`.")]));
            quote! {
                #own
                #(#[doc = #docs])*
                #[doc(alias = #c_name)]
                const #constant: #ty;
            }
        }
        Role::Table(to) => {
            let own = docs.is_empty().then(|| {
                doc(
                    name.span(),
                    [format!("The table's `{c_name}`, another table.")],
                )
            });
            quote! {
                #own
                #(#[doc = #docs])*
                #[doc(alias = #c_name)]
                const #constant: ::core::option::Option<&'static #to> = ::core::option::Option::None;
            }
        }
        // The parser gives no client table a `Base`.
        Role::Reserved | Role::Base(_) => TokenStream::new(),
    }
}

fn trait_method(member: &Member, entry: &Entry) -> TokenStream {
    let name = &member.name;
    let c_name = names::c_name(name);
    let method = names::snake_ident(name);
    let has = has(name, name.span());
    let parameters: Vec<TokenStream> = entry
        .params
        .iter()
        .filter_map(|param| {
            let name = names::snake_ident(&param.name);
            let ty = match &param.role {
                ParamRole::Value => {
                    let ty = &param.ty;
                    quote!(#ty)
                }
                ParamRole::Pointer { to, optional, .. } => non_null(&quote!(#to), *optional),
                ParamRole::Buffer {
                    to, optional, unit, ..
                } => non_null(&slice_of(to, *unit), *optional),
                ParamRole::Count { .. }
                | ParamRole::ReservedInteger
                | ParamRole::ReservedPointer { .. } => return None,
            };
            Some(quote!(#name: #ty))
        })
        .collect();
    let names = entry.params.iter().filter_map(|param| match &param.role {
        ParamRole::Value | ParamRole::Pointer { .. } | ParamRole::Buffer { .. } => {
            Some(names::snake_ident(&param.name))
        }
        _ => None,
    });
    let many = allow_many_arguments(parameters.len());
    let output = &entry.output;
    let mut docs = entry_docs(member, entry, "WSK calls this as");
    docs.extend(doc(
        name.span(),
        [
            String::new(),
            "# Safety".to_owned(),
            String::new(),
            format!("For WSK to call, through the table, with what it documents for `{c_name}`."),
        ],
    ));
    let has_docs = doc(
        name.span(),
        [format!(
            "Whether the table has `{c_name}`: set by `#[dispatch_events]`."
        )],
    );
    let mismatch =
        format!("`{has}` is true, but there is no `{method}`: leave it to `#[dispatch_events]`");
    let absent = format!("called `{method}`, which this implementation doesn't have");
    quote! {
        #has_docs
        const #has: bool = false;

        #docs
        #[doc(alias = #c_name)]
        #many
        #[inline]
        unsafe fn #method(#(#parameters),*) #output {
            // In no table: only an entry that is there has a thunk, and only a thunk calls.
            const { ::core::assert!(!Self::#has, #mismatch) };
            let _ = (#(#names,)*);
            ::core::unreachable!(#absent)
        }
    }
}

fn table_value(member: &Member) -> TokenStream {
    let name = &member.name;
    match &member.role {
        Role::Value => {
            let constant = constant(name);
            quote!(#name: Events::#constant)
        }
        Role::Table(_) => {
            let constant = constant(name);
            let table = local("table");
            quote! {
                #name: match Events::#constant {
                    ::core::option::Option::Some(#table) => ::core::ptr::from_ref(#table),
                    ::core::option::Option::None => ::core::ptr::null(),
                }
            }
        }
        Role::Entry(entry) => {
            let has = has(name, name.span());
            let method = names::snake_ident(name);
            let signature = signature(entry);
            let function = local("entry");
            // As in a provider's methods: a signature that isn't the member's is an error at the signature.
            let typed = Ident::new("entry", Span::mixed_site().located_at(entry.span));
            quote! {
                #name: {
                    let #function: ::core::option::Option<#signature> = if Events::#has {
                        ::core::option::Option::Some(Self::#method)
                    } else {
                        ::core::option::Option::None
                    };
                    #typed
                }
            }
        }
        Role::Reserved | Role::Base(_) => quote!(#name: 0),
    }
}

fn thunk(member: &Member, entry: &Entry) -> TokenStream {
    let method = names::snake_ident(&member.name);
    let mut parameters = Vec::with_capacity(entry.params.len());
    let mut arguments = Vec::with_capacity(entry.params.len());
    for param in &entry.params {
        let name = names::snake_ident(&param.name);
        let ty = &param.ty;
        let raw = |mutable: bool| {
            if mutable {
                quote!(#name)
            } else {
                quote!(#name.cast_mut())
            }
        };
        match &param.role {
            ParamRole::ReservedInteger | ParamRole::ReservedPointer { .. } => {
                parameters.push(quote!(_: #ty));
                continue;
            }
            ParamRole::Count { .. } => {}
            ParamRole::Value => arguments.push(quote!(#name)),
            ParamRole::Pointer {
                mutable, optional, ..
            } => {
                let raw = raw(*mutable);
                arguments.push(if *optional {
                    quote!(::core::ptr::NonNull::new(#raw))
                } else {
                    quote!(::core::ptr::NonNull::new_unchecked(#raw))
                });
            }
            ParamRole::Buffer {
                to,
                mutable,
                optional,
                unit,
                count,
            } => {
                let raw = raw(*mutable);
                let cast = match unit {
                    Unit::Bytes => quote!(.cast::<u8>()),
                    Unit::Elements => quote!(.cast::<#to>()),
                };
                let count = &length_given(entry, *count);
                let pointer = local("pointer");
                arguments.push(if *optional {
                    quote! {
                        match ::core::ptr::NonNull::new(#raw) {
                            ::core::option::Option::Some(#pointer) => ::core::option::Option::Some(
                                ::core::ptr::NonNull::slice_from_raw_parts(#pointer #cast, #count),
                            ),
                            ::core::option::Option::None => ::core::option::Option::None,
                        }
                    }
                } else {
                    quote! {
                        ::core::ptr::NonNull::slice_from_raw_parts(
                            ::core::ptr::NonNull::new_unchecked(#raw) #cast,
                            #count,
                        )
                    }
                });
            }
        }
        parameters.push(quote!(#name: #ty));
    }
    let output = &entry.output;
    let many = allow_many_arguments(parameters.len());
    quote! {
        #many
        unsafe extern "system" fn #method(#(#parameters),*) #output {
            // SAFETY: WSK is the caller, through the table, with the arguments that it documents: what is required is
            // not NULL, and the rest of the promise is the method's own.
            unsafe { Events::#method(#(#arguments),*) }
        }
    }
}

/// The count of a buffer as a `usize`.
fn length_given(entry: &Entry, count: usize) -> TokenStream {
    let Param { name, ty, .. } = &entry.params[count];
    let name = names::snake_ident(name);
    if sal::is_usize(ty) {
        quote!(#name)
    } else {
        quote!(#name as usize)
    }
}

// ---- `#[dispatch_events]`

pub(crate) fn dispatch_events(mut item: ItemImpl) -> syn::Result<TokenStream> {
    let mut constants: Vec<ImplItem> = vec![parse_quote!(
        const USE_DISPATCH_EVENTS: () = ();
    )];
    for method in parse::events_impl(&item)? {
        // At the method's place, so that rustc's error for one that the trait doesn't have points there.
        let has = has(&method.sig.ident, method.sig.ident.span());
        let cfg = method
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"));
        constants.push(parse_quote_spanned!(at(has.span())=> #(#cfg)* const #has: bool = true;));
    }
    item.items.extend(constants);
    Ok(quote!(#item))
}

/// What is derived, in full, as files to read. After a change that is meant, `UPDATE_EXPANDED=1 cargo test -p wsk-macros`
/// writes them anew.
#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use quote::ToTokens;

    use super::*;

    /// Derives for the tables of `tests/expanded/NAME.in.rs`, and holds the result against `NAME.rs`.
    fn check(name: &str) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expanded");
        let input = fs::read_to_string(directory.join(format!("{name}.in.rs"))).unwrap();
        let derived: TokenStream = syn::parse_file(&input)
            .unwrap()
            .items
            .into_iter()
            .map(|item| match item {
                syn::Item::Impl(implementation) => dispatch_events(implementation).unwrap(),
                item => {
                    let item = syn::parse2(item.into_token_stream()).unwrap();
                    table(&parse::table(&item).unwrap())
                }
            })
            .collect();
        let text = prettyplease::unparse(&syn::parse2(derived).unwrap());
        let file = directory.join(format!("{name}.rs"));
        if std::env::var_os("UPDATE_EXPANDED").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap();
        assert!(
            text == expected,
            "{} isn't what is derived now:\n{text}",
            file.display()
        );
    }

    #[test]
    fn provider_tables_expand_as_pinned() {
        check("provider");
    }

    #[test]
    fn client_tables_expand_as_pinned() {
        check("client");
    }
}
