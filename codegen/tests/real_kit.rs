//! Real kits, which this repository may not hold: `WSK_TEST_WDK=ROOT` or `ROOT:SDKROOT` names one (with `;` between the two
//! on Windows). Every version of it is generated, verified, covered, and compared with our own headers.

#![allow(missing_docs)]

use std::env;
use std::path::PathBuf;

use wsk_codegen::diff::{self, Scope, Step};
use wsk_codegen::interface::{Interface, Kind};
use wsk_codegen::{Options, Source, coverage, kit, releases, verify};

/// The kits to test, with the SDK, or a word that there are none.
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

/// The newest kit's `wsk.h` is what our headers declare: each item, each layout, each annotation of each table entry.
#[test]
fn the_newest_version_is_what_our_headers_say() {
    let Some(newest) = kits().and_then(|mut kits| kits.pop()) else {
        return;
    };
    let ours = interface(&Source::headers(&Source::shipped()).unwrap());
    let theirs = interface(&newest);
    let diff = diff::compare(("headers", &ours), (newest.name(), &theirs), Scope::Wsk);
    assert_eq!(diff.changes, [], "{}", newest.name());
    assert_eq!(diff.step, Step::None);
    let entries = |interface: &Interface| -> Vec<String> {
        let records = interface
            .items
            .values()
            .filter_map(|item| match &item.kind {
                Kind::Record(record) => Some(record),
                _ => None,
            });
        records
            .flat_map(|record| &record.members)
            .filter_map(|member| member.entry.clone())
            .collect()
    };
    assert_eq!(
        entries(&ours),
        entries(&theirs),
        "what the typed wrappers are derived from"
    );
    assert!(entries(&ours).len() > 40);
}

/// What the table of first kits says is what the kits have.
#[test]
fn items_are_in_the_kits_that_the_documentation_names() {
    let Some(kits) = kits() else { return };
    for source in kits {
        let interface = interface(&source);
        let ours = self::interface(&Source::headers(&Source::shipped()).unwrap());
        for (name, item) in &ours.items {
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
