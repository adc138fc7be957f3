//! Reads what clang knows and bindgen does not pass on: SAL annotations, documentation, IRQL, the `NTDDI_VERSION` conditions
//! around a declaration, and the typedef that is the public name of a tag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clang::{Clang, Entity, EntityKind, EntityVisitResult, Type, TypeKind};

use crate::error::Error;
use crate::find::ntddi;
use crate::find::source::{self, Arch, Language, Source};
use crate::read::facts::{
    Facts, FunctionMacro, Origin, Parameter, Prototype, Reading, Tagged, WSK,
};
use crate::read::macros::{self, Candidates, Constant, Constants};
use crate::read::parse::{self, Places, place};
use crate::read::shape::Shaper;
use crate::read::{corrections, describe, directives, fields, language, names, sal, spell, tables};

/// Reads the facts of the headers. Of a kit, it reads the facts of `wsk.h`, and of declarations that our own headers (`shipped`)
/// have, too.
///
/// # Errors
///
/// When the headers do not parse, or when C and C++ differ.
pub(crate) fn read(
    clang: &Clang,
    source: &Source,
    arch: Arch,
    shipped: Option<&Reading>,
) -> Result<Reading, Error> {
    let (mut reading, compare) = in_cpp(clang, source, arch, shipped)?;
    for (name, constant) in compare()? {
        if let Some(known) = reading.constants.get_mut(&name) {
            (known.size, known.signed) = (constant.size, constant.signed);
        }
    }
    Ok(reading)
}

/// Reads the facts of our own headers, when they only serve to describe a kit's. C is left out: the comparison is made when
/// something is generated from them.
///
/// # Errors
///
/// When they do not parse.
pub(crate) fn read_ours(clang: &Clang, ours: &Source, arch: Arch) -> Result<Reading, Error> {
    in_cpp(clang, ours, arch, None).map(|(reading, _)| reading)
}

/// Reads what C++ sees. The returned closure compares it with C.
fn in_cpp<'r>(
    clang: &'r Clang,
    source: &'r Source,
    arch: Arch,
    shipped: Option<&'r Reading>,
) -> Result<(Reading, impl FnOnce() -> Result<Constants, Error> + use<'r>), Error> {
    let candidates = Candidates::find(source, shipped.map(|shipped| &shipped.constants))?;
    let probes = candidates.probes(Language::Cpp);
    let known = shipped.map(|shipped| shipped.facts.names());
    let known = known.unwrap_or_default();
    let (reading, in_cpp) =
        parse::with_unit(clang, source, (arch, Language::Cpp), &probes, |unit| {
            let shipped = shipped.map(|shipped| &shipped.facts);
            let mut reader = Reader {
                source,
                shipped,
                known: known.clone(),
                known_annotations: source.annotations()?.into(),
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
            corrections::apply(&mut facts, source.corrections())?;
            if let Some(shipped) = shipped {
                describe::describe(&mut facts, shipped, source.build().map(|_| source.name()));
            }
            let values = macros::values(unit)?;
            let mut constants = values.clone();
            constants.extend(unnamed);
            if let Some(shipped) = shipped {
                // A kit may define these in another way, as members of an enumeration, or the command line may define them.
                for (name, origin) in &shipped.macros {
                    if constants.contains_key(name) && !facts.macros.contains_key(name) {
                        facts.macros.insert(name.clone(), origin.clone());
                    }
                }
            }
            let new_entry = tables::new_entry(source, &constants);
            let reading = Reading {
                facts,
                constants,
                shapes,
                new_entry,
            };
            let seen = language::seen(unit, source, &known, &values);
            Ok((reading, seen))
        })?;
    let compare = move || language::compare(clang, source, arch, &candidates, &known, &in_cpp);
    Ok((reading, compare))
}

/// The text of one header, with the documentation and the required version of each line.
struct Text {
    bytes: Vec<u8>,
    docs: Vec<Option<String>>,
    since: Vec<Option<Rc<str>>>,
}

struct Reader<'s> {
    source: &'s Source,
    shipped: Option<&'s Facts>,
    /// Names that our own headers declare.
    known: BTreeSet<&'s str>,
    /// The annotations that our own `sal.h` defines, with or without a meaning.
    known_annotations: Rc<BTreeSet<String>>,
    candidates: &'s Candidates,
    files: HashMap<PathBuf, Text>,
    facts: Facts,
    shapes: BTreeMap<String, String>,
    /// Values of members of unnamed enumerations.
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
        // Tags come first, because the public name of a record decides where its facts are stored.
        for entity in &declared {
            if entity.get_kind() == EntityKind::TypedefDecl
                && let Some(name) = entity.get_name()
                && let Some(tag) = tag_of_typedef(*entity)
            {
                typedefs.push((tag, name));
            }
        }
        self.facts.public = names::public_names(&typedefs);
        let mut places = Places::default();
        for entity in declared {
            self.declaration(entity, &mut places)?;
        }
        let facts = &mut self.facts;
        let defined = |name: &String| {
            facts.records.contains_key(name) || facts.enumerations.contains_key(name)
        };
        facts.opaque.retain(|name, _| !defined(name));
        Ok(())
    }

    fn declaration<'tu>(
        &mut self,
        entity: Entity<'tu>,
        places: &mut Places<'tu>,
    ) -> Result<(), Error> {
        let Some((place, line)) = places.of(entity, self.source) else {
            return Ok(());
        };
        if !place.is_bound {
            return Ok(());
        }
        let name = entity.get_name();
        let (path, header) = (place.path.clone(), place.header.clone());
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
                if names::is_unnamed(&public) {
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
                    let parameters = self.parameters(entity, &origin.header)?;
                    let rust = spell::function(entity);
                    self.facts.functions.insert(
                        name,
                        Prototype {
                            origin,
                            parameters,
                            rust,
                        },
                    );
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

    /// Stores the shape of a declaration. For the kernel's own records, only members that our headers name count.
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
            fields: entity
                .get_type()
                .filter(|ty| ty.get_kind() == TypeKind::Record)
                .and_then(fields::of),
            tag,
        })
    }

    /// Stores the members of an unnamed enumeration as constants.
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
        let public = tag_of_typedef(entity).map(|tag| self.public(tag));
        // A typedef that names a record or enumeration has the shape of that one, which may come before or after it.
        if public.as_ref() != Some(&name) || !self.shapes.contains_key(&name) {
            self.shape(&name, &origin.header, entity);
        }
        if function {
            let mut origin = origin;
            if origin.irql.is_none() {
                origin.irql = sal::irql(&sal::annotations(signature(entity)));
            }
            let parameters = self.parameters(entity, &origin.header)?;
            self.facts.callbacks.insert(
                name,
                Prototype {
                    origin,
                    parameters,
                    rust: None,
                },
            );
        } else if public.as_ref() != Some(&name) {
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
                // The members of an anonymous record count as members of the record around it.
                for (name, origin) in self.members(child, kind, path)? {
                    members.entry(name).or_insert(origin);
                }
            }
        }
        Ok(members)
    }

    fn origin(&mut self, entity: Entity<'_>, path: &Path, line: u32) -> Result<Origin, Error> {
        // A kit's comments are Microsoft's. The documentation of its items comes from our own headers.
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
            .flatten()
            .map(|since| since.to_string());
        let header = source::header_name(path);
        // Other headers state the first release of each item back to the first NT, and for each architecture. Only releases newer
        // than the oldest supported one are kept.
        let later = |since: &String| ntddi::parse(since).is_ok_and(|value| value > ntddi::FLOOR);
        let since = since.filter(|since| header == WSK || later(since));
        Ok(Origin {
            header,
            line,
            doc,
            since,
            new_in: None,
            irql: sal::irql(&sal::annotations(entity)),
        })
    }

    /// The `///` lines directly above a macro. clang attaches no comments to macros.
    fn doc_above(&mut self, path: &Path, line: u32) -> Result<String, Error> {
        let text = self.text(path)?;
        let above = &text.docs[..(line.saturating_sub(1) as usize).min(text.docs.len())];
        let mut doc: Vec<&str> = above.iter().rev().map_while(Option::as_deref).collect();
        doc.reverse();
        Ok(doc.join("\n"))
    }

    fn parameters(&mut self, entity: Entity<'_>, header: &str) -> Result<Vec<Parameter>, Error> {
        let children = signature(entity).get_children().into_iter();
        let declared = children.filter(|child| child.get_kind() == EntityKind::ParmDecl);
        let mut parameters = Vec::new();
        for (index, parameter) in declared.enumerate() {
            let mut annotations = sal::annotations(parameter);
            annotations.retain(|sal| !sal.starts_with("_IRQL"));
            let location = parameter.get_location();
            let location = location.map(|location| location.get_file_location());
            if let Some((offset, path)) = location
                .filter(|_| header == WSK && parameter.get_name().is_some())
                .and_then(|location| Some((location.offset, location.file?.get_path())))
            {
                let known = self.known_annotations.clone();
                let text = self.text(&path)?;
                annotations.extend(sal::strange_words(&text.bytes, offset as usize, &known));
            }
            parameters.push(Parameter {
                name: parameter
                    .get_name()
                    .unwrap_or_else(|| format!("arg{}", index + 1)),
                line: place(parameter).map_or(0, |(_, line)| line),
                sal: annotations,
            });
        }
        Ok(parameters)
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
            self.files
                .insert(path.to_owned(), Text { bytes, docs, since });
        }
        Ok(&self.files[path])
    }
}

/// The tag of the record or enumeration that a typedef names.
fn tag_of_typedef(typedef: Entity<'_>) -> Option<String> {
    let canonical = typedef.get_typedef_underlying_type()?.get_canonical_type();
    matches!(canonical.get_kind(), TypeKind::Record | TypeKind::Enum)
        .then(|| canonical.get_declaration()?.get_name())?
}

/// The entity that declares the parameters of a function or callback. A typedef may name another typedef for the function, which
/// then declares them.
fn signature(entity: Entity<'_>) -> Entity<'_> {
    fn function(entity: Entity<'_>) -> Option<Type<'_>> {
        let ty = entity.get_typedef_underlying_type()?.get_canonical_type();
        Some(ty.get_pointee_type().unwrap_or(ty).get_canonical_type())
    }
    let mut entity = entity;
    loop {
        let children = entity.get_children();
        let of_kind = |kind| {
            children
                .iter()
                .filter(move |child| child.get_kind() == kind)
        };
        let mut named = of_kind(EntityKind::TypeRef).filter_map(Entity::get_reference);
        let behind =
            named.find(|named| function(*named).is_some_and(|ty| Some(ty) == function(entity)));
        match behind {
            // The loop ends: a typedef can only name an earlier one.
            Some(behind) if of_kind(EntityKind::ParmDecl).next().is_none() => entity = behind,
            _ => return entity,
        }
    }
}

/// The text of a `///` or `/** */` comment.
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
