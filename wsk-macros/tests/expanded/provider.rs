/// Typed calls through a [`WSK_PROVIDER_DATAGRAM_DISPATCH`], WSK's table of functions for one kind of object.
///
/// # Invariants
///
/// While the value or a copy of it is used, `table` points to a table that can be read up to the last member
/// that a Windows of version `ntddi` has.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct WskProviderDatagramDispatch {
    table: ::core::ptr::NonNull<WSK_PROVIDER_DATAGRAM_DISPATCH>,
    ntddi: u32,
}
#[allow(dead_code)]
impl WskProviderDatagramDispatch {
    /// Wraps the table of a provider.
    ///
    /// `ntddi` is the `NTDDI_VERSION` of the Windows that runs. Entries newer than it are never read: the tables of
    /// older Windows end before them.
    ///
    /// # Safety
    ///
    /// As long as the value or a copy of it is used, `table` points to a table that is aligned, not written to, and
    /// readable up to the last member that a Windows of version `ntddi` has.
    #[inline]
    #[must_use]
    pub const unsafe fn new(
        table: ::core::ptr::NonNull<WSK_PROVIDER_DATAGRAM_DISPATCH>,
        ntddi: u32,
    ) -> Self {
        Self { table, ntddi }
    }
    /// The table itself. On an older Windows it may be shorter than its type.
    #[inline]
    #[must_use]
    pub const fn as_ptr(self) -> *const WSK_PROVIDER_DATAGRAM_DISPATCH {
        self.table.as_ptr().cast_const()
    }
    /// The entries of `Basic`, the table at the start of this one.
    #[doc(alias = "Basic")]
    #[inline]
    #[must_use]
    pub const fn basic(self) -> WskProviderBasicDispatch {
        unsafe {
            WskProviderBasicDispatch::new(
                ::core::ptr::NonNull::new_unchecked(
                    &raw mut (*self.table.as_ptr()).Basic,
                ),
                self.ntddi,
            )
        }
    }
    /// The table's `Version`.
    #[doc(alias = "Version")]
    #[inline]
    #[must_use]
    pub const fn version(self) -> u16 {
        unsafe { (&raw const (*self.table.as_ptr()).Version).read() }
    }
    /// Sends a datagram.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// In Windows since `NTDDI_VERSION` 0x0600_0000.
    ///
    /// `None` and an empty buffer are the same: NULL and a length of 0.
    ///
    /// # Safety
    ///
    /// - The table belongs to the open socket or captured provider of the call.
    /// - Every pointer and buffer is valid for what `WskSendTo` does with it, according to its documentation.
    /// - A `control_info` that isn't empty is aligned for `CMSGHDR`.
    /// - With an IRP, all of these, and everything that the IRP refers to, stay valid until the IRP completes,
    ///   whatever the call returns.
    /// - The entry may be called at the current IRQL.
    ///
    /// # Errors
    ///
    /// These errors come without a call:
    ///
    /// - `Absent`: the table has NULL for it.
    /// - `TooLong`: the length of a buffer does not fit its count.
    ///
    /// The result of the call itself, including failures, is in `Ok`.
    #[doc(alias = "WskSendTo")]
    #[inline]
    pub unsafe fn wsk_send_to(
        self,
        socket: ::core::ptr::NonNull<WSK_SOCKET>,
        remote_address: ::core::option::Option<::core::ptr::NonNull<SOCKADDR>>,
        control_info: ::core::option::Option<::core::ptr::NonNull<[u8]>>,
        irp: ::core::ptr::NonNull<IRP>,
    ) -> ::core::result::Result<NTSTATUS, ::wsk_sys::DispatchError> {
        let entry: ::core::option::Option<
            unsafe extern "system" fn(
                *mut WSK_SOCKET,
                u32,
                *mut SOCKADDR,
                u32,
                *mut CMSGHDR,
                *mut IRP,
            ) -> NTSTATUS,
        > = unsafe { (&raw const (*self.table.as_ptr()).WskSendTo).read() };
        let ::core::option::Option::Some(entry) = entry else {
            return ::core::result::Result::Err(::wsk_sys::DispatchError::Absent {
                entry: "WskSendTo",
            });
        };
        let (control_info, control_info_length) = match control_info {
            ::core::option::Option::Some(pointer) if !pointer.is_empty() => {
                (pointer.cast::<CMSGHDR>().as_ptr(), pointer.len())
            }
            _ => (::core::ptr::null_mut(), 0),
        };
        let ::core::result::Result::Ok(fitting) = <u32 as ::core::convert::TryFrom<
            usize,
        >>::try_from(control_info_length) else {
            return ::core::result::Result::Err(::wsk_sys::DispatchError::TooLong {
                entry: "WskSendTo",
                parameter: "ControlInfo",
                length: control_info_length,
            });
        };
        let control_info_length = fitting;
        ::core::result::Result::Ok(unsafe {
            entry(
                socket.as_ptr(),
                0,
                match remote_address {
                    ::core::option::Option::Some(remote_address) => {
                        remote_address.as_ptr()
                    }
                    ::core::option::Option::None => ::core::ptr::null_mut(),
                },
                control_info_length,
                control_info,
                irp.as_ptr(),
            )
        })
    }
    /// Calls `WskListen`.
    ///
    /// In Windows since `NTDDI_VERSION` 0x0A00_0003.
    ///
    /// # Safety
    ///
    /// - The table belongs to the open socket or captured provider of the call.
    /// - Every pointer and buffer is valid for what `WskListen` does with it, according to its documentation.
    ///
    /// # Errors
    ///
    /// These errors come without a call:
    ///
    /// - `Absent`: the table has NULL for it.
    /// - `TooNew`: the running Windows is older than the entry.
    #[doc(alias = "WskListen")]
    #[inline]
    pub unsafe fn wsk_listen(
        self,
        socket: ::core::ptr::NonNull<WSK_SOCKET>,
    ) -> ::core::result::Result<(), ::wsk_sys::DispatchError> {
        if self.ntddi < 0x0A00_0003 {
            return ::core::result::Result::Err(::wsk_sys::DispatchError::TooNew {
                entry: "WskListen",
                since: 0x0A00_0003,
                running: self.ntddi,
            });
        }
        let entry: ::core::option::Option<
            unsafe extern "system" fn(*const WSK_SOCKET),
        > = unsafe { (&raw const (*self.table.as_ptr()).WskListen).read() };
        let ::core::option::Option::Some(entry) = entry else {
            return ::core::result::Result::Err(::wsk_sys::DispatchError::Absent {
                entry: "WskListen",
            });
        };
        unsafe { entry(socket.as_ptr()) };
        ::core::result::Result::Ok(())
    }
}
