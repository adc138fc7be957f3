//! Typed calls from the dispatch tables of Winsock Kernel (WSK), the structures full of function pointers through which
//! a driver and WSK call each other. Everything that is derived comes from the annotations on the table, which
//! `wsk-sys` has from the SAL annotations of the headers.
//!
//! - [`#[derive(Dispatch)]`](derive@Dispatch) with `#[dispatch(provider)]`: methods over a table that WSK fills in.
//! - [`#[derive(Dispatch)]`](derive@Dispatch) with `#[dispatch(client)]`: a trait for a table that the driver fills in.
//! - [`#[dispatch_events]`](macro@dispatch_events) on an implementation of such a trait.
//!
//! # A provider's table
//!
//! ```
//! use core::{ffi::c_void, ptr::NonNull};
//! use wsk_macros::Dispatch;
//!
//! # #[allow(non_camel_case_types)]
//! pub struct ECHO_SOCKET(u32);
//!
//! #[repr(C)]
//! #[derive(Dispatch)]
//! #[dispatch(provider)]
//! # #[allow(non_camel_case_types, non_snake_case)]
//! pub struct ECHO_PROVIDER_DISPATCH {
//!     #[dispatch(value)]
//!     pub Version: u16,
//!     #[dispatch(reserved)]
//!     pub Reserved: u16,
//!     /// Sends a message.
//!     #[dispatch(irql = "<= DISPATCH_LEVEL", entry = fn(
//!         #[sal(In)] Socket: *mut ECHO_SOCKET,
//!         #[sal(Reserved)] Flags: u32,
//!         #[sal(In)] MessageLength: u32,
//!         #[sal(In_reads_bytes_opt(MessageLength))] Message: *const c_void,
//!     ) -> i32)]
//!     pub EchoSend: Option<unsafe extern "system" fn(*mut ECHO_SOCKET, u32, u32, *const c_void) -> i32>,
//!     /// Newer than some Windows that run the driver.
//!     #[dispatch(since = 0x0A00_0003, entry = fn(#[sal(In)] Socket: *mut ECHO_SOCKET))]
//!     pub EchoFlush: Option<unsafe extern "system" fn(*mut ECHO_SOCKET)>,
//! }
//!
//! # unsafe extern "system" fn send(socket: *mut ECHO_SOCKET, flags: u32, length: u32, message: *const c_void) -> i32 {
//! #     assert!(flags == 0 && message.is_null() == (length == 0));
//! #     // SAFETY: the one caller gives its socket.
//! #     unsafe { (*socket).0 += length };
//! #     0
//! # }
//! // Here the example is its own provider; WSK gives a driver such a table with each socket.
//! let mut socket = ECHO_SOCKET(0);
//! let table = ECHO_PROVIDER_DISPATCH { Version: 1, Reserved: 0, EchoSend: Some(send), EchoFlush: None };
//!
//! // SAFETY: the table outlives `echo` and is whole.
//! let echo = unsafe { EchoProviderDispatch::new(NonNull::from(&table), 0x0A00_0002) };
//! assert_eq!(echo.version(), 1);
//!
//! // SAFETY: the socket and the message are valid for the call, and `send` is this socket's.
//! let status = unsafe { echo.echo_send(NonNull::from(&mut socket), Some(NonNull::from(b"hello"))) };
//! assert_eq!(status, Ok(0));
//! assert_eq!(socket.0, 5);
//!
//! // SAFETY: the socket is valid for the call, if there is one.
//! let absent = unsafe { echo.echo_flush(NonNull::from(&mut socket)) };
//! assert_eq!(
//!     absent,
//!     Err(wsk_sys::DispatchError::TooNew { entry: "EchoFlush", since: 0x0A00_0003, running: 0x0A00_0002 }),
//! );
//! ```
//!
//! # A client's table
//!
//! ```
//! use core::{ffi::c_void, ptr::NonNull};
//! use wsk_macros::{Dispatch, dispatch_events};
//!
//! #[repr(C)]
//! #[derive(Dispatch)]
//! #[dispatch(client)]
//! # #[allow(non_camel_case_types, non_snake_case)]
//! pub struct ECHO_CLIENT_DISPATCH {
//!     /// A message came.
//!     #[dispatch(irql = "<= DISPATCH_LEVEL", entry = fn(
//!         #[sal(In_opt)] Context: *mut c_void,
//!         #[sal(In_reads_bytes_opt(Length))] Message: *const c_void,
//!         #[sal(In)] Length: usize,
//!     ) -> i32)]
//!     pub EchoReceiveEvent: Option<unsafe extern "system" fn(*mut c_void, *const c_void, usize) -> i32>,
//!     /// The other side is gone.
//!     #[dispatch(entry = fn(#[sal(In_opt)] Context: *mut c_void))]
//!     pub EchoCloseEvent: Option<unsafe extern "system" fn(*mut c_void)>,
//! }
//!
//! struct Driver;
//!
//! // SAFETY: the method keeps what the callback documents.
//! #[dispatch_events]
//! unsafe impl EchoClientDispatchEvents for Driver {
//!     unsafe fn echo_receive_event(_: Option<NonNull<c_void>>, message: Option<NonNull<[u8]>>) -> i32 {
//!         message.map_or(0, NonNull::len) as i32
//!     }
//! }
//!
//! static TABLE: &ECHO_CLIENT_DISPATCH = echo_client_dispatch_table::<Driver>();
//! assert!(TABLE.EchoReceiveEvent.is_some());
//! assert!(TABLE.EchoCloseEvent.is_none());
//! ```

mod errors;
mod expand;
mod names;
mod sal;
mod syntax;
mod table;

use proc_macro::TokenStream;
use syn::{Error, parse_macro_input};

/// Derives typed calls from a dispatch table: a `#[repr(C)]` struct named as in C, in capitals.
///
/// The derived code names `::wsk_sys::DispatchError`, so the crate that it is used in is `wsk-sys` or depends on it.
///
/// # On the table
///
/// | attribute | the table is filled in by | what is derived for `WSK_X_DISPATCH` |
/// |---|---|---|
/// | `#[dispatch(provider)]` | WSK | `struct WskXDispatch`, a method for each entry |
/// | `#[dispatch(client)]` | the driver | `unsafe trait WskXDispatchEvents` and `const fn wsk_x_dispatch_table` |
///
/// # On each member
///
/// | attribute | member | in a provider's table | in a client's table |
/// |---|---|---|---|
/// | `entry = fn(...) -> T` | a function pointer | a method | a method of the trait, NULL where an implementation has none |
/// | `base` | the table that this one begins with | a method that gives its wrapper | not there |
/// | `table` | `*const` another client table | not there | `const X: Option<&'static T>`, `None` unless given |
/// | `value` | data | a method that reads it | `const X: T` to give |
/// | `reserved` | data that has no meaning | nothing | 0 |
///
/// `entry` may be followed by `since = 0x0A000003`, the `NTDDI_VERSION` of the first Windows that has the entry, and by
/// `irql = "<= DISPATCH_LEVEL"`, for the documentation. A provider's method never reads an entry from a table that is older than
/// the entry. All tables have the entries that exist since Windows Vista, 0x06000000.
///
/// The signature is that of the C function, with raw pointers and `#[sal(...)]` on the parameters. The macro adds
/// `unsafe extern "system"`. If the signature differs from the type of the member, the code does not compile.
///
/// # Parameters
///
/// The name in `#[sal(...)]` is the SAL macro's without its outer underscores: `In_opt` for `_In_opt_`.
///
/// | SAL | parameter in C | parameter in Rust |
/// |---|---|---|
/// | `In`, `Out`, `Inout` | `*mut T`, `*const T` | `NonNull<T>` |
/// | `In_opt`, `Out_opt`, `Inout_opt` | the same | `Option<NonNull<T>>` |
/// | `Outptr`, `Outptr_result_maybenull` | `*mut *mut T` | `NonNull<*mut T>` |
/// | `Outptr_opt`, `Outptr_opt_result_maybenull` | the same | `Option<NonNull<*mut T>>` |
/// | `In_reads_bytes(N)`, `Out_writes_bytes(N)`, `Inout_updates_bytes(N)` | `*mut T` and `N` | `NonNull<[u8]>` |
/// | `In_reads(N)`, `Out_writes(N)`, `Inout_updates(N)` | `*mut T` and `N` | `NonNull<[T]>` |
/// | the same, ending in `_opt` | the same | `Option` of it |
/// | the same, with `*N` | `*mut T`, and a pointer `N` to the count | as without the count; `N` stays |
/// | `Reserved` | an integer or a pointer | none: 0 or NULL |
/// | `In`, `In_opt`, none | not a pointer | as it is |
///
/// The parameters of counts are gone. A length that doesn't fit its count is `DispatchError::TooLong`. For an optional
/// buffer, `None` and an empty one both pass NULL and 0. Buffers are raw slices, not references, because most calls are
/// asynchronous: the memory is used after the call has returned.
///
/// Callbacks get their parameters by the same rules. There a NULL buffer is `None`, whatever its count.
///
/// # Absent callbacks
///
/// Each method of a client's trait comes with a constant, `HAS_WSK_RECEIVE_FROM_EVENT`, that says whether an
/// implementation has it. [`#[dispatch_events]`](macro@dispatch_events) sets them.
#[proc_macro_derive(Dispatch, attributes(dispatch))]
pub fn derive_dispatch(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syntax::Struct);
    table::table(&input)
        .map_or_else(Error::into_compile_error, |table| expand::table(&table))
        .into()
}

/// Notes which callbacks an implementation of a client table's trait has, so that the others become NULL in the table.
///
/// Every implementation needs it: without it, the constant `USE_DISPATCH_EVENTS` is missing. The trait is what
/// [`#[derive(Dispatch)]`](derive@Dispatch) makes of a table with `#[dispatch(client)]`; the
/// [crate's documentation](crate#a-clients-table) has an example.
#[proc_macro_attribute]
pub fn dispatch_events(arguments: TokenStream, input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syntax::Implementation);
    expand::no_arguments(arguments.into())
        .and_then(|()| expand::dispatch_events(&input))
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// The SAL annotations that `#[sal(...)]` takes, for the generator: an array of `(&str, &str, bool, Option<&str>)`, which are the
/// name, the use of the pointer (`In`, `Out`, `Inout`, `Outptr`, `Reserved`), whether it may be NULL, and the unit of a count
/// (`bytes`, `elements`).
#[doc(hidden)]
#[proc_macro]
pub fn sal_annotations(_: TokenStream) -> TokenStream {
    sal::listed().into()
}
