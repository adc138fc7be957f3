//! One call of the provider that takes an IRP. A request is started, carried out now or later, and completed exactly once.

use core::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wsk_sys::{
    IRP, NTSTATUS, STATUS_FILE_FORCED_CLOSED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NOT_IMPLEMENTED, STATUS_PENDING, WSK_BUF,
};

use super::socket::Socket;
use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Resource};
use crate::flight::Flight;
use crate::irp;
use crate::schedule::{self, Plan, SOON, When};

/// The outcome of an attempt to carry out a call.
pub(crate) enum Outcome {
    /// The call is done, with this status and this information.
    Done(NTSTATUS, usize),
    /// The host's socket can't carry out the call now.
    Again,
}

/// The provider's obligation to complete an IRP of a driver.
///
/// # Invariants
///
/// The IRP is in flight and belongs to the provider until [`complete`](Self::complete) consumes the request.
pub(crate) struct Request {
    irp: *mut IRP,
    socket: Option<Arc<Socket>>,
    /// Whether the provider refuses the request without completing the IRP.
    withheld: AtomicBool,
    /// The information that an error completes with: see [`done_so_far`](Self::done_so_far).
    so_far: usize,
}

/// Requests that the provider has refused without completing their IRPs.
static WITHHELD: Mutex<Vec<Request>> = Mutex::new(Vec::new());

/// Completes the withheld requests; returns their number.
pub(crate) fn complete_withheld() -> usize {
    let withheld = std::mem::take(&mut *WITHHELD.lock());
    let count = withheld.len();
    for request in withheld {
        request.complete(STATUS_NOT_IMPLEMENTED, 0);
    }
    count
}

/// Forgets the withheld requests: their IRPs are leaks.
pub(crate) fn reset() {
    std::mem::forget(std::mem::take(&mut *WITHHELD.lock()));
}

// SAFETY: the IRP belongs to the request, and what belongs to the provider may be completed on any thread.
unsafe impl Send for Request {}
// SAFETY: a shared request gives out the pointer only.
unsafe impl Sync for Request {}

/// The memory that a call uses. The IRP's flight watches it.
pub(crate) struct Uses(Flight);

impl Uses {
    pub(crate) fn nothing(function: &'static str) -> Self {
        Self(Flight::new(function))
    }

    pub(crate) fn of(flight: Flight) -> Self {
        Self(flight)
    }

    /// The memory of a call that takes a buffer.
    ///
    /// # Safety
    ///
    /// The driver gave the buffer, whose MDL chain it keeps until the IRP is completed.
    pub(crate) unsafe fn buffer(function: &'static str, buffer: *const WSK_BUF) -> Self {
        let mut flight = Flight::new(function);
        // SAFETY: the caller says so.
        unsafe { flight.pin_buffer(buffer, &format_args!("the WSK_BUF of {function}")) };
        Self(flight)
    }

    /// The memory of a call that receives into a buffer.
    ///
    /// # Safety
    ///
    /// As for [`buffer`](Self::buffer).
    pub(crate) unsafe fn room(function: &'static str, buffer: *const WSK_BUF) -> Self {
        // SAFETY: the caller says so.
        let mut uses = unsafe { Self::buffer(function, buffer) };
        uses.0.receive();
        uses
    }

    /// Adds memory of the driver that has to stay valid.
    pub(crate) fn memory<T>(mut self, start: *const T, length: usize, what: &'static str) -> Self {
        self.0.pin(start as usize, length, what);
        self
    }

    /// Adds memory of the driver whose contents are sent.
    pub(crate) fn contents<T>(
        mut self,
        start: *const T,
        length: usize,
        what: &'static str,
    ) -> Self {
        self.0.pin_contents(start as usize, length, what);
        self
    }

    pub(crate) fn data(&self) -> Vec<Range<usize>> {
        self.0.data().collect()
    }
}

/// Stops the system when there is no IRP.
pub(crate) fn require_irp(function: &str, irp: *mut IRP) {
    if irp.is_null() {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, 0, 0, 0),
            [],
            "{function} was called without an IRP: Windows answers STATUS_INVALID_PARAMETER"
        )
    }
}

impl Request {
    /// Takes the IRP for a call.
    ///
    /// # Safety
    ///
    /// The driver gave the IRP for this call.
    #[inline]
    pub(crate) unsafe fn start(irp: *mut IRP, uses: Uses, socket: Option<&Arc<Socket>>) -> Self {
        let Uses(flight) = uses;
        require_irp(flight.function, irp);
        // SAFETY: the caller says so.
        unsafe { irp::start(irp, flight) };
        if let Some(socket) = socket {
            socket.took_off();
        }
        Self {
            irp,
            socket: socket.cloned(),
            withheld: AtomicBool::new(false),
            so_far: 0,
        }
    }

    pub(crate) fn irp(&self) -> *mut IRP {
        self.irp
    }

    /// Marks the IRP as pending, because the call will return `STATUS_PENDING`.
    pub(crate) fn pend(&self) {
        // SAFETY: by the invariant the IRP is in flight and the provider's.
        unsafe { irp::mark_pending(self.irp) };
    }

    /// Sets the information that the request completes with even when it fails.
    pub(crate) fn done_so_far(&mut self, count: usize) {
        self.so_far = count;
    }

    /// The information that an error completes with.
    pub(crate) fn so_far(&self) -> usize {
        self.so_far
    }

    /// Ties the request to the socket that its call has made.
    pub(crate) fn belongs_to(&mut self, socket: &Arc<Socket>) {
        socket.took_off();
        self.socket = Some(socket.clone());
    }

    /// From now on the driver must not write to the data that the call sends.
    pub(crate) fn freeze(&self) {
        irp::with_flight(self.irp, Flight::freeze);
    }

    /// Completes the IRP.
    #[inline]
    pub(crate) fn complete(self, status: NTSTATUS, information: usize) {
        // SAFETY: by the invariant the IRP is in flight and the provider's. It is completed once: the request is gone after this.
        unsafe { irp::complete(self.irp, status, information) };
        if let Some(socket) = self.socket {
            socket.landed();
        }
    }

    /// The status that the call fails with in any case, because its socket was force-closed or the test has planned a failure.
    pub(crate) fn refusal(&self) -> Option<NTSTATUS> {
        if self
            .socket
            .as_ref()
            .is_some_and(|socket| socket.is_forced_closed())
        {
            Some(STATUS_FILE_FORCED_CLOSED)
        } else if faults::strikes_alone(Resource::Completion) {
            self.withheld.store(true, Ordering::Relaxed);
            Some(STATUS_NOT_IMPLEMENTED)
        } else if faults::strikes(Resource::Call) {
            Some(STATUS_INSUFFICIENT_RESOURCES)
        } else {
            None
        }
    }

    /// Refuses the request and keeps the IRP, like a provider that has forgotten the IRP. The request no longer keeps the socket
    /// open.
    fn withhold(mut self, status: NTSTATUS) -> NTSTATUS {
        if let Some(socket) = self.socket.take() {
            socket.landed();
        }
        WITHHELD.lock().push(self);
        status
    }

    /// Completes a request that is done by the time its call returns. Returns the status for the call to return.
    pub(crate) fn finish(self, plan: Plan, status: NTSTATUS, information: usize) -> NTSTATUS {
        if self.withheld.load(Ordering::Relaxed) {
            return self.withhold(status);
        }
        match plan {
            Plan::Now => {
                self.complete(status, information);
                status
            }
            Plan::DoLater(when) | Plan::CompleteLater(when) => {
                self.pend();
                self.complete_later(when, status, information);
                STATUS_PENDING
            }
        }
    }

    /// Completes a request whose call has returned `STATUS_PENDING`.
    pub(crate) fn complete_by(self, plan: Plan, status: NTSTATUS, information: usize) {
        match plan {
            Plan::Now => self.complete(status, information),
            Plan::DoLater(when) | Plan::CompleteLater(when) => {
                self.complete_later(when, status, information);
            }
        }
    }

    /// Carries out the call with `work`, now or later as the kernel's policy says, and completes the request. Returns the status
    /// for the call to return.
    #[inline]
    pub(crate) fn carry_out(self, mut work: impl FnMut() -> Outcome + Send + 'static) -> NTSTATUS {
        let failure = self.refusal();
        if let Some(status) = failure
            && self.withheld.load(Ordering::Relaxed)
        {
            return self.withhold(status);
        }
        let mut attempt = move || match failure {
            Some(status) => Outcome::Done(status, 0),
            None => work(),
        };
        match schedule::plan() {
            Plan::Now => match attempt() {
                Outcome::Done(status, information) => {
                    self.complete(status, information);
                    status
                }
                Outcome::Again => {
                    self.pend();
                    self.freeze();
                    self.later(SOON, attempt);
                    STATUS_PENDING
                }
            },
            Plan::DoLater(when) => {
                self.pend();
                self.freeze();
                self.later(when, attempt);
                STATUS_PENDING
            }
            Plan::CompleteLater(when) => {
                self.pend();
                self.freeze();
                match attempt() {
                    Outcome::Done(status, information) => {
                        self.complete_later(when, status, information);
                    }
                    Outcome::Again => self.later(when, attempt),
                }
                STATUS_PENDING
            }
        }
    }

    /// As [`carry_out`](Self::carry_out), for calls whose outcome is known already.
    pub(crate) fn conclude(self, status: NTSTATUS, information: usize) -> NTSTATUS {
        self.carry_out(move || Outcome::Done(status, information))
    }

    /// Completes the IRP later. It has to be marked pending.
    pub(crate) fn complete_later(self, when: When, status: NTSTATUS, information: usize) {
        schedule::later(when, move || self.complete(status, information));
    }

    fn later(self, when: When, mut attempt: impl FnMut() -> Outcome + Send + 'static) {
        schedule::later(when, move || match attempt() {
            Outcome::Done(status, information) => self.complete(status, information),
            Outcome::Again => self.later_boxed(Box::new(attempt)),
        });
    }

    /// Tries again a millisecond later, until the call is done.
    fn later_boxed(self, mut attempt: Box<dyn FnMut() -> Outcome + Send>) {
        schedule::later(
            SOON.after(Duration::from_millis(1)),
            move || match attempt() {
                Outcome::Done(status, information) => self.complete(status, information),
                Outcome::Again => self.later_boxed(attempt),
            },
        );
    }
}
