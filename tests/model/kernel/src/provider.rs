//! A provider of datagram sockets. Its requests wait until the scenario completes them, on any thread. Only opening, binding and
//! closing complete by themselves.

use core::ffi::c_void;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use loom::thread::ThreadId;
use real::{
    ADDRESS_FAMILY, EPROCESS, ETHREAD, IRP, MDL, NTSTATUS, SOCKADDR, STATUS_CANCELLED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING, STATUS_SUCCESS, WSACMSGHDR, WSK_BUF,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_NPI, WSK_DATAGRAM_INDICATION,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_PROVIDER_DISPATCH, WSK_PROVIDER_NPI, WSK_REGISTRATION, WSK_SOCKET,
};

use crate::irp::{complete, set_cancellable, take_cancel_routine};
use crate::memory::{touch, write};

/// A request, for the thread that completes it.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its number.
    number: usize,
    irp: *mut IRP,
    buffer: *mut WSK_BUF,
    socket: usize,
}

// SAFETY: a request is not bound to a thread.
unsafe impl Send for Request {}

/// Something that one thread at a time may write, such as the memory of a socket, which the thread that closes it writes.
struct Socket {
    memory: Box<WSK_SOCKET>,
    open: UnsafeCell<bool>,
    context: *mut c_void,
    callbacks: *const WSK_CLIENT_DATAGRAM_DISPATCH,
    /// Held by a callback, and by the thread that closes the socket.
    calls: Mutex<()>,
    caller: Cell<Option<ThreadId>>,
    /// The request to close the socket, if it came from inside a callback.
    closing: Cell<*mut IRP>,
}

struct Provider {
    /// The requests that no thread has taken yet.
    made: Mutex<VecDeque<Request>>,
    changed: Condvar,
    /// The waiting requests. The thread that removes one completes it.
    queue: Mutex<Vec<Request>>,
    sockets: RefCell<Vec<Rc<Socket>>>,
    number: Cell<usize>,
}

thread_local! {
    static PROVIDER: RefCell<Option<Rc<Provider>>> = const { RefCell::new(None) };
}

pub(crate) fn begin() {
    PROVIDER.set(Some(Rc::new(Provider {
        made: Mutex::new(VecDeque::new()),
        changed: Condvar::new(),
        queue: Mutex::new(Vec::new()),
        sockets: RefCell::default(),
        number: Cell::new(0),
    })));
}

fn provider() -> Rc<Provider> {
    PROVIDER.with_borrow(|provider| provider.clone().expect("an execution has begun"))
}

/// Takes the oldest request that no thread has taken yet. Waits for one if there is none.
///
/// # Panics
///
/// Never: no thread panics with the lock.
#[must_use]
pub fn next_request() -> Request {
    let provider = provider();
    let mut made = provider.made.lock().unwrap();
    loop {
        if let Some(request) = made.pop_front() {
            return request;
        }
        made = provider.changed.wait(made).unwrap();
    }
}

/// The number of closed sockets.
#[must_use]
pub fn closed() -> usize {
    let provider = provider();
    let sockets = provider.sockets.borrow().clone();
    sockets.iter().filter(|socket| !socket.is_open()).count()
}

impl Socket {
    fn is_open(&self) -> bool {
        // SAFETY: loom checks that nobody writes it.
        self.open.with(|open| unsafe { *open })
    }
}

fn socket_of(number: usize) -> Rc<Socket> {
    let provider = provider();
    let sockets = provider.sockets.borrow();
    let mut sockets = sockets.iter();
    let this = sockets.find(|socket| core::ptr::from_ref(&*socket.memory).addr() == number);
    this.expect("a socket").clone()
}

impl Request {
    /// The memory of the request, if there is any.
    fn mdl(&self) -> *mut MDL {
        touch(self.buffer.addr());
        // SAFETY: the buffer stays until the request has completed.
        unsafe { (*self.buffer).Mdl }
    }

    /// Uses the bytes like a provider that receives: writes the first one.
    fn use_bytes(&self) {
        let mdl = self.mdl();
        if mdl.is_null() {
            return;
        }
        // SAFETY: the bytes stay until the request has completed.
        unsafe {
            let first = real::MmGetMdlVirtualAddress(mdl).cast::<u8>();
            write(first.addr(), || *first = (*first).wrapping_add(1));
        }
    }

    /// From now on, the request can be cancelled.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    #[must_use]
    pub fn cancellable(self) -> Self {
        provider().queue.lock().unwrap().push(self);
        set_cancellable(self.irp);
        self
    }

    /// Writes the first byte, and completes the request.
    pub fn succeed(self) {
        self.use_bytes();
        complete(self.irp, STATUS_SUCCESS, 1);
    }

    /// Completes the request with an error.
    pub fn fail(self) {
        complete(self.irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }

    /// Completes a request that is [cancellable](Self::cancellable), unless it is being cancelled.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn succeed_unless_cancelled(self) {
        let provider = provider();
        let mut waiting = provider.queue.lock().unwrap();
        let Some(index) = waiting.iter().position(|other| other.number == self.number) else {
            return;
        };
        touch(self.irp.addr());
        // Otherwise the cancel routine is about to run.
        if take_cancel_routine(self.irp) {
            waiting.remove(index);
            drop(waiting);
            self.succeed();
        }
    }
}

/// The cancel routine.
pub(crate) fn cancelled(irp: *mut IRP) {
    let provider = provider();
    let mut waiting = provider.queue.lock().unwrap();
    let index = waiting.iter().position(|other| other.irp == irp);
    let request = waiting.remove(index.expect("the request is left to the cancel routine"));
    drop(waiting);
    request.use_bytes();
    complete(irp, STATUS_CANCELLED, 0);
}

static DISPATCH: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskSocket: Some(socket),
    WskSocketConnect: None,
    WskControlClient: None,
    WskGetAddressInfo: None,
    WskFreeAddressInfo: None,
    WskGetNameInfo: None,
};

static DATAGRAM: WSK_PROVIDER_DATAGRAM_DISPATCH = WSK_PROVIDER_DATAGRAM_DISPATCH {
    Basic: WSK_PROVIDER_BASIC_DISPATCH {
        WskControlSocket: None,
        WskCloseSocket: Some(close),
    },
    WskBind: Some(bind),
    WskSendTo: Some(send_to),
    WskReceiveFrom: Some(receive_from),
    WskRelease: None,
    WskGetLocalAddress: None,
    WskSendMessages: None,
};

/// `WskRegister`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn WskRegister(_: *mut WSK_CLIENT_NPI, _: *mut WSK_REGISTRATION) -> NTSTATUS {
    STATUS_SUCCESS
}

/// `WskDeregister`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn WskDeregister(_: *mut WSK_REGISTRATION) {}

/// `WskQueryProviderCharacteristics`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn WskQueryProviderCharacteristics(
    _: *mut WSK_REGISTRATION,
    _: *mut WSK_PROVIDER_CHARACTERISTICS,
) -> NTSTATUS {
    STATUS_SUCCESS
}

/// `WskCaptureProviderNPI`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn WskCaptureProviderNPI(
    registration: *mut WSK_REGISTRATION,
    _: u32,
    npi: *mut WSK_PROVIDER_NPI,
) -> NTSTATUS {
    // SAFETY: the caller owns a place for the table.
    unsafe {
        npi.write(WSK_PROVIDER_NPI {
            Client: registration.cast(),
            Dispatch: &raw const DISPATCH,
        });
    }
    STATUS_SUCCESS
}

/// `WskReleaseProviderNPI`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn WskReleaseProviderNPI(registration: *mut WSK_REGISTRATION) {
    touch(registration.addr());
}

unsafe extern "system" fn socket(
    _: *mut c_void,
    _: ADDRESS_FAMILY,
    _: u16,
    _: u32,
    _: u32,
    context: *mut c_void,
    callbacks: *const c_void,
    _: *mut EPROCESS,
    _: *mut ETHREAD,
    _: *mut c_void,
    irp: *mut IRP,
) -> NTSTATUS {
    let mut memory = Box::new(WSK_SOCKET {
        Dispatch: (&raw const DATAGRAM).cast(),
    });
    let number = core::ptr::from_mut(&mut *memory).expose_provenance();
    provider().sockets.borrow_mut().push(Rc::new(Socket {
        memory,
        open: UnsafeCell::new(true),
        context,
        callbacks: callbacks.cast(),
        calls: Mutex::new(()),
        caller: Cell::new(None),
        closing: Cell::new(core::ptr::null_mut()),
    }));
    complete(irp, STATUS_SUCCESS, number);
    STATUS_PENDING
}

/// Indicates a datagram to the handler of the first socket, unless the socket is closed.
///
/// # Panics
///
/// When no socket has a handler.
pub fn tell() {
    let socket = provider().sockets.borrow()[0].clone();
    let call = socket.calls.lock().unwrap();
    if !socket.is_open() {
        return;
    }
    socket.caller.set(Some(loom::thread::current().id()));
    let mut indication = WSK_DATAGRAM_INDICATION::default();
    // SAFETY: the socket is open, and its close does not end before this does, so context and callbacks exist.
    let status = unsafe {
        let event = (*socket.callbacks).WskReceiveFromEvent.expect("an event");
        event(socket.context, 0, &raw mut indication)
    };
    assert_eq!(status, STATUS_SUCCESS);
    socket.caller.set(None);
    drop(call);
    let irp = socket.closing.get();
    if !irp.is_null() {
        complete(irp, STATUS_SUCCESS, 0);
    }
}

unsafe extern "system" fn bind(
    _: *mut WSK_SOCKET,
    _: *mut SOCKADDR,
    _: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    complete(irp, STATUS_SUCCESS, 0);
    STATUS_PENDING
}

/// `WskCloseSocket`: it cancels what can be cancelled, and ends when no callback runs any more.
unsafe extern "system" fn close(socket: *mut WSK_SOCKET, irp: *mut IRP) -> NTSTATUS {
    let number = socket.addr();
    let socket = socket_of(number);
    let inside = socket.caller.get() == Some(loom::thread::current().id());
    let call = (!inside).then(|| socket.calls.lock().unwrap());
    socket.open.with_mut(|open| {
        // SAFETY: loom checks that nobody else uses it.
        let was = unsafe { core::mem::replace(&mut *open, false) };
        assert!(was, "closed twice");
    });
    drop(call);
    loop {
        let provider = provider();
        let mut waiting = provider.queue.lock().unwrap();
        let of_this = |other: &Request| other.socket == number && take_cancel_routine(other.irp);
        let Some(index) = waiting.iter().position(of_this) else {
            break;
        };
        let request = waiting.remove(index);
        drop(waiting);
        request.use_bytes();
        complete(request.irp, STATUS_CANCELLED, 0);
    }
    if inside {
        socket.closing.set(irp);
    } else {
        complete(irp, STATUS_SUCCESS, 0);
    }
    STATUS_PENDING
}

fn take_on(socket: *mut WSK_SOCKET, buffer: *mut WSK_BUF, irp: *mut IRP) -> NTSTATUS {
    let number = socket.addr();
    assert!(socket_of(number).is_open(), "the socket is closed");
    let provider = provider();
    provider.number.set(provider.number.get() + 1);
    provider.made.lock().unwrap().push_back(Request {
        number: provider.number.get(),
        irp,
        buffer,
        socket: number,
    });
    provider.changed.notify_one();
    if refuses() {
        STATUS_INSUFFICIENT_RESOURCES
    } else {
        STATUS_PENDING
    }
}

unsafe extern "system" fn send_to(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    _: *mut SOCKADDR,
    _: u32,
    _: *mut WSACMSGHDR,
    irp: *mut IRP,
) -> NTSTATUS {
    take_on(socket, buffer, irp)
}

unsafe extern "system" fn receive_from(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    _: *mut SOCKADDR,
    _: *mut u32,
    _: *mut WSACMSGHDR,
    _: *mut u32,
    irp: *mut IRP,
) -> NTSTATUS {
    take_on(socket, buffer, irp)
}

/// Whether calls return an error although their IRPs complete later, against the contract.
fn refuses() -> bool {
    crate::dispatcher::is_impatient()
}
