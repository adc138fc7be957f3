//! Hostile programs.
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wsk::{Error, NonPagedBuffer};
use wsk_host::{Completion, Deviation, Kernel, Resource};

use crate::connection::Setting;
use crate::setting::{FAST, PATIENCE};

/// The second run of a `receive_all` is refused and kept: the scope ends all the same.
#[test]
fn a_scope_leaves_what_went_on_and_was_refused_then() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        let most = NonZeroUsize::new(1).unwrap();
        let kernel = Kernel::builder()
            .completion(policy)
            .seed(3)
            .time_lapse(FAST)
            .deviation(Deviation::ShortReceives(most))
            .boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        peer.write_all(b"ab").unwrap();
        let mut lent = NonPagedBuffer::new(6).unwrap();
        let hung = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let begun = Instant::now();
                while !over.load(Ordering::SeqCst) {
                    if begun.elapsed() > Duration::from_secs(3) {
                        hung.store(true, Ordering::SeqCst);
                        let _ = kernel.complete_withheld();
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            wsk::scope(|scope| {
                let receiving = socket.receive_all(&mut lent).start_in(scope).unwrap();
                while !receiving.is_completed() {
                    std::thread::yield_now();
                }
                kernel.fail_nth(Resource::Completion, 1);
                let ended = receiving.wait();
                assert!(matches!(ended, Err(Error::Abandoned { .. })), "{ended:?}");
            })
            .unwrap();
            over.store(true, Ordering::SeqCst);
        });
        let was_hung = hung.load(Ordering::SeqCst);
        if !was_hung {
            let _ = kernel.complete_withheld();
        }
        let _ = PATIENCE;
        drop((socket, lent));
        drop(s);
        let _ = kernel.finish();
        assert!(
            !was_hung,
            "{policy:?}: the scope waited for what was refused"
        );
    }
}

/// A send of what a prepared receive carries is abandoned: its bytes are the provider's, and the receive must not write them.
#[test]
fn a_prepared_receive_does_not_write_what_a_send_was_abandoned_with() {
    use wsk::Family;
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = crate::setting::Setting::new(Family::V4, crate::setting::LOOPBACK);
    let receiver = s
        .socket
        .receive_from(NonPagedBuffer::copy_of(b"good").unwrap());
    let mut receiver = receiver.prepare().unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    // Shared with a safe borrow: what is carried is at rest.
    let sent = s.socket.send_to(receiver.buffer().unwrap(), s.to).wait();
    assert!(matches!(sent, Err(Error::Abandoned { .. })), "{sent:?}");
    assert!(receiver.buffer().unwrap().is_lost());
    s.hears(b"evil");
    // The send's IRP is still the provider's, which may read its bytes.
    let received = receiver.wait().map(|received| received.length());
    assert_eq!(kernel.complete_withheld(), 1);
    drop((receiver, s));
    let _ = kernel.finish();
    assert_eq!(received, Err(Error::BufferLost));
}

/// The same of a connection, of each kind of memory, and told.
#[test]
fn prepared_receives_of_connections_neither() {
    use wsk::{BufferPool, MdlChain};
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new();
    let (socket, mut peer) = s.connection();
    let part = || NonPagedBuffer::copy_of(b"good").unwrap();
    let pool = BufferPool::new(1, |_| Ok::<_, Error>(part())).unwrap();
    macro_rules! try_with {
        ($buffer:expr) => {{
            let mut receiver = socket.receive($buffer).prepare().unwrap();
            peer.write_all(b"one").unwrap();
            assert_eq!(receiver.wait(), Ok(3));
            kernel.fail_nth(Resource::Completion, 1);
            let sent = socket.send(receiver.buffer().unwrap()).wait();
            assert!(matches!(sent, Err(Error::Abandoned { .. })), "{sent:?}");
            assert_eq!(receiver.wait(), Err(Error::BufferLost));
            let refused = receiver.start().unwrap_err();
            assert_eq!(refused.error, Error::BufferLost);
            let refused = refused.buffer.start_with(drop).unwrap_err();
            assert_eq!(refused.error, Error::BufferLost);
            assert_eq!(kernel.complete_withheld(), 1);
        }};
    }
    try_with!(part());
    try_with!(MdlChain::new([part()]));
    try_with!(pool.take().unwrap());
    drop((pool, socket, s));
    let _ = kernel.finish();
}

/// A lookup from another client's pool, dropped at DISPATCH_LEVEL while abandoned, completed at DISPATCH_LEVEL after both handles went.
#[test]
fn names_from_anothers_pool_completed_late_by_a_thread_that_unloads() {
    use wsk::operation::Operations;
    use wsk_host::{DISPATCH_LEVEL, at_irql};
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        for how in [0, 1, 2, 4] {
            let kernel = Kernel::builder()
                .completion(policy)
                .seed(how)
                .time_lapse(FAST)
                .boot();
            let ((first, of_pool), (second, asking)) =
                (crate::setting::client(), crate::setting::client());
            let operations = Operations::new(&of_pool, 1).unwrap();
            if how != 4 {
                kernel.fail_nth(Resource::Completion, 1);
            }
            let lookup = asking
                .name_of("127.0.0.1:80".parse().unwrap())
                .numeric()
                .from(&operations);
            match how {
                0 => at_irql(DISPATCH_LEVEL, || drop(lookup.start().map_err(drop))),
                1 => drop(lookup.start().unwrap().wait().unwrap()),
                2 => lookup.start_with(drop).unwrap(),
                3 => std::mem::forget(lookup.start().unwrap()),
                _ => {
                    let lookup = lookup.start().unwrap();
                    at_irql(DISPATCH_LEVEL, move || drop(lookup));
                }
            }
            drop((operations, of_pool, asking));
            let threads = [first, second].map(|r| std::thread::spawn(move || drop(r)));
            std::thread::sleep(Duration::from_millis(10));
            at_irql(DISPATCH_LEVEL, || kernel.complete_withheld());
            if how == 3 {
                // Forgotten: it keeps both.
                std::thread::sleep(Duration::from_millis(30));
                assert!(threads.iter().all(|thread| !thread.is_finished()));
                // There is no way out.
                return;
            }
            for thread in threads {
                thread.join().unwrap();
            }
            kernel.shutdown();
        }
    }
}

/// What a raw control of a scope was copied to is freed when its IRP completes after all.
#[test]
fn a_scope_that_has_left_a_raw_control_keeps_no_copies() {
    use wsk::ioctl::ControlRequest;
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = crate::setting::Setting::new(wsk::Family::V4, crate::setting::LOOPBACK);
    let mut output = [0; 4];
    kernel.fail_nth(Resource::Completion, 1);
    let get = ControlRequest::GetOption {
        level: wsk_sys::IPPROTO_IP,
        option: wsk_sys::IP_TTL,
    };
    // SAFETY: the option is a number.
    let request = unsafe { s.socket.control_raw(get, &[], &mut output) };
    wsk::scope(|scope| drop(request.start_in(scope))).unwrap();
    assert_eq!(kernel.complete_withheld(), 1);
    drop(s);
    kernel.shutdown();
}
