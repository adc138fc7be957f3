//! Faults on Unix: the host reports them by signals.

use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use std::sync::OnceLock;

use super::access::{self, Access};
use super::{Exception, Fault};
use crate::kernel;

/// The size of the stack for faults. A report looks up names and lines, which takes much of it.
const STACK: usize = 1 << 20;
/// A fault as close as this to the stack pointer means that the stack overflows.
const OVERFLOW: usize = 1 << 16;
/// The seconds that a report may take before the process ends without it. The failed code itself may hold a lock that the
/// report needs.
const REPORTS_WITHIN: u32 = 30;

/// `SI_KERNEL`: the fault has no address.
const OF_THE_PROCESSOR: c_int = if cfg!(any(target_os = "linux", target_os = "android")) {
    0x80
} else {
    c_int::MIN
};

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// The previous handlers of the signals.
static BEFORE: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();
const SIGNALS: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

pub(super) fn install() {
    start_reporter();
    let mut before = [const { MaybeUninit::<libc::sigaction>::zeroed() }; SIGNALS.len()];
    for (signal, before) in SIGNALS.into_iter().zip(&mut before) {
        // SAFETY: both places hold a `sigaction`.
        unsafe { libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) };
    }
    // SAFETY: zeroes are such a structure, and the host has filled it in.
    let _ = BEFORE.set(before.map(|before| unsafe { before.assume_init() }));
    for signal in SIGNALS {
        // SAFETY: zeroes are such a structure.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = handle as Handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the action is complete, with a handler of the form that its flags tell of.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

extern "C" fn handle(signal: c_int, information: *mut libc::siginfo_t, context: *mut c_void) {
    if let Some(exception) = exception_of(signal) {
        if kernel::is_booted() {
            // SAFETY: the host gives the context.
            let instruction = unsafe { registers(context) }.instruction;
            // SAFETY: nothing is asked of the caller.
            unsafe { libc::alarm(REPORTS_WITHIN) };
            super::report_exception(exception, instruction);
        }
        return pass_on(signal, information, context);
    }
    // SAFETY: the host gives both, as this is a handler with `SA_SIGINFO`.
    let (fault, stack) = unsafe {
        let registers = registers(context);
        let address = (*information).si_addr() as usize;
        let known = (*information).si_code != OF_THE_PROCESSOR && registers.tells_address;
        let fault = Fault {
            address: known.then_some(address),
            access: registers.access,
            instruction: registers.instruction,
        };
        (fault, registers.stack)
    };
    let overflows = stack.zip(fault.address).is_some_and(|(stack, address)| {
        (stack.saturating_sub(OVERFLOW)..stack.saturating_add(4096)).contains(&address)
    });
    if kernel::is_booted() && !overflows {
        if fault.address.is_some_and(super::resolve) {
            return;
        }
        // SAFETY: the host gives the context.
        unsafe { hand_over(context, &fault) };
        // SAFETY: the host gives the context.
        if fault.access == Access::Call || unsafe { has_no_frame(context) } {
            // SAFETY: the host gives the context of a function that was called, or has no frame yet.
            unsafe { step_back(context) };
        }
        // SAFETY: nothing is asked of the caller.
        unsafe { libc::alarm(REPORTS_WITHIN) };
        super::report(fault);
    }
    pass_on(signal, information, context);
}

/// The exception for a signal that isn't about memory.
fn exception_of(signal: c_int) -> Option<Exception> {
    match signal {
        libc::SIGILL => Some(Exception::IllegalInstruction),
        libc::SIGFPE => Some(Exception::DivisionByZero),
        libc::SIGTRAP => Some(Exception::Breakpoint),
        _ => None,
    }
}

/// Passes a signal to the previous handler.
fn pass_on(signal: c_int, information: *mut libc::siginfo_t, context: *mut c_void) {
    let index = SIGNALS.iter().position(|&other| other == signal);
    let before = index.and_then(|index| Some(BEFORE.get()?[index]));
    match before {
        Some(action)
            if action.sa_sigaction != libc::SIG_DFL
                && action.sa_sigaction != libc::SIG_IGN
                && action.sa_flags & libc::SA_SIGINFO != 0 =>
        {
            // SAFETY: the flags tell that it is a handler of this form.
            let handler: Handler = unsafe { core::mem::transmute(action.sa_sigaction) };
            handler(signal, information, context);
        }
        _ => {
            // SAFETY: the default action is always there. The instruction fails once more, and the process ends.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// The contents of the registers at a fault, as far as the code knows this host.
struct Registers {
    stack: Option<usize>,
    instruction: usize,
    access: Access,
    /// Whether the fault has an address, as far as the registers show that.
    tells_address: bool,
}

/// The pipe to the thread that reports the faults of unprepared threads.
static REPORTER: OnceLock<c_int> = OnceLock::new();

/// Starts the thread that reports the faults of unprepared threads: the stack on which those handle signals is too small for a
/// report.
fn start_reporter() {
    let mut ends = [0; 2];
    // SAFETY: there is room for both ends of the pipe.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return;
    }
    let [from, to] = ends;
    let reporter = std::thread::Builder::new().name("a thread that never called the kernel".into());
    let started = reporter.spawn(move || {
        let mut fault = MaybeUninit::<Fault>::uninit();
        let length = size_of::<Fault>();
        // SAFETY: there is as much room.
        let read = unsafe { libc::read(from, fault.as_mut_ptr().cast(), length) };
        if read.cast_unsigned() == length {
            // SAFETY: what was written there is a fault.
            super::report(unsafe { fault.assume_init() });
        }
    });
    if started.is_ok() {
        let _ = REPORTER.set(to);
    }
}

/// Passes a fault to the reporter if this thread is unprepared. Does not return then.
///
/// # Safety
///
/// `context` is what the host gave to a signal handler.
unsafe fn hand_over(context: *mut c_void, fault: &Fault) {
    // SAFETY: the caller says so.
    let stack = unsafe { (*context.cast::<libc::ucontext_t>()).uc_stack };
    // When a thread has no stack for signals, macOS reports a size of 0, and the thread handles signals on its own stack.
    let small = stack.ss_flags & libc::SS_DISABLE == 0 && (1..STACK / 2).contains(&stack.ss_size);
    if small && let Some(&to) = REPORTER.get() {
        // SAFETY: the fault has as many bytes. A pipe takes them at once.
        unsafe { libc::write(to, core::ptr::from_ref(fault).cast(), size_of::<Fault>()) };
        loop {
            // SAFETY: nothing is asked of the caller.
            unsafe { libc::pause() };
        }
    }
}

/// Whether the instruction lies in a function without unwind information, so that its caller can't be found. On Arm the
/// compiler's functions for atomic changes of memory are like that; they call no other function.
///
/// # Safety
///
/// `context` is what the host gave to a signal handler.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
unsafe fn has_no_frame(context: *mut c_void) -> bool {
    unsafe extern "C-unwind" {
        fn _Unwind_FindEnclosingFunction(instruction: *mut c_void) -> *mut c_void;
    }
    // SAFETY: the caller says so; the address is looked up, and nothing else.
    unsafe {
        let instruction = (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc;
        _Unwind_FindEnclosingFunction(instruction as *mut c_void).is_null()
    }
}

/// # Safety
///
/// None is needed: nothing is done.
#[cfg(not(all(target_os = "linux", target_arch = "aarch64")))]
unsafe fn has_no_frame(_context: *mut c_void) -> bool {
    false
}

/// Returns to the caller of a function that doesn't exist, so that the stack can be walked.
///
/// # Safety
///
/// `context` is what the host gave to a signal handler, and its instruction the first of a function.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn step_back(context: *mut c_void) {
    // SAFETY: the caller says so; the return address is what was pushed last.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let stack = registers[libc::REG_RSP as usize];
        registers[libc::REG_RIP as usize] = *(stack as *const i64);
        registers[libc::REG_RSP as usize] = stack + 8;
    }
}

/// # Safety
///
/// As above.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
unsafe fn step_back(context: *mut c_void) {
    /// The register that a call puts the return address into.
    const LINK: usize = 30;
    // SAFETY: the caller says so.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    registers.pc = registers.regs[LINK];
}

/// # Safety
///
/// As above.
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
unsafe fn step_back(context: *mut c_void) {
    // SAFETY: the caller says so.
    let registers = unsafe { &mut (*(*context.cast::<libc::ucontext_t>()).uc_mcontext).__ss };
    registers.__pc = registers.__lr;
}

/// # Safety
///
/// As above.
#[cfg(all(target_os = "macos", target_arch = "x86_64"))]
unsafe fn step_back(context: *mut c_void) {
    // SAFETY: the caller says so; the return address is what was pushed last.
    unsafe {
        let registers = &mut (*(*context.cast::<libc::ucontext_t>()).uc_mcontext).__ss;
        registers.__rip = *(registers.__rsp as *const u64);
        registers.__rsp += 8;
    }
}

/// # Safety
///
/// None is needed: nothing is done.
#[cfg(not(all(
    any(target_os = "linux", target_os = "macos"),
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
unsafe fn step_back(_context: *mut c_void) {}

/// # Safety
///
/// `context` is what the host gave to a signal handler.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn registers(context: *mut c_void) -> Registers {
    // SAFETY: the caller says so.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let get = |register: c_int| registers[register as usize];
    Registers {
        stack: Some(get(libc::REG_RSP) as usize),
        instruction: get(libc::REG_RIP) as usize,
        access: access::by_error_code(get(libc::REG_ERR).cast_unsigned()),
        tells_address: true,
    }
}

/// # Safety
///
/// `context` is what the host gave to a signal handler.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
unsafe fn registers(context: *mut c_void) -> Registers {
    /// The offset of the records, which the declaration keeps private: they follow the status register, aligned to 16 bytes.
    const RECORDS: usize =
        (core::mem::offset_of!(libc::mcontext_t, pstate) + 8).next_multiple_of(16);
    // SAFETY: the caller says so; the records fill the rest of the structure.
    let (registers, records) = unsafe {
        let registers = &raw const (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let records = core::slice::from_raw_parts(
            registers.cast::<u8>().add(RECORDS),
            size_of::<libc::mcontext_t>() - RECORDS,
        );
        (&*registers, records)
    };
    Registers {
        stack: Some(registers.sp as usize),
        instruction: registers.pc as usize,
        access: match access::syndrome_among(records) {
            Some(syndrome) => access::by_syndrome(syndrome),
            None if registers.fault_address == registers.pc => Access::Call,
            // SAFETY: the processor has read the instruction there.
            None => access::by_instruction(unsafe { *(registers.pc as *const u32) }),
        },
        tells_address: true,
    }
}

/// # Safety
///
/// `context` is what the host gave to a signal handler.
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
unsafe fn registers(context: *mut c_void) -> Registers {
    // SAFETY: the caller says so.
    let (registers, exception) = unsafe {
        let context = &*(*context.cast::<libc::ucontext_t>()).uc_mcontext;
        (&context.__ss, &context.__es)
    };
    Registers {
        stack: Some(registers.__sp as usize),
        instruction: registers.__pc as usize,
        access: access::by_syndrome(exception.__esr.into()),
        tells_address: true,
    }
}

/// # Safety
///
/// `context` is what the host gave to a signal handler.
#[cfg(all(target_os = "macos", target_arch = "x86_64"))]
unsafe fn registers(context: *mut c_void) -> Registers {
    /// The exception for an address that the processor doesn't have. The host then gives the address of the previous fault.
    const GENERAL_PROTECTION: u16 = 13;
    // SAFETY: the caller says so.
    let (registers, exception) = unsafe {
        let context = &*(*context.cast::<libc::ucontext_t>()).uc_mcontext;
        (&context.__ss, &context.__es)
    };
    Registers {
        stack: Some(registers.__rsp as usize),
        instruction: registers.__rip as usize,
        access: access::by_error_code(exception.__err.into()),
        tells_address: exception.__trapno != GENERAL_PROTECTION,
    }
}

/// # Safety
///
/// None is needed: nothing is known of this host's registers.
#[cfg(not(all(
    any(target_os = "linux", target_os = "macos"),
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
unsafe fn registers(_context: *mut c_void) -> Registers {
    Registers {
        stack: None,
        instruction: 0,
        access: Access::Some,
        tells_address: true,
    }
}

/// The stack on which a thread handles its faults.
struct Stack {
    memory: region::Allocation,
    before: libc::stack_t,
}

std::thread_local! {
    static STACK_OF_THREAD: RefCell<Option<Stack>> = const { RefCell::new(None) };
}

pub(super) fn prepare_thread() {
    // A thread that is ending keeps its present stack.
    let _ = STACK_OF_THREAD.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        if stack.is_none() {
            *stack = Stack::new();
        }
    });
}

impl Stack {
    fn new() -> Option<Self> {
        let mut memory = region::alloc(STACK, region::Protection::READ_WRITE).ok()?;
        let new = libc::stack_t {
            ss_sp: memory.as_mut_ptr(),
            ss_flags: 0,
            ss_size: memory.len(),
        };
        // SAFETY: zeroes are such a structure.
        let mut before: libc::stack_t = unsafe { core::mem::zeroed() };
        // SAFETY: the memory is there until `drop` takes it away from the host.
        let set = unsafe { libc::sigaltstack(&raw const new, &raw mut before) } == 0;
        set.then_some(Self { memory, before })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: zeroes are such a structure.
        let mut now: libc::stack_t = unsafe { core::mem::zeroed() };
        // SAFETY: the place is one.
        unsafe { libc::sigaltstack(ptr::null(), &raw mut now) };
        // Threads of Rust's standard library remove any signal stack before this runs.
        if now.ss_sp == self.memory.as_mut_ptr::<c_void>() {
            // SAFETY: what was there before is this thread's, and is still there: whoever takes it away takes this one's too.
            unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        }
    }
}
