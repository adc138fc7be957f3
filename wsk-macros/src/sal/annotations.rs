//! The SAL annotations that are understood. The derive and the generator share this list.

use proc_macro2::TokenStream;
use quote::quote;

/// The purpose of a pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    In,
    Out,
    Inout,
    /// The callee stores a pointer here.
    Outptr,
    Reserved,
}

/// The unit of a buffer's length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Elements,
}

/// An annotation that is understood.
pub(crate) struct Annotation {
    /// The macro's name without the outer underscores.
    pub name: &'static str,
    pub usage: Use,
    pub optional: bool,
    /// The unit of its argument, if it has one.
    pub unit: Option<Unit>,
}

const fn plain(name: &'static str, usage: Use, optional: bool) -> Annotation {
    Annotation {
        name,
        usage,
        optional,
        unit: None,
    }
}

const fn counted(name: &'static str, usage: Use, optional: bool, unit: Unit) -> Annotation {
    Annotation {
        name,
        usage,
        optional,
        unit: Some(unit),
    }
}

/// The annotations that are understood.
pub(crate) const ANNOTATIONS: &[Annotation] = &[
    plain("In", Use::In, false),
    plain("In_opt", Use::In, true),
    plain("Out", Use::Out, false),
    plain("Out_opt", Use::Out, true),
    plain("Inout", Use::Inout, false),
    plain("Inout_opt", Use::Inout, true),
    plain("Outptr", Use::Outptr, false),
    plain("Outptr_opt", Use::Outptr, true),
    plain("Outptr_result_maybenull", Use::Outptr, false),
    plain("Outptr_opt_result_maybenull", Use::Outptr, true),
    plain("Reserved", Use::Reserved, false),
    counted("In_reads", Use::In, false, Unit::Elements),
    counted("In_reads_opt", Use::In, true, Unit::Elements),
    counted("In_reads_bytes", Use::In, false, Unit::Bytes),
    counted("In_reads_bytes_opt", Use::In, true, Unit::Bytes),
    counted("Out_writes", Use::Out, false, Unit::Elements),
    counted("Out_writes_opt", Use::Out, true, Unit::Elements),
    counted("Out_writes_bytes", Use::Out, false, Unit::Bytes),
    counted("Out_writes_bytes_opt", Use::Out, true, Unit::Bytes),
    counted("Inout_updates", Use::Inout, false, Unit::Elements),
    counted("Inout_updates_opt", Use::Inout, true, Unit::Elements),
    counted("Inout_updates_bytes", Use::Inout, false, Unit::Bytes),
    counted("Inout_updates_bytes_opt", Use::Inout, true, Unit::Bytes),
];

impl Use {
    /// The word for the unit in Microsoft's names.
    const fn word(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::Out => "Out",
            Self::Inout => "Inout",
            Self::Outptr => "Outptr",
            Self::Reserved => "Reserved",
        }
    }
}

/// The list as an array of `(name, use, optional, unit)`: `("In_reads_bytes_opt", "In", true, Some("bytes"))`.
pub(crate) fn listed() -> TokenStream {
    let rows = ANNOTATIONS.iter().map(|annotation| {
        let Annotation { name, optional, .. } = annotation;
        let usage = annotation.usage.word();
        let unit = match annotation.unit {
            None => quote!(::core::option::Option::None),
            Some(Unit::Bytes) => quote!(::core::option::Option::Some("bytes")),
            Some(Unit::Elements) => quote!(::core::option::Option::Some("elements")),
        };
        quote!((#name, #usage, #optional, #unit))
    });
    quote!([#(#rows),*])
}
