//! SAL annotations that contradict the documentation, corrected in one place, each with its reason.

use crate::Error;
use crate::facts::Facts;

/// One correction.
pub struct Correction {
    /// The callback or function.
    pub item: &'static str,
    /// The parameter.
    pub parameter: &'static str,
    /// What the header says.
    pub header: &'static str,
    /// What holds.
    pub correct: &'static str,
    /// Why, and who says so.
    pub reason: &'static str,
}

/// The table.
pub const CORRECTIONS: &[Correction] = &[Correction {
    item: "PFN_WSK_RECEIVE_FROM",
    parameter: "ControlLength",
    header: "_Inout_",
    correct: "_Inout_opt_",
    reason: "the documentation allows NULL when no control information is wanted: \
             https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from",
}];

/// Applies the table.
///
/// # Errors
///
/// When a correction no longer fits the header, which is when it has to be looked at again.
pub fn apply(facts: &mut Facts) -> Result<(), Error> {
    for correction in CORRECTIONS {
        let Some(prototype) = facts.callbacks.get_mut(correction.item) else {
            continue;
        };
        let parameter = prototype
            .parameters
            .iter_mut()
            .find(|p| p.name == correction.parameter);
        let sal = parameter.and_then(|p| p.sal.iter_mut().find(|sal| *sal == correction.header));
        let Some(sal) = sal else {
            return Err(Error::item(
                correction.item,
                format!(
                    "the correction of parameter {} expects {} in the header and does not find it: remove or mend the \
                     entry in corrections.rs",
                    correction.parameter, correction.header
                ),
            ));
        };
        correction.correct.clone_into(sal);
    }
    Ok(())
}
