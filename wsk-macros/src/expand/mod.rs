//! Writes the Rust code for a dispatch table: methods over a provider's table, or a trait whose implementations become a client's
//! table. The code is as lean as code written by hand: a method checks for NULL and calls the entry.

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

/// A name that cannot collide with the user's names.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The span for generated code that an error may concern.
fn at(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// Lines of documentation. A warning about them points to `span`.
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

/// The type of an entry's function.
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

/// The member's own documentation, and the IRQL at which it may be called.
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

/// Compares the derived code with files, so that it can be read. After an intended change, `UPDATE_EXPANDED=1 cargo test -p
/// wsk-macros` writes the files again.
#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use syn::{
        Result, Token,
        parse::{ParseStream, Parser as _},
    };

    use super::*;
    use crate::{syntax, table as read};

    /// The code derived for each item in the input.
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

    /// Derives code for the tables in `tests/expanded/NAME.in.rs`, and compares it with `NAME.rs`.
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
            "{} differs from the code that is derived now:\n{text}",
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
