//! Types of objects, which the kernel exports as data.

use crate::OBJECT_TYPE;

#[cfg_attr(
    all(windows, any(docsrs, not(panic = "unwind"))),
    link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")
)]
unsafe extern "C" {
    /// The type of thread objects, for `ObReferenceObjectByHandle`: `*PsThreadType`.
    ///
    /// Header: `wdm.h`.
    /// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobjectbyhandle).
    pub static PsThreadType: *const *mut OBJECT_TYPE;
}
