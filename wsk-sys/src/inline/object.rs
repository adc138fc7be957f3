//! Kernel objects: how one is named for opening, and counting references to it. Stands for the object macros of `ntdef.h`
//! and `wdm.h`.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null_mut, without_provenance_mut};

use crate::{OBJECT_ATTRIBUTES, ObfDereferenceObject, ObfReferenceObject, UNICODE_STRING};

/// Fills in the attributes of an object that is to be opened or created.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-initializeobjectattributes).
///
/// # Safety
///
/// `Object` points to memory for the attributes that may be written. `Name` and `Security` stay valid while they are used.
#[inline]
pub unsafe fn InitializeObjectAttributes(
    Object: *mut OBJECT_ATTRIBUTES,
    Name: *mut UNICODE_STRING,
    Flags: u32,
    Root: *mut c_void,
    Security: *mut c_void,
) {
    // SAFETY: the caller's memory may be written.
    unsafe {
        Object.write(OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: Root,
            ObjectName: Name,
            Attributes: Flags,
            SecurityDescriptor: Security,
            SecurityQualityOfService: null_mut(),
        });
    }
}

/// Pseudo-handle of the current process.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentprocess).
#[inline]
#[must_use]
pub const fn NtCurrentProcess() -> *mut c_void {
    without_provenance_mut(usize::MAX)
}

/// Pseudo-handle of the current thread.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentthread).
#[inline]
#[must_use]
pub const fn NtCurrentThread() -> *mut c_void {
    without_provenance_mut(usize::MAX - 1)
}

/// Takes a further reference to an object.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobject).
///
/// # Safety
///
/// `Object` points to an object that the caller holds a reference to.
#[inline]
pub unsafe fn ObReferenceObject(Object: *mut c_void) -> isize {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ObfReferenceObject(Object) }
}

/// Gives a reference to an object back.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obdereferenceobject).
///
/// # Safety
///
/// `Object` points to an object that the caller holds a reference to, and does not use any more.
#[inline]
pub unsafe fn ObDereferenceObject(Object: *mut c_void) -> isize {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ObfDereferenceObject(Object) }
}
