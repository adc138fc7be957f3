//! The standard traits of public types, by the checklist of the Rust API guidelines.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk::events::{
    ConnectionEvents, Retained, RetainedBytes, RetainedDatagram, StreamVerdict, Verdict,
};
use wsk::operation::{
    Ended, InFlight, Operations, PooledOperation, Prepared, PreparedPool, Started,
};
use wsk::option::TimeToLive;
use wsk::request::SendingTo;
use wsk::{
    BufferPool, Call, Cancel, ConnectedSocket, ConnectionSocket, Control, ControlMessage,
    DatagramSocket, DriverChain, DriverMdl, DriverMdlMut, Endpoint, Error, Family,
    FixedDatagramSocket, Framed, HypervAddress, IcmpError, ListenSocket, MdlChain, Memory,
    Messages, NTSTATUS, NonPagedBuffer, OtherFamily, PooledBuffer, Provider, Registration,
    RemoteAddress, UnixAddress, Wait, WithControl,
};

use crate::setting::{LOOPBACK, bound, on_each_kernel, peer};

type Buffer = NonPagedBuffer;

/// Handles can be sent to other threads, and can be printed.
#[test]
fn handles_are_sent_shared_and_shown() {
    fn sent<T: Send + Debug>() {}
    fn shared<T: Send + Sync + Debug>() {}
    fn cloned<T: Clone + Send + Sync + Debug>() {}
    cloned::<DatagramSocket>();
    cloned::<FixedDatagramSocket>();
    cloned::<ConnectedSocket>();
    cloned::<ListenSocket>();
    cloned::<Provider>();
    cloned::<Cancel>();
    cloned::<Operations<Buffer>>();
    cloned::<PreparedPool<SendingTo, Buffer>>();
    cloned::<BufferPool<Buffer>>();
    shared::<ConnectionSocket>();
    shared::<Registration>();
    shared::<Buffer>();
    shared::<PooledBuffer<Buffer>>();
    shared::<MdlChain<2>>();
    shared::<Messages<Buffer>>();
    shared::<DriverMdl<*mut u8>>();
    shared::<DriverMdlMut<*mut u8>>();
    shared::<DriverChain<DriverMdl, 2>>();
    shared::<Framed<*mut u8>>();
    shared::<WithControl<Buffer, 32>>();
    shared::<InFlight<SendingTo, Buffer>>();
    shared::<Started<SendingTo, Buffer>>();
    sent::<Prepared<SendingTo, Buffer>>();
    sent::<Ended<SendingTo, Buffer>>();
    sent::<PooledOperation<Buffer>>();
    // Reading a datagram may map it, so it cannot be shared between threads.
    sent::<Retained>();
    sent::<RetainedDatagram>();
    sent::<RetainedBytes>();
}

/// Values can be compared, and used as keys.
#[test]
fn values_are_compared_and_hashed() {
    fn value<T: Copy + Eq + Hash + Debug + Send + Sync>() {}
    value::<RemoteAddress>();
    value::<Endpoint>();
    value::<UnixAddress>();
    value::<HypervAddress>();
    value::<Family>();
    value::<OtherFamily>();
    value::<Error>();
    value::<Call>();
    value::<Memory>();
    value::<NTSTATUS>();
    value::<Wait>();
    value::<ControlMessage<'static>>();
    value::<IcmpError>();
    value::<Verdict>();
    value::<StreamVerdict>();
    value::<ConnectionEvents>();
    value::<TimeToLive>();

    let to = |port| RemoteAddress::new(Family::Dual, (Ipv4Addr::LOCALHOST, port)).unwrap();
    let v4 = RemoteAddress::new(Family::V4, (Ipv4Addr::LOCALHOST, 1)).unwrap();
    // Two encodings of one address are the same key.
    let known: HashSet<RemoteAddress> = [to(1), to(2), to(1), v4].into_iter().collect();
    assert_eq!(known.len(), 2);
    let mut control = Control::<32>::new();
    assert_eq!(control, Control::new());
    control.push(ControlMessage::EcnV4(1)).unwrap();
    assert_ne!(control, Control::new());
    assert_eq!(control.messages().count(), 1);
}

#[test]
fn addresses_come_in_every_form_and_errors_leave_by_a_question_mark() {
    let v4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7);
    let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 7, 0, 0);
    assert_eq!(Endpoint::from(v4).ip(), Some(SocketAddr::from(v4)));
    assert_eq!(Endpoint::from(v6).ip(), Some(SocketAddr::from(v6)));
    let pair = Endpoint::from((Ipv4Addr::LOCALHOST, 7));
    assert_eq!(pair, Endpoint::from(v4));
    on_each_kernel(|_, provider| {
        let (_peer, to) = peer(LOOPBACK);
        let SocketAddr::V4(to) = to else {
            panic!("another family");
        };
        let fix = |to| -> Result<FixedDatagramSocket, Error> {
            Ok(bound(provider, Family::V4, LOOPBACK).fix_destination(to)?)
        };
        assert_eq!(fix(to).unwrap().remote_address(), SocketAddr::from(to));
        let nowhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        assert_eq!(fix(nowhere).map(drop), Err(Error::PortZero));
        assert!(provider.name_of(to).wait().is_ok());
        let mut buffer = NonPagedBuffer::copy_of(b"bytes").unwrap();
        buffer.as_mut()[0] = b'B';
        assert_eq!(AsRef::<[u8]>::as_ref(&buffer), b"Bytes");
    });
}
