//! Corrections of SAL annotations, and the file format in which a user writes them.

use std::borrow::Cow;

use crate::error::Error;

/// One correction. It replaces an annotation, adds one where there is none, or replaces several by one.
#[derive(Debug, Clone)]
pub struct Correction {
    /// The callback or function.
    pub item: Cow<'static, str>,
    /// The parameter.
    pub parameter: Cow<'static, str>,
    /// The header's text: one of its annotations, all of them, or nothing.
    pub header: Cow<'static, str>,
    /// The correct annotation.
    pub correct: Cow<'static, str>,
    /// The reason, and its source.
    pub reason: Cow<'static, str>,
}

/// Reads a file of corrections, one per line: `PFN_WSK_SEND Irp: _Inout_ __drv_aliasesMem => _Inout_  # why`. The text before the
/// arrow is what the header says, or `nothing`. Lines that begin with `#` are comments.
///
/// # Errors
///
/// When a line has another form.
pub fn parse(text: &str) -> Result<Vec<Correction>, Error> {
    let mut corrections = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = || {
            let (what, rest) = line.split_once(':')?;
            let (item, parameter) = what.trim().split_once(char::is_whitespace)?;
            let (header, rest) = rest.split_once("=>")?;
            let (correct, reason) = rest.split_once('#')?;
            let header = header.trim();
            let own = |text: &str| Cow::Owned(text.trim().to_owned());
            Some(Correction {
                item: own(item),
                parameter: own(parameter),
                header: own(if header == "nothing" { "" } else { header }),
                correct: own(correct),
                reason: own(reason),
            })
        };
        let correction = read().filter(|correction| !correction.reason.is_empty());
        corrections.push(correction.ok_or_else(|| {
            Error::argument(
                line,
                "is not a correction: write `CALLBACK PARAMETER: WHAT THE HEADER SAYS => THE CORRECT ANNOTATION  # WHY`",
            )
        })?);
    }
    Ok(corrections)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn corrections_are_read_from_text() {
        let text = "# one\n\nPFN_X Irp: _Inout_ __drv_aliasesMem => _Inout_  # it stays ours\nPFN_X New: nothing => _In_opt_ # said so\n";
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].item, &*found[0].parameter), ("PFN_X", "Irp"));
        assert_eq!(
            (&*found[0].header, &*found[0].correct),
            ("_Inout_ __drv_aliasesMem", "_Inout_")
        );
        assert_eq!((&*found[1].header, &*found[1].reason), ("", "said so"));
        for wrong in [
            "PFN_X: _In_ => _Out_ # why",
            "PFN_X a: _In_ => _Out_",
            "PFN_X a _In_",
            "PFN_X a: _In_ => _Out_ #",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
