//! Names and addresses: `WskGetAddressInfo`, `WskFreeAddressInfo`, `WskGetNameInfo`.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::*;

/// A counted string.
///
/// # Invariants
///
/// It is leaked. Its units are there as long as it is used: as many as its maximum length tells, and initialised.
#[derive(Clone, Copy)]
struct Text(*mut UNICODE_STRING);

impl Text {
    fn new(text: &str) -> Self {
        let units: &'static mut [u16] = text.encode_utf16().collect::<Vec<u16>>().leak();
        let bytes = (units.len() * 2) as u16;
        let string = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: units.as_mut_ptr(),
        };
        // SAFETY: the units are never freed.
        unsafe { Self::of(string) }
    }

    /// Room for `length` units.
    fn room(length: usize) -> Self {
        let units: &'static mut [u16] = vec![u16::from(b'?'); length].leak();
        let string = UNICODE_STRING {
            Length: 0,
            MaximumLength: (units.len() * 2) as u16,
            Buffer: units.as_mut_ptr(),
        };
        // SAFETY: the units are never freed.
        unsafe { Self::of(string) }
    }

    /// # Safety
    ///
    /// The units are there, initialised, as long as the string is used.
    unsafe fn of(string: UNICODE_STRING) -> Self {
        // INVARIANT: nobody frees the string; the caller says so for the units.
        Self(Box::into_raw(Box::new(string)))
    }

    /// What the kernel has written, in a call that is over.
    fn get(self) -> String {
        // SAFETY: by the invariant; the kernel writes no more than there is room for.
        let units = unsafe {
            let length = usize::from((*self.0).Length) / 2;
            core::slice::from_raw_parts((*self.0).Buffer, length)
        };
        String::from_utf16(units).unwrap()
    }
}

fn hints(family: u16, kind: u16, flags: u32) -> ADDRINFOEXW {
    // SAFETY: numbers and pointers may be zero.
    let zero = unsafe { core::mem::zeroed::<ADDRINFOEXW>() };
    ADDRINFOEXW {
        ai_family: family.into(),
        ai_socktype: kind.into(),
        ai_flags: flags.cast_signed(),
        ..zero
    }
}

/// What `WskGetAddressInfo` is called with.
///
/// # Invariants
///
/// All of it is leaked: a call may be left to last.
struct Query {
    node: Option<Text>,
    service: Option<Text>,
    hints: *mut ADDRINFOEXW,
    result: *mut *mut ADDRINFOEXW,
}

impl Query {
    fn new(node: &str, service: &str) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Text::new(text));
        // INVARIANT: nobody frees the place, or what the texts are.
        Self {
            node: text(node),
            service: text(service),
            hints: ptr::null_mut(),
            result: Box::into_raw(Box::new(ptr::null_mut())),
        }
    }

    fn hint(self, family: u16, kind: u16, flags: u32) -> Self {
        self.hint_of(hints(family, kind, flags))
    }

    fn hint_of(self, hints: ADDRINFOEXW) -> Self {
        // INVARIANT: nobody frees them.
        Self {
            hints: Box::into_raw(Box::new(hints)),
            ..self
        }
    }

    fn start(&self, client: &Client, call: &Call) -> NTSTATUS {
        let raw = |text: Option<Text>| text.map_or(ptr::null_mut(), |Text(string)| string);
        // SAFETY: by the invariants of the query and of the call; the kernel knows its clients.
        unsafe {
            client.table().WskGetAddressInfo.unwrap()(
                client.client(),
                raw(self.node),
                raw(self.service),
                NS_ALL,
                ptr::null_mut(),
                self.hints,
                self.result,
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp(),
            )
        }
    }

    /// The outcome with the list, which isn't freed.
    fn run(self, client: &Client) -> ((NTSTATUS, usize), *mut ADDRINFOEXW) {
        let outcome = conclude(|call| self.start(client, call));
        // SAFETY: by the invariant; the call is over.
        (outcome, unsafe { *self.result })
    }

    /// The addresses; the list is freed.
    fn ask(self, client: &Client) -> Result<Vec<SocketAddr>, NTSTATUS> {
        let ((status, information), list) = self.run(client);
        assert_eq!(information, status.0.cast_unsigned() as usize);
        if status != STATUS_SUCCESS {
            assert!(list.is_null());
            return Err(status);
        }
        // SAFETY: the kernel gave the list just now.
        let addresses = unsafe { addresses(list) };
        free(client, list);
        Ok(addresses)
    }
}

/// # Safety
///
/// The list is one of `WskGetAddressInfo`, and not freed.
unsafe fn addresses(list: *mut ADDRINFOEXW) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    let mut next = list;
    // SAFETY: the caller says so: each entry is readable.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: each entry has an address.
        let address = unsafe { Address::read(entry.ai_addr) };
        let (family, length) = if address.is_ipv4() {
            (AF_INET, size_of::<SOCKADDR_IN>())
        } else {
            (AF_INET6, size_of::<SOCKADDR_IN6>())
        };
        assert_eq!(
            (entry.ai_family, entry.ai_addrlen),
            (i32::from(family), length)
        );
        addresses.push(address);
        next = entry.ai_next;
    }
    addresses
}

fn free(client: &Client, list: *mut ADDRINFOEXW) {
    // SAFETY: the kernel knows its clients, and the lists that it gave out.
    unsafe { client.table().WskFreeAddressInfo.unwrap()(client.client(), list) };
}

fn all(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}

#[test]
fn numbers() {
    each_policy(|kernel, client| {
        assert_eq!(
            Query::new("192.0.2.7", "80").ask(client),
            Ok(all(&["192.0.2.7:80"]))
        );
        assert_eq!(
            Query::new("2001:db8::1", "").ask(client),
            Ok(all(&["[2001:db8::1]:0"]))
        );
        let numeric = Query::new("192.0.2.7", "80").hint(AF_INET, SOCK_STREAM, AI_NUMERICHOST);
        assert_eq!(numeric.ask(client), Ok(all(&["192.0.2.7:80"])));
        let passive = Query::new("", "80").hint(AF_INET, SOCK_STREAM, AI_PASSIVE);
        assert_eq!(passive.ask(client), Ok(all(&["0.0.0.0:80"])));
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn localhost() {
    each_policy(|_, client| {
        let v4 = Query::new("LocalHost", "7").hint(AF_INET, 0, 0);
        assert_eq!(v4.ask(client), Ok(all(&["127.0.0.1:7"])));
        let v6 = Query::new("localhost", "").hint(AF_INET6, 0, 0);
        assert_eq!(v6.ask(client), Ok(all(&["[::1]:0"])));
        let both = Query::new("localhost", "7").ask(client).unwrap();
        assert!(both.contains(&all(&["127.0.0.1:7"])[0]), "{both:?}");
        assert!(both.contains(&all(&["[::1]:7"])[0]), "{both:?}");
        assert_eq!(both.len(), 2);
    });
}

#[test]
fn canonical_names() {
    each_policy(|_, client| {
        let query = Query::new("localhost", "").hint(AF_UNSPEC, 0, AI_CANONNAME);
        let ((status, _), list) = query.run(client);
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: the first entry has a name, which ends with a zero.
        let units = unsafe { core::slice::from_raw_parts((*list).ai_canonname, 10) };
        assert_eq!(String::from_utf16(units).unwrap(), "localhost\0");
        free(client, list);
    });
}

#[test]
fn what_cannot_be_resolved() {
    each_policy(|_, client| {
        let no_number = Query::new("localhost", "").hint(AF_INET, SOCK_STREAM, AI_NUMERICHOST);
        assert_eq!(no_number.ask(client), Err(STATUS_NO_MATCH));
        assert_eq!(
            Query::new("no.such.name.invalid", "80").ask(client),
            Err(STATUS_NO_MATCH)
        );
        let other_family = Query::new("192.0.2.7", "80").hint(AF_INET6, SOCK_STREAM, 0);
        assert_eq!(other_family.ask(client), Err(STATUS_NO_MATCH));
        assert_eq!(
            Query::new("192.0.2.7", "no-such-service").ask(client),
            Err(STATUS_NO_MATCH)
        );
        assert_eq!(
            Query::new("", "").ask(client),
            Err(STATUS_INVALID_PARAMETER)
        );
        let unknown = Query::new("192.0.2.7", "").hint(99, 0, 0);
        assert_eq!(unknown.ask(client), Err(STATUS_NOT_SUPPORTED));
        let wrong = Query::new("192.0.2.7", "").hint_of(ADDRINFOEXW {
            ai_addrlen: 16,
            ..hints(AF_INET, 0, 0)
        });
        assert_eq!(wrong.ask(client), Err(STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn cancelling_before_and_meanwhile() {
    each_policy(|kernel, client| {
        let query = Query::new("no.such.name.invalid", "80");
        let call = Call::new();
        call.cancel();
        assert_eq!(query.start(client, &call), STATUS_PENDING);
        assert_eq!(call.finish().0, STATUS_CANCELLED);
        for _ in 0..20 {
            let query = Query::new("no.such.name.invalid", "80");
            let call = Call::new();
            let _ = query.start(client, &call);
            call.cancel();
            let (status, _) = call.finish();
            assert!(
                matches!(status, STATUS_CANCELLED | STATUS_NO_MATCH),
                "{status:?}"
            );
        }
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn a_planned_failure() {
    let kernel = Kernel::boot();
    let client = Client::new();
    kernel.fail_nth_call(1);
    assert_eq!(
        Query::new("192.0.2.7", "80").ask(&client),
        Err(STATUS_INSUFFICIENT_RESOURCES)
    );
    assert!(Query::new("192.0.2.7", "80").ask(&client).is_ok());
    client.leave();
    kernel.shutdown();
}

fn name_of(
    client: &Client,
    of: &str,
    flags: u32,
    room: usize,
) -> Result<(String, String), NTSTATUS> {
    let address = Address::lasting(of.parse().unwrap());
    let (node, service) = (Text::room(room), Text::room(32));
    let (status, information) = conclude(|call| {
        // SAFETY: by the invariants of the texts and of the call; the address is never freed; the kernel knows its
        // clients.
        unsafe {
            client.table().WskGetNameInfo.unwrap()(
                client.client(),
                address,
                size_of::<SOCKADDR_INET>() as u32,
                node.0,
                service.0,
                flags,
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp(),
            )
        }
    });
    assert_eq!(information, status.0.cast_unsigned() as usize);
    if status == STATUS_SUCCESS {
        Ok((node.get(), service.get()))
    } else {
        Err(status)
    }
}

#[test]
fn names_of_addresses() {
    each_policy(|_, client| {
        let numeric = NI_NUMERICHOST | NI_NUMERICSERV;
        let pair = |node: &str, service: &str| Ok((node.to_owned(), service.to_owned()));
        assert_eq!(
            name_of(client, "192.0.2.7:80", numeric, 64),
            pair("192.0.2.7", "80")
        );
        assert_eq!(
            name_of(client, "[2001:db8::1]:0", numeric, 64),
            pair("2001:db8::1", "0")
        );
        // The zero behind the name needs room too.
        assert_eq!(
            name_of(client, "192.0.2.7:80", numeric, 10),
            pair("192.0.2.7", "80")
        );
        assert_eq!(
            name_of(client, "192.0.2.7:80", numeric, 9),
            Err(STATUS_BUFFER_TOO_SMALL)
        );
    });
}

// What the judges see.

#[test]
fn result_freed_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (_, list) = Query::new("192.0.2.7", "80").run(&client);
        free(&client, list);
        free(&client, list);
    })
    .tells("isn't a list of WskGetAddressInfo (any more)")
    .tells("freed by WskFreeAddressInfo");
}

#[test]
fn result_freed_as_pool() {
    expect_bugcheck(POOL, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let (_, list) = Query::new("192.0.2.7", "80").run(&client);
        // SAFETY: breaks the rule; the kernel knows what the block is, and stops before it is freed.
        unsafe { ExFreePool(list.cast()) };
    })
    .tells("which WskFreeAddressInfo frees");
}

#[test]
fn result_never_freed() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let _ = Query::new("192.0.2.7", "80").run(&client);
    client.leave();
    let leaks = kernel.finish().unwrap_err();
    assert_eq!(leaks.entries().len(), 1, "{leaks}");
    assert!(
        leaks.entries()[0].contains("result of WskGetAddressInfo"),
        "{leaks}"
    );
}

unsafe extern "system" fn takes_its_time(
    _dpc: *mut KDPC,
    _context: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
    std::thread::sleep(std::time::Duration::from_millis(1_000));
}

/// Keeps the processor that completes IRPs busy for a while.
fn hold_completions() {
    let dpc = Box::into_raw(Box::new(KDPC::default()));
    // SAFETY: the DPC is never freed, and its routine doesn't look at what it is given.
    unsafe {
        KeInitializeDpc(dpc, Some(takes_its_time), ptr::null_mut());
        KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
}

#[test]
fn name_written_before_the_answer() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let query = Query::new("no.such.name.invalid", "80");
        let call = Call::new();
        hold_completions();
        let _ = query.start(&client, &call);
        // SAFETY: the units are there. Writing one in flight breaks the rule, but the kernel has read them by the time
        // that the call returns, and compares them when it completes the call, which is held up.
        unsafe { *(*query.node.unwrap().0).Buffer = u16::from(b'N') };
        let _ = call.finish();
    })
    .tells("WskGetAddressInfo was written before the IRP was completed");
}

#[test]
fn name_freed_before_the_answer() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let buffer = Buffer::of(b"x\0y\0");
        let string = UNICODE_STRING {
            Length: 4,
            MaximumLength: 4,
            Buffer: buffer.memory().cast(),
        };
        // SAFETY: the buffer has the units. Freeing it in flight breaks the rule; the kernel knows that the call uses
        // it, and stops before it is freed.
        let node = unsafe { Text::of(string) };
        let query = Query {
            node: Some(node),
            ..Query::new("", "80")
        };
        let call = Call::new();
        hold_completions();
        let _ = query.start(&client, &call);
        buffer.free();
        let _ = call.finish();
    })
    .tells("the node name of a call in flight (WskGetAddressInfo)");
}

#[test]
fn resolving_at_dispatch_level() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let query = Query::new("192.0.2.7", "80");
        let call = Call::new();
        let _ = at_irql(DISPATCH_LEVEL, || query.start(&client, &call));
    })
    .tells("(0xE5, 0x2");
}
