//! Client tables.

use core::ffi::c_void;

use wsk_macros::Dispatch;

use super::{CMSGHDR, NTSTATUS, SOCKADDR, WSK_INSPECT_ACTION, WSK_SOCKET};

/// Callbacks of a client.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(client)]
pub struct WSK_CLIENT_DISPATCH {
    /// The version that the client asks for.
    #[dispatch(value)]
    pub Version: u16,
    /// Without meaning.
    #[dispatch(reserved)]
    pub Reserved: u16,
    /// Something happened.
    #[dispatch(entry = fn(
        #[sal(In_opt)] ClientContext: *mut c_void,
        #[sal(In)] EventType: u32,
        #[sal(In_reads_bytes_opt(InformationLength))] Information: *mut c_void,
        #[sal(In)] InformationLength: usize,
    ) -> NTSTATUS)]
    pub WskClientEvent:
        Option<unsafe extern "system" fn(*mut c_void, u32, *mut c_void, usize) -> NTSTATUS>,
}

/// Callbacks of a listening socket.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(client)]
pub struct WSK_CLIENT_LISTEN_DISPATCH {
    /// A connection came.
    #[dispatch(
        irql = "<= DISPATCH_LEVEL",
        entry = fn(
            #[sal(In_opt)] SocketContext: *mut c_void,
            #[sal(In)] Flags: u32,
            #[sal(In)] LocalAddress: *mut SOCKADDR,
            #[sal(In)] RemoteAddress: *mut SOCKADDR,
            #[sal(In_opt)] AcceptSocket: *mut WSK_SOCKET,
            #[sal(Outptr_result_maybenull)] AcceptSocketContext: *mut *mut c_void,
            #[sal(Outptr_result_maybenull)] AcceptSocketDispatch: *mut *const WSK_CLIENT_DISPATCH,
        ) -> NTSTATUS
    )]
    pub WskAcceptEvent: Option<
        unsafe extern "system" fn(
            *mut c_void,
            u32,
            *mut SOCKADDR,
            *mut SOCKADDR,
            *mut WSK_SOCKET,
            *mut *mut c_void,
            *mut *const WSK_CLIENT_DISPATCH,
        ) -> NTSTATUS,
    >,
    /// A connection is asked for.
    #[dispatch(entry = fn(
        #[sal(In_opt)] SocketContext: *mut c_void,
        #[sal(In)] LocalAddress: *mut SOCKADDR,
    ) -> WSK_INSPECT_ACTION)]
    pub WskInspectEvent:
        Option<unsafe extern "system" fn(*mut c_void, *mut SOCKADDR) -> WSK_INSPECT_ACTION>,
}

/// Callbacks of a stream socket: those of what it becomes.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(client)]
pub struct WSK_CLIENT_STREAM_DISPATCH {
    /// Callbacks once it listens.
    #[dispatch(table)]
    pub Listen: *const WSK_CLIENT_LISTEN_DISPATCH,
    /// Callbacks once it is connected.
    #[dispatch(table)]
    pub Connect: *const WSK_CLIENT_DISPATCH,
}

/// A parameter of every kind.
#[repr(C)]
#[derive(Clone, Copy, Dispatch)]
#[dispatch(client)]
pub struct SAL_CLIENT_DISPATCH {
    #[dispatch(entry = fn(
        #[sal(In)] In: *const u32,
        #[sal(Inout)] Inout: *mut u32,
        #[sal(Out_opt)] OutOpt: *mut u32,
        #[sal(In_opt)] InOpt: *const u32,
        #[sal(Reserved)] Flags: u32,
        #[sal(Reserved)] Context: *mut c_void,
    ))]
    #[allow(missing_docs)]
    pub Pointers: Option<
        unsafe extern "system" fn(*const u32, *mut u32, *mut u32, *const u32, u32, *mut c_void),
    >,
    #[dispatch(entry = fn(
        #[sal(In_reads(A))] In: *const u32,
        #[sal(In)] A: u8,
        #[sal(Out_writes_opt(B))] Out: *mut u32,
        #[sal(In)] B: u16,
        #[sal(In_reads_bytes(C))] Bytes: *const CMSGHDR,
        #[sal(In)] C: u32,
        #[sal(Inout_updates_bytes_opt(D))] MoreBytes: *mut c_void,
        #[sal(In)] D: usize,
        #[sal(Inout_opt)] E: *mut u32,
        #[sal(Out_writes_bytes_opt(*E))] Indirect: *mut CMSGHDR,
    ) -> u64)]
    #[allow(missing_docs)]
    pub Buffers: Option<
        unsafe extern "system" fn(
            *const u32,
            u8,
            *mut u32,
            u16,
            *const CMSGHDR,
            u32,
            *mut c_void,
            usize,
            *mut u32,
            *mut CMSGHDR,
        ) -> u64,
    >,
}
