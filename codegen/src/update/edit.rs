//! Edits the text of our own headers. They have one style: a declaration begins with its `///` lines, and ends with the line of
//! its semicolon, or with its last continued line.

/// The lines of an item's declaration, including its `///` lines. `at` is one of them. Lines are counted from 0.
pub(super) fn block(lines: &[String], at: usize) -> std::ops::Range<usize> {
    let mut start = at;
    // A declaration may begin above the line that has its name.
    while start > 0 && !lines[start - 1].trim().is_empty() && !ends(&lines[start - 1]) {
        start -= 1;
    }
    while start > 0 && lines[start - 1].starts_with("///") {
        start -= 1;
    }
    let mut end = at;
    if lines[at].starts_with("#define") {
        while end + 1 < lines.len() && lines[end].ends_with('\\') {
            end += 1;
        }
        return start..end + 1;
    }
    let mut depth = 0_i32;
    while end < lines.len() {
        for c in code(&lines[end]).chars() {
            match c {
                '{' | '(' => depth += 1,
                '}' | ')' => depth -= 1,
                _ => {}
            }
        }
        if depth <= 0 && code(&lines[end]).trim_end().ends_with(';') {
            break;
        }
        end += 1;
    }
    start..(end + 1).min(lines.len())
}

/// Whether a line ends the declaration before it.
fn ends(line: &str) -> bool {
    let line = line.trim_end();
    line.starts_with('#')
        || line.starts_with("//") && !line.starts_with("///")
        || code(line).trim_end().ends_with([';', '}'])
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// Inserts text before the closing brace of a block.
pub(super) fn append_member(
    lines: &mut Vec<String>,
    block: std::ops::Range<usize>,
    text: &str,
) -> Result<(), String> {
    let close = (block.start..block.end)
        .rev()
        .find(|&at| lines[at].starts_with('}'))
        .ok_or("its closing brace is not found")?;
    // The last value of an enumeration may have no comma.
    if let Some(last) = (block.start..close)
        .rev()
        .find(|&at| !code(&lines[at]).trim().is_empty() && !lines[at].starts_with('#'))
    {
        let is_value = !lines[last].trim_end().ends_with([',', ';', '{', '}']);
        if is_value {
            lines[last].push(',');
        }
    }
    lines.splice(close..close, text.lines().map(str::to_owned));
    Ok(())
}

/// The line before which to insert declarations that tables may use.
pub(super) fn before_tables(lines: &[String]) -> Option<usize> {
    let table = lines.iter().position(|line| {
        let line = line.trim_start();
        (line.starts_with("typedef struct _WSK_") || line.starts_with("struct _WSK_"))
            && line.contains("_DISPATCH {")
    })?;
    Some(block(lines, table).start)
}

/// The line before which to insert other declarations: the end of `extern "C"`.
pub(super) fn before_end(lines: &[String]) -> Option<usize> {
    let close = lines.iter().rposition(|line| line == "}")?;
    (lines[..close].last()? == "#ifdef __cplusplus").then_some(close - 1)
}

#[cfg(test)]
mod tests {
    use super::{append_member, before_end, before_tables, block};

    const TEXT: &str = "#ifdef __cplusplus
extern \"C\" {
#endif

/// One.
///
/// More.
typedef struct _ONE {
    /// A.
    ULONG a;
} ONE, *PONE;
/// Two.
typedef enum {
    /// B.
    B
} TWO;

/// Table.
typedef struct _WSK_PROVIDER_X_DISPATCH {
    PFN_X X;
} WSK_PROVIDER_X_DISPATCH;

/// Function.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS Does(
    _In_ ULONG a);
/// Macro.
#define M(a) \\
    (a)

#ifdef __cplusplus
}
#endif
";

    fn lines() -> Vec<String> {
        TEXT.lines().map(str::to_owned).collect()
    }

    fn at(text: &str) -> usize {
        lines().iter().position(|line| line.contains(text)).unwrap()
    }

    #[test]
    fn declarations_are_found_whole() {
        let lines = lines();
        assert_eq!(
            block(&lines, at("struct _ONE")),
            at("/// One.")..at("} ONE") + 1
        );
        assert_eq!(
            block(&lines, at("typedef enum")),
            at("/// Two.")..at("} TWO") + 1
        );
        assert_eq!(
            block(&lines, at("NTSTATUS Does")),
            at("/// Function.")..at("_In_ ULONG a);") + 1
        );
        assert_eq!(
            block(&lines, at("#define M")),
            at("/// Macro.")..at("    (a)") + 1
        );
        assert_eq!(before_tables(&lines), Some(at("/// Table.")));
        assert_eq!(lines[before_end(&lines).unwrap()], "#ifdef __cplusplus");
    }

    #[test]
    fn members_go_before_the_brace() {
        let mut lines = lines();
        let two = block(&lines, at("typedef enum"));
        assert_eq!(append_member(&mut lines, two, "    C = 1,\n"), Ok(()));
        let text = lines.join("\n");
        assert!(text.contains("    B,\n    C = 1,\n} TWO;"), "{text}");
    }
}
