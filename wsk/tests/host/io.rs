//! Connections as streams of the crate `embedded-io`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use embedded_io::{Error as _, ErrorKind, Read, ReadExactError, Write};
use wsk::{Call, ConnectedSocket, Error, Memory, Registration, Wait};
use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::{STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET};

#[test]
fn bytes_go_both_ways_until_the_end() {
    let kernel = Kernel::boot();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::No).unwrap();
    let address = server.local_addr().unwrap();
    let mut socket = ConnectedSocket::connect(&provider, address).wait().unwrap();
    let (mut peer, _) = server.accept().unwrap();

    // Neither call waits, because there are no bytes.
    assert_eq!(socket.read(&mut []), Ok(0));
    assert_eq!(socket.write(&[]), Ok(0));

    socket.write_all(b"question").unwrap();
    socket.flush().unwrap();
    let mut got = [0; 8];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"question");

    peer.write_all(b"an answer").unwrap();
    drop(peer);
    let mut answer = [0; 9];
    Read::read_exact(&mut &socket, &mut answer).unwrap();
    assert_eq!(&answer, b"an answer");
    assert_eq!(
        Read::read_exact(&mut &socket, &mut answer),
        Err(ReadExactError::UnexpectedEof)
    );

    // At a higher IRQL, calls that wait fail.
    let raised = at_irql(DISPATCH_LEVEL, || Write::write(&mut socket, b"more"));
    assert!(matches!(raised, Err(Error::WrongIrql { .. })), "{raised:?}");
    drop((socket, provider, registration));
    kernel.shutdown();
}

#[test]
fn errors_have_kinds() {
    let of = |status| Error::Call {
        call: Call::WskSend,
        status,
    };
    for (error, kind) in [
        (of(STATUS_CONNECTION_REFUSED), ErrorKind::ConnectionRefused),
        (of(STATUS_CONNECTION_RESET), ErrorKind::ConnectionReset),
        (Error::NoMemory(Memory::Irp), ErrorKind::OutOfMemory),
        (
            Error::TimedOut {
                call: Call::WskReceive,
            },
            ErrorKind::TimedOut,
        ),
        (Error::PortZero, ErrorKind::InvalidInput),
        (Error::NotBound, ErrorKind::Other),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
    }
}
