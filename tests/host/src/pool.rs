//! The memory that drivers allocate, and a record of each block. As suspicious as Driver Verifier's special pool. Stands for
//! `ExAllocatePoolWithTag` and its kin.
//!
//! A block has pages of its own. It ends where they end, the next page is inaccessible, and freeing the block makes its pages
//! inaccessible too. Where that is switched off, or the host has no more pages to give, the block lies in the host's heap, with
//! guards on both sides. Freeing it checks the guards, fills the block with poison and keeps it in quarantine for a while.

mod driver;
pub(crate) mod pages;
pub(crate) mod paging;
mod tools;

use core::fmt::{self, Display};
use core::ops::Range;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use pages::Place;

use crate::bugcheck::{bugcheck, violation};
use crate::origin::{Origin, Whose};

pub(crate) use driver::allow_executable;

/// The number of guard bytes before and after each block. Nobody may change them.
const GUARD: usize = 32;
const GUARD_BYTE: u8 = 0xFD;
/// Fills fresh memory, where the routine doesn't zero it.
const FRESH_BYTE: u8 = 0xCD;
/// Fills freed memory in quarantine, where it stays accessible.
const FREED_BYTE: u8 = 0xDD;
/// The most bytes that the quarantine holds. The oldest blocks leave it first.
const QUARANTINE_BYTES: usize = 16 << 20;

/// Whether blocks get pages of their own.
static PROTECTED: AtomicBool = AtomicBool::new(true);

/// Chooses whether blocks get pages of their own.
pub(crate) fn protect_pages(protect: bool) {
    PROTECTED.store(protect, Ordering::Relaxed);
}

pub(crate) const PAGE_SIZE: usize = 4096;

/// The use of a block.
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
    /// A security descriptor that the provider has cached for the driver.
    SecurityDescriptor,
    /// The `WSK_SOCKET` that a driver gets.
    Socket,
}

/// The memory that a block lies in.
#[derive(Clone, Copy)]
enum Home {
    /// Pages of its own.
    Pages(Place),
    /// The host's heap: `lead` bytes into an allocation of this layout.
    Heap { layout: Layout, lead: usize },
}

/// An allocated, or lately freed, block.
pub(crate) struct Block {
    address: usize,
    length: usize,
    home: Home,
    tag: u32,
    usage: Use,
    origin: Origin,
    freed: Option<Origin>,
}

impl Block {
    pub(crate) fn range(&self) -> Range<usize> {
        self.address..self.address + self.length
    }

    pub(crate) fn usage(&self) -> Use {
        self.usage
    }

    /// The bytes of the block's home before and behind the block.
    fn surroundings(&self) -> [Range<usize>; 2] {
        let end = self.address + self.length;
        match self.home {
            Home::Pages(place) => [place.range().start..self.address, end..place.range().end],
            Home::Heap { lead, .. } => [self.address - lead..self.address, end..end + GUARD],
        }
    }

    /// The block and its surroundings.
    fn home_range(&self) -> Range<usize> {
        let [before, after] = self.surroundings();
        before.start..after.end
    }

    /// The block's own pages, if it has any.
    fn place(&self) -> Option<Place> {
        match self.home {
            Home::Pages(place) => Some(place),
            Home::Heap { .. } => None,
        }
    }

    /// The bytes of memory that the block takes.
    fn footprint(&self) -> usize {
        match self.home {
            Home::Pages(place) => place.range().len(),
            Home::Heap { layout, .. } => layout.size(),
        }
    }

    /// The addresses whose accesses a report attributes to the block.
    fn reach(&self) -> Range<usize> {
        match self.home {
            Home::Pages(place) => place.whole(),
            Home::Heap { .. } => self.range(),
        }
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
            Use::SecurityDescriptor => "cached security descriptor",
            Use::Socket => "socket",
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

/// A bit for each page that has held freed memory, found by a part of the page's number. Where no bit is set, no memory was freed.
static FREED_PAGES: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// The word of [`FREED_PAGES`] for the page that an address lies in, and the page's bit.
fn freed_page(address: usize) -> (&'static AtomicU64, u64) {
    let page = address / PAGE_SIZE;
    (
        &FREED_PAGES[page / 64 % FREED_PAGES.len()],
        1 << (page % 64),
    )
}

/// How many of something there are.
///
/// ```
/// use wsk_host::{Count, Kernel};
///
/// let kernel = Kernel::boot();
/// // ... code that registers with WSK, opens a socket and closes it ...
/// let Count { live, total } = kernel.counts().sockets;
/// assert_eq!((live, total), (0, 0));
/// kernel.shutdown();
/// ```
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

/// Blocks that drivers allocated from the pool.
pub(crate) static BLOCKS: Counter = Counter::new();

/// Allocates a block; `None` when the host has no more memory.
pub(crate) fn allocate(
    length: usize,
    tag: u32,
    usage: Use,
    zeroed: bool,
    origin: Origin,
) -> Option<*mut u8> {
    // Blocks of a page or more start on a page, others on 16 bytes, as in NT.
    let driver_chooses = matches!(usage, Use::Nonpaged | Use::Paged);
    let alignment = if driver_chooses && length >= PAGE_SIZE {
        PAGE_SIZE
    } else {
        16
    };
    let (address, home) = in_pages(length, alignment).or_else(|| in_heap(length, alignment))?;
    let record = Block {
        address,
        length,
        home,
        tag,
        usage,
        origin,
        freed: None,
    };
    let [before, after] = record.surroundings();
    let block = address as *mut u8;
    // SAFETY: the block and its surroundings belong to nobody yet.
    unsafe {
        (before.start as *mut u8).write_bytes(GUARD_BYTE, before.len());
        block.write_bytes(if zeroed { 0 } else { FRESH_BYTE }, length);
        (after.start as *mut u8).write_bytes(GUARD_BYTE, after.len());
    }
    if let Home::Heap { .. } = home {
        tools::forbid(before);
        tools::forbid(after);
    }
    if usage == Use::Paged {
        paging::add(record.place());
    }
    POOL.lock().live.insert(address, record);
    Some(block)
}

/// Room for a block in pages of its own, so that it ends where they end.
fn in_pages(length: usize, alignment: usize) -> Option<(usize, Home)> {
    if !PROTECTED.load(Ordering::Relaxed) {
        return None;
    }
    let place = pages::open(length)?;
    let address = (place.range().end - length) & !(alignment - 1);
    Some((address, Home::Pages(place)))
}

/// Room for a block in the host's heap, with guards.
fn in_heap(length: usize, alignment: usize) -> Option<(usize, Home)> {
    let lead = GUARD.max(alignment);
    let layout =
        Layout::from_size_align(length.checked_add(lead)?.checked_add(GUARD)?, alignment).ok()?;
    // SAFETY: the size isn't zero: it includes the guards.
    let base = unsafe { alloc(layout) };
    (!base.is_null()).then(|| (base as usize + lead, Home::Heap { layout, lead }))
}

/// Frees a block whose record [`take`] took out of the pool: makes it inaccessible, or fills it with poison, and puts it in
/// quarantine.
pub(crate) fn release(mut block: Block, function: &'static str) {
    if block.usage == Use::Paged {
        paging::remove(block.place());
    }
    if let Home::Heap { .. } = block.home {
        block.surroundings().into_iter().for_each(tools::allow);
    }
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
    match block.home {
        Home::Pages(place) => pages::close(place),
        Home::Heap { .. } => {
            // SAFETY: the block is allocated until `dispose`.
            unsafe { (block.address as *mut u8).write_bytes(FREED_BYTE, block.length) };
            tools::forbid(block.home_range());
        }
    }
    for address in block
        .range()
        .step_by(PAGE_SIZE)
        .chain([block.range().end - 1])
    {
        let (pages, bit) = freed_page(address);
        pages.fetch_or(bit, Ordering::Relaxed);
    }
    let mut evicted = Vec::new();
    {
        let mut pool = POOL.lock();
        pool.quarantined += block.footprint();
        pool.order.push_back(block.address);
        pool.quarantine.insert(block.address, block);
        while pool.quarantined > QUARANTINE_BYTES {
            let Some(oldest) = pool.order.pop_front() else {
                break;
            };
            if let Some(block) = pool.quarantine.remove(&oldest) {
                pool.quarantined -= block.footprint();
                evicted.push(block);
            }
        }
    }
    evicted.iter().for_each(dispose);
}

/// Gives a quarantined block back to the host. Checks first that nobody has written to a block of the heap since it was freed.
fn dispose(block: &Block) {
    match block.home {
        Home::Pages(place) => pages::give_back(place),
        Home::Heap { layout, lead } => {
            tools::allow(block.home_range());
            check_poison(block);
            // SAFETY: the block was allocated with this layout, `lead` bytes into it, and leaves the records here.
            unsafe { dealloc((block.address as *mut u8).sub(lead), layout) };
        }
    }
}

fn check_poison(block: &Block) {
    // SAFETY: quarantined blocks of the heap are still allocated.
    let other = unsafe { first_other(block.range(), FREED_BYTE) };
    if let Some(address) = other {
        let offset = address - block.address;
        bugcheck!(
            SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION(block.address, address, block.length, 0x22),
            [block],
            "memory was written after it was freed, {offset} bytes from its start"
        )
    }
}

/// The first address in a range whose byte differs from the given one.
///
/// # Safety
///
/// The range is readable.
unsafe fn first_other(range: Range<usize>, byte: u8) -> Option<usize> {
    // Comparing whole pieces is fast even without optimisation.
    const PIECE: usize = 256;
    let same = [byte; PIECE];
    // SAFETY: the caller says so.
    let bytes = unsafe { core::slice::from_raw_parts(range.start as *const u8, range.len()) };
    let mut start = range.start;
    for piece in bytes.chunks(PIECE) {
        if piece != &same[..piece.len()] {
            let offset = piece.iter().position(|&found| found != byte)?;
            return Some(start + offset);
        }
        start += piece.len();
    }
    None
}

/// The offset from the block's start of a guard byte that was overwritten.
fn damaged_guard(block: &Block) -> Option<isize> {
    let [before, after] = block.surroundings();
    // SAFETY: what surrounds a block belongs to its home, and the block isn't freed yet.
    let damaged =
        unsafe { first_other(after, GUARD_BYTE).or_else(|| first_other(before, GUARD_BYTE)) };
    damaged.map(|address| address.wrapping_sub(block.address).cast_signed())
}

/// Takes the record of the block that starts at `address` out of the pool, if `allowed` agrees.
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

/// Describes `address` for a report.
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
    let (pages, bit) = freed_page(address);
    pages.load(Ordering::Relaxed) & bit != 0 && holding(&POOL.lock().quarantine, address).is_some()
}

/// The pool memory that an access to an inaccessible address has hit.
pub(crate) enum Met {
    /// A block that was freed.
    Freed(String),
    /// The page behind, or before, a block.
    Beyond(String),
}

/// Finds the pool memory that an access to an inaccessible address has hit, with the block's address and length. `None` also when
/// the lock is not free within two seconds: then the thread itself probably holds it.
pub(crate) fn met(address: usize) -> Option<(Met, Range<usize>)> {
    let pool = POOL.try_lock_for(core::time::Duration::from_secs(2))?;
    let reached = |blocks: &BTreeMap<usize, Block>, met: fn(String) -> Met| {
        let near = blocks.range(..=address).next_back();
        near.into_iter()
            .chain(blocks.range(address..).next())
            .find(|(_, block)| block.reach().contains(&address))
            .map(|(_, block)| (met(block.to_string()), block.range()))
    };
    reached(&pool.quarantine, Met::Freed).or_else(|| reached(&pool.live, Met::Beyond))
}

/// The live blocks, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    POOL.lock()
        .live
        .values()
        // Sockets have a line of their own.
        .filter(|block| block.usage != Use::Socket && whose.is(block.origin.driver()))
        .map(|block| block.to_string().trim_end().to_owned())
        .collect()
}

/// Checks the quarantined blocks and gives them back to the host. Leaked blocks stay allocated: somebody may still use them.
pub(crate) fn reset() {
    let quarantine = {
        let mut pool = POOL.lock();
        pool.live.clear();
        pool.quarantined = 0;
        pool.order.clear();
        for pages in &FREED_PAGES {
            pages.store(0, Ordering::Relaxed);
        }
        core::mem::take(&mut pool.quarantine)
    };
    quarantine.values().for_each(dispose);
    paging::reset();
    BLOCKS.reset();
}
