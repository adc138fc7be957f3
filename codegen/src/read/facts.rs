//! The facts of the headers' declarations, by public name: what the later passes need besides the bindings.

use std::collections::{BTreeMap, BTreeSet};

use crate::read::fields::Fields;
use crate::read::macros::Constants;

/// The header that is bound completely, whatever the source.
pub(crate) const WSK: &str = "wsk.h";

/// The place and the description of a declaration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The header's name, `wsk.h`.
    pub header: String,
    /// The line of the declaration.
    pub line: u32,
    /// Its documentation in our own headers.
    pub doc: String,
    /// The name of the `NTDDI_*` constant that the declaration is conditional on.
    pub since: Option<String>,
    /// The kit in which it is, if our own headers do not have it.
    pub new_in: Option<String>,
    /// The highest IRQL at which a function may be called, from SAL.
    pub irql: Option<String>,
}

/// A parameter of a function or callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The name in the header.
    pub name: String,
    /// The line of the parameter.
    pub line: u32,
    /// SAL annotations such as `_In_reads_bytes_opt_(Length)`, and unknown words that look like annotations.
    pub sal: Vec<String>,
}

/// A function, or a typedef of a pointer to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prototype {
    /// Where it is declared.
    pub origin: Origin,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The Rust type of a pointer to it, for a function.
    pub rust: Option<String>,
}

/// A structure, union or enumeration with a public name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tagged {
    /// Where it is defined.
    pub origin: Origin,
    /// The name after `struct`, `union` or `enum`, if there is one.
    pub tag: String,
    /// Its members by name, including those of unnamed records inside it.
    pub members: BTreeMap<String, Origin>,
    /// clang's layout of a structure or union.
    pub fields: Option<Fields>,
}

/// A macro with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionMacro {
    /// Where it is defined.
    pub origin: Origin,
    /// Its parameters' names in order.
    pub parameters: Vec<String>,
    /// Its replacement text as written.
    pub body: String,
}

/// All facts of the headers' declarations, by public name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Structures and unions.
    pub records: BTreeMap<String, Tagged>,
    /// Enumerations.
    pub enumerations: BTreeMap<String, Tagged>,
    /// Typedefs of pointers to functions, and of function types.
    pub callbacks: BTreeMap<String, Prototype>,
    /// Functions that are imported.
    pub functions: BTreeMap<String, Prototype>,
    /// Other typedefs.
    pub aliases: BTreeMap<String, Origin>,
    /// Typedefs of records that the headers only declare.
    pub opaque: BTreeMap<String, Origin>,
    /// Object-like macros with a body, and members of enumerations that have neither tag nor typedef.
    pub macros: BTreeMap<String, Origin>,
    /// Macros for string literals, with the literal.
    pub texts: BTreeMap<String, (Origin, String)>,
    /// Function-like macros.
    pub function_macros: BTreeMap<String, FunctionMacro>,
    /// Inline functions.
    pub inline: BTreeMap<String, Origin>,
    /// Variables.
    pub variables: BTreeMap<String, Origin>,
    /// Public name by tag.
    pub public: BTreeMap<String, String>,
}

impl Facts {
    /// The place of an item's declaration, whatever its kind. A record that the headers only declare has none.
    #[must_use]
    pub(crate) fn origin(&self, name: &str) -> Option<&Origin> {
        let tagged = self
            .records
            .get(name)
            .or_else(|| self.enumerations.get(name));
        let prototype = self
            .callbacks
            .get(name)
            .or_else(|| self.functions.get(name));
        tagged
            .map(|tagged| &tagged.origin)
            .or_else(|| prototype.map(|prototype| &prototype.origin))
            .or_else(|| self.macros.get(name))
            .or_else(|| self.texts.get(name).map(|(origin, _)| origin))
            .or_else(|| Some(&self.function_macros.get(name)?.origin))
            .or_else(|| self.inline.get(name))
            .or_else(|| self.variables.get(name))
            .or_else(|| self.aliases.get(name))
    }

    /// Every declared name, including tags.
    #[must_use]
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let tagged = self.records.values().chain(self.enumerations.values());
        let names = tagged.map(|tagged| &tagged.tag);
        let names = names
            .chain(self.records.keys())
            .chain(self.enumerations.keys());
        let names = names
            .chain(self.callbacks.keys())
            .chain(self.functions.keys());
        let names = names.chain(self.aliases.keys()).chain(self.macros.keys());
        let names = names
            .chain(self.function_macros.keys())
            .chain(self.inline.keys());
        let names = names.chain(self.opaque.keys());
        names
            .chain(self.variables.keys())
            .map(String::as_str)
            .collect()
    }
}

/// The result of one parse of the headers.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Facts of the declarations.
    pub facts: Facts,
    /// Values of the macros, and of sample calls of function-like ones.
    pub constants: Constants,
    /// The shape of each declaration by name. Two architectures agree on a declaration if its shapes are equal.
    pub shapes: BTreeMap<String, String>,
    /// The `NTDDI_VERSION` from which an entry of a provider's table is assumed to exist if nothing says when it was added, or
    /// why no version can be assumed.
    pub new_entry: Result<u32, String>,
}
