//! Runs bindgen over the headers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::error::Error;
use crate::find::source::{Arch, Language, Source};
use crate::read::facts::Facts;
use crate::read::parse;

/// Keeps bindgen from evaluating macros: clang computes the values, and bindgen's own evaluation divides by zero where a macro
/// does.
#[derive(Debug)]
struct NoMacros;

impl bindgen::callbacks::ParseCallbacks for NoMacros {
    fn will_parse_macro(&self, _name: &str) -> bindgen::callbacks::MacroParsingBehavior {
        bindgen::callbacks::MacroParsingBehavior::Ignore
    }
}

/// A record whose members have every type that is wanted, and point to every function.
///
/// bindgen matches each name in the headers against each pattern that it gets. With a pattern for each of our items a kit took a
/// minute. With this record, one pattern is enough.
pub(crate) const ROOTS: &str = "wsk_codegen_roots";

fn roots(facts: &Facts) -> String {
    let types = facts.records.keys().chain(facts.enumerations.keys());
    let types = types
        .chain(facts.callbacks.keys())
        .chain(facts.aliases.keys());
    let types = types.chain(facts.opaque.keys());
    let mut text = format!("struct {ROOTS} {{\n");
    for (index, name) in types.enumerate() {
        let _ = writeln!(text, "{name} *type_{index};");
    }
    for name in facts.functions.keys() {
        let _ = writeln!(text, "decltype({name}) *{FUNCTION}{name};");
    }
    text.push_str("};\n");
    text
}

/// The prefix of the root members that stand for functions.
pub(crate) const FUNCTION: &str = "function_";

/// Runs bindgen over the headers for one architecture, and returns its output.
///
/// # Errors
///
/// When bindgen fails.
pub(crate) fn run(source: &Source, arch: Arch, facts: &Facts) -> Result<String, Error> {
    let first = attempt(source, arch, facts, "");
    let Err(Error::Bindgen(message)) = &first else {
        return first;
    };
    // bindgen compiles the bodies of inline functions too, although none of them is bound. In a kit they may call intrinsics that
    // only Microsoft's compiler has.
    let (intrinsics, renamed) = (undeclared(message), parse::conflicting(message));
    if intrinsics.is_empty() && renamed.is_empty() {
        return first;
    }
    let mut before = String::new();
    for name in renamed {
        let _ = writeln!(before, "#define {name} {}", parse::renamed_builtin(name));
    }
    for name in intrinsics {
        let _ = writeln!(
            before,
            "template <class... T> unsigned long long {name}(T...);"
        );
    }
    attempt(source, arch, facts, &before).or(first)
}

/// The undeclared identifiers that clang's messages name.
pub(crate) fn undeclared(messages: &str) -> BTreeSet<&str> {
    parse::quoted(messages, "undeclared identifier '")
}

fn attempt(source: &Source, arch: Arch, facts: &Facts, before: &str) -> Result<String, Error> {
    let builder = bindgen::Builder::default()
        .header_contents(
            "wsk-bindings.hpp",
            &format!("{before}{}{}{}", source.root(), parse::END, roots(facts)),
        )
        .clang_args(source.arguments(arch, Language::Cpp)?)
        // The arguments name every folder, so the compiler of this machine need not be asked for its own.
        .detect_include_paths(false)
        .use_core()
        .ctypes_prefix("ctypes")
        .default_enum_style(bindgen::EnumVariation::NewType {
            is_bitfield: false,
            is_global: false,
        })
        .prepend_enum_name(false)
        .generate_comments(false)
        .derive_debug(true)
        .layout_tests(true)
        .formatter(bindgen::Formatter::None)
        .ignore_methods()
        .parse_callbacks(Box::new(NoMacros))
        .allowlist_type(ROOTS)
        .allowlist_recursively(true);
    let bindings = builder
        .generate()
        .map_err(|error| Error::Bindgen(error.to_string()))?;
    Ok(bindings.to_string())
}
