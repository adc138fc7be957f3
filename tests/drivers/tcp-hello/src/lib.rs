//! A driver that greets whoever connects: a thread of its own waits for connections, sends each a line, and closes it,
//! one after the other.
//!
//! Values of its `Parameters` key: `Listen`, such as `192.0.2.1:7777`, and `Disconnect`: 0 for a system that cannot disconnect, which
//! Wine is. It closes connections without, then.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;

use wsk::{
    ConnectedSocket, DriverState, Error, Family, ListenSocket, NTSTATUS, NonPagedBuffer,
    Registration, Wait,
};
use wsk_driver::{Parameters, Stop, Worker, report};
use wsk_sys::{DRIVER_OBJECT, STATUS_DEVICE_BUSY, STATUS_SUCCESS, UNICODE_STRING};

/// Where it listens unless it is told otherwise.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);
/// What it says.
const GREETING: &[u8] = b"Hello from the kernel!\r\n";
/// How long a client may take for the greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the connection may take to end gracefully, before it is aborted.
const PARTING: Duration = Duration::from_secs(1);
/// How long unloading may have to wait.
const TICK: Duration = Duration::from_millis(100);

static HELLO: DriverState<Hello> = DriverState::new();

/// What the driver has while it is loaded. Dropped in this order: first the thread ends, last the registration.
struct Hello {
    _worker: Worker<Greeter>,
    _registration: Registration,
}

/// What the thread works with.
struct Greeter {
    listener: ListenSocket,
    greeting: NonPagedBuffer,
    disconnect: bool,
}

impl Greeter {
    fn new(
        registration: &Registration,
        listen: SocketAddr,
        disconnect: bool,
    ) -> Result<Self, Error> {
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let listener = ListenSocket::open(&provider, Family::of(&listen))?;
        listener.bind(listen)?;
        let greeting = NonPagedBuffer::copy_of(GREETING)?;
        Ok(Self {
            listener,
            greeting,
            disconnect,
        })
    }

    /// Greets until it is to stop, or the socket is dead.
    fn work(&self, stop: &Stop) {
        while let Ok(mut accept) = self.listener.accept().start() {
            let accepted = loop {
                match accept.wait_timeout(TICK) {
                    Ok(accepted) => break accepted,
                    // Dropping what has not ended cancels it.
                    Err(_) if stop.asked() => return,
                    Err((_, still)) => accept = still,
                }
            };
            match accepted {
                // A client that does not take the greeting in time goes without.
                Ok((client, _)) => drop(self.greet(&client)),
                Err(error) if error.must_close() => return,
                // A client that has gone away meanwhile.
                Err(_) => {}
            }
        }
    }

    fn greet(&self, client: &ConnectedSocket) -> Result<(), Error> {
        client.send(&self.greeting).wait_timeout(PATIENCE)?;
        if !self.disconnect {
            return Ok(());
        }
        // Without this, closing the socket would abort the connection, and the greeting might be lost.
        client.disconnect().wait_timeout(PARTING)
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
    let listen = parameters.address("Listen", LISTEN)?.into();
    let disconnect = parameters.number("Disconnect", 1)? != 0;
    let failed = |error| report(c"tcp-hello", error);
    let registration = Registration::new().map_err(failed)?;
    let greeter = Greeter::new(&registration, listen, disconnect).map_err(failed)?;
    let hello = Hello {
        _worker: Worker::start(greeter, Greeter::work)?,
        _registration: registration,
    };
    // It is loaded once: no other is there.
    HELLO.put(hello).map_err(|_| STATUS_DEVICE_BUSY)
}

/// The system calls this before it unloads the driver, at `PASSIVE_LEVEL`.
unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {
    drop(HELLO.take());
}
