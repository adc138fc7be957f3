//! Connections: made in both ways, accepted, used and ended.

use std::net::SocketAddr;
use std::time::Duration;

use wsk::operation::Ended;
use wsk::{ConnectedSocket, ConnectionSocket, Family, MdlChain, NonPagedBuffer, Provider};
use wsk_miri::Manner;

use crate::{block_on, everywhere, listener, poll_once, within};

/// The two ends of a connection.
pub(crate) fn pair(provider: &Provider) -> (ConnectedSocket, ConnectedSocket) {
    let (listener, to) = listener(provider);
    let accept = listener.accept().start().unwrap();
    let client = ConnectedSocket::connect(provider, to).wait().unwrap();
    let (server, _) = accept.wait().unwrap().unwrap();
    (client, server)
}

#[test]
fn made_both_ways() {
    everywhere(|_, provider| {
        let (listener, to) = listener(provider);
        let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
        socket.bind(Family::V4.any()).unwrap();
        let client = socket.connect(to).wait().unwrap();
        let (server, from) = listener.accept().wait().unwrap();
        assert_eq!(client.local_address().unwrap().port(), from.port());
        assert_eq!(server.remote_address().unwrap().port(), from.port());
        let second = block_on(ConnectedSocket::connect(provider, to)).unwrap();
        let (accepted, _) = block_on(listener.accept()).unwrap();
        drop((second, accepted));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        ConnectedSocket::connect(provider, nowhere)
            .wait()
            .unwrap_err();
        let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
        socket.bind(Family::V4.any()).unwrap();
        let refused = socket
            .connect(nowhere)
            .start()
            .unwrap()
            .wait()
            .unwrap()
            .unwrap_err();
        let socket = refused.socket.unwrap();
        let in_scope = wsk::scope(|s| {
            listener.accept().start_in(s).map(|accept| {
                let connected = socket.connect(to).wait();
                (connected, accept.wait())
            })
        })
        .unwrap()
        .unwrap();
        drop(in_scope);
        // The handle is dropped, and closing the socket cancels the operation.
        let mut accept = listener.accept().start().unwrap();
        let _ = poll_once(&mut accept);
        drop(accept);
        let accept = listener.accept().start().unwrap();
        drop(listener);
        accept.wait().unwrap().unwrap_err();
    });
}

#[test]
fn used() {
    everywhere(|_, provider| {
        let (client, server) = pair(provider);
        assert_eq!(client.send(b"stream").wait().unwrap(), 6);
        let mut room = [0; 4];
        assert_eq!(server.receive(&mut room).wait().unwrap(), 4);
        assert_eq!(server.receive(&mut room).wait().unwrap(), 2);
        let receive = client
            .receive(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        server
            .send(NonPagedBuffer::copy_of(b"owned").unwrap())
            .start()
            .unwrap()
            .wait()
            .unwrap()
            .result
            .unwrap();
        let finished = receive.wait().unwrap();
        assert_eq!(finished.result.unwrap(), 5);
        let mut sender = client
            .send(NonPagedBuffer::copy_of(b"again").unwrap())
            .prepare()
            .unwrap();
        let mut receiver = server
            .receive(NonPagedBuffer::new(5).unwrap())
            .prepare()
            .unwrap();
        for _ in 0..2 {
            assert_eq!(sender.wait().unwrap(), 5);
            assert_eq!(receiver.wait().unwrap().length(), 5);
        }
        drop((sender, receiver));
        client.disconnect().wait().unwrap();
        assert_eq!(server.receive(&mut room).wait().unwrap(), 0);
        server
            .disconnect_after(b"bye")
            .wait_timeout(Duration::from_mins(1))
            .unwrap();
        client.drain().wait().unwrap();
    });
}

/// A provider that returns the available bytes although the client asks to fill the buffer.
#[test]
fn going_on() {
    everywhere(|_, provider| {
        let (client, server) = pair(provider);
        let parts = || {
            [
                NonPagedBuffer::new(5).unwrap(),
                NonPagedBuffer::new(4).unwrap(),
            ]
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for piece in [b"one", b"two", b"six"].repeat(4) {
                    client.send(piece).wait().unwrap();
                }
            });
            let mut chain = MdlChain::new(parts());
            assert_eq!(server.receive_all(&mut chain).wait().unwrap(), 9);
            let started = server
                .receive_all(NonPagedBuffer::new(9).unwrap())
                .start()
                .unwrap();
            let finished = started.wait().unwrap();
            assert_eq!(finished.result.unwrap(), 9);
            assert_eq!(finished.buffer.unwrap().as_slice(), b"onetwosix");
            let finished = block_on(server.receive_all(MdlChain::new(parts())));
            assert_eq!(finished.result.unwrap(), 9);
            let mut bytes = [0; 9];
            let received = wsk::scope(|s| server.receive_all(&mut bytes).start_in(s)?.wait());
            let (length, bytes) = received.unwrap().unwrap();
            assert_eq!((length, &bytes[..]), (9, b"onetwosix".as_slice()));
        });
        let told = std::sync::Arc::new(std::sync::Mutex::new(None));
        let cell = told.clone();
        server
            .receive_all(NonPagedBuffer::new(9).unwrap())
            .start_with(move |finished| {
                *cell.lock().unwrap() = Some(finished.result);
            })
            .unwrap();
        for piece in [b"one", b"two", b"six"] {
            client.send(piece).wait().unwrap();
        }
        while told.lock().unwrap().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(told.lock().unwrap().take().unwrap().unwrap(), 9);
        let left = server
            .receive_all(NonPagedBuffer::new(9).unwrap())
            .start()
            .unwrap();
        client.send(b"one").wait().unwrap();
        drop(left);
        let ends = server
            .receive_all(NonPagedBuffer::new(9).unwrap())
            .start()
            .unwrap();
        client.abort().wait().unwrap();
        let _ = ends.wait().unwrap().result;
    });
}

/// An operation that was started is no handle, and neither is the call in which it goes on: the one handle can be closed meanwhile.
#[test]
fn closed_while_it_goes_on() {
    within(Manner::Inline, |kernel, provider| {
        let (client, server) = pair(provider);
        let room = NonPagedBuffer::new(9).unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let receive = server.receive_exact(room);
        receive
            .start_with(move |end| sender.send(end).unwrap())
            .unwrap();
        kernel.set_length_of_receives(Duration::from_secs(2));
        std::thread::scope(|scope| {
            scope.spawn(|| client.send(b"piece").wait().unwrap());
            wsk_miri::sleep(Duration::from_secs(1));
            server.close().unwrap();
        });
        assert!(told.recv().unwrap().result.is_err());
    });
}

/// As [`going_on`], with operations that run again and again.
#[test]
fn going_on_again() {
    everywhere(|_, provider| {
        let (client, server) = pair(provider);
        let parts = [5, 4].map(|length| NonPagedBuffer::new(length).unwrap());
        let room = NonPagedBuffer::new(9).unwrap();
        let mut prepared = server.receive_all(room).prepare().unwrap();
        let prepared = std::thread::scope(|scope| {
            scope.spawn(|| {
                for piece in [b"one", b"two", b"six"].repeat(4) {
                    client.send(piece).wait().unwrap();
                }
            });
            assert_eq!(prepared.wait().unwrap().bytes(), b"onetwosix");
            let (sender, told) = std::sync::mpsc::channel();
            let tell = move |ended| drop(sender.send(ended));
            prepared.start_with(tell).unwrap();
            let ended: Ended<_, _> = told.recv().unwrap();
            assert_eq!(ended.result().unwrap().bytes(), b"onetwosix");
            let started = ended.into_operation().unwrap().start().unwrap();
            let ended = started.wait().unwrap();
            assert_eq!(ended.result().unwrap().bytes(), b"onetwosix");
            let started = ended.into_operation().unwrap().start().unwrap();
            let ended = block_on(started);
            assert_eq!(ended.result().unwrap().bytes(), b"onetwosix");
            ended.into_operation().unwrap()
        });
        // The buffer is looked at and changed between runs.
        let mut prepared = prepared;
        let chained = server.receive_all(MdlChain::new(parts));
        let mut chained = chained.prepare().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for piece in [b"one", b"two", b"six"].repeat(4) {
                    client.send(piece).wait().unwrap();
                }
            });
            for _ in 0..2 {
                prepared.as_mut_slice().fill(0);
                prepared.set_len(9).unwrap();
                assert_eq!(prepared.wait().unwrap().bytes(), b"onetwosix");
                assert_eq!(chained.wait().unwrap().length(), 9);
                assert_eq!(chained.buffer().unwrap().part(1).unwrap(), b"osix");
                chained.buffer_mut().unwrap();
            }
        });
        let prepared = prepared.start().unwrap();
        client.send(b"one").wait().unwrap();
        drop(prepared);
    });
}

#[test]
fn held() {
    within(Manner::Inline, |kernel, provider| {
        let (client, server) = pair(provider);
        kernel.set_manner(Manner::Held);
        let disconnect = client.disconnect().start().unwrap();
        assert_eq!(kernel.release(), 1);
        disconnect.wait().unwrap().unwrap();
        let limit = Duration::from_millis(1);
        server.disconnect().wait_timeout(limit).unwrap_err();
        let drain = server.drain().start().unwrap();
        drop(drain);
        assert!(kernel.release() <= 1);
    });
}
