//! Prepared operations: the IRP, buffer, MDL, `WSK_BUF`, remote address and control information are put together once and used again and
//! again. A run checks and copies nothing. They correspond to the preallocated send and receive contexts of C drivers. A run that fills a
//! buffer calls WSK until the buffer is full.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::net::SocketAddr;
use core::ops::Deref;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use core::time::Duration;

use wsk_sys::NTSTATUS;

use crate::address::Destination;
use crate::buffer::NonPagedBuffer;
use crate::buffer::carry::Carry as _;
use crate::cancel::Cancel;
use crate::error::{Call, Error};
use crate::irp::{
    Arguments, Block, Flight, Header, Idle, InArena, Observer, Passed, Places, Polled, Unheld,
    initialise_in,
};
use crate::irql::{MayWait, may_wait};
use crate::memory::Shared;
use crate::memory::arena::{ArenaHandle, Filled, FillingArena, Single, Taken, Vacant};
use crate::memory::atomic::{AtomicBool, Cell, Ordering, read_alone};
use crate::operation::blocking::{Limit, Stopped, Unlimited};
use crate::operation::carried::{
    CarryOf, Completion, WayOf, go_on, lend_and_put, refuse_large, refuse_large_completion,
};
use crate::operation::in_flight::NotStartedOf;
use crate::registration::{Capture, hold};
use crate::request::{
    Function, HasBuffer, NotStarted, Operation, Repeat, Request, SendsTo, Shown, Takes, TargetOf,
    Way,
};
use crate::socket::calls::{AskedAgain, Bound, CallParameters as _};
use crate::time::{Deadline, GRACE};

/// One operation with all that it needs.
///
/// # Invariants
///
/// The slot is in an arena. While its block is at rest, the slot is vacant there or has one holder, and only the holder touches the contents
/// of the cells. While its block is in flight, nobody but the provider touches the arguments and what is lent. At rest `carried` is lent
/// and `parameters` match it, unless `readiness` says otherwise.
#[repr(C)]
struct PreparedBlock<O: Repeat<B>, B> {
    block: Block<()>,
    /// Whether the operation can run without any check: it is ready, and `carried` was not shown since the last run.
    straight: AtomicBool,
    readiness: core::cell::Cell<Readiness>,
    parameters: Cell<O::Parameters>,
    carried: Cell<B>,
    keeper: KeeperOf<O, B>,
    completion: Cell<MaybeUninit<Completion>>,
}

// SAFETY: whoever holds a slot may use it on any thread, with the `B` in it.
unsafe impl<O: Repeat<B>, B: Send> Send for PreparedBlock<O, B> {}

/// Whether an operation can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// `carried` may have been changed, and is not lent.
    Changed,
    /// A provider that broke its contract may still use the operation.
    Abandoned,
}

/// The buffer of an operation `O` that carries `B`.
type BufferOf<O, B> = <<O as Operation<B>>::Way as HasBuffer<B>>::Buffer;

/// A slot that was taken from its arena.
type TakenBlock<O, B> = Taken<PreparedBlock<O, B>, ()>;

/// The value that keeps the target of an operation.
type KeeperOf<O, B> = <<O as Operation<B>>::Asked as AskedAgain<B>>::Keeper;

/// The holder of a slot.
///
/// # Invariants
///
/// The slot is allocated and was taken. This is its one holder, or stands in for that holder during a call.
struct BlockHolder<O: Repeat<B>, B>(NonNull<PreparedBlock<O, B>>);

// Only for a value that stands in for the holder while that is borrowed.
impl<O: Repeat<B>, B> Clone for BlockHolder<O, B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: Repeat<B>, B> Copy for BlockHolder<O, B> {}

impl<O: Repeat<B>, B> Deref for BlockHolder<O, B> {
    type Target = PreparedBlock<O, B>;

    #[inline]
    fn deref(&self) -> &PreparedBlock<O, B> {
        // SAFETY: by the invariant the slot is allocated; everything in it that changes is in cells.
        unsafe { self.0.as_ref() }
    }
}

impl<O: Repeat<B>, B> BlockHolder<O, B> {
    /// The slot's flight, only to be looked at.
    #[inline]
    fn flight(self) -> ManuallyDrop<Flight<()>> {
        // SAFETY: by the invariant this is the slot's holder; the slot begins with its block. Only `into_flight` takes it out.
        ManuallyDrop::new(unsafe { Flight::from_raw(self.0.cast()) })
    }

    /// The flight of the slot, which is given away with it.
    #[inline]
    fn into_flight(self) -> Flight<()> {
        ManuallyDrop::into_inner(self.flight())
    }

    /// Gives back a slot that has completed, and its holder with it.
    #[inline]
    fn give_back(self) {
        // SAFETY: by the invariant this is the slot's one holder, which is not used again; the callers have seen that the slot is at rest.
        drop(unsafe { TakenBlock::from_raw(self.0) });
    }

    /// Detaches the slot from its holder: the completion routine gives it back. Cancels it before if `cancelled`.
    #[inline(never)]
    fn detach(self, cancelled: bool) {
        let flight = self.into_flight();
        if cancelled {
            flight.cancel_and_detach();
        } else {
            flight.detach();
        }
    }

    /// Whether the slot is at rest and can run without any check.
    #[inline]
    fn is_straight(&mut self) -> bool {
        // SAFETY: by the invariant this is the slot's one holder, which is borrowed exclusively: nobody else has a view of `carried`.
        read_alone(unsafe { &mut (*self.0.as_ptr()).straight })
    }

    /// An observer that keeps the driver loaded.
    fn keep_driver(self) -> Observer {
        hold(O::Asked::captured(&self.keeper))
    }
}

/// A slot at rest.
///
/// # Invariants
///
/// The slot is at rest as long as its holder is borrowed.
struct AtRest<'h, O: Repeat<B>, B> {
    holder: BlockHolder<O, B>,
    slot: &'h PreparedBlock<O, B>,
}

impl<O: Repeat<B>, B> Clone for AtRest<'_, O, B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: Repeat<B>, B> Copy for AtRest<'_, O, B> {}

impl<'h, O: Repeat<B>, B> AtRest<'h, O, B> {
    /// The slot of `holder` must be at rest.
    #[inline]
    fn of(holder: &'h BlockHolder<O, B>) -> Self {
        // INVARIANT: the callers have made sure of it.
        Self {
            holder: *holder,
            slot: holder,
        }
    }

    /// The operation of the slot. Dropping this does not give it back.
    #[inline]
    fn operation(self) -> ManuallyDrop<Idle<()>> {
        // SAFETY: by the invariant the slot, which begins with its block, is at rest; the operation is used only while the holder is
        // borrowed.
        ManuallyDrop::new(unsafe { Idle::from_block(self.holder.0.cast()) })
    }

    #[inline]
    fn carried(self) -> &'h B {
        // SAFETY: by the invariant nobody changes `carried`, which is borrowed with the holder; what is lent is only read.
        unsafe { self.slot.carried.place().as_ref() }
    }

    #[inline]
    fn arguments(self) -> &'h Arguments {
        // SAFETY: by the invariant nobody writes the arguments, which are borrowed with the holder.
        unsafe { self.operation().places().arguments().as_ref() }
    }

    /// `carried`, for a caller that may lend it to another request meanwhile.
    #[inline]
    fn shown(self) -> Shown<'h, B> {
        Shown::new(self.carried(), &self.slot.straight)
    }

    /// The result of the last run.
    #[inline]
    fn seen(self) -> Result<O::Seen<'h>, Error> {
        O::look(self.operation().outcome(), self.arguments(), self.shown())
    }
}

/// A slot at rest that may be changed.
///
/// # Invariants
///
/// Its holder is borrowed exclusively.
struct AtRestMut<'h, O: Repeat<B>, B>(AtRest<'h, O, B>, PhantomData<&'h mut ()>);

impl<'h, O: Repeat<B>, B> AtRestMut<'h, O, B> {
    /// The slot of `holder` must be at rest.
    #[inline]
    fn of(holder: &'h mut BlockHolder<O, B>) -> Self {
        // INVARIANT: the callers have made sure of it.
        Self(AtRest::of(holder), PhantomData)
    }

    #[inline]
    const fn rest(&self) -> AtRest<'_, O, B> {
        self.0
    }

    /// Makes changed contents ready for a run: lends them, and builds the parameters.
    #[cold]
    #[inline(never)]
    fn renew(&mut self) -> Result<(), Error> {
        let (mut operation, slot) = (self.rest().operation(), self.0.slot);
        let place = slot.carried.place();
        // SAFETY: by the invariant nobody else uses the slot. `carried` is not lent; it stays where it is, and is not touched, until it is
        // taken back.
        unsafe {
            let lent = CarryOf::<O, B>::lend::<false>(place, operation.locked())?;
            let places = operation.places();
            let before = slot.parameters.with(|parameters| *parameters);
            let target = O::Asked::target(&slot.keeper);
            match O::renew(&before, target, lent, operation.arguments(), places) {
                Ok(renewed) => {
                    if let Some(parameters) = renewed.into_call() {
                        slot.parameters.with_mut(|place| *place = parameters);
                    }
                    slot.readiness.set(Readiness::Ready);
                    Ok(())
                }
                Err(error) => {
                    CarryOf::<O, B>::take_back::<false>(place, operation.locked());
                    Err(error)
                }
            }
        }
    }

    /// Replaces the parameters by those that `rebind` makes of them. The slot must be ready.
    fn rebind(
        self,
        rebind: impl for<'x> FnOnce(
            Bound<'x, O::Parameters>,
            TargetOf<'x, O, B>,
            &mut Arguments,
            Places<'x>,
        ) -> Result<Bound<'x, O::Parameters>, Error>,
    ) -> Result<(), Error> {
        let (mut operation, slot) = (self.rest().operation(), self.0.slot);
        let target = O::Asked::target(&slot.keeper);
        // SAFETY: by the invariant the slot is at rest, and nobody else uses it. The parameters are those of its operation, and what was lent
        // still is.
        slot.parameters.with_mut(|parameters| unsafe {
            let (before, places) = (Bound::again(*parameters), operation.places());
            let bound = rebind(before, target, operation.arguments(), places)?;
            *parameters = bound.into_call();
            Ok(())
        })
    }

    /// Takes back what is lent, so that `carried` can be changed.
    fn change(&mut self) {
        let slot = self.0.slot;
        if slot.readiness.get() == Readiness::Ready {
            let mut operation = self.rest().operation();
            // SAFETY: by the invariant nobody else uses the slot; if it is ready, `carried` is lent.
            unsafe {
                CarryOf::<O, B>::take_back::<false>(slot.carried.place(), operation.locked());
            };
            slot.readiness.set(Readiness::Changed);
            slot.straight.store(false, Ordering::Relaxed);
        }
    }

    /// `carried`, after taking back what was lent.
    fn carried_mut(self) -> &'h mut B {
        let mut this = self;
        this.change();
        this.whatever_is_carried()
    }

    /// `carried`, perhaps still lent: the caller must not change any part that is lent.
    fn whatever_is_carried(self) -> &'h mut B {
        // SAFETY: by the invariant nobody else uses `carried`, and the holder is borrowed exclusively.
        unsafe { self.0.slot.carried.place().as_mut() }
    }

    /// Passes the IRP on. The slot must be ready. `may_end_early` says whether the run may be ended before it is over.
    #[inline]
    fn launch(self, may_end_early: bool) -> Result<Launched<'h, O, B>, Error> {
        let mut operation = self.rest().operation();
        O::again(operation.arguments());
        if O::Parameters::GOES_ON {
            // The last run may have been left to its completion routine from the start.
            operation.go_back_when_left();
        }
        // SAFETY: by the invariant the slot is at rest. What the parameters point at is in the slot, or was lent; it stays as long as there
        // is a holder: this one, or the completion routine.
        let launched = unsafe {
            // A reference, not a copy: each parameter is loaded when the call needs it.
            let parameters = self.0.slot.parameters.with(|parameters| &*parameters);
            operation.arm(None);
            ManuallyDrop::into_inner(operation).launch_armed(|irp| {
                if O::Parameters::GOES_ON && may_end_early {
                    let mut parameters = *parameters;
                    parameters.may_end_early();
                    parameters.submit(irp)
                } else {
                    parameters.submit(irp)
                }
            })
        };
        match launched {
            Ok(passed) => Ok(Launched { slot: self, passed }),
            Err(refused) => {
                // The slot keeps the operation.
                core::mem::forget(refused.operation);
                Err(refused.error)
            }
        }
    }
}

impl<O: Repeat<B>, B> AtRestMut<'_, O, B> {
    /// Makes the next request of a run that has not got all it asks for; `None` if the run is over. The slot must have completed a request of
    /// the run. The observer, if there is one, is notified of the next completion.
    #[inline]
    fn go_on(
        &mut self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Option<Flight<()>> {
        if !O::Parameters::GOES_ON {
            return None;
        }
        let operation = ManuallyDrop::into_inner(self.rest().operation());
        // SAFETY: by the invariant the slot is at rest, and nobody else uses it. As long as a run is not over `carried` is lent.
        match unsafe { go_on::<O, B, _>(operation, self.0.slot.carried.place(), observer) } {
            Ok(flight) => Some(flight),
            Err(operation) => {
                // The slot keeps the operation.
                core::mem::forget(operation);
                None
            }
        }
    }
}

/// A slot in flight.
///
/// # Invariants
///
/// The flight is the slot's. The slot is at rest again once the flight has completed.
struct Launched<'h, O: Repeat<B>, B> {
    slot: AtRestMut<'h, O, B>,
    passed: Passed<()>,
}

impl<'h, O: Repeat<B>, B> Launched<'h, O, B> {
    /// Waits until the flight has completed, and returns the slot at rest.
    #[inline]
    fn outlast<L: Limit>(self, may_wait: MayWait, limit: &L) -> Result<AtRest<'h, O, B>, Error> {
        // INVARIANT: only returned after the flight has completed.
        let rest = self.slot.0;
        match self.passed.end() {
            Ok(operation) => {
                // The slot keeps the operation.
                core::mem::forget(operation);
                if O::Parameters::GOES_ON {
                    outlast(self.slot, None, may_wait, limit)?;
                }
            }
            Err(flight) => outlast(self.slot, Some(flight), may_wait, limit)?,
        }
        Ok(rest)
    }
}

impl<O: Repeat<B>, B> Drop for PreparedBlock<O, B> {
    fn drop(&mut self) {
        // INVARIANT: only this function has the slot, which is being dropped.
        let mut holder = BlockHolder(NonNull::from(&mut *self));
        // INVARIANT: the slot is at rest. What is lent is taken back before the slot goes.
        AtRestMut::of(&mut holder).change();
    }
}

// SAFETY: the type has the layout of C, and begins with a block. It stays in its slot. Nobody changes `keeper`.
unsafe impl<O: Repeat<B>, B> InArena for PreparedBlock<O, B> {
    type Last = ();

    /// Gives back a slot that was left to the completion routine. The last handle of its socket may go with the slot, and the driver may
    /// then be unloaded: an observer keeps the driver until the end of this function.
    fn give_back(taken: TakenBlock<O, B>) {
        let prepared = Prepared::taken(taken);
        let held = prepared.slot.keep_driver();
        if prepared.is_abandoned() {
            // The abandoned operation has completed after all.
            prepared.slot.readiness.set(Readiness::Ready);
        }
        drop(prepared);
        held.notify(wsk_sys::STATUS_SUCCESS);
    }

    fn hold(taken: &TakenBlock<O, B>) -> Observer {
        hold(O::Asked::captured(&taken.keeper))
    }
}

impl<F: Function<B>, B> Request<'_, F, B> {
    /// Checks the request and builds its operation once, to be run again and again. IRQL: as for [`start`](Self::start).
    ///
    /// Allocates the operation. Running it then allocates nothing, checks nothing and copies nothing. The operation is a handle of the socket, and
    /// keeps it open.
    ///
    /// Requests that cannot be repeated cannot be prepared: [a table](crate::guide::requests) shows which, and why.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let to = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// use wsk::NonPagedBuffer;
    ///
    /// let mut sender = socket.send_to(NonPagedBuffer::new(4)?, to).prepare()?;
    /// for number in 0..3_u32 {
    ///     sender.as_mut_slice().copy_from_slice(&number.to_be_bytes());
    ///     assert_eq!(sender.wait()?, 4);
    /// }
    /// # let mut got = [9; 8];
    /// # for number in 0..3 { assert_eq!((peer.recv(&mut got).unwrap(), got[3]), (4, number)); }
    /// # drop((sender, socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], and the errors that the request's method lists; each with the buffer.
    pub fn prepare(self) -> Result<Prepared<F::Operation, B>, NotStartedOf<F, B>>
    where
        F::Operation: Repeat<B>,
        B: Send + 'static,
    {
        const { refuse_large::<B>() };
        let made = match Single::<PreparedBlock<F::Operation, B>, ()>::new() {
            Ok(single) => single.make((), |slot| self.make(slot)),
            Err(error) => Err((error, self.carried)),
        };
        match made {
            Ok(slot) => Ok(Prepared::taken(slot)),
            Err((error, carried)) => Err(WayOf::<F::Operation, B>::not_started(error, carried)),
        }
    }
}

impl<F: Function<B>, B: Send + 'static> Request<'_, F, B>
where
    F::Operation: Repeat<B>,
{
    /// Fills a slot with the request.
    ///
    /// # Errors
    ///
    /// The error that the checks of the request found, with the buffer; the slot stays vacant.
    fn make(
        self,
        vacant: Vacant<'_, PreparedBlock<F::Operation, B>, ()>,
    ) -> Result<Filled<'_>, (Error, B)> {
        let Request {
            target,
            function,
            carried,
        } = self;
        let slot = vacant.value();
        let this = slot.as_ptr();
        initialise_in(&vacant);
        // SAFETY: the slot is vacant memory that stays where it is. If no operation can be made of the request, what was written is moved
        // out again, or dropped.
        unsafe {
            let ready = core::cell::Cell::new(Readiness::Ready);
            (&raw mut (*this).straight).write(AtomicBool::new(true));
            (&raw mut (*this).readiness).write(ready);
            (&raw mut (*this).completion).write(Cell::new(MaybeUninit::uninit()));
            (&raw mut (*this).carried).write(Cell::new(carried));
            (&raw mut (*this).keeper).write(<F::Operation as Operation<B>>::Asked::keep(target));
            let place = (*this).carried.place();
            let mut operation = ManuallyDrop::new(Idle::<()>::from_block(slot.cast()));
            let unmade = Unmade::<F::Operation, B> {
                carried: place,
                keeper: NonNull::new_unchecked(&raw mut (*this).keeper),
            };
            let put = lend_and_put(&mut operation, place, target, function);
            core::mem::forget(unmade);
            match put {
                Ok(bound) => {
                    (&raw mut (*this).parameters).write(Cell::new(bound.into_call()));
                    Ok(vacant.assume_filled())
                }
                Err(error) => {
                    (&raw mut (*this).keeper).drop_in_place();
                    Err((error, place.read()))
                }
            }
        }
    }
}

/// The parts of an unfinished slot, which are dropped if foreign code unwinds.
///
/// # Invariants
///
/// Both parts were written. If this value is dropped, the function that made it does not go on.
struct Unmade<O: Repeat<B>, B> {
    carried: NonNull<B>,
    keeper: NonNull<KeeperOf<O, B>>,
}

impl<O: Repeat<B>, B> Drop for Unmade<O, B> {
    fn drop(&mut self) {
        // SAFETY: by the invariant.
        unsafe {
            self.carried.drop_in_place();
            self.keeper.drop_in_place();
        }
    }
}

/// A prepared operation `O` with its buffer `B`, which can be run again and again: see [`prepare`](Request::prepare).
///
/// Dropping it gives it back to the [pool](PreparedPool) that it came from, or frees it, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// This is the slot's one holder. The slot is at rest, unless it is marked as abandoned: then a provider that broke its contract may still
/// use the slot, and nothing of it is touched.
pub struct Prepared<O: Repeat<B>, B> {
    slot: BlockHolder<O, B>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<O: Repeat<B>, B: Send> Send for Prepared<O, B> {}
// SAFETY: through `&Prepared` the slot, which is at rest, is only read, but for a flag that is atomic, and the provider does not touch it.
unsafe impl<O: Repeat<B>, B: Sync> Sync for Prepared<O, B> {}

impl<O: Repeat<B>, B> Prepared<O, B> {
    /// Whether a provider that broke its contract may still use the operation: see [`Error::Abandoned`].
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.slot.readiness.get() == Readiness::Abandoned
    }

    /// The operation of a slot that has an owner, and so is at rest.
    #[inline]
    fn taken(slot: TakenBlock<O, B>) -> Self {
        // INVARIANT: the owner is gone.
        let slot = BlockHolder(slot.into_raw());
        Self { slot }
    }

    #[inline]
    fn rest(&self) -> Option<AtRest<'_, O, B>> {
        // INVARIANT: by the invariant of `Prepared`.
        (!self.is_abandoned()).then(|| AtRest::of(&self.slot))
    }

    #[inline]
    fn rest_mut(&mut self) -> Result<AtRestMut<'_, O, B>, Error> {
        if self.is_abandoned() {
            return Err(self.abandoned());
        }
        // INVARIANT: by the invariant of `Prepared`.
        Ok(AtRestMut::of(&mut self.slot))
    }

    /// The holder of the slot. The slot is not given back.
    #[inline]
    fn into_slot(self) -> BlockHolder<O, B> {
        ManuallyDrop::new(self).slot
    }

    /// The buffer; `None` when the operation [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn buffer(&self) -> Option<&BufferOf<O, B>> {
        self.rest().map(|rest| O::Way::buffer(rest.shown().given()))
    }

    /// The buffer, to change its bytes, its length or its control information. The next run locks and checks it again.
    ///
    /// # Errors
    ///
    /// [`Error::Abandoned`].
    pub fn buffer_mut(&mut self) -> Result<&mut BufferOf<O, B>, Error> {
        self.rest_mut()
            .map(|rest| O::Way::buffer_mut(rest.carried_mut()))
    }

    #[cold]
    #[inline(never)]
    fn abandoned(&self) -> Error {
        Error::Abandoned {
            call: O::CALL,
            status: self.slot.flight().returned(),
        }
    }

    /// Makes the operation ready for a run. Costs one test if nothing has changed.
    #[inline]
    fn be_ready(&mut self) -> Result<(), Error> {
        if self.slot.is_straight() {
            Ok(())
        } else {
            self.make_ready()
        }
    }

    /// Checks or renews the contents, which were shown or changed since the last run.
    #[cold]
    #[inline(never)]
    fn make_ready(&mut self) -> Result<(), Error> {
        let is_ready = self.slot.readiness.get() == Readiness::Ready;
        let mut rest = self.rest_mut()?;
        if is_ready {
            O::may_run(rest.rest().carried())?;
        } else {
            rest.renew()?;
        }
        self.slot.straight.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Passes the IRP on. The slot is in flight then.
    #[inline]
    fn launch(&mut self, may_end_early: bool) -> Result<Launched<'_, O, B>, Error> {
        self.be_ready()?;
        // INVARIANT: the slot is ready, and so at rest.
        AtRestMut::of(&mut self.slot).launch(may_end_early)
    }

    /// Runs the operation, waits until it has completed, and gives its result. IRQL: `<= APC_LEVEL`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; after a change, the errors that the request's method lists; the error of WSK; [`Error::Abandoned`], after which this
    /// operation cannot run any more.
    #[inline]
    pub fn wait(&mut self) -> Result<O::Seen<'_>, Error> {
        self.run(&Unlimited)
    }

    /// [`wait`](Self::wait), cancelled when `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait`, [`Error::TimedOut`]. The call waits for the cancelled run to end; if the run succeeded at the last moment,
    /// its result is returned.
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<O::Seen<'_>, Error> {
        self.run(&Deadline::after(limit, O::Parameters::GOES_ON))
    }

    /// [`wait`](Self::wait), until another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// The run then ends as with [`wait_timeout`](Self::wait_timeout). If `cancel` was cancelled before the call, nothing runs.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// # let unloading = wsk::Cancel::new()?;
    /// let mut receiver = socket.receive_from(wsk::NonPagedBuffer::new(1500)?).prepare()?;
    /// # unloading.cancel();
    /// // Until another thread calls `unloading.cancel()`:
    /// while let Ok(arrival) = receiver.wait_until(&unloading) {
    ///     println!("{:?} from {:?}", arrival.bytes(), arrival.remote_address());
    /// }
    /// # drop((receiver, socket, unloading, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Besides those of `wait`, [`Error::Cancelled`].
    #[doc(alias("KeWaitForMultipleObjects", "IoCancelIrp"))]
    pub fn wait_until(&mut self, cancel: &Cancel) -> Result<O::Seen<'_>, Error> {
        self.run(&Stopped::by(cancel))
    }

    /// [`wait_until`](Self::wait_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait_until`, [`Error::TimedOut`].
    #[doc(alias("KeWaitForMultipleObjects", "IoCancelIrp"))]
    pub fn wait_until_or_timeout(
        &mut self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<O::Seen<'_>, Error> {
        self.run(&Stopped::by_or_after(cancel, limit, O::Parameters::GOES_ON))
    }

    // Before its argument is taken apart, after which its end would be reported twice.
    #[expect(clippy::inline_always, reason = "three instructions of fifty")]
    #[inline(always)]
    fn run<L: Limit>(&mut self, limit: &L) -> Result<O::Seen<'_>, Error> {
        let may_wait = limit.begin(O::CALL)?;
        self.launch(L::LIMITS)?.outlast(may_wait, limit)?.seen()
    }

    /// The result of the last run. Before the first run it has no meaning.
    ///
    /// # Errors
    ///
    /// Those of the last run; [`Error::Abandoned`].
    #[inline]
    pub fn seen(&self) -> Result<O::Seen<'_>, Error> {
        match self.rest() {
            Some(rest) => rest.seen(),
            None => Err(self.abandoned()),
        }
    }

    /// Runs the operation, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// The operation moves into a [`Started`], and comes back with the result.
    ///
    /// # Errors
    ///
    /// After a change, the errors that the request's method lists; [`Error::Abandoned`] if the provider has never completed an earlier run;
    /// each with the operation.
    #[inline]
    pub fn start(self) -> Result<Started<O, B>, NotStarted<Self>> {
        let mut this = self;
        match this.launch(false) {
            Ok(Launched { passed, .. }) => {
                // The slot keeps the operation.
                let _ = passed.flight();
                // INVARIANT: this is the one holder of the slot, whose operation is in flight.
                Ok(Started {
                    slot: Some(this.into_slot()),
                })
            }
            Err(error) => Err(NotStarted {
                error,
                buffer: this,
            }),
        }
    }

    /// Runs the operation without waiting, and calls `completion` with its end. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing. Everything
    /// else is as for [`Request::start_with`].
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), with the operation: then `completion` is not called.
    pub fn start_with<C>(self, completion: C) -> Result<(), NotStarted<Self>>
    where
        C: FnOnce(Ended<O, B>) + Send + 'static,
    {
        const { refuse_large_completion::<C>() };
        let mut this = self;
        if let Err(error) = this.be_ready() {
            return Err(NotStarted {
                error,
                buffer: this,
            });
        }
        // INVARIANT: the slot is ready, and so at rest.
        let rest = AtRestMut::of(&mut this.slot);
        let mut operation = rest.rest().operation();
        O::again(operation.arguments());
        let slot = this.into_slot();
        let place = slot.completion.place().cast::<C>();
        let observer = slot.keep_driver();
        // WSK does not allow closing a socket during a call on it. The completion may run before the call returns, and may drop the
        // operation and with it the last handle: this handle keeps the socket open.
        let _during_call = O::Asked::keep(O::Asked::target(&slot.keeper));
        // SAFETY: as for `launch`; from the call on the slot belongs to the completion routine. There is room for the completion, as was
        // asserted. If no request was made, nobody else has the completion.
        unsafe {
            place.write(completion);
            let parameters = slot.parameters.with(|parameters| *parameters);
            let launched = ManuallyDrop::into_inner(operation)
                .launch_unheld::<CallsCompletion<O, B, C>>(Some(observer), |irp| {
                    parameters.submit(irp)
                });
            launched.map_err(|refused| {
                core::mem::forget(refused.operation);
                let back = NotStarted {
                    error: refused.error,
                    // INVARIANT: no request was made.
                    buffer: Self { slot },
                };
                place.drop_in_place();
                back
            })
        }
    }
}

/// Waits for a run that had not completed when the call returned, and goes on with it until it is over. The slot is at rest then. If this
/// fails with [`Error::Abandoned`], it marks the slot as abandoned. The flight is that of the slot; `None` if it has completed.
#[inline(never)]
fn outlast<O: Repeat<B>, B, L: Limit>(
    slot: AtRestMut<'_, O, B>,
    flight: Option<Flight<()>>,
    may_wait: MayWait,
    limit: &L,
) -> Result<(), Error> {
    let (mut slot, mut in_flight, mut cut_short) = (slot, flight, None);
    loop {
        if let Some(flight) = in_flight {
            let ended = L::LIMITS && !limit.wait(&flight, may_wait);
            if ended {
                cut_short = Some(limit.reason());
                flight.cancel();
            }
            let grace = (ended || flight.returned().is_error()).then_some(GRACE);
            flight.wait(may_wait, grace);
            match flight.end() {
                // The slot keeps the operation.
                Ok(operation) => core::mem::forget(operation),
                Err(flight) => {
                    let slot = slot.0.slot;
                    slot.readiness.set(Readiness::Abandoned);
                    slot.straight.store(false, Ordering::Relaxed);
                    let (call, status) = (O::CALL, flight.returned());
                    return Err(Error::Abandoned { call, status });
                }
            }
        }
        in_flight = slot.go_on(|_| None);
        if in_flight.is_none() {
            break;
        }
    }
    let rest = slot.rest();
    let outcome = rest.operation().outcome();
    match cut_short {
        Some(why) if O::is_timed_out(outcome.status) => {
            Err(O::cut_short(why, outcome, rest.arguments()))
        }
        _ => Ok(()),
    }
}

/// Ends a prepared operation with a call of its completion, a `C`.
struct CallsCompletion<O, B, C>(PhantomData<(O, B, C)>);

impl<O: Repeat<B>, B, C> Unheld for CallsCompletion<O, B, C>
where
    C: FnOnce(Ended<O, B>),
{
    const OBSERVED: bool = true;
    const GOES_ON: bool = O::Parameters::GOES_ON;

    /// # Safety
    ///
    /// As for [`Discard`](crate::irp::Discard), for a block that begins a slot, with a `C` in it.
    unsafe fn end(block: NonNull<Header>) {
        // INVARIANT: the caller gives away the block, which has completed: this is the slot's one holder.
        let mut slot = BlockHolder::<O, B>(block.cast());
        // The next completion calls this function again, unless it has come already. Then a loop takes the place of recursion: the stack
        // must not grow.
        while let Some(flight) = AtRestMut::of(&mut slot).go_on(|capture| Some(hold(capture))) {
            match flight.detach_unless_completed() {
                None => return,
                // The slot keeps the operation.
                Some(operation) => core::mem::forget(operation),
            }
        }
        let place = slot.completion.place().cast::<C>();
        // SAFETY: by the caller's contract the completion was written, and it is moved out once.
        let completion = unsafe { place.read() };
        completion(Ended::of(slot));
    }
}

impl<O: Repeat<B, Way: HasBuffer<B, Buffer = NonPagedBuffer>>, B> Prepared<O, B> {
    /// The bytes of the buffer; an empty slice when the operation [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // Unlike the buffer, its bytes cannot be lent to another request. So the next run has nothing to check.
        self.rest()
            .map_or(&[], |rest| O::Way::buffer(rest.carried()).as_slice())
    }

    /// The bytes of the buffer, to be written, without any cost; an empty slice when the operation [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self.rest_mut() {
            // The bytes are not part of what is lent.
            Ok(rest) => O::Way::buffer_mut(rest.whatever_is_carried()).as_mut_slice(),
            Err(_) => &mut [],
        }
    }

    /// The number of bytes that were allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer().map_or(0, NonPagedBuffer::capacity)
    }

    /// Sets the length: the number of bytes to send, or to receive into, up to the capacity. The bytes do not change.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] beyond the capacity; [`Error::DatagramTooLong`] where no datagram to the remote address can be that
    /// long; [`Error::Abandoned`]. The length stays as it was.
    pub fn set_len(&mut self, length: usize) -> Result<(), Error> {
        let buffer = self.buffer_mut()?;
        let before = buffer.len();
        buffer.set_len(length)?;
        if let Err(error) = self.make_ready() {
            self.buffer_mut()?.set_len(before)?;
            return Err(error);
        }
        Ok(())
    }
}

impl<O: SendsTo<B>, B> Prepared<O, B> {
    /// The address that the operation sends to; `None` when it [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        crate::address::read(&self.rest()?.arguments().address).ok()
    }

    /// Changes the address for all later runs, even if the socket has a fixed one. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`], [`Error::DatagramTooLong`], [`Error::PortZero`], [`Error::Abandoned`]; the address stays as it was.
    pub fn set_remote_address(&mut self, to: impl Destination) -> Result<(), Error> {
        self.be_ready()?;
        self.rest_mut()?
            .rebind(|before, target, arguments, places| {
                O::send_to(before, target, to, arguments, places)
            })
    }
}

impl<O: Repeat<()>> Prepared<O, ()> {
    /// Changes the value of the option, or the input of the I/O control operation, for all later runs. The value is checked as the request's
    /// method checks it. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The result of the last run has no meaning any more.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// use wsk::option::TimeToLive;
    ///
    /// let mut setting = socket.set_option(TimeToLive(1)).prepare()?;
    /// for hops in [1, 2, 3] {
    ///     setting.set_value(TimeToLive(hops))?;
    ///     setting.wait()?;
    ///     assert_eq!(socket.option().wait(), Ok(TimeToLive(hops)));
    /// }
    /// # drop((setting, socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those that the request's method lists, and [`Error::Abandoned`]; the value stays as it was.
    pub fn set_value<V>(&mut self, value: V) -> Result<(), Error>
    where
        O: Takes<V>,
    {
        self.be_ready()?;
        self.rest_mut()?
            .rebind(|_, target, arguments, places| O::take(value, target, arguments, places))
    }
}

impl<O: Repeat<B>, B> Drop for Prepared<O, B> {
    #[inline]
    fn drop(&mut self) {
        // INVARIANT: this value does not use the holder again.
        let slot = self.slot;
        if self.is_abandoned() {
            // The routine gives the slot back when the provider completes the IRP. If it has completed by now, that happens at once.
            slot.detach(false);
        } else {
            slot.give_back();
        }
    }
}

impl<O: Repeat<B>, B> fmt::Debug for Prepared<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("call", &O::CALL)
            .field("readiness", &self.slot.readiness.get())
            .finish_non_exhaustive()
    }
}

/// A prepared operation in flight.
///
/// It is a [`Future`], and needs no particular executor. It may be dropped or forgotten at any moment, at any IRQL up to
/// `DISPATCH_LEVEL`: dropping a send lets it go on, dropping a receive cancels it, and in either case the operation goes back to its
/// pool when its IRP has completed. If it is forgotten, its socket stays open for ever.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
///
/// let sender = socket.send_to(NonPagedBuffer::copy_of(b"again")?, to).prepare()?;
/// let started = sender.start()?;
/// let ended = started.wait()?;
/// assert_eq!(ended.result()?, 5);
/// // Start it once more.
/// let sender = ended.into_operation();
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((sender, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The slot, until it is taken out, is in flight or has completed. This is its one holder.
#[must_use = "dropping a receive cancels it"]
pub struct Started<O: Repeat<B>, B> {
    slot: Option<BlockHolder<O, B>>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<O: Repeat<B>, B: Send> Send for Started<O, B> {}
// SAFETY: a shared operation can be looked at and cancelled, which the kernel allows on any thread; everything else needs the operation by
// value or exclusively.
unsafe impl<O: Repeat<B>, B: Send> Sync for Started<O, B> {}

impl<O: Repeat<B>, B> Unpin for Started<O, B> {}

impl<O: Repeat<B>, B> Started<O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        let slot = self.slot.as_ref();
        slot.is_none_or(|slot| slot.flight().is_completed())
    }

    /// Asks the provider to cancel the operation. The operation then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if let Some(slot) = &self.slot {
            slot.flight().cancel();
        }
    }

    /// Waits until the operation has completed. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `APC_LEVEL`, with the operation, which goes on.
    #[inline]
    pub fn wait(self) -> Result<Ended<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        let mut this = self;
        loop {
            // A waker may unwind. So the slot stays in `this`, which drops it.
            let slot = this.slot.as_ref();
            let completed = slot.is_some_and(|slot| slot.flight().wait_or_give_up(may_wait));
            if !(completed && this.goes_on()) {
                return Ok(this.conclude(completed));
            }
        }
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<Ended<O, B>, (Error, Self)> {
        self.wait_within(&Deadline::after(limit, O::Parameters::GOES_ON))
    }

    /// Waits until the operation has completed, or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::WrongIrql`], with the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until(self, cancel: &Cancel) -> Result<Ended<O, B>, (Error, Self)> {
        self.wait_within(&Stopped::by(cancel))
    }

    /// [`wait_until`](Self::wait_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait_until`, [`Error::TimedOut`], with the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until_or_timeout(
        self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<Ended<O, B>, (Error, Self)> {
        self.wait_within(&Stopped::by_or_after(cancel, limit, O::Parameters::GOES_ON))
    }

    /// Waits until the operation has completed, or `limit` ends the wait.
    fn wait_within(self, limit: &impl Limit) -> Result<Ended<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        let mut this = self;
        let mut polled_with = None;
        if O::Parameters::GOES_ON {
            // The flight that was polled may not be the last.
            let slot = this.slot.as_ref();
            polled_with = slot.and_then(|slot| slot.flight().take_waker());
        }
        loop {
            if let Some(slot) = &this.slot
                && !limit.wait(&slot.flight(), may_wait)
            {
                // Who polled it before polls it again.
                if let Some(waker) = polled_with {
                    waker.wake();
                }
                return Err((limit.reason().error(O::CALL), this));
            }
            if !this.goes_on() {
                // A waker may unwind. So the slot is still in `this`.
                drop(polled_with);
                return Ok(this.conclude(true));
            }
        }
    }

    /// Cancels the operation, and waits at most the two seconds that a provider has to complete it. After that the operation is left to
    /// the provider. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `APC_LEVEL`, with the operation, which goes on.
    pub fn give_up(self) -> Result<Ended<O, B>, (Error, Self)> {
        self.cancel();
        match self.wait_timeout(GRACE) {
            Err((Error::TimedOut { .. }, mut this)) => Ok(this.conclude(false)),
            other => other,
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<Ended<O, B>, Self> {
        let mut this = self;
        let mut completed = false;
        if let Some(slot) = &this.slot {
            let mut flight = slot.flight();
            let given_up = flight.is_given_up();
            completed = flight.is_completed();
            if !given_up && !completed {
                return Err(this);
            }
        }
        if completed && this.goes_on() {
            return Err(this);
        }
        Ok(this.conclude(completed))
    }

    /// Makes the next request of a run that has not got all it asks for, if the last one has completed. Returns whether it was made.
    #[inline]
    fn goes_on(&mut self) -> bool {
        match &mut self.slot {
            Some(slot) if O::Parameters::GOES_ON && slot.flight().is_completed() => {
                // INVARIANT: it has completed, so the slot is at rest.
                AtRestMut::of(slot).go_on(|_| None).is_some()
            }
            _ => false,
        }
    }

    /// Takes the end of the operation: its result if it has completed, `Abandoned` if it has not, `Taken` if the end was taken before. `over`
    /// says whether a run that may go on has come to its end.
    #[inline]
    fn conclude(&mut self, over: bool) -> Ended<O, B> {
        match self.slot.take() {
            // A request that completes only now may not be the last of its run.
            Some(slot) if (over || !O::Parameters::GOES_ON) && slot.flight().is_completed() => {
                Ended::of(slot)
            }
            Some(slot) => abandon(slot),
            None => Ended::taken(),
        }
    }
}

/// Gives up a slot whose provider keeps the IRP, against its contract. If the provider completes the IRP after all, the completion routine
/// puts the slot back.
#[cold]
fn abandon<O: Repeat<B>, B>(slot: BlockHolder<O, B>) -> Ended<O, B> {
    let flight = slot.into_flight();
    let status = flight.returned();
    flight.detach();
    Ended {
        operation: None,
        returned: Some(status),
    }
}

/// The end of a prepared operation: its result, and the operation to be run again.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// use wsk::NonPagedBuffer;
///
/// let prepared = socket.send_to(NonPagedBuffer::copy_of(b"hello")?, to).prepare()?;
/// let started = prepared.start()?;
/// let ended = started.wait().map_err(|(error, _started)| error)?;
/// assert_eq!(ended.result(), Ok(5));
/// if let Some(mut again) = ended.into_operation() {
///     again.as_mut_slice().make_ascii_uppercase();
///     again.wait()?;
/// }
/// # let mut got = [0; 16];
/// # peer.recv(&mut got).unwrap();
/// # peer.recv(&mut got).unwrap();
/// # assert_eq!(&got[..5], b"HELLO");
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The operation, if there is one, is at rest.
#[must_use = "the result may be an error"]
pub struct Ended<O: Repeat<B>, B> {
    operation: Option<Prepared<O, B>>,
    /// The status that the call returned, if the operation was left to its provider.
    returned: Option<NTSTATUS>,
}

impl<O: Repeat<B>, B> Ended<O, B> {
    const fn taken() -> Self {
        Self {
            operation: None,
            returned: None,
        }
    }

    /// The end of an operation that must have completed.
    #[inline]
    const fn of(slot: BlockHolder<O, B>) -> Self {
        // INVARIANT: the callers have seen that it has.
        Self {
            operation: Some(Prepared { slot }),
            returned: None,
        }
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// The error of WSK; [`Error::Abandoned`]; [`Error::Taken`] from a future that was polled after its end.
    #[inline]
    pub fn result(&self) -> Result<O::Seen<'_>, Error> {
        match &self.operation {
            Some(prepared) => prepared.seen(),
            None => Err(why_none(O::CALL, self.returned)),
        }
    }

    /// The operation. `None` only after [`Error::Abandoned`], when the provider may still use it, and after [`Error::Taken`].
    #[must_use]
    #[inline]
    pub fn into_operation(self) -> Option<Prepared<O, B>> {
        self.operation
    }
}

#[cold]
#[inline(never)]
const fn why_none(call: Call, returned: Option<NTSTATUS>) -> Error {
    match returned {
        Some(status) => Error::Abandoned { call, status },
        None => Error::Taken,
    }
}

impl<O: Repeat<B>, B> fmt::Debug for Ended<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl<O: Repeat<B>, B> Future for Started<O, B> {
    type Output = Ended<O, B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let slot = this.slot.as_ref();
            let polled = slot.map(|slot| slot.flight().poll(context));
            if polled == Some(Polled::Pending) {
                return Poll::Pending;
            }
            let completed = polled == Some(Polled::Completed);
            if !(completed && this.goes_on()) {
                return Poll::Ready(this.conclude(completed));
            }
        }
    }
}

impl<O: Repeat<B>, B> Drop for Started<O, B> {
    #[inline]
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        if slot.flight().is_completed() {
            slot.give_back();
        } else {
            slot.detach(O::CANCEL_ON_DROP);
        }
    }
}

impl<O: Repeat<B>, B> fmt::Debug for Started<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("call", &O::CALL)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// A pool with a fixed number of prepared operations.
///
/// Taking one and giving it back take no lock. An operation keeps its bytes, its length and its address while it is in the pool. The memory is
/// freed, and the handles of the sockets are dropped, when the pool and everything taken from it are dropped.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::NonPagedBuffer;
/// use wsk::operation::PreparedPool;
///
/// let senders = PreparedPool::new(16, |_| Ok(socket.send_to(NonPagedBuffer::new(1024)?, to)))?;
/// if let Some(mut sender) = senders.take() {
///     sender.as_mut_slice().fill(7);
///     // The sender goes back to the pool when the datagram has been sent.
///     drop(sender.start());
/// }
/// # assert_eq!(peer.recv(&mut [0; 1500]).unwrap(), 1024);
/// # drop((senders, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct PreparedPool<O: Repeat<B>, B> {
    arena: ArenaHandle<PreparedBlock<O, B>, ()>,
}

impl<O: Repeat<B>, B: Send + 'static> PreparedPool<O, B> {
    /// Prepares `depth` requests. `make` makes each, and gets its number. IRQL: as for [`Request::prepare`], if `make` may be called
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, those of [`Request::prepare`], and the error of `make`.
    pub fn new<'s, F: Function<B, Operation = O>>(
        depth: u32,
        make: impl FnMut(u32) -> Result<Request<'s, F, B>, Error>,
    ) -> Result<Self, Error> {
        const { refuse_large::<B>() };
        let mut make = make;
        let mut filling = FillingArena::new(depth)?;
        for number in 0..depth {
            let request = make(number)?;
            let added = filling.add(|slot| request.make(slot));
            added.map_err(|(error, _)| error)?;
        }
        Ok(Self {
            arena: filling.finish(()),
        })
    }

    /// Takes an operation, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<Prepared<O, B>> {
        self.arena.take().map(Prepared::taken)
    }

    /// Takes an operation, waiting until one is there or `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<Prepared<O, B>, Error> {
        self.arena
            .take_within(Some(limit), None)
            .map(Prepared::taken)
    }

    /// Takes an operation, waiting until one is there or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled; [`Error::WrongIrql`].
    pub fn take_until(&self, cancel: &Cancel) -> Result<Prepared<O, B>, Error> {
        self.arena
            .take_within(None, Some(cancel.event()))
            .map(Prepared::taken)
    }

    /// [`take_until`](Self::take_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled or the time ran out; [`Error::WrongIrql`].
    pub fn take_until_or_timeout(
        &self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<Prepared<O, B>, Error> {
        self.arena
            .take_within(Some(limit), Some(cancel.event()))
            .map(Prepared::taken)
    }

    /// Takes an operation, waiting until one is there. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<Prepared<O, B>, Error> {
        self.arena.take_within(None, None).map(Prepared::taken)
    }

    /// Waits until every operation is back. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle(&self) -> Result<(), Error> {
        self.arena.wait_until_idle(None).map(|_| ())
    }

    /// [`wait_until_idle`](Self::wait_until_idle), at most for `limit`. Returns whether every operation is back. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.arena.wait_until_idle(Some(limit))
    }

    /// Whether every operation is back at this moment. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.arena.is_idle()
    }

    /// The number of operations, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.arena.depth()
    }
}

impl<O: Repeat<B>, B> Clone for PreparedPool<O, B> {
    fn clone(&self) -> Self {
        Self {
            arena: self.arena.clone(),
        }
    }
}

impl<O: Repeat<B>, B> fmt::Debug for PreparedPool<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedPool")
            .field("call", &O::CALL)
            .field("depth", &self.arena.depth())
            .finish_non_exhaustive()
    }
}
