//! Writes reports of changes and of coverage: text for a terminal, Markdown for a changelog, JSON for programs.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use crate::check::coverage::Coverage;
use crate::check::diff::{Class, Diff, How, Presence, Releases};
use crate::error::Error;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For a changelog.
    Markdown,
    /// For a program.
    Json,
}

/// The changes between two interfaces.
///
/// # Errors
///
/// When the report cannot be written as JSON.
pub fn diff(diff: &Diff, format: Format) -> Result<String, Error> {
    if format == Format::Json {
        return json(diff);
    }
    let markdown = format == Format::Markdown;
    let mut report = String::new();
    if markdown {
        let _ = writeln!(report, "## {} to {}\n", diff.old, diff.new);
    } else {
        let _ = writeln!(report, "{} -> {}", diff.old, diff.new);
    }
    for (how, title) in [
        (How::Removed, "Removed"),
        (How::Changed, "Changed"),
        (How::Added, "Added"),
    ] {
        let changes: Vec<_> = diff
            .changes
            .iter()
            .filter(|change| change.how == how)
            .collect();
        if changes.is_empty() {
            continue;
        }
        let _ = if markdown {
            writeln!(report, "### {title}\n")
        } else {
            writeln!(report, "\n{title}:")
        };
        for change in changes {
            let class = class(change.class);
            let _ = if markdown {
                writeln!(
                    report,
                    "- **`{}`** ({}, `{}`): {class}",
                    change.item, change.kind, change.header
                )
            } else {
                writeln!(
                    report,
                    "  {} ({}, {}): {class}",
                    change.item, change.kind, change.header
                )
            };
            for detail in &change.details {
                let class = if how == How::Changed && detail.class != change.class {
                    format!(" ({})", self::class(detail.class))
                } else {
                    String::new()
                };
                let _ = if markdown {
                    writeln!(report, "  - {}{class}", code(&detail.text))
                } else {
                    writeln!(report, "    {}{class}", detail.text)
                };
            }
        }
        if markdown {
            report.push('\n');
        }
    }
    let count = |how| {
        diff.changes
            .iter()
            .filter(|change| change.how == how)
            .count()
    };
    let breaking = diff
        .changes
        .iter()
        .filter(|change| change.class == Class::Breaking)
        .count();
    let _ = writeln!(
        report,
        "{}{} added, {} removed, {} changed; {breaking} breaking. Semver step: {}.",
        if markdown { "" } else { "\n" },
        count(How::Added),
        count(How::Removed),
        count(How::Changed),
        diff.step.words()
    );
    Ok(report)
}

/// Items by release.
///
/// # Errors
///
/// When the report cannot be written as JSON.
pub fn releases(releases: &Releases, format: Format) -> Result<String, Error> {
    if format == Format::Json {
        return json(releases);
    }
    let mut table = table(format);
    let mut header = vec!["item".to_owned()];
    header.extend(releases.releases.iter().cloned());
    table.set_header(header);
    for (name, row) in &releases.items {
        let cells = row.iter().map(|presence| match presence {
            Presence::Absent => "-",
            Presence::Present => "yes",
            Presence::Changed => "changed",
        });
        table.add_row(std::iter::once(name.as_str()).chain(cells));
    }
    Ok(format!(
        "{table}\n\n{} items differ; {} are the same in every release.\n",
        releases.items.len(),
        releases.same.len()
    ))
}

/// How each name of the header is bound.
///
/// # Errors
///
/// When the report cannot be written as JSON.
pub fn coverage(coverage: &Coverage, format: Format) -> Result<String, Error> {
    if format == Format::Json {
        return json(coverage);
    }
    let mut table = table(format);
    table.set_header(["name", "in the header", "bound as"]);
    for row in &coverage.rows {
        let bound = match (&row.bound, &row.reason) {
            (Some(bound), _) => bound.clone(),
            (None, Some(reason)) => format!("not bound: {reason}"),
            (None, None) => "MISSING".to_owned(),
        };
        table.add_row([row.name.as_str(), row.kind, bound.as_str()]);
    }
    Ok(format!(
        "{table}\n\n{} of {}: {} names, {} bound, {} not bound for a stated reason, {} missing\n",
        coverage.header,
        coverage.source,
        coverage.rows.len(),
        coverage.bound(),
        coverage.excused(),
        coverage.missing().count()
    ))
}

fn table(format: Format) -> Table {
    let mut table = Table::new();
    table.load_preset(match format {
        Format::Markdown => presets::ASCII_MARKDOWN,
        _ => presets::NOTHING,
    });
    table
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Compatible => "compatible",
        Class::Breaking => "breaking",
    }
}

/// Text with Markdown's special characters escaped.
fn code(text: &str) -> String {
    text.replace('*', "\\*")
        .replace('_', "\\_")
        .replace('<', "&lt;")
        .replace('[', "\\[")
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::item("the report", error.to_string()))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::{Format, diff};
    use crate::check::diff::{Change, Class, Detail, Diff, How, Step};

    fn one() -> Diff {
        let details = vec![Detail {
            class: Class::Breaking,
            text: "its type: *mut u8, now u8".into(),
        }];
        let change = Change {
            item: "WSK_X".into(),
            kind: "type",
            header: "wsk.h".into(),
            how: How::Changed,
            class: Class::Breaking,
            details,
        };
        Diff {
            old: "1".into(),
            new: "2".into(),
            step: Step::Major,
            changes: vec![change],
        }
    }

    #[test]
    fn every_form_names_the_item_its_class_and_the_step() {
        for (format, step) in [
            (Format::Text, "major"),
            (Format::Markdown, "major"),
            (Format::Json, "\"step\": \"major\""),
        ] {
            let report = diff(&one(), format).unwrap();
            for part in ["WSK_X", "breaking", step] {
                assert!(report.contains(part), "{part} not in\n{report}");
            }
        }
        assert!(
            diff(&one(), Format::Markdown)
                .unwrap()
                .contains("\\*mut u8")
        );
    }
}
