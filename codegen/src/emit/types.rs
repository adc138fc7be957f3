//! Rust types for C types. Integers have a fixed width, since Windows is LLP64 whatever the host is. Explicit pointers replace
//! pointer typedefs.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Type, parse_quote};

use crate::bind::bindings::Bindings;
use crate::read::facts::Facts;

/// Headers whose typedefs belong to the C dialect and not to the interface.
const DIALECT: [&str; 3] = ["ntdef.h", "basetsd.h", "sdkddkver.h"];

/// Integers as wide as a pointer.
const POINTER_WIDE: [(&str, &str); 9] = [
    ("SIZE_T", "usize"),
    ("ULONG_PTR", "usize"),
    ("UINT_PTR", "usize"),
    ("DWORD_PTR", "usize"),
    ("KAFFINITY", "usize"),
    ("KSPIN_LOCK", "usize"),
    ("SSIZE_T", "isize"),
    ("LONG_PTR", "isize"),
    ("INT_PTR", "isize"),
];

/// Rewrites the types of one run of bindgen.
pub(crate) struct Types {
    /// Aliases that are replaced by the types behind them.
    inlined: BTreeMap<String, Type>,
    /// New name by bindgen's name.
    renamed: BTreeMap<String, String>,
    /// Aliases that are written.
    kept: BTreeSet<String>,
}

impl Types {
    /// Decides on names and aliases for `bindings`.
    #[must_use]
    pub(crate) fn new(bindings: &Bindings, facts: &Facts) -> Self {
        let renamed = renames(bindings, facts);
        let mut types = Self {
            inlined: BTreeMap::new(),
            renamed,
            kept: BTreeSet::new(),
        };
        for (name, integer) in POINTER_WIDE {
            let ident = Ident::new(integer, proc_macro2::Span::call_site());
            types.inlined.insert(name.to_owned(), parse_quote!(#ident));
        }
        let mut aliases = bindings.aliases.clone();
        // A typedef that has the public name of its record or enumeration is the record itself.
        let public: BTreeSet<&String> = types.renamed.values().collect();
        aliases.retain(|name, _| {
            !facts.records.contains_key(name)
                && !facts.enumerations.contains_key(name)
                && !public.contains(name)
        });
        // NTSTATUS is a newtype of wsk-sys.
        aliases.remove("NTSTATUS");
        for (name, ty) in &aliases {
            let origin = facts.aliases.get(name);
            let callback = facts.callbacks.contains_key(name);
            let dialect = origin.is_none_or(|origin| DIALECT.contains(&origin.header.as_str()));
            let target = resolve(ty, &aliases);
            let pointer = matches!(target, Type::Ptr(_));
            let declared = origin.is_some() || callback;
            if ((dialect && !callback) || pointer || !declared) && !types.inlined.contains_key(name)
            {
                types.inlined.insert(name.clone(), ty.clone());
            }
            let interface = callback || !dialect || names_record(ty, bindings);
            if declared && interface && name != "SIZE_T" {
                types.kept.insert(name.clone());
            }
        }
        types
    }

    /// Whether the alias `name` is part of the interface.
    #[must_use]
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.kept.contains(name)
    }

    /// The public name for bindgen's `name`.
    #[must_use]
    pub(crate) fn name(&self, name: &str) -> String {
        self.renamed
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }

    /// Rewrites a type for use in a signature or member.
    #[must_use]
    pub(crate) fn rewrite(&self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        Rewriter(self).visit_type_mut(&mut ty);
        ty
    }
}

/// Follows aliases to the type behind them.
fn resolve<'t>(ty: &'t Type, aliases: &'t BTreeMap<String, Type>) -> &'t Type {
    let mut ty = ty;
    while let Type::Path(path) = ty
        && let Some(ident) = path.path.get_ident()
        && let Some(target) = aliases.get(&ident.to_string())
    {
        ty = target;
    }
    ty
}

/// Whether a type is a record or enumeration, or a pointer to one, under any name.
fn names_record(ty: &Type, bindings: &Bindings) -> bool {
    match resolve(ty, &bindings.aliases) {
        Type::Ptr(pointer) => names_record(&pointer.elem, bindings),
        Type::Path(path) => path.path.get_ident().is_some_and(|ident| {
            let name = ident.to_string();
            bindings.records.contains_key(&name) || bindings.enumerations.contains_key(&name)
        }),
        _ => false,
    }
}

fn renames(bindings: &Bindings, facts: &Facts) -> BTreeMap<String, String> {
    let mut renamed = facts.public.clone();
    let taken: BTreeSet<String> = bindings
        .aliases
        .keys()
        .chain(facts.public.values())
        .cloned()
        .collect();
    for name in bindings.records.keys().chain(bindings.enumerations.keys()) {
        let trimmed = name.trim_start_matches('_');
        // An item that has only a tag is known by that tag in C, and keeps it here.
        let is_tag_alone =
            facts.records.contains_key(name) || facts.enumerations.contains_key(name);
        if trimmed != name
            && !is_tag_alone
            && !renamed.contains_key(name)
            && !name.contains("__bindgen_ty_")
        {
            let free = !taken.contains(trimmed);
            renamed.insert(
                name.clone(),
                if free {
                    trimmed.to_owned()
                } else {
                    name.clone()
                },
            );
        }
    }
    // An unnamed record is named after the member whose type it is. Names are sorted, so parents come first.
    for (name, record) in &bindings.records {
        let parent = renamed.get(name).cloned().unwrap_or_else(|| name.clone());
        for (member, ty) in &record.members {
            for inner in idents(ty) {
                if inner.starts_with(name.as_str())
                    && inner[name.len()..].starts_with("__bindgen_ty_")
                {
                    renamed.insert(inner, format!("{parent}_{}", member_name(member)));
                }
            }
        }
    }
    renamed
}

/// The public name of a member. bindgen numbers the unnamed ones.
#[must_use]
pub(crate) fn member_name(member: &Ident) -> String {
    let name = member.to_string();
    if let Some(number) = name.strip_prefix("__bindgen_anon_") {
        format!("Anonymous{number}")
    } else if let Some(number) = name.strip_prefix("_bitfield_") {
        format!("Bitfield{number}")
    } else {
        name
    }
}

fn idents(ty: &Type) -> Vec<String> {
    struct Idents(Vec<String>);
    impl VisitMut for Idents {
        fn visit_ident_mut(&mut self, ident: &mut Ident) {
            self.0.push(ident.to_string());
        }
    }
    let mut found = Idents(Vec::new());
    found.visit_type_mut(&mut ty.clone());
    found.0
}

struct Rewriter<'t>(&'t Types);

impl VisitMut for Rewriter<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(path) = &*ty {
            if let Some(element) = flexible(&path.path) {
                let mut element = element.clone();
                self.visit_type_mut(&mut element);
                *ty = parse_quote!([#element; 0]);
                return;
            }
            let segments: Vec<String> = path
                .path
                .segments
                .iter()
                .map(|s| s.ident.to_string())
                .collect();
            if let Some(native) = native(&segments) {
                *ty = native;
                return;
            }
            if segments == ["core", "option", "Option"] {
                let option = path.path.segments.last().cloned();
                let mut option: Type = parse_quote!(#option);
                visit_mut::visit_type_mut(self, &mut option);
                *ty = option;
                return;
            }
            if let [name] = segments.as_slice()
                && let Some(target) = self.0.inlined.get(name)
            {
                let mut target = target.clone();
                self.visit_type_mut(&mut target);
                *ty = target;
                return;
            }
        }
        visit_mut::visit_type_mut(self, ty);
        if let Type::FnPtr(function) = ty
            && function.variadic.is_none()
        {
            function.abi = Some(parse_quote!(extern "system"));
        }
    }

    fn visit_ident_mut(&mut self, ident: &mut Ident) {
        let name = ident.to_string();
        let new = self
            .0
            .renamed
            .get(&name)
            .cloned()
            .unwrap_or_else(|| member_name(ident));
        if new != name {
            *ident = Ident::new(&new, ident.span());
        }
    }
}

/// The element of `__IncompleteArrayField<T>`, a flexible array. The generated type is an array without elements.
fn flexible(path: &syn::Path) -> Option<&Type> {
    let segment = path.segments.last()?;
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        syn::GenericArgument::Type(element) if segment.ident == "__IncompleteArrayField" => {
            Some(element)
        }
        _ => None,
    }
}

/// The Rust type for a native C type, with the width that it has on Windows.
fn native(segments: &[String]) -> Option<Type> {
    let name = match segments {
        [prefix, name] if prefix == "ctypes" => name.as_str(),
        [a, b, name] if (a.as_str(), b.as_str()) == ("core", "ffi") => name.as_str(),
        _ => return None,
    };
    Some(match name {
        "c_char" | "c_schar" => parse_quote!(i8),
        "c_uchar" => parse_quote!(u8),
        "c_short" => parse_quote!(i16),
        "c_ushort" => parse_quote!(u16),
        "c_int" | "c_long" => parse_quote!(i32),
        "c_uint" | "c_ulong" => parse_quote!(u32),
        "c_longlong" => parse_quote!(i64),
        "c_ulonglong" => parse_quote!(u64),
        "c_void" => parse_quote!(c_void),
        _ => return None,
    })
}
