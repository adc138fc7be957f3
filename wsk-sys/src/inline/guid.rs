//! Comparing the identifiers of interfaces and of network modules. Stands for `IsEqualGUID` of `guiddef.h` and
//! `NmrIsEqualNpiModuleId` of `netiodef.h`.

use crate::{GUID, NPI_MODULEID, NPI_MODULEID_TYPE};

/// Whether two identifiers are the same.
///
/// IRQL: any. Header: `guiddef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/guiddef/nf-guiddef-isequalguid).
#[inline]
#[must_use]
#[doc(alias = "InlineIsEqualGUID")]
pub const fn IsEqualGUID(Left: &GUID, Right: &GUID) -> bool {
    Left.Data1 == Right.Data1
        && Left.Data2 == Right.Data2
        && Left.Data3 == Right.Data3
        && u64::from_ne_bytes(Left.Data4) == u64::from_ne_bytes(Right.Data4)
}

pub use self::IsEqualGUID as InlineIsEqualGUID;

/// Whether two network modules are the same.
///
/// IRQL: any. Header: `netiodef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/network/npi-moduleid).
///
/// # Safety
///
/// Both pointers are to initialised identifiers, whose `Type` says which member of the union is.
#[inline]
#[must_use]
pub unsafe fn NmrIsEqualNpiModuleId(
    ModuleId1: *const NPI_MODULEID,
    ModuleId2: *const NPI_MODULEID,
) -> bool {
    // SAFETY: the caller's identifiers are initialised.
    let (left, right) = unsafe { (&*ModuleId1, &*ModuleId2) };
    if left.Type != right.Type {
        return false;
    }
    match left.Type {
        // SAFETY: both are of this type, so this member of both is initialised.
        NPI_MODULEID_TYPE::MIT_GUID => unsafe {
            IsEqualGUID(&left.Anonymous1.Guid, &right.Anonymous1.Guid)
        },
        NPI_MODULEID_TYPE::MIT_IF_LUID => {
            // SAFETY: both are of this type, so this member of both is initialised.
            let (left, right) = unsafe { (left.Anonymous1.IfLuid, right.Anonymous1.IfLuid) };
            left.LowPart == right.LowPart && left.HighPart == right.HighPart
        }
        _ => false,
    }
}
