//! Datagram sockets.

use core::mem::offset_of;

use wsk_sys::{
    IPPROTO, IRP, MSG_TRUNC, NTSTATUS, SOCKADDR, SOCKADDR_IN, STATUS_BUFFER_OVERFLOW,
    STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS, UDP_COALESCED_INFO, WSACMSGHDR,
    WSK_BUF, WSK_BUF_LIST, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION,
    WSK_EVENT_RECEIVE_FROM, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
};

use crate::dispatcher::raised;
use crate::irp::Irp;
use crate::mdl;
use crate::provider::request::{Described, Waiting, What, claim, complete, done, take_on, wait};
use crate::provider::{Kind, Manner, Place, address, basic, port_of, world, write_address};

pub(super) static DISPATCH: WSK_PROVIDER_DATAGRAM_DISPATCH = WSK_PROVIDER_DATAGRAM_DISPATCH {
    Basic: basic::DISPATCH,
    WskBind: Some(basic::bind),
    WskSendTo: Some(send_to),
    WskReceiveFrom: Some(receive_from),
    WskRelease: Some(release),
    WskGetLocalAddress: Some(basic::local_address),
    WskSendMessages: Some(send_messages),
};

/// Copies control information when it is sent.
///
/// # Safety
///
/// There are as many bytes, or none.
unsafe fn read_control(control: Place<WSACMSGHDR>, length: u32) {
    for index in 0..length as usize {
        // SAFETY: the caller promises this.
        core::hint::black_box(unsafe { control.0.cast::<u8>().add(index).read() });
    }
}

/// `WskSendTo`.
unsafe extern "system" fn send_to(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    to: *mut SOCKADDR,
    control_length: u32,
    control: *mut WSACMSGHDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let number = socket.addr();
    let (buffer, to, control) = (Place(buffer), Place(to), Place(control));
    take_on(number, irp, move |irp| {
        let (buffer, to, control) = (buffer, to, control);
        // SAFETY: the client keeps all of this until the request has completed.
        let (bytes, port) = unsafe {
            read_control(control, control_length);
            (mdl::read(buffer.0), port_of(to.0))
        };
        let length = bytes.len();
        send(number, port, bytes);
        complete(irp, number, STATUS_SUCCESS, length);
    })
}

/// `WskSendMessages`.
unsafe extern "system" fn send_messages(
    socket: *mut WSK_SOCKET,
    list: *mut WSK_BUF_LIST,
    _: u32,
    to: *mut SOCKADDR,
    control_length: u32,
    control: *mut WSACMSGHDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let number = socket.addr();
    let (list, to, control) = (Place(list), Place(to), Place(control));
    take_on(number, irp, move |irp| {
        let (list, to, control) = (list, to, control);
        let (mut next, mut total) = (list.0, 0);
        // SAFETY: the client keeps all of this until the request has completed.
        unsafe {
            read_control(control, control_length);
            while !next.is_null() {
                let bytes = mdl::read(&raw const (*next).Buffer);
                total += bytes.len();
                send(number, port_of(to.0), bytes);
                next = (*next).Next;
            }
        }
        complete(irp, number, STATUS_SUCCESS, total);
    })
}

/// Sends a datagram, which arrives at once.
fn send(number: usize, to: Option<u16>, bytes: Vec<u8>) {
    let mut here = world();
    let socket = here.socket(number);
    let (from, to) = (socket.port, to.unwrap_or(socket.fixed));
    let Some(target) = here.at_port(Kind::Datagram, to) else {
        return;
    };
    let receive = claim(&mut here, |waiting| {
        waiting.socket == target && matches!(waiting.what, What::Datagram { .. })
    });
    if let Some(receive) = receive {
        drop(here);
        fill(receive, from, &bytes);
    } else {
        here.socket(target).datagrams.push_back((from, bytes));
        drop(here);
        indicate(target);
    }
}

/// Completes a receive with a datagram.
#[allow(clippy::needless_pass_by_value)]
fn fill(receive: Waiting, from: u16, bytes: &[u8]) {
    let Waiting {
        irp,
        socket,
        what:
            What::Datagram {
                buffer,
                from: place,
                control_length,
                flags,
            },
    } = receive
    else {
        return;
    };
    // SAFETY: the client keeps all of this until the request has completed.
    let written = unsafe {
        let written = mdl::write(buffer.0, bytes);
        write_address(place.0, from);
        if !control_length.0.is_null() {
            control_length.0.write(0);
        }
        if !flags.0.is_null() {
            flags
                .0
                .write(if written < bytes.len() { MSG_TRUNC } else { 0 });
        }
        written
    };
    let status = if written < bytes.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        STATUS_SUCCESS
    };
    complete(irp, socket, status, written);
}

/// `WskReceiveFrom`.
unsafe extern "system" fn receive_from(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    from: *mut SOCKADDR,
    control_length: *mut u32,
    _: *mut WSACMSGHDR,
    flags: *mut u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let number = socket.addr();
    let what = What::Datagram {
        buffer: Place(buffer),
        from: Place(from),
        control_length: Place(control_length),
        flags: Place(flags),
    };
    let status = take_on(number, irp, move |irp: Irp| {
        let mut here = world();
        let this = here.socket(number);
        if let Some((from, bytes)) = this.datagrams.pop_front() {
            drop(here);
            let receive = Waiting {
                irp,
                socket: number,
                what,
            };
            fill(receive, from, &bytes);
        } else if this.closing.is_some() {
            drop(here);
            complete(irp, number, wsk_sys::STATUS_CANCELLED, 0);
        } else {
            wait(here, irp, number, what);
        }
    });
    let mut here = world();
    if here.manner == Some(Manner::KeptAndWritten) {
        let (buffer, completions) = (Place(buffer), here.completions_of_kept);
        let thread = std::thread::spawn(move || write_until_completed(buffer, completions));
        here.threads.push(thread);
    }
    status
}

/// Writes to the buffer of a kept request again and again, until the request is completed after all.
fn write_until_completed(buffer: Place<WSK_BUF>, completions: usize) {
    loop {
        let here = world();
        if here.completions_of_kept != completions {
            return;
        }
        // SAFETY: the request has not completed, and cannot while the world is locked.
        unsafe { mdl::write(buffer.0, &[0xA5; 8]) };
        drop(here);
        crate::sleep(std::time::Duration::from_millis(100));
    }
}

/// An indicated datagram. The indication is the first field, so that its address is that of the whole.
#[repr(C)]
struct Indicated {
    indication: WSK_DATAGRAM_INDICATION,
    address: SOCKADDR_IN,
    coalesced: Coalesced,
    described: Described,
}

/// The control information of a datagram that begins with a `c`: it was coalesced from datagrams of three bytes each.
#[repr(C)]
struct Coalesced {
    header: WSACMSGHDR,
    size: u32,
}

#[allow(clippy::cast_possible_truncation)]
const CONTROL: u32 = size_of::<Coalesced>() as u32;

impl Indicated {
    /// Makes an indication for a datagram, with others after it.
    fn place(from: u16, bytes: Vec<u8>, next: *mut WSK_DATAGRAM_INDICATION) -> *mut Self {
        let is_coalesced = bytes.first() == Some(&b'c');
        let length = bytes.len();
        let place = Box::into_raw(Box::new(Self {
            indication: WSK_DATAGRAM_INDICATION::default(),
            address: address(from),
            coalesced: Coalesced {
                header: WSACMSGHDR {
                    cmsg_len: offset_of!(Coalesced, size) + size_of::<u32>(),
                    cmsg_level: IPPROTO::IPPROTO_UDP.0,
                    cmsg_type: UDP_COALESCED_INFO.cast_signed(),
                },
                size: 3,
            },
            described: Described::new(bytes),
        }));
        // SAFETY: the place was just made, and belongs to this function.
        unsafe {
            (*place).indication = WSK_DATAGRAM_INDICATION {
                Next: next,
                Buffer: WSK_BUF {
                    Mdl: &raw mut (*place).described.mdl,
                    Offset: 0,
                    Length: length,
                },
                RemoteAddress: (&raw mut (*place).address).cast(),
                ..WSK_DATAGRAM_INDICATION::default()
            };
            if is_coalesced {
                (*place).indication.ControlInfo = (&raw mut (*place).coalesced).cast();
                (*place).indication.ControlInfoLength = CONTROL;
            }
        }
        place
    }

    /// Frees all indications in a list.
    ///
    /// # Safety
    ///
    /// The client no longer uses them.
    unsafe fn take_back(list: *mut WSK_DATAGRAM_INDICATION) {
        let mut next = list;
        while !next.is_null() {
            // SAFETY: the caller passes the list, in which each indication is the first field of an indicated datagram.
            let indicated = unsafe { Box::from_raw(next.cast::<Self>()) };
            assert!(!indicated.described.bytes.is_empty());
            next = indicated.indication.Next;
        }
    }
}

/// Indicates the datagrams that have arrived, if the event is enabled.
pub(super) fn indicate(number: usize) {
    loop {
        let mut here = world();
        let Some(socket) = here.sockets.get_mut(&number) else {
            return;
        };
        if socket.events & WSK_EVENT_RECEIVE_FROM == 0 || socket.closing.is_some() {
            return;
        }
        let datagrams: Vec<_> = socket.datagrams.drain(..).collect();
        if datagrams.is_empty() {
            return;
        }
        socket.busy += 1;
        let (context, callbacks) = (socket.context, socket.callbacks);
        drop(here);
        let mut list = core::ptr::null_mut();
        for (from, bytes) in datagrams.iter().rev() {
            list = Indicated::place(*from, bytes.clone(), list).cast();
        }
        // SAFETY: the list belongs to this function until the callback has it. Context and callbacks belong to the socket, which
        // is open.
        let status = unsafe {
            let callbacks = callbacks.0.cast::<WSK_CLIENT_DATAGRAM_DISPATCH>();
            let event = (*callbacks).WskReceiveFromEvent.expect("an event");
            raised(|| event(context.0, 0, list))
        };
        if status != STATUS_PENDING {
            // SAFETY: the client no longer uses it.
            unsafe { Indicated::take_back(list) };
        }
        if status == STATUS_DATA_NOT_ACCEPTED {
            let mut here = world();
            for datagram in datagrams.into_iter().rev() {
                here.socket(number).datagrams.push_front(datagram);
            }
            drop(here);
            done(number);
            return;
        }
        done(number);
    }
}

/// `WskRelease`.
unsafe extern "system" fn release(
    _: *mut WSK_SOCKET,
    indication: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the client returns indications that it has retained.
    unsafe { Indicated::take_back(indication) };
    STATUS_SUCCESS
}
