//! C types in Rust, spelled as bindgen spells them. This saves another run of bindgen.

use clang::{Entity, Type, TypeKind};

use crate::read::names;

/// The Rust type for a C type. Returns `None` for types that have special rules in bindgen: they need another run.
pub(super) fn ty(ty: Type<'_>) -> Option<String> {
    let word = match ty.get_kind() {
        TypeKind::Elaborated => return self::ty(ty.get_elaborated_type()?),
        TypeKind::Typedef | TypeKind::Record | TypeKind::Enum => {
            let name = ty.get_declaration()?.get_name()?;
            return (!names::is_unnamed(&name)).then_some(name);
        }
        TypeKind::Pointer => {
            let pointee = ty.get_pointee_type()?;
            let to = if pointee.is_const_qualified() {
                "const"
            } else {
                "mut"
            };
            return Some(format!("*{to} {}", self::ty(pointee)?));
        }
        TypeKind::ConstantArray => {
            let element = self::ty(ty.get_element_type()?)?;
            return Some(format!("[{element}; {}usize]", ty.get_size()?));
        }
        TypeKind::Bool => return Some("bool".to_owned()),
        TypeKind::Void => "void",
        TypeKind::CharS => "char",
        TypeKind::SChar => "schar",
        TypeKind::UChar => "uchar",
        TypeKind::Short => "short",
        TypeKind::UShort => "ushort",
        TypeKind::Int => "int",
        TypeKind::UInt => "uint",
        TypeKind::Long => "long",
        TypeKind::ULong => "ulong",
        TypeKind::LongLong => "longlong",
        TypeKind::ULongLong => "ulonglong",
        _ => return None,
    };
    Some(format!("ctypes::c_{word}"))
}

/// The type of a pointer to a function.
pub(super) fn function(entity: Entity<'_>) -> Option<String> {
    let of = entity.get_type()?;
    if of.is_variadic() {
        return None;
    }
    let mut parameters = Vec::new();
    for parameter in entity.get_arguments()? {
        let (name, ty) = (parameter.get_name()?, self::ty(parameter.get_type()?)?);
        parameters.push(format!("{name}: {ty}"));
    }
    let parameters = parameters.join(", ");
    let result = of.get_result_type()?;
    let result = if result.get_canonical_type().get_kind() == TypeKind::Void {
        String::new()
    } else {
        format!(" -> {}", self::ty(result)?)
    };
    Some(format!("unsafe extern \"C\" fn({parameters}){result}"))
}
