//! [`More`]: how a receive goes on until its buffer is full.

use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, WSK_BUF};

use crate::memory::shared::Shared;
use crate::registration::Capture;
use crate::socket::{ConnectionCategory, Handle};

/// A receive that goes on: the socket, which is open meanwhile, and the rest of the buffer.
pub struct More {
    socket: Handle<ConnectionCategory>,
    rest: NonNull<WSK_BUF>,
}

impl More {
    pub(super) const fn new(socket: Handle<ConnectionCategory>, rest: NonNull<WSK_BUF>) -> Self {
        Self { socket, rest }
    }

    /// The capture that keeps the driver.
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        self.socket.capture()
    }

    /// Passes the IRP on once more.
    ///
    /// # Safety
    ///
    /// The IRP is that of the operation that goes on.
    pub(crate) unsafe fn submit(&self, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
        let (table, socket) = (self.socket.dispatch(), self.socket.as_ptr());
        // SAFETY: the caller gives the IRP; the socket is open, and the rest of the buffer is in the operation's arguments.
        unsafe { table.wsk_receive(socket, self.rest, 0, irp) }
    }
}
