//! The memory that drivers allocate, with the suspicion of Driver Verifier's special pool: guards on both sides, poison in
//! what is new and in what was freed, and a record of each block. Stands for `ExAllocatePoolWithTag` and its kin.

use core::ffi::c_void;
use core::fmt::{self, Display};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use wsk_sys::POOL_TYPE;

use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Resource};
use crate::irql::{self, APC_LEVEL};
use crate::origin::Origin;
use crate::{irp, kernel, mdl};

/// Bytes before and after each block that must stay as they are.
const GUARD: usize = 32;
const GUARD_BYTE: u8 = 0xFD;
/// What fresh memory is filled with, where the routine doesn't zero it.
const FRESH_BYTE: u8 = 0xCD;
/// What freed memory is filled with while it waits in quarantine.
const FREED_BYTE: u8 = 0xDD;
/// Freed memory stays in quarantine until this much of it has gathered.
const QUARANTINE_BYTES: usize = 4 << 20;

pub(crate) const PAGE_SIZE: usize = 4096;

/// What a block is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// The driver's own, from nonpaged pool.
    Nonpaged,
    /// The driver's own, from paged pool.
    Paged,
    /// An IRP of `IoAllocateIrp`.
    Irp,
    /// An MDL of `IoAllocateMdl`.
    Mdl,
    /// Data that the provider indicates to the driver.
    Indication,
    /// An address that the provider has found for the driver.
    AddressInfo,
}

/// An allocated, or lately freed, block.
pub(crate) struct Block {
    address: usize,
    length: usize,
    layout: Layout,
    /// Offset of the block in its allocation.
    lead: usize,
    tag: u32,
    usage: Use,
    origin: Origin,
    freed: Option<Origin>,
}

impl Block {
    pub(crate) fn range(&self) -> core::ops::Range<usize> {
        self.address..self.address + self.length
    }

    pub(crate) fn usage(&self) -> Use {
        self.usage
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.usage {
            Use::Nonpaged => "nonpaged pool",
            Use::Paged => "paged pool",
            Use::Irp => "IRP",
            Use::Mdl => "MDL",
            Use::Indication => "indication",
            Use::AddressInfo => "result of WskGetAddressInfo",
        };
        write!(f, "{kind} at {:#x}, {} bytes", self.address, self.length)?;
        if matches!(self.usage, Use::Nonpaged | Use::Paged) {
            write!(f, ", tag '{}'", PoolTag(self.tag))?;
        }
        write!(f, "\n    allocated by {}", self.origin)?;
        if let Some(freed) = &self.freed {
            write!(f, "    freed by {freed}")?;
        }
        Ok(())
    }
}

/// A pool tag, shown as its four characters.
struct PoolTag(u32);

impl Display for PoolTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.to_le_bytes() {
            let shown = if byte.is_ascii_graphic() || byte == b' ' {
                char::from(byte)
            } else {
                '.'
            };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

struct Pool {
    live: BTreeMap<usize, Block>,
    quarantine: BTreeMap<usize, Block>,
    /// The addresses in quarantine, oldest first.
    order: VecDeque<usize>,
    quarantined: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    live: BTreeMap::new(),
    quarantine: BTreeMap::new(),
    order: VecDeque::new(),
    quarantined: 0,
});

/// How many of something there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Now.
    pub live: u64,
    /// Since the kernel was booted.
    pub total: u64,
}

/// A [`Count`] that many processors change.
pub(crate) struct Counter {
    made: AtomicU64,
    gone: AtomicU64,
}

impl Counter {
    pub(crate) const fn new() -> Self {
        Self {
            made: AtomicU64::new(0),
            gone: AtomicU64::new(0),
        }
    }

    pub(crate) fn up(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn down(&self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> Count {
        let gone = self.gone.load(Ordering::Relaxed);
        let total = self.made.load(Ordering::Relaxed);
        Count {
            live: total.saturating_sub(gone),
            total,
        }
    }

    pub(crate) fn reset(&self) {
        self.made.store(0, Ordering::Relaxed);
        self.gone.store(0, Ordering::Relaxed);
    }
}

/// Blocks of the driver's own.
pub(crate) static BLOCKS: Counter = Counter::new();

/// Allocates a block. Memory is that of the host; `None` when it has no more.
pub(crate) fn allocate(
    length: usize,
    tag: u32,
    usage: Use,
    zeroed: bool,
    origin: Origin,
) -> Option<*mut u8> {
    // Blocks of a page or more start on a page, others on 16 bytes, as in NT.
    let alignment = if length >= PAGE_SIZE { PAGE_SIZE } else { 16 };
    let lead = GUARD.max(alignment);
    let layout =
        Layout::from_size_align(length.checked_add(lead)?.checked_add(GUARD)?, alignment).ok()?;
    // SAFETY: the size isn't zero: it includes the guards.
    let base = unsafe { alloc(layout) };
    if base.is_null() {
        return None;
    }
    // SAFETY: the allocation has `lead + length + GUARD` bytes.
    let block = unsafe {
        base.write_bytes(GUARD_BYTE, lead);
        let block = base.add(lead);
        block.write_bytes(if zeroed { 0 } else { FRESH_BYTE }, length);
        block.add(length).write_bytes(GUARD_BYTE, GUARD);
        block
    };
    let address = block as usize;
    let record = Block {
        address,
        length,
        layout,
        lead,
        tag,
        usage,
        origin,
        freed: None,
    };
    POOL.lock().live.insert(address, record);
    Some(block)
}

/// Frees a block whose record was taken out of the pool with [`take`]: poisons it and puts it in quarantine.
pub(crate) fn release(mut block: Block, function: &'static str) {
    if let Some(offset) = damaged_guard(&block) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WRITTEN_PAST_END,
                block.address,
                block.address.wrapping_add_signed(offset),
                block.length
            ),
            [block],
            "memory next to a block was written: {offset} bytes from its start, in a block of {} bytes",
            block.length
        )
    }
    block.freed = Some(Origin::here(function));
    // SAFETY: the block is allocated until `dispose`.
    unsafe { (block.address as *mut u8).write_bytes(FREED_BYTE, block.length) };
    let mut evicted = Vec::new();
    {
        let mut pool = POOL.lock();
        pool.quarantined += block.length;
        pool.order.push_back(block.address);
        pool.quarantine.insert(block.address, block);
        while pool.quarantined > QUARANTINE_BYTES {
            let Some(oldest) = pool.order.pop_front() else {
                break;
            };
            if let Some(block) = pool.quarantine.remove(&oldest) {
                pool.quarantined -= block.length;
                evicted.push(block);
            }
        }
    }
    evicted.iter().for_each(dispose);
}

/// Gives a quarantined block back to the host, after a look whether it was written since it was freed.
fn dispose(block: &Block) {
    check_poison(block);
    // SAFETY: the block was allocated with this layout, `lead` bytes into it, and leaves the records here.
    unsafe { dealloc((block.address as *mut u8).sub(block.lead), block.layout) };
}

fn check_poison(block: &Block) {
    // SAFETY: quarantined blocks are still allocated.
    let bytes = unsafe { core::slice::from_raw_parts(block.address as *const u8, block.length) };
    if let Some(offset) = bytes.iter().position(|&byte| byte != FREED_BYTE) {
        bugcheck!(
            SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION(
                block.address,
                block.address + offset,
                block.length,
                0x22
            ),
            [block],
            "memory was written after it was freed, {offset} bytes from its start"
        )
    }
}

/// Offset from the block's start of a guard byte that was written.
fn damaged_guard(block: &Block) -> Option<isize> {
    // SAFETY: the allocation has `lead` bytes before the block and `GUARD` bytes after it.
    let (before, after) = unsafe {
        let start = block.address as *const u8;
        (
            core::slice::from_raw_parts(start.sub(block.lead), block.lead),
            core::slice::from_raw_parts(start.add(block.length), GUARD),
        )
    };
    if let Some(offset) = after.iter().position(|&byte| byte != GUARD_BYTE) {
        return Some((block.length + offset).cast_signed());
    }
    before
        .iter()
        .rposition(|&byte| byte != GUARD_BYTE)
        .map(|offset| offset.cast_signed() - block.lead.cast_signed())
}

/// Takes the record of the block that starts at `address`, when `usage` allows it.
pub(crate) fn take(address: usize, allowed: impl FnOnce(&Block) -> bool) -> Option<Block> {
    let mut pool = POOL.lock();
    if pool.live.get(&address).is_some_and(allowed) {
        pool.live.remove(&address)
    } else {
        None
    }
}

/// Calls `look` with the live block that `address` lies in.
pub(crate) fn containing<R>(address: usize, look: impl FnOnce(&Block) -> R) -> Option<R> {
    holding(&POOL.lock().live, address).map(look)
}

fn holding(blocks: &BTreeMap<usize, Block>, address: usize) -> Option<&Block> {
    let (_, block) = blocks.range(..=address).next_back()?;
    block.range().contains(&address).then_some(block)
}

/// What is known of `address`, for a report.
pub(crate) fn story(address: usize) -> String {
    let pool = POOL.lock();
    if let Some(block) = holding(&pool.live, address) {
        return format!("{address:#x} lies in {block}");
    }
    match holding(&pool.quarantine, address) {
        Some(block) => format!("{address:#x} lies in freed {block}"),
        None => format!("{address:#x} was never allocated from this kernel, or was freed long ago"),
    }
}

/// Whether `address` lies in memory that was freed lately.
pub(crate) fn was_freed(address: usize) -> bool {
    holding(&POOL.lock().quarantine, address).is_some()
}

/// The live blocks, as lines of a leak report.
pub(crate) fn leaks() -> Vec<String> {
    POOL.lock()
        .live
        .values()
        .map(|block| block.to_string().trim_end().to_owned())
        .collect()
}

/// Checks what is in quarantine and gives it back. Leaked blocks stay allocated: somebody may still use them.
pub(crate) fn reset() {
    let quarantine = {
        let mut pool = POOL.lock();
        pool.live.clear();
        pool.quarantined = 0;
        pool.order.clear();
        core::mem::take(&mut pool.quarantine)
    };
    quarantine.values().for_each(dispose);
    BLOCKS.reset();
}

fn allocate_for_driver(
    function: &'static str,
    paged: bool,
    length: usize,
    tag: u32,
    zeroed: bool,
) -> *mut c_void {
    let level = irql::current();
    if length == 0 {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::ZERO_BYTE_ALLOCATION,
                usize::from(level),
                usize::from(paged),
                0
            ),
            [],
            "{function} was asked for zero bytes"
        )
    }
    if tag == 0 {
        bugcheck!(
            BAD_POOL_CALLER(0x9B, usize::from(paged), length, 0),
            [],
            "{function} was called with a tag of zero"
        )
    }
    if paged && level > APC_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::PAGED_ALLOCATION_IRQL,
                usize::from(level),
                1,
                length
            ),
            [],
            "paged pool was allocated above APC_LEVEL"
        )
    }
    if level > irql::DISPATCH_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::NONPAGED_ALLOCATION_IRQL,
                usize::from(level),
                0,
                length
            ),
            [],
            "nonpaged pool was allocated above DISPATCH_LEVEL"
        )
    }
    if faults::strikes(Resource::Pool) {
        return core::ptr::null_mut();
    }
    let usage = if paged { Use::Paged } else { Use::Nonpaged };
    match allocate(length, tag, usage, zeroed, Origin::here(function)) {
        Some(block) => {
            BLOCKS.up();
            block.cast()
        }
        None => core::ptr::null_mut(),
    }
}

fn free_for_driver(function: &'static str, address: usize, tag: u32) {
    let Some(block) = take(address, |block| {
        matches!(block.usage, Use::Nonpaged | Use::Paged)
    }) else {
        bad_free(function, address);
    };
    let level = irql::current();
    if block.usage == Use::Paged && level > APC_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::PAGED_FREE_IRQL,
                usize::from(level),
                1,
                address
            ),
            [block],
            "paged pool was freed above APC_LEVEL"
        )
    }
    if tag != 0 && tag != block.tag {
        bugcheck!(
            BAD_POOL_CALLER(0x0A, address, block.tag as usize, tag as usize),
            [block],
            "pool with tag '{}' was freed with tag '{}'",
            PoolTag(block.tag),
            PoolTag(tag)
        )
    }
    irp::memory_freed(&block);
    mdl::memory_freed(&block);
    BLOCKS.down();
    release(block, function);
}

#[cold]
fn bad_free(function: &'static str, address: usize) -> ! {
    let story = story(address);
    match containing(address, |block| (block.address == address, block.usage)) {
        Some((true, Use::Irp)) => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::POOL_FREE_OF_IRP, address, 0, 0),
            [story],
            "{function} was called for an IRP of IoAllocateIrp, which IoFreeIrp frees"
        ),
        Some((true, usage)) => bugcheck!(
            BAD_POOL_CALLER(0x46, address, 0, 0),
            [story],
            "{function} was called for {}",
            match usage {
                Use::Mdl => "an MDL of IoAllocateMdl, which IoFreeMdl frees",
                Use::AddressInfo => "a result of WskGetAddressInfo, which WskFreeAddressInfo frees",
                _ => "an indication, which WskRelease releases",
            }
        ),
        Some((false, _)) => bugcheck!(
            BAD_POOL_CALLER(0x46, address, 0, 0),
            [story],
            "{function} was called for an address inside a block instead of its start"
        ),
        None if was_freed(address) => bugcheck!(
            BAD_POOL_CALLER(0x07, 0, 0, address),
            [story],
            "{function} was called for memory that is freed already"
        ),
        None => bugcheck!(
            BAD_POOL_CALLER(0x42, address, 0, 0),
            [story],
            "{function} was called for an address that was never in any pool"
        ),
    }
}

export! {
    /// Allocates pool memory.
    fn ExAllocatePoolWithTag(PoolType: POOL_TYPE, NumberOfBytes: usize, Tag: u32) -> *mut c_void, at most DISPATCH_LEVEL {
        // The lowest bit tells paged from nonpaged, whatever the variant; all else are alignments and protections.
        allocate_for_driver(
            "ExAllocatePoolWithTag",
            PoolType.0 & 1 != 0,
            NumberOfBytes,
            Tag,
            false,
        )
    }
}

/// Bits of `POOL_FLAGS`.
const POOL_FLAG_UNINITIALIZED: u64 = 0x02;
const POOL_FLAG_NON_PAGED: u64 = 0x40;
const POOL_FLAG_NON_PAGED_EXECUTE: u64 = 0x80;
const POOL_FLAG_PAGED: u64 = 0x100;

export! {
    /// Allocates pool memory, zeroed unless told otherwise. Windows has it since 10.0.19041.
    fn ExAllocatePool2(Flags: u64, NumberOfBytes: usize, Tag: u32) -> *mut c_void, at most DISPATCH_LEVEL {
        let (major, minor, build) = kernel::windows_version();
        if (major, minor, build) < (10, 0, 19041) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, build as usize, 0, 0),
                [],
                "ExAllocatePool2 is no export of Windows {major}.{minor}.{build}: a driver that imports it doesn't load there"
            )
        }
        let kinds = Flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_PAGED);
        if kinds.count_ones() != 1 {
            // Documented: exactly one of them has to be given.
            return core::ptr::null_mut();
        }
        allocate_for_driver(
            "ExAllocatePool2",
            kinds == POOL_FLAG_PAGED,
            NumberOfBytes,
            Tag,
            Flags & POOL_FLAG_UNINITIALIZED == 0,
        )
    }
}

export! {
    /// Frees pool memory; the tag has to be the one that it was allocated with.
    fn ExFreePoolWithTag(P: *mut c_void, Tag: u32), at most DISPATCH_LEVEL {
        free_for_driver("ExFreePoolWithTag", P as usize, Tag);
    }
}

export! {
    /// Frees pool memory.
    fn ExFreePool(P: *mut c_void), at most DISPATCH_LEVEL {
        free_for_driver("ExFreePool", P as usize, 0);
    }
}
