//! What clang knows and bindgen does not pass on: SAL annotations, documentation, IRQL, the `NTDDI_VERSION` conditions
//! around a declaration, and which typedef is the public name of a tag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clang::{Clang, Entity, EntityKind, EntityVisitResult, TypeKind};

use crate::macros::{self, Candidates, Constant, Constants};
use crate::shape::Shaper;
use crate::{Arch, Error, Source, corrections, directives, ntddi, parse, sal, source};

/// The header that all of is bound, whatever the source.
pub const WSK: &str = "wsk.h";

/// Where a declaration stands and what is said about it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The header's name, `wsk.h`.
    pub header: String,
    /// The line of the declaration.
    pub line: u32,
    /// The documentation written above it in our own headers.
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

/// A structure, union or enumeration with a public name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Where it is defined.
    pub origin: Origin,
    /// The name behind `struct`, `union` or `enum`, if it has one.
    pub tag: String,
    /// Its members by name, those of unnamed records inside it among them.
    pub members: BTreeMap<String, Origin>,
}

/// A macro with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionMacro {
    /// Where it is defined.
    pub origin: Origin,
    /// Its parameters' names in order.
    pub parameters: Vec<String>,
    /// What it stands for, as written.
    pub body: String,
}

/// All that is known of the headers' declarations, by public name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Structures and unions.
    pub records: BTreeMap<String, Tagged>,
    /// Enumerations.
    pub enumerations: BTreeMap<String, Tagged>,
    /// Typedefs of pointers to functions, and of function types.
    pub callbacks: BTreeMap<String, Prototype>,
    /// Functions that are imported.
    pub functions: BTreeMap<String, Prototype>,
    /// Other typedefs.
    pub aliases: BTreeMap<String, Origin>,
    /// Typedefs of records that the headers do not define.
    pub opaque: BTreeMap<String, Origin>,
    /// Object-like macros with a body, and members of enumerations that have no name at all.
    pub macros: BTreeMap<String, Origin>,
    /// Macros that stand for a text, with the literal.
    pub texts: BTreeMap<String, (Origin, String)>,
    /// Function-like macros.
    pub function_macros: BTreeMap<String, FunctionMacro>,
    /// Inline functions.
    pub inline: BTreeMap<String, Origin>,
    /// Variables.
    pub variables: BTreeMap<String, Origin>,
    /// Public name by tag.
    pub public: BTreeMap<String, String>,
}

impl Facts {
    /// Every name that is declared, tags among them.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let tagged = self.records.values().chain(self.enumerations.values());
        let names = tagged.map(|tagged| &tagged.tag);
        let names = names
            .chain(self.records.keys())
            .chain(self.enumerations.keys());
        let names = names
            .chain(self.callbacks.keys())
            .chain(self.functions.keys());
        let names = names.chain(self.aliases.keys()).chain(self.macros.keys());
        let names = names
            .chain(self.function_macros.keys())
            .chain(self.inline.keys());
        let names = names.chain(self.opaque.keys());
        names
            .chain(self.variables.keys())
            .map(String::as_str)
            .collect()
    }
}

/// What one parse of the headers gives.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Facts of the declarations.
    pub facts: Facts,
    /// Values of the macros, and of sample calls of function-like ones.
    pub constants: Constants,
    /// What the declarations look like to a compiler, by name: equal where two architectures agree.
    pub shapes: BTreeMap<String, String>,
}

/// Reads the facts of the headers; of a kit's, those of `wsk.h` and of what our own headers, read before, declare too.
///
/// # Errors
///
/// When the headers do not parse.
pub fn read(
    clang: &Clang,
    source: &Source,
    arch: Arch,
    shipped: Option<&Reading>,
) -> Result<Reading, Error> {
    let candidates = Candidates::find(source, shipped.map(|shipped| &shipped.constants))?;
    parse::with_unit(clang, source, arch, &candidates.probes(), |unit| {
        let shipped = shipped.map(|shipped| &shipped.facts);
        let mut reader = Reader {
            source,
            shipped,
            known: shipped.map(Facts::names).unwrap_or_default(),
            candidates: &candidates,
            files: HashMap::new(),
            facts: Facts::default(),
            shapes: BTreeMap::new(),
            unnamed: Constants::new(),
        };
        reader.translation_unit(unit.get_entity())?;
        let Reader {
            mut facts,
            shapes,
            unnamed,
            ..
        } = reader;
        corrections::apply(&mut facts)?;
        if let Some(shipped) = shipped {
            describe(&mut facts, shipped);
        }
        let mut constants = macros::values(unit)?;
        constants.extend(unnamed);
        if let Some(shipped) = shipped {
            // What a kit has in another way, as a member of an enumeration, or from the command line.
            for (name, origin) in &shipped.macros {
                if constants.contains_key(name) && !facts.macros.contains_key(name) {
                    facts.macros.insert(name.clone(), origin.clone());
                }
            }
        }
        Ok(Reading {
            facts,
            constants,
            shapes,
        })
    })
}

/// What is read from the text of one header: for each line, its words of documentation, and the version that it is
/// conditional on.
struct Text {
    docs: Vec<Option<String>>,
    since: Vec<Option<String>>,
}

struct Reader<'s> {
    source: &'s Source,
    shipped: Option<&'s Facts>,
    /// Names that our own headers declare.
    known: BTreeSet<&'s str>,
    candidates: &'s Candidates,
    files: HashMap<PathBuf, Text>,
    facts: Facts,
    shapes: BTreeMap<String, String>,
    /// Values of members of enumerations that have no name.
    unnamed: Constants,
}

impl Reader<'_> {
    fn translation_unit(&mut self, root: Entity<'_>) -> Result<(), Error> {
        let mut typedefs: Vec<(String, String)> = Vec::new();
        let mut declared: Vec<Entity<'_>> = Vec::new();
        root.visit_children(|entity, _| match entity.get_kind() {
            EntityKind::LinkageSpec | EntityKind::UnexposedDecl => EntityVisitResult::Recurse,
            EntityKind::MacroExpansion | EntityKind::InclusionDirective => {
                EntityVisitResult::Continue
            }
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
        let facts = &mut self.facts;
        let defined = |name: &String| {
            facts.records.contains_key(name) || facts.enumerations.contains_key(name)
        };
        facts.opaque.retain(|name, _| !defined(name));
        Ok(())
    }

    fn declaration(&mut self, entity: Entity<'_>) -> Result<(), Error> {
        let name = entity.get_name();
        let Some((path, line)) = place(entity) else {
            return Ok(());
        };
        if !self.source.is_bound(&path) {
            return Ok(());
        }
        let header = source::header_name(&path);
        let wanted =
            |name: &str| self.shipped.is_none() || header == WSK || self.known.contains(name);
        let Some(name) = name.filter(|name| wanted(name)) else {
            if entity.get_kind() == EntityKind::EnumDecl && wanted("") {
                self.unnamed_enumeration(entity, &path)?;
            }
            return Ok(());
        };
        match entity.get_kind() {
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::ClassDecl
                if entity.is_definition() =>
            {
                let record =
                    self.tagged(entity, name.clone(), EntityKind::FieldDecl, &path, line)?;
                let public = self.public(name);
                let ours = self
                    .shipped
                    .is_none_or(|ours| ours.records.contains_key(&public));
                if header == WSK || ours {
                    self.shape(&public, &header, entity);
                    self.facts.records.insert(public, record);
                }
            }
            EntityKind::EnumDecl => {
                let public = self.public(name.clone());
                if is_unnamed(&public) {
                    return self.unnamed_enumeration(entity, &path);
                }
                let enumeration =
                    self.tagged(entity, name, EntityKind::EnumConstantDecl, &path, line)?;
                self.shape(&public, &header, entity);
                self.facts.enumerations.insert(public, enumeration);
            }
            EntityKind::TypedefDecl => self.typedef(entity, name, &path, line)?,
            EntityKind::FunctionDecl => {
                let origin = self.origin(entity, &path, line)?;
                let imported = match self.shipped {
                    Some(ours) if header != WSK => ours.functions.contains_key(&name),
                    _ => !entity.is_inline_function(),
                };
                if imported {
                    self.shape(&name, &header, entity);
                    let parameters = parameters(entity);
                    self.facts
                        .functions
                        .insert(name, Prototype { origin, parameters });
                } else {
                    self.facts.inline.insert(name, origin);
                }
            }
            EntityKind::VarDecl => {
                let origin = self.origin(entity, &path, line)?;
                self.facts.variables.insert(name, origin);
            }
            EntityKind::MacroDefinition => self.macro_definition(entity, name, &path, line)?,
            _ => {}
        }
        Ok(())
    }

    fn public(&self, tag: String) -> String {
        self.facts.public.get(&tag).cloned().unwrap_or(tag)
    }

    /// Remembers what a declaration looks like: of the kernel's own records, the members that our headers name.
    fn shape(&mut self, name: &str, header: &str, entity: Entity<'_>) {
        let ours = self.shipped.filter(|_| header != WSK);
        let ours = ours.and_then(|ours| ours.records.get(name));
        let known = |tag: &str| self.known.contains(tag);
        let shaper = Shaper {
            member: &|member| ours.is_none_or(|ours| ours.members.contains_key(member)),
            known: &known,
        };
        let shape = shaper.of(entity);
        self.shapes.insert(name.to_owned(), shape);
    }

    fn tagged(
        &mut self,
        entity: Entity<'_>,
        tag: String,
        members: EntityKind,
        path: &Path,
        line: u32,
    ) -> Result<Tagged, Error> {
        Ok(Tagged {
            origin: self.origin(entity, path, line)?,
            members: self.members(entity, members, path)?,
            tag,
        })
    }

    /// The members of an enumeration without any name are constants.
    fn unnamed_enumeration(&mut self, entity: Entity<'_>, path: &Path) -> Result<(), Error> {
        let members = self.members(entity, EntityKind::EnumConstantDecl, path)?;
        self.facts.macros.extend(members);
        for member in entity.get_children() {
            if let (Some(name), Some((value, _))) =
                (member.get_name(), member.get_enum_constant_value())
            {
                let constant = Constant {
                    value: value.into(),
                    size: 4,
                    signed: true,
                    c_type: "int".to_owned(),
                };
                self.unnamed.insert(name, constant);
            }
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
        self.shape(&name, &origin.header, entity);
        if function {
            let parameters = parameters(entity);
            self.facts
                .callbacks
                .insert(name, Prototype { origin, parameters });
        } else if tag_of_typedef(entity).is_none_or(|tag| self.public(tag) != name) {
            self.facts.aliases.insert(name, origin);
        } else {
            self.facts.opaque.insert(name, origin);
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
        if self.shipped.is_none() {
            origin.doc = self.doc_above(path, line)?;
        }
        if entity.is_function_like_macro() {
            let define = self.candidates.functions.get(&name);
            let function = FunctionMacro {
                origin,
                parameters: define
                    .and_then(|define| define.parameters.clone())
                    .unwrap_or_default(),
                body: define.map(|define| define.body.clone()).unwrap_or_default(),
            };
            self.facts.function_macros.insert(name, function);
        } else if let Some(literal) = self.candidates.texts.get(&name) {
            self.facts.texts.insert(name, (origin, literal.clone()));
        } else {
            self.facts.macros.insert(name, origin);
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
        // A kit's comments are Microsoft's: what is said of its items comes from our own headers.
        let doc = if self.shipped.is_some() {
            String::new()
        } else {
            let comment = entity.get_comment();
            comment
                .map(|comment| strip_comment(&comment))
                .unwrap_or_default()
        };
        let text = self.text(path)?;
        let since = text
            .since
            .get(line.saturating_sub(1) as usize)
            .cloned()
            .flatten();
        let header = source::header_name(path);
        // Other headers say since when each item is there as far back as NT goes, and by architecture.
        let later = |since: &String| ntddi::parse(since).is_ok_and(|value| value > ntddi::FLOOR);
        let since = since.filter(|since| header == WSK || later(since));
        Ok(Origin {
            header,
            line,
            doc,
            since,
            irql: sal::irql(&sal::annotations(entity)),
        })
    }

    /// The `///` lines directly above a macro: clang attaches no comment to one.
    fn doc_above(&mut self, path: &Path, line: u32) -> Result<String, Error> {
        let text = self.text(path)?;
        let above = &text.docs[..(line.saturating_sub(1) as usize).min(text.docs.len())];
        let mut doc: Vec<&str> = above.iter().rev().map_while(Option::as_deref).collect();
        doc.reverse();
        Ok(doc.join("\n"))
    }

    fn text(&mut self, path: &Path) -> Result<&Text, Error> {
        if !self.files.contains_key(path) {
            let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
            let text = directives::decode(&bytes);
            let docs = text
                .lines()
                .map(|line| Some(line.trim_start().strip_prefix("///")?.trim().to_owned()))
                .collect();
            let since = directives::conditions(&text);
            self.files.insert(path.to_owned(), Text { docs, since });
        }
        Ok(&self.files[path])
    }
}

/// Adds what our own headers say about the same items: the words, and the IRQL that a kit's `wsk.h` does not give.
fn describe(facts: &mut Facts, ours: &Facts) {
    fn from(origin: &mut Origin, ours: Option<&Origin>) {
        if let Some(ours) = ours {
            origin.doc.clone_from(&ours.doc);
            // Kits declare some items in several headers, in turn; ours have them where they are documented.
            if origin.header != WSK && ours.header != WSK {
                origin.header.clone_from(&ours.header);
                // And they say since when each is there, as far back as NT goes and by architecture.
                let later =
                    |since: &String| ntddi::parse(since).is_ok_and(|value| value > ntddi::FLOOR);
                origin.since = origin.since.take().filter(later);
            }
            if ours.irql.is_some() {
                origin.irql.clone_from(&ours.irql);
            }
        }
    }
    let pairs = [
        (&mut facts.records, &ours.records),
        (&mut facts.enumerations, &ours.enumerations),
    ];
    for (theirs, ours) in pairs {
        for (name, tagged) in theirs {
            let ours = ours.get(name);
            from(&mut tagged.origin, ours.map(|ours| &ours.origin));
            for (member, origin) in &mut tagged.members {
                from(origin, ours.and_then(|ours| ours.members.get(member)));
            }
        }
    }
    let pairs = [
        (&mut facts.callbacks, &ours.callbacks),
        (&mut facts.functions, &ours.functions),
    ];
    for (theirs, ours) in pairs {
        for (name, prototype) in theirs {
            let Some(ours) = ours.get(name) else { continue };
            // Kits leave parameters of the kernel's functions unnamed, name them anew in another header, or
            // annotate them in other ways for another architecture.
            if prototype.origin.header != WSK && prototype.parameters.len() == ours.parameters.len()
            {
                for (theirs, ours) in prototype.parameters.iter_mut().zip(&ours.parameters) {
                    theirs.clone_from(ours);
                }
            }
            from(&mut prototype.origin, Some(&ours.origin));
        }
    }
    for (theirs, ours) in [
        (&mut facts.aliases, &ours.aliases),
        (&mut facts.opaque, &ours.opaque),
        (&mut facts.macros, &ours.macros),
        (&mut facts.inline, &ours.inline),
    ] {
        for (name, origin) in theirs {
            from(origin, ours.get(name));
        }
    }
    for (name, function) in &mut facts.function_macros {
        from(
            &mut function.origin,
            ours.function_macros.get(name).map(|ours| &ours.origin),
        );
    }
}

pub(crate) fn place(entity: Entity<'_>) -> Option<(PathBuf, u32)> {
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

/// Whether a name is what clang calls something that has none.
fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.starts_with('(')
}

fn parameters(entity: Entity<'_>) -> Vec<Parameter> {
    entity
        .get_children()
        .into_iter()
        .filter(|child| child.get_kind() == EntityKind::ParmDecl)
        .enumerate()
        .map(|(index, parameter)| Parameter {
            name: parameter
                .get_name()
                .unwrap_or_else(|| format!("arg{}", index + 1)),
            sal: sal::annotations(parameter)
                .into_iter()
                .filter(|sal| !sal.starts_with("_IRQL"))
                .collect(),
        })
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
    use super::strip_comment;

    #[test]
    fn comments_lose_their_marks() {
        assert_eq!(
            strip_comment("/// Sends.\n///\n/// More."),
            "Sends.\n\nMore."
        );
        assert_eq!(strip_comment("/** Sends.\n * More. */"), "Sends.\nMore.");
    }
}
