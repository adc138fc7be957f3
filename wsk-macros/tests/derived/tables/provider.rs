//! Provider tables.

use core::ffi::c_void;

use wsk_macros::Dispatch;

use super::{CMSGHDR, IRP, NTSTATUS, SOCKADDR, WSK_SOCKET};

/// Functions that every socket has.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(provider)]
pub struct WSK_PROVIDER_BASIC_DISPATCH {
    /// Controls a socket.
    #[dispatch(
        irql = "PASSIVE_LEVEL",
        entry = fn(
            #[sal(In)] Socket: *mut WSK_SOCKET,
            #[sal(In)] ControlCode: u32,
            #[sal(In)] InputSize: usize,
            #[sal(In_reads_bytes_opt(InputSize))] InputBuffer: *mut c_void,
            #[sal(In)] OutputSize: usize,
            #[sal(Out_writes_bytes_opt(OutputSize))] OutputBuffer: *mut c_void,
            #[sal(Out_opt)] OutputSizeReturned: *mut usize,
            #[sal(Inout_opt)] Irp: *mut IRP,
        ) -> NTSTATUS
    )]
    pub WskControlSocket: Option<
        unsafe extern "system" fn(
            *mut WSK_SOCKET,
            u32,
            usize,
            *mut c_void,
            usize,
            *mut c_void,
            *mut usize,
            *mut IRP,
        ) -> NTSTATUS,
    >,
    /// Closes a socket.
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut WSK_SOCKET, #[sal(Inout)] Irp: *mut IRP) -> NTSTATUS)]
    pub WskCloseSocket: Option<unsafe extern "system" fn(*mut WSK_SOCKET, *mut IRP) -> NTSTATUS>,
}

/// Sends a datagram.
pub type PFN_WSK_SEND_TO = Option<
    unsafe extern "system" fn(
        *mut WSK_SOCKET,
        *mut u8,
        u32,
        *mut SOCKADDR,
        u32,
        *mut CMSGHDR,
        *mut IRP,
    ) -> NTSTATUS,
>;

/// Receives a datagram.
pub type PFN_WSK_RECEIVE_FROM = Option<
    unsafe extern "system" fn(
        *mut WSK_SOCKET,
        *mut u32,
        *mut CMSGHDR,
        *mut u32,
        *mut IRP,
    ) -> NTSTATUS,
>;

/// Functions of a datagram socket.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(provider)]
pub struct WSK_PROVIDER_DATAGRAM_DISPATCH {
    /// Functions that every socket has.
    #[dispatch(base)]
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    /// Sends a datagram.
    #[dispatch(
        irql = "<= DISPATCH_LEVEL",
        entry = fn(
            #[sal(In)] Socket: *mut WSK_SOCKET,
            #[sal(In)] Buffer: *mut u8,
            #[sal(Reserved)] Flags: u32,
            #[sal(In_opt)] RemoteAddress: *mut SOCKADDR,
            #[sal(In)] ControlInfoLength: u32,
            #[sal(In_reads_bytes_opt(ControlInfoLength))] ControlInfo: *mut CMSGHDR,
            #[sal(Inout)] Irp: *mut IRP,
        ) -> NTSTATUS
    )]
    pub WskSendTo: PFN_WSK_SEND_TO,
    /// Receives a datagram.
    #[dispatch(
        irql = "<= DISPATCH_LEVEL",
        entry = fn(
            #[sal(In)] Socket: *mut WSK_SOCKET,
            #[sal(Inout)] ControlLength: *mut u32,
            #[sal(Out_writes_bytes_opt(*ControlLength))] ControlInfo: *mut CMSGHDR,
            #[sal(Reserved)] ControlFlags: *mut u32,
            #[sal(Inout)] Irp: *mut IRP,
        ) -> NTSTATUS
    )]
    pub WskReceiveFrom: PFN_WSK_RECEIVE_FROM,
    /// Listens, on newer Windows.
    #[dispatch(
        since = 0x0A00_0003,
        entry = fn(#[sal(In)] Socket: *mut WSK_SOCKET, #[sal(Inout)] Irp: *mut IRP) -> NTSTATUS
    )]
    pub WskListen: Option<unsafe extern "system" fn(*mut WSK_SOCKET, *mut IRP) -> NTSTATUS>,
}

/// Functions of a provider.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(provider)]
pub struct WSK_PROVIDER_DISPATCH {
    /// The provider's version.
    #[dispatch(value)]
    pub Version: u16,
    /// Without meaning.
    #[dispatch(reserved)]
    pub Reserved: u16,
    /// Looks up a name.
    #[dispatch(entry = fn(
        #[sal(In_opt)] NameSpace: u32,
        #[sal(Outptr)] Result: *mut *mut SOCKADDR,
    ) -> NTSTATUS)]
    pub WskGetAddressInfo: Option<unsafe extern "system" fn(u32, *mut *mut SOCKADDR) -> NTSTATUS>,
    /// Frees what a look-up gave.
    #[dispatch(entry = fn(#[sal(In)] AddrInfo: *const SOCKADDR))]
    pub WskFreeAddressInfo: Option<unsafe extern "system" fn(*const SOCKADDR)>,
}

/// A parameter of every kind.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(provider)]
pub struct SAL_PROVIDER_DISPATCH {
    #[dispatch(entry = fn(
        #[sal(In)] In: *const u32,
        #[sal(Out)] Out: *mut u32,
        #[sal(Inout)] Inout: *mut u32,
        #[sal(Outptr)] Outptr: *mut *mut u32,
        #[sal(Outptr_result_maybenull)] OutptrResultMaybenull: *mut *const u32,
    ))]
    #[allow(missing_docs)]
    pub Required: Option<
        unsafe extern "system" fn(*const u32, *mut u32, *mut u32, *mut *mut u32, *mut *const u32),
    >,
    #[dispatch(entry = fn(
        #[sal(In_opt)] In: *const u32,
        #[sal(Out_opt)] Out: *mut u32,
        #[sal(Inout_opt)] Inout: *mut u32,
        #[sal(Outptr_opt)] Outptr: *mut *mut u32,
        #[sal(Outptr_opt_result_maybenull)] OutptrResultMaybenull: *mut *const u32,
    ))]
    #[allow(missing_docs)]
    pub Optional: Option<
        unsafe extern "system" fn(*const u32, *mut u32, *mut u32, *mut *mut u32, *mut *const u32),
    >,
    #[dispatch(entry = fn(
        #[sal(In_reads(A))] In: *const u32,
        #[sal(In)] A: u8,
        #[sal(Out_writes(B))] Out: *mut u32,
        #[sal(In)] B: u16,
        #[sal(Inout_updates(C))] Inout: *mut u32,
        #[sal(In)] C: u32,
    ))]
    #[allow(missing_docs)]
    pub Elements: Option<unsafe extern "system" fn(*const u32, u8, *mut u32, u16, *mut u32, u32)>,
    #[dispatch(entry = fn(
        #[sal(In_reads_opt(A))] In: *const u32,
        A: u8,
        #[sal(Out_writes_opt(B))] Out: *mut u32,
        B: u16,
        #[sal(Inout_updates_opt(C))] Inout: *mut u32,
        C: usize,
    ))]
    #[allow(missing_docs)]
    pub OptionalElements:
        Option<unsafe extern "system" fn(*const u32, u8, *mut u32, u16, *mut u32, usize)>,
    #[dispatch(entry = fn(
        #[sal(In_reads_bytes(A))] In: *const c_void,
        #[sal(In)] A: u8,
        #[sal(Out_writes_bytes(B))] Out: *mut u32,
        #[sal(In)] B: u16,
        #[sal(Inout_updates_bytes(C))] Inout: *mut u32,
        #[sal(In)] C: u32,
    ))]
    #[allow(missing_docs)]
    pub Bytes: Option<unsafe extern "system" fn(*const c_void, u8, *mut u32, u16, *mut u32, u32)>,
    #[dispatch(entry = fn(
        #[sal(In_reads_bytes_opt(A))] In: *const c_void,
        #[sal(In)] A: u8,
        #[sal(Out_writes_bytes_opt(B))] Out: *mut u32,
        #[sal(In)] B: u16,
        #[sal(Inout_updates_bytes_opt(C))] Inout: *mut u32,
        #[sal(In)] C: usize,
    ))]
    #[allow(missing_docs)]
    pub OptionalBytes:
        Option<unsafe extern "system" fn(*const c_void, u8, *mut u32, u16, *mut u32, usize)>,
    #[dispatch(entry = fn(
        #[sal(Reserved)] A: u8,
        #[sal(Reserved)] B: i64,
        #[sal(Reserved)] C: *const u32,
        #[sal(Reserved)] D: *mut c_void,
        #[sal(In)] Type: u32,
        Self_: u64,
    ) -> u64)]
    #[allow(missing_docs)]
    pub Values:
        Option<unsafe extern "system" fn(u8, i64, *const u32, *mut c_void, u32, u64) -> u64>,
}
