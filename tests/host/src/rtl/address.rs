//! Internet addresses as text. Stands for `RtlIpv4AddressToStringA` and its kin.

use core::net::{Ipv4Addr, Ipv6Addr};

use wsk_sys::{IN_ADDR, IN6_ADDR, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

/// The longest text to read. No address has a longer text.
const LONGEST: usize = 128;

fn v4(address: *const IN_ADDR) -> Ipv4Addr {
    // SAFETY: the driver gives an address: four bytes in network order.
    Ipv4Addr::from(unsafe { address.cast::<[u8; 4]>().read_unaligned() })
}

fn v6(address: *const IN6_ADDR) -> Ipv6Addr {
    // SAFETY: the driver gives an address: sixteen bytes in network order.
    Ipv6Addr::from(unsafe { address.cast::<[u8; 16]>().read_unaligned() })
}

/// The text of an IPv6 address as Windows writes it, which ends with the text of an IPv4 address where the last 32 bits are one.
fn v6_text(address: Ipv6Addr) -> String {
    let segments = address.segments();
    let [.., a, b, c, d] = address.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    match segments {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => format!("::{last}"),
        [0, 0, 0, 0, 0, 0xFFFF, ..] => format!("::ffff:{last}"),
        [first, second, third, fourth, site @ (0 | 0x200), 0x5EFE, ..] => {
            // An ISATAP address.
            let prefix =
                Ipv6Addr::new(first, second, third, fourth, site, 0x5EFE, 1, 1).to_string();
            let prefix = prefix.strip_suffix("1:1").unwrap_or(&prefix);
            format!("{prefix}{last}")
        }
        _ => address.to_string(),
    }
}

/// A character of a text in memory: a byte or a unit of UTF-16.
trait Character: Copy {
    fn from_ascii(byte: u8) -> Self;
    /// The character, if it is ASCII.
    fn ascii(self) -> Option<u8>;
}

impl Character for i8 {
    fn from_ascii(byte: u8) -> Self {
        byte.cast_signed()
    }

    fn ascii(self) -> Option<u8> {
        u8::try_from(self).ok()
    }
}

impl Character for u16 {
    fn from_ascii(byte: u8) -> Self {
        byte.into()
    }

    fn ascii(self) -> Option<u8> {
        u8::try_from(self).ok().filter(u8::is_ascii)
    }
}

/// Writes a text and its terminating zero. Returns the address of the zero.
///
/// # Safety
///
/// There is room for it.
unsafe fn write<C: Character>(text: &str, to: *mut C) -> *mut C {
    for (index, byte) in text.bytes().enumerate() {
        // SAFETY: the caller says so.
        unsafe { to.add(index).write(C::from_ascii(byte)) };
    }
    // SAFETY: the caller says so.
    unsafe {
        let end = to.add(text.len());
        end.write(C::from_ascii(0));
        end
    }
}

/// Writes a text if there is room for it, and the length in any case.
///
/// # Safety
///
/// `length` may be read and written, and says how much room there is.
unsafe fn write_within<C: Character>(text: &str, to: *mut C, length: *mut u32) -> NTSTATUS {
    // SAFETY: the caller says so.
    unsafe {
        let room = length.read() as usize;
        length.write(text.len() as u32 + 1);
        if to.is_null() || room <= text.len() {
            return STATUS_INVALID_PARAMETER;
        }
        write(text, to);
    }
    STATUS_SUCCESS
}

/// Reads a zero-terminated text, up to the first character that no address has.
///
/// # Safety
///
/// `text` ends with a zero.
unsafe fn read<C: Character>(text: *const C) -> String {
    let mut read = String::new();
    for index in 0..LONGEST {
        // SAFETY: the caller says so.
        match unsafe { text.add(index).read() }.ascii() {
            None | Some(0) => break,
            Some(byte) => read.push(byte.into()),
        }
    }
    read
}

/// The IPv4 address at the start of a text, and its length; or the length that was read before the error.
fn parse_v4(text: &str, strict: bool) -> Result<(Ipv4Addr, usize), usize> {
    let mut numbers: Vec<u32> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let (base, skip) = match &bytes[at..] {
            [b'0', b'x' | b'X', ..] if !strict => (16, 2),
            [b'0', next, ..] if !strict && next.is_ascii_digit() => (8, 1),
            _ => (10, 0),
        };
        let start = at + skip;
        let digits = bytes[start..]
            .iter()
            .take_while(|byte| char::from(**byte).is_digit(base))
            .count();
        let number = u32::from_str_radix(&text[start..start + digits], base);
        let Ok(number) = number else { return Err(at) };
        if strict && (digits > 3 || number > 255) {
            return Err(at);
        }
        at = start + digits;
        numbers.push(number);
        if numbers.len() == 4 || bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    if strict && numbers.len() != 4 {
        return Err(at);
    }
    let Some((last, others)) = numbers.split_last() else {
        return Err(at);
    };
    // The last number fills the remaining bytes.
    let mut address = 0_u32;
    for number in others {
        if *number > 255 {
            return Err(at);
        }
        address = address << 8 | number;
    }
    let bits = 32 - 8 * others.len() as u32;
    if bits < 32 && *last >> bits != 0 {
        return Err(at);
    }
    let address = address.checked_shl(bits).unwrap_or(0) | last;
    Ok((Ipv4Addr::from(address), at))
}

/// The IPv6 address at the start of a text, and its length; or the length that was read before the error.
fn parse_v6(text: &str) -> Result<(Ipv6Addr, usize), usize> {
    let most = text
        .bytes()
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    (2..=most)
        .rev()
        .find_map(|length| text[..length].parse().ok().map(|address| (address, length)))
        .ok_or(most)
}

/// The port behind an address, if the rest of the text is one; 0 if the text ends.
fn parse_port(rest: &str) -> Option<u16> {
    match rest.strip_prefix(':') {
        None => rest.is_empty().then_some(0),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        Some(_) => None,
    }
}

/// The text of an IPv4 address with its port, in network byte order, unless the port is 0.
fn with_port_v4(address: Ipv4Addr, port: u16) -> String {
    match u16::from_be(port) {
        0 => address.to_string(),
        port => format!("{address}:{port}"),
    }
}

/// The text of an IPv6 address with its scope and its port, in network byte order, each unless it is 0.
fn with_port_v6(address: Ipv6Addr, scope: u32, port: u16) -> String {
    let address = v6_text(address);
    let scoped = match scope {
        0 => address,
        scope => format!("{address}%{scope}"),
    };
    match u16::from_be(port) {
        0 => scoped,
        port => format!("[{scoped}]:{port}"),
    }
}

/// An IPv6 address with its scope and its port.
fn parse_v6_whole(text: &str) -> Option<(Ipv6Addr, u32, u16)> {
    let bracketed = text.strip_prefix('[');
    let inside = bracketed.unwrap_or(text);
    let (address, length) = parse_v6(inside).ok()?;
    let mut rest = &inside[length..];
    let mut scope = 0;
    if let Some(after) = rest.strip_prefix('%') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        scope = after[..digits].parse().ok()?;
        rest = &after[digits..];
    }
    let port = if bracketed.is_some() {
        parse_port(rest.strip_prefix(']')?)?
    } else {
        rest.is_empty().then_some(0)?
    };
    Some((address, scope, port))
}

/// The functions for one kind of character.
macro_rules! for_characters {
    ($character:ty: $to4:ident $to4_ex:ident $from4:ident $from4_ex:ident $to6:ident $to6_ex:ident $from6:ident $from6_ex:ident) => {
        export! {
            /// Writes an IPv4 address.
            fn $to4(Addr: *const IN_ADDR, S: *mut $character) -> *mut $character, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives room for sixteen characters.
                unsafe { write(&v4(Addr).to_string(), S) }
            }
        }

        export! {
            /// Writes an IPv4 address with its port.
            fn $to4_ex(
                Address: *const IN_ADDR,
                Port: u16,
                AddressString: *mut $character,
                AddressStringLength: *mut u32,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives the room that the length says.
                unsafe { write_within(&with_port_v4(v4(Address), Port), AddressString, AddressStringLength) }
            }
        }

        export! {
            /// Reads an IPv4 address.
            fn $from4(
                S: *const $character,
                Strict: u8,
                Terminator: *mut *const $character,
                Addr: *mut IN_ADDR,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives a text that ends with a zero, and the places.
                unsafe {
                    let parsed = parse_v4(&read(S), Strict != 0);
                    let (Ok((_, length)) | Err(length)) = parsed;
                    Terminator.write(S.add(length));
                    let Ok((address, _)) = parsed else { return STATUS_INVALID_PARAMETER };
                    Addr.cast::<[u8; 4]>().write_unaligned(address.octets());
                }
                STATUS_SUCCESS
            }
        }

        export! {
            /// Reads an IPv4 address with its port.
            fn $from4_ex(
                AddressString: *const $character,
                Strict: u8,
                Address: *mut IN_ADDR,
                Port: *mut u16,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives a text that ends with a zero, and the places.
                unsafe {
                    let text = read(AddressString);
                    let Ok((address, length)) = parse_v4(&text, Strict != 0) else { return STATUS_INVALID_PARAMETER };
                    let Some(port) = parse_port(&text[length..]) else { return STATUS_INVALID_PARAMETER };
                    Address.cast::<[u8; 4]>().write_unaligned(address.octets());
                    Port.write(port.to_be());
                }
                STATUS_SUCCESS
            }
        }

        export! {
            /// Writes an IPv6 address.
            fn $to6(Addr: *const IN6_ADDR, S: *mut $character) -> *mut $character, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives room for forty-six characters.
                unsafe { write(&v6_text(v6(Addr)), S) }
            }
        }

        export! {
            /// Writes an IPv6 address with its scope and its port.
            fn $to6_ex(
                Address: *const IN6_ADDR,
                ScopeId: u32,
                Port: u16,
                AddressString: *mut $character,
                AddressStringLength: *mut u32,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives the room that the length says.
                unsafe { write_within(&with_port_v6(v6(Address), ScopeId, Port), AddressString, AddressStringLength) }
            }
        }

        export! {
            /// Reads an IPv6 address.
            fn $from6(
                S: *const $character,
                Terminator: *mut *const $character,
                Addr: *mut IN6_ADDR,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives a text that ends with a zero, and the places.
                unsafe {
                    let parsed = parse_v6(&read(S));
                    let (Ok((_, length)) | Err(length)) = parsed;
                    Terminator.write(S.add(length));
                    let Ok((address, _)) = parsed else { return STATUS_INVALID_PARAMETER };
                    Addr.cast::<[u8; 16]>().write_unaligned(address.octets());
                }
                STATUS_SUCCESS
            }
        }

        export! {
            /// Reads an IPv6 address with its scope and its port.
            fn $from6_ex(
                AddressString: *const $character,
                Address: *mut IN6_ADDR,
                ScopeId: *mut u32,
                Port: *mut u16,
            ) -> NTSTATUS, at most PASSIVE_LEVEL {
                // SAFETY: the driver gives a text that ends with a zero, and the places.
                unsafe {
                    let Some((address, scope, port)) = parse_v6_whole(&read(AddressString)) else {
                        return STATUS_INVALID_PARAMETER;
                    };
                    Address.cast::<[u8; 16]>().write_unaligned(address.octets());
                    ScopeId.write(scope);
                    Port.write(port.to_be());
                }
                STATUS_SUCCESS
            }
        }
    };
}

for_characters!(i8: RtlIpv4AddressToStringA RtlIpv4AddressToStringExA RtlIpv4StringToAddressA RtlIpv4StringToAddressExA
    RtlIpv6AddressToStringA RtlIpv6AddressToStringExA RtlIpv6StringToAddressA RtlIpv6StringToAddressExA);
for_characters!(u16: RtlIpv4AddressToStringW RtlIpv4AddressToStringExW RtlIpv4StringToAddressW RtlIpv4StringToAddressExW
    RtlIpv6AddressToStringW RtlIpv6AddressToStringExW RtlIpv6StringToAddressW RtlIpv6StringToAddressExW);
