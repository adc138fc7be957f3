//! Requests that wait for the network, in order. The driver can cancel each. Stands for the IRP queues of `afd.sys`.

use core::ptr;
use std::collections::VecDeque;
use std::sync::Arc;

use wsk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, STATUS_CANCELLED};

use super::client;
use super::deviation::ignores_cancel;
use super::request::Request;
use super::resolution;
use super::socket::Socket;
use crate::schedule::SOON;
use crate::{irp, schedule, spinlock};

/// An entry of a queue: a request, and the data that it needs.
pub(crate) trait Waiting: Send {
    fn request(&self) -> &Request;
    fn into_request(self) -> Request;
}

/// Implements `Waiting` for structures with a field `request`.
macro_rules! waiting {
    ($($entry:ty),+) => {$(
        impl $crate::wsk::pending::Waiting for $entry {
            fn request(&self) -> &$crate::wsk::request::Request {
                &self.request
            }

            fn into_request(self) -> $crate::wsk::request::Request {
                self.request
            }
        }
    )+};
}
pub(crate) use waiting;

/// A queue of requests that wait.
///
/// # Invariants
///
/// A queue lies in a socket, or is that of name resolution or of clients, and is locked while it is used; the IRP of every entry is in
/// flight, and its cancel routine is [`cancel`] with that socket, or null, as its context, or is running just now.
pub(crate) struct Pending<T>(VecDeque<T>);

impl<T: Waiting> Pending<T> {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.0.front()
    }

    /// The entry with an IRP.
    pub(crate) fn find(&mut self, irp: *mut IRP) -> Option<&mut T> {
        self.0.iter_mut().find(|entry| entry.request().irp() == irp)
    }

    /// Queues a request and marks its IRP pending. Returns the request if the driver has cancelled the IRP already.
    ///
    /// The order is that of every driver that queues IRPs: first queue the IRP, then set its cancel routine, then check whether the
    /// IRP was cancelled meanwhile.
    #[must_use = "a request that is given back has to be completed"]
    pub(crate) fn push<'a>(
        &mut self,
        socket: impl Into<Option<&'a Arc<Socket>>>,
        entry: T,
    ) -> Option<T> {
        let irp = entry.request().irp();
        entry.request().pend();
        self.0.push_back(entry);
        self.arm(socket.into(), irp)
    }

    /// As [`push`](Self::push), but completes the request if the driver has cancelled its IRP already.
    pub(crate) fn push_or_cancel(&mut self, socket: &Arc<Socket>, entry: T) {
        if let Some(cancelled) = self.push(socket, entry) {
            let request = cancelled.into_request();
            let so_far = request.so_far();
            request.complete_later(SOON, STATUS_CANCELLED, so_far);
        }
    }

    /// Puts an entry that [`claim_first`](Self::claim_first) took out back at the front of the queue. Returns the entry if the
    /// driver has cancelled its IRP already.
    #[must_use = "a request that is given back has to be completed"]
    pub(crate) fn put_back(&mut self, socket: &Arc<Socket>, entry: T) -> Option<T> {
        let irp = entry.request().irp();
        self.0.push_front(entry);
        self.arm(Some(socket), irp)
    }

    fn arm(&mut self, socket: Option<&Arc<Socket>>, irp: *mut IRP) -> Option<T> {
        let context = socket.map_or(ptr::null(), Arc::as_ptr);
        // SAFETY: the IRP belongs to the request in the queue, and the queue is locked.
        let cancelled = unsafe {
            irp::set_driver_context(irp, context.cast());
            irp::set_cancel_routine(irp, Some(cancel));
            irp::cancel_requested(irp)
                && !ignores_cancel()
                && irp::set_cancel_routine(irp, None).is_some()
        };
        if cancelled { self.take(irp) } else { None }
    }

    /// Takes out the entry with an IRP.
    pub(crate) fn take(&mut self, irp: *mut IRP) -> Option<T> {
        let index = self
            .0
            .iter()
            .position(|entry| entry.request().irp() == irp)?;
        self.0.remove(index)
    }

    /// Takes out the first entry that isn't being cancelled.
    pub(crate) fn claim_first(&mut self) -> Option<T> {
        self.claim_that(|_| true)
    }

    /// Takes out the first entry that `wanted` accepts and that isn't being cancelled.
    pub(crate) fn claim_that(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let index = self
            .0
            .iter()
            .position(|entry| wanted(entry) && claim(entry))?;
        self.0.remove(index)
    }

    /// Takes out all entries that aren't being cancelled.
    pub(crate) fn claim_all(&mut self) -> Vec<T> {
        let (claimed, cancelling): (Vec<T>, Vec<T>) =
            core::mem::take(&mut self.0).into_iter().partition(claim);
        self.0 = cancelling.into();
        claimed
    }

    /// Gives up all entries when the kernel shuts down.
    pub(crate) fn abandon(&mut self) -> impl Sized + use<T> {
        core::mem::take(&mut self.0)
    }
}

/// Completes requests that were [claimed](Pending::claim_all).
pub(crate) fn complete_all<T: Waiting>(claimed: Vec<T>, status: NTSTATUS) {
    for entry in claimed {
        let request = entry.into_request();
        let so_far = request.so_far();
        request.complete_by(schedule::plan(), status, so_far);
    }
}

/// Clears the IRP's cancel routine. Returns whether the provider may complete the IRP, because the routine isn't running.
fn claim<T: Waiting>(entry: &T) -> bool {
    // SAFETY: the IRP is in flight and in the queue, which is locked.
    unsafe { irp::set_cancel_routine(entry.request().irp(), None) }.is_some()
}

/// The cancel routine of every queued request.
///
/// # Safety
///
/// The I/O manager calls it with an IRP that a [`Pending`] has queued, with the cancel lock held.
unsafe extern "system" fn cancel(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the IRP stays in the queue until this routine takes it out, and the request there holds a reference to the
    // socket; another one is taken here.
    let socket = unsafe {
        let socket = irp::driver_context(irp).cast::<Socket>();
        (!socket.is_null()).then(|| {
            Arc::increment_strong_count(socket);
            Arc::from_raw(socket)
        })
    };
    // SAFETY: this is the IRP that is being cancelled.
    unsafe { spinlock::release_cancel_of(irp) };
    let request = match socket {
        Some(socket) => socket.cancelled(irp),
        None => resolution::cancelled(irp).or_else(|| client::cancelled(irp)),
    };
    if let Some(request) = request {
        let so_far = request.so_far();
        request.complete_by(schedule::plan(), STATUS_CANCELLED, so_far);
    }
}
