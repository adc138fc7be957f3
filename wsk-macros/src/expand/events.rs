//! `#[dispatch_events]` on an implementation of a client table's trait: records which callbacks the implementation has.

use proc_macro2::{Group, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Result, parse::Parser as _};

use super::{at, has};
use crate::syntax::Implementation;

pub(crate) fn dispatch_events(item: &Implementation) -> Result<TokenStream> {
    if !item.of_trait {
        return Err(Error::new_spanned(
            &item.ty,
            "expected the implementation of an events trait: `unsafe impl WskClientDatagramDispatchEvents for …`",
        ));
    }
    let mut items = item.body.stream();
    items.extend(quote!(
        const USE_DISPATCH_EVENTS: () = ();
    ));
    for method in &item.methods {
        // Located at the method, so that rustc's error for a method that the trait lacks points there.
        let has = has(&method.name, method.name.span());
        let cfg = method
            .attributes
            .iter()
            .filter(|attribute| attribute.is("cfg"));
        items.extend(quote_spanned!(at(has.span())=> #(#cfg)* const #has: bool = true;));
    }
    let mut body = Group::new(item.body.delimiter(), items);
    body.set_span(item.body.span());
    let head = &item.head;
    Ok(quote!(#head #body))
}

/// `#[dispatch_events]` has no arguments.
pub(crate) fn no_arguments(arguments: TokenStream) -> Result<()> {
    let parser = |input: syn::parse::ParseStream<'_>| {
        if input.is_empty() {
            Ok(())
        } else {
            Err(input.error("expected `#[dispatch_events]` without arguments"))
        }
    };
    parser.parse2(arguments)
}
