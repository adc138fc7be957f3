//! The common form of all functions that the host kernel offers to drivers. Each refuses to work when no kernel is booted, checks
//! the IRQL, reports the call to the listeners, and does its work.

/// Defines an exported symbol of `ntoskrnl.exe` or `netio.sys`.
///
/// `at most LEVEL` is the highest IRQL that the documentation of the routine allows.
macro_rules! export {
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, at most $irql:ident $body:block
    ) => {
        $crate::export::export_to_c! {
            $(#[$meta])*
            fn $name($($argument: $ty),*) $(-> $ret)?, at most $irql $body
        }

        // The definition has to match the declaration in `wsk-sys`: the linker wouldn't notice a difference.
        const _: unsafe extern "system" fn($($ty),*) $(-> $ret)? = ::wsk_sys::$name;
    };
}

/// As [`export`], for functions that only the headers for drivers in C declare.
macro_rules! export_to_c {
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, at most $irql:ident $body:block
    ) => {
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, clippy::too_many_arguments, reason = "name and parameters are those of the routine")]
        pub(crate) unsafe extern "system" fn $name($($argument: $ty),*) $(-> $ret)? {
            $crate::export::enter!($name($($argument),*), $irql);
            $body
        }
    };
}
pub(crate) use export_to_c;

/// As [`export`], for functions that may raise an exception. The body returns the status of an exception as an error; a function
/// that never returns has a body that returns the status itself. All values of the body are dropped before the exception is raised.
macro_rules! raising {
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?) -> !, at most $irql:ident $body:block
    ) => {
        $crate::export::raising!(@define
            $(#[$meta])* fn $name($($argument: $ty),*) -> (!), $irql, ::wsk_sys::NTSTATUS, $body,
            |status| status
        );
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?), at most $irql:ident $body:block
    ) => {
        $crate::export::raising!(@define
            $(#[$meta])* fn $name($($argument: $ty),*) -> (()), $irql, Result<(), ::wsk_sys::NTSTATUS>, $body,
            |outcome| match outcome {
                Ok(()) => return,
                Err(status) => status,
            }
        );
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?) -> $ret:ty, at most $irql:ident $body:block
    ) => {
        $crate::export::raising!(@define
            $(#[$meta])* fn $name($($argument: $ty),*) -> ($ret), $irql, Result<$ret, ::wsk_sys::NTSTATUS>, $body,
            |outcome| match outcome {
                Ok(value) => return value,
                Err(status) => status,
            }
        );
    };
    (
        @define
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),*) -> ($ret:ty), $irql:ident, $outcome:ty, $body:block,
        |$given:ident| $status:expr
    ) => {
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for, and is in C where an exception is caught.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "name and parameters are those of the routine")]
        pub(crate) unsafe extern "system" fn $name($($argument: $ty),*) -> $ret {
            let carry_out = || -> $outcome {
                $crate::export::enter!($name($($argument),*), $irql);
                $body
            };
            let $given = carry_out();
            $crate::exceptions::raise(stringify!($name), $status)
        }

        const _: unsafe extern "system" fn($($ty),*) -> $ret = ::wsk_sys::$name;
    };
}
pub(crate) use raising;

/// Defines a function that is reached through a dispatch table.
macro_rules! dispatched {
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, at most $irql:ident $body:block
    ) => {
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The caller keeps what the documentation of the routine asks for.
        #[allow(non_snake_case, clippy::too_many_arguments, reason = "name and parameters are those of the routine")]
        pub(crate) unsafe extern "system" fn $name($($argument: $ty),*) $(-> $ret)? {
            $crate::export::enter!($name($($argument),*), $irql);
            $($crate::export::require_irp!($name, $argument, $argument);)*
            $body
        }
    };
}

/// Stops when a required IRP is NULL, before the function reads any other argument. Windows reads no other argument then, so they
/// may be anything.
macro_rules! require_irp {
    // These functions take an IRP or NULL.
    (WskControlSocket, Irp, $irp:ident) => {};
    (WskControlClient, Irp, $irp:ident) => {};
    ($name:ident, Irp, $irp:ident) => {
        $crate::wsk::require_irp(stringify!($name), $irp);
    };
    ($name:ident, $other:ident, $argument:ident) => {};
}
pub(crate) use require_irp;

/// The first steps of every function that a driver can call.
macro_rules! enter {
    ($name:ident($($argument:ident),*), $irql:ident) => {
        let _inside = $crate::exceptions::Inside::new();
        $crate::kernel::require_booted(stringify!($name));
        $crate::irql::require(stringify!($name), $crate::irql::$irql);
        if $crate::trace::listening() {
            $crate::trace::called(
                stringify!($name),
                &[$((stringify!($argument), &$argument as &dyn ::core::fmt::Debug)),*],
            );
        }
    };
}
pub(crate) use enter;

/// Does nothing. `wsk` calls it in a build that unwinds. When this crate is not linked, the linker reports the missing name, which
/// says what to do.
#[unsafe(no_mangle)]
extern "C" fn wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort()
 {
}
