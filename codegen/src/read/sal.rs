//! SAL, the annotation language of the Windows headers. Our own `sal.h` turns each annotation into an attribute that clang
//! reports. This module reads these attributes, and checks that the typed wrappers understand them.

use std::collections::BTreeSet;

use clang::{Entity, EntityKind};
use proc_macro2::TokenStream;
use quote::quote;

use crate::read::directives;

/// An annotation that the wrapper of a table entry understands: its name without the outer underscores, the direction of the
/// pointer, whether the pointer may be NULL, and the unit of its count.
type Understood = (&'static str, &'static str, bool, Option<&'static str>);

/// The derive's own list. The derive makes the wrappers.
const UNDERSTOOD: &[Understood] = &wsk_macros::sal_annotations!();

/// The meaning of an annotation such as `_In_opt_` or `_In_reads_(Count)`, if it is known.
fn understood(sal: &str) -> Option<&'static Understood> {
    let name = sal.split('(').next().unwrap_or(sal).trim_matches('_');
    UNDERSTOOD.iter().find(|known| known.0 == name)
}

/// The annotations of a declaration, such as `_In_reads_(Count)`.
pub(crate) fn annotations(entity: Entity<'_>) -> Vec<String> {
    entity
        .get_children()
        .into_iter()
        .filter(|child| child.get_kind() == EntityKind::AnnotateAttr)
        .filter_map(|attribute| attribute.get_display_name())
        .collect()
}

/// The highest IRQL at which a function may be called, from its annotations.
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

/// The annotation that describes a table entry's parameter, in the form that the derive reads: `In_reads_bytes_opt(Length)`.
///
/// # Errors
///
/// When there is not exactly one such annotation, or when it is not understood. The text says what is wrong.
pub(crate) fn tokens(annotations: &[String]) -> Result<TokenStream, String> {
    let telling: Vec<&String> = annotations.iter().filter(|sal| !is_aside(sal)).collect();
    let sal = match telling.as_slice() {
        [sal] => *sal,
        [] => return Err("has no SAL annotation".to_owned()),
        many => {
            let strange = many.iter().find(|sal| understood(sal).is_none());
            return Err(match strange {
                Some(strange) => format!("is annotated {strange}, which is not understood"),
                None => format!("has {} SAL annotations that say what it is for", many.len()),
            });
        }
    };
    let not_understood = || Err(format!("is annotated {sal}, which is not understood"));
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

/// Says what to do about a parameter whose annotations are missing, contradictory or not understood.
pub(crate) fn remedy(item: &str, parameter: &str, annotations: &[String]) -> String {
    let told = annotations.join(" ");
    let names: Vec<&str> = UNDERSTOOD.iter().map(|known| known.0).collect();
    format!(
        "describe it in a corrections file, `--corrections FILE`, with a line such as\n    {item} {parameter}: {} => _In_opt_  # \
         why\n  or in read/corrections.rs; understood are, between underscores, {}",
        if told.is_empty() { "nothing" } else { &told },
        names.join(", ")
    )
}

/// Annotations that do not describe how the callee uses a pointer: they say who owns the memory afterwards, or are hints for
/// Microsoft's analyser.
const ASIDE: [&str; 9] = [
    "__drv_aliasesMem",
    "__drv_freesMem",
    "_Frees_ptr_",
    "_Frees_ptr_opt_",
    "_Pre_notnull_",
    "_Pre_valid_",
    "_Post_invalid_",
    "_Post_ptr_invalid_",
    "_Const_",
];

fn is_aside(sal: &str) -> bool {
    ASIDE.contains(&sal.split('(').next().unwrap_or(sal))
}

/// Words of C and of Microsoft's dialect that begin like annotations.
const OF_THE_LANGUAGE: [&str; 16] = [
    "__stdcall",
    "__cdecl",
    "__fastcall",
    "__ptr64",
    "__ptr32",
    "__unaligned",
    "__restrict",
    "__int8",
    "__int16",
    "__int32",
    "__int64",
    "__declspec",
    "__attribute__",
    "__forceinline",
    "__inline",
    "_Bool",
];

/// The words before the parameter at `at` in a header's text that look like annotations and are not `known`. If a header's own
/// SAL defines them as empty, clang reports nothing about them.
pub(crate) fn strange_words(text: &[u8], at: usize, known: &BTreeSet<String>) -> Vec<String> {
    let text = String::from_utf8_lossy(&before(text, at)).into_owned();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let (mut last, mut rest) = ("", text.as_str());
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let end = word.find(|c: char| !is_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let is_tag = matches!(last, "struct" | "union" | "enum");
        let is_known = known.contains(word) || OF_THE_LANGUAGE.contains(&word);
        if word.starts_with('_') && !is_tag && !is_known {
            words.push(format!("{word}{}", argument(after)));
        }
        // The text in an annotation's parentheses is part of the annotation, not of the declaration.
        let skipped = if word.starts_with('_') {
            argument(after).len()
        } else {
            0
        };
        (last, rest) = (word, &after[skipped..]);
    }
    words
}

/// The text in parentheses at the start of `text`, up to the matching parenthesis.
fn argument(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[..=at],
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && !c.is_whitespace() => return "",
            _ => {}
        }
    }
    ""
}

/// The text of a declaration from the comma or parenthesis before the parameter at `at`, without comments.
fn before(text: &[u8], at: usize) -> Vec<u8> {
    /// The longest text that is searched. No parameter is longer.
    const MOST: usize = 4096;
    let start = at.saturating_sub(MOST);
    let text = &text[start..at.min(text.len())];
    // The window may begin inside a comment. A mistake there is far from the parameter.
    let blank = directives::without_comments_of(text);
    let mut depth = 0_usize;
    for (at, byte) in blank.iter().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' | b',' if depth == 0 => return blank[at + 1..].to_vec(),
            b'(' => depth -= 1,
            _ => {}
        }
    }
    blank
}

/// Whether a count is the name of a parameter, or `*name` for a parameter that points at the count.
fn is_count(argument: &str) -> bool {
    let name = argument.strip_prefix('*').unwrap_or(argument).trim();
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && syn::parse_str::<syn::Ident>(name).is_ok()
}

/// The direction that an annotation states, in words.
#[must_use]
pub(crate) fn direction(annotations: &[String]) -> String {
    let Some(first) = annotations.first() else {
        return "in".to_owned();
    };
    // These annotations may be on any function. The wrappers do not know them.
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
    use std::collections::BTreeSet;

    use super::{direction, irql, strange_words, tokens};

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
    fn whose_memory_it_is_says_nothing_of_its_use() {
        let of = |sal: &[&str]| {
            let sal: Vec<String> = sal.iter().map(|&sal| sal.to_owned()).collect();
            tokens(&sal).map(|tokens| tokens.to_string())
        };
        assert_eq!(of(&["_Inout_", "__drv_aliasesMem"]).unwrap(), "Inout");
        assert_eq!(of(&["__drv_freesMem(Mem)", "_In_"]).unwrap(), "In");
        let error = of(&["_In_", "_Tomorrow_"]).unwrap_err();
        assert!(error.contains("_Tomorrow_"), "{error}");
    }

    #[test]
    fn words_that_look_like_annotations() {
        let known = BTreeSet::from(["_In_".to_owned(), "_When_".to_owned()]);
        let text = b"typedef void (F)(_In_ struct _TAG *First, /* _No_ */ _In_ __int64\n _Odd_(a, (b)) _When_(x, _Y_) T *Second, int z)";
        let at = |name: &str| {
            let text = String::from_utf8_lossy(text);
            text.find(name).unwrap()
        };
        assert!(strange_words(text, at("First"), &known).is_empty());
        assert_eq!(strange_words(text, at("Second"), &known), ["_Odd_(a, (b))"]);
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
