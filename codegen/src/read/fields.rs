//! clang's layout of a record's members, including bitfields and unnamed members. bindgen reports neither.

use clang::{Entity, EntityKind, Type, TypeKind};

use crate::read::{names, spell};

/// A limit for the nesting of records. No header comes near it.
pub(super) const DEPTH: u32 = 32;

/// A record's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Its size in bytes.
    pub size: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// Whether all its members are at offset 0.
    pub union: bool,
    /// Its members in order.
    pub fields: Vec<Field>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name, empty if it has none.
    pub name: String,
    /// Its offset in the record, in bits.
    pub bit: usize,
    /// Its width in bits, if it is a bitfield.
    pub width: Option<usize>,
    /// The size of its type in bytes. 0 for a flexible array.
    pub size: usize,
    /// Its Rust type, if it has a name and is not a bitfield.
    pub rust: Option<String>,
    /// The layout of its type, if the type is a record declared inside this one.
    pub inner: Option<Fields>,
}

/// The layout of a record, if the record has one.
pub(crate) fn of(record: Type<'_>) -> Option<Fields> {
    collect(record, DEPTH)
}

fn collect(record: Type<'_>, depth: u32) -> Option<Fields> {
    let depth = depth.checked_sub(1)?;
    let (size, align) = (record.get_sizeof().ok()?, record.get_alignof().ok()?);
    let mut fields = Vec::new();
    for field in record.get_fields()? {
        let written = field.get_type()?;
        let ty = written.get_canonical_type();
        let element = element(ty);
        let inner = if is_on_the_spot(element) {
            collect(element, depth)
        } else {
            None
        };
        let width = field.get_bit_field_width();
        fields.push(Field {
            name: name(field),
            bit: field.get_offset_of_field().ok()?,
            width,
            size: ty.get_sizeof().unwrap_or(0),
            rust: spell::ty(written).filter(|_| width.is_none()),
            inner,
        });
    }
    let declaration = record.get_declaration()?;
    Some(Fields {
        size,
        align,
        union: declaration.get_kind() == EntityKind::UnionDecl,
        fields,
    })
}

/// The name of a member, empty if it has none.
pub(super) fn name(field: Entity<'_>) -> String {
    let name = field.get_name();
    name.filter(|name| !names::is_unnamed(name))
        .unwrap_or_default()
}

/// The element type of an array.
pub(super) fn element(ty: Type<'_>) -> Type<'_> {
    let is_array = matches!(
        ty.get_kind(),
        TypeKind::ConstantArray | TypeKind::IncompleteArray
    );
    match ty.get_element_type() {
        Some(of) if is_array => element(of.get_canonical_type()),
        _ => ty,
    }
}

/// Whether a type is a record declared inside another one, with or without a tag.
fn is_on_the_spot(ty: Type<'_>) -> bool {
    let parent = ty
        .get_declaration()
        .filter(|_| ty.get_kind() == TypeKind::Record)
        .and_then(|declaration| declaration.get_semantic_parent());
    parent.is_some_and(|parent| {
        matches!(
            parent.get_kind(),
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::ClassDecl
        )
    })
}
