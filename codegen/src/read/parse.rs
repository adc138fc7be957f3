//! One parse of the headers by clang, from which all facts are read: declarations, annotations and the values of macros. The
//! constants for the macros are appended to the file that includes the headers.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

use clang::diagnostic::{Diagnostic, Severity};
use clang::source::File;
use clang::{Clang, Entity, Index, TranslationUnit, Unsaved};

use crate::error::Error;
use crate::find::source::{Arch, Language, Source, header_name};

/// The name that clang sees for the file that includes the headers.
const ROOT: &str = "wsk-codegen.h";

/// Text after the headers that does not parse if they end inside something: a declaration, a record, or `extern "C"`.
pub(crate) const END: &str = "extern int wsk_codegen_end;\n#ifdef __cplusplus\ntemplate <int> struct wsk_codegen_whole;\n#endif\n";

/// Parses the headers followed by `probes`, and passes clang's view of them to `read`.
///
/// # Errors
///
/// When the headers do not parse, or `read` fails. A probe with an error only has no value.
pub(crate) fn with_unit<T>(
    clang: &Clang,
    source: &Source,
    (arch, language): (Arch, Language),
    probes: &str,
    read: impl FnOnce(&TranslationUnit<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let index = Index::new(clang, false, false);
    let root = std::env::temp_dir().join(ROOT);
    let text = format!("{}{END}{probes}", source.root());
    let mut arguments = source.arguments(arch, language)?;
    let parse = |arguments: &[String]| {
        index
            .parser(&root)
            .arguments(arguments)
            .unsaved(&[Unsaved::new(&root, text.as_str())])
            .detailed_preprocessing_record(language == Language::Cpp)
            .skip_function_bodies(true)
            .parse()
            .map_err(|error| Error::Parse {
                diagnostics: error.to_string(),
            })
    };
    let mut unit = parse(&arguments)?;
    let renamed = renamed_builtins(&unit);
    if !renamed.is_empty() {
        let defines = renamed.iter();
        arguments.extend(defines.map(|name| format!("-D{name}={}", renamed_builtin(name))));
        unit = parse(&arguments)?;
    }
    check(source, &unit)?;
    read(&unit)
}

/// The intrinsics that clang declares with another type than the headers, as clang 18 does with arm64's `__prefetch`. The headers
/// are right, because they describe Microsoft's compiler.
fn renamed_builtins(unit: &TranslationUnit<'_>) -> BTreeSet<String> {
    let diagnostics = unit.get_diagnostics().into_iter();
    let errors = diagnostics.filter(|d| matches!(d.get_severity(), Severity::Error));
    errors
        .filter_map(|error| {
            error.get_children().iter().find_map(|note| {
                let text = note.get_text();
                let (name, _) = text.split_once("' is a builtin with type")?;
                Some(name.trim_start_matches('\'').to_owned())
            })
        })
        .collect()
}

/// The names that clang's messages report with two different types.
pub(crate) fn conflicting(messages: &str) -> BTreeSet<&str> {
    quoted(messages, "conflicting types for '")
}

/// The names in quotes after `before`, which ends with the opening quote.
pub(crate) fn quoted<'m>(messages: &'m str, before: &str) -> BTreeSet<&'m str> {
    let found = messages.match_indices(before);
    let names = found.filter_map(|(at, found)| messages[at + found.len()..].split('\'').next());
    names
        .filter(|name| syn::parse_str::<syn::Ident>(name).is_ok())
        .collect()
}

/// The name that replaces a builtin's name in the headers. Nothing that is bound has such a name.
pub(crate) fn renamed_builtin(name: &str) -> String {
    format!("wsk_codegen_builtin_{name}")
}

/// How many of clang's messages are shown.
const SHOWN: usize = 20;

fn check(source: &Source, unit: &TranslationUnit<'_>) -> Result<(), Error> {
    let lines = source.root().lines().count() + END.lines().count();
    let errors: Vec<Diagnostic<'_>> = unit
        .get_diagnostics()
        .into_iter()
        .filter(|d| matches!(d.get_severity(), Severity::Error | Severity::Fatal))
        .filter(|d| !is_probe(d, lines))
        .collect();
    for error in &errors {
        let text = error.get_text();
        if let Some(name) = text
            .strip_suffix("' file not found")
            .and_then(|text| text.strip_prefix('\''))
        {
            return Err(Error::MissingHeader {
                name: name.to_owned(),
                wanted_by: Some(place_of(error)),
                looked: source.include().to_owned(),
            });
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<String> = errors
        .iter()
        .take(SHOWN)
        .map(|error| format!("{}: {}", place_of(error), error.get_text()))
        .collect();
    if errors.len() > SHOWN {
        shown.push(format!("and {} more", errors.len() - SHOWN));
    }
    Err(Error::Parse {
        diagnostics: shown.join("\n"),
    })
}

/// Whether a message is about a line after the first `lines` of the root.
fn is_probe(diagnostic: &Diagnostic<'_>, lines: usize) -> bool {
    let location = diagnostic.get_location().get_expansion_location();
    let in_root = location
        .file
        .is_some_and(|file| file.get_path().ends_with(ROOT));
    in_root && location.line as usize > lines
}

fn place_of(diagnostic: &Diagnostic<'_>) -> String {
    let location = diagnostic.get_location().get_file_location();
    match location.file {
        Some(file) if file.get_path().ends_with(ROOT) => {
            "the end of the headers, which end inside a declaration".to_owned()
        }
        Some(file) => format!("{}:{}", file.get_path().display(), location.line),
        None => "the command line".to_owned(),
    }
}

/// The file and line of a declaration.
pub(crate) fn place(entity: Entity<'_>) -> Option<(PathBuf, u32)> {
    let location = entity.get_location()?.get_expansion_location();
    let path = location.file?.get_path();
    Some((path, location.line))
}

/// Looks up the places of declarations, and remembers what it found out about each file.
#[derive(Default)]
pub(crate) struct Places<'tu> {
    files: HashMap<File<'tu>, Rc<Place>>,
}

/// A header that contains declarations.
#[derive(Debug)]
pub(crate) struct Place {
    pub path: PathBuf,
    /// Its name as headers spell it.
    pub header: String,
    /// Whether it holds declarations of the interface.
    pub is_bound: bool,
}

impl<'tu> Places<'tu> {
    /// The header and line of a declaration.
    pub(crate) fn of(&mut self, entity: Entity<'tu>, source: &Source) -> Option<(Rc<Place>, u32)> {
        let location = entity.get_location()?.get_expansion_location();
        let file = location.file?;
        let place = self.files.entry(file).or_insert_with(|| {
            let path = file.get_path();
            Rc::new(Place {
                header: header_name(&path),
                is_bound: source.is_bound(&path),
                path,
            })
        });
        Some((Rc::clone(place), location.line))
    }
}
