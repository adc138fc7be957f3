//! Compares two interfaces: which items were added, removed or changed. Each change is spelled out, and classified by its effect
//! on users of `wsk-sys`. Together they give the version step.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::check::interface::{Interface, Item, Kind, Member, Record, Signature};
use crate::read::facts::WSK;

/// What a change means for code that was written for the old interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The code still compiles and has the same meaning.
    Compatible,
    /// The code may not compile, or may have another meaning.
    Breaking,
}

/// The step of a version number in semantic versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Nothing changed.
    None,
    /// Only documentation changed.
    Patch,
    /// Items were added.
    Minor,
    /// A change breaks code.
    Major,
}

impl Step {
    /// The step in words. Before 1.0 each step moves one place to the right.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor (patch before 1.0)",
            Self::Major => "major (minor before 1.0)",
        }
    }
}

/// One difference of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// What it means for existing code.
    pub class: Class,
    /// The difference in words.
    pub text: String,
}

/// How an item changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is different.
    Changed,
}

/// A change of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub item: String,
    /// The item's kind in a word.
    pub kind: &'static str,
    /// The header that declares it.
    pub header: String,
    /// How it changed.
    pub how: How,
    /// What the change means for existing code.
    pub class: Class,
    /// Each difference.
    pub details: Vec<Detail>,
}

/// All changes between two interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What the old interface is called.
    pub old: String,
    /// What the new interface is called.
    pub new: String,
    /// The version step that the changes need.
    pub step: Step,
    /// The changes, in the order of the items' names.
    pub changes: Vec<Change>,
}

/// Which items are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The items of `wsk.h`.
    Wsk,
    /// All.
    Everything,
}

impl Scope {
    /// Whether an item is compared.
    #[must_use]
    pub fn has(self, item: &Item) -> bool {
        self == Self::Everything || item.header == WSK
    }
}

/// Compares two interfaces.
#[must_use]
pub fn compare(old: (&str, &Interface), new: (&str, &Interface), scope: Scope) -> Diff {
    let names: BTreeSet<&String> = old.1.items.keys().chain(new.1.items.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let (before, after) = (old.1.items.get(name), new.1.items.get(name));
        let in_scope = before.into_iter().chain(after).any(|item| scope.has(item));
        if in_scope {
            let comparison = Comparison {
                old: old.1,
                new: new.1,
            };
            changes.extend(comparison.change(name, before, after));
        }
    }
    let step = changes.iter().map(step_of).max().unwrap_or(Step::None);
    Diff {
        old: old.0.to_owned(),
        new: new.0.to_owned(),
        step,
        changes,
    }
}

fn step_of(change: &Change) -> Step {
    if change.kind == UNBOUND {
        // Users of the bindings never see such an item.
        return Step::None;
    }
    match (change.class, change.how) {
        (Class::Breaking, _) => Step::Major,
        (Class::Compatible, How::Added) => Step::Minor,
        (Class::Compatible, _) => {
            let adds = change
                .details
                .iter()
                .any(|detail| detail.text.ends_with("is new"));
            if adds { Step::Minor } else { Step::Patch }
        }
    }
}

/// The kind of an item that is not bound.
const UNBOUND: &str = "not bound";

struct Comparison<'c> {
    old: &'c Interface,
    new: &'c Interface,
}

impl Comparison<'_> {
    fn change(&self, name: &str, before: Option<&Item>, after: Option<&Item>) -> Option<Change> {
        let (item, how, class, details) = match (before, after) {
            (None, None) => return None,
            (None, Some(item)) => {
                let details = vec![Detail {
                    class: Class::Compatible,
                    text: described(item),
                }];
                (item, How::Added, Class::Compatible, details)
            }
            (Some(item), None) => {
                let class = if item.kind.word() == UNBOUND {
                    Class::Compatible
                } else {
                    Class::Breaking
                };
                let details = vec![Detail {
                    class,
                    text: described(item),
                }];
                (item, How::Removed, class, details)
            }
            (Some(before), Some(after)) => {
                let details = self.details(before, after);
                let class = details.iter().map(|detail| detail.class).max()?;
                (after, How::Changed, class, details)
            }
        };
        Some(Change {
            item: name.to_owned(),
            kind: item.kind.word(),
            header: item.header.clone(),
            how,
            class,
            details,
        })
    }

    fn details(&self, before: &Item, after: &Item) -> Vec<Detail> {
        let mut details = Details(Vec::new());
        match (&before.kind, &after.kind) {
            (Kind::Record(before), Kind::Record(after)) => self.record(before, after, &mut details),
            (
                Kind::Enumeration { integer, members },
                Kind::Enumeration {
                    integer: new_integer,
                    members: new_members,
                },
            ) => {
                details.differ("its integer", integer, new_integer);
                enumeration(members, new_members, &mut details);
            }
            (Kind::Alias { of }, Kind::Alias { of: new }) => {
                details.differ(
                    "it stands for",
                    &self.old.resolved(of),
                    &self.new.resolved(new),
                );
            }
            (Kind::Callback(before), Kind::Callback(after))
            | (Kind::Function(before), Kind::Function(after)) => {
                self.signature(before, after, &mut details);
            }
            (
                Kind::Constant { ty, value },
                Kind::Constant {
                    ty: new_ty,
                    value: new_value,
                },
            ) => {
                details.differ(
                    "its type",
                    &self.old.resolved(ty),
                    &self.new.resolved(new_ty),
                );
                details.differ("its value", value, new_value);
            }
            (
                Kind::Macro {
                    signature,
                    examples,
                },
                Kind::Macro {
                    signature: new_signature,
                    examples: new_examples,
                },
            ) => {
                self.signature(signature, new_signature, &mut details);
                if examples != new_examples {
                    details.breaking(format!(
                        "its computation changed: {examples}, now {new_examples}"
                    ));
                }
            }
            (Kind::Unbound { by_hand, .. }, Kind::Unbound { .. }) => {
                let say = |item: &Item| match &item.kind {
                    Kind::Unbound { text, values, .. } if values.is_empty() => text.clone(),
                    Kind::Unbound { values, .. } => format!("values {}", values.join(", ")),
                    _ => String::new(),
                };
                let (old, new) = (say(before), say(after));
                if old != new {
                    let text = format!("the header says {new}, was {old}");
                    // Users have the items that are written by hand. They never saw the other ones.
                    if *by_hand {
                        details.breaking(format!("{text}: look at what is written by hand"));
                    } else {
                        details.compatible(text);
                    }
                }
            }
            (Kind::Unbound { by_hand: false, .. }, after) => {
                details.compatible(format!("the {} that was not bound is new", after.word()));
            }
            (before, after) => {
                details.breaking(format!(
                    "it was a {}, and is a {}",
                    before.word(),
                    after.word()
                ));
            }
        }
        since(
            "it",
            before.since.as_ref(),
            after.since.as_ref(),
            &mut details,
        );
        details.0
    }

    fn signature(&self, before: &Signature, after: &Signature, details: &mut Details) {
        let types = |signature: &Signature, interface: &Interface| -> Vec<String> {
            let types = signature
                .parameters
                .iter()
                .map(|(_, ty)| interface.resolved(ty));
            types.collect()
        };
        if types(before, self.old) != types(after, self.new) {
            details.breaking(format!(
                "its parameters: {}, now {}",
                listed(before),
                listed(after)
            ));
        } else if before.parameters != after.parameters {
            details.compatible(format!(
                "its parameters' names: {}, now {}",
                listed(before),
                listed(after)
            ));
        }
        let (old, new) = (
            self.old.resolved(&before.output),
            self.new.resolved(&after.output),
        );
        details.differ("its result", &old, &new);
        if before.directions != after.directions && details.0.is_empty() {
            let say = |directions: &Option<String>| {
                directions.clone().unwrap_or_else(|| "none".to_owned())
            };
            details.compatible(format!(
                "what its parameters are for: {}, now {}",
                say(&before.directions),
                say(&after.directions)
            ));
        }
    }

    fn record(&self, before: &Record, after: &Record, details: &mut Details) {
        if before.union != after.union {
            details.breaking("it changed between structure and union".to_owned());
        }
        let number = |value: Option<u64>| {
            value.map_or_else(|| "not known".to_owned(), |value| value.to_string())
        };
        self.bitfields(before, after, details);
        details.differ("its size", &number(before.size), &number(after.size));
        details.differ("its alignment", &number(before.align), &number(after.align));
        for old in &before.members {
            match after.members.iter().find(|new| new.name == old.name) {
                None => details.breaking(format!("member {} is gone", old.name)),
                Some(new) => self.member(old, new, details),
            }
        }
        for new in &after.members {
            if before.members.iter().all(|old| old.name != new.name) {
                let place = new
                    .offset
                    .map_or_else(String::new, |offset| format!(" at offset {offset}"));
                let text = format!("member {}: {}{place} is new", new.name, new.ty);
                // Code that makes a union names one member. Code that makes a structure may name all of them.
                if after.union && before.size == after.size {
                    details.compatible(text);
                } else {
                    details.breaking(text);
                }
            }
        }
    }

    fn bitfields(&self, before: &Record, after: &Record, details: &mut Details) {
        for old in &before.bitfields {
            let name = &old.name;
            let Some(new) = after.bitfields.iter().find(|new| new.name == *name) else {
                details.breaking(format!("bitfield {name} is gone"));
                continue;
            };
            let (ty, new_ty) = (self.old.resolved(&old.ty), self.new.resolved(&new.ty));
            details.differ(&format!("the type of bitfield {name}"), &ty, &new_ty);
            if ty == new_ty {
                details.differ(&format!("the bits of {name}"), &old.bits, &new.bits);
            }
        }
        for new in &after.bitfields {
            if before.bitfields.iter().all(|old| old.name != new.name) {
                details.compatible(format!("bitfield {}: {} is new", new.name, new.ty));
            }
        }
    }

    fn member(&self, before: &Member, after: &Member, details: &mut Details) {
        let name = &after.name;
        let (old, new) = (self.old.resolved(&before.ty), self.new.resolved(&after.ty));
        details.differ(&format!("the type of member {name}"), &old, &new);
        if let (Some(old), Some(new)) = (before.offset, after.offset) {
            details.differ(
                &format!("the offset of member {name}"),
                &old.to_string(),
                &new.to_string(),
            );
        }
        since(
            &format!("member {name}"),
            before.since.as_ref(),
            after.since.as_ref(),
            details,
        );
        if let (Some(old), Some(new)) = (&before.entry, &after.entry) {
            let function = |entry: &str| {
                let function = entry
                    .split_once("entry = ")
                    .map_or(entry, |(_, function)| function);
                function.to_owned()
            };
            let (old, new) = (function(old), function(new));
            if unnamed(&old) != unnamed(&new) {
                details.breaking(format!(
                    "the typed wrapper of {name} is derived from {new}, was derived from {old}"
                ));
            } else if old != new {
                details.compatible(format!(
                    "the parameters of {name} have other names: {new}, was {old}"
                ));
            }
        }
    }
}

/// The signature of an entry with numbers instead of parameter names: callers only see the order, and counts refer to parameters
/// by number.
fn unnamed(entry: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names: Vec<&str> = entry
        .match_indices(':')
        .filter(|(at, _)| !entry[..*at].ends_with(':') && !entry[at + 1..].starts_with(':'))
        .filter_map(|(at, _)| {
            let before = &entry[..at];
            let start = before
                .rfind(|c: char| !is_word(c))
                .map_or(0, |place| place + 1);
            Some(&before[start..]).filter(|name| !name.is_empty())
        })
        .collect();
    let mut text = String::new();
    let mut rest = entry;
    while let Some(start) = rest.find(is_word) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !is_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        text.push_str(before);
        match names.iter().position(|name| *name == word) {
            Some(place) => text.push_str(&place.to_string()),
            None => text.push_str(word),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn enumeration(
    before: &BTreeMap<String, i128>,
    after: &BTreeMap<String, i128>,
    details: &mut Details,
) {
    for (name, old) in before {
        match after.get(name) {
            None => details.breaking(format!("member {name} is gone")),
            Some(new) => details.differ(
                &format!("the value of member {name}"),
                &old.to_string(),
                &new.to_string(),
            ),
        }
    }
    for (name, value) in after {
        if !before.contains_key(name) {
            details.compatible(format!("member {name} = {value} is new"));
        }
    }
}

fn since(what: &str, before: Option<&String>, after: Option<&String>, details: &mut Details) {
    if before != after {
        let say = |since: Option<&String>| since.map_or("every release", String::as_str).to_owned();
        details.compatible(format!(
            "{what} is there from {} on, was {}",
            say(after),
            say(before)
        ));
    }
}

fn listed(signature: &Signature) -> String {
    let parameters = signature
        .parameters
        .iter()
        .map(|(name, ty)| format!("{name}: {ty}"));
    format!("({})", parameters.collect::<Vec<_>>().join(", "))
}

/// An item on one line.
#[must_use]
pub fn described(item: &Item) -> String {
    let since = item
        .since
        .as_ref()
        .map_or_else(String::new, |since| format!(", from {since} on"));
    let what = match &item.kind {
        Kind::Record(record) => {
            let size = record
                .size
                .map_or_else(|| "opaque".to_owned(), |size| format!("{size} bytes"));
            let members = record
                .members
                .iter()
                .map(|member| format!("{}: {}", member.name, member.ty));
            let members: Vec<String> = members.collect();
            format!("{size} {{ {} }}", members.join(", "))
        }
        Kind::Enumeration { members, .. } => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{name} = {value}"));
            members.collect::<Vec<_>>().join(", ")
        }
        Kind::Alias { of } => of.clone(),
        Kind::Callback(signature) | Kind::Function(signature) | Kind::Macro { signature, .. } => {
            format!("{} -> {}", listed(signature), signature.output)
        }
        Kind::Constant { ty, value } => format!("{ty} = {value}"),
        Kind::Unbound { what, text, .. } => format!("{what}: {text}"),
    };
    format!("{what}{since}")
}

struct Details(Vec<Detail>);

impl Details {
    fn breaking(&mut self, text: String) {
        self.0.push(Detail {
            class: Class::Breaking,
            text,
        });
    }

    fn compatible(&mut self, text: String) {
        self.0.push(Detail {
            class: Class::Compatible,
            text,
        });
    }

    fn differ(&mut self, what: &str, before: &str, after: &str) {
        if before != after {
            self.breaking(format!("{what}: {before}, now {after}"));
        }
    }
}

/// Which release has which items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Releases {
    /// The releases, in the order given.
    pub releases: Vec<String>,
    /// For each item that differs between releases: the state of the item in each release.
    pub items: BTreeMap<String, Vec<Presence>>,
    /// The items that are the same everywhere.
    pub same: Vec<String>,
}

/// The state of an item in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// The release does not have it.
    Absent,
    /// The item is there for the first time, or as in the last release that has it.
    Present,
    /// The item differs from the last release that has it.
    Changed,
}

/// Compares several interfaces.
#[must_use]
pub fn releases(interfaces: &[(String, Interface)], scope: Scope) -> Releases {
    let names: BTreeSet<&String> = interfaces
        .iter()
        .flat_map(|(_, interface)| &interface.items)
        .filter(|(_, item)| scope.has(item))
        .map(|(name, _)| name)
        .collect();
    let mut items = BTreeMap::new();
    let mut same = Vec::new();
    for name in names {
        let mut last: Option<(&Interface, &Item)> = None;
        let mut row = Vec::new();
        for (_, interface) in interfaces {
            let item = interface.items.get(name);
            row.push(match (last, item) {
                (_, None) => Presence::Absent,
                (Some((old, before)), Some(after)) => {
                    let comparison = Comparison {
                        old,
                        new: interface,
                    };
                    let changed = !comparison.details(before, after).is_empty();
                    if changed {
                        Presence::Changed
                    } else {
                        Presence::Present
                    }
                }
                (None, Some(_)) => Presence::Present,
            });
            if let Some(item) = item {
                last = Some((interface, item));
            }
        }
        if row.iter().all(|presence| *presence == Presence::Present) {
            same.push(name.clone());
        } else {
            items.insert(name.clone(), row);
        }
    }
    Releases {
        releases: interfaces.iter().map(|(name, _)| name.clone()).collect(),
        items,
        same,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Class, How, Presence, Scope, Step, compare, releases};
    use crate::check::interface::Interface;
    use crate::emit::output::Output;

    fn of(text: &str) -> Interface {
        let text = text.replace("pub ", "/// Header: `wsk.h`.\npub ");
        Interface::of_output(&Output::new(BTreeMap::from([("all.rs".to_owned(), text)]))).unwrap()
    }

    fn diff(old: &str, new: &str) -> super::Diff {
        compare(("old", &of(old)), ("new", &of(new)), Scope::Wsk)
    }

    #[test]
    fn nothing_changes_nothing() {
        let one = "pub const A: u32 = 1; pub type T = *mut u32;";
        assert_eq!(diff(one, one).step, Step::None);
    }

    #[test]
    fn each_change_has_its_class() {
        for (old, new, how, class, step) in [
            (
                "",
                "pub const A: u32 = 1;",
                How::Added,
                Class::Compatible,
                Step::Minor,
            ),
            (
                "pub const A: u32 = 1;",
                "",
                How::Removed,
                Class::Breaking,
                Step::Major,
            ),
            (
                "pub const A: u32 = 1;",
                "pub const A: u32 = 2;",
                How::Changed,
                Class::Breaking,
                Step::Major,
            ),
            (
                "pub const A: u32 = 1;",
                "pub type A = u32;",
                How::Changed,
                Class::Breaking,
                Step::Major,
            ),
            (
                "pub type F = Option<unsafe extern \"system\" fn(a: u32)>;",
                "pub type F = Option<unsafe extern \"system\" fn(b: u32)>;",
                How::Changed,
                Class::Compatible,
                Step::Patch,
            ),
            (
                "pub type F = Option<unsafe extern \"system\" fn(a: u32)>;",
                "pub type F = Option<unsafe extern \"system\" fn(a: u32, b: u32)>;",
                How::Changed,
                Class::Breaking,
                Step::Major,
            ),
        ] {
            let diff = diff(old, new);
            let [change] = diff.changes.as_slice() else {
                panic!("{old} -> {new}: {diff:?}")
            };
            assert_eq!(
                (change.how, change.class, diff.step),
                (how, class, step),
                "{old} -> {new}"
            );
        }
    }

    #[test]
    fn layout_changes_are_spelled_out() {
        let old = "#[repr(C)] pub struct S { a: u8 }
                   const _: () = { assert!(size_of::<S>() == 1); assert!(offset_of!(S, a) == 0); };";
        let new = "#[repr(C)] pub struct S { b: u32, a: u8 }
                   const _: () = { assert!(size_of::<S>() == 8); assert!(offset_of!(S, b) == 0); assert!(offset_of!(S, a) == 4); };";
        let changes = diff(old, new).changes;
        let details: Vec<&str> = changes[0]
            .details
            .iter()
            .map(|detail| detail.text.as_str())
            .collect();
        for detail in [
            "its size: 1, now 8",
            "the offset of member a: 0, now 4",
            "member b: u32 at offset 0 is new",
        ] {
            assert!(details.contains(&detail), "{detail} not in {details:?}");
        }
    }

    #[test]
    fn names_for_the_same_type_are_no_difference() {
        let old = "pub type P = *mut u32; pub const A: P = 0;";
        let new = "pub type P = *mut u32; pub const A: *mut u32 = 0;";
        assert_eq!(diff(old, new).changes, []);
    }

    #[test]
    fn items_by_release() {
        let one = (
            "1".to_owned(),
            of("pub const A: u32 = 1; pub const B: u32 = 1;"),
        );
        let two = (
            "2".to_owned(),
            of("pub const A: u32 = 1; pub const B: u32 = 2; pub const C: u32 = 1;"),
        );
        let table = releases(&[one, two], Scope::Wsk);
        assert_eq!(table.same, ["A"]);
        assert_eq!(table.items["B"], [Presence::Present, Presence::Changed]);
        assert_eq!(table.items["C"], [Presence::Absent, Presence::Present]);
    }
}
