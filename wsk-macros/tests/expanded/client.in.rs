#[repr(C)]
#[dispatch(client)]
pub struct WSK_CLIENT_DISPATCH {
    /// The version that the client asks for.
    #[dispatch(value)]
    pub Version: u16,
    #[dispatch(reserved)]
    pub Reserved: u16,
    #[dispatch(table)]
    pub Listen: *const WSK_CLIENT_LISTEN_DISPATCH,
    /// Something happened.
    #[dispatch(irql = "PASSIVE_LEVEL", entry = fn(
        #[sal(In_opt)] ClientContext: *mut c_void,
        #[sal(In)] EventType: u32,
        #[sal(In)] Address: *const SOCKADDR,
        #[sal(Reserved)] Flags: u32,
        #[sal(In_reads_bytes_opt(InformationLength))] Information: *mut c_void,
        #[sal(In)] InformationLength: u32,
    ) -> NTSTATUS)]
    pub WskClientEvent: PFN_WSK_CLIENT_EVENT,
}

unsafe impl WskClientDispatchEvents for Driver {
    const VERSION: u16 = 0x0100;

    #[cfg(feature = "events")]
    unsafe fn wsk_client_event(
        context: Option<NonNull<c_void>>,
        event_type: u32,
        address: NonNull<SOCKADDR>,
        information: Option<NonNull<[u8]>>,
    ) -> NTSTATUS {
        NTSTATUS(0)
    }
}
