//! Stands in for wdk, which needs a WDK to build: what the template names of it, and no more.

#![no_std]

#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {{
        let _ = ::core::format_args!($($argument)*);
    }};
}
