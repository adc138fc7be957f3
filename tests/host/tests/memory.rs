//! For each rule about memory that the host kernel watches over through page protection: raw code that breaks it, and is caught.
//!
//! What is accessed here against the rules is inaccessible, so that the access itself ends the process, which is a child of the
//! test: no memory of anybody is read or written.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::*;

const BEYOND: &str = "PAGE_FAULT_BEYOND_END_OF_ALLOCATION";
const UNHANDLED: &str = "KMODE_EXCEPTION_NOT_HANDLED";

/// Reads a byte.
///
/// # Safety
///
/// The byte is readable, or lies in a page that isn't.
unsafe fn peek<T>(address: *const T) -> u8 {
    // SAFETY: the caller says so.
    unsafe { address.cast::<u8>().read_volatile() }
}

/// Writes a byte.
///
/// # Safety
///
/// The byte is writable and used by nobody, or lies in a page that isn't.
unsafe fn poke<T>(address: *mut T) {
    // SAFETY: the caller says so.
    unsafe { address.cast::<u8>().write_volatile(1) }
}

// Freed memory.

#[test]
fn freed_pool_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let memory = pool(100).cast::<u8>();
        // SAFETY: the block is used by nobody. Reading it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            ExFreePoolWithTag(memory.cast(), TAG);
            peek(memory.add(7));
        }
    })
    .tells("the driver read memory that was freed, 7 bytes from its start")
    .tells("nonpaged pool")
    .tells("tag 'Test'")
    .tells("freed by ExFreePoolWithTag")
    .tells("freed_pool_read");
}

#[test]
fn freed_pool_written() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let memory = pool(5000).cast::<u8>();
        // SAFETY: the block is used by nobody. Writing to it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            ExFreePool(memory.cast());
            poke(memory.add(4999));
        }
    })
    .tells("the driver wrote to memory that was freed, 4999 bytes from its start")
    .tells("freed by ExFreePool");
}

#[test]
fn freed_pool_read_by_a_thread_that_never_called_the_kernel() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let memory = pool(100);
        // SAFETY: the block is used by nobody. Reading it when it is freed breaks the rule; it is inaccessible then.
        unsafe { ExFreePoolWithTag(memory, TAG) };
        let address = memory.expose_provenance();
        let other = std::thread::spawn(move || {
            // SAFETY: as above.
            unsafe { peek(ptr::with_exposed_provenance::<u8>(address)) }
        });
        let _ = other.join();
    })
    .tells("the driver read memory that was freed, 0 bytes from its start")
    .tells("freed by ExFreePoolWithTag")
    .tells("freed_pool_read_by_a_thread_that_never_called_the_kernel");
}

#[test]
fn system_thread_without_a_routine() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let nothing: *const () = ptr::with_exposed_provenance(core::hint::black_box(0x10));
        // SAFETY: breaks the rule; no function lies there.
        unsafe {
            let routine =
                core::mem::transmute::<*const (), unsafe extern "system" fn(*mut c_void)>(nothing);
            start_thread(routine, ptr::null_mut());
        }
        std::thread::sleep(std::time::Duration::from_secs(50));
    })
    .tells("memory at 0x10, by a pointer that is NULL, or close to that");
}

#[test]
fn freed_irp_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let irp = allocate_irp(1);
        // SAFETY: the IRP is used by nobody. Reading it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            IoFreeIrp(irp);
            peek(&raw const (*irp).IoStatus);
        }
    })
    .tells("IRP at")
    .tells("freed by IoFreeIrp")
    .tells("1. allocated")
    .tells("2. freed");
}

#[test]
fn freed_mdl_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let mdl = Buffer::new(8).mdl();
        // SAFETY: the MDL is used by nobody. Reading it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            IoFreeMdl(mdl);
            peek(&raw const (*mdl).ByteCount);
        }
    })
    .tells("MDL at")
    .tells("freed by IoFreeMdl");
}

#[test]
fn released_indication_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let (socket, list) = retained_indication();
        assert_eq!(socket.release(list), STATUS_SUCCESS);
        // SAFETY: breaks the rule; the indication is inaccessible once it is released.
        unsafe { peek(&raw const (*list).Buffer.Length) };
    })
    .tells("indication at")
    .tells("freed by WskRelease");
}

#[test]
fn closed_socket_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.socket(AF_INET);
        socket.close();
        // SAFETY: breaks the rule; the socket is inaccessible once it is closed.
        unsafe { peek(&raw const (*socket.raw()).Dispatch) };
    })
    .tells("socket at")
    .tells("freed by WskCloseSocket")
    .tells("closed_socket_read");
}

#[test]
fn freed_addresses_read() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let mut found: *mut ADDRINFOEXW = ptr::null_mut();
        let name: Vec<u16> = "127.0.0.1".encode_utf16().collect();
        let bytes = (name.len() * 2) as u16;
        let mut name = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: name.as_ptr().cast_mut(),
        };
        let (status, _) = conclude(|call| {
            // SAFETY: the name and the place for the result live until the call is concluded; all else is optional.
            unsafe {
                client.table().WskGetAddressInfo.unwrap()(
                    client.client(),
                    &raw mut name,
                    ptr::null_mut(),
                    NS_ALL,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    &raw mut found,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: the list is the driver's. Reading it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            client.table().WskFreeAddressInfo.unwrap()(client.client(), found);
            peek(&raw const (*found).ai_addr);
        }
    })
    .tells("result of WskGetAddressInfo at")
    .tells("freed by WskFreeAddressInfo");
}

#[test]
fn freed_memory_given_to_the_kernel() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let string = pool(size_of::<UNICODE_STRING>()).cast::<UNICODE_STRING>();
        // SAFETY: the block is used by nobody. Giving it away when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            ExFreePool(string.cast());
            RtlInitUnicodeString(string, ptr::null());
        }
    })
    .tells("RtlInitUnicodeString, with what the driver gave it, wrote to memory that was freed");
}

// Memory of others.

#[test]
fn block_read_beyond_its_end() {
    expect_bugcheck(BEYOND, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the block ends where an inaccessible page begins.
        unsafe { peek(pool(64).cast::<u8>().add(64)) };
    })
    .tells("the driver read memory beyond a block, 64 bytes from its start, in a block of 64 bytes")
    .tells("block_read_beyond_its_end");
}

#[test]
fn block_written_beyond_its_end() {
    // Up to 72 bytes, each of which is noticed at once or when the block is freed.
    for distance in [0, 8, 16, 72] {
        let code = if distance == 0 { VERIFIER } else { BEYOND };
        let report = expect_bugcheck(code, || {
            let _kernel = Kernel::boot();
            let memory = pool(100).cast::<u8>();
            // SAFETY: breaks the rule. The bytes up to the next multiple of 16 belong to nobody; behind them comes an
            // inaccessible page.
            unsafe {
                poke(memory.add(100 + distance + usize::from(distance > 0) * 12));
                ExFreePool(memory.cast());
            }
        });
        report.tells("in a block of 100 bytes");
    }
}

#[test]
fn irp_written_beyond_its_end() {
    // An IRP with one location has 280 bytes.
    for (distance, code) in [(0, VERIFIER), (8, BEYOND), (64, BEYOND), (72, BEYOND)] {
        let report = expect_bugcheck(code, || {
            let _kernel = Kernel::boot();
            let irp = allocate_irp(1);
            // SAFETY: breaks the rule. The bytes up to the next multiple of 16 belong to nobody; behind them comes an
            // inaccessible page.
            unsafe {
                poke(irp.cast::<u8>().add(280 + distance));
                IoFreeIrp(irp);
            }
        });
        report.tells("IRP at").tells("in a block of 280 bytes");
    }
}

#[test]
fn more_described_than_there_is() {
    expect_bugcheck(BEYOND, || {
        let _kernel = Kernel::boot();
        let memory = pool(48).cast::<UNICODE_STRING>();
        // SAFETY: breaks the rule: the string begins inside the block and ends outside; behind it comes an inaccessible page.
        unsafe { RtlInitUnicodeString(memory.byte_add(40), ptr::null()) };
    })
    .tells("RtlInitUnicodeString, with what the driver gave it, wrote to memory beyond a block");
}

// Pointers to nothing.

#[test]
fn null_dereferenced() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let nothing = core::hint::black_box(0x18_usize);
        // SAFETY: breaks the rule; nothing lies there.
        unsafe { peek(ptr::with_exposed_provenance::<u8>(nothing)) };
    })
    .tells("the driver read memory at 0x18, by a pointer that is NULL, or close to that")
    .tells("null_dereferenced");
}

#[test]
fn null_called() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let nothing: *const () = ptr::with_exposed_provenance(core::hint::black_box(8));
        // SAFETY: breaks the rule; no function lies there.
        let function: extern "C" fn() = unsafe { core::mem::transmute(nothing) };
        function();
    })
    .tells("memory at 0x8, by a pointer that is NULL, or close to that")
    .tells("null_called");
}

#[test]
fn address_that_there_is_none_like() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let nothing = core::hint::black_box(0xCDCD_CDCD_CDCD_CDC8_usize);
        // SAFETY: breaks the rule; nothing lies there.
        unsafe { peek(ptr::with_exposed_provenance::<u8>(nothing)) };
    })
    .tells("address_that_there_is_none_like");
}

#[test]
fn null_given_to_the_kernel() {
    type Body = fn();
    // SAFETY: each breaks the rule; the kernel stops when it is to access what NULL points at.
    let calls: [(&str, Body); 11] = unsafe {
        [
            ("MmProbeAndLockPages", || {
                MmProbeAndLockPages(ptr::null_mut(), 0, LOCK_OPERATION::IoReadAccess)
            }),
            ("MmUnlockPages", || MmUnlockPages(ptr::null_mut())),
            ("MmBuildMdlForNonPagedPool", || {
                MmBuildMdlForNonPagedPool(ptr::null_mut())
            }),
            ("IoBuildPartialMdl", || {
                IoBuildPartialMdl(ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0)
            }),
            ("KeInitializeEvent", || {
                KeInitializeEvent(ptr::null_mut(), EVENT_TYPE::NotificationEvent, 0)
            }),
            ("KeSetEvent", || {
                let _ = KeSetEvent(ptr::null_mut(), 0, 0);
            }),
            ("KeWaitForSingleObject", || {
                let _ = wait(ptr::null_mut(), None);
            }),
            ("KeInsertQueueDpc", || {
                let _ = KeInsertQueueDpc(ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            }),
            ("RtlInitUnicodeString", || {
                RtlInitUnicodeString(ptr::null_mut(), ptr::null())
            }),
            ("KeDelayExecutionThread", || {
                let _ = KeDelayExecutionThread(0, 0, ptr::null_mut());
            }),
            ("RtlGetVersion", || {
                let _ = RtlGetVersion(ptr::null_mut());
            }),
        ]
    };
    for (function, call) in calls {
        expect_bugcheck(UNHANDLED, || {
            let _kernel = Kernel::boot();
            call();
        })
        .tells(function)
        .tells("by a pointer that is NULL, or close to that")
        .tells("null_given_to_the_kernel");
    }
}

#[test]
fn null_lock_taken() {
    expect_bugcheck("DRIVER_IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel stops when it is to access what NULL points at. The level is raised by then.
        let _ = unsafe { KeAcquireSpinLockRaiseToDpc(ptr::null_mut()) };
    })
    .tells("KeAcquireSpinLockRaiseToDpc")
    .tells("by a pointer that is NULL");
}

#[test]
fn null_buffer_sent() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let call = Call::new();
        // SAFETY: breaks the rule; the kernel stops when it is to access what NULL points at.
        let _ = unsafe {
            socket.table().WskSendTo.unwrap()(
                socket.raw(),
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                call.irp(),
            )
        };
    })
    .tells("WskSendTo")
    .tells("by a pointer that is NULL");
}

#[test]
fn pointer_to_nowhere_given_to_the_kernel() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        // What uninitialised memory holds: an address that the processor has none like.
        let event = pool(64).cast::<*mut KEVENT>();
        // SAFETY: breaks the rule; nothing lies there.
        unsafe { KeSetEvent(event.read(), 0, 0) };
    })
    .tells("KeSetEvent");
}

#[test]
fn memory_that_is_no_block_anymore_is_taken_again() {
    // All that is freed becomes inaccessible, and another kernel can use it.
    for round in 0..3 {
        let kernel = Kernel::boot();
        let blocks: Vec<_> = (1..2000).map(pool).collect();
        for (index, block) in blocks.into_iter().enumerate() {
            assert!(!block.is_null(), "block {index} of round {round}");
            let bytes = block.cast::<u8>();
            // SAFETY: the block is new, and has as many bytes. It is used by nobody when it is freed.
            unsafe {
                assert_eq!(bytes.read(), bytes.add(index).read());
                bytes.add(index).write(1);
                ExFreePoolWithTag(block, TAG);
            }
        }
        kernel.shutdown();
    }
}

// Without page protection.

#[test]
fn many_small_blocks() {
    let kernel = Kernel::builder()
        .special_pool(false)
        .backtraces(false)
        .boot();
    let blocks: Vec<_> = (0..100_000).map(|_| pool(16)).collect();
    for block in blocks {
        // SAFETY: the block is used by nobody.
        unsafe { ExFreePoolWithTag(block, TAG) };
    }
    kernel.shutdown();
}

#[test]
#[ignore = "reads freed memory, for a tool to see that watches the process: `cargo ci address-sanitizer valgrind`"]
fn freed_heap_read() {
    let kernel = Kernel::builder().special_pool(false).boot();
    let memory = pool(100).cast::<u8>();
    // SAFETY: the block is used by nobody. Reading it when it is freed breaks the rule; without pages of its own it stays
    // allocated, in quarantine.
    let found = unsafe {
        ExFreePoolWithTag(memory.cast(), TAG);
        peek(memory.add(7))
    };
    assert_eq!(found, 0xDD, "what freed memory is filled with");
    kernel.shutdown();
}

#[test]
fn more_blocks_than_there_are_pages_for() {
    // Those beyond what the host has pages for lie in its heap.
    let kernel = Kernel::builder().backtraces(false).boot();
    let blocks: Vec<_> = (0..20_000).map(|_| pool(16)).collect();
    for block in blocks {
        assert!(!block.is_null());
        // SAFETY: the block is used by nobody.
        unsafe { ExFreePoolWithTag(block, TAG) };
    }
    kernel.shutdown();
}

// Memory of the wrong kind.

static mut IN_THE_IMAGE: [u64; 8] = [1; 8];
static CONSTANT: [u64; 8] = [1; 8];

#[test]
fn mdl_over_the_stack_built_as_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u64; 8];
        // SAFETY: the MDL is new. Breaks the rule; the kernel knows where the stack is.
        unsafe { MmBuildMdlForNonPagedPool(mdl_of(memory.as_mut_ptr().cast(), 64)) };
    })
    .tells("(0x7F,")
    .tells("over the stack");
}

#[test]
fn mdl_over_an_image_built_as_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is new. Breaks the rule; the kernel knows what lies in an image.
        unsafe { MmBuildMdlForNonPagedPool(mdl_of((&raw mut IN_THE_IMAGE).cast(), 64)) };
    })
    .tells("(0x7F,")
    .tells("over a driver's image");
}

#[test]
fn mdl_over_nothing_built_as_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is new. Breaks the rule; the kernel looks whether something lies there.
        unsafe { MmBuildMdlForNonPagedPool(mdl_of(ptr::without_provenance_mut(0x1000), 64)) };
    })
    .tells("(0x7F,")
    .tells("over memory that isn't there");
}

#[test]
fn absent_memory_locked() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let mdl = mdl_of(ptr::without_provenance_mut(0x1000), 64);
        // SAFETY: the MDL is new. Breaks the rule; the kernel looks whether something lies there.
        unsafe { MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess) };
    })
    .tells("(0xC0000005,")
    .tells("MmProbeAndLockPages raised STATUS_ACCESS_VIOLATION")
    .tells("MDL at");
}

#[test]
fn constant_memory_locked_for_writing() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        let mdl = mdl_of(CONSTANT.as_ptr().cast_mut().cast(), 64);
        // SAFETY: the MDL is new. Breaks the rule; the kernel looks whether the memory can be written.
        unsafe { MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoWriteAccess) };
    })
    .tells("MmProbeAndLockPages raised STATUS_ACCESS_VIOLATION");
}

#[test]
fn what_cannot_be_locked_is_told_to_who_catches_it() {
    let kernel = Kernel::boot();
    let (constant, absent) = (
        CONSTANT.as_ptr().cast_mut().cast(),
        ptr::without_provenance_mut(0x1000),
    );
    let tries = [
        (constant, LOCK_OPERATION::IoReadAccess, STATUS_SUCCESS),
        (
            constant,
            LOCK_OPERATION::IoWriteAccess,
            STATUS_ACCESS_VIOLATION,
        ),
        (
            absent,
            LOCK_OPERATION::IoReadAccess,
            STATUS_ACCESS_VIOLATION,
        ),
    ];
    for (memory, operation, expected) in tries {
        let mdl = mdl_of(memory, 64);
        // SAFETY: the MDL is new, and used by nobody else.
        unsafe {
            assert_eq!(TryProbeAndLockPages(mdl, 0, operation), expected);
            if expected == STATUS_SUCCESS {
                MmUnlockPages(mdl);
            }
            IoFreeMdl(mdl);
        }
    }
    kernel.shutdown();
}

#[test]
fn received_into_pages_that_are_locked_for_reading() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let mut memory = [0_u8; 64];
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is new, and the memory outlives the call, which the kernel stops before it uses it.
        let data = unsafe {
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            Data::of(mdl, 0, 64)
        };
        let _ = socket.start_receive(&Call::new(), data);
    })
    .tells("WskReceiveFrom was given a buffer to receive into whose pages are locked with IoReadAccess")
    .tells("pages locked by MmProbeAndLockPages");
}

#[test]
fn objects_in_paged_pool() {
    unsafe extern "system" fn nothing(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
    }
    type Body = fn(*mut c_void);
    // SAFETY: the block has room for each of the objects. Each breaks the rule; the kernel knows which pool the block is in.
    let objects: [(&str, Body); 5] = unsafe {
        [
            ("KeInitializeEvent was given an event", |memory| {
                KeInitializeEvent(memory.cast(), EVENT_TYPE::NotificationEvent, 0)
            }),
            ("KeInitializeDpc was given a DPC", |memory| {
                KeInitializeDpc(memory.cast(), Some(nothing), ptr::null_mut())
            }),
            ("KeInitializeTimer was given a timer", |memory| {
                KeInitializeTimerEx(memory.cast(), TIMER_TYPE::NotificationTimer)
            }),
            ("KeAcquireSpinLock was given a spin lock", |memory| {
                memory.cast::<usize>().write(0);
                let _ = KeAcquireSpinLockRaiseToDpc(memory.cast());
            }),
            ("WskRegister was given a WSK_REGISTRATION", |memory| {
                let mut npi = WSK_CLIENT_NPI {
                    ClientContext: ptr::null_mut(),
                    Dispatch: &raw const CLIENT_DISPATCH,
                };
                let _ = WskRegister(&raw mut npi, memory.cast());
            }),
        ]
    };
    for (told, give) in objects {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            give(paged_pool(256));
        })
        .tells(told)
        .tells("that lies in paged pool")
        .tells("objects_in_paged_pool");
    }
}

#[test]
fn client_dispatch_in_paged_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let dispatch = paged_pool(size_of::<WSK_CLIENT_DISPATCH>()).cast::<WSK_CLIENT_DISPATCH>();
        let registration = pool(size_of::<WSK_REGISTRATION>()).cast();
        // SAFETY: both blocks have room for what is there. Breaks the rule; the kernel knows which pool the block is in.
        unsafe {
            dispatch.write(CLIENT_DISPATCH);
            let mut npi = WSK_CLIENT_NPI {
                ClientContext: ptr::null_mut(),
                Dispatch: dispatch,
            };
            let _ = WskRegister(&raw mut npi, registration);
        }
    })
    .tells("WskRegister was given a client dispatch table that lies in paged pool");
}

#[test]
fn pointers_of_a_socket_in_paged_pool() {
    for (context, told) in [
        (
            true,
            "WskSocket was given a socket context that lies in paged pool",
        ),
        (
            false,
            "WskSocket was given a table of event callbacks that lies in paged pool",
        ),
    ] {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let client = Client::new();
            let make = |context, table| {
                let call = Call::new();
                // SAFETY: there are no callbacks in the table. Breaks the rule; the kernel knows which pool a block is in.
                let _ = unsafe { client.make(Kind::datagram(AF_INET), context, table, call.irp()) };
            };
            static NONE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
                WskReceiveFromEvent: None,
            };
            if context {
                make(paged_pool(8), (&raw const NONE).cast());
            } else {
                let table = paged_pool(size_of_val(&NONE));
                // SAFETY: the block has room for a table.
                unsafe { table.cast::<WSK_CLIENT_DATAGRAM_DISPATCH>().write(NONE) };
                make(ptr::null_mut(), table);
            }
        })
        .tells(told);
    }
}

#[test]
fn places_of_a_call_in_paged_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let received = paged_pool(size_of::<Received>()).cast::<Received>();
        // SAFETY: the block has room for the outputs. Breaks the rule; the kernel knows which pool the block is in.
        unsafe {
            received.write(Received::new());
            let _ = socket.start_receive_into(&Call::new(), buffer.all(), received);
        }
    })
    .tells("WskReceiveFrom was given the place for the")
    .tells("in paged pool: the call may be completed at DISPATCH_LEVEL");
}

#[test]
fn user_mode_wait_for_an_object_on_the_stack() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut event = KEVENT::default();
        // SAFETY: the event lives until the wait is over. Breaks the rule; the kernel knows where the stack is.
        unsafe {
            KeInitializeEvent(&raw mut event, EVENT_TYPE::NotificationEvent, 1);
            let object = (&raw mut event).cast();
            let _ = KeWaitForSingleObject(object, KWAIT_REASON::Executive, 1, 0, ptr::null_mut());
        }
    })
    .tells("KeWaitForSingleObject was called with WaitMode UserMode for an object on the stack");
}

#[test]
fn user_mode_wait_for_several_objects_one_on_the_stack() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut on_the_stack = KEVENT::default();
        let elsewhere = Event::new(EVENT_TYPE::NotificationEvent, true);
        // SAFETY: the events live until the wait is over. Breaks the rule; the kernel knows where the stack is.
        unsafe {
            KeInitializeEvent(&raw mut on_the_stack, EVENT_TYPE::NotificationEvent, 1);
            let mut objects = [elsewhere.raw(), (&raw mut on_the_stack).cast()];
            let _ = KeWaitForMultipleObjects(
                2,
                objects.as_mut_ptr(),
                WAIT_TYPE::WaitAll,
                KWAIT_REASON::Executive,
                1,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            );
        }
    })
    .tells("KeWaitForMultipleObjects was called with WaitMode UserMode for an object on the stack");
}

#[test]
fn paged_pool_accessed_at_dispatch_level() {
    expect_bugcheck("DRIVER_IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let memory = paged_pool(64).cast::<u64>();
        // SAFETY: the block has the bytes, and is used by nobody else. The last read breaks the rule; the block is inaccessible
        // at this level.
        unsafe {
            memory.write(7);
            assert_eq!(memory.read(), 7);
            at_irql(DISPATCH_LEVEL, || peek(memory));
        }
    })
    .tells("paged pool was accessed at DISPATCH_LEVEL, by the driver")
    .tells("paged pool at")
    .tells("paged_pool_accessed_at_dispatch_level");
}

#[test]
fn paged_pool_accessed_in_a_dpc() {
    unsafe extern "system" fn reads(
        _dpc: *mut KDPC,
        context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        // SAFETY: breaks the rule; the block is inaccessible at this level.
        unsafe { peek(context) };
    }
    expect_bugcheck("DRIVER_IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let dpc = pool(size_of::<KDPC>()).cast();
        // SAFETY: the block has room for a DPC, whose context is what its routine wants.
        unsafe {
            KeInitializeDpc(dpc, Some(reads), paged_pool(64));
            KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
            KeFlushQueuedDpcs();
        }
    })
    .tells("paged pool was accessed at DISPATCH_LEVEL, by the driver")
    .tells("(dpc)");
}

#[test]
fn paged_pool_comes_back_below_dispatch_level() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let memory = paged_pool(4096).cast::<u8>();
    // SAFETY: the block has the bytes, and is used by nobody else.
    unsafe {
        memory.write(b'x');
        at_irql(DISPATCH_LEVEL, || ());
        assert_eq!(memory.read(), b'x');
        // What is locked stays where the host's functions and those of the driver can reach it.
        let mdl = mdl_of(memory.cast(), 4096);
        MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoModifyAccess);
        at_irql(DISPATCH_LEVEL, || assert_eq!(peek(memory), b'x'));
        let own = socket.local().unwrap();
        let call = Call::new();
        let _ = at_irql(DISPATCH_LEVEL, || {
            socket.start_send(&call, Data::of(mdl, 0, 1), Some(own))
        });
        assert_eq!(call.finish(), (STATUS_SUCCESS, 1));
        MmUnlockPages(mdl);
        IoFreeMdl(mdl);
        at_irql(DISPATCH_LEVEL, || ());
        ExFreePoolWithTag(memory.cast(), TAG);
    }
    socket.close();
    client.leave();
    kernel.shutdown();
}

// What is used while a call is in flight, and what WSK keeps pointers to.

/// A receive that is pending into a part of locked pages: the MDL that has locked them, and the partial one.
fn receive_into_a_part(kernel: &Kernel) -> (*mut MDL, *mut MDL, Call) {
    let _ = kernel;
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let memory = paged_pool(64);
    let (whole, part) = (mdl_of(memory, 64), mdl_of(memory, 16));
    let call = Call::new();
    // SAFETY: the MDLs are new, and neither they nor the memory are freed.
    let status = unsafe {
        MmProbeAndLockPages(whole, 0, LOCK_OPERATION::IoWriteAccess);
        IoBuildPartialMdl(whole, part, memory, 16);
        socket.start_receive(&call, Data::of(part, 0, 16))
    };
    assert_eq!(status, STATUS_PENDING);
    (whole, part, call)
}

#[test]
fn pages_unlocked_that_are_used_through_a_partial_mdl() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let kernel = Kernel::boot();
        let (whole, ..) = receive_into_a_part(&kernel);
        // SAFETY: breaks the rule; the kernel knows what was built from which MDL, and stops before the pages are unlocked.
        unsafe { MmUnlockPages(whole) };
    })
    .tells("MmUnlockPages was called for an MDL whose pages a call in flight is using through a partial MDL")
    .tells("pages locked by MmProbeAndLockPages");
}

#[test]
fn mdl_freed_that_has_locked_the_pages_of_a_partial_one() {
    expect_bugcheck("DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM", || {
        let kernel = Kernel::boot();
        let (whole, ..) = receive_into_a_part(&kernel);
        // SAFETY: breaks the rule; the flags of the MDL tell that its pages are locked.
        unsafe { IoFreeMdl(whole) };
    })
    .tells("whose pages are still locked");
}

#[test]
fn partial_mdl_of_the_chain_freed() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let kernel = Kernel::boot();
        let (_, part, _) = receive_into_a_part(&kernel);
        // SAFETY: breaks the rule; the kernel knows that a call uses the MDL, and stops before it is freed.
        unsafe { IoFreeMdl(part) };
    })
    .tells("IoFreeMdl was called for an MDL that a call in flight is using");
}

#[test]
fn second_mdl_of_a_chain_unlocked() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let (first, second) = (mdl_of(paged_pool(8), 8), mdl_of(paged_pool(8), 8));
        // SAFETY: the MDLs are new. The last call breaks the rule; the kernel knows which MDLs a call uses.
        unsafe {
            MmProbeAndLockPages(first, 0, LOCK_OPERATION::IoWriteAccess);
            MmProbeAndLockPages(second, 0, LOCK_OPERATION::IoWriteAccess);
            (*first).Next = second;
            let status = socket.start_receive(&Call::new(), Data::of(first, 0, 16));
            assert_eq!(status, STATUS_PENDING);
            MmUnlockPages(second);
        }
    })
    .tells("MmUnlockPages was called for an MDL that a call in flight is using");
}

#[test]
fn partial_mdl_used_when_its_pages_are_unlocked() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let memory = paged_pool(64);
        let (whole, part) = (mdl_of(memory, 64), mdl_of(memory, 16));
        // SAFETY: the MDLs are new. The last call breaks the rule; the kernel knows what the part was built from.
        unsafe {
            MmProbeAndLockPages(whole, 0, LOCK_OPERATION::IoWriteAccess);
            IoBuildPartialMdl(whole, part, memory, 16);
            MmUnlockPages(whole);
            let _ = socket.start_receive(&Call::new(), Data::of(part, 0, 16));
        }
    })
    .tells("WskReceiveFrom was given a partial MDL whose pages were unlocked");
}

/// A client whose registration and dispatch table lie in blocks of pool.
fn registered_in_pool() -> (*mut WSK_REGISTRATION, *mut WSK_CLIENT_DISPATCH) {
    let registration = pool(size_of::<WSK_REGISTRATION>()).cast::<WSK_REGISTRATION>();
    let dispatch = pool(size_of::<WSK_CLIENT_DISPATCH>()).cast::<WSK_CLIENT_DISPATCH>();
    // SAFETY: the blocks have room for what is there; what is wrong about them comes later.
    unsafe {
        dispatch.write(CLIENT_DISPATCH);
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: dispatch,
        };
        assert_eq!(WskRegister(&raw mut npi, registration), STATUS_SUCCESS);
    }
    (registration, dispatch)
}

#[test]
fn registration_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let (registration, _) = registered_in_pool();
        // SAFETY: breaks the rule; the kernel knows what is registered, and stops before the block is freed.
        unsafe { ExFreePool(registration.cast()) };
    })
    .tells("memory was freed that holds a WSK_REGISTRATION that is registered")
    .tells("registered by WskRegister");
}

#[test]
fn client_dispatch_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let (_, dispatch) = registered_in_pool();
        // SAFETY: breaks the rule; the kernel knows what is registered, and stops before the block is freed.
        unsafe { ExFreePool(dispatch.cast()) };
    })
    .tells("memory was freed that holds the dispatch table of a client that is registered");
}

#[test]
fn registration_changed() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (registration, _) = registered_in_pool();
        // SAFETY: the block has room for one. Writing it breaks the rule; the kernel compares it.
        unsafe {
            registration.write(core::mem::zeroed());
            WskDeregister(registration);
        }
    })
    .tells(
        "WskDeregister was called for a WSK_REGISTRATION that was written since it was registered",
    );
}

#[test]
fn client_dispatch_changed() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (registration, dispatch) = registered_in_pool();
        // SAFETY: the block has room for one. Changing it breaks the rule; the kernel compares it.
        unsafe {
            (*dispatch).Version = 7;
            WskDeregister(registration);
        }
    })
    .tells("WskDeregister was called for a client whose dispatch table at");
}

/// A datagram socket whose table and context lie in blocks of pool, with its event callback enabled.
fn socket_with_pool(client: &Client) -> (Socket, *mut WSK_CLIENT_DATAGRAM_DISPATCH, *mut c_void) {
    unsafe extern "system" fn accepts(
        _context: *mut c_void,
        _flags: u32,
        _list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        STATUS_SUCCESS
    }
    let table = pool(size_of::<WSK_CLIENT_DATAGRAM_DISPATCH>()).cast();
    let context = pool(8);
    let (status, socket) = conclude(|call| {
        // SAFETY: the block has room for a table, whose callback has no use for its context.
        unsafe {
            ptr::write(
                table,
                WSK_CLIENT_DATAGRAM_DISPATCH {
                    WskReceiveFromEvent: Some(accepts),
                },
            );
            client.make(
                Kind::datagram(AF_INET),
                context,
                table.cast_const().cast(),
                call.irp(),
            )
        }
    });
    assert_eq!(status, STATUS_SUCCESS);
    // SAFETY: the socket was made just now, of this category.
    let socket = unsafe { Socket::of(socket) };
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    (socket, table, context)
}

#[test]
fn table_of_a_socket_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (_, table, _) = socket_with_pool(&client);
        // SAFETY: breaks the rule; the kernel knows what sockets keep, and stops before the block is freed.
        unsafe { ExFreePool(table.cast()) };
    })
    .tells("memory was freed that holds the table of event callbacks of an open socket")
    .tells("socket#1 made by WskSocket");
}

#[test]
fn context_of_a_socket_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (_, _, context) = socket_with_pool(&client);
        // SAFETY: breaks the rule; the kernel knows what sockets keep, and stops before the block is freed.
        unsafe { ExFreePool(context) };
    })
    .tells("memory was freed that holds the context of a socket whose event callbacks are enabled");
}

#[test]
fn table_of_a_socket_changed() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (socket, table, _) = socket_with_pool(&client);
        // SAFETY: the block has room for a table. Changing it breaks the rule; the kernel compares it.
        unsafe { (*table).WskReceiveFromEvent = None };
        socket.close();
    })
    .tells("was changed while the socket is open")
    .tells("socket#1 made by WskSocket");
}

#[test]
fn what_a_socket_kept_is_freed_when_it_is_closed() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let (socket, table, context) = socket_with_pool(&client);
    socket.close();
    // SAFETY: the blocks are used by nobody.
    unsafe {
        ExFreePool(table.cast());
        ExFreePool(context);
    }
    client.leave();
    kernel.shutdown();
}

#[test]
fn characteristics_of_a_module_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let length = size_of::<NPI_CLIENT_CHARACTERISTICS>();
        let characteristics = pool(length).cast::<NPI_CLIENT_CHARACTERISTICS>();
        let mut handle = ptr::null_mut();
        // SAFETY: the block has room for characteristics, of which all members may be zero. The last call breaks the rule; the
        // kernel knows what is registered.
        unsafe {
            characteristics.write(core::mem::zeroed());
            let status = NmrRegisterClient(characteristics, ptr::null_mut(), &raw mut handle);
            assert_eq!(status, STATUS_SUCCESS);
            ExFreePool(characteristics.cast());
        }
    })
    .tells("memory was freed that holds the characteristics of a module that is registered")
    .tells("registered by NmrRegisterClient");
}

#[test]
fn timer_freed_that_is_set() {
    expect_bugcheck("TIMER_OR_DPC_INVALID", || {
        let _kernel = Kernel::boot();
        let timer = pool(size_of::<KTIMER>()).cast::<KTIMER>();
        let hour = LARGE_INTEGER {
            QuadPart: -36_000_000_000,
        };
        // SAFETY: the block has room for a timer. The last call breaks the rule; the kernel knows which timers are set.
        unsafe {
            KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
            KeSetTimer(timer, hour, ptr::null_mut());
            ExFreePool(timer.cast());
        }
    })
    .tells("memory was freed that holds a timer that is set");
}

#[test]
fn dpc_freed_that_is_queued() {
    unsafe extern "system" fn sleeps(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        std::thread::sleep(std::time::Duration::from_secs(20));
    }
    expect_bugcheck("TIMER_OR_DPC_INVALID", || {
        let _kernel = Kernel::boot();
        let (first, second) = (
            pool(size_of::<KDPC>()).cast(),
            pool(size_of::<KDPC>()).cast(),
        );
        // SAFETY: the blocks have room for DPCs, whose routine has no use for a context. The last call breaks the rule; the kernel
        // knows which are queued. The first one keeps the other waiting.
        unsafe {
            for dpc in [first, second] {
                KeInitializeDpc(dpc, Some(sleeps), ptr::null_mut());
                KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
            }
            ExFreePool(second.cast());
        }
    })
    .tells("memory was freed that holds a deferred procedure call that is queued");
}

// Places on the stack.

/// Starts a receive with places on its own stack, and returns.
#[inline(never)]
fn forgets_its_places(socket: Socket, call: &Call, buffer: &Buffer) {
    let mut received = Received::new();
    // SAFETY: that the places go when this function returns is the rule that is broken; the call isn't completed by then.
    let status = unsafe { socket.start_receive_into(call, buffer.all(), &raw mut received) };
    assert_eq!(status, STATUS_PENDING);
    // Here the places are still there.
    assert_eq!(wsk_host::current_irql(), 0);
    // SAFETY: nothing is asked of the caller.
    assert_eq!(unsafe { KeGetCurrentIrql() }, 0);
}

#[test]
#[cfg_attr(
    all(windows, not(target_arch = "x86_64")),
    ignore = "the frames of a stack aren't walked there"
)]
fn places_on_the_stack_of_a_function_that_has_returned() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let (call, buffer) = (Call::new(), Buffer::new(8));
        forgets_its_places(socket, &call, &buffer);
        call.cancel();
    })
    .tells("lies on the stack, in a function that has returned while the call in flight (WskReceiveFrom) still uses it")
    .tells("noticed by IoCancelIrp")
    .tells("forgets_its_places");
}

#[test]
#[cfg_attr(
    all(windows, not(target_arch = "x86_64")),
    ignore = "the frames of a stack aren't walked there"
)]
fn places_on_the_stack_of_a_thread_that_has_ended() {
    unsafe extern "system" fn ends(_context: *mut c_void) {
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let mut received = Received::new();
        // SAFETY: that the places go when the thread ends is the rule that is broken; the call isn't completed by then.
        let status = unsafe {
            let buffer = Buffer::new(8);
            socket.start_receive_into(&Call::new(), buffer.all(), &raw mut received)
        };
        assert_eq!(status, STATUS_PENDING);
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the routine has no use for a context.
        unsafe { start_thread(ends, ptr::null_mut()) };
        std::thread::sleep(std::time::Duration::from_secs(50));
    })
    .tells("lies on the stack")
    .tells("noticed by the end of the thread");
}

/// Registers with a registration on its own stack, and returns.
#[inline(never)]
fn forgets_its_registration() {
    let mut registration = WSK_REGISTRATION::default();
    let mut npi = WSK_CLIENT_NPI {
        ClientContext: ptr::null_mut(),
        Dispatch: &raw const CLIENT_DISPATCH,
    };
    // SAFETY: that the registration goes when this function returns is the rule that is broken; the kernel looks at it while it is
    // there only.
    let status = unsafe { WskRegister(&raw mut npi, &raw mut registration) };
    assert_eq!(status, STATUS_SUCCESS);
}

#[test]
#[cfg_attr(
    all(windows, not(target_arch = "x86_64")),
    ignore = "the frames of a stack aren't walked there"
)]
fn registration_on_the_stack_of_a_function_that_has_returned() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        forgets_its_registration();
        pool(8);
    })
    .tells("the WSK_REGISTRATION at")
    .tells("lies on the stack, in a function that has returned while the client that is registered (WskRegister) still uses it")
    .tells("forgets_its_registration");
}

#[test]
fn places_on_the_stack_that_are_there_until_the_end() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(8);
    for _ in 0..3 {
        let call = Call::new();
        let mut received = Received::new();
        // SAFETY: the places are there until the call has finished.
        let status = unsafe { socket.start_receive_into(&call, buffer.all(), &raw mut received) };
        assert_eq!(status, STATUS_PENDING);
        assert_eq!(wsk_host::current_irql(), 0);
        call.cancel();
        assert_eq!(call.finish().0, STATUS_CANCELLED);
    }
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}
