//! Names and addresses: `WskGetAddressInfo`, `WskFreeAddressInfo`, `WskGetNameInfo`.

#![allow(
    clippy::pedantic,
    clippy::field_reassign_with_default,
    clippy::type_complexity,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "raw driver code, as a test"
)]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::*;

const VERIFIER: &str = "DRIVER_VERIFIER_DETECTED_VIOLATION";

/// Runs `body` with a client on a kernel of each completion policy.
fn each_policy(body: impl Fn(&Kernel, &Client)) {
    for (completion, seed) in [
        (Completion::Inline, 0),
        (Completion::Deferred, 0),
        (Completion::Seeded, 1),
        (Completion::Seeded, 2),
        (Completion::Seeded, 3),
    ] {
        let kernel = Kernel::builder().completion(completion).seed(seed).boot();
        let client = Client::new();
        body(&kernel, &client);
        client.leave();
        kernel.shutdown();
    }
}

/// A counted string with room for itself.
struct Text {
    units: Vec<u16>,
    string: Box<UNICODE_STRING>,
}

impl Text {
    fn new(text: &str) -> Self {
        let mut units: Vec<u16> = text.encode_utf16().collect();
        let bytes = (units.len() * 2) as u16;
        let string = Box::new(UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: units.as_mut_ptr(),
        });
        Self { units, string }
    }

    /// Room for `length` units.
    fn room(length: usize) -> Self {
        let mut text = Self::new(&"?".repeat(length));
        text.string.Length = 0;
        text
    }

    fn get(&self) -> String {
        let length = usize::from(self.string.Length) / 2;
        let units = unsafe { core::slice::from_raw_parts(self.units.as_ptr(), length) };
        String::from_utf16(units).unwrap()
    }

    fn raw(&mut self) -> *mut UNICODE_STRING {
        &raw mut *self.string
    }
}

fn raw(text: &mut Option<Text>) -> *mut UNICODE_STRING {
    text.as_mut().map_or(ptr::null_mut(), Text::raw)
}

struct Query {
    node: Option<Text>,
    service: Option<Text>,
    hints: Option<Box<ADDRINFOEXW>>,
    result: Box<*mut ADDRINFOEXW>,
}

impl Query {
    fn new(node: &str, service: &str) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Text::new(text));
        Self {
            node: text(node),
            service: text(service),
            hints: None,
            result: Box::new(ptr::null_mut()),
        }
    }

    fn hint(mut self, family: u16, kind: u16, flags: u32) -> Self {
        let mut hints = unsafe { core::mem::zeroed::<ADDRINFOEXW>() };
        hints.ai_family = family.into();
        hints.ai_socktype = kind.into();
        hints.ai_flags = flags.cast_signed();
        self.hints = Some(Box::new(hints));
        self
    }

    fn start(&mut self, client: &Client, call: &Call) -> NTSTATUS {
        unsafe {
            (*client.provider.Dispatch).WskGetAddressInfo.unwrap()(
                client.provider.Client,
                raw(&mut self.node),
                raw(&mut self.service),
                NS_ALL,
                ptr::null_mut(),
                self.hints
                    .as_mut()
                    .map_or(ptr::null_mut(), |hints| &raw mut **hints),
                &raw mut *self.result,
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp,
            )
        }
    }

    /// The addresses; the list is freed.
    fn ask(mut self, client: &Client) -> Result<Vec<SocketAddr>, NTSTATUS> {
        let call = Call::new();
        let returned = self.start(client, &call);
        let (status, information) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        assert_eq!(information, status.0.cast_unsigned() as usize);
        if status != STATUS_SUCCESS {
            assert!(self.result.is_null());
            return Err(status);
        }
        let addresses = addresses(*self.result);
        free(client, *self.result);
        Ok(addresses)
    }
}

fn addresses(list: *mut ADDRINFOEXW) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    let mut next = list;
    while let Some(entry) = unsafe { next.as_ref() } {
        let mut raw = SOCKADDR_INET::default();
        unsafe {
            ptr::copy_nonoverlapping(
                entry.ai_addr.cast::<u8>(),
                (&raw mut raw).cast(),
                entry.ai_addrlen,
            );
            assert_eq!(entry.ai_family, i32::from(raw.si_family));
        }
        addresses.push(address(&raw));
        next = entry.ai_next;
    }
    addresses
}

fn free(client: &Client, list: *mut ADDRINFOEXW) {
    unsafe {
        (*client.provider.Dispatch).WskFreeAddressInfo.unwrap()(client.provider.Client, list);
    }
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
        let mut query = Query::new("localhost", "").hint(AF_UNSPEC, 0, AI_CANONNAME);
        let call = Call::new();
        let _ = query.start(client, &call);
        assert_eq!(call.finish().0, STATUS_SUCCESS);
        let name = unsafe { (**query.result).ai_canonname };
        let units: Vec<u16> = (0..10).map(|at| unsafe { *name.add(at) }).collect();
        assert_eq!(String::from_utf16(&units).unwrap(), "localhost\0");
        free(client, *query.result);
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
        let mut wrong = Query::new("192.0.2.7", "").hint(AF_INET, 0, 0);
        wrong.hints.as_mut().unwrap().ai_addrlen = 16;
        assert_eq!(wrong.ask(client), Err(STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn cancelling_before_and_meanwhile() {
    each_policy(|kernel, client| {
        let mut query = Query::new("no.such.name.invalid", "80");
        let call = Call::new();
        unsafe { IoCancelIrp(call.irp) };
        assert_eq!(query.start(client, &call), STATUS_PENDING);
        assert_eq!(call.finish().0, STATUS_CANCELLED);
        for _ in 0..20 {
            let mut query = Query::new("no.such.name.invalid", "80");
            let call = Call::new();
            let _ = query.start(client, &call);
            unsafe { IoCancelIrp(call.irp) };
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
    let mut sockaddr = sockaddr(of.parse().unwrap());
    let (mut node, mut service) = (Text::room(room), Text::room(32));
    let call = Call::new();
    let returned = unsafe {
        (*client.provider.Dispatch).WskGetNameInfo.unwrap()(
            client.provider.Client,
            (&raw mut sockaddr).cast(),
            size_of::<SOCKADDR_INET>() as u32,
            node.raw(),
            service.raw(),
            flags,
            ptr::null_mut(),
            ptr::null_mut(),
            call.irp,
        )
    };
    let (status, information) = call.finish();
    assert!(returned == status || returned == STATUS_PENDING);
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
        let mut query = Query::new("192.0.2.7", "80");
        let call = Call::new();
        let _ = query.start(&client, &call);
        let _ = call.finish();
        free(&client, *query.result);
        free(&client, *query.result);
    })
    .tells("isn't a list of WskGetAddressInfo (any more)")
    .tells("freed by WskFreeAddressInfo");
}

#[test]
fn result_freed_as_pool() {
    expect_bugcheck("BAD_POOL_CALLER", || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let mut query = Query::new("192.0.2.7", "80");
        let call = Call::new();
        let _ = query.start(&client, &call);
        let _ = call.finish();
        unsafe { ExFreePool((*query.result).cast()) };
    })
    .tells("which WskFreeAddressInfo frees");
}

#[test]
fn result_never_freed() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let mut query = Query::new("192.0.2.7", "80");
    let call = Call::new();
    let _ = query.start(&client, &call);
    let _ = call.finish();
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
    std::thread::sleep(std::time::Duration::from_millis(300));
}

/// Keeps the processor that completes IRPs busy for a while.
fn hold_completions() {
    let dpc = Box::leak(Box::new(unsafe { core::mem::zeroed::<KDPC>() }));
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
        let mut query = Query::new("no.such.name.invalid", "80");
        let call = Call::new();
        hold_completions();
        let _ = query.start(&client, &call);
        query.node.as_mut().unwrap().units[0] = u16::from(b'N');
        let _ = call.finish();
    })
    .tells("WskGetAddressInfo was written before the IRP was completed");
}

#[test]
fn name_freed_before_the_answer() {
    expect_bugcheck("PAGE_FAULT_IN_FREED_SPECIAL_POOL", || {
        let _kernel = Kernel::builder().completion(Completion::Deferred).boot();
        let client = Client::new();
        let mut query = Query::new("no.such.name.invalid", "80");
        let buffer = Buffer::of(b"x\0y\0");
        let string = query.node.as_mut().unwrap();
        string.string.Buffer = buffer.memory.cast();
        (string.string.Length, string.string.MaximumLength) = (4, 4);
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
        let mut query = Query::new("192.0.2.7", "80");
        let call = Call::new();
        let _ = at_irql(DISPATCH_LEVEL, || query.start(&client, &call));
    })
    .tells("(0xE5, 0x2");
}
