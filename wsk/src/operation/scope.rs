//! Scoped operations. They may be in flight at the same time and may use memory that is only borrowed, because the scope does not end
//! before the last of them has completed. They are to WSK what `std::thread::scope` is to threads.

use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::NTSTATUS;

use crate::buffer::carry::Carry as _;
use crate::cancel::Cancel;
use crate::error::{Error, Memory};
use crate::irp::{Flight, Observer};
use crate::irql::{MayWait, may_wait};
use crate::memory::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::memory::links::{LinkedList, Links};
use crate::memory::{Pinned, Shared, Signalled};
use crate::operation::blocking::{Limit, Stopped};
use crate::operation::carried::{
    Carried, CarryOf, Inside, Loaded, Running, Unladen, WayOf, refuse_large,
};
use crate::registration::Capture;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::CallParameters as _;
use crate::time::{Deadline, GRACE};

/// Runs `body` with a scope, in which operations may borrow everything that outlives the scope; then waits until all of them have
/// completed. IRQL: `<= APC_LEVEL`; waits.
///
/// The scope waits, not the handles: they may be leaked, dropped or forgotten, and `body` may unwind where that is possible. Allocates the
/// scope's state.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// let (first, second) = (*b"on the", *b"stack");
/// let sent = wsk::scope(|s| {
///     let first = socket.send_to(&first, to).start_in(s)?;
///     let second = socket.send_to(&second, to).start_in(s)?;
///     Ok::<_, wsk::Error>(first.wait()?.0 + second.wait()?.0)
/// })??;
/// assert_eq!(sent, 11);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::WrongIrql`] and [`Error::NoMemory`]; `body` has not run then.
pub fn scope<'env, T>(
    body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
) -> Result<T, Error> {
    let may_wait = may_wait()?;
    let pending = Shared::signalled(Counts {
        count: AtomicUsize::new(1),
        kept: Cell::new(None),
    });
    let pending = pending.map_err(|_| Error::NoMemory(Memory::Irp))?;
    let scope = Scope {
        pending,
        started: StartedOperations {
            operations: NodeList::new(),
            ended: AtomicBool::new(false),
            over: AtomicBool::new(false),
        },
        scope: PhantomData,
        env: PhantomData,
    };
    // Waits even if `body` unwinds.
    let end = ScopeEnd {
        scope: &scope,
        may_wait,
    };
    let value = body(&scope);
    drop(end);
    Ok(value)
}

/// The scope in which operations are started; see [`scope`].
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// use core::net::SocketAddr;
/// use wsk::{DatagramSocket, Error, Scope};
///
/// /// Sends every line, and waits for none.
/// fn send_lines<'scope, 'env>(
///     scope: &'scope Scope<'scope, 'env>,
///     socket: &'env DatagramSocket,
///     lines: &'env [&'env [u8]],
///     to: SocketAddr,
/// ) -> Result<(), Error> {
///     for line in lines {
///         drop(socket.send_to(*line, to).start_in(scope)?);
///     }
///     Ok(())
/// }
///
/// let lines = [&b"one"[..], b"two"];
/// wsk::scope(|scope| send_lines(scope, &socket, &lines, to))??;
/// // Both are sent.
/// # peer.recv(&mut [0; 16]).unwrap();
/// # peer.recv(&mut [0; 16]).unwrap();
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    pending: Shared<Pending>,
    started: StartedOperations,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// The operations of a scope.
///
/// # Invariants
///
/// `operations` has the operations that were started and that no handle has taken back. Only the thread of the scope changes it: the type
/// of the list keeps the scope on one thread. Once the scope has `ended`, nothing is added, and no handle touches its operation, which may
/// be gone: from then on only what the scope itself drops at its end can still have handles, or the scope.
struct StartedOperations {
    operations: NodeList,
    ended: AtomicBool,
    /// Everything has completed, or was left to its provider. (Only the thread of the scope uses the two flags and the list. If a scope is
    /// moved to another thread, the compiler names the list as the reason for its error.)
    over: AtomicBool,
}

/// How many operations of a scope have not completed, plus one until the scope's end.
///
/// # Invariants
///
/// Only the thread of the scope sets `kept`, while it is counted itself. The thread that makes the count zero takes it.
struct Counts {
    count: AtomicUsize,
    kept: Cell<Option<LeftToProvider>>,
}

// SAFETY: the count is atomic; the nodes of the kept operations may be sent.
unsafe impl Send for Counts {}
// SAFETY: all use of the count through `&Counts` is atomic too. By the invariant `kept` is written before the writer gives up its part of
// the count, and taken by the thread that gave up the last part.
unsafe impl Sync for Counts {}

/// The counts, with the event of the scope's end.
type Pending = Signalled<Counts>;

/// The operations that a scope has left to their provider, which keeps their IRPs against its contract, and a reference to the counts. Each
/// operation has a reference to its capture.
struct LeftToProvider {
    operations: NodeList,
    pending: Shared<Pending>,
}

impl LeftToProvider {
    /// Frees the operations, when the last of them has completed after all, and the references. Those to captures go last: the driver may
    /// be unloaded after them.
    #[cold]
    fn free(self) {
        let Self {
            operations,
            pending,
        } = self;
        let mut captures = None;
        while let Some(operation) = operations.pop() {
            let capture = operation.kept.take();
            operation.act(Act::FreeLeft);
            // The capture before may go now: this one keeps the driver.
            drop(core::mem::replace(&mut captures, capture));
        }
        drop(pending);
        drop(captures);
    }
}

/// The part of a scoped operation that stands beside its load.
#[repr(C)]
struct ScopeNode {
    /// The first field, so that the links of a node are found at the address of the node.
    links: Links,
    /// The flight of the operation, only to be looked at.
    flight: Flight<()>,
    /// The capture of the operation. It is borrowed from the operation's target, or from its load, which stays as long as the operation is
    /// in flight.
    capture: ManuallyDrop<Shared<Capture>>,
    /// A reference to the capture, if the operation is kept.
    kept: Cell<Option<Shared<Capture>>>,
    /// The function for the operation's types that [`NodePtr::act`] calls.
    act: unsafe fn(NonNull<ScopeNode>, Act) -> bool,
}

// SAFETY: a node only contains addresses; whoever follows them vouches for doing so on the right thread.
unsafe impl Send for ScopeNode {}

/// An action of a scope on an operation of any types.
#[derive(Clone, Copy)]
enum Act {
    /// Leaves the load to the provider, if the load allows that.
    Abandon,
    /// Ends a completed operation and drops its load.
    Free,
    /// Frees an operation that has completed after it was left to the provider. The load is dropped only if it borrows nothing.
    FreeLeft,
}

/// An operation of a scope, found by its node.
///
/// # Invariants
///
/// The node is there as long as this is used: in the block of an operation that was started in a scope, with an `act` for its types.
/// Whoever owns a `NodePtr`, rather than a reference to one, has taken it out of its list, or puts it there.
struct NodePtr(NonNull<ScopeNode>);

impl Deref for NodePtr {
    type Target = ScopeNode;

    fn deref(&self) -> &ScopeNode {
        // SAFETY: by the invariant the node is there; what changes in it is in cells, which one thread at a time has.
        unsafe { self.0.as_ref() }
    }
}

impl NodePtr {
    /// Whether the operation has completed.
    fn is_completed(&self) -> bool {
        self.flight.is_completed()
    }

    /// Whether the provider's call returned an error.
    fn is_refused(&self) -> bool {
        self.flight.returned().is_error()
    }

    /// Does something with the operation. Returns whether it was done.
    fn act(&self, act: Act) -> bool {
        let does = self.act;
        // SAFETY: by the invariant the function is for the operation's types. The callers free only operations that they have taken out of
        // the list of a scope that has ended, so that no handle uses them any more; and the callers do not use them afterwards.
        unsafe { does(self.0, act) }
    }
}

/// Implements [`NodePtr::act`] for an `O` that carries `B`.
///
/// # Safety
///
/// `node` is that of such an operation. After an act that frees the operation neither the caller nor its handles use it.
unsafe fn act<O: Operation<B>, B>(node: NonNull<ScopeNode>, act: Act) -> bool {
    // SAFETY: the caller passes the node, and with it the operation.
    let running = unsafe {
        let flight = (*node.as_ptr()).flight.as_raw();
        Running::<O, B, Inside<ScopeNode>>::of(Flight::from_raw(flight))
    };
    let left = match act {
        Act::Abandon => return running.abandon(),
        Act::Free => false,
        Act::FreeLeft => !CarryOf::<O, B>::DROPPED_LATE,
    };
    match running.complete() {
        Ok(completed) if left => completed.free_abandoned(),
        Ok(completed) => completed.stop().discard(),
        Err(_) => return false,
    }
    true
}

/// A list of operations of scopes.
///
/// # Invariants
///
/// The links in the list are those of nodes, whose [pointers](NodePtr) were pushed.
struct NodeList(LinkedList);

impl NodeList {
    const fn new() -> Self {
        Self(LinkedList::new())
    }

    #[expect(clippy::needless_pass_by_value, reason = "who has it has put it here")]
    fn push(&self, node: NodePtr) {
        // SAFETY: by the invariant the node is there, and begins with its links; it stays until it is taken out.
        self.0.push(unsafe { Pinned::new(node.0.cast()) });
    }

    fn is_empty(&self) -> bool {
        self.0.first().is_none()
    }

    /// Takes one operation out.
    fn pop(&self) -> Option<NodePtr> {
        let links = self.0.first()?;
        self.0.remove(links);
        // INVARIANT: a node begins with its links.
        Some(NodePtr(links.as_raw().cast()))
    }

    /// Whether `holds` returns `true` for all of them.
    fn all(&self, holds: impl Fn(&NodePtr) -> bool) -> bool {
        // INVARIANT: as above, and the node is in the list.
        self.0.all(|links| holds(&NodePtr(links.as_raw().cast())))
    }

    /// Moves all of them to another list.
    fn take(&self) -> Self {
        Self(self.0.take())
    }
}

impl<'s, F: Function<B>, B> Request<'s, F, B> {
    /// Starts the request in a scope. IRQL: as for [`start`](Self::start).
    ///
    /// The buffer may borrow memory that outlives the scope. The scope waits for the operation: cancel it when nobody wants it any more.
    /// Allocates the operation.
    ///
    /// If the provider rejects the request and keeps its IRP, against its contract, the scope waits two seconds after its end and then leaves
    /// the operation to the provider ([`Error::Abandoned`]). It does so only if all its pending operations are like this one, and can be left
    /// with what they carry; otherwise it goes on waiting. Buffers left like this are never freed. A connection or a lookup is dropped
    /// if its IRP completes later.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], and the errors that the request's method lists; the buffer is dropped. [`Error::ScopeEnded`] when a value that the
    /// scope drops at its end calls this.
    pub fn start_in<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Scoped<'scope, F::Operation, B>, Error>
    where
        's: 'scope,
        B: 'scope,
    {
        const { refuse_large::<B>() };
        if scope.started.ended.load(Ordering::Relaxed) {
            return Err(Error::ScopeEnded);
        }
        let operation = Unladen::<B, ScopeNode>::new()?;
        let loaded = Loaded::of::<_, Error>(operation, self)?;
        let capture = Shared::as_raw(loaded.capture());
        // The scope's end waits until the observer is notified, which happens once. Until then the load may borrow.
        let running = loaded.launch::<Error>(Some(counting(&scope.pending)))?;
        let node = Carried::beside(running.flight().payload());
        // SAFETY: there is room for the node, which the provider does not know. The flight is only looked at; the owner that ends the
        // operation does not use it again. The capture is borrowed from the target, which outlives the scope, or from the load, and is used
        // in flight only.
        let node = unsafe {
            node.write(ScopeNode {
                links: Links::new(),
                flight: Flight::from_raw(running.flight().as_raw()),
                capture: ManuallyDrop::new(Shared::from_raw(capture)),
                kept: Cell::new(None),
                act: act::<F::Operation, B>,
            });
            NodePtr(NonNull::new_unchecked(node))
        };
        // INVARIANT: this is the thread of the scope.
        scope.started.operations.push(node);
        // INVARIANT: the operation's node is in the list.
        Ok(Scoped {
            running,
            pending: &scope.pending,
            started: &scope.started,
            carried: PhantomData,
        })
    }
}

/// Counts one more operation of a scope, until the observer is notified.
fn counting(pending: &Shared<Pending>) -> Observer {
    /// Counts down. The last operation to complete after the scope has reached its end sets the event, or frees the kept operations.
    ///
    /// # Safety
    ///
    /// `context` is the count of a scope that has counted this operation.
    unsafe fn one_less(context: NonNull<c_void>, _: NTSTATUS) {
        // SAFETY: the count lives until the scope has seen every operation that it counted, the last one through the event, or until the
        // kept operations are freed.
        let pending = ManuallyDrop::new(unsafe { Shared::<Pending>::from_raw(context) });
        if pending.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            match pending.kept.take() {
                None => pending.event().set(),
                Some(kept) => kept.free(),
            }
        }
    }
    pending.count.fetch_add(1, Ordering::Relaxed);
    // SAFETY: counted, this once.
    unsafe { Observer::new(one_less, Shared::as_raw(pending)) }
}

/// Waits for the operations of a scope, and frees those that handles have left.
struct ScopeEnd<'s, 'scope, 'env> {
    scope: &'s Scope<'scope, 'env>,
    may_wait: MayWait,
}

impl Drop for ScopeEnd<'_, '_, '_> {
    fn drop(&mut self) {
        let Scope {
            pending, started, ..
        } = self.scope;
        // If foreign code that is called below unwinds, this goes on where it stopped.
        let again = || ScopeEnd {
            scope: self.scope,
            may_wait: self.may_wait,
        };
        if !started.ended.swap(true, Ordering::Relaxed)
            && pending.count.fetch_sub(1, Ordering::AcqRel) == 1
        {
            started.over.store(true, Ordering::Relaxed);
        }
        if !started.over.load(Ordering::Relaxed) {
            let again = again();
            while !pending.event().wait(self.may_wait, Some(GRACE)) {
                if self.scope.keep_all() {
                    break;
                }
            }
            core::mem::forget(again);
            started.over.store(true, Ordering::Relaxed);
        }
        while let Some(operation) = started.operations.pop() {
            let again = again();
            // The operation has completed, and the scope has ended, so no handle touches it again.
            operation.act(Act::Free);
            core::mem::forget(again);
        }
    }
}

impl Scope<'_, '_> {
    /// Leaves every operation that has not completed to the provider, if the provider has refused the operation and its memory can be left,
    /// and takes it out of the list. Returns `false`, and keeps nothing, unless that holds for all of them. The provider's capture, and the
    /// driver with it, is kept too until the last of them has completed after all.
    fn keep_all(&self) -> bool {
        // This is the thread of the scope, which owns the list.
        let operations = &self.started.operations;
        if !operations.all(|operation| operation.is_completed() || operation.is_refused()) {
            return false;
        }
        // A load that was left once stays so, even if this returns `false`.
        if !operations.all(|operation| operation.is_completed() || operation.act(Act::Abandon)) {
            return false;
        }
        let pending = &self.pending;
        // Counts this thread again, so that no operation counts down to zero meanwhile.
        if pending.count.fetch_add(1, Ordering::AcqRel) == 0 {
            // The last operation has just completed, and is about to set the event.
            pending.count.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        let (kept, completed) = (NodeList::new(), NodeList::new());
        let started = operations.take();
        while let Some(operation) = started.pop() {
            // A completed operation is freed later. The capture of any other is only borrowed, so it gets a reference.
            if operation.is_completed() {
                completed.push(operation);
            } else {
                let capture = Shared::clone(&operation.capture);
                operation.kept.set(Some(capture));
                kept.push(operation);
            }
        }
        while let Some(operation) = completed.pop() {
            operations.push(operation);
        }
        if kept.is_empty() {
            // All have completed. The last operation sets the event, unless it completed while this thread was counted.
            return pending.count.fetch_sub(1, Ordering::AcqRel) == 1;
        }
        // INVARIANT: this thread is counted, so nobody takes `kept` yet.
        pending.kept.set(Some(LeftToProvider {
            operations: kept,
            pending: Shared::clone(pending),
        }));
        if pending.count.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(kept) = pending.kept.take()
        {
            // All have completed, and none of them made the count zero.
            kept.free();
        }
        true
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// An operation `O` in a [`scope`], which carries `B`. Dropping or forgetting it leaves the operation to the scope.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// use wsk::operation::Scoped;
/// use wsk::request::ReceivingFrom;
///
/// let mut room = [0; 64];
/// let ended = wsk::scope(|scope| {
///     let receiving: Scoped<'_, ReceivingFrom, &mut [u8; 64]> = socket.receive_from(&mut room).start_in(scope)?;
///     socket.send_to(b"anybody there?", to).wait()?;
/// #   peer.send_to(b"yes", socket.local_address()?).unwrap();
///     let (received, _room) = receiving.wait()?;
///     Ok::<_, wsk::Error>(received.length())
/// })??;
/// assert_eq!(&room[..ended], b"yes");
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The operation's node is in the list of the scope, unless the scope has ended.
#[must_use = "the scope waits for the operation, and its result is lost"]
pub struct Scoped<'scope, O: Operation<B>, B> {
    running: Running<O, B, Inside<ScopeNode>>,
    pending: &'scope Shared<Pending>,
    started: &'scope StartedOperations,
    carried: PhantomData<(&'scope mut &'scope (), B)>,
}

/// The end of a scoped operation: its result, with its buffer.
type EndOf<O, B> = <WayOf<O, B> as Way<B>>::Scoped<<O as Operation<B>>::Output>;

impl<O: Operation<B>, B> Scoped<'_, O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.started.ended.load(Ordering::Relaxed) || self.running.flight().is_completed()
    }

    /// Asks the provider to cancel the operation. The operation then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if !self.started.ended.load(Ordering::Relaxed) {
            self.running.flight().cancel();
        }
    }

    /// The end of an operation whose scope has ended.
    #[cold]
    fn too_late() -> EndOf<O, B> {
        WayOf::<O, B>::scoped(Err(Error::Taken), None)
    }

    /// Waits, and gives the result with the buffer. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// The error of WSK; [`Error::WrongIrql`], with the operation left to the scope.
    pub fn wait(self) -> EndOf<O, B> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return WayOf::<O, B>::scoped(Err(error), None),
        };
        let mut this = self;
        if this.started.ended.load(Ordering::Relaxed) {
            return Self::too_late();
        }
        loop {
            let flight = this.running.flight();
            if !flight.wait_or_give_up(may_wait) {
                // The scope keeps the operation.
                let (call, status) = (O::CALL, flight.returned());
                return WayOf::<O, B>::scoped(Err(Error::Abandoned { call, status }), None);
            }
            match this.end() {
                Ok(end) => return end,
                Err(again) => this = again,
            }
        }
    }

    /// Waits for at most `limit`, and gives the result with the buffer. IRQL: `<= APC_LEVEL`.
    ///
    /// The inner result is that of WSK.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the handle of the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<EndOf<O, B>, (Error, Self)> {
        self.wait_within(&Deadline::after(limit, O::Parameters::GOES_ON))
    }

    /// Waits until the operation has completed, or another thread [cancels](Cancel::cancel), and gives the result with the buffer.
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// The inner result is that of WSK. The scope still waits for the operation that comes back: [`cancel`](Self::cancel) it.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::WrongIrql`], with the handle of the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until(self, cancel: &Cancel) -> Result<EndOf<O, B>, (Error, Self)> {
        self.wait_within(&Stopped::by(cancel))
    }

    /// [`wait_until`](Self::wait_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait_until`, [`Error::TimedOut`], with the handle of the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until_or_timeout(
        self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<EndOf<O, B>, (Error, Self)> {
        self.wait_within(&Stopped::by_or_after(cancel, limit, O::Parameters::GOES_ON))
    }

    /// Waits until the operation has completed, or `limit` ends the wait.
    fn wait_within(self, limit: &impl Limit) -> Result<EndOf<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        let mut this = self;
        if this.started.ended.load(Ordering::Relaxed) {
            return Ok(Self::too_late());
        }
        loop {
            if !limit.wait(this.running.flight(), may_wait) {
                return Err((limit.reason().error(O::CALL), this));
            }
            match this.end() {
                Ok(end) => return Ok(end),
                Err(again) => this = again,
            }
        }
    }

    /// The result with the buffer, if the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The handle of the operation, which is still in flight.
    pub fn try_take(self) -> Result<EndOf<O, B>, Self> {
        self.end()
    }

    /// Takes the operation back from the scope, if it has completed and does not go on.
    fn end(self) -> Result<EndOf<O, B>, Self> {
        if self.started.ended.load(Ordering::Relaxed) {
            return Ok(Self::too_late());
        }
        let Self {
            running,
            pending,
            started,
            carried,
        } = self;
        let node = Carried::<B, ScopeNode>::beside(running.flight().payload());
        // If the operation goes on, it is counted again and stays in the list.
        match running.end(|_| Some(counting(pending))) {
            Err(running) => Err(Self {
                running,
                pending,
                started,
                carried,
            }),
            Ok(over) => {
                // SAFETY: the node is in the block, which is there. By the invariant it is in the list, which is that of the calling
                // thread: neither the scope nor its handles leave that thread.
                let links = unsafe { Pinned::new(NonNull::new_unchecked(node.cast())) };
                started.operations.0.remove(links);
                let (result, carried) = over.finish();
                Ok(WayOf::<O, B>::scoped(result, Some(carried)))
            }
        }
    }
}

impl<O: Operation<B>, B> fmt::Debug for Scoped<'_, O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped")
            .field("call", &O::CALL)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use wsk_host::Kernel;
    use wsk_sys::DispatchError;

    use super::{Scope, counting};
    use crate::irp::Idle;
    use crate::{DatagramSocket, Error, Family, Registration, Wait};

    /// Tries to start operations that cannot be started. Returns the count of the scope afterwards, in which the scope itself is one.
    fn refuse<'scope>(scope: &'scope Scope<'scope, '_>, socket: &'scope DatagramSocket) -> usize {
        let wrong = "[::1]:9".parse::<core::net::SocketAddr>().unwrap();
        let refused = socket.send_to(b"unsent", wrong).start_in(scope);
        assert!(matches!(refused, Err(Error::WrongFamily { .. })));
        let missing = DispatchError::Absent { entry: "none" };
        let operation = Idle::<()>::new().unwrap();
        // SAFETY: no IRP is passed on.
        let refused = unsafe { operation.launch(Some(counting(&scope.pending)), |_| Err(missing)) };
        assert!(refused.is_err());
        scope.pending.count.load(Ordering::SeqCst)
    }

    /// An operation that could not be started is counted out once: the scope waits for the operations in flight only.
    #[test]
    fn what_is_refused_counts_once() {
        let kernel = Kernel::boot();
        let registration = Registration::new().unwrap();
        let provider = registration.capture(Wait::Forever).unwrap();
        let socket = DatagramSocket::open(&provider, Family::V4).unwrap();
        socket.bind(Family::V4.any()).unwrap();
        let mut room = [0_u8; 8];
        crate::scope(|scope| {
            assert_eq!(refuse(scope, &socket), 1, "the scope alone");
            let receive = socket
                .receive_from(room.as_mut_slice())
                .start_in(scope)
                .unwrap();
            assert_eq!(refuse(scope, &socket), 2, "the scope and what is in flight");
            receive.cancel();
            assert!(receive.wait().is_err());
        })
        .unwrap();
        drop((socket, provider, registration));
        kernel.shutdown();
    }
}
