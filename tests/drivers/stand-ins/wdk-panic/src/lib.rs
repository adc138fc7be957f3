//! A stand-in for wdk-panic, which needs a WDK to build. It has only the items that the template uses.

#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
