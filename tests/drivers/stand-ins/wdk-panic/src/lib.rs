//! Stands in for wdk-panic, which needs a WDK to build: what the template names of it, and no more.

#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
