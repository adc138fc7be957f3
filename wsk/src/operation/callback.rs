//! Operations that are told at their completion: [`start_with`](Request::start_with). Nobody holds them: they are their completion
//! routine's from the start.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::error::Error;
use crate::irp::{Header, Idle, Unheld};
use crate::operation::carried::{
    Carried, Loaded, Over, WayOf, completion_of, refuse_large, refuse_large_completion,
};
use crate::operation::in_flight::{FinishedOf, NotStartedOf};
use crate::registration::hold;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::{Asked as _, Call as _};

impl<F: Function<B>, B> Request<'_, F, B> {
    /// Starts the request, and calls `completion` with the result and the buffer when it has completed. IRQL: as for
    /// [`start`](Self::start).
    ///
    /// `completion` is called at up to `DISPATCH_LEVEL`, on any thread, perhaps before this returns. It must not wait. It may capture at most
    /// four words, such as a reference or a counted one. There is no handle: only closing the socket cancels the operation.
    /// Allocates the operation; with [`from`](Self::from) it comes from a pool.
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
        let begun = match Idle::new() {
            Ok(operation) => self.tell_with::<_, Alone>(operation, completion),
            Err(error) => Err((error, self.carried)),
        };
        begun.map_err(|(error, carried)| WayOf::<F::Operation, B>::not_started(error, carried))
    }
}

impl<F: Function<B>, B: Send + 'static> Request<'_, F, B> {
    /// Makes the request with an operation.
    #[inline]
    pub(super) fn tell_with<C, H: Home<B>>(
        self,
        operation: Idle<Carried<B>>,
        completion: C,
    ) -> Result<(), (Error, B)>
    where
        C: FnOnce(FinishedOf<F::Operation, B>) + Send + 'static,
    {
        let mut loaded = Loaded::of(operation, self)?;
        let observer = H::HOLDS.then(|| hold(loaded.capture()));
        let _during_call = <F::Operation as Operation<B>>::Asked::during_call(loaded.carried());
        let told = completion_of(loaded.operation().payload()).cast::<C>();
        // SAFETY: there is room for the completion, as was asserted; the end, and the discard, is that of what was loaded, with the
        // completion. Where the request was not made it goes last: it is somebody else's code, which may unwind where that is possible.
        unsafe {
            told.write(completion);
            if <F::Operation as Operation<B>>::Parameters::GOES_ON {
                // For the part that is not the first.
                loaded
                    .operation()
                    .set_discard(Tell::<F::Operation, B, C, H>::end);
            }
            loaded
                .launch_unheld::<Tell<F::Operation, B, C, H>>(observer)
                .map_err(|(error, carried, _operation)| {
                    told.drop_in_place();
                    (error, carried)
                })
        }
    }
}

/// Where an operation that carries `B` goes when it is over.
pub(super) trait Home<B> {
    /// Whether the operation holds the capture by itself, rather than its pool.
    const HOLDS: bool;

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// It came from there.
    unsafe fn give_back(operation: Idle<Carried<B>>);
}

/// Operations that were allocated by themselves.
struct Alone;

impl<B> Home<B> for Alone {
    const HOLDS: bool = true;

    unsafe fn give_back(operation: Idle<Carried<B>>) {
        drop(operation);
    }
}

/// How an operation `O` ends that carries `B` and came from `H`: a completion `C` is told.
struct Tell<O, B, C, H>(PhantomData<(O, B, C, H)>);

impl<O: Operation<B>, B, C, H: Home<B>> Unheld for Tell<O, B, C, H>
where
    C: FnOnce(FinishedOf<O, B>),
{
    const OBSERVED: bool = H::HOLDS;

    /// # Safety
    ///
    /// As for [`Discard`](crate::irp::Discard), of a block with a `Carried<B>` that was loaded for an `O`, with a `C`, and came from `H`.
    #[inline]
    unsafe fn end(block: NonNull<Header>) {
        // SAFETY: the caller gives the block, which has completed, and was loaded for this operation.
        let mut over = unsafe { Over::<O, B, Carried<B>>::of(Idle::from_block(block.cast())) };
        let over = loop {
            match over.go_on(|capture| Some(hold(capture))) {
                Ok(over) => break over,
                // The routine that comes is this one again, unless the completion has come already: a loop, so that the stack does not grow.
                Err(running) => match running.leave_unless_completed() {
                    None => return,
                    Some(completed) => over = completed,
                },
            }
        };
        // SAFETY: as the caller says the completion was written, and it is moved out once.
        let completion = unsafe { completion_of(over.payload()).cast::<C>().read() };
        let (result, carried, operation) = over.unload();
        completion(O::Way::finished(result, Some(carried)));
        // SAFETY: as the caller says it came from there. Goes back last.
        unsafe { H::give_back(operation) };
    }
}
