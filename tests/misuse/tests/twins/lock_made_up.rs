//! The right form of `lock_made_up`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, SendBuffer};

struct Nothing;

fn nothing(lock: &mut Lock) -> &Extent {
    // SAFETY: an extent of no bytes is always valid.
    unsafe { lock.describe(Extent::empty()) }
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
