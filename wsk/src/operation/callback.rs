//! Operations that call a completion: [`start_with`](Request::start_with). Nobody holds them: they belong to their completion routine from
//! the start.

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::operation::carried::{
    ByItself, Completion, End, Home, Inside, Loaded, Over, Unladen, WayOf, refuse_large,
    refuse_large_completion,
};
use crate::operation::in_flight::{FinishedOf, NotStartedOf};
use crate::registration::hold;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::Asked as _;

impl<F: Function<B>, B> Request<'_, F, B> {
    /// Starts the request, and calls `completion` with the result and the buffer when it has completed. IRQL: as for
    /// [`start`](Self::start).
    ///
    /// `completion` is called at up to `DISPATCH_LEVEL`, on any thread, perhaps before this returns. It must not wait. It may capture at
    /// most four words, such as a reference or a reference-counted pointer. There is no handle: only closing the socket cancels the
    /// operation. Allocates the operation; with [`from`](Self::from) it comes from a pool.
    ///
    /// A panic in `completion` aborts. In a driver, which is built with `panic = "abort"`, its panic handler decides what follows, which should
    /// be a bug check. On a host, where a panic can unwind, the process ends.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let to = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// use core::sync::atomic::{AtomicUsize, Ordering};
    /// use wsk::NonPagedBuffer;
    ///
    /// static SENT: AtomicUsize = AtomicUsize::new(0);
    ///
    /// let packet = NonPagedBuffer::copy_of(b"told")?;
    /// socket.send_to(packet, to).start_with(|finished| {
    ///     if let Ok(sent) = finished.result {
    ///         SENT.fetch_add(sent, Ordering::Relaxed);
    ///     }
    /// })?;
    /// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 4);
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), with the buffer. Then `completion` is not called.
    #[inline]
    pub fn start_with<C>(self, completion: C) -> Result<(), NotStartedOf<F, B>>
    where
        B: Send + 'static,
        C: FnOnce(FinishedOf<F::Operation, B>) + Send + 'static,
    {
        const {
            refuse_large::<B>();
            refuse_large_completion::<C>();
        }
        let begun = match Unladen::new() {
            Ok(operation) => self.call_back_with::<_, ByItself>(operation, completion),
            Err(error) => Err((error, self.carried)),
        };
        begun.map_err(|(error, carried)| WayOf::<F::Operation, B>::not_started(error, carried))
    }
}

impl<F: Function<B>, B: Send + 'static> Request<'_, F, B> {
    /// Makes the request with an operation.
    #[inline]
    pub(super) fn call_back_with<C, H: Home<B>>(
        self,
        operation: Unladen<B, Completion, H>,
        completion: C,
    ) -> Result<(), (Error, B)>
    where
        C: FnOnce(FinishedOf<F::Operation, B>) + Send + 'static,
    {
        let loaded = Loaded::of::<_, (Error, B)>(operation, self)?;
        let observer = H::HOLDS.then(|| hold(loaded.capture()));
        let _during_call = <F::Operation as Operation<B>>::Asked::during_call(loaded.carried());
        let launched = loaded.launch_unheld(observer, Callback(completion));
        // If the request was not made, the completion is dropped last: it is foreign code, which may unwind where that is possible.
        launched.map_err(|(error, carried, _completion)| (error, carried))
    }
}

/// A completion, which is called when the operation is over.
struct Callback<C>(C);

impl<O: Operation<B>, B, C, H: Home<B>> End<O, B, H> for Callback<C>
where
    C: FnOnce(FinishedOf<O, B>),
{
    const GOES_ON: bool = true;

    #[inline]
    fn end(self, over: Over<O, B, Inside<Completion, H>>) {
        let Self(completion) = self;
        let (result, carried, operation) = over.unload();
        completion(O::Way::finished(result, Some(carried)));
        // The operation goes back last.
        H::give_back(operation);
    }
}
