//! From a member back to its record, and offsets and sizes of members, as macros: they take the names of members.
//! Stands for `CONTAINING_RECORD` and its relatives of `ntdef.h`.

/// Record that the member at this address belongs to: `CONTAINING_RECORD!(address, Type, Member)`.
///
/// The result is `*mut Type`. It may be used only if the address is that of the member in a `Type`, and was made from a
/// pointer to all of it.
///
/// ```
/// use wsk_sys::{CONTAINING_RECORD, LIST_ENTRY};
///
/// struct Session { id: u32, links: LIST_ENTRY }
///
/// let mut session = Session { id: 7, links: LIST_ENTRY::default() };
/// let whole = &raw mut session;
/// // SAFETY: the pointer is to a whole `Session`.
/// let links = unsafe { &raw mut (*whole).links };
/// let session: *mut Session = CONTAINING_RECORD!(links, Session, links);
/// assert_eq!(session, whole);
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-containing_record).
#[macro_export]
macro_rules! CONTAINING_RECORD {
    ($address:expr, $type:ty, $($member:tt)+) => {
        $address.wrapping_byte_sub(::core::mem::offset_of!($type, $($member)+)).cast::<$type>()
    };
}

/// Offset of a member in its record: `FIELD_OFFSET!(Type, Member)`, an `i32` as in C.
///
/// ```
/// assert_eq!(wsk_sys::FIELD_OFFSET!(wsk_sys::MDL, ByteCount), 40);
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-field_offset).
#[macro_export]
macro_rules! FIELD_OFFSET {
    ($type:ty, $($member:tt)+) => {
        ::core::mem::offset_of!($type, $($member)+) as i32
    };
}

/// Offset of a member in its record: `UFIELD_OFFSET!(Type, Member)`, a `u32` as in C.
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-field_offset).
#[macro_export]
macro_rules! UFIELD_OFFSET {
    ($type:ty, $($member:tt)+) => {
        ::core::mem::offset_of!($type, $($member)+) as u32
    };
}

/// Size of a member of a record: `RTL_FIELD_SIZE!(Type, Member)`.
///
/// ```
/// assert_eq!(wsk_sys::RTL_FIELD_SIZE!(wsk_sys::MDL, ByteCount), 4);
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
#[macro_export]
macro_rules! RTL_FIELD_SIZE {
    ($type:ty, $member:ident) => {{
        const fn size_of_pointee<T>(_: *const T) -> usize {
            ::core::mem::size_of::<T>()
        }
        let record = ::core::mem::MaybeUninit::<$type>::uninit();
        let record = record.as_ptr();
        // SAFETY: the pointer is to memory for a whole record, and nothing is read.
        size_of_pointee(unsafe { &raw const (*record).$member })
    }};
}

/// Size of a member of a record: `FIELD_SIZE!(Type, Member)`, another name of [`RTL_FIELD_SIZE!`](crate::RTL_FIELD_SIZE).
///
/// ```
/// assert_eq!(wsk_sys::FIELD_SIZE!(wsk_sys::MDL, ByteCount), 4);
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
#[macro_export]
macro_rules! FIELD_SIZE {
    ($type:ty, $member:ident) => {
        $crate::RTL_FIELD_SIZE!($type, $member)
    };
}

/// Size of a record up to the end of a member: `RTL_SIZEOF_THROUGH_FIELD!(Type, Member)`.
///
/// ```
/// assert_eq!(wsk_sys::RTL_SIZEOF_THROUGH_FIELD!(wsk_sys::MDL, ByteCount), 44);
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
#[macro_export]
macro_rules! RTL_SIZEOF_THROUGH_FIELD {
    ($type:ty, $member:ident) => {
        ::core::mem::offset_of!($type, $member) + $crate::RTL_FIELD_SIZE!($type, $member)
    };
}
