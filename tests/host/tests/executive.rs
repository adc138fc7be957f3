//! Lists without a lock, lookaside lists, locks, rundown protection, waits for several objects, devices: from raw code, as it is
//! meant, and with each rule broken that the host kernel watches over.
//!
//! A call that breaks a rule is argued for by what makes it harmless: the kernel stops the process, a child of the test, before it
//! does what it was asked for.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{APC_LEVEL, DISPATCH_LEVEL, Kernel, at_irql, current_irql};
use wsk_sys::*;

/// Memory of the driver's that stays where it is and is shared with the kernel and other threads.
struct Shared<T>(Box<UnsafeCell<T>>);

// SAFETY: it is touched through the kernel's functions only, which order those who do.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Default> Shared<T> {
    fn new() -> Self {
        Self(Box::default())
    }
}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0.get()
    }
}

// Lists without a lock.

/// A block with an entry, from pool.
fn entry() -> *mut SLIST_ENTRY {
    pool(size_of::<SLIST_ENTRY>()).cast()
}

fn list() -> Shared<SLIST_HEADER> {
    let list = Shared::<SLIST_HEADER>::new();
    // SAFETY: the memory is the list's.
    unsafe { InitializeSListHead(list.get()) };
    list
}

#[test]
fn a_list_is_last_in_first_out() {
    let kernel = Kernel::boot();
    let (list, one, two) = (list(), entry(), entry());
    // SAFETY: the list is initialised, and the entries are pool.
    unsafe {
        assert!(InterlockedPopEntrySList(list.get()).is_null());
        assert!(InterlockedPushEntrySList(list.get(), one).is_null());
        assert_eq!(InterlockedPushEntrySList(list.get(), two), one);
        assert_eq!(ExQueryDepthSList(list.get()), 2);
        assert_eq!(FirstEntrySList(list.get()), two);
        assert_eq!(InterlockedPopEntrySList(list.get()), two);
        InterlockedPushEntrySList(list.get(), two);
        let all = InterlockedFlushSList(list.get());
        assert_eq!((all, (*all).Next, (*one).Next), (two, one, ptr::null_mut()));
        assert_eq!(ExQueryDepthSList(list.get()), 0);
        ExFreePool(one.cast());
        ExFreePool(two.cast());
    }
    kernel.shutdown();
}

#[test]
fn threads_share_a_list_and_free_what_they_take() {
    let kernel = Kernel::boot();
    let list = list();
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    // SAFETY: the list is initialised; an entry that was taken is this thread's.
                    unsafe {
                        InterlockedPushEntrySList(list.get(), entry());
                        let entry = InterlockedPopEntrySList(list.get());
                        if !entry.is_null() {
                            taken.fetch_add(1, Ordering::Relaxed);
                            ExFreePool(entry.cast());
                        }
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 2000);
    kernel.shutdown();
}

#[test]
fn an_entry_that_is_listed_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (list, one, two) = (list(), entry(), entry());
        // SAFETY: breaks the rule; the kernel looks through the list before it changes it.
        unsafe {
            InterlockedPushEntrySList(list.get(), one);
            InterlockedPushEntrySList(list.get(), two);
            InterlockedPushEntrySList(list.get(), one);
        }
    })
    .tells("in the list already");
}

#[test]
fn an_entry_that_is_not_aligned() {
    expect_bugcheck("KMODE_EXCEPTION_NOT_HANDLED", || {
        let _kernel = Kernel::boot();
        let list = list();
        let entry = entry().wrapping_byte_add(8);
        // SAFETY: breaks the rule; the kernel looks at the address first.
        unsafe { InterlockedPushEntrySList(list.get(), entry) };
    })
    .tells("STATUS_DATATYPE_MISALIGNMENT");
}

#[test]
fn a_list_that_was_never_initialised() {
    expect_bugcheck("KERNEL_SECURITY_CHECK_FAILURE", || {
        let _kernel = Kernel::boot();
        let list = pool(size_of::<SLIST_HEADER>());
        // SAFETY: breaks the rule; the kernel sees that the memory, filled as fresh pool is, holds no head.
        unsafe { InterlockedPopEntrySList(list.cast()) };
    })
    .tells("isn't that of an initialised list");
}

// Lookaside lists.

fn lookaside() -> Shared<LOOKASIDE_LIST_EX> {
    let list = Shared::<LOOKASIDE_LIST_EX>::new();
    // SAFETY: the memory is the list's.
    let status = unsafe {
        ExInitializeLookasideListEx(
            list.get(),
            None,
            None,
            POOL_TYPE::NonPagedPoolNx,
            0,
            40,
            TAG,
            0,
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    list
}

#[test]
fn lookaside_lists_give_blocks_of_the_pool() {
    let kernel = Kernel::boot();
    let list = lookaside();
    let other = Shared::<NPAGED_LOOKASIDE_LIST>::new();
    // SAFETY: the lists are initialised, and blocks freed once.
    unsafe {
        ExInitializeNPagedLookasideList(other.get(), None, None, POOL_NX_ALLOCATION, 8, TAG, 0);
        for _ in 0..3 {
            let (one, two) = (
                ExAllocateFromLookasideListEx(list.get()),
                ExAllocateFromNPagedLookasideList(other.get()),
            );
            one.write_bytes(7, 40);
            two.write_bytes(7, 8);
            assert_eq!(kernel.counts().pool.live, 2);
            ExFreeToLookasideListEx(list.get(), one);
            ExFreeToNPagedLookasideList(other.get(), two);
            assert_eq!(kernel.counts().pool.live, 0);
        }
        kernel.fail_nth_allocation(1);
        assert!(ExAllocateFromLookasideListEx(list.get()).is_null());
        ExFlushLookasideListEx(list.get());
        ExDeleteLookasideListEx(list.get());
        ExDeleteNPagedLookasideList(other.get());
        let wrong = ExInitializeLookasideListEx(
            list.get(),
            None,
            None,
            POOL_TYPE::NonPagedPoolNx,
            3,
            40,
            TAG,
            0,
        );
        assert_eq!(wrong, STATUS_INVALID_PARAMETER);
    }
    kernel.shutdown();
}

#[test]
fn a_block_that_is_used_after_it_went_back_to_its_list() {
    expect_bugcheck("PAGE_FAULT_IN_FREED_SPECIAL_POOL", || {
        let _kernel = Kernel::boot();
        let list = lookaside();
        // SAFETY: breaks the rule; the block was freed, and its pages are inaccessible.
        unsafe {
            let block = ExAllocateFromLookasideListEx(list.get());
            ExFreeToLookasideListEx(list.get(), block);
            block.cast::<u8>().write_volatile(1);
        }
    });
}

#[test]
fn a_lookaside_list_that_is_initialised_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = lookaside();
        // SAFETY: breaks the rule; the kernel knows the list.
        let _ = unsafe {
            ExInitializeLookasideListEx(
                list.get(),
                None,
                None,
                POOL_TYPE::NonPagedPoolNx,
                0,
                40,
                TAG,
                0,
            )
        };
    })
    .tells("(0x1005,")
    .tells("is initialised already");
}

#[test]
fn a_lookaside_list_freed_that_was_not_deleted() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = pool(size_of::<LOOKASIDE_LIST_EX>()).cast::<LOOKASIDE_LIST_EX>();
        // SAFETY: the block has room for a list. To free it then breaks the rule.
        unsafe {
            let status = ExInitializeLookasideListEx(
                list,
                None,
                None,
                POOL_TYPE::NonPagedPoolNx,
                0,
                64,
                TAG,
                0,
            );
            assert_eq!(status, STATUS_SUCCESS);
            ExFreePoolWithTag(list.cast(), TAG);
        }
    })
    .tells("memory was freed that holds a lookaside list");
}

#[test]
fn a_lookaside_list_that_is_used_after_it_was_deleted() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = lookaside();
        // SAFETY: breaks the rule; a list that was deleted gives no blocks.
        unsafe {
            ExDeleteLookasideListEx(list.get());
            let _ = ExAllocateFromLookasideListEx(list.get());
        }
    })
    .tells("from a lookaside list that was deleted");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = lookaside();
        // SAFETY: breaks the rule; the kernel doesn't know the list any more.
        unsafe {
            ExDeleteLookasideListEx(list.get());
            ExDeleteLookasideListEx(list.get());
        }
    })
    .tells("isn't an initialised lookaside list");
}

/// A list of paged blocks.
fn paged_lookaside() -> Shared<PAGED_LOOKASIDE_LIST> {
    let list = Shared::<PAGED_LOOKASIDE_LIST>::new();
    // SAFETY: the memory is the list's.
    unsafe { ExInitializePagedLookasideList(list.get(), None, None, 0, 40, TAG, 0) };
    list
}

#[test]
fn paged_lookaside_lists_give_blocks_of_paged_pool() {
    let kernel = Kernel::boot();
    let list = paged_lookaside();
    // SAFETY: the list is initialised, and blocks freed once.
    unsafe {
        at_irql(APC_LEVEL, || {
            let (one, two) = (
                ExAllocateFromPagedLookasideList(list.get()),
                ExAllocateFromPagedLookasideList(list.get()),
            );
            one.write_bytes(7, 40);
            two.write_bytes(8, 40);
            assert_eq!(kernel.counts().pool.live, 2);
            ExFreeToPagedLookasideList(list.get(), one);
            // A block may leave its list for good.
            ExFreePoolWithTag(two, TAG);
            assert_eq!(kernel.counts().pool.live, 0);
        });
        kernel.fail_nth_allocation(1);
        assert!(ExAllocateFromPagedLookasideList(list.get()).is_null());
        ExDeletePagedLookasideList(list.get());
    }
    kernel.shutdown();
}

/// A driver's own functions are called, and know themselves whose the blocks are.
#[test]
fn blocks_of_a_paged_lookaside_list_by_the_drivers_own_functions() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "system" fn own(kind: POOL_TYPE, bytes: usize, tag: u32) -> *mut c_void {
        assert_eq!((kind, bytes, tag), (POOL_TYPE::PagedPool, 40, TAG));
        // SAFETY: any block will do.
        unsafe { ExAllocatePoolWithTag(kind, bytes, tag) }
    }
    unsafe extern "system" fn own_free(block: *mut c_void) {
        FREED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the block is the list's, or such a one.
        unsafe { ExFreePoolWithTag(block, TAG) };
    }
    let kernel = Kernel::boot();
    let list = Shared::<PAGED_LOOKASIDE_LIST>::new();
    // SAFETY: the list is initialised, and blocks freed once.
    unsafe {
        ExInitializePagedLookasideList(list.get(), Some(own), Some(own_free), 0, 40, TAG, 0);
        let block = ExAllocateFromPagedLookasideList(list.get());
        ExFreeToPagedLookasideList(list.get(), block);
        ExFreeToPagedLookasideList(list.get(), paged_pool(40).cast());
        ExDeletePagedLookasideList(list.get());
    }
    assert_eq!(FREED.load(Ordering::Relaxed), 2);
    kernel.shutdown();
}

#[test]
fn a_paged_lookaside_list_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = paged_lookaside();
        // SAFETY: breaks the rule; the pool doesn't give a block.
        at_irql(DISPATCH_LEVEL, || unsafe {
            let _ = ExAllocateFromPagedLookasideList(list.get());
        });
    })
    .tells("(0x1,")
    .tells("paged pool was allocated above APC_LEVEL");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = paged_lookaside();
        // SAFETY: breaks the rule; the block isn't touched.
        unsafe {
            let block = ExAllocateFromPagedLookasideList(list.get());
            at_irql(DISPATCH_LEVEL, || {
                ExFreeToPagedLookasideList(list.get(), block)
            });
        }
    })
    .tells("(0x11,")
    .tells("paged pool was freed above APC_LEVEL");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = Shared::<PAGED_LOOKASIDE_LIST>::new();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        at_irql(DISPATCH_LEVEL, || unsafe {
            ExInitializePagedLookasideList(list.get(), None, None, 0, 40, TAG, 0);
        });
    })
    .tells("ExInitializePagedLookasideList");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = paged_lookaside();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        at_irql(DISPATCH_LEVEL, || unsafe {
            ExDeletePagedLookasideList(list.get());
        });
    })
    .tells("ExDeletePagedLookasideList");
}

#[test]
fn a_lookaside_list_that_was_never_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = Shared::<PAGED_LOOKASIDE_LIST>::new();
        // SAFETY: breaks the rule; the kernel doesn't know the list.
        unsafe { ExDeletePagedLookasideList(list.get()) };
    })
    .tells("(0x1002,")
    .tells(
        "ExDeletePagedLookasideList was given something that isn't an initialised lookaside list",
    );
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = Shared::<NPAGED_LOOKASIDE_LIST>::new();
        // SAFETY: breaks the rule; the kernel doesn't know the list.
        unsafe { ExDeleteNPagedLookasideList(list.get()) };
    })
    .tells("(0x1002,")
    .tells("ExDeleteNPagedLookasideList");
}

#[test]
fn a_block_that_is_freed_to_another_list() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (list, other) = (paged_lookaside(), paged_lookaside());
        // SAFETY: breaks the rule; the kernel knows where the block is from.
        unsafe {
            let block = ExAllocateFromPagedLookasideList(list.get());
            ExFreeToPagedLookasideList(other.get(), block);
        }
    })
    .tells("was freed to a lookaside list that it isn't from")
    .tells("40 bytes");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = Shared::<NPAGED_LOOKASIDE_LIST>::new();
        // SAFETY: breaks the rule; the kernel knows that the block is from no list.
        unsafe {
            ExInitializeNPagedLookasideList(list.get(), None, None, POOL_NX_ALLOCATION, 40, TAG, 0);
            ExFreeToNPagedLookasideList(list.get(), pool(40).cast());
        }
    })
    .tells("was freed to a lookaside list that it isn't from");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (list, other) = (lookaside(), lookaside());
        // SAFETY: breaks the rule; the kernel knows where the block is from.
        unsafe {
            let block = ExAllocateFromLookasideListEx(list.get());
            ExFreeToLookasideListEx(other.get(), block);
        }
    })
    .tells("was freed to a lookaside list that it isn't from");
    expect_bugcheck("BAD_POOL_CALLER", || {
        let _kernel = Kernel::boot();
        let list = paged_lookaside();
        // SAFETY: breaks the rule; the pool knows that the block is freed already.
        unsafe {
            let block = ExAllocateFromPagedLookasideList(list.get());
            ExFreeToPagedLookasideList(list.get(), block);
            ExFreeToPagedLookasideList(list.get(), block);
        }
    })
    .tells("freed already");
}

#[test]
fn more_lookaside_lists_than_are_told_apart() {
    let kernel = Kernel::boot();
    let lists: Vec<_> = (0..40).map(|_| paged_lookaside()).collect();
    // SAFETY: the lists are initialised, and blocks freed once.
    unsafe {
        for list in &lists {
            let block = ExAllocateFromPagedLookasideList(list.get());
            ExFreeToPagedLookasideList(list.get(), block);
        }
        for list in &lists {
            ExDeletePagedLookasideList(list.get());
        }
    }
    kernel.shutdown();
}

#[test]
fn a_lookaside_list_in_paged_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = paged_pool(size_of::<LOOKASIDE_LIST_EX>());
        // SAFETY: breaks the rule; the kernel looks at the memory before it writes it.
        let _ = unsafe {
            ExInitializeLookasideListEx(
                list.cast(),
                None,
                None,
                POOL_TYPE::NonPagedPoolNx,
                0,
                40,
                TAG,
                0,
            )
        };
    })
    .tells("lies in paged pool");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let list = paged_pool(size_of::<PAGED_LOOKASIDE_LIST>() + 64);
        let list = list.wrapping_add(list.align_offset(align_of::<PAGED_LOOKASIDE_LIST>()));
        // SAFETY: breaks the rule; the kernel looks at the memory before it writes it.
        unsafe {
            ExInitializePagedLookasideList(list.cast(), None, None, 0, 40, TAG, 0);
        }
    })
    .tells("lies in paged pool");
}

#[test]
fn lists_and_devices_that_are_left_behind() {
    let kernel = Kernel::boot();
    let list = lookaside();
    let paged = paged_lookaside();
    // SAFETY: the list is initialised; its block is left behind.
    assert!(!unsafe { ExAllocateFromPagedLookasideList(paged.get()) }.is_null());
    let mut driver = DRIVER_OBJECT::default();
    let mut device = ptr::null_mut();
    let (mut name, mut link) = (
        RTL_CONSTANT_STRING!(r"\Device\Left"),
        RTL_CONSTANT_STRING!(r"\??\Left"),
    );
    // SAFETY: the driver object stays until the kernel is shut down.
    unsafe {
        assert_eq!(
            IoCreateDevice(
                &mut driver,
                8,
                &mut name,
                FILE_DEVICE_NETWORK,
                0,
                0,
                &mut device
            ),
            STATUS_SUCCESS
        );
        assert_eq!(IoCreateSymbolicLink(&mut link, &mut name), STATUS_SUCCESS);
    }
    let leaks = kernel.finish().unwrap_err();
    for told in [
        "initialised by ExInitializeLookasideListEx",
        "initialised by ExInitializePagedLookasideList",
        "paged pool at",
        r"device object \Device\Left",
        r"symbolic link \??\left to \Device\Left",
    ] {
        assert!(
            leaks.entries().iter().any(|line| line.contains(told)),
            "{told}: {leaks}"
        );
    }
    drop((list, paged));
}

// Executive spin locks.

#[test]
fn readers_share_an_executive_spin_lock_and_a_writer_has_it_alone() {
    let kernel = Kernel::boot();
    let lock = Shared::<i32>::new();
    let (shared, total) = (AtomicUsize::new(0), Shared::<u32>::new());
    // SAFETY: the lock is zero, which is free, and given back as it was taken; the number is touched by who has it alone.
    unsafe {
        let level = ExAcquireSpinLockShared(lock.get());
        assert_eq!((level, current_irql()), (0, DISPATCH_LEVEL));
        std::thread::scope(|scope| {
            // Another reader comes in; a writer would not.
            scope.spawn(|| {
                let level = ExAcquireSpinLockShared(lock.get());
                shared.fetch_add(1, Ordering::Relaxed);
                assert_eq!(ExTryConvertSharedSpinLockExclusive(lock.get()), 0);
                ExReleaseSpinLockShared(lock.get(), level);
            });
        });
        assert_eq!(ExTryConvertSharedSpinLockExclusive(lock.get()), 1);
        ExReleaseSpinLockExclusive(lock.get(), level);
        assert_eq!((shared.into_inner(), current_irql()), (1, 0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let level = ExAcquireSpinLockExclusive(lock.get());
                        *total.get() += 1;
                        ExReleaseSpinLockExclusive(lock.get(), level);
                        at_irql(DISPATCH_LEVEL, || {
                            ExAcquireSpinLockSharedAtDpcLevel(lock.get());
                            ExReleaseSpinLockSharedFromDpcLevel(lock.get());
                            ExAcquireSpinLockExclusiveAtDpcLevel(lock.get());
                            *total.get() += 1;
                            ExReleaseSpinLockExclusiveFromDpcLevel(lock.get());
                        });
                    }
                });
            }
        });
        assert_eq!((*total.get(), *lock.get()), (1600, 0));
    }
    kernel.shutdown();
}

#[test]
fn an_executive_spin_lock_that_its_thread_waits_for() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<i32>::new();
        // SAFETY: breaks the rule; the kernel knows who holds the lock.
        unsafe {
            ExAcquireSpinLockShared(lock.get());
            ExAcquireSpinLockExclusive(lock.get());
        }
    })
    .tells("(0x1000,")
    .tells("held as a reader since ExAcquireSpinLockShared");
}

#[test]
fn an_executive_spin_lock_that_is_given_back_otherwise_than_it_was_taken() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<i32>::new();
        // SAFETY: breaks the rule; the kernel knows who holds the lock, and how.
        unsafe {
            let level = ExAcquireSpinLockShared(lock.get());
            ExReleaseSpinLockExclusive(lock.get(), level);
        }
    })
    .tells("(0x1003,")
    .tells("doesn't hold alone");
}

#[test]
fn an_executive_spin_lock_in_memory_that_was_not_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel sees that the memory, filled as fresh pool is, is no free lock.
        unsafe { ExAcquireSpinLockExclusive(pool(4).cast()) };
    })
    .tells("(0x1002,");
}

#[test]
fn levels_of_executive_spin_locks() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<i32>::new();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        unsafe { ExAcquireSpinLockSharedAtDpcLevel(lock.get()) };
    })
    .tells("at DISPATCH_LEVEL only");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<i32>::new();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        unsafe {
            at_irql(DISPATCH_LEVEL, || {
                ExAcquireSpinLockSharedAtDpcLevel(lock.get())
            });
            ExReleaseSpinLockShared(lock.get(), 0);
        }
    })
    .tells("(0x32,");
}

// Fast mutexes, critical regions, push locks.

fn fast_mutex() -> Shared<FAST_MUTEX> {
    let mutex = Shared::<FAST_MUTEX>::new();
    // SAFETY: the memory is the mutex's.
    unsafe { ExInitializeFastMutex(mutex.get()) };
    mutex
}

#[test]
fn a_fast_mutex_lets_one_thread_in() {
    let kernel = Kernel::boot();
    let (mutex, total) = (fast_mutex(), Shared::<u32>::new());
    // SAFETY: the mutex is initialised; the number is touched by who holds it.
    unsafe {
        ExAcquireFastMutex(mutex.get());
        assert_eq!(current_irql(), APC_LEVEL);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(
                    (ExTryToAcquireFastMutex(mutex.get()), current_irql()),
                    (0, 0)
                )
            });
        });
        ExReleaseFastMutex(mutex.get());
        assert_eq!(current_irql(), 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        ExAcquireFastMutex(mutex.get());
                        *total.get() += 1;
                        ExReleaseFastMutex(mutex.get());
                    }
                });
            }
        });
        assert_eq!(ExTryToAcquireFastMutex(mutex.get()), 1);
        assert_eq!(*total.get(), 400);
        ExReleaseFastMutex(mutex.get());
    }
    kernel.shutdown();
}

#[test]
fn a_fast_mutex_that_its_thread_waits_for() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mutex = fast_mutex();
        // SAFETY: breaks the rule; the kernel knows who holds the mutex.
        unsafe {
            ExAcquireFastMutex(mutex.get());
            ExAcquireFastMutex(mutex.get());
        }
    })
    .tells("(0x1000,")
    .tells("wait for itself for ever");
}

#[test]
fn a_fast_mutex_that_another_thread_gives_back() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mutex = fast_mutex();
        // SAFETY: breaks the rule; the kernel knows who holds the mutex.
        unsafe {
            ExAcquireFastMutex(mutex.get());
            std::thread::scope(|scope| {
                scope.spawn(|| at_irql(APC_LEVEL, || ExReleaseFastMutex(mutex.get())));
            });
        }
    })
    .tells("(0x1003,")
    .tells("held alone since ExAcquireFastMutex");
}

#[test]
fn a_fast_mutex_given_back_at_another_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mutex = fast_mutex();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        unsafe {
            ExAcquireFastMutex(mutex.get());
            KeLowerIrql(0);
            ExReleaseFastMutex(mutex.get());
        }
    })
    .tells("(0x34,");
}

#[test]
fn a_fast_mutex_that_was_not_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mutex = Shared::<FAST_MUTEX>::new();
        // SAFETY: breaks the rule; all zero is no free mutex.
        unsafe { ExAcquireFastMutex(mutex.get()) };
    })
    .tells("(0x1002,")
    .tells("isn't an initialised fast mutex");
}

#[test]
fn a_lock_that_is_held_in_the_end() {
    let kernel = Kernel::boot();
    let mutex = fast_mutex();
    // SAFETY: the mutex is initialised. It is never given back, which is told.
    unsafe {
        ExAcquireFastMutex(mutex.get());
        KeLowerIrql(0);
    }
    let leaks = kernel.finish().unwrap_err();
    assert!(leaks.to_string().contains("fast mutex at"), "{leaks}");
}

/// Runs `routine` on a system thread, and waits for its end.
fn on_system_thread(routine: unsafe extern "system" fn(*mut c_void), context: *mut c_void) {
    let mut handle = ptr::null_mut();
    // SAFETY: the routine gets what it asks for, and the objects are given back.
    unsafe {
        let started = PsCreateSystemThread(
            &mut handle,
            THREAD_ALL_ACCESS,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            Some(routine),
            context,
        );
        assert_eq!(started, STATUS_SUCCESS);
        let mut object = ptr::null_mut();
        assert_eq!(
            ObReferenceObjectByHandle(handle, 0, ptr::null_mut(), 0, &mut object, ptr::null_mut()),
            STATUS_SUCCESS
        );
        assert_eq!(ZwClose(handle), STATUS_SUCCESS);
        let _ = KeWaitForSingleObject(object, KWAIT_REASON::Executive, 0, 0, ptr::null_mut());
        ObfDereferenceObject(object);
    }
}

#[test]
fn a_thread_that_ends_with_a_lock() {
    unsafe extern "system" fn takes(lock: *mut c_void) {
        // SAFETY: the lock is free; it is never given back, against the rule.
        unsafe {
            KeEnterCriticalRegion();
            ExAcquirePushLockExclusive(lock.cast());
        }
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<usize>::new();
        on_system_thread(takes, lock.get().cast());
    })
    .tells("(0x1006,");
}

#[test]
fn critical_regions_that_do_not_match() {
    unsafe extern "system" fn enters(_: *mut c_void) {
        // SAFETY: nothing is asked of the caller; it is never left, against the rule.
        unsafe { KeEnterCriticalRegion() };
    }
    expect_bugcheck("KERNEL_APC_PENDING_DURING_EXIT", || {
        let _kernel = Kernel::boot();
        on_system_thread(enters, ptr::null_mut());
    });
    expect_bugcheck("APC_INDEX_MISMATCH", || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel counts.
        unsafe { KeLeaveCriticalRegion() };
    });
}

#[test]
fn readers_share_a_push_lock() {
    let kernel = Kernel::boot();
    let (lock, total) = (Shared::<usize>::new(), Shared::<u32>::new());
    // SAFETY: the lock is initialised; the number is touched by who holds it alone.
    unsafe {
        ExInitializePushLock(lock.get());
        KeEnterCriticalRegion();
        ExAcquirePushLockShared(lock.get());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                KeEnterCriticalRegion();
                ExAcquirePushLockShared(lock.get());
                ExReleasePushLockShared(lock.get());
                KeLeaveCriticalRegion();
            });
        });
        ExReleasePushLockShared(lock.get());
        KeLeaveCriticalRegion();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        KeEnterCriticalRegion();
                        ExAcquirePushLockExclusive(lock.get());
                        *total.get() += 1;
                        ExReleasePushLockExclusive(lock.get());
                        KeLeaveCriticalRegion();
                    }
                });
            }
        });
        assert_eq!((*total.get(), *lock.get()), (400, 0));
    }
    kernel.shutdown();
}

#[test]
fn a_push_lock_outside_of_a_critical_region() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = Shared::<usize>::new();
        // SAFETY: breaks the rule; the kernel counts the regions.
        unsafe { ExAcquirePushLockShared(lock.get()) };
    })
    .tells("outside of a critical region");
}

// Rundown protection.

#[test]
fn an_object_runs_down_when_its_users_are_done() {
    let kernel = Kernel::boot();
    let protection = Shared::<EX_RUNDOWN_REF>::new();
    let done = AtomicBool::new(false);
    // SAFETY: the structure is initialised.
    unsafe {
        ExInitializeRundownProtection(protection.get());
        assert_eq!(ExAcquireRundownProtection(protection.get()), 1);
        assert_eq!(ExAcquireRundownProtection(protection.get()), 1);
        ExReleaseRundownProtection(protection.get());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Until the other waits.
                while ExAcquireRundownProtection(protection.get()) == 1 {
                    ExReleaseRundownProtection(protection.get());
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(5));
                done.store(true, Ordering::SeqCst);
                ExReleaseRundownProtection(protection.get());
            });
            ExWaitForRundownProtectionRelease(protection.get());
            assert!(done.load(Ordering::SeqCst));
        });
        assert_eq!(ExAcquireRundownProtection(protection.get()), 0);
        ExRundownCompleted(protection.get());
        ExReInitializeRundownProtection(protection.get());
        assert_eq!(ExAcquireRundownProtection(protection.get()), 1);
        ExReleaseRundownProtection(protection.get());
    }
    kernel.shutdown();
}

#[test]
fn rundown_protection_released_once_too_often() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let protection = Shared::<EX_RUNDOWN_REF>::new();
        // SAFETY: breaks the rule; the kernel looks at the count.
        unsafe { ExReleaseRundownProtection(protection.get()) };
    })
    .tells("(0x1003,");
}

#[test]
fn rundown_protection_started_again_too_early() {
    type Again = unsafe extern "system" fn(*mut EX_RUNDOWN_REF);
    for (again, told) in [
        (ExReInitializeRundownProtection as Again, "has not run down"),
        (ExRundownCompleted as Again, "is still used"),
    ] {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let protection = Shared::<EX_RUNDOWN_REF>::new();
            // SAFETY: breaks the rule; the kernel looks at the count.
            unsafe {
                ExAcquireRundownProtection(protection.get());
                again(protection.get());
            }
        })
        .tells(told);
    }
}

/// Rundown protection in a block of pool.
fn protection() -> *mut EX_RUNDOWN_REF {
    let protection = pool(size_of::<EX_RUNDOWN_REF>()).cast();
    // SAFETY: the block has room for it.
    unsafe { ExInitializeRundownProtection(protection) };
    protection
}

/// Another thread that waits until the users of an object are done, once nobody can come any more.
fn somebody_waits_for_users(protection: *mut EX_RUNDOWN_REF) -> std::thread::JoinHandle<()> {
    let address = protection as usize;
    let waiter = std::thread::spawn(move || {
        // SAFETY: the protection is there until its last user has left, or a rule is broken.
        unsafe { ExWaitForRundownProtectionRelease(address as *mut EX_RUNDOWN_REF) };
    });
    // SAFETY: the protection is initialised.
    unsafe {
        while ExAcquireRundownProtection(protection) == 1 {
            ExReleaseRundownProtection(protection);
            std::thread::yield_now();
        }
    }
    waiter
}

#[test]
fn rundown_protection_freed_that_is_acquired() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let protection = protection();
        // SAFETY: the protection is initialised. To free it then breaks the rule.
        unsafe {
            assert_eq!(ExAcquireRundownProtection(protection), 1);
            ExFreePoolWithTag(protection.cast(), TAG);
        }
    })
    .tells("memory was freed that holds rundown protection")
    .tells("acquired 1 times, last by ExAcquireRundownProtection");
}

#[test]
fn rundown_protection_freed_that_a_thread_waits_for() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let protection = protection();
        // SAFETY: the protection is initialised. To free it while the other waits breaks the rule.
        unsafe {
            assert_eq!(ExAcquireRundownProtection(protection), 1);
            somebody_waits_for_users(protection);
            ExFreePoolWithTag(protection.cast(), TAG);
        }
    })
    .tells("waited for by ExWaitForRundownProtectionRelease");
}

#[test]
fn rundown_protection_initialised_that_is_acquired() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let protection = protection();
        // SAFETY: the protection is initialised; the second time breaks the rule.
        unsafe {
            assert_eq!(ExAcquireRundownProtection(protection), 1);
            ExInitializeRundownProtection(protection);
        }
    })
    .tells("ExInitializeRundownProtection was called for rundown protection that is in use");
}

#[test]
fn rundown_protection_in_memory_that_became_anothers() {
    for (function, released) in [
        ("ExAcquireRundownProtection", false),
        ("ExReleaseRundownProtection", true),
    ] {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let block = pool(64);
            // SAFETY: the block is not freed. That there is no rundown protection in it (any more) breaks the rule.
            unsafe {
                ExInitializeRundownProtection(block.cast());
                block.cast::<u8>().write_bytes(0x5A, 64);
                if released {
                    ExReleaseRundownProtection(block.cast());
                } else {
                    ExAcquireRundownProtection(block.cast());
                }
            }
        })
        .tells(&format!(
            "{function} was given memory that isn't initialised rundown protection"
        ));
    }
}

#[test]
fn rundown_protection_on_the_stack_of_a_function_that_has_returned() {
    #[inline(never)]
    fn forgets_its_user() {
        let mut protection = EX_RUNDOWN_REF::default();
        // SAFETY: breaks the rule: nobody releases it before it is gone. The kernel stops before it touches it again.
        unsafe {
            ExInitializeRundownProtection(&raw mut protection);
            ExAcquireRundownProtection(&raw mut protection);
        }
        core::hint::black_box(&mut protection);
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        forgets_its_user();
        Event::new(EVENT_TYPE::NotificationEvent, false);
    })
    .tells("lies on the stack, in a function that has returned while the rundown protection that is acquired");
}

#[test]
fn rundown_protection_whose_last_user_frees_it() {
    let kernel = Kernel::boot();
    let protection = protection();
    // SAFETY: the protection is initialised. Whoever waits for the last user doesn't touch it once that one has left.
    unsafe {
        assert_eq!(ExAcquireRundownProtection(protection), 1);
        let waiter = somebody_waits_for_users(protection);
        ExReleaseRundownProtection(protection);
        ExFreePoolWithTag(protection.cast(), TAG);
        waiter.join().unwrap();
    }
    kernel.shutdown();
}

#[test]
fn rundown_protection_on_the_stack_that_is_over_when_the_function_returns() {
    #[inline(never)]
    fn waits_for_its_users(initialise: bool) {
        let mut protection = EX_RUNDOWN_REF::default();
        // SAFETY: zeroes are what initialised rundown protection holds. Who waits keeps it until its users are done.
        unsafe {
            if initialise {
                ExInitializeRundownProtection(&raw mut protection);
            }
            let shared = &raw mut protection as usize;
            assert_eq!(ExAcquireRundownProtection(&raw mut protection), 1);
            let user = std::thread::spawn(move || {
                ExReleaseRundownProtection(shared as *mut EX_RUNDOWN_REF);
            });
            ExWaitForRundownProtectionRelease(&raw mut protection);
            user.join().unwrap();
        }
    }
    #[inline(never)]
    fn never_runs_down() {
        let mut protection = EX_RUNDOWN_REF::default();
        // SAFETY: the protection is initialised, and nobody uses it when it is gone.
        unsafe {
            ExInitializeRundownProtection(&raw mut protection);
            assert_eq!(ExAcquireRundownProtection(&raw mut protection), 1);
            ExReleaseRundownProtection(&raw mut protection);
        }
    }
    let kernel = Kernel::boot();
    for round in 0..6 {
        waits_for_its_users(round % 2 == 0);
        never_runs_down();
        Event::new(EVENT_TYPE::NotificationEvent, false).set();
    }
    kernel.shutdown();
}

// Objects by their handles.

#[test]
fn a_handle_stands_for_an_object_of_its_type() {
    unsafe extern "system" fn runs(_: *mut c_void) {}
    let kernel = Kernel::boot();
    let mut handle = ptr::null_mut();
    let mut object = ptr::null_mut();
    // SAFETY: the routine asks for nothing, and the objects are given back. The kernel only compares types.
    unsafe {
        let started = PsCreateSystemThread(
            &mut handle,
            THREAD_ALL_ACCESS,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            Some(runs),
            ptr::null_mut(),
        );
        assert_eq!(started, STATUS_SUCCESS);
        let mut refer =
            |kind| ObReferenceObjectByHandle(handle, 0, kind, 0, &mut object, ptr::null_mut());
        assert_eq!(
            refer(ptr::without_provenance_mut(8)),
            STATUS_OBJECT_TYPE_MISMATCH
        );
        assert_eq!(refer(*PsThreadType), STATUS_SUCCESS);
        let _ = KeWaitForSingleObject(object, KWAIT_REASON::Executive, 0, 0, ptr::null_mut());
        ObfDereferenceObject(object);
        assert_eq!(ZwClose(handle), STATUS_SUCCESS);
    }
    kernel.shutdown();
}

// Waits for several objects.

/// Waits for events; gives the status.
fn wait_for(events: &[&Event], kind: WAIT_TYPE, timeout: Option<i64>) -> NTSTATUS {
    let mut objects: Vec<*mut c_void> = events.iter().map(|event| event.raw()).collect();
    let mut blocks = vec![KWAIT_BLOCK::default(); events.len()];
    let mut limit = LARGE_INTEGER {
        QuadPart: timeout.unwrap_or(0),
    };
    let limit = timeout.map_or(ptr::null_mut(), |_| &raw mut limit);
    // SAFETY: objects, room and time live until the call returns.
    unsafe {
        KeWaitForMultipleObjects(
            objects.len() as u32,
            objects.as_mut_ptr(),
            kind,
            KWAIT_REASON::Executive,
            0,
            0,
            limit,
            blocks.as_mut_ptr(),
        )
    }
}

fn synchronization_event() -> Event {
    Event::new(EVENT_TYPE::SynchronizationEvent, false)
}

#[test]
fn any_of_several_ends_a_wait_and_all_of_them() {
    let kernel = Kernel::boot();
    let events = [(); 5].map(|()| synchronization_event());
    let all: Vec<&Event> = events.iter().collect();
    assert_eq!(
        wait_for(&all, WAIT_TYPE::WaitAny, Some(-10_000)),
        STATUS_TIMEOUT
    );
    events[3].set();
    assert_eq!(wait_for(&all, WAIT_TYPE::WaitAny, None), NTSTATUS(3));
    assert_eq!(events[3].read(), 0);
    // From another thread, while this one sleeps.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            events[4].set();
        });
        assert_eq!(wait_for(&all, WAIT_TYPE::WaitAny, None), NTSTATUS(4));
    });
    // All: nothing is taken before all are there.
    events[0].set();
    assert_eq!(
        wait_for(&all[..2], WAIT_TYPE::WaitAll, Some(-10_000)),
        STATUS_TIMEOUT
    );
    assert_eq!(events[0].read(), 1);
    std::thread::scope(|scope| {
        scope.spawn(|| events[1].set());
        assert_eq!(
            wait_for(&all[..2], WAIT_TYPE::WaitAll, None),
            STATUS_SUCCESS
        );
    });
    assert_eq!((events[0].read(), events[1].read()), (0, 0));
    assert_eq!(
        at_irql(DISPATCH_LEVEL, || wait_for(
            &all,
            WAIT_TYPE::WaitAny,
            Some(0)
        )),
        STATUS_TIMEOUT
    );
    kernel.shutdown();
}

#[test]
fn too_many_objects_to_wait_for() {
    for count in [0, 4] {
        expect_bugcheck("MAXIMUM_WAIT_OBJECTS_EXCEEDED", || {
            let _kernel = Kernel::boot();
            let events = [(); 4].map(|()| synchronization_event());
            let mut objects: [*mut c_void; 4] =
                [0, 1, 2, 3].map(|index: usize| events[index].raw());
            // SAFETY: breaks the rule; the kernel looks at the number first.
            let _ = unsafe {
                KeWaitForMultipleObjects(
                    count,
                    objects.as_mut_ptr(),
                    WAIT_TYPE::WaitAny,
                    KWAIT_REASON::Executive,
                    0,
                    0,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
        });
    }
}

#[test]
fn waits_for_several_that_may_not_be() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let event = synchronization_event();
        let _ = at_irql(DISPATCH_LEVEL, || {
            wait_for(&[&event], WAIT_TYPE::WaitAny, None)
        });
    })
    .tells("KeWaitForMultipleObjects was called at DISPATCH_LEVEL");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let event = synchronization_event();
        let _ = wait_for(&[&event, &event], WAIT_TYPE::WaitAll, None);
    })
    .tells("there twice");
    expect_bugcheck("PAGE_FAULT_IN_FREED_SPECIAL_POOL", || {
        let _kernel = Kernel::boot();
        let mut object = pool(size_of::<KEVENT>());
        // SAFETY: breaks the rule; the kernel looks at the type in the header, which fresh pool doesn't have.
        let _ = unsafe {
            KeWaitForMultipleObjects(
                1,
                &mut object,
                WAIT_TYPE::WaitAny,
                KWAIT_REASON::Executive,
                0,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
    })
    .tells("can't be waited for");
}

// Devices.

#[test]
fn devices_and_their_names() {
    let kernel = Kernel::boot();
    let mut driver = DRIVER_OBJECT::default();
    let (mut one, mut two) = (ptr::null_mut(), ptr::null_mut());
    let mut name = RTL_CONSTANT_STRING!(r"\Device\One");
    let mut same = RTL_CONSTANT_STRING!(r"\device\ONE");
    let (mut link, mut same_link) = (
        RTL_CONSTANT_STRING!(r"\??\One"),
        RTL_CONSTANT_STRING!(r"\??\oNE"),
    );
    // SAFETY: the driver object stays; devices are deleted once.
    unsafe {
        let driver = &raw mut driver;
        assert_eq!(
            IoCreateDevice(driver, 24, &mut name, FILE_DEVICE_NETWORK, 0, 1, &mut one),
            STATUS_SUCCESS
        );
        assert_eq!(
            IoCreateDevice(driver, 0, &mut same, FILE_DEVICE_NETWORK, 0, 0, &mut two),
            STATUS_OBJECT_NAME_COLLISION
        );
        assert_eq!(
            IoCreateDevice(
                driver,
                0,
                ptr::null_mut(),
                FILE_DEVICE_UNKNOWN,
                0,
                0,
                &mut two
            ),
            STATUS_SUCCESS
        );
        assert_eq!(
            ((*driver).DeviceObject, (*two).NextDevice, (*one).NextDevice),
            (two, one, ptr::null_mut())
        );
        assert_eq!((*one).Flags, DO_DEVICE_INITIALIZING | DO_EXCLUSIVE);
        let extension = (*one).DeviceExtension.cast::<[u8; 24]>();
        assert_eq!(*extension, [0; 24]);
        assert_eq!(IoCreateSymbolicLink(&mut link, &mut name), STATUS_SUCCESS);
        assert_eq!(
            IoCreateSymbolicLink(&mut same_link, &mut name),
            STATUS_OBJECT_NAME_COLLISION
        );
        assert_eq!(IoDeleteSymbolicLink(&mut same_link), STATUS_SUCCESS);
        assert_eq!(
            IoDeleteSymbolicLink(&mut link),
            STATUS_OBJECT_NAME_NOT_FOUND
        );
        IoDeleteDevice(one);
        assert_eq!((*driver).DeviceObject, two);
        IoDeleteDevice(two);
        assert!((*driver).DeviceObject.is_null());
        kernel.fail_nth_allocation(1);
        assert_eq!(
            IoCreateDevice(driver, 0, &mut name, FILE_DEVICE_UNKNOWN, 0, 0, &mut one),
            STATUS_INSUFFICIENT_RESOURCES
        );
    }
    kernel.shutdown();
}

#[test]
fn a_device_that_is_deleted_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut driver = DRIVER_OBJECT::default();
        let mut device = ptr::null_mut();
        // SAFETY: breaks the rule; the kernel doesn't know the device any more.
        unsafe {
            let _ = IoCreateDevice(
                &mut driver,
                0,
                ptr::null_mut(),
                FILE_DEVICE_UNKNOWN,
                0,
                0,
                &mut device,
            );
            IoDeleteDevice(device);
            IoDeleteDevice(device);
        }
    })
    .tells("isn't a device object");
}

// Requests in memory of the driver's own.

#[test]
fn a_request_that_was_built_in_place_is_done_with() {
    let kernel = Kernel::boot();
    let size = IoSizeOfIrp(1);
    let memory = pool(size.into());
    // SAFETY: the memory has room for the request.
    unsafe {
        for _ in 0..2 {
            IoInitializeIrp(memory.cast(), size, 1);
            IoCleanupIrp(memory.cast());
        }
        ExFreePool(memory);
    }
    kernel.shutdown();
    expect_bugcheck("DRIVER_VERIFIER_IOMANAGER_VIOLATION", || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows how the request was made.
        unsafe { IoCleanupIrp(IoAllocateIrp(1, 0)) };
    })
    .tells("IoFreeIrp is for those");
    expect_bugcheck("DRIVER_VERIFIER_IOMANAGER_VIOLATION", || {
        let _kernel = Kernel::boot();
        let size = IoSizeOfIrp(1);
        // SAFETY: breaks the rule; the kernel doesn't know the request any more.
        unsafe {
            let memory = pool(size.into());
            IoInitializeIrp(memory.cast(), size, 1);
            IoCleanupIrp(memory.cast());
            IoReuseIrp(memory.cast(), STATUS_SUCCESS);
        }
    });
}
