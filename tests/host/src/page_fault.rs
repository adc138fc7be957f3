//! Accesses to inaccessible memory, by the driver, or by the host kernel with a pointer of the driver. Reports them as bug checks.
//! Stands for the page fault handler, `KiPageFault` and `MmAccessFault`.
//!
//! On Unix the host reports a fault by a signal, which is handled on a separate stack; on Windows by a vectored exception. Other
//! faults go to the previous handler: all faults while no kernel is booted, and overflows of a stack. In debug builds Rust's own
//! checks of pointers panic before there is a fault; such a panic is reported in the same way.

use std::sync::Once;

use wsk_sys::{STATUS_BREAKPOINT, STATUS_ILLEGAL_INSTRUCTION, STATUS_INTEGER_DIVIDE_BY_ZERO};

use crate::bugcheck::bugcheck;
use crate::irql::{self, DISPATCH_LEVEL};
use crate::pool::paging::{self, Touched};
use crate::pool::{self, Met, pages};
use crate::{irp, kernel, origin};

/// The kind of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Read,
    Write,
    /// An instruction fetch: code called a function there.
    Call,
    /// The host doesn't report the kind.
    Some,
}

/// The host's report of a fault.
#[derive(Clone, Copy)]
struct Fault {
    /// `None` when the processor has no such address, and so doesn't report it.
    address: Option<usize>,
    access: Access,
    /// The address of the instruction.
    instruction: usize,
}

/// An exception of the processor that isn't about memory.
#[derive(Clone, Copy)]
enum Exception {
    IllegalInstruction,
    DivisionByZero,
    Breakpoint,
}

/// Reports the exception or the fault as a bug check.
fn report_exception(exception: Exception, instruction: usize) -> ! {
    let (status, what) = match exception {
        Exception::IllegalInstruction => (
            STATUS_ILLEGAL_INSTRUCTION,
            "ran an instruction that the processor has none like, which is how a failed assertion ends, too",
        ),
        Exception::DivisionByZero => (
            STATUS_INTEGER_DIVIDE_BY_ZERO,
            "divided by zero, or had a quotient that is too large",
        ),
        Exception::Breakpoint => (
            STATUS_BREAKPOINT,
            "came to a breakpoint without a debugger, or to a failed assertion",
        ),
    };
    bugcheck!(
        KMODE_EXCEPTION_NOT_HANDLED(status.0.cast_unsigned() as usize, instruction, 0, 0),
        [],
        "{} {what}",
        who()
    )
}

/// The code that did it: the driver, or a function of the kernel that the driver has called.
fn who() -> String {
    match origin::host_function() {
        Some(function) => format!("{function}, with what the driver gave it,"),
        None => "the driver".to_owned(),
    }
}

/// Handles faults from now on.
pub(crate) fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        host::install();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if kernel::is_booted()
                && let Some(address) = pointer_that_rust_refused(&panic.to_string())
            {
                report(Fault {
                    address: Some(address),
                    access: Access::Some,
                    instruction: 0,
                });
            }
            before(panic);
        }));
    });
    prepare_thread();
}

/// Gives this thread a stack to handle faults on.
pub(crate) fn prepare_thread() {
    host::prepare_thread();
}

/// The pointer that a check of Rust has found to be NULL or misaligned; `None` when the panic has another cause.
fn pointer_that_rust_refused(panic: &str) -> Option<usize> {
    if panic.contains("null pointer dereference occurred")
        || panic.contains("unsafe precondition(s) violated") && panic.contains("non-null")
    {
        return Some(0);
    }
    let (_, rest) =
        panic.split_once("misaligned pointer dereference: address must be a multiple of ")?;
    let digits = rest.rsplit_once("but is 0x")?.1;
    let digits = digits
        .split(|digit: char| !digit.is_ascii_hexdigit())
        .next()?;
    usize::from_str_radix(digits, 16).ok()
}

/// Brings paged pool back if the address lies in it. Returns whether the instruction can be tried again.
fn resolve(address: usize) -> bool {
    if !pages::may_hold(address) {
        return false;
    }
    let level = irql::current();
    match paging::page_in(address, level < DISPATCH_LEVEL) {
        Touched::Returned => true,
        Touched::Other => false,
        Touched::TooHigh => {
            let function = origin::host_function();
            bugcheck!(
                DRIVER_IRQL_NOT_LESS_OR_EQUAL(address, usize::from(level), 0, 0),
                [pool::story(address)],
                "paged pool was accessed at {}, {}: it needs not be in memory there",
                irql::name(level),
                match function {
                    Some(function) => format!("by {function}, which the driver gave it"),
                    None => "by the driver".to_owned(),
                }
            )
        }
    }
}

/// Reports the exception or the fault as a bug check.
fn report(fault: Fault) -> ! {
    let Fault {
        address,
        access,
        instruction,
    } = fault;
    let did = match access {
        Access::Write => "wrote to",
        Access::Read => "read",
        Access::Call => "called a function in",
        Access::Some => "accessed",
    };
    let who = who();
    let operation = match access {
        Access::Read | Access::Some => 0,
        Access::Write => 1,
        Access::Call => 8,
    };
    let Some(address) = address else {
        bugcheck!(
            KMODE_EXCEPTION_NOT_HANDLED(0xC000_0005, instruction, operation, usize::MAX),
            [],
            "{who} {did} memory at an address that the processor has none like, as uninitialised or overwritten memory holds it"
        )
    };
    let met = pages::may_hold(address)
        .then(|| pool::met(address))
        .flatten();
    match met {
        Some((Met::Freed(block), range)) => bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, operation, instruction, 0),
            [block, irp::past(range.start).unwrap_or_default()],
            "{who} {did} memory that was freed, {} bytes from its start",
            address.wrapping_sub(range.start).cast_signed()
        ),
        Some((Met::Beyond(block), range)) => bugcheck!(
            PAGE_FAULT_BEYOND_END_OF_ALLOCATION(address, operation, instruction, 0),
            [block],
            "{who} {did} memory beyond a block, {} bytes from its start, in a block of {} bytes",
            address.wrapping_sub(range.start).cast_signed(),
            range.len()
        ),
        None if pages::may_hold(address) => bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, operation, instruction, 0),
            [],
            "{who} {did} memory at {address:#x}, which no block of the pool lies in, or lay in lately"
        ),
        None => {
            let what = if address < pool::PAGE_SIZE {
                "by a pointer that is NULL, or close to that"
            } else {
                "which nothing lies at, or nothing that may be accessed so"
            };
            if irql::current() >= DISPATCH_LEVEL {
                bugcheck!(
                    DRIVER_IRQL_NOT_LESS_OR_EQUAL(
                        address,
                        usize::from(irql::current()),
                        operation,
                        instruction
                    ),
                    [],
                    "{who} {did} memory at {address:#x}, {what}"
                )
            }
            bugcheck!(
                KMODE_EXCEPTION_NOT_HANDLED(0xC000_0005, instruction, operation, address),
                [],
                "{who} {did} memory at {address:#x}, {what}"
            )
        }
    }
}

#[cfg(unix)]
mod host {
    use core::cell::RefCell;
    use core::ffi::{c_int, c_void};
    use core::mem::MaybeUninit;
    use core::ptr;
    use std::sync::OnceLock;

    use super::{Access, Exception, Fault};
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
        let reporter =
            std::thread::Builder::new().name("a thread that never called the kernel".into());
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
        let small =
            stack.ss_flags & libc::SS_DISABLE == 0 && (1..STACK / 2).contains(&stack.ss_size);
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

    /// The kind of an access, by the error code of a page fault on x64.
    #[cfg(any(test, target_arch = "x86_64"))]
    pub(super) fn by_error_code(code: u64) -> Access {
        const WRITE: u64 = 1 << 1;
        const INSTRUCTION_FETCH: u64 = 1 << 4;
        match code {
            code if code & INSTRUCTION_FETCH != 0 => Access::Call,
            code if code & WRITE != 0 => Access::Write,
            _ => Access::Read,
        }
    }

    /// The kind of an access, by the exception syndrome register of an Arm processor.
    #[cfg(any(test, target_arch = "aarch64"))]
    pub(super) fn by_syndrome(syndrome: u64) -> Access {
        /// The class of an abort at an instruction fetch of the program. The next number is that of the kernel.
        const INSTRUCTION_ABORT: u64 = 0x20;
        const DATA_ABORT: u64 = 0x24;
        const WRITE_NOT_READ: u64 = 1 << 6;
        match (syndrome >> 26) & 0x3E {
            INSTRUCTION_ABORT => Access::Call,
            DATA_ABORT if syndrome & WRITE_NOT_READ != 0 => Access::Write,
            DATA_ABORT => Access::Read,
            _ => Access::Some,
        }
    }

    /// The exception syndrome among the records that Linux puts behind the registers of an Arm processor. Each record starts with
    /// its kind and its length, and the last one is empty. Some faults have no syndrome.
    #[cfg(any(test, all(target_os = "linux", target_arch = "aarch64")))]
    pub(super) fn syndrome_among(mut records: &[u8]) -> Option<u64> {
        /// `ESR_MAGIC`
        const SYNDROME: u32 = 0x4553_5201;
        loop {
            let (kind, rest) = records.split_first_chunk()?;
            let (length, _) = rest.split_first_chunk()?;
            let length = u32::from_ne_bytes(*length) as usize;
            let (record, behind) = records.split_at_checked(length)?;
            match u32::from_ne_bytes(*kind) {
                SYNDROME => return Some(u64::from_ne_bytes(*record.get(8..)?.first_chunk()?)),
                _ if length == 0 => return None,
                _ => records = behind,
            }
        }
    }

    /// The kind of access of an Arm instruction, for faults without a syndrome, as in emulators of Linux.
    #[cfg(any(test, all(target_os = "linux", target_arch = "aarch64")))]
    pub(super) fn by_instruction(instruction: u32) -> Access {
        /// `DC ZVA`, without its register.
        const ZERO_A_LINE: u32 = 0xD50B_7420;
        let bits = |lowest: u32, count: u32| (instruction >> lowest) & ((1 << count) - 1);
        let bit = |number: u32| bits(number, 1) == 1;
        // Most instructions have a bit that tells loads. Instructions that read and write at once count as neither.
        let (loads, of_integers_loads) = (bit(22), bits(22, 2) != 0);
        let loads = match bits(24, 6) {
            // Compare and swap.
            0b00_1000 if bit(21) && (bit(23) || !bit(31)) => None,
            // Exclusive and ordered accesses; several vectors; pairs of registers; vectors.
            0b00_1000 | 0b00_1100 | 0b00_1101 | 0b10_1000 | 0b10_1001 | 0b10_1100 | 0b10_1101
            | 0b11_1100 | 0b11_1101 => Some(loads),
            // Loads relative to the instruction.
            0b01_1000 | 0b01_1100 => Some(true),
            // Ordered accesses with an offset.
            0b01_1001 if !bit(21) && bits(10, 2) == 0 => Some(of_integers_loads),
            // Loads by an authenticated pointer; ordered accesses; atomic additions, swaps and their like.
            0b11_1000 if bit(21) && bit(10) => Some(true),
            0b11_1000 if bit(21) && !bit(11) => (bits(12, 4) == 0b1100).then_some(true),
            0b11_1000 | 0b11_1001 => Some(of_integers_loads),
            _ => (instruction & !0x1F == ZERO_A_LINE).then_some(false),
        };
        match loads {
            Some(true) => Access::Read,
            Some(false) => Access::Write,
            None => Access::Some,
        }
    }

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
            access: by_error_code(get(libc::REG_ERR).cast_unsigned()),
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
            access: match syndrome_among(records) {
                Some(syndrome) => by_syndrome(syndrome),
                None if registers.fault_address == registers.pc => Access::Call,
                // SAFETY: the processor has read the instruction there.
                None => by_instruction(unsafe { *(registers.pc as *const u32) }),
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
            access: by_syndrome(exception.__esr.into()),
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
            access: by_error_code(exception.__err.into()),
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
}

#[cfg(windows)]
mod host {
    use windows_sys::Win32::Foundation::{
        EXCEPTION_ACCESS_VIOLATION, EXCEPTION_BREAKPOINT, EXCEPTION_ILLEGAL_INSTRUCTION,
        EXCEPTION_INT_DIVIDE_BY_ZERO,
    };
    use windows_sys::Win32::System::Diagnostics::Debug::{
        AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH,
        EXCEPTION_POINTERS,
    };

    use super::{Access, Exception, Fault};
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
}

#[cfg(test)]
mod tests {
    use super::pointer_that_rust_refused;

    #[test]
    #[cfg(unix)]
    fn what_was_done_is_read_off_the_registers() {
        use super::Access::{Call, Read, Some as Unknown, Write};
        use super::host::{by_error_code, by_syndrome};
        // Codes of user mode: not present, a write to a read-only page, not executable.
        assert_eq!([4, 7, 0x15].map(by_error_code), [Read, Write, Call]);
        // A translation fault of a load and of a store, a permission fault of a store, a missing instruction; a breakpoint.
        let syndromes = [
            0x9200_0007,
            0x9200_0047,
            0x9200_004F,
            0x8200_0006,
            0xF200_0000,
        ];
        assert_eq!(
            syndromes.map(by_syndrome),
            [Read, Write, Write, Call, Unknown]
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_syndrome_is_found_among_other_records() {
        use super::host::syndrome_among;
        let record = |kind: u32, data: &[u8]| {
            let length = u32::try_from(8 + data.len()).unwrap();
            [&kind.to_ne_bytes(), &length.to_ne_bytes(), data].concat()
        };
        let floating_point = record(0x4650_8001, &[7; 520]);
        let syndrome = record(0x4553_5201, &0x9200_0047_u64.to_ne_bytes());
        let end = [0; 16];
        let records = [&floating_point, &syndrome, &end[..]].concat();
        assert_eq!(syndrome_among(&records), Some(0x9200_0047));
        assert_eq!(syndrome_among(&[&floating_point, &end[..]].concat()), None);
        // A truncated record ends the search.
        assert_eq!(syndrome_among(&records[..records.len() - 20]), None);
        assert_eq!(syndrome_among(&floating_point[..100]), None);
    }

    #[test]
    #[cfg(unix)]
    fn what_was_done_is_read_off_the_instruction() {
        use super::Access::{self, Read, Some as Unknown, Write};
        use super::host::by_instruction;
        // The encodings come from an assembler.
        let instructions: [(&str, u32, Access); _] = [
            ("ldr x0, [x1]", 0xF940_0020, Read),
            ("str x0, [x1]", 0xF900_0020, Write),
            ("ldrb w0, [x1, #1]", 0x3940_0420, Read),
            ("strb w0, [x1], #1", 0x3800_1420, Write),
            ("ldrsw x0, [x1, x2]", 0xB8A2_6820, Read),
            ("ldrsb w0, [x1]", 0x39C0_0020, Read),
            ("strh w0, [x1, w2, uxtw #1]", 0x7822_5820, Write),
            ("ldur x0, [x1, #-3]", 0xF85F_D020, Read),
            ("stur w0, [x1, #-3]", 0xB81F_D020, Write),
            ("ldr x0, .", 0x5800_0000, Read),
            ("ldr d0, .", 0x5C00_0000, Read),
            ("ldp x0, x1, [x2]", 0xA940_0440, Read),
            ("stp x0, x1, [x2, #-16]!", 0xA9BF_0440, Write),
            ("ldpsw x0, x1, [x2]", 0x6940_0440, Read),
            ("stnp x0, x1, [x2]", 0xA800_0440, Write),
            ("ldp q0, q1, [x2]", 0xAD40_0440, Read),
            ("stp q0, q1, [x2]", 0xAD00_0440, Write),
            ("ldr q0, [x1]", 0x3DC0_0020, Read),
            ("str q0, [x1]", 0x3D80_0020, Write),
            ("ldr s0, [x1, #-1]!", 0xBC5F_FC20, Read),
            ("str b0, [x1, x2]", 0x3C22_6820, Write),
            ("stur q0, [x1, #1]", 0x3C80_1020, Write),
            ("ld1 {v0.16b, v1.16b}, [x0]", 0x4C40_A000, Read),
            ("st1 {v0.16b}, [x0], #16", 0x4C9F_7000, Write),
            ("ld1r {v0.4s}, [x0]", 0x4D40_C800, Read),
            ("st1 {v0.b}[1], [x0]", 0x0D00_0400, Write),
            ("ldxr x0, [x1]", 0xC85F_7C20, Read),
            ("stxr w0, x1, [x2]", 0xC800_7C41, Write),
            ("ldaxp x0, x1, [x2]", 0xC87F_8440, Read),
            ("stlxp w0, x1, x2, [x3]", 0xC820_8861, Write),
            ("ldar w0, [x1]", 0x88DF_FC20, Read),
            ("stlrb w0, [x1]", 0x089F_FC20, Write),
            ("ldapr x0, [x1]", 0xF8BF_C020, Read),
            ("ldapur x0, [x1, #1]", 0xD940_1020, Read),
            ("stlur w0, [x1, #1]", 0x9900_1020, Write),
            ("ldraa x0, [x1]", 0xF820_0420, Read),
            ("cas x0, x1, [x2]", 0xC8A0_7C41, Unknown),
            ("casp x0, x1, x2, x3, [x4]", 0x4820_7C82, Unknown),
            ("ldadd x0, x1, [x2]", 0xF820_0041, Unknown),
            ("swpal w0, w1, [x2]", 0xB8E0_8041, Unknown),
            ("dc zva, x3", 0xD50B_7423, Write),
            ("add x0, x1, x2", 0x8B02_0020, Unknown),
            ("ret", 0xD65F_03C0, Unknown),
        ];
        for (text, instruction, access) in instructions {
            assert_eq!(by_instruction(instruction), access, "{text}");
        }
    }

    #[test]
    fn panics_about_pointers_are_told_apart() {
        assert_eq!(
            pointer_that_rust_refused(
                "thread panicked at x.rs:1:2:\nnull pointer dereference occurred"
            ),
            Some(0)
        );
        assert_eq!(
            pointer_that_rust_refused(
                "misaligned pointer dereference: address must be a multiple of 0x8 but is 0xcdcdcdcdcdcdcdcd"
            ),
            Some(0xCDCD_CDCD_CDCD_CDCD)
        );
        assert_eq!(pointer_that_rust_refused("index out of bounds"), None);
    }
}
