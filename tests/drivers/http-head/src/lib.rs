//! A driver that asks a web server for the head of a page when it is loaded. It resolves the server's name, connects, sends,
//! receives, prints the first line of the answer, and closes the connection.
//!
//! Values of its `Parameters` key: `Host`, a name or an address, `Port`, and `Disconnect`: 0 for a system that cannot disconnect,
//! such as Wine. The driver then closes the connection without disconnecting.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::time::Duration;

use wsk::{
    AddressInfo, ConnectedSocket, ConnectionSocket, Error, Family, NTSTATUS, NonPagedBuffer,
    Provider, Registration, Wait,
};
use wsk_driver::{Parameters, driver_entry, report};
use wsk_sys::DbgPrint;

/// The server if `Host` is not set: this machine.
const HOST: &str = "localhost";
const PORT: &str = "80";
/// The time limit of each step.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time limit of the graceful disconnect, before the connection is aborted.
const PARTING: Duration = Duration::from_secs(1);
/// The longest first line that is printed.
const LONGEST: usize = 100;

/// The first line of an answer.
struct Line {
    bytes: [u8; LONGEST],
    length: usize,
}

fn head(host: &str, port: &str, disconnect: bool) -> Result<Line, Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Milliseconds(1000))?;
    let found = provider.resolve((host, port)).wait_timeout(PATIENCE)?;
    let socket = connect(&provider, &found)?;
    socket.send(&request(host)?).wait_timeout(PATIENCE)?;
    let line = first_line(&socket)?;
    if disconnect {
        // The answer has arrived, so the result of the disconnect does not matter.
        let _ = socket.disconnect().wait_timeout(PARTING);
    }
    socket.close()?;
    Ok(line)
}

/// Connects to the first address that answers.
fn connect(provider: &Provider, found: &AddressInfo) -> Result<ConnectedSocket, Error> {
    let mut failed = Error::UnknownAddress { family: 0 };
    for address in found {
        let family = Family::of(&address);
        let socket = ConnectionSocket::open(provider, family)?;
        socket.bind(family.any())?;
        match socket.connect(address).wait_timeout(PATIENCE) {
            Ok(socket) => return Ok(socket),
            Err(not_connected) => failed = not_connected.error,
        }
    }
    Err(failed)
}

fn request(host: &str) -> Result<NonPagedBuffer, Error> {
    let parts = [
        "HEAD / HTTP/1.1\r\nHost: ",
        host,
        "\r\nConnection: close\r\n\r\n",
    ];
    let mut request = NonPagedBuffer::new(parts.iter().map(|part| part.len()).sum())?;
    let bytes = parts.iter().flat_map(|part| part.bytes());
    for (to, from) in request.as_mut_slice().iter_mut().zip(bytes) {
        *to = from;
    }
    Ok(request)
}

/// Receives until the first line is complete or too long, or until the server disconnects.
fn first_line(socket: &ConnectedSocket) -> Result<Line, Error> {
    let mut buffer = NonPagedBuffer::new(1024)?;
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    loop {
        let count = socket.receive(&mut buffer).wait_timeout(PATIENCE)?;
        for &byte in buffer.as_slice().iter().take(count) {
            match bytes.get_mut(length) {
                Some(to) if byte != b'\r' && byte != b'\n' => *to = byte,
                _ => return Ok(Line { bytes, length }),
            }
            length += 1;
        }
        if count == 0 {
            return Ok(Line { bytes, length });
        }
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let (host, port) = (parameters.text("Host")?, parameters.text("Port")?);
    let host = host.as_ref().map_or(HOST, |host| host.as_str());
    let port = port.as_ref().map_or(PORT, |port| port.as_str());
    let disconnect = parameters.number("Disconnect", 1)? != 0;
    let line = head(host, port, disconnect).map_err(|error| report(c"http-head", error))?;
    // SAFETY: a length and as many bytes, as the format requires.
    unsafe {
        DbgPrint(
            c"http-head: %.*s\n".as_ptr().cast(),
            line.length,
            line.bytes.as_ptr(),
        )
    };
    Ok(())
}

/// There is nothing to undo.
fn unload() {}
