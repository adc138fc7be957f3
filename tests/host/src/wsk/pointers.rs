//! The driver's pointers for the event callbacks of a socket, which WSK keeps while the socket is open.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use wsk_sys::{
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH,
    WSK_CLIENT_STREAM_DISPATCH, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET,
    WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
};

use super::socket::Socket;
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::pool;

/// The driver's pointers for the callbacks of a socket: a context, and the dispatch table for the socket's category.
#[derive(Clone, Copy)]
pub(crate) struct Pointers {
    pub(crate) context: *mut c_void,
    dispatch: *const c_void,
    /// The entries of the table at the time that the driver gave it. The table must not change while the socket is open.
    entries: [usize; Self::ENTRIES],
    /// The number of entries.
    length: usize,
}

// SAFETY: the pointers are only handed back to the driver, which has to expect that on any thread.
unsafe impl Send for Pointers {}

impl Pointers {
    /// The most entries that any table has.
    const ENTRIES: usize = 3;

    /// Neither context nor table.
    pub(crate) const fn none() -> Self {
        Self {
            context: ptr::null_mut(),
            dispatch: ptr::null(),
            entries: [0; Self::ENTRIES],
            length: 0,
        }
    }

    /// The pointers that the driver gave to `function`. WSK uses both at `DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The table is a `T`, if it isn't null, which is nothing but pointers.
    pub(crate) unsafe fn given<T>(
        function: &'static str,
        context: *mut c_void,
        dispatch: *const T,
    ) -> Self {
        const {
            assert!(
                size_of::<T>() <= Self::ENTRIES * size_of::<usize>()
                    && size_of::<T>().is_multiple_of(size_of::<usize>())
            );
        }
        if dispatch.is_null() {
            return Self {
                context,
                ..Self::none()
            };
        }
        require_nonpaged(function, dispatch, "a table of event callbacks");
        require_nonpaged(function, context, "a socket context");
        let mut pointers = Self {
            context,
            dispatch: dispatch.cast(),
            entries: [0; Self::ENTRIES],
            length: size_of::<T>() / size_of::<usize>(),
        };
        // SAFETY: the caller says so.
        pointers.entries = unsafe { pointers.entries_now() };
        pointers
    }

    /// As [`given`](Self::given), with the table of the category that `flags` choose.
    ///
    /// # Safety
    ///
    /// The table is of that category, if it isn't null.
    pub(crate) unsafe fn of_category(
        function: &'static str,
        flags: u32,
        context: *mut c_void,
        dispatch: *const c_void,
    ) -> Self {
        // SAFETY: the caller says so.
        unsafe {
            match flags {
                WSK_FLAG_DATAGRAM_SOCKET => Self::given(
                    function,
                    context,
                    dispatch.cast::<WSK_CLIENT_DATAGRAM_DISPATCH>(),
                ),
                WSK_FLAG_LISTEN_SOCKET => Self::given(
                    function,
                    context,
                    dispatch.cast::<WSK_CLIENT_LISTEN_DISPATCH>(),
                ),
                WSK_FLAG_CONNECTION_SOCKET => Self::given(
                    function,
                    context,
                    dispatch.cast::<WSK_CLIENT_CONNECTION_DISPATCH>(),
                ),
                WSK_FLAG_STREAM_SOCKET => Self::given(
                    function,
                    context,
                    dispatch.cast::<WSK_CLIENT_STREAM_DISPATCH>(),
                ),
                // Basic sockets have no callbacks.
                _ => Self::none(),
            }
        }
    }

    /// # Safety
    ///
    /// The table has as many entries.
    unsafe fn entries_now(&self) -> [usize; Self::ENTRIES] {
        let mut entries = [0; Self::ENTRIES];
        for (index, entry) in entries[..self.length].iter_mut().enumerate() {
            // SAFETY: the caller says so. A driver that changes an entry meanwhile is what is looked for.
            *entry = unsafe { self.dispatch.cast::<usize>().add(index).read_volatile() };
        }
        entries
    }

    /// Stops the system when the driver has changed the table.
    ///
    /// # Safety
    ///
    /// The socket is open: that long the driver keeps the table.
    pub(crate) unsafe fn require_unchanged(&self, socket: &Socket) {
        // SAFETY: the caller says so.
        let now = unsafe { self.entries_now() };
        if now != self.entries {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::WSK_CONTRACT,
                    socket.address(),
                    self.dispatch as usize,
                    0
                ),
                [socket.story(), pool::story(self.dispatch as usize)],
                "the table of event callbacks at {:p} was changed while the socket is open: entries {now:x?} instead of {:x?}",
                self.dispatch,
                self.entries
            )
        }
    }

    /// The driver's table as the driver gave it, if there is one.
    ///
    /// # Safety
    ///
    /// The table is a `T`.
    pub(crate) unsafe fn table<T: Copy>(self) -> Option<T> {
        if self.dispatch.is_null() {
            return None;
        }
        // SAFETY: the caller says so, and as many entries were copied as the table has.
        Some(unsafe { self.entries.as_ptr().cast::<T>().read() })
    }

    /// Whether the table lies in a range, and whether the context does that belongs to a table.
    pub(crate) fn lie_in(&self, range: &Range<usize>) -> [bool; 2] {
        let mut kept = [false; 2];
        for (kept, address) in kept.iter_mut().zip(self.kept()) {
            *kept = range.contains(&address);
        }
        kept
    }

    /// The addresses that WSK keeps: those of the table and the context.
    fn kept(&self) -> impl Iterator<Item = usize> + use<> {
        let both = [self.dispatch as usize, self.context as usize];
        let count = if self.dispatch.is_null() { 0 } else { 2 };
        both.into_iter().take(count)
    }
}

/// For each address of a table or context: the number of sockets that keep it.
static KEPT: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// Records that a socket keeps pointers.
pub(crate) fn keep(pointers: &Pointers) {
    let mut kept = KEPT.lock();
    for address in pointers.kept() {
        *kept.entry(address).or_default() += 1;
    }
}

/// Records that a socket no longer keeps pointers.
pub(crate) fn forget(pointers: &Pointers) {
    let mut kept = KEPT.lock();
    for address in pointers.kept() {
        if let Some(count) = kept.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                kept.remove(&address);
            }
        }
    }
}

/// Whether a table or context lies in a range.
pub(crate) fn are_kept_in(range: &Range<usize>) -> bool {
    KEPT.lock().range(range.clone()).next().is_some()
}

/// Forgets all pointers.
pub(crate) fn reset() {
    KEPT.lock().clear();
}
