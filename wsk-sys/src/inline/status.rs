//! The severity of a status. Stands for the `NT_…` macros of `ntdef.h`.

use crate::NTSTATUS;

/// Whether a status is success or information.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[inline]
#[must_use]
pub const fn NT_SUCCESS(Status: NTSTATUS) -> bool {
    Status.is_success()
}

/// Whether a status is information.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[inline]
#[must_use]
pub const fn NT_INFORMATION(Status: NTSTATUS) -> bool {
    Status.is_information()
}

/// Whether a status is a warning.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[inline]
#[must_use]
pub const fn NT_WARNING(Status: NTSTATUS) -> bool {
    Status.is_warning()
}

/// Whether a status is an error.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[inline]
#[must_use]
pub const fn NT_ERROR(Status: NTSTATUS) -> bool {
    Status.is_error()
}
