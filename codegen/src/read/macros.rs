//! The values of macros. bindgen's own evaluation loses macros that use a function-like macro (all `SIO_WSK_*` codes). So clang
//! evaluates each one as the initialiser of a constant after the headers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clang::{EntityKind, EvaluationResult, TranslationUnit, Type, TypeKind};

use crate::error::Error;
use crate::find::source::{Language, Source};
use crate::read::directives::{self, Define};

/// The value of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constant {
    /// The value, sign-extended to 128 bits.
    pub value: i128,
    /// Its size in bytes.
    pub size: usize,
    /// Whether the C type is signed.
    pub signed: bool,
    /// The C type as written or deduced, without qualifiers.
    pub c_type: String,
}

/// Values by macro, or by sample call of a function-like macro.
pub(crate) type Constants = BTreeMap<String, Constant>;

/// The macros to evaluate.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Macros without parameters.
    objects: BTreeSet<String>,
    /// Macros that our own headers have. A kit may have the same names as members of an enumeration.
    ours: BTreeSet<String>,
    /// Macros with parameters, by name.
    pub functions: BTreeMap<String, Define>,
    /// Macros for string literals, with the literal.
    pub texts: BTreeMap<String, String>,
}

/// The macros that tell which release the headers belong to.
const OF_HEADERS: [&str; 2] = ["NTDDI_VERSION", "WDK_NTDDI_VERSION"];

impl Candidates {
    /// The macros that the text of the headers may define: those of all our headers, or those of a kit's `wsk.h` and those that
    /// our headers define, too. `shipped` are the values of our headers.
    ///
    /// # Errors
    ///
    /// When a header cannot be read.
    pub(crate) fn find(source: &Source, shipped: Option<&Constants>) -> Result<Self, Error> {
        let mut candidates = Self::default();
        candidates.objects.extend(OF_HEADERS.map(str::to_owned));
        match shipped {
            None => {
                for folder in source.include() {
                    for file in headers(folder)? {
                        if source.is_bound(&file) {
                            candidates.scan(&file)?;
                        }
                    }
                }
            }
            Some(shipped) => {
                if let Some(wsk) = source.find("wsk.h") {
                    candidates.scan(&wsk)?;
                }
                let ours = shipped.keys().filter(|name| !name.contains("_of_"));
                candidates.ours.extend(ours.cloned());
            }
        }
        Ok(candidates)
    }

    fn scan(&mut self, file: &std::path::Path) -> Result<(), Error> {
        let bytes = std::fs::read(file).map_err(|error| Error::io(file, error))?;
        let text = directives::decode(&bytes);
        for define in directives::defines(&text) {
            // An incomplete declaration such as `extern "C" {` would swallow the constants after it.
            if define.body.contains(['{', '}', ';']) {
                continue;
            }
            if define.parameters.is_some() {
                self.functions.insert(define.name.clone(), define);
            } else if define.body.starts_with(['"', 'L']) && define.body.ends_with('"') {
                self.texts.insert(define.name, define.body);
            } else if !define.body.is_empty() {
                self.objects.insert(define.name);
            }
        }
        // Conditions compare with this version, so its number is needed, wherever it is defined.
        let versions = directives::conditions(&text).into_iter().flatten();
        for version in versions.filter(|version| version.starts_with("NTDDI_")) {
            if !self.objects.contains(&*version) {
                self.objects.insert(version.to_string());
            }
        }
        Ok(())
    }

    /// Constants with the macros' values, to be parsed after the headers.
    #[must_use]
    pub(crate) fn probes(&self, language: Language) -> String {
        let constant = match language {
            Language::C => "static const __auto_type",
            Language::Cpp => "static constexpr auto",
        };
        let mut text = String::new();
        for name in &self.ours {
            let _ = writeln!(text, "{constant} {VALUE}{name} = ({name});");
        }
        for name in self.objects.difference(&self.ours) {
            let _ = writeln!(
                text,
                "#ifdef {name}\n{constant} {VALUE}{name} = ({name});\n#endif"
            );
        }
        for (name, define) in &self.functions {
            let count = define.parameters.as_ref().map_or(0, Vec::len);
            for (index, sample) in SAMPLES.iter().enumerate() {
                let arguments: Vec<String> = (0..count)
                    .map(|place| format!("{:#x}u", argument(*sample, place)))
                    .collect();
                let arguments = arguments.join(", ");
                let _ = writeln!(
                    text,
                    "#ifdef {name}\n{constant} {VALUE}{name}_of_{index} = ({name}({arguments}));\n#endif"
                );
            }
        }
        text
    }
}

fn headers(folder: &std::path::Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let io = |error| Error::io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("h"))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

const VALUE: &str = "wsk_codegen_value_";

/// The arguments of sample calls of function-like macros. The calls show the types, and the translations are compared with them.
pub(crate) const SAMPLES: [u32; 4] = [1, 0x7F, 0x0102, 0xFFFF_FFFF];

/// The argument of a sample call at a position. Each position has another one, except in the sample where all bits are set.
#[must_use]
pub(crate) fn argument(sample: u32, place: usize) -> u32 {
    let place = u32::try_from(place).unwrap_or(0);
    sample.saturating_add(place)
}

/// The name under which the value of a sample call is stored.
#[must_use]
pub(crate) fn call_name(name: &str, sample: usize) -> String {
    format!("{name}_of_{sample}")
}

/// Reads the values of the probes. A probe without a constant integer value is left out.
///
/// # Errors
///
/// When clang gives no size for the type of a value.
pub(crate) fn values(unit: &TranslationUnit<'_>) -> Result<Constants, Error> {
    let mut constants = BTreeMap::new();
    let declared = unit.get_entity().get_children().into_iter();
    for entity in declared.filter(|entity| entity.get_kind() == EntityKind::VarDecl) {
        let (Some(name), Some(ty)) = (entity.get_name(), entity.get_type()) else {
            continue;
        };
        let Some(name) = name.strip_prefix(VALUE) else {
            continue;
        };
        let value = match entity.evaluate() {
            Some(EvaluationResult::SignedInteger(value)) => i128::from(value),
            Some(EvaluationResult::UnsignedInteger(value)) => i128::from(value),
            _ => continue,
        };
        constants.insert(name.to_owned(), constant(name, value, ty)?);
    }
    Ok(constants)
}

fn constant(name: &str, value: i128, ty: Type<'_>) -> Result<Constant, Error> {
    let canonical = ty.get_canonical_type();
    let size = ty
        .get_sizeof()
        .map_err(|_| Error::item(name, "clang gives no size for the type of its value"))?;
    let signed = canonical.is_signed_integer() || canonical.get_kind() == TypeKind::Enum;
    Ok(Constant {
        value,
        size,
        signed,
        c_type: ty
            .get_display_name()
            .trim_start_matches("const ")
            .to_owned(),
    })
}
