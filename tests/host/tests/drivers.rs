//! Drivers as a whole: loading, parameters, unloading, and what they print.

use std::sync::{Arc, Mutex};

use wsk_host::{Kernel, What};
use wsk_sys::{
    DRIVER_OBJECT, DbgPrint, DbgPrintEx, NTSTATUS, RTL_CONSTANT_STRING, STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL, UNICODE_STRING,
};

/// What is printed while `print` runs.
fn printed(print: impl FnOnce()) -> Vec<String> {
    let kernel = Kernel::boot();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Print { text, .. } = &event.what {
            to.lock().unwrap().push(text.clone());
        }
    });
    print();
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn formats_are_filled_in() {
    let text = c"text".as_ptr();
    let wide: Vec<u16> = "wide\0".encode_utf16().collect();
    let counted = RTL_CONSTANT_STRING!("counted");
    // SAFETY: the arguments are what the formats ask for.
    let lines = printed(|| unsafe {
        DbgPrint(
            c"100%%, %s and %s\n".as_ptr().cast(),
            text,
            core::ptr::null::<i8>(),
        );
        DbgPrint(c"[%5d|%-5d|%05d|%+d]".as_ptr().cast(), -42, 42, 42, 42);
        DbgPrint(
            c"%u %x %08X %#x %o".as_ptr().cast(),
            u32::MAX,
            255,
            0xC000_0002_u32,
            16,
            8,
        );
        DbgPrint(
            c"%I64u %llu %lu %Iu %hu %zu".as_ptr().cast(),
            u64::MAX,
            1_u64,
            2_u32,
            3_usize,
            4,
            5_usize,
        );
        DbgPrint(
            c"%ws %S %wZ %.3s %.*s".as_ptr().cast(),
            wide.as_ptr(),
            wide.as_ptr(),
            &raw const counted,
            text,
            2,
            text,
        );
        DbgPrint(c"%p %c".as_ptr().cast(), 0x10_usize as *const u8, 65);
        // More than fit into registers, on every architecture.
        DbgPrint(
            c"%d %d %d %d %d %d %d %d %d %d".as_ptr().cast(),
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            9,
            10,
        );
        DbgPrintEx(
            77,
            3,
            c"%d %d %d %d %d %d %d".as_ptr().cast(),
            1,
            2,
            3,
            4,
            5,
            6,
            7,
        );
    });
    assert_eq!(
        lines,
        [
            "100%, text and (null)\n",
            "[  -42|42   |00042|+42]",
            "4294967295 ff C0000002 0x10 10",
            "18446744073709551615 1 2 3 4 5",
            "wide wide counted tex te",
            "0000000000000010 A",
            "1 2 3 4 5 6 7 8 9 10",
            "1 2 3 4 5 6 7",
        ]
    );
}

/// A driver whose format asks for more than any line has gets a long line: the test neither fails nor runs out of memory.
#[test]
fn a_width_has_a_limit() {
    let text = c"text".as_ptr();
    // SAFETY: the arguments are what the formats ask for.
    let lines = printed(|| unsafe {
        DbgPrint(c"%99999999999999999999s".as_ptr().cast(), text);
        DbgPrint(c"%*d".as_ptr().cast(), -1_i32, 7);
        DbgPrint(c"%.99999999999999999999s".as_ptr().cast(), text);
    });
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [65_535, 65_535, 4]);
}

unsafe extern "system" fn unload(driver: *mut DRIVER_OBJECT) {
    // SAFETY: the system gives the driver object.
    unsafe {
        DbgPrint(
            c"unloads %wZ".as_ptr().cast(),
            &raw const (*driver).DriverName,
        )
    };
}

unsafe extern "system" fn good(driver: &mut DRIVER_OBJECT, path: &UNICODE_STRING) -> NTSTATUS {
    // SAFETY: the system gives the path.
    unsafe { DbgPrint(c"loads %wZ".as_ptr().cast(), path) };
    driver.DriverUnload = Some(unload);
    STATUS_SUCCESS
}

unsafe extern "system" fn bad(driver: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
    driver.DriverUnload = Some(unload);
    STATUS_UNSUCCESSFUL
}

unsafe extern "system" fn stays(_: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
    STATUS_SUCCESS
}

#[test]
fn a_driver_is_loaded_and_unloaded() {
    let kernel = Kernel::boot();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Print { text, .. } = &event.what {
            to.lock().unwrap().push(text.clone());
        }
    });
    kernel.driver("first").load(good).unwrap().unload();
    // One that could not start is not unloaded.
    assert_eq!(
        kernel.driver("second").load(bad).unwrap_err(),
        STATUS_UNSUCCESSFUL
    );
    kernel.shutdown();
    assert_eq!(
        *lines.lock().unwrap(),
        [
            r"loads \Registry\Machine\System\CurrentControlSet\Services\first",
            r"unloads \Driver\first",
        ]
    );
}

#[test]
#[should_panic(expected = "the driver has set no DriverUnload")]
fn a_driver_without_an_unload_routine_cannot_be_unloaded() {
    let kernel = Kernel::boot();
    kernel.driver("stays").load(stays).unwrap().unload();
}
