//! MDL chains: buffers in several pieces, sent and received into as one, with every finisher.

use std::ptr::NonNull;
use std::sync::mpsc::channel;

use wsk::operation::Operations;
use wsk::{
    BufferPool, Call, ChainPart, DriverChain, DriverMdl, DriverMdlMut, Error, Extent, Family,
    Framed, MdlChain, Memory, NonPagedBuffer, PooledBuffer, SliceChain,
};
use wsk_host::{Completion, Kernel, Resource};
use wsk_sys::{
    ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL,
    MmBuildMdlForNonPagedPool, MmProbeAndLockPages, MmUnlockPages, POOL_TYPE,
    STATUS_WORKING_SET_QUOTA,
};

use crate::setting::{
    LOOPBACK, PATIENCE, arrives, bound, client, on_each_kernel, peer, with_sockets,
};

fn buffer(bytes: &[u8]) -> NonPagedBuffer {
    NonPagedBuffer::copy_of(bytes).unwrap()
}

#[test]
fn a_chain_is_sent_in_every_shape() {
    with_sockets(|_, socket, peer, to| {
        let mut chain = MdlChain::new([
            buffer(b"one, "),
            buffer(b""),
            buffer(b"two, "),
            buffer(b"3"),
        ]);
        assert_eq!((chain.len(), chain.capacity()), (11, 11));
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), 11);
        arrives(peer, b"one, two, 3");
        chain.set_range(3, 4).unwrap();
        let sent = wsk::scope(|s| {
            let first = socket.send_to(&chain, to).start_in(s)?;
            let second = socket.send_to(&chain, to).start_in(s)?;
            Ok::<_, Error>(first.wait()?.0 + second.wait()?.0)
        });
        assert_eq!(sent.unwrap().unwrap(), 8);
        arrives(peer, b", tw");
        arrives(peer, b", tw");
        chain.part_mut(3).unwrap()[0] = b'!';
        chain.set_range(0, 11).unwrap();
        let finished = socket.send_to(chain, to).start().unwrap().wait().unwrap();
        assert_eq!(finished.result.unwrap(), 11);
        arrives(peer, b"one, two, !");
        let [one, none, two, last] = finished.buffer.unwrap().into_parts();
        assert_eq!(
            [
                one.as_slice(),
                none.as_slice(),
                two.as_slice(),
                last.as_slice()
            ],
            [b"one, ".as_slice(), b"", b"two, ", b"!"]
        );
        // After the chain is taken apart, each buffer is sent by itself.
        assert_eq!(socket.send_to(&one, to).wait().unwrap(), 5);
        arrives(peer, b"one, ");
    });
}

#[test]
fn a_part_is_as_long_as_its_buffer_was() {
    with_sockets(|_, socket, peer, to| {
        let mut header = buffer(b"a long header");
        header.set_len(6).unwrap();
        let chain = MdlChain::new([header, buffer(b"; and so on")]);
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), 17);
        arrives(peer, b"a long; and so on");
        let [mut header, _rest] = chain.into_parts();
        assert_eq!((header.len(), header.capacity()), (6, 13));
        header.set_len(13).unwrap();
        assert_eq!(socket.send_to(&header, to).wait().unwrap(), 13);
        arrives(peer, b"a long header");
    });
}

#[test]
fn a_datagram_is_scattered_over_a_chain() {
    with_sockets(|_, socket, peer, _| {
        let own = socket.local_address().unwrap();
        let chain =
            |length: usize| MdlChain::new([2, length].map(|n| NonPagedBuffer::new(n).unwrap()));
        let mut whole = chain(8);
        peer.send_to(b"hdbody", own).unwrap();
        assert_eq!(
            socket
                .receive_from(&mut whole)
                .wait_timeout(PATIENCE)
                .unwrap()
                .length(),
            6
        );
        assert_eq!(whole.part(0).unwrap(), b"hd");
        assert_eq!(&whole.part(1).unwrap()[..4], b"body");
        assert!(whole.part(2).is_none());
        // Starts in the middle of the first part, with too little room.
        let mut short = chain(3);
        short.set_range(1, 3).unwrap();
        peer.send_to(b"12345", own).unwrap();
        let received = socket
            .receive_from(&mut short)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert!(received.is_truncated());
        assert_eq!(received.length(), 3);
        assert_eq!(
            (short.part(0).unwrap(), short.part(1).unwrap()),
            (&[0, b'1'][..], &[b'2', b'3', 0][..])
        );
        let receive = socket.receive_from(chain(4)).start().unwrap();
        peer.send_to(b"owned", own).unwrap();
        let finished = receive.wait_timeout(PATIENCE).unwrap();
        assert_eq!(finished.result.unwrap().length(), 5);
        let parts = finished.buffer.unwrap().into_parts();
        assert_eq!(parts[1].as_slice(), b"ned\0");
        wsk::scope(|s| {
            let receive = socket.receive_from(&mut whole).start_in(s).unwrap();
            peer.send_to(b"scope", own).unwrap();
            assert_eq!(receive.wait().unwrap().1.part(0).unwrap(), b"sc");
        })
        .unwrap();
    });
}

#[test]
fn the_range_lies_in_the_chain() {
    with_sockets(|_, socket, _, to| {
        let mut chain = MdlChain::new([buffer(b"abc"), buffer(b"defgh")]);
        let bounds = |end, length| Err(Error::OutOfBounds { end, length });
        assert_eq!(
            chain.set_range(3, 1),
            bounds(3, 3),
            "the start is not in the first MDL"
        );
        assert_eq!(chain.set_range(4, 0), bounds(4, 3));
        assert_eq!(
            chain.set_range(1, 8),
            bounds(9, 8),
            "the end is beyond the chain"
        );
        assert_eq!(chain.set_range(2, usize::MAX), bounds(usize::MAX, 3));
        assert_eq!(chain.len(), 8, "the range is unchanged");
        assert_eq!(chain.set_range(3, 0), Ok(()));
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), 0);
        let slices = [&b"abc"[..], b"", b"defgh"];
        let mut slices = SliceChain::new(slices);
        assert_eq!(slices.set_range(3, 1), bounds(3, 3));
        assert_eq!(slices.set_range(1, 8), bounds(9, 8));
        assert_eq!(slices.set_range(2, usize::MAX), bounds(usize::MAX, 8));
        assert_eq!(slices.len(), 8);
        let mut none = MdlChain::new([buffer(b""), buffer(b"")]);
        assert_eq!(none.set_range(0, 1), bounds(1, 0));
        assert!(none.is_empty() && none.set_range(0, 0).is_ok());
        assert_eq!(socket.send_to(&none, to).wait().unwrap(), 0);
        let nobody = MdlChain::new([]);
        assert_eq!(socket.send_to(&nobody, to).wait().unwrap(), 0);
    });
}

#[test]
fn slices_are_chained_for_the_operation() {
    with_sockets(|kernel, socket, peer, to| {
        let before = kernel.counts();
        let (header, body) = ([7; 3], *b"on the stack");
        let mut chain = SliceChain::new([&header[..], b"", &body]);
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), 15);
        arrives(peer, b"\x07\x07\x07on the stack");
        chain.set_range(1, 4).unwrap();
        let sent = wsk::scope(|s| socket.send_to(&chain, to).start_in(s)?.wait());
        assert_eq!(sent.unwrap().unwrap().0, 4);
        arrives(peer, b"\x07\x07on");
        assert_eq!(chain.into_parts()[2], body);
        let (mut first, mut second) = ([0; 4], [0; 10]);
        let own = socket.local_address().unwrap();
        peer.send_to(b"scattered", own).unwrap();
        let mut room = SliceChain::new([&mut first[..], &mut second]);
        assert_eq!(
            socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap()
                .length(),
            9
        );
        assert_eq!((&first, &second[..5]), (b"scat", &b"tered"[..]));
        let after = kernel.counts();
        assert_eq!(after.mdls.live, before.mdls.live);
        assert_eq!(after.locked_mdls, 0);
        // A failure unlocks what was locked before it.
        for nth in 1..=2 {
            kernel.fail_nth(Resource::Mdl, nth);
            let error = socket
                .send_to(&SliceChain::new([&header[..], &body]), to)
                .wait();
            assert_eq!(error.unwrap_err(), Error::NoMemory(Memory::Mdl));
            assert_eq!(kernel.counts().locked_mdls, 0);
        }
    });
}

#[test]
fn chains_in_a_pool_allocate_nothing() {
    on_each_kernel(|kernel, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let make = |_| {
            let parts = [
                NonPagedBuffer::copy_of(b"header")?,
                NonPagedBuffer::new(100)?,
            ];
            Ok(MdlChain::new(parts))
        };
        let pool = BufferPool::new(2, make).unwrap();
        let operations = Operations::new(provider, 2).unwrap();
        let mut before = 0;
        for round in 0..20_u8 {
            if round == 2 {
                before = kernel.counts().allocations();
            }
            let mut chain = pool.take_or_wait().unwrap();
            chain.part_mut(1).unwrap()[0] = round;
            chain.set_range(0, 7).unwrap();
            let request = socket.send_to(chain, to).from(&operations);
            let finished = request.start().unwrap().wait().unwrap();
            assert_eq!(finished.result.unwrap(), 7);
            arrives(&peer, &[b"header".as_slice(), &[round]].concat());
        }
        assert_eq!(kernel.counts().allocations(), before);
    });
}

#[test]
fn chains_that_are_forgotten_stay_valid() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let (registration, provider) = client();
    let socket = bound(&provider, Family::V4, LOOPBACK);
    let own = socket.local_address().unwrap();
    for _ in 0..50 {
        // The handle is dropped in flight. The completion drops the chain.
        let chain = MdlChain::new([buffer(b"dropped"), buffer(b" in flight")]);
        drop(socket.send_to(chain, own).start().unwrap());
        let chain = MdlChain::new([
            NonPagedBuffer::new(4).unwrap(),
            NonPagedBuffer::new(400).unwrap(),
        ]);
        drop(socket.receive_from(chain).start().unwrap());
    }
    drop((socket, provider, registration));
    kernel.shutdown();
}

#[test]
fn pages_that_cannot_be_locked_are_an_error() {
    with_sockets(|kernel, socket, peer, to| {
        let failed = Error::Call {
            call: Call::MmProbeAndLockPages,
            status: STATUS_WORKING_SET_QUOTA,
        };
        assert!(failed.is_transient());
        let live = kernel.counts().mdls.live;
        for nth in 1..=2 {
            kernel.fail_nth(Resource::Lock, nth);
            let chain = SliceChain::new([&b"one"[..], b"other"]);
            assert_eq!(socket.send_to(&chain, to).wait().unwrap_err(), failed);
        }
        kernel.fail_nth(Resource::Lock, 1);
        let error = socket.receive_from(&mut [0; 8]).wait().unwrap_err();
        assert_eq!(error, failed);
        kernel.fail_nth(Resource::Lock, 1);
        let error = wsk::scope(|s| socket.send_to(b"bytes", to).start_in(s).map(drop)).unwrap();
        assert_eq!(error.unwrap_err(), failed);
        kernel.fail_nth(Resource::Lock, 1);
        let refused = socket.send_to(*b"array", to).start().unwrap_err();
        assert_eq!((refused.error, refused.buffer), (failed, *b"array"));
        let counts = kernel.counts();
        assert_eq!((counts.mdls.live, counts.locked_mdls), (live, 0));
        assert_eq!(socket.send_to(b"bytes", to).wait().unwrap(), 5);
        arrives(peer, b"bytes");
    });
}

/// A block of nonpaged pool with an MDL, made with raw calls.
pub(crate) struct Raw {
    block: *mut u8,
    pub(crate) mdl: NonNull<MDL>,
}

const TAG: u32 = u32::from_le_bytes(*b"Raw ");

impl Raw {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        // SAFETY: freshly allocated memory of that size, and an MDL for it.
        unsafe {
            let length = bytes.len();
            let block = ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, length, TAG).cast::<u8>();
            block.copy_from_nonoverlapping(bytes.as_ptr(), length);
            let described = u32::try_from(length).unwrap();
            let mdl = IoAllocateMdl(block.cast(), described, 0, 0, std::ptr::null_mut());
            MmBuildMdlForNonPagedPool(mdl);
            let mdl = NonNull::new(mdl).unwrap();
            Self { block, mdl }
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: `new` made both, and nothing uses them any more.
        unsafe {
            IoFreeMdl(self.mdl.as_ptr());
            ExFreePoolWithTag(self.block.cast(), TAG);
        }
    }
}

#[test]
fn a_drivers_own_mdl() {
    with_sockets(|kernel, socket, peer, to| {
        let (first, second) = (Raw::new(b"driver's"), Raw::new(b" own"));
        // SAFETY: nothing uses either MDL; the chain stays until the end of this test.
        unsafe { (*first.mdl.as_ptr()).Next = second.mdl.as_ptr() };
        // SAFETY: as above.
        let raw = |offset, length| unsafe {
            DriverMdl::from_raw(Extent::new(first.mdl, offset, length)?)
        };
        let chain = raw(2, 10).unwrap();
        assert_eq!(chain.len(), 10);
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), 10);
        arrives(peer, b"iver's own");
        let finished = socket.send_to(chain, to).start().unwrap().wait().unwrap();
        assert_eq!(finished.result.unwrap(), 10);
        arrives(peer, b"iver's own");
        assert!(matches!(raw(8, 1), Err(Error::OutOfBounds { .. })));
        assert!(matches!(raw(2, 11), Err(Error::OutOfBounds { .. })));
        // SAFETY: nothing else uses the chain, and its bytes are read after the receive has completed.
        let mut room = unsafe { DriverMdlMut::from_raw(Extent::new(first.mdl, 6, 6).unwrap()) };
        peer.send_to(b"-mouse", socket.local_address().unwrap())
            .unwrap();
        assert_eq!(
            socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap()
                .length(),
            6
        );
        // SAFETY: the receive has completed.
        let bytes = unsafe { std::slice::from_raw_parts(second.block, 4) };
        assert_eq!(bytes, b"ouse");

        // Locked pages must be mapped before several operations may share them.
        let mut page = vec![5_u8; 64];
        // SAFETY: the memory lives until it is unlocked.
        unsafe {
            let start = page.as_mut_ptr().cast();
            let mdl = IoAllocateMdl(start, 64, 0, 0, std::ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            let locked = NonNull::new(mdl).unwrap();
            kernel.fail_nth(Resource::Mapping, 1);
            let extent = Extent::new(locked, 0, 64).unwrap();
            let error = DriverMdl::from_raw(extent).unwrap_err();
            assert_eq!(error, Error::NoMemory(Memory::Mapping));
            let shared = DriverMdl::from_raw(extent).unwrap();
            let sent = wsk::scope(|s| {
                let (one, two) = (
                    socket.send_to(&shared, to).start_in(s)?,
                    socket.send_to(&shared, to).start_in(s)?,
                );
                Ok::<_, Error>(one.wait()?.0 + two.wait()?.0)
            });
            assert_eq!(sent.unwrap().unwrap(), 128);
            arrives(peer, &[5; 64]);
            arrives(peer, &[5; 64]);
            MmUnlockPages(mdl);
            IoFreeMdl(mdl);
        }
    });
}

/// A driver's pointer to its request. Like a pointer to a `NET_BUFFER_LIST`, it is not `Send`.
type Owner = *const u8;

const OWNER: Owner = 7 as Owner;

/// The driver's own MDLs, linked. The last one belongs to another packet.
struct Foreign {
    raw: [Raw; 3],
}

impl Foreign {
    fn new() -> Self {
        let raw = [b"first ".as_slice(), b"second ", b"of another packet"].map(Raw::new);
        let this = Self { raw };
        for pair in this.raw.windows(2) {
            // SAFETY: nothing uses the MDLs yet.
            unsafe { (*pair[0].mdl.as_ptr()).Next = pair[1].mdl.as_ptr() };
        }
        this
    }

    fn next(&self, index: usize) -> *mut MDL {
        // SAFETY: the MDL exists.
        unsafe { (*self.raw[index].mdl.as_ptr()).Next }
    }

    /// A part of the first two MDLs, with their owner.
    fn part(&self, offset: usize, length: usize) -> Result<DriverMdl<Owner>, Error> {
        // SAFETY: the chain stays as long as the test needs it, and one operation at a time uses it.
        unsafe {
            let extent = Extent::new(self.raw[0].mdl, offset, length)?;
            Ok(DriverMdl::with_owner(extent, OWNER))
        }
    }

    #[track_caller]
    fn is_as_it_was(&self) {
        assert_eq!(self.next(0), self.raw[1].mdl.as_ptr());
        assert_eq!(self.next(1), self.raw[2].mdl.as_ptr());
        assert!(self.next(2).is_null());
    }
}

/// A header, the driver's MDLs and a trailer.
fn framed(foreign: &Foreign) -> DriverChain<DriverMdl<Owner>, 3> {
    let mut header = buffer(b"header, longer");
    header.set_len(7).unwrap();
    let parts = [
        ChainPart::Own(header),
        ChainPart::Driver(foreign.part(0, 13).unwrap()),
        ChainPart::Own(buffer(b"trailer")),
    ];
    DriverChain::new(parts).map_err(|(error, _)| error).unwrap()
}

#[track_caller]
fn take_apart(chain: DriverChain<DriverMdl<Owner>, 3>, foreign: &Foreign) {
    let [header, body, trailer] = chain.into_parts();
    foreign.is_as_it_was();
    let (ChainPart::Own(mut header), ChainPart::Driver(body), ChainPart::Own(trailer)) =
        (header, body, trailer)
    else {
        panic!("other parts");
    };
    assert_eq!(body.into_owner(), OWNER);
    header.set_len(header.capacity()).unwrap();
    assert_eq!(header.as_slice(), b"header, longer");
    assert_eq!(trailer.as_slice(), b"trailer");
}

#[test]
fn a_header_is_kept_in_front_of_one_packet_after_the_other() {
    on_each_kernel(|kernel, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let foreign = Foreign::new();
        let mut header = buffer(b"header, longer");
        header.set_len(7).unwrap();
        let mut header = Some(header);
        let make = |_| Framed::<Owner>::new(header.take().unwrap());
        let (frames, operations) = (
            BufferPool::new(1, make).unwrap(),
            Operations::new(provider, 1).unwrap(),
        );
        let before = kernel.counts().allocations();
        for (length, whole) in [
            (13, b"Header,first second ".as_slice()),
            (4, b"Header,firs"),
            (0, b"Header,"),
        ] {
            let mut frame = frames.take_timeout(PATIENCE).unwrap();
            frame.header_mut()[0] = b'H';
            frame.put(foreign.part(0, length).unwrap()).unwrap();
            assert_eq!(frame.len(), whole.len());
            let (done, told) = channel();
            let sending = socket.send_to(frame, to).from(&operations);
            let sending = sending.start_with(move |finished| {
                let mut frame = finished.buffer.unwrap();
                let owner = frame.take().unwrap().into_owner();
                assert!(frame.take().is_none());
                assert_eq!((frame.header(), frame.len()), (b"Header,".as_slice(), 7));
                drop(frame);
                done.send((finished.result.unwrap(), owner == OWNER))
                    .unwrap();
            });
            sending.map_err(|refused| refused.error).unwrap();
            let told = told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(told, (whole.len(), true));
            operations.wait_until_idle().unwrap();
            arrives(&peer, whole);
            // Nothing of the packet was changed.
            foreign.is_as_it_was();
        }
        assert_eq!(kernel.counts().allocations(), before);

        // A part that begins inside an MDL cannot follow another part. The frame keeps its old part.
        let mut frame = frames.take().unwrap();
        assert!(!frame.is_empty());
        frame.put(foreign.part(0, 13).unwrap()).unwrap();
        let (error, _) = frame.put(foreign.part(1, 3).unwrap()).unwrap_err();
        assert_eq!(error, Error::OutOfBounds { end: 1, length: 0 });
        // One operation at a time may use the frame, by reference, too.
        let second = wsk::scope(|s| {
            let send = socket.send_to(&*frame, to).start_in(s)?;
            let second = socket.send_to(&*frame, to).start_in(s).map(drop);
            send.wait()?;
            second
        });
        assert_eq!(second.unwrap(), Err(Error::BufferInUse));
        arrives(&peer, b"Header,first second ");
        assert_eq!(socket.send_to(&*frame, to).wait().unwrap(), 20);
        arrives(&peer, b"Header,first second ");
        // A packet replaces another one, which is dropped. The new packet is dropped with the frame.
        frame.put(foreign.part(0, 5).unwrap()).unwrap();
        assert_eq!(frame.len(), 12);
        drop((frame, frames));
        foreign.is_as_it_was();
        let none = Framed::<Owner>::new(buffer(b"")).map(|framed| framed.len());
        assert_eq!(none, Err(Error::OutOfBounds { end: 1, length: 0 }));
    });
}

#[test]
fn own_and_foreign_memory_is_sent_as_one_in_every_shape() {
    const WHOLE: &[u8] = b"header,first second trailer";
    on_each_kernel(|kernel, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let foreign = Foreign::new();
        let mut chain = framed(&foreign);
        assert_eq!(chain.len(), WHOLE.len());
        assert_eq!(foreign.next(0), foreign.raw[1].mdl.as_ptr());
        assert_ne!(foreign.next(1), foreign.raw[2].mdl.as_ptr(), "the trailer");
        assert_eq!(socket.send_to(&chain, to).wait().unwrap(), WHOLE.len());
        arrives(&peer, WHOLE);
        wsk::scope(|s| socket.send_to(&chain, to).start_in(s)?.wait().map(drop))
            .unwrap()
            .unwrap();
        arrives(&peer, WHOLE);
        // Between operations the driver changes buffers in place.
        chain.own_mut(0).unwrap()[0] = b'H';
        assert!(chain.own_mut(1).is_none() && chain.own(3).is_none());
        let finished = socket.send_to(chain, to).start().unwrap().wait().unwrap();
        assert_eq!(finished.result.unwrap(), WHOLE.len());
        arrives(&peer, b"Header,first second trailer");
        let mut chain = finished.buffer.unwrap();
        assert_eq!(chain.own(0).unwrap(), b"Header,");
        chain.own_mut(0).unwrap()[0] = b'h';
        // With an operation of a pool, and a closure. The closure gets the owner.
        let operations = Operations::new(provider, 1).unwrap();
        let (sender, done) = channel();
        let before = kernel.counts().allocations();
        let request = socket.send_to(chain, to).from(&operations);
        let told = move |done: wsk::operation::Finished<usize, _>| {
            sender.send((done.result, done.buffer)).unwrap();
        };
        request
            .start_with(told)
            .map_err(|refused| refused.error)
            .unwrap();
        let (result, chain) = done.recv_timeout(PATIENCE).unwrap();
        assert_eq!(result.unwrap(), WHOLE.len());
        assert_eq!(kernel.counts().allocations(), before);
        arrives(&peer, WHOLE);
        take_apart(chain.unwrap(), &foreign);
        // The operation returns to the pool after the completion routine has returned.
        operations.wait_until_idle().unwrap();
        // Dropping the chain restores the MDLs, too.
        drop(framed(&foreign));
        foreign.is_as_it_was();
        let dropped = socket.send_to(framed(&foreign), to).from(&operations);
        drop(dropped.start().unwrap());
        arrives(&peer, WHOLE);
        // Nobody may read the MDLs before that, because they still belong to the chain.
        operations.wait_until_idle().unwrap();
        foreign.is_as_it_was();
    });
}

#[test]
fn a_datagram_is_received_into_own_and_foreign_memory() {
    with_sockets(|_, socket, peer, _| {
        let own = socket.local_address().unwrap();
        let foreign = Foreign::new();
        // SAFETY: the chain stays as long as this test, and nothing else uses it.
        let room = unsafe {
            DriverMdlMut::with_owner(Extent::new(foreign.raw[0].mdl, 0, 13).unwrap(), OWNER)
        };
        let parts = [
            ChainPart::Own(NonPagedBuffer::new(2).unwrap()),
            ChainPart::Driver(room),
        ];
        let mut chain = DriverChain::new(parts).map_err(|(error, _)| error).unwrap();
        peer.send_to(b"hdthe body", own).unwrap();
        let received = socket.receive_from(&mut chain).wait_timeout(PATIENCE);
        assert_eq!(received.unwrap().length(), 10);
        assert_eq!(chain.own(0).unwrap(), b"hd");
        let receive = socket.receive_from(chain).start().unwrap();
        peer.send_to(b"HDTHE BODY that is too long", own).unwrap();
        let finished = receive.wait_timeout(PATIENCE).unwrap();
        assert!(finished.result.unwrap().is_truncated());
        let [header, body] = finished.buffer.unwrap().into_parts();
        foreign.is_as_it_was();
        let (ChainPart::Own(header), ChainPart::Driver(body)) = (header, body) else {
            panic!("other parts");
        };
        assert_eq!(header.as_slice(), b"HD");
        assert_eq!(body.into_owner(), OWNER);
        // SAFETY: the receive has completed.
        let bytes = unsafe { std::slice::from_raw_parts(foreign.raw[1].block, 7) };
        assert_eq!(bytes, b"DY that");
    });
}

#[test]
fn parts_of_a_chain_are_whole_mdls_in_its_middle() {
    with_sockets(|_, socket, peer, to| {
        let foreign = Foreign::new();
        let bounded = |offset, length, before: &[u8], behind: &[u8]| {
            let parts = [
                ChainPart::Own(buffer(before)),
                ChainPart::Driver(foreign.part(offset, length).unwrap()),
                ChainPart::Own(buffer(behind)),
            ];
            let result = DriverChain::new(parts);
            let result = result.map_err(|(error, [_, body, _])| {
                let ChainPart::Driver(body) = body else {
                    panic!("another part");
                };
                assert_eq!(body.into_owner(), OWNER);
                error
            });
            let sent = result.and_then(|chain| socket.send_to(&chain, to).wait());
            foreign.is_as_it_was();
            sent
        };
        let out = |result| {
            assert!(
                matches!(result, Err(Error::OutOfBounds { .. })),
                "{result:?}"
            );
        };
        out(bounded(1, 12, b"header", b""));
        out(bounded(0, 12, b"", b"trailer"));
        out(bounded(0, 7, b"header", b"trailer"));
        for (offset, length, before, behind, expected) in [
            (1, 12, &b""[..], &b"!"[..], &b"irst second !"[..]),
            (0, 8, b"-", b"", b"-first se"),
            (2, 6, b"", b"", b"rst se"),
            (0, 6, b"-", b"!", b"-first !"),
            (0, 0, b"-", b"!", b"-!"),
            (0, 0, b"", b"", b""),
        ] {
            assert_eq!(bounded(offset, length, before, behind), Ok(expected.len()));
            arrives(peer, expected);
        }
        assert!(matches!(
            foreign.part(0, 99),
            Err(Error::OutOfBounds { .. })
        ));
    });
}

#[test]
fn an_unmapped_chain_serves_one_operation_at_a_time() {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder().completion(policy).boot();
        let (registration, provider) = client();
        let socket = bound(&provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let mut page = vec![5_u8; 64];
        // SAFETY: the memory lives until it is unlocked.
        let mdl = unsafe {
            let mdl = IoAllocateMdl(page.as_mut_ptr().cast(), 64, 0, 0, std::ptr::null_mut());
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            NonNull::new(mdl).unwrap()
        };
        // This fails every mapping, so the call must not map anything.
        kernel.fail_nth(Resource::Mapping, 1);
        // SAFETY: the MDL stays as long as this is used.
        let sole = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 64).unwrap(), OWNER) };
        kernel.fail_nth(Resource::Mapping, 0);
        let sent = wsk::scope(|s| {
            let first = socket.send_to(&sole, to).start_in(s)?;
            // Until the first operation has ended, no other one gets the buffer.
            let second = socket.send_to(&sole, to).start_in(s).map(drop);
            assert_eq!(second.unwrap_err(), Error::BufferInUse);
            first.wait()?;
            socket.send_to(&sole, to).start_in(s)?.wait().map(drop)
        });
        sent.unwrap().unwrap();
        arrives(&peer, &[5; 64]);
        arrives(&peer, &[5; 64]);
        // The buffer is free again, even after a failure.
        let wrong = "[::1]:9".parse::<std::net::SocketAddr>().unwrap();
        let error = socket.send_to(&sole, wrong).wait().unwrap_err();
        assert!(matches!(error, Error::WrongFamily { .. }));
        assert_eq!(socket.send_to(&sole, to).wait().unwrap(), 64);
        arrives(&peer, &[5; 64]);
        assert_eq!(sole.into_owner(), OWNER);
        // SAFETY: nothing uses the MDL any more.
        unsafe {
            MmUnlockPages(mdl.as_ptr());
            IoFreeMdl(mdl.as_ptr());
        }
        drop((socket, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn headers_of_a_pool_go_back_when_a_chain_is_taken_apart() {
    on_each_kernel(|kernel, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let headers = BufferPool::new(1, |_| NonPagedBuffer::new(2)).unwrap();
        let operations = Operations::new(provider, 1).unwrap();
        let foreign = Foreign::new();
        let mut before = 0;
        for round in 0..20_u8 {
            if round == 2 {
                before = kernel.counts().allocations();
            }
            let mut header: PooledBuffer<NonPagedBuffer> = headers.take_or_wait().unwrap();
            header.as_mut_slice()[1] = round;
            let parts = [
                ChainPart::Own(header),
                ChainPart::Driver(foreign.part(0, 13).unwrap()),
            ];
            let chain = DriverChain::new(parts).map_err(|(error, _)| error).unwrap();
            let request = socket.send_to(chain, to).from(&operations);
            let finished = request.start().unwrap().wait().unwrap();
            assert_eq!(finished.result.unwrap(), 15);
            arrives(&peer, &[&[0, round], &b"first second "[..]].concat());
        }
        assert_eq!(kernel.counts().allocations(), before);
        // The buffers can be used alone again.
        let header = headers.take().unwrap();
        assert_eq!(socket.send_to(&header, to).wait().unwrap(), 2);
        arrives(&peer, &[0, 19]);
    });
}

#[test]
fn a_connection_sends_and_fills_own_and_foreign_memory() {
    use std::io::{Read, Write};

    on_each_kernel(|_, provider| {
        let listener = std::net::TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        let socket = wsk::ConnectedSocket::connect(provider, remote).wait();
        let socket = socket.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let foreign = Foreign::new();
        // A request is sent from its memory, and the answer is received into it.
        let chain = framed(&foreign);
        let finished = socket.send(chain).start().unwrap().wait().unwrap();
        assert_eq!(finished.result.unwrap(), 27);
        take_apart(finished.buffer.unwrap(), &foreign);
        let mut got = [0; 27];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"header,first second trailer");
        // SAFETY: the chain stays as long as this test, and nothing else uses it.
        let room = unsafe {
            DriverMdlMut::with_owner(Extent::new(foreign.raw[0].mdl, 0, 13).unwrap(), OWNER)
        };
        let parts = [
            ChainPart::Own(NonPagedBuffer::new(4).unwrap()),
            ChainPart::Driver(room),
        ];
        let chain = DriverChain::new(parts).map_err(|(error, _)| error).unwrap();
        let receive = socket.receive_all(chain).start().unwrap();
        for part in [b"an".as_slice(), b"swFIR", b"ST SECOND "] {
            peer.write_all(part).unwrap();
            std::thread::sleep(crate::setting::MOMENT);
        }
        let finished = receive.wait_timeout(PATIENCE).unwrap();
        assert_eq!(finished.result.unwrap(), 17);
        let chain = finished.buffer.unwrap();
        assert_eq!(chain.own(0).unwrap(), b"answ");
        drop(chain);
        foreign.is_as_it_was();
        // SAFETY: the receive has completed.
        let bytes = unsafe { std::slice::from_raw_parts(foreign.raw[0].block, 6) };
        assert_eq!(bytes, b"FIRST ");
    });
}
