//! The table of rules in `README.md` names every test that breaks one, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names between backticks in the last column of the tables under "Rules".
fn named(readme: &str) -> BTreeSet<String> {
    let (_, rules) = readme.split_once("\n## Rules\n").expect("a chapter");
    let (rules, _) = rules.split_once("\n## ").expect("a chapter after that");
    let tests = rules
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter_map(|row| row.rsplit_once(" | "))
        .flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2));
    tests.map(str::to_owned).collect()
}

/// The tests of a file that break a rule: those that expect a bug check, by themselves or through a function of the file.
fn breaking(source: &str) -> BTreeSet<String> {
    let mut expecting: BTreeSet<&str> = BTreeSet::from(["expect_bugcheck"]);
    let functions: Vec<(bool, &str, &str)> = source
        .split("\n}\n")
        .filter_map(|item| {
            let (head, body) = item.split_once("fn ")?;
            let (name, _) = body.split_once(['(', '<'])?;
            Some((head.contains("#[test]"), name, body))
        })
        .collect();
    for (is_test, name, body) in &functions {
        if !is_test && body.contains("expect_bugcheck(") {
            expecting.insert(name);
        }
    }
    functions
        .iter()
        .filter(|(is_test, name, body)| {
            let calls = |function: &&str| {
                *function != *name
                    && (body.contains(&format!("{function}("))
                        || body.contains(&format!("{function}::<")))
            };
            *is_test && expecting.iter().any(calls)
        })
        .map(|(_, name, _)| (*name).to_owned())
        .collect()
}

#[test]
fn the_table_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut breaking_a_rule = BTreeSet::new();
    for file in fs::read_dir(root.join("tests")).unwrap() {
        let path = file.unwrap().path();
        let is_this_one = path.ends_with("rules.rs");
        if !is_this_one && path.extension().is_some_and(|extension| extension == "rs") {
            breaking_a_rule.extend(breaking(&fs::read_to_string(path).unwrap()));
        }
    }
    let named = named(&readme);
    let missing: Vec<_> = breaking_a_rule.difference(&named).collect();
    assert!(
        missing.is_empty(),
        "tests that break a rule and aren't in the table of tests/host/README.md, beside their rule: {missing:?}"
    );
    let gone: Vec<_> = named.difference(&breaking_a_rule).collect();
    assert!(
        gone.is_empty(),
        "the table of tests/host/README.md names tests that don't break a rule (any more): {gone:?}"
    );
}

#[test]
fn tests_that_break_a_rule_are_told_apart() {
    let source = "\
#[test]
fn breaks() {
    expect_bugcheck(VERIFIER, || ());
}

#[test]
fn keeps() {
    assert_eq!(1, 1);
}

fn expects(code: &str) {
    expect_bugcheck(code, || ());
}

#[test]
fn breaks_too() {
    expects(FREED);
}
";
    assert_eq!(
        breaking(source),
        BTreeSet::from(["breaks".to_owned(), "breaks_too".to_owned()])
    );
}
