//! Writes the Rust that a dispatch table stands for: methods over a provider's table, or a trait whose implementations
//! become a client's table. As lean as written by hand: a call is a check for NULL and the call.

mod client;
mod events;
mod provider;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::{
    names,
    sal::Unit,
    syntax::Type,
    table::{Entry, Kind, Member, Table},
};

pub(crate) use events::{dispatch_events, no_arguments};

pub(crate) fn table(table: &Table) -> TokenStream {
    match table.kind {
        Kind::Provider => provider::provider(table),
        Kind::Client => client::client(table),
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

/// The type of the function that an entry points to.
fn signature(entry: &Entry) -> TokenStream {
    let types = entry.params.iter().map(|param| &param.ty);
    let output = entry.arrow();
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

fn has(name: &Ident, span: Span) -> Ident {
    Ident::new(&format!("HAS_{}", names::screaming(name)), span)
}

/// What is derived, in full, as files to read. After a change that is meant, `UPDATE_EXPANDED=1 cargo test -p wsk-macros`
/// writes them anew.
#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use syn::{
        Result, Token,
        parse::{ParseStream, Parser as _},
    };

    use super::*;
    use crate::{syntax, table as read};

    /// What is derived for each item that stands here.
    fn items_of(input: ParseStream<'_>) -> Result<TokenStream> {
        let mut derived = TokenStream::new();
        while !input.is_empty() {
            let ahead = input.fork();
            syntax::Attribute::all(&ahead)?;
            derived.extend(if ahead.peek(Token![unsafe]) || ahead.peek(Token![impl]) {
                dispatch_events(&input.parse()?)?
            } else {
                table(&read::table(&input.parse()?)?)
            });
        }
        Ok(derived)
    }

    /// Derives for the tables of `tests/expanded/NAME.in.rs`, and holds the result against `NAME.rs`.
    fn check(name: &str) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expanded");
        let input = fs::read_to_string(directory.join(format!("{name}.in.rs"))).unwrap();
        let items = input.parse().unwrap();
        let derived = items_of.parse2(items).unwrap();
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
