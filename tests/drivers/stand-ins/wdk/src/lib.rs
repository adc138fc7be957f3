//! A stand-in for wdk, which needs a WDK to build. It has only the items that the template uses.

#![no_std]

#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {{
        let _ = ::core::format_args!($($argument)*);
    }};
}
