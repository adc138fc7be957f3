//! Operations on the client itself: `WskControlClient`, as far as it takes no IRP.
//!
//! The one operation that takes an IRP is a [request](crate::request).

use core::ffi::c_void;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::{
    GUID, STATUS_BUFFER_OVERFLOW, WSK_TDI_BEHAVIOR, WSK_TDI_BEHAVIOR_BYPASS_TDI,
    WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP, WSK_TDI_MAP_INFO, WSK_TRANSPORT,
    WSK_TRANSPORT_LIST_QUERY,
};

use crate::error::Error;
use crate::irql::may_touch_pageable;
use crate::registration::provider::Provider;
use crate::registration::security::{ClientControl, SecurityDescriptor};

/// A transport: a valid combination of the address family, the type and the protocol of a socket.
///
/// [`WSK_TRANSPORT`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_transport).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::Transport;
///
/// let mut room = [Transport::default(); 16];
/// for transport in provider.transports(&mut room)? {
///     println!("family {}, protocol {}", transport.address_family(), transport.protocol());
/// }
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WSK_TRANSPORT")]
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Transport(WSK_TRANSPORT);

impl Transport {
    /// The version of WSK's interface that the transport has: `0x0100` is 1.0.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.0.Version
    }

    /// The type of its sockets: `SOCK_STREAM`, `SOCK_DGRAM` or another of these.
    #[must_use]
    pub const fn socket_type(&self) -> u16 {
        self.0.SocketType
    }

    /// Its protocol, as `IPPROTO_TCP`.
    #[must_use]
    pub const fn protocol(&self) -> u32 {
        self.0.Protocol
    }

    /// Its address family, as `AF_INET`.
    #[must_use]
    pub const fn address_family(&self) -> u16 {
        self.0.AddressFamily
    }

    /// The identifier of its provider.
    #[must_use]
    pub const fn provider_id(&self) -> GUID {
        self.0.ProviderId
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("version", &self.version())
            .field("socket_type", &self.socket_type())
            .field("protocol", &self.protocol())
            .field("address_family", &self.address_family())
            .finish_non_exhaustive()
    }
}

/// A TDI device that replaces a transport which WSK itself does not have.
///
/// [`WSK_TDI_MAP`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_tdi_map).
///
/// ```
/// use wsk::TdiDevice;
///
/// const NAME: [u16; 4] = [b'\\' as u16, b'X' as u16, b'Y' as u16, 0];
/// // SOCK_STREAM of AF_IPX.
/// assert!(TdiDevice::new(1, 6, 1256, &NAME).is_some());
/// // The name does not end in a zero.
/// const UNENDED: [u16; 2] = [b'\\' as u16, b'X' as u16];
/// assert!(TdiDevice::new(1, 6, 1256, &UNENDED).is_none());
/// ```
///
/// # Invariants
///
/// The name is static, and ends in a zero.
#[doc(alias = "WSK_TDI_MAP")]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct TdiDevice(WSK_TDI_MAP);

// SAFETY: by the invariant the pointer is to static memory, which is only read.
unsafe impl Send for TdiDevice {}
// SAFETY: as for `Send`.
unsafe impl Sync for TdiDevice {}

impl TdiDevice {
    /// The device for sockets of a type (`SOCK_…`), an address family (`AF_…`) and a protocol.
    ///
    /// `name` is UTF-16 and ends in its one zero, as `\Device\Example` and a zero does; `None` otherwise.
    #[must_use]
    pub const fn new(
        socket_type: u16,
        address_family: u16,
        protocol: u32,
        name: &'static [u16],
    ) -> Option<Self> {
        let mut at = 0;
        while at < name.len() {
            if name[at] == 0 {
                break;
            }
            at += 1;
        }
        if at + 1 != name.len() {
            return None;
        }
        // INVARIANT: the zero is the last unit, and the type says that they are static.
        Some(Self(WSK_TDI_MAP {
            SocketType: socket_type,
            AddressFamily: address_family,
            Protocol: protocol,
            TdiDeviceName: name.as_ptr(),
        }))
    }
}

impl fmt::Debug for TdiDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TdiDevice")
            .field("socket_type", &self.0.SocketType)
            .field("address_family", &self.0.AddressFamily)
            .field("protocol", &self.0.Protocol)
            .finish_non_exhaustive()
    }
}

/// Operations on the client.
///
/// There is one for each code of `WskControlClient` but `WSK_SET_STATIC_EVENT_CALLBACKS`, which enables event callbacks on every
/// socket from its making to its closing. That cannot be offered safely: WSK would call a table of callbacks that sockets without a
/// handler do not have, and call handlers before `open` has given anybody the socket, and nothing could
/// [disable](crate::DatagramSocket::disable_receive_events) them. Enabling events on a socket is one call without an IRP.
/// [`control_client_raw`](Provider::control_client_raw) says what a driver has to see to that enables them so all the same.
impl Provider {
    /// Makes sockets use WSK's own transports, even if there are TDI filter drivers. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// If there is a TDI filter driver, WSK by default diverts sockets to TDI, where packet information, ECN and other control messages get
    /// lost. A driver that needs these calls this method, before it makes its first socket.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// use wsk::{DatagramSocket, Family, Registration, Wait};
    ///
    /// let registration = Registration::new()?;
    /// let provider = registration.capture(Wait::Milliseconds(10_000))?;
    /// provider.bypass_tdi()?;
    /// let socket = DatagramSocket::open(&provider, Family::V4)?;
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_TDI_BEHAVIOR`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-tdi-behavior) with
    /// `WSK_TDI_BEHAVIOR_BYPASS_TDI`.
    ///
    /// # Errors
    ///
    /// The error of WSK, as when there are sockets already.
    #[doc(alias("WskControlClient", "WSK_TDI_BEHAVIOR", "WSK_TDI_BEHAVIOR_BYPASS_TDI"))]
    pub fn bypass_tdi(&self) -> Result<(), Error> {
        let control = ClientControl::new(self.capture(), WSK_TDI_BEHAVIOR)?;
        // SAFETY: flags go in, which are there for the call; nothing comes out.
        unsafe {
            control
                .with_input(&WSK_TDI_BEHAVIOR_BYPASS_TDI)
                .at_once(None)
        }
    }

    /// Uses TDI devices for transports that WSK itself does not have. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Call it before the driver makes its first socket. Windows versions after Vista have no TDI transports of their own.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::TdiDevice;
    ///
    /// const NAME: [u16; 4] = [b'\\' as u16, b'X' as u16, b'Y' as u16, 0];
    /// // SOCK_STREAM of AF_IPX.
    /// static DEVICES: [TdiDevice; 1] = [TdiDevice::new(1, 6, 1256, &NAME).unwrap()];
    /// provider.map_tdi_devices(&DEVICES)?;
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_TDI_DEVICENAME_MAPPING`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-tdi-devicename-mapping).
    ///
    /// # Errors
    ///
    /// The error of WSK, as when there are sockets already.
    #[doc(alias("WskControlClient", "WSK_TDI_DEVICENAME_MAPPING", "WSK_TDI_MAP_INFO"))]
    pub fn map_tdi_devices(&self, devices: &'static [TdiDevice]) -> Result<(), Error> {
        let info = WSK_TDI_MAP_INFO {
            ElementCount: u32::try_from(devices.len()).unwrap_or(u32::MAX),
            Map: devices.as_ptr().cast(),
        };
        let control = ClientControl::new(self.capture(), WSK_TDI_DEVICENAME_MAPPING)?;
        // SAFETY: the structure goes in, which is there for the call; what it leads to is static, should WSK keep that. Nothing comes
        // out.
        unsafe { control.with_input(&info).at_once(None) }
    }

    /// The number of transports at this moment. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`WSK_TRANSPORT_LIST_QUERY`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-transport-list-query).
    ///
    /// # Errors
    ///
    /// The error of WSK.
    #[doc(alias("WskControlClient", "WSK_TRANSPORT_LIST_QUERY"))]
    pub fn transport_count(&self) -> Result<usize, Error> {
        let mut size = 0_usize;
        let control = ClientControl::new(self.capture(), WSK_TRANSPORT_LIST_QUERY)?;
        // SAFETY: nothing goes in, and there is no room for the list; its size is written to a place that is there for the call.
        let asked = unsafe { control.at_once(Some(NonNull::from(&mut size))) };
        match asked {
            // The status with which WSK gives the size.
            Ok(())
            | Err(Error::Call {
                status: STATUS_BUFFER_OVERFLOW,
                ..
            }) => Ok(size / size_of::<Transport>()),
            Err(error) => Err(error),
        }
    }

    /// Writes the list of transports to `room`, and returns that part of it. IRQL: `<= APC_LEVEL`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::Transport;
    ///
    /// let mut room = [Transport::default(); 16];
    /// let has_udp_of_v6 = provider.transports(&mut room)?.iter().any(|transport| {
    ///     // AF_INET6 and IPPROTO_UDP.
    ///     (transport.address_family(), transport.protocol()) == (23, 17)
    /// });
    /// assert!(has_udp_of_v6);
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_TRANSPORT_LIST_QUERY`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-transport-list-query).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; or the error of WSK, `STATUS_BUFFER_OVERFLOW` when there are more than there is room for:
    /// [`transport_count`](Self::transport_count) says how many there are.
    #[doc(alias("WskControlClient", "WSK_TRANSPORT_LIST_QUERY"))]
    pub fn transports<'r>(&self, room: &'r mut [Transport]) -> Result<&'r [Transport], Error> {
        may_touch_pageable()?;
        let mut size = 0_usize;
        let mut control = ClientControl::new(self.capture(), WSK_TRANSPORT_LIST_QUERY)?;
        if !room.is_empty() {
            let place = NonNull::from(&mut *room);
            control.output = Some(NonNull::slice_from_raw_parts(
                place.cast(),
                size_of_val(room),
            ));
        }
        // SAFETY: nothing goes in; the room is that of as many structures as its size says, of which every value is valid, and it and the
        // place of the size are there for the call.
        unsafe { control.at_once(Some(NonNull::from(&mut size))) }?;
        let count = (size / size_of::<Transport>()).min(room.len());
        Ok(room.get(..count).unwrap_or_default())
    }

    /// Has WSK cache a security descriptor for sockets. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Allocates the handle. WSK makes a copy: the driver may free the descriptor afterwards.
    ///
    /// [`WSK_CACHE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-cache-sd).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    ///
    /// # Safety
    ///
    /// `descriptor` points at a valid security descriptor (`SECURITY_DESCRIPTOR`), absolute or self-relative, which nobody changes
    /// during the call.
    #[doc(alias("WskControlClient", "WSK_CACHE_SD"))]
    pub unsafe fn cache_security_descriptor(
        &self,
        descriptor: NonNull<c_void>,
    ) -> Result<SecurityDescriptor, Error> {
        // SAFETY: the caller gives a valid descriptor.
        unsafe { SecurityDescriptor::cache(self.capture(), descriptor) }
    }

    /// Carries out an operation on the client that has no method here, without an IRP: the number of bytes of `output` that were
    /// written, as far as WSK says. IRQL: `<= APC_LEVEL`, and what the operation asks.
    ///
    /// For operations that take an IRP there is [`control_client_raw_request`](Self::control_client_raw_request).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], or the error of WSK.
    ///
    /// # Safety
    ///
    /// * The operation takes no IRP, and asks for such an input and for room of such a size.
    /// * WSK touches, for this operation, no memory but the input, the output, and what pointers in the input lead to, which stays
    ///   valid as long as the operation asks.
    /// * A security descriptor that it caches or releases is none of a [`SecurityDescriptor`].
    /// * Event callbacks that it enables for every socket (`WSK_SET_STATIC_EVENT_CALLBACKS`) are those of sockets that the driver
    ///   makes without this crate: what this crate makes for the client from then on has no such callbacks, or counts on being able to
    ///   disable them.
    #[doc(alias("WskControlClient", "WSK_SET_STATIC_EVENT_CALLBACKS"))]
    pub unsafe fn control_client_raw(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, Error> {
        may_touch_pageable()?;
        let mut size = MaybeUninit::new(0_usize);
        let control = ClientControl::new(self.capture(), code)?.with(
            (!input.is_empty()).then(|| NonNull::from(input)),
            (!output.is_empty()).then(|| NonNull::from(&mut *output)),
        );
        let returned = control.output.map(|_| NonNull::from(&mut size).cast());
        // SAFETY: the caller vouches for the operation; input, output and the place of the size are there for the call.
        let size = unsafe {
            control.at_once(returned)?;
            size.assume_init()
        };
        Ok(size.min(output.len()))
    }
}
