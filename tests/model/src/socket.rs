//! The handles of a socket, by the rules of `wsk/src/datagram.rs`: the last one closes it, which completes what is in flight.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::kernel::{Memory, Status};
use crate::operation::{Block, Flight, Payload};
use crate::rules::Rules;

/// What the handles of a socket share.
#[derive(Debug)]
struct Shared<R: Rules> {
    /// That of the provider's `WSK_SOCKET`, until it is closed.
    open: Memory,
    handles: AtomicUsize,
    in_flight: Mutex<Vec<Arc<Block<R>>>>,
}

/// A handle of a socket.
#[derive(Debug)]
pub struct Socket<R: Rules> {
    shared: Arc<Shared<R>>,
}

impl<R: Rules> Socket<R> {
    /// Opens a socket.
    #[must_use]
    pub fn open() -> Self {
        Self {
            shared: Arc::new(Shared {
                open: Memory::default(),
                handles: AtomicUsize::new(1),
                in_flight: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Whether the socket is closed, when nothing runs any more.
    pub fn observer(&self) -> impl Fn() -> bool + use<R> {
        let shared = self.shared.clone();
        move || shared.open.is_freed()
    }

    /// What a callback of the socket has.
    #[must_use]
    pub fn callback(&self) -> Callback<R> {
        Callback {
            shared: self.shared.clone(),
        }
    }

    /// Starts a receive that only closing completes.
    ///
    /// # Panics
    ///
    /// When the socket is closed.
    pub fn start(&self, payload: Payload<R>) -> Flight<R> {
        let block = Block::new(true);
        let flight = block.start(payload, None);
        self.shared.open.touch();
        self.shared.in_flight.lock().unwrap().push(block);
        flight
    }
}

/// The socket as an event callback knows it: it may have no handle any more.
#[derive(Debug)]
pub struct Callback<R: Rules> {
    shared: Arc<Shared<R>>,
}

impl<R: Rules> Callback<R> {
    /// Another handle, as long as there is one.
    #[must_use]
    pub fn handle(&self) -> Option<Socket<R>> {
        let more = |handles: usize| (handles > 0).then(|| handles + 1);
        let handles = &self.shared.handles;
        handles
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Socket {
            shared: self.shared.clone(),
        })
    }
}

impl<R: Rules> Clone for Socket<R> {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<R: Rules> Drop for Socket<R> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // `WskCloseSocket`.
        self.shared.open.free();
        let in_flight = core::mem::take(&mut *self.shared.in_flight.lock().unwrap());
        for block in in_flight {
            block.complete(Status::Cancelled);
        }
    }
}
