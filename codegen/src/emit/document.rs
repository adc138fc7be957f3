//! The documentation of generated items: a line from the headers, the directions of parameters, the IRQL, the first release, and
//! the Microsoft page.

use crate::emit::releases;
use crate::find::ntddi;
use crate::read::facts::{Origin, Prototype};
use crate::read::sal;

const LEARN: &str = "https://learn.microsoft.com/";

/// Kinds of items that have pages of their own in Microsoft's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function.
    Function,
    /// A callback type.
    Callback,
    /// A structure or union.
    Record,
    /// An enumeration.
    Enumeration,
    /// A constant, or another typedef.
    Constant,
}

/// Items without a page of their own, and the page that mentions them.
const SPOKEN_OF: &[(&str, &str)] = &[
    ("KEVENT", "windows-hardware/drivers/kernel/event-objects"),
    (
        "DISPATCHER_HEADER",
        "windows-hardware/drivers/kernel/introduction-to-kernel-dispatcher-objects",
    ),
    (
        "KDPC",
        "windows-hardware/drivers/kernel/introduction-to-dpcs",
    ),
    (
        "KTIMER",
        "windows-hardware/drivers/kernel/timer-objects-and-dpcs",
    ),
    (
        "KTHREAD",
        "windows-hardware/drivers/kernel/windows-kernel-mode-process-and-thread-manager",
    ),
    (
        "KPROCESS",
        "windows-hardware/drivers/kernel/windows-kernel-mode-process-and-thread-manager",
    ),
    ("MODE", "windows-hardware/drivers/kernel/previousmode"),
    ("LIST_ENTRY", "windows/win32/api/ntdef/ns-ntdef-list_entry"),
    (
        "UNICODE_STRING",
        "windows/win32/api/ntdef/ns-ntdef-_unicode_string",
    ),
    ("GUID", "windows/win32/api/guiddef/ns-guiddef-guid"),
];

/// Groups of constants by the beginning or end of their names, and the page that explains them.
const GROUPS: &[(&str, &str, &str)] = &[
    (
        "STATUS_",
        "",
        "openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55",
    ),
    (
        "WSK_EVENT_",
        "",
        "windows-hardware/drivers/network/so-wsk-event-callback",
    ),
    (
        "WSK_FLAG_",
        "_SOCKET",
        "windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket",
    ),
    (
        "SOCK_",
        "",
        "windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket",
    ),
    (
        "AF_",
        "",
        "windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket",
    ),
    ("SO_", "", "windows/win32/winsock/sol-socket-socket-options"),
    ("IP_", "", "windows/win32/winsock/ipproto-ip-socket-options"),
    (
        "IPV6_",
        "",
        "windows/win32/winsock/ipproto-ipv6-socket-options",
    ),
    (
        "TCP_",
        "",
        "windows/win32/winsock/ipproto-tcp-socket-options",
    ),
    (
        "UDP_",
        "",
        "windows/win32/winsock/ipproto-udp-socket-options",
    ),
    ("MDL_", "", "windows-hardware/drivers/ddi/wdm/ns-wdm-_mdl"),
    (
        "SL_",
        "",
        "windows-hardware/drivers/ddi/wdm/ns-wdm-_io_stack_location",
    ),
    (
        "IRP_MJ_",
        "",
        "windows-hardware/drivers/kernel/irp-major-function-codes",
    ),
    (
        "",
        "_INCREMENT",
        "windows-hardware/drivers/ddi/wdm/nf-wdm-iocompleterequest",
    ),
    (
        "",
        "_LEVEL",
        "windows-hardware/drivers/kernel/managing-hardware-priorities",
    ),
];

/// The Microsoft page of an item. `spelled` is the name in the page's address: for a record, its tag.
#[must_use]
pub(crate) fn page(kind: Kind, name: &str, spelled: &str, header: &str) -> String {
    if let Some((_, path)) = SPOKEN_OF.iter().find(|(item, _)| *item == name) {
        return format!("{LEARN}{path}");
    }
    if name.starts_with("SIO_WSK_") || name.starts_with("SO_WSK_") {
        return format!(
            "{LEARN}windows-hardware/drivers/network/{}",
            name.to_lowercase().replace('_', "-")
        );
    }
    let header = header.trim_end_matches(".h");
    let driver = matches!(
        header,
        "wsk" | "wdm" | "ntddk" | "netioddk" | "ntdef" | "ntstatus"
    );
    let folder = if driver {
        format!("windows-hardware/drivers/ddi/{header}/")
    } else {
        format!("windows/win32/api/{header}/")
    };
    let mut file = spelled.to_lowercase();
    if !driver {
        // The addresses of pages of Win32 structures leave out the tag's underscore.
        file = file.trim_start_matches('_').to_owned();
    }
    let prefix = match kind {
        Kind::Function => "nf",
        Kind::Callback => "nc",
        Kind::Record => "ns",
        Kind::Enumeration => "ne",
        Kind::Constant => {
            let group = GROUPS
                .iter()
                .find(|(start, end, _)| name.starts_with(start) && name.ends_with(end));
            return group.map_or_else(
                || format!("{LEARN}{folder}"),
                |(_, _, path)| format!("{LEARN}{path}"),
            );
        }
    };
    format!("{LEARN}{folder}{prefix}-{header}-{file}")
}

/// The lines of documentation of an item.
#[must_use]
pub(crate) fn item(
    kind: Kind,
    name: &str,
    spelled: &str,
    origin: &Origin,
    prototype: Option<&Prototype>,
) -> Vec<String> {
    let mut lines: Vec<String> = prose(&origin.doc);
    if lines.is_empty() {
        lines.push(format!("`{name}` of `{}`.", origin.header));
    }
    if let Some(prototype) = prototype
        && !prototype.parameters.is_empty()
    {
        lines.push(String::new());
        let parameters = prototype
            .parameters
            .iter()
            .map(|p| format!("`{}` ({})", p.name, sal::direction(&p.sal)));
        lines.push(format!(
            "Parameters: {}.",
            parameters.collect::<Vec<_>>().join(", ")
        ));
    }
    lines.push(String::new());
    let irql = origin
        .irql
        .as_ref()
        .map_or_else(String::new, |irql| format!("IRQL: `{irql}`. "));
    let first = first_release(name, origin);
    let page = page(kind, name, spelled, &origin.header);
    lines.push(format!(
        "{irql}Header: `{}`{first}. [Microsoft's page]({page}).",
        origin.header
    ));
    lines
}

/// The first release that has an item, in words that follow the header's name.
fn first_release(name: &str, origin: &Origin) -> String {
    match (&origin.since, releases::first_kit(name, &origin.header)) {
        (Some(since), _) => format!(", from `{since}` on"),
        (None, Some(kit)) => format!(", in kits from {kit} on"),
        (None, None) => match &origin.new_in {
            Some(kit) => format!(", in the kit {kit}"),
            None => String::new(),
        },
    }
}

/// The lines of documentation of the typedef `name` that stands for `of`.
#[must_use]
pub(crate) fn alias(name: &str, origin: Option<&Origin>, of: &str) -> Vec<String> {
    let words = origin.and_then(|origin| origin.doc.lines().next());
    let words = words.filter(|words| !words.is_empty());
    let mut lines = vec![words.map_or_else(
        || format!("`{of}` under the name that C code uses."),
        str::to_owned,
    )];
    if let Some(origin) = origin {
        let first = first_release(name, origin);
        let header = format!("Header: `{}`{first}.", origin.header);
        lines.extend([String::new(), header]);
    }
    lines
}

/// The lines that give example values of a macro with parameters, as clang computes them.
#[must_use]
pub(crate) fn examples(examples: &[(String, String)]) -> Vec<String> {
    if examples.is_empty() {
        return Vec::new();
    }
    let mut examples: Vec<String> = examples
        .iter()
        .map(|(call, value)| format!("`{call}` is `{value}`"))
        .collect();
    examples.dedup();
    vec![
        String::new(),
        format!("For example, {}.", examples.join(", ")),
    ]
}

/// The lines of documentation of a member. `entry` is the first release whose dispatch table has it.
#[must_use]
pub(crate) fn member(origin: Option<&Origin>, name: &str, entry: Option<u32>) -> Vec<String> {
    let mut lines = origin.map(|origin| prose(&origin.doc)).unwrap_or_default();
    if lines.is_empty() {
        lines.push(format!("`{name}` of the C structure."));
    }
    let conditional = origin.and_then(|origin| origin.since.clone());
    match entry {
        // Every provider has these entries, so nothing is said.
        Some(since) if since <= ntddi::VISTA => {}
        Some(since) => {
            // The headers' own name, unless an earlier entry of the table is newer.
            let is_it = |name: &String| ntddi::parse(name).is_ok_and(|value| value == since);
            let named = conditional.filter(is_it);
            let known = || ntddi::name_of(since).map(str::to_owned);
            let name = named.or_else(known);
            let name = name.unwrap_or_else(|| format!("0x{since:08X}"));
            lines.push(String::new());
            lines.push(format!(
                "From `{name}` on: the tables of older providers end before it."
            ));
        }
        None => {
            if let Some(since) = conditional {
                lines.push(String::new());
                lines.push(format!("From `{since}` on."));
            }
        }
    }
    lines
}

/// The headers' words, prepared for rustdoc: text that looks like a link or a tag is put in backquotes.
fn prose(doc: &str) -> Vec<String> {
    doc.lines()
        .map(|line| {
            line.replace('[', "\\[")
                .replace(']', "\\]")
                .replace('<', "\\<")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, page};

    #[test]
    fn pages_follow_the_pattern_of_their_kind() {
        let driver = "https://learn.microsoft.com/windows-hardware/drivers/";
        for (kind, name, spelled, header, path) in [
            (
                Kind::Callback,
                "PFN_WSK_SEND_TO",
                "PFN_WSK_SEND_TO",
                "wsk.h",
                "ddi/wsk/nc-wsk-pfn_wsk_send_to",
            ),
            (
                Kind::Function,
                "WskRegister",
                "WskRegister",
                "wsk.h",
                "ddi/wsk/nf-wsk-wskregister",
            ),
            (
                Kind::Record,
                "WSK_BUF",
                "_WSK_BUF",
                "wsk.h",
                "ddi/wsk/ns-wsk-_wsk_buf",
            ),
            (Kind::Record, "MDL", "_MDL", "wdm.h", "ddi/wdm/ns-wdm-_mdl"),
            (
                Kind::Constant,
                "SIO_WSK_SET_SENDTO_ADDRESS",
                "",
                "wsk.h",
                "network/sio-wsk-set-sendto-address",
            ),
            (
                Kind::Constant,
                "WSK_EVENT_ACCEPT",
                "",
                "wsk.h",
                "network/so-wsk-event-callback",
            ),
        ] {
            assert_eq!(page(kind, name, spelled, header), format!("{driver}{path}"));
        }
        assert_eq!(
            page(
                Kind::Record,
                "SOCKADDR_INET",
                "_SOCKADDR_INET",
                "ws2ipdef.h"
            ),
            "https://learn.microsoft.com/windows/win32/api/ws2ipdef/ns-ws2ipdef-sockaddr_inet"
        );
    }
}
