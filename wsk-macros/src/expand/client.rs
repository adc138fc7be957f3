//! Client tables, which the driver fills in: a trait, and a function that makes the table of an implementation.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use super::{allow_many_arguments, doc, entry_docs, has, local, non_null, signature, slice_of};
use crate::{
    names,
    sal::{self, Param, Role as ParamRole, Unit},
    table::{Entry, Member, Role, Table},
};

pub(super) fn client(table: &Table) -> TokenStream {
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
        format!("The callbacks of a [`{name}`], which a driver implements. [`{function}`] makes the table of an implementation."),
        String::new(),
        "The methods that an implementation has become the table's entries. The other entries are NULL. Put".to_owned(),
        "`#[dispatch_events]` on the implementation: it records which methods exist.".to_owned(),
        String::new(),
        "# Safety".to_owned(),
        String::new(),
        "WSK trusts the table. Each method does what is documented for its callback, whatever runs at the same time:"
            .to_owned(),
        "this concerns the values that it returns, the memory that it writes through its pointers, and what it does at"
            .to_owned(),
        "its IRQL. Each constant has a value that is documented for its member.".to_owned(),
    ]);
    let function_docs = doc(
        name.span(),
        [
            format!("The [`{name}`] with the callbacks of `Events`."),
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
        // The parser does not allow `Base` in a client table.
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
    let output = entry.arrow();
    let mut docs = entry_docs(member, entry, "WSK calls this as");
    docs.extend(doc(
        name.span(),
        [
            String::new(),
            "# Safety".to_owned(),
            String::new(),
            format!("Only WSK calls this, through the table, with the arguments that it documents for `{c_name}`."),
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
            // This method is in no table: only an entry that exists has a thunk, and only a thunk calls its method.
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
            // As in a provider's methods, a signature that differs from the member's is an error at the signature.
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
    let output = entry.arrow();
    let many = allow_many_arguments(parameters.len());
    quote! {
        #many
        unsafe extern "system" fn #method(#(#parameters),*) #output {
            // SAFETY: WSK calls this through the table, with the arguments that it documents: required pointers are
            // not NULL, and the method has the rest of the promise.
            unsafe { Events::#method(#(#arguments),*) }
        }
    }
}

/// Converts the count of a buffer to `usize`.
fn length_given(entry: &Entry, count: usize) -> TokenStream {
    let Param { name, ty, .. } = &entry.params[count];
    let name = names::snake_ident(name);
    if sal::is_usize(ty) {
        quote!(#name)
    } else {
        quote!(#name as usize)
    }
}
