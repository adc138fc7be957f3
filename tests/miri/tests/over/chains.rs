//! Chains with MDLs of a driver. They are linked for the operation, and restored after it.

use std::ptr::{NonNull, null_mut};

use wsk::{
    BufferPool, ChainPart, ControlMessage, DriverChain, DriverList, DriverMdl, DriverMdlMut, Error,
    Extent, Framed, Messages, NonPagedBuffer,
};
use wsk_sys::{IoAllocateMdl, IoFreeMdl, MDL, MmBuildMdlForNonPagedPool, WSK_BUF, WSK_BUF_LIST};

use crate::{everywhere, socket};

/// An MDL of the driver over all of a buffer.
fn mdl(bytes: &mut NonPagedBuffer) -> NonNull<MDL> {
    let length = u32::try_from(bytes.len()).unwrap();
    let start = bytes.as_mut_slice().as_mut_ptr();
    // SAFETY: the MDL belongs to this function, and describes nonpaged memory.
    unsafe {
        let mdl = IoAllocateMdl(start.cast(), length, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        NonNull::new(mdl).unwrap()
    }
}

#[test]
fn own_and_foreign() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let mut memory = [b"first".as_slice(), b"second", b"last"]
            .map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap());
        let [first, second, last] = memory.each_mut().map(mdl);
        // SAFETY: nothing uses the MDLs yet.
        unsafe {
            (*first.as_ptr()).Next = second.as_ptr();
            (*second.as_ptr()).Next = last.as_ptr();
        }
        // Not `Send`, like the pointer to a request.
        let owner = first.as_ptr();
        // SAFETY: the MDLs stay until the end of this test, and nothing else uses them meanwhile.
        let body = unsafe { DriverMdl::with_owner(Extent::new(first, 0, 11).unwrap(), owner) };
        let [header, trailer] = [b"<", b">"].map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap());
        let parts = [
            ChainPart::Own(header),
            ChainPart::Driver(body),
            ChainPart::Own(trailer),
        ];
        let mut chain = DriverChain::new(parts).map_err(|(error, _)| error).unwrap();
        for _ in 0..2 {
            assert_eq!(one.send_to(&chain, to).wait().unwrap(), 13);
            let second = wsk::scope(|s| {
                let send = one.send_to(&chain, to).start_in(s)?;
                let second = one.send_to(&chain, to).start_in(s).map(drop);
                send.wait()?;
                second
            });
            assert_eq!(second.unwrap(), Err(Error::BufferInUse));
            let send = one.send_to(chain, to).start().unwrap();
            chain = send.wait().unwrap().buffer.unwrap();
            for _ in 0..3 {
                let mut room = [0; 16];
                let received = other.receive_from(&mut room).wait().unwrap();
                assert_eq!(&room[..received.length()], b"<firstsecond>");
            }
        }
        let [_, body, _] = chain.into_parts();
        let ChainPart::Driver(body) = body else {
            panic!("another part");
        };
        assert_eq!(body.into_owner(), owner);
        // SAFETY: the MDLs exist.
        unsafe {
            assert_eq!((*first.as_ptr()).Next, second.as_ptr());
            assert_eq!((*second.as_ptr()).Next, last.as_ptr());
        }

        // SAFETY: as above.
        let room = unsafe { DriverMdlMut::with_owner(Extent::new(first, 0, 11).unwrap(), owner) };
        // In front of one packet after the other.
        let mut frame = Framed::new(NonPagedBuffer::copy_of(b"<<").unwrap()).unwrap();
        for length in [11, 5] {
            // SAFETY: as above.
            let packet =
                unsafe { DriverMdl::with_owner(Extent::new(first, 0, length).unwrap(), owner) };
            frame.put(packet).map_err(|(error, _)| error).unwrap();
            frame.header_mut()[1] = b'-';
            let send = one.send_to(frame, to).start().unwrap();
            frame = send.wait().unwrap().buffer.unwrap();
            assert_eq!(frame.take().unwrap().into_owner(), owner);
            let mut room = [0; 16];
            let received = other.receive_from(&mut room).wait().unwrap();
            assert_eq!(&room[..received.length()], &b"<-firstsecond"[..2 + length]);
        }
        let header = NonPagedBuffer::new(2).unwrap();
        let parts = [ChainPart::Own(header), ChainPart::Driver(room)];
        let chain = DriverChain::new(parts).map_err(|(error, _)| error).unwrap();
        one.send_to(b"hdFIRSTSECOND", to).wait().unwrap();
        let receive = other.receive_from(chain).start().unwrap();
        let finished = receive.wait().unwrap();
        assert_eq!(finished.result.unwrap().length(), 13);
        drop(finished.buffer);
        assert_eq!(memory[0].as_slice(), b"FIRST");
        assert_eq!(memory[1].as_slice(), b"SECOND");
        for mdl in [first, second, last] {
            // SAFETY: nothing uses the MDL any more.
            unsafe { IoFreeMdl(mdl.as_ptr()) };
        }
    });
}

#[test]
fn lists() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let mut room = [0; 16];
        let mut memory = NonPagedBuffer::copy_of(b"onethree").unwrap();
        let mdl = mdl(&mut memory);
        let mut entries = [(3, 5), (0, 3)].map(|(offset, length)| WSK_BUF_LIST {
            Next: null_mut(),
            Buffer: WSK_BUF {
                Mdl: mdl.as_ptr(),
                Offset: offset,
                Length: length,
            },
        });
        let [second, first] = &mut entries;
        first.Next = second;
        // SAFETY: list and MDL stay until the end of this test, and nothing else uses them meanwhile.
        let list = unsafe { DriverList::from_raw(NonNull::from(first), mdl.as_ptr()) };
        let mut list = list.map_err(|(error, _)| error).unwrap();
        // The control information is in the list, which is borrowed exclusively while it is locked.
        list.control_mut()
            .push(ControlMessage::TimeToLive(3))
            .unwrap();
        assert_eq!(one.send_messages(&mut list, to).wait().unwrap(), 8);
        let finished = one.send_messages(list, to).start().unwrap().wait().unwrap();
        assert_eq!(finished.buffer.unwrap().into_owner(), mdl.as_ptr());
        for expected in [b"one".as_slice(), b"three", b"one", b"three"] {
            let received = other.receive_from(&mut room).wait().unwrap();
            assert_eq!(room[..received.length()], *expected);
        }

        let lists = BufferPool::new(1, |_| Messages::with_capacity(2)).unwrap();
        for _ in 0..2 {
            let mut list = lists.take().unwrap();
            list.clear();
            for offset in [0, 3] {
                // SAFETY: as above, and the MDL was built for nonpaged memory.
                let part =
                    unsafe { DriverMdl::with_owner(Extent::new(mdl, offset, 3).unwrap(), ()) };
                list.push(part).map_err(drop).unwrap();
            }
            let send = one.send_messages(list, to).start().unwrap();
            assert_eq!(send.wait().unwrap().result.unwrap(), 6);
            for expected in [b"one", b"thr"] {
                let received = other.receive_from(&mut room).wait().unwrap();
                assert_eq!(room[..received.length()], *expected);
            }
        }
        // SAFETY: nothing uses the MDL any more.
        unsafe { IoFreeMdl(mdl.as_ptr()) };
    });
}

/// A part of a list that stays locked is used by somebody else, who is refused and writes its flag all the same.
#[test]
fn part_of_a_prepared_list() {
    everywhere(|_, provider| {
        let (one, to) = socket(provider);
        let mut memory = NonPagedBuffer::copy_of(b"onethree").unwrap();
        let mdl = mdl(&mut memory);
        // SAFETY: the MDL stays until the end of this test, and nothing else uses it meanwhile.
        let part = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 3).unwrap(), ()) };
        let list = Messages::new([part]).unwrap();
        let mut sender = one.send_messages(list, to).prepare().unwrap();
        for _ in 0..2 {
            assert_eq!(sender.wait().unwrap(), 3);
            let part = sender.buffer().unwrap().get(0).unwrap();
            assert_eq!(one.send_to(part, to).wait(), Err(Error::BufferInUse));
            assert_eq!(sender.wait().unwrap(), 3);
            let part = sender.buffer_mut().unwrap().get(0).unwrap();
            assert_eq!(one.send_to(part, to).wait(), Ok(3));
        }
        drop(sender);
        // SAFETY: nothing uses the MDL any more.
        unsafe { IoFreeMdl(mdl.as_ptr()) };
    });
}

/// Frees MDLs of a driver, which lead to nothing then.
struct Frees(Vec<NonNull<MDL>>);

impl Drop for Frees {
    fn drop(&mut self) {
        for mdl in &self.0 {
            // SAFETY: the MDLs are those of the test, freed this once.
            unsafe {
                assert!((*mdl.as_ptr()).Next.is_null());
                IoFreeMdl(mdl.as_ptr());
            }
        }
    }
}

/// A chain restores all MDLs before the first owner goes: one may own the MDLs of several parts.
#[test]
fn one_owner_of_two_parts() {
    everywhere(|_, _| {
        let mut memory = [(); 2].map(|()| NonPagedBuffer::copy_of(b"abc").unwrap());
        let [one, two] = memory.each_mut().map(mdl);
        let part = |mdl: NonNull<MDL>, owner| {
            // SAFETY: nothing uses the MDL before its owner is dropped.
            let part = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 3).unwrap(), owner) };
            ChainPart::Driver(part)
        };
        let parts: [ChainPart<DriverMdl<Frees>>; 3] = [
            part(one, Frees(vec![one, two])),
            part(two, Frees(vec![])),
            ChainPart::Own(NonPagedBuffer::new(3).unwrap()),
        ];
        drop(DriverChain::new(parts).map_err(|(error, _)| error).unwrap());
    });
}
