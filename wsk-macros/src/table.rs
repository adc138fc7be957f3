//! Reads a dispatch table, a struct with `#[dispatch(...)]` on it and on its members. Each mistake is an error at the tokens that
//! cause it, and all mistakes of a table are reported together.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Error, LitInt, LitStr, Result};

use crate::{
    errors::Errors,
    names,
    sal::{self, Param, Raw},
    syntax::{Attribute, Function, Key, Struct, Type},
};

/// A dispatch table.
pub(crate) struct Table {
    pub vis: TokenStream,
    pub name: Ident,
    /// The table's name in camel case, from which the wrapper and the trait get their names.
    pub rust_name: Ident,
    pub kind: Kind,
    pub members: Vec<Member>,
}

/// Who fills in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// WSK does: the entries are functions to call.
    Provider,
    /// The driver does: the entries are callbacks.
    Client,
}

/// A member of a table.
pub(crate) struct Member {
    pub name: Ident,
    /// The lines of its documentation.
    pub docs: Vec<LitStr>,
    pub ty: Type,
    pub role: Role,
}

/// The kind of a member.
pub(crate) enum Role {
    /// The table at the start of this one, and its wrapper.
    Base(TokenStream),
    /// Data.
    Value,
    /// Data that is always 0.
    Reserved,
    /// A pointer to another table of this type.
    Table(Type),
    /// A function.
    Entry(Entry),
}

/// A function of a table.
pub(crate) struct Entry {
    /// The `NTDDI_VERSION` of the first Windows that has it.
    pub since: Option<LitInt>,
    pub irql: Option<LitStr>,
    pub params: Vec<Param>,
    /// The type of the result, if there is one.
    pub output: Option<Type>,
    /// The span of the signature.
    pub span: Span,
}

/// The `NTDDI_VERSION` of Windows Vista, the first Windows with WSK. Every table has at least the entries of this release.
const VISTA: u32 = 0x0600_0000;

impl Entry {
    /// Whether the table of some providers ends before the entry.
    pub(crate) fn is_newer_than_wsk(&self) -> bool {
        let since = self.since.as_ref().map(LitInt::base10_parse::<u32>);
        since.is_some_and(|since| since.is_ok_and(|since| since > VISTA))
    }

    /// Whether the function returns nothing.
    pub(crate) fn gives_nothing(&self) -> bool {
        self.output.as_ref().is_none_or(Type::is_unit)
    }

    /// The tokens after the parameters: `-> T`, or nothing.
    pub(crate) fn arrow(&self) -> Option<TokenStream> {
        self.output.as_ref().map(|output| quote!(-> #output))
    }

    /// The type of the result, or `()` if none is written.
    pub(crate) fn result(&self) -> TokenStream {
        self.output
            .as_ref()
            .map_or_else(|| quote!(()), |output| quote!(#output))
    }
}

pub(crate) fn table(input: &Struct) -> Result<Table> {
    let Some(fields) = &input.members else {
        return Err(Error::new(
            input.name.span(),
            format!(
                "`{}` is no dispatch table: expected a struct with named members",
                input.name
            ),
        ));
    };
    let mut errors = Errors::default();
    errors.keep(not_generic(input));
    errors.keep(repr_c(input));
    let rust_name = errors.keep(rust_name(input));
    let kind = errors.keep(kind(input));
    let mut members = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        // The keys that a member may have depend on the kind of table.
        let Some(kind) = kind else { continue };
        let name = &field.name;
        if let Some(role) = errors.keep(role(&field.attributes, name, &field.ty, kind)) {
            if index > 0 && matches!(role, Role::Base(_)) {
                errors.push(Error::new(
                    name.span(),
                    "a base that the table doesn't begin with: expected it to be the first member",
                ));
            }
            members.push(Member {
                name: name.clone(),
                docs: docs(&field.attributes),
                ty: field.ty.clone(),
                role,
            });
        }
    }
    let found = rust_name.zip(kind).map(|(rust_name, kind)| Table {
        vis: input.vis.clone(),
        name: input.name.clone(),
        rust_name,
        kind,
        members,
    });
    errors.finish(found)?.ok_or_else(|| {
        // Unreachable: a missing name or kind has already added an error.
        Error::new(input.name.span(), "expected a dispatch table")
    })
}

fn not_generic(input: &Struct) -> Result<()> {
    if input.generics.is_empty() {
        return Ok(());
    }
    Err(Error::new_spanned(
        &input.generics,
        "generic parameters on a dispatch table: expected none, as in C",
    ))
}

fn rust_name(input: &Struct) -> Result<Ident> {
    let name = names::camel(&names::c_name(&input.name)).ok_or_else(|| {
        Error::new(
            input.name.span(),
            format!(
                "no name for the wrapper of `{}`: expected C's name in capitals, as WSK_PROVIDER_BASIC_DISPATCH",
                input.name
            ),
        )
    })?;
    Ok(Ident::new(&name, input.name.span()))
}

/// Checks that the layout is C's, without packing, because entries are read where C puts them.
fn repr_c(input: &Struct) -> Result<()> {
    let mut found = false;
    for attribute in input.attributes.iter().filter(|a| a.is("repr")) {
        attribute.keys(|key| {
            if key.name == "C" {
                found = true;
                Ok(())
            } else {
                Err(key.error("layout that no dispatch table has: expected `#[repr(C)]` alone"))
            }
        })?;
    }
    if found {
        Ok(())
    } else {
        Err(Error::new(
            input.name.span(),
            format!(
                "dispatch table `{}` without C's layout: expected `#[repr(C)]`",
                input.name
            ),
        ))
    }
}

fn kind(input: &Struct) -> Result<Kind> {
    let mut kind = None;
    for attribute in dispatch(&input.attributes) {
        attribute.keys(|key| {
            let this = if key.name == "provider" {
                Kind::Provider
            } else if key.name == "client" {
                Kind::Client
            } else {
                return Err(
                    key.error("unknown kind of dispatch table: expected `provider` or `client`")
                );
            };
            if kind.replace(this).is_some() {
                return Err(key.error("second kind of dispatch table: expected one"));
            }
            Ok(())
        })?;
    }
    kind.ok_or_else(|| {
        Error::new(
            input.name.span(),
            format!(
                "who fills in `{}`? expected `#[dispatch(provider)]` or `#[dispatch(client)]`",
                input.name
            ),
        )
    })
}

fn dispatch(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.is("dispatch"))
}

/// The contents of `#[dispatch(...)]` on a member, before they are compared with the member.
#[derive(Default)]
struct Keys {
    base: Option<Span>,
    value: Option<Span>,
    reserved: Option<Span>,
    table: Option<Span>,
    entry: Option<(Span, Type)>,
    since: Option<(Span, LitInt)>,
    irql: Option<(Span, LitStr)>,
}

impl Keys {
    fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut keys = Self::default();
        for attribute in dispatch(attributes) {
            attribute.keys(|key| keys.key(key))?;
        }
        Ok(keys)
    }

    fn key(&mut self, key: &Key<'_>) -> Result<()> {
        let name = key.name.to_string();
        let span = key.name.span();
        let repeated = match name.as_str() {
            "base" => self.base.replace(span).is_some(),
            "value" => self.value.replace(span).is_some(),
            "reserved" => self.reserved.replace(span).is_some(),
            "table" => self.table.replace(span).is_some(),
            "entry" => self.entry.replace((span, key.value()?)).is_some(),
            "since" => {
                let version: LitInt = key.value()?;
                version.base10_parse::<u32>().map_err(|_| {
                    Error::new(
                        version.span(),
                        "expected an NTDDI_VERSION: 32 bits, as 0x0A000003",
                    )
                })?;
                self.since.replace((span, version)).is_some()
            }
            "irql" => self.irql.replace((span, key.value()?)).is_some(),
            _ => {
                return Err(key.error(
                    "unknown dispatch key: expected `entry`, `since`, `irql`, `base`, `value`, `reserved` or `table`",
                ));
            }
        };
        if repeated {
            return Err(key.error(&format!("second `{name}`: expected one")));
        }
        Ok(())
    }
}

fn role(attributes: &[Attribute], name: &Ident, ty: &Type, kind: Kind) -> Result<Role> {
    let keys = Keys::parse(attributes)?;
    let roles: Vec<Span> = [
        keys.base,
        keys.value,
        keys.reserved,
        keys.table,
        keys.entry.as_ref().map(|(span, _)| *span),
    ]
    .into_iter()
    .flatten()
    .collect();
    let expected = match kind {
        Kind::Provider => "`entry = fn(...)`, `base`, `value` or `reserved`",
        Kind::Client => "`entry = fn(...)`, `table`, `value` or `reserved`",
    };
    match roles[..] {
        [] => {
            return Err(Error::new(
                name.span(),
                format!("what is member `{name}`? expected `#[dispatch(...)]` with {expected}"),
            ));
        }
        [_] => {}
        [_, second, ..] => {
            return Err(Error::new(
                second,
                format!("second role of member `{name}`: expected one of {expected}"),
            ));
        }
    }
    if let Some((_, signature)) = keys.entry {
        let since = keys.since.map(|(_, version)| version);
        let irql = keys.irql.map(|(_, level)| level);
        return Ok(Role::Entry(entry(&signature, since, irql)?));
    }
    if let Some(span) = keys
        .since
        .map(|(span, _)| span)
        .or(keys.irql.map(|(span, _)| span))
    {
        return Err(Error::new(
            span,
            "expected only together with `entry = fn(...)`",
        ));
    }
    match (kind, keys.base, keys.table) {
        (Kind::Provider, Some(_), _) => base(ty),
        (Kind::Client, _, Some(_)) => inner_table(ty),
        (Kind::Client, Some(span), _) | (Kind::Provider, _, Some(span)) => Err(Error::new(
            span,
            format!("not in this kind of table: expected {expected}"),
        )),
        _ if keys.reserved.is_some() => Ok(Role::Reserved),
        _ => Ok(Role::Value),
    }
}

fn base(ty: &Type) -> Result<Role> {
    let wrapper = ty.last().and_then(|last| {
        let wrapper = names::camel(&names::c_name(last))?;
        Some(ty.renamed(&Ident::new(&wrapper, last.span())))
    });
    wrapper.map(Role::Base).ok_or_else(|| {
        Error::new_spanned(
            ty,
            "expected the dispatch table that this one begins with, by C's name in capitals",
        )
    })
}

fn inner_table(ty: &Type) -> Result<Role> {
    match ty.pointer() {
        Some((false, to)) => Ok(Role::Table(to.clone())),
        _ => Err(Error::new_spanned(
            ty,
            "expected a pointer to a dispatch table: `*const WSK_CLIENT_…_DISPATCH`",
        )),
    }
}

fn entry(signature: &Type, since: Option<LitInt>, irql: Option<LitStr>) -> Result<Entry> {
    let Some(function) = signature.function() else {
        return Err(Error::new_spanned(
            signature,
            "expected the entry's signature: `entry = fn(#[sal(In)] Socket: *mut WSK_SOCKET) -> NTSTATUS`",
        ));
    };
    plain_fn(function)?;
    let mut errors = Errors::default();
    let mut raw = Vec::with_capacity(function.inputs.len());
    for argument in &function.inputs {
        let Some(name) = &argument.name else {
            errors.push(Error::new_spanned(
                &argument.tokens,
                "parameter without a name: expected `Name: type`",
            ));
            continue;
        };
        if raw.iter().any(|other: &Raw| other.name == *name) {
            errors.push(Error::new(
                name.span(),
                format!("second parameter named `{name}`: expected one"),
            ));
        }
        if let Some(sal) = errors.keep(sal::of_attributes(&argument.attributes)) {
            raw.push(Raw {
                name: name.clone(),
                ty: argument.ty.clone(),
                sal,
            });
        }
    }
    // If a parameter is missing because of its own error, later checks would only report consequences.
    let raw = errors.finish(raw)?;
    Ok(Entry {
        since,
        irql,
        params: sal::roles(raw)?,
        output: function.output.clone(),
        span: function.span,
    })
}

/// Rejects `unsafe` and `extern` in a signature: every entry is `unsafe extern "system"` anyway.
fn plain_fn(function: &Function) -> Result<()> {
    const EXPECTED: &str =
        "expected plain `fn(...)`: every entry is taken as `unsafe extern \"system\"`";
    for more in [&function.abi, &function.unsafety, &function.lifetimes] {
        if !more.is_empty() {
            return Err(Error::new_spanned(more, EXPECTED));
        }
    }
    if function.variadic.is_empty() {
        return Ok(());
    }
    Err(Error::new_spanned(
        &function.variadic,
        "no entry is variadic: expected named parameters",
    ))
}

fn docs(attributes: &[Attribute]) -> Vec<LitStr> {
    let docs = attributes.iter().filter(|attribute| attribute.is("doc"));
    docs.filter_map(Attribute::text).collect()
}
