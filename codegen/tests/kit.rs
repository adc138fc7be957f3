//! A kit made of the repository's own headers gives the same bindings as the headers themselves, byte for byte. Names, types,
//! annotations, conditions and documentation survive the kit's other SAL, other folders and other case.

#![allow(missing_docs)]

mod tiny;

use std::fs;

use wsk_codegen::interface::Interface;
use wsk_codegen::{Options, Source, coverage, verify};

/// Lays the repository's headers out as a kit. The case of its file names differs from that in the `#include`s.
fn kit_of_our_headers() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let version = root.path().join("include/10.0.22621.0");
    fs::create_dir_all(version.join("km")).unwrap();
    fs::create_dir_all(version.join("Shared")).unwrap();
    for entry in fs::read_dir(tiny::shipped()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "h") {
            continue;
        }
        let folder = if ["wsk.h", "wdm.h", "ntddk.h", "netioddk.h"].contains(&name.as_str()) {
            "km"
        } else {
            "Shared"
        };
        // The kit has none of our documentation, and its SAL defines the annotations as empty.
        let text: String = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| !line.trim_start().starts_with("///"))
            .map(|line| if name == "sal.h" { line.replace("WSK_SAL_ANNOTATE", "NEVER_DEFINED") } else { line.to_owned() } + "\n")
            .collect();
        fs::write(version.join(folder).join(name.to_uppercase()), text).unwrap();
    }
    root
}

#[test]
fn our_headers_as_a_kit_give_the_same_bytes() {
    let headers = Source::ours().unwrap();
    let options = Options::default();
    let ours = wsk_codegen::generate(&headers, &options).unwrap();
    let root = kit_of_our_headers();
    let theirs = wsk_codegen::generate(&tiny::source(root.path()).unwrap(), &options).unwrap();
    assert_eq!(ours.files().count(), theirs.files().count());
    for ((name, ours), (_, theirs)) in ours.files().zip(theirs.files()) {
        // Only the headers themselves give a checksum.
        let kept = |line: &&str| !line.contains("checksum");
        let same = ours.lines().filter(kept).eq(theirs.lines().filter(kept));
        assert!(same, "{name}: {}", first_difference(ours, theirs));
    }
}

fn first_difference(ours: &str, theirs: &str) -> String {
    let pairs = ours.lines().zip(theirs.lines());
    let mut different = pairs.filter(|(ours, theirs)| ours != theirs);
    different
        .next()
        .map_or_else(String::new, |(ours, theirs)| format!("{ours}\n{theirs}"))
}

#[test]
fn the_same_headers_give_the_same_bytes_twice() {
    let root = kit_of_our_headers();
    assert_eq!(
        tiny::generate_kit(root.path()).unwrap(),
        tiny::generate_kit(root.path()).unwrap()
    );
}

#[test]
fn every_name_is_covered_and_every_number_is_clang_s() {
    let root = kit_of_our_headers();
    let source = tiny::source(root.path()).unwrap();
    let covered = coverage::coverage(&source, &Options::default()).unwrap();
    let missing: Vec<_> = covered.missing().collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(covered.bound() > 250, "{}", covered.bound());
    let verified = verify::verify(&source, &Options::default()).unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
    assert!(
        verified
            .comparisons
            .iter()
            .all(|comparison| comparison.checks > 1000),
        "{verified:?}"
    );
}

#[test]
fn an_older_windows_has_less() {
    let root = kit_of_our_headers();
    let source = tiny::source(root.path()).unwrap();
    let of = |ntddi| {
        let output =
            wsk_codegen::generate(&source.clone().for_ntddi(Some(ntddi)), &Options::default())
                .unwrap();
        Interface::of_output(&output).unwrap()
    };
    let (vista, win8) = (of(0x0600_0000), of(0x0602_0000));
    assert!(!vista.items.contains_key("PFN_WSK_SEND_MESSAGES"));
    assert!(win8.items.contains_key("PFN_WSK_SEND_MESSAGES"));
    assert_eq!(
        win8.items["PFN_WSK_SEND_MESSAGES"].since.as_deref(),
        Some("NTDDI_WIN8")
    );
}

#[test]
fn one_architecture_by_itself() {
    let root = kit_of_our_headers();
    let source = tiny::source(root.path()).unwrap();
    for arch in wsk_codegen::Arch::ALL {
        let options = Options {
            arches: vec![arch],
            ..Options::default()
        };
        let verified = verify::verify(&source, &options).unwrap();
        assert_eq!(verified.differences(), 0, "{verified:?}");
    }
}

/// clang may declare an intrinsic with another type than Microsoft's compiler: clang 18 does so with this one. The kit's
/// declaration counts, but only for intrinsics.
#[test]
fn instructions_that_clang_declares_otherwise() {
    let wsk = b"#include <ntddk.h>\ntypedef struct _WSK_TINY { ULONG a; } WSK_TINY;";
    let root = tiny::kit(wsk);
    let path = root.path().join("Include/10.0.22621.0/km/NtDdk.h");
    let declares = |more: &str| {
        let text = format!(
            "#pragma once\n{}#ifdef __cplusplus\nextern \"C\" {{\n#endif\n{more}\n#ifdef __cplusplus\n}}\n#endif\n",
            tiny::NTDDK
        );
        fs::write(&path, text).unwrap();
        tiny::generate_kit(root.path())
    };
    let output = declares("#ifdef _ARM64_\nvoid __prefetch(int, int);\n#endif").unwrap();
    let all = tiny::text(&output);
    assert!(all.contains("pub struct WSK_TINY"), "{all}");
    assert!(
        !all.contains("__prefetch") && !all.contains("builtin"),
        "{all}"
    );
    let error = declares("int Twice(int);\nint Twice(char *, int);").unwrap_err();
    assert!(error.to_string().contains("Twice"), "{error}");
}
