//! The bytes that calls in flight send and receive into. A buffer belongs to the provider until its IRP is completed: a receive into bytes
//! of another call destroys the data of that call.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wsk_sys::IRP;

use crate::bugcheck::{bugcheck, violation};
use crate::{irp, range};

/// Whether a call sends bytes or receives into them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Sends,
    Receives,
}

/// A call, for which an IRP goes in flight.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) irp: usize,
    pub(crate) function: &'static str,
    pub(crate) direction: Direction,
}

/// Bytes of a call in flight.
struct Area {
    end: usize,
    call: Call,
}

/// Bytes of a call that another call in flight uses.
pub(crate) struct Conflict {
    bytes: Range<usize>,
    call: Call,
    other: Call,
}

/// Identifies an area: its start, the IRP, and its number among the areas of the IRP.
type Key = (usize, usize, usize);

struct Areas {
    by_start: BTreeMap<Key, Area>,
    /// The length of the longest area so far. An area that starts further than that before an address does not reach it.
    longest: usize,
}

static AREAS: Mutex<Areas> = Mutex::new(Areas {
    by_start: BTreeMap::new(),
    longest: 0,
});
static RECEIVES_MAY_OVERLAP: AtomicBool = AtomicBool::new(false);

/// Sets whether two calls may receive into the same bytes.
pub(crate) fn allow_receives(allow: bool) {
    RECEIVES_MAY_OVERLAP.store(allow, Ordering::Relaxed);
}

impl Areas {
    /// The first area that overlaps the range and is in conflict with a call of this direction.
    fn conflict(&self, range: &Range<usize>, direction: Direction) -> Option<(&Key, &Area)> {
        let first = range.start.saturating_sub(self.longest);
        self.by_start
            .range((first, 0, 0)..(range.end, 0, 0))
            .find(|&(&(start, ..), area)| {
                range::overlap(&(start..area.end), range)
                    && match (direction, area.call.direction) {
                        (Direction::Sends, Direction::Sends) => false,
                        (Direction::Receives, Direction::Receives) => {
                            !RECEIVES_MAY_OVERLAP.load(Ordering::Relaxed)
                        }
                        _ => true,
                    }
            })
    }

    /// Adds bytes of a call, unless they are in conflict with those of another call.
    fn add(&mut self, call: Call, index: usize, range: &Range<usize>) -> Result<(), Conflict> {
        if let Some((&(start, ..), area)) = self.conflict(range, call.direction) {
            return Err(Conflict {
                bytes: range::common(&(start..area.end), range),
                call,
                other: area.call,
            });
        }
        let end = range.end;
        self.longest = self.longest.max(range.len());
        let key = (range.start, call.irp, index);
        self.by_start.insert(key, Area { end, call });
        Ok(())
    }
}

/// Adds the bytes of a call that goes in flight, up to the first that are in conflict with those of another call.
pub(crate) fn take_off<'r>(
    call: Call,
    ranges: impl Iterator<Item = &'r Range<usize>>,
) -> Result<(), Conflict> {
    let mut areas = None;
    for (index, range) in ranges.enumerate() {
        let areas = areas.get_or_insert_with(|| AREAS.lock());
        areas.add(call, index, range)?;
    }
    Ok(())
}

impl Conflict {
    /// Stops. The caller holds no lock, because the report tells the story of both IRPs.
    #[cold]
    pub(crate) fn stop(&self) -> ! {
        let Self { bytes, call, other } = self;
        let (does, other_does) = match (call.direction, other.direction) {
            (Direction::Receives, Direction::Receives) => (
                "receive into",
                "is receiving into, too: neither knows what it finds there (`Builder::overlapping_receives` allows it)",
            ),
            (Direction::Receives, Direction::Sends) => ("receive into", "is sending"),
            (Direction::Sends, _) => ("send", "is receiving into"),
        };
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WSK_CONTRACT,
                bytes.start,
                bytes.len(),
                other.irp
            ),
            [
                irp::story(call.irp as *mut IRP),
                irp::story(other.irp as *mut IRP)
            ],
            "{} was called to {does} {} bytes at {:#x} that a call in flight ({}) {other_does}",
            call.function,
            bytes.len(),
            bytes.start,
            other.function
        )
    }
}

/// Removes the bytes of a call that is completed, by the start of each range.
pub(crate) fn land(irp: usize, ranges: impl Iterator<Item = usize>) {
    let mut areas = None;
    for (index, start) in ranges.enumerate() {
        let areas = areas.get_or_insert_with(|| AREAS.lock());
        areas.by_start.remove(&(start, irp, index));
    }
}

/// Forgets everything.
pub(crate) fn reset() {
    let mut areas = AREAS.lock();
    areas.by_start.clear();
    areas.longest = 0;
}

#[cfg(test)]
mod tests {
    use super::Direction::{Receives, Sends};
    use super::{Area, Areas, Call, Direction};

    fn areas(all: &[(usize, usize, Direction)]) -> Areas {
        let area = |&(start, end, direction): &(usize, usize, Direction)| {
            let call = Call {
                irp: 1,
                function: "a call",
                direction,
            };
            ((start, 1, 0), Area { end, call })
        };
        Areas {
            by_start: all.iter().map(area).collect(),
            longest: all.iter().map(|(start, end, _)| end - start).max().unwrap(),
        }
    }

    #[test]
    fn only_common_bytes_are_in_conflict() {
        let areas = areas(&[(100, 200, Sends), (150, 160, Sends), (200, 300, Receives)]);
        let meets = |range, direction| areas.conflict(&range, direction).map(|(key, _)| key.0);
        assert_eq!(meets(0..100, Receives), None);
        assert_eq!(meets(0..101, Receives), Some(100));
        // A longer area that starts earlier reaches behind a shorter one.
        assert_eq!(meets(170..180, Receives), Some(100));
        assert_eq!(meets(170..200, Sends), None);
        assert_eq!(meets(199..201, Sends), Some(200));
        assert_eq!(meets(299..400, Receives), Some(200));
        assert_eq!(meets(300..400, Receives), None);
    }
}
