//! The values of macros. bindgen's own evaluation loses those that go through a function-like macro (all `SIO_WSK_*`
//! codes); here clang evaluates each one, as the initialiser of a constant in one small extra file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clang::{Clang, EntityKind, EvaluationResult, Index, TypeKind};

use crate::facts::{self, Facts};
use crate::{Arch, Error, Source};

/// The value of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    /// The value, sign-extended to 128 bits.
    pub value: i128,
    /// Its size in bytes.
    pub size: usize,
    /// Whether the C type is signed.
    pub signed: bool,
    /// The C type as written or deduced, without qualifiers.
    pub c_type: String,
}

const PREFIX: &str = "wsk_codegen_value_";

/// Evaluates the macros of the headers; those without a constant integer value are not in the result.
///
/// # Errors
///
/// When clang cannot parse.
pub fn evaluate(
    clang: &Clang,
    source: &Source,
    arch: Arch,
    facts: &Facts,
) -> Result<BTreeMap<String, Constant>, Error> {
    let mut text = source.root().to_owned();
    for name in facts.macros.keys() {
        let _ = writeln!(text, "static constexpr auto {PREFIX}{name} = ({name});");
    }
    let index = Index::new(clang, false, false);
    let unit = facts::parse(&index, source, arch, "wsk-macros.hpp", &text)?;
    let mut constants = BTreeMap::new();
    for entity in unit.get_entity().get_children() {
        if entity.get_kind() != EntityKind::VarDecl {
            continue;
        }
        let (Some(name), Some(ty)) = (entity.get_name(), entity.get_type()) else {
            continue;
        };
        let Some(name) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let value = match entity.evaluate() {
            Some(EvaluationResult::SignedInteger(value)) => i128::from(value),
            Some(EvaluationResult::UnsignedInteger(value)) => i128::from(value),
            _ => continue,
        };
        let canonical = ty.get_canonical_type();
        let constant = Constant {
            value,
            size: ty
                .get_sizeof()
                .map_err(|_| Error::item(name, "clang gives no size for the type of its value"))?,
            signed: canonical.is_signed_integer() || canonical.get_kind() == TypeKind::Enum,
            c_type: ty
                .get_display_name()
                .trim_start_matches("const ")
                .to_owned(),
        };
        constants.insert(name.to_owned(), constant);
    }
    Ok(constants)
}
