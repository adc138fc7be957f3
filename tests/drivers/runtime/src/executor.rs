//! An executor for one future, in a thread that waits for it on a `KEVENT`. The waker sets the event. It replaces the loop around
//! `KeWaitForMultipleObjects` with which C drivers wait for a sequence of IRPs.

use core::cell::UnsafeCell;
use core::future::Future;
use core::pin::pin;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use core::time::Duration;

use wsk::{Error, NTSTATUS};
use wsk_sys::{
    APC_LEVEL, EVENT_TYPE, ExAllocatePoolWithTag, ExFreePoolWithTag, IO_NO_INCREMENT, KEVENT,
    KTIMER, KWAIT_REASON, KeCancelTimer, KeGetCurrentIrql, KeInitializeEvent, KeInitializeTimerEx,
    KeSetEvent, KeSetTimer, KeWaitForMultipleObjects, LARGE_INTEGER, MODE, POOL_TYPE,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT, STATUS_SUCCESS, TIMER_TYPE, WAIT_TYPE,
};

const TAG: u32 = u32::from_le_bytes(*b"Wake");
/// `KPROCESSOR_MODE` has eight bits.
#[allow(clippy::cast_possible_truncation, reason = "it is 0")]
const KERNEL_MODE: i8 = MODE::KernelMode.0 as i8;

/// Runs a future in this thread, and waits until it is ready. IRQL: `<= APC_LEVEL`, or what the future requires.
///
/// Allocates an event, which lives as long as there are wakers of it. If nobody wakes the future, this waits for ever: use [a
/// limit](block_on_timeout).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::{Error, NonPagedBuffer};
///
/// let sent = wsk_driver::block_on(async {
///     let finished = socket.send_to(NonPagedBuffer::copy_of(b"one")?, to).await;
///     Ok::<_, Error>(finished.result?)
/// });
/// assert_eq!(sent, Ok(Ok(3)));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Errors
///
/// `STATUS_INSUFFICIENT_RESOURCES` if there is no memory for the event, and the status of [`Error::WrongIrql`] above `APC_LEVEL`.
/// In both cases the future is dropped without being polled.
#[doc(alias("KeWaitForMultipleObjects", "KEVENT"))]
pub fn block_on<F: Future>(future: F) -> Result<F::Output, NTSTATUS> {
    run(future, None)
}

/// [`block_on`] with a time limit. When the time has run out, the future is dropped.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use core::future::pending;
/// use core::time::Duration;
///
/// let waited = wsk_driver::block_on_timeout(pending::<()>(), Duration::from_millis(10));
/// assert_eq!(waited, Err(wsk_sys::STATUS_IO_TIMEOUT));
/// # kernel.shutdown();
/// ```
///
/// # Errors
///
/// `STATUS_IO_TIMEOUT`, and the errors of [`block_on`].
pub fn block_on_timeout<F: Future>(future: F, limit: Duration) -> Result<F::Output, NTSTATUS> {
    run(future, Some(limit))
}

fn run<F: Future>(future: F, limit: Option<Duration>) -> Result<F::Output, NTSTATUS> {
    // SAFETY: may be called at any IRQL.
    let current = unsafe { KeGetCurrentIrql() };
    if current > APC_LEVEL {
        let limit = APC_LEVEL;
        return Err(Error::WrongIrql { current, limit }.into());
    }
    let parker = Parker::new()?;
    let alarm = Alarm::new(&parker, limit);
    let waker = parker.waker();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        if !alarm.wait() {
            return Err(STATUS_IO_TIMEOUT);
        }
    }
}

/// The objects on which a thread waits: its event, and the timer of its limit. No clock is read.
///
/// # Invariants
///
/// With a limit, the timer is set. It is cancelled before this value and the reference that it borrows are dropped.
struct Alarm<'p> {
    parker: &'p Parker,
    limited: bool,
}

impl<'p> Alarm<'p> {
    fn new(parker: &'p Parker, limit: Option<Duration>) -> Self {
        if let Some(limit) = limit {
            let units = limit
                .as_secs()
                .saturating_mul(10_000_000)
                .saturating_add(u64::from(limit.subsec_nanos() / 100));
            // At most half of the range, so that the kernel can add the current time without overflow.
            let units = i64::try_from(units).unwrap_or(i64::MAX).min(i64::MAX / 2);
            let due = LARGE_INTEGER { QuadPart: -units };
            let timer = parker.shared().timer.get();
            // SAFETY: the timer is initialised, stays in place as long as there is a reference, and has no DPC.
            unsafe { KeSetTimer(timer, due, null_mut()) };
        }
        // INVARIANT: the timer was just set.
        Self {
            parker,
            limited: limit.is_some(),
        }
    }

    /// Waits for a wake, or until the time has run out. Returns whether there was a wake.
    fn wait(&self) -> bool {
        let shared = self.parker.shared();
        // If both are signalled, the first one ends the wait.
        let mut objects = [shared.event.get().cast(), shared.timer.get().cast()];
        // SAFETY: the objects are initialised and stay in place; without a limit only the first is used. The caller has checked
        // the IRQL. Two objects need no wait blocks, because a thread has three of its own.
        let status = unsafe {
            KeWaitForMultipleObjects(
                if self.limited { 2 } else { 1 },
                objects.as_mut_ptr(),
                WAIT_TYPE::WaitAny,
                KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                null_mut(),
                null_mut(),
            )
        };
        status == STATUS_SUCCESS
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if self.limited {
            // SAFETY: by the invariant the timer was set, and nobody waits for it any more.
            unsafe { KeCancelTimer(self.parker.shared().timer.get()) };
        }
    }
}

/// An event and a timer on which a thread waits, with a count of the references: that of the thread, and those of wakers.
struct Shared {
    event: UnsafeCell<KEVENT>,
    timer: UnsafeCell<KTIMER>,
    references: AtomicUsize,
}

/// A reference to a [`Shared`].
///
/// # Invariants
///
/// `shared` is in a pool block of its own. Its event and its timer are initialised as long as there is a reference, and this is
/// one.
struct Parker {
    shared: NonNull<Shared>,
}

impl Parker {
    fn new() -> Result<Self, NTSTATUS> {
        // SAFETY: the size is not 0, and this IRQL allows an allocation of this size.
        let block =
            unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, size_of::<Shared>(), TAG) };
        let shared = NonNull::new(block.cast::<Shared>()).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        // SAFETY: the block has the size and the alignment, belongs to nobody else, and is nonpaged, as event and timer require.
        // They are C structures, for which all-zero bytes are valid until they are initialised in place.
        unsafe {
            shared.write(Shared {
                event: UnsafeCell::new(core::mem::zeroed()),
                timer: UnsafeCell::new(core::mem::zeroed()),
                references: AtomicUsize::new(1),
            });
            let event = shared.as_ref().event.get();
            KeInitializeEvent(event, EVENT_TYPE::SynchronizationEvent, 0);
            let timer = shared.as_ref().timer.get();
            KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
        }
        // INVARIANT: everything is initialised, and this is the only reference.
        Ok(Self { shared })
    }

    fn shared(&self) -> &Shared {
        // SAFETY: by the invariant it exists; what changes in it is atomic, or belongs to the kernel.
        unsafe { self.shared.as_ref() }
    }

    /// A waker that owns a reference.
    fn waker(&self) -> Waker {
        let waker = self.another().into_raw();
        // SAFETY: the functions in the table keep the contract of wakers, on any thread and at up to `DISPATCH_LEVEL`; the
        // pointer is a reference that the waker owns.
        // reference that the waker owns.
        unsafe { Waker::from_raw(waker) }
    }

    fn another(&self) -> Self {
        self.shared().references.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: the reference was just counted.
        Self {
            shared: self.shared,
        }
    }

    fn into_raw(self) -> RawWaker {
        let shared = self.shared.as_ptr();
        // The waker owns the reference.
        core::mem::forget(self);
        RawWaker::new(shared.cast::<()>(), &TABLE)
    }

    /// # Safety
    ///
    /// The pointer is that of a waker of [`into_raw`](Self::into_raw). Either the waker gives up its reference, or the result is
    /// not dropped.
    unsafe fn from_raw(shared: *const ()) -> Self {
        // SAFETY: the pointer was made from one that is not null.
        let shared = unsafe { NonNull::new_unchecked(shared.cast_mut().cast()) };
        // INVARIANT: the caller has the reference.
        Self { shared }
    }

    fn wake(&self) {
        // SAFETY: by the invariant the event is initialised and stays in place; it may be set at up to `DISPATCH_LEVEL`.
        unsafe { KeSetEvent(self.shared().event.get(), IO_NO_INCREMENT.into(), 0) };
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        if self.shared().references.fetch_sub(1, Ordering::Release) == 1 {
            // Everything that other threads did with their references happens before.
            fence(Ordering::Acquire);
            // SAFETY: this was the last reference.
            unsafe { ExFreePoolWithTag(self.shared.as_ptr().cast(), TAG) };
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    // SAFETY: called with the pointer of a waker, which keeps its reference.
    |shared| unsafe { core::mem::ManuallyDrop::new(Parker::from_raw(shared)).another() }.into_raw(),
    // SAFETY: called with the pointer of a waker, which gives its reference.
    |shared| unsafe { Parker::from_raw(shared) }.wake(),
    // SAFETY: called with the pointer of a waker, which keeps its reference.
    |shared| unsafe { core::mem::ManuallyDrop::new(Parker::from_raw(shared)) }.wake(),
    // SAFETY: called with the pointer of a waker, which gives its reference.
    |shared| drop(unsafe { Parker::from_raw(shared) }),
);

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::{Arc, Mutex};
    use std::task::{Poll, Waker};
    use std::time::Duration;

    use wsk::NTSTATUS;
    use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};
    use wsk_sys::{STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT};

    use super::{block_on, block_on_timeout};

    #[test]
    fn a_future_is_polled_when_it_is_woken_and_not_otherwise() {
        let kernel = Kernel::boot();
        let polls = Arc::new(Mutex::new(0));
        let mut threads = std::vec::Vec::new();
        let count = polls.clone();
        let result = block_on(poll_fn(|context| {
            let mut polls = count.lock().unwrap();
            *polls += 1;
            match *polls {
                // During the poll, by reference.
                1 => context.waker().wake_by_ref(),
                // On another thread, later, at the IRQL of a completion.
                2 => {
                    let waker = context.waker().clone();
                    threads.push(std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(20));
                        at_irql(DISPATCH_LEVEL, || waker.wake());
                    }));
                }
                _ => return Poll::Ready(*polls),
            }
            Poll::Pending
        }));
        assert_eq!(result, Ok(3));
        for thread in threads {
            thread.join().unwrap();
        }
        kernel.shutdown();
    }

    #[test]
    fn a_waker_may_outlive_what_it_wakes() {
        let kernel = Kernel::boot();
        let mut kept = None;
        let result = block_on_timeout(
            poll_fn(|context| {
                kept = Some(context.waker().clone());
                Poll::<()>::Pending
            }),
            Duration::from_millis(10),
        );
        assert_eq!(result, Err(STATUS_IO_TIMEOUT));
        assert_eq!(kernel.counts().pool.live, 1);
        let kept: Waker = kept.unwrap();
        kept.wake_by_ref();
        at_irql(DISPATCH_LEVEL, || drop(kept));
        kernel.shutdown();
    }

    #[test]
    fn what_cannot_be_waited_for_is_not_polled() {
        let kernel = Kernel::boot();
        let refused = |status: NTSTATUS| {
            let result = block_on(poll_fn(|_| -> Poll<()> { panic!("polled") }));
            assert_eq!(result, Err(status));
        };
        kernel.fail_nth_allocation(1);
        refused(STATUS_INSUFFICIENT_RESOURCES);
        let wrong = wsk::Error::WrongIrql {
            current: DISPATCH_LEVEL,
            limit: 1,
        };
        at_irql(DISPATCH_LEVEL, || refused(wrong.into()));
        let begun = std::time::Instant::now();
        let waited = block_on_timeout(pending::<()>(), Duration::from_millis(30));
        assert_eq!(waited, Err(STATUS_IO_TIMEOUT));
        assert!(begun.elapsed() >= Duration::from_millis(30));
        kernel.shutdown();
    }
}
