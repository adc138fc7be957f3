//! SAL annotations that contradict the documentation, corrected in one place. Each correction has a reason.

use std::borrow::Cow;

use crate::error::Error;
use crate::find::corrections::Correction;
use crate::read::facts::Facts;

const fn correction(
    item: &'static str,
    parameter: &'static str,
    header: &'static str,
    correct: &'static str,
    reason: &'static str,
) -> Correction {
    Correction {
        item: Cow::Borrowed(item),
        parameter: Cow::Borrowed(parameter),
        header: Cow::Borrowed(header),
        correct: Cow::Borrowed(correct),
        reason: Cow::Borrowed(reason),
    }
}

/// The reason why some parameters of event callbacks may be NULL although the headers mark them as required: WSK also calls the
/// callback when the socket is dead.
const DEAD: &str = "the documentation has the callback tell by a NULL socket, indication or identifier that the socket is no longer \
                    functional, and promises nothing of the other pointers then: \
                    https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept_event";

const fn when_dead(
    item: &'static str,
    parameter: &'static str,
    header: &'static str,
    correct: &'static str,
) -> Correction {
    correction(item, parameter, header, correct, DEAD)
}

/// The reason why the client of a provider's functions may be NULL.
const OPAQUE: &str = "the documentation says of `WSK_PROVIDER_NPI.Client` only that it is passed to the functions of the table, and a \
                      provider without a use for it leaves it NULL: \
                      https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_provider_npi";

const fn opaque(item: &'static str) -> Correction {
    correction(item, "Client", "_In_", "_In_opt_", OPAQUE)
}

/// The corrections.
pub(crate) const CORRECTIONS: &[Correction] = &[
    correction(
        "PFN_WSK_RECEIVE_FROM",
        "ControlLength",
        "_Inout_",
        "_Inout_opt_",
        "the documentation allows NULL when no control information is wanted: \
         https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from",
    ),
    opaque("PFN_WSK_SOCKET"),
    opaque("PFN_WSK_SOCKET_CONNECT"),
    opaque("PFN_WSK_CONTROL_CLIENT"),
    opaque("PFN_WSK_GET_ADDRESS_INFO"),
    opaque("PFN_WSK_FREE_ADDRESS_INFO"),
    opaque("PFN_WSK_GET_NAME_INFO"),
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

/// An entry of a dispatch table that is newer than the headers' conditions say.
pub(crate) struct Later {
    /// The table.
    pub table: &'static str,
    /// The entry.
    pub entry: &'static str,
    /// The constant of the first release whose `wsk.h` has the entry.
    pub since: &'static str,
}

const fn later(table: &'static str, entry: &'static str, since: &'static str) -> Later {
    Later {
        table,
        entry,
        since,
    }
}

/// Entries at the end of tables. The headers put them under no condition of their own. But in the `wsk.h` of 10.0.14393 the
/// connection table ends before `WskConnectEx`, and in those of 10.0.15063 and 10.0.16299 both tables end after it. Reading a
/// later entry from the table of such a Windows reads out of bounds.
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

/// Applies the corrections of the user (`more`), and then the tables of this file.
///
/// # Errors
///
/// When a correction no longer fits the header. Somebody must look at it again.
pub(crate) fn apply(facts: &mut Facts, more: &[Correction]) -> Result<(), Error> {
    for correction in more {
        if !correct(facts, correction)? {
            return Err(Error::item(
                correction.item.clone(),
                "a correction names it, but the headers do not have it",
            ));
        }
    }
    for correction in CORRECTIONS {
        // Older releases lack some of them.
        correct(facts, correction)?;
    }
    for later in LATER {
        // Older releases lack these tables or entries.
        let record = facts.records.get_mut(later.table);
        if let Some(member) = record.and_then(|record| record.members.get_mut(later.entry)) {
            member.since = Some(later.since.to_owned());
        }
    }
    Ok(())
}

/// Applies one correction. Returns whether the headers have its item.
fn correct(facts: &mut Facts, correction: &Correction) -> Result<bool, Error> {
    let Some(prototype) = facts.callbacks.get_mut(&*correction.item) else {
        return Ok(false);
    };
    let mut parameters = prototype.parameters.iter_mut();
    let parameter = parameters.find(|known| known.name == correction.parameter);
    let Some(sal) = parameter.map(|parameter| &mut parameter.sal) else {
        return Err(stale(correction));
    };
    let whole = sal.join(" ");
    let one = sal.iter_mut().find(|sal| {
        **sal == correction.header && !correction.header.is_empty() || **sal == correction.correct
    });
    if whole == correction.header {
        *sal = vec![correction.correct.clone().into_owned()];
    } else if let Some(one) = one {
        *one = correction.correct.clone().into_owned();
    } else {
        return Err(stale(correction));
    }
    Ok(true)
}

fn stale(correction: &Correction) -> Error {
    let said = if correction.header.is_empty() {
        "nothing"
    } else {
        &correction.header
    };
    Error::item(
        correction.item.clone(),
        format!(
            "the correction of parameter {} expects {said} in the header and does not find it: remove or fix the correction, \
             which is there because {}",
            correction.parameter, correction.reason
        ),
    )
}
