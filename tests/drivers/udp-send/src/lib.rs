//! A driver that sends datagrams when it is loaded, one after the other, and prints the result to the debugger.
//!
//! Values of its `Parameters` key: `Target`, such as `192.0.2.1:9`, and `Count`.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use wsk::{DatagramSocket, Error, Family, NTSTATUS, NonPagedBuffer, Registration, Wait};
use wsk_driver::{Parameters, driver_entry, report};
use wsk_sys::DbgPrint;

/// The target if `Target` is not set: the discard port of this machine.
const TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
/// The number of datagrams if `Count` is not set.
const COUNT: u32 = 10;

/// Sends `count` datagrams, each with its number in network order. Returns how many were sent.
fn send(target: SocketAddr, count: u32) -> Result<u32, Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Milliseconds(1000))?;
    let socket = DatagramSocket::open(&provider, Family::of(&target))?;
    socket.bind(Family::of(&target).any())?;

    let mut datagram = NonPagedBuffer::new(size_of::<u32>())?;
    let mut sent = 0;
    for number in 0..count {
        datagram.assign(&number.to_be_bytes())?;
        match socket.send_to(&datagram, target).wait() {
            Ok(_) => sent += 1,
            Err(error) if error.must_close() => return Err(error),
            // A datagram that is lost here could also have been lost in the network.
            Err(_) => {}
        }
    }
    socket.close()?;
    Ok(sent)
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let target = parameters.address("Target", TARGET)?;
    let count = parameters.number("Count", COUNT)?;
    let sent = send(target.into(), count).map_err(|error| report(c"udp-send", error))?;
    // SAFETY: two numbers, as the format requires.
    unsafe {
        DbgPrint(
            c"udp-send: %u of %u datagrams sent\n".as_ptr().cast(),
            sent,
            count,
        )
    };
    Ok(())
}

/// There is nothing to undo.
fn unload() {}
