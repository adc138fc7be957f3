//! The table of checks, and in which order they run.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::install;

/// The contents of `checks.toml`, which explains the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) check: Vec<Check>,
    pub(crate) install: BTreeMap<String, install::Tool>,
}

/// A check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) shows: String,
    pub(crate) folder: Option<String>,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    #[serde(default)]
    pub(crate) rust: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) may_lack: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) commands: Vec<Step>,
}

/// A command of a check.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    Line(String),
    Table(Judged),
}

/// A command with conditions.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judged {
    pub(crate) run: String,
    pub(crate) fails: Option<String>,
    pub(crate) optional: Option<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// The table of checks.
pub(crate) fn read() -> Table {
    toml::from_str(include_str!("../checks.toml")).unwrap_or_else(|error| panic!("{error}"))
}

impl Table {
    /// The checks that the words of a command line name.
    pub(crate) fn wanted(&self, words: &[String]) -> Vec<&Check> {
        let asked = |check: &&Check, word: &String| {
            let exact = self.check.iter().any(|check| check.name == *word);
            check.name == *word || !exact && check.name.contains(word.as_str())
        };
        { self.check.iter() }
            .filter(|check| words.is_empty() || words.iter().any(|word| asked(check, word)))
            .collect()
    }
}

/// The checks that wait, and the folders in which the running checks build.
pub(crate) struct Queue<'a> {
    waiting: Vec<&'a Check>,
    folders: Vec<Option<&'a str>>,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(checks: &[&'a Check]) -> Self {
        let (waiting, folders) = (checks.to_vec(), Vec::new());
        Self { waiting, folders }
    }

    /// The next check: the first whose folder no running check uses, or else the first.
    pub(crate) fn next(&mut self) -> Option<&'a Check> {
        let free = |check: &&Check| !self.folders.contains(&check.folder.as_deref());
        let index = self.waiting.iter().position(free).unwrap_or(0);
        let check = (index < self.waiting.len()).then(|| self.waiting.remove(index))?;
        self.folders.push(check.folder.as_deref());
        Some(check)
    }

    pub(crate) fn done(&mut self, check: &Check) {
        let folder = check.folder.as_deref();
        let index = self.folders.iter().position(|it| *it == folder);
        index.map(|index| self.folders.swap_remove(index));
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Step, read};

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let table = read();
        for check in &table.check {
            let same = table.check.iter().filter(|it| it.name == check.name);
            assert_eq!(same.count(), 1, "{}", check.name);
            assert!(!check.shows.is_empty() && !check.commands.is_empty());
            for need in &check.needs {
                assert!(table.install.contains_key(need), "{need}");
            }
            let asked = |program: &String| {
                let optional = |step: &Step| match step {
                    Step::Line(_) => false,
                    Step::Table(step) => step.optional.as_ref() == Some(program),
                };
                program == "rustup" && !check.rust.is_empty() || check.commands.iter().any(optional)
            };
            assert!(check.may_lack.iter().all(asked), "{}", check.name);
        }
    }

    #[test]
    fn a_whole_name_is_that_check_alone() {
        let table = read();
        let named = |word: &str| {
            let wanted = table.wanted(&[word.to_owned()]);
            wanted.iter().map(|it| it.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(named("windows"), ["windows"]);
        assert_eq!(
            named("sanitizer"),
            ["address-sanitizer", "thread-sanitizer"]
        );
        assert!(named("nothing of the kind").is_empty());
        assert_eq!(table.wanted(&[]).len(), table.check.len());
    }

    #[test]
    fn checks_that_build_in_one_folder_do_not_wait_for_each_other() {
        let table = read();
        let named = |name: &str| table.check.iter().find(|it| it.name == name).unwrap();
        let mut queue = Queue::new(&["lints", "tests", "miri", "demo"].map(named));
        let mut next = || queue.next().map(|check| check.name.as_str());
        assert_eq!(
            [next(), next(), next()],
            [Some("lints"), Some("miri"), Some("tests")]
        );
        queue.done(named("lints"));
        queue.done(named("tests"));
        assert_eq!(queue.folders, [Some("miri")]);
        assert!(queue.next().is_some() && queue.next().is_none());
    }
}
