//! The debugger's output. Stands for `DbgPrint` and `DbgPrintEx`. Listeners get the text, with the arguments filled in.
//!
//! Rust can declare functions with a variable number of arguments, but not define them. So an entry in assembly stores the
//! arguments in memory, and Rust code reads them.

use core::ffi::{CStr, c_char};
use core::iter::Peekable;
use core::str::Chars;

use wsk_sys::UNICODE_STRING;

use crate::trace;

/// The arguments behind the format: first those in registers, then those on the stack.
struct Arguments {
    registers: *const u64,
    in_registers: usize,
    stack: *const u64,
    next: usize,
}

impl Arguments {
    /// The next argument. Each takes a register or eight bytes of the stack. A smaller argument fills the lower part.
    ///
    /// # Safety
    ///
    /// The driver has passed as many arguments as its format asks for.
    unsafe fn next(&mut self) -> u64 {
        let index = self.next;
        self.next += 1;
        // SAFETY: the caller says that there is one; the entry has written the registers, and the rest lies on the stack.
        unsafe {
            if index < self.in_registers {
                self.registers.add(index).read()
            } else {
                self.stack.add(index - self.in_registers).read()
            }
        }
    }

    /// The next argument, a pointer.
    ///
    /// # Safety
    ///
    /// As for [`next`](Self::next).
    unsafe fn pointer<T>(&mut self) -> *const T {
        // SAFETY: the caller's promise.
        core::ptr::with_exposed_provenance(unsafe { self.next() } as usize)
    }
}

/// One conversion of a format: the characters between `%` and its letter, and the letter.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the flags of the format"
)]
struct Conversion {
    left: bool,
    zeroes: bool,
    alternate: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
    long: bool,
    wide: bool,
}

impl Conversion {
    /// The greatest width and precision: that of Rust's own formatting.
    const WIDEST: usize = u16::MAX as usize;

    /// Reads what stands between `%` and the letter of a conversion.
    ///
    /// # Safety
    ///
    /// As for [`text`].
    unsafe fn read(rest: &mut Peekable<Chars<'_>>, arguments: &mut Arguments) -> Self {
        let mut it = Self::default();
        while let Some(flag) = rest.next_if(|next| "-0#+ ".contains(*next)) {
            match flag {
                '-' => it.left = true,
                '0' => it.zeroes = true,
                '#' => it.alternate = true,
                '+' => it.plus = true,
                _ => {}
            }
        }
        let mut number = |rest: &mut Peekable<Chars<'_>>| {
            if rest.next_if_eq(&'*').is_some() {
                // SAFETY: the caller says that there is one.
                return (unsafe { arguments.next() } as u32 as usize).min(Self::WIDEST);
            }
            let mut value = 0;
            while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                value = (value * 10 + digit as usize).min(Self::WIDEST);
                rest.next();
            }
            value
        };
        it.width = number(rest);
        if rest.next_if_eq(&'.').is_some() {
            it.precision = Some(number(rest));
        }
        loop {
            match rest.peek() {
                // `long` has 32 bits on Windows, and `long long` has 64.
                Some('l') => {
                    rest.next();
                    it.wide = true;
                    it.long = rest.next_if_eq(&'l').is_some();
                }
                Some('w') => {
                    rest.next();
                    it.wide = true;
                }
                Some('h') => {
                    rest.next();
                }
                Some('I') => {
                    rest.next();
                    it.long = rest.peek() != Some(&'3');
                    for _ in 0..2 {
                        rest.next_if(char::is_ascii_digit);
                    }
                }
                Some('z' | 't' | 'j') => {
                    rest.next();
                    it.long = true;
                }
                _ => break,
            }
        }
        it
    }

    /// Adds a converted argument to the text, as wide as the conversion asks for.
    fn pad(&self, piece: &str, out: &mut String) {
        let missing = self.width.saturating_sub(piece.chars().count());
        let fill = |out: &mut String, with| out.extend(std::iter::repeat_n(with, missing));
        if self.left {
            out.push_str(piece);
            fill(out, ' ');
        } else {
            fill(out, if self.zeroes { '0' } else { ' ' });
            out.push_str(piece);
        }
    }
}

/// The text of a format with its arguments filled in.
///
/// # Safety
///
/// The format is a string that ends with a zero, and the arguments are what it asks for.
unsafe fn text(format: *const c_char, arguments: &mut Arguments) -> String {
    // SAFETY: the caller says so.
    let format = unsafe { CStr::from_ptr(format) }.to_string_lossy();
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        // SAFETY: the caller says that the arguments are those that the format asks for.
        let it = unsafe { Conversion::read(&mut rest, arguments) };
        let Some(letter) = rest.next() else { break };
        // SAFETY: the caller says that the arguments are those that the format asks for.
        let piece = unsafe { convert(letter, &it, arguments) };
        it.pad(&piece, &mut out);
    }
    out
}

/// # Safety
///
/// As for [`text`].
unsafe fn convert(letter: char, it: &Conversion, arguments: &mut Arguments) -> String {
    let limit = it.precision.unwrap_or(usize::MAX);
    // SAFETY: the caller says that each argument is there, and what it is.
    unsafe {
        match letter {
            '%' => "%".to_owned(),
            'd' | 'i' => {
                let value = arguments.next().cast_signed();
                let value = if it.long { value } else { value as i32 as i64 };
                let sign = if it.plus && value >= 0 { "+" } else { "" };
                format!("{sign}{value:00$}", it.precision.unwrap_or(1))
            }
            'u' | 'x' | 'X' | 'o' => {
                let value = arguments.next();
                let value = if it.long { value } else { value as u32 as u64 };
                let digits = it.precision.unwrap_or(1);
                let prefix = if it.alternate { "0x" } else { "" };
                match letter {
                    'u' => format!("{value:0digits$}"),
                    'x' => format!("{prefix}{value:0digits$x}"),
                    'X' => format!("{prefix}{value:0digits$X}"),
                    _ => format!("{value:0digits$o}"),
                }
            }
            'p' => format!("{:016X}", arguments.next()),
            'c' | 'C' => char::from_u32(arguments.next() as u32 & 0xFFFF)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
                .to_string(),
            's' | 'S' if it.wide || letter == 'S' => utf16(arguments.pointer(), limit),
            's' => bytes(arguments.pointer(), limit),
            'Z' => {
                let string = arguments.pointer::<UNICODE_STRING>();
                if string.is_null() {
                    return "(null)".to_owned();
                }
                let length = usize::from((*string).Length);
                if it.wide {
                    utf16((*string).Buffer, limit.min(length / 2))
                } else {
                    bytes((*string).Buffer.cast(), limit.min(length))
                }
            }
            other => format!("%{other}"),
        }
    }
}

/// # Safety
///
/// `string` is null, or readable up to a zero or `limit`.
unsafe fn bytes(string: *const u8, limit: usize) -> String {
    if string.is_null() {
        return "(null)".to_owned();
    }
    // SAFETY: the caller says so.
    let bytes = (0..limit)
        .map(|index| unsafe { string.add(index).read() })
        .take_while(|&byte| byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

/// # Safety
///
/// As for [`bytes`].
unsafe fn utf16(string: *const u16, limit: usize) -> String {
    if string.is_null() {
        return "(null)".to_owned();
    }
    // SAFETY: the caller says so.
    let units = (0..limit)
        .map(|index| unsafe { string.add(index).read() })
        .take_while(|&unit| unit != 0);
    String::from_utf16_lossy(&units.collect::<Vec<u16>>())
}

/// Prints a line for both routines. `named` is the number of arguments up to the format, which is the last of these.
///
/// # Safety
///
/// `registers` are those in which arguments are passed, `stack` is where the others lie, and all are what the format asks for.
unsafe fn print(registers: *const u64, stack: *const u64, named: usize) -> u32 {
    if !trace::listening() {
        return 0;
    }
    let mut arguments = Arguments {
        registers,
        in_registers: REGISTERS,
        stack,
        next: named - 1,
    };
    // SAFETY: the caller says so.
    unsafe {
        let format = arguments.pointer();
        if cfg!(all(target_arch = "aarch64", target_vendor = "apple")) {
            // There, arguments that are not named are always on the stack.
            arguments.in_registers = 0;
            arguments.next = 0;
        }
        trace::print(&text(format, &mut arguments));
    }
    0
}

/// # Safety
///
/// As for [`print`].
unsafe extern "C" fn dbg_print(registers: *const u64, stack: *const u64) -> u32 {
    // SAFETY: the caller says so.
    unsafe { print(registers, stack, 1) }
}

/// # Safety
///
/// As for [`print`].
unsafe extern "C" fn dbg_print_ex(registers: *const u64, stack: *const u64) -> u32 {
    // SAFETY: the caller says so.
    unsafe { print(registers, stack, 3) }
}

#[cfg(all(target_arch = "x86_64", not(windows)))]
const REGISTERS: usize = 6;
#[cfg(all(target_arch = "x86_64", windows))]
const REGISTERS: usize = 4;
#[cfg(target_arch = "aarch64")]
const REGISTERS: usize = 8;

/// A directive for an unwind table. Windows unwinds by tables, which the assembler writes.
#[cfg(all(target_arch = "aarch64", windows))]
macro_rules! seh {
    ($directive:expr) => {
        $directive
    };
}
#[cfg(all(target_arch = "aarch64", not(windows)))]
macro_rules! seh {
    ($directive:expr) => {
        ""
    };
}

/// Defines a routine with a variable number of arguments. It stores the registers that may hold arguments, and passes on the
/// addresses of these and of the arguments on the stack.
macro_rules! variadic {
    ($(#[$meta:meta])* $name:ident, $work:ident) => {
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for.
        #[cfg(all(target_arch = "x86_64", not(windows)))]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is that of the routine")]
        pub(crate) unsafe extern "C" fn $name() -> u32 {
            core::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "sub rsp, 48",
                "mov [rsp], rdi",
                "mov [rsp + 8], rsi",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx",
                "mov [rsp + 32], r8",
                "mov [rsp + 40], r9",
                "mov rdi, rsp",
                "lea rsi, [rbp + 16]",
                "call {work}",
                "leave",
                "ret",
                work = sym $work,
            )
        }

        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for.
        #[cfg(all(target_arch = "x86_64", windows))]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is that of the routine")]
        pub(crate) unsafe extern "C" fn $name() -> u32 {
            // The caller has left room for the registers in front of the other arguments.
            core::arch::naked_asm!(
                concat!(".seh_proc ", stringify!($name)),
                "sub rsp, 40",
                ".seh_stackalloc 40",
                ".seh_endprologue",
                "mov [rsp + 48], rcx",
                "mov [rsp + 56], rdx",
                "mov [rsp + 64], r8",
                "mov [rsp + 72], r9",
                "lea rcx, [rsp + 48]",
                "lea rdx, [rsp + 80]",
                "call {work}",
                "add rsp, 40",
                "ret",
                ".seh_endproc",
                work = sym $work,
            )
        }

        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for.
        #[cfg(target_arch = "aarch64")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is that of the routine")]
        pub(crate) unsafe extern "C" fn $name() -> u32 {
            core::arch::naked_asm!(
                seh!(concat!(".seh_proc ", stringify!($name))),
                "stp x29, x30, [sp, #-80]!",
                seh!(".seh_save_fplr_x 80"),
                "mov x29, sp",
                seh!(".seh_set_fp"),
                seh!(".seh_endprologue"),
                "stp x0, x1, [sp, #16]",
                "stp x2, x3, [sp, #32]",
                "stp x4, x5, [sp, #48]",
                "stp x6, x7, [sp, #64]",
                "add x0, sp, #16",
                "add x1, sp, #80",
                "bl {work}",
                seh!(".seh_startepilogue"),
                "ldp x29, x30, [sp], #80",
                seh!(".seh_save_fplr_x 80"),
                seh!(".seh_endepilogue"),
                "ret",
                seh!(".seh_endproc"),
                work = sym $work,
            )
        }
    };
}

variadic! {
    /// Prints a line to the debugger: the listeners get it.
    DbgPrint, dbg_print
}

variadic! {
    /// As `DbgPrint`, without any filter.
    DbgPrintEx, dbg_print_ex
}
