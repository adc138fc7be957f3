//! What was seen on Windows, or is told of it in one place of the documentation only: drivers rely on it.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Kernel, UnknownName};
use wsk_sys::*;

const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();

#[test]
fn a_listener_binds_again_while_its_port_has_connections_in_time_wait() {
    each_policy(|_, client| {
        let listener = client.listening("127.0.0.1:0");
        let local = listener.local().unwrap();
        let mut peer = patient(TcpStream::connect(local).unwrap());
        let (accepted, _, _) = listener.accept().unwrap();
        // Who disconnects first waits.
        assert_eq!(accepted.disconnect(None, 0), STATUS_SUCCESS);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        drop(peer);
        let buffer = Buffer::new(1);
        assert_eq!(accepted.receive(&buffer), (STATUS_SUCCESS, 0));
        buffer.free();
        accepted.close();
        listener.close();
        let again = client.listener(AF_INET, Callbacks::none());
        assert_eq!(again.bind(local), STATUS_SUCCESS);
        // One that listens keeps all others away, as ever.
        let third = client.listener(AF_INET, Callbacks::none());
        assert_eq!(third.bind(local), STATUS_ADDRESS_ALREADY_EXISTS);
        third.close();
        again.close();
    });
}

#[test]
fn an_address_in_use() {
    each_policy(|_, client| {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = taken.local_addr().unwrap();
        let socket = client.socket(AF_INET);
        assert_eq!(socket.bind(local), STATUS_ADDRESS_ALREADY_EXISTS);
        // Who wants to share what isn't shared is told otherwise.
        assert_eq!(
            socket.set_option(SOL_SOCKET, SO_REUSEADDR, 1),
            STATUS_SUCCESS
        );
        assert_eq!(socket.bind(local), STATUS_ACCESS_DENIED);
        drop(taken);
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket.close();
        // The same for connections, which both come from a place of their own.
        let first = client.bound_connection("127.0.0.1:0");
        let second = client.connection(AF_INET);
        let local = first.local().unwrap();
        assert_eq!(second.bind(local), STATUS_ADDRESS_ALREADY_EXISTS);
        second.close();
        first.close();
    });
}

#[test]
fn a_listening_socket_of_datagrams_opens_and_cannot_be_bound() {
    each_policy(|_, client| {
        let kind = Kind {
            family: AF_INET,
            kind: SOCK_DGRAM,
            protocol: UDP,
            flags: WSK_FLAG_LISTEN_SOCKET,
        };
        let (status, made) = conclude(|call| client.start_socket(call, kind));
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: the socket was made just now, of this category.
        let socket = unsafe { Listener::of(made) };
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(socket.bind(local), STATUS_NOT_IMPLEMENTED);
        socket.close();
    });
}

#[test]
fn keep_alive_is_read_as_one_byte() {
    each_policy(|_, client| {
        let socket = client.connection(AF_INET);
        assert_eq!(
            socket.set_option(SOL_SOCKET, SO_KEEPALIVE, 1),
            STATUS_SUCCESS
        );
        let mut room = [0xFF_u8; 4];
        let read = |room: &mut [u8]| {
            let kind = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
            socket.control(kind, SOL_SOCKET, SO_KEEPALIVE, &mut [], room)
        };
        assert_eq!(read(&mut room), (STATUS_SUCCESS, 1));
        assert_eq!(room, [1, 0xFF, 0xFF, 0xFF]);
        assert_eq!(read(&mut room[..1]), (STATUS_SUCCESS, 1));
        assert_eq!(read(&mut []), (STATUS_BUFFER_TOO_SMALL, 0));
        socket.close();
    });
}

/// Asks for a name that doesn't exist; the outcome's information too.
fn unknown_name(client: &Client) -> (NTSTATUS, usize) {
    let mut name: Vec<u16> = "nowhere.invalid".encode_utf16().collect();
    let length = (name.len() * 2) as u16;
    let mut text = UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: name.as_mut_ptr(),
    };
    let mut result = ptr::null_mut();
    conclude(|call| {
        // SAFETY: the kernel knows its clients; the name and the place outlive the call, which is concluded here.
        unsafe {
            client.table().WskGetAddressInfo.unwrap()(
                client.client(),
                &raw mut text,
                ptr::null_mut(),
                NS_ALL,
                ptr::null_mut(),
                ptr::null_mut(),
                &raw mut result,
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp(),
            )
        }
    })
}

#[test]
fn an_unknown_name_has_two_statuses() {
    let documented = STATUS_NO_MATCH;
    for (choice, expected) in [
        (
            UnknownName::NoMatch,
            (documented, documented.0.cast_unsigned() as usize),
        ),
        (UnknownName::NotFound, (STATUS_NOT_FOUND, 0)),
    ] {
        let kernel = Kernel::builder().unknown_name(choice).boot();
        let client = Client::new();
        assert_eq!(unknown_name(&client), expected);
        client.leave();
        kernel.shutdown();
    }
}

#[test]
fn what_windows_answers_is_in_the_report() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        // SAFETY: breaks the rule that there is an IRP, at which the kernel stops.
        let _ = unsafe {
            client.make(
                Kind::datagram(AF_INET),
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
            )
        };
    })
    .tells("WskSocket was called without an IRP: Windows answers STATUS_INVALID_PARAMETER");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        // SAFETY: breaks the rule that there is a client, at which the kernel stops.
        let _ = unsafe {
            client.table().WskSocket.unwrap()(
                ptr::null_mut(),
                AF_INET,
                SOCK_DGRAM,
                UDP,
                WSK_FLAG_DATAGRAM_SOCKET,
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                Call::new().irp(),
            )
        };
    })
    .tells("WskSocket was called without a client: Windows answers STATUS_INVALID_HANDLE");
}

#[test]
fn a_missing_irp_is_told_before_all_else_that_is_wrong() {
    /// A string of 8 bytes, as memory that was never written may look.
    fn garbage() -> UNICODE_STRING {
        UNICODE_STRING {
            Length: 8,
            MaximumLength: 8,
            Buffer: ptr::without_provenance_mut(1),
        }
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (mut name, mut result) = (garbage(), ptr::null_mut());
        // SAFETY: breaks the rule that there is an IRP, at which the kernel stops before it reads the names.
        let _ = unsafe {
            client.table().WskGetAddressInfo.unwrap()(
                client.client(),
                &raw mut name,
                ptr::null_mut(),
                NS_ALL,
                ptr::null_mut(),
                ptr::null_mut(),
                &raw mut result,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
    })
    .tells("WskGetAddressInfo was called without an IRP: Windows answers STATUS_INVALID_PARAMETER");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        // SAFETY: breaks the rules that there are a client and an IRP, at which the kernel stops.
        let _ = unsafe {
            client.table().WskSocket.unwrap()(
                ptr::null_mut(),
                AF_INET,
                SOCK_DGRAM,
                UDP,
                WSK_FLAG_DATAGRAM_SOCKET,
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
    })
    .tells("WskSocket was called without an IRP: Windows answers STATUS_INVALID_PARAMETER");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let socket = Client::new().socket(AF_INET);
        // SAFETY: breaks the rule that there is an IRP, at which the kernel stops before it reads the buffer.
        let _ = unsafe {
            socket.table().WskSendTo.unwrap()(
                socket.raw(),
                ptr::without_provenance_mut(8),
                0,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
    })
    .tells("WskSendTo was called without an IRP: Windows answers STATUS_INVALID_PARAMETER");
}

/// Lists of datagrams that were retained.
#[derive(Default)]
struct Kept(Mutex<Vec<usize>>, AtomicUsize);

unsafe extern "system" fn keep(
    context: *mut c_void,
    _flags: u32,
    list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the context of this callback is a `Kept`, which is leaked.
    let kept = unsafe { &*context.cast::<Kept>() };
    let mut next = list;
    let mut count = 0;
    while !next.is_null() {
        count += 1;
        // SAFETY: the provider gives a list.
        next = unsafe { (*next).Next };
    }
    kept.0.lock().unwrap().push(list.expose_provenance());
    kept.1.fetch_add(count, Ordering::SeqCst);
    STATUS_PENDING
}

static KEEPING: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(keep),
};

/// A socket that has retained four datagrams, its lists, and the first of them.
fn retaining(client: &Client) -> (Socket, &'static Kept, *mut WSK_DATAGRAM_INDICATION) {
    let kept: &'static Kept = Box::leak(Box::default());
    // SAFETY: the callback wants such a context.
    let socket = client.socket_with(AF_INET, unsafe { Callbacks::new(kept, &KEEPING) });
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    let peer = datagram_peer("127.0.0.1:0");
    let to = socket.local().unwrap();
    // All are there before the callback is enabled, and so come together.
    for byte in 0..4_u8 {
        peer.send_to(&[byte], to).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    wait_until("four datagrams", || kept.1.load(Ordering::SeqCst) == 4);
    socket.disable_events(WSK_EVENT_RECEIVE_FROM);
    let first = kept.0.lock().unwrap()[0];
    (socket, kept, ptr::with_exposed_provenance_mut(first))
}

#[test]
fn a_retained_list_is_given_back_in_parts() {
    // WireGuard gives back one datagram after the other, and uses `Next` for its own ends in between.
    let kernel = Kernel::boot();
    let client = Client::new();
    let (socket, kept, _) = retaining(&client);
    let mut parts = Vec::new();
    for list in kept.0.lock().unwrap().drain(..) {
        let mut next = ptr::with_exposed_provenance_mut::<WSK_DATAGRAM_INDICATION>(list);
        while !next.is_null() {
            parts.push(next);
            // SAFETY: the list is retained.
            next = unsafe { (*next).Next };
        }
    }
    assert_eq!(parts.len(), 4);
    // Two together, the last first, then the others.
    // SAFETY: the list is retained, and what is in it the driver's to link.
    unsafe {
        (*parts[3]).Next = ptr::null_mut();
        (*parts[1]).Next = ptr::null_mut();
        (*parts[0]).Next = ptr::null_mut();
        (*parts[2]).Next = parts[3];
    }
    assert_eq!(socket.release(parts[1]), STATUS_SUCCESS);
    assert_eq!(socket.release(parts[2]), STATUS_SUCCESS);
    assert_eq!(socket.release(parts[0]), STATUS_SUCCESS);
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn a_part_that_is_not_given_back() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (socket, _, first) = retaining(&client);
        // SAFETY: the list is retained; its first datagram alone is given back.
        unsafe { (*first).Next = ptr::null_mut() };
        let _ = socket.release(first);
        socket.close();
    })
    .tells("while indications are retained");
}

#[test]
fn a_part_given_back_with_what_is_not_retained_behind_it() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (socket, _, first) = retaining(&client);
        let mut stranger = WSK_DATAGRAM_INDICATION::default();
        // SAFETY: the list is retained; breaks the rule that `Next` leads to what is.
        unsafe { (*first).Next = &raw mut stranger };
        let _ = socket.release(first);
    })
    .tells("WskRelease was called for an indication that isn't one that this socket has retained");
}
