//! The records of the generated bindings, and the C spelling of the path to each member. The build script includes this file,
//! too, and writes the Rust and C code that measures them.

use std::collections::BTreeMap;

/// One number: its name, the Rust expression and the C expression for it.
#[derive(Debug)]
pub struct Measurement {
    /// The measured quantity, in Rust's words.
    pub name: String,
    /// The number in Rust.
    pub rust: String,
    /// The number in C.
    pub c: String,
}

/// Members with another spelling in C: C++ has a named first member where C has its contents in place, and Rust does not allow a
/// keyword.
const OTHERWISE: &[(&str, &str)] = &[
    ("Basic", "WskControlSocket"),
    ("Reservation", "StartPort"),
    ("type_", "type"),
];

/// The measurements for the records in the text of the generated files: size, alignment, and the offset of each member. Unnamed
/// records are measured through the record that contains them. If the member is unnamed in C, too, the inner record has no size
/// and alignment of its own.
#[must_use]
pub fn measurements(records: &str) -> Vec<Measurement> {
    let records = parse(records);
    let mut all = Vec::new();
    for (name, record) in &records {
        let (root, path) = way(&records, name);
        let kind = records[&root].kind;
        // Typedef names are in upper case. Any other name is only a tag.
        let c_root = if root.starts_with(char::is_lowercase) {
            format!("{kind} {root}")
        } else {
            root.clone()
        };
        let c_path: Vec<&str> = path
            .iter()
            .map(String::as_str)
            .filter(|member| !is_unnamed(member))
            .collect();
        let nameless = path.last().is_some_and(|member| is_unnamed(member));
        if !nameless {
            let c_type = if path.is_empty() {
                c_root.clone()
            } else {
                format!("__typeof__((({c_root} *)0)->{})", c_path.join("."))
            };
            all.push(Measurement {
                name: format!("size of {name}"),
                rust: format!("size_of::<wsk_sys::{name}>()"),
                c: format!("sizeof({c_type})"),
            });
            all.push(Measurement {
                name: format!("alignment of {name}"),
                rust: format!("align_of::<wsk_sys::{name}>()"),
                c: format!("TYPE_ALIGNMENT({c_type})"),
            });
        }
        for (member, _) in record
            .members
            .iter()
            .filter(|(member, _)| !is_unnamed(member))
        {
            let spelling = OTHERWISE.iter().find(|(rust, _)| rust == member);
            let there = spelling.map_or(member.as_str(), |(_, c)| c);
            let rust_path: Vec<&str> = path
                .iter()
                .map(String::as_str)
                .chain([member.as_str()])
                .collect();
            let c_path: Vec<&str> = c_path.iter().copied().chain([there]).collect();
            all.push(Measurement {
                name: format!("offset of {member} in {name}"),
                rust: format!("offset_of!(wsk_sys::{root}, {})", rust_path.join(".")),
                c: format!("__builtin_offsetof({c_root}, {})", c_path.join(".")),
            });
        }
    }
    all
}

struct Record {
    kind: &'static str,
    /// Members with their types, without those that stand for padding or bitfields.
    members: Vec<(String, String)>,
}

/// Records by name, without opaque records and those of another architecture.
fn parse(text: &str) -> BTreeMap<String, Record> {
    let mut records = BTreeMap::new();
    let mut open: Option<(String, Record)> = None;
    let mut elsewhere = false;
    for line in text.lines() {
        // Blank lines are only between items.
        if line.is_empty() {
            elsewhere = false;
        }
        if let Some(arch) = line.strip_prefix("#[cfg(target_arch = \"") {
            elsewhere = !arch.starts_with(std::env::consts::ARCH);
        }
        if elsewhere {
            continue;
        }
        for (start, kind) in [("pub struct ", "struct"), ("pub union ", "union")] {
            if let Some(name) = line
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(" {"))
            {
                open = Some((
                    name.to_owned(),
                    Record {
                        kind,
                        members: Vec::new(),
                    },
                ));
            }
        }
        if let Some((_, record)) = &mut open
            && let Some((member, ty)) = line
                .strip_prefix("    pub ")
                .and_then(|rest| rest.split_once(": "))
            && !["_bindgen", "__bindgen", "_address", "Bitfield"]
                .iter()
                .any(|made_up| member.starts_with(made_up))
        {
            record
                .members
                .push((member.to_owned(), ty.trim_end_matches(',').to_owned()));
        }
        if line == "}"
            && let Some((name, record)) = open.take()
            && (!record.members.is_empty() || name.contains("_Anonymous"))
        {
            records.insert(name, record);
        }
    }
    records
}

/// The record with a C name that contains a record, and the path to it. `None` for a record that has a name itself.
fn way(records: &BTreeMap<String, Record>, name: &str) -> (String, Vec<String>) {
    let owner = records.iter().find_map(|(owner, record)| {
        let member = record.members.iter().find(|(_, ty)| ty == name)?;
        name.strip_prefix(owner.as_str())?
            .starts_with('_')
            .then_some((owner, &member.0))
    });
    let Some((owner, member)) = owner else {
        return (name.to_owned(), Vec::new());
    };
    let (root, mut path) = way(records, owner);
    path.push(member.clone());
    (root, path)
}

fn is_unnamed(member: &str) -> bool {
    member
        .strip_prefix("Anonymous")
        .is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
}
