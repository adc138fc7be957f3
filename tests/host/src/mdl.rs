//! Memory descriptor lists. Stands for `IoAllocateMdl`, `MmBuildMdlForNonPagedPool`, `MmProbeAndLockPages` and their kin.
//!
//! Kernel and user share one address space here, so mapping an MDL gives the address that the buffer has anyway. All flags are kept
//! and enforced as in the memory manager.

use core::ffi::c_void;
use core::fmt::{self, Display};
use core::ops::Range;
use core::ptr;

use wsk_sys::{
    IRP, LOCK_OPERATION, MDL, MDL_ALLOCATED_FIXED_SIZE, MDL_IO_SPACE, MDL_MAPPED_TO_SYSTEM_VA,
    MDL_PAGES_LOCKED, MDL_PARENT_MAPPED_SYSTEM_VA, MDL_PARTIAL, MDL_PARTIAL_HAS_BEEN_MAPPED,
    MDL_SOURCE_IS_NONPAGED_POOL, MDL_WRITE_OPERATION, MEMORY_CACHING_TYPE, NTSTATUS,
    STATUS_ACCESS_VIOLATION, STATUS_SUCCESS, STATUS_WORKING_SET_QUOTA,
};

use crate::address_space;
use crate::bugcheck::{bugcheck, violation};
use crate::exceptions;
use crate::faults::{self, Resource};
use crate::irp;
use crate::irql::{self, APC_LEVEL};
use crate::origin::{Origin, Whose};
use crate::pool::{self, Block, Counter, PAGE_SIZE, Use, paging};
use crate::range;
use crate::table::Table;

const MAPPED: i16 = MDL_MAPPED_TO_SYSTEM_VA as i16;
const LOCKED: i16 = MDL_PAGES_LOCKED as i16;
const NONPAGED: i16 = MDL_SOURCE_IS_NONPAGED_POOL as i16;
const FIXED_SIZE: i16 = MDL_ALLOCATED_FIXED_SIZE as i16;
const PARTIAL: i16 = MDL_PARTIAL as i16;
const PARTIAL_MAPPED: i16 = MDL_PARTIAL_HAS_BEEN_MAPPED as i16;
const PARENT_MAPPED: i16 = MDL_PARENT_MAPPED_SYSTEM_VA as i16;
const WRITE: i16 = MDL_WRITE_OPERATION as i16;
const IO_SPACE: i16 = MDL_IO_SPACE as i16;
/// Flags that mapping an MDL changes.
pub(crate) const MAPPING_FLAGS: i16 = MAPPED | PARTIAL_MAPPED;

/// MDLs of `IoAllocateMdl`.
pub(crate) static MDLS: Counter = Counter::new();
static RECORDS: Table<Record> = Table::new();

/// The host kernel's record of an MDL.
#[derive(Default)]
struct Record {
    /// The number of calls in flight that use the MDL.
    held: u32,
    /// The place where its pages were locked.
    locked: Option<Origin>,
    /// The pages, while they are locked.
    pages: Range<usize>,
    /// For a partial MDL: the MDL that has locked its pages.
    source: Option<usize>,
}

/// Stops when a call in flight uses the pages of this MDL through a partial MDL.
fn require_no_part_held(function: &str, mdl: *mut MDL) {
    let held = RECORDS.find(|address, record| {
        (record.source == Some(mdl as usize) && record.held > 0).then_some(address)
    });
    if let Some(part) = held {
        bugcheck!(
            PFN_LIST_CORRUPT(0x99, mdl as usize, part, 0),
            [story(mdl), story(part as *mut MDL)],
            "{function} was called for an MDL whose pages a call in flight is using through a partial MDL"
        )
    }
}

/// Stops when the pages of a partial MDL were unlocked by the MDL that it was built from.
fn require_source_locked(function: &str, mdl: *mut MDL) {
    let source = RECORDS
        .lock(mdl as usize)
        .get(mdl as usize)
        .and_then(|record| record.source);
    let Some(source) = source else { return };
    let locked = RECORDS
        .lock(source)
        .get(source)
        .is_some_and(|record| record.locked.is_some());
    if !locked {
        bugcheck!(
            PFN_LIST_CORRUPT(0x99, mdl as usize, source, 0),
            [story(mdl), pool::story(source)],
            "{function} was given a partial MDL whose pages were unlocked: the MDL at {source:#x}, which it was built from, had locked them"
        )
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls in flight that use the MDL: {}", self.held)?;
        if let Some(locked) = &self.locked {
            write!(f, "\n    pages locked by {locked}")?;
        }
        Ok(())
    }
}

/// Describes an MDL for a report.
pub(crate) fn story(mdl: *mut MDL) -> String {
    let address = mdl as usize;
    let known = RECORDS
        .lock(address)
        .get(address)
        .map_or_else(String::new, |record| record.to_string());
    format!("MDL at {address:#x}; {}\n{known}", pool::story(address))
}

/// Whether an MDL with these flags describes pages that must not be written.
pub(crate) fn is_locked_for_reading(flags: i16) -> bool {
    flags & (LOCKED | NONPAGED | WRITE) == LOCKED
}

fn pages(start: usize, length: usize) -> usize {
    (start % PAGE_SIZE)
        .saturating_add(length)
        .div_ceil(PAGE_SIZE)
}

/// The bytes that an MDL for `length` bytes at `start` takes, page numbers included.
fn size_of_mdl(start: usize, length: usize) -> usize {
    size_of::<MDL>() + pages(start, length) * size_of::<usize>()
}

/// The bytes that an MDL describes.
///
/// # Safety
///
/// `mdl` is readable.
unsafe fn buffer(mdl: *mut MDL) -> Range<usize> {
    // SAFETY: the caller says so.
    unsafe {
        let start = (*mdl).StartVa as usize + (*mdl).ByteOffset as usize;
        range::of(start, (*mdl).ByteCount as usize)
    }
}

/// Writes the page numbers behind an MDL.
///
/// # Safety
///
/// `mdl` is writable together with the page numbers that belong to it.
unsafe fn fill_page_numbers(mdl: *mut MDL) {
    // SAFETY: the caller says so.
    unsafe {
        let first = (*mdl).StartVa as usize / PAGE_SIZE;
        let numbers = mdl.add(1).cast::<usize>();
        for index in 0..pages((*mdl).ByteOffset as usize, (*mdl).ByteCount as usize) {
            numbers.add(index).write(first + index);
        }
    }
}

/// A call in flight starts to use an MDL.
pub(crate) fn hold(mdl: *mut MDL) {
    RECORDS
        .lock(mdl as usize)
        .get_or_insert_with(mdl as usize, Record::default)
        .held += 1;
}

/// A call in flight is done with an MDL.
pub(crate) fn let_go(mdl: *mut MDL) {
    let mut locked = RECORDS.lock(mdl as usize);
    if let Some(record) = locked.get(mdl as usize) {
        record.held -= 1;
        if record.held == 0 && record.locked.is_none() && record.source.is_none() {
            let _ = locked.remove(mdl as usize);
        }
    }
}

/// Stops when a call in flight uses the MDL.
fn require_not_held(function: &str, mdl: *mut MDL) {
    let held = RECORDS
        .lock(mdl as usize)
        .get(mdl as usize)
        .map_or(0, |record| record.held);
    if held > 0 {
        bugcheck!(
            PFN_LIST_CORRUPT(0x99, mdl as usize, held as usize, 0),
            [story(mdl)],
            "{function} was called for an MDL that a call in flight is using"
        )
    }
}

/// Stops when the pages of an MDL are neither locked nor nonpaged.
pub(crate) fn require_resident(function: &str, mdl: *mut MDL) {
    // SAFETY: the driver gives the MDL. One that is freed can't be read, or stays allocated in quarantine.
    let (flags, offset) = unsafe { ((*mdl).MdlFlags, (*mdl).ByteOffset) };
    // No offset is beyond the first page: this is how the fill pattern of freed memory looks.
    if offset as usize >= PAGE_SIZE && pool::was_freed(mdl as usize) {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(mdl as usize, 0, 0, 0),
            [story(mdl)],
            "{function} was given an MDL that was freed"
        )
    }
    if flags & PARTIAL != 0 {
        require_source_locked(function, mdl);
    }
    if flags & (LOCKED | NONPAGED | IO_SPACE) == 0 {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::MAP_NOT_LOCKED,
                mdl as usize,
                flags.cast_unsigned() as usize,
                (LOCKED | NONPAGED) as usize
            ),
            [story(mdl)],
            "{function} was given an MDL whose pages are neither locked nor described as nonpaged pool"
        )
    }
}

/// Stops when a block is being freed that has locked pages, or holds an MDL in use.
pub(crate) fn memory_freed(block: &Block) {
    let freed = block.range();
    RECORDS.each(|address, record| {
        if record.locked.is_some() && range::overlap(&record.pages, &freed) {
            bugcheck!(
                DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM(freed.start, address, 0, 0),
                [block, record],
                "memory was freed while its pages were locked by the MDL at {address:#x}"
            )
        }
        if freed.contains(&address) && (record.held > 0 || record.locked.is_some()) {
            bugcheck!(
                PFN_LIST_CORRUPT(0x99, address, record.held as usize, 0),
                [block, record],
                "memory was freed that holds an MDL in use"
            )
        }
    });
}

/// MDLs whose pages are still locked, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = Vec::new();
    RECORDS.each(|address, record| {
        let locked = record.locked.as_ref();
        if locked.is_some_and(|locked| whose.is(locked.driver())) {
            lines.push(format!(
                "locked pages of the MDL at {address:#x}\n    {record}"
            ));
        }
    });
    lines
}

/// The number of MDLs that have locked pages.
pub(crate) fn locked_count() -> u64 {
    let mut count = 0;
    RECORDS.each(|_, record| count += u64::from(record.locked.is_some()));
    count
}

/// Forgets every MDL.
pub(crate) fn reset() {
    RECORDS.clear();
    MDLS.reset();
}

export! {
    /// The bytes that an MDL for a buffer takes.
    fn MmSizeOfMdl(Base: *mut c_void, Length: usize) -> usize, at most HIGH_LEVEL {
        size_of_mdl(Base as usize, Length)
    }
}

export! {
    /// Allocates an MDL for a buffer.
    fn IoAllocateMdl(
        VirtualAddress: *mut c_void,
        Length: u32,
        SecondaryBuffer: u8,
        ChargeQuota: u8,
        Irp: *mut IRP,
    ) -> *mut MDL, at most DISPATCH_LEVEL {
        let _ = ChargeQuota;
        let (address, length) = (VirtualAddress as usize, Length as usize);
        let size = size_of_mdl(address, length);
        // The size of an MDL is a CSHORT; larger ones have it cut off and only the system's own kinds need it.
        #[allow(clippy::cast_possible_truncation, reason = "as in NT")]
        let short_size = size as i16;
        if faults::strikes(Resource::Mdl) {
            return ptr::null_mut();
        }
        let Some(memory) = pool::allocate(
            size,
            u32::from_le_bytes(*b"Mdl "),
            Use::Mdl,
            false,
            Origin::here("IoAllocateMdl"),
        ) else {
            return ptr::null_mut();
        };
        let mdl = memory.cast::<MDL>();
        // SAFETY: the block has room for an MDL and belongs to nobody yet.
        unsafe {
            mdl.write(MDL {
                Next: ptr::null_mut(),
                Size: short_size,
                MdlFlags: FIXED_SIZE,
                Process: ptr::null_mut(),
                MappedSystemVa: ptr::without_provenance_mut(usize::MAX),
                StartVa: VirtualAddress.map_addr(|address| address & !(PAGE_SIZE - 1)),
                ByteCount: Length,
                ByteOffset: (address % PAGE_SIZE) as u32,
            });
        }
        MDLS.up();
        if !Irp.is_null() {
            // SAFETY: the driver gives an IRP of its own, whose chain it keeps.
            unsafe {
                if SecondaryBuffer == 0 || (*Irp).MdlAddress.is_null() {
                    (*Irp).MdlAddress = mdl;
                } else {
                    let mut last = (*Irp).MdlAddress;
                    while !(*last).Next.is_null() {
                        last = (*last).Next;
                    }
                    (*last).Next = mdl;
                }
            }
        }
        mdl
    }
}

export! {
    /// Frees an MDL of `IoAllocateMdl`.
    fn IoFreeMdl(Mdl: *mut MDL), at most DISPATCH_LEVEL {
        let address = Mdl as usize;
        require_not_held("IoFreeMdl", Mdl);
        let Some(block) = pool::take(address, |block| block.usage() == Use::Mdl) else {
            if pool::was_freed(address) {
                bugcheck!(
                    BAD_POOL_CALLER(0x07, 0, 0, address),
                    [story(Mdl)],
                    "IoFreeMdl was called for an MDL that is freed already"
                )
            }
            bugcheck!(
                BAD_POOL_CALLER(0x46, address, 0, 0),
                [story(Mdl)],
                "IoFreeMdl was called for something that isn't an MDL of IoAllocateMdl"
            )
        };
        // SAFETY: the block is an MDL and not yet released.
        let flags = unsafe { (*Mdl).MdlFlags };
        // The flags do not tell when the driver has initialised the MDL anew since its pages were locked.
        let record = RECORDS.lock(address).remove(address).unwrap_or_default();
        if (flags & LOCKED != 0 || record.locked.is_some()) && flags & PARTIAL == 0 {
            bugcheck!(
                DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM(0, address, 0, 0),
                [block, record],
                "IoFreeMdl was called for an MDL whose pages are still locked"
            )
        }
        if flags & MAPPED != 0 && flags & PARTIAL_MAPPED == 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::FREE_MAPPED_MDL,
                    address,
                    flags.cast_unsigned() as usize,
                    0
                ),
                [block],
                "IoFreeMdl was called for an MDL whose pages are still mapped"
            )
        }
        MDLS.down();
        pool::release(block, "IoFreeMdl");
    }
}

/// Stops when the target MDL can't describe `part` of the source MDL's buffer.
///
/// # Safety
///
/// Both MDLs are readable.
unsafe fn require_part(source: *mut MDL, target: *mut MDL, part: &Range<usize>) {
    // SAFETY: the caller says so.
    let (described, size, flags) = unsafe { (buffer(source), (*target).Size, (*target).MdlFlags) };
    let length = part.len();
    if part.start < described.start || part.end > described.end {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WSK_CONTRACT,
                source as usize,
                part.start,
                length
            ),
            [story(source), story(target)],
            "IoBuildPartialMdl was asked for {length} bytes at {:#x}, which the source MDL doesn't describe",
            part.start
        )
    }
    let room =
        usize::from(size.cast_unsigned()).saturating_sub(size_of::<MDL>()) / size_of::<usize>();
    let needed = pages(part.start, length);
    if needed > room {
        bugcheck!(
            TARGET_MDL_TOO_SMALL(target as usize, room, needed, 0),
            [story(target)],
            "IoBuildPartialMdl was given a target MDL for fewer pages than the part has"
        )
    }
    if flags & MAPPED != 0 && flags & PARTIAL_MAPPED != 0 {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::FREE_MAPPED_MDL,
                target as usize,
                flags.cast_unsigned() as usize,
                0
            ),
            [story(target)],
            "IoBuildPartialMdl was given a target MDL that is mapped: MmPrepareMdlForReuse comes first, or nobody unmaps it"
        )
    }
}

export! {
    /// Makes an MDL describe a part of the buffer of another one.
    fn IoBuildPartialMdl(
        SourceMdl: *mut MDL,
        TargetMdl: *mut MDL,
        VirtualAddress: *mut c_void,
        Length: u32,
    ), at most DISPATCH_LEVEL {
        require_not_held("IoBuildPartialMdl", TargetMdl);
        // Otherwise the page numbers that are copied mean nothing.
        require_resident("IoBuildPartialMdl", SourceMdl);
        // SAFETY: the driver gives two MDLs, with their page numbers.
        unsafe {
            let wanted = VirtualAddress as usize;
            let length = if Length == 0 {
                buffer(SourceMdl).end.saturating_sub(wanted)
            } else {
                Length as usize
            };
            require_part(SourceMdl, TargetMdl, &range::of(wanted, length));
            let (source_flags, target_flags) = ((*SourceMdl).MdlFlags, (*TargetMdl).MdlFlags);
            let mut flags = target_flags & FIXED_SIZE | PARTIAL;
            flags |= source_flags & (NONPAGED | LOCKED | IO_SPACE | WRITE);
            if source_flags & MAPPED != 0 {
                flags |= PARENT_MAPPED;
            }
            (*TargetMdl).MdlFlags = flags;
            (*TargetMdl).Process = (*SourceMdl).Process;
            (*TargetMdl).StartVa = VirtualAddress.map_addr(|address| address & !(PAGE_SIZE - 1));
            #[allow(
                clippy::cast_possible_truncation,
                reason = "at most the ByteCount of the source"
            )]
            {
                (*TargetMdl).ByteCount = length as u32;
                (*TargetMdl).ByteOffset = (wanted % PAGE_SIZE) as u32;
            }
            if source_flags & (NONPAGED | MAPPED) != 0 {
                (*TargetMdl).MappedSystemVa = VirtualAddress;
            }
            fill_page_numbers(TargetMdl);
            let locker = RECORDS
                .lock(SourceMdl as usize)
                .get(SourceMdl as usize)
                .and_then(|record| match record.locked {
                    Some(_) => Some(SourceMdl as usize),
                    None => record.source,
                });
            let mut locked = RECORDS.lock(TargetMdl as usize);
            locked
                .get_or_insert_with(TargetMdl as usize, Record::default)
                .source = locker;
        }
    }
}

/// Names memory outside of the pool that is known not to be nonpaged.
fn wrong_kind(buffer: &Range<usize>) -> Option<&'static str> {
    if address_space::is_on_stack(buffer.start) {
        Some("the stack")
    } else if address_space::is_in_image(buffer.start) {
        Some("a driver's image")
    } else if address_space::is_accessible(buffer, false) {
        None
    } else {
        Some("memory that isn't there")
    }
}

/// Stops when the buffer of an MDL is known not to be nonpaged.
///
/// # Safety
///
/// `mdl` is readable.
unsafe fn require_nonpaged(mdl: *mut MDL) {
    // SAFETY: the caller says so.
    let (buffer, flags) = unsafe { (buffer(mdl), (*mdl).MdlFlags) };
    let (start, length) = (buffer.start, buffer.len());
    if let Some((usage, end)) = pool::containing(start, |block| (block.usage(), block.range().end))
    {
        if usage == Use::Paged {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::BUILD_FROM_PAGED,
                    usize::from(irql::current()),
                    mdl as usize,
                    flags.cast_unsigned() as usize
                ),
                [story(mdl), pool::story(start)],
                "MmBuildMdlForNonPagedPool was called for an MDL over paged pool"
            )
        }
        if buffer.end > end {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WRITTEN_PAST_END, start, end, length),
                [story(mdl), pool::story(start)],
                "an MDL describes {length} bytes at {start:#x}, which reaches beyond the allocated block"
            )
        }
    } else if pool::was_freed(start) {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(start, 0, mdl as usize, 0),
            [story(mdl), pool::story(start)],
            "MmBuildMdlForNonPagedPool was called for an MDL over freed memory"
        )
    } else if let Some(kind) = wrong_kind(&buffer) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::BUILD_FROM_PAGED,
                usize::from(irql::current()),
                mdl as usize,
                flags.cast_unsigned() as usize
            ),
            [story(mdl)],
            "MmBuildMdlForNonPagedPool was called for an MDL over {kind}, which isn't nonpaged pool: MmProbeAndLockPages is for that"
        )
    }
}

export! {
    /// Fills in an MDL whose buffer is nonpaged.
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: *mut MDL), at most DISPATCH_LEVEL {
        let mdl = MemoryDescriptorList;
        require_not_held("MmBuildMdlForNonPagedPool", mdl);
        // SAFETY: the driver gives an MDL, with its page numbers.
        unsafe {
            let flags = (*mdl).MdlFlags;
            if flags & (LOCKED | MAPPED | PARTIAL) != 0 {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::LOCK_WRONG_FLAGS,
                        mdl as usize,
                        flags.cast_unsigned() as usize,
                        (flags & (LOCKED | MAPPED | PARTIAL)) as usize
                    ),
                    [story(mdl)],
                    "MmBuildMdlForNonPagedPool was called for an MDL that is locked, mapped or partial"
                )
            }
            require_nonpaged(mdl);
            (*mdl).MdlFlags = flags | NONPAGED;
            (*mdl).Process = ptr::null_mut();
            (*mdl).MappedSystemVa = (*mdl).StartVa.byte_add((*mdl).ByteOffset as usize);
            fill_page_numbers(mdl);
        }
    }
}

raising! {
    /// Locks the pages of a buffer in memory.
    fn MmProbeAndLockPages(
        MemoryDescriptorList: *mut MDL,
        AccessMode: i8,
        Operation: LOCK_OPERATION,
    ), at most DISPATCH_LEVEL {
        let _ = AccessMode;
        let caught = exceptions::is_caught();
        if caught && faults::strikes(Resource::Lock) {
            return Err(STATUS_WORKING_SET_QUOTA);
        }
        if !caught && faults::strikes_alone(Resource::Lock) {
            bugcheck!(
                KMODE_EXCEPTION_NOT_HANDLED(
                    STATUS_WORKING_SET_QUOTA.0.cast_unsigned() as usize,
                    0,
                    MemoryDescriptorList as usize,
                    0
                ),
                [story(MemoryDescriptorList)],
                "MmProbeAndLockPages raised STATUS_WORKING_SET_QUOTA, as it does when pages cannot be locked, and nothing caught it"
            )
        }
        // SAFETY: the driver gives an MDL, with its page numbers.
        let locked = unsafe { lock_pages(MemoryDescriptorList, Operation) };
        if let Err(status) = locked
            && !caught
        {
            // SAFETY: the driver gives an MDL, which was just read.
            let buffer = unsafe { buffer(MemoryDescriptorList) };
            bugcheck!(
                KMODE_EXCEPTION_NOT_HANDLED(
                    status.0.cast_unsigned() as usize,
                    0,
                    MemoryDescriptorList as usize,
                    Operation.0 as usize
                ),
                [story(MemoryDescriptorList)],
                "MmProbeAndLockPages raised {status:?} for {} bytes at {:#x}, as it does when memory is absent, or can't be written and Operation asks for that, and nothing caught it",
                buffer.len(),
                buffer.start
            )
        }
        locked
    }
}

export! {
    /// Locks the pages of a buffer, or returns why that is not possible.
    fn TryProbeAndLockPages(
        MemoryDescriptorList: *mut MDL,
        AccessMode: i8,
        Operation: LOCK_OPERATION,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let _ = AccessMode;
        if faults::strikes(Resource::Lock) {
            return STATUS_WORKING_SET_QUOTA;
        }
        // SAFETY: the driver gives an MDL, with its page numbers.
        match unsafe { lock_pages(MemoryDescriptorList, Operation) } {
            Ok(()) => STATUS_SUCCESS,
            Err(status) => status,
        }
    }
}

/// Locks the pages of a buffer.
///
/// # Errors
///
/// `STATUS_ACCESS_VIOLATION` when they aren't there, or can't be written and `operation` says that they will be.
///
/// # Safety
///
/// `mdl` is writable together with the page numbers that belong to it.
unsafe fn lock_pages(mdl: *mut MDL, operation: LOCK_OPERATION) -> Result<(), NTSTATUS> {
    require_not_held("MmProbeAndLockPages", mdl);
    // SAFETY: the caller says so.
    unsafe {
        let flags = (*mdl).MdlFlags;
        let wrong = flags & (LOCKED | MAPPED | PARTIAL | NONPAGED | IO_SPACE);
        if wrong != 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::LOCK_WRONG_FLAGS,
                    mdl as usize,
                    flags.cast_unsigned() as usize,
                    wrong as usize
                ),
                [story(mdl)],
                "MmProbeAndLockPages was called for an MDL that is locked already, or never needs locking (flags {flags:#x})"
            )
        }
        let buffer = buffer(mdl);
        let start = buffer.start;
        if irql::current() > APC_LEVEL
            && pool::containing(start, |block| block.usage() == Use::Paged) == Some(true)
        {
            bugcheck!(
                IRQL_NOT_LESS_OR_EQUAL(start, usize::from(irql::current()), 0, 0),
                [story(mdl), pool::story(start)],
                "MmProbeAndLockPages was called above APC_LEVEL for paged memory"
            )
        }
        if pool::was_freed(start) {
            bugcheck!(
                PAGE_FAULT_IN_FREED_SPECIAL_POOL(start, 0, mdl as usize, 0),
                [story(mdl), pool::story(start)],
                "MmProbeAndLockPages was called for an MDL over freed memory"
            )
        }
        paging::lock(&buffer);
        if !address_space::is_accessible(&buffer, operation != LOCK_OPERATION::IoReadAccess) {
            paging::unlock(&buffer);
            return Err(STATUS_ACCESS_VIOLATION);
        }
        (*mdl).MdlFlags = flags | LOCKED | if operation.0 == 0 { 0 } else { WRITE };
        (*mdl).Process = ptr::null_mut();
        fill_page_numbers(mdl);
        let mut locked = RECORDS.lock(mdl as usize);
        let record = locked.get_or_insert_with(mdl as usize, Record::default);
        record.locked = Some(Origin::here("MmProbeAndLockPages"));
        record.pages = buffer;
    }
    Ok(())
}

export! {
    /// Unlocks the pages of a buffer, and unmaps them if they are mapped.
    fn MmUnlockPages(MemoryDescriptorList: *mut MDL), at most DISPATCH_LEVEL {
        let mdl = MemoryDescriptorList;
        require_not_held("MmUnlockPages", mdl);
        if irp::in_flight_count() > 0 {
            require_no_part_held("MmUnlockPages", mdl);
        }
        // SAFETY: the driver gives an MDL.
        let flags = unsafe { (*mdl).MdlFlags };
        let shown = flags.cast_unsigned() as usize;
        if flags & NONPAGED != 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::UNLOCK_NONPAGED,
                    mdl as usize,
                    shown,
                    0
                ),
                [story(mdl)],
                "MmUnlockPages was called for an MDL over nonpaged pool, which is never locked"
            )
        }
        if flags & PARTIAL != 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::UNLOCK_PARTIAL,
                    mdl as usize,
                    shown,
                    PARTIAL as usize
                ),
                [story(mdl)],
                "MmUnlockPages was called for a partial MDL"
            )
        }
        if flags & LOCKED == 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::UNLOCK_NEVER_LOCKED,
                    mdl as usize,
                    shown,
                    0
                ),
                [story(mdl)],
                "MmUnlockPages was called for an MDL whose pages aren't locked"
            )
        }
        // SAFETY: the driver gives an MDL of its own, which no call in flight uses.
        unsafe { (*mdl).MdlFlags = flags & !(LOCKED | MAPPED | WRITE) };
        let unlocked = RECORDS.lock(mdl as usize).remove(mdl as usize);
        if let Some(record) = unlocked {
            paging::unlock(&record.pages);
        }
    }
}

export! {
    /// Maps the pages of an MDL; returns NULL when there is no room in system space.
    fn MmMapLockedPagesSpecifyCache(
        MemoryDescriptorList: *mut MDL,
        AccessMode: i8,
        CacheType: MEMORY_CACHING_TYPE,
        RequestedAddress: *mut c_void,
        BugCheckOnFailure: u32,
        Priority: u32,
    ) -> *mut c_void, at most DISPATCH_LEVEL {
        let _ = (
            AccessMode,
            CacheType,
            RequestedAddress,
            BugCheckOnFailure,
            Priority,
        );
        let mdl = MemoryDescriptorList;
        // SAFETY: the driver gives an MDL.
        unsafe {
            let flags = (*mdl).MdlFlags;
            let shown = flags.cast_unsigned() as usize;
            if flags & (MAPPED | NONPAGED) != 0 {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::MAP_WRONG_FLAGS,
                        mdl as usize,
                        shown,
                        (flags & (MAPPED | NONPAGED)) as usize
                    ),
                    [story(mdl)],
                    "MmMapLockedPagesSpecifyCache was called for an MDL that is mapped already"
                )
            }
            if flags & (LOCKED | PARTIAL | IO_SPACE) == 0 {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::MAP_NOT_LOCKED,
                        mdl as usize,
                        shown,
                        (LOCKED | PARTIAL) as usize
                    ),
                    [story(mdl)],
                    "MmMapLockedPagesSpecifyCache was called for an MDL whose pages aren't locked"
                )
            }
            if faults::strikes(Resource::Mapping) {
                return ptr::null_mut();
            }
            let mapped = (*mdl).StartVa.byte_add((*mdl).ByteOffset as usize);
            (*mdl).MappedSystemVa = mapped;
            (*mdl).MdlFlags = flags
                | MAPPED
                | if flags & PARTIAL == 0 {
                    0
                } else {
                    PARTIAL_MAPPED
                };
            mapped
        }
    }
}

export! {
    /// Undoes `MmMapLockedPagesSpecifyCache`.
    fn MmUnmapLockedPages(BaseAddress: *mut c_void, MemoryDescriptorList: *mut MDL), at most DISPATCH_LEVEL {
        let mdl = MemoryDescriptorList;
        // SAFETY: the driver gives an MDL.
        unsafe {
            let flags = (*mdl).MdlFlags;
            if flags & MAPPED == 0 || BaseAddress != (*mdl).MappedSystemVa {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::MAP_WRONG_FLAGS,
                        mdl as usize,
                        flags.cast_unsigned() as usize,
                        MAPPED as usize
                    ),
                    [story(mdl)],
                    "MmUnmapLockedPages was called for {BaseAddress:p}, where the MDL isn't mapped"
                )
            }
            (*mdl).MdlFlags = flags & !(MAPPED | PARTIAL_MAPPED);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PAGE_SIZE, pages};

    proptest! {
        #[test]
        fn pages_cover_the_buffer(start in 0_usize..1 << 40, length in 0_usize..1 << 24) {
            let expected = match length {
                0 if start % PAGE_SIZE == 0 => 0,
                0 => 1,
                _ => (start + length - 1) / PAGE_SIZE - start / PAGE_SIZE + 1,
            };
            prop_assert_eq!(pages(start, length), expected);
        }
    }
}
