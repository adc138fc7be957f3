//! The event callbacks of a socket: which are enabled, and which calls of them are running. `SO_WSK_EVENT_CALLBACK` changes them.

use core::fmt::Arguments;
use std::sync::atomic::{AtomicU64, Ordering};

use wsk_sys::{NTSTATUS, STATUS_SUCCESS};

use super::request::Request;
use super::socket::Socket;
use crate::bugcheck::{bugcheck, violation};
use crate::irql::{self, DISPATCH_LEVEL};
use crate::schedule::SOON;
use crate::trace;
use crate::upcall::{self, Code};

/// The event callbacks of a socket, as the bits of an `EventMask`.
pub(crate) struct Callbacks {
    enabled: u32,
    /// The event callbacks that the client enables on all its sockets.
    fixed: u32,
    /// The event of each call that has not returned.
    running: Vec<u32>,
    /// Calls of `WskControlSocket` that wait until no call of this event callback is running.
    disabling: Vec<(u32, Request)>,
}

/// The outcome of disabling an event callback.
pub(crate) enum Disabled {
    /// The callback is disabled.
    Now(Option<Request>),
    /// A call of the callback is running. The request completes once there is none.
    Pending,
    /// A call of the callback is running, and there is no request.
    EventPending,
}

impl Callbacks {
    /// Begins with the event callbacks that the client enables on all its sockets.
    pub(crate) const fn new(fixed: u32) -> Self {
        Self {
            enabled: fixed,
            fixed,
            running: Vec::new(),
            disabling: Vec::new(),
        }
    }

    pub(crate) fn is_enabled(&self, event: u32) -> bool {
        self.enabled & event != 0
    }

    /// Whether the client enables the event callback on all its sockets.
    pub(crate) fn is_fixed(&self, event: u32) -> bool {
        self.fixed & event != 0
    }

    /// Whether any event callback is enabled or running.
    pub(crate) fn are_active(&self) -> bool {
        self.enabled != 0 || !self.running.is_empty()
    }

    pub(crate) fn enable(&mut self, events: u32) {
        self.enabled |= events;
    }

    /// Disables event callbacks, and does not wait for running calls.
    pub(crate) fn silence(&mut self, events: u32) {
        self.enabled &= !events;
    }

    /// Disables an event callback, and keeps the request while a call of the callback is running.
    pub(crate) fn disable(&mut self, event: u32, request: Option<Request>) -> Disabled {
        self.silence(event);
        if !self.running.contains(&event) {
            return Disabled::Now(request);
        }
        match request {
            Some(request) => {
                request.pend();
                self.disabling.push((event, request));
                Disabled::Pending
            }
            None => Disabled::EventPending,
        }
    }

    /// Records that a call begins.
    pub(crate) fn begin(&mut self, event: u32) {
        self.running.push(event);
    }

    /// Records that a call has returned.
    pub(crate) fn end(&mut self, event: u32) {
        if let Some(index) = self.running.iter().position(|&running| running == event) {
            self.running.swap_remove(index);
        }
        if self.running.contains(&event) {
            return;
        }
        for (_, request) in self.disabling.extract_if(.., |(waits, _)| *waits == event) {
            request.complete_later(SOON, STATUS_SUCCESS, 0);
        }
    }

    /// Gives up the waiting requests when the kernel shuts down.
    pub(crate) fn abandon(&mut self) -> impl Sized + use<> {
        core::mem::take(&mut self.disabling)
    }
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// The number of calls of event callbacks so far.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Calls an event callback as the network's interrupt does: at `DISPATCH_LEVEL`.
pub(crate) fn call<R>(name: &'static str, told: Arguments<'_>, callback: impl FnOnce() -> R) -> R {
    CALLS.fetch_add(1, Ordering::Relaxed);
    trace::callback(name, told);
    let level = irql::set(DISPATCH_LEVEL);
    let answer = upcall::call(Code::EventCallback(name), callback);
    irql::set(level);
    answer
}

/// An answer of an event callback that the documentation doesn't allow.
pub(crate) struct WrongAnswer {
    pub(crate) answer: usize,
    /// What the callback did.
    pub(crate) did: &'static str,
    /// What the documentation allows.
    pub(crate) allowed: &'static str,
}

impl WrongAnswer {
    pub(crate) const RETURNED: &str = "returned something else than ";

    /// A status other than those that `allowed` names.
    pub(crate) fn status(status: NTSTATUS, allowed: &'static str) -> Self {
        Self {
            answer: status.0.cast_unsigned() as usize,
            did: Self::RETURNED,
            allowed,
        }
    }

    /// Fails unless the status is one of `statuses`, which `allowed` names.
    pub(crate) fn unless_one_of(
        status: NTSTATUS,
        statuses: &[NTSTATUS],
        allowed: &'static str,
    ) -> Result<(), Self> {
        if statuses.contains(&status) {
            Ok(())
        } else {
            Err(Self::status(status, allowed))
        }
    }

    /// Stops the system.
    #[cold]
    pub(crate) fn report(&self, socket: &Socket, callback: &str) -> ! {
        let Self {
            answer,
            did,
            allowed,
        } = self;
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WSK_CONTRACT,
                socket.address(),
                *answer,
                0
            ),
            [socket.story()],
            "the driver's {callback} {did}{allowed}"
        )
    }
}
