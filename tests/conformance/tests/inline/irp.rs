//! IRPs: random walks through the stack locations of IRPs with random contents.

use std::ffi::c_void;
use std::mem::{offset_of, size_of, transmute};
use std::ptr::without_provenance_mut;

use proptest::prelude::*;
use wsk_sys::{
    IO_STACK_LOCATION, IRP, NTSTATUS, PDRIVER_CANCEL, PIO_COMPLETION_ROUTINE, SL_PENDING_RETURNED,
};

use crate::memory::Memory;
use crate::{agree, agree_on, c};

/// A step of a walk.
#[derive(Clone, Copy, Debug)]
enum Step {
    Current,
    Next,
    SetNext,
    Skip,
    Copy,
    Complete(usize, usize, [bool; 3]),
    Cancel(usize),
    Pending,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Current),
        Just(Step::Next),
        Just(Step::SetNext),
        Just(Step::Skip),
        Just(Step::Copy),
        any::<(usize, usize, [bool; 3])>()
            .prop_map(|(routine, context, on)| Step::Complete(routine, context, on)),
        any::<usize>().prop_map(Step::Cancel),
        Just(Step::Pending),
    ]
}

/// An IRP in memory: `count` locations, of which `current` counts from 1.
fn request(noise: &[u8], count: i8, current: i8) -> Memory {
    let bytes: Vec<u8> = noise
        .iter()
        .copied()
        .cycle()
        .take(wsk_sys::IoSizeOfIrp(count).into())
        .collect();
    let mut memory = Memory::new(&bytes);
    let irp: *mut IRP = memory.start().cast();
    // SAFETY: the memory is that of a whole IRP; only members of it are written.
    unsafe {
        (&raw mut (*irp).StackCount).write(count);
        (&raw mut (*irp).CurrentLocation).write(current);
        let location = irp
            .wrapping_add(1)
            .cast::<IO_STACK_LOCATION>()
            .wrapping_offset(isize::from(current) - 1);
        (&raw mut (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation).write(location);
    }
    memory
}

/// The routine at an address, which is never called.
fn cancel_routine(address: usize) -> PDRIVER_CANCEL {
    // SAFETY: an optional function pointer may be any address; zero is `None`.
    unsafe { transmute::<usize, PDRIVER_CANCEL>(address) }
}

/// The routine at an address, which is never called.
fn completion_routine(address: usize) -> PIO_COMPLETION_ROUTINE {
    // SAFETY: an optional function pointer may be any address; zero is `None`.
    unsafe { transmute::<usize, PIO_COMPLETION_ROUTINE>(address) }
}

fn address(routine: PDRIVER_CANCEL) -> usize {
    routine.map_or(0, |routine| routine as usize)
}

proptest! {
    #[test]
    fn walks(
        noise in prop::collection::vec(any::<u8>(), 211),
        count in 1_i8..=20,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        // The state of an IRP before it is sent: above the first location that a driver gets.
        let mut current = count + 1;
        let mut memory = request(&noise, count, current);
        for step in steps {
            let has_next = current > 1;
            let has_current = current <= count;
            // SAFETY: the memory is an IRP, and steps that touch a location are only taken if it exists.
            unsafe {
                match step {
                    Step::Current => {
                        let at = memory.both(
                            "IoGetCurrentIrpStackLocation",
                            |irp| wsk_sys::IoGetCurrentIrpStackLocation(irp.cast()),
                            |irp| c::IoGetCurrentIrpStackLocation(irp.cast()),
                        );
                        let first = memory.start().addr() + size_of::<IRP>();
                        let index = usize::try_from(current - 1).unwrap();
                        prop_assert_eq!(at.addr(), first + index * size_of::<IO_STACK_LOCATION>());
                    }
                    Step::Next if has_next => {
                        memory.both(
                            "IoGetNextIrpStackLocation",
                            |irp| wsk_sys::IoGetNextIrpStackLocation(irp.cast()),
                            |irp| c::IoGetNextIrpStackLocation(irp.cast()),
                        );
                    }
                    Step::SetNext if has_next => {
                        memory.both(
                            "IoSetNextIrpStackLocation",
                            |irp| wsk_sys::IoSetNextIrpStackLocation(irp.cast()),
                            |irp| c::IoSetNextIrpStackLocation(irp.cast()),
                        );
                        current -= 1;
                    }
                    Step::Skip if has_current => {
                        memory.both(
                            "IoSkipCurrentIrpStackLocation",
                            |irp| wsk_sys::IoSkipCurrentIrpStackLocation(irp.cast()),
                            |irp| c::IoSkipCurrentIrpStackLocation(irp.cast()),
                        );
                        current += 1;
                    }
                    Step::Copy if has_current && has_next => {
                        memory.both(
                            "IoCopyCurrentIrpStackLocationToNext",
                            |irp| wsk_sys::IoCopyCurrentIrpStackLocationToNext(irp.cast()),
                            |irp| c::IoCopyCurrentIrpStackLocationToNext(irp.cast()),
                        );
                    }
                    Step::Complete(routine, context, [success, error, cancel]) if has_next => {
                        let routine = completion_routine(routine);
                        let context: *mut c_void = without_provenance_mut(context);
                        memory.both(
                            "IoSetCompletionRoutine",
                            |irp| {
                                wsk_sys::IoSetCompletionRoutine(irp.cast(), routine, context, success, error, cancel);
                            },
                            |irp| {
                                let on = [success, error, cancel].map(u8::from);
                                c::IoSetCompletionRoutine(irp.cast(), routine, context, on[0], on[1], on[2]);
                            },
                        );
                    }
                    Step::Cancel(routine) => {
                        let routine = cancel_routine(routine);
                        memory.both(
                            "IoSetCancelRoutine",
                            |irp| address(wsk_sys::IoSetCancelRoutine(irp.cast(), routine)),
                            |irp| address(c::IoSetCancelRoutine(irp.cast(), routine)),
                        );
                    }
                    Step::Pending if has_current => {
                        memory.both(
                            "IoMarkIrpPending",
                            |irp| wsk_sys::IoMarkIrpPending(irp.cast()),
                            |irp| c::IoMarkIrpPending(irp.cast()),
                        );
                        let at = wsk_sys::IoGetCurrentIrpStackLocation(memory.start().cast());
                        prop_assert_ne!((*at).Control & SL_PENDING_RETURNED, 0);
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn control_bits_of_every_combination() {
    for bits in 0..8_u8 {
        let on = [1, 2, 4].map(|bit| bits & bit != 0);
        let bytes = set_completion(on);
        let control = size_of::<IRP>() + offset_of!(IO_STACK_LOCATION, Control);
        let expected = [0x40, 0x80, 0x20]
            .iter()
            .zip(on)
            .map(|(bit, on)| if on { *bit } else { 0_u8 })
            .sum::<u8>();
        assert_eq!(bytes[control], expected, "success, error, cancel: {on:?}");
    }
}

/// The bytes of an IRP with one location and a completion routine for these outcomes.
fn set_completion(on: [bool; 3]) -> Vec<u8> {
    let mut memory = request(&[0xFF], 1, 2);
    let routine = completion_routine(0x1234);
    memory.both(
        "IoSetCompletionRoutine",
        // SAFETY: the memory is an IRP with one location, the next one.
        |irp| unsafe {
            wsk_sys::IoSetCompletionRoutine(irp.cast(), routine, irp.cast(), on[0], on[1], on[2]);
        },
        // SAFETY: as above.
        |irp| unsafe {
            let on = on.map(u8::from);
            c::IoSetCompletionRoutine(irp.cast(), routine, irp.cast(), on[0], on[1], on[2]);
        },
    );
    memory.bytes()
}

#[test]
fn sizes() {
    for count in i8::MIN..=i8::MAX {
        agree!(IoSizeOfIrp(count));
    }
}

#[test]
fn completing_and_sending() {
    for boost in [0, 1, -1, i8::MIN, i8::MAX] {
        agree_on!(&[0; 208], |irp| IoCompleteRequest(irp.cast(), boost));
    }
    let (status, _) = agree_on!(&[0; 208], |irp| IoCallDriver(
        irp.wrapping_add(16).cast(),
        irp.cast()
    ));
    assert_ne!(status, NTSTATUS(0));
}
