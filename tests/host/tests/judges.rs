//! For each rule that the host kernel watches over: raw code that breaks it, and is caught.
//!
//! A call that breaks a rule is argued for here by what makes it harmless. The kernel finds things by their address
//! before it touches them, as `driver` tells, and a bug check ends the process, which is a child of the test: nothing
//! comes after it. What it sees wrong it stops at before it does what it was asked for. What was freed lately is given to
//! nobody else: it is inaccessible, or, without pages of its own, kept allocated in quarantine. What surrounds a block
//! belongs to it, and comes before an inaccessible page.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::time::Duration;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::*;

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
    assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
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
        // SAFETY: breaks the rule; the kernel knows that the provider owns the IRP, and stops before it completes it.
        unsafe { IofCompleteRequest(pending.call.irp(), 0) };
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
        let _ = client.start_socket(&call, Kind::datagram(AF_INET));
        // SAFETY: breaks the rule; the kernel knows that the IRP has come back, and stops before it completes it.
        unsafe { IofCompleteRequest(call.irp(), 0) };
    })
    .tells("completed: STATUS_SUCCESS");
}

#[test]
fn irp_freed_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that the IRP is in flight, and stops before it is freed.
        unsafe { IoFreeIrp(pending.call.irp()) };
    })
    .tells("(0x20B,")
    .tells("in flight: WskReceiveFrom");
}

#[test]
fn irp_reused_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that the IRP is in flight, and stops before it writes to it.
        unsafe { IoReuseIrp(pending.call.irp(), STATUS_SUCCESS) };
    })
    .tells("IoReuseIrp was called for an IRP that is still in use");
}

#[test]
fn irp_initialized_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that the IRP is in flight, and stops before it writes to it.
        unsafe { IoInitializeIrp(pending.call.irp(), size_of::<IRP>() as u16 + 72, 1) };
    })
    .tells("IoInitializeIrp was called for an IRP that is still in use");
}

#[test]
fn irp_sent_again_in_flight() {
    expect_bugcheck(IO_VERIFIER, || {
        let pending = pending_receive();
        let other = Buffer::new(8);
        let _ = pending.socket.start_receive(&pending.call, other.all());
    })
    .tells("(0x205,");
}

#[test]
fn allocated_irp_initialized() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        let irp = allocate_irp(1);
        // SAFETY: breaks the rule; the kernel knows who made the IRP, and stops before it writes to it.
        unsafe { IoInitializeIrp(irp, size_of::<IRP>() as u16 + 72, 1) };
    })
    .tells("(0x20D,");
}

#[test]
fn irp_freed_twice() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let irp = allocate_irp(1);
        // SAFETY: the first call frees an IRP that is used by nobody. The second breaks the rule; the kernel doesn't
        // know the IRP any more, and stops.
        unsafe {
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
        let size = size_of::<IRP>() + size_of::<IO_STACK_LOCATION>();
        let irp = pool(size).cast::<IRP>();
        // SAFETY: the block has room for the IRP. The second call breaks the rule; the kernel knows that the IRP was
        // built in place, and stops before it is freed.
        unsafe {
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
        // SAFETY: the block has room for an IRP with one location. That it is freed too early is the rule broken below.
        let call = unsafe {
            IoInitializeIrp(irp, size as u16, 1);
            Call::with(irp)
        };
        let buffer = Buffer::new(64);
        assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
        // SAFETY: breaks the rule; the kernel knows which IRPs are in flight, and stops before the block is freed.
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
        // SAFETY: the IRP is used by nobody. Sending it afterwards breaks the rule; the kernel doesn't know it any
        // more, and stops.
        unsafe { IoFreeIrp(call.irp()) };
        let _ = client.start_socket(&call, Kind::datagram(AF_INET));
    })
    .tells("WskSocket was given an IRP that was freed");
}

#[test]
fn something_else_sent() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let mut memory = [0_u64; 64];
        let irp = memory.as_mut_ptr().cast();
        // SAFETY: there are no callbacks. The kernel doesn't know such an IRP, and stops before it looks at it.
        let _ = unsafe { client.make(Kind::datagram(AF_INET), ptr::null_mut(), ptr::null(), irp) };
    })
    .tells("isn't an IRP");
}

#[test]
fn irp_without_stack_location() {
    expect_bugcheck("NO_MORE_IRP_STACK_LOCATIONS", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let irp = allocate_irp(0);
        // SAFETY: there are no callbacks. The IRP is new; the kernel stops before it looks for a location behind it.
        let _ = unsafe { client.make(Kind::datagram(AF_INET), ptr::null_mut(), ptr::null(), irp) };
    });
}

#[test]
fn irp_without_completion_routine() {
    expect_bugcheck(IO_VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let irp = allocate_irp(1);
        // SAFETY: there are no callbacks. The IRP is new.
        let _ = unsafe { client.make(Kind::datagram(AF_INET), ptr::null_mut(), ptr::null(), irp) };
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
    // SAFETY: the IRP has come back to the routine. Saying otherwise by the status breaks the rule; the kernel looks
    // whether it still knows the IRP.
    unsafe { IoFreeIrp(irp) };
    STATUS_SUCCESS
}

unsafe extern "system" fn raises(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the kernel checks the level. Not lowering it again breaks the rule, and harms no memory.
    unsafe { KfRaiseIrql(DISPATCH_LEVEL) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// # Safety
///
/// The routine doesn't look at its context.
unsafe fn complete_with(
    routine: unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS,
) {
    let _kernel = Kernel::boot();
    let client = Client::new();
    // SAFETY: the caller says so.
    let call = unsafe { Call::completed_by(routine, ptr::null_mut()) };
    let _ = client.start_socket(&call, Kind::datagram(AF_INET));
}

#[test]
fn completion_routine_lets_go_of_its_irp() {
    // SAFETY: the routine has no use for a context.
    expect_bugcheck(IO_VERIFIER, || unsafe { complete_with(lets_go) })
        .tells("no completion routine returned");
}

#[test]
fn completion_routine_frees_and_lets_go() {
    // SAFETY: the routine has no use for a context.
    expect_bugcheck(FREED, || unsafe { complete_with(frees_and_lets_go) })
        .tells("instead of STATUS_MORE_PROCESSING_REQUIRED");
}

#[test]
fn completion_routine_changes_the_irql() {
    // SAFETY: the routine has no use for a context.
    expect_bugcheck(VERIFIER, || unsafe { complete_with(raises) }).tells("(0xFA,");
}

#[test]
fn freed_irp_cancelled() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let call = Call::new();
        // SAFETY: the IRP is used by nobody. Cancelling it afterwards breaks the rule; the kernel doesn't know it any
        // more, and stops.
        unsafe { IoFreeIrp(call.irp()) };
        call.cancel();
    })
    .tells("IoCancelIrp was given an IRP that was freed");
}

// MDLs.

#[test]
fn mdl_freed_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that a call uses the MDL, and stops before it is freed.
        unsafe { IoFreeMdl(pending.buffer.mdl()) };
    })
    .tells("IoFreeMdl was called for an MDL that a call in flight is using");
}

#[test]
fn mdl_rebuilt_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that a call uses the MDL, and stops before it writes to it.
        unsafe { MmBuildMdlForNonPagedPool(pending.buffer.mdl()) };
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
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is new, and never freed; the memory is there until the process ends, by the call after this.
        let data = unsafe {
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoWriteAccess);
            Data::of(mdl, 0, 64)
        };
        assert_eq!(socket.start_receive(&Call::new(), data), STATUS_PENDING);
        // SAFETY: breaks the rule; the kernel knows that a call uses the MDL, and stops before the pages are unlocked.
        unsafe { MmUnlockPages(mdl) };
    })
    .tells("MmUnlockPages was called for an MDL that a call in flight is using");
}

#[test]
fn mdl_changed_in_flight() {
    expect_bugcheck("PFN_LIST_CORRUPT", || {
        let pending = pending_receive();
        // SAFETY: the MDL is alive, and the kernel doesn't look at it before there is something to complete: a
        // datagram, or the cancelling. It compares the MDL then with what it was, and stops.
        unsafe { (*pending.buffer.mdl()).ByteCount = 32 };
        pending.call.cancel();
    })
    .tells("an MDL was changed (its ByteCount)");
}

/// A second MDL for a part of a buffer.
fn part_of(buffer: &Buffer, offset: usize, length: u32) -> *mut MDL {
    let mdl = mdl_of(buffer.memory().wrapping_add(offset).cast(), length);
    // SAFETY: the MDL is new, and describes nonpaged pool.
    unsafe { MmBuildMdlForNonPagedPool(mdl) };
    mdl
}

#[test]
fn two_receives_into_the_same_bytes() {
    type Second = fn(&Buffer) -> Data<'_>;
    let seconds: [(Second, &str); 3] = [
        (Buffer::all, "receive into 64 bytes"),
        (|buffer| buffer.part(63, 1), "receive into 1 bytes"),
        (
            // SAFETY: the MDL is built, and never freed.
            |buffer| unsafe { Data::of(part_of(buffer, 32, 16), 4, 12) },
            "receive into 12 bytes",
        ),
    ];
    for (second, told) in seconds {
        expect_bugcheck(VERIFIER, || {
            let pending = pending_receive();
            let _ = pending
                .socket
                .start_receive(&Call::new(), second(&pending.buffer));
        })
        .tells(&format!("WskReceiveFrom was called to {told}"))
        .tells("that a call in flight (WskReceiveFrom) is receiving into, too");
    }
}

#[test]
fn two_receives_of_two_connections_into_the_same_bytes() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let ((one, _peer), (other, _other_peer)) = (pair(&client), pair(&client));
        let buffer = Buffer::new(64);
        let _ = one.start_receive(&Call::new(), buffer.part(0, 32), 0);
        let _ = other.start_receive(&Call::new(), buffer.part(16, 32), WSK_FLAG_WAITALL);
    })
    .tells("WskReceive was called to receive into 16 bytes");
}

#[test]
fn received_into_bytes_that_are_sent() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (socket, _peer) = pair(&client);
        // More than the host takes while the peer doesn't read.
        let buffer = Buffer::new(16 << 20);
        let returned = socket.start_send(&Call::new(), buffer.all(), 0);
        assert_eq!(returned, STATUS_PENDING);
        let _ = socket.start_receive(&Call::new(), buffer.part(8, 5), 0);
    })
    .tells("WskReceive was called to receive into 5 bytes")
    .tells("that a call in flight (WskSend) is sending");
}

#[test]
fn bytes_sent_that_are_received_into() {
    expect_bugcheck(VERIFIER, || {
        let pending = pending_receive();
        let own = pending.socket.local().unwrap();
        let _ = pending
            .socket
            .start_send(&Call::new(), pending.buffer.part(8, 8), Some(own));
    })
    .tells("WskSendTo was called to send 8 bytes")
    .tells("that a call in flight (WskReceiveFrom) is receiving into");
}

#[test]
fn receives_into_parts_of_one_buffer() {
    each_policy(|_, client| {
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(64);
        let calls = [0, 16, 32, 48].map(|offset| {
            let call = Call::new();
            let returned = socket.start_receive(&call, buffer.part(offset, 16));
            assert_eq!(returned, STATUS_PENDING);
            call
        });
        // No bytes are nobody's.
        let nothing = Call::new();
        let _ = socket.start_receive(&nothing, buffer.part(20, 0));
        for call in calls.into_iter().chain([nothing]) {
            call.cancel();
            assert_eq!(call.finish(), (STATUS_CANCELLED, 0));
        }
        // What has been received may be sent, and received into anew.
        for _ in 0..2 {
            let own = socket.local().unwrap();
            assert_eq!(socket.send(&buffer, Some(own)), (STATUS_SUCCESS, 64));
            assert_eq!(socket.receive(&buffer).1, 64);
        }
        socket.close();
        buffer.free();
    });
}

#[test]
fn a_driver_that_throws_away_what_it_receives() {
    let kernel = Kernel::builder().overlapping_receives(true).boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(64);
    let calls = [(); 2].map(|()| {
        let call = Call::new();
        let returned = socket.start_receive(&call, buffer.all());
        assert_eq!(returned, STATUS_PENDING);
        call
    });
    let own = socket.local().unwrap();
    let data = Buffer::of(b"hello");
    for call in calls {
        assert_eq!(socket.send(&data, Some(own)), (STATUS_SUCCESS, 5));
        assert_eq!(call.finish(), (STATUS_SUCCESS, 5));
    }
    socket.close();
    client.leave();
    buffer.free();
    data.free();
    kernel.shutdown();
}

#[test]
fn mdl_neither_locked_nor_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let mut memory = [0_u8; 64];
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is alive; its flags tell what is wrong with it.
        let data = unsafe { Data::of(mdl, 0, 64) };
        let _ = socket.start_receive(&Call::new(), data);
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
        // SAFETY: the MDL is used by nobody. Receiving with it afterwards breaks the rule; it is inaccessible then.
        unsafe { IoFreeMdl(buffer.mdl()) };
        let _ = socket.start_receive(&Call::new(), buffer.all());
    })
    .tells("WskReceiveFrom, with what the driver gave it, read memory that was freed")
    .tells("MDL at");
}

#[test]
fn mdl_freed_twice() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let buffer = Buffer::new(8);
        // SAFETY: the first call frees an MDL that is used by nobody. The second breaks the rule; the kernel doesn't
        // know the MDL any more, and stops.
        unsafe {
            IoFreeMdl(buffer.mdl());
            IoFreeMdl(buffer.mdl());
        }
    })
    .tells("freed already");
}

#[test]
fn mdl_freed_while_locked() {
    expect_bugcheck("DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM", || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is new, and the memory there. The second call breaks the rule; the flags of the MDL tell, and
        // the kernel stops before it is freed.
        unsafe {
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
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is new, and the memory there. The second call breaks the rule; the flags of the MDL tell.
        unsafe {
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
        let mdl = mdl_of(page.as_mut_ptr().cast(), 64);
        // SAFETY: the MDL is new, and the memory there. The kernel stops instead of raising an exception.
        unsafe { MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess) };
    })
    .tells("nothing caught it");
}

#[test]
fn mdl_unlocked_without_lock() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        // SAFETY: the MDL is alive. Breaks the rule; the flags of the MDL tell.
        unsafe { MmUnlockPages(mdl_of(memory.as_mut_ptr().cast(), 64)) };
    })
    .tells("(0x7C,");
}

#[test]
fn nonpaged_mdl_unlocked() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is alive: dropping a buffer frees nothing. Breaks the rule; the flags of the MDL tell.
        unsafe { MmUnlockPages(Buffer::new(8).mdl()) };
    })
    .tells("(0x7D,");
}

#[test]
fn mdl_of_paged_pool_built_as_nonpaged() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is new. Breaks the rule; the kernel knows which pool the block is in.
        unsafe { MmBuildMdlForNonPagedPool(mdl_of(paged_pool(64), 64)) };
    })
    .tells("(0x7F,");
}

#[test]
fn mdl_reaches_beyond_its_block() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is new. Breaks the rule; the kernel knows how long the block is.
        unsafe { MmBuildMdlForNonPagedPool(mdl_of(pool(64), 65)) };
    })
    .tells("reaches beyond the allocated block");
}

/// Maps the pages of an MDL.
///
/// # Safety
///
/// The MDL is alive, and used by nobody.
unsafe fn map(mdl: *mut MDL) {
    let cached = MEMORY_CACHING_TYPE::MmCached;
    // SAFETY: the caller says so; no address is asked for.
    unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, cached, ptr::null_mut(), 0, 16) };
}

#[test]
fn mapping_without_lock() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the MDL is new. Breaks the rule; the flags of the MDL tell.
        unsafe { map(mdl_of(pool(64), 64)) };
    })
    .tells("(0xB3,");
}

#[test]
fn mapping_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mdl = mdl_of(pool(64), 64);
        // SAFETY: the MDL is new, and the memory is never freed. The last call breaks the rule; the flags of the MDL
        // tell.
        unsafe {
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            map(mdl);
            map(mdl);
        }
    })
    .tells("(0xB2,");
}

#[test]
fn partial_mdl_with_too_few_pages() {
    expect_bugcheck("TARGET_MDL_TOO_SMALL", || {
        let _kernel = Kernel::boot();
        let source = Buffer::new(3 * 4096);
        let target = mdl_of(source.memory().cast(), 16);
        // SAFETY: both MDLs are alive. Breaks the rule; the target tells how many pages it has room for, and the kernel
        // stops before it writes to it.
        unsafe { IoBuildPartialMdl(source.mdl(), target, source.memory().cast(), 2 * 4096) };
    });
}

#[test]
fn buffer_longer_than_its_chain() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let _ = socket.start_receive(&Call::new(), buffer.part(0, 9));
    })
    .tells("reaches beyond the MDL chain");
}

#[test]
fn offset_beyond_the_first_mdl() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let chain = Chain::of(&[&[0; 8], &[0; 8]]);
        let _ = socket.start_receive(&Call::new(), chain.part(9, 4));
    })
    .tells("beyond the first MDL");
}

// Memory.

#[test]
fn data_freed_in_flight() {
    expect_bugcheck(FREED, || {
        let pending = pending_receive();
        // SAFETY: breaks the rule; the kernel knows that a call uses the block, and stops before it is freed.
        unsafe { ExFreePoolWithTag(pending.buffer.memory().cast(), TAG) };
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
        let call = Call::new();
        // SAFETY: the block has room for the outputs.
        let status = unsafe {
            received.write(Received::new());
            socket.start_receive_into(&call, buffer.all(), received)
        };
        assert_eq!(status, STATUS_PENDING);
        // SAFETY: breaks the rule; the kernel knows that a call uses the block, and stops before it is freed.
        unsafe { ExFreePool(received.cast()) };
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
            let call = Call::new();
            assert_eq!(
                socket.start_send(&call, buffer.all(), Some(own)),
                STATUS_PENDING
            );
            // SAFETY: the block has the bytes, aligned. Breaks the rule: the write of one word may meet the reads of
            // the other processor, which takes any bytes for data, and tells by a sum that they are other ones.
            unsafe { buffer.memory().cast::<u32>().write_volatile(round) };
            assert_eq!(call.finish(), (STATUS_SUCCESS, 60_000));
        }
    })
    .tells("was written before the IRP was completed");
}

/// Sends with 24 bytes of control information, in a block of pool, `count` times at most, and does to it what must not
/// be done.
fn control_information_in_flight(count: u32, mischief: impl Fn(*mut u8, u32)) {
    let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let own = socket.local().unwrap();
    let buffer = Buffer::new(60_000);
    for round in 0..count {
        let control = pool(24).cast::<u8>();
        let (call, to) = (Call::new(), Address::lasting(own));
        let header = CMSGHDR {
            cmsg_len: 20,
            cmsg_level: IPPROTO_IP.cast_signed(),
            cmsg_type: IP_TOS.cast_signed(),
        };
        // SAFETY: the block has room for the header and a word behind it. It stays, as does the address; the call and
        // the buffer are alive.
        let status = unsafe {
            control.cast::<CMSGHDR>().write(header);
            control.add(16).cast::<u64>().write(0);
            socket.table().WskSendTo.unwrap()(
                socket.raw(),
                buffer.all().raw(),
                0,
                to,
                24,
                control.cast(),
                call.irp(),
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
        control_information_in_flight(10_000, |control, round| {
            // SAFETY: the block has the bytes, aligned. Breaks the rule, as for data.
            unsafe {
                control
                    .add(16)
                    .cast::<u32>()
                    .write_volatile(round % 255 + 1);
            }
        });
    })
    .tells("the data or control information of WskSendTo was written");
}

#[test]
fn control_information_freed_in_flight() {
    expect_bugcheck(FREED, || {
        control_information_in_flight(10_000, |control, _| {
            // SAFETY: breaks the rule; the kernel knows that a call uses the block, and stops before it is freed. If
            // the call is over already, the block is used by nobody.
            unsafe { ExFreePoolWithTag(control.cast(), TAG) };
        });
    })
    .tells("the control information");
}

#[test]
fn pool_freed_twice() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let memory = pool(100);
        // SAFETY: the first call frees a block that is used by nobody. The second breaks the rule; the kernel doesn't
        // know the block any more, and stops.
        unsafe {
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
        // SAFETY: breaks the rule; the kernel knows the tag of the block, and stops before it is freed.
        unsafe { ExFreePoolWithTag(pool(100), u32::from_le_bytes(*b"Else")) };
    })
    .tells("pool with tag 'Test' was freed with tag 'Else'");
}

#[test]
fn pool_freed_at_an_unknown_address() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let mut memory = 0_u64;
        // SAFETY: breaks the rule; the kernel knows its blocks, and stops before anything is freed.
        unsafe { ExFreePool((&raw mut memory).cast()) };
    })
    .tells("never in any pool");
}

#[test]
fn pool_freed_in_the_middle() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows where its blocks start, and stops before anything is freed.
        unsafe { ExFreePool(pool(100).byte_add(16)) };
    })
    .tells("inside a block");
}

#[test]
fn irp_freed_as_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows what the block is, and stops before it is freed.
        unsafe { ExFreePool(allocate_irp(1).cast()) };
    })
    .tells("(0x105,");
}

#[test]
fn pool_written_past_its_end() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let memory = pool(100).cast::<u8>();
        // SAFETY: the byte belongs to the guard behind the block, which the kernel looks at when the block is freed.
        unsafe {
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
        let memory = pool(100).cast::<u8>();
        // SAFETY: the byte belongs to the guard before the block, which the kernel looks at when the block is freed.
        unsafe {
            memory.sub(1).write(1);
            ExFreePool(memory.cast());
        }
    })
    .tells("-1 bytes from its start");
}

#[test]
fn pool_written_after_it_was_freed() {
    expect_bugcheck("SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", || {
        let kernel = Kernel::builder().special_pool(false).boot();
        let memory = pool(100).cast::<u8>();
        // SAFETY: the block is used by nobody. Writing to it afterwards breaks the rule: it is in quarantine, and the
        // kernel looks at it when it leaves that.
        unsafe {
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
        let memory = paged_pool(64);
        // SAFETY: the MDL is new. The second call breaks the rule; the kernel knows which pages are locked, and stops
        // before the block is freed.
        unsafe {
            MmProbeAndLockPages(mdl_of(memory, 64), 0, LOCK_OPERATION::IoReadAccess);
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
        // SAFETY: nothing is asked of the caller but a tag, and the kernel stops without one.
        unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, 8, 0) };
    })
    .tells("(0x9B,");
}

#[test]
fn import_that_an_older_windows_lacks() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().windows(10, 0, 14393).boot();
        // SAFETY: nothing is asked of the caller but a newer Windows, and the kernel stops without it.
        unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 8, TAG) };
    })
    .tells("ExAllocatePool2 is no export of Windows 10.0.14393");
}

// IRQL, waits and locks.

fn wait_at_dispatch(timeout: Option<i64>) {
    let _kernel = Kernel::boot();
    let event = Event::new(EVENT_TYPE::NotificationEvent, true);
    let _ = at_irql(DISPATCH_LEVEL, || event.wait(timeout));
}

#[test]
fn waiting_for_ever_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || wait_at_dispatch(None)).tells("(0x121, 0x2");
}

#[test]
fn waiting_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || wait_at_dispatch(Some(-1))).tells("(0x122, 0x2");
}

#[test]
fn waiting_in_a_completion_routine() {
    unsafe extern "system" fn waits(
        _device: *mut DEVICE_OBJECT,
        _irp: *mut IRP,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: the context is an event that is never freed.
        unsafe { wait(context, None) }
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let event = Event::new(EVENT_TYPE::NotificationEvent, true);
        // SAFETY: the routine wants an event that is never freed.
        let call = unsafe { Call::completed_by(waits, event.raw()) };
        let _ = client.start_socket(&call, Kind::datagram(AF_INET));
        std::thread::sleep(std::time::Duration::from_secs(50));
    })
    .tells("(0x121, 0x2")
    .tells("(dpc) at DISPATCH_LEVEL");
}

#[test]
fn event_that_is_gone() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let event = pool(size_of::<KEVENT>()).cast::<KEVENT>();
        // SAFETY: the block has room for an event. Setting it when it is freed breaks the rule; it is inaccessible then.
        unsafe {
            KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0);
            ExFreePool(event.cast());
            KeSetEvent(event, 0, 0);
        }
    })
    .tells("KeSetEvent, with what the driver gave it, read memory that was freed");
}

#[test]
fn calls_above_their_irql() {
    type Body = fn(&Client);
    let above: [(&str, Body); 5] = [
        ("WskDeregister", |client| client.registration().deregister()),
        ("KeDelayExecutionThread", |_| {
            // SAFETY: the time lives until the call returns.
            let _ = unsafe { KeDelayExecutionThread(0, 0, &mut LARGE_INTEGER { QuadPart: -1 }) };
        }),
        ("RtlGetVersion", |_| {
            // SAFETY: the place lives until the call returns.
            let _ = unsafe { RtlGetVersion(&mut OSVERSIONINFOW::default()) };
        }),
        ("ZwClose", |_| {
            let _ = close_handle(ptr::null_mut());
        }),
        ("WskCaptureProviderNPI with a WaitTimeout", |client| {
            let _ = client.registration().capture(1);
        }),
    ];
    for (name, call) in above {
        expect_bugcheck(VERIFIER, move || {
            let _kernel = Kernel::boot();
            let client = Client::new();
            at_irql(DISPATCH_LEVEL, || call(&client));
        })
        .tells("(0xE5, 0x2")
        .tells(name);
    }
}

#[test]
fn paged_pool_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        at_irql(DISPATCH_LEVEL, || paged_pool(8));
    })
    .tells("(0x1, 0x2");
}

#[test]
fn paged_pool_freed_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let memory = paged_pool(8);
        // SAFETY: the block is used by nobody. The kernel checks the level.
        at_irql(DISPATCH_LEVEL, || unsafe { ExFreePool(memory) });
    })
    .tells("(0x11, 0x2");
}

#[test]
fn raising_downwards() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the kernel checks the level.
        at_irql(DISPATCH_LEVEL, || unsafe { KfRaiseIrql(0) });
    })
    .tells("(0x30,");
}

#[test]
fn lowering_upwards() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the kernel checks the level.
        unsafe { KeLowerIrql(DISPATCH_LEVEL) };
    })
    .tells("(0x31,");
}

#[test]
fn spin_lock_taken_twice() {
    expect_bugcheck("SPIN_LOCK_ALREADY_OWNED", || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        // SAFETY: the lock is there, and used as one only. The second call breaks the rule; the lock tells who has it.
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
        // SAFETY: the lock is there, and used as one only. Breaks the rule; the lock tells that nobody has it.
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
        // SAFETY: the lock is there, and used as one only. The kernel checks the level.
        unsafe {
            at_irql(DISPATCH_LEVEL, || {
                KeAcquireSpinLockAtDpcLevel(&raw mut lock)
            });
            KeReleaseSpinLock(&raw mut lock, 0);
        }
    })
    .tells("(0x32,");
}

#[test]
fn spin_lock_at_dpc_level_from_below() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut lock = 0;
        // SAFETY: the lock is there, and used as one only. The kernel checks the level.
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
        let _ = socket.start_receive(&Call::new(), Buffer::new(8).all());
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
        // SAFETY: the context is an event that is never freed.
        unsafe { KeSetEvent(context.cast(), 0, 0) };
        std::thread::sleep(std::time::Duration::from_secs(50));
        STATUS_MORE_PROCESSING_REQUIRED
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.socket(AF_INET);
        let event = Event::new(EVENT_TYPE::NotificationEvent, false);
        let inside = std::thread::spawn(move || {
            // SAFETY: the routine wants an event that is never freed.
            let call = unsafe { Call::completed_by(stays, event.raw()) };
            let _ = socket.start_bind(&call, "127.0.0.1:0".parse().unwrap());
        });
        assert_eq!(event.wait(None), STATUS_SUCCESS);
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
        let _ = real.taken_for(&raw mut fake).start_close(&Call::new());
    })
    .tells("isn't a socket");
}

#[test]
fn call_without_an_irp() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let socket = Client::new().socket(AF_INET);
        // SAFETY: breaks the rule; the kernel stops when there is no IRP.
        let _ =
            unsafe { socket.table().Basic.WskCloseSocket.unwrap()(socket.raw(), ptr::null_mut()) };
    })
    .tells("without an IRP");
}

#[test]
fn provider_released_too_often() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        client.registration().release();
        client.registration().release();
    })
    .tells("more often");
}

#[test]
fn deregistering_that_never_ends() {
    expect_bugcheck("MANUALLY_INITIATED_CRASH", || {
        let _kernel = Kernel::builder()
            .patience(std::time::Duration::from_millis(50))
            .boot();
        let client = Client::new();
        client.socket(AF_INET);
        client.registration().deregister();
    })
    .tells("1 captures of the provider aren't released, 1 sockets aren't closed")
    .tells("socket#1");
}

#[test]
fn indications_retained_when_closing() {
    static INDICATED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    unsafe extern "system" fn keeps(
        _context: *mut c_void,
        _flags: u32,
        _list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        INDICATED.store(true, std::sync::atomic::Ordering::SeqCst);
        STATUS_PENDING
    }
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(keeps),
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: the callback has no use for a context.
        let socket = unsafe { socket_with_events(&TABLE) };
        wait_until("an indication", || {
            INDICATED.load(std::sync::atomic::Ordering::SeqCst)
        });
        socket.disable_events(WSK_EVENT_RECEIVE_FROM);
        let _ = socket.start_close(&Call::new());
    })
    .tells("while indications are retained");
}

#[test]
fn indication_released_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (socket, list) = retained_indication();
        // The callback returns.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let _ = socket.release(list);
        let _ = socket.release(list);
    })
    .tells("WskRelease was called for an indication that isn't one")
    .tells("freed by WskRelease");
}

#[test]
fn registration_unknown() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        Registration::new().deregister();
    })
    .tells("isn't registered");
}

#[test]
fn registered_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let _ = Client::new().registration().register();
    })
    .tells("registered already");
}

#[test]
fn bugcheck_of_the_drivers_own() {
    expect_bugcheck("0xDEAD", || {
        let _kernel = Kernel::boot();
        // SAFETY: nothing is asked of the caller.
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
        // SAFETY: the place lives until the call returns. Breaks the rule; the kernel knows which handles are open.
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
fn handle_closed_twice() {
    unsafe extern "system" fn returns(_context: *mut c_void) {}
    expect_bugcheck("INVALID_KERNEL_HANDLE", || {
        let _kernel = Kernel::boot();
        // SAFETY: the routine takes any context.
        let handle = unsafe { start_thread(returns, ptr::null_mut()) };
        assert_eq!(close_handle(handle), STATUS_SUCCESS);
        let _ = close_handle(handle);
    })
    .tells("ZwClose was called for a handle that isn't open (any more)");
}

#[test]
fn object_that_is_gone() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows its objects, and stops before it touches anything.
        unsafe { ObfDereferenceObject(ptr::without_provenance_mut(0x1000)) };
    })
    .tells("(0x3F,");
}

// What has no end, and what is gone.

#[test]
fn provider_used_after_it_was_released() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let registration = Registration::new();
        assert_eq!(registration.register(), STATUS_SUCCESS);
        let provider = registration.capture(0).unwrap();
        registration.release();
        let _ = provider.start_socket(&Call::new(), Kind::datagram(AF_INET));
    })
    .tells("WskSocket was called after WskReleaseProviderNPI")
    .tells("registered by WskRegister");
}

#[test]
fn mdl_chain_in_a_circle() {
    for length in 1..5 {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let client = Client::new();
            let socket = client.bound("127.0.0.1:0");
            let mdls: Vec<_> = (0..length).map(|_| Buffer::new(8).mdl()).collect();
            for (index, mdl) in mdls.iter().enumerate() {
                // SAFETY: the MDLs are the test's own, and in no call yet.
                unsafe { (**mdl).Next = mdls[(index + 1) % mdls.len()] };
            }
            let mut buffer = WSK_BUF {
                Mdl: mdls[0],
                Offset: 0,
                Length: 1 << 40,
            };
            let to = Address::lasting("127.0.0.1:9".parse().unwrap());
            let call = Call::new();
            // SAFETY: breaks the rule; the kernel finds the circle before it sends anything.
            let _ = unsafe {
                socket.table().WskSendTo.unwrap()(
                    socket.raw(),
                    &raw mut buffer,
                    0,
                    to,
                    0,
                    ptr::null_mut(),
                    call.irp(),
                )
            };
        })
        .tells("its MDL chain runs in a circle");
    }
}

#[test]
fn list_of_datagrams_in_a_circle() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let last = Box::leak(Box::new(buffer.all().list(ptr::null_mut())));
        let first = Box::leak(Box::new(buffer.all().list(last)));
        last.Next = first;
        let to = Address::lasting("127.0.0.1:9".parse().unwrap());
        let call = Call::new();
        // SAFETY: breaks the rule; the kernel finds the circle before it sends anything. The list is never freed.
        let _ = unsafe {
            socket.table().WskSendMessages.unwrap()(
                socket.raw(),
                first,
                0,
                to,
                0,
                ptr::null_mut(),
                call.irp(),
            )
        };
    })
    .tells("runs in a circle");
}

#[test]
fn mdl_over_freed_memory_sent() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let block = pool(8);
        let mdl = mdl_of(block, 8);
        // SAFETY: breaks the rule; the kernel looks what the MDL is over before it reads it.
        let _ = unsafe {
            MmBuildMdlForNonPagedPool(mdl);
            ExFreePoolWithTag(block, TAG);
            let mut buffer = WSK_BUF {
                Mdl: mdl,
                Offset: 0,
                Length: 8,
            };
            let to = Address::lasting("127.0.0.1:9".parse().unwrap());
            socket.table().WskSendTo.unwrap()(
                socket.raw(),
                &raw mut buffer,
                0,
                to,
                0,
                ptr::null_mut(),
                Call::new().irp(),
            )
        };
    })
    .tells("WskSendTo was given an MDL over freed memory")
    .tells("freed by ExFreePoolWithTag");
}

#[test]
fn table_of_an_accepted_socket_on_the_stack() {
    #[inline(never)]
    unsafe extern "system" fn accepts(
        _context: *mut c_void,
        _flags: u32,
        _local: *mut SOCKADDR,
        _remote: *mut SOCKADDR,
        _socket: *mut WSK_SOCKET,
        _accept_context: *mut *mut c_void,
        dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
    ) -> NTSTATUS {
        let table = WSK_CLIENT_CONNECTION_DISPATCH::default();
        // SAFETY: the kernel gives the place. What it is given breaks the rule; the kernel doesn't look there.
        unsafe { *dispatch = std::hint::black_box(&raw const table) };
        STATUS_SUCCESS
    }
    static TABLE: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
        WskAcceptEvent: Some(accepts),
        WskInspectEvent: None,
        WskAbortEvent: None,
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        // SAFETY: the callback has no use for a context.
        let listener = client.listener(AF_INET, unsafe { Callbacks::new(&(), &TABLE) });
        assert_eq!(
            listener.bind("127.0.0.1:0".parse().unwrap()),
            STATUS_SUCCESS
        );
        assert_eq!(listener.events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let _peer = std::net::TcpStream::connect(listener.local().unwrap()).unwrap();
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("on the stack of a function that has returned");
}

#[test]
fn driver_entry_that_returns_in_a_critical_region() {
    unsafe extern "system" fn enters(_: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
        // SAFETY: nothing is asked of the caller. Not leaving it breaks the rule, and harms no memory.
        unsafe { KeEnterCriticalRegion() };
        STATUS_SUCCESS
    }
    expect_bugcheck("APC_INDEX_MISMATCH", || {
        let kernel = Kernel::boot();
        let _ = kernel.driver("forgetful").load(enters);
    })
    .tells("DriverEntry returned in 1 critical regions, and was called in 0");
}
