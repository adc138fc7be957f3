//! Structured exceptions of drivers in C: the functions that raise them, and the frames of the blocks that catch them. Stands for
//! `RtlRaiseStatus` and the unwinder, as far as the macros of `headers/ntdef.h` need it.
//!
//! A block with `__try` has a frame on the stack, in a chain for each thread. An exception jumps to the place where the innermost
//! frame was entered, as `longjmp` does, and unwinds nothing. So the jump must not skip a frame of this crate that has something to
//! drop. Therefore each function of the kernel counts how deep the thread is inside such functions. Only a function that code of
//! the frame's own depth has called may jump to the frame, and only after it has dropped all its values. When there is no frame, or
//! the frame lies further out, the report is the same: nothing caught the exception. A frame lies further out when, for instance, a
//! completion routine raises an exception that the caller of its caller would catch.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use wsk_sys::{NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, STATUS_SUCCESS};

use crate::address_space;
use crate::bugcheck::{bugcheck, violation};
use crate::pool::{self, Use};
use crate::range;

/// `struct _SEH_FRAME` of `headers/ntdef.h`, up to what only the compiler and the C library write.
#[repr(C)]
struct Frame {
    outer: *mut Self,
    depth: u32,
    state: c_int,
    kind: c_int,
    code: c_int,
    registers: Registers,
}

#[repr(C, align(16))]
struct Registers([u8; 512]);

/// The states of a frame.
mod state {
    /// The macro is finding out which block follows.
    pub(super) const ASKING: i32 = 0;
    pub(super) const RUNNING: i32 = 1;
    pub(super) const RAISED: i32 = 2;
    /// The block has reached its end.
    pub(super) const DONE: i32 = 3;
}

/// The kind of a frame whose block has `__finally`.
const FINALLY: c_int = 2;

/// The results of filters.
const EXECUTE_HANDLER: c_int = 1;
const CONTINUE_SEARCH: c_int = 0;

/// The values that a jump returns at the place where the frame was entered.
const RUN: c_int = 1;
const HANDLE: c_int = 2;

/// `struct _SEH_ENDING` of `headers/ntdef.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ending {
    again: c_int,
    abnormal: c_int,
    code: c_int,
}

std::thread_local! {
    /// The innermost frame.
    static INNERMOST: Cell<*mut Frame> = const { Cell::new(ptr::null_mut()) };
    /// The number of functions of the kernel that this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The exception that was raised last, and the function that raised it.
    static LAST: Cell<(i32, &'static str)> = const { Cell::new((0, "")) };
    /// Whether a filter has just chosen its block.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// The exception that ended the block whose `__finally` comes next; `None` when it ended normally.
    static ENDING: Cell<Option<i32>> = const { Cell::new(None) };
}

unsafe extern "C" {
    #[cfg_attr(unix, link_name = "_longjmp")]
    fn longjmp(registers: *mut Registers, value: c_int) -> !;
}

/// A function of the kernel that this thread is inside of.
pub(crate) struct Inside(());

impl Inside {
    #[inline]
    pub(crate) fn new() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self(())
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// The frame that catches the exceptions of code of this depth.
fn catching(depth: u32) -> Option<*mut Frame> {
    let frame = INNERMOST.get();
    // SAFETY: what is in the chain lies on the stack: a block takes its frame out before it is left.
    (!frame.is_null() && unsafe { (*frame).depth } == depth).then_some(frame)
}

/// Whether a frame catches the exceptions of the function of the kernel that this thread is in.
pub(crate) fn is_caught() -> bool {
    catching(DEPTH.get() - 1).is_some()
}

/// Raises an exception in the code that has called `function`. The function has left [`Inside`] and has nothing to drop.
pub(crate) fn raise(function: &'static str, status: NTSTATUS) -> ! {
    let Some(frame) = catching(DEPTH.get()) else {
        uncaught(function, status)
    };
    LAST.set((status.0, function));
    // SAFETY: the frame is alive. Between this function and the one that it is of are no other functions of the kernel, and no
    // code of this crate that has something to drop; what lies between else is the driver's own, which is in C.
    unsafe {
        INNERMOST.set((*frame).outer);
        (*frame).state = state::RAISED;
        (*frame).code = status.0;
        longjmp(&raw mut (*frame).registers, HANDLE)
    }
}

#[cold]
fn uncaught(function: &str, status: NTSTATUS) -> ! {
    bugcheck!(
        KMODE_EXCEPTION_NOT_HANDLED(status.0.cast_unsigned() as usize, 0, 0, 0),
        [],
        "{function} raised {status:?}, and nothing caught it"
    )
}

/// Defines functions for the macros of `__try`.
macro_rules! frames {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $ty:ty),*) $(-> $ret:ty)? $body:block)+) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The macros of `headers/ntdef.h` call it.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is not to be that of a function of a driver")]
        unsafe extern "C" fn $name($($argument: $ty),*) $(-> $ret)? $body
    )+};
}

frames! {
    /// Enters a block.
    fn _SehEnter(frame: *mut Frame) {
        // SAFETY: the macro gives the frame.
        unsafe {
            (*frame).outer = INNERMOST.get();
            (*frame).depth = DEPTH.get();
            (*frame).state = state::ASKING;
            (*frame).kind = 0;
        }
        INNERMOST.set(frame);
    }

    /// Runs the block, once it is known which kind of block follows.
    fn _SehKind(frame: *mut Frame, kind: c_int) -> ! {
        // SAFETY: the macro gives the frame, which was entered in the function that calls this.
        unsafe {
            (*frame).kind = kind;
            (*frame).state = state::RUNNING;
            longjmp(&raw mut (*frame).registers, RUN)
        }
    }

    /// Records that the block, or its filter, has reached its end.
    fn _SehDone(frame: *mut Frame) {
        // SAFETY: the macro gives the frame.
        unsafe {
            if (*frame).state == state::RUNNING {
                (*frame).state = state::DONE;
            }
        }
    }

    /// Leaves the block, in any way.
    fn _SehLeave(frame: *mut Frame) {
        // SAFETY: the macro gives the frame.
        let (outer, now, kind) = unsafe { ((*frame).outer, (*frame).state, (*frame).kind) };
        if now == state::RAISED {
            return;
        }
        INNERMOST.set(outer);
        if now == state::RUNNING && kind == FINALLY {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, frame as usize, 0, 0),
                [],
                "a block with __finally was left by return, goto, break or continue: what is behind __finally can't be run then on this host. __leave can be used"
            )
        }
    }

    /// Acts on the result of the filter.
    fn _SehFilter(frame: *mut Frame, filter: c_int) {
        // SAFETY: the macro gives the frame.
        let code = unsafe { (*frame).code };
        let (_, function) = LAST.get();
        match filter {
            EXECUTE_HANDLER => {
                LAST.set((code, function));
                CAUGHT.set(true);
            }
            CONTINUE_SEARCH => raise(function, NTSTATUS(code)),
            _ => bugcheck!(
                KMODE_EXCEPTION_NOT_HANDLED(code.cast_unsigned() as usize, 0, 0, 0),
                [],
                "a filter of __except answered {filter} to {:?} that {function} raised: it can't be continued where it was raised (EXCEPTION_CONTINUE_EXECUTION)",
                NTSTATUS(code)
            ),
        }
    }

    /// Records that an exception leaves a block with `__finally`.
    fn _SehUnwound(frame: *mut Frame) {
        // SAFETY: the macro gives the frame.
        ENDING.set(Some(unsafe { (*frame).code }));
    }

    /// Whether a filter has just chosen its block.
    fn _SehCaught() -> c_int {
        CAUGHT.replace(false).into()
    }

    /// The exception that was raised last.
    fn _SehCode() -> c_int {
        LAST.get().0
    }

    /// Begins the block behind `__finally`.
    fn _SehBegin() -> Ending {
        let code = ENDING.take();
        Ending {
            again: 1,
            abnormal: code.is_some().into(),
            code: code.unwrap_or(STATUS_SUCCESS.0),
        }
    }

    /// Ends the block behind `__finally`, and raises a pending exception again.
    fn _SehEnd(ending: *mut Ending) {
        // SAFETY: the macro gives it.
        let Ending { abnormal, code, .. } = unsafe {
            (*ending).again = 0;
            *ending
        };
        if abnormal != 0 {
            raise(LAST.get().1, NTSTATUS(code))
        }
    }
}

raising! {
    /// Raises an exception.
    fn ExRaiseStatus(Status: NTSTATUS) -> !, at most DISPATCH_LEVEL {
        Status
    }
}

raising! {
    /// Raises an exception.
    fn ExRaiseAccessViolation() -> !, at most DISPATCH_LEVEL {
        STATUS_ACCESS_VIOLATION
    }
}

raising! {
    /// Raises an exception.
    fn ExRaiseDatatypeMisalignment() -> !, at most DISPATCH_LEVEL {
        STATUS_DATATYPE_MISALIGNMENT
    }
}

/// Checks a buffer that should be a program's. Memory of the kernel is an error.
fn probe(address: usize, length: usize, alignment: usize) -> Result<(), NTSTATUS> {
    if length == 0 {
        return Ok(());
    }
    if alignment > 1 && !address.is_multiple_of(alignment) {
        return Err(STATUS_DATATYPE_MISALIGNMENT);
    }
    let Some(end) = address.checked_add(length) else {
        return Err(STATUS_ACCESS_VIOLATION);
    };
    let of_the_kernel = |address| {
        pool::containing(address, |block| {
            matches!(block.usage(), Use::Nonpaged | Use::Paged)
        }) == Some(true)
    };
    if of_the_kernel(address) || of_the_kernel(end - 1) {
        return Err(STATUS_ACCESS_VIOLATION);
    }
    Ok(())
}

raising! {
    /// Raises an exception unless a buffer is a program's. All memory but the kernel's pool counts as a program's.
    fn ProbeForRead(Address: *const c_void, Length: usize, Alignment: u32), at most APC_LEVEL {
        probe(Address as usize, Length, Alignment as usize)
    }
}

raising! {
    /// Raises an exception unless a buffer is a program's and writable.
    fn ProbeForWrite(Address: *mut c_void, Length: usize, Alignment: u32), at most APC_LEVEL {
        let start = Address as usize;
        probe(start, Length, Alignment as usize).and_then(|()| {
            if Length == 0 || address_space::is_accessible(&range::of(start, Length), true) {
                Ok(())
            } else {
                Err(STATUS_ACCESS_VIOLATION)
            }
        })
    }
}
