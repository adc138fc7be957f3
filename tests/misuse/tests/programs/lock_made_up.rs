//! A buffer says that an MDL chain needs no lock, without promising that it is valid.
//! With `unsafe`, the driver promises that nothing unlocks or frees the memory.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, SendBuffer};

struct Nothing;

fn nothing(lock: &mut Lock) -> &Extent {
    lock.describe(Extent::empty())
}

// SAFETY: there is no memory that could go.
unsafe impl SendBuffer for Nothing {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(nothing(lock))
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    assert_eq!(socket.send_to(&Nothing, to).wait()?, 0);
    Ok(())
}

fn main() {
    let _ = program;
}
