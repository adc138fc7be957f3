//! Each allocation and each call of a scenario fails in turn: the scenario ends with an error, in time, and leaves nothing
//! behind. The same holds when the provider refuses each call in turn and keeps the IRP, against its contract: the memory that
//! the IRP may touch stays until the IRP completes after all.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use wsk::events::{
    AcceptEvent, ConnectionEvent, Incoming, Indication, ReceiveFromEvent, StreamIndication,
    StreamVerdict, Verdict,
};
use wsk::ioctl::{ControlRequest, RoutingInterface};
use wsk::operation::{Finished, Operations, PreparedPool};
use wsk::option::ReceiveTypeOfService;
use wsk::raw::RawControl;
use wsk::{
    BufferPool, Call, ConnectedSocket, ConnectionSocket, Control, ControlMessage, DatagramSocket,
    Error, Family, ListenSocket, MdlChain, Messages, NonPagedBuffer, Registration, SliceChain,
    Wait, WithControl,
};
use wsk_host::{Completion, Kernel, Resource};
use wsk_schedules::{
    Driver, LOOPBACK, PATIENCE, bound, client, connection, kernels, listener, until,
};
use wsk_sys::{IP_TTL, IPPROTO_IP, STATUS_NOT_IMPLEMENTED};

/// The kinds of failures.
#[derive(Debug, Clone, Copy)]
enum What {
    Allocation,
    Call,
    Registration,
}

/// Fails the first, the second … use of each resource in `scenario`, until the scenario needs no more. Prints their number. Then
/// makes the provider keep IRPs in the same way, see [`withhold_each`].
fn fail_each(name: &str, scenario: impl Fn() -> Result<(), Error> + Sync) {
    if std::env::var_os(PATIENTLY).is_some() {
        let abandoned = withhold_each(name, Completion::Inline, LONG, &scenario);
        println!("{name}: {abandoned} operations were abandoned");
        assert!(abandoned > 0);
        return;
    }
    let mut failures = [0_u64; 3];
    for policy in [Completion::Inline, Completion::Deferred] {
        for what in [What::Allocation, What::Call, What::Registration] {
            for nth in 1.. {
                let guard = watch(format!("{name}: {what:?} {nth}, {policy:?}"));
                let kernel = Kernel::builder().completion(policy).time_lapse(FAST).boot();
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
        withhold_each(name, policy, SHORT, &scenario);
    }
    println!("{name}: {failures:?} allocations, calls and registrations failed in turn");
    assert!(failures.iter().all(|&count| count > 0));
}

/// Set in a process whose provider keeps IRPs for a long time.
const PATIENTLY: &str = "WSK_WITHHOLD_PATIENTLY";
/// Much longer than a wait continues after a provider has returned an error, if time runs [`FAST`].
const LONG: Duration = Duration::from_millis(400);
/// Much shorter than that, if time runs normally.
const SHORT: Duration = Duration::from_millis(10);
/// How fast time runs, except with [`SHORT`].
const FAST: u32 = 32;

/// Makes the provider refuse the first, the second … call of `scenario`, and keep its IRP. The IRP completes `late` after that,
/// or when the scenario has ended. Memory that the IRP may touch must not be freed before that, or the host kernel stops.
/// Afterwards only buffers that were lent to the operation are left, which stay for ever. Returns how often the scenario ended
/// without the completion.
fn withhold_each(
    name: &str,
    policy: Completion,
    late: Duration,
    scenario: &(impl Fn() -> Result<(), Error> + Sync),
) -> usize {
    let mut abandoned = 0;
    for nth in 1.. {
        let guard = watch(format!("{name}: completion {nth}, {policy:?}"));
        let speed = if late == LONG { FAST } else { 1 };
        let kernel = Kernel::builder()
            .completion(policy)
            .time_lapse(speed)
            .boot();
        kernel.fail_nth(Resource::Completion, nth);
        let result = std::thread::scope(|threads| {
            let running = threads.spawn(scenario);
            let mut refused = Instant::now();
            while !running.is_finished() && refused.elapsed() < late {
                std::thread::sleep(Duration::from_millis(1));
                if kernel.counts().faults == 0 {
                    refused = Instant::now();
                }
            }
            // Deregistering waits for the completion, too, because its routine is part of the driver.
            let unloaded = running.is_finished();
            let withheld = kernel.complete_withheld();
            assert!(
                withheld == 0 || !unloaded,
                "{name}: unloaded before completion {nth}"
            );
            running.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        let failed = kernel.counts().faults;
        until("the last completion", || kernel.counts().in_flight == 0);
        let left = kernel.finish();
        drop(guard);
        let was_lent = |entry: &String| {
            let by = ["/wsk/src/buffer/", "/wsk/src/request/control.rs:"];
            by.iter().any(|by| entry.contains(by))
        };
        match (&result, left) {
            (_, Ok(())) => {}
            (Err(Error::Abandoned { .. }), Err(left)) if left.entries().iter().all(was_lent) => {}
            (_, Err(left)) => panic!("{name}: completion {nth}, {policy:?}: {result:?}, {left}"),
        }
        match result {
            Ok(()) if failed == 0 => break,
            Err(Error::Abandoned { status, .. }) if failed == 1 => {
                assert_eq!(status, STATUS_NOT_IMPLEMENTED);
                abandoned += 1;
            }
            // Nobody waited for the result.
            Ok(()) if name == "close" => {}
            Err(Error::TimedOut { .. }) if failed == 1 => {}
            Err(error) if failed == 1 => {
                assert_eq!(
                    error.status(),
                    Some(STATUS_NOT_IMPLEMENTED),
                    "{name}: {error}"
                );
            }
            other => panic!("{name}: completion {nth} of {failed} withheld, {policy:?}: {other:?}"),
        }
    }
    if late == SHORT {
        assert_eq!(abandoned, 0, "{name}: the operation was abandoned too soon");
    }
    abandoned
}

/// The scenarios, with a provider that keeps IRPs for longer than anybody waits for them. Each is a process of its own: each has
/// one kernel, and mostly waits.
#[test]
fn withheld_for_long() {
    if std::env::var_os(PATIENTLY).is_some() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let list = Command::new(&program).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let processes: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| !["withheld_for_long", "forced_close"].contains(name))
        .map(|name| {
            let process = Command::new(&program)
                .args(["--exact", name, "--nocapture"])
                .env(PATIENTLY, "1")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            (name, process.unwrap())
        })
        .collect();
    assert!(processes.len() > 10);
    for (name, process) in processes {
        let output = process.wait_with_output().unwrap();
        let (said, complained) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name}: {said}\n{complained}");
        print!(
            "{}",
            said.lines()
                .filter(|line| line.contains("abandoned"))
                .collect::<String>()
                + "\n"
        );
    }
}

/// The buffer must be returned, unless the operation was abandoned.
fn comes_back<T, B>(finished: &Finished<T, B>) {
    let abandoned = matches!(finished.result, Err(Error::Abandoned { .. }));
    assert!(
        finished.buffer.is_some() != abandoned,
        "the buffer must be returned, unless the operation was abandoned"
    );
}

/// Ends the process if the result is not dropped in time.
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
        let sent = driver
            .socket
            .send_to(b"from the stack", driver.address)
            .wait()?;
        let buffer = NonPagedBuffer::copy_of(b"from the pool")?;
        assert_eq!(
            (sent, driver.socket.send_to(&buffer, driver.address).wait()?),
            (14, 13)
        );
        driver.socket.close()
    });
}

#[test]
fn open_both_families() {
    fail_each("dual mode", || {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(60_000))?;
        let socket = DatagramSocket::open(&provider, Family::Dual)?;
        socket.bind("0.0.0.0:0".parse::<SocketAddr>().unwrap())?;
        let _ = socket.local_address()?;
        socket.close()
    });
}

#[test]
fn receive() {
    fail_each("receive", || {
        let driver = Driver::load()?;
        driver.socket.send_to(&[3; 9], driver.address).wait()?;
        driver.socket.send_to(&[4; 9], driver.address).wait()?;
        let mut room = NonPagedBuffer::new(16)?;
        let received = driver.socket.receive_from(&mut room).wait()?;
        assert_eq!(
            (received.length(), received.remote_address()),
            (9, Ok(driver.address))
        );
        let mut room = [0; 16];
        driver
            .socket
            .receive_from(&mut room)
            .wait_timeout(PATIENCE)?;
        assert_eq!(room[..9], [4; 9]);
        driver.socket.close()
    });
}

#[test]
fn pool() {
    fail_each("pool", || {
        let driver = Driver::load()?;
        let pool = BufferPool::new(3, |_| NonPagedBuffer::new(32))?;
        for _ in 0..3 {
            let sent = driver
                .socket
                .send_to(pool.take_or_wait()?, driver.address)
                .start()?;
            let received = driver.socket.receive_from(pool.take_or_wait()?).start()?;
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
        let mut receive = driver
            .socket
            .receive_from(NonPagedBuffer::new(8)?)
            .start()?;
        let polled = Pin::new(&mut receive).poll(&mut Context::from_waker(Waker::noop()));
        let buffer = NonPagedBuffer::copy_of(b"owned")?;
        let sent = driver.socket.send_to(buffer, driver.address).start()?;
        let sent = sent.wait().map_err(|(error, _)| error)?;
        comes_back(&sent);
        assert_eq!(sent.buffer.map_or(5, |buffer| buffer.len()), 5);
        sent.result?;
        let finished = match polled {
            std::task::Poll::Ready(finished) => finished,
            std::task::Poll::Pending => receive.wait().map_err(|(error, _)| error)?,
        };
        comes_back(&finished);
        assert_eq!(finished.buffer.map_or(8, |buffer| buffer.len()), 8);
        assert_eq!(finished.result?.length(), 5);
        driver.socket.close()
    });
}

#[test]
fn operations() {
    fail_each("operations of a pool", || {
        let driver = Driver::load()?;
        let operations = Operations::new(&driver.provider, 2)?;
        for _ in 0..2 {
            let receive = driver.socket.receive_from(NonPagedBuffer::new(8)?);
            let receive = receive.from(&operations).start()?;
            let request = driver
                .socket
                .send_to(NonPagedBuffer::copy_of(b"ridden")?, driver.address);
            let sent = request.from(&operations).start()?.wait();
            let sent = sent.map_err(|(error, _)| error)?;
            comes_back(&sent);
            sent.result?;
            let received = receive.wait().map_err(|(error, _)| error)?;
            comes_back(&received);
            assert_eq!(received.result?.length(), 6);
        }
        operations.wait_until_idle()?;
        // An operation that is dropped returns, too.
        let request = driver
            .socket
            .send_to(NonPagedBuffer::new(8)?, driver.address);
        drop(request.from(operations.take_or_wait()?).start()?);
        assert_eq!(operations.wait_until_idle_timeout(PATIENCE), Ok(true));
        let mut room = [0; 8];
        let received = driver.socket.receive_from(&mut room);
        match received.wait_timeout(Duration::from_millis(50)) {
            Ok(_) => driver.socket.close(),
            // Nobody waited for the result.
            Err(Error::TimedOut { .. }) => Err(Error::Call {
                call: Call::WskSendTo,
                status: STATUS_NOT_IMPLEMENTED,
            }),
            Err(error) => Err(error),
        }
    });
}

#[test]
fn completions() {
    fail_each("operations that are told", || {
        let driver = Driver::load()?;
        let (socket, to) = (&driver.socket, driver.address);
        let (tell, told) = mpsc::channel();
        let hear =
            || -> Result<usize, Error> { told.recv_timeout(PATIENCE).expect("a completion") };
        let by = tell.clone();
        socket
            .receive_from(NonPagedBuffer::new(8)?)
            .start_with(move |finished| {
                comes_back(&finished);
                let _ = by.send(finished.result.map(|received| received.length()));
            })?;
        socket.send_to(b"told", to).wait()?;
        assert_eq!(hear()?, 4);
        let operations = Operations::new(&driver.provider, 1)?;
        let by = tell.clone();
        socket
            .send_to(NonPagedBuffer::copy_of(b"again")?, to)
            .from(&operations)
            .start_with(move |finished| {
                comes_back(&finished);
                let _ = by.send(finished.result);
            })?;
        operations.wait_until_idle()?;
        assert_eq!(hear()?, 5);
        let sender = socket.send_to(NonPagedBuffer::new(3)?, to).prepare()?;
        let by = tell.clone();
        sender.start_with(move |ended| {
            let _ = by.send(ended.result());
            assert!(ended.into_operation().is_some());
        })?;
        assert_eq!(hear()?, 3);
        match driver.socket.close() {
            // A completion routine that has just called its closure may still have its handle.
            Err(Error::InUse) => Ok(()),
            closed => closed,
        }
    });
}

#[test]
fn prepared() {
    fail_each("prepared operations", || {
        let driver = Driver::load()?;
        let request = driver
            .socket
            .send_to(NonPagedBuffer::new(8)?, driver.address);
        let mut sender = request.prepare()?;
        let mut receiver = driver
            .socket
            .receive_from(NonPagedBuffer::new(16)?)
            .prepare()?;
        // A call that failed once does not fail the next time, unless the operation was abandoned.
        if let Err(error) = sender.wait() {
            if !matches!(error, Error::Abandoned { .. }) {
                assert_eq!(sender.wait(), Ok(8));
            }
            return Err(error);
        }
        if let Err(error) = receiver.wait() {
            if !matches!(error, Error::Abandoned { .. }) {
                assert_eq!(receiver.wait().map(|arrival| arrival.length()), Ok(8));
            }
            return Err(error);
        }
        let receiving = receiver.start()?;
        let ended = sender.start()?.wait().map_err(|(error, _)| error)?;
        ended.result()?;
        assert!(ended.into_operation().is_some());
        let ended = receiving.wait().map_err(|(error, _)| error)?;
        assert!(ended.result()?.is_from(&driver.address));
        let mut receiver = ended.into_operation().expect("nothing was given up");
        match receiver.wait_timeout(Duration::from_millis(3)) {
            Err(Error::TimedOut { .. }) => {}
            other => return other.map(|arrival| panic!("{arrival:?} was not sent")),
        }
        drop(receiver);
        driver.socket.close()
    });
}

#[test]
fn prepared_pools() {
    fail_each("pools of prepared operations", || {
        let driver = Driver::load()?;
        let buffer = |_| NonPagedBuffer::new(8);
        let senders = PreparedPool::new(2, |number| {
            Ok(driver.socket.send_to(buffer(number)?, driver.address))
        })?;
        let receivers =
            PreparedPool::new(2, |number| Ok(driver.socket.receive_from(buffer(number)?)))?;
        for _ in 0..2 {
            let receiving = receivers.take_or_wait()?.start()?;
            let ended = senders.take_or_wait()?.start()?.wait();
            ended.map_err(|(error, _)| error)?.result()?;
            receiving.wait().map_err(|(error, _)| error)?.result()?;
        }
        // A send that was dropped may fail without notice. Then the next datagram arrives first.
        let receiving = receivers.take_or_wait()?.start()?;
        let mut dropped = senders.take_or_wait()?;
        dropped.as_mut_slice().fill(1);
        drop(dropped.start()?);
        // Whatever happens to the operation, everything returns once. If the provider has kept its IRP, that is when the IRP
        // completes.
        let mut all = [(); 2].map(|()| senders.take_timeout(PATIENCE).unwrap());
        assert!(senders.take().is_none());
        all[0].as_mut_slice().fill(2);
        let sent = all[0].wait();
        drop(all);
        let ended = receiving.wait().map_err(|(error, _)| error)?;
        let result = match ended.result().map(|arrival| arrival.bytes() == [1; 8]) {
            Ok(true) => sent.map(|_| ()),
            // A datagram that failed without notice did not arrive.
            Ok(false) => Err(Error::TimedOut {
                call: Call::WskReceiveFrom,
            }),
            Err(error) => Err(error),
        };
        drop(ended);
        let all = [(); 2].map(|()| receivers.take_timeout(PATIENCE).unwrap());
        assert!(receivers.take().is_none());
        drop((all, senders, receivers));
        match driver.socket.close() {
            // A completion routine that has just returned an operation may still have its handle.
            Err(Error::InUse) => {}
            closed => closed?,
        }
        result
    });
}

#[test]
fn close_with_operations_in_flight() {
    fail_each("close", || {
        let driver = Driver::load()?;
        let kept = driver
            .socket
            .receive_from(NonPagedBuffer::new(8)?)
            .start()?;
        let dropped = driver
            .socket
            .receive_from(NonPagedBuffer::new(8)?)
            .start()?;
        // A call that failed has already completed.
        let failed = |finished: &Finished<_, _>| {
            let error = finished
                .result
                .as_ref()
                .map(|_: &wsk::Received| ())
                .unwrap_err();
            (error.status() != Some(wsk_sys::STATUS_CANCELLED)).then_some(*error)
        };
        let probe = driver
            .socket
            .receive_from(NonPagedBuffer::new(8)?)
            .start()?;
        probe.cancel();
        let probe = probe.wait().map_err(|(error, _)| error)?;
        let dropped = match dropped.wait_timeout(Duration::from_millis(2)) {
            Ok(finished) => return Err(failed(&finished).unwrap()),
            Err((_, dropped)) => dropped,
        };
        drop(dropped);
        let closed = driver.socket.close();
        let kept = kept.wait().map_err(|(error, _)| error)?;
        comes_back(&kept);
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
            let receive = driver.socket.receive_from(&mut room).start_in(s)?;
            // After a failure, the scope waits for the receive.
            let end = |error| {
                receive.cancel();
                error
            };
            let sent = driver
                .socket
                .send_to(&message, driver.address)
                .start_in(s)
                .map_err(end)?;
            sent.wait().map_err(end)?;
            receive
                .wait()
                .map(|(received, _)| assert_eq!(received.length(), 12))
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
        fixed.send(b"to whom it is fixed").wait()?;
        let mut room = [0; 32];
        assert_eq!(driver.socket.receive_from(&mut room).wait()?.length(), 19);
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
        socket.bind(LOOPBACK.parse::<SocketAddr>().unwrap())?;
        let to = socket.local_address()?;
        socket.enable_receive_events()?;
        driver.socket.send_to(&[1; 7], to).wait()?;
        let heard = heard.recv_timeout(PATIENCE).expect("the event");
        socket.disable_receive_events()?;
        socket.close()?;
        driver.socket.close()?;
        // Mapping the datagram is an allocation, too. If it fails, there are no bytes.
        if heard == 7 {
            Ok(())
        } else {
            Err(Error::NoMemory(wsk::Memory::Mdl))
        }
    });
}

/// Sockets die at any moment of a scenario. The error says so, and closing works.
#[test]
fn forced_close() {
    for kernel in kernels(11) {
        let _watch = watch("forced close".to_owned());
        let driver = Driver::load().unwrap();
        let receive = driver
            .socket
            .receive_from(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        let dropped = driver
            .socket
            .receive_from(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        kernel.force_close_sockets();
        drop(dropped);
        let finished = receive.wait().unwrap();
        assert!(finished.result.unwrap_err().must_close());
        drop(finished.buffer.unwrap());
        let error = driver
            .socket
            .send_to(&[1; 4], driver.address)
            .wait()
            .unwrap_err();
        assert!(error.must_close(), "{error}");
        driver.socket.close().unwrap();
        drop((driver.provider, driver.registration));
        until("the last completion", || kernel.counts().in_flight == 0);
        kernel.shutdown();
    }
}

#[test]
fn connect_and_accept() {
    fail_each("connect and accept", || {
        let (_registration, provider) = client()?;
        let (listener, local) = listener(&provider)?;
        let socket = ConnectionSocket::open(&provider, Family::Dual)?;
        socket.bind(Family::Dual.any())?;
        let client = socket.connect(local).wait()?;
        let (server, _) = listener.accept().wait()?;
        client.close()?;
        server.close()?;
        let socket = ConnectionSocket::open(&provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        let connect = socket.connect(local).start()?;
        let client = connect.wait().map_err(|(error, _)| error)?;
        let client = client.map_err(|not_connected| {
            let abandoned = matches!(not_connected.error, Error::Abandoned { .. });
            assert!(
                not_connected.socket.is_some() != abandoned,
                "the buffer must be returned, unless the operation was abandoned"
            );
            not_connected.error
        })?;
        let (server, _) = listener.accept().wait_timeout(PATIENCE)?;
        drop((client, server));
        let open = ConnectedSocket::connect(&provider, local).start()?;
        let client = open.wait().map_err(|(error, _)| error)??;
        let (server, _) = listener.accept().wait()?;
        drop((client, server));
        listener.close()
    });
}

#[test]
fn connect_and_accept_in_a_scope() {
    fail_each("connect and accept in a scope", || {
        let (_registration, provider) = client()?;
        let (listener, local) = listener(&provider)?;
        let (client, server) = wsk::scope(|s| {
            let accept = listener.accept().start_in(s)?;
            // After a failure, the scope waits for the accept.
            let end = |error| {
                accept.cancel();
                error
            };
            let connect = ConnectedSocket::connect(&provider, local);
            let client = connect.start_in(s).map_err(end)?.wait().map_err(end)?;
            let (server, _) = accept.wait()?;
            Ok::<_, Error>((client, server))
        })??;
        let socket = ConnectionSocket::open(&provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        let other = wsk::scope(|s| Ok::<_, Error>(socket.connect(local).start_in(s)?.wait()?))??;
        other.close()?;
        client.close()?;
        server.close()?;
        listener.close()
    });
}

#[test]
fn prepared_operations_of_connections() {
    fail_each("prepared operations of a connection", || {
        let (_registration, provider) = client()?;
        let (client, server) = connection(&provider)?;
        let mut sender = client.send(*b"prepared").prepare()?;
        let mut receiver = server.receive([0; 16]).prepare()?;
        for _ in 0..2 {
            assert_eq!(sender.wait()?, 8);
            assert_eq!(receiver.wait()?.length(), 8);
            assert_eq!(receiver.buffer().map_or(0, |room| room[7]), b'd');
        }
        let ended = receiver.start()?;
        sender.wait()?;
        let ended = ended.wait().map_err(|(error, _)| error)?;
        ended.result()?;
        drop((sender, ended));
        client.close()?;
        server.close()
    });
}

#[test]
fn send_and_receive() {
    fail_each("send and receive", || {
        let (_registration, provider) = client()?;
        let (client, server) = connection(&provider)?;
        assert_eq!(client.send(b"from the stack").wait()?, 14);
        let mut room = [0; 14];
        assert_eq!(server.receive_all(&mut room).wait()?, 14);
        let receive = server.receive_all(NonPagedBuffer::new(5)?).start()?;
        let sent = client.send(NonPagedBuffer::copy_of(b"owned")?).start()?;
        let sent = sent.wait().map_err(|(error, _)| error)?;
        comes_back(&sent);
        sent.result?;
        let finished = receive.wait().map_err(|(error, _)| error)?;
        comes_back(&finished);
        assert_eq!(finished.result?, 5);
        let message = [6; 12];
        wsk::scope(|s| {
            let receive = server.receive_all(&mut room[..12]).start_in(s)?;
            // After a failure, the scope waits for the receive.
            let end = |error| {
                receive.cancel();
                error
            };
            let sent = client.send(&message).start_in(s).map_err(end)?;
            sent.wait().map_err(end)?;
            receive.wait().map(|(length, _)| assert_eq!(length, 12))
        })??;
        client.close()?;
        server.close()
    });
}

#[test]
fn disconnect() {
    fail_each("disconnect", || {
        let (_registration, provider) = client()?;
        let (client, server) = connection(&provider)?;
        let mut room = [0; 8];
        client.disconnect_after(b"last").wait_timeout(PATIENCE)?;
        assert_eq!(server.receive_all(&mut room).wait()?, 4);
        let last = NonPagedBuffer::copy_of(b"word")?;
        let finished = server.disconnect_after(last).start()?.wait();
        let finished = finished.map_err(|(error, _)| error)?;
        comes_back(&finished);
        finished.result?;
        client.drain().wait_timeout(PATIENCE)?;
        client.close()?;
        server.close()?;
        let (client, server) = connection(&provider)?;
        let disconnect = client.disconnect().start()?;
        disconnect.wait().map_err(|(error, _)| error)??;
        assert_eq!(server.receive(&mut room).wait()?, 0);
        wsk::scope(|s| server.disconnect_after(b"bye").start_in(s)?.wait())??;
        assert_eq!(client.receive_all(&mut room).wait()?, 3);
        server.abort().wait()?;
        client.close()?;
        server.close()
    });
}

/// Reports the events of a connection, or that a step failed.
struct Teller(mpsc::SyncSender<Result<usize, Error>>);

impl ConnectionEvent for Teller {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let mut bytes = [0; 16];
        let copied = indication.copy_to(&mut bytes);
        // Mapping the bytes is an allocation, too. If it fails, there are none.
        let told = if copied == indication.len() {
            Ok(copied)
        } else {
            Err(Error::NoMemory(wsk::Memory::Mdl))
        };
        let _ = self.0.try_send(told);
        StreamVerdict::Consumed
    }
}

#[test]
fn connection_events() {
    fail_each("events of a connection", || {
        let (_registration, provider) = client()?;
        let (listener, local) = listener(&provider)?;
        let (told, heard) = mpsc::sync_channel(4);
        let teller = Teller(told.clone());
        let client = ConnectedSocket::connect(&provider, local)
            .with_events(teller)
            .wait()?;
        let (server, _) = listener.accept().with_events(Teller(told)).wait()?;
        client.enable_events()?;
        server.enable_events()?;
        client.send(&[1; 7]).wait()?;
        assert_eq!(heard.recv_timeout(PATIENCE).expect("the event")?, 7);
        server.send(&[1; 9]).wait()?;
        assert_eq!(heard.recv_timeout(PATIENCE).expect("the event")?, 9);
        client.disable_events()?;
        client.close()?;
        server.close()?;
        listener.close()
    });
}

#[test]
fn accept_events() {
    struct Porter(mpsc::SyncSender<Result<ConnectedSocket, Error>>);
    impl AcceptEvent for Porter {
        fn accepted(&self, incoming: Incoming<'_>) {
            let (told, _) = mpsc::sync_channel(1);
            let _ = self.0.try_send(incoming.accept_with_events(Teller(told)));
        }
    }
    fail_each("accept events", || {
        let (_registration, provider) = client()?;
        let (told, heard) = mpsc::sync_channel(4);
        let listener = ListenSocket::open_with_events(&provider, Family::V4, Porter(told))?;
        listener.bind(LOOPBACK.parse::<SocketAddr>().unwrap())?;
        let local = listener.local_address()?;
        listener.enable_accept_events()?;
        let client = ConnectedSocket::connect(&provider, local).wait()?;
        let server = heard.recv_timeout(PATIENCE).expect("the event")?;
        server.send(b"hello").wait()?;
        assert_eq!(client.receive_all(&mut [0; 5]).wait()?, 5);
        listener.disable_accept_events()?;
        client.close()?;
        server.close()?;
        listener.close()
    });
}

#[test]
fn resolve() {
    fail_each("resolve", || {
        let (_registration, provider) = client()?;
        let found = provider.resolve(("127.0.0.1", "80")).wait()?;
        assert_eq!(found.iter().next(), Some("127.0.0.1:80".parse().unwrap()));
        wsk_host::at_irql(wsk_host::DISPATCH_LEVEL, || drop(found));
        let resolve = provider.resolve("::1").start()?;
        let found = resolve.wait().map_err(|(error, _)| error)??;
        assert_eq!(found.iter().count(), 1);
        Ok(())
    });
}

#[test]
fn chains() {
    fail_each("MDL chains", || {
        let driver = Driver::load()?;
        let (socket, to) = (&driver.socket, driver.address);
        let chain = MdlChain::new([NonPagedBuffer::copy_of(b"head")?, NonPagedBuffer::new(60)?]);
        assert_eq!(socket.send_to(&chain, to).wait()?, 64);
        let sent = socket.send_to(chain, to).start()?;
        let finished = sent.wait().map_err(|(error, _)| error)?;
        assert_eq!(finished.result?, 64);
        let slices = SliceChain::new([&b"on"[..], b"the", b"stack"]);
        wsk::scope(|s| {
            let (one, two) = (
                socket.send_to(&slices, to).start_in(s)?,
                socket.send_to(&slices, to).start_in(s)?,
            );
            assert_eq!(one.wait()?.0 + two.wait()?.0, 20);
            Ok::<_, Error>(())
        })??;
        let (mut head, mut body) = ([0; 4], [0; 100]);
        let mut room = SliceChain::new([&mut head[..], &mut body]);
        socket.receive_from(&mut room).wait_timeout(PATIENCE)?;
        let parts = [NonPagedBuffer::new(4)?, NonPagedBuffer::new(100)?];
        let received = socket.receive_from(MdlChain::new(parts)).start()?;
        let finished = received.wait().map_err(|(error, _)| error)?;
        finished.result?;
        driver.socket.close()
    });
}

#[test]
fn messages() {
    fail_each("several datagrams in one request", || {
        let driver = Driver::load()?;
        let (socket, to) = (&driver.socket, driver.address);
        let mut messages = Messages::new([[1; 3], [2; 3], [3; 3]])?;
        assert_eq!(socket.send_messages(&mut messages, to).wait()?, 9);
        wsk::scope(|s| socket.send_messages(&mut messages, to).start_in(s)?.wait())??;
        let sent = socket.send_messages(messages, to).start()?;
        let finished = sent.wait().map_err(|(error, _)| error)?;
        assert_eq!(finished.result?, 9);
        driver.socket.close()
    });
}

#[test]
fn control() {
    fail_each("options, operations, control information", || {
        let driver = Driver::load()?;
        let (socket, to) = (&driver.socket, driver.address);
        socket.set_option(ReceiveTypeOfService(true)).wait()?;
        socket.option::<ReceiveTypeOfService>().wait()?;
        socket.ioctl(RoutingInterface(to)).wait()?;
        let get = ControlRequest::GetOption {
            level: IPPROTO_IP,
            option: IP_TTL,
        };
        let mut value = [0; 4];
        // SAFETY: a plain number comes out.
        let length = unsafe { socket.control_raw(RawControl::new(get, &[]), &mut value) }.wait()?;
        assert_eq!(length, 4);
        let mut control = Control::<24>::new();
        control.push(ControlMessage::TypeOfService(8))?;
        let buffer = WithControl::new(*b"bytes", control);
        let sent = socket.send_to(buffer, to).start()?;
        sent.wait().map_err(|(error, _)| error)?.result?;
        let mut room = WithControl::new([0; 16], Control::<24>::new());
        socket.receive_from(&mut room).wait_timeout(PATIENCE)?;
        assert_eq!(room.control.messages().count(), 1);
        driver.socket.close()
    });
}
