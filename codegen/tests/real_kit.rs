//! Tests with real kits, which this repository may not contain: `WSK_TEST_WDK=ROOT` or `ROOT:SDKROOT` names one (with `;` between
//! the two on Windows). For every version in it, the tests generate bindings, verify them, check their coverage, and compare them
//! with our own headers.

#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs};

use wsk_codegen::diff::{self, Scope, Step};
use wsk_codegen::interface::{Interface, Kind};
use wsk_codegen::{Arch, Options, Output, Source, coverage, kit, releases, verify};

/// The kits to test, with the SDK. Without kits, prints that the test is skipped.
fn kits() -> Option<Vec<Source>> {
    let Some(named) = env::var_os("WSK_TEST_WDK") else {
        eprintln!("skipped: WSK_TEST_WDK names no kit (ROOT, or ROOT and the SDK's root)");
        return None;
    };
    let mut roots = env::split_paths(&named);
    let root: PathBuf = roots.next()?;
    let sdk = roots.next();
    let kits = kit::versions(&root).unwrap();
    Some(
        kits.iter()
            .map(|kit| Source::kit(kit, sdk.as_deref()).unwrap())
            .collect(),
    )
}

fn interface(source: &Source) -> Interface {
    Interface::of_output(&wsk_codegen::generate(source, &Options::default()).unwrap()).unwrap()
}

/// Our own headers' interface.
fn ours() -> &'static Interface {
    static OURS: OnceLock<Interface> = OnceLock::new();
    OURS.get_or_init(|| interface(&Source::ours().unwrap()))
}

/// The kits with their interfaces, oldest first.
fn interfaces() -> &'static [(Source, Interface)] {
    static THEIRS: OnceLock<Vec<(Source, Interface)>> = OnceLock::new();
    THEIRS.get_or_init(|| {
        let kits = kits().into_iter().flatten();
        kits.map(|source| {
            let interface = interface(&source);
            (source, interface)
        })
        .collect()
    })
}

#[test]
fn every_version_is_whole_and_right() {
    for source in kits().into_iter().flatten() {
        let covered = coverage::coverage(&source, &Options::default()).unwrap();
        assert_eq!(
            covered.missing().count(),
            0,
            "{}: {:?}",
            source.name(),
            covered.missing().collect::<Vec<_>>()
        );
        let verified = verify::verify(&source, &Options::default()).unwrap();
        assert_eq!(verified.differences(), 0, "{}: {verified:?}", source.name());
        assert!(!verified.comparisons.is_empty());
    }
}

/// Our headers declare what the newest kit's `wsk.h` declares: each item, each layout, each annotation of each table entry.
#[test]
fn the_newest_version_is_what_our_headers_say() {
    let Some((newest, theirs)) = interfaces().last() else {
        return;
    };
    let diff = diff::compare(("headers", ours()), (newest.name(), theirs), Scope::Wsk);
    assert_eq!(diff.changes, [], "{}", newest.name());
    assert_eq!(diff.step, Step::None);
    assert_eq!(entries(ours()), entries(theirs));
    assert!(entries(ours()).len() > 40);
}

/// Sizes, alignments and offsets are those of the newest kit, for the kernel's own records, too, and for each architecture on its
/// own.
#[test]
fn the_newest_version_has_the_numbers_of_our_headers() {
    let Some(newest) = kits().into_iter().flatten().next_back() else {
        return;
    };
    for arch in Arch::ALL {
        let ours = numbers(&Source::ours().unwrap(), arch);
        let theirs = numbers(&newest, arch);
        let both: Vec<&String> = ours.keys().filter(|of| theirs.contains_key(*of)).collect();
        assert!(both.len() > 900, "{arch:?}: {}", both.len());
        for of in both {
            assert_eq!(ours[of], theirs[of], "{of} for {arch:?}");
        }
    }
}

/// Functions that only `ntifs.h` declares. Winsock Kernel's clients need not include it.
const OF_FILE_SYSTEMS: [&str; 1] = ["RtlInitUnicodeStringEx"];

/// Each function that we import is a function in the newest kit, too, for each architecture. The kernel need not export a
/// function that the kit has as a macro.
#[test]
fn the_newest_version_has_the_functions_that_are_imported() {
    let Some(newest) = kits().into_iter().flatten().next_back() else {
        return;
    };
    for arch in Arch::ALL {
        let ours = functions(&generated(&Source::ours().unwrap(), arch));
        let theirs = functions(&generated(&newest, arch));
        let lacking: Vec<&String> = ours.difference(&theirs).collect();
        assert_eq!(lacking, OF_FILE_SYSTEMS, "{arch:?}");
        assert!(ours.len() > 150, "{arch:?}: {}", ours.len());
    }
}

fn generated(source: &Source, arch: Arch) -> Output {
    let options = Options {
        arches: vec![arch],
        ..Options::default()
    };
    wsk_codegen::generate(source, &options).unwrap()
}

fn functions(output: &Output) -> BTreeSet<String> {
    let (_, text) = output
        .files()
        .find(|(name, _)| *name == "functions.rs")
        .unwrap();
    let after = text.split("pub fn ").skip(1);
    after
        .filter_map(|rest| Some(rest.split_once('(')?.0.to_owned()))
        .collect()
}

/// The asserted numbers of layouts, by expression. The names of unnamed records do not count.
fn numbers(source: &Source, arch: Arch) -> BTreeMap<String, String> {
    let output = generated(source, arch);
    let (_, text) = output
        .files()
        .find(|(name, _)| *name == "layout.rs")
        .unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("assert!("));
    let asserted = lines.filter_map(|line| line.strip_suffix(");")?.split_once(" == "));
    let named = asserted.filter(|(of, _)| !of.contains("Anonymous"));
    named
        .map(|(of, number)| (of.to_owned(), number.to_owned()))
        .collect()
}

/// The declarations from which the typed wrappers are derived, token for token: by table and entry the signature, the
/// annotations, the first release and the IRQL.
fn entries(interface: &Interface) -> BTreeMap<(String, String), String> {
    let mut entries = BTreeMap::new();
    for (table, item) in &interface.items {
        let Kind::Record(record) = &item.kind else {
            continue;
        };
        for member in &record.members {
            if let Some(entry) = &member.entry {
                entries.insert((table.clone(), member.name.clone()), entry.clone());
            }
        }
    }
    entries
}

/// Every table entry of every kit has the typed wrapper that our headers give it.
#[test]
fn wrappers_are_the_same_in_every_version() {
    let ours = entries(ours());
    for (source, theirs) in interfaces() {
        let theirs = entries(theirs);
        assert!(theirs.len() > 30, "{}: {}", source.name(), theirs.len());
        for (entry, tokens) in &theirs {
            // The test `the_newest_version_is_what_our_headers_say` reports entries that our headers lack.
            if let Some(ours) = ours.get(entry) {
                assert_eq!(tokens, ours, "{entry:?} in {}", source.name());
            }
        }
    }
}

/// The text of a kit's `wsk.h` without comments.
fn wsk_text(source: &Source) -> String {
    let bytes = fs::read(source.find("wsk.h").unwrap()).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").unwrap().1;
    }
    code.push_str(rest);
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The header's text for each of the names: for a structure or enumeration the text between the braces, for a callback or
/// function its parameters, for a macro the rest of its line, and for any other name nothing.
fn said<'n>(text: &str, names: impl Iterator<Item = &'n String>) -> BTreeMap<&'n str, String> {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let flat: Vec<&str> = text.split_whitespace().collect();
    let flat = flat.join(" ");
    let after = |text: &str, start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split(end).next().unwrap_or_default().to_owned())
    };
    let mut said = BTreeMap::new();
    for name in names.filter(|name| words.contains(&name.as_str())) {
        let starts = [
            (format!("struct _{name} {{"), "}"),
            (format!("union _{name} {{"), "}"),
            (format!("enum _{name} {{"), "}"),
            (format!("* {name})"), ");"),
            (format!("*{name})"), ");"),
            (format!(" {name}("), ");"),
        ];
        let what = starts
            .iter()
            .find_map(|(start, end)| after(&flat, start, end))
            .or_else(|| after(text, &format!("#define {name} "), "\n"))
            .or_else(|| after(text, &format!("#define {name}("), "\n"))
            .unwrap_or_default();
        let words: Vec<&str> = what.split_whitespace().collect();
        said.insert(name.as_str(), words.join(" "));
    }
    said
}

/// `diff` reports, from each version to the next, the differences in the text of their `wsk.h`.
#[test]
fn the_diff_names_what_the_text_shows() {
    let mut differences = 0;
    for pair in interfaces().windows(2) {
        let [(old, before), (new, after)] = pair else {
            unreachable!()
        };
        let diff = diff::compare((old.name(), before), (new.name(), after), Scope::Wsk);
        let named: BTreeSet<&str> = diff
            .changes
            .iter()
            .map(|change| change.item.as_str())
            .collect();
        let items = before.items.iter().chain(&after.items);
        let items = items.filter(|(_, item)| item.header == "wsk.h");
        let all: BTreeSet<&String> = items.map(|(name, _)| name).collect();
        let (before, after) = (wsk_text(old), wsk_text(new));
        let before = said(&before, all.iter().copied());
        let after = said(&after, all.iter().copied());
        let shown: BTreeSet<&str> = all
            .iter()
            .map(|name| name.as_str())
            .filter(|name| before.get(name) != after.get(name))
            .collect();
        assert_eq!(named, shown, "{} to {}", old.name(), new.name());
        differences += named.len();
    }
    assert!(interfaces().len() < 10 || differences > 10, "{differences}");
}

/// The table of first kits agrees with the kits.
#[test]
fn items_are_in_the_kits_that_the_documentation_names() {
    for (source, interface) in interfaces() {
        for (name, item) in &ours().items {
            let Some(first) = releases::first_kit(name, &item.header) else {
                continue;
            };
            let is_there = interface.items.contains_key(name);
            let should = source.name() >= first;
            if item.since.is_none() && item.header == "wsk.h" {
                assert_eq!(is_there, should, "{name} in {}", source.name());
            }
        }
    }
}
