//! Requests: what WSK is asked to do, one item for each of its functions.
//!
//! A request is a value that does nothing until a finisher of [`operation`](crate::operation) runs it. So each function is
//! written once, in the file named after it, in three steps:
//!
//! 1. [`Function::put`] checks what can be wrong, in one order, and lays out what the parameters point at;
//! 2. [`Operation::submit`] calls the entry of the dispatch table;
//! 3. [`Operation::read`] reads what the completed IRP says.
//!
//! The [`Way`] of a request says what it carries, and who gets that back.

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
mod more;
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
pub(crate) use client::transport_change;
pub use client::{
    AwaitingTransportChange, ControlClientRaw, ControllingClientRaw, TransportChange,
};
pub(crate) use close::close;
pub(crate) use connect::connect;
pub use connect::{Connect, Connecting, NotConnected};
pub use connect_ex::{ConnectWithData, ConnectingWithData, FirstData, NotConnectedWithData};
pub use control::{
    Control, ControlRaw, Controlling, ControllingRaw, DisableEvents, DisablingEvents, Fix, Fixing,
    GetOption, Raw, ReadingOption, SetOption, SettingOption,
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
pub use more::More;
pub(crate) use name_info::name_of;
pub use name_info::{GettingName, NameInfo, NameOf, NameRoom};
pub use open::{Open, OpenConnected, Opening, OpeningConnected};
pub(crate) use open::{open, open_connected, open_over};
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
pub use way::{Finished, Incoming, List, NotStarted, Nothing, Outgoing, Own, Way};

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS};

use crate::error::{Call, Error};
use crate::irp::{Arguments, Flight, Idle, Outcome, Places};
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::memory::shared::Shared;
use crate::registration::Capture;

/// A connection that is being accepted, or opened and connected at once: what those requests carry. In flight they are
/// `InFlight<Accepting, NewConnection>` and `InFlight<OpeningConnected, NewConnection>`.
pub type NewConnection = crate::socket::Making<crate::socket::ConnectionCategory>;

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// What the operations of a connection, or of another socket, have in common: whose they are.
macro_rules! of_socket {
    ($C:ty, $B:ty) => {
        type Target<'s> = &'s $crate::socket::Handle<$C>;

        fn capture<'a, 't: 'a>(
            socket: &'t $crate::socket::Handle<$C>,
            _: &'a $B,
        ) -> &'a $crate::memory::shared::Shared<$crate::registration::Capture> {
            socket.capture()
        }

        #[inline]
        fn operation(
            socket: &$crate::socket::Handle<$C>,
        ) -> Result<$crate::irp::Idle<()>, $crate::error::Error> {
            (**socket).operation()
        }

        #[inline]
        fn give_back(socket: &$crate::socket::Handle<$C>, operation: $crate::irp::Idle<()>) {
            (**socket).give_back(operation);
        }
    };
}

/// What the operations that are asked of the provider have in common: what they are asked of, and the capture that keeps it.
macro_rules! of_provider {
    ($B:ty) => {
        type Target<'s> = &'s $crate::registration::Provider;

        fn capture<'a, 't: 'a>(
            provider: &'t $crate::registration::Provider,
            _: &'a $B,
        ) -> &'a $crate::memory::shared::Shared<$crate::registration::Capture> {
            provider.capture()
        }
    };
}

macro_rules! of_connection {
    ($B:ty) => {
        $crate::request::of_socket!($crate::socket::ConnectionCategory, $B);
    };
}

macro_rules! of_datagrams {
    ($B:ty) => {
        $crate::request::of_socket!($crate::socket::DatagramCategory, $B);
    };
}

/// What the repeatable operations of a socket have in common: what keeps it open.
macro_rules! held_by_handle {
    ($C:ident) => {
        type Held = $crate::socket::Handle<$crate::socket::$C>;

        fn hold(socket: &Self::Held) -> Self::Held {
            socket.clone()
        }

        fn target(socket: &Self::Held) -> &Self::Held {
            socket
        }
    };
}

/// [`Operation::submit`] by one call: of a function of a table, with what the parameters say, and with the IRP, which comes last.
///
/// What the parameters point at is as the function asks, because [`Function::put`] has made them so, which is what the comment at the
/// place of use says.
macro_rules! submitted {
    ($P:ty: $p:ident => $C:ident::$call:ident($($argument:expr),* $(,)?)) => {
        $crate::request::submitted!(@ $P, $p, irp, $C::$call($($argument,)* irp));
    };
    ($P:ty: $p:ident => $at:ident.$table:ident.$call:ident($($argument:expr),* $(,)?)) => {
        $crate::request::submitted!(@ $P, $p, irp, $at.$table.$call($($argument,)* irp));
    };
    (@ $P:ty, $p:ident, $irp:ident, $call:expr) => {
        unsafe fn submit(
            $p: &$P,
            $irp: core::ptr::NonNull<wsk_sys::IRP>,
        ) -> Result<wsk_sys::NTSTATUS, wsk_sys::DispatchError> {
            // SAFETY: as the caller says the IRP is that of the operation which the parameters were made with, so that what they point at
            // is in its arguments, or lent to it, and as the function asks; the target is open.
            unsafe { $call }
        }
    };
}

pub(crate) use {held_by_handle, of_connection, of_datagrams, of_provider, of_socket, submitted};

/// A request for a function `F` of WSK, with a buffer `B`. It does nothing before a finisher runs it:
///
/// | finisher | what it does | `B` is | IRQL |
/// |---|---|---|---|
/// | [`wait`](Self::wait), [`wait_timeout`](Self::wait_timeout), [`wait_until`](Self::wait_until) | waits in the call | borrowed or owned | `<= APC_LEVEL` |
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
    pub(crate) target: <F::Operation as Operation<B>>::Target<'s>,
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

/// A function of WSK as a request asks for it, with its parameters.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a function of WSK that takes `{B}`")]
pub trait Function<B>: sealed::Sealed + Sized {
    /// The operation that the request becomes when it is started.
    type Operation: Operation<B>;

    /// Checks the request, and puts what its parameters point at into the arguments.
    #[doc(hidden)]
    fn put(
        self,
        target: <Self::Operation as Operation<B>>::Target<'_>,
        lent: <<Self::Operation as Operation<B>>::Way as Way<B>>::Lent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<<Self::Operation as Operation<B>>::Parameters, Error>;
}

/// A request in flight that carries `B`.
///
/// # Safety
///
/// `submit` makes one call with the IRP, or fails without one. Its parameters point at the arguments, at what is lent, or at
/// what the target keeps.
pub unsafe trait Operation<B>: sealed::Sealed + Sized + 'static {
    /// How the operation carries `B`.
    type Way: Way<B>;
    /// The result when it succeeds.
    type Output;

    /// What it is asked of: a socket, or the provider.
    #[doc(hidden)]
    type Target<'s>: Copy;
    /// The parameters of the call.
    #[doc(hidden)]
    type Parameters: Copy;
    /// The function.
    #[doc(hidden)]
    const CALL: Call;
    /// Whether dropping its handle cancels it.
    #[doc(hidden)]
    const CANCEL_ON_DROP: bool;
    /// Whether it may [go on](Self::goes_on).
    #[doc(hidden)]
    const GOES_ON: bool = false;
    /// How it is waited for: [`InPlace`], or [`Owning`].
    #[doc(hidden)]
    type Run;

    /// The capture that keeps the driver.
    #[doc(hidden)]
    fn capture<'a, 't: 'a>(target: Self::Target<'t>, carried: &'a B) -> &'a Shared<Capture>;

    /// An operation for a request that is waited for.
    #[doc(hidden)]
    #[inline]
    fn operation(target: Self::Target<'_>) -> Result<Idle<()>, Error> {
        let _ = target;
        Idle::new()
    }

    /// Gives it back.
    #[doc(hidden)]
    #[inline]
    fn give_back(target: Self::Target<'_>, operation: Idle<()>) {
        let _ = target;
        drop(operation);
    }

    /// Calls WSK.
    ///
    /// # Safety
    ///
    /// The IRP is that of the operation whose arguments and loan the parameters were made with; the target is open.
    #[doc(hidden)]
    unsafe fn submit(
        parameters: &Self::Parameters,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError>;

    /// Reads what has come of it.
    ///
    /// # Safety
    ///
    /// The operation has completed with this outcome; `carried` is what it carries.
    #[doc(hidden)]
    unsafe fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<Self::Output, Error>;

    /// Does away with what has come of it, of an operation that was left to its completion routine.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read), in place of that.
    #[doc(hidden)]
    #[inline]
    unsafe fn unread(outcome: Outcome, carried: &mut B) {
        let _ = (outcome, carried);
    }

    /// With what it goes on, because it has not got all that it asks for; or the status that it ends with, because it can't.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    #[doc(hidden)]
    #[inline]
    unsafe fn goes_on(
        outcome: Outcome,
        arguments: &mut Arguments,
        places: Places,
        carried: NonNull<B>,
    ) -> Option<Result<More, NTSTATUS>> {
        let _ = (outcome, arguments, places, carried);
        None
    }

    /// A handle of the socket that it carries, to be kept until the call has returned: whoever is told of its completion, which may
    /// come before, may drop the socket, and WSK lets nobody close it while it is called.
    #[doc(hidden)]
    #[inline]
    fn during_call(carried: &B) -> impl Sized + use<Self, B> {
        let _ = carried;
    }

    /// What is needed to bring it to its end when the time is up, got before it is begun so that it cannot fail then.
    #[doc(hidden)]
    fn before_time_out(target: Self::Target<'_>) -> Result<Option<Idle<()>>, Error> {
        let _ = target;
        Ok(None)
    }

    /// Brings it to its end, because the time is up.
    #[doc(hidden)]
    fn time_out(target: Self::Target<'_>, flight: &Flight<()>, means: Option<Idle<()>>) {
        let _ = (target, means);
        flight.cancel();
    }

    /// Whether a status is what comes of [`time_out`](Self::time_out).
    #[doc(hidden)]
    #[must_use]
    fn is_timed_out(status: NTSTATUS) -> bool {
        status == wsk_sys::STATUS_CANCELLED
    }

    /// What is told when it was brought to its end.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read), in place of that.
    #[doc(hidden)]
    #[cold]
    unsafe fn cut_short(
        why: CutShort,
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Error {
        let _ = arguments;
        // SAFETY: the caller keeps the same contract.
        unsafe { Self::unread(outcome, carried) };
        why.error(Self::CALL)
    }

    /// Makes the parameters those of a request that is waited for, and may be ended before it is done.
    #[doc(hidden)]
    #[inline]
    fn may_end_early(parameters: &mut Self::Parameters) {
        let _ = parameters;
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
    /// What is told of a request that had come to nothing.
    pub(crate) const fn error(self, call: Call) -> Error {
        match self {
            Self::OutOfTime => Error::TimedOut { call },
            Self::Cancelled => Error::Cancelled { call },
        }
    }

    /// The status that says the same.
    pub(crate) const fn status(self) -> NTSTATUS {
        match self {
            Self::OutOfTime => wsk_sys::STATUS_IO_TIMEOUT,
            Self::Cancelled => wsk_sys::STATUS_CANCELLED,
        }
    }
}

/// Of a request that a blocking call runs on its own stack.
#[derive(Debug)]
pub struct InPlace;

/// Of a request that a blocking call starts as an owned operation, because the call may have to return before it completes.
#[derive(Debug)]
pub struct Owning;

/// An operation that can be run again and again.
///
/// # Safety
///
/// What the parameters of an operation point at is as good for the next run as for the last.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be repeated, so it cannot be prepared",
    label = "not a request that can be run again and again",
    note = "a connection is made and ended once, and making a socket or looking a name up allocates each time: start a new request"
)]
pub unsafe trait Repeat<B>: Operation<B> {
    /// What keeps the target.
    #[doc(hidden)]
    type Held: core::marker::Send + Sync + 'static;
    /// The result of a run, until the next run.
    type Seen<'a>
    where
        B: 'a;

    #[doc(hidden)]
    fn hold(target: Self::Target<'_>) -> Self::Held;

    #[doc(hidden)]
    fn target(held: &Self::Held) -> Self::Target<'_>;

    /// Makes the arguments ready for the next run.
    #[doc(hidden)]
    #[inline]
    fn again(arguments: &mut Arguments, carried: &B) {
        let _ = (arguments, carried);
    }

    /// Whether it may run with what it carries, which was shown since the last run, and may have been lent to another request.
    ///
    /// # Errors
    ///
    /// [`Error::BufferLost`] where there would be written what the other request has left to its provider.
    #[doc(hidden)]
    #[inline]
    fn may_run(carried: &B) -> Result<(), Error> {
        let _ = carried;
        Ok(())
    }

    /// Makes the parameters and the arguments those of what is lent anew.
    #[doc(hidden)]
    fn renew(
        parameters: &mut Self::Parameters,
        target: Self::Target<'_>,
        lent: <Self::Way as Way<B>>::Lent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error>;

    /// What has come of a run.
    #[doc(hidden)]
    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        carried: Shown<'a, B>,
    ) -> Result<Self::Seen<'a>, Error>;
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
    /// `straight` says whether the operation can be run with nothing [asked](Repeat::may_run).
    #[inline]
    pub(crate) const fn new(carried: &'a B, straight: &'a AtomicBool) -> Self {
        Self { carried, straight }
    }

    /// What it is, for whoever lends it to no other request.
    #[inline]
    pub(crate) const fn looked_at(&self) -> &'a B {
        self.carried
    }

    /// What it is, for anybody: it may be sent from, and be left to a provider, which the next run asks.
    pub(crate) fn given(&self) -> &'a B {
        self.straight.store(false, Ordering::Relaxed);
        self.carried
    }
}
