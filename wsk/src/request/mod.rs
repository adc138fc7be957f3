//! Requests to WSK. Each function of WSK has a type for its request, and a type for its operation.
//!
//! A request is a value that does nothing until a finisher of [`operation`](crate::operation) runs it. So each function is
//! written once, in the file named after it, in three steps:
//!
//! 1. [`Function::put`] checks the request, always in the same order, lays out what the parameters point at, and binds the
//!    parameters to the operation;
//! 2. the parameters call the entry of the dispatch table;
//! 3. [`Operation::read`] reads the result from the completed IRP.
//!
//! The [`Way`] of a request says what the request carries, and who gets that back. This module contains no unsafe code: the code
//! that keeps the kernel's rules is in the modules `socket::calls` and `buffer::carry`.

#![forbid(unsafe_code)]

mod accept;
mod address_info;
mod bind;
mod client;
mod close;
mod connect;
mod connect_ex;
mod control;
mod disconnect;
mod indicate_control;
mod inspect;
mod listen;
mod name_info;
mod open;
mod receive;
mod receive_from;
mod resolve;
mod security;
mod send;
mod send_messages;
mod send_to;
mod way;

pub use crate::registration::DescriptorRoom;
pub(crate) use accept::accept;
pub use accept::{Accept, Accepting};
pub use address_info::{AddressInfo, Addresses};
pub use bind::{
    Bind, Binding, LocalAddress, PeerAddress, ReadingLocalAddress, ReadingRemoteAddress,
};
pub(crate) use bind::{bind, local_address, remote_address, set_both_families};
pub use client::{
    AwaitingTransportChange, ControlClientRaw, ControllingClientRaw, TransportChange,
};
pub(crate) use client::{control_client_raw, transport_change};
pub(crate) use close::close;
pub(crate) use connect::connect;
pub use connect::{Connect, Connecting, NotConnected};
pub use connect_ex::{ConnectWithData, ConnectingWithData, FirstData, NotConnectedWithData};
pub use control::{
    ControlRaw, ControllingRaw, DisableEvents, DisablingEvents, Fix, Fixing, GetOption, IoControl,
    IoControlling, Raw, ReadingOption, SetOption, SettingOption,
};
pub(crate) use control::{
    control_raw, disable_events, enable_events, fix, get_option, ioctl, register_extension,
    set_option,
};
pub use disconnect::{
    Abort, Aborting, Disconnect, DisconnectAfter, Disconnecting, DisconnectingAfter,
};
pub(crate) use disconnect::{abort, disconnect, disconnect_after};
pub(crate) use indicate_control::indicate_control;
pub use indicate_control::{IndicateControl, IndicatingControl};
pub use inspect::{CompleteInspection, CompletingInspection};
pub(crate) use listen::listen;
pub(crate) use name_info::name_of;
pub use name_info::{GettingName, NameInfo, NameOf, NameRoom};
pub use open::{Open, OpenConnected, Opening, OpeningConnected};
pub(crate) use open::{open, open_connected};
pub use receive::{
    All, Drain, Draining, Receive, ReceiveAll, ReceiveExact, Receiving, ReceivingAll,
    ReceivingExact, StreamArrival,
};
pub(crate) use receive::{drain, receive, receive_all, receive_exact, resume_events};
pub(crate) use receive_from::receive_from;
pub use receive_from::{Arrival, ReceiveFrom, Received, ReceivingFrom};
pub(crate) use resolve::resolve;
pub use resolve::{Looking, Lookup, Resolve, Resolving};
pub use security::{GetSecurity, ReadingSecurity, SetSecurity, SettingSecurity};
pub(crate) use security::{get_security, set_security};
pub(crate) use send::send;
pub use send::{Send, Sending};
pub use send_messages::{SendMessages, SendingMessages};
pub(crate) use send_messages::{send_messages, send_messages_fixed};
pub use send_to::{SendFixed, SendTo, SendingTo};
pub(crate) use send_to::{send_fixed, send_to};
pub use way::{Finished, HasBuffer, List, NotStarted, Nothing, Own, ToReceive, ToSend, Way};

use core::fmt;

use wsk_sys::NTSTATUS;

use crate::address::Destination;
use crate::buffer::carry::Carry;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Flight, Idle, Outcome, Places};
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::socket::calls::{self, Asked, AskedAgain, Bound, Renewed};

/// A connection that is being accepted, or opened and connected at once: what those requests carry. In flight they are
/// `InFlight<Accepting, NewConnection>` and `InFlight<OpeningConnected, NewConnection>`.
pub type NewConnection = crate::socket::Making<crate::socket::ConnectionCategory>;

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A request for a function `F` of WSK, with a buffer `B`. It does nothing before a finisher runs it:
///
/// | finisher | what it does | `B` is | IRQL |
/// |---|---|---|---|
/// | [`wait`](Self::wait), [`wait_timeout`](Self::wait_timeout), [`wait_until`](Self::wait_until), [`wait_until_or_timeout`](Self::wait_until_or_timeout) | waits in the call | borrowed or owned | `<= APC_LEVEL` |
/// | [`start`](Self::start), `.await` | starts the request; the handle gives the result and `B` | owned | `<= DISPATCH_LEVEL` |
/// | [`start_with`](Self::start_with) | starts the request; a closure gets the result and `B` | owned | `<= DISPATCH_LEVEL` |
/// | [`start_in`](Self::start_in) | starts the request; a scope waits for it | borrowed for the scope, or owned | `<= DISPATCH_LEVEL` |
/// | [`from`](Self::from) | takes the operation for `start`, `.await` or `start_with` from a pool | owned | `<= DISPATCH_LEVEL` |
/// | [`prepare`](Self::prepare) | builds the operation once, to be run again and again | owned | `<= DISPATCH_LEVEL` |
///
/// Starting and preparing need `<= APC_LEVEL` if pages of the buffer have to be locked, and `PASSIVE_LEVEL` for a lookup.
///
/// Every finisher checks the request in the same order: the IRQL; memory for the operation; whether the buffer can be locked; whether
/// the socket is bound; then the errors that the method lists, from left to right.
#[must_use = "a request does nothing until it is waited for or started"]
pub struct Request<'s, F: Function<B>, B> {
    pub(crate) target: TargetOf<'s, F::Operation, B>,
    pub(crate) function: F,
    pub(crate) carried: B,
}

impl<F: Function<B>, B> core::fmt::Debug for Request<'_, F, B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request")
            .field("call", &<F::Operation as Operation<B>>::CALL)
            .finish_non_exhaustive()
    }
}

/// A function of WSK with the parameters of a request.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a function of WSK that takes `{B}`")]
pub trait Function<B>: sealed::Sealed + Sized {
    /// The operation that the request becomes when it is started.
    type Operation: Operation<B>;

    /// Checks the request, and puts what the parameters point at into the arguments.
    #[doc(hidden)]
    fn put<'x>(
        self,
        target: TargetOf<'x, Self::Operation, B>,
        lent: LentOf<'x, Self::Operation, B>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, <Self::Operation as Operation<B>>::Parameters>, Error>;
}

/// The object that a function is called on: a socket, or the provider.
pub(crate) type TargetOf<'s, O, B> = <<O as Operation<B>>::Asked as Asked<B>>::Target<'s>;

/// How an operation carries and lends its `B`.
pub(crate) type CarryOf<O, B> = <<O as Operation<B>>::Way as Way<B>>::Carry;

/// The view of the carried `B` that a function of WSK gets.
pub(crate) type LentOf<'x, O, B> = <CarryOf<O, B> as Carry<B>>::Lent<'x>;

/// A request in flight that carries `B`.
pub trait Operation<B>: sealed::Sealed + Sized + 'static {
    /// How the operation carries `B`.
    type Way: Way<B>;
    /// The result when it succeeds.
    type Output;

    /// The object that it is called on: a socket, or the provider.
    #[doc(hidden)]
    type Asked: Asked<B>;
    /// The parameters of the call.
    #[doc(hidden)]
    type Parameters: calls::CallParameters<B>;
    /// The function of WSK.
    #[doc(hidden)]
    const CALL: Call;
    /// Whether dropping the handle cancels the operation.
    #[doc(hidden)]
    const CANCEL_ON_DROP: bool;
    /// How a blocking call runs it: [`InPlace`], or [`Owning`].
    #[doc(hidden)]
    type Run;

    /// Reads the result of an operation that has completed with this outcome.
    #[doc(hidden)]
    fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<Self::Output, Error>;

    /// Disposes of the result of an operation whose handle was dropped. The completion routine calls this instead of
    /// [`read`](Self::read).
    #[doc(hidden)]
    #[inline]
    fn unread(outcome: Outcome, carried: &mut B) {
        let _ = (outcome, carried);
    }

    /// Allocates what [`time_out`](Self::time_out) needs, before the operation starts, so that a timeout cannot fail.
    #[doc(hidden)]
    fn before_time_out(target: TargetOf<'_, Self, B>) -> Result<Option<Idle<()>>, Error> {
        let _ = target;
        Ok(None)
    }

    /// Ends the operation, because its time ran out.
    #[doc(hidden)]
    fn time_out(target: TargetOf<'_, Self, B>, flight: &Flight<()>, means: Option<Idle<()>>) {
        let _ = (target, means);
        flight.cancel();
    }

    /// Whether this status can be the consequence of [`time_out`](Self::time_out).
    #[doc(hidden)]
    #[must_use]
    fn is_timed_out(status: NTSTATUS) -> bool {
        status == wsk_sys::STATUS_CANCELLED
    }

    /// The error for an operation that was ended early.
    #[doc(hidden)]
    #[cold]
    #[must_use]
    fn cut_short(why: CutShort, outcome: Outcome, arguments: &Arguments) -> Error {
        let _ = (outcome, arguments);
        why.error(Self::CALL)
    }
}

/// Why a wait ended before the request had completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutShort {
    /// Its time ran out.
    OutOfTime,
    /// Another thread cancelled it.
    Cancelled,
}

impl CutShort {
    /// The error for a request that was ended early without a result.
    pub(crate) const fn error(self, call: Call) -> Error {
        match self {
            Self::OutOfTime => Error::TimedOut { call },
            Self::Cancelled => Error::Cancelled { call },
        }
    }

    /// The status with the same meaning.
    pub(crate) const fn status(self) -> NTSTATUS {
        match self {
            Self::OutOfTime => wsk_sys::STATUS_IO_TIMEOUT,
            Self::Cancelled => wsk_sys::STATUS_CANCELLED,
        }
    }
}

/// Marks requests that a blocking call runs on its own stack.
#[derive(Debug)]
pub struct InPlace;

/// Marks requests that a blocking call starts as owned operations, because the call may have to return before they complete.
#[derive(Debug)]
pub struct Owning;

/// An operation that can be run again and again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be repeated, so it cannot be prepared",
    label = "not a request that can be run again and again",
    note = "the table in `wsk::guide::requests` says why: start a new request, from a pool of operations if it must not allocate one"
)]
pub trait Repeat<B>:
    Operation<B, Way: HasBuffer<B>, Asked: AskedAgain<B>, Parameters: calls::Repeatable>
{
    /// The result of a run, until the next run.
    type Seen<'a>
    where
        B: 'a;

    /// Prepares the arguments for the next run.
    #[doc(hidden)]
    #[inline]
    fn again(arguments: &mut Arguments) {
        let _ = arguments;
    }

    /// Whether the operation may run with its buffer. The driver has seen the buffer since the last run, and may have lent it to
    /// another request.
    ///
    /// # Errors
    ///
    /// [`Error::BufferLost`] if the run would write to memory that the other request has left to its provider.
    #[doc(hidden)]
    #[inline]
    fn may_run(carried: &B) -> Result<(), Error> {
        let _ = carried;
        Ok(())
    }

    /// The parameters for a buffer that is lent again, in place of the earlier ones. Prepares the arguments for them.
    #[doc(hidden)]
    fn renew<'x>(
        before: &Self::Parameters,
        target: TargetOf<'x, Self, B>,
        lent: LentOf<'x, Self, B>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, Self::Parameters>, Error>;

    /// The result of a run.
    #[doc(hidden)]
    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        carried: Shown<'a, B>,
    ) -> Result<Self::Seen<'a>, Error>;
}

/// An operation that sends to an address, which can be [changed](crate::operation::Prepared::set_remote_address) between two runs.
#[diagnostic::on_unimplemented(message = "`{Self}` does not send to an address")]
pub trait SendsTo<B>: Repeat<B> {
    /// Checks the address, and puts it into the arguments.
    #[doc(hidden)]
    fn send_to<'x>(
        before: Bound<'x, Self::Parameters>,
        target: TargetOf<'x, Self, B>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self::Parameters>, Error>;
}

/// An operation with a value `V`, which can be [changed](crate::operation::Prepared::set_value) between two runs: an option or the input of
/// an I/O control operation.
#[diagnostic::on_unimplemented(message = "`{Self}` does not take a value of the type `{V}`")]
pub trait Takes<V>: Repeat<()> {
    /// Checks the value, and puts it into the arguments, as [`Function::put`] does.
    #[doc(hidden)]
    fn take<'x>(
        value: V,
        target: TargetOf<'x, Self, ()>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self::Parameters>, Error>;
}

/// The buffer of a prepared operation between two runs.
pub struct Shown<'a, B> {
    carried: &'a B,
    straight: &'a AtomicBool,
}

impl<B> Clone for Shown<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Shown<'_, B> {}

impl<B> fmt::Debug for Shown<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl<'a, B> Shown<'a, B> {
    /// `straight` is true while the operation can run without asking [`may_run`](Repeat::may_run).
    #[inline]
    pub(crate) const fn new(carried: &'a B, straight: &'a AtomicBool) -> Self {
        Self { carried, straight }
    }

    /// The buffer, for callers that do not lend it to another request.
    #[inline]
    pub(crate) const fn looked_at(&self) -> &'a B {
        self.carried
    }

    /// A part of the buffer.
    pub(crate) fn part<P>(self, part: impl FnOnce(&'a B) -> &'a P) -> Shown<'a, P> {
        Shown::new(part(self.carried), self.straight)
    }

    /// The buffer, for any use. The driver may send from it, and abandon it to a provider, so the next run asks
    /// [`may_run`](Repeat::may_run).
    pub(crate) fn given(&self) -> &'a B {
        self.straight.store(false, Ordering::Relaxed);
        self.carried
    }
}
