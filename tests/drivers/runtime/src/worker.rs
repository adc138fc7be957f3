//! A thread of the driver, for code that waits. It replaces `PsCreateSystemThread`, and the wait for the thread that a driver
//! must not forget before it is unloaded.

use core::ffi::c_void;
use core::fmt;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use wsk::NTSTATUS;
use wsk_sys::{
    APC_LEVEL, ExAllocatePoolWithTag, ExFreePoolWithTag, KWAIT_REASON, KeGetCurrentIrql,
    KeWaitForSingleObject, MODE, ObDereferenceObject, ObReferenceObjectByHandle, POOL_TYPE,
    PsCreateSystemThread, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, THREAD_ALL_ACCESS,
    ZwClose,
};

use crate::stop;

const TAG: u32 = u32::from_le_bytes(*b"Wrkr");
/// `KPROCESSOR_MODE` has eight bits.
#[allow(clippy::cast_possible_truncation, reason = "it is 0")]
const KERNEL_MODE: i8 = MODE::KernelMode.0 as i8;

/// A system thread that works on a `T`. Dropping the worker asks the thread to end, waits for it, and drops the `T`, all at
/// `PASSIVE_LEVEL`. Above `APC_LEVEL`, where nobody can wait for a thread, dropping it stops the system. If a worker is
/// forgotten, the driver can never be unloaded safely. If its own thread drops it, the thread waits for itself.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use wsk_driver::{Stop, Worker};
///
/// /// Works until it is to stop.
/// fn count(rounds: &AtomicU32, stop: &Stop) {
///     while !stop.asked() {
///         rounds.fetch_add(1, Ordering::Relaxed);
///         # std::thread::yield_now();
///     }
/// }
///
/// let worker = Worker::start(AtomicU32::new(0), count)?;
/// // In a `DriverState`, between the two. The thread ends here.
/// drop(worker);
/// # kernel.shutdown();
/// # Ok::<(), wsk::NTSTATUS>(())
/// ```
///
/// # Invariants
///
/// `job` is a pool block with a job, which only this value frees. `thread` is a reference to the thread, which borrows the job
/// until it ends.
pub struct Worker<T> {
    job: NonNull<Job<T>>,
    thread: NonNull<c_void>,
}

/// The function of a thread, and its data.
struct Job<T> {
    subject: T,
    work: fn(&T, &Stop),
    stop: Stop,
}

/// Tells a thread when to end. It is the second argument of the function that a [`Worker`] runs.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk_driver::{Stop, Worker};
///
/// /// Looks again and again whether it is to end.
/// fn work((): &(), stop: &Stop) {
///     while !stop.asked() {
///         // One piece of work, which does not take for ever.
///         # std::thread::yield_now();
///     }
/// }
///
/// drop(Worker::start((), work)?);
/// # kernel.shutdown();
/// # Ok::<(), wsk::NTSTATUS>(())
/// ```
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Whether the thread should end.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

// SAFETY: the worker owns the subject and drops it, and the thread is not bound to another thread.
unsafe impl<T: Send + Sync> Send for Worker<T> {}
// SAFETY: a shared reference to a worker can do nothing.
unsafe impl<T: Send + Sync> Sync for Worker<T> {}

impl<T: Send + Sync + 'static> Worker<T> {
    /// Starts a thread that runs `work` on `subject`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`, or the system's error. The subject is dropped.
    pub fn start(subject: T, work: fn(&T, &Stop)) -> Result<Self, NTSTATUS> {
        const { assert!(align_of::<T>() <= 16, "the pool aligns blocks to 16 bytes") };
        // SAFETY: the size is at least that of the function and the flag.
        let block =
            unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, size_of::<Job<T>>(), TAG) };
        let job = NonNull::new(block.cast::<Job<T>>()).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        // SAFETY: the block has the size and the alignment of a job, and belongs to nobody else.
        unsafe {
            job.write(Job {
                subject,
                work,
                stop: Stop::default(),
            });
        }
        match create(routine::<T>, job.cast()) {
            // INVARIANT: the thread has the job until it ends.
            Ok(thread) => Ok(Self { job, thread }),
            Err(status) => {
                // SAFETY: no thread has the job.
                unsafe { free(job) };
                Err(status)
            }
        }
    }
}

/// Starts a thread. Returns a reference to it.
fn create(
    routine: unsafe extern "system" fn(*mut c_void),
    context: NonNull<c_void>,
) -> Result<NonNull<c_void>, NTSTATUS> {
    let (mut handle, mut thread) = (null_mut(), null_mut());
    // SAFETY: the routine takes the context; the other arguments are places for the results.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            THREAD_ALL_ACCESS,
            null_mut(),
            null_mut(),
            null_mut(),
            Some(routine),
            context.as_ptr(),
        )
    };
    if !status.is_success() {
        return Err(status);
    }
    // SAFETY: the kernel has just opened this handle for itself, and it is a thread's, so this cannot fail.
    let status = unsafe {
        ObReferenceObjectByHandle(
            handle,
            THREAD_ALL_ACCESS,
            null_mut(),
            KERNEL_MODE,
            &raw mut thread,
            null_mut(),
        )
    };
    // SAFETY: the handle is closed only here.
    let _ = unsafe { ZwClose(handle) };
    match NonNull::new(thread) {
        Some(thread) if status.is_success() => Ok(thread),
        // The thread runs, and nobody could wait for it, so the driver must not continue.
        _ => stop(),
    }
}

/// The routine of the thread.
unsafe extern "system" fn routine<T>(context: *mut c_void) {
    // SAFETY: the context is the job, which exists until this thread has ended. The worker only touches its flag.
    let job = unsafe { &*context.cast::<Job<T>>() };
    (job.work)(&job.subject, &job.stop);
}

/// # Safety
///
/// The job is in a pool block of this crate, and nobody uses it.
unsafe fn free<T>(job: NonNull<Job<T>>) {
    // SAFETY: the caller promises this.
    unsafe {
        job.drop_in_place();
        ExFreePoolWithTag(job.as_ptr().cast(), TAG);
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        // SAFETY: by the invariant the job exists, the reference is released only here, and nobody uses the job after the thread
        // has ended.
        unsafe {
            self.job.as_ref().stop.0.store(true, Ordering::Release);
            let thread = self.thread.as_ptr();
            // A wait without a limit is allowed up to APC_LEVEL. It ends when the thread ends.
            if KeGetCurrentIrql() > APC_LEVEL
                || KeWaitForSingleObject(
                    thread,
                    KWAIT_REASON::Executive,
                    KERNEL_MODE,
                    0,
                    null_mut(),
                ) != STATUS_SUCCESS
            {
                // The thread would still run after the driver's memory and code are gone.
                stop();
            }
            ObDereferenceObject(thread);
            free(self.job);
        }
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
