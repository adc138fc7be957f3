//! SAL, the annotation language of the Windows headers. Our own `sal.h` makes each annotation an attribute that clang
//! reports; here they are read from those attributes, and checked to be of the kinds that the typed wrappers understand.

use clang::{Entity, EntityKind};
use proc_macro2::TokenStream;
use quote::quote;

/// An annotation of a table entry's parameter that has a meaning for its wrapper: its name without the underscores around it,
/// what the pointer is there for, whether it may be NULL, and what a count counts.
type Understood = (&'static str, &'static str, bool, Option<&'static str>);

/// The list of the derive, which makes the wrappers.
const UNDERSTOOD: &[Understood] = &wsk_macros::sal_annotations!();

/// What is known of the annotation `_In_opt_`, or `_In_reads_(Count)`.
fn understood(sal: &str) -> Option<&'static Understood> {
    let name = sal.split('(').next().unwrap_or(sal).trim_matches('_');
    UNDERSTOOD.iter().find(|known| known.0 == name)
}

/// The annotations of a declaration, as `_In_reads_(Count)`.
pub(crate) fn annotations(entity: Entity<'_>) -> Vec<String> {
    entity
        .get_children()
        .into_iter()
        .filter(|child| child.get_kind() == EntityKind::AnnotateAttr)
        .filter_map(|attribute| attribute.get_display_name())
        .collect()
}

/// What annotations of a function say of the IRQL at which it may be called.
#[must_use]
pub(crate) fn irql(annotations: &[String]) -> Option<String> {
    annotations.iter().find_map(|sal| {
        let (relation, limit) = if let Some(limit) = sal.strip_prefix("_IRQL_requires_max_(") {
            ("<= ", limit)
        } else {
            ("", sal.strip_prefix("_IRQL_requires_(")?)
        };
        Some(format!("{relation}{}", limit.strip_suffix(')')?.trim()))
    })
}

/// The one annotation of a table entry's parameter, as the derive reads it: `In_reads_bytes_opt(Length)`.
///
/// # Errors
///
/// When there is not exactly one, or it is none that is understood: the text says what is wrong with it.
pub(crate) fn tokens(annotations: &[String]) -> Result<TokenStream, String> {
    let [sal] = annotations else {
        return Err(match annotations {
            [] => "has no SAL annotation: exactly one is needed".to_owned(),
            many => format!(
                "has {} SAL annotations ({}): exactly one is understood",
                many.len(),
                many.join(" ")
            ),
        });
    };
    let not_understood = || {
        Err(format!(
            "is annotated {sal}, which is not understood: teach it to wsk-macros, or correct it in \
             read/corrections.rs"
        ))
    };
    let (name, argument) = match sal.split_once('(') {
        None => (sal.as_str(), None),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(argument) => (name, Some(argument.trim())),
            None => return not_understood(),
        },
    };
    let name = name.trim_matches('_');
    let counts = understood(name).map(|known| known.3.is_some());
    let fits = match argument {
        None => counts == Some(false),
        Some(argument) => counts == Some(true) && is_count(argument),
    };
    if !fits {
        return not_understood();
    }
    let name = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
    Ok(match argument {
        None => quote!(#name),
        Some(argument) => {
            let count = argument.trim_start_matches('*').trim();
            let count = proc_macro2::Ident::new(count, proc_macro2::Span::call_site());
            if argument.starts_with('*') {
                quote!(#name(*#count))
            } else {
                quote!(#name(#count))
            }
        }
    })
}

/// Whether a count is a parameter's name, or `*name` where the parameter points at the count.
fn is_count(argument: &str) -> bool {
    let name = argument.strip_prefix('*').unwrap_or(argument).trim();
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && syn::parse_str::<syn::Ident>(name).is_ok()
}

/// What an annotation says in words.
#[must_use]
pub(crate) fn direction(annotations: &[String]) -> String {
    let Some(first) = annotations.first() else {
        return "in".to_owned();
    };
    // What is said of any function, with annotations that the wrappers know nothing of.
    let optional = first.contains("_opt_") || first.contains("maybenull");
    let direction = if first.starts_with("_Reserved_") {
        "reserved"
    } else if first.starts_with("_Inout_") {
        "in, out"
    } else if first.starts_with("_Out") {
        "out"
    } else {
        "in"
    };
    let optional = if optional { ", optional" } else { "" };
    let counted = first
        .split_once('(')
        .filter(|(kind, _)| {
            ["reads", "writes", "updates"]
                .iter()
                .any(|word| kind.contains(word))
        })
        .map_or_else(String::new, |(kind, count)| {
            let unit = if kind.contains("bytes") {
                "bytes"
            } else {
                "elements"
            };
            format!(", `{}` {unit}", count.strip_suffix(')').unwrap_or(count))
        });
    format!("{direction}{optional}{counted}")
}

#[cfg(test)]
mod tests {
    use super::{direction, irql, tokens};

    fn one(sal: &str) -> Result<String, String> {
        tokens(&[sal.to_owned()]).map(|tokens| tokens.to_string().replace(' ', ""))
    }

    #[test]
    fn what_is_understood_becomes_the_derive_s_word() {
        assert_eq!(one("_In_").unwrap(), "In");
        assert_eq!(
            one("_Outptr_result_maybenull_").unwrap(),
            "Outptr_result_maybenull"
        );
        assert_eq!(
            one("_In_reads_bytes_opt_(Length)").unwrap(),
            "In_reads_bytes_opt(Length)"
        );
        assert_eq!(
            one("_Out_writes_bytes_opt_(*Length)").unwrap(),
            "Out_writes_bytes_opt(*Length)"
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for sal in [
            "_In_z_",
            "_In_reads_",
            "_In_(x)",
            "_In_reads_(a + b)",
            "_In_reads_(a",
            "",
            "_",
            "_In_reads_(fn)",
        ] {
            assert!(one(sal).is_err(), "{sal}");
        }
        assert!(tokens(&[]).unwrap_err().contains("no SAL annotation"));
        assert!(
            tokens(&["_In_".into(), "_Out_".into()])
                .unwrap_err()
                .contains("2 SAL annotations")
        );
    }

    #[test]
    fn irql_as_given() {
        let of = |sal: &str| irql(&[sal.to_owned()]);
        assert_eq!(
            of("_IRQL_requires_max_(DISPATCH_LEVEL)").as_deref(),
            Some("<= DISPATCH_LEVEL")
        );
        assert_eq!(
            of("_IRQL_requires_(PASSIVE_LEVEL)").as_deref(),
            Some("PASSIVE_LEVEL")
        );
        assert_eq!(of("_IRQL_requires_same_"), None);
    }

    #[test]
    fn directions_in_words() {
        let say = |sal: &str| direction(&[sal.to_owned()]);
        assert_eq!(say("_In_opt_"), "in, optional");
        assert_eq!(say("_Reserved_"), "reserved");
        assert_eq!(say("_Inout_"), "in, out");
        assert_eq!(
            say("_Out_writes_bytes_opt_(OutputSize)"),
            "out, optional, `OutputSize` bytes"
        );
        assert_eq!(say("_In_range_(1, 2)"), "in");
    }
}
