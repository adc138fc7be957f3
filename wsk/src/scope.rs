//! Scoped operations: in flight at the same time, over memory that is only borrowed, because the scope does not end before the
//! last of them has completed. They are to WSK what `std::thread::scope` is to threads.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use wsk_sys::{
    EVENT_TYPE, IO_NO_INCREMENT, KEVENT, KWAIT_REASON, KeInitializeEvent, KeSetEvent,
    KeWaitForSingleObject, NTSTATUS, STATUS_SUCCESS,
};

use crate::buffer::{Held, Lock, ReceiveBuffer, SendBuffer};
use crate::datagram::{DatagramSocket, Received, pass_on_receive, receive_into, received};
use crate::error::{Call, Error, Memory};
use crate::irql::require_passive;
use crate::messages::Messages;
use crate::operation::{
    Arguments, Flight, GRACE, Idle, KERNEL_MODE, Observer, Outcome, Payload, interval,
};
use crate::registration::Capture;
use crate::shared::{Counted, Shared};
use crate::socket::{address_of, buffer_of, control_of};

/// Runs `body` with a scope in which operations may borrow what outlives it; waits until all of them have completed. IRQL:
/// `PASSIVE_LEVEL`; waits.
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
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let (first, second) = (*b"on the", *b"stack");
/// let sent = wsk::scope(|s| {
///     let first = s.send_to(&socket, &first, to)?;
///     let second = s.send_to(&socket, &second, to)?;
///     Ok::<_, wsk::Error>(first.wait()? + second.wait()?)
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
    require_passive()?;
    let event = UnsafeCell::new(KEVENT::default());
    let pending = Shared::new(Pending {
        count: AtomicUsize::new(1),
        event,
        kept: UnsafeCell::new(None),
    });
    let pending = pending.map_err(|_| Error::NoMemory(Memory::Irp))?;
    // SAFETY: the event is in nonpaged memory that does not move, and nobody uses it yet.
    unsafe { KeInitializeEvent(pending.event.get(), EVENT_TYPE::NotificationEvent, 0) };
    let scope = Scope {
        pending,
        first: Cell::new(None),
        scope: PhantomData,
        env: PhantomData,
    };
    // Settles also when `body` unwinds.
    let settle = Settle(&scope);
    let value = body(&scope);
    drop(settle);
    Ok(value)
}

/// Where scoped operations are started; see [`scope`].
///
/// # Invariants
///
/// `first` heads the list of the operations that were started and not taken back by a handle. Each lives in its block, and
/// only the thread of the scope changes the list.
pub struct Scope<'scope, 'env: 'scope> {
    pending: Shared<Pending>,
    first: Cell<Option<NonNull<Node>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// How many operations of a scope have not completed, plus one until the scope's end.
///
/// # Invariants
///
/// `kept` is changed by the thread of the scope alone, while it is counted, and read by who makes the count zero.
struct Pending {
    count: AtomicUsize,
    event: UnsafeCell<KEVENT>,
    /// The list of the operations that the scope has left to their provider, which keeps their IRPs against its contract.
    kept: UnsafeCell<Option<NonNull<Node>>>,
}

// SAFETY: the count is atomic, and the event is the kernel's, which synchronises its use; the nodes of the list may be sent.
unsafe impl Send for Pending {}
// SAFETY: so is all use of count and event through `&Pending`. By the invariant `kept` is written before the writer's part of the
// count is given up, and read by who gave up the last.
unsafe impl Sync for Pending {}

/// What a scoped operation carries. `'static` stands for the scope, at whose end the lock is gone.
pub(crate) struct Node {
    lock: Option<Lock<'static>>,
    /// Several datagrams, which are unlocked when this is dropped.
    list: Option<LockedList>,
    /// What the call returned.
    returned: NTSTATUS,
    /// The capture of the socket's provider: borrowed, as the socket is, until the operation is kept, when it has a reference.
    capture: NonNull<c_void>,
    block: Option<NonNull<c_void>>,
    before: Option<NonNull<Node>>,
    after: Option<NonNull<Node>>,
}

// SAFETY: a node is touched by the thread of its scope alone, which the list, in a `Cell`, sees to. Saying it here makes the list
// the one reason that handles stay on their thread, which is what the compiler then says.
unsafe impl Send for Node {}

impl Payload for Node {
    unsafe fn settle(this: NonNull<Self>, outcome: Option<Outcome>, arguments: &Arguments) {
        // SAFETY: the caller gives the payload, which nothing else uses.
        let (lock, list) = unsafe { ((*this.as_ptr()).lock.take(), (*this.as_ptr()).list.take()) };
        if let (Some(lock), Some(outcome)) = (lock, outcome) {
            lock.settle(outcome, arguments);
        }
        drop(list);
    }
}

/// Messages that are locked where they lie; unlocks them when dropped.
///
/// # Invariants
///
/// `messages` are [`Messages`] of the types that `unlock` was made for, borrowed exclusively for the scope, with nothing using
/// them but the operation that this belongs to.
pub(crate) struct LockedList {
    messages: NonNull<c_void>,
    unlock: unsafe fn(NonNull<c_void>),
}

impl LockedList {
    fn new<B, const N: usize>(messages: NonNull<Messages<B, N>>) -> Self {
        Self {
            messages: messages.cast(),
            // SAFETY: the invariant is what the function asks.
            unlock: |messages| unsafe { messages.cast::<Messages<B, N>>().as_mut() }.unlock(),
        }
    }
}

impl Drop for LockedList {
    fn drop(&mut self) {
        // SAFETY: by the invariant these are the messages that `unlock` was made for, which nothing uses any more: the operation is
        // over, or was not started.
        unsafe { (self.unlock)(self.messages) };
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts to send a datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates an operation.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::send_to`] that are found before WSK has taken the request.
    #[doc(alias = "WskSendTo")]
    pub fn send_to<B: SendBuffer + ?Sized>(
        &'scope self,
        socket: &'scope DatagramSocket,
        buffer: &'scope B,
        to: SocketAddr,
    ) -> Result<ScopedSend<'scope>, Error> {
        let socket = socket.shared();
        socket.require_bound()?;
        let lock = buffer.lock()?;
        let extent = lock.extent();
        DatagramSocket::check_send(socket.family, extent, to)?;
        let mut operation = Idle::new()?;
        let arguments = operation.arguments();
        socket.family.write(to, &mut arguments.address);
        arguments.buffer = extent.as_wsk_buf();
        let control = lock.lend_control(arguments)?;
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so are buffer and control
        // information. The lock is carried along.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                Some(lock),
                None,
                |irp, arguments| {
                    let address = Some(address_of(arguments));
                    let control = control_of(arguments, control);
                    Ok(table.wsk_send_to(handle, buffer_of(arguments), address, control, irp)?)
                },
            )
        }?;
        Ok(self.sending(flight, Call::WskSendTo))
    }

    /// Starts to send several datagrams to one address, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates
    /// an operation.
    ///
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages).
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::send_messages`] that are found before WSK has taken the request.
    #[doc(alias = "WskSendMessages")]
    pub fn send_messages<B: SendBuffer, const N: usize>(
        &'scope self,
        socket: &'scope DatagramSocket,
        messages: &'scope mut Messages<B, N>,
        to: SocketAddr,
    ) -> Result<ScopedSend<'scope>, Error> {
        socket.may_send_messages::<N>(to)?;
        let socket = socket.shared();
        let mut operation = Idle::new()?;
        let arguments = operation.arguments();
        socket.family.write(to, &mut arguments.address);
        let control = messages.lend_control(arguments)?;
        let messages = NonNull::from(messages);
        // SAFETY: the messages are borrowed exclusively for the scope; this is the only use of the borrow until the operation has
        // completed and they are unlocked.
        let (list, longest) = unsafe { Messages::lock(messages) }?;
        // INVARIANT: as above.
        let locked = LockedList::new(messages);
        DatagramSocket::check_datagram(socket.family, longest, to)?;
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so are the messages, which the
        // operation unlocks when it is over.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                None,
                Some(locked),
                |irp, arguments| {
                    let address = Some(address_of(arguments));
                    let control = control_of(arguments, control);
                    Ok(table.wsk_send_messages(handle, list, address, control, irp)?)
                },
            )
        }?;
        Ok(self.sending(flight, Call::WskSendMessages))
    }

    /// The handle of a send that was started.
    pub(crate) fn sending(&'scope self, flight: Flight<Node>, call: Call) -> ScopedSend<'scope> {
        self.sending_to_end(flight, call, sent)
    }

    /// The handle of a send that was started, and ends in something else than its bytes.
    pub(crate) fn sending_to_end<T>(
        &'scope self,
        flight: Flight<Node>,
        call: Call,
        read: Read<T>,
    ) -> ScopedSend<'scope, T> {
        ScopedSend {
            read,
            operation: Scoped {
                flight,
                list: &self.first,
                call,
                scope: PhantomData,
            },
        }
    }

    /// Starts to receive a datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates an operation.
    ///
    /// The scope's end waits for the datagram: cancel what nobody wants any more.
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::receive_from`] that are found before WSK has taken the request.
    #[doc(alias = "WskReceiveFrom")]
    pub fn receive_from<B: ReceiveBuffer + ?Sized>(
        &'scope self,
        socket: &'scope DatagramSocket,
        buffer: &'scope mut B,
    ) -> Result<ScopedReceive<'scope, B>, Error> {
        let socket = socket.shared();
        socket.require_bound()?;
        let room = NonNull::from(buffer);
        // SAFETY: the buffer is borrowed exclusively for the scope; this is the only use of the borrow until the operation has
        // completed.
        let lock = unsafe { &mut *room.as_ptr() }.lock_mut()?;
        let mut operation = Idle::new()?;
        let wanted = receive_into(&lock, operation.arguments());
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so is the buffer. The lock
        // is carried along.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                Some(lock),
                None,
                |irp, arguments| pass_on_receive(table, handle, arguments, wanted, irp),
            )
        }?;
        Ok(self.receiving(
            flight,
            Call::WskReceiveFrom,
            room,
            |_, outcome, arguments| received(outcome, arguments),
        ))
    }

    /// The handle of a receive that was started, into the room that is borrowed for the scope.
    pub(crate) fn receiving<B: ?Sized, T>(
        &'scope self,
        flight: Flight<Node>,
        call: Call,
        room: NonNull<B>,
        read: Read<T>,
    ) -> ScopedReceive<'scope, B, T> {
        ScopedReceive {
            operation: Scoped {
                flight,
                list: &self.first,
                call,
                scope: PhantomData,
            },
            room,
            read,
            borrow: PhantomData,
        }
    }

    /// Starts an operation and takes it into the list.
    ///
    /// # Safety
    ///
    /// `invoke` passes the IRP on as [`Idle::start`] asks; what its parameters point at is valid until the end of the scope, and
    /// `capture` is that of a socket that is borrowed until then.
    pub(crate) unsafe fn start(
        &'scope self,
        operation: Idle<Node>,
        capture: &Shared<Capture>,
        lock: Option<Lock<'scope>>,
        list: Option<LockedList>,
        invoke: impl FnOnce(NonNull<wsk_sys::IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
    ) -> Result<Flight<Node>, Error> {
        // SAFETY: only the lifetime changes. The lock is dropped by a handle, or at the end of the scope.
        let lock =
            unsafe { core::mem::transmute::<Option<Lock<'scope>>, Option<Lock<'static>>>(lock) };
        let node = Node {
            lock,
            list,
            returned: STATUS_SUCCESS,
            capture: Shared::as_raw(capture),
            block: None,
            before: None,
            after: None,
        };
        self.pending.count.fetch_add(1, Ordering::Relaxed);
        let context = Shared::as_raw(&self.pending);
        let observer = Observer {
            completed: one_less,
            context,
        };
        // SAFETY: the caller vouches for the call. The pending count outlives the scope, whose end waits for the observer.
        let started = unsafe {
            operation.start(node, Some(observer), |irp, arguments, _| {
                invoke(irp, arguments)
            })
        };
        match started {
            Ok(flight) => {
                let node = flight.payload();
                // SAFETY: the provider does not know of the node, and the thread of the scope is this one.
                unsafe {
                    (*node.as_ptr()).returned = flight.returned();
                    (*node.as_ptr()).block = Some(flight.as_raw());
                    link(&self.first, node);
                }
                Ok(flight)
            }
            // The observer was told, and has counted it out again: not as the last, for the scope itself counts.
            Err(refused) => Err(refused.error),
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// The observer of scoped operations: one more has completed. The last one, once the scope is at its end, sets the event, or
/// frees what the scope has kept.
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
            match *pending.kept.get() {
                None => {
                    KeSetEvent(pending.event.get(), IO_NO_INCREMENT.into(), 0);
                }
                Some(first) => free_kept(context, first),
            }
        }
    }
}

/// Frees the operations that a scope has kept, when the last of them has completed after all, and the references that they had:
/// those to captures last, for with them the driver may go.
///
/// # Safety
///
/// All operations of the list have completed, and nobody else knows of them. `context` is a reference to the scope's count.
#[cold]
unsafe fn free_kept(context: NonNull<c_void>, first: NonNull<Node>) {
    let (mut next, mut captures) = (Some(first), None);
    while let Some(node) = next {
        // SAFETY: the caller gives the list. Its operations have completed, and each has a reference to its capture.
        unsafe {
            next = (*node.as_ptr()).after;
            let capture = Shared::<Capture>::from_raw((*node.as_ptr()).capture);
            if let Some(block) = (*node.as_ptr()).block {
                let (operation, node, _) = Flight::<Node>::from_raw(block).finish();
                drop((operation, node));
            }
            // Those before go now: this one keeps the driver.
            drop(captures.replace(capture));
        }
    }
    // SAFETY: the caller gives the reference.
    drop(unsafe { Shared::<Pending>::from_raw(context) });
    drop(captures);
}

/// Waits for the operations of a scope, and frees what handles have left.
struct Settle<'s, 'scope, 'env>(&'s Scope<'scope, 'env>);

impl Drop for Settle<'_, '_, '_> {
    fn drop(&mut self) {
        let scope = self.0;
        if scope.pending.count.fetch_sub(1, Ordering::AcqRel) != 1 {
            let mut grace = interval(GRACE);
            loop {
                // SAFETY: the event is initialised and in nonpaged memory. The scope was entered at PASSIVE_LEVEL; raising the
                // IRQL is unsafe, and whoever does so lowers it again.
                let status = unsafe {
                    let event = scope.pending.event.get().cast();
                    let timeout = &raw mut grace;
                    KeWaitForSingleObject(event, KWAIT_REASON::Executive, KERNEL_MODE, 0, timeout)
                };
                if status == STATUS_SUCCESS {
                    break;
                }
                if keep_all(scope) {
                    break;
                }
            }
        }
        while let Some(node) = scope.first.get() {
            // SAFETY: no handle of the operation is used again: handles do not outlive the scope. It has completed.
            unsafe {
                unlink(&scope.first, node);
                free_completed(node.as_ptr());
            }
        }
    }
}

/// Leaves every operation of the scope that has not completed to the provider, if it was refused and its memory can be kept;
/// `false` when that is not so for all of them, and nothing was kept. The provider's capture is kept too, as is the driver with
/// it, until the last of them has completed after all.
fn keep_all(scope: &Scope<'_, '_>) -> bool {
    let waits = |node: &Node| !(node.is_completed() || node.returned.is_error() && node.can_keep());
    // SAFETY: the list belongs to the thread of the scope, which is this one and changes nothing meanwhile.
    if unsafe { nodes(scope.first.get()) }.any(waits) {
        return false;
    }
    let pending = &scope.pending;
    // Counted again, so that no operation is the last meanwhile.
    if pending.count.fetch_add(1, Ordering::AcqRel) == 0 {
        // The last has just completed: the event is about to be set.
        pending.count.fetch_sub(1, Ordering::AcqRel);
        return false;
    }
    let kept = Cell::new(None);
    while let Some(node) = scope.first.get() {
        // SAFETY: the list is that of this thread, and no handle of the operation is used again. What has completed is freed; the
        // lock of what has not is forgotten, with the memory kept; its capture, which is borrowed, gets a reference.
        unsafe {
            unlink(&scope.first, node);
            let this = &mut *node.as_ptr();
            if this.is_completed() {
                free_completed(this);
                continue;
            }
            if let Some(lock) = this.lock.take() {
                lock.keep();
                core::mem::forget(lock);
            }
            let capture = ManuallyDrop::new(Shared::<Capture>::from_raw(this.capture));
            let _ = Shared::into_raw(Shared::clone(&capture));
            (this.before, this.after) = (None, None);
            link(&kept, node);
        }
    }
    let Some(first) = kept.get() else {
        // All have completed; the event is set by the last, unless it was done before it was counted here.
        return pending.count.fetch_sub(1, Ordering::AcqRel) == 1;
    };
    // SAFETY: this thread is counted, so nobody reads it yet.
    unsafe { *pending.kept.get() = Some(first) };
    let context = Shared::into_raw(Shared::clone(pending));
    if pending.count.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: all have completed, without any of them having been the last; the reference is given away.
        unsafe { free_kept(context, first) };
    }
    true
}

/// Frees an operation that has completed.
///
/// # Safety
///
/// It has, it is in no list, and no handle of it is used again.
unsafe fn free_completed(node: *mut Node) {
    // SAFETY: the caller gives the node, whose block is that of its flight; it has completed, so the flight may be ended, this once.
    unsafe {
        if let Some(block) = (*node).block {
            let (operation, node, _) = Flight::<Node>::from_raw(block).finish();
            drop((operation, node));
        }
    }
}

impl Node {
    fn is_completed(&self) -> bool {
        // SAFETY: the block is that of this node, which is in flight or completed.
        self.block
            .is_none_or(|block| unsafe { Flight::<Self>::is_completed_raw(block) })
    }

    fn can_keep(&self) -> bool {
        self.list.is_none() && self.lock.as_ref().is_none_or(Held::can_keep)
    }
}

/// The nodes of a list.
///
/// # Safety
///
/// The list belongs to the calling thread, and its nodes are live and in it for the lifetime that the caller chooses.
unsafe fn nodes<'n>(first: Option<NonNull<Node>>) -> impl Iterator<Item = &'n Node> {
    // SAFETY: the caller keeps list and nodes. The provider knows nothing of them.
    let look = |node: NonNull<Node>| unsafe { node.as_ref() };
    core::iter::successors(first.map(look), move |node| node.after.map(look))
}

/// Puts a node at the head of a list.
///
/// # Safety
///
/// The list and the node belong to the calling thread, and the node is in no list.
unsafe fn link(first: &Cell<Option<NonNull<Node>>>, node: NonNull<Node>) {
    let after = first.replace(Some(node));
    // SAFETY: the caller has the nodes.
    unsafe {
        (*node.as_ptr()).after = after;
        if let Some(after) = after {
            (*after.as_ptr()).before = Some(node);
        }
    }
}

/// Takes a node out of its list.
///
/// # Safety
///
/// The list belongs to the calling thread, and the node is in it.
unsafe fn unlink(first: &Cell<Option<NonNull<Node>>>, node: NonNull<Node>) {
    // SAFETY: the caller has the nodes.
    unsafe {
        let (before, after) = ((*node.as_ptr()).before, (*node.as_ptr()).after);
        match before {
            Some(before) => (*before.as_ptr()).after = after,
            None => first.set(after),
        }
        if let Some(after) = after {
            (*after.as_ptr()).before = before;
        }
    }
}

/// A handle's side of a scoped operation. Dropping it leaves the operation to the scope.
///
/// # Invariants
///
/// The flight's node is in `list`, the list of a scope that has not ended.
struct Scoped<'scope> {
    flight: Flight<Node>,
    list: &'scope Cell<Option<NonNull<Node>>>,
    call: Call,
    scope: PhantomData<&'scope mut &'scope ()>,
}

impl Scoped<'_> {
    /// Waits, and takes the operation back from the scope.
    fn wait<T>(
        self,
        read: impl FnOnce(Call, Outcome, &Arguments) -> Result<T, Error>,
    ) -> Result<T, Error> {
        require_passive()?;
        if !self.flight.wait_or_give_up() {
            // The scope keeps it.
            return Err(Error::Abandoned {
                call: self.call,
                status: self.flight.returned(),
            });
        }
        // SAFETY: the wait said that the operation has completed.
        unsafe { self.take(read) }
    }

    /// Waits for at most `limit`; an error when the operation has not completed then.
    fn wait_timeout(&self, limit: Duration) -> Result<(), Error> {
        require_passive()?;
        if self.flight.wait(Some(limit)) {
            Ok(())
        } else {
            Err(Error::TimedOut { call: self.call })
        }
    }

    /// Takes the operation back from the scope.
    ///
    /// # Safety
    ///
    /// It has completed.
    unsafe fn take<T>(
        self,
        read: impl FnOnce(Call, Outcome, &Arguments) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // SAFETY: the list is that of the calling thread: neither the scope nor its handles leave it. The operation has completed,
        // as the caller says.
        let (mut operation, node, outcome) = unsafe {
            unlink(self.list, self.flight.payload());
            self.flight.finish()
        };
        drop(node);
        read(self.call, outcome, operation.arguments())
    }
}

/// The bytes of a completed send.
fn sent(call: Call, outcome: Outcome, _: &Arguments) -> Result<usize, Error> {
    outcome.check(call)?;
    Ok(outcome.information)
}

/// Bytes being sent in a [`scope`], which ends in a `T`: their number, or nothing for the last of a connection. Dropping or
/// forgetting it leaves the operation to the scope.
#[must_use = "the scope waits for the send, and its result is lost"]
pub struct ScopedSend<'scope, T = usize> {
    operation: Scoped<'scope>,
    read: Read<T>,
}

impl<T> ScopedSend<'_, T> {
    /// Whether the bytes have been sent, or failed to be. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.operation.flight.is_completed()
    }

    /// Asks the provider to cancel the send, which then completes soon. IRQL: `<= DISPATCH_LEVEL`.
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        self.operation.flight.cancel();
    }

    /// Waits, and gives the number of bytes sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// What WSK says; [`Error::WrongIrql`], with the operation left to the scope.
    pub fn wait(self) -> Result<T, Error> {
        self.operation.wait(self.read)
    }

    /// Waits for at most `limit`, and gives the number of bytes sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// The inner result is what WSK says.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the handle of the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<Result<T, Error>, (Error, Self)> {
        match self.operation.wait_timeout(limit) {
            // SAFETY: the wait said that the operation has completed.
            Ok(()) => Ok(unsafe { self.operation.take(self.read) }),
            Err(error) => Err((error, self)),
        }
    }

    /// The number of bytes sent, or what WSK says, if the send has completed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The handle of the operation, which is still in flight.
    pub fn try_take(self) -> Result<Result<T, Error>, Self> {
        if self.is_completed() {
            // SAFETY: it has completed.
            Ok(unsafe { self.operation.take(self.read) })
        } else {
            Err(self)
        }
    }
}

impl<T> fmt::Debug for ScopedSend<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedSend")
            .field("completed", &self.is_completed())
            .finish()
    }
}

/// How the end of an operation is read.
pub(crate) type Read<T> = fn(Call, Outcome, &Arguments) -> Result<T, Error>;

/// What is being waited for in a [`scope`], and ends in a `T`: a datagram that is [`Received`], or the number of bytes of a
/// connection. Dropping or forgetting it leaves the operation to the scope.
#[must_use = "the scope waits for what is received, which is lost"]
pub struct ScopedReceive<'scope, B: ?Sized, T = Received> {
    operation: Scoped<'scope>,
    /// Borrowed exclusively for the scope.
    room: NonNull<B>,
    read: Read<T>,
    borrow: PhantomData<&'scope mut B>,
}

impl<'scope, B: ReceiveBuffer + ?Sized, T> ScopedReceive<'scope, B, T> {
    /// Whether something has come, or the receive failed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.operation.flight.is_completed()
    }

    /// Asks the provider to cancel the receive, which then completes soon. IRQL: `<= DISPATCH_LEVEL`.
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        self.operation.flight.cancel();
    }

    /// Waits, and gives what has come with the buffer. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// What WSK says; [`Error::WrongIrql`], with the operation left to the scope.
    pub fn wait(self) -> Result<(T, &'scope mut B), Error> {
        let received = self.operation.wait(self.read)?;
        // SAFETY: the buffer is borrowed exclusively for the scope, and its operation has completed.
        Ok((received, unsafe { &mut *self.room.as_ptr() }))
    }

    /// Waits for at most `limit`, and gives what has come with the buffer. IRQL: `PASSIVE_LEVEL`.
    ///
    /// The inner result is what WSK says.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the handle of the operation, which goes on.
    #[allow(clippy::type_complexity)]
    pub fn wait_timeout(
        self,
        limit: Duration,
    ) -> Result<Result<(T, &'scope mut B), Error>, (Error, Self)> {
        match self.operation.wait_timeout(limit) {
            // SAFETY: the wait said that the operation has completed.
            Ok(()) => Ok(unsafe { self.take() }),
            Err(error) => Err((error, self)),
        }
    }

    /// What has come with the buffer, or what WSK says, if the receive has completed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The handle of the operation, which is still in flight.
    #[allow(clippy::type_complexity)]
    pub fn try_take(self) -> Result<Result<(T, &'scope mut B), Error>, Self> {
        if self.is_completed() {
            // SAFETY: it has completed.
            Ok(unsafe { self.take() })
        } else {
            Err(self)
        }
    }

    /// # Safety
    ///
    /// The operation has completed.
    unsafe fn take(self) -> Result<(T, &'scope mut B), Error> {
        let room = self.room;
        // SAFETY: the buffer is borrowed exclusively for the scope, and its operation has completed, as the caller says.
        unsafe {
            let received = self.operation.take(self.read)?;
            Ok((received, &mut *room.as_ptr()))
        }
    }
}

impl<B: ?Sized, T> fmt::Debug for ScopedReceive<'_, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedReceive")
            .field("completed", &self.operation.flight.is_completed())
            .finish()
    }
}

impl Counted for Pending {
    type Last = ();
    unsafe fn last(&mut self) {}
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use wsk_host::Kernel;

    use super::{Idle, Scope};
    use crate::{DatagramSocket, Error, Family, Registration, Wait};

    /// Starts what cannot be started; how many operations the scope then waits for, and itself.
    fn refuse<'scope>(scope: &'scope Scope<'scope, '_>, socket: &DatagramSocket) -> usize {
        let operation = Idle::new().unwrap();
        let capture = &socket.shared().capture;
        let invoke = |_, _| Err(Error::PortZero);
        // SAFETY: nothing is passed on.
        let refused = unsafe { scope.start(operation, capture, None, None, invoke) };
        assert_eq!(refused.err(), Some(Error::PortZero));
        scope.pending.count.load(Ordering::SeqCst)
    }

    /// An operation that could not be started is counted out once: the scope waits for what is in flight, and for nothing else.
    #[test]
    fn what_is_refused_counts_once() {
        let kernel = Kernel::boot();
        let registration = Registration::new().unwrap();
        let provider = registration.capture(Wait::Forever).unwrap();
        let socket = DatagramSocket::open(&provider, Family::V4).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut room = [0_u8; 8];
        crate::scope(|scope| {
            assert_eq!(refuse(scope, &socket), 1, "the scope alone");
            let receive = scope.receive_from(&socket, &mut room).unwrap();
            assert_eq!(refuse(scope, &socket), 2, "the scope and what is in flight");
            receive.cancel();
            assert!(receive.wait().is_err());
        })
        .unwrap();
        drop((socket, provider, registration));
        kernel.shutdown();
    }
}
