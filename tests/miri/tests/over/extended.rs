//! Functions for connections that newer versions of Windows have: control information, first data, and events with control
//! information. Also the security descriptors of sockets.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use wsk::events::{ConnectionEvent, RetainedBytes, StreamIndication, StreamVerdict};
use wsk::{
    ConnectedSocket, ConnectionSocket, Control, ControlMessage, Error, Family, NonPagedBuffer,
    Provider, WithControl,
};
use wsk_miri::Manner;

use crate::connections::pair;
use crate::{block_on, leaving, listener, poll_once, within};

/// The control information that the small kernel reports with all bytes.
const TOLD: ControlMessage<'static> = ControlMessage::Other {
    level: 0,
    kind: 0,
    data: &[7, 0, 0, 0],
};

fn room() -> WithControl<NonPagedBuffer, 64> {
    WithControl::new(NonPagedBuffer::new(8).unwrap(), Control::new())
}

fn told<const N: usize>(control: &Control<N>) {
    assert_eq!(control.messages().collect::<Vec<_>>(), [TOLD]);
}

#[test]
fn control_information() {
    // The manner in which most can go wrong. The tests of the parts cover the others.
    within(Manner::Thread, |_, provider| {
        let (client, server) = pair(provider);
        let bytes = || {
            let mut control = Control::<48>::new();
            control.push(TOLD).unwrap();
            control.push(TOLD).unwrap();
            WithControl::new(NonPagedBuffer::copy_of(b"bytes").unwrap(), control)
        };
        client.send(&bytes()).wait().unwrap();
        let mut here = WithControl::new([0; 8], Control::<24>::new());
        assert_eq!(server.receive(&mut here).wait(), Ok(5));
        told(&here.control);
        let receive = server.receive(room()).start().unwrap();
        let sent = client.send(bytes()).start().unwrap().wait().unwrap();
        sent.result.unwrap();
        told(&receive.wait().unwrap().buffer.unwrap().control);
        let mut sender = client.send(bytes()).prepare().unwrap();
        let mut receiver = server.receive(room()).prepare().unwrap();
        for _ in 0..2 {
            sender.wait().unwrap();
            let seen = receiver.wait().unwrap();
            assert_eq!(seen.control().collect::<Vec<_>>(), [TOLD]);
            assert_eq!(&seen.buffer().buffer.as_slice()[..5], b"bytes");
            sender.buffer_mut().unwrap().control.clear();
        }
        wsk::scope(|s| {
            let receive = server.receive(&mut here).start_in(s).unwrap();
            client.send(b"scoped").wait().unwrap();
            told(&receive.wait().unwrap().1.control);
        })
        .unwrap();
        // The handle is dropped, and the bytes for it are lost.
        let mut left = server.receive(room()).start().unwrap();
        let _ = poll_once(&mut left);
        drop(left);
    });
}

fn bound(provider: &Provider) -> ConnectionSocket {
    let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
    socket.bind(Family::V4.any()).unwrap();
    socket
}

#[test]
fn first_data() {
    within(Manner::Thread, |_, provider| {
        let (listener, to) = listener(provider);
        let comes = || {
            let mut room = [0; 5];
            let (server, _) = listener.accept().wait().unwrap();
            server.receive_exact(&mut room).wait().unwrap();
            assert_eq!(&room, b"first");
        };
        let connect = || bound(provider).connect(to);
        let on_the_stack = *b"first";
        drop(connect().with_first_data(&on_the_stack).wait().unwrap());
        comes();
        let started = connect().with_first_data(*b"first").start().unwrap();
        let (socket, bytes) = started.wait().unwrap().unwrap();
        assert_eq!(&bytes, b"first");
        drop(socket);
        comes();
        wsk::scope(|s| {
            let connecting = connect().with_first_data(&on_the_stack);
            drop(connecting.start_in(s).unwrap().wait().unwrap());
            // The scope waits for it.
            drop(connect().with_first_data(&on_the_stack).start_in(s));
        })
        .unwrap();
        comes();
        drop(connect().with_first_data(*b"first").start().unwrap());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let refused = bound(provider).connect(nowhere).with_first_data(*b"first");
        let refused = block_on(refused).unwrap_err();
        assert_eq!(refused.buffer.unwrap(), *b"first");
    });
}

#[test]
fn first_data_that_is_kept() {
    // The block of the lost buffer stays.
    leaving(1, Manner::Inline, |kernel, provider| {
        let (_listener, to) = listener(provider);
        let buffer = NonPagedBuffer::copy_of(b"first").unwrap();
        let (one, two, three) = (bound(provider), bound(provider), bound(provider));
        kernel.set_manner(Manner::Kept);
        let lost = one.connect(to).with_first_data(&buffer).wait();
        let lost = lost.unwrap_err();
        assert!(matches!(lost.error, Error::Abandoned { .. }));
        assert!(buffer.is_lost());
        let started = two.connect(to).with_first_data(*b"first").start().unwrap();
        let lost = started.wait().unwrap().unwrap_err();
        assert!(lost.socket.is_none() && lost.buffer.is_none());
        let packet = NonPagedBuffer::copy_of(b"first").unwrap();
        let owned = three.connect(to).with_first_data(packet);
        drop(owned.start().unwrap());
        assert_eq!(kernel.complete_kept(), 3);
        kernel.set_manner(Manner::Inline);
        drop(lost);
    });
}

#[test]
fn first_data_that_is_kept_of_a_scope() {
    leaving(1, Manner::Inline, |kernel, provider| {
        let (_listener, to) = listener(provider);
        let buffer = NonPagedBuffer::copy_of(b"first").unwrap();
        let socket = bound(provider);
        kernel.set_manner(Manner::Kept);
        wsk::scope(|s| {
            let connecting = socket.connect(to).with_first_data(&buffer);
            let lost = connecting.start_in(s).unwrap().wait().unwrap_err();
            assert!(matches!(lost.error, Error::Abandoned { .. }));
        })
        .unwrap();
        assert!(buffer.is_lost());
        assert_eq!(kernel.complete_kept(), 1);
        kernel.set_manner(Manner::Inline);
    });
}

/// Reports indicated bytes. It retains longer ones, and lets another thread release them at once.
struct Teller(Mutex<Sender<usize>>, Mutex<Sender<RetainedBytes>>);

impl ConnectionEvent for Teller {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let messages: Vec<_> = indication.control().collect();
        assert_eq!(messages, [TOLD]);
        if indication.len() > 4
            && let Some(kept) = indication.retain()
        {
            let releasing = self.1.lock().unwrap_or_else(PoisonError::into_inner);
            releasing.send(kept).unwrap();
            assert_eq!(indication.control().count(), 0);
        }
        self.0.lock().unwrap().send(indication.len()).unwrap();
        StreamVerdict::Consumed
    }
}

#[test]
fn events_with_control_information() {
    within(Manner::Thread, |_, provider| {
        let (listener, to) = listener(provider);
        let ((tell, told), (release, released)) = (channel(), channel());
        let release_all = |released: Receiver<RetainedBytes>| released.into_iter().for_each(drop);
        let releasing = std::thread::spawn(move || release_all(released));
        let handler = Teller(Mutex::new(tell), Mutex::new(release));
        let connecting = ConnectedSocket::connect(provider, to).with_events(handler);
        let client = connecting.wait().unwrap();
        let (server, _) = listener.accept().wait().unwrap();
        client.indicate_control(true).wait().unwrap();
        client.enable_events().unwrap();
        for bytes in [b"told".as_slice(), b"and kept"] {
            server.send(bytes).wait().unwrap();
            assert_eq!(told.recv().unwrap(), bytes.len());
        }
        let mut setting = client.indicate_control(true).prepare().unwrap();
        setting.wait().unwrap();
        server.send(b"told").wait().unwrap();
        assert_eq!(told.recv().unwrap(), 4);
        drop((setting, client, server, listener));
        releasing.join().unwrap();
    });
}

#[test]
fn security_descriptors() {
    within(Manner::Inline, |_, provider| {
        let (listener, _) = listener(provider);
        let descriptor = listener.security_descriptor().wait().unwrap();
        listener
            .set_security_descriptor(&descriptor)
            .wait()
            .unwrap();
        let setting = listener.set_security_descriptor(&descriptor).start();
        drop(descriptor);
        setting.unwrap().wait().unwrap().unwrap();
        drop(listener.security_descriptor().start().unwrap());
        let told = block_on(listener.security_descriptor());
        std::thread::spawn(move || drop(told)).join().unwrap();
    });
}
