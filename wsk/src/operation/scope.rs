//! Scoped operations: in flight at the same time, over memory that is only borrowed, because the scope does not end before the
//! last of them has completed. They are to WSK what `std::thread::scope` is to threads.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::NTSTATUS;

use crate::buffer::carry::Carry as _;
use crate::cancel::Cancel;
use crate::error::{Error, Memory};
use crate::irp::{Flight, Idle, Observer};
use crate::irql::{MayWait, may_wait};
use crate::memory::atomic::{AtomicBool, AtomicUsize, Cell, Ordering};
use crate::memory::links::{Links, List};
use crate::memory::shared::{Pinned, Shared, Signalled};
use crate::operation::blocking::{Limit, Stopped};
use crate::operation::carried::{Carries, CarryOf, Loaded, Over, Running, WayOf, refuse_large};
use crate::registration::Capture;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::Call as _;
use crate::time::{Deadline, GRACE};

/// Runs `body` with a scope in which operations may borrow what outlives it; waits until all of them have completed. IRQL:
/// `<= APC_LEVEL`; waits.
///
/// It is the scope that waits, not the handles: they may be leaked, dropped or forgotten, and `body` may unwind where that is
/// possible. Allocates the scope's state.
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
/// [`Error::WrongIrql`] and [`Error::NoMemory`], without `body` having run.
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
        started: Started {
            list: List::new(),
            ended: AtomicBool::new(false),
            over: AtomicBool::new(false),
        },
        scope: PhantomData,
        env: PhantomData,
    };
    // Waits also when `body` unwinds.
    let end = End {
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
/// /// Sends every line, and does not wait for any.
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
    started: Started,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// The operations of a scope.
///
/// # Invariants
///
/// `list` has the nodes of the operations that were started and not taken back by a handle. Each is in its block, and only the
/// thread of the scope, which the list keeps it on, changes the list. Once the scope has `ended` nothing is added, and no handle
/// touches its operation, which may be gone: only what the scope itself drops at its end can still have handles, or the scope.
struct Started {
    list: List,
    ended: AtomicBool,
    /// Everything has completed, or was left to its provider. (Both are the thread's own, as the list is, of which the compiler tells
    /// who takes a scope to another thread.)
    over: AtomicBool,
}

/// How many operations of a scope have not completed, plus one until the scope's end.
///
/// # Invariants
///
/// `kept` is changed by the thread of the scope alone, while it is counted, and read by who makes the count zero.
struct Counts {
    count: AtomicUsize,
    /// The operations that the scope has left to their provider, which keeps their IRPs against its contract.
    kept: Cell<Option<Pinned<Links>>>,
}

// SAFETY: the count is atomic; the nodes of the list may be sent.
unsafe impl Send for Counts {}
// SAFETY: so is all use of the count through `&Counts`. By the invariant `kept` is written before the writer's part of the count is given
// up, and read by who gave up the last.
unsafe impl Sync for Counts {}

/// The counts, with the event of the scope's end.
type Pending = Signalled<Counts>;

/// What a scoped operation has besides what it carries.
///
/// # Invariants
///
/// It is in the block of an operation that was started in a scope, of the types that the functions were made for.
#[repr(C)]
struct Node {
    /// First, so that a node is found by its links.
    links: Links,
    /// The capture of the operation: borrowed, as its target is, until it is kept, when it has a reference.
    capture: NonNull<c_void>,
    /// The block of the operation.
    flight: NonNull<c_void>,
    /// Leaves what it carries to the provider, if that can be.
    abandon: unsafe fn(NonNull<Node>) -> bool,
    /// Ends an operation that has completed, and frees it.
    free: unsafe fn(NonNull<Node>),
    /// Frees an operation that has completed after it was left to the provider.
    free_kept: unsafe fn(NonNull<Node>),
}

// SAFETY: a node only says where things are; who follows it vouches for the thread that it does so on.
unsafe impl Send for Node {}

/// The payload of a scoped operation.
#[repr(C)]
struct Borrowing<B> {
    node: MaybeUninit<Node>,
    carried: MaybeUninit<B>,
}

// SAFETY: it has a member for that.
unsafe impl<B> Carries<B> for Borrowing<B> {
    fn place(payload: NonNull<Self>) -> NonNull<B> {
        // SAFETY: whoever has the pointer has the payload's memory, in which the member is.
        unsafe { payload.byte_add(offset_of!(Self, carried)) }.cast()
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
        let operation = Idle::<Borrowing<B>>::new()?;
        let loaded = Loaded::of(operation, self).map_err(|(error, _)| error)?;
        let capture = Shared::as_raw(loaded.capture());
        // The scope's end waits for the observer, who is told once: so long what it carries may borrow.
        let launched = loaded.launch(Some(counting(&scope.pending)));
        let running = launched.map_err(|(error, _)| error)?;
        let node = running.flight().payload().cast::<Node>();
        // SAFETY: there is room for the node, of which the provider does not know. It is in the list until it is taken back, or the scope
        // has ended, and the thread of the scope is this one.
        unsafe {
            node.write(Node {
                links: Links::new(),
                capture,
                flight: running.flight().as_raw(),
                abandon: abandon::<F::Operation, B>,
                free: free::<F::Operation, B>,
                free_kept: if CarryOf::<F::Operation, B>::DROPPED_LATE {
                    free::<F::Operation, B>
                } else {
                    free_block::<F::Operation, B>
                },
            });
            scope.started.list.push(Pinned::new(node.cast()));
        }
        // INVARIANT: its node is in the list.
        Ok(Scoped {
            running,
            pending: &scope.pending,
            started: &scope.started,
            carried: PhantomData,
        })
    }
}

/// Counts one more operation of a scope, until the observer is told.
fn counting(pending: &Shared<Pending>) -> Observer {
    /// One operation less. The last one, once the scope is at its end, sets the event, or frees what the scope has kept.
    ///
    /// # Safety
    ///
    /// `context` is the pending count of a scope that has counted this operation.
    unsafe fn one_less(context: NonNull<c_void>, _: NTSTATUS) {
        // SAFETY: the count lives until the scope has seen every operation it counted, the last by way of the event, or until what it
        // has kept is freed.
        unsafe {
            let pending = ManuallyDrop::new(Shared::<Pending>::from_raw(context));
            if pending.count.fetch_sub(1, Ordering::AcqRel) == 1 {
                match pending.kept.with(|kept| *kept) {
                    None => pending.event().set(),
                    Some(first) => free_kept(context, first),
                }
            }
        }
    }
    pending.count.fetch_add(1, Ordering::Relaxed);
    // SAFETY: counted, this once.
    unsafe { Observer::new(one_less, Shared::as_raw(pending)) }
}

/// Leaves what an operation carries to the provider.
///
/// # Safety
///
/// `node` is that of an operation that was made for these types.
unsafe fn abandon<O: Operation<B>, B>(node: NonNull<Node>) -> bool {
    let place = Borrowing::<B>::place(node.cast());
    // SAFETY: the caller gives the node, and with it what is carried, whose memory the provider may use.
    unsafe { CarryOf::<O, B>::abandon(place) }
}

/// Ends an operation that has completed: what it carries is dropped.
///
/// # Safety
///
/// `node` is that of an operation that was made for these types and has completed; it is in no list, and no handle of it is used
/// again.
unsafe fn free<O: Operation<B>, B>(node: NonNull<Node>) {
    // SAFETY: the caller gives the node, whose operation was loaded, and has completed.
    let over = unsafe {
        let operation = Idle::from_block((*node.as_ptr()).flight.cast());
        Over::<O, B, Borrowing<B>>::of(operation)
    };
    over.discard();
}

/// Frees an operation that has completed, but not what it carries beyond [a part](crate::buffer::carry::Carry::drop_part), which was left
/// to the provider: what that borrows may be gone.
///
/// # Safety
///
/// As for [`free`], of an operation of any types.
unsafe fn free_block<O: Operation<B>, B>(node: NonNull<Node>) {
    let place = Borrowing::<B>::place(node.cast());
    // SAFETY: the caller gives the node, whose operation has completed, and with it what is carried, which is used no more.
    unsafe {
        CarryOf::<O, B>::drop_part(place);
        drop(Idle::<()>::from_block((*node.as_ptr()).flight.cast()));
    }
}

/// Whether an operation has completed, or the provider has answered to it with an error.
///
/// # Safety
///
/// The node is one of a scope.
unsafe fn look(node: Pinned<Links>) -> (bool, bool) {
    let node = node.as_raw().cast::<Node>().as_ptr();
    // SAFETY: the caller gives the node, whose flight is only looked at; what it carries is not.
    unsafe {
        let flight = Flight::<()>::from_raw((*node).flight);
        (flight.is_completed(), flight.returned().is_error())
    }
}

/// Frees the operations that a scope has kept, when the last of them has completed after all, and the references that they had:
/// those to captures last, for with them the driver may go.
///
/// # Safety
///
/// All operations of the list have completed, and nobody else knows of them. `context` is a reference to the scope's count.
#[cold]
unsafe fn free_kept(context: NonNull<c_void>, first: Pinned<Links>) {
    let (mut next, mut captures) = (Some(first), None);
    while let Some(links) = next {
        next = links.after();
        let node = links.as_raw().cast::<Node>();
        // SAFETY: the caller gives the list. Its operations have completed, what they carry was left to the provider and is dropped only
        // where its way says so, and each has a reference to its capture.
        unsafe {
            let capture = Shared::<Capture>::from_raw((*node.as_ptr()).capture);
            ((*node.as_ptr()).free_kept)(node);
            // Those before go now: this one keeps the driver.
            drop(captures.replace(capture));
        }
    }
    // SAFETY: the caller gives the reference.
    drop(unsafe { Shared::<Pending>::from_raw(context) });
    drop(captures);
}

/// Waits for the operations of a scope, and frees what handles have left.
struct End<'s, 'scope, 'env> {
    scope: &'s Scope<'scope, 'env>,
    may_wait: MayWait,
}

impl Drop for End<'_, '_, '_> {
    fn drop(&mut self) {
        let Scope {
            pending, started, ..
        } = self.scope;
        // Goes on should code of others, which is called below, unwind.
        let again = || End {
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
        while let Some(links) = started.list.first() {
            let again = again();
            started.list.remove(links);
            let node = links.as_raw().cast::<Node>();
            // SAFETY: no handle of the operation touches it again: the scope has ended. It has completed, and is in no list.
            unsafe { ((*node.as_ptr()).free)(node) };
            core::mem::forget(again);
        }
    }
}

impl Scope<'_, '_> {
    /// Leaves every operation that has not completed to the provider, if it was refused and its memory can be left, and takes it out of
    /// the list; `false` when that is not so for all of them, and nothing was kept. The provider's capture is kept too, as is the driver
    /// with it, until the last of them has completed after all.
    fn keep_all(&self) -> bool {
        // SAFETY: the list belongs to the thread of the scope, which is this one and changes nothing meanwhile.
        let is_refused = |node| unsafe { look(node) };
        if !self.started.list.all(|node| {
            let (completed, refused) = is_refused(node);
            completed || refused
        }) {
            return false;
        }
        // SAFETY: as above; what an operation carries that was left once stays so.
        let can_leave = |links: Pinned<Links>| unsafe {
            let node = links.as_raw().cast::<Node>();
            look(links).0 || ((*node.as_ptr()).abandon)(node)
        };
        if !self.started.list.all(can_leave) {
            return false;
        }
        let pending = &self.pending;
        // Counted again, so that no operation is the last meanwhile.
        if pending.count.fetch_add(1, Ordering::AcqRel) == 0 {
            // The last has just completed: the event is about to be set.
            pending.count.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        let (kept, completed) = (List::new(), List::new());
        let started = self.started.list.take();
        while let Some(links) = started.first() {
            let node = links.as_raw().cast::<Node>();
            started.remove(links);
            // SAFETY: the list is that of this thread, and no handle of the operation is used again. What has completed is freed later;
            // the capture of what has not, which is borrowed, gets a reference.
            unsafe {
                if look(links).0 {
                    completed.push(links);
                    continue;
                }
                let capture =
                    ManuallyDrop::new(Shared::<Capture>::from_raw((*node.as_ptr()).capture));
                let _ = Shared::into_raw(Shared::clone(&capture));
                kept.push(links);
            }
        }
        while let Some(links) = completed.first() {
            completed.remove(links);
            self.started.list.push(links);
        }
        let Some(first) = kept.first() else {
            // All have completed; the event is set by the last, unless it was done before it was counted here.
            return pending.count.fetch_sub(1, Ordering::AcqRel) == 1;
        };
        // SAFETY: this thread is counted, so nobody reads it yet.
        pending.kept.with_mut(|kept| unsafe { *kept = Some(first) });
        let context = Shared::into_raw(Shared::clone(pending));
        if pending.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: all have completed, without any of them having been the last; the reference is given away.
            unsafe { free_kept(context, first) };
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
/// The operation's node is in the list of the scope, unless that has ended.
#[must_use = "the scope waits for the operation, and its result is lost"]
pub struct Scoped<'scope, O: Operation<B>, B> {
    running: Running<O, B, Borrowing<B>>,
    pending: &'scope Shared<Pending>,
    started: &'scope Started,
    carried: PhantomData<(&'scope mut &'scope (), B)>,
}

/// What a scoped operation ends in: what it gives, with the buffer that it carried.
type EndOf<O, B> = <WayOf<O, B> as Way<B>>::Scoped<<O as Operation<B>>::Output>;

impl<O: Operation<B>, B> Scoped<'_, O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.started.ended.load(Ordering::Relaxed) || self.running.flight().is_completed()
    }

    /// Asks the provider to cancel the operation, which then completes soon, perhaps with success all the same. IRQL:
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
                // The scope keeps it.
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
    /// The inner result is that of WSK. The scope waits all the same: [`cancel`](Self::cancel) the operation that comes back.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::WrongIrql`], with the handle of the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until(self, cancel: &Cancel) -> Result<EndOf<O, B>, (Error, Self)> {
        self.wait_within(&Stopped::by(cancel))
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
        let node = running.flight().payload().cast::<Node>();
        // While it goes on it is counted again, and stays in the list.
        match running.end(|_| Some(counting(pending))) {
            Err(running) => Err(Self {
                running,
                pending,
                started,
                carried,
            }),
            Ok(over) => {
                // SAFETY: the node is in the block, which is there. By the invariant it is in the list, which is that of the calling
                // thread: neither the scope nor its handles leave it.
                started.list.remove(unsafe { Pinned::new(node.cast()) });
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

    /// Starts what cannot be started; how many operations the scope then waits for, and itself.
    fn refuse<'scope>(scope: &'scope Scope<'scope, '_>, socket: &'scope DatagramSocket) -> usize {
        let wrong = "[::1]:9".parse::<core::net::SocketAddr>().unwrap();
        let refused = socket.send_to(b"unsent", wrong).start_in(scope);
        assert!(matches!(refused, Err(Error::WrongFamily { .. })));
        let missing = DispatchError::Absent { entry: "none" };
        let operation = Idle::<()>::new().unwrap();
        // SAFETY: nothing is passed on.
        let refused =
            unsafe { operation.launch_observed(counting(&scope.pending), |_| Err(missing)) };
        assert!(refused.is_err());
        scope.pending.count.load(Ordering::SeqCst)
    }

    /// An operation that could not be started is counted out once: the scope waits for what is in flight, and for nothing else.
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
