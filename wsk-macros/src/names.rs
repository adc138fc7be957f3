//! Converts the C names of WSK's tables, entries and parameters to Rust names.

use proc_macro2::Ident;

/// Splits `WskSendTo` and `InspectID` into words in lower case: `wsk_send_to`, `inspect_id`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase() && i > 0 {
            let before = chars[i - 1];
            // `SendTo`: a word ends before `T`. `NPIFlags`: it ends before the capital that starts a word.
            let starts_word = before.is_lowercase()
                || before.is_numeric()
                || (before.is_uppercase() && chars.get(i + 1).is_some_and(|n| n.is_lowercase()));
            if starts_word {
                out.push('_');
            }
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// `WSK_PROVIDER_BASIC_DISPATCH` as `WskProviderBasicDispatch`. `None` for a name that is not a C name in capitals, because the
/// two names must differ.
pub(crate) fn camel(name: &str) -> Option<String> {
    let c_like = name
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if !c_like {
        return None;
    }
    let mut out = String::with_capacity(name.len());
    for word in name.split('_').filter(|word| !word.is_empty()) {
        out.push_str(&word[..1]);
        out.push_str(&word[1..].to_ascii_lowercase());
    }
    (out != name).then_some(out)
}

/// The name of an item as C spells it, without Rust's `r#`.
pub(crate) fn c_name(ident: &Ident) -> String {
    let name = ident.to_string();
    match name.strip_prefix("r#") {
        Some(plain) => plain.to_owned(),
        None => name,
    }
}

/// A snake-case identifier with the span of `ident`, changed if it is a keyword.
pub(crate) fn snake_ident(ident: &Ident) -> Ident {
    let name = snake(&c_name(ident));
    let span = ident.span();
    if syn::parse_str::<Ident>(&name).is_ok() {
        return Ident::new(&name, span);
    }
    match name.as_str() {
        // Keywords that cannot even be raw identifiers.
        "self" | "super" | "crate" | "_" => Ident::new(&format!("{name}_"), span),
        _ => Ident::new_raw(&name, span),
    }
}

/// `WskReceiveFromEvent` as the name of a constant: `WSK_RECEIVE_FROM_EVENT`.
pub(crate) fn screaming(ident: &Ident) -> String {
    snake(&c_name(ident)).to_uppercase()
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn words_are_found_in_c_names() {
        for (c, rust) in [
            ("WskSendTo", "wsk_send_to"),
            ("WskGetAddressInfo", "wsk_get_address_info"),
            ("WskConnectEx", "wsk_connect_ex"),
            ("InspectID", "inspect_id"),
            ("NPIFlags", "npi_flags"),
            ("SockAddr", "sock_addr"),
            ("In6Address", "in6_address"),
            ("Irp", "irp"),
            ("already_snake", "already_snake"),
        ] {
            assert_eq!(snake(c), rust);
        }
    }

    #[test]
    fn tables_get_type_names() {
        assert_eq!(
            camel("WSK_PROVIDER_DATAGRAM_DISPATCH").as_deref(),
            Some("WskProviderDatagramDispatch")
        );
        assert_eq!(camel("_WSK__BUF2").as_deref(), Some("WskBuf2"));
        assert_eq!(camel("WskBuf"), None);
        assert_eq!(camel("X"), None);
    }

    #[test]
    fn keywords_are_escaped() {
        let ident = |name| snake_ident(&Ident::new(name, Span::call_site())).to_string();
        assert_eq!(ident("Type"), "r#type");
        assert_eq!(ident("Self_"), "self_");
        assert_eq!(ident("Crate"), "crate_");
        assert_eq!(ident("Super"), "super_");
        assert_eq!(ident("Buffer"), "buffer");
    }
}
