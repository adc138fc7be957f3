//! The host kernel as a whole: how tests boot it, control it and shut it down. Stands for the machine.

use core::ffi::c_void;
use core::fmt::{self, Display};
use core::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::bugcheck::{bugcheck, violation};
use crate::executive::rundown;
use crate::faults::{self, Network, Resource};
use crate::origin::Whose;
use crate::pool::Count;
use crate::registry::{self, RegistryValue};
use crate::schedule::{self, Completion};
use crate::trace::{self, Event};
use crate::wsk::{Deviation, Deviations, UnknownName};
use crate::{
    clock, device, executive, irp, lock_order, mdl, nmr, origin, overlap, page_fault, pool, thread,
    wsk,
};

/// Whether a kernel is booted.
static BOOTED: AtomicBool = AtomicBool::new(false);
/// The thread that has booted the kernel.
static BOOTED_BY: Mutex<Option<ThreadId>> = Mutex::new(None);
static FREE: Condvar = Condvar::new();
/// The major and minor version in 16 bits each, then the build.
static VERSION: AtomicU64 = AtomicU64::new(0);

/// The version of Windows that drivers see.
pub(crate) fn windows_version() -> (u32, u32, u32) {
    let version = VERSION.load(Ordering::Relaxed);
    (
        (version >> 48) as u32,
        (version >> 32) as u32 & 0xFFFF,
        (version & 0xFFFF_FFFF) as u32,
    )
}

/// Ends the process when no kernel is booted that could carry out the call.
#[inline]
pub(crate) fn require_booted(function: &str) {
    if !BOOTED.load(Ordering::Relaxed) {
        not_booted(function);
    }
}

/// Whether a kernel is booted.
pub(crate) fn is_booted() -> bool {
    BOOTED.load(Ordering::Relaxed)
}

#[cold]
fn not_booted(function: &str) -> ! {
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "\nwsk-host: {function} was called while no kernel is booted.\n\
         Keep a `wsk_host::Kernel::boot()` alive around the code under test, and drop it last."
    );
    std::process::abort()
}

/// Settings for a [`Kernel`], which [`boot`](Self::boot) then boots.
///
/// [`Kernel::builder`] gives the default settings. Each method changes one. Some make the kernel more hostile, so that a test meets what a
/// driver meets seldom; some allow what the kernel stops otherwise; some serve measurements.
///
/// ```
/// use wsk_host::{Completion, Kernel};
///
/// let settings = Kernel::builder().completion(Completion::Seeded).seed(7);
/// let kernel = settings.windows(10, 0, 14393).boot();
/// // ... code of the driver ...
/// kernel.shutdown();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `boot` is called"]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Builder {
    completion: Completion,
    seed: Option<u64>,
    windows: (u16, u16, u32),
    backtraces: bool,
    special_pool: bool,
    executable_pool: bool,
    overlapping_receives: bool,
    null_provider: bool,
    network: Network,
    scattered: bool,
    patience: Duration,
    speed: NonZeroU32,
    deviations: Deviations,
    unknown_name: UnknownName,
    control: Vec<u8>,
    loopback_is_remote: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            completion: Completion::Inline,
            seed: None,
            windows: (10, 0, 22621),
            backtraces: true,
            special_pool: true,
            executable_pool: false,
            overlapping_receives: false,
            null_provider: false,
            network: Network::default(),
            scattered: false,
            patience: Duration::from_secs(10),
            speed: NonZeroU32::MIN,
            deviations: Deviations::default(),
            unknown_name: UnknownName::default(),
            control: Vec::new(),
            loopback_is_remote: false,
        }
    }
}

impl Builder {
    /// Chooses when the provider completes IRPs; by default [`Completion::Inline`].
    ///
    /// A driver should pass its tests with each [`Completion`], because Windows chooses too.
    pub fn completion(mut self, completion: Completion) -> Self {
        self.completion = completion;
        self
    }

    /// Sets the seed of all that happens by chance: [`Completion::Seeded`] and [`network`](Self::network); by default 0.
    ///
    /// The environment variable `WSK_HOST_SEED` takes precedence, so that a failure can be replayed: the report of a bug
    /// check names the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the version of Windows that drivers see; by default 10.0.22621.
    ///
    /// It decides what `RtlGetVersion` tells, and what there is: stream sockets from build 15063 on, `ExAllocatePool2` from build 19041 on.
    /// With a build of 0, `RtlGetVersion` fails.
    pub fn windows(mut self, major: u16, minor: u16, build: u32) -> Self {
        self.windows = (major, minor, build);
        self
    }

    /// Chooses whether each object remembers the call stack that made it; by default it does.
    ///
    /// Reports show the call stack. Recording it costs some microseconds for each object: turn it off for measurements.
    pub fn backtraces(mut self, record: bool) -> Self {
        self.backtraces = record;
        self
    }

    /// Chooses whether each block of pool, IRP, MDL and indication has pages of its own, as in Driver Verifier's special pool; by default
    /// it has.
    ///
    /// The block ends where an inaccessible page begins, and becomes inaccessible when it is freed. An access beyond the end, or after the
    /// free, stops the system at once. A block takes two pages of address space, one page of memory, and a few microseconds.
    ///
    /// Without special pool, blocks lie close together in the host's heap. The kernel keeps freed blocks for a while, and notices only
    /// writes to them. It tells address sanitizer or valgrind, if the test runs under one of them, which blocks are freed. The same holds
    /// for the blocks beyond some 16,000 at a time.
    ///
    /// The environment variable `WSK_HOST_SPECIAL_POOL=0` turns special pool off for every kernel of a test program, for instance to
    /// measure its cost.
    pub fn special_pool(mut self, special: bool) -> Self {
        self.special_pool = special;
        self
    }

    /// Chooses whether drivers may allocate pool whose pages can be executed, such as `NonPagedPool`; by default they may not.
    ///
    /// Driver Verifier's code integrity checks forbid it too. Allow it to test an old driver.
    pub fn executable_pool(mut self, allow: bool) -> Self {
        self.executable_pool = allow;
        self
    }

    /// Chooses whether several calls in flight may receive into the same bytes; by default they may not.
    ///
    /// Such calls destroy each other's data. Allow it for a driver that discards what it receives.
    pub fn overlapping_receives(mut self, allow: bool) -> Self {
        self.overlapping_receives = allow;
        self
    }

    /// Makes the provider transfer nothing: sends, receives and connects complete at once with success.
    ///
    /// A send reports all bytes as sent. A receive reports a full buffer, and leaves its contents as they are. Use it to measure the cost
    /// of the code around the provider.
    pub fn null_provider(mut self) -> Self {
        self.null_provider = true;
        self
    }

    /// Makes the network lose, duplicate and reorder datagrams; by default it is reliable.
    ///
    /// The [seed](Self::seed) chooses the datagrams.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Makes event callbacks receive data in pieces, as from some network adapters.
    ///
    /// The data of an indication is a chain of MDLs then. One of them is empty. The data starts inside the first MDL and ends inside the
    /// last one, and the driver must map each MDL before it can read it. Use it to test code that takes an indication for one piece of
    /// memory.
    pub fn scattered_indications(mut self) -> Self {
        self.scattered = true;
        self
    }

    /// Chooses the error of `WskGetAddressInfo` for a name that does not exist; by default [`UnknownName::NoMatch`].
    ///
    /// A driver should handle both.
    pub fn unknown_name(mut self, unknown: UnknownName) -> Self {
        self.unknown_name = unknown;
        self
    }

    /// Sets control information that arrives with all data on a connection: `messages` are whole `CMSGHDR` objects; by default there is
    /// none.
    ///
    /// `WskReceiveEx` and the callback of `SIO_WSK_SET_RECEIVE_EX_CALLBACK` receive them, and `WskSendEx` accepts control information. No
    /// control information of TCP is documented. Use it to test a driver for a transport that has some.
    pub fn control_on_connections(mut self, messages: &[u8]) -> Self {
        self.control = messages.to_vec();
        self
    }

    /// Treats loopback addresses as those of other machines.
    ///
    /// The documentation does not support `SIO_WSK_SET_TCP_SILENT_MODE` on loopback. Use this to test it there nevertheless.
    pub fn loopback_is_remote(mut self) -> Self {
        self.loopback_is_remote = true;
        self
    }

    /// Sets how long the kernel waits before it reports a wait that never ends; by default ten seconds.
    ///
    /// [`Kernel::shutdown`] waits that long for work in progress, and `WskDeregister` for the release of the provider and for sockets to be
    /// closed.
    ///
    /// Any other wait without a time-out is reported when nothing else has happened in the kernel for that long: no allocation, no call of
    /// the provider, no event callback, no deferred work, no other wait. System threads may wait for ever; if one is left at shutdown, the
    /// report names the object that it waits for.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes the kernel's time run `times` as fast as the host's; by default, and with 0, once.
    ///
    /// Time-outs, intervals and timers end that much sooner, so that a test need not wait for them. The host takes as long as ever: a
    /// datagram that arrives in time otherwise may arrive too late.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # use wsk_host::Kernel;
    /// let kernel = Kernel::builder().time_lapse(1000).boot();
    /// let begin = Instant::now();
    /// // 30 seconds, in units of 100 ns.
    /// let mut interval = wsk_sys::LARGE_INTEGER { QuadPart: -300_000_000 };
    /// // SAFETY: the interval is readable.
    /// let _ = unsafe { wsk_sys::KeDelayExecutionThread(0, 0, &raw mut interval) };
    /// assert!(begin.elapsed() >= Duration::from_millis(30));
    /// assert!(begin.elapsed() < Duration::from_secs(30));
    /// kernel.shutdown();
    /// ```
    pub fn time_lapse(mut self, times: u32) -> Self {
        self.speed = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Makes the provider deviate from the documentation; by default it does not.
    ///
    /// Call it once for each [`Deviation`].
    pub fn deviation(mut self, deviation: Deviation) -> Self {
        self.deviations = self.deviations.with(deviation);
        self
    }

    /// Boots the kernel. Waits while another kernel is booted in this process.
    ///
    /// # Panics
    ///
    /// Panics if this thread has booted the other kernel, because it would wait for itself.
    pub fn boot(self) -> Kernel {
        let me = std::thread::current().id();
        let mut by = BOOTED_BY.lock();
        while let Some(other) = *by {
            assert!(
                other != me,
                "this thread has a booted Kernel already: drop it before booting the next"
            );
            FREE.wait(&mut by);
        }
        *by = Some(me);
        drop(by);
        let seed = std::env::var("WSK_HOST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .or(self.seed)
            .unwrap_or(0);
        let (major, minor, build) = self.windows;
        VERSION.store(
            u64::from(major) << 48 | u64::from(minor) << 32 | u64::from(build),
            Ordering::Relaxed,
        );
        clock::start(self.speed);
        origin::record_frames(self.backtraces);
        let off = std::env::var_os("WSK_HOST_SPECIAL_POOL").is_some_and(|value| value == "0");
        pool::protect_pages(self.special_pool && !off);
        pool::allow_executable(self.executable_pool);
        overlap::allow_receives(self.overlapping_receives);
        page_fault::watch();
        lock_order::begin();
        schedule::configure(self.completion, seed);
        schedule::start();
        faults::set_network(self.network, seed);
        self.deviations.start();
        wsk::set_unknown_name(self.unknown_name);
        wsk::set_control(self.control);
        wsk::set_loopback_is_remote(self.loopback_is_remote);
        wsk::start(self.null_provider, self.scattered, self.patience);
        BOOTED.store(true, Ordering::SeqCst);
        Kernel {
            patience: self.patience,
            running: true,
        }
    }
}

/// A booted host kernel. While it lives, the functions of `ntoskrnl.exe` and `netio.sys` work in this process.
///
/// There is one in a process at a time: tests that run in parallel queue for it. Dropping it shuts it down as
/// [`shutdown`](Self::shutdown) does, unless the thread is panicking.
///
/// ```
/// use wsk_host::{Completion, Kernel};
///
/// let kernel = Kernel::builder().completion(Completion::Deferred).windows(10, 0, 14393).boot();
/// // SAFETY: a kernel is booted, and one stack location is a possible number.
/// let irp = unsafe { wsk_sys::IoAllocateIrp(1, 0) };
/// assert_eq!(kernel.counts().irps.live, 1);
/// // SAFETY: the IRP was never given to a driver, and is not used any more.
/// unsafe { wsk_sys::IoFreeIrp(irp) };
/// kernel.shutdown(); // Would panic, and list it, if something were left behind.
/// ```
#[derive(Debug)]
#[must_use = "the kernel is shut down when this is dropped"]
pub struct Kernel {
    patience: Duration,
    running: bool,
}

/// How many objects there are.
///
/// ```
/// use wsk_host::Kernel;
///
/// let kernel = Kernel::boot();
/// let before = kernel.counts().allocations();
/// // ... what is not to allocate ...
/// assert_eq!(kernel.counts().allocations(), before);
/// kernel.shutdown();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Pool blocks.
    pub pool: Count,
    /// IRPs of `IoAllocateIrp`.
    pub irps: Count,
    /// MDLs of `IoAllocateMdl`.
    pub mdls: Count,
    /// Sockets.
    pub sockets: Count,
    /// Calls of the provider that take an IRP, since the kernel was booted.
    pub calls: u64,
    /// IRPs that the provider owns now.
    pub in_flight: u64,
    /// MDLs with locked pages now.
    pub locked_mdls: u64,
    /// Failures that were injected.
    pub faults: u64,
}

impl Counts {
    /// All pool blocks, IRPs and MDLs allocated since the kernel was booted.
    #[must_use]
    pub const fn allocations(&self) -> u64 {
        self.pool.total + self.irps.total + self.mdls.total
    }
}

/// What was left behind when the kernel was shut down. `Display` lists it, each with its origin.
///
/// ```
/// use wsk_host::Kernel;
///
/// let kernel = Kernel::boot();
/// // SAFETY: a kernel is booted, and one stack location is a possible number.
/// let _forgotten = unsafe { wsk_sys::IoAllocateIrp(1, 0) };
/// let leaks = kernel.finish().unwrap_err();
/// assert_eq!(leaks.entries().len(), 1);
/// println!("{leaks}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaks {
    lines: Vec<String>,
}

impl Leaks {
    /// One entry for each object.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.lines
    }
}

impl Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} left behind:", self.lines.len())?;
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "- {}", line.trim_end()))
    }
}

impl core::error::Error for Leaks {}

impl Kernel {
    /// Boots a kernel with the default settings.
    pub fn boot() -> Self {
        Builder::default().boot()
    }

    /// Settings to boot a kernel with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls `listener` with every event from now on, on the thread and at the IRQL of the event.
    ///
    /// Calls of the kernel that a listener makes are no events. If a listener panics, the kernel drops it, and the driver goes on; the
    /// panic resumes where the kernel is shut down.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        trace::listen(Arc::new(listener));
    }

    /// Makes the `nth` allocation from now on fail, be it pool, an IRP, an MDL, a mapping or a lock of pages. 1 is the next.
    pub fn fail_nth_allocation(&self, nth: u64) {
        faults::plan_allocation(nth);
    }

    /// Makes the `nth` call of the provider from now on complete with `STATUS_INSUFFICIENT_RESOURCES`. 1 is the next.
    pub fn fail_nth_call(&self, nth: u64) {
        self.fail_nth(Resource::Call, nth);
    }

    /// Makes the `nth` use of `resource` from now on fail. 1 is the next.
    pub fn fail_nth(&self, resource: Resource, nth: u64) {
        faults::plan(resource, nth);
    }

    /// Completes the IRPs that the provider has kept because of a planned failure of [`Resource::Completion`]. Returns how many there were.
    #[must_use]
    pub fn complete_withheld(&self) -> usize {
        wsk::complete_withheld()
    }

    /// Makes the next `IoAllocateIrp` fail.
    pub fn fail_next_irp(&self) {
        self.fail_nth(Resource::Irp, 1);
    }

    /// Counts the objects, calls and failures so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            pool: pool::BLOCKS.count(),
            irps: irp::IRPS.count(),
            mdls: mdl::MDLS.count(),
            sockets: wsk::SOCKETS.count(),
            calls: faults::uses(Resource::Call),
            in_flight: irp::in_flight_count(),
            locked_mdls: mdl::locked_count(),
            faults: faults::injected(),
        }
    }

    /// Makes every open socket useless, as when Windows tears the network down.
    ///
    /// Pending calls and all further calls complete with `STATUS_FILE_FORCED_CLOSED`, except closing.
    pub fn force_close_sockets(&self) {
        wsk::force_close_all();
    }

    /// Tells clients that a transport has come or gone: completes the pending `WSK_TRANSPORT_LIST_CHANGE` requests. Returns how many there
    /// were.
    ///
    /// The list of transports stays as it is.
    #[allow(clippy::must_use_candidate, reason = "not everyone counts")]
    pub fn change_transports(&self) -> usize {
        wsk::change_transports()
    }

    /// Sets the ideal send backlog of all connections, which `SIO_WSK_QUERY_IDEAL_SEND_BACKLOG` returns from now on. 0 means the size of
    /// the host's send buffer.
    ///
    /// `WskSendBacklogEvent` soon tells the connections for which it changes.
    pub fn set_ideal_send_backlog(&self, bytes: usize) {
        wsk::set_ideal(bytes);
    }

    /// Offers an extension interface for `SIO_WSK_REGISTER_EXTENSION`. Windows has none that is documented.
    ///
    /// `register` receives the context and the dispatch table of a client, and returns those of the provider.
    pub fn offer_extension(
        &self,
        id: wsk_sys::GUID,
        register: impl FnMut(*mut c_void, *const c_void) -> (*mut c_void, *const c_void)
        + Send
        + 'static,
    ) {
        wsk::offer_extension(id, Box::new(register));
    }

    /// Makes the provider unavailable to `WskCaptureProviderNPI`, as while the network is starting. A captured provider stays captured.
    pub fn provider_down(&self) {
        wsk::set_available(false);
    }

    /// Makes the provider available again.
    pub fn provider_up(&self) {
        wsk::set_available(true);
    }

    /// Sets a registry value that drivers can read, and makes its key: `\Registry\Machine\…`.
    pub fn set_registry_value(&self, key: &str, name: &str, value: RegistryValue) {
        registry::set(key, name, value);
    }

    /// Waits until all work in progress has ended, and shuts the kernel down.
    ///
    /// # Errors
    ///
    /// Returns the list of objects that should have been freed, closed, released, unlocked or completed.
    pub fn finish(mut self) -> Result<(), Leaks> {
        self.stop()
    }

    /// Shuts the kernel down, as [`finish`](Self::finish) does.
    ///
    /// # Panics
    ///
    /// Panics if something was left behind. The message lists it.
    #[track_caller]
    pub fn shutdown(mut self) {
        if let Err(leaks) = self.stop() {
            panic!("{leaks}");
        }
    }

    /// The time that the kernel waits before it gives up.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    fn stop(&mut self) -> Result<(), Leaks> {
        self.running = false;
        let deadline = Instant::now() + self.patience;
        // Work that ends may start other work.
        while wsk::settle(deadline) | schedule::settle(deadline) | thread::settle(deadline)
            && Instant::now() < deadline
        {}
        let mut lines = left_running(Whose::Anybodys);
        lines.extend(left_behind(Whose::Anybodys));
        if let Some(panic) = power_off() {
            std::panic::resume_unwind(panic);
        }
        if lines.is_empty() {
            Ok(())
        } else {
            Err(Leaks { lines })
        }
    }
}

/// The objects that may still run or call a driver's code, as lines of a report.
fn left_running(whose: Whose) -> Vec<String> {
    let mut lines = irp::in_flight(whose);
    lines.extend(wsk::leaks(whose));
    lines.extend(nmr::leaks(whose));
    lines.extend(schedule::leaks(whose));
    lines.extend(thread::leaks(whose));
    lines.extend(device::leaks(whose));
    lines
}

/// The other objects that a driver should have freed, as lines of a report.
fn left_behind(whose: Whose) -> Vec<String> {
    let mut lines = mdl::leaks(whose);
    lines.extend(pool::leaks(whose));
    lines.extend(executive::leaks(whose));
    lines
}

/// Stops when an unloaded driver has left objects behind.
pub(crate) fn require_nothing_left(driver: u32, name: &str, patience: Duration) {
    let whose = Whose::Drivers(driver);
    // Looks for queued calls before any wait, because the driver's code is gone.
    let queued = schedule::queued(whose);
    // A thread that has ended may still run its last instructions.
    thread::settle(Instant::now() + patience);
    let mut running = left_running(whose);
    running.extend(queued);
    let behind = left_behind(whose);
    rundown::forget(driver);
    let list = |lines: &[String]| {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("- {}", line.trim_end()))
            .collect();
        lines.join("\n")
    };
    if !running.is_empty() {
        bugcheck!(
            DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS(
                running.len(),
                behind.len(),
                0,
                0
            ),
            [list(&running), list(&behind)],
            "the driver {name} was unloaded, and {} of its objects are left that may still call it",
            running.len()
        )
    }
    if !behind.is_empty() {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::LEFT_POOL, behind.len(), 0, 0),
            [list(&behind)],
            "the driver {name} was unloaded, and {} blocks or locks of its own are left",
            behind.len()
        )
    }
}

/// Stops the kernel's threads and lets the next kernel boot. Returns the panic of a listener, if one has panicked.
fn power_off() -> Option<trace::Panic> {
    wsk::stop();
    schedule::stop();
    wsk::reset();
    BOOTED.store(false, Ordering::SeqCst);
    trace::reset();
    faults::reset();
    registry::reset();
    nmr::reset();
    thread::reset();
    executive::reset();
    device::reset();
    irp::reset();
    mdl::reset();
    pool::reset();
    lock_order::reset();
    let panic = trace::take_panic();
    *BOOTED_BY.lock() = None;
    FREE.notify_one();
    panic
}

impl Drop for Kernel {
    #[track_caller]
    fn drop(&mut self) {
        if !self.running {
            return;
        }
        if std::thread::panicking() {
            self.running = false;
            // The thread is panicking already, so the panic of a listener is dropped.
            drop(power_off());
        } else if let Err(leaks) = self.stop() {
            panic!("{leaks}");
        }
    }
}
