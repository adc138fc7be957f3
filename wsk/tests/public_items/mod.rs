//! Public items in source text, by tokens: what macros write is found too.

use proc_macro2::{Delimiter, TokenTree};

pub(crate) fn is(token: Option<&TokenTree>, text: &str) -> bool {
    token.is_some_and(|token| token.to_string() == text)
}

/// What follows each `pub` among these tokens, without `const`, `async` and `unsafe`. Not what is `pub(crate)`.
pub(crate) fn public_items(tokens: &[TokenTree]) -> impl Iterator<Item = &[TokenTree]> {
    let after = |(at, token)| is(Some(token), "pub").then(|| &tokens[at + 1..]);
    let public = tokens.iter().enumerate().filter_map(after);
    public
        .filter(|item| !matches!(item.first(), Some(TokenTree::Group(_)) | None))
        .map(|item| {
            let qualifiers = ["const", "async", "unsafe"];
            let is_qualifier =
                |token: &&TokenTree| qualifiers.contains(&token.to_string().as_str());
            &item[item.iter().take_while(is_qualifier).count()..]
        })
}

/// The name, generic parameters, parameters, result and bounds of an item that is a function.
pub(crate) fn signature(item: &[TokenTree]) -> Option<&[TokenTree]> {
    if !is(item.first(), "fn") {
        return None;
    }
    let body = item.iter().position(|token| {
        matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
            || is(Some(token), ";")
    });
    Some(&item[1..body.unwrap_or(item.len())])
}
