//! Each allocation and each call of a scenario fails in turn: the scenario ends with an error, on time, and leaves nothing
//! behind.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use wsk::{
    DatagramSocket, Error, Family, Indication, NonPagedBuffer, Pool, ReceiveFromEvent,
    Registration, Verdict, Wait,
};
use wsk_host::{Completion, Kernel, Resource};
use wsk_schedules::{Driver, LOOPBACK, PATIENCE, bound, until};

/// What is made to fail.
#[derive(Debug, Clone, Copy)]
enum What {
    Allocation,
    Call,
    Registration,
}

/// Fails the first, the second … of what `scenario` needs, until it needs no more; says how many there were.
fn fail_each(name: &str, scenario: impl Fn() -> Result<(), Error>) {
    let mut failures = [0_u64; 3];
    for policy in [Completion::Inline, Completion::Deferred] {
        for what in [What::Allocation, What::Call, What::Registration] {
            for nth in 1.. {
                let guard = watch(format!("{name}: {what:?} {nth}, {policy:?}"));
                let kernel = Kernel::builder().completion(policy).boot();
                match what {
                    What::Allocation => kernel.fail_nth_allocation(nth),
                    What::Call => kernel.fail_nth_call(nth),
                    What::Registration => kernel.fail_nth(Resource::Registration, nth),
                }
                let result = scenario();
                let failed = kernel.counts().faults;
                kernel.shutdown();
                drop(guard);
                if failed == 0 {
                    assert_eq!(result, Ok(()), "{name}: nothing failed");
                    break;
                }
                assert!(
                    result.is_err(),
                    "{name}: {what:?} {nth} failed unnoticed, {policy:?}"
                );
                failures[what as usize] += 1;
            }
        }
    }
    println!("{name}: {failures:?} allocations, calls and registrations failed in turn");
    assert!(failures.iter().all(|&count| count > 0));
}

/// Ends the process when the result isn't dropped in time.
fn watch(what: String) -> impl Drop {
    struct Done(
        Option<mpsc::Sender<()>>,
        Option<std::thread::JoinHandle<()>>,
    );
    impl Drop for Done {
        fn drop(&mut self) {
            drop(self.0.take());
            let _ = self.1.take().map(std::thread::JoinHandle::join);
        }
    }
    let (done, ended) = mpsc::channel();
    let watcher = std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("hangs: {what}");
            std::process::exit(101);
        }
    });
    Done(Some(done), Some(watcher))
}

#[test]
fn open_bind_send() {
    fail_each("open, bind, send", || {
        let driver = Driver::load()?;
        let sent = driver.socket.send_to(b"from the stack", driver.address)?;
        let buffer = NonPagedBuffer::copy_of(b"from the pool")?;
        assert_eq!(
            (sent, driver.socket.send_to(&buffer, driver.address)?),
            (14, 13)
        );
        driver.socket.close()
    });
}

#[test]
fn open_both_families() {
    fail_each("dual mode", || {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(100))?;
        let socket = DatagramSocket::open(&provider, Family::Dual)?;
        socket.bind("0.0.0.0:0".parse().unwrap())?;
        let _ = socket.local_address()?;
        socket.close()
    });
}

#[test]
fn receive() {
    fail_each("receive", || {
        let driver = Driver::load()?;
        driver.socket.send_to(&[3; 9], driver.address)?;
        driver.socket.send_to(&[4; 9], driver.address)?;
        let mut room = NonPagedBuffer::new(16)?;
        let received = driver.socket.receive_from(&mut room)?;
        assert_eq!((received.length, received.from), (9, driver.address));
        let mut room = [0; 16];
        driver.socket.receive_from_timeout(&mut room, PATIENCE)?;
        assert_eq!(room[..9], [4; 9]);
        driver.socket.close()
    });
}

#[test]
fn pool() {
    fail_each("pool", || {
        let driver = Driver::load()?;
        let pool = Pool::new(3, |_| NonPagedBuffer::new(32))?;
        for _ in 0..3 {
            let sent = driver
                .socket
                .start_send_to(pool.take_or_wait()?, driver.address)?;
            let received = driver.socket.start_receive_from(pool.take_or_wait()?)?;
            sent.wait().map_err(|(error, _)| error)?.result?;
            received.wait().map_err(|(error, _)| error)?.result?;
        }
        let all = (
            pool.take_or_wait()?,
            pool.take_or_wait()?,
            pool.take_or_wait()?,
        );
        assert!(pool.take().is_none(), "every buffer came back, once");
        drop(all);
        driver.socket.close()
    });
}

#[test]
fn owned() {
    fail_each("owned operations", || {
        let driver = Driver::load()?;
        let mut receive = driver.socket.start_receive_from(NonPagedBuffer::new(8)?)?;
        let polled = Pin::new(&mut receive).poll(&mut Context::from_waker(Waker::noop()));
        let buffer = NonPagedBuffer::copy_of(b"owned")?;
        let sent = driver.socket.start_send_to(buffer, driver.address)?;
        let sent = sent.wait().map_err(|(error, _)| error)?;
        assert_eq!(
            sent.buffer.map(|buffer| buffer.len()),
            Some(5),
            "given back in any case"
        );
        sent.result?;
        let finished = match polled {
            std::task::Poll::Ready(finished) => finished,
            std::task::Poll::Pending => receive.wait().map_err(|(error, _)| error)?,
        };
        assert_eq!(
            finished.buffer.map(|buffer| buffer.len()),
            Some(8),
            "given back in any case"
        );
        assert_eq!(finished.result?.length, 5);
        driver.socket.close()
    });
}

#[test]
fn close_with_operations_in_flight() {
    fail_each("close", || {
        let driver = Driver::load()?;
        let kept = driver.socket.start_receive_from(NonPagedBuffer::new(8)?)?;
        let dropped = driver.socket.start_receive_from(NonPagedBuffer::new(8)?)?;
        // A call that failed has completed already.
        let failed = |finished: &wsk::Finished<_, _>| {
            let error = finished
                .result
                .as_ref()
                .map(|_: &wsk::Received| ())
                .unwrap_err();
            (error.status() != Some(wsk_sys::STATUS_CANCELLED)).then_some(*error)
        };
        let probe = driver.socket.start_receive_from(NonPagedBuffer::new(8)?)?;
        probe.cancel();
        let probe = probe.wait().map_err(|(error, _)| error)?;
        let dropped = match dropped.wait_timeout(Duration::from_millis(2)) {
            Ok(finished) => return Err(failed(&finished).unwrap()),
            Err((_, dropped)) => dropped,
        };
        drop(dropped);
        let closed = driver.socket.close();
        let kept = kept.wait().map_err(|(error, _)| error)?;
        assert!(kept.buffer.is_some());
        closed?;
        failed(&probe).or(failed(&kept)).map_or(Ok(()), Err)
    });
}

#[test]
fn scope() {
    fail_each("scope", || {
        let driver = Driver::load()?;
        let message = [6; 12];
        let mut room = [0; 12];
        wsk::scope(|s| {
            let receive = s.receive_from(&driver.socket, &mut room)?;
            // What fails leaves the scope to wait for the receive.
            let end = |error| {
                receive.cancel();
                error
            };
            let sent = s
                .send_to(&driver.socket, &message, driver.address)
                .map_err(end)?;
            sent.wait().map_err(end)?;
            receive
                .wait()
                .map(|(received, _)| assert_eq!(received.length, 12))
        })??;
        assert_eq!(room, message);
        driver.socket.close()
    });
}

#[test]
fn fixed_address() {
    fail_each("fixed destination", || {
        let driver = Driver::load()?;
        let (other, _) = bound(&driver.provider)?;
        let fixed = other
            .fix_destination(driver.address)
            .map_err(|(error, _)| error)?;
        fixed.send(b"to whom it is fixed")?;
        let mut room = [0; 32];
        assert_eq!(driver.socket.receive_from(&mut room)?.length, 19);
        drop(fixed);
        driver.socket.close()
    });
}

#[test]
fn receive_events() {
    struct Tell(mpsc::SyncSender<usize>);
    impl ReceiveFromEvent for Tell {
        fn received(&self, indication: &mut Indication<'_>) -> Verdict {
            for datagram in indication.datagrams() {
                let mut bytes = [0; 16];
                let _ = self.0.try_send(datagram.copy_to(&mut bytes));
            }
            Verdict::Consumed
        }
    }
    fail_each("receive events", || {
        let driver = Driver::load()?;
        let (told, heard) = mpsc::sync_channel(4);
        let socket = DatagramSocket::open_with_events(&driver.provider, Family::V4, Tell(told))?;
        socket.bind(LOOPBACK.parse().unwrap())?;
        let to = socket.local_address()?;
        socket.enable_receive_events()?;
        driver.socket.send_to(&[1; 7], to)?;
        let heard = heard.recv_timeout(PATIENCE).expect("the event");
        socket.disable_receive_events()?;
        socket.close()?;
        driver.socket.close()?;
        // Mapping the datagram is an allocation too: without it there are no bytes.
        if heard == 7 {
            Ok(())
        } else {
            Err(Error::NoMemory(wsk::Memory::Mdl))
        }
    });
}

/// Sockets that are made useless at any moment of a scenario: an error that says so, and closing works.
#[test]
fn forced_close() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        let _watch = watch(format!("forced close, {policy:?}"));
        let kernel = Kernel::builder().completion(policy).seed(11).boot();
        let driver = Driver::load().unwrap();
        let receive = driver
            .socket
            .start_receive_from(NonPagedBuffer::new(8).unwrap())
            .unwrap();
        let dropped = driver
            .socket
            .start_receive_from(NonPagedBuffer::new(8).unwrap())
            .unwrap();
        kernel.force_close_sockets();
        drop(dropped);
        let finished = receive.wait().unwrap();
        assert!(finished.result.unwrap_err().must_close());
        drop(finished.buffer.unwrap());
        let error = driver.socket.send_to(&[1; 4], driver.address).unwrap_err();
        assert!(error.must_close(), "{error}");
        driver.socket.close().unwrap();
        drop((driver.provider, driver.registration));
        until("the last completion", || kernel.counts().in_flight == 0);
        kernel.shutdown();
    }
}
