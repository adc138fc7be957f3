//! Data that the headers declare and that libraries of the kit define, for C code. `raw-dylib` and Rust don't need it. Stands for
//! parts of `netio.lib` and `uuid.lib`, and for `PsThreadType` of `ntoskrnl.exe`.

use core::ptr;

use wsk_sys::{
    AF_INET, AF_INET6, AF_MAX, GUID, IN_ADDR, IN6_ADDR, NPI_MODULEID, NPI_MODULEID_Anonymous1,
    NPI_MODULEID_TYPE, OBJECT_TYPE, SCOPE_ID, SOCKADDR_IN, SOCKADDR_IN6,
};

/// Defines data under its name in C.
macro_rules! data {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $value:expr;)*) => {$(
        $(#[doc = $doc])+
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals, reason = "the name is C's")]
        static $name: $ty = $value;
    )*};
}

const fn ipv4(octets: [u8; 4]) -> IN_ADDR {
    // SAFETY: the address is four bytes in network order; every value of them is valid.
    unsafe { core::mem::transmute(octets) }
}

const fn ipv6(octets: [u8; 16]) -> IN6_ADDR {
    // SAFETY: the address is sixteen bytes in network order; every value of them is valid.
    unsafe { core::mem::transmute(octets) }
}

const fn no_scope() -> SCOPE_ID {
    // SAFETY: the identifier is four bytes, of which zeroes are a value.
    unsafe { core::mem::zeroed() }
}

const fn sizes() -> [u8; AF_MAX as usize] {
    let mut sizes = [0; AF_MAX as usize];
    sizes[AF_INET as usize] = size_of::<SOCKADDR_IN>() as u8;
    sizes[AF_INET6 as usize] = size_of::<SOCKADDR_IN6>() as u8;
    sizes
}

data! {
    /// Identifies the WSK network programming interface.
    NPI_WSK_INTERFACE_ID: GUID = wsk_sys::NPI_WSK_INTERFACE_ID;
    /// Identifies the network module registrar. The real value is not public, so this is a unique one.
    NPI_MS_NMR_MODULEID: NPI_MODULEID = NPI_MODULEID {
        Length: size_of::<NPI_MODULEID>() as u16,
        Type: NPI_MODULEID_TYPE::MIT_GUID,
        Anonymous1: NPI_MODULEID_Anonymous1 {
            Guid: GUID { Data1: 0x7773_6B68, Data2: 0x6F73, Data3: 0x4E4D, Data4: [0x92, 0, 0, 0, 0, 0, 0, 1] },
        },
    };
    /// Names no area.
    scopeid_unspecified: SCOPE_ID = no_scope();
    /// Stands for any local IPv4 address.
    in4addr_any: IN_ADDR = ipv4([0; 4]);
    /// This machine itself.
    in4addr_loopback: IN_ADDR = ipv4([127, 0, 0, 1]);
    /// All machines on the link.
    in4addr_broadcast: IN_ADDR = ipv4([255; 4]);
    /// Stands for any local IPv6 address.
    in6addr_any: IN6_ADDR = ipv6([0; 16]);
    /// This machine itself.
    in6addr_loopback: IN6_ADDR = ipv6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// The size of a socket address by address family; 0 for families that WSK doesn't have.
    sockaddr_size: [u8; AF_MAX as usize] = sizes();
    /// The type of thread objects.
    PsThreadType: Place = Place(&raw const THREAD_TYPE.0);
}

/// The address of the pointer to an object type.
#[repr(transparent)]
struct Place(*const *mut OBJECT_TYPE);

// SAFETY: it is only read.
unsafe impl Sync for Place {}

/// A pointer to an object type, which no code dereferences.
struct Type(*mut OBJECT_TYPE);

// SAFETY: it is only read.
unsafe impl Sync for Type {}

static THREAD_TYPE: Type = Type(ptr::without_provenance_mut(0x7468_7264));

/// The value of `*PsThreadType`.
pub(crate) fn thread_type() -> *mut OBJECT_TYPE {
    THREAD_TYPE.0
}
