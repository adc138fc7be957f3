//! [`Cancel`]: lets another thread end a wait.

#![forbid(unsafe_code)]

use core::fmt;

use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::memory::{Shared, Signalled};
use crate::system::Event;

/// Lets another thread end a wait, such as [`wait_until`](crate::operation::Request::wait_until).
///
/// This is a handle: clones refer to the same event. A driver makes it when it is loaded, uses it in the waits of its threads, and cancels it
/// when it is unloaded. It may be dropped at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::{Cancel, Error};
///
/// let unloading = Cancel::new()?;
/// # let thread = std::thread::spawn({ let unloading = unloading.clone(); move || unloading.cancel() });
/// // In a thread of the driver's, while another one calls `unloading.cancel()`:
/// let mut room = [0; 1500];
/// let received = socket.receive_from(&mut room).wait_until(&unloading);
/// assert!(matches!(received, Err(Error::Cancelled { .. })));
/// # thread.join().unwrap();
/// # drop((socket, unloading, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// A wait calls
/// [`KeWaitForMultipleObjects`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitformultipleobjects), for the request
/// and for this.
#[doc(alias("KEVENT", "KeSetEvent", "KeWaitForMultipleObjects", "IoCancelIrp"))]
#[derive(Clone)]
pub struct Cancel {
    /// Whether waits are cancelled, and the event that ends them.
    state: Shared<Signalled<AtomicBool>>,
}

impl Cancel {
    /// Makes one that is not cancelled yet. IRQL: `<= DISPATCH_LEVEL`. Allocates; waiting with it does not.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new() -> Result<Self, Error> {
        let state = Shared::signalled(AtomicBool::new(false));
        let state = state.map_err(|_| Error::NoMemory(Memory::Event))?;
        Ok(Self { state })
    }

    /// Ends all waits that use this value, and all that begin before it is [reset](Self::reset). IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// This call does not wait until they have ended.
    pub fn cancel(&self) {
        self.state.store(true, Ordering::Release);
        self.state.event().set();
    }

    /// Whether it is cancelled. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::Acquire)
    }

    /// Undoes [`cancel`](Self::cancel) for waits that begin from now on. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// A wait that has not noticed the cancelling yet may miss it, so reset only after the cancelled waits have ended. Do not call `cancel`
    /// at the same time: waits might see the one call, and [`is_cancelled`](Self::is_cancelled) the other.
    pub fn reset(&self) {
        self.state.event().clear();
        self.state.store(false, Ordering::Release);
    }

    /// The event that cancelling sets.
    pub(crate) fn event(&self) -> &Event {
        self.state.event()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}
