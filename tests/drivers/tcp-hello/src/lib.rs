//! A driver that greets each client that connects: its own thread waits for connections, sends each a line, and closes it, one
//! after the other.
//!
//! Values of its `Parameters` key: `Listen`, such as `192.0.2.1:7777`, and `Disconnect`: 0 for a system that cannot disconnect,
//! such as Wine. The driver then closes connections without disconnecting.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;

use wsk::{
    Cancel, ConnectedSocket, DriverState, Error, Family, ListenSocket, NTSTATUS, NonPagedBuffer,
    Registration, Wait,
};
use wsk_driver::{Parameters, Stop, Worker, driver_entry, report};
use wsk_sys::STATUS_DEVICE_BUSY;

/// The address to listen on if `Listen` is not set.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);
/// The greeting.
const GREETING: &[u8] = b"Hello from the kernel!\r\n";
/// The time limit for sending the greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time limit of the graceful disconnect, before the connection is aborted.
const PARTING: Duration = Duration::from_secs(1);

static HELLO: DriverState<Hello> = DriverState::new();

/// The state of the driver while it is loaded. Fields are dropped in this order: the waits are cancelled, the thread ends, and
/// last the registration is dropped.
struct Hello {
    _unloading: Unloading,
    _worker: Worker<Greeter>,
    _registration: Registration,
}

/// Ends the waits of the thread when the driver is unloaded.
struct Unloading(Cancel);

impl Drop for Unloading {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The data of the thread.
struct Greeter {
    listener: ListenSocket,
    greeting: NonPagedBuffer,
    disconnect: bool,
    unloading: Cancel,
}

impl Greeter {
    fn new(
        registration: &Registration,
        listen: SocketAddr,
        disconnect: bool,
        unloading: Cancel,
    ) -> Result<Self, Error> {
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let listener = ListenSocket::open(&provider, Family::of(&listen))?;
        listener.bind(listen)?;
        let greeting = NonPagedBuffer::copy_of(GREETING)?;
        Ok(Self {
            listener,
            greeting,
            disconnect,
            unloading,
        })
    }

    /// Greets clients until the driver is unloaded, or the socket is dead.
    fn work(&self, _: &Stop) {
        while !self.unloading.is_cancelled() {
            match self.listener.accept().wait_until(&self.unloading) {
                // If a client does not take the greeting in time, the driver goes on with the next.
                Ok((client, _)) => drop(self.greet(&client)),
                Err(error) if error.must_close() => return,
                // The driver is being unloaded, or a client has disconnected meanwhile.
                Err(_) => {}
            }
        }
    }

    fn greet(&self, client: &ConnectedSocket) -> Result<(), Error> {
        let send = client.send(&self.greeting);
        send.wait_until_or_timeout(&self.unloading, PATIENCE)?;
        if !self.disconnect {
            return Ok(());
        }
        // Closing the socket without this would abort the connection, and the greeting might be lost.
        let disconnect = client.disconnect();
        disconnect.wait_until_or_timeout(&self.unloading, PARTING)
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let listen = parameters.address("Listen", LISTEN)?.into();
    let disconnect = parameters.number("Disconnect", 1)? != 0;
    let failed = |error| report(c"tcp-hello", error);
    let registration = Registration::new().map_err(failed)?;
    let unloading = Unloading(Cancel::new().map_err(failed)?);
    let cancel = unloading.0.clone();
    let greeter = Greeter::new(&registration, listen, disconnect, cancel).map_err(failed)?;
    let hello = Hello {
        _unloading: unloading,
        _worker: Worker::start(greeter, Greeter::work)?,
        _registration: registration,
    };
    // A driver is loaded once, so there is no other server.
    HELLO.put(hello).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    drop(HELLO.take());
}
