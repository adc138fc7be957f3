//! Every function-like macro and every inline function of the headers is in `wsk-sys` under the same name: the build script
//! imports each one, so a missing one does not compile. The list of names that Rust does not need stays true.

use wsk_conformance::declared::{WITHOUT, expected, headers, inline};

/// Imports everything that the headers have.
mod imported {
    #![allow(unused_imports)]
    include!(concat!(env!("OUT_DIR"), "/imports.rs"));
}

#[test]
fn the_list_is_that_of_the_headers() {
    let names = inline(&headers()).unwrap();
    // A sample of each kind: inline function, function-like macro, other name of a macro, and a name that must not be in the
    // list.
    for name in [
        "IoSetCompletionRoutine",
        "IN4_ADDR_EQUAL",
        "WSA_CMSG_SPACE",
        "CMSG_SPACE",
        "CTL_CODE",
    ] {
        assert!(
            names.contains_key(name),
            "{name} was not found in the headers"
        );
    }
    for name in ["NTAPI", "WSK_BUF", "IoAllocateIrp", "_In_reads_", "AF_INET"] {
        assert!(
            !names.contains_key(name),
            "{name} is not an inline function"
        );
    }
    assert!(expected(&headers()).unwrap().len() > 100);
}

#[test]
fn what_rust_does_without_is_in_the_headers() {
    let names = inline(&headers()).unwrap();
    let sources = std::fs::read_dir(headers().join("../wsk-sys/src/inline")).unwrap();
    let rust: String = sources
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for (name, instead) in WITHOUT {
        assert!(
            names.contains_key(*name),
            "{name} is not in the headers any more"
        );
        assert!(!instead.is_empty());
        let there = [format!("fn {name}("), format!("macro_rules! {name} ")];
        assert!(
            there.iter().all(|there| !rust.contains(there)),
            "{name} is in wsk-sys now"
        );
    }
}

/// Names that the socket code of public drivers uses in addition to those of the socket headers, and the drivers that use them.
const OF_DRIVERS: &str = include_str!("../facts/kernel-names-of-wsk-drivers.csv");

#[test]
fn what_public_drivers_use_is_declared() {
    // The driver defines these, not the kit.
    const DRIVERS_OWN: &str = "POOL_ZERO_DOWN_LEVEL_SUPPORT";
    let mut words = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(headers()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let text = std::fs::read_to_string(path).unwrap();
            // A name in a comment is not declared.
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let line = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                words.extend(line.map(str::to_owned));
            }
        }
    }
    let rows: Vec<&str> = OF_DRIVERS.lines().skip(1).collect();
    assert!(rows.len() > 90, "only {} names", rows.len());
    let missing: Vec<_> = rows
        .iter()
        .filter(|row| {
            let name = row.split(',').next().unwrap_or_default();
            name != DRIVERS_OWN && !words.contains(name)
        })
        .collect();
    assert!(missing.is_empty(), "in no header: {missing:#?}");
}

#[test]
fn imported_means_usable() {
    assert_eq!(imported::MAKE_WSK_VERSION(1, 2), 0x0102);
}

#[test]
fn enumerations_print_their_names() {
    use wsk_sys::{POOL_TYPE, WSK_INSPECT_ACTION};
    let print = |value: &dyn std::fmt::Debug| format!("{value:?}");
    assert_eq!(print(&POOL_TYPE::NonPagedPoolNx), "NonPagedPoolNx");
    assert_eq!(print(&POOL_TYPE(77)), "POOL_TYPE(77)");
    assert_eq!(
        print(&WSK_INSPECT_ACTION::WskInspectReject),
        "WskInspectReject"
    );
}
