//! What clang knows and bindgen does not pass on: SAL annotations, documentation, IRQL, the `NTDDI_VERSION` conditions
//! around a declaration, and which typedef is the public name of a tag.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clang::diagnostic::Severity;
use clang::{
    Clang, Entity, EntityKind, EntityVisitResult, Index, TranslationUnit, TypeKind, Unsaved,
};

use crate::{Arch, Error, Source, corrections};

/// Where a declaration stands and what is said about it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The header's name, `wsk.h`.
    pub header: String,
    /// The line of the declaration.
    pub line: u32,
    /// The documentation written above it.
    pub doc: String,
    /// The name of the `NTDDI_*` constant that the declaration is conditional on.
    pub since: Option<String>,
    /// The highest IRQL at which a function may be called, as SAL gives it.
    pub irql: Option<String>,
}

/// A parameter of a function or callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name in the header.
    pub name: String,
    /// SAL annotations, such as `_In_reads_bytes_opt_(Length)`.
    pub sal: Vec<String>,
}

/// A function, or a typedef of a pointer to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prototype {
    /// Where it is declared.
    pub origin: Origin,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
}

/// A structure or union with a public name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is defined.
    pub origin: Origin,
    /// The name behind `struct`.
    pub tag: String,
    /// Its members by name.
    pub members: BTreeMap<String, Origin>,
}

/// An enumeration with a public name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumeration {
    /// Where it is defined.
    pub origin: Origin,
    /// The name behind `enum`, if it has one.
    pub tag: String,
    /// Its members by name.
    pub members: BTreeMap<String, Origin>,
}

/// A macro without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macro {
    /// Where it is defined.
    pub origin: Origin,
}

/// All that is known of the headers' declarations, by public name.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Structures and unions.
    pub records: BTreeMap<String, Record>,
    /// Enumerations.
    pub enumerations: BTreeMap<String, Enumeration>,
    /// Typedefs of pointers to functions, and of function types.
    pub callbacks: BTreeMap<String, Prototype>,
    /// Functions that are imported.
    pub functions: BTreeMap<String, Prototype>,
    /// Other typedefs.
    pub aliases: BTreeMap<String, Origin>,
    /// Object-like macros with a body.
    pub macros: BTreeMap<String, Macro>,
    /// Names of function-like macros and inline functions.
    pub inline: BTreeMap<String, Origin>,
    /// Public name by tag.
    pub public: BTreeMap<String, String>,
}

/// Reads the facts of the headers.
///
/// # Errors
///
/// When the headers do not parse.
pub fn read(clang: &Clang, source: &Source, arch: Arch) -> Result<Facts, Error> {
    let index = Index::new(clang, false, false);
    let unit = parse(&index, source, arch, "wsk-facts.hpp", source.root())?;
    fail_on_errors(&unit)?;
    let mut reader = Reader {
        source,
        files: HashMap::new(),
        facts: Facts::default(),
    };
    reader.translation_unit(unit.get_entity())?;
    corrections::apply(&mut reader.facts)?;
    Ok(reader.facts)
}

/// Parses `text` as a file that can include the headers.
///
/// # Errors
///
/// When clang cannot parse at all; errors in the text are diagnostics of the unit.
pub(crate) fn parse<'i>(
    index: &'i Index<'_>,
    source: &Source,
    arch: Arch,
    name: &str,
    text: &str,
) -> Result<TranslationUnit<'i>, Error> {
    let path = std::env::temp_dir().join(name);
    index
        .parser(&path)
        .arguments(&source.arguments(arch))
        .unsaved(&[Unsaved::new(&path, text)])
        .detailed_preprocessing_record(true)
        .skip_function_bodies(true)
        .parse()
        .map_err(|error| Error::Parse {
            diagnostics: error.to_string(),
        })
}

fn fail_on_errors(unit: &TranslationUnit<'_>) -> Result<(), Error> {
    let errors: Vec<String> = unit
        .get_diagnostics()
        .into_iter()
        .filter(|d| matches!(d.get_severity(), Severity::Error | Severity::Fatal))
        .map(|d| d.formatter().format())
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Parse {
            diagnostics: errors.join("\n"),
        })
    }
}

/// What is read from the text of one header.
struct Text {
    lines: Vec<String>,
    /// For each line, the condition on `NTDDI_VERSION` that it stands under.
    since: Vec<Option<String>>,
}

struct Reader<'s> {
    source: &'s Source,
    files: HashMap<PathBuf, Text>,
    facts: Facts,
}

impl Reader<'_> {
    fn translation_unit(&mut self, root: Entity<'_>) -> Result<(), Error> {
        let mut typedefs: Vec<(String, String)> = Vec::new();
        let mut declared: Vec<Entity<'_>> = Vec::new();
        root.visit_children(|entity, _| match entity.get_kind() {
            EntityKind::LinkageSpec | EntityKind::UnexposedDecl => EntityVisitResult::Recurse,
            _ => {
                declared.push(entity);
                EntityVisitResult::Continue
            }
        });
        // Tags first: what a record is called decides where its facts go.
        for entity in &declared {
            if entity.get_kind() == EntityKind::TypedefDecl
                && let Some(name) = entity.get_name()
                && let Some(tag) = tag_of_typedef(*entity)
            {
                typedefs.push((tag, name));
            }
        }
        self.facts.public = crate::names::public_names(&typedefs);
        for entity in declared {
            self.declaration(entity)?;
        }
        Ok(())
    }

    fn declaration(&mut self, entity: Entity<'_>) -> Result<(), Error> {
        let Some((path, line)) = place(entity) else {
            return Ok(());
        };
        if !self.source.is_bound(&path) {
            return Ok(());
        }
        let Some(name) = entity.get_name() else {
            return Ok(());
        };
        match entity.get_kind() {
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::ClassDecl => {
                if entity.is_definition() {
                    let record = Record {
                        origin: self.origin(entity, &path, line)?,
                        members: self.members(entity, EntityKind::FieldDecl, &path)?,
                        tag: name.clone(),
                    };
                    let public = self.facts.public.get(&name).cloned().unwrap_or(name);
                    self.facts.records.insert(public, record);
                }
            }
            EntityKind::EnumDecl => {
                let enumeration = Enumeration {
                    origin: self.origin(entity, &path, line)?,
                    members: self.members(entity, EntityKind::EnumConstantDecl, &path)?,
                    tag: name.clone(),
                };
                let public = self.facts.public.get(&name).cloned().unwrap_or(name);
                self.facts.enumerations.insert(public, enumeration);
            }
            EntityKind::TypedefDecl => self.typedef(entity, name, &path, line)?,
            EntityKind::FunctionDecl => {
                let origin = self.origin(entity, &path, line)?;
                if entity.is_inline_function() {
                    self.facts.inline.insert(name, origin);
                } else {
                    let parameters = parameters(entity);
                    self.facts
                        .functions
                        .insert(name, Prototype { origin, parameters });
                }
            }
            EntityKind::MacroDefinition => self.macro_definition(entity, name, &path, line)?,
            _ => {}
        }
        Ok(())
    }

    fn typedef(
        &mut self,
        entity: Entity<'_>,
        name: String,
        path: &Path,
        line: u32,
    ) -> Result<(), Error> {
        let origin = self.origin(entity, path, line)?;
        let underlying = entity.get_typedef_underlying_type();
        let function = underlying.is_some_and(|ty| {
            let canonical = ty.get_canonical_type();
            let pointee = canonical.get_pointee_type().unwrap_or(canonical);
            matches!(
                pointee.get_kind(),
                TypeKind::FunctionPrototype | TypeKind::FunctionNoPrototype
            )
        });
        let parameters = parameters(entity);
        if function {
            self.facts
                .callbacks
                .insert(name, Prototype { origin, parameters });
        } else if self.facts.public.values().all(|public| *public != name) {
            self.facts.aliases.insert(name, origin);
        }
        Ok(())
    }

    fn macro_definition(
        &mut self,
        entity: Entity<'_>,
        name: String,
        path: &Path,
        line: u32,
    ) -> Result<(), Error> {
        if entity.is_builtin_macro() {
            return Ok(());
        }
        let mut origin = self.origin(entity, path, line)?;
        origin.doc = self.doc_above(path, line)?;
        if entity.is_function_like_macro() {
            self.facts.inline.insert(name, origin);
        } else {
            self.facts.macros.insert(name, Macro { origin });
        }
        Ok(())
    }

    fn members(
        &mut self,
        record: Entity<'_>,
        kind: EntityKind,
        path: &Path,
    ) -> Result<BTreeMap<String, Origin>, Error> {
        let mut members = BTreeMap::new();
        for child in record.get_children() {
            if child.get_kind() == kind
                && let (Some(name), Some((_, line))) = (child.get_name(), place(child))
            {
                members.insert(name, self.origin(child, path, line)?);
            } else if matches!(
                child.get_kind(),
                EntityKind::StructDecl | EntityKind::UnionDecl
            ) {
                // Members of anonymous records are spoken of as if they stood in the record itself.
                for (name, origin) in self.members(child, kind, path)? {
                    members.entry(name).or_insert(origin);
                }
            }
        }
        Ok(members)
    }

    fn origin(&mut self, entity: Entity<'_>, path: &Path, line: u32) -> Result<Origin, Error> {
        let text = self.text(path)?;
        let since = text
            .since
            .get(line.saturating_sub(1) as usize)
            .cloned()
            .flatten();
        let irql = annotations(entity).iter().find_map(|sal| {
            let limit = sal
                .strip_prefix("_IRQL_requires_max_(")
                .or_else(|| sal.strip_prefix("_IRQL_requires_("))?;
            let relation = if sal.starts_with("_IRQL_requires_max_") {
                "<= "
            } else {
                ""
            };
            Some(format!("{relation}{}", limit.trim_end_matches(')')))
        });
        let header = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let doc = entity
            .get_comment()
            .map(|comment| strip_comment(&comment))
            .unwrap_or_default();
        Ok(Origin {
            header,
            line,
            doc,
            since,
            irql,
        })
    }

    /// The `///` lines directly above a macro: clang attaches no comment to one.
    fn doc_above(&mut self, path: &Path, line: u32) -> Result<String, Error> {
        let text = self.text(path)?;
        let above = &text.lines[..(line.saturating_sub(1) as usize).min(text.lines.len())];
        let mut doc: Vec<&str> = above
            .iter()
            .rev()
            .map_while(|line| line.trim_start().strip_prefix("///"))
            .map(str::trim)
            .collect();
        doc.reverse();
        Ok(doc.join("\n"))
    }

    fn text(&mut self, path: &Path) -> Result<&Text, Error> {
        if !self.files.contains_key(path) {
            let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
            let lines: Vec<String> = String::from_utf8_lossy(&bytes)
                .lines()
                .map(str::to_owned)
                .collect();
            let since = conditions(&lines);
            self.files.insert(path.to_owned(), Text { lines, since });
        }
        Ok(&self.files[path])
    }
}

/// The `NTDDI_*` name that each line is conditional on, innermost first.
fn conditions(lines: &[String]) -> Vec<Option<String>> {
    let mut stack: Vec<Option<String>> = Vec::new();
    let mut since = Vec::with_capacity(lines.len());
    for line in lines {
        let directive = line
            .trim_start()
            .strip_prefix('#')
            .map_or("", str::trim_start);
        if directive.starts_with("if") {
            stack.push(least_version(directive));
        } else if directive.starts_with("el") {
            // The other branch of a condition is for older versions: no version introduced it.
            if let Some(top) = stack.last_mut() {
                *top = None;
            }
        } else if directive.starts_with("endif") {
            stack.pop();
        }
        since.push(stack.iter().rev().flatten().next().cloned());
    }
    since
}

/// `NTDDI_WIN7` in `if (NTDDI_VERSION >= NTDDI_WIN7)`.
fn least_version(directive: &str) -> Option<String> {
    let (_, rest) = directive.split_once("NTDDI_VERSION")?;
    let rest = rest.trim_start().strip_prefix(">=")?.trim_start();
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    rest[..end]
        .starts_with("NTDDI_")
        .then(|| rest[..end].to_owned())
}

fn place(entity: Entity<'_>) -> Option<(PathBuf, u32)> {
    let location = entity.get_location()?.get_expansion_location();
    let path = location.file?.get_path();
    Some((path, location.line))
}

/// The tag of the record or enumeration that a typedef names directly.
fn tag_of_typedef(typedef: Entity<'_>) -> Option<String> {
    let canonical = typedef.get_typedef_underlying_type()?.get_canonical_type();
    matches!(canonical.get_kind(), TypeKind::Record | TypeKind::Enum)
        .then(|| canonical.get_declaration()?.get_name())?
}

fn parameters(entity: Entity<'_>) -> Vec<Parameter> {
    entity
        .get_children()
        .into_iter()
        .filter(|child| child.get_kind() == EntityKind::ParmDecl)
        .map(|parameter| Parameter {
            name: parameter.get_name().unwrap_or_default(),
            sal: annotations(parameter)
                .into_iter()
                .filter(|sal| !sal.starts_with("_IRQL"))
                .collect(),
        })
        .collect()
}

fn annotations(entity: Entity<'_>) -> Vec<String> {
    entity
        .get_children()
        .into_iter()
        .filter(|child| child.get_kind() == EntityKind::AnnotateAttr)
        .filter_map(|attribute| attribute.get_display_name())
        .collect()
}

/// The words of a `///` or `/** */` comment.
fn strip_comment(comment: &str) -> String {
    comment
        .lines()
        .map(|line| {
            let line = line.trim().trim_start_matches("/**").trim_end_matches("*/");
            line.trim_start_matches("///<")
                .trim_start_matches("///")
                .trim_start_matches('*')
                .trim()
        })
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{conditions, strip_comment};

    fn of(text: &str) -> Vec<Option<String>> {
        conditions(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_condition_covers_its_lines_only() {
        let since = of(
            "a\n#if (NTDDI_VERSION >= NTDDI_WIN8)\nb\n#endif // (NTDDI_VERSION >= NTDDI_WIN8)\nc",
        );
        assert_eq!(since[2].as_deref(), Some("NTDDI_WIN8"));
        assert_eq!((&since[0], &since[4]), (&None, &None));
    }

    #[test]
    fn conditions_nest_and_else_is_not_the_version() {
        let since = of(
            "#ifdef __cplusplus\n#  if NTDDI_VERSION >= NTDDI_WIN10_RS2\na\n#  else\nb\n#  endif\nc\n#endif\nd",
        );
        assert_eq!(since[2].as_deref(), Some("NTDDI_WIN10_RS2"));
        assert!(since[4].is_none() && since[6].is_none() && since[8].is_none());
    }

    #[test]
    fn comments_lose_their_marks() {
        assert_eq!(
            strip_comment("/// Sends.\n///\n/// More."),
            "Sends.\n\nMore."
        );
        assert_eq!(strip_comment("/** Sends.\n * More. */"), "Sends.\nMore.");
    }
}
