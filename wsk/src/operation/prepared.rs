//! Operations that are kept ready: IRP, buffer, MDL, `WSK_BUF`, remote address and control information are put together once and used
//! again and again, with nothing left to check or to copy for each run. They stand for the preallocated send and receive contexts
//! of C drivers.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::net::SocketAddr;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use core::time::Duration;

use wsk_sys::NTSTATUS;

use crate::address::Destination;
use crate::buffer::{Lock, NonPagedBuffer};
use crate::cancel::Cancel;
use crate::error::{Call, Error};
use crate::irp::{Answer, Block, Flight, Header, Idle, Observer, Outcome, Polled};
use crate::irql::{MayWait, may_wait};
use crate::memory::arena::{Filling, Handle};
use crate::memory::atomic::{AtomicBool, Cell, Ordering, read_alone};
use crate::operation::blocking::{Limit, Stopped, Unlimited};
use crate::operation::carried::{
    COMPLETION_WORDS, Of, WayOf, lend_and_put, refuse_large, refuse_large_completion,
};
use crate::registration::hold;
use crate::request::{Function, NotStarted, Repeat, Request, SendingTo, Shown, Way};
use crate::time::{Deadline, GRACE};

/// One operation with all that it needs.
///
/// # Invariants
///
/// It is in an arena. While its block is at rest it is free there, or has one holder, which alone touches what is in cells. While its
/// block is in flight nobody but the provider touches the arguments and what is lent. At rest what is carried is lent, and the
/// parameters are those for it, unless `readiness` says otherwise.
#[repr(C)]
struct Slot<O: Repeat<B>, B> {
    block: Block<()>,
    /// Whether it can be run with nothing looked at: it is ready, and what it carries was not shown since the last run.
    straight: AtomicBool,
    readiness: Cell<Readiness>,
    parameters: Cell<O::Parameters>,
    carried: Cell<B>,
    held: O::Held,
    /// What the provider answered to the last call that was not waited for, or was abandoned.
    answer: Cell<Answer>,
    completion: Cell<MaybeUninit<[usize; COMPLETION_WORDS]>>,
}

/// Whether an operation can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// What it carries may have been changed, and is not lent.
    Changed,
    /// A provider that broke its contract may still use it.
    Abandoned,
}

type Arena<O, B> = Handle<Slot<O, B>, ()>;

impl<O: Repeat<B>, B> Slot<O, B> {
    /// The operation of a slot at rest, for as long as it is; it is not given back.
    ///
    /// # Safety
    ///
    /// The slot is at rest, and the caller has it alone as long as the result is used.
    #[inline]
    unsafe fn idle(slot: NonNull<Self>) -> ManuallyDrop<Idle<()>> {
        // SAFETY: the caller gives the slot, which begins with its block.
        ManuallyDrop::new(unsafe { Idle::from_block(slot.cast()) })
    }

    /// The flight of a slot, to be looked at.
    ///
    /// # Safety
    ///
    /// The caller has the slot, in flight or at rest, as long as the result is used.
    #[inline]
    unsafe fn flight(slot: NonNull<Self>) -> Flight<()> {
        // SAFETY: the caller gives the slot, which begins with its block, and whose answer is the holder's.
        unsafe {
            let answer = (*slot.as_ptr()).answer.with(|answer| *answer);
            Flight::from_raw(slot.cast(), answer)
        }
    }

    /// The place of what is carried.
    #[inline]
    fn place(slot: NonNull<Self>) -> NonNull<B> {
        // SAFETY: whoever has the pointer has the slot; only the address of a member is taken, which is not null.
        unsafe { NonNull::new_unchecked((*slot.as_ptr()).carried.place()) }
    }

    /// Makes what is carried ready to be used: lends it, and finds the parameters.
    ///
    /// # Safety
    ///
    /// The slot is at rest and the caller's alone; what is carried is not lent.
    #[cold]
    #[inline(never)]
    unsafe fn renew(slot: NonNull<Self>) -> Result<(), Error> {
        let place = Self::place(slot);
        // SAFETY: the caller gives the slot; what is carried stays where it is, and is not touched, until it is taken back.
        unsafe {
            let mut idle = Self::idle(slot);
            let lent = WayOf::<O, B>::lend(place, Lock::of(idle.locked()))?;
            let (places, this) = (idle.places(), slot.as_ptr());
            let mut parameters = (*this).parameters.with(|parameters| *parameters);
            let target = O::target(&(*this).held);
            let renewed = O::renew(&mut parameters, target, lent, idle.arguments(), places);
            if renewed.is_err() {
                WayOf::<O, B>::take_back(place, Lock::of(idle.locked()));
            } else {
                (*this).parameters.with_mut(|place| *place = parameters);
                (*this)
                    .readiness
                    .with_mut(|readiness| *readiness = Readiness::Ready);
            }
            renewed
        }
    }

    /// Takes back what is lent, so that it can be changed.
    ///
    /// # Safety
    ///
    /// The slot is at rest and the caller's alone.
    unsafe fn change(slot: NonNull<Self>) {
        // SAFETY: the caller gives the slot.
        unsafe {
            let this = slot.as_ptr();
            if (*this).readiness.with(|readiness| *readiness) == Readiness::Ready {
                let mut idle = Self::idle(slot);
                WayOf::<O, B>::take_back(Self::place(slot), Lock::of(idle.locked()));
                (*this)
                    .readiness
                    .with_mut(|readiness| *readiness = Readiness::Changed);
                (*this).straight.store(false, Ordering::Relaxed);
            }
        }
    }

    /// An observer that keeps the driver.
    ///
    /// # Safety
    ///
    /// The slot has a holder.
    unsafe fn keep_driver(slot: NonNull<Self>) -> Observer {
        // SAFETY: the caller has the slot; the capture is found without looking at what is lent.
        unsafe {
            let target = O::target(&(*slot.as_ptr()).held);
            hold(O::capture(target, &*Self::place(slot).as_ptr()))
        }
    }
}

impl<O: Repeat<B>, B> Drop for Slot<O, B> {
    fn drop(&mut self) {
        let slot = NonNull::from(&mut *self);
        // SAFETY: nobody has the slot but who drops it; what is lent is taken back before it goes.
        unsafe { Self::change(slot) };
    }
}

/// Gives a slot back.
///
/// # Safety
///
/// As for [`GiveBack`](crate::irp::Idle), of a block that begins a slot.
unsafe fn give_back<O: Repeat<B>, B>(block: NonNull<Header>) {
    // SAFETY: the caller gives the block, which is at rest, and begins a slot that was taken.
    unsafe { Arena::<O, B>::give_back(block.cast()) };
}

/// Gives a slot back that was left to the routine: with it, perhaps, the last handle of its socket goes, and the driver may, so that
/// is held meanwhile.
///
/// # Safety
///
/// As for [`Discard`](crate::irp::Discard), of a block that begins a slot.
unsafe fn discard<O: Repeat<B>, B>(block: NonNull<Header>) {
    let slot = block.cast::<Slot<O, B>>();
    // SAFETY: the caller is the slot's one holder, and gives it away. What was abandoned has completed after all.
    unsafe {
        let held = Slot::keep_driver(slot);
        let readiness = &(*slot.as_ptr()).readiness;
        readiness.with_mut(|readiness| {
            if *readiness == Readiness::Abandoned {
                *readiness = Readiness::Ready;
            }
        });
        give_back::<O, B>(block);
        held.tell(wsk_sys::STATUS_SUCCESS);
    }
}

/// Keeps the driver while the routine wakes somebody.
///
/// # Safety
///
/// As for [`Hold`](crate::irp::Idle), of a block that begins a slot.
unsafe fn hold_driver<O: Repeat<B>, B>(block: NonNull<Header>) -> Observer {
    // SAFETY: the caller gives the block, which begins a slot with a holder.
    unsafe { Slot::<O, B>::keep_driver(block.cast()) }
}

impl<F: Function<B>, B> Request<'_, F, B> {
    /// Puts the request together once, to be run as often as wanted. IRQL: as for [`start`](Self::start).
    ///
    /// Allocates the operation, after which running it allocates nothing, checks nothing and copies nothing. It keeps the socket open as
    /// a handle of it does.
    ///
    /// Requests that cannot be repeated cannot be prepared: [a table](crate::guide::requests) says which, and why.
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
    /// [`Error::NoMemory`], and what is wrong with the request, with what it carries.
    pub fn prepare(self) -> Result<Prepared<F::Operation, B>, NotStarted<B>>
    where
        F::Operation: Repeat<B>,
        B: Send + 'static,
    {
        const { refuse_large::<B>() };
        let mut filling = match Filling::new(1) {
            Ok(filling) => filling,
            Err(error) => {
                return Err(NotStarted {
                    error,
                    buffer: self.carried,
                });
            }
        };
        if let Err((error, buffer)) = self.fill(&mut filling) {
            return Err(NotStarted { error, buffer });
        }
        let arena = filling.finish(());
        match arena.take() {
            // INVARIANT: just taken, and at rest.
            Some(slot) => Ok(Prepared { slot }),
            // There is one, and nobody else has the arena.
            None => loop {
                if let Some(slot) = arena.take() {
                    return Ok(Prepared { slot });
                }
            },
        }
    }
}

impl<F: Function<B>, B: Send + 'static> Request<'_, F, B>
where
    F::Operation: Repeat<B>,
{
    /// Makes the next slot of an arena.
    fn fill(self, filling: &mut Filling<Slot<F::Operation, B>, ()>) -> Result<(), (Error, B)> {
        let Request {
            target,
            function,
            carried,
        } = self;
        let mut failed = None;
        let make = |slot: NonNull<Slot<F::Operation, B>>| {
            let this = slot.as_ptr();
            // SAFETY: this is memory for a slot, where it stays, which nothing refers to yet; its block may be given back, discarded and
            // held as a slot's. What was written is moved out again, or dropped, when there is no request to be made of it.
            unsafe {
                Block::<()>::initialise(
                    slot.cast(),
                    give_back::<F::Operation, B>,
                    Some(hold_driver::<F::Operation, B>),
                );
                (&raw mut (*this).straight).write(AtomicBool::new(true));
                (&raw mut (*this).readiness).write(Cell::new(Readiness::Ready));
                (&raw mut (*this).answer).write(Cell::new(Answer::NONE));
                (&raw mut (*this).completion).write(Cell::new(MaybeUninit::uninit()));
                (&raw mut (*this).carried).write(Cell::new(carried));
                (&raw mut (*this).held).write(F::Operation::hold(target));
                let mut idle = Slot::idle(slot);
                idle.set_discard(discard::<F::Operation, B>);
                let unfilled = Unfilled(slot);
                let put = lend_and_put(&mut idle, Slot::place(slot), target, function);
                core::mem::forget(unfilled);
                match put {
                    Ok(parameters) => {
                        (&raw mut (*this).parameters).write(Cell::new(parameters));
                        true
                    }
                    Err(error) => {
                        (&raw mut (*this).held).drop_in_place();
                        failed = Some((error, Slot::place(slot).read()));
                        false
                    }
                }
            }
        };
        // SAFETY: the slot is initialised, or said not to be.
        unsafe { filling.add_if(make) };
        failed.map_or(Ok(()), Err)
    }
}

/// A slot that is not made yet, whose parts are dropped when code of others unwinds.
struct Unfilled<O: Repeat<B>, B>(NonNull<Slot<O, B>>);

impl<O: Repeat<B>, B> Drop for Unfilled<O, B> {
    fn drop(&mut self) {
        // SAFETY: who makes this has just written both, and does not go on.
        unsafe {
            Slot::place(self.0).drop_in_place();
            (&raw mut (*self.0.as_ptr()).held).drop_in_place();
        }
    }
}

/// An operation `O` that carries `B` and is kept ready: see [`prepare`](Request::prepare).
///
/// Dropping it gives it back to the [pool](PreparedPool) that it came from, or frees it, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// This is the slot's one holder. The slot is at rest, unless it says that it was abandoned: then a provider that broke its contract
/// may still use it, and nothing of it is touched.
pub struct Prepared<O: Repeat<B>, B> {
    slot: NonNull<Slot<O, B>>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<O: Repeat<B>, B: Send> Send for Prepared<O, B> {}
// SAFETY: through `&Prepared` the slot, which is at rest, is only read, by this side alone.
unsafe impl<O: Repeat<B>, B: Sync> Sync for Prepared<O, B> {}

impl<O: Repeat<B>, B> Prepared<O, B> {
    #[inline]
    fn slot(&self) -> &Slot<O, B> {
        // SAFETY: by the invariant the slot is there; what changes in it is in cells.
        unsafe { self.slot.as_ref() }
    }

    #[inline]
    fn readiness(&self) -> Readiness {
        // SAFETY: the cell is the holder's, which is borrowed.
        self.slot()
            .readiness
            .with(|readiness| unsafe { *readiness })
    }

    /// Whether a provider that broke its contract may still use the operation: see [`Error::Abandoned`].
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.readiness() == Readiness::Abandoned
    }

    /// What it carries; `None` when it [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn buffer(&self) -> Option<&B> {
        // SAFETY: at rest, what is carried is the holder's, which is borrowed; what is lent is only read.
        let carried = || unsafe { Slot::place(self.slot).as_ref() };
        (!self.is_abandoned()).then(|| Shown::new(carried(), &self.slot().straight).given())
    }

    /// What it carries, to be changed: its bytes, its length, its control information. It is locked and checked anew by the next run.
    ///
    /// # Errors
    ///
    /// [`Error::Abandoned`].
    pub fn buffer_mut(&mut self) -> Result<&mut B, Error> {
        if self.is_abandoned() {
            return Err(self.abandoned());
        }
        // SAFETY: at rest, the slot is the holder's, which is borrowed exclusively; what is carried is no longer lent.
        unsafe {
            Slot::change(self.slot);
            Ok(Slot::place(self.slot).as_mut())
        }
    }

    #[cold]
    #[inline(never)]
    fn abandoned(&self) -> Error {
        Error::Abandoned {
            call: O::CALL,
            // SAFETY: the cell is the holder's, which is borrowed.
            status: self
                .slot()
                .answer
                .with(|answer| unsafe { *answer })
                .returned(),
        }
    }

    /// Makes the operation ready, when it is not.
    #[cold]
    #[inline(never)]
    fn make_ready(&mut self) -> Result<(), Error> {
        // SAFETY: at rest, the slot and what is carried are the holder's, which is borrowed exclusively; what was changed is not lent.
        unsafe {
            match self.readiness() {
                Readiness::Ready => O::may_run(Slot::place(self.slot).as_ref())?,
                Readiness::Changed => Slot::renew(self.slot)?,
                Readiness::Abandoned => return Err(self.abandoned()),
            }
        }
        self.slot().straight.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Passes the IRP on.
    #[inline]
    fn launch(&mut self) -> Result<Flight<()>, Error> {
        // SAFETY: the slot is at rest and this is its one holder, which is borrowed exclusively. What the parameters point at is in the
        // slot, or was lent, which stays as long as there is a holder: this, the flight's, or the routine.
        unsafe {
            if !read_alone(&mut (*self.slot.as_ptr()).straight) {
                self.make_ready()?;
            }
            let mut idle = Slot::idle(self.slot);
            let slot = self.slot.as_ref();
            O::again(idle.arguments(), Slot::place(self.slot).as_ref());
            // Where they lie, to be loaded when they are needed.
            let parameters = slot.parameters.with(|parameters| &*parameters);
            ManuallyDrop::into_inner(idle)
                .launch(|irp| O::submit(parameters, irp))
                .map_err(|refused| {
                    core::mem::forget(refused.operation);
                    refused.error
                })
        }
    }

    /// Runs the operation and waits until it is over; gives what has come of it. IRQL: `<= APC_LEVEL`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; after a change, what is wrong with it; what WSK says; [`Error::Abandoned`], after which this operation can
    /// run no more.
    #[inline]
    pub fn wait(&mut self) -> Result<O::Seen<'_>, Error> {
        self.run(&Unlimited)
    }

    /// [`wait`](Self::wait), cancelled when `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait`, [`Error::TimedOut`]. A run that was cancelled is waited for too; if it was done at the last moment that
    /// is no error.
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<O::Seen<'_>, Error> {
        self.run(&Deadline::after(limit, false))
    }

    /// [`wait`](Self::wait), until another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// The run is then brought to its end as by [`wait_timeout`](Self::wait_timeout). Where it is cancelled already, nothing is run.
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

    #[inline]
    fn run<L: Limit>(&mut self, limit: &L) -> Result<O::Seen<'_>, Error> {
        let may_wait = limit.begin(O::CALL)?;
        let flight = self.launch()?;
        // SAFETY: the slot is in flight, and its holder borrowed exclusively; where that goes well it has completed.
        let outcome = unsafe {
            if !flight.is_completed() {
                outlast(self.slot, flight.answer(), may_wait, limit)?;
            }
            flight.outcome()
        };
        self.look(outcome)
    }

    /// What has come of a run.
    #[inline]
    fn look(&self, outcome: Outcome) -> Result<O::Seen<'_>, Error> {
        // SAFETY: at rest, arguments and what is carried are the holder's, which is borrowed.
        unsafe {
            let idle = Slot::idle(self.slot);
            let (arguments, carried) = (idle.places().get(), Slot::place(self.slot));
            let shown = Shown::new(carried.as_ref(), &self.slot().straight);
            O::look(outcome, arguments, shown)
        }
    }

    /// What came of the last run; before the first there is nothing worth reading in it.
    ///
    /// # Errors
    ///
    /// Those of the last run; [`Error::Abandoned`].
    #[inline]
    pub fn seen(&self) -> Result<O::Seen<'_>, Error> {
        if self.is_abandoned() {
            return Err(self.abandoned());
        }
        // SAFETY: the slot is at rest, so its last run, if there was one, has completed.
        self.look(unsafe { Slot::flight(self.slot).outcome() })
    }

    /// Runs the operation, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// The operation moves into what is [`Started`], and comes back with the result.
    ///
    /// # Errors
    ///
    /// After a change, what is wrong with it; [`Error::Abandoned`] when the provider has never completed an earlier run; with the
    /// operation.
    #[inline]
    pub fn start(self) -> Result<Started<O, B>, NotStarted<Self>> {
        let mut this = self;
        match this.launch() {
            Ok(flight) => {
                // SAFETY: the cell is the holder's.
                this.slot()
                    .answer
                    .with_mut(|answer| unsafe { *answer = flight.answer() });
                // INVARIANT: the one holder of the slot, whose operation is in flight.
                Ok(Started {
                    slot: Some(ManuallyDrop::new(this).slot),
                    of: PhantomData,
                })
            }
            Err(error) => Err(NotStarted {
                error,
                buffer: this,
            }),
        }
    }

    /// Runs the operation, without waiting; `completion` is called once it is over, with its end. IRQL: `<= DISPATCH_LEVEL`. Allocates
    /// nothing. All else is as for [`Request::start_with`].
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
        if let Err(error) = this.make_ready() {
            return Err(NotStarted {
                error,
                buffer: this,
            });
        }
        let slot = this.slot;
        // SAFETY: as for `launch`; the slot is the routine's from the call on. There is room for the completion, as was asserted. What
        // may unwind comes first.
        unsafe {
            let mut idle = Slot::idle(slot);
            O::again(idle.arguments(), Slot::place(slot).as_ref());
            let this = ManuallyDrop::new(this);
            let told = (*slot.as_ptr()).completion.place().cast::<C>();
            told.write(completion);
            idle.set_discard(tell::<O, B, C>);
            let parameters = (*slot.as_ptr()).parameters.with(|parameters| *parameters);
            let observer = Slot::keep_driver(slot);
            // WSK lets nobody close a socket while it is called: whoever is told, which may be before the call returns, may drop the
            // operation, and with it the last handle.
            let _during_call = O::hold(O::target(&(*slot.as_ptr()).held));
            let launched = ManuallyDrop::into_inner(idle)
                .launch_unheld(Some(observer), |irp| O::submit(&parameters, irp));
            launched.map_err(|refused| {
                let mut operation = ManuallyDrop::new(refused.operation);
                operation.set_discard(discard::<O, B>);
                let back = NotStarted {
                    error: refused.error,
                    buffer: ManuallyDrop::into_inner(this),
                };
                told.drop_in_place();
                back
            })
        }
    }
}

/// Waits for a run that had not completed when the call returned with this answer.
///
/// # Safety
///
/// The caller holds the slot, which is in flight.
#[inline(never)]
unsafe fn outlast<O: Repeat<B>, B, L: Limit>(
    slot: NonNull<Slot<O, B>>,
    answer: Answer,
    may_wait: MayWait,
    limit: &L,
) -> Result<(), Error> {
    // SAFETY: the caller holds the slot, whose the cells are.
    unsafe {
        let this = slot.as_ref();
        this.answer.with_mut(|place| *place = answer);
        let flight = Slot::flight(slot);
        let cut_short = (L::LIMITS && !limit.wait(&flight, may_wait)).then(|| limit.reason());
        if cut_short.is_some() {
            flight.cancel();
        }
        let grace = (cut_short.is_some() || flight.returned().is_error()).then_some(GRACE);
        if !flight.wait(may_wait, grace) {
            this.readiness
                .with_mut(|readiness| *readiness = Readiness::Abandoned);
            this.straight.store(false, Ordering::Relaxed);
            return Err(Error::Abandoned {
                call: O::CALL,
                status: flight.returned(),
            });
        }
        // A wait said that it has completed.
        match cut_short {
            Some(why) if O::is_timed_out(flight.outcome().status) => Err(why.error(O::CALL)),
            _ => Ok(()),
        }
    }
}

/// What becomes of a prepared operation that is told.
///
/// # Safety
///
/// As for [`Discard`](crate::irp::Discard), of a block that begins a slot, with a completion `C` in it.
unsafe fn tell<O: Repeat<B>, B, C>(block: NonNull<Header>)
where
    C: FnOnce(Ended<O, B>),
{
    let slot = block.cast::<Slot<O, B>>();
    // SAFETY: the caller gives the block, which has completed; the completion was written, and is moved out once.
    let completion = unsafe {
        Slot::idle(slot).set_discard(discard::<O, B>);
        (*slot.as_ptr())
            .completion
            .with_mut(|completion| completion.cast::<C>().read())
    };
    // SAFETY: it has completed, and this is its one holder.
    completion(unsafe { Ended::of(slot) });
}

impl<O: Repeat<NonPagedBuffer>> Prepared<O, NonPagedBuffer> {
    /// The bytes of the buffer. None any more when it [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.buffer().map_or(&[], NonPagedBuffer::as_slice)
    }

    /// The bytes of the buffer, to be written, which costs nothing. None any more when it [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        if self.is_abandoned() {
            return &mut [];
        }
        // SAFETY: at rest, what is carried is the holder's, which is borrowed exclusively. What is lent of it is no part of the bytes.
        unsafe { Slot::place(self.slot).as_mut() }.as_mut_slice()
    }

    /// The number of bytes that were allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer().map_or(0, NonPagedBuffer::capacity)
    }

    /// Sets the number of bytes that are sent, or that there is room for, up to the capacity; the bytes stay as they are.
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

impl<B: crate::buffer::SendBuffer> Prepared<SendingTo, B> {
    /// Where it sends to; `None` when it [was abandoned](Self::is_abandoned).
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        if self.is_abandoned() {
            return None;
        }
        // SAFETY: at rest, the arguments are the holder's, which is borrowed.
        let arguments = unsafe { Slot::idle(self.slot).places().get() };
        crate::address::read(&arguments.address).ok()
    }

    /// Sends to another address from now on, also where that of the socket is fixed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`], [`Error::DatagramTooLong`], [`Error::PortZero`], [`Error::Abandoned`]; the address stays as it was.
    pub fn set_remote_address(&mut self, to: impl Destination) -> Result<(), Error> {
        self.make_ready()?;
        // SAFETY: at rest, the slot is the holder's, which is borrowed exclusively.
        unsafe {
            let mut idle = Slot::idle(self.slot);
            let (slot, places) = (self.slot.as_ref(), idle.places());
            slot.parameters.with_mut(|parameters| {
                (*parameters).set_address(&slot.held, to, idle.arguments(), places)
            })
        }
    }
}

impl<O: Repeat<B>, B> Drop for Prepared<O, B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this was the slot's one holder. Unless it was abandoned it is at rest; else it is left to the routine, or has completed
        // after all.
        unsafe {
            if self.is_abandoned() {
                Slot::flight(self.slot).leave();
            } else {
                Arena::<O, B>::give_back(self.slot);
            }
        }
    }
}

impl<O: Repeat<B>, B> fmt::Debug for Prepared<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("call", &O::CALL)
            .field("readiness", &self.readiness())
            .finish_non_exhaustive()
    }
}

/// A prepared operation in flight.
///
/// It is a [`Future`], and needs no particular executor. It may be dropped or forgotten at any moment, at any IRQL up to
/// `DISPATCH_LEVEL`: dropping a send lets it go on, dropping a receive cancels it, and in either case the operation goes back to its
/// pool when its IRP has completed. Forgetting it keeps it, and the socket open, for ever.
///
/// # Invariants
///
/// The slot, until it was taken out, is in flight or has completed; this is its one holder.
#[must_use = "dropping a receive cancels it"]
pub struct Started<O: Repeat<B>, B> {
    slot: Option<NonNull<Slot<O, B>>>,
    of: Of<O, B>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<O: Repeat<B>, B: Send> Send for Started<O, B> {}
// SAFETY: shared, an operation can be looked at and cancelled, which the kernel allows on any thread; all else needs it whole.
unsafe impl<O: Repeat<B>, B: Send> Sync for Started<O, B> {}

impl<O: Repeat<B>, B> Unpin for Started<O, B> {}

impl<O: Repeat<B>, B> Started<O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.flight().is_none_or(|flight| flight.is_completed())
    }

    /// Asks the provider to cancel the operation, which then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if let Some(flight) = self.flight() {
            flight.cancel();
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
        let Some(flight) = self.flight() else {
            return Ok(Ended::taken());
        };
        // A waker may unwind: the slot stays where it is dropped.
        let completed = flight.is_completed() || flight.wait_or_give_up(may_wait);
        // SAFETY: the wait said whether it has completed.
        Ok(unsafe { ManuallyDrop::new(self).conclude(completed) })
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<Ended<O, B>, (Error, Self)> {
        self.wait_within(&Deadline::after(limit, false))
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

    /// Waits until the operation has completed, or `limit` ends the wait.
    fn wait_within(self, limit: &impl Limit) -> Result<Ended<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        if self
            .flight()
            .is_none_or(|flight| limit.wait(&flight, may_wait))
        {
            // SAFETY: the wait said that it has completed.
            Ok(unsafe { ManuallyDrop::new(self).conclude(true) })
        } else {
            Err((limit.reason().error(O::CALL), self))
        }
    }

    /// Cancels the operation and waits for it, at most for the two seconds that a provider has to complete what was cancelled. After
    /// that it is left to the provider. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `APC_LEVEL`, with the operation, which goes on.
    pub fn give_up(self) -> Result<Ended<O, B>, (Error, Self)> {
        self.cancel();
        match self.wait_timeout(GRACE) {
            Err((Error::TimedOut { .. }, this)) => {
                // SAFETY: nothing is said of its completion.
                Ok(unsafe { ManuallyDrop::new(this).conclude(false) })
            }
            other => other,
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<Ended<O, B>, Self> {
        let Some(mut flight) = self.flight() else {
            return Ok(Ended::taken());
        };
        let (completed, given_up) = (flight.is_completed(), flight.is_given_up());
        self.remember(flight.answer());
        if completed || given_up {
            // SAFETY: it was asked whether it has completed.
            Ok(unsafe { ManuallyDrop::new(self).conclude(completed) })
        } else {
            Err(self)
        }
    }

    /// The slot's flight, to be looked at.
    #[inline]
    fn flight(&self) -> Option<Flight<()>> {
        // SAFETY: by the invariant this is the holder of the slot's flight; what is made here only looks at it meanwhile.
        self.slot.map(|slot| unsafe { Slot::flight(slot) })
    }

    /// Notes what was asked of the flight.
    fn remember(&self, answer: Answer) {
        if let Some(slot) = self.slot {
            // SAFETY: by the invariant this is the slot's one holder, whose the cell is.
            unsafe { (*slot.as_ptr()).answer.with_mut(|place| *place = answer) };
        }
    }

    /// Takes the slot out, after which nothing is left to drop.
    /// Its end, or that it is given up; nothing, when that was taken before.
    ///
    /// # Safety
    ///
    /// Where it `completed`, something that looked said so.
    #[inline]
    unsafe fn conclude(&mut self, completed: bool) -> Ended<O, B> {
        let Some(slot) = self.slot.take() else {
            return Ended::taken();
        };
        // SAFETY: by the invariant this was the slot's one holder, and has it no more; the caller says whether it has completed.
        unsafe {
            if completed {
                Ended::of(slot)
            } else {
                abandon(slot)
            }
        }
    }
}

/// Gives up a slot whose provider keeps the IRP, against its contract. Should it complete the IRP after all, the routine puts the slot
/// back.
///
/// # Safety
///
/// The caller, the slot's one holder, gives the slot away.
#[cold]
unsafe fn abandon<O: Repeat<B>, B>(slot: NonNull<Slot<O, B>>) -> Ended<O, B> {
    // SAFETY: the caller was the slot's one holder.
    let status = unsafe {
        let flight = Slot::flight(slot);
        let status = flight.returned();
        flight.leave();
        status
    };
    Ended {
        operation: None,
        returned: Some(status),
    }
}

/// The end of a prepared operation: its result, and the operation to be run again.
///
/// # Invariants
///
/// The operation, if there is one, is at rest.
#[must_use = "the result may be an error"]
pub struct Ended<O: Repeat<B>, B> {
    operation: Option<Prepared<O, B>>,
    /// What the call of one that was left to its provider returned.
    returned: Option<NTSTATUS>,
}

impl<O: Repeat<B>, B> Ended<O, B> {
    const fn taken() -> Self {
        Self {
            operation: None,
            returned: None,
        }
    }

    /// The end of an operation that has completed.
    ///
    /// # Safety
    ///
    /// It has, and the caller, the slot's one holder, gives the slot away.
    #[inline]
    const unsafe fn of(slot: NonNull<Slot<O, B>>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            operation: Some(Prepared { slot }),
            returned: None,
        }
    }

    /// What has come of it.
    ///
    /// # Errors
    ///
    /// What WSK says; [`Error::Abandoned`]; [`Error::Taken`] from a future that was polled after its end.
    #[inline]
    pub fn result(&self) -> Result<O::Seen<'_>, Error> {
        match &self.operation {
            Some(prepared) => prepared.seen(),
            None => Err(why_none(O::CALL, self.returned)),
        }
    }

    /// The operation; `None` only after [`Error::Abandoned`], when the provider may still use it, and [`Error::Taken`].
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
        let polled = match this.flight() {
            Some(mut flight) => {
                let polled = flight.poll(context);
                this.remember(flight.answer());
                polled
            }
            None => return Poll::Ready(Ended::taken()),
        };
        if polled == Polled::Pending {
            return Poll::Pending;
        }
        // SAFETY: polling it said that it has completed, or will not.
        Poll::Ready(unsafe { this.conclude(polled == Polled::Completed) })
    }
}

impl<O: Repeat<B>, B> Drop for Started<O, B> {
    #[inline]
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        // SAFETY: this was the slot's one holder. Where it has completed there is nothing to leave.
        unsafe {
            let flight = Slot::flight(slot);
            if flight.is_completed() {
                Arena::<O, B>::give_back(slot);
            } else if O::CANCEL_ON_DROP {
                flight.abort();
            } else {
                flight.leave();
            }
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

/// A fixed number of prepared operations.
///
/// Taking one and giving it back take no lock. One that was given back is taken again as it was left: with its bytes, its length and
/// its address. The memory goes, and the handles of the sockets with it, when the pool and everything taken from it has been
/// dropped.
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
    arena: Arena<O, B>,
}

// SAFETY: slots are taken and given back by atomic exchange, on any thread, and who has one may use it on any.
unsafe impl<O: Repeat<B>, B: Send> Send for PreparedPool<O, B> {}
// SAFETY: as above.
unsafe impl<O: Repeat<B>, B: Send> Sync for PreparedPool<O, B> {}

impl<O: Repeat<B>, B: Send + 'static> PreparedPool<O, B> {
    /// Prepares `depth` requests that `make` makes, which is told their numbers. IRQL: as for [`Request::prepare`], if `make` may be
    /// called there.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, those of [`Request::prepare`], and what `make` says.
    pub fn new<'s, F: Function<B, Operation = O>>(
        depth: u32,
        make: impl FnMut(u32) -> Result<Request<'s, F, B>, Error>,
    ) -> Result<Self, Error> {
        const { refuse_large::<B>() };
        let mut make = make;
        let mut filling = Filling::new(depth)?;
        for number in 0..depth {
            make(number)?
                .fill(&mut filling)
                .map_err(|(error, _)| error)?;
        }
        Ok(Self {
            arena: filling.finish(()),
        })
    }

    /// Takes an operation, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<Prepared<O, B>> {
        // INVARIANT: just taken, and at rest.
        self.arena.take().map(|slot| Prepared { slot })
    }

    /// Takes an operation, waiting until one is there or `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<Prepared<O, B>, Error> {
        let slot = self.arena.take_within(Some(limit), None)?;
        Ok(Prepared { slot })
    }

    /// Takes an operation, waiting until one is there or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled; [`Error::WrongIrql`].
    pub fn take_until(&self, cancel: &Cancel) -> Result<Prepared<O, B>, Error> {
        let slot = self.arena.take_within(None, Some(cancel.event()))?;
        Ok(Prepared { slot })
    }

    /// Takes an operation, waiting until one is there. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<Prepared<O, B>, Error> {
        let slot = self.arena.take_within(None, None)?;
        Ok(Prepared { slot })
    }

    /// Waits until every operation is back. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle(&self) -> Result<(), Error> {
        self.arena.wait_until_idle(None).map(|_| ())
    }

    /// [`wait_until_idle`](Self::wait_until_idle), at most for `limit`; says whether it is. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.arena.wait_until_idle(Some(limit))
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
