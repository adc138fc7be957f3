/// The callbacks of a [`WSK_CLIENT_DISPATCH`], which a driver implements. [`wsk_client_dispatch_table`] makes the table of an implementation.
///
/// The methods that an implementation has become the table's entries. The other entries are NULL. Put
/// `#[dispatch_events]` on the implementation: it records which methods exist.
///
/// # Safety
///
/// WSK trusts the table. Each method does what is documented for its callback, whatever runs at the same time:
/// this concerns the values that it returns, the memory that it writes through its pointers, and what it does at
/// its IRQL. Each constant has a value that is documented for its member.
pub unsafe trait WskClientDispatchEvents {
    #[doc(hidden)]
    const USE_DISPATCH_EVENTS: ();
    /// The version that the client asks for.
    #[doc(alias = "Version")]
    const VERSION: u16;
    /// The table's `Listen`, another table.
    #[doc(alias = "Listen")]
    const LISTEN: ::core::option::Option<&'static WSK_CLIENT_LISTEN_DISPATCH> = ::core::option::Option::None;
    /// Whether the table has `WskClientEvent`: set by `#[dispatch_events]`.
    const HAS_WSK_CLIENT_EVENT: bool = false;
    /// Something happened.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// Only WSK calls this, through the table, with the arguments that it documents for `WskClientEvent`.
    #[doc(alias = "WskClientEvent")]
    #[inline]
    unsafe fn wsk_client_event(
        client_context: ::core::option::Option<::core::ptr::NonNull<c_void>>,
        event_type: u32,
        address: ::core::ptr::NonNull<SOCKADDR>,
        information: ::core::option::Option<::core::ptr::NonNull<[u8]>>,
    ) -> NTSTATUS {
        const {
            ::core::assert!(
                ! Self::HAS_WSK_CLIENT_EVENT,
                "`HAS_WSK_CLIENT_EVENT` is true, but there is no `wsk_client_event`: leave it to `#[dispatch_events]`"
            )
        };
        let _ = (client_context, event_type, address, information);
        ::core::unreachable!(
            "called `wsk_client_event`, which this implementation doesn't have"
        )
    }
}
/// The [`WSK_CLIENT_DISPATCH`] with the callbacks of `Events`.
///
/// Equal calls give equal tables, but not always the same address.
#[allow(dead_code)]
#[must_use]
pub const fn wsk_client_dispatch_table<Events: WskClientDispatchEvents>() -> &'static WSK_CLIENT_DISPATCH {
    struct Thunks<Events>(::core::marker::PhantomData<Events>);
    impl<Events: WskClientDispatchEvents> Thunks<Events> {
        const TABLE: &'static WSK_CLIENT_DISPATCH = &WSK_CLIENT_DISPATCH {
            Version: Events::VERSION,
            Reserved: 0,
            Listen: match Events::LISTEN {
                ::core::option::Option::Some(table) => ::core::ptr::from_ref(table),
                ::core::option::Option::None => ::core::ptr::null(),
            },
            WskClientEvent: {
                let entry: ::core::option::Option<
                    unsafe extern "system" fn(
                        *mut c_void,
                        u32,
                        *const SOCKADDR,
                        u32,
                        *mut c_void,
                        u32,
                    ) -> NTSTATUS,
                > = if Events::HAS_WSK_CLIENT_EVENT {
                    ::core::option::Option::Some(Self::wsk_client_event)
                } else {
                    ::core::option::Option::None
                };
                entry
            },
        };
        unsafe extern "system" fn wsk_client_event(
            client_context: *mut c_void,
            event_type: u32,
            address: *const SOCKADDR,
            _: u32,
            information: *mut c_void,
            information_length: u32,
        ) -> NTSTATUS {
            unsafe {
                Events::wsk_client_event(
                    ::core::ptr::NonNull::new(client_context),
                    event_type,
                    ::core::ptr::NonNull::new_unchecked(address.cast_mut()),
                    match ::core::ptr::NonNull::new(information) {
                        ::core::option::Option::Some(pointer) => {
                            ::core::option::Option::Some(
                                ::core::ptr::NonNull::slice_from_raw_parts(
                                    pointer.cast::<u8>(),
                                    information_length as usize,
                                ),
                            )
                        }
                        ::core::option::Option::None => ::core::option::Option::None,
                    },
                )
            }
        }
    }
    Thunks::<Events>::TABLE
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
    const USE_DISPATCH_EVENTS: () = ();
    #[cfg(feature = "events")]
    const HAS_WSK_CLIENT_EVENT: bool = true;
}
