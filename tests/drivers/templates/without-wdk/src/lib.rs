//! A driver that tells a server, over TCP, when it is loaded and when it is unloaded.
//!
//! The value `Server` of its `Parameters` key has the address of the server, such as `192.0.2.1:7777`.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use wsk::{
    ConnectedSocket, ConnectionSocket, DriverState, Error, Family, NTSTATUS, Registration, Wait,
};
use wsk_driver::{Parameters, driver_entry, report};
use wsk_sys::STATUS_DEVICE_BUSY;

/// The address of the server if the value is not set.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);
/// The time limit of each step.
const PATIENCE: Duration = Duration::from_secs(5);

static DRIVER: DriverState<Driver> = DriverState::new();

/// The state of the driver while it is loaded. Fields are dropped in this order: deregistering waits until the socket has closed.
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

    /// Sends a line, and waits until the server has acknowledged it. IRQL: `PASSIVE_LEVEL`.
    fn tell(&self, line: &[u8]) -> Result<(), Error> {
        self.socket.send(line).wait_timeout(PATIENCE)?;
        Ok(())
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let server = parameters.address("Server", SERVER)?;
    let failed = |error| report(c"{{project-name}}", error);
    let driver = Driver::start(server).map_err(failed)?;
    driver.tell(b"loaded\n").map_err(failed)?;
    DRIVER.put(driver).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    if let Some(Err(error)) = DRIVER.with(|driver| driver.tell(b"unloaded\n")) {
        let _ = report(c"{{project-name}}", error);
    }
    // Closes the connection, and waits until WSK uses nothing of the driver any more.
    drop(DRIVER.take());
}
