//! The transports of sockets: those that WSK has, and TDI devices that stand in for others.

use core::fmt;

use wsk_sys::{GUID, WSK_TDI_MAP, WSK_TRANSPORT};

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
