//! Readable arguments of calls for a trace, such as `Tag='Wskr'` and `AddressFamily=AF_INET6` instead of numbers. Stands for a
//! debugger's display of them.

use core::fmt::{Debug, Write as _};

use wsk_sys as sys;

/// The arguments of a call: their names in the C prototype, and their values.
pub(crate) type Arguments<'a> = [(&'a str, &'a dyn Debug)];

/// The arguments as one line.
pub(crate) fn line(function: &str, arguments: &Arguments<'_>) -> String {
    let mut line = String::new();
    for (argument, value) in arguments {
        let separator = if line.is_empty() { "" } else { ", " };
        let shown = format!("{value:?}");
        let named = shown
            .parse()
            .ok()
            .and_then(|number| named(function, argument, number, arguments));
        let _ = write!(line, "{separator}{argument}={}", named.unwrap_or(shown));
    }
    line
}

/// The first of these names that has the value `$number`.
macro_rules! one_of {
    ($number:expr; $($name:ident),* $(,)?) => {
        match $number {
            $(number if number == i128::from(sys::$name) => Some(stringify!($name).to_owned()),)*
            _ => None,
        }
    };
}

/// The names of the bits of a number; `None` when the number has other bits, or no bits.
macro_rules! bits_of {
    ($number:expr; $($name:ident),* $(,)?) => {{
        let mut rest = $number;
        let mut names: Vec<&str> = Vec::new();
        $(
            let bit = i128::from(sys::$name);
            if rest & bit != 0 {
                rest &= !bit;
                names.push(stringify!($name));
            }
        )*
        (rest == 0 && !names.is_empty()).then(|| names.join(" | "))
    }};
}

/// The name of a number as an argument of a function, if it has one.
fn named(
    function: &str,
    argument: &str,
    number: i128,
    arguments: &Arguments<'_>,
) -> Option<String> {
    match (function, argument) {
        (_, "Tag") => tag(number),
        (_, "AddressFamily") => one_of!(number; AF_UNSPEC, AF_INET, AF_INET6),
        (_, "SocketType") => one_of!(number; SOCK_STREAM, SOCK_DGRAM, SOCK_RAW),
        (_, "Protocol") => protocol(number),
        (_, "NewIrql" | "Irql") => {
            let level = u8::try_from(number).ok()?;
            let name = crate::irql::name(level);
            name.ends_with("_LEVEL").then(|| name.to_owned())
        }
        (_, "AccessMode" | "WaitMode") => match number {
            0 => Some("KernelMode".to_owned()),
            1 => Some("UserMode".to_owned()),
            _ => None,
        },
        ("ExAllocatePool2", "Flags") => bits_of!(
            number; POOL_FLAG_USE_QUOTA, POOL_FLAG_UNINITIALIZED, POOL_FLAG_SESSION, POOL_FLAG_CACHE_ALIGNED,
            POOL_FLAG_RAISE_ON_FAILURE, POOL_FLAG_NON_PAGED, POOL_FLAG_NON_PAGED_EXECUTE, POOL_FLAG_PAGED
        ),
        ("WskSocket", "Flags") => one_of!(
            number; WSK_FLAG_BASIC_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
            WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_STREAM_SOCKET
        ),
        ("WskSend" | "WskSendEx", "Flags") => bits_of!(number; WSK_FLAG_NODELAY),
        ("WskReceive" | "WskReceiveEx", "Flags") => {
            bits_of!(number; WSK_FLAG_WAITALL, WSK_FLAG_DRAIN)
        }
        ("WskDisconnect", "Flags") => bits_of!(number; WSK_FLAG_ABORTIVE),
        ("WskGetNameInfo", "Flags") => bits_of!(
            number; NI_NOFQDN, NI_NUMERICHOST, NI_NAMEREQD, NI_NUMERICSERV, NI_DGRAM
        ),
        (_, "NameSpace") => one_of!(number; NS_ALL, NS_DNS),
        ("WskCaptureProviderNPI", "WaitTimeout") => {
            one_of!(number; WSK_NO_WAIT, WSK_INFINITE_WAIT)
        }
        ("WskControlClient", "ControlCode") => one_of!(
            number; WSK_TRANSPORT_LIST_QUERY, WSK_TRANSPORT_LIST_CHANGE, WSK_CACHE_SD,
            WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_BEHAVIOR
        ),
        ("WskControlSocket", "Level") if is_option(arguments) => level(number),
        ("WskControlSocket", "ControlCode") if is_option(arguments) => {
            option(value_of(arguments, "Level")?, number)
        }
        ("WskControlSocket", "ControlCode") => one_of!(
            number; SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
            SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_QUERY_INSPECT_ID, SIO_ROUTING_INTERFACE_QUERY,
            SIO_CPU_AFFINITY
        ),
        _ => None,
    }
}

/// The value of another argument.
fn value_of(arguments: &Arguments<'_>, wanted: &str) -> Option<i128> {
    let (_, value) = arguments.iter().find(|(name, _)| *name == wanted)?;
    format!("{value:?}").parse().ok()
}

/// Whether a call of `WskControlSocket` is about an option, and not an I/O control operation.
fn is_option(arguments: &Arguments<'_>) -> bool {
    arguments
        .iter()
        .any(|(name, value)| *name == "RequestType" && format!("{value:?}").ends_with("Option"))
}

/// The four letters of a pool tag.
fn tag(number: i128) -> Option<String> {
    let letters = u32::try_from(number).ok()?.to_le_bytes();
    let shown = |letter: &u8| letter.is_ascii_graphic() || *letter == b' ';
    letters
        .iter()
        .all(shown)
        .then(|| format!("'{}'", String::from_utf8_lossy(&letters)))
}

fn protocol(number: i128) -> Option<String> {
    let protocols = [
        (sys::IPPROTO::IPPROTO_TCP, "IPPROTO_TCP"),
        (sys::IPPROTO::IPPROTO_UDP, "IPPROTO_UDP"),
        (sys::IPPROTO::IPPROTO_IPV6, "IPPROTO_IPV6"),
    ];
    let known = protocols
        .iter()
        .find(|(protocol, _)| i128::from(protocol.0) == number);
    known.map(|(_, name)| (*name).to_owned())
}

/// The name of an option's level.
fn level(number: i128) -> Option<String> {
    one_of!(number; SOL_SOCKET, IPPROTO_IP).or_else(|| protocol(number))
}

fn option(level: i128, number: i128) -> Option<String> {
    if level == i128::from(sys::SOL_SOCKET) {
        one_of!(
            number; SO_ACCEPTCONN, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_TYPE,
            SO_CONDITIONAL_ACCEPT, SO_WSK_EVENT_CALLBACK
        )
        .or_else(|| {
            // The only option with a negative number, as in the header.
            let exclusive = i128::from(sys::SO_EXCLUSIVEADDRUSE.cast_unsigned());
            (number == exclusive).then(|| "SO_EXCLUSIVEADDRUSE".to_owned())
        })
    } else if level == i128::from(sys::IPPROTO_IP) {
        one_of!(
            number; IP_TOS, IP_TTL, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP,
            IP_PKTINFO, IP_HOPLIMIT, IP_RECVTOS, IP_RECVECN
        )
    } else if level == i128::from(sys::IPPROTO::IPPROTO_IPV6.0) {
        one_of!(
            number; IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_ADD_MEMBERSHIP,
            IPV6_DROP_MEMBERSHIP, IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_V6ONLY, IPV6_TCLASS, IPV6_RECVTCLASS,
            IPV6_RECVECN
        )
    } else if level == i128::from(sys::IPPROTO::IPPROTO_TCP.0) {
        one_of!(
            number; TCP_NODELAY, TCP_EXPEDITED_1122, TCP_KEEPIDLE, TCP_MAXRT, TCP_TIMESTAMPS, TCP_FASTOPEN,
            TCP_KEEPCNT, TCP_KEEPINTVL
        )
    } else if level == i128::from(sys::IPPROTO::IPPROTO_UDP.0) {
        one_of!(number; UDP_SEND_MSG_SIZE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use wsk_sys::{
        IPPROTO, SO_KEEPALIVE, SOL_SOCKET, TCP_NODELAY, WSK_CONTROL_SOCKET_TYPE, WSK_FLAG_WAITALL,
    };

    use super::line;

    #[test]
    fn numbers_with_names_are_told_by_them() {
        let tag = u32::from_le_bytes(*b"Wskr");
        assert_eq!(
            line("ExFreePoolWithTag", &[("P", &7_u8), ("Tag", &tag)]),
            "P=7, Tag='Wskr'"
        );
        // The tag has no letters.
        assert_eq!(line("ExFreePoolWithTag", &[("Tag", &1_u32)]), "Tag=1");
        assert_eq!(
            line(
                "WskSocket",
                &[("AddressFamily", &23_u16), ("Flags", &4_u32)]
            ),
            "AddressFamily=AF_INET6, Flags=WSK_FLAG_DATAGRAM_SOCKET"
        );
        let flags = WSK_FLAG_WAITALL;
        assert_eq!(
            line("WskReceive", &[("Flags", &flags)]),
            "Flags=WSK_FLAG_WAITALL"
        );
        assert_eq!(
            line("WskReceive", &[("Flags", &(flags | 0x100))]),
            format!("Flags={}", flags | 0x100)
        );
        assert_eq!(line("WskReceive", &[("Flags", &0_u32)]), "Flags=0");
    }

    #[test]
    fn an_option_is_named_by_its_level() {
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        let told = |level: u32, code: u32| {
            let line = line(
                "WskControlSocket",
                &[
                    ("RequestType", &set),
                    ("ControlCode", &code),
                    ("Level", &level),
                ],
            );
            line.split_once(", ").map(|(_, rest)| rest.to_owned())
        };
        assert_eq!(
            told(SOL_SOCKET, SO_KEEPALIVE).as_deref(),
            Some("ControlCode=SO_KEEPALIVE, Level=SOL_SOCKET")
        );
        let tcp = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
        assert_eq!(
            told(tcp, TCP_NODELAY).as_deref(),
            Some("ControlCode=TCP_NODELAY, Level=IPPROTO_TCP")
        );
        assert_eq!(told(77, 1).as_deref(), Some("ControlCode=1, Level=77"));
    }
}
