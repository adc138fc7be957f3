//! How a stream socket becomes a connection or a listening socket: with other functions of its table, and room for another state that
//! was allocated when it was made.

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::error::{Error, Memory};
use crate::irp::Spares;
use crate::memory::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use crate::memory::shared::{Reserved, Shared};
use crate::socket::category::StreamEntries;
use crate::socket::event_context::Events;
use crate::socket::{
    Category, Committed, ConnectionCategory, Handle, ListenCategory, Socket, StreamCategory,
};

/// Room for the state of what a stream socket becomes.
pub(crate) struct Room {
    connection: Reserved<Socket<ConnectionCategory>>,
    listening: Reserved<Socket<ListenCategory>>,
}

impl Room {
    /// Allocates it. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let none = Error::NoMemory(Memory::Socket);
        Ok(Self {
            connection: Reserved::new().ok_or(none)?,
            listening: Reserved::new().ok_or(none)?,
        })
    }
}

/// A category that stream sockets become.
trait OfStream: Committed<Entries = ()> {
    /// The functions of its table.
    fn table(entries: &StreamEntries) -> NonNull<c_void>;
}

impl OfStream for ConnectionCategory {
    fn table(entries: &StreamEntries) -> NonNull<c_void> {
        entries.connection()
    }
}

impl OfStream for ListenCategory {
    fn table(entries: &StreamEntries) -> NonNull<c_void> {
        entries.listening()
    }
}

impl Handle<StreamCategory> {
    /// The socket connects, or is about to: it never listens.
    pub(crate) fn into_connection(self, room: Room) -> Handle<ConnectionCategory> {
        self.commit(room.connection)
    }

    /// The socket listens.
    pub(crate) fn into_listening(self, room: Room) -> Handle<ListenCategory> {
        self.commit(room.listening)
    }

    fn commit<C: OfStream>(self, reserved: Reserved<Socket<C>>) -> Handle<C> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the reference is taken out once. It is of the only handle, because there are no others of a
        // category that is not committed; so what is open from now on is the socket that is made here. The table has entries of the
        // socket's own, is as long as any, and stays with what has it.
        let (before, dispatch) = unsafe {
            let before: Shared<Socket<StreamCategory>> = ManuallyDrop::take(&mut this.shared);
            let table = C::table(&before.entries);
            let dispatch = C::dispatch(table, before.capture.ntddi());
            (before, dispatch)
        };
        before.handles.store(0, Ordering::Relaxed);
        let (spares, closing) = (Spares::none(), Spares::none());
        spares.put_all(&before.spares);
        closing.put_all(&before.closing);
        let events = before.events.as_ref();
        // INVARIANT: the socket is open, and this is its one handle; it has the functions and the events of this category.
        Handle::first(
            reserved,
            Socket {
                socket: before.socket,
                dispatch,
                entries: (),
                capture: ManuallyDrop::new(before.capture().clone()),
                family: before.family,
                ready: AtomicU8::new(before.ready()),
                fixed: AtomicBool::new(false),
                indicates_control: AtomicBool::new(false),
                send_flags: AtomicU32::new(0),
                handles: AtomicUsize::new(1),
                spares,
                closing,
                events: events.map(Events::become_of),
                before: Some(before),
            },
        )
    }
}

const _: () = assert!(!StreamCategory::COMMITTED);
