//! SAL annotations that contradict the documentation, corrected in one place, each with its reason.

use crate::error::Error;
use crate::read::facts::Facts;

/// One correction.
pub(crate) struct Correction {
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

/// Why parameters of an event callback may be NULL that the headers mark as required: the callback also tells that the socket is
/// dead.
const DEAD: &str = "the documentation has the callback tell by a NULL socket, indication or identifier that the socket is no longer \
                    functional, and promises nothing of the other pointers then: \
                    https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept_event";

const fn when_dead(
    item: &'static str,
    parameter: &'static str,
    header: &'static str,
    correct: &'static str,
) -> Correction {
    Correction {
        item,
        parameter,
        header,
        correct,
        reason: DEAD,
    }
}

/// The table.
pub(crate) const CORRECTIONS: &[Correction] = &[
    Correction {
        item: "PFN_WSK_RECEIVE_FROM",
        parameter: "ControlLength",
        header: "_Inout_",
        correct: "_Inout_opt_",
        reason: "the documentation allows NULL when no control information is wanted: \
                 https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from",
    },
    when_dead("PFN_WSK_ACCEPT_EVENT", "LocalAddress", "_In_", "_In_opt_"),
    when_dead("PFN_WSK_ACCEPT_EVENT", "RemoteAddress", "_In_", "_In_opt_"),
    when_dead(
        "PFN_WSK_ACCEPT_EVENT",
        "AcceptSocketContext",
        "_Outptr_result_maybenull_",
        "_Outptr_opt_result_maybenull_",
    ),
    when_dead(
        "PFN_WSK_ACCEPT_EVENT",
        "AcceptSocketDispatch",
        "_Outptr_result_maybenull_",
        "_Outptr_opt_result_maybenull_",
    ),
    when_dead("PFN_WSK_INSPECT_EVENT", "LocalAddress", "_In_", "_In_opt_"),
    when_dead("PFN_WSK_INSPECT_EVENT", "RemoteAddress", "_In_", "_In_opt_"),
    when_dead(
        "PFN_WSK_RECEIVE_EVENT",
        "BytesAccepted",
        "_Inout_",
        "_Inout_opt_",
    ),
    when_dead(
        "PFN_WSK_RECEIVE_EX_EVENT",
        "BytesAccepted",
        "_Inout_",
        "_Inout_opt_",
    ),
];

/// A member of a dispatch table that came later than the headers' conditions say.
pub(crate) struct Later {
    /// The table.
    pub table: &'static str,
    /// The entry.
    pub entry: &'static str,
    /// The constant of the first release whose `wsk.h` has it.
    pub since: &'static str,
}

const fn later(table: &'static str, entry: &'static str, since: &'static str) -> Later {
    Later {
        table,
        entry,
        since,
    }
}

/// Entries at the end of tables. The headers have them under no condition of their own, but the `wsk.h` of 10.0.14393 ends
/// the connection table before `WskConnectEx`, and those of 10.0.15063 and 10.0.16299 end both tables behind it: reading a
/// later entry from the table of such a Windows is reading out of bounds.
pub(crate) const LATER: &[Later] = &[
    later(
        "WSK_PROVIDER_CONNECTION_DISPATCH",
        "WskConnectEx",
        "NTDDI_WIN10_RS2",
    ),
    later(
        "WSK_PROVIDER_CONNECTION_DISPATCH",
        "WskSendEx",
        "NTDDI_WIN10_RS4",
    ),
    later(
        "WSK_PROVIDER_CONNECTION_DISPATCH",
        "WskReceiveEx",
        "NTDDI_WIN10_RS4",
    ),
    later(
        "WSK_PROVIDER_STREAM_DISPATCH",
        "WskConnectEx",
        "NTDDI_WIN10_RS2",
    ),
    later(
        "WSK_PROVIDER_STREAM_DISPATCH",
        "WskSendEx",
        "NTDDI_WIN10_RS4",
    ),
    later(
        "WSK_PROVIDER_STREAM_DISPATCH",
        "WskReceiveEx",
        "NTDDI_WIN10_RS4",
    ),
];

/// Applies the tables.
///
/// # Errors
///
/// When a correction no longer fits the header, which is when it has to be looked at again.
pub(crate) fn apply(facts: &mut Facts) -> Result<(), Error> {
    for correction in CORRECTIONS {
        let Some(prototype) = facts.callbacks.get_mut(correction.item) else {
            continue;
        };
        let parameter = prototype
            .parameters
            .iter_mut()
            .find(|p| p.name == correction.parameter);
        let fits = |sal: &&mut String| {
            let sal = sal.as_str();
            sal == correction.header || sal == correction.correct
        };
        let sal = parameter.and_then(|parameter| parameter.sal.iter_mut().find(fits));
        let Some(sal) = sal else {
            return Err(Error::item(
                correction.item,
                format!(
                    "the correction of parameter {} expects {} in the header and does not find it: remove or \
                     mend the entry in read/corrections.rs, which is there because {}",
                    correction.parameter, correction.header, correction.reason
                ),
            ));
        };
        correction.correct.clone_into(sal);
    }
    for later in LATER {
        // Older releases do not have them at all.
        let record = facts.records.get_mut(later.table);
        if let Some(member) = record.and_then(|record| record.members.get_mut(later.entry)) {
            member.since = Some(later.since.to_owned());
        }
    }
    Ok(())
}
