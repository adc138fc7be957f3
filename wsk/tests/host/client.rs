//! Operations on the client, which owns the sockets, and access to what the crate does not offer, on the host kernel.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::net::SocketAddr;

use wsk::ioctl::Extension;
use wsk::raw::{RawClientControl, RawDescriptor, StaticEvents};
use wsk::{
    Call, ConnectedSocket, ConnectionSocket, DatagramSocket, Error, Family, ListenSocket, Provider,
    Registration, SecurityDescriptor, TdiDevice, Transport, Wait,
};
use wsk_host::{DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::{
    AF_INET, AF_INET6, GUID, IPPROTO, NTSTATUS, SOCK_DGRAM, SOCK_STREAM, STATUS_BUFFER_OVERFLOW,
    STATUS_CANCELLED, STATUS_DEVICE_NOT_READY, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
    WSK_EVENT_RECEIVE_FROM, WSK_TDI_BEHAVIOR, WSK_TRANSPORT_LIST_CHANGE, WSK_TRANSPORT_LIST_QUERY,
    WskProviderDatagramDispatch,
};

use crate::setting::{
    FAST, LOOPBACK, MOMENT, PATIENCE, kernels, on_each_kernel, on_each_seeded_kernel, until,
};

fn refused<T>(status: NTSTATUS) -> Result<T, Error> {
    Err(Error::Call {
        call: Call::WskControlClient,
        status,
    })
}

/// A self-relative descriptor whose owner is everyone. It has no access list, so it allows everything.
#[repr(align(4))]
struct Descriptor([u8; 32]);

static EVERYONE: Descriptor = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    // SE_SELF_RELATIVE
    bytes[3] = 0x80;
    // The owner, S-1-1-0, follows the header.
    bytes[4] = 20;
    bytes[20] = 1;
    bytes[21] = 1;
    bytes[27] = 1;
    Descriptor(bytes)
};

fn descriptor() -> NonNull<c_void> {
    NonNull::from(&EVERYONE.0).cast()
}

pub(crate) fn cached(provider: &Provider) -> SecurityDescriptor {
    // SAFETY: a valid descriptor, which nobody changes.
    unsafe { provider.cache_security_descriptor(RawDescriptor::new(descriptor())) }.unwrap()
}

#[test]
fn tdi_is_bypassed_before_there_are_sockets() {
    on_each_kernel(|_, provider| {
        assert_eq!(at_irql(DISPATCH_LEVEL, || provider.bypass_tdi()), Ok(()));
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(provider.bypass_tdi(), refused(STATUS_INVALID_DEVICE_STATE));
        socket.close().unwrap();
    });
}

#[test]
fn tdi_devices_are_mapped_before_there_are_sockets() {
    const NAME: [u16; 3] = [b'\\' as u16, b'X' as u16, 0];
    static NONE: [u16; 2] = [b'X' as u16, b'Y' as u16];
    static TWO: [u16; 4] = [b'X' as u16, 0, b'Y' as u16, 0];
    static DEVICES: [TdiDevice; 2] = [
        TdiDevice::new(SOCK_STREAM, 6, 1256, &NAME).unwrap(),
        TdiDevice::new(SOCK_DGRAM, 6, 1000, &NAME).unwrap(),
    ];
    static NAMELESS: [TdiDevice; 1] = [TdiDevice::new(1, 6, 0, &[0]).unwrap()];
    assert!(
        TdiDevice::new(1, 6, 0, &NONE).is_none(),
        "the name has no terminating zero"
    );
    assert!(
        TdiDevice::new(1, 6, 0, &TWO).is_none(),
        "the name has a zero inside"
    );
    assert!(TdiDevice::new(1, 6, 0, &[]).is_none());
    on_each_kernel(|_, provider| {
        assert_eq!(provider.map_tdi_devices(&DEVICES), Ok(()));
        let nameless = provider.map_tdi_devices(&NAMELESS);
        assert_eq!(nameless, refused(STATUS_INVALID_PARAMETER));
        let _socket = DatagramSocket::open(provider, Family::V4).unwrap();
        let late = provider.map_tdi_devices(&DEVICES);
        assert_eq!(late, refused(STATUS_INVALID_DEVICE_STATE));
    });
}

#[test]
fn transports_are_listed() {
    on_each_kernel(|_, provider| {
        let count = at_irql(DISPATCH_LEVEL, || provider.transport_count()).unwrap();
        let mut room = [Transport::default(); 64];
        let (short, _) = room.split_at_mut(count - 1);
        assert_eq!(
            provider.transports(short).map(<[_]>::len),
            refused(STATUS_BUFFER_OVERFLOW)
        );
        assert_eq!(
            provider.transports(&mut []).map(<[_]>::len),
            refused(STATUS_BUFFER_OVERFLOW)
        );
        let transports = provider.transports(&mut room).unwrap();
        assert_eq!(transports.len(), count);
        let protocol = |number: IPPROTO| number.0.cast_unsigned();
        for (kind, number) in [
            (SOCK_DGRAM, IPPROTO::IPPROTO_UDP),
            (SOCK_STREAM, IPPROTO::IPPROTO_TCP),
        ] {
            for family in [AF_INET, AF_INET6] {
                let found = transports.iter().filter(|transport| {
                    transport.version() == 0x0100
                        && transport.socket_type() == kind
                        && transport.protocol() == protocol(number)
                        && transport.address_family() == family
                });
                assert_eq!(found.count(), 1, "{kind} {family}");
            }
        }
        let above = at_irql(DISPATCH_LEVEL, || {
            provider.transports(&mut room).map(<[_]>::len)
        });
        assert!(matches!(above, Err(Error::WrongIrql { .. })));
    });
}

#[test]
fn a_change_of_the_transports_is_waited_for() {
    on_each_seeded_kernel(|kernel, provider| {
        let limited = provider.transport_change().wait_timeout(MOMENT);
        assert_eq!(
            limited,
            Err(Error::TimedOut {
                call: Call::WskControlClient
            })
        );
        assert_eq!(kernel.change_transports(), 0, "no request waits any more");
        let first = provider.transport_change().start().unwrap();
        let second = provider.transport_change().start().unwrap();
        // Dropping an operation cancels it.
        drop(provider.transport_change().start().unwrap());
        until("two wait", || kernel.counts().in_flight == 2);
        assert_eq!(kernel.change_transports(), 2);
        assert_eq!(first.wait_timeout(PATIENCE).unwrap(), Ok(()));
        assert_eq!(second.wait_timeout(PATIENCE).unwrap(), Ok(()));
        let cancelled = provider.transport_change().start().unwrap();
        cancelled.cancel();
        assert_eq!(
            cancelled.wait().unwrap(),
            refused(STATUS_CANCELLED),
            "{kernel:?}"
        );
    });
}

#[test]
fn a_security_descriptor_is_cached_and_given_to_sockets() {
    on_each_seeded_kernel(|kernel, provider| {
        let before = kernel.counts();
        let descriptor = cached(provider);
        let secured = provider.secured_by(&descriptor);
        drop(descriptor);
        let datagrams = DatagramSocket::open(&secured, Family::V4).unwrap();
        datagrams
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let listener = ListenSocket::open(&secured, Family::V4).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let to = listener.local_address().unwrap();
        let connected = ConnectedSocket::connect(&secured, to).wait().unwrap();
        let started = ConnectedSocket::connect(&secured, to).start().unwrap();
        // The request keeps the registration.
        drop(secured);
        let also = started.wait().unwrap().unwrap();
        let unconnected = ConnectionSocket::open(provider, Family::V4).unwrap();
        drop((datagrams, connected, also, unconnected, listener));
        until("all are closed", || {
            kernel.counts().sockets.live == before.sockets.live
        });
    });
}

#[test]
fn a_security_descriptor_is_released_wherever_it_is_dropped() {
    for kernel in kernels() {
        let registration = Registration::new().unwrap();
        let provider = registration.capture(Wait::Forever).unwrap();
        let first = cached(&provider);
        let second = cached(&provider);
        let clone = first.clone();
        drop(first);
        at_irql(DISPATCH_LEVEL, || drop((clone, second)));
        let above = at_irql(DISPATCH_LEVEL, || {
            // SAFETY: a valid descriptor, which nobody changes.
            unsafe { provider.cache_security_descriptor(RawDescriptor::new(descriptor())) }
                .map(drop)
        });
        assert!(matches!(above, Err(Error::WrongIrql { .. })));
        kernel.fail_nth_allocation(1);
        // SAFETY: as before.
        let failed =
            unsafe { provider.cache_security_descriptor(RawDescriptor::new(descriptor())) }
                .map(drop);
        assert!(matches!(failed, Err(Error::NoMemory(_))));
        kernel.fail_nth_allocation(2);
        // SAFETY: as before.
        let failed =
            unsafe { provider.cache_security_descriptor(RawDescriptor::new(descriptor())) }
                .map(drop);
        assert!(matches!(failed, Err(Error::NoMemory(_))));
        kernel.fail_nth_call(1);
        // SAFETY: as before.
        let failed =
            unsafe { provider.cache_security_descriptor(RawDescriptor::new(descriptor())) }
                .map(drop);
        assert!(matches!(failed, Err(Error::Call { .. })));
        drop(provider);
        // The release that was postponed happens before the client deregisters. Shutting the kernel down would report a leak.
        drop(registration);
        kernel.shutdown();
    }
}

#[test]
fn a_socket_is_given_a_security_descriptor_and_tells_its_own() {
    on_each_seeded_kernel(|kernel, provider| {
        let descriptor = cached(provider);
        let datagrams = DatagramSocket::open(provider, Family::V4).unwrap();
        let listener = ListenSocket::open(provider, Family::V4).unwrap();
        let connection = ConnectionSocket::open(provider, Family::V4).unwrap();
        // The socket has the system's descriptor before it gets another one.
        drop(datagrams.security_descriptor().wait().unwrap());
        let setting = datagrams.set_security_descriptor(&descriptor);
        assert_eq!(setting.wait(), Ok(()));
        let setting = listener.set_security_descriptor(&descriptor);
        assert_eq!(setting.wait_timeout(PATIENCE), Ok(()));
        let started = connection.set_security_descriptor(&descriptor).start();
        // The request keeps the descriptor.
        drop(descriptor);
        assert_eq!(started.unwrap().wait().unwrap(), Ok(()));
        // A descriptor read from one socket can be set on another.
        let copy = datagrams.security_descriptor().wait().unwrap();
        let other = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(other.set_security_descriptor(&copy).wait(), Ok(()));
        let started = listener.security_descriptor().start().unwrap();
        drop(started.wait().unwrap().unwrap());
        // A prepared request sets one again and again, and another one. It keeps the descriptor.
        let mut setting = other.set_security_descriptor(&copy).prepare().unwrap();
        assert_eq!((setting.wait(), setting.wait()), (Ok(()), Ok(())));
        *setting.buffer_mut().unwrap() = cached(provider);
        assert_eq!((setting.wait(), setting.wait()), (Ok(()), Ok(())));
        let started = setting.start().unwrap();
        assert_eq!(started.wait().unwrap().result(), Ok(()));
        drop(other.security_descriptor().wait().unwrap());
        // It is too late to set one after binding.
        let local = LOOPBACK.parse::<SocketAddr>().unwrap();
        listener.bind(local).unwrap();
        let setting = listener.set_security_descriptor(&copy).wait();
        let late = |call| Error::Call {
            call,
            status: STATUS_INVALID_DEVICE_STATE,
        };
        assert_eq!(setting, Err(late(Call::WskControlSocket)));
        let to = listener.local_address().unwrap();
        connection.bind(local).unwrap();
        let connected = connection.connect(to).wait().unwrap();
        drop(connected.security_descriptor().wait().unwrap());
        // If nobody takes the descriptor, it is released nevertheless, at any IRQL.
        drop(datagrams.security_descriptor().start().unwrap());
        let completion = |read: Result<SecurityDescriptor, Error>| drop(read.unwrap());
        datagrams
            .security_descriptor()
            .start_with(completion)
            .unwrap();
        until("both are over", || kernel.counts().in_flight == 0);
        kernel.fail_nth_call(1);
        let failed = datagrams.security_descriptor().wait().map(drop);
        assert!(matches!(failed, Err(Error::Call { .. })), "{failed:?}");
        let allocations = (1..64).find(|&nth| {
            kernel.fail_nth_allocation(nth);
            match datagrams.security_descriptor().wait() {
                Ok(_) => true,
                Err(error) => {
                    assert!(matches!(error, Error::NoMemory(_)), "{error}");
                    false
                }
            }
        });
        assert!(allocations > Some(2));
    });
}

#[test]
fn a_security_descriptor_that_is_given_late_is_released() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let socket = DatagramSocket::open(&provider, Family::V4).unwrap();
    let descriptor = cached(&provider);
    kernel.fail_nth(Resource::Completion, 1);
    let abandoned = socket.security_descriptor().wait().map(drop);
    assert!(
        matches!(abandoned, Err(Error::Abandoned { .. })),
        "{abandoned:?}"
    );
    kernel.fail_nth(Resource::Completion, 1);
    let abandoned = socket.set_security_descriptor(&descriptor).wait();
    assert!(
        matches!(abandoned, Err(Error::Abandoned { .. })),
        "{abandoned:?}"
    );
    drop(descriptor);
    assert_eq!(kernel.complete_withheld(), 2);
    drop((socket, provider, registration));
    kernel.shutdown();
}

#[test]
fn a_socket_is_registered_for_an_extension() {
    const EXTENSION: GUID = GUID {
        Data1: 1,
        Data2: 2,
        Data3: 3,
        Data4: [4; 8],
    };
    static INTERFACE: GUID = EXTENSION;
    static CLIENT: [usize; 2] = [5, 6];
    static PROVIDER: [usize; 2] = [7, 8];
    on_each_kernel(|kernel, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        let register = || {
            let context = (&raw const CLIENT[0]).cast_mut().cast();
            // SAFETY: table and context are statics, which the interface below does not use.
            let extension =
                unsafe { Extension::new(&INTERFACE, context, (&raw const CLIENT).cast()) };
            at_irql(DISPATCH_LEVEL, || socket.register_extension(extension))
        };
        let (call, status) = (Call::WskControlSocket, STATUS_NOT_SUPPORTED);
        assert_eq!(register().map(drop), Err(Error::Call { call, status }));
        kernel.offer_extension(EXTENSION, |context, dispatch| {
            assert_eq!(context.addr(), (&raw const CLIENT[0]).addr());
            assert_eq!(dispatch.addr(), (&raw const CLIENT).addr());
            let context = (&raw const PROVIDER[1]).cast_mut().cast();
            (context, (&raw const PROVIDER).cast())
        });
        let given = register().unwrap();
        assert_eq!(given.context.addr(), (&raw const PROVIDER[1]).addr());
        assert_eq!(given.dispatch.addr(), (&raw const PROVIDER).addr());
    });
}

#[test]
fn what_is_no_security_descriptor_is_not_cached() {
    on_each_kernel(|_, provider| {
        let nothing = [0_u64; 5];
        // SAFETY: the revision shows that this is not a descriptor, so nothing more is read.
        let error = unsafe {
            provider.cache_security_descriptor(RawDescriptor::new(NonNull::from(&nothing).cast()))
        };
        assert_eq!(error.map(drop), refused(STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn versions_of_the_provider_are_told() {
    for kernel in kernels() {
        let registration = Registration::new().unwrap();
        let told = at_irql(DISPATCH_LEVEL, || registration.provider_characteristics()).unwrap();
        assert_eq!(
            (told.lowest_version, told.highest_version),
            (0x0100, 0x0100)
        );
        kernel.provider_down();
        let not_there = Error::Call {
            call: Call::WskQueryProviderCharacteristics,
            status: STATUS_DEVICE_NOT_READY,
        };
        assert_eq!(registration.provider_characteristics(), Err(not_there));
        drop(registration);
        kernel.shutdown();
    }
}

#[test]
fn the_client_is_controlled_by_any_code() {
    on_each_kernel(|_, provider| {
        let mut list = [0; 28 * 8];
        // SAFETY: the operations take no IRP, and these inputs and outputs.
        unsafe {
            let size = provider.control_client_raw(
                RawClientControl::new(WSK_TRANSPORT_LIST_QUERY, &[]),
                &mut list,
            );
            assert_eq!(size, Ok(4 * 28));
            // The room need not be aligned.
            let mut unaligned = [0; 28 * 4 + 4];
            let odd = 1 + unaligned.as_ptr().addr() % 2;
            let room = &mut unaligned[odd..];
            let size = provider
                .control_client_raw(RawClientControl::new(WSK_TRANSPORT_LIST_QUERY, &[]), room);
            assert_eq!(size, Ok(4 * 28));
            let bypass = 1_u32.to_ne_bytes();
            let done = provider
                .control_client_raw(RawClientControl::new(WSK_TDI_BEHAVIOR, &bypass), &mut []);
            assert_eq!(done, Ok(0));
            let short = provider.control_client_raw(
                RawClientControl::new(WSK_TDI_BEHAVIOR, &bypass[..2]),
                &mut [],
            );
            assert_eq!(short, refused(STATUS_INVALID_PARAMETER));
            let unknown = provider.control_client_raw(RawClientControl::new(77, &[]), &mut []);
            assert_eq!(unknown, refused(STATUS_NOT_SUPPORTED));
            // With an IRP: the operation that takes one, and operations that do not.
            let mut none = [];
            let change = provider.control_client_raw_request(
                RawClientControl::new(WSK_TRANSPORT_LIST_CHANGE, &[]),
                &mut none,
            );
            assert_eq!(
                change.wait_timeout(MOMENT),
                Err(Error::TimedOut {
                    call: Call::WskControlClient
                })
            );
            let wrong = provider.control_client_raw_request(
                RawClientControl::new(WSK_TDI_BEHAVIOR, &bypass),
                &mut none,
            );
            assert_eq!(wrong.wait(), refused(STATUS_INVALID_PARAMETER));
            let unknown =
                provider.control_client_raw_request(RawClientControl::new(77, &[]), &mut none);
            assert_eq!(unknown.wait(), refused(STATUS_NOT_SUPPORTED));
        }
        assert_eq!(size_of::<WSK_EVENT_CALLBACK_CONTROL>(), 16);
    });
}

#[test]
fn static_event_callbacks_are_enabled_before_there_is_a_socket() {
    on_each_kernel(|_, provider| {
        // SAFETY: WSK refuses this, so that it enables nothing.
        let disabled = unsafe {
            provider.enable_static_event_callbacks(StaticEvents::new(
                WSK_EVENT_RECEIVE_FROM | WSK_EVENT_DISABLE,
            ))
        };
        assert_eq!(disabled, refused(STATUS_INVALID_PARAMETER));
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        // SAFETY: WSK refuses this, too, because there is a socket.
        let late = unsafe {
            provider.enable_static_event_callbacks(StaticEvents::new(WSK_EVENT_RECEIVE_FROM))
        };
        assert_eq!(late, refused(STATUS_INVALID_DEVICE_STATE));
        drop(socket);

        let registration = Registration::new().unwrap();
        let other = registration.capture(Wait::Forever).unwrap();
        // SAFETY: no socket is made for this client.
        let enabled = unsafe {
            other.enable_static_event_callbacks(StaticEvents::new(WSK_EVENT_RECEIVE_FROM))
        };
        assert_eq!(enabled, Ok(()));
    });
}

#[test]
fn the_socket_and_the_npi_are_there_for_calls_of_the_drivers_own() {
    on_each_kernel(|_, provider| {
        let npi = provider.npi();
        // SAFETY: the provider outlives the reference.
        let dispatch = unsafe { &*npi.Dispatch };
        assert!(dispatch.WskSocket.is_some());
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        let raw = socket.as_wsk_socket();
        assert_eq!(socket.clone().as_wsk_socket(), raw);
        // SAFETY: the socket outlives the call, and the host kernel has the whole table of datagram sockets.
        let status = unsafe {
            let table = NonNull::new((*raw.as_ptr()).Dispatch.cast_mut()).unwrap();
            let table = WskProviderDatagramDispatch::new(table.cast(), u32::MAX);
            let mut value = 0_u32;
            let place = NonNull::from(&mut value).cast::<u8>();
            table.basic().wsk_control_socket(
                raw,
                wsk_sys::WSK_CONTROL_SOCKET_TYPE::WskGetOption,
                wsk_sys::SO_TYPE,
                wsk_sys::SOL_SOCKET,
                None,
                Some(NonNull::slice_from_raw_parts(place, 4)),
                None,
                None,
            )
        };
        assert_eq!(status, Ok(wsk_sys::STATUS_SUCCESS));
    });
}

#[test]
fn sockets_of_a_process_are_opened() {
    on_each_kernel(|_, provider| {
        // The host kernel ignores the process object: its sockets belong to the process that runs the test.
        let mut process = 0_u64;
        let place = NonNull::from(&mut process).cast();
        // SAFETY: the process exists until the provider is dropped.
        let owned = unsafe { provider.owned_by(Some(place), None) };
        let socket = DatagramSocket::open(&owned, Family::V4).unwrap();
        socket
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
    });
}

#[test]
fn what_deregisters_waits_for_no_transport() {
    let kernel = Kernel::boot();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let change = provider.transport_change().start().unwrap();
    drop(provider);
    drop(change);
    drop(registration);
    kernel.shutdown();
}
