//! The memory that a call uses until its IRP is completed: the IRP, the MDL chain, the described data, and the buffers that the
//! documentation names. Stops a driver that frees, unlocks, rebuilds or writes any of it before.

use core::fmt::{self, Display};
use core::ops::Range;

use wsk_sys::{MDL, WSK_BUF};

use crate::bugcheck::{BugCheckCode, bugcheck, violation};
use crate::overlap::{self, Call, Conflict, Direction};
use crate::pool::{self, paging};
use crate::{address_space, mdl, range, stack_places};

/// Memory that must stay valid until the call completes.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) range: Range<usize>,
    pub(crate) what: &'static str,
}

/// Detects a linked list of the driver's that runs in a circle (Brent's algorithm).
#[derive(Default)]
pub(crate) struct Circle {
    /// The element to compare with: the latest whose position is a power of two.
    mark: usize,
    seen: usize,
}

impl Circle {
    /// Takes the next element of the list. Returns whether the list has come back to the mark.
    pub(crate) fn closes(&mut self, place: usize) -> bool {
        let back = self.seen > 0 && place == self.mark;
        self.seen += 1;
        if self.seen.is_power_of_two() {
            self.mark = place;
        }
        back
    }
}

/// The name of memory that MDLs describe.
const DATA: &str = "data";

/// The state of an MDL when a call took it.
struct Snapshot {
    mdl: *mut MDL,
    next: usize,
    start: usize,
    offset: u32,
    length: u32,
    flags: i16,
}

impl Snapshot {
    /// # Safety
    ///
    /// `mdl` is readable.
    unsafe fn take(mdl: *mut MDL) -> Self {
        // SAFETY: the caller says so.
        let now = unsafe { mdl.read() };
        Self {
            mdl,
            next: now.Next as usize,
            start: now.StartVa as usize,
            offset: now.ByteOffset,
            length: now.ByteCount,
            // Mapping is no change: a driver may map an MDL that is in use.
            flags: now.MdlFlags & !mdl::MAPPING_FLAGS,
        }
    }

    fn difference(&self, now: &Self) -> Option<&'static str> {
        if self.next != now.next {
            Some("its Next")
        } else if self.start != now.start || self.offset != now.offset {
            Some("the start of its buffer")
        } else if self.length != now.length {
            Some("its ByteCount")
        } else if self.flags != now.flags {
            Some("its MdlFlags")
        } else {
            None
        }
    }
}

/// A call under way.
pub(crate) struct Flight {
    pub(crate) function: &'static str,
    /// The memory that the call sends or receives into: data and control information.
    contents: Vec<Span>,
    direction: Direction,
    /// All other memory that must stay valid: the IRP, output parameters, lists.
    places: Vec<Span>,
    chain: Vec<Snapshot>,
    /// The checksum of the contents, from the moment on when the driver must not write them.
    frozen: Option<u64>,
    /// Whether the memory other than the data may be paged.
    pageable: bool,
}

// SAFETY: the pointers are only read through, and only while the call that the flight describes owns what they point at.
unsafe impl Send for Flight {}
// SAFETY: through `&Flight` the pointers are only read through, as for `Send`, and nothing of it changes.
unsafe impl Sync for Flight {}

impl Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in flight: {}", self.function)?;
        for Span { range, what } in self.contents.iter().chain(&self.places) {
            write!(
                f,
                "\n    {what} at {:#x}, {} bytes",
                range.start,
                range.len()
            )?;
        }
        for snapshot in &self.chain {
            write!(
                f,
                "\n    MDL at {:p}, {} bytes",
                snapshot.mdl, snapshot.length
            )?;
        }
        Ok(())
    }
}

impl Flight {
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            function,
            contents: Vec::new(),
            direction: Direction::Sends,
            places: Vec::new(),
            chain: Vec::new(),
            frozen: None,
            pageable: false,
        }
    }

    /// Adds memory that must stay valid. A null pointer or a length of zero adds nothing.
    pub(crate) fn pin(&mut self, start: usize, length: usize, what: &'static str) {
        if start != 0 && length != 0 {
            self.places.push(Span {
                range: range::of(start, length),
                what,
            });
        }
    }

    /// Adds memory that the call sends, or receives into.
    pub(crate) fn pin_contents(&mut self, start: usize, length: usize, what: &'static str) {
        if start != 0 && length != 0 {
            self.contents.push(Span {
                range: range::of(start, length),
                what,
            });
        }
    }

    /// Adds the memory that `buffer` describes. Stops when the description is wrong.
    ///
    /// # Safety
    ///
    /// `buffer` and its MDL chain are readable.
    pub(crate) unsafe fn pin_buffer(&mut self, buffer: *const WSK_BUF, story: &dyn Display) {
        // SAFETY: the caller says so.
        let (mut mdl, offset, length) =
            unsafe { ((*buffer).Mdl, (*buffer).Offset, (*buffer).Length) };
        let (mut skip, mut left) = (offset as usize, length);
        let mut first = true;
        let mut circle = Circle::default();
        while !mdl.is_null() && (left > 0 || first) {
            if circle.closes(mdl as usize) {
                let why = "its MDL chain runs in a circle";
                bad_buffer(self.function, buffer, offset, length, why, story);
            }
            mdl::require_resident(self.function, mdl);
            // SAFETY: the chain is readable.
            let snapshot = unsafe { Snapshot::take(mdl) };
            let bytes = snapshot.length as usize;
            if first && skip > bytes {
                bad_buffer(
                    self.function,
                    buffer,
                    offset,
                    length,
                    "its Offset lies beyond the first MDL",
                    story,
                );
            }
            let used = (bytes - skip).min(left);
            let start = snapshot.start + snapshot.offset as usize + skip;
            if used > 0 && pool::was_freed(start) {
                bugcheck!(
                    PAGE_FAULT_IN_FREED_SPECIAL_POOL(start, 0, mdl as usize, 0),
                    [mdl::story(mdl), pool::story(start)],
                    "{} was given an MDL over freed memory",
                    self.function
                )
            }
            self.pin_contents(start, used, DATA);
            mdl::hold(mdl);
            mdl = snapshot.next as *mut MDL;
            self.chain.push(snapshot);
            left -= used;
            skip = 0;
            first = false;
        }
        if left > 0 {
            bad_buffer(
                self.function,
                buffer,
                offset,
                length,
                "its Length reaches beyond the MDL chain",
                story,
            );
        }
    }

    /// Notes that the call receives into its buffer. Stops when the pages are locked for reading only.
    pub(crate) fn receive(&mut self) {
        self.direction = Direction::Receives;
        for snapshot in &self.chain {
            if mdl::is_locked_for_reading(snapshot.flags) {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::WSK_CONTRACT,
                        snapshot.mdl as usize,
                        snapshot.flags.cast_unsigned() as usize,
                        0
                    ),
                    [mdl::story(snapshot.mdl)],
                    "{} was given a buffer to receive into whose pages are locked with IoReadAccess",
                    self.function
                )
            }
        }
    }

    /// Stops when memory other than the data lies in paged pool.
    pub(crate) fn require_nonpaged(&self) {
        if !paging::any() || self.pageable {
            return;
        }
        let described = self.contents.iter().filter(|span| span.what != DATA);
        for Span { range, what } in described.chain(&self.places) {
            if address_space::is_paged(range.start) || address_space::is_paged(range.end - 1) {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::PAGED_OBJECT,
                        range.start,
                        range.len(),
                        0
                    ),
                    [pool::story(range.start)],
                    "{} was given {what} in paged pool: the call may be completed at DISPATCH_LEVEL, so it has to be in nonpaged memory",
                    self.function
                )
            }
        }
    }

    /// Allows paged memory besides the data: the call completes at `PASSIVE_LEVEL`.
    pub(crate) fn may_be_paged(&mut self) {
        self.pageable = true;
    }

    /// The described data, piece by piece.
    pub(crate) fn data(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.contents
            .iter()
            .filter(|span| span.what == DATA)
            .map(|span| span.range.clone())
    }

    /// The parts that lie on this thread's stack.
    pub(crate) fn on_the_stack(&self) -> Vec<(usize, &'static str)> {
        let spans = self.contents.iter().chain(&self.places);
        spans
            .map(|span| (span.range.start, span.what))
            .chain(
                self.chain
                    .iter()
                    .map(|snapshot| (snapshot.mdl as usize, "an MDL")),
            )
            .filter(|&(place, _)| stack_places::concerns(place))
            .collect()
    }

    /// Notes a checksum of the contents, which must not change until the call completes.
    pub(crate) fn freeze(&mut self) {
        self.frozen = Some(self.checksum());
    }

    fn checksum(&self) -> u64 {
        let mut sum = 0xCBF2_9CE4_8422_2325_u64;
        for span in &self.contents {
            // SAFETY: pinned memory is readable until the call completes; a driver that frees it is stopped then.
            let bytes = unsafe {
                core::slice::from_raw_parts(span.range.start as *const u8, span.range.len())
            };
            let (words, rest) = bytes.as_chunks::<8>();
            for word in words {
                sum = (sum ^ u64::from_le_bytes(*word))
                    .wrapping_mul(0x0000_0100_0000_01B3)
                    .rotate_left(23);
            }
            for &byte in rest {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        }
        sum
    }

    /// The first pinned memory, or MDL, that lies in `range`.
    pub(crate) fn overlap(&self, range: &Range<usize>) -> Option<&'static str> {
        let mut spans = self.contents.iter().chain(&self.places);
        let span = spans.find(|span| range::overlap(&span.range, range));
        span.map(|span| span.what).or_else(|| {
            let mdl = |snapshot: &Snapshot| range::of(snapshot.mdl as usize, size_of::<MDL>());
            let mut mdls = self.chain.iter().map(mdl);
            mdls.any(|mdl| range::overlap(&mdl, range))
                .then_some("an MDL")
        })
    }

    /// Begins the flight of an IRP: notes the bytes that the call sends or receives into, unless another call in flight uses them.
    pub(crate) fn take_off(&self, irp: usize) -> Result<(), Conflict> {
        let call = Call {
            irp,
            function: self.function,
            direction: self.direction,
        };
        overlap::take_off(call, self.contents.iter().map(|span| &span.range))
    }

    /// Ends the flight of an IRP and releases its bytes and MDLs. Stops when the driver has changed them meanwhile.
    pub(crate) fn land(self, irp: usize, story: &dyn Display) {
        overlap::land(irp, self.contents.iter().map(|span| span.range.start));
        for snapshot in &self.chain {
            // SAFETY: MDLs in flight are readable: freeing one stops the system.
            let now = unsafe { Snapshot::take(snapshot.mdl) };
            if let Some(difference) = snapshot.difference(&now) {
                let Self { function, .. } = self;
                bugcheck!(
                    PFN_LIST_CORRUPT(0x99, snapshot.mdl as usize, 0, 0),
                    [story, self, mdl::story(snapshot.mdl)],
                    "an MDL was changed ({difference}) while {function} was using it"
                )
            }
            mdl::let_go(snapshot.mdl);
        }
        if let (Some(before), Some(first)) = (self.frozen, self.contents.first())
            && self.checksum() != before
        {
            crate::bugcheck::stop(
                BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
                [
                    violation::WSK_CONTRACT,
                    first.range.start,
                    first.range.len(),
                    0,
                ],
                &format_args!(
                    "the data or control information of {} was written before the IRP was completed",
                    self.function
                ),
                &[story, &self],
            );
        }
    }
}

#[cold]
fn bad_buffer(
    function: &str,
    buffer: *const WSK_BUF,
    offset: u32,
    length: usize,
    why: &str,
    story: &dyn Display,
) -> ! {
    crate::bugcheck::stop(
        BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [
            violation::WSK_CONTRACT,
            buffer as usize,
            offset as usize,
            length,
        ],
        &format_args!(
            "{function} was given a WSK_BUF (Offset {offset}, Length {length}) that its MDL chain can't hold: {why}"
        ),
        &[story],
    )
}
