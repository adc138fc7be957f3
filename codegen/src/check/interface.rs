//! The interface of the generated files, read back from the files themselves. Releases are compared by their interfaces, and an
//! interface is compared with the names and numbers of a header.

use std::collections::BTreeMap;
use std::path::Path;

use quote::ToTokens;
use serde::Serialize;
use syn::{Attribute, Fields, ForeignItem, Item as Rust};

use crate::bind::bindings::{bare_function, integer};
use crate::emit::output::Output;
use crate::error::Error;

/// The items of generated files by name.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// Items by name. The name of an item for a single architecture is followed by that architecture.
    pub items: BTreeMap<String, Item>,
}

/// An item of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The kind of the item, with its details.
    #[serde(flatten)]
    pub kind: Kind,
    /// The header that declares it.
    pub header: String,
    /// The `NTDDI_VERSION` that introduced it, as the header's condition says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// The kind of an item, with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A structure or union.
    Record(Record),
    /// An enumeration.
    Enumeration {
        /// The integer behind it.
        integer: String,
        /// Its members and their values.
        members: BTreeMap<String, i128>,
    },
    /// Another name for a type.
    Alias {
        /// The type.
        of: String,
    },
    /// A type of functions.
    Callback(Signature),
    /// An imported function.
    Function(Signature),
    /// A constant.
    Constant {
        /// Its type.
        #[serde(rename = "type")]
        ty: String,
        /// Its value.
        value: String,
    },
    /// A macro with parameters.
    Macro {
        /// Its parameters and result.
        #[serde(flatten)]
        signature: Signature,
        /// Results of some calls, from its documentation.
        examples: String,
    },
    /// Something that the header declares and the generated files lack: it is left out, or written by hand.
    Unbound {
        /// Its kind in the header.
        what: String,
        /// Its text in the header.
        text: String,
        /// Results of some calls, for a macro with parameters.
        values: Vec<String>,
        /// Whether the crate around the generated files has it, written by hand.
        by_hand: bool,
    },
}

impl Kind {
    /// The kind in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Record(record) if record.union => "union",
            Self::Record(_) => "struct",
            Self::Enumeration { .. } => "enumeration",
            Self::Alias { .. } => "type",
            Self::Callback(_) => "callback",
            Self::Function(_) => "function",
            Self::Constant { .. } => "constant",
            Self::Macro { .. } => "const fn",
            Self::Unbound { by_hand: true, .. } => "by hand",
            Self::Unbound { .. } => "not bound",
        }
    }
}

/// A structure or union.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Whether it is a union.
    pub union: bool,
    /// Its size in bytes, if it is not opaque.
    pub size: Option<u64>,
    /// Its alignment in bytes, if it is not opaque.
    pub align: Option<u64>,
    /// Its members in order.
    pub members: Vec<Member>,
    /// Its bitfields in order. They have accessors and are not members.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bitfields: Vec<Bitfield>,
}

/// A bitfield of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bitfield {
    /// Its name, which is also the name of the accessor that reads it.
    pub name: String,
    /// The type of its value.
    #[serde(rename = "type")]
    pub ty: String,
    /// The expression that reads it.
    pub bits: String,
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its offset, if a generated assertion states it.
    pub offset: Option<u64>,
    /// The `NTDDI_VERSION` that introduced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The declaration from which the typed wrapper is derived, for an entry of a dispatch table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// Parameters and result of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Parameters: names and types.
    pub parameters: Vec<(String, String)>,
    /// The type of the result, `()` for none.
    pub output: String,
    /// The directions of the parameters, from the documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directions: Option<String>,
}

impl Interface {
    /// Reads the interface of files that were just generated.
    ///
    /// # Errors
    ///
    /// When a file does not have the form that the generator writes.
    pub fn of_output(output: &Output) -> Result<Self, Error> {
        let mut interface = Self::default();
        let mut layouts = Vec::new();
        for (name, text) in output.files() {
            let file = syn::parse_file(text)
                .map_err(|error| Error::item(name, format!("does not parse as Rust: {error}")))?;
            for item in file.items {
                interface.item(item, &mut layouts);
            }
        }
        for (arch, block) in layouts {
            interface.layout(arch.as_deref(), &block);
        }
        interface.inherit_headers();
        Ok(interface)
    }

    /// Reads the interface of a folder of generated files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or does not have the form that the generator writes.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        Self::of_output(&Output::read(folder)?)
    }

    fn item(&mut self, item: Rust, layouts: &mut Vec<(Option<String>, syn::Block)>) {
        match item {
            Rust::Struct(item) => match item.fields {
                Fields::Unnamed(fields) => {
                    let integer = fields
                        .unnamed
                        .first()
                        .map(|field| text(&field.ty))
                        .unwrap_or_default();
                    let kind = Kind::Enumeration {
                        integer,
                        members: BTreeMap::new(),
                    };
                    self.insert(item.ident.to_string(), &item.attrs, kind);
                }
                fields => self.record(&item.ident.to_string(), &item.attrs, false, fields.iter()),
            },
            Rust::Union(item) => {
                self.record(
                    &item.ident.to_string(),
                    &item.attrs,
                    true,
                    item.fields.named.iter(),
                );
            }
            Rust::Impl(block) => self.members(&block),
            Rust::Type(item) => {
                let kind = match bare_function(&item.ty) {
                    Some(function) => Kind::Callback(signature_of(function, &item.attrs)),
                    None => Kind::Alias { of: text(&item.ty) },
                };
                self.insert(item.ident.to_string(), &item.attrs, kind);
            }
            Rust::ForeignMod(block) => {
                for foreign in block.items {
                    if let ForeignItem::Fn(function) = foreign {
                        let kind = Kind::Function(signature(&function.sig, &function.attrs));
                        self.insert(function.sig.ident.to_string(), &function.attrs, kind);
                    }
                }
            }
            Rust::Const(item) if item.ident == "_" => {
                if let syn::Expr::Block(block) = *item.expr {
                    layouts.push((arch(&item.attrs), block.block));
                }
            }
            Rust::Const(item) if matches!(item.vis, syn::Visibility::Public(_)) => {
                let kind = Kind::Constant {
                    ty: text(&item.ty),
                    value: text(&item.expr),
                };
                self.insert(item.ident.to_string(), &item.attrs, kind);
            }
            Rust::Fn(item) => {
                let kind = Kind::Macro {
                    signature: signature(&item.sig, &item.attrs),
                    examples: between(&docs(&item.attrs), "For example, ", ".\n")
                        .unwrap_or_default()
                        .to_owned(),
                };
                self.insert(item.sig.ident.to_string(), &item.attrs, kind);
            }
            _ => {}
        }
    }

    fn insert(&mut self, name: String, attributes: &[Attribute], kind: Kind) {
        let docs = docs(attributes);
        let item = Item {
            kind,
            header: between(&docs, "Header: `", "`")
                .unwrap_or_default()
                .to_owned(),
            since: between(&docs, "`, from `", "` on").map(str::to_owned),
        };
        let name = match arch(attributes) {
            Some(arch) => format!("{name} ({arch})"),
            None => name,
        };
        self.items.insert(name, item);
    }

    fn record<'f>(
        &mut self,
        name: &str,
        attributes: &[Attribute],
        union: bool,
        fields: impl Iterator<Item = &'f syn::Field>,
    ) {
        let members = fields
            .filter_map(|field| {
                let name = field.ident.as_ref()?.to_string();
                let docs = docs(&field.attrs);
                Some(Member {
                    ty: text(&field.ty),
                    offset: None,
                    since: between(&docs, "From `", "` on").map(str::to_owned),
                    entry: field.attrs.iter().find_map(entry),
                    name,
                })
            })
            .filter(|member| member.name != "_unused")
            .collect();
        let record = Record {
            union,
            members,
            ..Record::default()
        };
        self.insert(name.to_owned(), attributes, Kind::Record(record));
    }

    /// Members of an enumeration, or accessors of a record's bitfields.
    fn members(&mut self, block: &syn::ItemImpl) {
        let name = match arch(&block.attrs) {
            Some(arch) => format!("{} ({arch})", text(&block.self_ty)),
            None => text(&block.self_ty),
        };
        let kind = self.items.get_mut(&name).map(|item| &mut item.kind);
        let items = block.items.iter();
        match kind {
            Some(Kind::Enumeration { members, .. }) => members.extend(items.filter_map(|item| {
                let syn::ImplItem::Const(constant) = item else {
                    return None;
                };
                let syn::Expr::Call(call) = &constant.expr else {
                    return None;
                };
                let value = call.args.first().and_then(integer)?;
                Some((constant.ident.to_string(), value))
            })),
            Some(Kind::Record(record)) => record.bitfields.extend(items.filter_map(|item| {
                let syn::ImplItem::Fn(accessor) = item else {
                    return None;
                };
                // Of the two accessors, the setter also takes the value.
                (accessor.sig.inputs.len() == 1).then(|| Bitfield {
                    name: accessor.sig.ident.to_string(),
                    ty: output(&accessor.sig.output),
                    bits: text(&accessor.block),
                })
            })),
            _ => {}
        }
    }

    /// The assertions of one record.
    fn layout(&mut self, arch: Option<&str>, block: &syn::Block) {
        for statement in &block.stmts {
            let syn::Stmt::Macro(statement) = statement else {
                continue;
            };
            let Ok(syn::Expr::Binary(comparison)) = syn::parse2(statement.mac.tokens.clone())
            else {
                continue;
            };
            let Some(value) =
                integer(&comparison.right).and_then(|value| u64::try_from(value).ok())
            else {
                continue;
            };
            let measure = text(&comparison.left);
            let of = |start: &str, end: &str| between(&measure, start, end).map(str::to_owned);
            if let Some(record) = of("size_of::<", ">") {
                self.measured(&record, arch, |record| record.size = Some(value));
            } else if let Some(record) = of("align_of::<", ">") {
                self.measured(&record, arch, |record| record.align = Some(value));
            } else if let Some((record, member)) = of("offset_of!(", ")")
                .as_deref()
                .and_then(|of| of.split_once(','))
            {
                let member = member.trim();
                self.measured(record.trim(), arch, |record| {
                    if let Some(member) =
                        record.members.iter_mut().find(|known| known.name == member)
                    {
                        member.offset = Some(value);
                    }
                });
            }
        }
    }

    fn measured(&mut self, name: &str, arch: Option<&str>, set: impl FnOnce(&mut Record)) {
        let for_arch = arch.map(|arch| format!("{name} ({arch})"));
        let key = for_arch.filter(|key| self.items.contains_key(key));
        let item = self.items.get_mut(key.as_deref().unwrap_or(name));
        if let Some(Kind::Record(record)) = item.map(|item| &mut item.kind) {
            set(record);
        }
    }

    /// Gives each unnamed record the header of the record that contains it.
    fn inherit_headers(&mut self) {
        let headers: BTreeMap<String, String> = self
            .items
            .iter()
            .map(|(name, item)| (name.clone(), item.header.clone()))
            .collect();
        for (name, item) in &mut self.items {
            let mut outer = name.as_str();
            while item.header.is_empty() {
                let Some((shorter, _)) = outer.rsplit_once('_') else {
                    break;
                };
                outer = shorter;
                if let Some(header) = headers.get(outer) {
                    item.header.clone_from(header);
                }
            }
        }
    }

    /// A type in which aliases are replaced by the types behind them.
    #[must_use]
    pub fn resolved(&self, ty: &str) -> String {
        let mut resolved = String::new();
        let mut rest = ty;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
            let (before, word) = rest.split_at(start);
            let end = word
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            resolved.push_str(before);
            match self.items.get(word).map(|item| &item.kind) {
                Some(Kind::Alias { of }) if of != word => resolved.push_str(&self.resolved(of)),
                _ => resolved.push_str(word),
            }
            rest = after;
        }
        resolved.push_str(rest);
        resolved
    }
}

fn signature(function: &syn::Signature, attributes: &[Attribute]) -> Signature {
    let parameters = function.inputs.iter().filter_map(|input| match input {
        syn::FnArg::Typed(typed) => Some((text(&typed.pat), text(&typed.ty))),
        syn::FnArg::Receiver(_) => None,
    });
    Signature {
        parameters: parameters.collect(),
        output: output(&function.output),
        directions: directions(attributes),
    }
}

fn signature_of(function: &syn::TypeFnPtr, attributes: &[Attribute]) -> Signature {
    let parameters = function.inputs.iter().map(|input| {
        let name = input.name.as_ref().map(|(name, _)| name.to_string());
        (name.unwrap_or_default(), text(&input.ty))
    });
    Signature {
        parameters: parameters.collect(),
        output: output(&function.output),
        directions: directions(attributes),
    }
}

fn directions(attributes: &[Attribute]) -> Option<String> {
    between(&docs(attributes), "Parameters: ", ".\n").map(str::to_owned)
}

fn output(output: &syn::ReturnType) -> String {
    match output {
        syn::ReturnType::Default => "()".to_owned(),
        syn::ReturnType::Type(_, ty) => text(ty),
    }
}

/// The arguments of the attribute from which the derive makes the wrapper of a table's member.
fn entry(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("cfg_attr") {
        return None;
    }
    let tokens = text(attribute.meta.require_list().ok()?.tokens.clone());
    let (_, entry) = tokens.split_once("dispatch(")?;
    Some(entry.strip_suffix(')')?.to_owned())
}

fn arch(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let condition = text(attribute);
        between(&condition, "#[cfg(target_arch = \"", "\")]").map(str::to_owned)
    })
}

fn docs(attributes: &[Attribute]) -> String {
    let mut docs = String::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let syn::Meta::NameValue(meta) = &attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(line),
                ..
            }) = &meta.value
        {
            docs.push_str(&line.value());
            docs.push('\n');
        }
    }
    docs
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(start)?;
    after.split_once(end).map(|(found, _)| found)
}

/// Tokens as text, with spaces only where people write them.
pub(crate) fn text(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, close) in [
        (" :: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        ("[ ", "["),
        (" ]", "]"),
        ("* mut", "*mut"),
        ("* const", "*const"),
        (" ;", ";"),
        (" !", "!"),
        ("# [", "#["),
        (" :", ":"),
    ] {
        text = text.replace(spaced, close);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Interface, Kind};
    use crate::emit::output::Output;

    fn of(text: &str) -> Interface {
        Interface::of_output(&Output::new(BTreeMap::from([(
            "all.rs".to_owned(),
            text.to_owned(),
        )])))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let interface = of(
            "/// One.\n///\n/// Header: `wsk.h`, from `NTDDI_WIN8` on.\npub const ONE: u32 = 0x1;
             /// Header: `wsk.h`.\n#[repr(C)] pub struct S { /// From `NTDDI_WIN8` on.\n pub a: *mut T }
             pub struct S_u { _unused: [u8; 0] }
             pub type T = u32; pub type PT = *mut T;
             pub struct E(pub i32); impl E { pub const A: Self = Self(-1); }
             const _: () = { assert!(size_of::<S>() == 8); assert!(offset_of!(S, a) == 0); };
             #[cfg(target_arch = \"aarch64\")] pub const TWO: u8 = 2;",
        );
        let one = &interface.items["ONE"];
        assert_eq!(
            (one.header.as_str(), one.since.as_deref()),
            ("wsk.h", Some("NTDDI_WIN8"))
        );
        let Kind::Record(record) = &interface.items["S"].kind else {
            panic!()
        };
        assert_eq!((record.size, record.members[0].offset), (Some(8), Some(0)));
        assert_eq!(record.members[0].since.as_deref(), Some("NTDDI_WIN8"));
        assert_eq!(interface.items["S_u"].header, "wsk.h");
        let Kind::Enumeration { members, .. } = &interface.items["E"].kind else {
            panic!()
        };
        assert_eq!(members["A"], -1);
        assert_eq!(interface.resolved("*mut PT"), "*mut *mut u32");
        assert!(interface.items.contains_key("TWO (aarch64)"));
    }
}
