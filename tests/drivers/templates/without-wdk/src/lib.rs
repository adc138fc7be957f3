//! A driver that tells a server, over TCP, when it is loaded and when it is unloaded.
//!
//! The value `Server` of its `Parameters` key, such as `192.0.2.1:7777`, says where the server is.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use wsk::{
    ConnectedSocket, ConnectionSocket, DriverState, Error, Family, NTSTATUS, Registration, Wait,
};
use wsk_driver::{Parameters, report};
use wsk_sys::{DRIVER_OBJECT, STATUS_DEVICE_BUSY, STATUS_SUCCESS, UNICODE_STRING};

/// Where the server is unless the driver is told otherwise.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);
/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

static DRIVER: DriverState<Driver> = DriverState::new();

/// What the driver has while it is loaded. Dropped in this order: deregistering waits for all that came of the registration.
struct Driver {
    socket: ConnectedSocket,
    _registration: Registration,
}

impl Driver {
    fn start(server: SocketAddrV4) -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let socket = ConnectionSocket::open(&provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        let socket = socket.connect(server).wait_timeout(PATIENCE)?;
        Ok(Self {
            socket,
            _registration: registration,
        })
    }

    /// Waits until the server has acknowledged it. IRQL: `PASSIVE_LEVEL`.
    fn tell(&self, line: &[u8]) -> Result<(), Error> {
        self.socket.send(line).wait_timeout(PATIENCE)?;
        Ok(())
    }
}

/// The system calls this when the driver is loaded, at `PASSIVE_LEVEL`.
///
/// # Safety
///
/// It is called by the system, which gives the driver's object and the path of its service's key.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DriverEntry(
    driver: &mut DRIVER_OBJECT,
    registry_path: &UNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the system gave the path.
    let parameters = unsafe { Parameters::open(registry_path) };
    if let Err(status) = load(&parameters) {
        return status;
    }
    driver.DriverUnload = Some(unload);
    STATUS_SUCCESS
}

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let server = parameters.address("Server", SERVER)?;
    let failed = |error| report(c"{{project-name}}", error);
    let driver = Driver::start(server).map_err(failed)?;
    driver.tell(b"loaded\n").map_err(failed)?;
    DRIVER.put(driver).map_err(|_| STATUS_DEVICE_BUSY)
}

/// The system calls this before it unloads the driver, at `PASSIVE_LEVEL`.
unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {
    if let Some(Err(error)) = DRIVER.with(|driver| driver.tell(b"unloaded\n")) {
        let _ = report(c"{{project-name}}", error);
    }
    // Closes the connection, and waits until nothing of the driver is in use any more.
    drop(DRIVER.take());
}
