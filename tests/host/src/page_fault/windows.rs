//! Faults on Windows: the system reports them by exceptions.

use windows_sys::Win32::Foundation::{
    EXCEPTION_ACCESS_VIOLATION, EXCEPTION_BREAKPOINT, EXCEPTION_ILLEGAL_INSTRUCTION,
    EXCEPTION_INT_DIVIDE_BY_ZERO,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH,
    EXCEPTION_POINTERS,
};

use super::access::Access;
use super::{Exception, Fault};
use crate::kernel;

pub(super) fn install() {
    // SAFETY: the handler is there for good.
    unsafe { AddVectoredExceptionHandler(1, Some(handle)) };
}

unsafe extern "system" fn handle(exception: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system gives both parts of it.
    let record = unsafe { &*(*exception).ExceptionRecord };
    if record.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && kernel::is_booted() {
        let address = record.ExceptionInformation[1];
        // This value means that the fault has no address.
        let address = (address != usize::MAX).then_some(address);
        if address.is_some_and(super::resolve) {
            return EXCEPTION_CONTINUE_EXECUTION;
        }
        super::report(Fault {
            address,
            access: match record.ExceptionInformation[0] {
                0 => Access::Read,
                1 => Access::Write,
                8 => Access::Call,
                _ => Access::Some,
            },
            instruction: record.ExceptionAddress as usize,
        });
    }
    let exception = match record.ExceptionCode {
        EXCEPTION_ILLEGAL_INSTRUCTION => Some(Exception::IllegalInstruction),
        EXCEPTION_INT_DIVIDE_BY_ZERO => Some(Exception::DivisionByZero),
        EXCEPTION_BREAKPOINT => Some(Exception::Breakpoint),
        _ => None,
    };
    if let Some(exception) = exception
        && kernel::is_booted()
    {
        super::report_exception(exception, record.ExceptionAddress as usize);
    }
    EXCEPTION_CONTINUE_SEARCH
}

/// Windows handles exceptions on the thread's own stack.
pub(super) fn prepare_thread() {}
