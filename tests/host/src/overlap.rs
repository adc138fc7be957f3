//! The bytes that calls in flight send and receive into. A buffer belongs to the provider until its IRP is completed: a receive into bytes
//! of another call destroys the data of that call.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wsk_sys::IRP;

use crate::bugcheck::{bugcheck, violation};
use crate::irp;

/// Whether a call sends bytes or receives into them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Sends,
    Receives,
}

/// Bytes of a call in flight.
struct Area {
    end: usize,
    direction: Direction,
    function: &'static str,
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
            .find(|(_, area)| {
                area.end > range.start
                    && match (direction, area.direction) {
                        (Direction::Sends, Direction::Sends) => false,
                        (Direction::Receives, Direction::Receives) => {
                            !RECEIVES_MAY_OVERLAP.load(Ordering::Relaxed)
                        }
                        _ => true,
                    }
            })
    }
}

/// Adds the bytes of a call that goes in flight. Stops when they are in conflict with those of another call.
pub(crate) fn take_off(
    irp: usize,
    function: &'static str,
    direction: Direction,
    ranges: Vec<Range<usize>>,
) {
    if ranges.is_empty() {
        return;
    }
    let mut areas = AREAS.lock();
    for (index, range) in ranges.into_iter().enumerate() {
        if let Some((&(start, other, _), area)) = areas.conflict(&range, direction) {
            let common = start.max(range.start)..area.end.min(range.end);
            let (with, both) = (area.function, direction == area.direction);
            drop(areas);
            report(function, direction, irp, (with, other), &common, both);
        }
        areas.longest = areas.longest.max(range.len());
        let area = Area {
            end: range.end,
            direction,
            function,
        };
        areas.by_start.insert((range.start, irp, index), area);
    }
}

#[cold]
fn report(
    function: &str,
    direction: Direction,
    irp: usize,
    (other_function, other): (&str, usize),
    common: &Range<usize>,
    both_receive: bool,
) -> ! {
    let does = match direction {
        Direction::Receives => "receive into",
        Direction::Sends => "send",
    };
    let other_does = match (direction, both_receive) {
        (Direction::Receives, true) => {
            "is receiving into, too: neither knows what it finds there (`Builder::overlapping_receives` allows it)"
        }
        (Direction::Receives, false) => "is sending",
        (Direction::Sends, _) => "is receiving into",
    };
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(
            violation::WSK_CONTRACT,
            common.start,
            common.len(),
            other
        ),
        [irp::story(irp as *mut IRP), irp::story(other as *mut IRP)],
        "{function} was called to {does} {} bytes at {:#x} that a call in flight ({other_function}) {other_does}",
        common.len(),
        common.start
    )
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
    use super::{Area, Areas, Direction};

    fn areas(all: &[(usize, usize, Direction)]) -> Areas {
        let area = |&(start, end, direction): &(usize, usize, Direction)| {
            let function = "a call";
            let area = Area {
                end,
                direction,
                function,
            };
            ((start, 1, 0), area)
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
