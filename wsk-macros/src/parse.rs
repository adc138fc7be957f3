//! Reads a dispatch table, a struct with `#[dispatch(...)]` on it and its members, into a model of what it says.
//! Every mistake is an error at the tokens that make it, and all of a table's mistakes are reported at once.

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, Data, DataStruct, DeriveInput, Error, Expr, ExprLit, Fields, Lit, LitInt, LitStr,
    Meta, Path, PointerMutability, Result, ReturnType, Type, TypeFnPtr, Visibility,
    meta::ParseNestedMeta, spanned::Spanned,
};

use crate::{
    errors::Errors,
    names,
    sal::{self, Param, Raw},
};

/// A dispatch table.
pub(crate) struct Table {
    pub vis: Visibility,
    pub name: Ident,
    /// The table's name in camel case, as the wrapper and the trait are named.
    pub rust_name: Ident,
    pub kind: Kind,
    pub members: Vec<Member>,
}

/// Who fills in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// WSK: the entries are functions to call.
    Provider,
    /// The driver: the entries are callbacks.
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

/// What a member is.
pub(crate) enum Role {
    /// The table that this one begins with, and its wrapper.
    Base(Path),
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
    pub output: ReturnType,
    /// Where the signature is written.
    pub span: Span,
}

pub(crate) fn table(input: &DeriveInput) -> Result<Table> {
    let Data::Struct(DataStruct {
        fields: Fields::Named(fields),
        ..
    }) = &input.data
    else {
        return Err(Error::new(
            input.ident.span(),
            format!(
                "`{}` is no dispatch table: expected a struct with named members",
                input.ident
            ),
        ));
    };
    let mut errors = Errors::default();
    errors.keep(not_generic(input));
    errors.keep(repr_c(input));
    let rust_name = errors.keep(rust_name(input));
    let kind = errors.keep(kind(input));
    let mut members = Vec::with_capacity(fields.named.len());
    for (index, field) in fields.named.iter().enumerate() {
        // What is expected of a member depends on the kind of table.
        let (Some(name), Some(kind)) = (&field.ident, kind) else {
            continue;
        };
        if let Some(role) = errors.keep(role(&field.attrs, name, &field.ty, kind)) {
            if index > 0 && matches!(role, Role::Base(_)) {
                errors.push(Error::new(
                    name.span(),
                    "a base that the table doesn't begin with: expected it to be the first member",
                ));
            }
            members.push(Member {
                name: name.clone(),
                docs: docs(&field.attrs),
                ty: field.ty.clone(),
                role,
            });
        }
    }
    let found = rust_name.zip(kind).map(|(rust_name, kind)| Table {
        vis: input.vis.clone(),
        name: input.ident.clone(),
        rust_name,
        kind,
        members,
    });
    errors.finish(found)?.ok_or_else(|| {
        // Unreachable: a missing name or kind has left its own error.
        Error::new(input.ident.span(), "expected a dispatch table")
    })
}

fn not_generic(input: &DeriveInput) -> Result<()> {
    if input.generics.params.is_empty() && input.generics.where_clause.is_none() {
        return Ok(());
    }
    Err(Error::new_spanned(
        &input.generics,
        "generic parameters on a dispatch table: expected none, as in C",
    ))
}

fn rust_name(input: &DeriveInput) -> Result<Ident> {
    let name = names::camel(&names::c_name(&input.ident)).ok_or_else(|| {
        Error::new(
            input.ident.span(),
            format!(
                "no name for the wrapper of `{}`: expected C's name in capitals, as WSK_PROVIDER_BASIC_DISPATCH",
                input.ident
            ),
        )
    })?;
    Ok(Ident::new(&name, input.ident.span()))
}

/// The layout has to be C's, without packing: entries are read where C puts them.
fn repr_c(input: &DeriveInput) -> Result<()> {
    let mut found = false;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("C") {
                found = true;
                Ok(())
            } else {
                Err(meta.error("layout that no dispatch table has: expected `#[repr(C)]` alone"))
            }
        })?;
    }
    if found {
        Ok(())
    } else {
        Err(Error::new(
            input.ident.span(),
            format!(
                "dispatch table `{}` without C's layout: expected `#[repr(C)]`",
                input.ident
            ),
        ))
    }
}

fn kind(input: &DeriveInput) -> Result<Kind> {
    let mut kind = None;
    for attribute in dispatch(&input.attrs) {
        attribute.parse_nested_meta(|meta| {
            let this = if meta.path.is_ident("provider") {
                Kind::Provider
            } else if meta.path.is_ident("client") {
                Kind::Client
            } else {
                return Err(
                    meta.error("unknown kind of dispatch table: expected `provider` or `client`")
                );
            };
            if kind.replace(this).is_some() {
                return Err(meta.error("second kind of dispatch table: expected one"));
            }
            Ok(())
        })?;
    }
    kind.ok_or_else(|| {
        Error::new(
            input.ident.span(),
            format!(
                "who fills in `{}`? expected `#[dispatch(provider)]` or `#[dispatch(client)]`",
                input.ident
            ),
        )
    })
}

fn dispatch(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("dispatch"))
}

/// What `#[dispatch(...)]` on a member says, before it is held against the member.
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
            attribute.parse_nested_meta(|meta| keys.key(&meta))?;
        }
        Ok(keys)
    }

    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        let span = meta.path.span();
        let repeated = match key.as_str() {
            "base" => self.base.replace(span).is_some(),
            "value" => self.value.replace(span).is_some(),
            "reserved" => self.reserved.replace(span).is_some(),
            "table" => self.table.replace(span).is_some(),
            "entry" => self.entry.replace((span, meta.value()?.parse()?)).is_some(),
            "since" => {
                let version: LitInt = meta.value()?.parse()?;
                version.base10_parse::<u32>().map_err(|_| {
                    Error::new(
                        version.span(),
                        "expected an NTDDI_VERSION: 32 bits, as 0x0A000003",
                    )
                })?;
                self.since.replace((span, version)).is_some()
            }
            "irql" => self.irql.replace((span, meta.value()?.parse()?)).is_some(),
            _ => {
                return Err(meta.error(
                    "unknown dispatch key: expected `entry`, `since`, `irql`, `base`, `value`, `reserved` or `table`",
                ));
            }
        };
        if repeated {
            return Err(meta.error(format!("second `{key}`: expected one")));
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
    let wrapper = sal::path(ty).and_then(|path| {
        let mut path = path.clone();
        let last = path.segments.last_mut()?;
        let wrapper = names::camel(&names::c_name(&last.ident))?;
        last.ident = Ident::new(&wrapper, last.ident.span());
        Some(path)
    });
    wrapper.map(Role::Base).ok_or_else(|| {
        Error::new_spanned(
            ty,
            "expected the dispatch table that this one begins with, by C's name in capitals",
        )
    })
}

fn inner_table(ty: &Type) -> Result<Role> {
    match sal::pointer(ty) {
        Some(pointer) if matches!(pointer.mutability, PointerMutability::Const(_)) => {
            Ok(Role::Table((*pointer.elem).clone()))
        }
        _ => Err(Error::new_spanned(
            ty,
            "expected a pointer to a dispatch table: `*const WSK_CLIENT_…_DISPATCH`",
        )),
    }
}

fn entry(signature: &Type, since: Option<LitInt>, irql: Option<LitStr>) -> Result<Entry> {
    let Type::FnPtr(function) = signature else {
        return Err(Error::new_spanned(
            signature,
            "expected the entry's signature: `entry = fn(#[sal(In)] Socket: *mut WSK_SOCKET) -> NTSTATUS`",
        ));
    };
    plain_fn(function)?;
    let mut errors = Errors::default();
    let mut raw = Vec::with_capacity(function.inputs.len());
    for argument in &function.inputs {
        let Some((name, _)) = argument.name.as_ref().filter(|(name, _)| name != "_") else {
            errors.push(Error::new_spanned(
                argument,
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
        if let Some(sal) = errors.keep(sal::of_attributes(&argument.attrs)) {
            raw.push(Raw {
                name: name.clone(),
                ty: argument.ty.clone(),
                sal,
            });
        }
    }
    // A parameter that is missing here for its own error would only cause more of them below.
    let raw = errors.finish(raw)?;
    Ok(Entry {
        since,
        irql,
        params: sal::roles(raw)?,
        output: function.output.clone(),
        span: function.fn_token.span,
    })
}

/// Every entry is `unsafe extern "system"`: saying so, or otherwise, has no place in the signature.
fn plain_fn(function: &TypeFnPtr) -> Result<()> {
    const EXPECTED: &str =
        "expected plain `fn(...)`: every entry is taken as `unsafe extern \"system\"`";
    if let Some(abi) = &function.abi {
        return Err(Error::new_spanned(abi, EXPECTED));
    }
    if let Some(unsafety) = &function.unsafety {
        return Err(Error::new_spanned(unsafety, EXPECTED));
    }
    if let Some(lifetimes) = &function.lifetimes {
        return Err(Error::new_spanned(lifetimes, EXPECTED));
    }
    if let Some(variadic) = &function.variadic {
        return Err(Error::new_spanned(
            variadic,
            "no entry is variadic: expected named parameters",
        ));
    }
    Ok(())
}

fn docs(attributes: &[Attribute]) -> Vec<LitStr> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(line),
                    ..
                }) => Some(line.clone()),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// Whether the function gives nothing back.
pub(crate) fn is_unit(output: &ReturnType) -> bool {
    match output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
    }
}

/// The return type, `()` where none is written.
pub(crate) fn output_type(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}

/// The names of the methods that an implementation of an events trait has, for `#[dispatch_events]`.
pub(crate) fn events_impl(item: &syn::ItemImpl) -> Result<Vec<&syn::ImplItemFn>> {
    if item.trait_.is_none() {
        return Err(Error::new_spanned(
            &item.self_ty,
            "expected the implementation of an events trait: `unsafe impl WskClientDatagramDispatchEvents for …`",
        ));
    }
    Ok(item
        .items
        .iter()
        .filter_map(|item| match item {
            syn::ImplItem::Fn(function) => Some(function),
            _ => None,
        })
        .collect())
}

/// `#[dispatch_events]` takes nothing.
pub(crate) fn no_arguments(arguments: proc_macro2::TokenStream) -> Result<()> {
    syn::parse::Parser::parse2(
        |input: syn::parse::ParseStream<'_>| {
            if input.is_empty() {
                Ok(())
            } else {
                Err(input.error("expected `#[dispatch_events]` without arguments"))
            }
        },
        arguments,
    )
}
