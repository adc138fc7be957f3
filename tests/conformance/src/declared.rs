//! The function-like macros and inline functions of the headers, for which Rust code must be written by hand. The build script
//! includes this file, too, and imports each of them from `wsk-sys`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Names of the headers that Rust does not need, each with its replacement.
pub const WITHOUT: &[(&str, &str)] = &[
    ("ARRAYSIZE", "`len` of an array"),
    ("ASSERT", "`debug_assert!`"),
    ("C_ASSERT", "`const { assert!(…) }`"),
    (
        "DECLARE_CONST_UNICODE_STRING",
        "a constant or variable from `RTL_CONSTANT_STRING!`",
    ),
    ("DECLARE_HANDLE", "a newtype of a pointer"),
    (
        "DECLARE_UNICODE_STRING_SIZE",
        "an array, and `RtlInitEmptyUnicodeString` over it",
    ),
    ("DECLSPEC_ALIGN", "`#[repr(align(…))]`"),
    ("DEFINE_GUID", "a `GUID` is written as a literal"),
    (
        "ExInitializeDriverRuntime",
        "`POOL_TYPE::NonPagedPoolNx` says what is wanted",
    ),
    ("ExInterlockedFlushSList", "`InterlockedFlushSList`"),
    (
        "ExInterlockedPopEntrySList",
        "`InterlockedPopEntrySList`; the lock is not used",
    ),
    (
        "ExInterlockedPushEntrySList",
        "`InterlockedPushEntrySList`; the lock is not used",
    ),
    (
        "KdPrint",
        "`DbgPrint` behind `cfg!(debug_assertions)`; C hides the arguments in parentheses of their own",
    ),
    (
        "KdPrintEx",
        "`DbgPrintEx` behind `cfg!(debug_assertions)`; C hides the arguments in parentheses of their own",
    ),
    (
        "AbnormalTermination",
        "Rust catches no exceptions of the system",
    ),
    (
        "GetExceptionCode",
        "Rust catches no exceptions of the system",
    ),
    (
        "NTDDI_VERSION_FROM_WIN32_WINNT2",
        "pastes tokens for `NTDDI_VERSION_FROM_WIN32_WINNT`",
    ),
    ("NT_ASSERT", "`debug_assert!`"),
    ("NT_VERIFY", "a variable, and `debug_assert!` of it"),
    ("PAGED_CODE", "`debug_assert!` of `KeGetCurrentIrql`"),
    ("RTL_BITS_OF", "`BITS` of an integer"),
    ("RTL_NUMBER_OF", "`len` of an array"),
    (
        "RtlInitUnicodeString",
        "imported; the macro only refuses wide literals",
    ),
    (
        "RtlInitUnicodeStringEx",
        "imported; the macro only refuses wide literals",
    ),
    (
        "SOCKADDR_SIZE",
        "reads a table in a static library of the kit; `INET_SOCKADDR_LENGTH` does without",
    ),
    ("TYPE_ALIGNMENT", "`align_of`"),
    ("UNREFERENCED_LOCAL_VARIABLE", "a name that starts with `_`"),
    ("UNREFERENCED_PARAMETER", "a name that starts with `_`"),
    (
        "WskIn6MulticastScope",
        "not of the kit: part of the bodies of other functions",
    ),
    (
        "WskIn6StartsWithZeroes",
        "not of the kit: part of the bodies of other functions",
    ),
    (
        "WskUncanonicalizeScopeId",
        "not of the kit: part of the bodies of other functions",
    ),
    (
        "WSK_STRING_CHECKED",
        "not of the kit: part of `RTL_CONSTANT_STRING`",
    ),
    (
        "WSK_UTF16_CHECKED",
        "not of the kit: part of `RtlInitUnicodeString`",
    ),
    ("_SEH_REMEMBER", "not of the kit: part of `__try`"),
    ("_SEH_SYMBOL", "not of the kit: part of `__try`"),
    ("_SEH_SYMBOL_OF", "not of the kit: part of `__try`"),
    ("_SEH_TEXT_OF", "not of the kit: part of `__try`"),
    (
        "__except",
        "Rust catches no exceptions of the system; `TryProbeAndLockPages` does for locking pages",
    ),
    ("max", "`Ord::max`"),
    ("min", "`Ord::min`"),
];

/// The folder of the headers.
#[must_use]
pub fn headers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../headers")
}

/// The names of inline functions, of function-like macros, and of macros that are other names for these, with the header of each.
/// Annotations, which are all of `sal.h`, are left out.
///
/// # Errors
///
/// When a header cannot be read.
pub fn inline(headers: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    let mut aliases = Vec::new();
    for entry in std::fs::read_dir(headers)? {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.extension().is_none_or(|extension| extension != "h") || file == "sal.h" {
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            if let Some(definition) = line.strip_prefix("#define ") {
                let end = definition.find(|c| !is_word(c)).unwrap_or(definition.len());
                let (name, rest) = definition.split_at(end);
                if rest.starts_with('(') {
                    names.insert(name.to_owned(), file.clone());
                } else if !rest.trim().is_empty() && rest.trim().chars().all(is_word) {
                    aliases.push((name.to_owned(), rest.trim().to_owned(), file.clone()));
                }
            } else if let Some(signature) = line.strip_prefix("FORCEINLINE ")
                && let Some(before) = signature.split('(').next()
            {
                let name = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
                names.insert(name.to_owned(), file.clone());
            }
        }
    }
    for (name, other, file) in aliases {
        if names.contains_key(&other) {
            names.insert(name, file);
        }
    }
    Ok(names)
}

/// The names that Rust must have.
///
/// # Errors
///
/// When a header cannot be read.
pub fn expected(headers: &Path) -> io::Result<BTreeSet<String>> {
    let without = |name: &String| WITHOUT.iter().any(|(left_out, _)| left_out == name);
    Ok(inline(headers)?
        .into_keys()
        .filter(|name| !without(name))
        .collect())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
