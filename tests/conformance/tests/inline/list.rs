//! Lists: random insertions and removals among a head and entries in one piece of memory.

use std::mem::size_of;

use proptest::prelude::*;
use wsk_sys::LIST_ENTRY;

use crate::c;
use crate::memory::Memory;

const ENTRIES: usize = 8;

proptest! {
    #[test]
    fn walks(steps in prop::collection::vec((0..6_u8, 1..=ENTRIES), 1..80)) {
        let mut memory = Memory::new(&[0xAA; (ENTRIES + 1) * size_of::<LIST_ENTRY>()]);
        // SAFETY: the memory has room for the head and the entries. An entry is inserted only when it is not in the list, and
        // removed only when it is.
        unsafe {
            memory.both("InitializeListHead", |at| wsk_sys::InitializeListHead(at.cast()), |at| c::InitializeListHead(at.cast()));
            let mut listed = Vec::new();
            for (what, which) in steps {
                let entry = move |at: *mut u8| at.cast::<LIST_ENTRY>().wrapping_add(which);
                let start: *mut LIST_ENTRY = memory.start().cast();
                let index = |at: *mut LIST_ENTRY| (at.addr() - start.addr()) / size_of::<LIST_ENTRY>();
                match what {
                    0 if !listed.contains(&which) => {
                        memory.both("InsertTailList", |at| wsk_sys::InsertTailList(at.cast(), entry(at)), |at| c::InsertTailList(at.cast(), entry(at)));
                        listed.push(which);
                    }
                    1 if !listed.contains(&which) => {
                        memory.both("InsertHeadList", |at| wsk_sys::InsertHeadList(at.cast(), entry(at)), |at| c::InsertHeadList(at.cast(), entry(at)));
                        listed.insert(0, which);
                    }
                    2 if listed.contains(&which) => {
                        let empty = memory.both("RemoveEntryList", |at| wsk_sys::RemoveEntryList(entry(at)), |at| c::RemoveEntryList(entry(at)));
                        listed.retain(|entry| *entry != which);
                        prop_assert_eq!(empty, listed.is_empty());
                    }
                    3 => {
                        let first = memory.both("RemoveHeadList", |at| wsk_sys::RemoveHeadList(at.cast()), |at| c::RemoveHeadList(at.cast()));
                        let expected = if listed.is_empty() { 0 } else { listed.remove(0) };
                        prop_assert_eq!(index(first), expected);
                    }
                    4 => {
                        let last = memory.both("RemoveTailList", |at| wsk_sys::RemoveTailList(at.cast()), |at| c::RemoveTailList(at.cast()));
                        prop_assert_eq!(index(last), listed.pop().unwrap_or(0));
                    }
                    _ => {
                        let empty = memory.both("IsListEmpty", |at| wsk_sys::IsListEmpty(at.cast()), |at| c::IsListEmpty(at.cast()));
                        prop_assert_eq!(empty, listed.is_empty());
                    }
                }
                // Forwards and backwards, the list contains what was inserted.
                let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
                let mut at = (*start).Flink;
                while at != start {
                    forwards.push(index(at));
                    at = (*at).Flink;
                }
                at = (*start).Blink;
                while at != start {
                    backwards.insert(0, index(at));
                    at = (*at).Blink;
                }
                prop_assert_eq!(&forwards, &listed);
                prop_assert_eq!(&backwards, &listed);
            }
        }
    }
}
