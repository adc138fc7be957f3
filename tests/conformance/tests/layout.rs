//! Compares the records of `wsk-sys` with those that clang makes from the headers for this host: C code that is compiled here and
//! Rust code agree on every size, alignment and offset.

#[cfg(without_c)]
compile_error!(
    "this test needs the C side, which was not compiled; see the warnings. Without clang: install it, 16 or newer \
     (Debian: `apt-get install clang-19`), or set WSK_CLANG"
);

use std::mem::offset_of;

/// The measurements of `wsk-sys`, with their names; written by the build script.
const RUST: &[(&str, usize)] = include!(concat!(env!("OUT_DIR"), "/layout.rs"));

unsafe extern "C" {
    safe static c_layout: [usize; RUST.len()];
    safe static c_layout_length: usize;
}

/// The differences of two measurements of the same records.
fn differences(rust: &[(&str, usize)], c: &[usize]) -> Vec<String> {
    let pairs = rust.iter().zip(c);
    pairs
        .filter(|((_, rust), c)| rust != *c)
        .map(|((name, rust), c)| format!("{name}: {rust} in Rust, {c} in C"))
        .collect()
}

#[test]
fn every_record_agrees() {
    assert_eq!(c_layout_length, RUST.len());
    let different = differences(RUST, &c_layout);
    assert!(
        different.is_empty(),
        "{} numbers differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn a_doctored_number_is_found() {
    for index in [0, RUST.len() / 2, RUST.len() - 1] {
        let mut c = c_layout;
        c[index] += 1;
        assert_eq!(differences(RUST, &c).len(), 1);
    }
}

#[test]
fn every_record_is_there() {
    // The generator's own list: each record whose size it asserts, except those that C cannot name.
    let asserted = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../wsk-sys/src/generated/layout.rs"
    ))
    .unwrap();
    let mut count = 0;
    for line in asserted.lines().filter(|line| line.contains("size_of::")) {
        let name = line.split(['<', '>']).nth(1).unwrap().trim();
        let nameless = name
            .rsplit('_')
            .next()
            .is_some_and(|last| last.starts_with("Anonymous"));
        let wanted = if nameless {
            format!(" in {name}")
        } else {
            format!("size of {name}")
        };
        // Nothing of these can be measured, because their parts are bitfields.
        let of_bits = [
            "KDEVICE_QUEUE_Anonymous1_Anonymous1",
            "SCOPE_ID_Anonymous1_Anonymous1",
        ];
        if !of_bits.contains(&name) {
            assert!(
                RUST.iter().any(|(measured, _)| measured.ends_with(&wanted)),
                "{name} is not measured"
            );
        }
        count += 1;
    }
    assert!(count > 100, "only {count} records were found");
}
