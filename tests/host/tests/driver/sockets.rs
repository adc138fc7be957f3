//! Sockets of each category, with their functions: those that take no IRP, those that wait for theirs, and those that
//! start a call and leave the waiting to the test.

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;

use wsk_sys::*;

use super::address::Address;
use super::call::{Call, conclude};
use super::memory::{Buffer, Data};

/// A category of sockets with what every category has.
macro_rules! category {
    ($(#[$meta:meta])* $name:ident, $table:ident) => {
        $(#[$meta])*
        ///
        /// # Invariants
        ///
        /// The table is the provider's for this category. The socket is given to its functions only, which know the
        /// sockets that are open, and their categories.
        #[derive(Clone, Copy)]
        pub struct $name {
            raw: *mut WSK_SOCKET,
            table: &'static $table,
        }

        // SAFETY: the functions may be called on any thread.
        unsafe impl Send for $name {}
        // SAFETY: as for `Send`.
        unsafe impl Sync for $name {}

        impl $name {
            /// The socket that the information of a call tells.
            ///
            /// # Safety
            ///
            /// It is an open socket of this category.
            pub unsafe fn of(information: usize) -> Self {
                let raw: *mut WSK_SOCKET = ptr::with_exposed_provenance_mut(information);
                // SAFETY: the caller says so; the provider's tables are statics.
                let table = unsafe { &*(*raw).Dispatch.cast() };
                // INVARIANT: the socket tells the table of its category.
                Self { raw, table }
            }

            pub fn raw(self) -> *mut WSK_SOCKET {
                self.raw
            }

            pub fn table(self) -> &'static $table {
                self.table
            }

            /// The functions of this socket for something else, which the kernel looks up.
            pub fn taken_for(self, raw: *mut WSK_SOCKET) -> Self {
                Self { raw, ..self }
            }

            pub fn start_close(self, call: &Call) -> NTSTATUS {
                // SAFETY: by the invariants of the socket and of the call.
                unsafe { self.table.Basic.WskCloseSocket.unwrap()(self.raw, call.irp()) }
            }

            pub fn close(self) {
                let outcome = conclude(|call| {
                    let returned = self.start_close(call);
                    assert!(matches!(returned, STATUS_SUCCESS | STATUS_PENDING));
                    returned
                });
                assert_eq!(outcome, (STATUS_SUCCESS, 0));
            }

            pub fn start_bind(self, call: &Call, local: SocketAddr) -> NTSTATUS {
                let local = Address::lasting(local);
                // SAFETY: by the invariants of the socket and of the call; the address is never freed.
                unsafe { self.table.WskBind.unwrap()(self.raw, local, 0, call.irp()) }
            }

            pub fn bind(self, local: SocketAddr) -> NTSTATUS {
                conclude(|call| self.start_bind(call, local)).0
            }

            pub fn local(self) -> Result<SocketAddr, NTSTATUS> {
                let mut local = Address::blank();
                let (status, _) = conclude(|call| {
                    // SAFETY: by the invariants of the socket and of the call, which is concluded before the place
                    // goes.
                    unsafe {
                        self.table.WskGetLocalAddress.unwrap()(self.raw, local.raw(), call.irp())
                    }
                });
                if status == STATUS_SUCCESS {
                    Ok(local.get())
                } else {
                    Err(status)
                }
            }

            /// `WskControlSocket` as it is.
            ///
            /// # Safety
            ///
            /// The input is readable and the output is writable for their sizes until the call is over, which it is
            /// when it returns without an IRP. What the input points at is readable, too.
            unsafe fn control_raw(
                self,
                (kind, level, code): (WSK_CONTROL_SOCKET_TYPE, u32, u32),
                (input, input_size): (*mut c_void, usize),
                (output, output_size): (*mut c_void, usize),
                returned: *mut usize,
                irp: *mut IRP,
            ) -> NTSTATUS {
                // SAFETY: by the invariant of the socket; the caller answers for the memory.
                unsafe {
                    self.table.Basic.WskControlSocket.unwrap()(
                        self.raw,
                        kind,
                        code,
                        level,
                        input_size,
                        input,
                        output_size,
                        output,
                        returned,
                        irp,
                    )
                }
            }

            /// `WskControlSocket` without an IRP.
            pub fn control(
                self,
                kind: WSK_CONTROL_SOCKET_TYPE,
                level: u32,
                code: u32,
                input: &mut [u8],
                output: &mut [u8],
            ) -> (NTSTATUS, usize) {
                assert!(no_pointers(level, code));
                let mut returned = 0;
                // SAFETY: the slices live until the call returns, and the input is plain bytes.
                let status = unsafe {
                    self.control_raw(
                        (kind, level, code),
                        place(input),
                        place(output),
                        &raw mut returned,
                        ptr::null_mut(),
                    )
                };
                (status, returned)
            }

            /// `WskControlSocket` with an IRP.
            pub fn control_by_irp(
                self,
                kind: WSK_CONTROL_SOCKET_TYPE,
                level: u32,
                code: u32,
                input: &mut [u8],
                output: &mut [u8],
            ) -> NTSTATUS {
                assert!(no_pointers(level, code));
                let (status, _) = conclude(|call| {
                    // SAFETY: the slices live until the call is concluded, and the input is plain bytes.
                    unsafe {
                        self.control_raw(
                            (kind, level, code),
                            place(input),
                            place(output),
                            ptr::null_mut(),
                            call.irp(),
                        )
                    }
                });
                status
            }

            pub fn set_option(self, level: u32, code: u32, value: u32) -> NTSTATUS {
                self.control(
                    WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                    level,
                    code,
                    &mut value.to_ne_bytes(),
                    &mut [],
                )
                .0
            }

            pub fn get_option(self, level: u32, code: u32) -> Result<u32, NTSTATUS> {
                let mut value = [0; 4];
                match self.control(
                    WSK_CONTROL_SOCKET_TYPE::WskGetOption,
                    level,
                    code,
                    &mut [],
                    &mut value,
                ) {
                    (STATUS_SUCCESS, 4) => Ok(u32::from_ne_bytes(value)),
                    (STATUS_SUCCESS, 1) => Ok(value[0].into()),
                    (status, _) => Err(status),
                }
            }

            /// `SO_WSK_SECURITY`: gives the socket a security descriptor.
            pub fn set_security(self, descriptor: *mut c_void) -> NTSTATUS {
                let mut given = descriptor;
                let kind = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
                conclude(|call| {
                    // SAFETY: the input lives until the call is concluded; the kernel knows the descriptors that are cached.
                    unsafe {
                        self.control_raw(
                            (kind, SOL_SOCKET, SO_WSK_SECURITY),
                            ((&raw mut given).cast(), size_of::<*mut c_void>()),
                            place(&mut []),
                            ptr::null_mut(),
                            call.irp(),
                        )
                    }
                })
                .0
            }

            /// `SO_WSK_SECURITY`: a cached copy of the socket's security descriptor.
            pub fn security(self) -> Result<*mut c_void, NTSTATUS> {
                let mut got = [0; size_of::<*mut c_void>()];
                let kind = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
                match self.control_by_irp(kind, SOL_SOCKET, SO_WSK_SECURITY, &mut [], &mut got) {
                    STATUS_SUCCESS => {
                        Ok(ptr::with_exposed_provenance_mut(usize::from_ne_bytes(got)))
                    }
                    status => Err(status),
                }
            }

            /// `SIO_WSK_REGISTER_EXTENSION`: the provider's context and table.
            pub fn register(
                self,
                id: &GUID,
                context: *mut c_void,
                dispatch: *const c_void,
            ) -> Result<WSK_EXTENSION_CONTROL_OUT, NTSTATUS> {
                let mut given = WSK_EXTENSION_CONTROL_IN {
                    NpiId: id,
                    ClientContext: context,
                    ClientDispatch: dispatch,
                };
                let mut got = WSK_EXTENSION_CONTROL_OUT::default();
                // SAFETY: input and output live until the call returns, and the input points at an id. Context and table are
                // whoever's the interface is.
                let status = unsafe {
                    self.control_raw(
                        (
                            WSK_CONTROL_SOCKET_TYPE::WskIoctl,
                            0,
                            SIO_WSK_REGISTER_EXTENSION,
                        ),
                        ((&raw mut given).cast(), size_of_val(&given)),
                        ((&raw mut got).cast(), size_of_val(&got)),
                        ptr::null_mut(),
                        ptr::null_mut(),
                    )
                };
                if status == STATUS_SUCCESS {
                    Ok(got)
                } else {
                    Err(status)
                }
            }

            /// Disables event callbacks, and waits until none of them runs.
            pub fn disable_events(self, mask: u32) {
                crate::driver::wait_until("the return of a callback", || {
                    self.events(mask | WSK_EVENT_DISABLE) == STATUS_SUCCESS
                });
            }

            /// `SO_WSK_EVENT_CALLBACK`, without an IRP.
            pub fn events(self, mask: u32) -> NTSTATUS {
                let mut control = WSK_EVENT_CALLBACK_CONTROL {
                    NpiId: &raw const NPI_WSK_INTERFACE_ID,
                    EventMask: mask,
                };
                // SAFETY: the input lives until the call returns, and points at a static.
                unsafe {
                    self.control_raw(
                        (
                            WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                            SOL_SOCKET,
                            SO_WSK_EVENT_CALLBACK,
                        ),
                        (
                            (&raw mut control).cast(),
                            size_of::<WSK_EVENT_CALLBACK_CONTROL>(),
                        ),
                        place(&mut []),
                        ptr::null_mut(),
                        ptr::null_mut(),
                    )
                }
            }
        }
    };
}

/// Whether the kernel takes the input of a control operation for plain bytes.
fn no_pointers(level: u32, code: u32) -> bool {
    (level, code) != (SOL_SOCKET, SO_WSK_EVENT_CALLBACK)
        && !matches!(
            (level, code),
            (
                0,
                SIO_WSK_REGISTER_EXTENSION | SIO_WSK_SET_RECEIVE_EX_CALLBACK
            )
        )
}

/// Where bytes are: nowhere when there are none.
fn place(bytes: &mut [u8]) -> (*mut c_void, usize) {
    match bytes {
        [] => (ptr::null_mut(), 0),
        bytes => (bytes.as_mut_ptr().cast(), bytes.len()),
    }
}

category! {
    /// A datagram socket.
    Socket, WSK_PROVIDER_DATAGRAM_DISPATCH
}

impl Socket {
    pub fn start_send(self, call: &Call, mut data: Data<'_>, to: Option<SocketAddr>) -> NTSTATUS {
        let to = to.map_or(ptr::null_mut(), Address::lasting);
        // SAFETY: by the invariants of the socket, the data and the call; the address is never freed.
        unsafe {
            self.table.WskSendTo.unwrap()(
                self.raw,
                data.raw(),
                0,
                to,
                0,
                ptr::null_mut(),
                call.irp(),
            )
        }
    }

    pub fn send(self, buffer: &Buffer, to: Option<SocketAddr>) -> (NTSTATUS, usize) {
        conclude(|call| self.start_send(call, buffer.all(), to))
    }

    /// `WskSendMessages` with two datagrams.
    pub fn send_two(self, first: &Buffer, second: &Buffer, to: SocketAddr) -> (NTSTATUS, usize) {
        let mut last = second.all().list(ptr::null_mut());
        let mut list = first.all().list(&raw mut last);
        let to = Address::lasting(to);
        conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call, which is concluded before the list goes.
            unsafe {
                self.table.WskSendMessages.unwrap()(
                    self.raw,
                    &raw mut list,
                    0,
                    to,
                    0,
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        })
    }

    /// Receives without wanting to know anything but the data.
    pub fn start_receive(self, call: &Call, data: Data<'_>) -> NTSTATUS {
        // SAFETY: there are no outputs.
        unsafe { self.start_receive_into(call, data, ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// The outputs, if there are any, are writable until the call is over.
    pub unsafe fn start_receive_into(
        self,
        call: &Call,
        mut data: Data<'_>,
        outputs: *mut Received,
    ) -> NTSTATUS {
        let (remote, length, flags) = if outputs.is_null() {
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut())
        } else {
            // SAFETY: the caller says so.
            unsafe {
                (
                    (*outputs).remote.raw(),
                    &raw mut (*outputs).control_length,
                    &raw mut (*outputs).flags,
                )
            }
        };
        // SAFETY: by the invariants of the socket, the data and the call; the caller answers for the outputs.
        unsafe {
            self.table.WskReceiveFrom.unwrap()(
                self.raw,
                data.raw(),
                0,
                remote,
                length,
                ptr::null_mut(),
                flags,
                call.irp(),
            )
        }
    }

    pub fn receive(self, buffer: &Buffer) -> (NTSTATUS, usize, Received) {
        let mut received = Received::new();
        let outputs = &raw mut received;
        // SAFETY: the call is concluded before the outputs go.
        let (status, length) =
            conclude(|call| unsafe { self.start_receive_into(call, buffer.all(), outputs) });
        (status, length, received)
    }

    /// `SIO_WSK_SET_REMOTE_ADDRESS` or `SIO_WSK_SET_SENDTO_ADDRESS`.
    pub fn fix(self, code: u32, address: Option<SocketAddr>) -> NTSTATUS {
        let input = address.map_or((ptr::null_mut(), 0), |address| {
            (Address::lasting(address).cast(), size_of::<SOCKADDR_INET>())
        });
        let (status, _) = conclude(|call| {
            // SAFETY: the address is never freed, and has no pointers.
            unsafe {
                self.control_raw(
                    (WSK_CONTROL_SOCKET_TYPE::WskIoctl, 0, code),
                    input,
                    place(&mut []),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        status
    }

    /// Gives a list of indications back.
    pub fn release(self, list: *mut WSK_DATAGRAM_INDICATION) -> NTSTATUS {
        // SAFETY: by the invariant of the socket; the kernel knows the lists that are retained.
        unsafe { self.table.WskRelease.unwrap()(self.raw, list) }
    }
}

/// What `WskReceiveFrom` tells besides the data.
pub struct Received {
    pub remote: Address,
    pub control_length: u32,
    pub flags: u32,
}

impl Received {
    pub fn new() -> Self {
        Self {
            remote: Address::blank(),
            control_length: 77,
            flags: 77,
        }
    }

    pub fn from(&self) -> SocketAddr {
        self.remote.get()
    }
}

category! {
    /// A connection socket.
    Connection, WSK_PROVIDER_CONNECTION_DISPATCH
}

impl Connection {
    pub fn start_connect(self, call: &Call, to: SocketAddr) -> NTSTATUS {
        let to = Address::lasting(to);
        // SAFETY: by the invariants of the socket and of the call; the address is never freed.
        unsafe { self.table.WskConnect.unwrap()(self.raw, to, 0, call.irp()) }
    }

    pub fn connect(self, to: SocketAddr) -> NTSTATUS {
        conclude(|call| self.start_connect(call, to)).0
    }

    /// `WskConnectEx`.
    pub fn connect_and_send(self, to: SocketAddr, mut data: Data<'_>) -> (NTSTATUS, usize) {
        let to = Address::lasting(to);
        conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call; the address is never freed.
            unsafe { self.table.WskConnectEx.unwrap()(self.raw, to, data.raw(), 0, call.irp()) }
        })
    }

    pub fn remote(self) -> Result<SocketAddr, NTSTATUS> {
        let mut remote = Address::blank();
        let (status, _) = conclude(|call| {
            // SAFETY: by the invariants of the socket and of the call, which is concluded before the place goes.
            unsafe { self.table.WskGetRemoteAddress.unwrap()(self.raw, remote.raw(), call.irp()) }
        });
        if status == STATUS_SUCCESS {
            Ok(remote.get())
        } else {
            Err(status)
        }
    }

    pub fn start_send(self, call: &Call, mut data: Data<'_>, flags: u32) -> NTSTATUS {
        // SAFETY: by the invariants of the socket, the data and the call.
        unsafe { self.table.WskSend.unwrap()(self.raw, data.raw(), flags, call.irp()) }
    }

    pub fn send_with(self, buffer: &Buffer, flags: u32) -> (NTSTATUS, usize) {
        conclude(|call| self.start_send(call, buffer.all(), flags))
    }

    pub fn send(self, buffer: &Buffer) -> (NTSTATUS, usize) {
        self.send_with(buffer, 0)
    }

    /// `WskSendEx` with control information.
    pub fn send_with_control(self, mut data: Data<'_>, control: &mut [u8]) -> (NTSTATUS, usize) {
        conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call, which is concluded before the control
            // information goes.
            unsafe {
                self.table.WskSendEx.unwrap()(
                    self.raw,
                    data.raw(),
                    0,
                    control.len() as u32,
                    control.as_mut_ptr().cast(),
                    call.irp(),
                )
            }
        })
    }

    /// `WskReceiveEx` with room for control information; tells its length, too.
    pub fn receive_with_control(
        self,
        mut data: Data<'_>,
        control: &mut [u8],
    ) -> ((NTSTATUS, usize), usize) {
        let mut length = control.len() as u32;
        let outcome = conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call, which is concluded before the places go.
            unsafe {
                self.table.WskReceiveEx.unwrap()(
                    self.raw,
                    data.raw(),
                    0,
                    &raw mut length,
                    control.as_mut_ptr().cast(),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        (outcome, length as usize)
    }

    /// `SIO_WSK_SET_RECEIVE_EX_CALLBACK`.
    ///
    /// # Safety
    ///
    /// The callback takes the context that the socket was made with.
    pub unsafe fn receive_ex_callback(self, mut callback: PFN_WSK_RECEIVE_EX_EVENT) -> NTSTATUS {
        // SAFETY: the input lives until the call returns; the caller answers for the callback.
        unsafe {
            self.control_raw(
                (
                    WSK_CONTROL_SOCKET_TYPE::WskIoctl,
                    0,
                    SIO_WSK_SET_RECEIVE_EX_CALLBACK,
                ),
                (
                    (&raw mut callback).cast(),
                    size_of::<PFN_WSK_RECEIVE_EX_EVENT>(),
                ),
                place(&mut []),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        }
    }

    /// `WskSendEx` without control information.
    pub fn send_ex(self, mut data: Data<'_>) -> (NTSTATUS, usize) {
        conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call.
            unsafe {
                self.table.WskSendEx.unwrap()(
                    self.raw,
                    data.raw(),
                    0,
                    0,
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        })
    }

    pub fn start_receive(self, call: &Call, mut data: Data<'_>, flags: u32) -> NTSTATUS {
        // SAFETY: by the invariants of the socket, the data and the call.
        unsafe { self.table.WskReceive.unwrap()(self.raw, data.raw(), flags, call.irp()) }
    }

    pub fn receive_with(self, buffer: &Buffer, flags: u32) -> (NTSTATUS, usize) {
        conclude(|call| self.start_receive(call, buffer.all(), flags))
    }

    pub fn receive(self, buffer: &Buffer) -> (NTSTATUS, usize) {
        self.receive_with(buffer, 0)
    }

    /// `WskReceiveEx`; tells the length of the control information, too.
    pub fn receive_ex(self, mut data: Data<'_>) -> ((NTSTATUS, usize), u32) {
        let mut length = 0_u32;
        let outcome = conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call, which is concluded before the place goes.
            unsafe {
                self.table.WskReceiveEx.unwrap()(
                    self.raw,
                    data.raw(),
                    0,
                    &raw mut length,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        (outcome, length)
    }

    pub fn start_disconnect(self, call: &Call, mut data: Option<Data<'_>>, flags: u32) -> NTSTATUS {
        let data = data.as_mut().map_or(ptr::null_mut(), Data::raw);
        // SAFETY: by the invariants of the socket, the data and the call.
        unsafe { self.table.WskDisconnect.unwrap()(self.raw, data, flags, call.irp()) }
    }

    pub fn disconnect(self, buffer: Option<&Buffer>, flags: u32) -> NTSTATUS {
        conclude(|call| self.start_disconnect(call, buffer.map(Buffer::all), flags)).0
    }

    /// Gives a list of indications back.
    pub fn release(self, list: *mut WSK_DATA_INDICATION) -> NTSTATUS {
        // SAFETY: by the invariant of the socket; the kernel knows the lists that are retained.
        unsafe { self.table.WskRelease.unwrap()(self.raw, list) }
    }
}

category! {
    /// A listening socket.
    Listener, WSK_PROVIDER_LISTEN_DISPATCH
}

impl Listener {
    /// Accepts the next connection, without wanting to know its addresses.
    pub fn start_accept(self) -> Accepting {
        let call = Call::new();
        // SAFETY: there are no places.
        let returned = unsafe { self.start_accept_into(&call, ptr::null_mut(), ptr::null_mut()) };
        // INVARIANT: it was started just now.
        Accepting { call, returned }
    }

    /// # Safety
    ///
    /// The places, if there are any, have room for an address until the call is over.
    pub unsafe fn start_accept_into(
        self,
        call: &Call,
        local: *mut SOCKADDR,
        remote: *mut SOCKADDR,
    ) -> NTSTATUS {
        // SAFETY: by the invariants of the socket and of the call; there are no callbacks; the caller answers for the
        // places.
        unsafe {
            self.table.WskAccept.unwrap()(
                self.raw,
                0,
                ptr::null_mut(),
                ptr::null(),
                local,
                remote,
                call.irp(),
            )
        }
    }

    /// The accepted socket with its local and its remote address.
    pub fn accept(self) -> Result<(Connection, SocketAddr, SocketAddr), NTSTATUS> {
        let (mut local, mut remote) = (Address::blank(), Address::blank());
        let (status, socket) = conclude(|call| {
            // SAFETY: the call is concluded before the places go.
            unsafe { self.start_accept_into(call, local.raw(), remote.raw()) }
        });
        if status == STATUS_SUCCESS {
            // SAFETY: the socket was accepted just now.
            let socket = unsafe { Connection::of(socket) };
            Ok((socket, local.get(), remote.get()))
        } else {
            Err(status)
        }
    }

    /// `WskInspectComplete`.
    pub fn inspected(self, mut id: WSK_INSPECT_ID, action: WSK_INSPECT_ACTION) -> NTSTATUS {
        let (status, _) = conclude(|call| {
            // SAFETY: by the invariants of the socket and of the call, which is concluded before the id goes.
            unsafe {
                self.table.WskInspectComplete.unwrap()(self.raw, &raw mut id, action, call.irp())
            }
        });
        status
    }
}

/// A `WskAccept` that was started.
///
/// # Invariants
///
/// The information of the call is the accepted socket, when it succeeds.
pub struct Accepting {
    call: Call,
    pub returned: NTSTATUS,
}

impl Accepting {
    pub fn cancel(&self) {
        self.call.cancel();
    }

    pub fn is_done(&self) -> bool {
        self.call.is_done()
    }

    pub fn wait(&mut self) -> Result<Connection, NTSTATUS> {
        match self.call.wait() {
            // SAFETY: by the invariant; nobody else knows the socket, so it is open.
            (STATUS_SUCCESS, socket) => Ok(unsafe { Connection::of(socket) }),
            (status, information) => {
                assert_eq!(information, 0);
                Err(status)
            }
        }
    }

    pub fn free(self) {
        self.call.free();
    }

    pub fn finish(mut self) -> Result<Connection, NTSTATUS> {
        let accepted = self.wait();
        self.free();
        accepted
    }
}

category! {
    /// A stream socket, which becomes a listening or a connected one.
    Stream, WSK_PROVIDER_STREAM_DISPATCH
}

impl Stream {
    pub fn listen(self) -> NTSTATUS {
        // SAFETY: by the invariants of the socket and of the call.
        conclude(|call| unsafe { self.table.WskListen.unwrap()(self.raw, call.irp()) }).0
    }

    pub fn connect(self, to: SocketAddr) -> NTSTATUS {
        let to = Address::lasting(to);
        // SAFETY: by the invariants of the socket and of the call; the address is never freed.
        conclude(|call| unsafe { self.table.WskConnect.unwrap()(self.raw, to, 0, call.irp()) }).0
    }

    pub fn accept(self) -> Result<Connection, NTSTATUS> {
        let (status, socket) = conclude(|call| {
            // SAFETY: by the invariants of the socket and of the call; there are neither callbacks nor places.
            unsafe {
                self.table.WskAccept.unwrap()(
                    self.raw,
                    0,
                    ptr::null_mut(),
                    ptr::null(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        if status == STATUS_SUCCESS {
            // SAFETY: the socket was accepted just now.
            Ok(unsafe { Connection::of(socket) })
        } else {
            Err(status)
        }
    }

    pub fn send(self, mut data: Data<'_>) -> (NTSTATUS, usize) {
        conclude(|call| {
            // SAFETY: by the invariants of the socket, the data and the call.
            unsafe { self.table.WskSend.unwrap()(self.raw, data.raw(), 0, call.irp()) }
        })
    }
}
