//! The first release in which the provider's tables have each of their entries. The table of an older Windows ends before the
//! newer entries. A call through an entry beyond its end jumps to an arbitrary address.

use crate::error::Error;
use crate::find::ntddi;
use crate::find::source::Source;
use crate::read::macros::Constants;

/// The entries that each table had in Windows Vista, the first release with Winsock Kernel. The headers put them under no
/// condition, like some entries that came later. An entry is new if it is neither in this list nor under a condition nor in the
/// corrections.
const FIRST: &[(&str, &[&str])] = &[
    (
        "WSK_PROVIDER_DISPATCH",
        &["WskSocket", "WskSocketConnect", "WskControlClient"],
    ),
    (
        "WSK_PROVIDER_BASIC_DISPATCH",
        &["WskControlSocket", "WskCloseSocket"],
    ),
    (
        "WSK_PROVIDER_LISTEN_DISPATCH",
        &[
            "WskBind",
            "WskAccept",
            "WskInspectComplete",
            "WskGetLocalAddress",
        ],
    ),
    (
        "WSK_PROVIDER_DATAGRAM_DISPATCH",
        &[
            "WskBind",
            "WskSendTo",
            "WskReceiveFrom",
            "WskRelease",
            "WskGetLocalAddress",
        ],
    ),
    (
        "WSK_PROVIDER_CONNECTION_DISPATCH",
        &[
            "WskBind",
            "WskConnect",
            "WskGetLocalAddress",
            "WskGetRemoteAddress",
            "WskSend",
            "WskReceive",
            "WskDisconnect",
            "WskRelease",
        ],
    ),
];

/// Whether a table had an entry in the first release.
pub(crate) fn is_first(table: &str, entry: &str) -> bool {
    FIRST
        .iter()
        .any(|(known, entries)| *known == table && entries.contains(&entry))
}

/// The version from which an entry is assumed to exist if nothing says when it was added, or why no version can be assumed.
pub(crate) fn new_entry(source: &Source, constants: &Constants) -> Result<u32, String> {
    const REMEDY: &str =
        "declare it in headers under `#if NTDDI_VERSION >= …`, or add it to read/corrections.rs";
    if source.is_ours() {
        return Err(format!(
            "no condition says which release added it, and the tables of Windows Vista ended before it: {REMEDY}"
        ));
    }
    let said = |name: &str| {
        let constant = constants.get(name)?;
        u32::try_from(constant.value).ok()
    };
    let read_for = said("NTDDI_VERSION").filter(|_| !source.is_for_asked_version());
    let of_headers = said("WDK_NTDDI_VERSION").max(read_for);
    match (source.build(), of_headers) {
        (Some(build), _) if let Some(value) = ntddi::since_build(build) => Ok(value),
        (Some(build), Some(value)) if value <= ntddi::newest() => Err(format!(
            "no condition says which release added it, and the headers of build {build} say that their NTDDI_VERSION is \
             {value:#010X}, of an older build whose table may end before it: {REMEDY}"
        )),
        (_, Some(value)) => Ok(value),
        (_, None) => Err(format!(
            "no condition says which release added it, and the headers define no NTDDI_VERSION: {REMEDY}"
        )),
    }
}

/// The value of the name or number in a condition.
pub(crate) fn value(since: &str, constants: &Constants) -> Result<u32, Error> {
    let constant = constants.get(since);
    match constant.and_then(|constant| u32::try_from(constant.value).ok()) {
        Some(value) => Ok(value),
        None => ntddi::parse(since).map_err(|_| {
            Error::item(
                since,
                "has no value, but a condition compares with it: define it in sdkddkver.h",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_first, new_entry};
    use crate::find::source::Source;
    use crate::read::macros::Constants;

    /// Our own headers must state the version.
    #[test]
    fn a_new_entry_of_our_own_headers_is_refused() {
        let ours = Source::ours().unwrap();
        let problem = new_entry(&ours, &Constants::new()).unwrap_err();
        assert!(problem.contains("#if NTDDI_VERSION"), "{problem}");
    }

    #[test]
    fn what_came_with_vista_is_known() {
        assert!(is_first("WSK_PROVIDER_DATAGRAM_DISPATCH", "WskSendTo"));
        assert!(!is_first(
            "WSK_PROVIDER_CONNECTION_DISPATCH",
            "WskConnectEx"
        ));
    }
}
