//! For each rule that the host kernel watches over: raw code that breaks it, and is caught.

#![allow(
    clippy::pedantic,
    clippy::field_reassign_with_default,
    clippy::type_complexity,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "raw driver code, as a test"
)]

mod driver;

use core::ffi::c_void;
use core::ptr;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::*;

const VERIFIER: &str = "DRIVER_VERIFIER_DETECTED_VIOLATION";
const IO_VERIFIER: &str = "DRIVER_VERIFIER_IOMANAGER_VIOLATION";
const POOL: &str = "BAD_POOL_CALLER";
const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL";

fn pool(length: usize) -> *mut c_void {
    unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, length, TAG) }
}

/// A receive that stays pending, and what it uses.
struct Pending {
    call: Call,
    buffer: Buffer,
    socket: Socket,
    _client: Client,
    _kernel: Kernel,
}

fn pending_receive() -> Pending {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(64);
    let call = Call::new();
    assert_eq!(
        socket.start_receive(&call, &mut buffer.all(), None),
        STATUS_PENDING
    );
    Pending {
        call,
        buffer,
        socket,
        _client: client,
        _kernel: kernel,
    }
}

// IRPs.

#[test]
fn irp_completed_twice() {
    expect_bugcheck("MULTIPLE_IRP_COMPLETE_REQUESTS", || {
        let pending = pending_receive();
        unsafe { IofCompleteRequest(pending.call.irp, 0) };
    })
    .tells("the provider owns")
    .tells("started by WskReceiveFrom")
    .tells("pending_receive");
}

#[test]
fn irp_completed_after_it_came_back() {
    expect_bugcheck("0x44", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let call = Call::new();
        let _ = client.start_socket(&call, AF_INET, ptr::null_mut(), ptr::null());
        unsafe { IofCompleteRequest(call.irp, 0) };
    })
    .tells("completed: STATUS_SUCCESS");
}

#[test]
fn irp_freed_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        unsafe { IoFreeIrp(pending.call.irp) };
    })
    .tells("(0x20B,")
    .tells("in flight: WskReceiveFrom");
}

#[test]
fn irp_reused_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        unsafe { IoReuseIrp(pending.call.irp, STATUS_SUCCESS) };
    })
    .tells("IoReuseIrp was called for an IRP that is still in use");
}

#[test]
fn irp_initialized_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        unsafe { IoInitializeIrp(pending.call.irp, size_of::<IRP>() as u16 + 72, 1) };
    })
    .tells("IoInitializeIrp was called for an IRP that is still in use");
}

#[test]
fn irp_sent_again_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        let other = Buffer::new(8);
        let _ = pending
            .socket
            .start_receive(&pending.call, &mut other.all(), None);
    })
    .tells("(0x205,");
}

#[test]
fn allocated_irp_initialized() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let irp = IoAllocateIrp(1, 0);
            IoInitializeIrp(irp, size_of::<IRP>() as u16 + 72, 1);
        }
    })
    .tells("(0x20D,");
}

#[test]
fn irp_freed_twice() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        unsafe {
            let irp = IoAllocateIrp(1, 0);
            IoFreeIrp(irp);
            IoFreeIrp(irp);
        }
    })
    .tells("freed by IoFreeIrp")
    .tells("irp_freed_twice");
}

#[test]
fn irp_in_place_freed() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        unsafe {
            let size = size_of::<IRP>() + size_of::<IO_STACK_LOCATION>();
            let irp = pool(size).cast::<IRP>();
            IoInitializeIrp(irp, size as u16, 1);
            IoFreeIrp(irp);
        }
    })
    .tells("built in place");
}

#[test]
fn memory_of_an_irp_in_flight_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let size = size_of::<IRP>() + size_of::<IO_STACK_LOCATION>();
        let irp = pool(size).cast::<IRP>();
        unsafe { IoInitializeIrp(irp, size as u16, 1) };
        let call = Call::with(irp);
        let buffer = Buffer::new(64);
        assert_eq!(
            socket.start_receive(&call, &mut buffer.all(), None),
            STATUS_PENDING
        );
        unsafe { ExFreePoolWithTag(irp.cast(), TAG) };
    })
    .tells("holds the IRP of a call in flight (WskReceiveFrom)");
}

#[test]
fn freed_irp_sent() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let call = Call::new();
        unsafe { IoFreeIrp(call.irp) };
        let _ = client.start_socket(&call, AF_INET, ptr::null_mut(), ptr::null());
    })
    .tells("WskSocket was given an IRP that was freed");
}

#[test]
fn something_else_sent() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let mut memory = [0_u64; 64];
        let irp: *mut IRP = memory.as_mut_ptr().cast();
        unsafe {
            let make = (*client.provider.Dispatch).WskSocket.unwrap();
            let none = ptr::null_mut();
            let _ = make(
                client.provider.Client,
                AF_INET,
                SOCK_DGRAM,
                17,
                4,
                none,
                none,
                none.cast(),
                none.cast(),
                none,
                irp,
            );
        }
    })
    .tells("isn't an IRP");
}

#[test]
fn irp_without_stack_location() {
    expect_bugcheck("NO_MORE_IRP_STACK_LOCATIONS", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        unsafe {
            let irp = IoAllocateIrp(0, 0);
            let make = (*client.provider.Dispatch).WskSocket.unwrap();
            let none = ptr::null_mut();
            let _ = make(
                client.provider.Client,
                AF_INET,
                SOCK_DGRAM,
                17,
                4,
                none,
                none,
                none.cast(),
                none.cast(),
                none,
                irp,
            );
        }
    });
}

#[test]
fn irp_without_completion_routine() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        unsafe {
            let irp = IoAllocateIrp(1, 0);
            let make = (*client.provider.Dispatch).WskSocket.unwrap();
            let none = ptr::null_mut();
            let _ = make(
                client.provider.Client,
                AF_INET,
                SOCK_DGRAM,
                17,
                4,
                none,
                none,
                none.cast(),
                none.cast(),
                none,
                irp,
            );
        }
    })
    .tells("without a completion routine for success, error and cancel");
}

unsafe extern "system" fn lets_go(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    STATUS_SUCCESS
}

unsafe extern "system" fn frees_and_lets_go(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    unsafe { IoFreeIrp(irp) };
    STATUS_SUCCESS
}

unsafe extern "system" fn raises(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    unsafe { KfRaiseIrql(DISPATCH_LEVEL) };
    STATUS_MORE_PROCESSING_REQUIRED
}

fn complete_with(routine: PIO_COMPLETION_ROUTINE) {
    let _kernel = Kernel::boot();
    let client = Client::new();
    let call = Call::new();
    unsafe { set_routine(call.irp, routine, ptr::null_mut()) };
    let _ = client.start_socket(&call, AF_INET, ptr::null_mut(), ptr::null());
}

#[test]
fn completion_routine_lets_go_of_its_irp() {
    expect_bugcheck(IO_VERIFIER, || complete_with(Some(lets_go)))
        .tells("no completion routine returned");
}

#[test]
fn completion_routine_frees_and_lets_go() {
    expect_bugcheck(FREED, || complete_with(Some(frees_and_lets_go)))
        .tells("instead of STATUS_MORE_PROCESSING_REQUIRED");
}

#[test]
fn completion_routine_changes_the_irql() {
    expect_bugcheck(VERIFIER, || complete_with(Some(raises))).tells("(0xFA,");
}

#[test]
fn freed_irp_cancelled() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        unsafe {
            let irp = IoAllocateIrp(1, 0);
            IoFreeIrp(irp);
            IoCancelIrp(irp);
        }
    })
    .tells("IoCancelIrp was given an IRP that was freed");
}

// MDLs.

#[test]
fn mdl_freed_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        unsafe { IoFreeMdl(pending.buffer.mdl) };
    })
    .tells("IoFreeMdl was called for an MDL that a call in flight is using");
}

#[test]
fn mdl_rebuilt_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        unsafe { MmBuildMdlForNonPagedPool(pending.buffer.mdl) };
    })
    .tells("MmBuildMdlForNonPagedPool");
}

#[test]
fn mdl_unlocked_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let mut memory = [0_u8; 64];
        unsafe {
            let mdl = IoAllocateMdl(memory.as_mut_ptr().cast(), 64, 0, 0, ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoWriteAccess);
            let mut buffer = WSK_BUF {
                Mdl: mdl,
                Offset: 0,
                Length: 64,
            };
            assert_eq!(
                socket.start_receive(&Call::new(), &mut buffer, None),
                STATUS_PENDING
            );
            MmUnlockPages(mdl);
        }
    })
    .tells("MmUnlockPages was called for an MDL that a call in flight is using");
}

#[test]
fn mdl_changed_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        unsafe {
            (*pending.buffer.mdl).ByteCount = 32;
            IoCancelIrp(pending.call.irp);
        }
    })
    .tells("an MDL was changed (its ByteCount)");
}

#[test]
fn mdl_neither_locked_nor_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let mut memory = [0_u8; 64];
        unsafe {
            let mdl = IoAllocateMdl(memory.as_mut_ptr().cast(), 64, 0, 0, ptr::null_mut());
            let mut buffer = WSK_BUF {
                Mdl: mdl,
                Offset: 0,
                Length: 64,
            };
            let _ = socket.start_receive(&Call::new(), &mut buffer, None);
        }
    })
    .tells("neither locked nor described as nonpaged pool");
}

#[test]
fn freed_mdl_used() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        unsafe { IoFreeMdl(buffer.mdl) };
        let _ = socket.start_receive(&Call::new(), &mut buffer.all(), None);
    })
    .tells("WskReceiveFrom was given an MDL that was freed");
}

#[test]
fn mdl_freed_twice() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let buffer = Buffer::new(8);
        unsafe {
            IoFreeMdl(buffer.mdl);
            IoFreeMdl(buffer.mdl);
        }
    })
    .tells("freed already");
}

#[test]
fn mdl_freed_while_locked() {
    expect_bugcheck("DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM", || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        unsafe {
            let mdl = IoAllocateMdl(memory.as_mut_ptr().cast(), 64, 0, 0, ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            IoFreeMdl(mdl);
        }
    })
    .tells("pages locked by MmProbeAndLockPages");
}

#[test]
fn mdl_locked_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        unsafe {
            let mdl = IoAllocateMdl(memory.as_mut_ptr().cast(), 64, 0, 0, ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
        }
    })
    .tells("(0xB0,");
}

#[test]
fn exception_of_locking_not_caught() {
    expect_bugcheck("KMODE_EXCEPTION_NOT_HANDLED", || {
        let kernel = Kernel::boot();
        kernel.fail_nth(Resource::Lock, 1);
        let mut page = vec![0_u8; 64];
        unsafe {
            let mdl = IoAllocateMdl(page.as_mut_ptr().cast(), 64, 0, 0, ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
        }
    })
    .tells("nothing caught it");
}

#[test]
fn mdl_unlocked_without_lock() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        unsafe {
            MmUnlockPages(IoAllocateMdl(
                memory.as_mut_ptr().cast(),
                64,
                0,
                0,
                ptr::null_mut(),
            ))
        };
    })
    .tells("(0x7C,");
}

#[test]
fn nonpaged_mdl_unlocked() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { MmUnlockPages(Buffer::new(8).mdl) };
    })
    .tells("(0x7D,");
}

#[test]
fn mdl_of_paged_pool_built_as_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let memory = ExAllocatePoolWithTag(POOL_TYPE::PagedPool, 64, TAG);
            MmBuildMdlForNonPagedPool(IoAllocateMdl(memory, 64, 0, 0, ptr::null_mut()));
        }
    })
    .tells("(0x7F,");
}

#[test]
fn mdl_reaches_beyond_its_block() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { MmBuildMdlForNonPagedPool(IoAllocateMdl(pool(64), 65, 0, 0, ptr::null_mut())) };
    })
    .tells("reaches beyond the allocated block");
}

#[test]
fn mapping_without_lock() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let mdl = IoAllocateMdl(pool(64), 64, 0, 0, ptr::null_mut());
            MmMapLockedPagesSpecifyCache(
                mdl,
                0,
                MEMORY_CACHING_TYPE::MmCached,
                ptr::null_mut(),
                0,
                16,
            );
        }
    })
    .tells("(0xB3,");
}

#[test]
fn mapping_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let mdl = IoAllocateMdl(pool(64), 64, 0, 0, ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            for _ in 0..2 {
                MmMapLockedPagesSpecifyCache(
                    mdl,
                    0,
                    MEMORY_CACHING_TYPE::MmCached,
                    ptr::null_mut(),
                    0,
                    16,
                );
            }
        }
    })
    .tells("(0xB2,");
}

#[test]
fn partial_mdl_with_too_few_pages() {
    expect_bugcheck("TARGET_MDL_TOO_SMALL", || {
        let _kernel = Kernel::boot();
        unsafe {
            let source = Buffer::new(3 * 4096);
            let target = IoAllocateMdl(source.memory.cast(), 16, 0, 0, ptr::null_mut());
            IoBuildPartialMdl(source.mdl, target, source.memory.cast(), 2 * 4096);
        }
    });
}

#[test]
fn buffer_longer_than_its_chain() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let mut described = WSK_BUF {
            Length: 9,
            ..buffer.all()
        };
        let _ = socket.start_receive(&Call::new(), &mut described, None);
    })
    .tells("reaches beyond the MDL chain");
}

#[test]
fn offset_beyond_the_first_mdl() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let (first, second) = (Buffer::new(8), Buffer::new(8));
        unsafe { (*first.mdl).Next = second.mdl };
        let mut described = WSK_BUF {
            Mdl: first.mdl,
            Offset: 9,
            Length: 4,
        };
        let _ = socket.start_receive(&Call::new(), &mut described, None);
    })
    .tells("beyond the first MDL");
}

// Memory.

#[test]
fn data_freed_in_flight() {
    expect_bugcheck(FREED, || {
        let pending = pending_receive();
        unsafe { ExFreePoolWithTag(pending.buffer.memory.cast(), TAG) };
    })
    .tells("holds data of a call in flight (WskReceiveFrom)")
    .tells("tag 'Test'");
}

#[test]
fn place_for_the_address_freed_in_flight() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let received = pool(size_of::<Received>()).cast::<Received>();
        unsafe {
            received.write(Received::new());
            assert_eq!(
                socket.start_receive(&Call::new(), &mut buffer.all(), Some(&mut *received)),
                STATUS_PENDING
            );
            ExFreePool(received.cast());
        }
    })
    .tells("the place for the");
}

#[test]
fn data_written_in_flight() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let own = socket.local().unwrap();
        let buffer = Buffer::new(60_000);
        // Sends wait for their turn on the other processor; one of many is overtaken by this thread's write.
        for round in 0..10_000_u32 {
            let (call, mut to) = (Call::new(), sockaddr(own));
            let mut described = buffer.all();
            assert_eq!(
                socket.start_send(&call, &mut described, Some(&mut to)),
                STATUS_PENDING
            );
            unsafe { buffer.memory.cast::<u32>().write_volatile(round) };
            assert_eq!(call.finish(), (STATUS_SUCCESS, 60_000));
        }
    })
    .tells("was written before the IRP was completed");
}

/// Sends with 24 bytes of control information, `count` times at most, and does to it what must not be done.
fn control_information_in_flight(count: u32, mischief: impl Fn(*mut u8, u32)) {
    let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let own = socket.local().unwrap();
    let buffer = Buffer::new(60_000);
    for round in 0..count {
        let control = pool(24).cast::<u8>();
        let (call, mut to) = (Call::new(), sockaddr(own));
        let mut described = buffer.all();
        let status = unsafe {
            let header = CMSGHDR {
                cmsg_len: 20,
                cmsg_level: IPPROTO_IP.cast_signed(),
                cmsg_type: IP_TOS.cast_signed(),
            };
            control.cast::<CMSGHDR>().write(header);
            control.add(16).cast::<u64>().write(0);
            socket.table().WskSendTo.unwrap()(
                socket.raw,
                &raw mut described,
                0,
                (&raw mut to).cast(),
                24,
                control.cast(),
                call.irp,
            )
        };
        assert_eq!(status, STATUS_PENDING);
        mischief(control, round);
        assert_eq!(call.finish(), (STATUS_SUCCESS, 60_000));
    }
}

#[test]
fn control_information_written_in_flight() {
    // As for data: one of many sends is overtaken by the write.
    expect_bugcheck(VERIFIER, || {
        control_information_in_flight(10_000, |control, round| unsafe {
            control
                .add(16)
                .cast::<u32>()
                .write_volatile(round % 255 + 1);
        });
    })
    .tells("the data or control information of WskSendTo was written");
}

#[test]
fn control_information_freed_in_flight() {
    expect_bugcheck(FREED, || {
        control_information_in_flight(10_000, |control, _| unsafe {
            ExFreePoolWithTag(control.cast(), TAG);
        });
    })
    .tells("the control information");
}

#[test]
fn pool_freed_twice() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        unsafe {
            let memory = pool(100);
            ExFreePoolWithTag(memory, TAG);
            ExFreePoolWithTag(memory, TAG);
        }
    })
    .tells("freed already")
    .tells("freed by ExFreePoolWithTag")
    .tells("pool_freed_twice");
}

#[test]
fn pool_freed_with_another_tag() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        unsafe { ExFreePoolWithTag(pool(100), u32::from_le_bytes(*b"Else")) };
    })
    .tells("pool with tag 'Test' was freed with tag 'Else'");
}

#[test]
fn pool_freed_at_an_unknown_address() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let mut memory = 0_u64;
        unsafe { ExFreePool((&raw mut memory).cast()) };
    })
    .tells("never in any pool");
}

#[test]
fn pool_freed_in_the_middle() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        unsafe { ExFreePool(pool(100).byte_add(16)) };
    })
    .tells("inside a block");
}

#[test]
fn irp_freed_as_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { ExFreePool(IoAllocateIrp(1, 0).cast()) };
    })
    .tells("(0x105,");
}

#[test]
fn pool_written_past_its_end() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let memory = pool(100).cast::<u8>();
            memory.add(100).write(1);
            ExFreePool(memory.cast());
        }
    })
    .tells("100 bytes from its start, in a block of 100 bytes");
}

#[test]
fn pool_written_before_its_start() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe {
            let memory = pool(100).cast::<u8>();
            memory.sub(1).write(1);
            ExFreePool(memory.cast());
        }
    })
    .tells("-1 bytes from its start");
}

#[test]
fn pool_written_after_it_was_freed() {
    expect_bugcheck("SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", || {
        let kernel = Kernel::boot();
        unsafe {
            let memory = pool(100).cast::<u8>();
            ExFreePool(memory.cast());
            memory.add(7).write(1);
        }
        kernel.shutdown();
    })
    .tells("7 bytes from its start");
}

#[test]
fn memory_freed_while_its_pages_are_locked() {
    expect_bugcheck("DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM", || {
        let _kernel = Kernel::boot();
        unsafe {
            let memory = ExAllocatePoolWithTag(POOL_TYPE::PagedPool, 64, TAG);
            MmProbeAndLockPages(
                IoAllocateMdl(memory, 64, 0, 0, ptr::null_mut()),
                0,
                LOCK_OPERATION::IoReadAccess,
            );
            ExFreePool(memory);
        }
    });
}

#[test]
fn pool_of_no_bytes() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        pool(0);
    })
    .tells("(0x0,");
}

#[test]
fn pool_without_a_tag() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, 8, 0) };
    })
    .tells("(0x9B,");
}

#[test]
fn import_that_an_older_windows_lacks() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().windows(10, 0, 14393).boot();
        unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 8, TAG) };
    })
    .tells("ExAllocatePool2 is no export of Windows 10.0.14393");
}

// IRQL, waits and locks.

fn wait_at_dispatch(timeout: *mut LARGE_INTEGER) {
    let _kernel = Kernel::boot();
    let mut event = KEVENT::default();
    let _ = at_irql(DISPATCH_LEVEL, || unsafe {
        KeInitializeEvent(&raw mut event, EVENT_TYPE::NotificationEvent, 1);
        KeWaitForSingleObject(
            (&raw mut event).cast(),
            KWAIT_REASON::Executive,
            0,
            0,
            timeout,
        )
    });
}

#[test]
fn waiting_for_ever_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || wait_at_dispatch(ptr::null_mut())).tells("(0x121, 0x2");
}

#[test]
fn waiting_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        wait_at_dispatch(&mut LARGE_INTEGER { QuadPart: -1 })
    })
    .tells("(0x122, 0x2");
}

#[test]
fn waiting_in_a_completion_routine() {
    unsafe extern "system" fn waits(
        _device: *mut DEVICE_OBJECT,
        _irp: *mut IRP,
        context: *mut c_void,
    ) -> NTSTATUS {
        unsafe { KeWaitForSingleObject(context, KWAIT_REASON::Executive, 0, 0, ptr::null_mut()) }
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let call = Call::new();
        let mut event = KEVENT::default();
        unsafe {
            KeInitializeEvent(&raw mut event, EVENT_TYPE::NotificationEvent, 1);
            set_routine(call.irp, Some(waits), (&raw mut event).cast());
        }
        let _ = client.start_socket(&call, AF_INET, ptr::null_mut(), ptr::null());
        std::thread::sleep(std::time::Duration::from_secs(10));
    })
    .tells("(0x121, 0x2")
    .tells("(dpc) at DISPATCH_LEVEL");
}

#[test]
fn event_that_is_gone() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        unsafe {
            let event = pool(size_of::<KEVENT>()).cast::<KEVENT>();
            KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0);
            ExFreePool(event.cast());
            KeSetEvent(event, 0, 0);
        }
    })
    .tells("isn't an event (any more)");
}

#[test]
fn calls_above_their_irql() {
    let above: [(&str, fn(&mut Client)); 5] = [
        ("WskDeregister", |client| unsafe {
            WskDeregister(client.registration())
        }),
        ("KeDelayExecutionThread", |_| {
            let _ = unsafe { KeDelayExecutionThread(0, 0, &mut LARGE_INTEGER { QuadPart: -1 }) };
        }),
        ("RtlGetVersion", |_| {
            let _ = unsafe { RtlGetVersion(&mut OSVERSIONINFOW::default()) };
        }),
        ("ZwClose", |_| {
            let _ = unsafe { ZwClose(ptr::null_mut()) };
        }),
        ("WskCaptureProviderNPI with a WaitTimeout", |client| {
            let _ = unsafe {
                WskCaptureProviderNPI(client.registration(), 1, &mut WSK_PROVIDER_NPI::default())
            };
        }),
    ];
    for (name, call) in above {
        expect_bugcheck(VERIFIER, move || {
            let _kernel = Kernel::boot();
            let mut client = Client::new();
            at_irql(DISPATCH_LEVEL, || call(&mut client));
        })
        .tells("(0xE5, 0x2")
        .tells(name);
    }
}

#[test]
fn paged_pool_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        at_irql(DISPATCH_LEVEL, || unsafe {
            ExAllocatePoolWithTag(POOL_TYPE::PagedPool, 8, TAG)
        });
    })
    .tells("(0x1, 0x2");
}

#[test]
fn paged_pool_freed_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let memory = unsafe { ExAllocatePoolWithTag(POOL_TYPE::PagedPool, 8, TAG) };
        at_irql(DISPATCH_LEVEL, || unsafe { ExFreePool(memory) });
    })
    .tells("(0x11, 0x2");
}

#[test]
fn raising_downwards() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        at_irql(DISPATCH_LEVEL, || unsafe { KfRaiseIrql(0) });
    })
    .tells("(0x30,");
}

#[test]
fn lowering_upwards() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { KeLowerIrql(DISPATCH_LEVEL) };
    })
    .tells("(0x31,");
}

#[test]
fn spin_lock_taken_twice() {
    expect_bugcheck("SPIN_LOCK_ALREADY_OWNED", || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        unsafe {
            KeAcquireSpinLockRaiseToDpc(&raw mut lock);
            KeAcquireSpinLockAtDpcLevel(&raw mut lock);
        }
    });
}

#[test]
fn spin_lock_released_without_owning_it() {
    expect_bugcheck("SPIN_LOCK_NOT_OWNED", || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        at_irql(DISPATCH_LEVEL, || unsafe {
            KeReleaseSpinLockFromDpcLevel(&raw mut lock)
        });
    })
    .tells("held by nobody");
}

#[test]
fn spin_lock_released_at_passive_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        unsafe {
            let level = KeAcquireSpinLockRaiseToDpc(&raw mut lock);
            KeLowerIrql(level);
            KeReleaseSpinLock(&raw mut lock, level);
        }
    })
    .tells("(0x32,");
}

#[test]
fn spin_lock_at_dpc_level_from_below() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        unsafe { KeAcquireSpinLockAtDpcLevel(&raw mut lock) };
    })
    .tells("(0x40,");
}

// Sockets and registrations.

#[test]
fn socket_used_after_it_was_closed() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.socket(AF_INET);
        socket.close();
        let _ = socket.start_receive(&Call::new(), &mut Buffer::new(8).all(), None);
    })
    .tells("after WskCloseSocket")
    .tells("socket_used_after_it_was_closed");
}

#[test]
fn socket_closed_while_a_call_is_inside() {
    unsafe extern "system" fn stays(
        _device: *mut DEVICE_OBJECT,
        _irp: *mut IRP,
        context: *mut c_void,
    ) -> NTSTATUS {
        unsafe { KeSetEvent(context.cast(), 0, 0) };
        std::thread::sleep(std::time::Duration::from_secs(10));
        STATUS_MORE_PROCESSING_REQUIRED
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.socket(AF_INET);
        let mut event = KEVENT::default();
        let event: *mut KEVENT = &raw mut event;
        unsafe { KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0) };
        let address = event.expose_provenance();
        let inside = std::thread::spawn(move || {
            let socket = { socket };
            let call = Call::new();
            let event: *mut c_void = ptr::with_exposed_provenance_mut(address);
            unsafe { set_routine(call.irp, Some(stays), event) };
            let mut local = sockaddr("127.0.0.1:0".parse().unwrap());
            let _ = unsafe {
                socket.table().WskBind.unwrap()(socket.raw, (&raw mut local).cast(), 0, call.irp)
            };
        });
        let _ = unsafe {
            KeWaitForSingleObject(event.cast(), KWAIT_REASON::Executive, 0, 0, ptr::null_mut())
        };
        let _ = socket.start_close(&Call::new());
        inside.join().unwrap();
    })
    .tells("while another thread is inside a function of the same socket");
}

#[test]
fn socket_that_never_was() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let real = client.socket(AF_INET);
        let mut fake = WSK_SOCKET {
            Dispatch: ptr::null(),
        };
        let _ =
            unsafe { real.table().Basic.WskCloseSocket.unwrap()(&raw mut fake, Call::new().irp) };
    })
    .tells("isn't a socket");
}

#[test]
fn call_without_an_irp() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let socket = Client::new().socket(AF_INET);
        let _ =
            unsafe { socket.table().Basic.WskCloseSocket.unwrap()(socket.raw, ptr::null_mut()) };
    })
    .tells("without an IRP");
}

#[test]
fn provider_released_too_often() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut client = Client::new();
        unsafe {
            WskReleaseProviderNPI(client.registration());
            WskReleaseProviderNPI(client.registration());
        }
    })
    .tells("more often");
}

#[test]
fn deregistering_that_never_ends() {
    expect_bugcheck("MANUALLY_INITIATED_CRASH", || {
        let _kernel = Kernel::builder()
            .patience(std::time::Duration::from_millis(50))
            .boot();
        let mut client = Client::new();
        client.socket(AF_INET);
        unsafe { WskDeregister(client.registration()) };
    })
    .tells("1 captures of the provider aren't released, 1 sockets aren't closed")
    .tells("socket#1");
}

#[test]
fn indications_retained_when_closing() {
    unsafe extern "system" fn keeps(
        _context: *mut c_void,
        _flags: u32,
        _list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        STATUS_PENDING
    }
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(keeps),
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let socket = socket_with_events(&TABLE);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let _ = socket.start_close(&Call::new());
    })
    .tells("while indications are retained");
}

#[test]
fn indication_released_twice() {
    static LIST: std::sync::atomic::AtomicPtr<WSK_DATAGRAM_INDICATION> =
        std::sync::atomic::AtomicPtr::new(ptr::null_mut());
    unsafe extern "system" fn keeps(
        _context: *mut c_void,
        _flags: u32,
        list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        LIST.store(list, std::sync::atomic::Ordering::SeqCst);
        STATUS_PENDING
    }
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(keeps),
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let socket = socket_with_events(&TABLE);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let list = LIST.load(std::sync::atomic::Ordering::SeqCst);
        for _ in 0..2 {
            let _ = unsafe { socket.table().WskRelease.unwrap()(socket.raw, list) };
        }
    })
    .tells("WskRelease was called for an indication that isn't one")
    .tells("freed by WskRelease");
}

fn socket_with_events(table: &'static WSK_CLIENT_DATAGRAM_DISPATCH) -> Socket {
    let client = Client::new();
    let socket = client.socket_with(AF_INET, ptr::null_mut(), table);
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    let buffer = Buffer::of(b"x");
    assert_eq!(
        socket.send(&buffer, Some(socket.local().unwrap())).0,
        STATUS_SUCCESS
    );
    core::mem::forget(client);
    socket
}

#[test]
fn registration_unknown() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { WskDeregister(&mut WSK_REGISTRATION::default()) };
    })
    .tells("isn't registered");
}

#[test]
fn registered_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut client = Client::new();
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        };
        let _ = unsafe { WskRegister(&raw mut npi, client.registration()) };
    })
    .tells("registered already");
}

#[test]
fn bugcheck_of_the_drivers_own() {
    expect_bugcheck("0xDEAD", || {
        let _kernel = Kernel::boot();
        unsafe { KeBugCheckEx(0xDEAD, 1, 2, 3, 4) };
    })
    .tells("*** STOP: 0x0000DEAD (raised by the driver) (0x1, 0x2, 0x3, 0x4)");
}

#[test]
fn handle_that_is_not_open() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut object = ptr::null_mut();
        let handle = ptr::without_provenance_mut(0x1234);
        let _ = unsafe {
            ObReferenceObjectByHandle(
                handle,
                0,
                ptr::null_mut(),
                0,
                &raw mut object,
                ptr::null_mut(),
            )
        };
    })
    .tells("(0x3C,");
}

#[test]
fn object_that_is_gone() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        unsafe { ObfDereferenceObject(ptr::without_provenance_mut(0x1000)) };
    })
    .tells("(0x3F,");
}
