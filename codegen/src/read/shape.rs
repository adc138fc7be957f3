//! The shape of a declaration, as text: its types, sizes and offsets as a compiler sees them, including those of every record
//! that it contains by value. If the shapes of two architectures are equal, so are the bindings, and one run of bindgen serves
//! both.

use std::fmt::Write as _;

use clang::{Entity, EntityKind, Type, TypeKind};

use crate::read::fields::{self, DEPTH, element};
use crate::read::names;

/// Computes shapes.
pub(crate) struct Shaper<'s> {
    /// Whether a record's member with this name is bound.
    pub(crate) member: &'s dyn Fn(&str) -> bool,
    /// Whether the record with this tag has a shape of its own. If so, the shape does not follow it.
    pub(crate) known: &'s dyn Fn(&str) -> bool,
}

impl Shaper<'_> {
    /// The shape of a record, enumeration, function or typedef.
    pub(crate) fn of(&self, entity: Entity<'_>) -> String {
        let mut text = String::new();
        match entity.get_kind() {
            EntityKind::EnumDecl => {
                let integer = entity.get_enum_underlying_type();
                let _ = write!(text, "{}", integer.map(spelled).unwrap_or_default());
                for member in entity.get_children() {
                    if let (Some(name), Some((value, _))) =
                        (member.get_name(), member.get_enum_constant_value())
                    {
                        let _ = write!(text, " {name}={value}");
                    }
                }
            }
            EntityKind::TypedefDecl => {
                if let Some(ty) = entity.get_typedef_underlying_type() {
                    self.held(ty, &mut text);
                }
            }
            EntityKind::FunctionDecl => text.extend(entity.get_type().map(spelled)),
            _ => {
                if let Some(ty) = entity.get_type() {
                    self.record(ty.get_canonical_type(), DEPTH, &mut text);
                }
            }
        }
        text
    }

    /// Adds a type, and its layout if it is a record that has no shape of its own.
    fn held(&self, ty: Type<'_>, text: &mut String) {
        let canonical = ty.get_canonical_type();
        let _ = write!(text, "{}", spelled(canonical));
        let by_value = element(canonical);
        if by_value.get_kind() == TypeKind::Record {
            let declaration = by_value.get_declaration();
            let name = declaration
                .and_then(|declaration| declaration.get_name())
                .unwrap_or_default();
            if !(self.known)(&name) {
                self.record(by_value, DEPTH, text);
            }
        }
    }

    fn record(&self, record: Type<'_>, depth: u32, text: &mut String) {
        let (size, align) = (record.get_sizeof().ok(), record.get_alignof().ok());
        let _ = write!(text, "[{size:?}/{align:?}]");
        self.members(record, depth, text);
    }

    fn members(&self, record: Type<'_>, depth: u32, text: &mut String) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        for field in record.get_fields().unwrap_or_default() {
            let name = fields::name(field);
            let ty = field.get_type();
            let inner = ty
                .map(|ty| element(ty.get_canonical_type()))
                .filter(|ty| is_unnamed(*ty));
            if !name.is_empty() && !(self.member)(&name) {
                continue;
            }
            let offset = field.get_offset_of_field().ok();
            let width = field.get_bit_field_width();
            let _ = write!(text, "{name}@{offset:?}:{width:?} ");
            match (inner, ty) {
                (Some(inner), _) => {
                    text.push('{');
                    self.members(inner, depth, text);
                    text.push('}');
                }
                (None, Some(ty)) => self.held(ty, text),
                (None, None) => {}
            }
            text.push(';');
        }
    }
}

fn spelled(ty: Type<'_>) -> String {
    ty.get_canonical_type().get_display_name()
}

/// Whether a type is an unnamed record.
fn is_unnamed(ty: Type<'_>) -> bool {
    let declaration = ty.get_declaration();
    ty.get_kind() == TypeKind::Record
        && declaration.is_some_and(|declaration| {
            names::is_unnamed(&declaration.get_name().unwrap_or_default())
        })
}
