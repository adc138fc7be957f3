//! The kind of memory at a driver's address: a pool, a stack, an image, or inaccessible memory. Stands for the memory manager's
//! view of the address space.

use core::ops::Range;
use std::cell::Cell;

use crate::bugcheck::{bugcheck, violation};
use crate::pool::{self, Use, paging};

/// Whether all bytes are readable; with `write` also writable.
pub(crate) fn is_accessible(bytes: &Range<usize>, write: bool) -> bool {
    let in_one_block = pool::containing(bytes.start, |block| bytes.end <= block.range().end);
    if bytes.is_empty() || in_one_block == Some(true) || host::touch(bytes, write) {
        return true;
    }
    let wanted = if write {
        region::Protection::READ_WRITE
    } else {
        region::Protection::READ
    };
    let mut covered = bytes.start;
    if let Ok(regions) = region::query_range(bytes.start as *const u8, bytes.len()) {
        for region in regions.map_while(Result::ok) {
            let range = region.as_range();
            if range.start > covered || !region.protection().contains(wanted) {
                return false;
            }
            covered = range.end;
        }
    }
    covered >= bytes.end
}

/// Whether an address lies on the stack of this thread.
pub(crate) fn is_on_stack(address: usize) -> bool {
    std::thread_local! {
        static STACK: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
    }
    let (start, end) = STACK.with(|stack| {
        stack.get().unwrap_or_else(|| {
            let found = host::stack();
            stack.set(Some(found));
            found
        })
    });
    (start..end).contains(&address)
}

/// Whether an address lies in the image of a program or a library, where drivers keep their statics.
pub(crate) fn is_in_image(address: usize) -> bool {
    host::is_in_image(address)
}

/// Stops when an object that must be in nonpaged memory lies in paged pool.
#[inline]
pub(crate) fn require_nonpaged<T>(function: &str, pointer: *const T, what: &str) {
    if paging::any() {
        check_nonpaged(function, pointer as usize, what);
    }
}

#[cold]
fn check_nonpaged(function: &str, address: usize, what: &str) {
    if is_paged(address) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::PAGED_OBJECT, address, 0, 0),
            [pool::story(address)],
            "{function} was given {what} that lies in paged pool: it has to be in nonpaged memory"
        )
    }
}

/// Whether an address lies in paged pool.
pub(crate) fn is_paged(address: usize) -> bool {
    paging::any() && pool::containing(address, |block| block.usage() == Use::Paged) == Some(true)
}

#[cfg(unix)]
mod host {
    use core::ffi::c_void;
    use core::ops::Range;

    /// Makes the host bring in the pages, which succeeds only if they may be accessed in this way. `false` also when the host can't
    /// do that.
    #[cfg(target_os = "linux")]
    pub(super) fn touch(bytes: &Range<usize>, write: bool) -> bool {
        let page = region::page::size();
        let start = bytes.start & !(page - 1);
        let Some(end) = bytes.end.checked_next_multiple_of(page) else {
            return false;
        };
        let advice = if write {
            libc::MADV_POPULATE_WRITE
        } else {
            libc::MADV_POPULATE_READ
        };
        // SAFETY: the host changes nothing of what the pages hold, and says so where there are none.
        tells_the_truth()
            && unsafe { libc::madvise(start as *mut c_void, end - start, advice) == 0 }
    }

    /// Whether the host really brings pages in: emulators of Linux report success and do nothing.
    #[cfg(target_os = "linux")]
    fn tells_the_truth() -> bool {
        static TRUE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *TRUE.get_or_init(|| {
            let page = region::page::size();
            region::alloc(page, region::Protection::NONE).is_ok_and(|mut none| {
                // SAFETY: the page is there, and holds nothing. It can't be brought in.
                unsafe { libc::madvise(none.as_mut_ptr(), page, libc::MADV_POPULATE_READ) != 0 }
            })
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn touch(_bytes: &Range<usize>, _write: bool) -> bool {
        false
    }

    #[cfg(target_os = "linux")]
    pub(super) fn stack() -> (usize, usize) {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut start = core::ptr::null_mut();
        let mut length = 0;
        // SAFETY: the places are there, and the attributes are filled in before they are used, and destroyed once.
        unsafe {
            if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
                return (0, 0);
            }
            libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut length);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        (start as usize, start as usize + length)
    }

    #[cfg(target_os = "macos")]
    pub(super) fn stack() -> (usize, usize) {
        // SAFETY: the thread is the running one.
        let (end, length) = unsafe {
            let thread = libc::pthread_self();
            (
                libc::pthread_get_stackaddr_np(thread) as usize,
                libc::pthread_get_stacksize_np(thread),
            )
        };
        (end - length, end)
    }

    /// The stack is not known on this host, so no address counts as one of a stack.
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub(super) fn stack() -> (usize, usize) {
        (0, 0)
    }

    pub(super) fn is_in_image(address: usize) -> bool {
        let mut found = core::mem::MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: the place is there, and the address is only compared.
        unsafe { libc::dladdr(address as *const c_void, found.as_mut_ptr()) != 0 }
    }
}

#[cfg(windows)]
mod host {
    use core::ops::Range;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
        GetModuleHandleExW,
    };
    use windows_sys::Win32::System::Threading::GetCurrentThreadStackLimits;

    /// Never brings pages in: on Windows a query of the address range is as fast.
    pub(super) fn touch(_bytes: &Range<usize>, _write: bool) -> bool {
        false
    }

    pub(super) fn stack() -> (usize, usize) {
        let (mut start, mut end) = (0, 0);
        // SAFETY: the places are there.
        unsafe { GetCurrentThreadStackLimits(&raw mut start, &raw mut end) };
        (start, end)
    }

    pub(super) fn is_in_image(address: usize) -> bool {
        let mut module = core::ptr::null_mut();
        // SAFETY: the place is there, and the address is only compared.
        unsafe {
            GetModuleHandleExW(
                GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS
                    | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                address as *const u16,
                &raw mut module,
            ) != 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_accessible, is_in_image, is_on_stack};

    static IN_THE_IMAGE: [u8; 64] = [1; 64];

    #[test]
    fn kinds_of_memory_are_told_apart() {
        let on_the_stack = 0_u64;
        let in_the_heap = Box::new(0_u64);
        let addresses = [
            &raw const on_the_stack as usize,
            &raw const *in_the_heap as usize,
            IN_THE_IMAGE.as_ptr() as usize,
        ];
        assert_eq!(addresses.map(is_on_stack), [true, false, false]);
        assert_eq!(addresses.map(is_in_image), [false, false, true]);
        let readable = addresses.map(|start| is_accessible(&(start..start + 8), false));
        assert_eq!(readable, [true; 3]);
        let writable = addresses.map(|start| is_accessible(&(start..start + 8), true));
        assert_eq!(writable, [true, true, false]);
        assert!(!is_accessible(&(8..16), false));
    }
}
