//! Several datagrams in one request, owned and in scopes, and handles of scoped operations that check without waiting.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use std::ptr::{NonNull, null_mut};

use wsk::operation::{Operations, Prepared};
use wsk::request::SendingMessages;
use wsk::{
    BufferPool, Control, ControlMessage, DriverList, Error, Extent, Lock, Memory, Messages,
    NonPagedBuffer, SendBuffer, WithControl,
};
use wsk_host::Resource;
use wsk_sys::{WSK_BUF, WSK_BUF_LIST};

use crate::chain::Raw;
use crate::setting::{
    LOOPBACK, PATIENCE, Setting, arrives, block_on, in_each_setting, peer, with_sockets,
};

fn three() -> Messages<NonPagedBuffer> {
    let buffers = [b"one".as_slice(), b"", b"three"];
    Messages::new(buffers.map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap())).unwrap()
}

fn arrive(peer: &UdpSocket) {
    for expected in [b"one".as_slice(), b"", b"three"] {
        arrives(peer, expected);
    }
}

#[test]
fn messages_are_owned_by_the_operation() {
    with_sockets(|_, socket, peer, to| {
        let finished = socket
            .send_messages(three(), to)
            .start()
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(finished.result.unwrap(), 8);
        arrive(peer);
        // The list is returned whole. The next send is awaited.
        let mut messages = finished.buffer.unwrap();
        assert_eq!(messages.get(2).unwrap().as_slice(), b"three");
        messages
            .get_mut(0)
            .unwrap()
            .as_mut_slice()
            .copy_from_slice(b"two");
        messages
            .get_mut(0)
            .unwrap()
            .as_mut_slice()
            .copy_from_slice(b"one");
        let finished = block_on(socket.send_messages(messages, to).start().unwrap());
        assert_eq!(finished.result.unwrap(), 8);
        arrive(peer);
        // If the handle is dropped or forgotten, the datagrams are still sent.
        drop(socket.send_messages(three(), to).start().unwrap());
        arrive(peer);
    });
}

#[test]
fn messages_that_cannot_be_started_come_back() {
    with_sockets(|kernel, socket, peer, to| {
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let refused = socket.send_messages(three(), v6).start().unwrap_err();
        assert!(matches!(refused.error, Error::WrongFamily { .. }));
        let messages = refused.buffer;
        kernel.fail_nth(Resource::Pool, 1);
        let refused = socket.send_messages(messages, to).start().unwrap_err();
        assert_eq!(refused.error, Error::NoMemory(Memory::Irp));
        let port_zero = SocketAddr::from(([127, 0, 0, 1], 0));
        let refused = socket
            .send_messages(refused.buffer, port_zero)
            .start()
            .unwrap_err();
        assert_eq!(refused.error, Error::PortZero);
        // If a lock fails, earlier locks are undone. Arrays are locked in place. The second one fails, because no MDL can be
        // allocated.
        let arrays = Messages::new([[1_u8; 4], [2; 4], [3; 4]]).unwrap();
        kernel.fail_nth(Resource::Mdl, 2);
        let refused = socket.send_messages(arrays, to).start().unwrap_err();
        assert_eq!(refused.error, Error::NoMemory(Memory::Mdl));
        assert_eq!(kernel.counts().locked_mdls, 0);
        let arrays = refused.buffer;
        let finished = socket.send_messages(arrays, to).start().unwrap().wait();
        assert_eq!(finished.unwrap().result.unwrap(), 12);
        assert_eq!(kernel.counts().locked_mdls, 0);
        for _ in 0..3 {
            assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 4);
        }
        let none = Messages::<NonPagedBuffer>::new([]).unwrap();
        let refused = socket.send_messages(none, to).start().unwrap_err();
        assert_eq!(refused.error, Error::NoMessages);
    });
}

#[test]
fn messages_are_sent_in_a_scope() {
    with_sockets(|kernel, socket, peer, to| {
        let (mut first, mut second) = (three(), three());
        let mut local = Messages::new([b"on ", b"the"]).unwrap();
        let sent = wsk::scope(|s| {
            let one = socket.send_messages(&mut first, to).start_in(s)?;
            // The scope ends this one.
            let _left = socket.send_messages(&mut second, to).start_in(s)?;
            let local = socket.send_messages(&mut local, to).start_in(s)?;
            Ok::<_, Error>(one.wait()?.0 + local.wait()?.0)
        });
        assert_eq!(sent.unwrap().unwrap(), 14);
        assert_eq!(kernel.counts().locked_mdls, 0);
        // Deferred sends of one socket may overtake each other.
        let mut total = 0;
        for _ in 0..8 {
            total += peer.recv(&mut [0; 8]).unwrap();
        }
        assert_eq!(total, 8 + 8 + 6);
        // After the scope the buffers can be used again.
        second.get_mut(0).unwrap().as_mut_slice().fill(0);
        drop((first, second));
        let port_zero = SocketAddr::from(([127, 0, 0, 1], 0));
        let refused = wsk::scope(|s| {
            socket
                .send_messages(&mut local, port_zero)
                .start_in(s)
                .err()
        });
        assert_eq!(refused.unwrap(), Some(Error::PortZero));
        assert_eq!(kernel.counts().locked_mdls, 0);
    });
}

#[test]
fn control_information_goes_with_all_of_them() {
    with_sockets(|_, socket, peer, to| {
        let mut messages = three();
        messages
            .control_mut()
            .push(ControlMessage::EcnV4(4))
            .unwrap();
        // The transport checks the value: there are only two ECN bits.
        assert!(matches!(
            socket.send_messages(&mut messages, to).wait(),
            Err(Error::Call { .. })
        ));
        messages.control_mut().clear();
        messages
            .control_mut()
            .push(ControlMessage::TimeToLive(9))
            .unwrap();
        assert_eq!(socket.send_messages(&mut messages, to).wait().unwrap(), 8);
        arrive(peer);
        wsk::scope(|s| socket.send_messages(&mut messages, to).start_in(s)?.wait())
            .unwrap()
            .unwrap();
        arrive(peer);
        messages
            .control_mut()
            .push(ControlMessage::SegmentSize(2))
            .unwrap();
        let send = socket.send_messages(messages, to).start().unwrap();
        assert_eq!(send.wait().unwrap().result.unwrap(), 8);
        let lengths = [2, 1, 0, 2, 2, 1];
        assert_eq!(lengths.map(|_| peer.recv(&mut [0; 8]).unwrap()), lengths);
        // A buffer in the list cannot have control information of its own.
        let mut control = Control::<24>::new();
        control.push(ControlMessage::TimeToLive(9)).unwrap();
        let mut own = Messages::new([WithControl::new(*b"x", control)]).unwrap();
        let refused = socket.send_messages(&mut own, to).wait().unwrap_err();
        assert_eq!(refused, Error::ControlOfOne);
    });
}

/// A buffer that unwinds instead of locking when the test says so.
struct Counted<'c> {
    bytes: NonPagedBuffer,
    unwind: &'c Cell<bool>,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Counted<'_> {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        assert!(!self.unwind.get(), "as told");
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.bytes.lock(lock) }
    }
}

#[test]
fn a_lock_that_unwinds_leaves_nothing_locked() {
    with_sockets(|kernel, socket, peer, to| {
        enum Part<'c> {
            Array([u8; 3]),
            Counted(Counted<'c>),
        }
        // SAFETY: the buffer inside keeps the promise.
        unsafe impl SendBuffer for Part<'_> {
            unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
                // SAFETY: the caller's promise holds for the buffer inside.
                unsafe {
                    match self {
                        Part::Array(array) => array.lock(lock),
                        Part::Counted(counted) => counted.lock(lock),
                    }
                }
            }
        }
        let unwind = Cell::new(true);
        let counted = Counted {
            bytes: NonPagedBuffer::copy_of(b"three").unwrap(),
            unwind: &unwind,
        };
        let mut messages = Messages::new([Part::Array([1; 3]), Part::Counted(counted)]).unwrap();
        let sent = catch_unwind(AssertUnwindSafe(|| {
            socket.send_messages(&mut messages, to).wait()
        }));
        assert!(sent.is_err());
        assert_eq!(kernel.counts().locked_mdls, 0, "while the messages live");
        let scoped = catch_unwind(AssertUnwindSafe(|| {
            wsk::scope(|s| {
                socket
                    .send_messages(&mut messages, to)
                    .start_in(s)
                    .map(drop)
            })
        }));
        assert!(scoped.is_err());
        assert_eq!(kernel.counts().locked_mdls, 0);
        unwind.set(false);
        assert_eq!(socket.send_messages(&mut messages, to).wait().unwrap(), 8);
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 3);
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn scoped_handles_look_and_wait_for_a_while() {
    with_sockets(|_, socket, peer, to| {
        let own = socket.local_address().unwrap();
        let mut room = [0; 8];
        wsk::scope(|s| {
            let receive = socket.receive_from(&mut room).start_in(s).unwrap();
            let receive = receive.try_take().unwrap_err();
            let (error, receive) = receive.wait_timeout(Duration::from_millis(5)).unwrap_err();
            assert!(matches!(error, Error::TimedOut { .. }));
            peer.send_to(b"late", own).unwrap();
            let (received, room) = receive.wait_timeout(PATIENCE).unwrap().unwrap();
            assert_eq!(&room[..received.length()], b"late");

            let send = socket.send_to(b"now", to).start_in(s).unwrap();
            assert_eq!(send.wait_timeout(PATIENCE).unwrap().unwrap(), (3, b"now"));
            let mut handle = socket.send_to(b"then", to).start_in(s).unwrap();
            let length = loop {
                match handle.try_take() {
                    Ok(length) => break length,
                    Err(again) => handle = again,
                }
            };
            assert_eq!(length.unwrap(), (4, b"then"));
        })
        .unwrap();
        // The inner result is that of the cancelled operation.
        wsk::scope(|s| {
            let receive = socket.receive_from(&mut room).start_in(s).unwrap();
            receive.cancel();
            assert!(receive.wait_timeout(PATIENCE).unwrap().is_err());
        })
        .unwrap();
    });
}

#[test]
fn lists_of_a_length_known_at_run_time_are_used_again() {
    in_each_setting(|kernel, s| {
        let operations = Operations::new(&s.provider, 1).unwrap();
        for length in [1_u8, 7, 100] {
            let mut messages = Messages::with_capacity(length.into()).unwrap();
            let mut buffers: Vec<_> = (0..length)
                .map(|n| NonPagedBuffer::copy_of(&[n; 3]).unwrap())
                .collect();
            let mut before = 0;
            for round in 0..4 {
                if round == 1 {
                    before = kernel.counts().allocations();
                }
                for buffer in buffers.drain(..) {
                    messages.push(buffer).unwrap();
                }
                assert_eq!(messages.len(), messages.capacity());
                let request = s.socket.send_messages(messages, s.to).from(&operations);
                let finished = request.start().unwrap().wait().unwrap();
                assert_eq!(finished.result.unwrap(), 3 * usize::from(length));
                for n in 0..length {
                    s.says(&[n; 3]);
                }
                messages = finished.buffer.unwrap();
                buffers.extend(std::iter::from_fn(|| messages.pop()));
                buffers.reverse();
            }
            assert_eq!(kernel.counts().allocations(), before);
        }
    });
}

#[test]
fn lists_come_from_a_pool_and_go_back() {
    in_each_setting(|kernel, s| {
        let lists = BufferPool::new(2, |_| Messages::with_capacity(4)).unwrap();
        let buffers = BufferPool::new(8, |n| NonPagedBuffer::copy_of(&[n.to_le_bytes()[0]; 5]));
        let buffers = buffers.unwrap();
        let operations = Operations::new(&s.provider, 2).unwrap();
        let mut before = 0;
        for round in 0..30 {
            if round == 3 {
                before = kernel.counts().allocations();
            }
            let mut list = lists.take_or_wait().unwrap();
            // The list is in the state in which it was returned to the pool.
            list.clear();
            for _ in 0..3 {
                list.push(buffers.take_or_wait().unwrap()).unwrap();
            }
            let request = s.socket.send_messages(list, s.to).from(&operations);
            let finished = request.start().unwrap().wait().unwrap();
            assert_eq!(finished.result.unwrap(), 15);
            for _ in 0..3 {
                assert_eq!(s.peer.recv(&mut [0; 8]).unwrap(), 5);
            }
        }
        assert_eq!(kernel.counts().allocations(), before);
    });
}

/// A driver's own list of three datagrams, one of which is empty.
struct Own {
    _memory: [Raw; 2],
    entries: Box<[WSK_BUF_LIST; 3]>,
}

impl Own {
    fn new() -> Self {
        let memory = [b"one".as_slice(), b"  three"].map(Raw::new);
        let entry = |index: usize, offset, length| WSK_BUF_LIST {
            Next: null_mut(),
            Buffer: WSK_BUF {
                Mdl: memory[index].mdl.as_ptr(),
                Offset: offset,
                Length: length,
            },
        };
        let mut entries = Box::new([entry(0, 0, 3), WSK_BUF_LIST::default(), entry(1, 2, 5)]);
        let start = entries.as_mut_ptr();
        for index in 0..2 {
            entries[index].Next = start.wrapping_add(index + 1);
        }
        Self {
            _memory: memory,
            entries,
        }
    }

    /// The list with an owner that is not `Send`, like a pointer to a request.
    fn list(&mut self) -> Result<DriverList<*const u8>, Error> {
        let first = NonNull::from(&mut self.entries[..]).cast();
        // SAFETY: the list stays as long as the test needs it, and one operation at a time uses it.
        unsafe { DriverList::from_raw(first, 9 as *const u8) }.map_err(|(error, _)| error)
    }
}

#[test]
fn a_drivers_own_list_is_sent_to_an_address_and_to_the_fixed_one() {
    in_each_setting(|kernel, s| {
        let mut own = Own::new();
        let mut list = own.list().unwrap();
        assert_eq!(s.socket.send_messages(&mut list, s.to).wait(), Ok(8));
        arrive(&s.peer);
        wsk::scope(|scope| {
            let send = s.socket.send_messages(&mut list, s.to).start_in(scope)?;
            send.wait().map(drop)
        })
        .unwrap()
        .unwrap();
        arrive(&s.peer);
        list.control_mut()
            .push(ControlMessage::TimeToLive(9))
            .unwrap();
        // Without an address: `RemoteAddress` is NULL.
        let fixed = crate::setting::bound(&s.provider, wsk::Family::V4, "127.0.0.1:0");
        let fixed = fixed
            .fix_destination(s.to)
            .map_err(|(error, _)| error)
            .unwrap();
        let operations = Operations::new(&s.provider, 1).unwrap();
        let before = kernel.counts().allocations();
        let send = fixed.send_all(list).from(&operations).start().unwrap();
        let finished = send.wait().unwrap();
        assert_eq!(finished.result, Ok(8));
        assert_eq!(kernel.counts().allocations(), before);
        arrive(&s.peer);
        assert_eq!(finished.buffer.unwrap().into_owner(), 9 as *const u8);
        // The driver's own buffers can be sent, too.
        assert_eq!(fixed.send_all(&mut three()).wait(), Ok(8));
        arrive(&s.peer);
        // A prepared operation sends the list again and again.
        let mut sender = s
            .socket
            .send_messages(own.list().unwrap(), s.to)
            .prepare()
            .unwrap();
        for _ in 0..3 {
            assert_eq!(sender.wait(), Ok(8));
            arrive(&s.peer);
        }
    });
}

/// The lengths of this many datagrams that have come.
fn lengths<const N: usize>(peer: &UdpSocket) -> [usize; N] {
    [(); N].map(|()| peer.recv(&mut [0; 8]).unwrap())
}

/// The three, prepared to be sent to an address, and to the fixed one.
fn prepared(s: &Setting) -> [Prepared<SendingMessages, Messages<NonPagedBuffer>>; 2] {
    let fixed = crate::setting::bound(&s.provider, wsk::Family::V4, "127.0.0.1:0");
    let fixed = fixed
        .fix_destination(s.to)
        .map_err(|(error, _)| error)
        .unwrap();
    [
        s.socket.send_messages(three(), s.to).prepare().unwrap(),
        fixed.send_all(three()).prepare().unwrap(),
    ]
}

#[test]
fn a_prepared_list_can_be_changed_between_runs() {
    in_each_setting(|kernel, s| {
        for mut sender in prepared(s) {
            let before = kernel.counts().allocations();
            assert_eq!(sender.wait(), Ok(8));
            arrive(&s.peer);

            // Bytes and lengths, and the number of datagrams.
            let list = sender.buffer_mut().unwrap();
            list.get_mut(2).unwrap().as_mut_slice()[..2].copy_from_slice(b"TH");
            list.get_mut(2).unwrap().set_len(4).unwrap();
            let one = list.get_mut(0).unwrap();
            one.set_len(2).unwrap();
            assert_eq!((sender.wait(), sender.wait()), (Ok(6), Ok(6)));
            for expected in [b"on".as_slice(), b"", b"THre", b"on", b"", b"THre"] {
                arrives(&s.peer, expected);
            }
            let popped = sender.buffer_mut().unwrap().pop().unwrap();
            assert_eq!(sender.wait(), Ok(2));
            assert_eq!(lengths(&s.peer), [2, 0]);
            sender.buffer_mut().unwrap().push(popped).unwrap();

            // Control information, which is then taken away.
            let control = sender.buffer_mut().unwrap().control_mut();
            control.push(ControlMessage::SegmentSize(3)).unwrap();
            assert_eq!((sender.wait(), sender.wait()), (Ok(6), Ok(6)));
            assert_eq!(lengths(&s.peer), [2, 0, 3, 1, 2, 0, 3, 1]);
            sender.buffer_mut().unwrap().control_mut().clear();
            assert_eq!(sender.wait(), Ok(6));
            assert_eq!(lengths(&s.peer), [2, 0, 4]);

            // What cannot be sent is told, and can be put right.
            let list = sender.buffer_mut().unwrap();
            let control = list.control_mut();
            control.push(ControlMessage::EcnV4(4)).unwrap();
            assert!(matches!(sender.wait(), Err(Error::Call { .. })));
            let list = sender.buffer_mut().unwrap();
            list.control_mut().clear();
            let popped = [(); 3].map(|()| list.pop().unwrap());
            assert_eq!(sender.wait(), Err(Error::NoMessages));
            for buffer in popped.into_iter().rev() {
                sender.buffer_mut().unwrap().push(buffer).unwrap();
            }
            assert_eq!(sender.wait(), Ok(6));
            assert_eq!(lengths(&s.peer), [2, 0, 4]);
            assert_eq!(kernel.counts().allocations(), before);
        }
    });
}

#[test]
fn the_address_of_a_prepared_list_can_be_changed() {
    in_each_setting(|_, s| {
        let (other, to) = peer(LOOPBACK);
        let (v6, nowhere): (SocketAddr, SocketAddr) =
            ("[::1]:9".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        for mut sender in prepared(s) {
            assert_eq!(sender.remote_address(), Some(s.to));
            let refused = sender.set_remote_address(v6).unwrap_err();
            assert!(matches!(refused, Error::WrongFamily { .. }));
            let refused = sender.set_remote_address(nowhere);
            assert_eq!(refused, Err(Error::PortZero));
            assert_eq!(sender.remote_address(), Some(s.to));
            assert_eq!(sender.wait(), Ok(8));
            arrive(&s.peer);
            sender.set_remote_address(to).unwrap();
            assert_eq!(sender.remote_address(), Some(to));
            assert_eq!((sender.wait(), sender.wait()), (Ok(8), Ok(8)));
            arrive(&other);
            arrive(&other);
            // A change of the list keeps the address.
            let list = sender.buffer_mut().unwrap();
            list.get_mut(0).unwrap().set_len(1).unwrap();
            assert_eq!(sender.wait(), Ok(6));
            assert_eq!(lengths(&other), [1, 0, 5]);
            sender.set_remote_address(s.to).unwrap();
            assert_eq!(sender.wait(), Ok(6));
            assert_eq!(lengths(&s.peer), [1, 0, 5]);
        }
    });
}

#[test]
fn a_drivers_own_list_is_looked_at_before_it_is_sent() {
    with_sockets(|_, socket, _, to| {
        let mut own = Own::new();
        for (index, offset, length) in [(0, 4, 0), (0, 1, 3), (2, 0, 8), (1, 0, 1)] {
            let was = own.entries[index].Buffer;
            own.entries[index].Buffer.Offset = offset;
            own.entries[index].Buffer.Length = length;
            let error = own.list().unwrap_err();
            assert!(matches!(error, Error::OutOfBounds { .. }), "{error}");
            own.entries[index].Buffer = was;
        }
        let wrong: SocketAddr = "[::1]:9".parse().unwrap();
        let refused = socket.send_messages(own.list().unwrap(), wrong).start();
        let refused = refused.unwrap_err();
        assert!(matches!(refused.error, Error::WrongFamily { .. }));
        assert_eq!(refused.buffer.into_owner(), 9 as *const u8);
        assert_eq!(
            socket.send_messages(&mut own.list().unwrap(), to).wait(),
            Ok(8)
        );
    });
}
