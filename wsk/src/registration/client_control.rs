//! Operations on the client itself: `WskControlClient`, as far as it takes no IRP.
//!
//! The one operation that takes an IRP is a [request](crate::request).

#![forbid(unsafe_code)]

use wsk_sys::STATUS_BUFFER_OVERFLOW;

use crate::error::Error;
use crate::irql::may_touch_pageable;
use crate::registration::capture::{ClientAtOnce, RawClientControl, RawDescriptor, StaticEvents};
use crate::registration::provider::Provider;
use crate::registration::security::SecurityDescriptor;
use crate::registration::transport::{TdiDevice, Transport};

/// Operations on the client.
///
/// There is one for each code of `WskControlClient`. The one for `WSK_SET_STATIC_EVENT_CALLBACKS`, which enables event callbacks on every
/// socket from its making to its closing, takes a value that is made with unsafe code. It is for sockets that a driver makes without this crate:
/// on those of this crate WSK would call a table of callbacks that sockets without a handler do not have, and call handlers before `open` has
/// given anybody the socket, and nothing could [disable](crate::DatagramSocket::disable_receive_events) them.
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
        ClientAtOnce::BypassTdi.carry_out(self.capture(), &mut 0)
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
        ClientAtOnce::MapTdiDevices(devices).carry_out(self.capture(), &mut 0)
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
        match ClientAtOnce::Transports(&mut []).carry_out(self.capture(), &mut size) {
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
        ClientAtOnce::Transports(room).carry_out(self.capture(), &mut size)?;
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
    #[doc(alias("WskControlClient", "WSK_CACHE_SD"))]
    pub fn cache_security_descriptor(
        &self,
        descriptor: RawDescriptor,
    ) -> Result<SecurityDescriptor, Error> {
        SecurityDescriptor::cache(self.capture(), descriptor)
    }

    /// Enables event callbacks on every socket that is made for the client from now on, until that is closed. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// This is for sockets that a driver makes without this crate, by the [NPI](Self::npi). For those of this crate there are methods
    /// that enable events one by one. Call it before the client has a socket: it cannot be taken back. There is an example at
    /// [`StaticEvents`](crate::raw::StaticEvents).
    ///
    /// [`WSK_SET_STATIC_EVENT_CALLBACKS`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-set-static-event-callbacks).
    ///
    /// # Errors
    ///
    /// The error of WSK, as when there are sockets already.
    #[doc(alias("WskControlClient", "WSK_SET_STATIC_EVENT_CALLBACKS"))]
    pub fn enable_static_event_callbacks(&self, events: StaticEvents) -> Result<(), Error> {
        ClientAtOnce::StaticEvents(events).carry_out(self.capture(), &mut 0)
    }

    /// Carries out an operation on the client that has no method in this crate, without an IRP: the number of bytes of `output` that were
    /// written, as far as WSK says. IRQL: `<= APC_LEVEL`, and what the operation asks.
    ///
    /// For operations that take an IRP there is [`control_client_raw_request`](Self::control_client_raw_request).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], or the error of WSK.
    #[doc(alias = "WskControlClient")]
    pub fn control_client_raw(
        &self,
        control: RawClientControl<'_>,
        output: &mut [u8],
    ) -> Result<usize, Error> {
        may_touch_pageable()?;
        let mut size = 0_usize;
        ClientAtOnce::Raw(control, &mut *output).carry_out(self.capture(), &mut size)?;
        Ok(size.min(output.len()))
    }
}
