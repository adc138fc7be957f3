//! Provider tables, which WSK fills in: methods that call their entries. A method checks for NULL and calls, as lean as code
//! written by hand.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{allow_many_arguments, at, doc, entry_docs, local, non_null, signature, slice_of};
use crate::{
    names,
    sal::{self, Param, Role as ParamRole, Unit},
    table::{Entry, Member, Role, Table},
};

pub(super) fn provider(table: &Table) -> TokenStream {
    let Table {
        vis,
        name,
        rust_name,
        members,
        ..
    } = table;
    let docs = doc(name.span(), [
        format!("Typed calls through a [`{name}`], WSK's table of functions for one kind of object."),
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
        ["The table itself. On an older Windows it may be shorter than its type."],
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
                    "The entries of `{alias}`, the table at the start of this one."
                )],
            );
            quote! {
                #own
                #[doc(alias = #alias)]
                #[inline]
                #[must_use]
                #vis const fn #method(self) -> #wrapper {
                    // SAFETY: the pointer isn't null because it points into an existing table (invariant of `self`), and what
                    // `ntddi` says of the whole table holds for its beginning, too.
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
        // The parser does not allow `Table` in a provider table.
        Role::Reserved | Role::Table(_) => TokenStream::new(),
        Role::Entry(entry) => provider_entry(table, member, entry),
    }
}

/// The parts of a method that calls an entry, collected parameter by parameter.
#[derive(Default)]
struct Call {
    parameters: Vec<TokenStream>,
    prepare: Vec<TokenStream>,
    arguments: Vec<TokenStream>,
    /// Whether a length may not fit its count.
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
    let output = entry.result();
    let age = entry
        .since
        .as_ref()
        .filter(|_| entry.is_newer_than_wsk())
        .map(|since| {
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
    let finish = if entry.gives_nothing() {
        quote! {
            // SAFETY: the caller's promise (`# Safety` of the method).
            unsafe { #function(#(#arguments),*) };
            ::core::result::Result::Ok(())
        }
    } else {
        // SAFETY: the caller's promise (`# Safety` of the method).
        quote!(::core::result::Result::Ok(unsafe { #function(#(#arguments),*) }))
    };
    // The annotated binding compares the written signature with the member's own type. A difference is an error at the signature.
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
        "- The table belongs to the open socket or captured provider of the call.".to_owned(),
        format!("- Every pointer and buffer is valid for what `{c_name}` does with it, according to its documentation."),
    ]);
    for param in &entry.params {
        if let ParamRole::Buffer {
            to,
            unit: Unit::Bytes,
            ..
        } = &param.role
            && let Some(to) = to.last()
            && to != "c_void"
            && to != "u8"
        {
            let rust = names::snake(&names::c_name(&param.name));
            lines.push(format!(
                "- A `{rust}` that isn't empty is aligned for `{to}`."
            ));
        }
    }
    if entry.params.iter().any(|param| sal::is_irp(&param.ty)) {
        lines.push(
            "- With an IRP, all of these, and everything that the IRP refers to, stay valid until the IRP completes,"
                .to_owned(),
        );
        lines.push("  whatever the call returns.".to_owned());
    }
    if entry.irql.is_some() {
        lines.push("- The entry may be called at the current IRQL.".to_owned());
    }
    lines.extend([
        String::new(),
        "# Errors".to_owned(),
        String::new(),
        "These errors come without a call:".to_owned(),
        String::new(),
        "- `Absent`: the table has NULL for it.".to_owned(),
    ]);
    if entry.is_newer_than_wsk() {
        lines.push("- `TooNew`: the running Windows is older than the entry.".to_owned());
    }
    if too_long {
        lines.push("- `TooLong`: the length of a buffer does not fit its count.".to_owned());
    }
    if !entry.gives_nothing() {
        lines.extend([
            String::new(),
            "The result of the call itself, including failures, is in `Ok`.".to_owned(),
        ]);
    }
    out.extend(doc(member.name.span(), lines));
    out
}
