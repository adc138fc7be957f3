//! I/O request packets: allocation, stack locations, completion, cancelling. Stands for the I/O manager's `IoAllocateIrp`,
//! `IofCompleteRequest` and their kin.
//!
//! IRPs have their real layout in memory, and the kernel acts on the contents of that memory. A separate record of each IRP says
//! whom the IRP belongs to and what happened to it, so that a broken rule is noticed at once and reported with the history of the
//! IRP.

mod completion;
mod record;

use core::ffi::c_void;
use core::fmt::Display;
use core::ops::Range;
use core::ptr;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use wsk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IO_TYPE_DEVICE, IO_TYPE_IRP, IRP, NTSTATUS, PDRIVER_CANCEL,
    SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED,
};

use completion::climb;
use record::{Record, State};

use crate::bugcheck::{bugcheck, io_violation};
use crate::faults::{self, Resource};
use crate::flight::Flight;
use crate::irql;
use crate::origin::{Origin, Whose};
use crate::pool::{self, Block, Counter, Use};
use crate::stack_places::{self, User};
use crate::table::{Recent, Table};
use crate::trace::IrpStep;
use crate::{overlap, spinlock, wsk};

/// All three of the `SL_INVOKE_ON_…` bits.
const INVOKE_ALWAYS: u32 =
    SL_INVOKE_ON_SUCCESS as u32 | SL_INVOKE_ON_ERROR as u32 | SL_INVOKE_ON_CANCEL as u32;

/// IRPs of `IoAllocateIrp`.
pub(crate) static IRPS: Counter = Counter::new();
static RECORDS: Table<Record> = Table::new();
/// The addresses of the IRPs that `IoInitializeIrp` has built, in order, to find those in a freed block.
static IN_PLACE: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
/// The number of IRPs in flight. While it is 0, a free of memory needs no search.
static IN_FLIGHT: AtomicU64 = AtomicU64::new(0);

/// Describes an IRP for a report.
pub(crate) fn story(irp: *mut IRP) -> String {
    match RECORDS.lock(irp as usize).get(irp as usize) {
        Some(record) => format!("{record}"),
        None => pool::story(irp as usize),
    }
}

/// The IRPs that were freed last. A report of a later use shows the history of the IRP.
static FREED: Mutex<Recent<Record, 1024>> = Mutex::new(Recent::new());

/// Describes a freed IRP for a report.
pub(crate) fn past(address: usize) -> Option<String> {
    let freed = FREED.try_lock_for(core::time::Duration::from_secs(2))?;
    freed.get(address).map(Record::to_string)
}

/// The size of an IRP with `stack_count` locations, as `IoSizeOfIrp` computes it.
pub(crate) fn size_of_irp(stack_count: i8) -> usize {
    size_of::<IRP>() + usize::try_from(stack_count).unwrap_or(0) * size_of::<IO_STACK_LOCATION>()
}

/// The place in an IRP of the pointer to its current stack location.
///
/// # Safety
///
/// `irp` is readable.
#[inline]
unsafe fn current_location(irp: *mut IRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: the place is inside the IRP; nothing is read.
    unsafe { &raw mut (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation }
}

/// Writes an IRP as `IoInitializeIrp` does.
///
/// # Safety
///
/// `irp` is writable for `size` bytes, which is enough for `stack_count` locations.
unsafe fn build(irp: *mut IRP, size: u16, stack_count: i8) {
    // SAFETY: the caller says that the memory is there; all members are plain data for which zero is fine.
    unsafe {
        ptr::write_bytes(irp.cast::<u8>(), 0, usize::from(size));
        (*irp).Type = IO_TYPE_IRP as i16;
        (*irp).Size = size;
        (*irp).StackCount = stack_count;
        (*irp).CurrentLocation = stack_count + 1;
        let list = &raw mut (*irp).ThreadListEntry;
        (*list).Flink = list;
        (*list).Blink = list;
        // Points one beyond the last location, because the IRP has not been sent.
        *current_location(irp) = irp
            .cast::<u8>()
            .add(size_of::<IRP>())
            .cast::<IO_STACK_LOCATION>()
            .add(usize::try_from(stack_count).unwrap_or(0));
    }
}

/// Takes an IRP for a call of the provider: advances to the provider's stack location and puts the IRP in flight.
///
/// # Safety
///
/// `irp` points at an IRP or at nothing that matters; what isn't known as an IRP isn't read.
#[inline]
pub(crate) unsafe fn start(irp: *mut IRP, mut flight: Flight) {
    let address = irp as usize;
    let function = flight.function;
    let (told, user, places, taken_off) = with_record(function, irp, |record| {
        require_unused(function, address, record);
        // SAFETY: a record exists, so the IRP is alive and belongs to this call now.
        unsafe {
            require_location(function, irp, record);
            let own = (*irp).CurrentLocation > (*irp).StackCount;
            advance(irp);
            if own {
                require_routine(function, irp, record);
            }
        }
        flight.pin(address, record.size, "the IRP");
        flight.require_nonpaged();
        // SAFETY: the IRP is alive, and the location is the provider's.
        let context = unsafe { (**current_location(irp)).Context } as usize;
        let context = (context, "the context of the completion routine");
        let places = flight.on_the_stack().into_iter().chain([context]);
        record.generation += 1;
        let user = User::Call {
            irp: address,
            use_of_irp: (record.number, record.generation),
        };
        let taken_off = flight.take_off(address);
        record.state = State::Provider(flight);
        IN_FLIGHT.fetch_add(1, Ordering::SeqCst);
        let told = record.step(IrpStep::Started(function));
        (told, user, places, taken_off)
    });
    if let Err(conflict) = taken_off {
        conflict.stop();
    }
    for (place, what) in places {
        stack_places::watch(user, function, place, what);
    }
    told.tell(address);
}

/// Stops when the IRP is in use.
fn require_unused(function: &str, address: usize, record: &Record) {
    if matches!(record.state, State::Provider(_) | State::Completing) {
        bugcheck!(
            DRIVER_VERIFIER_IOMANAGER_VIOLATION(io_violation::SENT_WHILE_IN_USE, address, 0, 0),
            [record],
            "{function} was given an IRP that is still in use"
        )
    }
}

/// Stops when the IRP has no stack location for the callee.
///
/// # Safety
///
/// `irp` is readable.
unsafe fn require_location(function: &str, irp: *mut IRP, record: &Record) {
    // SAFETY: the caller says so.
    let (current, count) = unsafe { ((*irp).CurrentLocation, (*irp).StackCount) };
    if current <= 1 {
        bugcheck!(
            NO_MORE_IRP_STACK_LOCATIONS(irp as usize, 0, 0, 0),
            [record],
            "{function} needs a stack location, and the IRP has none left: its StackCount is {count}"
        )
    }
}

/// Advances an IRP to the stack location of the callee, and returns the location.
///
/// # Safety
///
/// `irp` is writable, and has a location left.
unsafe fn advance(irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the caller says so.
    unsafe {
        (*irp).CurrentLocation -= 1;
        let location = (*current_location(irp)).sub(1);
        *current_location(irp) = location;
        location
    }
}

/// Stops when an IRP of the driver's own has no completion routine for success, error and cancel. The driver sets it in the stack location
/// of the callee.
///
/// # Safety
///
/// `irp` is readable, and its current location is one of its own.
unsafe fn require_routine(function: &str, irp: *mut IRP, record: &Record) {
    // SAFETY: the caller says so.
    let location = unsafe { &**current_location(irp) };
    let invoke = u32::from(location.Control) & INVOKE_ALWAYS;
    if invoke != INVOKE_ALWAYS || location.CompletionRoutine.is_none() {
        bugcheck!(
            DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                io_violation::UNKNOWN,
                irp as usize,
                invoke as usize,
                0
            ),
            [record],
            "an IRP of the driver's own was given to {function} without a completion routine for success, error and cancel"
        )
    }
}

/// Whether the provider still owns an IRP that was started for this use.
pub(crate) fn is_in_flight(irp: usize, use_of_irp: (u64, u64)) -> bool {
    RECORDS.lock(irp).get(irp).is_some_and(|record| {
        matches!(record.state, State::Provider(_))
            && (record.number, record.generation) == use_of_irp
    })
}

/// Marks an IRP in flight as pending, on behalf of the provider.
///
/// # Safety
///
/// The IRP is in flight and belongs to the caller.
pub(crate) unsafe fn mark_pending(irp: *mut IRP) {
    // SAFETY: the IRP is alive and its current location is the provider's.
    unsafe { (**current_location(irp)).Control |= SL_PENDING_RETURNED as u8 };
    let told = RECORDS
        .lock(irp as usize)
        .get(irp as usize)
        .map(|record| record.step(IrpStep::Pending));
    if let Some(told) = told {
        told.tell(irp as usize);
    }
}

/// Changes the flight of an IRP.
pub(crate) fn with_flight(irp: *mut IRP, change: impl FnOnce(&mut Flight)) {
    if let Some(Record {
        state: State::Provider(flight),
        ..
    }) = RECORDS.lock(irp as usize).get(irp as usize)
    {
        change(flight);
    }
}

/// Completes an IRP in flight on behalf of the provider.
///
/// # Safety
///
/// The IRP is in flight and belongs to the caller, who doesn't touch it any more.
#[inline]
pub(crate) unsafe fn complete(irp: *mut IRP, status: NTSTATUS, information: usize) {
    let address = irp as usize;
    let told = with_record("the provider's completion", irp, |record| {
        let State::Provider(flight) = core::mem::replace(&mut record.state, State::Completing)
        else {
            bugcheck!(
                MULTIPLE_IRP_COMPLETE_REQUESTS(address, 0, 0, 0),
                [record],
                "an IRP was completed that the provider doesn't own (any more)"
            )
        };
        let told = record.step(IrpStep::Completed(status, information));
        flight.land(address, record);
        // Last: a thread that frees memory of the call meanwhile sees a count above 0 and waits for the lock before it overwrites
        // the memory.
        IN_FLIGHT.fetch_sub(1, Ordering::SeqCst);
        told
    });
    told.tell(address);
    // SAFETY: the IRP is alive: it has a record and belongs to the provider, that is to the caller.
    unsafe {
        set_status(irp, status, information);
        climb(irp);
    }
}

/// # Safety
///
/// `irp` is writable.
unsafe fn set_status(irp: *mut IRP, status: NTSTATUS, information: usize) {
    // SAFETY: the caller says so; the union's members are plain data.
    unsafe {
        (*irp).IoStatus.Anonymous1.Status = status;
        (*irp).IoStatus.Information = information;
    }
}

/// The device of the current stack location, or NULL above the last one.
///
/// # Safety
///
/// `irp` is readable.
unsafe fn device_of(irp: *mut IRP) -> *mut DEVICE_OBJECT {
    // SAFETY: the caller says so; up to the last one, the current location is one of the IRP's own.
    unsafe {
        if (*irp).CurrentLocation > (*irp).StackCount {
            ptr::null_mut()
        } else {
            (**current_location(irp)).DeviceObject
        }
    }
}

/// Sets the cancel routine of an IRP and returns the former one, as `IoSetCancelRoutine` does.
///
/// # Safety
///
/// `irp` is alive.
pub(crate) unsafe fn set_cancel_routine(irp: *mut IRP, routine: PDRIVER_CANCEL) -> PDRIVER_CANCEL {
    const { assert!(size_of::<PDRIVER_CANCEL>() == size_of::<*mut c_void>()) };
    // SAFETY: the member is a pointer in memory that the caller vouches for, and others change it atomically too.
    let place =
        unsafe { AtomicPtr::from_ptr((&raw mut (*irp).CancelRoutine).cast::<*mut c_void>()) };
    // SAFETY: an optional function pointer and a nullable pointer have the same representation.
    let new: *mut c_void = unsafe { core::mem::transmute(routine) };
    let old = place.swap(new, Ordering::SeqCst);
    // SAFETY: they have the same representation, and only function pointers and null are ever stored here.
    unsafe { core::mem::transmute(old) }
}

/// Gives `act` the record of the IRP that `function` was called for. Stops when there is none.
#[inline]
fn with_record<R>(function: &str, irp: *mut IRP, act: impl FnOnce(&mut Record) -> R) -> R {
    let mut locked = RECORDS.lock(irp as usize);
    let Some(record) = locked.get(irp as usize) else {
        drop(locked);
        unknown(function, irp);
    };
    act(record)
}

/// Takes the record of the IRP that `function` was called for out of the table, after `check`. Stops when there is none.
fn take_record(function: &str, irp: *mut IRP, check: impl FnOnce(&Record)) -> Option<Record> {
    let mut locked = RECORDS.lock(irp as usize);
    let Some(record) = locked.get(irp as usize) else {
        drop(locked);
        unknown(function, irp);
    };
    check(record);
    locked.remove(irp as usize)
}

/// Stops, because there is no IRP at this address.
#[cold]
fn unknown(function: &str, irp: *mut IRP) -> ! {
    let address = irp as usize;
    if pool::was_freed(address) {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, 0, 0, 0),
            [pool::story(address), past(address).unwrap_or_default()],
            "{function} was given an IRP that was freed"
        )
    }
    bugcheck!(
        DRIVER_VERIFIER_IOMANAGER_VIOLATION(io_violation::FREE_NOT_AN_IRP, address, 0, 0),
        [pool::story(address)],
        "{function} was given something that isn't an IRP of IoAllocateIrp or IoInitializeIrp"
    )
}

/// Stops when the IRP that the driver gave to `function` doesn't belong to the driver.
fn require_own(function: &str, address: usize, record: &Record, rule: usize) {
    if !matches!(record.state, State::Driver) {
        bugcheck!(
            DRIVER_VERIFIER_IOMANAGER_VIOLATION(rule, address, 0, 0),
            [record],
            "{function} was called for an IRP that is still in use"
        )
    }
}

/// Stops when an IRP in flight lies in a block that is being freed, or uses it. Forgets the other IRPs that were built in the
/// block.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    if IN_FLIGHT.load(Ordering::SeqCst) > 0 {
        check_overlap(&range, block);
    }
    let gone: Vec<usize> = {
        let mut in_place = IN_PLACE.lock();
        let gone: Vec<usize> = in_place.range(range).copied().collect();
        for address in &gone {
            in_place.remove(address);
        }
        gone
    };
    for address in gone {
        RECORDS.lock(address).remove(address);
    }
}

fn check_overlap(range: &Range<usize>, block: &dyn Display) {
    RECORDS.each(|address, record| {
        if let State::Provider(flight) = &record.state
            && let Some(what) = flight.overlap(range)
        {
            let function = flight.function;
            bugcheck!(
                PAGE_FAULT_IN_FREED_SPECIAL_POOL(range.start, address, range.len(), 0),
                [block, record],
                "memory was freed that holds {what} of a call in flight ({function})"
            )
        }
    });
}

/// IRPs in flight, as lines of a leak report.
pub(crate) fn in_flight(whose: Whose) -> Vec<String> {
    let mut lines = Vec::new();
    RECORDS.each(|_, record| {
        if matches!(record.state, State::Provider(_) | State::Sent)
            && whose.is(record.origin.driver())
        {
            lines.push(format!("{record}"));
        }
    });
    lines
}

/// The number of IRPs in flight.
pub(crate) fn in_flight_count() -> u64 {
    IN_FLIGHT.load(Ordering::SeqCst)
}

/// Forgets every IRP.
pub(crate) fn reset() {
    *FREED.lock() = Recent::new();
    RECORDS.clear();
    IN_PLACE.lock().clear();
    IN_FLIGHT.store(0, Ordering::SeqCst);
    overlap::reset();
    record::reset();
    IRPS.reset();
}

export! {
    /// Allocates an IRP.
    fn IoAllocateIrp(StackSize: i8, ChargeQuota: u8) -> *mut IRP, at most DISPATCH_LEVEL {
        let _ = ChargeQuota;
        if StackSize < 0 || faults::strikes(Resource::Irp) {
            return ptr::null_mut();
        }
        let size = size_of_irp(StackSize);
        let Some(memory) = pool::allocate(
            size,
            u32::from_le_bytes(*b"Irp "),
            Use::Irp,
            false,
            Origin::here("IoAllocateIrp"),
        ) else {
            return ptr::null_mut();
        };
        let irp = memory.cast::<IRP>();
        // An i8 count of locations keeps the size far below u16::MAX.
        #[allow(clippy::cast_possible_truncation, reason = "at most 208 + 127 * 72")]
        // SAFETY: the block has `size` bytes and belongs to nobody yet.
        unsafe {
            build(irp, size as u16, StackSize);
        }
        IRPS.up();
        let mut record = Record::new("IoAllocateIrp", true, size);
        let told = record.step(IrpStep::Allocated);
        RECORDS.lock(irp as usize).insert(irp as usize, record);
        told.tell(irp as usize);
        irp
    }
}

export! {
    /// Builds an IRP in memory of the driver.
    fn IoInitializeIrp(Irp: *mut IRP, PacketSize: u16, StackSize: i8), at most DISPATCH_LEVEL {
        let address = Irp as usize;
        let size = size_of_irp(StackSize);
        if usize::from(PacketSize) < size || StackSize < 0 {
            bugcheck!(
                DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                    io_violation::UNKNOWN,
                    address,
                    usize::from(PacketSize),
                    size
                ),
                [pool::story(address)],
                "IoInitializeIrp was given {PacketSize} bytes for an IRP that needs {size}"
            )
        }
        let end = address + usize::from(PacketSize);
        if let Some((usage, block_end)) =
            pool::containing(address, |block| (block.usage(), block.range().end))
            && (usage == Use::Paged || usage == Use::Mdl || block_end < end)
        {
            bugcheck!(
                DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                    io_violation::UNKNOWN,
                    address,
                    usize::from(PacketSize),
                    size
                ),
                [pool::story(address)],
                "IoInitializeIrp was given memory that can't hold an IRP: it has to be nonpaged, and all of it allocated"
            )
        }
        let mut locked = RECORDS.lock(address);
        if let Some(record) = locked.get(address) {
            require_own(
                "IoInitializeIrp",
                address,
                record,
                io_violation::SENT_WHILE_IN_USE,
            );
            if record.allocated {
                bugcheck!(
                    DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                        io_violation::INITIALIZED_ALLOCATED,
                        address,
                        0,
                        0
                    ),
                    [record],
                    "IoInitializeIrp was called for an IRP of IoAllocateIrp: IoReuseIrp is for those"
                )
            }
        }
        // SAFETY: the driver gives the memory, and no IRP that is in use lies at its start.
        unsafe { build(Irp, PacketSize, StackSize) };
        let mut record = Record::new("IoInitializeIrp", false, usize::from(PacketSize));
        let told = record.step(IrpStep::Initialized);
        locked.insert(address, record);
        drop(locked);
        told.tell(address);
        IN_PLACE.lock().insert(address);
    }
}

export! {
    /// Ends the use of an IRP that `IoInitializeIrp` has built.
    fn IoCleanupIrp(Irp: *mut IRP), at most DISPATCH_LEVEL {
        let address = Irp as usize;
        take_record("IoCleanupIrp", Irp, |record| {
            require_own("IoCleanupIrp", address, record, io_violation::FREED_WHILE_IN_USE);
            if record.allocated {
                bugcheck!(
                    DRIVER_VERIFIER_IOMANAGER_VIOLATION(io_violation::INITIALIZED_ALLOCATED, address, 0, 0),
                    [record],
                    "IoCleanupIrp was called for an IRP of IoAllocateIrp: IoFreeIrp is for those"
                )
            }
        });
        IN_PLACE.lock().remove(&address);
    }
}

export! {
    /// Initialises an IRP again, so that the driver can send it again.
    fn IoReuseIrp(Irp: *mut IRP, Iostatus: NTSTATUS), at most DISPATCH_LEVEL {
        let address = Irp as usize;
        let told = with_record("IoReuseIrp", Irp, |record| {
            require_own("IoReuseIrp", address, record, io_violation::SENT_WHILE_IN_USE);
            // SAFETY: the IRP is alive and belongs to the driver, that is to this call.
            unsafe {
                let (size, count, flags) = ((*Irp).Size, (*Irp).StackCount, (*Irp).AllocationFlags);
                build(Irp, size, count);
                (*Irp).AllocationFlags = flags;
                set_status(Irp, Iostatus, 0);
            }
            record.generation += 1;
            record.step(IrpStep::Reused)
        });
        told.tell(address);
    }
}

export! {
    /// Frees an IRP of `IoAllocateIrp`.
    fn IoFreeIrp(Irp: *mut IRP), at most DISPATCH_LEVEL {
        let address = Irp as usize;
        let freed = take_record("IoFreeIrp", Irp, |record| {
            require_own("IoFreeIrp", address, record, io_violation::FREED_WHILE_IN_USE);
            if !record.allocated {
                bugcheck!(
                    BAD_POOL_CALLER(0x46, address, 0, 0),
                    [record],
                    "IoFreeIrp was called for an IRP that was built in place by IoInitializeIrp"
                )
            }
        });
        if let Some(mut record) = freed {
            let told = record.step(IrpStep::Freed);
            let replaced = FREED.lock().insert(address, record);
            drop(replaced);
            told.tell(address);
        }
        if let Some(block) = pool::take(address, |block| block.usage() == Use::Irp) {
            IRPS.down();
            // Another call in flight may use memory inside the IRP.
            if IN_FLIGHT.load(Ordering::SeqCst) > 0 {
                check_overlap(&block.range(), &block);
            }
            pool::release(block, "IoFreeIrp");
        }
    }
}

export! {
    /// Cancels an IRP; returns whether it called a cancel routine.
    fn IoCancelIrp(Irp: *mut IRP) -> u8, at most DISPATCH_LEVEL {
        let address = Irp as usize;
        let told = with_record("IoCancelIrp", Irp, |record| record.step(IrpStep::CancelRequested));
        told.tell(address);
        let level = spinlock::acquire_cancel();
        // SAFETY: the IRP has a record; the driver that calls keeps it alive, whoever owns it.
        unsafe {
            AtomicU8::from_ptr(&raw mut (*Irp).Cancel).store(1, Ordering::SeqCst);
            if !wsk::ignores_cancel()
                && let Some(routine) = set_cancel_routine(Irp, None)
            {
                (*Irp).CancelIrql = level;
                // The routine releases the lock.
                routine(device_of(Irp), Irp);
                return 1;
            }
        }
        spinlock::release_cancel(level);
        0
    }
}

/// Whether the IRP was cancelled.
///
/// # Safety
///
/// `irp` is alive.
pub(crate) unsafe fn cancel_requested(irp: *mut IRP) -> bool {
    // SAFETY: the caller says so.
    unsafe { AtomicU8::from_ptr(&raw mut (*irp).Cancel) }.load(Ordering::SeqCst) != 0
}

/// The IRQL that a cancel routine has to return to.
///
/// # Safety
///
/// `irp` is alive and its cancel routine is being called.
pub(crate) unsafe fn cancel_irql(irp: *mut IRP) -> u8 {
    // SAFETY: the caller says so.
    unsafe { (*irp).CancelIrql }
}

/// Stores a pointer in an IRP that belongs to the provider, where drivers store theirs.
///
/// # Safety
///
/// `irp` is in flight and belongs to the caller.
pub(crate) unsafe fn set_driver_context(irp: *mut IRP, context: *const c_void) {
    // SAFETY: the caller says so.
    unsafe { (*irp).Tail.Overlay.Anonymous1.DriverContext[0] = context.cast_mut() };
}

/// The pointer that [`set_driver_context`] has stored.
///
/// # Safety
///
/// As for [`set_driver_context`].
pub(crate) unsafe fn driver_context(irp: *mut IRP) -> *const c_void {
    // SAFETY: the caller says so.
    unsafe { (*irp).Tail.Overlay.Anonymous1.DriverContext[0] }
}

/// An entry of a driver's table of dispatch routines.
type DispatchRoutine = Option<unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS>;

export! {
    /// Sends an IRP to the driver of a device.
    fn IofCallDriver(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS, at most DISPATCH_LEVEL {
        let address = Irp as usize;
        // SAFETY: the driver gives a device object, if any.
        let driver = unsafe {
            if DeviceObject.is_null() || (*DeviceObject).Type != IO_TYPE_DEVICE as i16 {
                ptr::null_mut()
            } else {
                (*DeviceObject).DriverObject
            }
        };
        if driver.is_null() {
            bugcheck!(
                DRIVER_VERIFIER_IOMANAGER_VIOLATION(0x04, DeviceObject as usize, 0, 0),
                [story(Irp)],
                "IoCallDriver was given something that isn't a device object of a driver"
            )
        }
        let (routine, told) = with_record("IoCallDriver", Irp, |record| {
            require_unused("IoCallDriver", address, record);
            // SAFETY: the IRP has a record, so it is alive; the stack location is one of its own.
            let routine = unsafe {
                require_location("IoCallDriver", Irp, record);
                let location = advance(Irp);
                (*location).DeviceObject = DeviceObject;
                let routines = (&raw const (*driver).MajorFunction).cast::<DispatchRoutine>();
                routines.add(usize::from((*location).MajorFunction)).read()
            };
            record.generation += 1;
            record.state = State::Sent;
            (routine, record.step(IrpStep::Started("IoCallDriver")))
        });
        told.tell(address);
        let Some(routine) = routine else {
            bugcheck!(
                DRIVER_VERIFIER_IOMANAGER_VIOLATION(0x04, DeviceObject as usize, address, 0),
                [story(Irp)],
                "IoCallDriver reached a driver without a dispatch routine for the major function"
            )
        };
        let level = irql::current();
        // SAFETY: the driver of the device takes the IRP.
        let status = unsafe { routine(DeviceObject, Irp) };
        if irql::current() != level {
            bugcheck!(
                DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                    0x05,
                    DeviceObject as usize,
                    usize::from(level),
                    usize::from(irql::current())
                ),
                [],
                "a dispatch routine returned at another IRQL than it was called at"
            )
        }
        status
    }
}
