//! A driver built with a WDK that sends datagrams with `wsk`.

#![no_std]

#[cfg(not(test))]
extern crate wdk_panic;

use core::net::{Ipv4Addr, SocketAddr};
use core::ptr::NonNull;

#[cfg(not(test))]
use wdk_alloc::WdkAllocator;
use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PIRP, PMDL, STATUS_DEVICE_BUSY,
    STATUS_DEVICE_NOT_READY, STATUS_SUCCESS,
};
use wsk::{DatagramSocket, DriverMdl, DriverState, Error, Extent, Family, Registration, Wait};

// For `Box`, `Vec` and other types in the rest of the driver: `wsk` needs no allocator.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

static SENDER: DriverState<Sender> = DriverState::new();

/// The state of the driver while it is loaded. Fields are dropped in this order.
pub struct Sender {
    socket: DatagramSocket,
    _registration: Registration,
}

impl Sender {
    fn start() -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let socket = DatagramSocket::open(&provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        Ok(Self {
            socket,
            _registration: registration,
        })
    }

    /// Sends the first `length` bytes of an MDL, and waits until they have been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// The pages of the MDL are locked, and stay so until this returns; nobody writes them or changes the MDL meanwhile.
    unsafe fn send(&self, mdl: PMDL, length: usize, to: SocketAddr) -> Result<usize, Error> {
        // The two crates have different types with the same layout: a cast converts the pointer.
        let Some(mdl) = NonNull::new(mdl.cast::<wsk_sys::MDL>()) else {
            return Ok(0);
        };
        // SAFETY: the caller vouches for the MDL until this returns.
        let datagram = unsafe { DriverMdl::from_raw(Extent::new(mdl, 0, length)?) }?;
        self.socket.send_to(&datagram, to).wait()
    }
}

/// Sends the data of a write request with direct I/O, as a dispatch routine would. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
///
/// The IRP is a write request of this many bytes that belongs to the driver, to a device with `DO_DIRECT_IO`.
pub unsafe fn write(irp: PIRP, length: usize) -> NTSTATUS {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    // SAFETY: the I/O manager has locked the pages, and unlocks them when the driver completes the request.
    let sent = SENDER.with(|sender| unsafe { sender.send((*irp).MdlAddress, length, to) });
    match sent {
        Some(Ok(_)) => STATUS_SUCCESS,
        Some(Err(error)) => status(error),
        // The driver is being unloaded.
        None => STATUS_DEVICE_NOT_READY,
    }
}

/// The status as wdk-sys has it: the number in that of wsk-sys.
fn status(error: Error) -> NTSTATUS {
    wdk::println!("{error}");
    wsk::NTSTATUS::from(error).0
}

/// The system calls this when the driver is loaded, at `PASSIVE_LEVEL`.
///
/// # Safety
///
/// It is called by the system, which gives the driver's object and the path of its service's key.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    _registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let sender = match Sender::start() {
        Ok(sender) => sender,
        Err(error) => return status(error),
    };
    // A driver is loaded once, so this does not happen.
    if SENDER.put(sender).is_err() {
        return STATUS_DEVICE_BUSY;
    }
    driver.DriverUnload = Some(unload);
    STATUS_SUCCESS
}

/// The system calls this before it unloads the driver, at `PASSIVE_LEVEL`.
unsafe extern "C" fn unload(_: *mut DRIVER_OBJECT) {
    drop(SENDER.take());
}
