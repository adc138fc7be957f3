//! A provider that returns an error before it completes the IRP, which is allowed, or that never completes it, which is not. With
//! every finisher, the first is an error that returns the buffer. The second is abandoned, and nothing is freed.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use wsk::{
    Call, DatagramSocket, DriverMdl, Error, Extent, Family, MdlChain, Messages, NTSTATUS,
    NonPagedBuffer,
};
use wsk_host::{Kernel, Leaks, Resource};
use wsk_sys::{
    IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MmProbeAndLockPages, MmUnlockPages,
    STATUS_NOT_IMPLEMENTED,
};

use crate::setting::{FAST, LOOPBACK, MOMENT, Setting, block_on, until};

const STATUS: NTSTATUS = STATUS_NOT_IMPLEMENTED;

fn error(call: Call) -> Error {
    let status = STATUS;
    Error::Call { call, status }
}

fn abandoned(call: Call) -> Error {
    let status = STATUS;
    Error::Abandoned { call, status }
}

/// Runs `test` with a provider that refuses the first call and keeps its IRP for `time`, or until the test has ended. Returns the
/// leaks.
fn on_a_kernel(
    time: Option<Duration>,
    test: impl Fn(&DatagramSocket, SocketAddr),
) -> Result<(), Leaks> {
    let speed = if time.is_some() { 1 } else { FAST };
    let kernel = Kernel::builder().time_lapse(speed).boot();
    let s = Setting::new(Family::V4, LOOPBACK);
    kernel.fail_nth(Resource::Completion, 1);
    let late = &kernel;
    std::thread::scope(|threads| {
        if let Some(time) = time {
            threads.spawn(move || {
                std::thread::sleep(time);
                while late.complete_withheld() == 0 {
                    std::thread::yield_now();
                }
            });
        }
        test(&s.socket, s.to);
    });
    if time.is_none() {
        assert_eq!(kernel.complete_withheld(), 1);
    }
    drop(s);
    kernel.finish()
}

const SOON: Option<Duration> = Some(MOMENT);

fn chain() -> MdlChain<2> {
    MdlChain::new([b"one", b"two"].map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap()))
}

#[test]
fn an_error_before_its_completion_keeps_the_buffer() {
    on_a_kernel(SOON, |socket, to| {
        assert_eq!(socket.send_to(b"x", to).wait(), Err(error(Call::WskSendTo)));
        assert_eq!(socket.send_to(b"x", to).wait(), Ok(1));
    })
    .unwrap();
    on_a_kernel(SOON, |socket, _| {
        let result = socket.receive_from(&mut [0; 8]).wait();
        assert_eq!(result.unwrap_err(), error(Call::WskReceiveFrom));
    })
    .unwrap();
    on_a_kernel(SOON, |socket, to| {
        let finished = socket.send_to(chain(), to).start().unwrap().wait().unwrap();
        assert_eq!(finished.result, Err(error(Call::WskSendTo)));
        assert_eq!(finished.buffer.unwrap().len(), 6);
    })
    .unwrap();
    on_a_kernel(SOON, |socket, to| {
        let sent = wsk::scope(|s| socket.send_to(b"x", to).start_in(s)?.wait()).unwrap();
        assert_eq!(sent, Err(error(Call::WskSendTo)));
    })
    .unwrap();
    on_a_kernel(SOON, |socket, to| {
        let finished = block_on(socket.send_to(chain(), to).start().unwrap());
        assert_eq!(finished.result, Err(error(Call::WskSendTo)));
        assert!(finished.buffer.is_some());
    })
    .unwrap();
    on_a_kernel(SOON, |socket, to| {
        let messages = Messages::new([chain()]).unwrap();
        let finished = block_on(socket.send_messages(messages, to).start().unwrap());
        assert_eq!(finished.result, Err(error(Call::WskSendMessages)));
        assert!(finished.buffer.is_some());
    })
    .unwrap();
    // Dropped before the IRP completes.
    on_a_kernel(SOON, |socket, to| {
        drop(socket.send_to(chain(), to).start().unwrap());
    })
    .unwrap();
}

#[test]
fn an_irp_that_never_comes_back_is_given_up() {
    let start = Instant::now();
    // When the IRP completes after all, the operation drops what it carried.
    on_a_kernel(None, |socket, to| {
        let finished = block_on(socket.send_to(chain(), to).start().unwrap());
        assert_eq!(finished.result, Err(abandoned(Call::WskSendTo)));
        assert!(finished.buffer.is_none(), "the provider may still use it");
        assert_eq!(socket.send_to(b"others go on", to).wait(), Ok(12));
    })
    .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2) / FAST);
    on_a_kernel(None, |socket, to| {
        let mut send = socket.send_to(chain(), to).start().unwrap();
        let finished = loop {
            match send.try_take() {
                Ok(finished) => break finished,
                Err(again) => send = again,
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(finished.result, Err(abandoned(Call::WskSendTo)));
    })
    .unwrap();
    // The borrowed memory stays allocated. Nothing else is left behind.
    let left = on_a_kernel(None, |socket, to| {
        let mut chain = chain();
        let sent = socket.send_to(&chain, to).wait();
        assert_eq!(sent, Err(abandoned(Call::WskSendTo)));
        assert_eq!(chain.part(0), Some(&[][..]), "kept");
        assert!(chain.is_lost());
        // No other operation can use it.
        assert_eq!(socket.send_to(&chain, to).wait(), Err(Error::BufferLost));
        assert_eq!((chain.len(), chain.capacity()), (0, 0));
        assert!(chain.set_range(0, 1).is_err());
        for part in chain.into_parts() {
            assert!(part.is_empty());
        }
    });
    assert_eq!(left.unwrap_err().entries().len(), 4, "two blocks, two MDLs");
    let left = on_a_kernel(None, |socket, to| {
        let chain = chain();
        let sent = wsk::scope(|s| socket.send_to(&chain, to).start_in(s)?.wait()).unwrap();
        assert_eq!(sent.unwrap_err(), abandoned(Call::WskSendTo));
        drop(chain);
    });
    assert!(left.is_err());
}

#[test]
fn no_bytes_of_an_mdl_leave_it_to_its_owner() {
    on_a_kernel(None, |socket, to| {
        let mut bytes = *b"the driver's";
        // SAFETY: the memory and its MDL stay until the MDL made from them is dropped.
        let mdl = unsafe {
            let mdl = IoAllocateMdl(bytes.as_mut_ptr().cast(), 12, 0, 0, std::ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            NonNull::new(mdl).unwrap()
        };
        {
            // SAFETY: as above.
            let nothing = unsafe { DriverMdl::from_raw(Extent::new(mdl, 4, 0).unwrap()) }.unwrap();
            let sent = socket.send_to(&nothing, to).wait();
            assert_eq!(sent, Err(abandoned(Call::WskSendTo)));
        }
        // SAFETY: no promise says that it stays any longer.
        unsafe {
            MmUnlockPages(mdl.as_ptr());
            IoFreeMdl(mdl.as_ptr());
        }
    })
    .unwrap();
}

/// A waker that takes time to wake.
#[derive(Default)]
struct Slow {
    begun: AtomicBool,
    go_on: AtomicBool,
}

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        // Only the wake of the completion routine is slow. The future also wakes it, to be polled again after the refusal.
        if std::thread::current().name() == Some("completing") {
            self.begun.store(true, Ordering::SeqCst);
            until("going on", || self.go_on.load(Ordering::SeqCst));
        }
    }
}

/// Whether the driver is unloaded while a completion routine still wakes the waker of an operation that `start` has started.
fn is_unloaded_while_waking<F: Future + Send + Unpin>(start: impl Fn(&Setting) -> F) -> bool {
    let kernel = Kernel::boot();
    let s = Setting::new(Family::V4, LOOPBACK);
    kernel.fail_nth(Resource::Completion, 1);
    let mut future = start(&s);
    let slow = Arc::new(Slow::default());
    let waker = Waker::from(slow.clone());
    let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let unloaded = AtomicBool::new(false);
    let early = std::thread::scope(|threads| {
        let completing = std::thread::Builder::new().name("completing".into());
        let completing = completing.spawn_scoped(threads, || kernel.complete_withheld());
        assert!(completing.is_ok());
        until("waking", || slow.begun.load(Ordering::SeqCst));
        threads.spawn(|| {
            block_on(future);
            drop(s);
            unloaded.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(100));
        let early = unloaded.load(Ordering::SeqCst);
        slow.go_on.store(true, Ordering::SeqCst);
        early
    });
    assert!(unloaded.into_inner());
    kernel.shutdown();
    early
}

#[test]
fn a_driver_stays_until_its_wakers_are_woken() {
    let room = || NonPagedBuffer::new(8).unwrap();
    assert!(!is_unloaded_while_waking(|s| {
        s.socket.receive_from(room()).start().unwrap()
    }));
    assert!(!is_unloaded_while_waking(|s| {
        s.socket
            .receive_from(room())
            .prepare()
            .unwrap()
            .start()
            .unwrap()
    }));
}

#[test]
fn what_a_scope_has_left_to_the_provider_keeps_the_driver() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let Setting {
        socket,
        provider,
        registration,
        peer,
        to,
    } = Setting::new(Family::V4, LOOPBACK);
    let mut buffer = NonPagedBuffer::copy_of(b"kept").unwrap();
    let mut other = NonPagedBuffer::copy_of(b"too").unwrap();
    let results = wsk::scope(|scope| {
        kernel.fail_nth(Resource::Completion, 1);
        let first = socket.send_to(&buffer, to).start_in(scope).unwrap();
        kernel.fail_nth(Resource::Completion, 1);
        let second = socket.send_to(&other, to).start_in(scope).unwrap();
        // A third one is sent. The scope waits for it, because its handle is dropped.
        let _ = socket.send_to(&[1, 2, 3], to).start_in(scope).unwrap();
        [first, second].map(|send| send.wait().map(|(sent, _)| sent))
    });
    assert_eq!(results, Ok([Err(abandoned(Call::WskSendTo)); 2]));
    // The provider may still read the bytes, so nothing writes or sends them any more.
    assert!(buffer.is_empty() && buffer.as_mut_slice().is_empty());
    assert!(other.is_empty() && other.as_mut_slice().is_empty());
    assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 3);
    drop((buffer, other, socket, provider));

    // Unloading waits until both IRPs have completed after all.
    let unloaded = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            drop(registration);
            unloaded.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!unloaded.load(std::sync::atomic::Ordering::SeqCst));
        assert_eq!(kernel.complete_withheld(), 2);
    });
    assert!(unloaded.into_inner());
    // The memory was leaked on purpose, and nothing else is left.
    let leaks = kernel.finish().unwrap_err().to_string();
    let objects = |name: &str| leaks.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!((objects("- MDL"), objects("- ")), (2, 4), "{leaks}");
}
