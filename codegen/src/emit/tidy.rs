//! Formats generated text as rustfmt and people do. prettyplease breaks lines earlier than rustfmt, writes no blank lines between
//! items, and does not format the contents of attributes and macros.

use syn::LitStr;

/// The line width that rustfmt uses.
const WIDTH: usize = 100;

/// The width to which rustfmt keeps the arguments of a call, or the parts of a tuple, on one line.
const SHORT: usize = 60;

/// The name of the attribute that stands for a dispatch table member's own attribute. Its text is written unchanged.
pub(super) const ENTRY: &str = "wsk_entry";

/// The text of a file in its final form.
pub(super) fn tidy(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let lines = joined(&lines);
    let lines: Vec<String> = lines.into_iter().flat_map(entry).collect();
    let mut tidy = spaced(lines).join("\n");
    tidy.push('\n');
    tidy
}

/// A condition without the spaces that prettyplease writes between the tokens of a macro.
fn spelled(condition: &str) -> String {
    condition.replace(":: < ", "::<").replace(" > ()", ">()")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Joins what rustfmt writes on one line, and splits what rustfmt splits.
fn joined(lines: &[String]) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        if line.trim_start().starts_with("//") {
            done.push(line.clone());
            at += 1;
            continue;
        }
        let opens = line.ends_with('(') || line.ends_with("Option<");
        let end = opens.then(|| closing(lines, at)).flatten().filter(|end| {
            lines[at + 1..*end]
                .iter()
                .all(|inner| !inner.trim_start().starts_with("//"))
        });
        let Some(end) = end else {
            let condition = line.trim_start().strip_prefix("assert!(");
            match condition.and_then(|rest| rest.strip_suffix(");")) {
                Some(condition) => done.extend(assertion(indent(line), &spelled(condition))),
                None => done.extend(tuple(line)),
            }
            at += 1;
            continue;
        };
        // The inner lines come first. Joined, they may fit.
        let inner = joined(&lines[at + 1..end]);
        let words: Vec<&str> = inner.iter().map(|inner| inner.trim()).collect();
        let whole = words.join(" ");
        let whole = whole.strip_suffix(',').unwrap_or(&whole);
        if line.trim_start() == "assert!(" {
            done.extend(assertion(indent(line), &spelled(whole)));
            at = end + 1;
            continue;
        }
        if line.ends_with("!(") && whole.len() > SHORT {
            done.push(line.clone());
            let parts = parts(whole);
            let last = parts.len() - 1;
            let space = " ".repeat(indent(line) + 4);
            done.extend(parts.into_iter().enumerate().map(|(place, part)| {
                let comma = if place < last { "," } else { "" };
                format!("{space}{part}{comma}")
            }));
            done.push(lines[end].clone());
            at = end + 1;
            continue;
        }
        let one = format!("{line}{whole}{}", lines[end].trim_start());
        let is_call = !line.contains("fn") && line.ends_with('(');
        let nested = inner.iter().any(|inner| inner.ends_with(['(', '{', '<']));
        if !nested && one.len() == WIDTH && line.trim_start().starts_with("pub fn") {
            // rustfmt leaves no room for text after a signature.
            match one.split_once(") -> ") {
                Some((before, output)) => {
                    done.push(format!("{before})"));
                    done.push(format!("{}-> {output}", " ".repeat(indent(line))));
                }
                None => done.push(one),
            }
        } else if !nested && one.len() <= WIDTH && (!is_call || whole.len() <= SHORT) {
            done.push(one);
        } else if let Some((name, value)) = one
            .split_once(" = ")
            .filter(|_| !nested && line.starts_with("pub type") && line.ends_with('<'))
            && value.len() + 4 <= WIDTH
        {
            done.push(format!("{name} ="));
            done.push(format!("    {value}"));
        } else {
            done.push(line.clone());
            done.extend(inner);
            done.push(lines[end].clone());
        }
        at = end + 1;
    }
    done
}

/// An assertion of `condition`.
fn assertion(indent: usize, condition: &str) -> Vec<String> {
    let space = " ".repeat(indent);
    let one = format!("{space}assert!({condition});");
    let measured = condition.strip_prefix("offset_of!(");
    let measured = measured.and_then(|rest| rest.split_once(") == "));
    let long = measured.filter(|(names, _)| names.len() > SHORT);
    if let Some((names, value)) = long {
        let names = names.split(", ").collect::<Vec<_>>();
        let names = names.join(&format!(",\n{space}            "));
        let text = format!(
            "{space}assert!(\n{space}    offset_of!(\n{space}        {names}\n{space}    ) == {value}\n{space});"
        )
        .replace(&format!("{space}            "), &format!("{space}        "));
        return text.lines().map(str::to_owned).collect();
    }
    if one.len() <= WIDTH {
        return vec![one];
    }
    vec![
        format!("{space}assert!("),
        format!("{space}    {condition}"),
        format!("{space});"),
    ]
}

/// The line that closes what `lines[at]` opens.
fn closing(lines: &[String], at: usize) -> Option<usize> {
    let wanted = indent(&lines[at]);
    let close = if lines[at].ends_with('(') { ')' } else { '>' };
    let end = lines[at + 1..]
        .iter()
        .position(|line| indent(line) <= wanted && !line.is_empty())?;
    let end = at + 1 + end;
    (indent(&lines[end]) == wanted && lines[end].trim_start().starts_with(close)).then_some(end)
}

/// Splits a tuple that is too long for one line.
fn tuple(line: &str) -> Vec<String> {
    let space = " ".repeat(indent(line));
    let inner = line.trim_start().strip_prefix('(');
    let inner = inner.and_then(|inner| inner.strip_suffix("),"));
    match inner {
        Some(inner) if inner.len() > SHORT => {
            let parts = parts(inner).into_iter();
            let parts = parts.map(|part| format!("{space}    {part},"));
            std::iter::once(format!("{space}("))
                .chain(parts)
                .chain([format!("{space}),")])
                .collect()
        }
        _ => vec![line.to_owned()],
    }
}

/// Splits a list at the commas that are not in a string.
fn parts(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut in_text, mut escaped) = (0, false, false);
    for (at, c) in list.char_indices() {
        match c {
            '"' if !escaped => in_text = !in_text,
            ',' if !in_text => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(list[start..].trim());
    parts
}

/// The text of a member's attribute, which replaces the line that stands for it.
fn entry(line: String) -> Vec<String> {
    let space = " ".repeat(indent(&line));
    let text = line
        .trim_start()
        .strip_prefix("#[")
        .and_then(|rest| rest.strip_prefix(ENTRY))
        .and_then(|rest| rest.strip_prefix(" = "))
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|literal| syn::parse_str::<LitStr>(literal).ok());
    match text {
        None => vec![line],
        Some(text) => {
            let text = text.value();
            text.lines().map(|line| format!("{space}{line}")).collect()
        }
    }
}

/// Puts a blank line between items, and between the functions of a block.
fn spaced(lines: Vec<String>) -> Vec<String> {
    let mut spaced: Vec<String> = Vec::new();
    for line in lines {
        let ends = spaced.last().is_some_and(|last| {
            indent(last) == indent(&line)
                && !last.trim_start().starts_with("//")
                && match indent(last) {
                    0 => last.ends_with([';', '}']),
                    4 => last.ends_with('}') || (last.ends_with(';') && is_foreign(&spaced)),
                    _ => false,
                }
        });
        let begins = !line.is_empty()
            && line
                .trim_start()
                .starts_with(['/', '#', 'p', 'c', 'i', 'u', 's']);
        let list = |start: &str| {
            line.starts_with(start) && spaced.last().is_some_and(|last| last.starts_with(start))
        };
        // Imports, modules and exports have no blank lines between them.
        let together =
            list("use ") || list("mod ") || list("pub use ") || is_import(&line, &spaced);
        if ends && begins && !together {
            spaced.push(String::new());
        }
        spaced.push(line);
    }
    spaced
}

/// Whether an attribute belongs to an import that follows other imports.
fn is_import(line: &str, before: &[String]) -> bool {
    line == "#[allow(unused_imports)]" && before.last().is_some_and(|last| last.starts_with("use "))
}

/// Whether the lines end inside a block of imported functions.
fn is_foreign(lines: &[String]) -> bool {
    let outer = lines
        .iter()
        .rev()
        .find(|line| indent(line) == 0 && !line.is_empty());
    outer.is_some_and(|line| line.starts_with("unsafe extern"))
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn what_fits_is_on_one_line() {
        for (before, after) in [
            (
                "pub const A: NTSTATUS = NTSTATUS(\n    0xC0u32.cast_signed(),\n);\n",
                "pub const A: NTSTATUS = NTSTATUS(0xC0u32.cast_signed());\n",
            ),
            (
                "pub type F = Option<\n    unsafe extern \"system\" fn(\n        a: u32,\n    ) -> u32,\n>;\n",
                "pub type F = Option<unsafe extern \"system\" fn(a: u32) -> u32>;\n",
            ),
            (
                "const _: () = {\n    assert!(size_of:: < X > () == 8);\n};\n",
                "const _: () = {\n    assert!(size_of::<X>() == 8);\n};\n",
            ),
        ] {
            assert_eq!(tidy(before), after);
        }
    }

    #[test]
    fn items_have_room() {
        let text = "use a;\nuse b;\n/// A.\npub const A: u8 = 1;\n/// B.\npub struct B {\n    /// One.\n    pub a: u8,\n}\n";
        assert_eq!(
            tidy(text),
            "use a;\nuse b;\n\n/// A.\npub const A: u8 = 1;\n\n/// B.\npub struct B {\n    /// One.\n    pub a: u8,\n}\n"
        );
    }

    #[test]
    fn an_attribute_is_written_as_it_is_told() {
        let text = "pub struct B {\n    #[wsk_entry = \"#[one(\\n    \\\"two\\\",\\n)]\"]\n    pub a: u8,\n}\n";
        assert_eq!(
            tidy(text),
            "pub struct B {\n    #[one(\n        \"two\",\n    )]\n    pub a: u8,\n}\n"
        );
    }
}
