//! The Rust type of each constant. C's macro says only `int`, so a constant gets the type of the member or parameter that takes
//! it.

use crate::read::macros::Constant;

/// Prefixes and suffixes of constants, and the type of the member or parameter that takes them.
const USES: &[(Pattern, &str)] = &[
    // sa_family, the AddressFamily parameter of WskSocket.
    (Pattern::Prefix("AF_"), "u16"),
    // The SocketType parameter of WskSocket.
    (Pattern::Prefix("SOCK_"), "u16"),
    // MDL::MdlFlags.
    (Pattern::Prefix("MDL_"), "i16"),
    // IO_STACK_LOCATION::Control and Flags.
    (Pattern::Prefix("SL_"), "u8"),
    // IO_STACK_LOCATION::MajorFunction and MinorFunction.
    (Pattern::Prefix("IRP_MJ_"), "u8"),
    (Pattern::Prefix("IRP_MN_"), "u8"),
    // KIRQL.
    (Pattern::Suffix("_LEVEL"), "u8"),
    // The PriorityBoost parameter of IofCompleteRequest and KeSetEvent.
    (Pattern::Suffix("_INCREMENT"), "i8"),
];

/// Constants that match a pattern by accident, such as those that end in `_LEVEL` and are not IRQLs.
const EXCEPTIONS: &[&str] = &["IPV6_PROTECTION_LEVEL", "IP_PROTECTION_LEVEL"];

/// Function-like macros with the Rust types of their parameters and of their value. C's macro says only `int`, so these are the
/// types of the members that the values come from and go to.
const MACROS: &[(&str, &[&str], &str)] = &[
    // WSK_CLIENT_DISPATCH::Version.
    ("MAKE_WSK_VERSION", &["u8", "u8"], "u16"),
    // WSK_PROVIDER_CHARACTERISTICS::HighestVersion and LowestVersion.
    ("WSK_MAJOR_VERSION", &["u16"], "u8"),
    ("WSK_MINOR_VERSION", &["u16"], "u8"),
];

/// The Rust types of a function-like macro's parameters and of its value, if they are known.
#[must_use]
pub(crate) fn macro_signature(name: &str) -> Option<(&'static [&'static str], &'static str)> {
    let known = MACROS.iter().find(|(known, _, _)| *known == name);
    known.map(|(_, parameters, output)| (*parameters, *output))
}

enum Pattern {
    Prefix(&'static str),
    Suffix(&'static str),
}

impl Pattern {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Prefix(prefix) => name.starts_with(prefix),
            Self::Suffix(suffix) => name.ends_with(suffix),
        }
    }
}

/// The Rust type for the constant `name`.
#[must_use]
pub(crate) fn rust_type(name: &str, constant: &Constant) -> &'static str {
    if constant.c_type == "NTSTATUS" {
        return "NTSTATUS";
    }
    if !EXCEPTIONS.contains(&name)
        && let Some((_, ty)) = USES.iter().find(|(pattern, _)| pattern.fits(name))
    {
        return ty;
    }
    match (constant.size, constant.signed) {
        (1, true) => "i8",
        (1, false) => "u8",
        (2, true) => "i16",
        (2, false) => "u16",
        // A plain C literal: flags and codes become ULONG.
        (4, true) if constant.value < 0 => "i32",
        (4, _) => "u32",
        (8, true) if constant.value < 0 => "i64",
        (8, _) => "u64",
        _ => "u128",
    }
}

/// The value of a constant whose bits reach into the sign of its type, such as `MDL_INTERNAL` (0x8000) as a `CSHORT`.
#[must_use]
pub(crate) fn wrapped(ty: &str, value: i128) -> Option<i128> {
    let bits = match ty {
        "i8" => 8,
        "i16" => 16,
        _ => return None,
    };
    (value >= 1 << (bits - 1)).then(|| value - (1 << bits))
}

#[cfg(test)]
mod tests {
    use super::{rust_type, wrapped};
    use crate::read::macros::Constant;

    fn int(value: i128) -> Constant {
        Constant {
            value,
            size: 4,
            signed: true,
            c_type: "int".into(),
        }
    }

    #[test]
    fn bits_of_the_sign() {
        assert_eq!(wrapped("i16", 0x8000), Some(-0x8000));
        assert_eq!(wrapped("i16", 0x4000), None);
        assert_eq!(wrapped("u16", 0x8000), None);
    }

    #[test]
    fn a_constant_has_the_type_of_what_takes_it() {
        assert_eq!(rust_type("AF_INET", &int(2)), "u16");
        assert_eq!(rust_type("DISPATCH_LEVEL", &int(2)), "u8");
        assert_eq!(rust_type("IPV6_PROTECTION_LEVEL", &int(23)), "u32");
        assert_eq!(rust_type("WSK_FLAG_DATAGRAM_SOCKET", &int(4)), "u32");
        assert_eq!(rust_type("SOMETHING_NEGATIVE", &int(-1)), "i32");
        let status = Constant {
            value: -1,
            size: 4,
            signed: true,
            c_type: "NTSTATUS".into(),
        };
        assert_eq!(rust_type("STATUS_UNSUCCESSFUL", &status), "NTSTATUS");
    }
}
