//! Buffers that a provider has kept, against its contract: they are lost, and every use of them is an error.

use std::fmt::Debug;
use std::io::Write;
use std::net::TcpListener;

use wsk::{
    BufferPool, Call, ConnectedSocket, Control, Error, Family, MdlChain, Messages, NonPagedBuffer,
    WithControl,
};
use wsk_host::{Kernel, Resource};
use wsk_sys::STATUS_NOT_IMPLEMENTED;

use crate::connection;
use crate::setting::{FAST, LOOPBACK, MOMENT, PATIENCE, Setting, arrives, block_on, kernels_at};

fn buffer(bytes: &[u8]) -> NonPagedBuffer {
    NonPagedBuffer::copy_of(bytes).unwrap()
}

fn abandoned(call: Call) -> Error {
    let status = STATUS_NOT_IMPLEMENTED;
    Error::Abandoned { call, status }
}

/// Runs `test` on kernels. Afterwards exactly `blocks` pool blocks, each with an MDL, are left.
#[track_caller]
fn on_each_kernel(blocks: usize, test: impl Fn(&Kernel, &Setting)) {
    for kernel in kernels_at(FAST) {
        let s = Setting::new(Family::V4, LOOPBACK);
        test(&kernel, &s);
        let _ = kernel.complete_withheld();
        drop(s);
        let left = kernel.finish().unwrap_err();
        assert_eq!(left.entries().len(), blocks * 2, "{left}");
    }
}

/// Makes the provider keep the next IRP, and the memory that the IRP refers to.
fn keeps_the_next(kernel: &Kernel) {
    kernel.fail_nth(Resource::Completion, 1);
}

#[track_caller]
fn is_lost<T: Debug>(result: Result<T, Error>) {
    assert_eq!(result.unwrap_err(), Error::BufferLost);
}

#[test]
fn a_lost_buffer_is_an_error_wherever_it_is_used() {
    on_each_kernel(1, |kernel, s| {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        let connection = ConnectedSocket::connect(&s.provider, remote)
            .wait()
            .unwrap();
        let mut lost = buffer(b"lost");
        keeps_the_next(kernel);
        let sent = s.socket.send_to(&lost, s.to).wait();
        assert_eq!(sent, Err(abandoned(Call::WskSendTo)));
        assert!(lost.is_lost());
        let calls = kernel.counts().calls;

        is_lost(s.socket.send_to(&lost, s.to).wait());
        is_lost(s.socket.send_to(&lost, s.to).wait_timeout(PATIENCE));
        is_lost(wsk::scope(|scope| s.socket.send_to(&lost, s.to).start_in(scope)?.wait()).unwrap());
        is_lost(s.socket.receive_from(&mut lost).wait());
        is_lost(connection.send(&lost).wait());
        is_lost(connection.receive(&mut lost).wait());
        is_lost(connection.receive_all(&mut lost).wait());
        is_lost(connection.disconnect_after(&lost).wait());
        let mut control = WithControl::new(&lost, Control::<24>::new());
        control
            .control
            .push(wsk::ControlMessage::TimeToLive(3))
            .unwrap();
        is_lost(s.socket.send_to(&control, s.to).wait());
        let other = buffer(b"other");
        for list in [[&other, &lost], [&lost, &other]] {
            let mut messages = Messages::new(list).unwrap();
            is_lost(s.socket.send_messages(&mut messages, s.to).wait());
        }
        is_lost(lost.slice(..));
        is_lost(lost.slice(0..0));
        is_lost(lost.set_len(0));
        is_lost(lost.assign(b"x"));
        assert_eq!((lost.len(), lost.capacity()), (0, 0));
        assert!(lost.as_slice().is_empty());
        assert!(lost.as_mut_slice().is_empty());

        // A failed start returns a buffer that was passed by value.
        let refused = s.socket.send_to(lost, s.to).start().unwrap_err();
        assert_eq!(refused.error, Error::BufferLost);
        let refused = s
            .socket
            .send_to(refused.buffer, s.to)
            .start_with(|_| ())
            .unwrap_err();
        assert_eq!(refused.error, Error::BufferLost);
        let refused = s.socket.receive_from(refused.buffer).prepare().unwrap_err();
        assert_eq!(refused.error, Error::BufferLost);
        let finished = block_on(async { connection.receive(refused.buffer).await });
        assert_eq!(finished.result, Err(Error::BufferLost));
        let lost = finished.buffer.unwrap();
        // The buffer stays lost after the IRP has completed, because nobody can know whether the provider still uses the memory.
        assert_eq!(kernel.complete_withheld(), 1);
        is_lost(s.socket.send_to(&lost, s.to).wait());
        assert_eq!(kernel.counts().calls, calls, "WSK was not called again");
        assert_eq!(s.socket.send_to(&other, s.to).wait(), Ok(5));
        arrives(&s.peer, b"other");
    });
}

#[test]
fn a_buffer_is_lost_by_whatever_was_made_of_it() {
    // A slice, a buffer with control information, a list, a buffer in a scope, and one to receive into.
    on_each_kernel(5, |kernel, s| {
        let call = Call::WskSendTo;
        let sliced = buffer(b"sliced");
        let part = sliced.slice(1..3).unwrap();
        keeps_the_next(kernel);
        assert_eq!(s.socket.send_to(part, s.to).wait(), Err(abandoned(call)));
        is_lost(s.socket.send_to(part, s.to).wait());
        is_lost(s.socket.send_to(&sliced, s.to).wait());
        is_lost(sliced.slice(4..5));

        let with_control = WithControl::new(buffer(b"bytes"), Control::<24>::new());
        keeps_the_next(kernel);
        assert_eq!(
            s.socket.send_to(&with_control, s.to).wait(),
            Err(abandoned(call))
        );
        assert!(with_control.buffer.is_lost());

        let scoped = buffer(b"scoped");
        keeps_the_next(kernel);
        let sent = wsk::scope(|scope| s.socket.send_to(&scoped, s.to).start_in(scope)?.wait());
        assert_eq!(sent.unwrap().unwrap_err(), abandoned(call));
        is_lost(s.socket.send_to(&scoped, s.to).wait());

        let mut received = buffer(b"received");
        keeps_the_next(kernel);
        let error = s
            .socket
            .receive_from(&mut received)
            .wait_timeout(MOMENT)
            .unwrap_err();
        assert_eq!(error, abandoned(Call::WskReceiveFrom));
        is_lost(s.socket.receive_from(&mut received).wait());

        // A buffer of a pool returns to its pool, and is still lost.
        let pool = BufferPool::new(1, |_| NonPagedBuffer::copy_of(b"pooled")).unwrap();
        let pooled = pool.take().unwrap();
        keeps_the_next(kernel);
        assert_eq!(s.socket.send_to(&pooled, s.to).wait(), Err(abandoned(call)));
        drop(pooled);
        is_lost(s.socket.send_to(pool.take().unwrap(), s.to).wait());
    });
}

#[test]
fn a_lost_chain_is_an_error_wherever_it_is_used() {
    on_each_kernel(2, |kernel, s| {
        let mut chain = MdlChain::new([buffer(b"one"), buffer(b"two")]);
        keeps_the_next(kernel);
        assert_eq!(
            s.socket.send_to(&chain, s.to).wait(),
            Err(abandoned(Call::WskSendTo))
        );
        assert!(chain.is_lost());
        is_lost(s.socket.send_to(&chain, s.to).wait());
        is_lost(s.socket.receive_from(&mut chain).wait());
        is_lost(chain.set_range(0, 0));
        let mut list = Messages::new([&chain]).unwrap();
        is_lost(s.socket.send_messages(&mut list, s.to).wait());
        drop(list);
        let refused = s.socket.send_to(chain, s.to).prepare().unwrap_err();
        assert_eq!(refused.error, Error::BufferLost);
        // The parts of a lost chain are lost as well.
        for part in refused.buffer.into_parts() {
            assert!(part.is_lost());
            is_lost(s.socket.send_to(&part, s.to).wait());
            // In another chain the part is lost, not empty.
            let mut anew = MdlChain::new([buffer(b"new"), part]);
            assert!(anew.is_lost());
            is_lost(s.socket.send_to(&anew, s.to).wait());
            is_lost(anew.set_range(0, 3));
            let [new, part] = anew.into_parts();
            assert!(part.is_lost());
            assert_eq!(s.socket.send_to(&new, s.to).wait(), Ok(3));
            arrives(&s.peer, b"new");
        }
    });
}

#[test]
fn other_threads_that_share_a_buffer_are_told_that_it_is_lost() {
    on_each_kernel(1, |kernel, s| {
        let shared = buffer(b"shared");
        let part = shared.slice(..3).unwrap();
        // Other sends of it complete before, and while the provider keeps one send.
        assert_eq!(s.socket.send_to(&shared, s.to).wait(), Ok(6));
        arrives(&s.peer, b"shared");
        std::thread::scope(|threads| {
            keeps_the_next(kernel);
            let waits = threads.spawn(|| s.socket.send_to(&shared, s.to).wait());
            crate::setting::until("the call", || kernel.counts().faults > 0);
            // The buffer is not lost before its operation is abandoned.
            assert_eq!(s.socket.send_to(part, s.to).wait(), Ok(3));
            arrives(&s.peer, b"sha");
            assert_eq!(waits.join().unwrap(), Err(abandoned(Call::WskSendTo)));
            for _ in 0..2 {
                threads.spawn(|| {
                    is_lost(s.socket.send_to(&shared, s.to).wait());
                    is_lost(s.socket.send_to(part, s.to).wait());
                    assert!(shared.is_lost() && shared.is_empty());
                });
            }
        });
        // Only datagrams sent before that have arrived.
        assert_eq!(s.socket.send_to(b"end", s.to).wait(), Ok(3));
        arrives(&s.peer, b"end");
    });
}

/// A driver sends from the buffer of a prepared receive, and that send is abandoned: the provider may still read the bytes, so
/// the receive must not write them.
#[test]
fn a_prepared_receive_does_not_write_what_a_send_was_abandoned_with() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new(Family::V4, LOOPBACK);
    let receiver = s
        .socket
        .receive_from(NonPagedBuffer::copy_of(b"good").unwrap());
    let mut receiver = receiver.prepare().unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    // The buffer is borrowed while the receive is at rest.
    let sent = s.socket.send_to(receiver.buffer().unwrap(), s.to).wait();
    assert!(matches!(sent, Err(Error::Abandoned { .. })), "{sent:?}");
    assert!(receiver.buffer().unwrap().is_lost());
    s.hears(b"evil");
    // The provider still has the send's IRP, and may read the bytes.
    let length = receiver.wait().map(|received| received.length());
    assert_eq!(kernel.complete_withheld(), 1);
    drop((receiver, s));
    let _ = kernel.finish();
    assert_eq!(length, Err(Error::BufferLost));
}

/// The same, with the buffer of an arrival.
#[test]
fn a_prepared_receive_does_not_write_what_its_arrival_was_sent_from() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new(Family::V4, LOOPBACK);
    let room = NonPagedBuffer::new(8).unwrap();
    let mut receiver = s.socket.receive_from(room).prepare().unwrap();
    s.hears(b"first");
    let arrival = receiver.wait().unwrap();
    // Reading the bytes does not make the next run ask.
    assert_eq!(arrival.bytes(), b"first");
    s.hears(b"second");
    let arrival = receiver.wait().unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    let sent = s.socket.send_to(arrival.buffer(), s.to).wait();
    assert!(matches!(sent, Err(Error::Abandoned { .. })), "{sent:?}");
    let lost = receiver.wait().map(|received| received.length());
    assert_eq!(lost, Err(Error::BufferLost));
    assert_eq!(kernel.complete_withheld(), 1);
    drop((receiver, s));
    // The bytes and their MDL were left to the provider.
    assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
}

/// The same for connections, with each kind of memory, and with a closure.
#[test]
fn prepared_receives_of_connections_neither() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = connection::Setting::new();
    let (socket, mut peer) = s.connection();
    let part = || NonPagedBuffer::copy_of(b"good").unwrap();
    let pool = BufferPool::new(1, |_| Ok::<_, Error>(part())).unwrap();
    macro_rules! try_with {
        ($buffer:expr) => {{
            let mut receiver = socket.receive($buffer).prepare().unwrap();
            peer.write_all(b"one").unwrap();
            assert_eq!(receiver.wait().map(|seen| seen.length()), Ok(3));
            kernel.fail_nth(Resource::Completion, 1);
            let sent = socket.send(receiver.buffer().unwrap()).wait();
            assert!(matches!(sent, Err(Error::Abandoned { .. })), "{sent:?}");
            assert_eq!(receiver.wait().unwrap_err(), Error::BufferLost);
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
