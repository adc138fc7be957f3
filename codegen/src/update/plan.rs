//! The plan of an update: what our headers lack or have in another form, the changed headers, the code generated from them, and
//! what is left to decide or to write by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::check::diff::{self, Diff, How, Scope};
use crate::check::interface::{Interface, Kind};
use crate::check::{coverage, verify};
use crate::emit::generate::{Options, generate};
use crate::emit::output::Output;
use crate::error::Error;
use crate::find::source::{Arch, Source};
use crate::find::{libclang, ntddi};
use crate::read::facts::{Reading, WSK};
use crate::read::{reader, tables};
use crate::update::draft::{Drafts, pointer_name};
use crate::update::edit;

/// The result of planning an update.
#[derive(Debug)]
pub struct Plan {
    /// The items of the kit that our headers lack or have in another form.
    pub news: Diff,
    /// Questions that somebody must decide before anything is written.
    pub decisions: Vec<String>,
    /// Changes that could not be made automatically, with reasons. They must be made by hand before anything is written.
    pub by_hand: Vec<String>,
    /// What somebody should look at afterwards.
    pub notes: Vec<String>,
    /// The headers that change, with their new text.
    pub headers: BTreeMap<PathBuf, String>,
    /// The code generated from them.
    pub output: Output,
}

/// Plans how to bring the items of `kit` into the headers of the repository at `root`. `decided` names the first version with a
/// table's entry that is under no condition: `WskConnectEx`, `NTDDI_WIN10_RS2`. `tell` receives a message at each step.
///
/// # Errors
///
/// When the kit or the headers cannot be read, or nothing can be generated from them.
pub fn plan(
    kit: &Source,
    root: &Path,
    decided: &BTreeMap<String, String>,
    options: &Options,
    tell: &dyn Fn(&str),
) -> Result<Plan, Error> {
    tell("reading our own headers");
    let ours = Source::headers(&root.join("headers"))?;
    let our_interface = coverage::interface(&ours, options, &generate(&ours, options)?)?;
    tell(&format!("reading {}", kit.name()));
    let kit_interface = coverage::interface(kit, options, &generate(kit, options)?)?;
    let news = diff::compare(
        ("headers", &our_interface),
        (kit.name(), &kit_interface),
        Scope::Wsk,
    );
    let (our_reading, kit_reading) = {
        let clang = libclang::load()?;
        let ours = reader::read_ours(&clang, &ours, Arch::X86_64)?;
        let theirs = reader::read(&clang, kit, Arch::X86_64, Some(&ours))?;
        (ours, theirs)
    };
    let drafts = Drafts {
        kit: &kit_interface,
        facts: &kit_reading.facts,
        constants: &kit_reading.constants,
        ours: &our_reading.facts,
        words: format!("(New in {}: to be described.)", kit.name()),
    };
    tell("drafting the missing declarations");
    let path = root.join("headers").join(WSK);
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let mut draft = Draft {
        drafts: &drafts,
        decided,
        ours: &our_interface,
        kit: &kit_interface,
        our_reading: &our_reading,
        kit_reading: &kit_reading,
        lines: text.lines().map(str::to_owned).collect(),
        decisions: Vec::new(),
        by_hand: Vec::new(),
        notes: Vec::new(),
    };
    draft.take(&news);
    let Draft {
        lines,
        decisions,
        by_hand,
        notes,
        ..
    } = draft;
    let mut headers = BTreeMap::new();
    let new = lines.join("\n") + "\n";
    if new != text.replace("\r\n", "\n") {
        headers.insert(path, new);
    }
    let mut plan = Plan {
        news,
        decisions,
        by_hand,
        notes,
        headers,
        output: Output::of("mod.rs", ""),
    };
    versions(&our_reading, &kit_reading, root, &mut plan)?;
    if plan.decisions.is_empty() && plan.by_hand.is_empty() {
        tell("generating from the changed headers");
        try_out(&mut plan, root, kit, &kit_interface, options, tell)?;
    }
    Ok(plan)
}

/// When an entry was added to a table.
enum Since {
    /// In the first release, so it is under no condition.
    Always,
    /// In this version.
    Version(String),
    /// Somebody must decide.
    Undecided,
}

/// The headers while they are edited.
struct Draft<'d> {
    drafts: &'d Drafts<'d>,
    decided: &'d BTreeMap<String, String>,
    ours: &'d Interface,
    kit: &'d Interface,
    our_reading: &'d Reading,
    kit_reading: &'d Reading,
    lines: Vec<String>,
    decisions: Vec<String>,
    by_hand: Vec<String>,
    notes: Vec<String>,
}

impl Draft<'_> {
    fn take(&mut self, news: &Diff) {
        // Edits go from the end of the header to its beginning, so that earlier line numbers stay valid.
        let mut changed: Vec<(usize, &str)> = Vec::new();
        for change in &news.changes {
            let name = change.item.as_str();
            match change.how {
                How::Removed => self
                    .notes
                    .push(format!("{name} is in our headers, but not in the kit")),
                How::Changed => match self.line(name) {
                    Some(line) => changed.push((line, name)),
                    // An unnamed record or a pointer is declared with its owner, which is changed instead.
                    None if self.has_owner(name) => {}
                    None => self
                        .by_hand
                        .push(format!("{name} changed: {}", first(&change.details))),
                },
                How::Added => {}
            }
        }
        changed.sort_unstable();
        for (line, name) in changed.into_iter().rev() {
            if let Err(problem) = self.change(name, line) {
                self.by_hand.push(format!("{name}: {problem}"));
            }
        }
        let added: Vec<&str> = news
            .changes
            .iter()
            .filter(|change| change.how == How::Added)
            .map(|change| change.item.as_str())
            .collect();
        self.add(&added);
    }

    /// The line in our `wsk.h` that declares an item, from 0.
    fn line(&self, name: &str) -> Option<usize> {
        let facts = &self.our_reading.facts;
        if facts.aliases.contains_key(name) && self.has_owner(name) {
            return None;
        }
        let origin = facts.origin(name)?;
        (origin.header == WSK).then(|| (origin.line as usize).saturating_sub(1))
    }

    /// Whether another item's declaration declares this one, too: it is a pointer to that item, or a record inside it.
    fn has_owner(&self, name: &str) -> bool {
        let pointer = name
            .strip_prefix('P')
            .is_some_and(|of| self.kit.items.contains_key(of));
        let mut outer = name;
        let inside = std::iter::from_fn(|| {
            outer = outer.rsplit_once('_')?.0;
            Some(outer)
        });
        let records = &self.kit_reading.facts.records;
        pointer
            || !records.contains_key(name)
                && inside.into_iter().any(|outer| records.contains_key(outer))
    }

    fn change(&mut self, name: &str, line: usize) -> Result<(), String> {
        let block = edit::block(&self.lines, line);
        let (before, after) = (self.ours.items.get(name), self.kit.items.get(name));
        let (Some(before), Some(after)) = (before, after) else {
            return Err("only one of the two headers has it".to_owned());
        };
        match (&before.kind, &after.kind) {
            (Kind::Record(old), Kind::Record(new)) if name.ends_with("_DISPATCH") => {
                let names = |record: &crate::check::interface::Record| -> Vec<String> {
                    record
                        .members
                        .iter()
                        .map(|member| member.name.clone())
                        .collect()
                };
                let (old, new) = (names(old), names(new));
                if !new.starts_with(&old) {
                    return Err("the table's entries differ, and not only at its end".to_owned());
                }
                let mut text = String::new();
                for entry in &new[old.len()..] {
                    let since = match self.since(name, entry) {
                        Since::Always => None,
                        Since::Version(since) => Some(since),
                        Since::Undecided => continue,
                    };
                    text.push_str(&self.drafts.entry(name, entry, since.as_deref())?);
                }
                // Perhaps only parameter names of the entries' callbacks have changed.
                edit::append_member(&mut self.lines, block, &text)
            }
            (Kind::Enumeration { members: old, .. }, Kind::Enumeration { members: new, .. })
                if old
                    .iter()
                    .all(|(member, value)| new.get(member) == Some(value)) =>
            {
                let added = new.iter().filter(|(member, _)| !old.contains_key(*member));
                let mut added: Vec<(&i128, &String)> =
                    added.map(|(member, value)| (value, member)).collect();
                added.sort_unstable();
                let mut text = String::new();
                for (_, member) in added {
                    text.push_str(&self.drafts.value(name, member)?);
                }
                edit::append_member(&mut self.lines, block, &text)
            }
            (Kind::Unbound { by_hand: true, .. }, _) => {
                Err("it is written by hand in wsk-sys: change both".to_owned())
            }
            (Kind::Unbound { .. }, _) => Ok(()),
            _ => {
                let text = self.drafts.item(name)?;
                self.lines.splice(block, text.lines().map(str::to_owned));
                Ok(())
            }
        }
    }

    /// The release that added an entry to a table, from which its condition is written.
    fn since(&mut self, table: &str, entry: &str) -> Since {
        let members = self
            .kit_reading
            .facts
            .records
            .get(table)
            .map(|record| &record.members);
        let since = members.and_then(|members| members.get(entry)?.since.clone());
        if let Some(since) = since {
            return Since::Version(since);
        }
        if !table.starts_with("WSK_PROVIDER_") || tables::is_first(table, entry) {
            return Since::Always;
        }
        if let Some(since) = self.decided.get(entry) {
            return Since::Version(since.clone());
        }
        let kit = match &self.kit_reading.new_entry {
            Ok(value) => {
                ntddi::name_of(*value).map_or_else(|| format!("0x{value:08X}"), str::to_owned)
            }
            Err(_) => "NTDDI_…".to_owned(),
        };
        self.decisions.push(format!(
            "{table}::{entry} is under no condition: which release added it? The kit itself is of {kit}; say \\
             --decide {entry}={kit}, or an older one that is sure to have it"
        ));
        Since::Undecided
    }

    fn add(&mut self, added: &[&str]) {
        let line = |name: &str| {
            let origin = self.kit_reading.facts.origin(name);
            origin.map_or(0, |origin| origin.line)
        };
        let mut ordered: Vec<&str> = added.to_vec();
        ordered.sort_by_key(|name| (line(name), name.to_owned()));
        let (mut used, mut others) = (String::new(), String::new());
        for name in ordered {
            let owned = name.strip_prefix('P').is_some_and(|of| {
                added.contains(&of) && pointer_name(of) == name && self.drafts.has_pointer(of)
            });
            let is_inner =
                self.has_owner(name) && !self.kit_reading.facts.aliases.contains_key(name);
            if owned || is_inner {
                continue;
            }
            let kind = self.kit.items.get(name).map(|item| &item.kind);
            if let Some(Kind::Record(record)) = kind
                && name.ends_with("_DISPATCH")
            {
                let entries: Vec<String> = record
                    .members
                    .iter()
                    .map(|member| member.name.clone())
                    .collect();
                let undecided = entries
                    .iter()
                    .filter(|entry| matches!(self.since(name, entry), Since::Undecided))
                    .count();
                if undecided > 0 {
                    continue;
                }
            }
            match self.drafts.item(name) {
                Ok(text) => {
                    let types = matches!(
                        kind,
                        Some(
                            Kind::Record(_)
                                | Kind::Enumeration { .. }
                                | Kind::Alias { .. }
                                | Kind::Callback(_)
                        )
                    );
                    let part = if types && !name.ends_with("_DISPATCH") {
                        &mut used
                    } else {
                        &mut others
                    };
                    part.push_str(&text);
                    part.push('\n');
                }
                Err(problem) if matches!(kind, Some(Kind::Unbound { .. })) => {
                    self.notes.push(format!("{name}: {problem}"));
                }
                Err(problem) => self.by_hand.push(format!("{name}: {problem}")),
            }
        }
        // The later place comes first, so that the earlier line number stays valid.
        for (text, place) in [
            (others, edit::before_end(&self.lines)),
            (used, edit::before_tables(&self.lines)),
        ] {
            match place {
                _ if text.is_empty() => {}
                Some(at) => {
                    self.lines.splice(at..at, text.lines().map(str::to_owned));
                }
                None => self
                    .by_hand
                    .push(format!("our wsk.h has no place for\n{text}")),
            }
        }
    }
}

fn first(details: &[diff::Detail]) -> &str {
    details.first().map_or("", |detail| &detail.text)
}

/// Adds the names of versions that the new declarations need, and makes the newest one the version of the headers.
fn versions(ours: &Reading, theirs: &Reading, root: &Path, plan: &mut Plan) -> Result<(), Error> {
    let used: BTreeSet<String> = plan
        .headers
        .values()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("NTDDI_") && *word != "NTDDI_VERSION")
        .map(str::to_owned)
        .collect();
    let known =
        |name: &String| ours.constants.contains_key(name) || ours.facts.macros.contains_key(name);
    let new: Vec<String> = used.into_iter().filter(|name| !known(name)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let path = root.join("headers").join("sdkddkver.h");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(newest) = lines
        .iter()
        .position(|line| line.starts_with("#define WDK_NTDDI_VERSION"))
    else {
        plan.by_hand
            .push("our sdkddkver.h does not say which version is the newest".to_owned());
        return Ok(());
    };
    let mut values = Vec::new();
    for name in new {
        let value = theirs
            .constants
            .get(&name)
            .and_then(|constant| u32::try_from(constant.value).ok());
        match value.or_else(|| ntddi::of_name(&name)) {
            Some(value) => values.push((value, name)),
            None => plan.by_hand.push(format!(
                "{name} has no value: define it in headers/sdkddkver.h"
            )),
        }
    }
    values.sort();
    if let Some((_, name)) = values.last() {
        lines[newest] = format!("#define WDK_NTDDI_VERSION {name}");
    }
    let words = newest.saturating_sub(1);
    let defines = values.iter().flat_map(|(value, name)| {
        [
            format!("/// ({name}: to be described.)"),
            format!("#define {name} 0x{value:08X}"),
        ]
    });
    lines.splice(words..words, defines.collect::<Vec<_>>());
    for (value, name) in &values {
        if ntddi::name_of(*value).is_none() {
            plan.notes.push(format!(
                "{name} = 0x{value:08X} is new: add the build that it stands for to RELEASES in codegen/src/find/ntddi.rs"
            ));
        }
    }
    plan.headers.insert(path, lines.join("\n") + "\n");
    Ok(())
}

/// Generates code from the changed headers, compares it with the kit's, and verifies it.
fn try_out(
    plan: &mut Plan,
    root: &Path,
    kit: &Source,
    kit_interface: &Interface,
    options: &Options,
    tell: &dyn Fn(&str),
) -> Result<(), Error> {
    let io = |error| Error::io(std::env::temp_dir(), error);
    let folder = tempfile::tempdir().map_err(io)?;
    for entry in std::fs::read_dir(root.join("headers")).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_none_or(|extension| extension != "h") {
            continue;
        }
        let copy = folder.path().join(path.file_name().unwrap_or_default());
        match plan.headers.get(&path) {
            Some(text) => std::fs::write(&copy, text).map_err(io)?,
            None => std::fs::copy(&path, &copy).map(drop).map_err(io)?,
        }
    }
    let source = Source::headers(folder.path())?;
    plan.output = generate(&source, options)?;
    let interface = coverage::interface(&source, options, &plan.output)?;
    let left = diff::compare(
        ("headers", &interface),
        (kit.name(), kit_interface),
        Scope::Wsk,
    );
    for change in left.changes {
        let seen = matches!(
            kit_interface.items.get(&change.item).map(|item| &item.kind),
            Some(Kind::Unbound { .. }) | None
        );
        // Our headers may state a first release where the kit states none.
        let only_since = change
            .details
            .iter()
            .all(|detail| detail.text.contains("is there from"));
        if !seen && !only_since {
            plan.by_hand.push(format!(
                "{} still differs: {}",
                change.item,
                first(&change.details)
            ));
        }
    }
    if !plan.by_hand.is_empty() {
        return Ok(());
    }
    tell("verifying");
    let verified = verify::verify_output(&source, options, &plan.output)?;
    for comparison in &verified.comparisons {
        plan.by_hand.extend(comparison.differences.iter().cloned());
    }
    if verified.comparisons.is_empty() {
        plan.by_hand
            .push("nothing was verified: rustc is installed for none of the targets".to_owned());
    }
    for target in &verified.skipped {
        plan.notes.push(format!(
            "{target} was not verified: rustc is not installed for it"
        ));
    }
    Ok(())
}

/// The folder of the generated files in the repository.
const FOLDER: &str = "wsk-sys/src/generated";

/// The interface of the bindings in a git revision.
///
/// # Errors
///
/// When the revision does not exist, or contains no bindings.
pub fn released(root: &Path, revision: &str) -> Result<Interface, Error> {
    let git = |arguments: &[&str]| -> Result<String, Error> {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output();
        let output = output.map_err(|error| Error::io("git", error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::argument(
                revision,
                format!("is no revision with bindings: git says {said}"),
            ))
        }
    };
    let listed = git(&["ls-tree", "--name-only", &format!("{revision}:{FOLDER}")])?;
    let mut files = BTreeMap::new();
    for name in listed
        .lines()
        .filter(|name| name.strip_suffix(".rs").is_some())
    {
        let text = git(&["show", &format!("{revision}:{FOLDER}/{name}")])?;
        files.insert(name.to_owned(), text);
    }
    Interface::of_output(&Output::new(files))
}

/// The newest release: the last tag that looks like a version.
#[must_use]
pub fn last_release(root: &Path) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
        .output()
        .ok()?;
    let tag = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !tag.is_empty()).then_some(tag)
}

impl Plan {
    /// Writes the headers and the generated files of the repository at `root`.
    ///
    /// # Errors
    ///
    /// When a decision or manual work is left, or when a file cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), Error> {
        if !self.decisions.is_empty() || !self.by_hand.is_empty() {
            return Err(Error::argument(
                "the update",
                "is not complete: nothing is written",
            ));
        }
        let mut staged = Vec::new();
        for (path, text) in &self.headers {
            let folder = path.parent().unwrap_or(root);
            let mut file = tempfile::NamedTempFile::new_in(folder)
                .map_err(|error| Error::io(folder, error))?;
            std::io::Write::write_all(&mut file, text.as_bytes())
                .map_err(|error| Error::io(path, error))?;
            staged.push((path, file));
        }
        self.output.write(&root.join(FOLDER))?;
        for (path, file) in staged {
            file.persist(path)
                .map_err(|failed| Error::io(path, failed.error))?;
            crate::emit::output::readable_by_all(path)?;
        }
        Ok(())
    }
}
