//! Lists every name that `wsk.h` declares and how it is bound. clang finds the names, and the generated files show what is bound.
//! A name is missing if it is neither bound nor left out for a stated reason.

use std::collections::{BTreeMap, BTreeSet};

use clang::{Entity, EntityKind, EntityVisitResult, EvaluationResult};
use serde::Serialize;

use crate::check::interface::{Interface, Item, Kind, Record};
use crate::emit::generate::{Options, generate};
use crate::emit::output::Output;
use crate::error::Error;
use crate::find::libclang;
use crate::find::source::{self, Arch, Language, Source};
use crate::read::directives;
use crate::read::facts::WSK;
use crate::read::macros::{self, Candidates, Constants};
use crate::read::names;
use crate::read::parse::{self, place};

/// How a header is covered.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The header's name.
    pub header: &'static str,
    /// The kit or folder that it was read from.
    pub source: String,
    /// One row for each name.
    pub rows: Vec<Row>,
}

/// A name and how it is bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    /// The name. A member's name follows the name of its record or enumeration.
    pub name: String,
    /// What it is in the header.
    pub kind: &'static str,
    /// What it is in Rust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// Why it is not bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Coverage {
    /// The rows of names that are neither bound nor left out for a stated reason.
    pub fn missing(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.bound.is_none() && row.reason.is_none())
    }

    /// How many names are bound.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.rows.iter().filter(|row| row.bound.is_some()).count()
    }

    /// How many names are left out for a stated reason.
    #[must_use]
    pub fn excused(&self) -> usize {
        self.rows.len() - self.bound() - self.missing().count()
    }
}

/// Names that every crate binds by hand, and where.
const BY_HAND: &[(&str, &str)] = &[(
    "NPI_WSK_INTERFACE_ID",
    "static in wsk-sys/src/guid.rs, by hand",
)];

/// Macros for calling conventions and linkage, which each binding states itself.
const CONVENTIONS: [&str; 9] = [
    "NTAPI",
    "WINAPI",
    "CALLBACK",
    "FASTCALL",
    "__stdcall",
    "__cdecl",
    "__fastcall",
    "__declspec",
    "DECLSPEC_IMPORT",
];

/// Compares the names of `wsk.h` with the bindings generated from it.
///
/// # Errors
///
/// When the headers cannot be read, or nothing can be generated from them.
pub fn coverage(source: &Source, options: &Options) -> Result<Coverage, Error> {
    let output = generate(source, options)?;
    let interface = Interface::of_output(&output)?;
    let arch = options.arches.first().copied().unwrap_or(Arch::X86_64);
    let (declared, values) = declared(source, arch)?;
    let lookup = Lookup {
        interface: &interface,
        options,
        declared: &declared,
        values: &values,
    };
    let mut rows: Vec<Row> = declared
        .names
        .iter()
        .flat_map(|(name, what)| lookup.rows(name, what))
        .collect();
    rows.sort();
    Ok(Coverage {
        header: WSK,
        source: source.name().to_owned(),
        rows,
    })
}

/// The names of `wsk.h` that the generated files lack and that are not left out for a stated reason: the crate has them by hand,
/// or they are missing.
fn unbound(
    source: &Source,
    options: &Options,
    interface: &Interface,
) -> Result<BTreeMap<String, Item>, Error> {
    let arch = options.arches.first().copied().unwrap_or(Arch::X86_64);
    let (declared, values) = declared(source, arch)?;
    let lookup = Lookup {
        interface,
        options,
        declared: &declared,
        values: &values,
    };
    let mut items = BTreeMap::new();
    for (name, what) in &declared.names {
        let public = declared.public.get(name).map_or(name, |public| public);
        let is_bound = lookup.item(public).is_some() || names::is_unnamed(name);
        if is_bound || lookup.reason(name, what).is_some() {
            continue;
        }
        let samples = (0..macros::SAMPLES.len()).map(|index| macros::call_name(name, index));
        let values = samples.filter_map(|call| values.get(&call));
        let item = Item {
            kind: Kind::Unbound {
                what: what.word().to_owned(),
                text: declared.texts.get(name).cloned().unwrap_or_default(),
                values: values.map(|constant| constant.value.to_string()).collect(),
                by_hand: lookup.by_hand(name).is_some(),
            },
            header: WSK.to_owned(),
            since: None,
        };
        items.insert(name.clone(), item);
    }
    Ok(items)
}

/// The interface generated from `source`, together with the names that are not bound.
///
/// # Errors
///
/// When the headers cannot be read, or when a file does not have the form that the generator writes.
pub fn interface(source: &Source, options: &Options, output: &Output) -> Result<Interface, Error> {
    let mut interface = Interface::of_output(output)?;
    let unbound = unbound(source, options, &interface)?;
    interface.items.extend(unbound);
    Ok(interface)
}

/// What a header declares.
#[derive(Default)]
struct Declared {
    names: BTreeMap<String, What>,
    /// Public name by tag.
    public: BTreeMap<String, String>,
    /// The replacement text of each macro.
    bodies: BTreeMap<String, String>,
    /// The header's text for names that may not be bound: macros with parameters, types of functions and variables.
    texts: BTreeMap<String, String>,
}

enum What {
    Record(BTreeSet<String>),
    Enumeration(BTreeSet<String>),
    Typedef,
    Function,
    Inline,
    Variable,
    Macro,
    FunctionMacro,
}

impl What {
    const fn word(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Enumeration(_) => "enumeration",
            Self::Typedef => "typedef",
            Self::Function => "function",
            Self::Inline => "inline function",
            Self::Variable => "variable",
            Self::Macro => "macro",
            Self::FunctionMacro => "macro with parameters",
        }
    }
}

fn declared(source: &Source, arch: Arch) -> Result<(Declared, Constants), Error> {
    let clang = libclang::load()?;
    let candidates = Candidates::find(source, Some(&Constants::new()))?;
    let mut declared = Declared::default();
    if let Some(path) = source.find(WSK) {
        let bytes = std::fs::read(&path).map_err(|error| Error::io(path, error))?;
        let defines = directives::defines(&directives::decode(&bytes));
        for define in defines {
            let words: Vec<&str> = define.body.split_whitespace().collect();
            let parameters = define
                .parameters
                .map_or_else(String::new, |names| format!("({}) ", names.join(", ")));
            let text = format!("{parameters}{}", words.join(" "));
            declared.texts.insert(define.name.clone(), text);
            declared.bodies.insert(define.name, define.body);
        }
    }
    let probes = candidates.probes(Language::Cpp);
    parse::with_unit(&clang, source, (arch, Language::Cpp), &probes, |unit| {
        let mut typedefs = Vec::new();
        unit.get_entity()
            .visit_children(|entity, _| match entity.get_kind() {
                EntityKind::LinkageSpec | EntityKind::UnexposedDecl => EntityVisitResult::Recurse,
                _ => {
                    declared.entity(entity, &mut typedefs);
                    EntityVisitResult::Continue
                }
            });
        declared.public = names::public_names(&typedefs);
        let values = macros::values(unit)?;
        Ok((declared, values))
    })
}

impl Declared {
    fn entity(&mut self, entity: Entity<'_>, typedefs: &mut Vec<(String, String)>) {
        let in_wsk = place(entity).is_some_and(|(path, _)| source::header_name(&path) == WSK);
        let Some(name) = entity.get_name().filter(|_| in_wsk) else {
            return;
        };
        let what = match entity.get_kind() {
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::ClassDecl => {
                What::Record(members(entity, EntityKind::FieldDecl))
            }
            EntityKind::EnumDecl => {
                What::Enumeration(members(entity, EntityKind::EnumConstantDecl))
            }
            EntityKind::TypedefDecl => {
                let ty = entity
                    .get_typedef_underlying_type()
                    .map(|ty| ty.get_canonical_type());
                let tag = ty
                    .and_then(|ty| ty.get_declaration())
                    .and_then(|declaration| declaration.get_name());
                if let Some(tag) = tag {
                    typedefs.push((tag, name.clone()));
                }
                What::Typedef
            }
            EntityKind::FunctionDecl | EntityKind::VarDecl => {
                let ty = entity.get_type().map(|ty| ty.get_canonical_type());
                let ty = ty.map(|ty| ty.get_display_name()).unwrap_or_default();
                let value = entity
                    .evaluate()
                    .and_then(|value| number(&value))
                    .map_or_else(String::new, |value| format!(" = {value}"));
                self.texts.insert(name.clone(), format!("{ty}{value}"));
                match entity.get_kind() {
                    EntityKind::VarDecl => What::Variable,
                    _ if entity.is_inline_function() => What::Inline,
                    _ => What::Function,
                }
            }
            EntityKind::MacroDefinition if entity.is_function_like_macro() => What::FunctionMacro,
            EntityKind::MacroDefinition => What::Macro,
            _ => return,
        };
        match (self.names.get_mut(&name), what) {
            // A record that is first declared and then defined, and the typedef of the same name.
            (Some(What::Record(known)), What::Record(members)) => known.extend(members),
            (Some(What::Record(_) | What::Enumeration(_)), _) => {}
            (_, what) => {
                self.names.insert(name, what);
            }
        }
    }
}

fn members(entity: Entity<'_>, kind: EntityKind) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for child in entity.get_children() {
        if child.get_kind() == kind {
            found.extend(child.get_name());
        } else if matches!(
            child.get_kind(),
            EntityKind::StructDecl | EntityKind::UnionDecl
        ) {
            found.extend(members(child, kind));
        }
    }
    found
}

struct Lookup<'l> {
    interface: &'l Interface,
    options: &'l Options,
    declared: &'l Declared,
    values: &'l Constants,
}

impl Lookup<'_> {
    /// The row of a name, and the rows of its members.
    fn rows(&self, name: &str, what: &What) -> Vec<Row> {
        let mut public = self.declared.public.get(name).map_or(name, String::as_str);
        let mut item = self.item(public);
        if let (None, What::Record(members)) = (item, what)
            && members.is_empty()
        {
            // Headers only declare this record. Its pointer types have names.
            let opaque = name.trim_start_matches('_');
            item = self.item(opaque);
            public = if item.is_some() { opaque } else { public };
        }
        let mut rows = Vec::new();
        let members = match what {
            What::Record(members) | What::Enumeration(members) => Some(members),
            _ => None,
        };
        let kind = what.word();
        let unnamed = names::is_unnamed(name);
        if !unnamed {
            let bound = item.map(|item| format!("{} {public}", item.kind.word()));
            let bound = bound.or_else(|| self.by_hand(name));
            let reason = if bound.is_none() {
                self.reason(name, what)
            } else {
                None
            };
            rows.push(Row {
                name: name.to_owned(),
                kind,
                bound,
                reason,
            });
        }
        for member in members.into_iter().flatten() {
            let bound = if unnamed {
                self.item(member)
                    .map(|item| format!("{} {member}", item.kind.word()))
            } else {
                self.member(public, member)
            };
            rows.push(Row {
                name: if unnamed {
                    member.clone()
                } else {
                    format!("{name}.{member}")
                },
                kind: "member",
                bound,
                reason: None,
            });
        }
        rows
    }

    fn item(&self, name: &str) -> Option<&Item> {
        let items = &self.interface.items;
        let mut for_arch = self
            .options
            .arches
            .iter()
            .map(|arch| format!("{name} ({})", arch.cfg()));
        items
            .get(name)
            .or_else(|| for_arch.find_map(|name| items.get(&name)))
    }

    fn member(&self, record: &str, member: &str) -> Option<String> {
        match &self.item(record)?.kind {
            Kind::Enumeration { members, .. } => members
                .contains_key(member)
                .then(|| format!("{record}::{member}")),
            Kind::Record(found) => {
                if let Some(bound) = in_record(record, found, member) {
                    return Some(bound);
                }
                // The member may be in an unnamed record inside this one.
                let inner = format!("{record}_");
                let inner = self
                    .interface
                    .items
                    .range(inner.clone()..)
                    .take_while(|(name, _)| name.starts_with(&inner));
                inner
                    .filter_map(|(name, item)| match &item.kind {
                        Kind::Record(found) => Some((name, found)),
                        _ => None,
                    })
                    .find_map(|(name, found)| in_record(name, found, member))
            }
            _ => None,
        }
    }

    fn by_hand(&self, name: &str) -> Option<String> {
        if let Some((_, place)) = BY_HAND.iter().find(|(known, _)| *known == name) {
            return Some((*place).to_owned());
        }
        let by_hand = self.options.by_hand.contains(name);
        by_hand.then(|| "by hand, in the crate around the generated files".to_owned())
    }

    /// The reason why a name need not be bound, if there is one.
    fn reason(&self, name: &str, what: &What) -> Option<String> {
        if !matches!(what, What::Macro) {
            return None;
        }
        let body = self.declared.bodies.get(name).map_or("", String::as_str);
        if body.is_empty() {
            return Some("it is empty: only whether it is defined matters".to_owned());
        }
        if self.values.contains_key(name) {
            return None;
        }
        let first = body
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()?;
        if first == body && self.item(body).is_some() {
            return Some(format!(
                "it stands for {body}, which is bound under that name"
            ));
        }
        if body.contains(['{', '}', ';']) {
            return Some("it stands for a piece of a declaration, not for a value".to_owned());
        }
        CONVENTIONS.contains(&first).then(|| {
            format!("it stands for {body}, a calling convention, which every binding states itself")
        })
    }
}

/// How this very record binds a C member: as a Rust member, or as accessors of a bitfield. A C name that is a Rust keyword has
/// another spelling in Rust.
fn in_record(name: &str, record: &Record, member: &str) -> Option<String> {
    let is_it = |known: &str| {
        known == member
            || known.strip_prefix("r#") == Some(member)
            || known.strip_suffix('_') == Some(member)
    };
    let field = record.members.iter().map(|known| &known.name);
    if let Some(known) = field.into_iter().find(|known| is_it(known)) {
        return Some(format!("{name}.{known}"));
    }
    let bits = record.bitfields.iter().map(|known| &known.name);
    let known = bits.into_iter().find(|known| is_it(known))?;
    Some(format!("{name}.{known}() and {name}.set_{known}()"))
}

/// The initial value of a variable, if it is a number.
fn number(value: &EvaluationResult) -> Option<String> {
    match value {
        EvaluationResult::SignedInteger(value) => Some(value.to_string()),
        EvaluationResult::UnsignedInteger(value) => Some(value.to_string()),
        EvaluationResult::Float(value) => Some(value.to_string()),
        _ => None,
    }
}
