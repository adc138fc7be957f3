//! Tells address sanitizer and valgrind which memory of the host's heap nobody may access. Both watch `malloc` and `free` by
//! themselves, but freed blocks of the pool stay allocated, in quarantine.

use core::ops::Range;

/// Nobody may access the bytes from now on.
pub(crate) fn forbid(bytes: Range<usize>) {
    sanitizer::tell(&bytes, true);
    memcheck::tell(&bytes, true);
}

/// The bytes may be accessed again.
pub(crate) fn allow(bytes: Range<usize>) {
    sanitizer::tell(&bytes, false);
    memcheck::tell(&bytes, false);
}

#[cfg(unix)]
mod sanitizer {
    use core::ffi::c_void;
    use core::ops::Range;
    use std::sync::OnceLock;

    type Tell = unsafe extern "C" fn(*const c_void, usize);

    /// The functions that poison and unpoison memory, where address sanitizer is linked in.
    fn functions() -> Option<(Tell, Tell)> {
        static FUNCTIONS: OnceLock<Option<(Tell, Tell)>> = OnceLock::new();
        *FUNCTIONS.get_or_init(|| {
            let (poison, unpoison) = addresses();
            if poison.is_null() || unpoison.is_null() {
                return None;
            }
            // SAFETY: the names are reserved for the sanitizer, whose functions have this type.
            let tell = |address| unsafe { core::mem::transmute::<*const c_void, Tell>(address) };
            Some((tell(poison), tell(unpoison)))
        })
    }

    // The sanitizer is linked into the program, which exports none of its functions. A weak symbol that no library defines is NULL.
    // The symbol is declared weak in the assembly that uses it, because the optimiser may move that assembly into another object
    // file.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn addresses() -> (*const c_void, *const c_void) {
        let (poison, unpoison);
        // SAFETY: the linker has filled in both entries of its table.
        unsafe {
            core::arch::asm!(
                ".weak __asan_poison_memory_region",
                ".weak __asan_unpoison_memory_region",
                "mov {}, qword ptr [rip + __asan_poison_memory_region@GOTPCREL]",
                "mov {}, qword ptr [rip + __asan_unpoison_memory_region@GOTPCREL]",
                out(reg) poison,
                out(reg) unpoison,
                options(nostack, readonly, preserves_flags),
            );
        }
        (poison, unpoison)
    }

    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    fn addresses() -> (*const c_void, *const c_void) {
        let (poison, unpoison);
        // SAFETY: the linker has filled in both entries of its table.
        unsafe {
            core::arch::asm!(
                ".weak __asan_poison_memory_region",
                ".weak __asan_unpoison_memory_region",
                "adrp {0}, :got:__asan_poison_memory_region",
                "ldr {0}, [{0}, :got_lo12:__asan_poison_memory_region]",
                "adrp {1}, :got:__asan_unpoison_memory_region",
                "ldr {1}, [{1}, :got_lo12:__asan_unpoison_memory_region]",
                out(reg) poison,
                out(reg) unpoison,
                options(nostack, readonly, preserves_flags),
            );
        }
        (poison, unpoison)
    }

    /// Elsewhere the sanitizer is a separate library.
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    fn addresses() -> (*const c_void, *const c_void) {
        let find = |name: &core::ffi::CStr| {
            // SAFETY: the name ends with a zero.
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.cast_const()
        };
        (
            find(c"__asan_poison_memory_region"),
            find(c"__asan_unpoison_memory_region"),
        )
    }

    pub(super) fn tell(bytes: &Range<usize>, forbid: bool) {
        if let Some((poison, unpoison)) = functions() {
            let function = if forbid { poison } else { unpoison };
            // SAFETY: the function only notes what the bytes are; nobody but the pool knows them otherwise.
            unsafe { function(bytes.start as *const c_void, bytes.len()) };
        }
    }
}

#[cfg(not(unix))]
mod sanitizer {
    pub(super) fn tell(_bytes: &core::ops::Range<usize>, _forbid: bool) {}
}

/// Requests to valgrind from a program that runs under it: rotations that cancel each other, and an instruction that valgrind takes
/// for a call. On a real processor they have no effect.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod memcheck {
    use core::ops::Range;

    /// The numbers of memcheck's requests.
    const MAKE_NO_ACCESS: usize = 0x4D43_0000;
    const MAKE_DEFINED: usize = 0x4D43_0002;

    pub(super) fn tell(bytes: &Range<usize>, forbid: bool) {
        let request = if forbid { MAKE_NO_ACCESS } else { MAKE_DEFINED };
        let arguments = [request, bytes.start, bytes.len(), 0, 0, 0];
        // SAFETY: on the processor the instructions change nothing but the flags: the rotations come back to where they began.
        // Under valgrind the arguments are read, and the answer goes to the register that is given up.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") 0_usize => _,
                options(nostack),
            );
        }
        // SAFETY: as for the other architecture.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!(
                "ror x12, x12, #3",
                "ror x12, x12, #13",
                "ror x12, x12, #51",
                "ror x12, x12, #61",
                "orr x10, x10, x10",
                in("x4") arguments.as_ptr(),
                inout("x3") 0_usize => _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod memcheck {
    pub(super) fn tell(_bytes: &core::ops::Range<usize>, _forbid: bool) {}
}
