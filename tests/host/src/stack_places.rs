//! Places on a thread's stack that somebody still uses: a call in flight, WSK, a timer, a DPC, a lock. The function whose frame holds the
//! place must not return before. Whenever the thread calls the kernel, and when a system thread ends, a walk up the stack looks for
//! the frame.
//!
//! On Windows for Arm the stack is not walked, so nothing is checked there.

use core::cell::RefCell;

use crate::bugcheck::{bugcheck, violation};
use crate::executive::rundown;
use crate::origin::Origin;
use crate::{address_space, irp, irql, lock_order, schedule, wsk};

/// The user of a place.
#[derive(Clone, Copy)]
pub(crate) enum User {
    /// A call in flight: its IRP, and the number of this use of the IRP.
    Call { irp: usize, use_of_irp: (u64, u64) },
    /// WSK, for a registered client: the address of its registration, and the number of the client.
    Registration { address: usize, client: usize },
    /// A timer that is set, and the number of this setting.
    Timer { address: usize, setting: u64 },
    /// The users of an object with rundown protection, now or later: the address of the protection, and its number.
    Rundown { address: usize, number: u64 },
    /// A deferred procedure call that is queued.
    Dpc { address: usize },
    /// A thread that holds a lock.
    Lock { lock: usize, thread: u32 },
}

impl User {
    /// Whether the place may still be used, now or later.
    fn is_there(self) -> bool {
        match self {
            Self::Call { irp, use_of_irp } => irp::is_in_flight(irp, use_of_irp),
            Self::Registration { address, client } => wsk::is_registered(address, client),
            Self::Timer { address, setting } => schedule::is_set(address, setting),
            Self::Rundown { address, number } => rundown::is_there(address, number),
            Self::Dpc { address } => schedule::is_queued(address),
            Self::Lock { lock, thread } => lock_order::is_held(lock, thread),
        }
    }

    /// Whether the place is in use now.
    fn is_using(self) -> bool {
        match self {
            Self::Rundown { address, number } => rundown::is_in_use(address, number),
            _ => self.is_there(),
        }
    }

    fn story(self) -> String {
        match self {
            Self::Call { irp, .. } => irp::story(irp as *mut _),
            Self::Registration { address, .. } => {
                format!("the client whose WSK_REGISTRATION is at {address:#x} is registered")
            }
            Self::Timer { address, .. } => format!("the timer at {address:#x} is set"),
            Self::Rundown { address, .. } => {
                format!("the rundown protection at {address:#x} is acquired")
            }
            Self::Dpc { address } => {
                format!("the deferred procedure call at {address:#x} is queued")
            }
            Self::Lock { lock, .. } => format!("the lock at {lock:#x} is held"),
        }
    }
}

/// A place that somebody uses.
struct Used {
    user: User,
    function: &'static str,
    place: usize,
    what: &'static str,
    frame: Frame,
    origin: Origin,
}

/// Identifies one call of a function among all that are on the same stack.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// The stack pointer after the function has returned.
    end: usize,
    /// The function.
    start_of_code: usize,
}

std::thread_local! {
    static USED: RefCell<Vec<Used>> = const { RefCell::new(Vec::new()) };
}

/// Whether an address lies on this thread's stack, so that it has to be watched.
#[inline]
pub(crate) fn concerns(address: usize) -> bool {
    address_space::is_on_stack(address)
}

/// Whether an address lies in the frame of a function that has returned to the function that owns the local variable `local`.
pub(crate) fn is_gone<T>(address: usize, local: *const T) -> bool {
    address < local as usize && concerns(address)
}

/// Watches a place from now on, if it lies on this thread's stack.
#[inline]
pub(crate) fn watch(user: User, function: &'static str, place: usize, what: &'static str) {
    if concerns(place) {
        watch_frame(user, function, place, what);
    }
}

#[cold]
fn watch_frame(user: User, function: &'static str, place: usize, what: &'static str) {
    let Some(frame) = frame_of(place) else { return };
    let used = Used {
        user,
        function,
        place,
        what,
        frame,
        origin: Origin::here(function),
    };
    USED.with_borrow_mut(|places| places.push(used));
    irql::attend();
}

/// Called whenever this thread calls the kernel. Stops when a place is in use whose function has returned. Returns whether any place is
/// still watched.
pub(crate) fn look(function: &str) -> bool {
    let mut places = USED.with_borrow_mut(core::mem::take);
    places.retain(|used| used.user.is_there());
    if places.is_empty() {
        return false;
    }
    let (mut found, mut reached) = (Vec::new(), 0);
    frames(|start, frame| {
        found.push(frame);
        reached = start;
        true
    });
    places.retain(|used| {
        // A walk that ends too early says nothing about the frames beyond.
        let is_gone = reached >= used.frame.end && !found.contains(&used.frame);
        if is_gone && used.user.is_using() {
            report(used, function);
        }
        !is_gone
    });
    USED.with_borrow_mut(|watched| {
        places.append(watched);
        *watched = places;
    });
    true
}

/// Called when a system thread ends. Stops when a place on its stack is in use.
pub(crate) fn thread_ends() {
    let places = USED.with_borrow_mut(core::mem::take);
    for used in &places {
        if used.user.is_using() {
            report(used, "the end of the thread");
        }
    }
}

#[cold]
fn report(used: &Used, noticed_by: &str) -> ! {
    let Used {
        function,
        place,
        what,
        user,
        origin,
        ..
    } = used;
    let use_of_it = match user {
        User::Call { .. } => "the call in flight",
        User::Registration { .. } => "the client that is registered",
        User::Timer { .. } => "the timer that is set",
        User::Rundown { .. } => "the rundown protection that is acquired",
        User::Dpc { .. } => "the queue of deferred procedure calls",
        User::Lock { .. } => "the thread that holds it",
    };
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, *place, 0, 0),
        [
            user.story(),
            format!("the place was given by {origin}"),
            format!("noticed by {noticed_by}"),
        ],
        "{what} at {place:#x} lies on the stack, in a function that has returned while {use_of_it} ({function}) still uses it"
    )
}

/// The frame that an address lies in.
fn frame_of(place: usize) -> Option<Frame> {
    let mut found = None;
    frames(|start, frame| {
        if start <= place && place < frame.end {
            found = Some(frame);
        }
        found.is_none()
    });
    found
}

/// Calls `visit` with the start of each frame of this thread and the frame, the innermost first, until `visit` returns `false`.
#[cfg(unix)]
fn frames(mut visit: impl FnMut(usize, Frame) -> bool) {
    use core::ffi::{c_int, c_void};

    /// `_URC_NO_REASON`, and `_URC_NORMAL_STOP`.
    const GO_ON: c_int = 0;
    const ENOUGH: c_int = 4;

    type Trace = extern "C-unwind" fn(*mut c_void, *mut c_void) -> c_int;
    // Functions of the Itanium C++ ABI, which Rust's panics use too.
    unsafe extern "C-unwind" {
        fn _Unwind_Backtrace(trace: Trace, argument: *mut c_void) -> c_int;
        fn _Unwind_GetCFA(context: *mut c_void) -> usize;
        fn _Unwind_GetIP(context: *mut c_void) -> usize;
        fn _Unwind_FindEnclosingFunction(instruction: *mut c_void) -> *mut c_void;
    }

    struct Walk<'v> {
        /// The frame before: where it starts, and its function.
        before: Option<(usize, usize)>,
        visit: &'v mut dyn FnMut(usize, Frame) -> bool,
    }

    extern "C-unwind" fn trace(context: *mut c_void, walk: *mut c_void) -> c_int {
        // SAFETY: this is the walk that was given to `_Unwind_Backtrace`, and a context that it gives.
        let (walk, start, start_of_code) = unsafe {
            // One before the return address lies in the call.
            let instruction = _Unwind_GetIP(context).wrapping_sub(1);
            (
                &mut *walk.cast::<Walk<'_>>(),
                _Unwind_GetCFA(context),
                _Unwind_FindEnclosingFunction(instruction as *mut c_void) as usize,
            )
        };
        // A frame ends where the one that called it starts.
        let go_on = walk.before.is_none_or(|(before, start_of_code)| {
            let frame = Frame {
                end: start,
                start_of_code,
            };
            (walk.visit)(before, frame)
        });
        walk.before = Some((start, start_of_code));
        if go_on { GO_ON } else { ENOUGH }
    }

    let mut walk = Walk {
        before: None,
        visit: &mut visit,
    };
    // SAFETY: the walk lives until the call returns.
    unsafe { _Unwind_Backtrace(trace, (&raw mut walk).cast()) };
}

#[cfg(all(windows, target_arch = "x86_64"))]
fn frames(mut visit: impl FnMut(usize, Frame) -> bool) {
    use core::mem::zeroed;
    use core::ptr;

    use windows_sys::Win32::System::Diagnostics::Debug::{
        CONTEXT, IMAGE_RUNTIME_FUNCTION_ENTRY, RtlCaptureContext, RtlLookupFunctionEntry,
        RtlVirtualUnwind, UNW_FLAG_NHANDLER,
    };

    /// The start of the function that an entry describes. A function may have several entries: each but the first is chained to another.
    ///
    /// # Safety
    ///
    /// The entry is of the image.
    unsafe fn start_of(image: u64, mut entry: *const IMAGE_RUNTIME_FUNCTION_ENTRY) -> usize {
        /// `UNW_FLAG_CHAININFO`
        const CHAINED: u8 = 4;
        // SAFETY: the caller says so. As documented, the flags are above the three bits of the version, the count of the codes of
        // two bytes is the third byte, and a chained entry lies behind the codes, of which there is an even number.
        unsafe {
            loop {
                let offset = (*entry).Anonymous.UnwindData as usize;
                let information = (image as usize + offset) as *const u8;
                let codes = usize::from(information.add(2).read());
                if information.read() >> 3 & CHAINED == 0 {
                    return image as usize + (*entry).BeginAddress as usize;
                }
                entry = information.add(4 + 2 * codes.next_multiple_of(2)).cast();
            }
        }
    }

    /// The processor needs this alignment to store its registers there; the declaration lacks it.
    #[repr(C, align(16))]
    struct Aligned(CONTEXT);

    // SAFETY: zeroes are such a structure, which is filled in here; the frames are walked by what the system knows of them, and
    // those that it knows nothing of end the walk.
    unsafe {
        let mut aligned: Aligned = zeroed();
        let context = &mut aligned.0;
        RtlCaptureContext(context);
        loop {
            let (start, mut image) = (context.Rsp as usize, 0);
            let function = RtlLookupFunctionEntry(context.Rip, &raw mut image, ptr::null_mut());
            if function.is_null() {
                return;
            }
            let start_of_code = start_of(image, function);
            let (mut data, mut establisher) = (ptr::null_mut(), 0);
            RtlVirtualUnwind(
                UNW_FLAG_NHANDLER,
                image,
                context.Rip,
                function,
                context,
                &raw mut data,
                &raw mut establisher,
                ptr::null_mut(),
            );
            let frame = Frame {
                end: context.Rsp as usize,
                start_of_code,
            };
            if context.Rip == 0 || !visit(start, frame) {
                return;
            }
        }
    }
}

#[cfg(not(any(unix, all(windows, target_arch = "x86_64"))))]
fn frames(_visit: impl FnMut(usize, Frame) -> bool) {}

#[cfg(test)]
mod tests {
    use super::{Frame, frame_of, frames};

    #[inline(never)]
    fn inner(place: usize) -> Option<Frame> {
        frame_of(core::hint::black_box(place))
    }

    #[test]
    fn a_frame_is_found_while_it_is_there() {
        let mut place = 0_u64;
        let frame = inner(&raw mut place as usize).expect("the place is on the stack");
        assert!(frame.end > &raw const place as usize);
        let mut again = false;
        frames(|_, found| {
            again |= found == frame;
            true
        });
        assert!(again);
        core::hint::black_box(&mut place);
    }
}
