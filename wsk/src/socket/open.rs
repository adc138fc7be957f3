//! Open sockets: a `WSK_SOCKET` with its functions, the handles that keep it open, and its close. And indications: the lists of structures in
//! which WSK describes what has arrived at a socket (`WSK_DATAGRAM_INDICATION`, `WSK_DATA_INDICATION`), and which must be released to it.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    DispatchError, IRP, NTDDI_WIN10_RS4, NTSTATUS, WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_PROVIDER_LISTEN_DISPATCH, WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
    WskProviderConnectionDispatch, WskProviderDatagramDispatch,
};

use crate::address::Family;
use crate::buffer::{DriverMdl, Payload};
use crate::error::{Call, Error};
use crate::irp::{Flight, Idle, Notified, Observer, Spares};
use crate::irql::MayWait;
use crate::memory::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use crate::memory::{Counted, Rare, Reserved, Shared};
use crate::registration::{Brought, Capture, hold};
use crate::socket::category::{
    Category, Committed, ConnectionCategory, DatagramCategory, DatagramEntries, Entries as _,
    OfStream, StreamCategory, StreamEntries,
};
use crate::socket::event_context::Events;
use crate::system::pause;
use crate::time::{Deadline, GRACE};

/// A socket that WSK has just made, and that has no handle yet.
///
/// # Invariants
///
/// `socket` is open, and of the category `C`. Nobody else has it. This value goes to the [`Making`](crate::socket::Making) whose capture
/// and callbacks WSK was given for the socket, or is given when the accept event returns.
pub(crate) struct Fresh<C> {
    socket: NonNull<WSK_SOCKET>,
    category: PhantomData<C>,
}

// SAFETY: a `Fresh` is the address of a socket, which any thread may use.
unsafe impl<C> Send for Fresh<C> {}
// SAFETY: a `&Fresh` gives access to nothing.
unsafe impl<C> Sync for Fresh<C> {}

impl<C: Category> Fresh<C> {
    /// # Safety
    ///
    /// The socket is as the invariant says.
    pub(crate) const unsafe fn new(socket: NonNull<WSK_SOCKET>) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            socket,
            category: PhantomData,
        }
    }

    /// The socket with its functions; `None` if the provider gives no table of functions, or none to close the socket.
    pub(crate) fn open(self, capture: &Capture) -> Option<OpenSocket<C>> {
        let (socket, ntddi) = (self.socket, capture.ntddi());
        // SAFETY: by the invariant the socket is open, and of this category, whose table is as long as this Windows makes it, begins with the
        // functions of every socket, and stays while the socket is open.
        let (dispatch, entries, close) = unsafe {
            let table = NonNull::new((*socket.as_ptr()).Dispatch.cast_mut())?;
            let basic = table.cast::<WSK_PROVIDER_BASIC_DISPATCH>();
            let close = (&raw const (*basic.as_ptr()).WskCloseSocket).read();
            let table = table.cast();
            ((C::TYPED)(table, ntddi), (C::ENTRIES)(table, ntddi), close?)
        };
        // INVARIANT: nobody else has the socket.
        Some(OpenSocket {
            socket,
            dispatch,
            entries,
            close,
        })
    }
}

/// The address and the functions of a socket.
///
/// # Invariants
///
/// `socket` is of the category `C`, and open until the owner of this closes it, or until this has become another [`OpenSocket`] and the owner of
/// that closes it. `dispatch` is its table, or one with the same functions. `close` is its `WskCloseSocket`.
pub(crate) struct OpenSocket<C: Category> {
    socket: NonNull<WSK_SOCKET>,
    dispatch: C::Dispatch,
    entries: C::Entries,
    close: CloseSocket,
}

/// `WskCloseSocket`, as an entry that is there.
type CloseSocket = unsafe extern "system" fn(*mut WSK_SOCKET, *mut IRP) -> NTSTATUS;

// SAFETY: WSK's functions may be called on any thread; the pointers are only passed to them.
unsafe impl<C: Category> Send for OpenSocket<C> {}
// SAFETY: WSK's functions may be called at the same time; the pointers are only passed to them.
unsafe impl<C: Category> Sync for OpenSocket<C> {}

impl DatagramEntries {
    /// # Safety
    ///
    /// `table` is the table of an open datagram socket.
    pub(super) unsafe fn read(table: NonNull<WSK_PROVIDER_DATAGRAM_DISPATCH>, _: u32) -> Self {
        let table = table.as_ptr();
        // SAFETY: the caller passes the table of a datagram socket, which every Windows makes at least this long.
        unsafe {
            Self {
                send_to: (&raw const (*table).WskSendTo).read(),
                receive_from: (&raw const (*table).WskReceiveFrom).read(),
            }
        }
    }
}

impl StreamEntries {
    /// # Safety
    ///
    /// `table` is the table of an open stream socket, readable up to what a Windows of version `ntddi` has.
    pub(super) unsafe fn read(table: NonNull<WSK_PROVIDER_STREAM_DISPATCH>, ntddi: u32) -> Self {
        let table = table.as_ptr();
        /// Reads an entry, or the table before the entries.
        macro_rules! entry {
            ($entry:ident) => {
                (&raw const (*table).$entry).read()
            };
        }
        // SAFETY: the caller passes the table of a stream socket. Every Windows that has such sockets makes it long enough for the entries
        // that are read unconditionally; the others are read only if the table is longer.
        unsafe {
            let (send_ex, receive_ex) = if ntddi >= NTDDI_WIN10_RS4 {
                (entry!(WskSendEx), entry!(WskReceiveEx))
            } else {
                (None, None)
            };
            Self {
                connection: WSK_PROVIDER_CONNECTION_DISPATCH {
                    Basic: entry!(Basic),
                    WskBind: entry!(WskBind),
                    WskConnect: entry!(WskConnect),
                    WskGetLocalAddress: entry!(WskGetLocalAddress),
                    WskGetRemoteAddress: entry!(WskGetRemoteAddress),
                    WskSend: entry!(WskSend),
                    WskReceive: entry!(WskReceive),
                    WskDisconnect: entry!(WskDisconnect),
                    WskRelease: entry!(WskRelease),
                    WskConnectEx: entry!(WskConnectEx),
                    WskSendEx: send_ex,
                    WskReceiveEx: receive_ex,
                },
                listening: WSK_PROVIDER_LISTEN_DISPATCH {
                    Basic: entry!(Basic),
                    WskBind: entry!(WskBind),
                    WskAccept: entry!(WskAccept),
                    // Stream sockets have no conditional accept.
                    WskInspectComplete: None,
                    WskGetLocalAddress: entry!(WskGetLocalAddress),
                },
            }
        }
    }
}

/// The operations that are kept ready for a socket. There may be none yet.
pub(crate) struct SpareOperations {
    /// For requests that wait in the call: one operation for a send, and one for a receive at the same time.
    waiting: Spares<2>,
    /// The operation that closes the socket. It is taken once.
    closing: Spares<1>,
}

impl SpareOperations {
    #[inline]
    pub(crate) fn none() -> Self {
        Self {
            waiting: Spares::none(),
            closing: Spares::none(),
        }
    }

    /// Allocates the operations that are missing. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn allocate(&mut self) -> Result<(), Error> {
        self.closing.fill()?;
        self.waiting.fill()
    }

    /// Takes the operations out.
    fn take(&self) -> Self {
        let taken = Self::none();
        taken.waiting.put_all(&self.waiting);
        taken.closing.put_all(&self.closing);
        taken
    }
}

/// The parts of a socket that are there before WSK makes it. They move to the socket as one value.
pub(crate) struct Parts<C: Category> {
    pub(crate) operations: SpareOperations,
    /// The handler and its callbacks. The handler is dropped when the close has completed.
    pub(crate) events: Option<Events<C::Callbacks>>,
}

/// An open socket of the category `C`.
///
/// # Invariants
///
/// The socket was made through `capture`. It is open until `handles` is zero, where handles of the client count as 1, and those of calls
/// that go on as [`CALL`]. Then it is closed once, with the operation that is kept ready for that, unless it has become another socket, which
/// is the open one from then on. Whoever calls its functions has a handle. When it is `ready`, none of its entries is missing.
pub struct Socket<C: Category> {
    open: OpenSocket<C>,
    capture: ManuallyDrop<Shared<Capture>>,
    family: Family,
    /// The bit of the family once the socket is bound. 0 before, and if an entry is missing.
    ready: AtomicU8,
    /// Whether the remote address or destination is fixed, or about to be.
    pub(crate) fixed: AtomicBool,
    /// Whether the handler gets control information, or is about to.
    pub(crate) indicates_control: AtomicBool,
    /// Flags that go with every send.
    pub(crate) send_flags: AtomicU32,
    handles: AtomicUsize,
    parts: Parts<C>,
    /// The stream socket that this socket was before. It keeps the functions that this one uses.
    #[expect(dead_code, reason = "it is kept, as the dispatch table is part of it")]
    before: Rare<Shared<Socket<StreamCategory>>>,
}

// SAFETY: dropping the other fields does not use the capture.
unsafe impl<C: Category> Counted for Socket<C> {
    type Last = Shared<Capture>;

    fn last(&mut self) -> Option<&mut ManuallyDrop<Shared<Capture>>> {
        Some(&mut self.capture)
    }
}

impl<C: Category> Socket<C> {
    /// The `WSK_SOCKET`.
    #[inline]
    pub(crate) const fn as_ptr(&self) -> NonNull<WSK_SOCKET> {
        self.open.socket
    }

    /// The provider's functions for the socket.
    #[inline]
    pub(crate) const fn dispatch(&self) -> C::Dispatch {
        self.open.dispatch
    }

    /// The functions that are called for each datagram.
    #[inline]
    pub(crate) const fn entries(&self) -> &C::Entries {
        &self.open.entries
    }

    /// The family that the socket was opened for.
    #[inline]
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    /// The capture that the socket was opened through.
    #[inline]
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }

    /// Whether the socket was opened with a handler for events.
    pub(crate) const fn has_events(&self) -> bool {
        self.parts.events.is_some()
    }

    /// The handler for events; `None` if it is of another type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        self.parts.events.as_ref()?.handler()
    }

    /// The handler's events, if there are any.
    pub(crate) const fn events(&self) -> Option<&Events<C::Callbacks>> {
        self.parts.events.as_ref()
    }

    /// The bit of the family, or 0 if the socket is not bound.
    #[inline]
    pub(crate) fn ready(&self) -> u8 {
        self.ready.load(Ordering::Acquire)
    }

    /// Notes that the socket is bound.
    pub(crate) fn set_bound(&self) {
        if self.open.entries.missing().is_none() {
            self.ready.store(self.family.bit(), Ordering::Release);
        }
    }

    #[inline]
    pub(crate) fn require_bound(&self) -> Result<(), Error> {
        if self.ready() == 0 {
            Err(self.why_not_ready())
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn why_not_ready(&self) -> Error {
        match self.open.entries.missing() {
            Some(entry) => Error::NoEntry { entry },
            None => Error::NotBound,
        }
    }

    /// The operations for requests that wait in the call.
    #[inline]
    pub(crate) const fn spares(&self) -> &Spares<2> {
        &self.parts.operations.waiting
    }
}

/// A handle of an open socket. The socket closes when its last handle is dropped.
///
/// # Invariants
///
/// It accounts for one of the socket's `handles`.
pub struct Handle<C: Category> {
    shared: Shared<Socket<C>>,
}

impl<C: Category> Handle<C> {
    /// The first handle of a socket. The socket is bound if it is `ready` with the bit of its family.
    pub(crate) fn first(
        reserved: Reserved<Socket<C>>,
        open: OpenSocket<C>,
        parts: Parts<C>,
        capture: Shared<Capture>,
        (family, ready): (Family, u8),
        before: Rare<Shared<Socket<StreamCategory>>>,
    ) -> Self {
        let shared = reserved.fill(Socket {
            open,
            capture: ManuallyDrop::new(capture),
            family,
            ready: AtomicU8::new(ready),
            fixed: AtomicBool::new(false),
            indicates_control: AtomicBool::new(false),
            send_flags: AtomicU32::new(0),
            handles: AtomicUsize::new(1),
            parts,
            before,
        });
        if C::COMMITTED
            && let Some(events) = &shared.parts.events
        {
            let this = Shared::as_raw(&shared).as_ptr();
            // SAFETY: the events are new, with their context. The socket owns them, is of the category that they are for, and its memory stays
            // until its close has completed.
            unsafe { events.socket().as_ref() }.store(this, Ordering::Release);
        }
        // INVARIANT: the socket was made with one handle counted.
        Self { shared }
    }
}

impl<C: Committed> Handle<C> {
    /// Another handle of a socket; `None` if the socket has no handle any more.
    pub(crate) fn from_open(socket: &Shared<Socket<C>>) -> Option<Self> {
        // INVARIANT: the handle was counted.
        Some(Self {
            shared: socket.counted(1)?,
        })
    }
}

impl<C: Category> Shared<Socket<C>> {
    /// A reference for another handle, which counts as `handle`; `None` if the client has no handle any more, or there are too many calls.
    fn counted(&self, handle: usize) -> Option<Self> {
        // The reference comes first. A handle that is dropped while this one is being counted is not the last, and gives up its reference.
        let shared = self.clone();
        let more = |handles: usize| handles.checked_add(handle).filter(|_| clients(handles) > 0);
        shared
            .handles
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(shared)
    }

    /// Counts off a handle, which counts as `handle`. The last one closes the socket without waiting.
    fn count_off(&self, handle: usize) {
        if self.handles.fetch_sub(handle, Ordering::Release) == handle {
            fence(Ordering::Acquire);
            if let Ok(closing) = Closing::of(self.clone()) {
                closing.detach();
            }
        }
    }
}

/// What the handle of a call that goes on counts. Handles of the client count as 1: to get to this many one by one takes years. That leaves
/// room for a thousand calls at a time.
const CALL: usize = 1 << (usize::BITS - 10);

/// How many handles the client has.
const fn clients(handles: usize) -> usize {
    handles % CALL
}

/// The handle of a call that goes on, which keeps the socket open for the call. It is none of the client's: who closes the socket waits for
/// the call.
///
/// # Invariants
///
/// The handle is counted as [`CALL`].
pub(crate) struct CallHandle<C: Category> {
    shared: Shared<Socket<C>>,
}

impl<C: Category> CallHandle<C> {
    /// The handle of a call; `None` if the client has no handle any more, or there are too many calls.
    pub(crate) fn from_open(socket: &Shared<Socket<C>>) -> Option<Self> {
        // INVARIANT: it is counted so.
        Some(Self {
            shared: socket.counted(CALL)?,
        })
    }
}

impl<C: Category> Deref for CallHandle<C> {
    type Target = Socket<C>;

    fn deref(&self) -> &Socket<C> {
        &self.shared
    }
}

impl<C: Category> Drop for CallHandle<C> {
    fn drop(&mut self) {
        self.shared.count_off(CALL);
    }
}

impl<C: Category> Handle<C> {
    /// A reference to the state that the handles share. It does not keep the socket open.
    pub(crate) fn share(&self) -> Shared<Socket<C>> {
        Shared::clone(&self.shared)
    }

    /// Gives up this handle. The close of the socket, if the handle was the client's last, once calls that go on have returned.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if there are other handles, or a call does not return; this one is gone all the same.
    pub(crate) fn into_closing(self, may_wait: MayWait) -> Result<Closing<C>, Error> {
        let socket = self.into_shared();
        // Counts this handle off in one step: if several handles are closed at the same time, one of them is the last. The last one counts
        // as one of calls, so that no call that returns meanwhile closes the socket, and none begins.
        let fewer = |handles: usize| {
            let last = if clients(handles) == 1 { CALL } else { 0 };
            Some(handles - 1 + last)
        };
        let (Ok(before) | Err(before)) =
            socket
                .handles
                .fetch_update(Ordering::Release, Ordering::Relaxed, fewer);
        if clients(before) != 1 {
            return Err(Error::InUse);
        }
        let deadline = Deadline::after(GRACE, true);
        while socket.handles.load(Ordering::Acquire) != CALL {
            // The call may be this thread's own, made by what a provider calls inside of it.
            if deadline.left().is_zero() {
                socket.count_off(CALL);
                return Err(Error::InUse);
            }
            pause(may_wait, Duration::from_micros(50));
        }
        Closing::of(socket)
    }

    /// The state that the handles share. This handle stays counted.
    fn into_shared(self) -> Shared<Socket<C>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the reference is moved out of a value that is neither used again nor dropped.
        unsafe { core::ptr::read(&raw const this.shared) }
    }
}

/// A copy of a borrowed handle, on the stack of its user. So the compiler need not read the handle again after each call of the kernel.
///
/// # Invariants
///
/// The handle is borrowed for `'s`. The copy does not count.
pub struct NearHandle<'s, C: Category> {
    handle: ManuallyDrop<Handle<C>>,
    borrowed: PhantomData<&'s Handle<C>>,
}

impl<'s, C: Category> NearHandle<'s, C> {
    #[inline]
    pub(crate) const fn of(handle: &'s Handle<C>) -> Self {
        // INVARIANT: by the lifetime `'s`.
        Self {
            handle: copied(handle),
            borrowed: PhantomData,
        }
    }
}

/// A copy of a handle that does not count. It may be used as long as the handle is borrowed.
#[inline]
const fn copied<C: Category>(handle: &Handle<C>) -> ManuallyDrop<Handle<C>> {
    // SAFETY: the copy is not dropped, and callers use it no longer than the handle is borrowed.
    unsafe {
        core::ptr::from_ref(handle)
            .cast::<ManuallyDrop<Handle<C>>>()
            .read()
    }
}

impl<C: Category> Clone for NearHandle<'_, C> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: the handle is borrowed for the same lifetime.
        Self {
            handle: copied(&self.handle),
            borrowed: PhantomData,
        }
    }
}

impl<C: Category> Deref for NearHandle<'_, C> {
    type Target = Handle<C>;

    #[inline]
    fn deref(&self) -> &Handle<C> {
        &self.handle
    }
}

/// A socket that has lost its last handle, and the operation to close it with.
///
/// # Invariants
///
/// Nothing calls the socket's functions now or later. Only this closes it.
pub(crate) struct Closing<C: Category> {
    /// Stays for ever if the socket is not closed: WSK may use its memory, for events.
    socket: ManuallyDrop<Shared<Socket<C>>>,
    operation: Idle<()>,
}

/// A socket that WSK was asked to close.
///
/// # Invariants
///
/// The flight is that of the socket's close.
struct Closed<C: Category> {
    socket: Shared<Socket<C>>,
    flight: Flight<()>,
}

impl<C: Category> Closing<C> {
    /// The close of a socket that has just lost its last handle.
    fn of(socket: Shared<Socket<C>>) -> Result<Self, Error> {
        // First: the socket is open, whatever happens here.
        let socket = ManuallyDrop::new(socket);
        let operation = socket.parts.operations.closing.take().ok_or(Error::Taken)?;
        // INVARIANT: the callers have counted off the last handle.
        Ok(Self { socket, operation })
    }

    fn begin(self) -> Result<Closed<C>, Error> {
        let Self { socket, operation } = self;
        let (place, close) = (socket.as_ptr(), socket.open.close);
        // SAFETY: by the invariant nothing calls the socket now or later, and it is closed once, by its function. The call has no parameters
        // that point at anything.
        match unsafe { operation.launch(None, |irp| Ok(close(place.as_ptr(), irp.as_ptr()))) } {
            Ok(flight) => Ok(Closed {
                socket: ManuallyDrop::into_inner(socket),
                flight,
            }),
            // Not reached, as the call is always made.
            Err(refused) => Err(refused.error),
        }
    }

    /// Closes the socket and waits until WSK is done with it.
    pub(crate) fn wait(self, may_wait: MayWait) -> Result<(), Error> {
        let Closed { socket, flight } = self.begin()?;
        let call = Call::WskCloseSocket;
        flight.wait_or_give_up(may_wait);
        match flight.end() {
            Ok(operation) => {
                let status = operation.outcome().status;
                drop(operation);
                // INVARIANT: the completed operation was the close.
                ClosedSocket { socket, status }.end();
                call.succeeded(status)
            }
            Err(flight) => {
                let status = flight.returned();
                flight.detach_observed(hold(socket.capture()));
                // WSK may still use the socket's memory for events, so it stays for ever.
                core::mem::forget(socket);
                Err(Error::Abandoned { call, status })
            }
        }
    }

    /// Closes the socket without waiting. Its memory and its capture go when WSK has closed it. IRQL: `<= DISPATCH_LEVEL`.
    fn detach(self) {
        /// Ends a close that nobody waits for. A socket's memory may be freed at any IRQL up to `DISPATCH_LEVEL`, on any thread.
        struct Left;

        impl<C: Category> Notified<Socket<C>> for Left {
            unsafe fn notified(socket: Shared<Socket<C>>, status: NTSTATUS) {
                // INVARIANT: the caller notifies of the request that this observes, which is the close below.
                ClosedSocket { socket, status }.end();
            }
        }

        let Ok(Closed { socket, flight }) = self.begin() else {
            return;
        };
        flight.detach_observed(Observer::of::<Left, Socket<C>>(socket));
    }
}

/// A socket whose close has completed.
///
/// # Invariants
///
/// `status` is the status of the close.
struct ClosedSocket<C: Category> {
    socket: Shared<Socket<C>>,
    status: NTSTATUS,
}

impl<C: Category> ClosedSocket<C> {
    /// Drops the handler for events and the reference to the socket. If the close has failed, WSK may still use the socket, and the
    /// reference stays for ever.
    fn end(self) {
        if !self.status.is_success() {
            core::mem::forget(self.socket);
        } else if let Some(events) = self.socket.events() {
            // SAFETY: by the invariant the close has completed, after which WSK calls no event. Code that asks for the handler has a handle
            // of the socket, and there will be no handle any more.
            drop(unsafe { events.context.take() });
        }
    }
}

impl<C: Category> Deref for Handle<C> {
    type Target = Socket<C>;

    #[inline]
    fn deref(&self) -> &Socket<C> {
        &self.shared
    }
}

impl<C: Committed> Clone for Handle<C> {
    fn clone(&self) -> Self {
        self.handles.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: the handle was counted.
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C: Category> Drop for Handle<C> {
    fn drop(&mut self) {
        self.shared.count_off(1);
    }
}

impl Handle<StreamCategory> {
    /// Turns the stream socket into one of this category, with the functions of its table.
    pub(super) fn become_of<C: OfStream>(self, reserved: Reserved<Socket<C>>) -> Handle<C> {
        // This was the only handle: a socket of a category that is not committed has no others. From here on the socket that is made below
        // is the open one.
        let before = self.into_shared();
        before.handles.store(0, Ordering::Relaxed);
        let table = NonNull::from(C::table(before.entries()));
        // SAFETY: the table has functions of the socket's own, is as long as any, and stays as long as `before`, to which the new socket
        // keeps a reference.
        let dispatch = unsafe { (C::TYPED)(table, before.capture.ntddi()) };
        // SAFETY: code that has the handler has a handle of the socket, of which there is none, or is a callback: no event has been
        // enabled.
        let context = |events: &Events<_>| unsafe { events.context.take() };
        // INVARIANT: the socket is open, and of this category, whose functions it has.
        let open = OpenSocket {
            socket: before.as_ptr(),
            dispatch,
            entries: (),
            close: before.open.close,
        };
        let events = before.parts.events.as_ref();
        let events = events.map(|events| events.become_of(context(events)));
        Handle::first(
            reserved,
            open,
            Parts {
                operations: before.parts.operations.take(),
                events,
            },
            before.capture().clone(),
            (before.family, before.ready()),
            Rare::some(before),
        )
    }
}

/// A category of sockets whose events have indications.
pub(crate) trait Arrives: Committed {
    /// WSK's structure.
    type Indication: Linked;

    /// `WskRelease`.
    const RELEASE: ReleaseList<Self::Dispatch, Self::Indication>;
}

/// A function of a table that releases a list of indications.
type ReleaseList<D, I> =
    unsafe fn(D, NonNull<WSK_SOCKET>, NonNull<I>) -> Result<NTSTATUS, DispatchError>;

macro_rules! arrives {
    ($Category:ident: $Indication:ident, $Dispatch:ident) => {
        impl Arrives for $Category {
            type Indication = $Indication;

            const RELEASE: ReleaseList<$Dispatch, $Indication> = $Dispatch::wsk_release;
        }
    };
}

arrives!(DatagramCategory: WSK_DATAGRAM_INDICATION, WskProviderDatagramDispatch);
arrives!(ConnectionCategory: WSK_DATA_INDICATION, WskProviderConnectionDispatch);

/// An indicated datagram.
#[derive(Clone, Copy)]
pub(crate) struct Indicated<'i> {
    pub(crate) payload: Payload<'i>,
    pub(crate) control: &'i [u8],
    /// The address of the sender.
    pub(crate) remote: Brought<'i>,
}

/// A structure of a singly linked list in C.
///
/// # Safety
///
/// `next` and `cut` use the same member. Any thread may have the structure and the memory that it points to.
pub(crate) unsafe trait Linked: Sized + 'static {
    /// A view of the structure and the memory that it points to.
    type Seen<'s>;

    /// The next structure, or null.
    fn next(&self) -> *mut Self;

    /// Ends the list with this structure. Returns the next one, or null.
    fn cut(&mut self) -> *mut Self;

    /// The view.
    ///
    /// # Safety
    ///
    /// The memory that the structure points to is valid, and only read, as long as this is borrowed.
    unsafe fn seen(&self) -> Self::Seen<'_>;
}

/// A list in memory of somebody else, such as WSK.
///
/// # Invariants
///
/// `first` heads a list of valid structures. The memory that they point to is valid too. Nobody else uses either as long as this is
/// borrowed.
pub(crate) struct Chain<N: Linked> {
    first: NonNull<N>,
}

// SAFETY: any thread may have the structures.
unsafe impl<N: Linked> Send for Chain<N> {}

impl<N: Linked> Chain<N> {
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn new(first: NonNull<N>) -> Self {
        // INVARIANT: the caller says so.
        Self { first }
    }

    /// The address of the first structure.
    #[inline]
    pub(crate) const fn place(&self) -> NonNull<N> {
        self.first
    }

    /// The view of the first structure.
    pub(crate) fn first(&self) -> N::Seen<'_> {
        // SAFETY: by the invariant the first is valid with all that it leads to, as long as this is borrowed.
        unsafe { self.first.as_ref().seen() }
    }

    /// The views of all structures.
    #[inline]
    pub(crate) const fn iter(&self) -> Chained<'_, N> {
        // INVARIANT: the list is valid as long as this is borrowed.
        Chained {
            next: self.first.as_ptr(),
            chain: PhantomData,
        }
    }

    /// Takes out all structures but the first; `None` if there is only one.
    pub(crate) fn split(&mut self) -> Option<Self> {
        // SAFETY: by the invariant the first is valid, and nobody else uses it.
        let next = unsafe { self.first.as_mut() }.cut();
        // INVARIANT: what comes next is a list, to which nothing leads from here any more.
        Some(Self {
            first: NonNull::new(next)?,
        })
    }
}

/// Iterates over views of a list's structures.
///
/// # Invariants
///
/// `next` is null, or heads a list that is valid for `'s`, with the memory that it points to. Nobody writes to it for `'s`.
pub(crate) struct Chained<'s, N: Linked> {
    next: *mut N,
    chain: PhantomData<&'s Chain<N>>,
}

impl<N: Linked> Chained<'_, N> {
    /// An iterator over nothing.
    pub(crate) const fn none() -> Self {
        // INVARIANT: null.
        Self {
            next: core::ptr::null_mut(),
            chain: PhantomData,
        }
    }
}

impl<N: Linked> Clone for Chained<'_, N> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: the same.
        Self {
            next: self.next,
            chain: PhantomData,
        }
    }
}

impl<'s, N: Linked> Iterator for Chained<'s, N> {
    type Item = N::Seen<'s>;

    #[inline]
    fn next(&mut self) -> Option<N::Seen<'s>> {
        // SAFETY: by the invariant it is null, or valid for `'s` with all that it leads to.
        let (seen, next) = unsafe {
            let this = self.next.cast_const().as_ref()?;
            (this.seen(), this.next())
        };
        self.next = next;
        Some(seen)
    }
}

/// The indications of an event, until they are kept.
///
/// # Invariants
///
/// `list` has arrived at `socket`, and belongs to the callback until that returns. The callback tells WSK that the list was retained
/// exactly if it was kept.
pub(crate) struct Arrived<C: Arrives> {
    list: Option<Chain<C::Indication>>,
    socket: NonNull<WSK_SOCKET>,
}

impl<C: Arrives> Arrived<C> {
    /// # Safety
    ///
    /// The list and the socket are as the invariant says.
    pub(crate) unsafe fn new(list: Chain<C::Indication>, socket: &Socket<C>) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            list: Some(list),
            socket: socket.as_ptr(),
        }
    }

    /// Whether the indications were kept.
    pub(crate) const fn is_kept(&self) -> bool {
        self.list.is_none()
    }

    /// The indications in the order in which they arrived. None once they were kept, because they may be released at any moment.
    pub(crate) fn iter(&self) -> Chained<'_, C::Indication> {
        self.list.as_ref().map_or(Chained::none(), Chain::iter)
    }

    /// Keeps the indications after the event; `None` if they were kept already, or the socket is being closed.
    pub(crate) fn keep(&mut self, socket: &Shared<Socket<C>>) -> Option<KeptIndications<C>> {
        if self.is_kept() || self.socket != socket.as_ptr() {
            return None;
        }
        let socket = Handle::from_open(socket)?;
        // INVARIANT: the indications have arrived at this socket, and the callback tells WSK that they were retained.
        let list = self.list.take()?;
        Some(KeptIndications { list, socket })
    }
}

/// Indications that were kept after their event. Dropping this releases them, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// The indications in the list were retained from the socket, and not released. Each has MDLs of its own. This is not `Sync`: reading the
/// bytes may map the MDLs, which writes to them.
pub(crate) struct KeptIndications<C: Arrives> {
    list: Chain<C::Indication>,
    socket: Handle<C>,
}

impl<C: Arrives> KeptIndications<C> {
    /// The indications.
    pub(crate) const fn list(&self) -> &Chain<C::Indication> {
        &self.list
    }

    /// The socket at which the indications arrived.
    pub(crate) const fn socket(&self) -> &Handle<C> {
        &self.socket
    }

    /// Takes all indications but the first out, if there are others.
    pub(crate) fn split(&mut self) -> Option<Self> {
        // INVARIANT: they were retained from this socket, and each is in one list.
        Some(Self {
            list: self.list.split()?,
            socket: self.socket.clone(),
        })
    }
}

impl<C: Arrives> Drop for KeptIndications<C> {
    fn drop(&mut self) {
        let socket = &self.socket;
        // SAFETY: by the invariant the indications in the list were retained from this socket, which is open while there is a handle, and
        // are released this once. A provider without the entry gave no indications.
        let _ = unsafe { (C::RELEASE)(socket.dispatch(), socket.as_ptr(), self.list.place()) };
    }
}

/// The owner of an indication that is kept.
///
/// # Safety
///
/// The result is the same as long as the owner exists, and nothing else uses its MDLs.
pub(crate) unsafe trait Owns: Send + 'static {
    /// The indication.
    fn kept(&self) -> &KeptIndications<DatagramCategory>;
}

/// The payload from byte `from` on, with its owner, for a send.
///
/// # Errors
///
/// [`Error::OutOfBounds`] when there are not that many bytes, with the owner.
pub(crate) fn into_mdl<O: Owns>(owner: O, from: usize) -> Result<DriverMdl<O>, (Error, O)> {
    let payload = owner.kept().list.first().payload;
    let length = payload.len();
    if from > length {
        return Err((Error::OutOfBounds { end: from, length }, owner));
    }
    // SAFETY: by the invariant of `KeptIndications` the indication's chain is valid, locked or nonpaged. Nothing else uses it until the
    // indication is released. As the owner it is released last, and it may be released on any thread.
    Ok(unsafe { DriverMdl::with_owner(payload.rest(from), owner) })
}
