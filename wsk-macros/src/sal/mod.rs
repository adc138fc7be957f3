//! SAL, the annotation language of the Windows headers: the meaning of `#[sal(...)]` on a parameter, and the Rust type that
//! follows from it. A name that is not in the table of `annotations` is an error, because a wrong guess would be a wrong call.

mod annotations;

use std::rc::Rc;

use proc_macro2::Ident;
use syn::{
    Error, Result, Token, parenthesized,
    parse::{Parse, ParseStream},
    token::Paren,
};

use crate::{
    errors::Errors,
    syntax::{Attribute, Type},
};
use annotations::{ANNOTATIONS, Use};

pub(crate) use annotations::{Unit, listed};

/// The parameter that counts a buffer: `Length`, or `*Length` if it is a pointer to the count.
struct Count {
    unit: Unit,
    indirect: bool,
    by: Ident,
}

/// One `#[sal(...)]`.
pub(crate) struct Sal {
    name: Ident,
    usage: Use,
    optional: bool,
    count: Option<Count>,
}

impl Parse for Sal {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: Ident = input
            .parse()
            .map_err(|error| Error::new(error.span(), "expected a SAL annotation: `#[sal(In)]`"))?;
        let Some(known) = ANNOTATIONS.iter().find(|known| name == known.name) else {
            let names: Vec<_> = ANNOTATIONS.iter().map(|known| known.name).collect();
            return Err(Error::new(
                name.span(),
                format!(
                    "unknown SAL annotation `{name}`: expected one of {}",
                    names.join(", ")
                ),
            ));
        };
        let count = match (known.unit, input.peek(Paren)) {
            (None, false) => None,
            (None, true) => {
                return Err(Error::new(
                    name.span(),
                    format!("`{name}` counts nothing: expected it without an argument"),
                ));
            }
            (Some(_), false) => {
                return Err(Error::new(
                    name.span(),
                    format!("expected the parameter that counts the buffer: `{name}(Length)`"),
                ));
            }
            (Some(unit), true) => {
                let argument;
                parenthesized!(argument in input);
                let indirect = argument.parse::<Option<Token![*]>>()?.is_some();
                let by = argument
                    .parse()
                    .ok()
                    .filter(|_| argument.is_empty())
                    .ok_or_else(|| {
                        Error::new(
                            name.span(),
                            format!(
                                "expected the name of a parameter: `{name}(Length)`, or \
                                 `{name}(*Length)` where it points at the count"
                            ),
                        )
                    })?;
                Some(Count { unit, indirect, by })
            }
        };
        if !input.is_empty() {
            return Err(input.error("expected one SAL annotation"));
        }
        Ok(Self {
            name,
            usage: known.usage,
            optional: known.optional,
            count,
        })
    }
}

/// The single `#[sal(...)]` of a parameter.
pub(crate) fn of_attributes(attributes: &[Rc<Attribute>]) -> Result<Option<Sal>> {
    let mut found = None;
    for attribute in attributes {
        if !attribute.is("sal") {
            return Err(Error::new_spanned(
                &attribute.tokens,
                "unknown attribute on a parameter: expected `#[sal(...)]`",
            ));
        }
        if found.is_some() {
            return Err(Error::new_spanned(
                &attribute.tokens,
                "second SAL annotation on a parameter: expected one",
            ));
        }
        found = Some(attribute.arguments(Sal::parse)?);
    }
    Ok(found)
}

/// A parameter in C.
pub(crate) struct Raw {
    pub name: Ident,
    pub ty: Type,
    pub sal: Option<Sal>,
}

/// A parameter and its role in the wrapper.
pub(crate) struct Param {
    pub name: Ident,
    pub ty: Type,
    pub role: Role,
}

/// The role of a parameter in the wrapper.
pub(crate) enum Role {
    /// Passed unchanged.
    Value,
    /// `NonNull<T>`, or `Option` of it.
    Pointer {
        to: Type,
        mutable: bool,
        optional: bool,
    },
    /// `NonNull<[T]>` or `NonNull<[u8]>`, or an `Option` of it. It also provides the value of the parameter `count`.
    Buffer {
        to: Type,
        mutable: bool,
        optional: bool,
        unit: Unit,
        count: usize,
    },
    /// The length of the buffer with this index. The wrapper does not have it.
    Count { buffer: usize },
    /// The wrapper does not have it, and passes 0.
    ReservedInteger,
    /// The wrapper does not have it, and passes NULL.
    ReservedPointer { mutable: bool },
}

/// Gives each parameter of one entry its role.
pub(crate) fn roles(raw: Vec<Raw>) -> Result<Vec<Param>> {
    let counts = counts(&raw)?;
    let mut errors = Errors::default();
    let mut params = Vec::with_capacity(raw.len());
    for (i, param) in raw.into_iter().enumerate() {
        if let Some(role) = errors.keep(role(&param, i, &counts)) {
            let Raw { name, ty, .. } = param;
            params.push(Param { name, ty, role });
        }
    }
    errors.finish(params)
}

/// A buffer and the parameter that counts it, both by index.
struct Counted {
    buffer: usize,
    count: usize,
    /// The count is behind a pointer, so it stays a parameter.
    indirect: bool,
}

fn counts(raw: &[Raw]) -> Result<Vec<Counted>> {
    let mut all: Vec<Counted> = Vec::new();
    for (buffer, param) in raw.iter().enumerate() {
        let Some(Count { by, indirect, .. }) =
            param.sal.as_ref().and_then(|sal| sal.count.as_ref())
        else {
            continue;
        };
        let Some(count) = raw.iter().position(|other| other.name == *by) else {
            return Err(Error::new(
                by.span(),
                format!(
                    "no parameter is named `{by}`: expected the parameter of this entry that counts `{}`",
                    param.name
                ),
            ));
        };
        if all.iter().any(|earlier| earlier.count == count) {
            return Err(Error::new(
                by.span(),
                format!("`{by}` counts a second buffer: expected a count of its own for each"),
            ));
        }
        check_count(&raw[count], *indirect, by)?;
        all.push(Counted {
            buffer,
            count,
            indirect: *indirect,
        });
    }
    Ok(all)
}

fn check_count(count: &Raw, indirect: bool, by: &Ident) -> Result<()> {
    match (count.ty.pointer(), indirect) {
        (Some((_, to)), true) if is_length(to) => Ok(()),
        (Some(_), false) => Err(Error::new(
            by.span(),
            format!("`{by}` is a pointer: expected `*{by}` for a count that it points at"),
        )),
        (None, true) => Err(Error::new(
            by.span(),
            format!("`{by}` is no pointer: expected `{by}` without `*`"),
        )),
        (Some(_), true) => Err(Error::new(
            by.span(),
            format!("`{by}` can't count: expected a pointer to a u8, u16, u32 or usize"),
        )),
        (None, false) if !is_length(&count.ty) => Err(Error::new(
            by.span(),
            format!("`{by}` can't count: expected a u8, u16, u32 or usize"),
        )),
        (None, false) => match &count.sal {
            Some(sal) if sal.usage != Use::In || sal.optional || sal.count.is_some() => {
                Err(Error::new(
                    sal.name.span(),
                    format!("expected `In`: `{by}` counts a buffer"),
                ))
            }
            _ => Ok(()),
        },
    }
}

fn role(param: &Raw, index: usize, counts: &[Counted]) -> Result<Role> {
    let Raw { name, ty, sal } = param;
    let Some((mutable, to)) = ty.pointer() else {
        if ty.is_reference() {
            return Err(Error::new_spanned(
                ty,
                "expected a raw pointer, as C has: `*const T` or `*mut T`",
            ));
        }
        return value_role(param, index, counts);
    };
    let Some(sal) = sal else {
        return Err(Error::new(
            name.span(),
            format!(
                "`{name}` is a pointer without SAL: expected `#[sal(...)]` to say how it is used"
            ),
        ));
    };
    if !mutable && matches!(sal.usage, Use::Out | Use::Inout | Use::Outptr) {
        return Err(Error::new(
            sal.name.span(),
            format!("`{}` is written through: expected `*mut`", sal.name),
        ));
    }
    if sal.usage == Use::Outptr && to.pointer().is_none() {
        return Err(Error::new(
            sal.name.span(),
            format!(
                "`{}` receives a pointer: expected a pointer to a pointer",
                sal.name
            ),
        ));
    }
    let counted = counts.iter().find(|counted| counted.buffer == index);
    Ok(match (sal.usage, &sal.count, counted) {
        (Use::Reserved, _, _) => Role::ReservedPointer { mutable },
        (_, Some(count), Some(counted)) => {
            if count.unit == Unit::Elements && is_void(to) {
                return Err(Error::new(
                    sal.name.span(),
                    format!(
                        "`{}` counts elements and `c_void` has no size: expected the annotation that counts bytes",
                        sal.name
                    ),
                ));
            }
            if counted.indirect {
                // The callee writes the count back, maybe long after the call, so the caller keeps it.
                Role::Pointer {
                    to: to.clone(),
                    mutable,
                    optional: sal.optional,
                }
            } else {
                Role::Buffer {
                    to: to.clone(),
                    mutable,
                    optional: sal.optional,
                    unit: count.unit,
                    count: counted.count,
                }
            }
        }
        _ => Role::Pointer {
            to: to.clone(),
            mutable,
            optional: sal.optional,
        },
    })
}

/// The role of a parameter that isn't a pointer.
fn value_role(param: &Raw, index: usize, counts: &[Counted]) -> Result<Role> {
    if let Some(counted) = counts.iter().find(|counted| counted.count == index) {
        return Ok(Role::Count {
            buffer: counted.buffer,
        });
    }
    let Some(sal) = &param.sal else {
        return Ok(Role::Value);
    };
    match sal.usage {
        // The headers have `_In_opt_ ULONG`, which is an ordinary value.
        Use::In if sal.count.is_none() => Ok(Role::Value),
        Use::Reserved if is_integer(&param.ty) => Ok(Role::ReservedInteger),
        Use::Reserved => Err(Error::new_spanned(
            &param.ty,
            format!(
                "no value is known for reserved `{}`: expected an integer, which is passed as 0, or a raw pointer, \
                 which is passed as NULL",
                param.name
            ),
        )),
        _ => Err(Error::new(
            param.ty.span(),
            format!(
                "`{}` is for pointers: expected `*const T` or `*mut T`, spelled out",
                sal.name
            ),
        )),
    }
}

/// These types convert to `usize` without loss, and have no negative values.
fn is_length(ty: &Type) -> bool {
    ty.is_one_of(&["u8", "u16", "u32", "usize"])
}

/// Whether the count of a buffer can hold the length of any memory.
pub(crate) fn is_usize(ty: &Type) -> bool {
    ty.is_one_of(&["usize"])
}

fn is_integer(ty: &Type) -> bool {
    ty.is_one_of(&[
        "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize",
    ])
}

pub(crate) fn is_void(ty: &Type) -> bool {
    ty.last().is_some_and(|last| last == "c_void")
}

/// An I/O request packet, which makes a call asynchronous.
pub(crate) fn is_irp(ty: &Type) -> bool {
    let pointee = ty.pointer().and_then(|(_, to)| to.last());
    pointee.is_some_and(|last| last == "IRP")
}
