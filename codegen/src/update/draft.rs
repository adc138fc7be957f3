//! Writes declarations for our own headers from a kit's. Names, types, values, annotations and conditions are facts of the
//! interface. The words and the style are ours.

use std::fmt::Write as _;

use crate::bind::bindings::bare_function;
use crate::check::interface::{Interface, Kind, Record};
use crate::read::facts::{Facts, Origin, Prototype};
use crate::read::fields::{Field, Fields};
use crate::read::macros::Constants;
use crate::read::names;

/// The sources of the drafts.
pub(super) struct Drafts<'d> {
    /// The interface that is generated from the kit.
    pub kit: &'d Interface,
    /// The facts that clang reads from the kit.
    pub facts: &'d Facts,
    pub constants: &'d Constants,
    /// The facts of the same items in our own headers.
    pub ours: &'d Facts,
    /// The documentation of an item that has none yet.
    pub words: String,
}

impl Drafts<'_> {
    /// The declaration of an item, with its documentation and its condition.
    pub(super) fn item(&self, name: &str) -> Result<String, String> {
        let item = self.kit.items.get(name).ok_or("the kit does not have it")?;
        let declaration = match &item.kind {
            Kind::Record(record) => self.record(name, record)?,
            Kind::Enumeration { .. } => self.enumeration(name)?,
            Kind::Alias { of } => format!("typedef {};\n", declarator(of, name)?),
            Kind::Callback(_) => {
                let prototype = self
                    .facts
                    .callbacks
                    .get(name)
                    .ok_or("it has no parameters that are known")?;
                self.callback(name, prototype)?
            }
            Kind::Function(_) => {
                let prototype = self
                    .facts
                    .functions
                    .get(name)
                    .ok_or("it has no parameters that are known")?;
                self.function(name, prototype)?
            }
            Kind::Constant { .. } => self.constant(name)?,
            Kind::Macro { .. } => {
                let function = self
                    .facts
                    .function_macros
                    .get(name)
                    .ok_or("its body is not known")?;
                let words: Vec<&str> = function.body.split_whitespace().collect();
                format!(
                    "#define {name}({}) {}\n",
                    function.parameters.join(", "),
                    words.join(" ")
                )
            }
            Kind::Unbound { what, .. } => {
                return Err(format!(
                    "it is a {what}, which is not bound: write it by hand, or leave it out"
                ));
            }
        };
        let docs = self.docs(self.ours.origin(name), "");
        let since = self.facts.origin(name);
        let since = since.and_then(|origin| origin.since.as_deref());
        Ok(conditional(since, &format!("{docs}{declaration}")))
    }

    /// The documentation of an item or a member: ours, if there is one.
    fn docs(&self, origin: Option<&Origin>, indent: &str) -> String {
        let words = origin
            .map(|origin| origin.doc.as_str())
            .filter(|doc| !doc.is_empty());
        let mut docs = String::new();
        for line in words.unwrap_or(&self.words).lines() {
            let _ = writeln!(docs, "{indent}{}", format!("/// {line}").trim_end());
        }
        docs
    }

    fn constant(&self, name: &str) -> Result<String, String> {
        if let Some((_, literal)) = self.facts.texts.get(name) {
            return Ok(format!("#define {name} {literal}\n"));
        }
        let constant = self.constants.get(name).ok_or("its value is not known")?;
        let suffix = match (constant.size, constant.signed) {
            (8, true) => "LL",
            (8, false) => "ULL",
            (_, false) => "U",
            _ => "",
        };
        let value = if constant.value < 0 {
            format!("({})", constant.value)
        } else if constant.value > 9 {
            format!("{:#x}{suffix}", constant.value)
        } else {
            format!("{}{suffix}", constant.value)
        };
        Ok(if constant.c_type == "NTSTATUS" {
            format!("#define {name} ((NTSTATUS){value})\n")
        } else {
            format!("#define {name} {value}\n")
        })
    }

    fn enumeration(&self, name: &str) -> Result<String, String> {
        let facts = self
            .facts
            .enumerations
            .get(name)
            .ok_or("its members are not known")?;
        let Some(Kind::Enumeration { members, .. }) =
            self.kit.items.get(name).map(|item| &item.kind)
        else {
            return Err("its values are not known".to_owned());
        };
        let mut ordered: Vec<(&String, &i128)> = members.iter().collect();
        ordered.sort_by_key(|(member, value)| {
            (
                **value,
                facts.members.get(*member).map(|origin| origin.line),
            )
        });
        let tag = tag(&facts.tag);
        let mut text = format!("typedef enum {tag}{{\n");
        let ours = self.ours.enumerations.get(name);
        for (member, value) in ordered {
            let since = facts
                .members
                .get(member)
                .and_then(|origin| origin.since.as_deref());
            let docs = self.docs(ours.and_then(|ours| ours.members.get(member)), "    ");
            text.push_str(&conditional(
                since,
                &format!("{docs}    {member} = {value},\n"),
            ));
        }
        let _ = writeln!(text, "}} {};", self.names(name));
        Ok(text)
    }

    /// The names after a typedef's braces: the type's name, and the name of a pointer to it if the kit has one.
    fn names(&self, name: &str) -> String {
        let pointer = pointer_name(name);
        if self.has_pointer(name) {
            format!("{name}, *{pointer}")
        } else {
            name.to_owned()
        }
    }

    /// Whether the kit has a pointer type with the usual name.
    pub(super) fn has_pointer(&self, name: &str) -> bool {
        let alias = self.kit.items.get(&pointer_name(name));
        matches!(alias.map(|item| &item.kind), Some(Kind::Alias { of }) if *of == format!("*mut {name}"))
    }

    fn record(&self, name: &str, record: &Record) -> Result<String, String> {
        let facts = self
            .facts
            .records
            .get(name)
            .ok_or("its members are not known")?;
        let fields = facts.fields.as_ref().ok_or("its layout is not known")?;
        let keyword = if record.union { "union" } else { "struct" };
        let mut text = format!("typedef {keyword} {}{{\n", tag(&facts.tag));
        self.members(name, name, record, fields, "    ", &mut text)?;
        let _ = writeln!(text, "}} {};", self.names(name));
        Ok(text)
    }

    /// The members of the record `name`, which is inside the record `outer`.
    fn members(
        &self,
        outer: &str,
        name: &str,
        record: &Record,
        fields: &Fields,
        indent: &str,
        text: &mut String,
    ) -> Result<(), String> {
        let facts = self.facts.records.get(outer);
        let ours = self.ours.records.get(outer);
        let mut unnamed = record
            .members
            .iter()
            .filter(|member| member.name.starts_with("Anonymous"));
        for field in &fields.fields {
            let origin = facts.and_then(|facts| facts.members.get(&field.name));
            let docs = self.docs(ours.and_then(|ours| ours.members.get(&field.name)), indent);
            let line = if let Some(width) = field.width {
                bitfield(field, width)?
            } else {
                let member = if field.name.is_empty() {
                    unnamed.next()
                } else {
                    record
                        .members
                        .iter()
                        .find(|member| plain(&member.name) == field.name)
                };
                let member = member
                    .ok_or_else(|| format!("member {} of {name} is not bound", field.name))?;
                match (
                    &field.inner,
                    self.kit.items.get(&member.ty).map(|item| &item.kind),
                ) {
                    (Some(inner), Some(Kind::Record(record))) => {
                        let keyword = if record.union { "union" } else { "struct" };
                        let mut nested = format!("{keyword} {{\n");
                        self.members(
                            outer,
                            &member.ty,
                            record,
                            inner,
                            &format!("{indent}    "),
                            &mut nested,
                        )?;
                        let _ = write!(nested, "{indent}}}");
                        if !field.name.is_empty() {
                            let _ = write!(nested, " {}", field.name);
                        }
                        nested
                    }
                    _ => declarator(&member.ty, &field.name)?,
                }
            };
            let since = origin.and_then(|origin| origin.since.as_deref());
            text.push_str(&conditional(since, &format!("{docs}{indent}{line};\n")));
        }
        Ok(())
    }

    /// The line of one entry of a table.
    pub(super) fn entry(
        &self,
        table: &str,
        entry: &str,
        since: Option<&str>,
    ) -> Result<String, String> {
        let Some(Kind::Record(record)) = self.kit.items.get(table).map(|item| &item.kind) else {
            return Err("it is not a table".to_owned());
        };
        let member = record.members.iter().find(|member| member.name == entry);
        let member = member.ok_or("it is not bound")?;
        let ours = self
            .ours
            .records
            .get(table)
            .and_then(|ours| ours.members.get(entry));
        let docs = self.docs(ours, "    ");
        Ok(conditional(
            since,
            &format!("{docs}    {};\n", declarator(&member.ty, entry)?),
        ))
    }

    /// The line of one member of an enumeration.
    pub(super) fn value(&self, enumeration: &str, member: &str) -> Result<String, String> {
        let Some(Kind::Enumeration { members, .. }) =
            self.kit.items.get(enumeration).map(|item| &item.kind)
        else {
            return Err("it is not an enumeration".to_owned());
        };
        let value = members.get(member).ok_or("it is not bound")?;
        let since = self
            .facts
            .enumerations
            .get(enumeration)
            .and_then(|facts| facts.members.get(member));
        let since = since.and_then(|origin| origin.since.as_deref());
        Ok(conditional(
            since,
            &format!("{}    {member} = {value},\n", self.docs(None, "    ")),
        ))
    }

    fn callback(&self, name: &str, prototype: &Prototype) -> Result<String, String> {
        let Some(Kind::Callback(signature)) = self.kit.items.get(name).map(|item| &item.kind)
        else {
            return Err("its types are not known".to_owned());
        };
        let parameters = parameters(prototype, &signature.parameters)?;
        let output = output(&signature.output)?;
        Ok(format!(
            "typedef {}{output}(WSKAPI *{name})({parameters});\n",
            level(&prototype.origin)
        ))
    }

    fn function(&self, name: &str, prototype: &Prototype) -> Result<String, String> {
        let Some(Kind::Function(signature)) = self.kit.items.get(name).map(|item| &item.kind)
        else {
            return Err("its types are not known".to_owned());
        };
        let parameters = parameters(prototype, &signature.parameters)?;
        let level = level(&prototype.origin).replace(' ', "\n");
        Ok(format!(
            "{level}{} {name}({parameters});\n",
            output(&signature.output)?
        ))
    }
}

/// A declaration under its condition.
fn conditional(since: Option<&str>, text: &str) -> String {
    match since {
        Some(since) => format!("#if (NTDDI_VERSION >= {since})\n{text}#endif // {since}\n"),
        None => text.to_owned(),
    }
}

/// The name of a pointer to a type.
pub(super) fn pointer_name(name: &str) -> String {
    format!("P{name}")
}

/// The tag followed by a space, if there is a tag.
fn tag(tag: &str) -> String {
    if names::is_unnamed(tag) {
        String::new()
    } else {
        format!("{tag} ")
    }
}

/// A member's name as it is in C.
fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

fn bitfield(field: &Field, width: usize) -> Result<String, String> {
    let ty = match field.size {
        1 => "UCHAR",
        2 => "USHORT",
        4 => "ULONG",
        8 => "ULONGLONG",
        other => return Err(format!("a bitfield of a type of {other} bytes")),
    };
    let name = if field.name.is_empty() {
        String::new()
    } else {
        format!("{} ", field.name)
    };
    Ok(format!("{ty} {name}: {width}"))
}

fn level(origin: &Origin) -> String {
    match origin.irql.as_deref() {
        None => String::new(),
        Some(irql) => match irql.strip_prefix("<= ") {
            Some(most) => format!("_IRQL_requires_max_({most}) "),
            None => format!("_IRQL_requires_({irql}) "),
        },
    }
}

fn output(ty: &str) -> Result<String, String> {
    if ty == "()" {
        Ok("VOID".to_owned())
    } else {
        declarator(ty, "").map(|text| text.trim_end().to_owned())
    }
}

fn parameters(prototype: &Prototype, types: &[(String, String)]) -> Result<String, String> {
    if types.is_empty() {
        return Ok("VOID".to_owned());
    }
    let lines: Result<Vec<String>, String> = prototype
        .parameters
        .iter()
        .zip(types)
        .map(|(parameter, (_, ty))| {
            let sal = parameter.sal.join(" ");
            let space = if sal.is_empty() { "" } else { " " };
            Ok(format!(
                "\n    {sal}{space}{}",
                declarator(ty, &parameter.name)?
            ))
        })
        .collect();
    Ok(lines?.join(","))
}

/// The C declaration of a name with a Rust type.
fn declarator(ty: &str, name: &str) -> Result<String, String> {
    let parsed: syn::Type =
        syn::parse_str(ty).map_err(|_| format!("the type {ty} cannot be written in C"))?;
    of_type(&parsed, name).ok_or_else(|| format!("the type {ty} cannot be written in C"))
}

fn of_type(ty: &syn::Type, name: &str) -> Option<String> {
    let spaced = |word: &str| {
        if name.is_empty() {
            word.to_owned()
        } else {
            format!("{word} {name}")
        }
    };
    match ty {
        syn::Type::Ptr(pointer) => {
            let constant = matches!(pointer.mutability, syn::PointerMutability::Const(_));
            let to = of_type(&pointer.elem, &format!("*{name}"))?;
            Some(if constant { format!("CONST {to}") } else { to })
        }
        syn::Type::Array(array) => {
            let count = match &array.len {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(count),
                    ..
                }) => count.base10_parse::<u64>().ok()?,
                _ => return None,
            };
            let count = if count == 0 {
                String::new()
            } else {
                count.to_string()
            };
            of_type(&array.elem, &format!("{name}[{count}]"))
        }
        syn::Type::Path(path) => {
            if let Some(function) = bare_function(ty) {
                let output = match &function.output {
                    syn::ReturnType::Default => "VOID".to_owned(),
                    syn::ReturnType::Type(_, ty) => of_type(ty, "")?,
                };
                let inputs: Option<Vec<String>> = function
                    .inputs
                    .iter()
                    .map(|input| {
                        let name = input.name.as_ref().map(|(name, _)| name.to_string());
                        of_type(&input.ty, &name.unwrap_or_default())
                    })
                    .collect();
                return Some(format!("{output}(NTAPI *{name})({})", inputs?.join(", ")));
            }
            let word = path.path.segments.last()?.ident.to_string();
            Some(spaced(match word.as_str() {
                "u8" => "UCHAR",
                "i8" => "CHAR",
                "u16" => "USHORT",
                "i16" => "SHORT",
                "u32" => "ULONG",
                "i32" => "LONG",
                "u64" => "ULONGLONG",
                "i64" => "LONGLONG",
                "usize" => "SIZE_T",
                "isize" => "LONG_PTR",
                "c_void" => "VOID",
                other => other,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::declarator;

    #[test]
    fn types_of_rust_in_c() {
        for (ty, c) in [
            ("u32", "ULONG a"),
            ("*mut c_void", "VOID *a"),
            ("*const WSK_BUF", "CONST WSK_BUF *a"),
            ("*mut *mut IRP", "IRP **a"),
            ("[u8; 4usize]", "UCHAR a[4]"),
            ("[u16; 0]", "USHORT a[]"),
            (
                "Option<unsafe extern \"system\" fn(b: u32) -> NTSTATUS>",
                "NTSTATUS(NTAPI *a)(ULONG b)",
            ),
        ] {
            assert_eq!(declarator(ty, "a").unwrap(), c);
        }
        assert!(declarator("(u8, u8)", "a").is_err());
    }
}
