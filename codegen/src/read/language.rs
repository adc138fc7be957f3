//! Compares what the headers declare in C and in C++. The bindings are generated from C++, but drivers and Windows itself are
//! written in C. Where layouts, values or names differ, a binding would be wrong without any error.

use std::collections::{BTreeMap, BTreeSet};

use clang::{Clang, Entity, EntityKind, EntityVisitResult, TranslationUnit, Type, TypeKind};

use crate::error::Error;
use crate::find::source::{Arch, Language, Source};
use crate::read::facts::WSK;
use crate::read::fields::{DEPTH, element};
use crate::read::macros::{self, Candidates, Constants};
use crate::read::names;
use crate::read::parse::{self, Place, Places};

/// How many differences are shown.
const SHOWN: usize = 20;

/// The declarations that one language sees: for each name, the value of each property.
pub(crate) type Seen = BTreeMap<String, BTreeMap<String, String>>;

/// Fails if C sees other declarations than C++. Returns the values of macros as C computes them: a character or a comparison has
/// one byte in C++, and is an `int` in C.
///
/// # Errors
///
/// When the headers do not parse as C, or when C and C++ differ.
pub(crate) fn compare(
    clang: &Clang,
    source: &Source,
    arch: Arch,
    candidates: &Candidates,
    known: &BTreeSet<&str>,
    cpp: &Seen,
) -> Result<Constants, Error> {
    let probes = candidates.probes(Language::C);
    let (c, constants) = parse::with_unit(clang, source, (arch, Language::C), &probes, |unit| {
        let constants = macros::values(unit)?;
        Ok((seen(unit, source, known, &constants), constants))
    })?;
    let mut differences = Vec::new();
    let names: BTreeSet<&String> = c.keys().chain(cpp.keys()).collect();
    for name in names {
        match (c.get(name), cpp.get(name)) {
            (Some(c), Some(cpp)) => differences.extend(different(name, c, cpp)),
            (Some(_), None) => differences.push(format!("{name} is declared for C alone")),
            (None, _) => differences.push(format!("{name} is declared for C++ alone")),
        }
    }
    if differences.is_empty() {
        return Ok(constants);
    }
    let count = differences.len();
    differences.truncate(SHOWN);
    if count > SHOWN {
        differences.push(format!("and {} more", count - SHOWN));
    }
    Err(Error::Languages {
        headers: source.name().to_owned(),
        differences: differences.join("\n"),
    })
}

/// The properties in which an item differs between the languages, in words.
fn different(
    name: &str,
    c: &BTreeMap<String, String>,
    cpp: &BTreeMap<String, String>,
) -> Option<String> {
    let none = "nothing".to_owned();
    let properties: BTreeSet<&String> = c.keys().chain(cpp.keys()).collect();
    let told: Vec<String> = properties
        .into_iter()
        .filter(|property| c.get(*property) != cpp.get(*property))
        .map(|property| {
            let (c, cpp) = (c.get(property), cpp.get(property));
            let is = if property == TYPES { "are" } else { "is" };
            format!(
                "{property} {is} {} in C and {} in C++",
                c.unwrap_or(&none),
                cpp.unwrap_or(&none)
            )
        })
        .collect();
    (!told.is_empty()).then(|| format!("{name}: {}", told.join("; ")))
}

/// The declarations that the language of `unit` sees, with these values of macros.
pub(crate) fn seen(
    unit: &TranslationUnit<'_>,
    source: &Source,
    known: &BTreeSet<&str>,
    constants: &Constants,
) -> Seen {
    let mut seen = Seen::new();
    let mut places = Places::default();
    unit.get_entity()
        .visit_children(|entity, _| match entity.get_kind() {
            EntityKind::LinkageSpec | EntityKind::UnexposedDecl => EntityVisitResult::Recurse,
            EntityKind::StructDecl
            | EntityKind::UnionDecl
            | EntityKind::EnumDecl
            | EntityKind::TypedefDecl
            | EntityKind::FunctionDecl => {
                if let Some(place) = places.of(entity, source).map(|(place, _)| place)
                    && place.is_bound
                    && let Some(name) = entity.get_name()
                    && is_wanted(&name, &place, source, known)
                {
                    declaration(entity, &name, &mut seen);
                }
                EntityVisitResult::Continue
            }
            _ => EntityVisitResult::Continue,
        });
    for (name, constant) in constants {
        let properties = seen.entry(name.clone()).or_default();
        properties.insert("its value".to_owned(), constant.value.to_string());
    }
    seen
}

/// Whether a declaration in a bound header is bound itself. clang makes up names for unnamed records, and these differ between
/// the languages: such records are compared through their typedefs.
fn is_wanted(name: &str, place: &Place, source: &Source, known: &BTreeSet<&str>) -> bool {
    !names::is_unnamed(name) && (!source.is_kit() || place.header == WSK || known.contains(name))
}

fn declaration(entity: Entity<'_>, name: &str, seen: &mut Seen) {
    let mut add = |what: &str, value: String| {
        seen.entry(name.to_owned())
            .or_default()
            .insert(what.to_owned(), value);
    };
    match entity.get_kind() {
        EntityKind::FunctionDecl if entity.is_inline_function() => {}
        EntityKind::FunctionDecl => {
            if let Some(ty) = entity.get_type() {
                signature(ty, &mut add);
            }
        }
        EntityKind::TypedefDecl => {
            let Some(ty) = entity.get_typedef_underlying_type() else {
                return;
            };
            let ty = ty.get_canonical_type();
            let pointee = ty.get_pointee_type().unwrap_or(ty).get_canonical_type();
            if pointee.get_argument_types().is_some() {
                signature(pointee, &mut add);
            } else {
                of_type(ty, &mut add);
            }
        }
        _ if entity.is_definition() => {
            if let Some(ty) = entity.get_type() {
                of_type(ty.get_canonical_type(), &mut add);
            }
        }
        _ => {}
    }
}

/// The property that lists the kinds of a signature's types.
const TYPES: &str = "its types";

/// Sizes and kinds of the result and the parameters.
fn signature(ty: Type<'_>, add: &mut impl FnMut(&str, String)) {
    let parameters = ty.get_argument_types().unwrap_or_default();
    let all = |of: fn(Type<'_>) -> String| {
        let parameters: Vec<String> = parameters.iter().map(|ty| of(*ty)).collect();
        let result = ty.get_result_type().map_or_else(String::new, of);
        format!("({}) -> {result}", parameters.join(", "))
    };
    add("its signature", format!("{} bytes", all(size)));
    add(TYPES, all(|ty| kind(ty).to_owned()));
}

/// The kind of a type, in words that fit both languages. For an array, the kind of its elements.
fn kind(ty: Type<'_>) -> &'static str {
    let ty = element(ty.get_canonical_type());
    match ty.get_kind() {
        TypeKind::Void => "nothing",
        TypeKind::Bool => "a truth value",
        TypeKind::Enum => "an enumeration",
        TypeKind::Pointer => "a pointer",
        TypeKind::Record => "a record",
        TypeKind::Float | TypeKind::Double | TypeKind::LongDouble => "a floating number",
        // `wchar_t` is a type of its own in C++.
        TypeKind::WChar => "an unsigned integer",
        _ if ty.is_signed_integer() => "a signed integer",
        _ if ty.is_unsigned_integer() => "an unsigned integer",
        _ => "something else",
    }
}

fn size(ty: Type<'_>) -> String {
    let ty = ty.get_canonical_type();
    match ty.get_kind() {
        TypeKind::Void => "0".to_owned(),
        _ => ty
            .get_sizeof()
            .map_or_else(|_| "unknown".to_owned(), |size| size.to_string()),
    }
}

fn of_type(ty: Type<'_>, add: &mut impl FnMut(&str, String)) {
    let (Ok(size), Ok(align)) = (ty.get_sizeof(), ty.get_alignof()) else {
        return;
    };
    add("its size", size.to_string());
    add("its alignment", align.to_string());
    if ty.get_kind() == TypeKind::Enum {
        let members = ty
            .get_declaration()
            .map(|declaration| declaration.get_children());
        for member in members.into_iter().flatten() {
            if let (Some(name), Some((value, _))) =
                (member.get_name(), member.get_enum_constant_value())
            {
                add(&format!("member {name}"), value.to_string());
            }
        }
    } else if ty.get_kind() == TypeKind::Record {
        let mut leaves = Vec::new();
        collect(ty, 0, DEPTH, &mut leaves);
        leaves.sort();
        for (name, bit, bits, kind) in leaves {
            let place = match (bit % 8, bits % 8) {
                (0, 0) => format!("{} bytes at {}", bits / 8, bit / 8),
                _ => format!("{bits} bits at bit {bit}"),
            };
            add(&format!("member {name}"), place);
            add(&format!("the type of member {name}"), kind.to_owned());
        }
    }
}

/// A member that is not a record: its name, its offset and size in bits, and its kind.
type Leaf = (String, usize, usize, &'static str);

/// The members that are not records, including those of inner records. A record that is unnamed in C may have a name in C++.
fn collect(record: Type<'_>, base: usize, depth: u32, leaves: &mut Vec<Leaf>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for field in record.get_fields().unwrap_or_default() {
        let (Some(ty), Ok(offset)) = (field.get_type(), field.get_offset_of_field()) else {
            continue;
        };
        let ty = ty.get_canonical_type();
        let place = base + offset;
        if ty.get_kind() == TypeKind::Record {
            collect(ty, place, depth, leaves);
            continue;
        }
        let Some(name) = field.get_name().filter(|name| !name.is_empty()) else {
            continue;
        };
        let bits = field
            .get_bit_field_width()
            .or_else(|| ty.get_sizeof().ok().map(|size| size * 8));
        leaves.push((name, place, bits.unwrap_or(0), kind(ty)));
    }
}
