//! `msvcrt.lib` for programs of Rust that are linked for Windows as with Microsoft's tools, and run in Wine: what their linker looks for in
//! Microsoft's C runtime. Most of it is in two DLLs of that runtime, of which Wine has its own.
//!
//! It is compiled to a `.rlib`, which is a library for linkers too, and has the imports of `raw-dylib`.

#![no_std]

use core::arch::naked_asm;
use core::ffi::{c_char, c_int};
use core::ptr;

// What is called by compilers, by `core` and by `test`, under the names that the DLLs have for it.
#[link(name = "vcruntime140", kind = "raw-dylib")]
unsafe extern "C" {
    pub fn memcmp();
    pub fn memcpy();
    pub fn memmove();
    pub fn memset();
    /// Of panics, which are exceptions of C++ here.
    pub fn _CxxThrowException();
    pub fn __CxxFrameHandler3();
    /// Of `__try` in C.
    pub fn __C_specific_handler();
    pub fn longjmp();
}
#[link(name = "ucrtbase", kind = "raw-dylib")]
unsafe extern "C" {
    pub fn strlen();
    pub fn ceil();
    pub fn ceilf();
    pub fn floor();
    pub fn floorf();
    pub fn fma();
    pub fn fmaf();
    pub fn fmod();
    pub fn round();
    fn exit(code: c_int) -> !;
}

unsafe extern "C" {
    /// The compiler's, which starts Rust's `main`. Rust gets its arguments from the system.
    safe fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

/// Where a program starts. Programs with constructors in C++ would have those called here.
#[unsafe(no_mangle)]
pub extern "C" fn mainCRTStartup() -> ! {
    // SAFETY: nothing is asked of the caller.
    unsafe { exit(main(0, ptr::null())) }
}

/// Touches each page of a stack that grows by `rax` bytes, for the system to lay pages out in that order. Changes `r10` and `r11` alone.
///
/// # Safety
///
/// Compilers call it, where a function has more than a page of variables.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __chkstk() {
    naked_asm!(
        "lea r10, [rsp + 8]",
        "mov r11, r10",
        "sub r11, rax",
        "2:",
        "sub r10, 0x1000",
        "cmp r10, r11",
        "jbe 3f",
        "test byte ptr [r10], 0",
        "jmp 2b",
        "3:",
        "test byte ptr [r11], 0",
        "ret",
    )
}

/// What makes a linker of Microsoft's take the code for floating-point numbers along.
#[unsafe(no_mangle)]
pub static _fltused: c_int = 1;

/// The table of virtual functions that type descriptions of exceptions point to, and nobody looks into.
#[unsafe(export_name = "??_7type_info@@6B@")]
pub static TYPE_INFO: usize = 0;

/// A pointer to a static, in a static.
#[repr(transparent)]
pub struct Pointer<T>(*const T);

// SAFETY: the pointer is only copied.
unsafe impl<T> Sync for Pointer<T> {}

/// `IMAGE_TLS_DIRECTORY64`: the thread-local statics of a program, and the functions that its threads call at their ends.
#[repr(C)]
pub struct ThreadLocals {
    start: Pointer<u64>,
    end: Pointer<u64>,
    index: Pointer<u32>,
    functions: Pointer<Pointer<()>>,
    zeroes: u32,
    characteristics: u32,
}

// Linkers sort what lies in a section by what follows the `$`: between these come those of the program, in a section that is writable, as
// those are. `functions` ends with NULL.
#[unsafe(link_section = ".tls")]
static mut START: u64 = 0;
#[unsafe(link_section = ".tls$ZZZ")]
static mut END: u64 = 0;
#[unsafe(link_section = ".CRT$XLA")]
static FUNCTIONS: Pointer<()> = Pointer(ptr::null());
#[unsafe(link_section = ".CRT$XLZ")]
#[used]
static NO_MORE_FUNCTIONS: Pointer<()> = Pointer(ptr::null());

/// The number of this program's thread-local statics among those of its DLLs, which the system writes.
#[unsafe(no_mangle)]
pub static mut _tls_index: u32 = 0;

/// Where linkers find the directory.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rdata$T")]
pub static _tls_used: ThreadLocals = ThreadLocals {
    start: Pointer(&raw const START),
    end: Pointer(&raw const END),
    index: Pointer(&raw const _tls_index),
    functions: Pointer((&raw const FUNCTIONS).wrapping_add(1)),
    zeroes: 0,
    characteristics: 0,
};
