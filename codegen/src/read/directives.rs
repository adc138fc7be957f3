//! The preprocessor directives in a header's text: which macros it may define, and which `NTDDI_VERSION` a line requires. clang
//! reports neither, because it only reports the branch that it took.

use std::rc::Rc;

use crate::find::ntddi;

/// A directive without comments, with its continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// The line on which it begins, from 0.
    pub line: usize,
    /// `if`, `define` and so on.
    pub name: String,
    /// What follows the name.
    pub rest: String,
}

/// A macro as `#define` declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Define {
    /// Its name.
    pub name: String,
    /// Its parameters, if it is function-like.
    pub parameters: Option<Vec<String>>,
    /// Its replacement text.
    pub body: String,
}

/// Decodes the text of a header: UTF-8 without its byte order mark. Invalid bytes are replaced.
#[must_use]
pub(crate) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// The directives of `text`, in order.
#[must_use]
pub(crate) fn directives(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    for (line, code) in logical_lines(text) {
        let Some(directive) = code.trim_start().strip_prefix('#') else {
            continue;
        };
        let directive = directive.trim_start();
        let end = directive
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(directive.len());
        let (name, rest) = directive.split_at(end);
        if !name.is_empty() {
            found.push(Directive {
                line,
                name: name.to_owned(),
                rest: rest.trim().to_owned(),
            });
        }
    }
    found
}

/// The macros that `text` defines, whatever the conditions around them.
#[must_use]
pub(crate) fn defines(text: &str) -> Vec<Define> {
    directives(text)
        .iter()
        .filter(|directive| directive.name == "define")
        .filter_map(|directive| define(&directive.rest))
        .collect()
}

fn define(rest: &str) -> Option<Define> {
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (parameters, body) = match after.strip_prefix('(') {
        None => (None, after),
        Some(list) => {
            let (list, body) = list.split_once(')')?;
            let names = list.split(',').map(|name| name.trim().to_owned());
            (Some(names.filter(|name| !name.is_empty()).collect()), body)
        }
    };
    Some(Define {
        name: name.to_owned(),
        parameters,
        body: body.trim().to_owned(),
    })
}

/// For each line of `text`, the version that it requires: `NTDDI_WIN8`, or a number. If there are several, the latest one.
#[must_use]
pub(crate) fn conditions(text: &str) -> Vec<Option<Rc<str>>> {
    let mut since = vec![None; text.lines().count()];
    let mut stack: Vec<Branch> = Vec::new();
    let mut covered = 0;
    for directive in directives(text) {
        let version = latest_of(&stack);
        fill(&mut since, covered..directive.line, version.as_ref());
        covered = directive.line;
        match directive.name.as_str() {
            "if" | "ifdef" | "ifndef" => stack.push(Branch::of(&directive)),
            "elif" | "elifdef" | "elifndef" => {
                if let Some(top) = stack.last_mut() {
                    *top = Branch::of(&directive);
                }
            }
            "else" => {
                if let Some(top) = stack.last_mut() {
                    *top = Branch {
                        since: top.until.take(),
                        until: None,
                    };
                }
            }
            "endif" => {
                stack.pop();
            }
            _ => {}
        }
    }
    let version = latest_of(&stack);
    let end = since.len();
    fill(&mut since, covered..end, version.as_ref());
    since
}

/// A branch of a conditional: the version from which it applies, and the version before which it stops.
struct Branch {
    since: Option<Rc<str>>,
    until: Option<Rc<str>>,
}

impl Branch {
    fn of(directive: &Directive) -> Self {
        let condition = match directive.name.as_str() {
            "if" | "elif" => directive.rest.as_str(),
            _ => "",
        };
        // With `||`, the condition may also hold on an older version, or on something other than Windows. The same is true of a
        // negated condition with several parts.
        if condition.contains("||") || denies_several(condition) {
            return Self {
                since: None,
                until: None,
            };
        }
        let parts = condition.split("&&");
        let bounds = parts.clone().filter_map(bound);
        let since = latest(bounds.filter(|bound| bound.0).map(|bound| bound.1));
        let since = since.map(Rc::from);
        let until = if parts.count() == 1 {
            bound(condition)
                .filter(|bound| !bound.0)
                .map(|bound| bound.1.into())
        } else {
            None
        };
        Self { since, until }
    }
}

/// Whether a condition has a `!` before parentheses around more than one part.
fn denies_several(condition: &str) -> bool {
    condition.match_indices('!').any(|(at, _)| {
        let rest = condition[at + 1..].trim_start();
        let mut depth = 0_i32;
        let end = rest.find(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth <= 0
        });
        rest[..end.unwrap_or(rest.len())].contains("&&")
    })
}

/// `(true, NTDDI_WIN7)` for `(NTDDI_VERSION >= NTDDI_WIN7)`, `(false, …)` for `NTDDI_VERSION < …`.
fn bound(condition: &str) -> Option<(bool, String)> {
    let condition = condition.trim();
    let (negated, condition) = match condition.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, condition),
    };
    let condition: String = condition
        .chars()
        .filter(|c| !matches!(c, '(' | ')' | ' ' | '\t'))
        .collect();
    let (left, operator, right) = [">=", "<=", ">", "<"].iter().find_map(|operator| {
        let (left, right) = condition.split_once(operator)?;
        Some((left, *operator, right))
    })?;
    let (macro_name, operator, value) = if is_version(left) {
        (left, operator, right)
    } else if is_version(right) {
        let mirrored = match operator {
            ">=" => "<=",
            "<=" => ">=",
            ">" => "<",
            _ => ">",
        };
        (right, mirrored, left)
    } else {
        return None;
    };
    let value = version(macro_name, value)?;
    match operator {
        ">=" => Some((!negated, value)),
        "<" => Some((negated, value)),
        // `> X` starts with the release after X, whose name is not known here.
        _ => None,
    }
}

fn is_version(name: &str) -> bool {
    matches!(name, "NTDDI_VERSION" | "_WIN32_WINNT" | "WINVER")
}

/// The `NTDDI_VERSION` in a comparison.
fn version(macro_name: &str, value: &str) -> Option<String> {
    if macro_name == "NTDDI_VERSION" {
        let known = value.starts_with("NTDDI_") || ntddi::parse(value).is_ok();
        let word = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return (known && word).then(|| value.to_owned());
    }
    // A `_WIN32_WINNT` is the upper half of an `NTDDI_VERSION`.
    let half = match value {
        "_WIN32_WINNT_VISTA" | "_WIN32_WINNT_LONGHORN" | "_WIN32_WINNT_WIN6" => 0x0600,
        "_WIN32_WINNT_WIN7" => 0x0601,
        "_WIN32_WINNT_WIN8" => 0x0602,
        "_WIN32_WINNT_WINBLUE" => 0x0603,
        "_WIN32_WINNT_WIN10" => 0x0A00,
        _ => u16::try_from(ntddi::parse(value).ok()?).ok()?,
    };
    let whole = u32::from(half) << 16;
    Some(ntddi::name_of(whole).map_or_else(|| format!("0x{whole:08X}"), str::to_owned))
}

fn latest_of(stack: &[Branch]) -> Option<Rc<str>> {
    latest(stack.iter().filter_map(|branch| branch.since.clone()))
}

/// The latest version. A version with an unknown name is newer than all known ones.
fn latest<V: AsRef<str>>(versions: impl Iterator<Item = V>) -> Option<V> {
    versions.max_by_key(|version| ntddi::parse(version.as_ref()).unwrap_or(u32::MAX))
}

fn fill(since: &mut [Option<Rc<str>>], lines: std::ops::Range<usize>, version: Option<&Rc<str>>) {
    let end = lines.end.min(since.len());
    for line in since.iter_mut().take(end).skip(lines.start) {
        *line = version.cloned();
    }
}

/// Lines with their numbers. Comments are replaced by a space, and continued lines are joined.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut in_comment = false;
    let mut begun: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let (line, continues) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        // Few lines of a kit contain a directive or begin a comment.
        let interesting = begun.is_some() || in_comment;
        if !interesting && !may_matter(line.as_bytes()) {
            if continues {
                // Only the beginning of a line can make it a directive, so the continuation cannot.
                begun = Some((number, line.to_owned()));
            }
            continue;
        }
        let code = without_comments(line, &mut in_comment);
        let (first, mut whole) = begun.take().unwrap_or((number, String::new()));
        whole.push_str(&code);
        if continues {
            begun = Some((first, whole));
        } else {
            lines.push((first, whole));
        }
    }
    lines.extend(begun);
    lines
}

/// Whether a line may contain a directive, or begin a comment that continues on the next line.
fn may_matter(line: &[u8]) -> bool {
    let mut before = 0;
    for &byte in line {
        if byte == b'#' || (byte == b'*' && before == b'/') {
            return true;
        }
        before = byte;
    }
    false
}

fn without_comments(line: &str, in_comment: &mut bool) -> String {
    let mut code = String::new();
    let mut rest = line;
    loop {
        if *in_comment {
            match rest.split_once("*/") {
                Some((_, after)) => {
                    *in_comment = false;
                    code.push(' ');
                    rest = after;
                }
                None => return code,
            }
        }
        let Some(start) = comment_or_string(rest) else {
            code.push_str(rest);
            return code;
        };
        let (before, opened) = rest.split_at(start);
        code.push_str(before);
        if opened.starts_with("//") {
            return code;
        }
        if let Some(after) = opened.strip_prefix("/*") {
            *in_comment = true;
            rest = after;
            continue;
        }
        let end = end_of_string(opened);
        code.push_str(&opened[..end]);
        rest = &opened[end..];
    }
}

/// The text with its comments replaced by spaces. Its length stays the same.
pub(crate) fn without_comments_of(text: &[u8]) -> Vec<u8> {
    let mut blank = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let end = match &text[at..] {
            [b'/', b'/', ..] => text[at..].iter().position(|byte| *byte == b'\n'),
            [b'/', b'*', ..] => {
                let close = text[at + 2..].windows(2).position(|pair| pair == b"*/");
                close.map(|close| close + 4)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        let end = at + end.unwrap_or(text.len() - at);
        blank[at..end].fill(b' ');
        at = end;
    }
    blank
}

/// Where a comment or a string begins.
fn comment_or_string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&at| match bytes[at] {
        b'"' => true,
        b'/' => matches!(bytes.get(at + 1), Some(b'/' | b'*')),
        _ => false,
    })
}

/// The length of the string literal at the start of `text`. A literal that is not closed ends with the line.
fn end_of_string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{Define, conditions, decode, defines};

    fn of(text: &str) -> Vec<Option<Rc<str>>> {
        conditions(text)
    }

    #[test]
    fn a_condition_covers_its_lines_only() {
        let since = of(
            "a\n#if (NTDDI_VERSION >= NTDDI_WIN8)\nb\n#endif // (NTDDI_VERSION >= NTDDI_WIN8)\nc",
        );
        assert_eq!(since[2].as_deref(), Some("NTDDI_WIN8"));
        assert_eq!((&since[0], &since[4]), (&None, &None));
    }

    #[test]
    fn conditions_nest_and_else_is_not_the_version() {
        let since = of(
            "#ifdef __cplusplus\n#  if NTDDI_VERSION >= NTDDI_WIN10_RS2\na\n#  else\nb\n#  endif\nc\n#endif\nd",
        );
        assert_eq!(since[2].as_deref(), Some("NTDDI_WIN10_RS2"));
        assert!(since[4].is_none() && since[6].is_none() && since[8].is_none());
    }

    #[test]
    fn the_other_branch_of_an_older_version_begins_where_that_ends() {
        let since = of("#if NTDDI_VERSION < NTDDI_WIN8\na\n#else\nb\n#endif");
        assert_eq!(
            (since[1].as_deref(), since[3].as_deref()),
            (None, Some("NTDDI_WIN8"))
        );
        let since = of("#if !(NTDDI_VERSION >= 0x06020000)\na\n#else\nb\n#endif");
        assert_eq!(
            (since[1].as_deref(), since[3].as_deref()),
            (None, Some("0x06020000"))
        );
    }

    #[test]
    fn other_ways_to_say_it() {
        let first = |condition: &str| of(&format!("#if {condition}\na\n#endif"))[1].clone();
        assert_eq!(
            first("NTDDI_WIN8 <= NTDDI_VERSION").as_deref(),
            Some("NTDDI_WIN8")
        );
        assert_eq!(
            first("defined(X) && (NTDDI_VERSION >= NTDDI_WIN8)").as_deref(),
            Some("NTDDI_WIN8")
        );
        assert_eq!(
            first("_WIN32_WINNT >= 0x0602").as_deref(),
            Some("NTDDI_WIN8")
        );
        assert_eq!(
            first("_WIN32_WINNT >= 0x0605").as_deref(),
            Some("0x06050000")
        );
        assert_eq!(first("(NTDDI_VERSION >= NTDDI_WIN8) || defined(X)"), None);
        assert_eq!(
            of("#if NTDDI_VERSION >= \\\n NTDDI_WIN8\na\n#endif")[2].as_deref(),
            Some("NTDDI_WIN8")
        );
    }

    #[test]
    fn the_latest_of_several_versions_counts() {
        let later = Some("NTDDI_WIN10_RS2");
        for (outer, inner) in [
            ("NTDDI_WIN8", "NTDDI_WIN10_RS2"),
            ("NTDDI_WIN10_RS2", "NTDDI_WIN8"),
        ] {
            let both = of(&format!(
                "#if NTDDI_VERSION >= {outer} && NTDDI_VERSION >= {inner}\na\n#endif"
            ));
            let nested = of(&format!(
                "#if NTDDI_VERSION >= {outer}\n#if NTDDI_VERSION >= {inner}\na\n#endif\n#endif"
            ));
            assert_eq!((both[1].as_deref(), nested[2].as_deref()), (later, later));
        }
        // An unknown name is that of a release newer than all known ones.
        let since = of(
            "#if NTDDI_VERSION >= NTDDI_WIN12_AA\n#if NTDDI_VERSION >= NTDDI_WIN8\na\n#endif\n#endif",
        );
        assert_eq!(since[2].as_deref(), Some("NTDDI_WIN12_AA"));
    }

    #[test]
    fn what_is_denied_of_several_conditions_is_said_of_none() {
        for condition in [
            "!(defined(X) && (NTDDI_VERSION >= NTDDI_WIN8))",
            "! ((NTDDI_VERSION >= NTDDI_WIN8) && defined(X))",
        ] {
            assert_eq!(
                of(&format!("#if {condition}\na\n#endif"))[1],
                None,
                "{condition}"
            );
        }
        let since = of("#if ((NTDDI_VERSION >= NTDDI_WIN8) && !defined(X))\na\n#endif");
        assert_eq!(since[1].as_deref(), Some("NTDDI_WIN8"));
    }

    #[test]
    fn comments_and_strings_hold_no_directives() {
        let since = of(
            "/*\n#if NTDDI_VERSION >= NTDDI_WIN8\n*/\na\n\"/*\"\n#if NTDDI_VERSION >= NTDDI_WIN7\nb",
        );
        assert_eq!(
            (since[3].as_deref(), since[6].as_deref()),
            (None, Some("NTDDI_WIN7"))
        );
    }

    #[test]
    fn the_rest_of_a_continued_line_is_no_directive() {
        for begun in ["a", "a * b", "a # b"] {
            let since = of(&format!("{begun} \\\n#if NTDDI_VERSION >= NTDDI_WIN8\nc\n"));
            assert_eq!(since[2], None, "{begun}");
        }
    }

    #[test]
    fn carriage_returns_and_marks() {
        let text = decode(b"\xEF\xBB\xBF#if NTDDI_VERSION >= NTDDI_WIN8\r\na \xFF\r\n#endif\r\n");
        assert_eq!(of(&text)[1].as_deref(), Some("NTDDI_WIN8"));
    }

    #[test]
    fn macros_with_and_without_parameters() {
        let found = defines(
            "#define A 1 // one\n# define B(x, y) ((x) + \\\n  (y))\n#define C\n#define 1x\n#undef A",
        );
        let expected = [
            Define {
                name: "A".into(),
                parameters: None,
                body: "1".into(),
            },
            Define {
                name: "B".into(),
                parameters: Some(vec!["x".into(), "y".into()]),
                body: "((x) +   (y))".into(),
            },
            Define {
                name: "C".into(),
                parameters: None,
                body: String::new(),
            },
        ];
        assert_eq!(found, expected);
    }
}
