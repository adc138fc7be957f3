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
    Cancel, ConnectedSocket, DriverState, Error, Family, ListenSocket, NTSTATUS, NonPagedBuffer,
    Registration, Wait,
};
use wsk_driver::{Parameters, Stop, Worker, driver_entry, report};
use wsk_sys::STATUS_DEVICE_BUSY;

/// Where it listens unless it is told otherwise.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);
/// What it says.
const GREETING: &[u8] = b"Hello from the kernel!\r\n";
/// How long a client may take for the greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the connection may take to end gracefully, before it is aborted.
const PARTING: Duration = Duration::from_secs(1);

static HELLO: DriverState<Hello> = DriverState::new();

/// What the driver has while it is loaded. Dropped in this order: what the thread waits for is cancelled, the thread ends, and last
/// the registration.
struct Hello {
    _unloading: Unloading,
    _worker: Worker<Greeter>,
    _registration: Registration,
}

/// Ends what the thread waits for when the driver is unloaded.
struct Unloading(Cancel);

impl Drop for Unloading {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What the thread works with.
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

    /// Greets until the driver is unloaded, or the socket is dead.
    fn work(&self, _: &Stop) {
        while !self.unloading.is_cancelled() {
            match self.listener.accept().wait_until(&self.unloading) {
                // A client that does not take the greeting in time goes without.
                Ok((client, _)) => drop(self.greet(&client)),
                Err(error) if error.must_close() => return,
                // The driver is unloaded, or a client has gone away meanwhile.
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
        // Without this, closing the socket would abort the connection, and the greeting might be lost.
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
    // It is loaded once: no other is there.
    HELLO.put(hello).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    drop(HELLO.take());
}
