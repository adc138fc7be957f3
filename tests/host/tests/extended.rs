//! What connections have besides sending and receiving, and sockets besides data: urgent data, control information, the ideal
//! send backlog, silence, extension interfaces, security descriptors.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use driver::*;
use wsk_host::Kernel;
use wsk_host::testing::expect_bugcheck;
use wsk_sys::*;

const IOCTL: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskIoctl;
/// Long enough for what must not come.
const MOMENT: Duration = Duration::from_millis(50);

/// What the callbacks of a connection have seen, and what they answer.
#[derive(Default)]
struct Seen {
    plain: Mutex<Vec<u8>>,
    extended: Mutex<Vec<u8>>,
    control: Mutex<Vec<u8>>,
    dead: AtomicUsize,
    backlogs: Mutex<Vec<usize>>,
    answer: AtomicI32,
}

impl Seen {
    /// Leaked: a callback may be late.
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn callbacks(&'static self) -> Callbacks<WSK_CLIENT_CONNECTION_DISPATCH> {
        // SAFETY: the callbacks of the table take their context for this type.
        unsafe { Callbacks::new(self, &TABLE) }
    }
}

unsafe extern "system" fn received(
    context: *mut c_void,
    _flags: u32,
    list: *mut WSK_DATA_INDICATION,
    _indicated: usize,
    _accepted: *mut usize,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    // SAFETY: the kernel tells a list.
    let bytes = unsafe { indicated_bytes(list) };
    seen.plain.lock().unwrap().extend(bytes);
    STATUS_SUCCESS
}

unsafe extern "system" fn received_ex(
    context: *mut c_void,
    flags: u32,
    list: *mut WSK_DATA_INDICATION,
    control: *mut CMSGHDR,
    control_length: u32,
    indicated: usize,
    accepted: *mut usize,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    assert_eq!(flags, u32::from(WSK_FLAG_AT_DISPATCH_LEVEL));
    assert_eq!(wsk_host::current_irql(), wsk_host::DISPATCH_LEVEL);
    if list.is_null() {
        assert!(control.is_null() && control_length == 0);
        seen.dead.fetch_add(1, Ordering::SeqCst);
        return STATUS_SUCCESS;
    }
    // SAFETY: the kernel tells a list, as much control information, and a place for how much of the data is accepted.
    let (bytes, told, accepted) = unsafe {
        let told = if control_length == 0 {
            assert!(control.is_null());
            &[]
        } else {
            std::slice::from_raw_parts(control.cast::<u8>(), control_length as usize)
        };
        (indicated_bytes(list), told, *accepted)
    };
    assert_eq!((bytes.len(), accepted), (indicated, indicated));
    *seen.control.lock().unwrap() = told.to_vec();
    seen.extended.lock().unwrap().extend(bytes);
    NTSTATUS(seen.answer.load(Ordering::SeqCst))
}

unsafe extern "system" fn backlog(context: *mut c_void, ideal: usize) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    assert_eq!(wsk_host::current_irql(), wsk_host::DISPATCH_LEVEL);
    seen.backlogs.lock().unwrap().push(ideal);
    NTSTATUS(seen.answer.load(Ordering::SeqCst))
}

static TABLE: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(received),
    WskDisconnectEvent: None,
    WskSendBacklogEvent: Some(backlog),
};

/// Asks for a number with an IRP.
fn query(socket: &Connection, code: u32) -> usize {
    let mut value = 0_usize.to_ne_bytes();
    let status = socket.control_by_irp(IOCTL, 0, code, &mut [], &mut value);
    assert_eq!(status, STATUS_SUCCESS);
    usize::from_ne_bytes(value)
}

// Urgent data.

#[test]
fn urgent_data() {
    each_policy(|_, client| {
        let (socket, peer) = pair(client);
        let peer = socket2::Socket::from(peer);
        let buffer = Buffer::of(b"abc!");
        assert_eq!(
            socket.send_with(&buffer, WSK_FLAG_OOB | WSK_FLAG_NODELAY),
            (STATUS_SUCCESS, 4)
        );
        // The last byte is the urgent one.
        wait_until("urgent data", || {
            let mut byte = [core::mem::MaybeUninit::uninit(); 1];
            let got = peer.recv_out_of_band(&mut byte);
            // SAFETY: the host has written a byte.
            matches!(got, Ok(1)) && unsafe { byte[0].assume_init() } == b'!'
        });
        let mut peer = TcpStream::from(peer);
        let mut rest = [0; 3];
        peer.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"abc");

        // What the peer sends so comes with all else.
        let peer = socket2::Socket::from(peer);
        peer.send_out_of_band(b"xyz").unwrap();
        let all = Buffer::new(3);
        assert_eq!(
            socket.receive_with(&all, WSK_FLAG_WAITALL),
            (STATUS_SUCCESS, 3)
        );
        assert_eq!(all.bytes(), b"xyz");
        assert_eq!(socket.get_option(SOL_SOCKET, SO_OOBINLINE), Ok(1), "inline");
        all.free();
        buffer.free();
        socket.close();
    });
}

// Control information.

/// Control information of so many messages, in whole.
fn messages(count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let length = size_of::<CMSGHDR>() + 4;
        bytes.extend(length.to_ne_bytes());
        bytes.extend(77_i32.to_ne_bytes());
        bytes.extend(index.to_ne_bytes());
        bytes.extend([index as u8; 4]);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

#[test]
fn control_information_of_connections() {
    let told = messages(2);
    let kernel = Kernel::builder().control_on_connections(&told).boot();
    let client = Client::new();
    let (socket, mut peer) = pair(&client);
    let buffer = Buffer::of(b"data");
    assert_eq!(
        socket.send_with_control(buffer.all(), &mut messages(1)),
        (STATUS_SUCCESS, 4)
    );
    let mut got = [0; 4];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"data");
    let mut cut = messages(1);
    cut.truncate(18);
    assert_eq!(
        socket.send_with_control(buffer.all(), &mut cut),
        (STATUS_INVALID_PARAMETER, 0)
    );

    // As many whole messages as there is room for.
    for (room, fits) in [(64, told.len()), (told.len() - 5, 24), (19, 0), (0, 0)] {
        peer.write_all(b"more").unwrap();
        let mut control = vec![0xEE; room];
        let outcome = socket.receive_with_control(buffer.all(), &mut control);
        let ((status, length), told_length) = outcome;
        assert_eq!((status, length), (STATUS_SUCCESS, 4));
        assert!(
            told_length <= room && told_length.next_multiple_of(8) == fits,
            "{room}: {told_length}"
        );
        assert_eq!(control[..told_length], told[..told_length]);
        assert!(control[told_length..].iter().all(|&byte| byte == 0xEE));
    }
    // Nothing is told of nothing.
    drop(peer);
    let outcome = socket.receive_with_control(buffer.all(), &mut [0; 64]);
    assert_eq!(outcome, ((STATUS_SUCCESS, 0), 0));
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn connections_have_no_control_information_unasked() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let (socket, mut peer) = pair(&client);
    let buffer = Buffer::of(b"data");
    assert_eq!(
        socket.send_with_control(buffer.all(), &mut messages(1)),
        (STATUS_NOT_SUPPORTED, 0)
    );
    peer.write_all(b"more").unwrap();
    let outcome = socket.receive_with_control(buffer.all(), &mut [0; 64]);
    assert_eq!(outcome, ((STATUS_SUCCESS, 4), 0));
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn the_extended_receive_event() {
    let told = messages(1);
    let kernel = Kernel::builder().control_on_connections(&told).boot();
    let client = Client::new();
    let seen = Seen::new();
    let (socket, mut peer) = pair_with(&client, seen.callbacks());
    // SAFETY: the callback takes the context of the socket.
    unsafe {
        assert_eq!(
            socket.receive_ex_callback(Some(received_ex)),
            STATUS_SUCCESS
        );
    }
    assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
    peer.write_all(b"extended").unwrap();
    wait_until("data", || *seen.extended.lock().unwrap() == b"extended");
    assert_eq!(*seen.control.lock().unwrap(), told);
    assert!(seen.plain.lock().unwrap().is_empty());
    // Taken away: the plain one is called again.
    // SAFETY: there is no callback.
    unsafe {
        assert_eq!(socket.receive_ex_callback(None), STATUS_SUCCESS);
    }
    peer.write_all(b"plain").unwrap();
    wait_until("data", || *seen.plain.lock().unwrap() == b"plain");
    assert_eq!(*seen.extended.lock().unwrap(), b"extended");
    socket.close();
    // A socket without a table has the extended one alone.
    let datagrams = client.socket(AF_INET);
    assert_eq!(
        datagrams
            .control(IOCTL, 0, SIO_WSK_QUERY_RECEIVE_BACKLOG, &mut [], &mut [])
            .0,
        STATUS_INVALID_PARAMETER
    );
    datagrams.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn forcing_closed_tells_the_extended_receive_event() {
    each_policy(|kernel, client| {
        let seen = Seen::new();
        let (socket, _peer) = pair_with(client, seen.callbacks());
        // SAFETY: the callback takes the context of the socket.
        unsafe {
            assert_eq!(
                socket.receive_ex_callback(Some(received_ex)),
                STATUS_SUCCESS
            );
        }
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        kernel.force_close_sockets();
        socket.close();
        assert_eq!(seen.dead.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn wrong_answer_to_an_extended_receive_event() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let seen = Seen::new();
        let (socket, mut peer) = pair_with(&client, seen.callbacks());
        seen.answer
            .store(STATUS_INSUFFICIENT_RESOURCES.0, Ordering::SeqCst);
        // SAFETY: the callback takes the context of the socket.
        unsafe {
            assert_eq!(
                socket.receive_ex_callback(Some(received_ex)),
                STATUS_SUCCESS
            );
        }
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(b"data").unwrap();
        wait_until("data", || false);
    })
    .tells("WskReceiveExEvent returned something else than STATUS_SUCCESS, STATUS_PENDING");
}

// The ideal send backlog.

#[test]
fn a_changed_ideal_send_backlog_is_told() {
    each_policy(|kernel, client| {
        let seen = Seen::new();
        let (socket, _peer) = pair_with(client, seen.callbacks());
        kernel.set_ideal_send_backlog(1000);
        wait_until("the backlog", || {
            query(&socket, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG) == 1000
        });
        std::thread::sleep(MOMENT);
        assert!(seen.backlogs.lock().unwrap().is_empty(), "not enabled");
        assert_eq!(socket.events(WSK_EVENT_SEND_BACKLOG), STATUS_SUCCESS);
        kernel.set_ideal_send_backlog(1000);
        kernel.set_ideal_send_backlog(2000);
        wait_until("an event", || *seen.backlogs.lock().unwrap() == [2000]);
        assert_eq!(query(&socket, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG), 2000);
        // The host's own, again.
        kernel.set_ideal_send_backlog(0);
        wait_until("an event", || seen.backlogs.lock().unwrap().len() == 2);
        assert_eq!(
            socket.set_option(SOL_SOCKET, SO_SNDBUF, 12_345),
            STATUS_SUCCESS
        );
        wait_until("an event", || seen.backlogs.lock().unwrap().len() >= 3);
        let ideal = query(&socket, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG);
        assert_eq!(seen.backlogs.lock().unwrap().last(), Some(&ideal));
        let disable = WSK_EVENT_SEND_BACKLOG | WSK_EVENT_DISABLE;
        wait_until("no call", || {
            let status = socket.events(disable);
            assert!(matches!(status, STATUS_SUCCESS | STATUS_EVENT_PENDING));
            status == STATUS_SUCCESS
        });
        socket.close();
    });
}

#[test]
fn wrong_answer_to_a_send_backlog_event() {
    expect_bugcheck(VERIFIER, || {
        let kernel = Kernel::boot();
        let client = Client::new();
        let seen = Seen::new();
        let (socket, _peer) = pair_with(&client, seen.callbacks());
        seen.answer.store(STATUS_PENDING.0, Ordering::SeqCst);
        assert_eq!(socket.events(WSK_EVENT_SEND_BACKLOG), STATUS_SUCCESS);
        kernel.set_ideal_send_backlog(3000);
        wait_until("an event", || false);
    })
    .tells("WskSendBacklogEvent returned something else than STATUS_SUCCESS");
}

// Silence.

fn silence(socket: &Connection) -> NTSTATUS {
    socket.control_by_irp(IOCTL, 0, SIO_WSK_SET_TCP_SILENT_MODE, &mut [], &mut [])
}

#[test]
fn a_silent_connection() {
    let kernel = Kernel::builder().loopback_is_remote().boot();
    let client = Client::new();
    let seen = Seen::new();
    let (socket, mut peer) = pair_with(&client, seen.callbacks());
    assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
    let (status, _) = socket.control(IOCTL, 0, SIO_WSK_SET_TCP_SILENT_MODE, &mut [], &mut []);
    assert_eq!(status, STATUS_INVALID_PARAMETER, "an IRP is required");
    assert_eq!(silence(&socket), STATUS_SUCCESS);
    let buffer = Buffer::of(b"data");
    let refused = (STATUS_INVALID_DEVICE_STATE, 0);
    assert_eq!(socket.send(&buffer), refused);
    assert_eq!(socket.receive(&buffer), refused);
    assert_eq!(socket.disconnect(None, 0), STATUS_INVALID_DEVICE_STATE);
    assert_eq!(
        socket.disconnect(None, WSK_FLAG_ABORTIVE),
        STATUS_INVALID_DEVICE_STATE
    );
    // What the peer sends is thrown away, and it sees no end, not even when the socket is closed.
    peer.write_all(b"unheard").unwrap();
    peer.set_read_timeout(Some(MOMENT)).unwrap();
    let nothing = |peer: &mut TcpStream| {
        let kind = peer.read(&mut [0]).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    };
    nothing(&mut peer);
    socket.close();
    nothing(&mut peer);
    assert!(seen.plain.lock().unwrap().is_empty());
    buffer.free();
    client.leave();
    kernel.shutdown();
}

#[test]
fn what_cannot_be_silent() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let (socket, _peer) = pair(&client);
    assert_eq!(silence(&socket), STATUS_NOT_SUPPORTED, "loopback");
    socket.close();
    let unconnected = client.bound_connection("127.0.0.1:0");
    assert_eq!(silence(&unconnected), STATUS_INVALID_DEVICE_STATE);
    unconnected.close();
    let datagrams = client.socket(AF_INET);
    let code = SIO_WSK_SET_TCP_SILENT_MODE;
    assert_eq!(
        datagrams.control_by_irp(IOCTL, 0, code, &mut [], &mut []),
        STATUS_NOT_SUPPORTED
    );
    datagrams.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn silence_while_a_send_is_pending() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().loopback_is_remote().boot();
        let client = Client::new();
        let (socket, _peer) = pair(&client);
        // More than the host takes while nobody reads.
        let buffer = Buffer::new(64 << 20);
        let call = Call::new();
        assert_eq!(socket.start_send(&call, buffer.all(), 0), STATUS_PENDING);
        let _ = silence(&socket);
    })
    .tells("SIO_WSK_SET_TCP_SILENT_MODE was called while a send or a disconnect is pending");
}

// Extension interfaces.

const EXTENSION: GUID = GUID {
    Data1: 0x5A5A_0001,
    Data2: 1,
    Data3: 2,
    Data4: [3; 8],
};

#[test]
fn extension_interfaces() {
    each_policy(|kernel, client| {
        static TABLES: [usize; 2] = [1, 2];
        let (socket, _peer) = pair(client);
        let datagrams = client.socket(AF_INET);
        let context: *mut c_void = ptr::without_provenance_mut(5);
        let table = |index: usize| (&raw const TABLES[index]).cast::<c_void>();
        let unknown = |outcome: Result<_, NTSTATUS>| {
            assert_eq!(outcome.map(drop), Err(STATUS_NOT_SUPPORTED));
        };
        unknown(socket.register(&EXTENSION, context, table(0)));
        unknown(datagrams.register(&EXTENSION, context, table(0)));
        let provided = (&raw const TABLES[1]) as usize;
        kernel.offer_extension(EXTENSION, move |context, dispatch| {
            assert_eq!(
                (context as usize, dispatch),
                (5, (&raw const TABLES[0]).cast())
            );
            (
                ptr::without_provenance_mut(6),
                ptr::without_provenance(provided),
            )
        });
        let got = socket.register(&EXTENSION, context, table(0)).unwrap();
        assert_eq!(got.ProviderContext as usize, 6);
        assert_eq!(got.ProviderDispatch as usize, provided);
        assert!(datagrams.register(&EXTENSION, context, table(0)).is_ok());
        socket.close();
        datagrams.close();
    });
}

// Security descriptors.

/// A descriptor with an owner, which is a SID of one word: self-relative.
fn descriptor() -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[0] = 1;
    bytes[2..4].copy_from_slice(&0x8000_u16.to_ne_bytes());
    bytes[4..8].copy_from_slice(&20_u32.to_ne_bytes());
    bytes.extend([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
    bytes
}

/// # Safety
///
/// There are as many bytes.
unsafe fn bytes_of(cached: *mut c_void, length: usize) -> Vec<u8> {
    // SAFETY: the caller says so.
    unsafe { std::slice::from_raw_parts(cached.cast(), length) }.to_vec()
}

#[test]
fn security_descriptors_of_sockets() {
    each_policy(|_, client| {
        let given = descriptor();
        let cached = client.cache_descriptor(&given);
        let socket = client.connection(AF_INET);
        // One that shares nothing, unless told otherwise.
        let default = socket.security().unwrap();
        // SAFETY: the least that a descriptor has.
        assert_eq!(unsafe { bytes_of(default, 1) }, [1]);
        client.release_descriptor(default);
        assert_eq!(socket.set_security(cached), STATUS_SUCCESS);
        // The socket has a copy of its own.
        client.release_descriptor(cached);
        let copy = socket.security().unwrap();
        // SAFETY: it is a copy of this one.
        assert_eq!(unsafe { bytes_of(copy, given.len()) }, given);
        assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
        assert_eq!(
            socket.set_security(copy),
            STATUS_INVALID_DEVICE_STATE,
            "bound"
        );
        client.release_descriptor(copy);
        let (status, _) = socket.control(
            WSK_CONTROL_SOCKET_TYPE::WskGetOption,
            SOL_SOCKET,
            SO_WSK_SECURITY,
            &mut [],
            &mut [0; 8],
        );
        assert_eq!(status, STATUS_INVALID_PARAMETER, "an IRP is required");
        socket.close();
        let stream = client.stream(AF_INET);
        assert_eq!(stream.security(), Err(STATUS_NOT_SUPPORTED));
        stream.close();
    });
}

#[test]
fn security_descriptor_that_is_not_cached() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let socket = client.connection(AF_INET);
        let cached = client.cache_descriptor(&descriptor());
        client.release_descriptor(cached);
        let _ = socket.set_security(cached);
    })
    .tells("SO_WSK_SECURITY was given a security descriptor")
    .tells("that WSK_CACHE_SD has not cached, or that was released");
}

// Basic sockets.

#[test]
fn basic_sockets() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let kind = Kind {
        flags: WSK_FLAG_BASIC_SOCKET,
        ..Kind::datagram(AF_INET)
    };
    let (status, information) = conclude(|call| client.start_socket(call, kind));
    assert_eq!(status, STATUS_SUCCESS);
    let socket: *mut WSK_SOCKET = ptr::with_exposed_provenance_mut(information);
    // SAFETY: the socket was made just now; its table is that of basic sockets. Places live until each call is over.
    unsafe {
        let table = &*(*socket).Dispatch.cast::<WSK_PROVIDER_BASIC_DISPATCH>();
        let mut value = [0_u8; 4];
        let mut returned = 0;
        let status = table.WskControlSocket.unwrap()(
            socket,
            WSK_CONTROL_SOCKET_TYPE::WskGetOption,
            SO_TYPE,
            SOL_SOCKET,
            0,
            ptr::null_mut(),
            value.len(),
            value.as_mut_ptr().cast(),
            &raw mut returned,
            ptr::null_mut(),
        );
        assert_eq!((status, returned), (STATUS_SUCCESS, 4));
        assert_eq!(u32::from_ne_bytes(value), u32::from(SOCK_DGRAM));
        let closed = conclude(|call| table.WskCloseSocket.unwrap()(socket, call.irp()));
        assert_eq!(closed, (STATUS_SUCCESS, 0));
    }
    client.leave();
    kernel.shutdown();
}
