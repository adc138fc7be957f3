#[repr(C)]
#[dispatch(provider)]
pub struct WSK_PROVIDER_DATAGRAM_DISPATCH {
    /// Functions that every socket has.
    #[dispatch(base)]
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    #[dispatch(value)]
    pub Version: u16,
    #[dispatch(reserved)]
    pub Reserved: u16,
    /// Sends a datagram.
    #[dispatch(
        since = 0x0600_0000,
        irql = "<= DISPATCH_LEVEL",
        entry = fn(
            #[sal(In)] Socket: *mut WSK_SOCKET,
            #[sal(Reserved)] Flags: u32,
            #[sal(In_opt)] RemoteAddress: *mut SOCKADDR,
            #[sal(In)] ControlInfoLength: u32,
            #[sal(In_reads_bytes_opt(ControlInfoLength))] ControlInfo: *mut CMSGHDR,
            #[sal(Inout)] Irp: *mut IRP,
        ) -> NTSTATUS
    )]
    pub WskSendTo: PFN_WSK_SEND_TO,
    #[dispatch(since = 0x0A00_0003, entry = fn(#[sal(In)] Socket: *const WSK_SOCKET))]
    pub WskListen: PFN_WSK_LISTEN,
}
