//! Mistakes that the types of `wsk` prevent: each file in `programs` is one, and the `.stderr` beside it has the compiler's
//! message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder here with this extension.
fn files(folder: &str, extension: &str) -> BTreeSet<PathBuf> {
    fs::read_dir(Path::new("tests").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// The names of files, without their extensions.
fn names(files: &BTreeSet<PathBuf>) -> BTreeSet<String> {
    files
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn misuse_does_not_compile() {
    let programs = trybuild::TestCases::new();
    // A correct program, which is run, makes trybuild build the others instead of only checking them: some mistakes are only
    // found when code is generated.
    programs.pass("tests/whole/send.rs");
    programs.compile_fail("tests/programs/*.rs");
}

/// Misuse of the macros: each file in `macros` is one.
#[test]
fn misuse_is_an_error_where_it_is_written() {
    let programs = trybuild::TestCases::new();
    programs.pass("tests/whole/events.rs");
    programs.compile_fail("tests/macros/*.rs");
}

#[test]
fn every_program_has_its_error_and_its_right_form() {
    let programs = names(&files("programs", "rs"));
    assert!(programs.len() >= 167, "{} programs", programs.len());
    assert_eq!(programs, names(&files("programs", "stderr")));
    assert_eq!(programs, names(&files("twins", "rs")));
}

#[test]
fn every_program_says_its_mistake_and_what_stops_it() {
    for path in files("programs", "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let said: Vec<_> = text.lines().map_while(|l| l.strip_prefix("//! ")).collect();
        assert!(said.len() >= 2, "{}: {said:?}", path.display());
        assert!(
            said.iter().all(|sentence| sentence.ends_with('.')),
            "{}: {said:?}",
            path.display()
        );
    }
}

#[test]
fn every_program_is_rejected_with_errors_alone() {
    for path in files("programs", "stderr") {
        let text = fs::read_to_string(&path).unwrap();
        let errors = text
            .lines()
            .filter(|line| line.starts_with("error"))
            .count();
        // The compiler may report one mistake several times.
        assert!((1..=3).contains(&errors), "{}:\n{text}", path.display());
        assert!(!text.contains("warning"), "{}:\n{text}", path.display());
    }
}

#[test]
fn a_program_and_its_right_form_differ_in_few_lines() {
    for path in files("programs", "rs") {
        let program = code(&path);
        let twin = code(&Path::new("tests/twins").join(path.file_name().unwrap()));
        let common = in_common(&program, &twin);
        // Only the program has the three lines of `main`.
        let changed = program.len() - 3 - common + twin.len() - common;
        assert!(
            (1..=14).contains(&changed),
            "{}: {changed} lines differ",
            path.display()
        );
    }
}

/// The lines of code in a file.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(str::to_owned)
        .collect()
}

/// How many lines two files share in order: the length of the longest common subsequence.
fn in_common(one: &[String], other: &[String]) -> usize {
    let mut lengths = vec![0; other.len() + 1];
    for line in one {
        let mut before = 0;
        for (index, candidate) in other.iter().enumerate() {
            let above = lengths[index + 1];
            lengths[index + 1] = if line == candidate {
                before + 1
            } else {
                above.max(lengths[index])
            };
            before = above;
        }
    }
    lengths[other.len()]
}
